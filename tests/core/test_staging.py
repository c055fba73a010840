"""Mini-batches on their way to a GPU arrive whole whatever its streams do first; every event that orders them is needed.

No GPU is used: helpers/lazy_cuda.py runs streams and events in the most unfavourable orders.
"""

import numpy as np
import pytest
import torch
from helpers import pretend_cuda
from helpers.lazy_cuda import Device, Memory
from helpers.pretend_cuda import CudaTensor

from zfrepro.core import staging
from zfrepro.core.loading import ArrayImages, read_ahead
from zfrepro.core.staging import PinnedSlot, Slot

SCHEDULES = [(), ("copies",), ("default",), ("copies", "default")]  # streams that run early
GPU = torch.device("cuda")


@pytest.fixture(scope="module")
def array():
    return np.random.default_rng(0).integers(0, 256, (50, 2, 2, 3), dtype=np.uint8)


def images_seen(monkeypatch, early, array, order, batch=3):
    """What a kernel that is launched for every mini-batch finds in its memory."""
    device, seen = Device(early), {}
    device.install(monkeypatch, staging)
    for where, pixels in read_ahead(ArrayImages(array), order, batch, GPU):
        device.launch(lambda where=where, pixels=pixels: seen.update({where.start: pixels.values.clone().numpy()}))
    device.synchronise()
    return np.concatenate([seen[start] for start in sorted(seen)])


@pytest.mark.parametrize("early", SCHEDULES)
def test_every_kernel_sees_its_own_images(monkeypatch, array, early):
    order = np.random.default_rng(1).permutation(50)
    np.testing.assert_array_equal(images_seen(monkeypatch, early, array, order), array[order])


def without_waiting_for_the_copy(monkeypatch):
    monkeypatch.setattr(PinnedSlot, "wait", Slot.wait)


def without_telling_the_last_use(monkeypatch):
    monkeypatch.setattr(PinnedSlot, "release", Slot.release)


def without_waiting_on_the_device(monkeypatch):
    upload = PinnedSlot.upload

    def upload_alone(self, count):
        with monkeypatch.context() as patched:
            patched.setattr(torch.cuda, "current_stream", lambda _: Device().default)
            return upload(self, count)

    monkeypatch.setattr(PinnedSlot, "upload", upload_alone)


@pytest.mark.parametrize(
    "leave_out", [without_waiting_for_the_copy, without_telling_the_last_use, without_waiting_on_the_device]
)
def test_without_any_one_of_the_three_waits_some_kernel_sees_other_images(monkeypatch, array, leave_out):
    wrong = []
    for early in SCHEDULES:
        with monkeypatch.context() as patched:
            leave_out(patched)
            wrong.append(not np.array_equal(images_seen(patched, early, array, np.arange(50)), array))
    assert any(wrong)


def test_memory_that_earlier_work_still_uses_is_not_written_to(monkeypatch):
    """What `_on_device` returns may have been freed by the host while a kernel that reads it is still to run."""
    device, seen = Device(early=("copies",)), []
    device.install(monkeypatch, staging)
    memory = torch.full((1, 1, 1, 3), 7, dtype=torch.uint8)
    device.launch(lambda: seen.append(memory.clone()))
    monkeypatch.setattr(staging, "_on_device", lambda *_: Memory(device, memory))
    PinnedSlot((1, 1, 1, 3), GPU).upload(1)
    device.synchronise()
    assert seen[0].unique().tolist() == [7]
    assert not memory.any()


def test_on_a_cpu_the_images_are_where_they_were_read_to():
    slot = Slot((2, 1, 1, 3), torch.device("cpu"))
    slot.host.copy_(torch.arange(6).reshape(2, 1, 1, 3))
    assert slot.upload(1).flatten().tolist() == [0, 1, 2]
    assert slot.upload(2).data_ptr() == slot.host.data_ptr()


@pytest.mark.parametrize("on", ["cpu", "cuda"])
def test_a_copy_on_the_host_has_the_values_types_and_strides_of_its_originals(on):
    with pretend_cuda.device():
        filters = torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last).to(on)
        counts = torch.arange(3).to(on)
        state = {
            "net": {"conv": torch.nn.Parameter(filters)},
            "velocities": [None, counts[:2]],
            "epoch": 3,
            "rate": 0.5,
        }
        copies = staging.copy_to_host(state)
        assert not isinstance(copies["net"]["conv"], CudaTensor)
        assert copies["net"]["conv"].is_contiguous(memory_format=torch.channels_last)
        assert not copies["net"]["conv"].requires_grad
        before = filters.clone().cpu()
        with torch.no_grad():
            filters.zero_()
            counts.zero_()
    assert torch.equal(copies["net"]["conv"], before)
    assert copies["velocities"][0] is None
    assert copies["velocities"][1].tolist() == [0, 1]
    assert copies["velocities"][1].dtype == torch.int64
    assert (copies["epoch"], copies["rate"]) == (3, 0.5)
