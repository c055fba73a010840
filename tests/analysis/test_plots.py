"""What the figures hold: pixels, values, numbers of panels."""

import pytest
import torch
from torch import nn

import zfrepro
from zfrepro import analysis


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(body, nn.Flatten(), nn.Linear(64, 5)).eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 10, 10, generator=torch.Generator().manual_seed(0))


def panels(figure):
    return [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]


def test_projections(net, images):
    projection = analysis.project(net, images, "0.1", [0, 1], (2, 3))
    figure = analysis.plot_projection(projection, images)
    assert len(panels(figure)) == 4
    shown = torch.from_numpy(figure.axes[1].images[0].get_array().data)
    assert shown.shape == (3, 3, 3)  # what a unit of a 3 x 3 convolution sees
    pixels = projection.pixels[1]
    torch.testing.assert_close(shown, (0.5 + 0.5 * pixels[:, 2:5, 3:6] / pixels.abs().max()).permute(1, 2, 0))
    below = torch.from_numpy(figure.axes[3].images[0].get_array().data)
    stretched = (images[1] - images[1].min()) / (images[1].max() - images[1].min())
    torch.testing.assert_close(below, stretched[:, 2:5, 3:6].permute(1, 2, 0))
    assert len(panels(analysis.plot_projection(projection))) == 2


def test_top_activations(net, images):
    top = analysis.top_activations(net, images, "0.1", 2)
    figure = analysis.plot_top_activations(top, show=lambda patch: patch * 0 + 0.25)
    assert len(panels(figure)) == 8
    assert figure.axes[5].images[0].get_array().data.tolist() == [[[0.25] * 3] * 3] * 3
    assert figure.axes[4].get_ylabel() == "map 2"
    assert figure.axes[5].get_title() == f"image {int(top.images[2, 1])}: {float(top.values[2, 1]):.3g}"


def test_occlusion(net, images):
    maps = analysis.occlusion_maps(net, images, "0.1", square=4, stride=3)
    figure = analysis.plot_occlusion(maps, images, ["a", "b", "c", "d", "e"])
    assert len(panels(figure)) == 8
    assert figure.axes[1].images[0].get_array().data.tolist() == maps.probability[0].tolist()
    assert figure.axes[1].get_title().startswith(f"probability of {'abcde'[int(maps.labels[0])]}")
    labels = torch.from_numpy(figure.axes[3].images[0].get_array().data)
    same = (labels == labels[0, 0]).all(-1)
    assert torch.equal(same, maps.predicted[0] == maps.predicted[0, 0, 0])
    legend = [text.get_text() for text in figure.axes[3].get_legend().get_texts()]
    assert sorted(legend) == sorted("abcde"[label] for label in maps.predicted[0].unique())
    without = analysis.occlusion_maps(net, images, square=4, stride=3)
    assert len(panels(analysis.plot_occlusion(without))) == 4


def test_invariance(net, images):
    curves = analysis.invariance(net, images, ["0.1", "2"], shift=[0.0, 1.0, 2.0], rotation=[0.0, 90.0])
    figure = analysis.plot_invariance(curves)
    assert len(panels(figure)) == 6
    lines = figure.axes[2].lines  # the second layer, shifted
    assert [line.get_ydata().tolist() for line in lines] == curves["shift"].distances["2"].double().tolist()
    assert figure.axes[2].get_ylabel() == "distance, 2"


def test_correspondence(net, images):
    corners = torch.tensor([[[0, 0], [1, 2]], [[5, 5], [4, 3]]])
    results = analysis.correspondence(net, images, corners, ["0.1", "2"], square=4)
    figure = analysis.plot_correspondence(results, ["eye", "random"])
    assert [axis.get_title() for axis in figure.axes] == ["0.1", "2"]
    assert [bar.get_height() for bar in figure.axes[0].patches] == results["0.1"].mean.tolist()


def test_the_package_names_the_functions():
    """That it loads no torch before one is used is a law: tests/workflow/test_laws.py."""
    assert set(zfrepro.ANALYSES) == {name for name in analysis.__all__ if name.islower()}
    assert zfrepro.project is analysis.project
    with pytest.raises(AttributeError, match="no attribute 'projection'"):
        _ = zfrepro.projection
