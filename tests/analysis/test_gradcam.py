"""Grad-CAM: by hand on two maps, and against autograd through an untouched network."""

import pytest
import torch
from torch import nn

from zfrepro.analysis import grad_cam
from zfrepro.core.finite import NotFiniteError


def two_maps():
    """Maps x and -x, averaged; class 0 counts the first twice, class 1 the second three times."""
    model = nn.Sequential(
        nn.Conv2d(1, 2, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2, bias=False)
    )
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        model[3].weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 3.0]]))
    return model.eval()


def test_maps_are_weighted_by_their_mean_gradient():
    image = torch.tensor([[[[4.0, -8.0], [0.0, 12.0]]]])
    # class 0: its score is 2 times the mean of 4 values, so every gradient of the first map is 2 / 4
    assert grad_cam(two_maps(), image, "0", 0).tolist() == [[[2.0, 0.0], [0.0, 6.0]]]
    assert grad_cam(two_maps(), image, "0", 1).tolist() == [[[0.0, 6.0], [0.0, 0.0]]]
    assert grad_cam(two_maps(), image, "0").tolist() == grad_cam(two_maps(), image, "0", 0).tolist()


def test_a_module_that_works_in_place_next_does_not_disturb_and_the_network_is_left_as_it_was():
    torch.manual_seed(0)
    convolution, linear = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 3)
    model = nn.Sequential(convolution, nn.ReLU(inplace=True), nn.Flatten(), linear).eval()
    images = torch.randn(2, 3, 8, 8)
    maps = convolution(images).detach().requires_grad_()
    scores = linear(maps.relu().flatten(1))
    (gradient,) = torch.autograd.grad(scores[[0, 1], [2, 1]].sum(), maps)
    expected = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).clamp(min=0).detach()
    torch.testing.assert_close(grad_cam(model, images, "0", [2, 1]), expected)
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_bad_input():
    with pytest.raises(ValueError, match=r"layer 3: its output has the shape \(2,\); choose a layer of maps"):
        grad_cam(two_maps(), torch.ones(1, 1, 2, 2), "3")
    model = two_maps()
    with torch.no_grad():
        model[3].weight.mul_(1e38)
    with pytest.raises(NotFiniteError, match="class scores"):
        grad_cam(model, torch.full((1, 1, 2, 2), 1e3), "0")
