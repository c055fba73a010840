"""Normalisation across maps against torch's, whose alpha is divided by the number of maps."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from zfrepro.core.normalisation import CrossMapNorm, _Normalise

TORCH_ALPHA = 5 * 1e-4


def test_by_hand():
    maps = torch.tensor([1.0, 2, 3, 4]).reshape(1, 4, 1, 1)
    norm = CrossMapNorm(4, size=3, alpha=1.0, beta=1.0, k=1.0)
    expected = [1 / (1 + 1 + 4), 2 / (1 + 1 + 4 + 9), 3 / (1 + 4 + 9 + 16), 4 / (1 + 9 + 16)]
    torch.testing.assert_close(norm(maps).flatten(), torch.tensor(expected))


@pytest.mark.parametrize("maps", [3, 24, 96])
def test_equals_local_response_norm(maps):
    torch.manual_seed(0)
    first = 100 * torch.randn(2, maps, 6, 5, dtype=torch.float64)
    first.requires_grad_()
    second = first.detach().clone().requires_grad_()
    ours, theirs = CrossMapNorm(maps)(first), nn.LocalResponseNorm(5, TORCH_ALPHA, 0.75, 2.0)(second)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(ours)
    (ours * weight).sum().backward()
    (theirs * weight).sum().backward()
    torch.testing.assert_close(first.grad, second.grad, rtol=1e-10, atol=1e-12)


def test_single_precision():
    maps = 100 * torch.rand(2, 96, 6, 6, generator=torch.Generator().manual_seed(0))
    expected = nn.LocalResponseNorm(5, TORCH_ALPHA, 0.75, 2.0)(maps)
    torch.testing.assert_close(CrossMapNorm(96)(maps), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("beta", "alpha"), [(0.75, 1e-4), (0.75, 0.3), (0.5, 0.3)])
def test_gradient(beta, alpha):
    torch.manual_seed(0)
    maps = torch.randn(2, 7, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(CrossMapNorm(7, 5, alpha, beta), maps)


def test_half_precision_is_close():
    maps = (50 * torch.rand(2, 96, 6, 6, generator=torch.Generator().manual_seed(0))).to(torch.bfloat16)
    exact = maps.double().requires_grad_()
    rough = maps.clone().requires_grad_()
    norm = CrossMapNorm(96)
    norm(exact).sum().backward()
    out = norm(rough)
    out.sum().backward()
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.double(), norm(exact), rtol=0.02, atol=0.02)
    torch.testing.assert_close(rough.grad.double(), exact.grad, rtol=0.05, atol=0.02)


def test_under_autocast():
    maps = (50 * torch.rand(2, 24, 6, 6, generator=torch.Generator().manual_seed(0))).requires_grad_()
    norm = CrossMapNorm(24)
    with torch.autocast("cpu", torch.bfloat16):
        out = norm(maps)
        out.float().sum().backward()
    torch.testing.assert_close(out.float(), norm(maps), rtol=0.02, atol=0.02)
    assert maps.grad.dtype == torch.float32


def test_layout_and_weights_file_are_left_alone():
    norm = CrossMapNorm(24)
    maps = torch.rand(2, 24, 6, 6).to(memory_format=torch.channels_last)
    assert norm(maps).is_contiguous(memory_format=torch.channels_last)
    assert norm.state_dict() == {}


class _Context:
    """Stands in for autograd's context, so that both passes can be called as the engine calls them."""

    def save_for_backward(self, *tensors):
        self.saved_tensors = tensors


@contextmanager
def _autocast(device):
    """torch.autocast itself stays off where there is no GPU."""
    torch.set_autocast_dtype(device, torch.bfloat16)
    torch.set_autocast_enabled(device, True)
    try:
        yield
    finally:
        torch.set_autocast_enabled(device, False)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_both_passes_keep_one_type_under_autocast(device):
    """On fake tensors, which need no GPU: CUDA's autocast computes rsqrt in float32, the CPU's does not."""
    with FakeTensorMode():
        maps = torch.empty(2, 96, 55, 55, device=device, dtype=torch.bfloat16)
        band, context = torch.empty(96, 96, 1, 1, device=device), _Context()
        with _autocast(device):
            out = _Normalise.forward(context, maps, band, 1e-4, 0.75, 2.0)
        assert out.dtype == torch.bfloat16
        assert {tensor.dtype for tensor in context.saved_tensors} == {torch.bfloat16}
        gradient = _Normalise.backward(context, torch.empty_like(out))[0]
        assert gradient.dtype == torch.bfloat16
        assert gradient.shape == maps.shape


def test_shapes_can_be_had_without_numbers():
    with torch.device("meta"):
        assert CrossMapNorm(8)(torch.empty(2, 8, 5, 5)).shape == (2, 8, 5, 5)
