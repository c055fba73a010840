"""Features of several layers in one pass are those of the network, layer by layer."""

import numpy as np
import pytest
import torch

from zfrepro.core import crops, features, nets
from zfrepro.core.architecture import Network


@pytest.fixture(scope="module")
def net():
    network = nets.build(Network(base="improved"), input_size=64, classes=5, width=0.05)
    nets.initialise(network, "he", seed=0)
    return network.eval()


def pictures(count=7, size=70):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_every_layer_at_once_equals_a_plain_forward_pass(net):
    images, mean = pictures(), np.full((70, 70, 3), 120, np.float32)
    subtract = crops.MeanSubtraction(mean, torch.device("cpu"))
    batches = list(features.batches(net, images, subtract, 64, (1, 4, 7), batch=3))
    assert [where for where, _ in batches] == [slice(0, 3), slice(3, 6), slice(6, 7)]
    inputs = torch.from_numpy(images[:, 3:67, 3:67].astype(np.float32) - 120).permute(0, 3, 1, 2)
    for layer, last in ((1, "norm1"), (4, "relu4"), (7, "dropout7")):
        names = [name for name, _ in net.named_children()]
        with torch.no_grad():
            plain = net[: names.index(last) + 1](inputs).flatten(1).numpy()
        maps_of_layer = np.concatenate([maps[layer] for _, maps in batches])
        np.testing.assert_allclose(maps_of_layer, plain, rtol=1e-4, atol=1e-4)
        assert features.sizes(net, 64, (1, 4, 7))[layer] == plain.shape[1]


def test_layers_that_a_network_lacks_are_left_out():
    short = nets.build(Network(base="baseline", remove=(3, 4, 7)), input_size=64, classes=5, width=0.05)
    assert features.children(short, (1, 2, 3, 4, 5, 7)) == {"pool1": 1, "pool2": 2, "pool5": 5}


def test_a_mean_image_of_another_size_is_cut_or_repeated_at_the_border():
    mean = np.arange(16, dtype=np.float32).reshape(4, 4, 1).repeat(3, 2)
    assert features.mean_at(mean, 2)[..., 0].tolist() == [[5, 6], [9, 10]]
    assert features.mean_at(mean, 6)[0, :, 0].tolist() == [0, 0, 1, 2, 3, 3]
    assert np.array_equal(features.mean_at(mean, 4), mean)
