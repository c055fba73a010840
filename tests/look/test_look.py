"""`zfrepro look` by hand: numbers against a second route, one page that holds all, and one message for whatever is wrong."""

import base64
import dataclasses
import errno
import io
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.injections import INJECTIONS
from helpers.pages_read import Page
from helpers.whole_image_deconvnet import project, trace
from PIL import Image

from zfrepro.__main__ import main
from zfrepro.core.architecture import Network
from zfrepro.core.images import stored_pixels
from zfrepro.core.nets import build, initialise
from zfrepro.core.receptive_field import receptive_field
from zfrepro.errors import UserError
from zfrepro.look import draw as look_draw
from zfrepro.look import inspect, photo_network, torchvision_networks
from zfrepro.look import page as look_page
from zfrepro.look.photographs import Photograph
from zfrepro.storage import network_file

CLASSES = ("cat", "dog", "kite", "<b>owl</b>", "bus", "tree")
SIZE, STORED = 64, 72
FEW = ("--square", "32", "--stride", "16", "--threads", "1", "--device", "cpu")  # 3 x 3 positions


def picture(seed, width=80, height=72):
    small = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A small network with random weights, and two photographs."""
    folder = tmp_path_factory.mktemp("look")
    network = Network(base="improved")
    net = build(network, SIZE, len(CLASSES), width=1 / 12)
    initialise(net, "he", seed=0)
    mean = np.random.default_rng(1).uniform(90, 130, (STORED, STORED, 3)).astype(np.float32)
    description = network_file.Description(network, 1 / 12, SIZE, CLASSES)
    network_file.save(folder / "model.safetensors", net.state_dict(), mean, description)
    for seed, name in ((2, "first.png"), (3, "second.png")):
        picture(seed).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def seeing(place):
    return photo_network.open_trained(place / "model.safetensors", torch.device("cpu"))


@pytest.fixture(scope="module")
def crop(place, seeing):
    return seeing.crop(Image.open(place / "first.png"))


@pytest.fixture(scope="module")
def looked(seeing, crop):
    return inspect.inspect(seeing, crop, maps=3, square=32, stride=16)


@pytest.fixture(scope="module")
def page(place, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    photographs = [str(place / "first.png"), str(place / "second.png")]
    main(["look", *photographs, "--weights", str(place / "model.safetensors"), "--out", str(out), *FEW])
    assert [path.name for path in out.iterdir()] == ["index.html"]
    return (out / "index.html").read_text(encoding="utf-8")


def error_of(capsys, *arguments):
    """What the command prints on bad input, as one string."""
    with pytest.raises(SystemExit) as exit_:
        main(["look", *map(str, arguments)])
    captured = capsys.readouterr()
    assert exit_.value.code == 2
    assert "Traceback" not in captured.err
    return captured.err


def test_the_network_sees_the_centre_minus_the_mean(place, seeing, crop):
    _, mean, _ = network_file.load(place / "model.safetensors")
    stored = stored_pixels(Image.open(place / "first.png"), STORED)
    assert np.array_equal(crop, stored[4:68, 4:68])
    by_hand = torch.from_numpy(stored.astype(np.float32) - mean)[None, 4:68, 4:68].permute(0, 3, 1, 2)
    torch.testing.assert_close(seeing.inputs(crop[None]), by_hand, rtol=0, atol=1e-4)
    assert seeing.layers == {f"Layer {n}": f"relu{n}" for n in range(1, 6)}
    assert (seeing.classes[0], seeing.share, seeing.watched) == ("cat", 64 / 72, "relu5")


def test_the_top_classes_are_those_of_a_forward_pass(seeing, crop, looked):
    with torch.no_grad():
        expected = seeing.net(seeing.inputs(crop[None]))[0].softmax(0)
    assert len(looked.top) == 5
    assert [name for name, _ in looked.top] == expected.argsort(descending=True)[:5].tolist()
    assert [probability for _, probability in looked.top] == pytest.approx(
        expected.sort(descending=True).values[:5].tolist()
    )


def test_features_are_the_strongest_units_projected(seeing, crop, looked):
    inputs = seeing.inputs(crop[None])
    passed = trace(seeing.net, inputs, list(seeing.layers.values()))
    for layer, name in seeing.layers.items():
        maps, field = passed.outputs[name][0], receptive_field(seeing.net, name)
        assert [unit.number for unit in looked.layers[layer]] == maps.amax((1, 2)).argsort(descending=True)[:3].tolist()
        for unit in looked.layers[layer]:
            assert unit.activation == pytest.approx(maps[unit.number].max().item())
            y, x = divmod(int(maps[unit.number].argmax()), maps.shape[2])
            pixels = project(passed, name, torch.tensor([[0, unit.number, y, x]]))[0].permute(1, 2, 0).numpy()
            top, left = field.corner((y, x), SIZE)
            window = (slice(top, top + field.tile_side(SIZE)), slice(left, left + field.tile_side(SIZE)))
            np.testing.assert_allclose(unit.projection, pixels[window], rtol=1e-4, atol=1e-4 * np.abs(pixels).max())
            assert np.array_equal(unit.patch, crop[window])


def test_grey_pixels_cover_the_reported_position(seeing, crop, looked):
    covered = looked.occlusion
    assert covered.probability.shape == covered.labels.shape == covered.watched.activation.shape == (3, 3)
    for row, column in ((0, 0), (1, 2), (2, 1)):
        hidden = crop.copy()
        hidden[16 * row : 16 * row + 32, 16 * column : 16 * column + 32] = 124
        with torch.no_grad():
            inputs = seeing.inputs(hidden[None])
            answer = seeing.net(inputs)[0].softmax(0)
        sums = trace(seeing.net, inputs, ["relu5"]).outputs["relu5"][0].sum((1, 2))
        assert covered.probability[row, column] == pytest.approx(answer[looked.top[0][0]].item(), rel=1e-3)
        assert covered.labels[row, column] == answer.argmax()
        assert covered.watched.activation[row, column] == pytest.approx(sums[covered.watched.number].item(), rel=1e-3)
    clean = trace(seeing.net, seeing.inputs(crop[None]), ["relu5"]).outputs["relu5"][0].sum((1, 2))
    assert covered.watched.number == clean.argmax()
    assert covered.watched.uncovered == pytest.approx(clean.max().item(), rel=1e-4)


def test_square_and_stride_follow_the_paper_in_proportion():
    assert inspect.proportional(224, None, None) == (50, 6)
    assert inspect.proportional(80, None, None) == (18, 2)
    assert inspect.proportional(8, None, None) == (2, 1)
    assert inspect.proportional(80, 5, 7) == (5, 7)


def test_the_page_is_whole_and_loads_nothing(page):
    read = Page(page)
    assert read.open == []
    ids = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
    links = {attrs["href"] for attrs in read.all("a")} - {"https://arxiv.org/abs/1311.2901"}
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links} <= set(ids)
    assert read.all("script") == []
    assert not re.search(r"url\(|@import", page)
    images = read.all("img")
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in images)
    assert len(images) == 2 * (1 + 5 * 4 * 2 + 5 + 3)  # picture, pairs, panels, scales


def test_the_page_says_what_was_found(page, looked):
    read = Page(page)
    classes, probabilities = CLASSES[looked.top[0][0]], look_draw.percent(looked.top[0][1])
    assert [cell.strip() for cell in read.rows[0]] == [classes, "", probabilities]
    text = " ".join(" ".join(read.words).split())
    assert (
        "The photograph is 80 \u00d7 72 pixels. The network\u2019s input is its central square of 64 \u00d7 64 pixels."
        in text
    )
    assert "A grey square of 32 \u00d7 32 pixels slides over the input in steps of 16 pixels." in text
    assert "Over 3 \u00d7 3 positions of the square" in text
    assert "ends of such a long image" not in text
    for unit in looked.layers["Layer 5"]:
        assert f"map {unit.number}, activation {look_draw.number(unit.activation)}" in text


def test_the_pictures_on_the_page_are_those_looked_at(page, crop, looked):
    shown = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2]))))
        for image in Page(page).all("img")
    ]
    assert np.array_equal(shown[0], crop.repeat(5, 0).repeat(5, 1))
    assert np.array_equal(shown[2], looked.layers["Layer 1"][0].patch)
    lowest = np.argwhere(looked.occlusion.probability == looked.occlusion.probability.min())[0] * 16
    hidden = shown[1 + 5 * 4 * 2][::5, ::5]
    changed = np.argwhere((hidden != crop).any(2))
    assert (changed.min(0) >= lowest).all()
    assert (changed.max(0) < lowest + 32).all()


def test_twice_the_same_bytes_and_an_old_page_is_replaced(place, tmp_path, capsys):
    arguments = [
        "look",
        str(place / "first.png"),
        "--weights",
        str(place / "model.safetensors"),
        "--out",
        str(tmp_path),
        *FEW,
    ]
    main(arguments)
    first = (tmp_path / "index.html").read_bytes()
    main(arguments)
    assert (tmp_path / "index.html").read_bytes() == first
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"1/1 first\.png: \S+, [\d.]+ % \([\d.]+ s\)", lines[0])
    assert lines[1] == f"page: {tmp_path / 'index.html'}"


@pytest.mark.parametrize(
    ("code", "exit_code", "message"),
    [(errno.EROFS, 2, "cannot be written to (Read-only"), (errno.ENOSPC, 1, "the disk is full")],
)
def test_a_failed_write_is_reported_and_leaves_no_files(place, tmp_path, capsys, monkeypatch, code, exit_code, message):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", refuse)
    weights = str(place / "model.safetensors")
    with pytest.raises(SystemExit) as exit_:
        main(["look", str(place / "first.png"), "--weights", weights, "--out", str(tmp_path), *FEW])
    assert exit_.value.code == exit_code
    assert message in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_without_occlusion(place, tmp_path):
    weights = str(place / "model.safetensors")
    main(
        [
            "look",
            str(place / "first.png"),
            "--weights",
            weights,
            "--out",
            str(tmp_path),
            "--no-occlusion",
            "--maps",
            "2",
            *FEW,
        ]
    )
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "covered" not in page
    assert len(Page(page).all("img")) == 1 + 5 * 2 * 2


@pytest.mark.parametrize(("width", "height"), [(1, 1), (400, 9), (9, 400), (64, 64)])
def test_any_size_works(place, tmp_path, width, height):
    picture(4, width, height).save(tmp_path / "a.png")
    weights = str(place / "model.safetensors")
    main(["look", str(tmp_path / "a.png"), "--weights", weights, "--out", str(tmp_path), "--no-occlusion", *FEW])
    text = " ".join((tmp_path / "index.html").read_text(encoding="utf-8").split())
    assert ("ends of such a long image are left out" in text) == (width != height)
    assert "enlarged to 64 \u00d7 64" in text


@pytest.mark.parametrize("hostile", INJECTIONS)
def test_names_are_escaped(seeing, crop, looked, hostile):
    tree = [name for name, _ in Page(look_page.render(seeing, [Photograph("a", (9, 9), crop)], [looked])).elements]
    hostile_sight = dataclasses.replace(
        seeing, classes=(hostile,) * len(CLASSES), source="x" + hostile.replace("/", "")
    )
    page = Page(look_page.render(hostile_sight, [Photograph(hostile, (9, 9), crop)], [looked]))
    assert [name for name, _ in page.elements] == tree
    assert page.open == []
    assert any(hostile in attrs.get("alt", "") for attrs in page.all("img"))


def test_a_map_that_is_not_active_is_not_shown(seeing, crop):
    net = build(Network(base="improved"), SIZE, len(CLASSES), width=1 / 12).eval()
    net.load_state_dict(seeing.net.state_dict())
    with torch.no_grad():
        net.conv5.weight.zero_()
        net.conv5.bias.fill_(-1)
    dead = dataclasses.replace(seeing, net=net)
    looked = inspect.inspect(dead, crop, square=32, stride=16)
    assert looked.layers["Layer 5"] == []
    assert len(looked.layers["Layer 4"]) == 4
    page = look_page.render(dead, [Photograph("a", (9, 9), crop)], [looked])
    assert page.count("No map of this layer is active.") == 1


def test_outputs_that_are_not_finite_are_reported(seeing, crop):
    net = build(Network(base="improved"), SIZE, len(CLASSES), width=1 / 12).eval()
    with torch.no_grad():
        net.full8.weight.fill_(3e38)
        net.full7.bias.fill_(9)
    with pytest.raises(UserError, match=r"model\.safetensors: 6 of 6 class scores are not finite; .*; use other"):
        inspect.inspect(dataclasses.replace(seeing, net=net), crop)
    with torch.no_grad():
        net.full8.bias[1] = torch.nan
    with pytest.raises(
        UserError, match=r"model\.safetensors: weights full8.bias: 1 of 6 values are not finite; the training"
    ):
        inspect.inspect(dataclasses.replace(seeing, net=net), crop)


def test_every_bad_photograph_is_named_and_nothing_is_written(place, tmp_path, capsys):
    (tmp_path / "words.jpg").write_text("words")
    text = error_of(capsys, place / "first.png", tmp_path / "words.jpg", tmp_path / "none.png", tmp_path,
                "--weights", place / "model.safetensors", "--out", tmp_path / "out", *FEW)  # fmt: skip
    lines = text.splitlines()
    assert len(lines) == 3
    assert "words.jpg: not an image" in lines[0]
    assert "none.png: no such file" in lines[1]
    assert f"{tmp_path}: is a folder" in lines[2]
    assert not (tmp_path / "out").exists()


def test_a_strange_page_or_a_file_is_not_overwritten(place, tmp_path, capsys):
    (tmp_path / "index.html").write_text("<title>mine</title>")
    options = [place / "first.png", "--weights", place / "model.safetensors", *FEW, "--out"]
    assert "index.html: exists and was not created by this command" in error_of(capsys, *options, tmp_path)
    assert (tmp_path / "index.html").read_text() == "<title>mine</title>"
    assert "first.png is a file; choose a folder" in error_of(capsys, *options, place / "first.png")
    assert "first.png is a file; choose a folder" in error_of(capsys, *options, place / "first.png" / "deeper")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--square", "65"], "--square 65: the network's input is 64 pixels"),
        (["--maps", "0"], "argument --maps: invalid positive number value: '0'"),
        (["--network", "resnet"], "--network resnet: torchvision has no such classifier; similar names: resne"),
        (["--classes", "names.txt"], "--classes: zfrepro's own weights contain the names of their classes"),
        (["--weights", "none.safetensors"], "none.safetensors: no such weights file"),
        (["--weights", "alexnet-owt-7be5be79.pth"], "for torchvision weights pass --network with its name"),
        (["--network", "alexnet", "--classes", "none.txt"], "--classes none.txt: cannot be read"),
        (["--network", "resnet50", "--weights", "none.pth"], "none.pth: no such weights file"),
        (["--model", "a:b"], "--model and --weights exclude each other"),
        (["--size", "9"], "--size: zfrepro's own weights contain the size of their input"),
        (["--network", "vgg16", "--std", "0", "1", "1"], "--std 0.0 1.0 1.0: give three numbers above 0"),
        (["--layers", "relu1,,relu2"], "argument --layers: invalid list of layers value: 'relu1,,relu2'"),
        (["--device", "abacus"], "--device abacus: unknown device"),
    ],
)  # fmt: skip
def test_bad_options_are_one_message(place, tmp_path, capsys, arguments, message):
    options = [place / "first.png", "--weights", place / "model.safetensors", "--out", tmp_path, *FEW, *arguments]
    assert message in error_of(capsys, *options)
    assert not any(tmp_path.iterdir())


def test_without_weights_it_says_where_they_are(place, tmp_path, capsys):
    options = [place / "first.png", "--out", tmp_path]
    message = error_of(capsys, *options, "--network", "alexnet")
    assert (
        "--network alexnet: pass --weights FILE, a state_dict of this network; nothing is downloaded. torchvision's own: "
        in message
    )
    assert "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth" in message
    assert "pass --weights FILE, the model.safetensors that a run writes" in error_of(capsys, *options)


def test_torchvisions_network_with_its_own_classes(place, tmp_path, capsys, monkeypatch):
    from helpers.narrow_networks import narrow

    monkeypatch.setattr(torchvision_networks, "_model", narrow)
    torch.save(narrow("alexnet", classes=3).state_dict(), tmp_path / "mine.pth")
    options = [
        place / "first.png",
        "--weights",
        tmp_path / "mine.pth",
        "--network",
        "alexnet",
        "--out",
        tmp_path / "out",
    ]
    options += ["--square", "112", "--stride", "112", "--threads", "1"]
    (tmp_path / "names.txt").write_text("\ufeffKäse\nowl\n\n", encoding="utf-8")
    assert "--classes: 2 names, but" in error_of(capsys, *options, "--classes", tmp_path / "names.txt")
    (tmp_path / "names.txt").write_text("\ufeffKäse\nowl\nbus\n", encoding="utf-8")
    main(["look", *map(str, options), "--classes", str(tmp_path / "names.txt")])
    read = Page((tmp_path / "out/index.html").read_text(encoding="utf-8"))
    assert {row[0] for row in read.rows} == {"Käse", "owl", "bus"}
    assert len(read.all("img")) == 1 + 5 * 4 * 2 + 5 + 3
    main(["look", *map(str, options), "--no-occlusion"])
    assert "class 2" in (tmp_path / "out/index.html").read_text(encoding="utf-8")


def test_ctrl_c_ends_with_130_and_leaves_no_page(place, tmp_path, capsys, monkeypatch):
    inspect_photo, photos = inspect.inspect, []

    def interrupt(*arguments):
        photos.append(arguments)
        if len(photos) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return inspect_photo(*arguments)

    monkeypatch.setattr(inspect, "inspect", interrupt)
    options = ["--weights", str(place / "model.safetensors"), "--out", str(tmp_path / "out"), "--no-occlusion", *FEW]
    with pytest.raises(SystemExit) as exit_:
        main(["look", str(place / "first.png"), str(place / "second.png"), *options])
    assert exit_.value.code == 130
    assert capsys.readouterr().err == "zfrepro: stopped; no page was written\n"
    assert not (tmp_path / "out").exists()


def test_grad_cam_shows_the_strongest_value_lightest():
    crop = np.full((40, 40, 3), 100, np.uint8)
    shown = look_draw.overlay(np.array([[0.0, 0.0], [0.0, 2.0]]), crop)
    assert shown.shape == (320, 320, 3)
    light, dark = look_draw.ramp()[0, [-1, 0]].astype(int)
    assert (shown[-1, -1] == (light + 100) // 2).all()
    assert (shown[0, 0] == (dark + 100) // 2).all()
    assert (look_draw.overlay(np.zeros((2, 2)), crop) == (dark + 100) // 2).all()


SILU_NET = """
from torch import nn

