"""No analysis leaves a trace on the network, on its inputs or on torch's generator of random numbers."""

import pytest
import torch
from torch import nn

from zfrepro import analysis

CORNERS = torch.tensor([[[0, 0], [4, 2]]])
ANALYSES = {
    "project": lambda net, images: analysis.project(net, images, "body.1", [0, 1]),
    "project a whole map": lambda net, images: analysis.project(net, images, "body.1", 0, "all"),
    "top_activations": lambda net, images: analysis.top_activations(net, images, "body.1", 1),
    "occlusion_maps": lambda net, images: analysis.occlusion_maps(net, images, "body.1", square=4, stride=4),
    "invariance": lambda net, images: analysis.invariance(net, images, ["body.1"], shift=[1.0], rotation=[10.0]),
    "correspondence": lambda net, images: analysis.correspondence(net, images, CORNERS, ["body.1"], square=4),
}


class Net(nn.Module):
    def __init__(self, residual):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(inplace=True), nn.BatchNorm2d(3), nn.MaxPool2d(2)
        )
        self.head, self.drop, self.residual = nn.Linear(75, 4), nn.Dropout(), residual

    def forward(self, images):
        maps = self.body(images + images.flip(3) if self.residual else images)
        return self.head(self.drop(torch.flatten(maps, 1)))


def state(net, images):
    """All that could change, as plain values."""
    return {
        "weights": {name: tensor.tolist() for name, tensor in net.state_dict().items()},
        "needs gradients": [weight.requires_grad for weight in net.parameters()],
        "gradients": [None if weight.grad is None else weight.grad.tolist() for weight in net.parameters()],
        "modes": [module.training for module in net.modules()],
        "hooks": [
            [
                list(getattr(module, hooks).values())
                for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
            ]
            for module in net.modules()
        ],
        "in place": net.body[1].inplace,
        "images": images.tolist(),
        "random": torch.get_rng_state().tolist(),
        "gradients are on": torch.is_grad_enabled(),
    }


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("name", ANALYSES)
def test_nothing_is_left_behind(name, residual):
    torch.manual_seed(0)
    net, images, others = Net(residual).eval(), torch.randn(2, 3, 10, 10), torch.randn(2, 5, 10, 10)
    net(images).sum().backward()
    net.body[0].bias.requires_grad_(False)
    calls = []
    net.body[3].register_forward_hook(lambda *parts: calls.append(1) if residual else None)  # the user's own
    before = state(net, images)
    ANALYSES[name](net, images)
    assert state(net, images) == before
    with pytest.raises(ValueError, match="the network cannot take images of shape"):
        ANALYSES[name](net, others)
    assert state(net, images) == before


@pytest.mark.parametrize("name", ANALYSES)
def test_results_hold_no_graph(name):
    net, images = Net(True).eval(), torch.randn(2, 3, 10, 10)
    parts = ANALYSES[name](net, images)
    parts = parts.values() if isinstance(parts, dict) else [parts]
    tensors = [value for part in parts for value in vars(part).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) > 2
    assert not any(tensor.requires_grad for tensor in tensors)
