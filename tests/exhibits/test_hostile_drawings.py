"""Every drawing with data that are hard to label: long names, 1,000 classes, narrow ranges, equal values. No text is cut,
lies on another, or is markup."""

import io
import shutil

import numpy as np
import pytest
from helpers import drawn_texts, toy_first_layers, toy_results
from PIL import Image

from zfrepro.exhibits import fig5_invariance, fig6_first_layers, fig7_occlusion, overlap, training_curves
from zfrepro.exhibits.kit import draw, first_layer_plots, saving
from zfrepro.exhibits.kit.accuracy_curves import Level, Panel, draw_panels
from zfrepro.exhibits.kit.numbers import Number, probability_number, probability_text
from zfrepro.exhibits.kit.texts import shorten, width_of, wrap
from zfrepro.measurements import first_layers
from zfrepro.storage import artifacts

NAMES = [
    "BACKGROUND_Google and everything else", "W" * 40, "Staffordshire_bullterrier_of_unusual_length", "i" * 90, "$x_{i}$ for $5 \\alpha",
    "MMM WWW MMM WWW MMM WWW", "oak", "n01443537, goldfish, Carassius auratus, a fish", "kite\tor\nnot", "crab", "lamp", "boat",
]  # fmt: skip
THOUSAND = [f"{i:04d} {NAMES[i % len(NAMES)]}" for i in range(1000)]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Toy results with the names above."""
    folder = tmp_path_factory.mktemp("hostile") / "results/toy"
    toy_results.write(folder, NAMES)
    return folder


def assert_readable(build):
    with drawn_texts.record_faults() as faults:
        built = build()
    assert faults == []
    return built


@pytest.mark.parametrize(
    "module", [fig5_invariance, fig7_occlusion, overlap, training_curves, "table6_pascal2012", "fig9_caltech256", "table3_ablations"],
    ids=lambda module: getattr(module, "__name__", module).rpartition(".")[2],
)  # fmt: skip
def test_long_names(results, module):
    name = getattr(module, "__name__", module).rpartition(".")[2]
    files = toy_results.files_of(name, results)
    assert_readable(lambda: toy_results.importlib.import_module(f"zfrepro.exhibits.{name}").build(files))


# Fig 7


def occluded(results, tmp_path, classes=NAMES, correct=True, box=(20, 20, 44, 44), **changes):
    """Files of Fig 7 with one image; `changes`: arrays of the image."""
    files = toy_results.files_of("fig7_occlusion", results)
    arrays, about = artifacts.load_arrays(files["arrays"]), artifacts.load_json(files["about"])
    single = {name: array[:1] for name, array in arrays.items()}
    single |= {name: np.asarray(value)[None] for name, value in changes.items() if name in arrays}
    record = about["pictures"][0] | {"correct": correct, "true": classes[int(single["true"][0])]}
    record |= {"box": box} if box else {"box": None, "touching": None, "elsewhere": None}
    record |= {key: changes[key] for key in ("touching", "elsewhere") if key in changes}
    artifacts.save_arrays(tmp_path / "a.npz", **single)
    artifacts.save_json(tmp_path / "a.json", about | {"classes": list(classes), "pictures": [record]})
    return {"arrays": tmp_path / "a.npz", "about": tmp_path / "a.json"}


GRID = (26, 26)
HEATS = {
    "tiny": np.linspace(1.2e-9, 9.7e-6, 676).reshape(GRID),
    "narrow": 0.123456 + np.linspace(0, 1e-6, 676).reshape(GRID),
    "equal": np.full(GRID, 0.7),
    "zero": np.zeros(GRID),
    "one of a thousand": np.linspace(0.000123, 0.000987, 676).reshape(GRID),
    "huge": np.linspace(1.5e7, 9.5e9, 676).reshape(GRID),
    "rounding": np.where(np.eye(26), np.float32(0.7), np.nextafter(np.float32(0.7), np.float32(1))),
}


@pytest.mark.parametrize(("heat", "labels"), list(zip(HEATS, (2, 4, 6, 1, 300, 3, 7), strict=True)))
def test_fig7_of_a_thousand_classes(results, tmp_path, heat, labels):
    label = np.arange(676).reshape(*GRID, 1) % labels + np.arange(5)
    files = occluded(
        results, tmp_path, THOUSAND, activation=HEATS[heat], probability=np.clip(HEATS[heat], 0, 1), top_labels=label
    )
    assert_readable(lambda: fig7_occlusion.build(files))


def only_row(files):
    built = assert_readable(lambda: fig7_occlusion.build(files))
    return built, built.rows[0]


def test_fig7_without_boxes_does_not_speak_of_the_object(results, tmp_path):
    built, row = only_row(occluded(results, tmp_path, box=None))
    assert (row["p_on_object"], row["p_elsewhere"]) == ("no box", "no box")
    assert not any("touches" in note for note in built.notes)
    assert any(note.startswith("No box: the data set gives no box") for note in built.notes)


def test_fig7_distinguishes_a_square_that_always_touches_the_object(results, tmp_path):
    always, row = only_row(occluded(results, tmp_path, touching=0.5, elsewhere=None))
    assert (row.text("p_on_object"), row["p_elsewhere"]) == ("0.500", "no position")
    assert any("every position of the square touches" in note for note in always.notes)
    never, row = only_row(occluded(results, tmp_path, touching=None, elsewhere=0.5))
    assert (row["p_on_object"], row.text("p_elsewhere")) == ("no position", "0.500")
    assert any("no position of the square touches" in note for note in never.notes)
    assert not any("every position" in note for note in never.notes)


def test_fig7_marks_an_image_that_is_misclassified(results, tmp_path):
    built, row = only_row(occluded(results, tmp_path, correct=False))
    assert row["true"] == f"{NAMES[0]} (misclassified)"
    assert built.pieces[0].title.endswith("(misclassified)")
    assert any("Misclassified when nothing is covered" in note and "val/0000.png" in note for note in built.notes)
    right, row = only_row(occluded(results, tmp_path))
    assert row["true"] == NAMES[0]
    assert not any("isclassified" in note for note in right.notes)


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.93, "0.93"), (0.004, "0.004"), (0.00042, "0.0004"), (0.9996, "0.9996"), (3e-9, "< 0.000001"), (0.0, "0.00"), (1.0, "1.00"),
     (1 - 1e-9, "> 0.999999"), (0.005, "0.01"), (0.995, "0.99"), (0.9951, "0.995")],
)  # fmt: skip
def test_a_probability_never_reads_0_or_1_unless_it_is(probability, text):
    assert probability_text(probability) == text


def test_probabilities_of_the_table_have_as_many_digits_as_they_need(results, tmp_path):
    _, row = only_row(
        occluded(results, tmp_path, clean_probability=np.float32(0.0004), probability=HEATS["tiny"], touching=2e-5)
    )
    assert [row.text(key) for key in ("p_clean", "p_least", "p_on_object")] == ["0.0004", "< 0.000001", "0.00002"]
    assert probability_number(0.25) == Number(0.25, 3)


# Fig 6


@pytest.fixture(scope="module")
def whole_layers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layers")
    toy_first_layers.write(folder, ["owl"], np.random.default_rng(1))
    return folder


@pytest.fixture
def layers(whole_layers, tmp_path):
    """Files of Fig 6 after arrays of every network were replaced."""

    def files(**changes):
        shutil.copytree(whole_layers, tmp_path, dirs_exist_ok=True)
        for run in toy_first_layers.KERNELS:
            path = tmp_path / f"deconvnet/{run}/features.npz"
            arrays = artifacts.load_arrays(path)
            artifacts.save_arrays(path, **arrays | {name: change(arrays[name]) for name, change in changes.items()})
        return {label: tmp_path / file for label, file in fig6_first_layers.needs(toy_results.config()).items()}

    return files


RANGES = {
    "under a decade": lambda array: np.linspace(0.19, 0.61, len(array)),
    "under a factor of 2": lambda array: np.linspace(0.61, 0.66, len(array)),
    "under a percent": lambda array: 0.6123 + np.linspace(0, 1e-6, len(array)),
    "equal": lambda array: np.full(len(array), 0.0617),
    "ten decades": lambda array: np.logspace(-11, -1, len(array)),
    "zero": np.zeros_like,
}


@pytest.mark.parametrize("shape", list(RANGES))
def test_fig6_whatever_the_range(layers, shape):
    change = RANGES[shape]
    rms = np.ones_like if shape == "zero" else change  # a median of 0 has no ratio
    files = layers(spectrum_1=change, spectrum_2=change, rms_1=rms)
    networks = {label: first_layers.load(files, label) for label in first_layer_plots.NAMES}
    assert_readable(lambda: first_layer_plots.sizes(networks))
    assert_readable(lambda: first_layer_plots.spectra({label: networks[label] for label in ("baseline", "improved")}))


# the kit


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize(
    ("low", "high"), [(0.2, 0.9), (0.61, 0.66), (1, 1), (2.302585, 2.302587), (1e-9, 1e-8), (3e6, 7e8), (1e-12, 1)]
)
def test_numbers_along_an_axis_differ_and_are_plain(scale, low, high):
    with draw.figure(4.4, 1.8) as figure:
        axes = figure.subplots(1, 2)
        for ax in axes:
            ax.plot([low, high], [low, high])
            ax.set(yscale=scale, title="A title that is rather long for half of it")
        draw.save(figure)
        texts = [text for text, _ in drawn_texts.texts(figure)]
        numbers = [tick.label1.get_text() for tick in axes[0].yaxis._update_ticks() if tick.label1.get_text()]
        assert drawn_texts.faults_in(figure) == []
    assert len(numbers) == len(set(numbers)) > 1
    assert all(float(number.replace("\N{MINUS SIGN}", "-")) or scale == "linear" for number in numbers)
    assert not any("math" in text for text in texts)


def test_the_helper_sees_what_is_wrong():
    with draw.figure(2, 1) as figure:
        figure.text(0.9, 0.5, "leaves the figure")
        figure.text(0.1, 0.5, "below")
        figure.text(0.12, 0.52, "above")
        figure.text(0.1, 0.1, "$\\mathdefault{6}$")
        faults = drawn_texts.faults_in(figure)
    assert [fault.partition(":")[0] for fault in faults] == ["markup", "cut", "on each other"]


def test_texts_are_shortened_by_the_width_of_their_letters():
    assert shorten("short", 1, 8) == "short"
    for name in NAMES:
        text = shorten(name, 0.9, 6.5)
        assert width_of(text, 6.5) <= 0.9
        assert "\n" not in text
        assert text.rstrip("…") == " ".join(name.split())[: len(text.rstrip("…"))]
    assert len(shorten("i" * 90, 0.9, 6.5)) > 2 * len(shorten("W" * 90, 0.9, 6.5))


def test_texts_are_wrapped_between_words_and_inside_long_ones():
    assert wrap("one two", 9, 8) == "one two"
    for name in NAMES:
        lines = wrap(name, 0.7, 8).split("\n")
        assert max(width_of(line, 8) for line in lines) <= 0.7
        assert "".join(lines).replace(" ", "") == "".join(name.split())


@pytest.mark.parametrize("width", [60, 300])
def test_a_title_above_an_image_is_not_cut(width):
    title = "PASCAL VOC 2012: the most similar pairs, target above, source below"
    assert_readable(lambda: io.BytesIO(saving.encode(draw.add_title(Image.new("RGB", (width, 20)), title, 18))))


def test_curves_and_dots_with_long_labels():
    curve = {k: Number(50.0 + k / 1000) for k in (1, 30, 60)}
    panels = [Panel(f"{NAMES[0]} {side}", {NAMES[7]: curve, NAMES[2]: curve}, Level.from_curves(NAMES[2], curve, curve), {}, False)
              for side in "ab"]  # fmt: skip
    assert_readable(lambda: draw_panels(panels))
    numbers = [Number(1e-5), Number(2e-5), None]
    assert_readable(
        lambda: draw.dot_plot(NAMES[:3], [(NAMES[0], numbers, numbers), (NAMES[2], numbers, numbers)], "error (%)")
    )


@pytest.mark.parametrize("errors", [[50.0] * 4, [99.9, 99.8999, 99.8998, 99.8997], [0.0] * 4])
def test_training_curves_of_long_names_and_equal_values(results, tmp_path, errors):
    source = toy_results.files_of("training_curves", results)
    network = next(path for label, path in source.items() if label.startswith("network/"))
    head = "epoch,learning_rate,train_loss,train_top1_error,val_loss,val_top1_error,val_top5_error,seconds,images_per_second"
    lines = [
        f"{i + 1},0.01,{6.9077 + error / 1e7},{error},{error / 14},{error},{error},1,1"
        for i, error in enumerate(errors)
    ]
    artifacts.save_text(tmp_path / "history.csv", "\n".join([head, *lines]) + "\n")
    runs = [f"{name} {i}" for i, name in enumerate(NAMES)]
    files = {f"1 {run}": tmp_path / "history.csv" for run in runs} | {f"network/{run}": network for run in runs}
    assert_readable(lambda: training_curves.build(files))