def silu():
    relu = [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*relu, nn.Conv2d(4, 4, 3), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6)).eval()

def tokens():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4), nn.GELU(), nn.Linear(4, 6)).eval()
"""


@pytest.fixture
def own_networks(tmp_path, monkeypatch):
    (tmp_path / "look_silu_nets.py").write_text(SILU_NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])


def words_of(folder):
    return " ".join(" ".join(Page((folder / "index.html").read_text(encoding="utf-8")).words).split())


def test_a_network_with_undefined_operations_says_so_and_shows_the_rest(place, tmp_path, own_networks):
    options = ["look", str(place / "first.png"), "--model", "look_silu_nets:silu", "--size", "32", "--square", "16",
               "--stride", "8", "--threads", "1"]  # fmt: skip
    main([*options, "--out", str(tmp_path / "out")])
    text = words_of(tmp_path / "out")
    assert "Sequential of your own, 32 \u00d7 32 pixels" in text
    assert "Deeper layers are left out. Layer 4: no deconvnet is defined below it: 4 (SiLU) computes" in text
    assert "Over 3 \u00d7 3 positions of the square" in text
    assert "Grad-CAM" in text
    assert "not exact deconvnet passes, since" not in text
    main([*options, "--out", str(tmp_path / "all"), "--rectifier", "pass"])
    text = words_of(tmp_path / "all")
    assert "not exact deconvnet passes , since the network has operations" in text
    assert "4 (SiLU) computes" in text
    assert "left out" not in text


def test_a_network_without_maps_shows_classes_and_occlusion(place, tmp_path, own_networks):
    main(["look", str(place / "first.png"), "--model", "look_silu_nets:tokens", "--size", "32", "--square", "16",
          "--stride", "8", "--threads", "1", "--out", str(tmp_path / "out")])  # fmt: skip
    text = words_of(tmp_path / "out")
    assert "No layer is shown: no module of this network returns rectified maps" in text
    assert "Over 3 \u00d7 3 positions of the square" in text
    assert "Grad-CAM" not in text


def test_layers_can_be_chosen(place, tmp_path, capsys):
    options = [place / "first.png", "--weights", place / "model.safetensors", *FEW, "--no-occlusion"]
    main(["look", *map(str, options), "--layers", "relu2, conv3,full6", "--out", str(tmp_path)])
    read = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert len(read.all("img")) == 1 + 3 * 4 * 2
    assert "Layer 2" in " ".join(read.words)
    message = error_of(capsys, *options, "--layers", "relu9", "--out", tmp_path / "no")
    assert "model.safetensors: the network has no layer 'relu9'; similar names: relu" in message


def test_our_weights_are_not_torchvisions(place, tmp_path, capsys):
    options = [place / "first.png", "--weights", place / "model.safetensors", "--out", tmp_path, "--network", "vgg16"]
    assert "model.safetensors: not the weights of torchvision's vgg16: features.0.weight is missing" in error_of(
        capsys, *options
    )


def test_numbers_as_words():
    assert [look_draw.percent(p) for p in (0, 1e-9, 0.0004, 0.5, 0.9994, 0.9999999, 1)] == [
        "0.0 %", "< 0.1 %", "< 0.1 %", "50.0 %", "99.9 %", "> 99.9 %", "100.0 %",
    ]  # fmt: skip
    assert look_draw.percents([0.00104, 0.00101, 0.00107]) == ["0.10 %", "0.10 %", "0.11 %"]
    assert look_draw.percents([0.5, 0.5, 0.5]) == ["50.0 %"] * 3
    assert [look_draw.number(value) for value in (0.0123, 1.2, 57, 99.96, 1234.5)] == [
        "0.0123",
        "1.20",
        "57.0",
        "100",
        "1234",
    ]


def test_heat_maps_show_no_rounding():
    values = np.array([[1.0, 1.00001], [1.00001, 1.0]])
    assert len(np.unique(look_draw.heat(values))) == len(np.unique(look_draw.heat(np.zeros((2, 2)))))
    dark, light = look_draw.heat(np.array([[0.0, 1.0]]))[0, [0, -1]]
    assert dark.sum() < light.sum()


def test_the_legend_names_the_commonest_labels_first(seeing):
    labels = np.array([[1, 1, 1], [0, 0, 4]])
    covered = inspect.OcclusionMaps(1, 1, labels, labels, None)
    legend, codes = look_page._legend(seeing, covered)
    assert [(name, share) for _, name, share in legend] == [("dog", "50.0 %"), ("cat", "33.3 %"), ("bus", "16.7 %")]
    assert [tuple(colour) for colour in codes[1]] == [look_draw.rgb(legend[i][0]) for i in (1, 1, 2)]
    many = dataclasses.replace(seeing, classes=tuple("abcdefgh"))
    labels = np.array([[0, 0, 1, 2, 3, 4, 5, 6]])
    legend, codes = look_page._legend(many, dataclasses.replace(covered, labels=labels))
    assert [name for _, name, _ in legend] == ["a", "b", "c", "d", "e", "2 others"]
    assert [share for _, _, share in legend] == ["25.0 %"] + ["12.5 %"] * 4 + ["25.0 %"]
    assert (codes[0, -2:] == look_draw.rgb(look_page.OTHER_COLOUR)).all()


def test_importing_the_command_does_not_import_torch_or_matplotlib():
    code = "import zfrepro.commands.look, sys; print({'torch', 'matplotlib', 'torchvision'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
