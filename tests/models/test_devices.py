"""Which device is chosen, and that float32 stays float32 on it. No GPU is needed: torch is told that there is one."""

import pytest
import torch
from helpers import pretend_cuda

from zfrepro.errors import UserError
from zfrepro.models import devices

FLAGS = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)


@pytest.fixture
def tf32():
    """Switched on for convolutions and matrix products."""
    before = [flag.fp32_precision for flag in FLAGS]
    for flag in FLAGS:
        flag.fp32_precision = "tf32"
    yield lambda: [flag.fp32_precision for flag in FLAGS]
    for flag, value in zip(FLAGS, before, strict=True):
        flag.fp32_precision = value


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "auto", torch.device("cuda", 0)])
def test_a_gpu_computes_float32_without_tf32(tf32, name, monkeypatch):
    monkeypatch.delenv("ZFREPRO_DEVICE", raising=False)
    with pretend_cuda.device():
        assert devices.choose(name).type == "cuda"
    assert tf32() == ["ieee", "ieee"]


def test_a_cpu_leaves_the_flags_of_gpus_alone(tf32):
    assert devices.choose("cpu") == torch.device("cpu")
    assert tf32() == ["tf32", "tf32"]


def test_without_a_gpu(monkeypatch):
    monkeypatch.delenv("ZFREPRO_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.choose("auto") == torch.device("cpu")
    with pytest.raises(UserError, match="finds no CUDA device; use --device cpu"):
        devices.choose("cuda")
    with pytest.raises(UserError, match="--device gpu: unknown device; use cpu, cuda or cuda:1"):
        devices.choose("gpu")


@pytest.mark.parametrize(
    ("count", "there"), [(1, "1 CUDA device; use cuda:0"), (2, "2 CUDA devices; use cuda:0 to cuda:1")]
)
def test_a_gpu_that_is_not_there(monkeypatch, count, there):
    with pretend_cuda.device():
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        with pytest.raises(UserError, match=f"^--device cuda:2: this torch finds {there}$"):
            devices.choose("cuda:2")


def test_the_environment_decides_where_no_device_is_named(monkeypatch):
    monkeypatch.setenv("ZFREPRO_DEVICE", "cpu")
    with pretend_cuda.device():
        assert devices.choose("auto") == torch.device("cpu")
        assert devices.choose("cuda").type == "cuda"


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)])
def test_bfloat16_where_the_gpu_multiplies_it(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    gpu = torch.device("cuda")
    assert devices.precision("auto", gpu) == dtype
    assert devices.precision("float32", gpu) == torch.float32
    assert devices.precision("bfloat16", gpu) == torch.bfloat16


def test_work_begun_on_a_gpu_goes_on_on_any_gpu_of_the_same_precision():
    """The number of CPU threads and the CPU's instructions do not count there."""
    gpu, cpu = devices.describe(torch.device("cuda"), "float32"), devices.describe(torch.device("cpu"), "float32")
    assert gpu == ("cuda", "torch.float32")
    assert cpu[:2] == ("cpu", "torch.float32")
    assert len(cpu) == 4
