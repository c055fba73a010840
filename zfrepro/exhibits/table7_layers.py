"""Table 7: linear classifiers on the features of each layer, of both networks, on Caltech-101 and Caltech-256.

Beside them features that were not learned, where the experiment has them: random weights (the architecture alone) and HOG.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from zfrepro import paper
from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import Cell, Column, Highlight, Row, Table, heading, make_row
from zfrepro.exhibits.kit.numbers import Number, fold_number, measured_number, printed_number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements import transfers
from zfrepro.storage import artifacts

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Linear classifiers on the features of each layer"
PAPER = "Table 7"
TARGETS = {"caltech101": ("Caltech-101", "cal101_30", 30), "caltech256": ("Caltech-256", "cal256_60", 60)}
CLASSIFIERS = {"svm": "SVM", "softmax": "Softmax"}
CHANCE, HOG = "chance", "HOG, SVM"
UNLEARNED = {"random": "random weights", "hog": "HOG"}  # features.baselines
HOG_LAYER = 0  # what probes record for features without layers
COLOURS = (draw.OURS, draw.ORANGE, draw.GREEN, draw.PURPLE)


def needs(config: Any) -> dict[str, str]:
    """Labels are `<target>/folds`, `<target>/<place> <name of the run>`, in the order of features.runs, and `<target>/<baseline>`."""
    targets = [target for target in TARGETS if target in config.folds]
    if not targets or not config.features.runs:
        raise LookupError("a run in `features.runs`, and `folds.caltech101` or `folds.caltech256`")
    files = {f"{target}/folds": f"folds/{target}/folds.json" for target in targets}
    for target in targets:
        names = {f"{number} {name}": name for number, name in enumerate(config.features.runs)}
        names |= {name: name for name in config.features.baselines}
        files |= {f"{target}/{label}": f"probes/{target}/{name}.json" for label, name in names.items()}
    return files


@dataclass(frozen=True)
class _Target:
    """One target set: its folds, and network or key of UNLEARNED -> measurements with columns layer, classifier, per_class, folds."""

    name: str
    folds: transfers.Folds
    record: Mapping[str, Any]  # folds.json
    per_class: int
    networks: dict[str, pd.DataFrame]
    unlearned: dict[str, pd.DataFrame]
    sizes: dict[str, int]  # layer -> features per image, of the first network

    def number(self, network: str, classifier: str, layer: int) -> Number | None:
        folds = self._folds(network, classifier, layer)
        return fold_number(folds) if folds else None

    def learned(self, classifier: str) -> Number | None:
        """What learning adds to random weights on the deepest layer, of the first network, in points."""
        layer, first = transfers.DEEPEST, next(iter(self.networks))
        folds = [self._folds(name, classifier, layer) for name in (first, "random")]
        if not all(folds):
            return None
        terms = [(sign, accuracies) for sign, accuracies in zip((1, -1), folds, strict=True) if accuracies]
        return measured_number(
            transfers.Target(self.record, self.networks[first]).sum(terms, self.per_class), signed=True
        )

    def _folds(self, name: str, classifier: str, layer: int) -> list[float] | None:
        measured = (self.networks | self.unlearned).get(name)
        if measured is None:
            return None
        return transfers.select_folds(measured, classifier=classifier, layer=layer, per_class=self.per_class)

    def curve(self, network: str, classifier: str) -> dict[int, Number]:
        """Layer -> accuracy, of the layers that were measured."""
        layers = sorted(set(self.networks[network]["layer"]))
        numbers = {layer: self.number(network, classifier, layer) for layer in layers}
        return {layer: number for layer, number in numbers.items() if number}

    def printed(self) -> dict[tuple[str, int], Number]:
        """(classifier, layer) -> the paper's accuracy."""
        column = TARGETS[self.name][1]
        numbers = {
            (line["classifier"], line["layer"]): printed_number(line[f"{column}_acc_pct"], line[f"{column}_pm"])
            for line in paper.rows("table7_layerwise")
        }
        return {key: number for key, number in numbers.items() if number}


def build(files: Mapping[str, Path]) -> Table:
    targets = [_target(files, name) for name in TARGETS if f"{name}/folds" in files]
    columns = _columns(targets)
    description = "; ".join(
        f"{TARGETS[target.name][0]}: {target.folds.text()}, {target.per_class} training images per class"
        for target in targets
    )
    return Table(
        caption=f"Mean of the per-class accuracies in percent, by the layer whose features are classified. Here: {description}.",
        columns=columns,
        rows=_rows(targets, columns),
        drawing=_plot(targets),
        alt=_alt(targets),
        notes=(
            "± of ours: standard deviation over the splits. The paper prints the softmax on layers 5 and 7 only. Features are a "
            "layer's outputs after pooling and contrast normalisation, flattened; strengths of the L2 penalty are chosen on "
            "training images only.",
            f"Features per image, of {next(iter(targets[0].networks))}: "
            + ", ".join(f"layer {layer} {size:,}" for layer, size in targets[0].sizes.items())
            + ".",
            *_unlearned_notes(targets),
        ),
        highlights=_highlights(targets[0]),
    )


def _target(files: Mapping[str, Path], name: str) -> _Target:
    import pandas as pd

    labels = [label for label in sorted(files) if label.startswith(f"{name}/") and label != f"{name}/folds"]
    records = {label.partition("/")[2]: artifacts.load_json(files[label]) for label in labels}
    measured = {label: pd.DataFrame(record["accuracies"]) for label, record in records.items()}
    unlearned = {label: measured.pop(label) for label in UNLEARNED if label in measured}
    networks = {label.partition(" ")[2]: accuracies for label, accuracies in measured.items()}
    folds = transfers.Folds.load(files[f"{name}/folds"])
    sizes = records[next(iter(measured))]["sizes"]
    record = artifacts.load_json(files[f"{name}/folds"])
    return _Target(name, folds, record, max(folds.test_images), networks, unlearned, sizes)


def _unlearned_notes(targets: Sequence[_Target]) -> list[str]:
    """What features that were not learned are, and what learning adds to them."""
    names = [label for name, label in UNLEARNED.items() if any(name in target.unlearned for target in targets)]
    if not names:
        return []
    gains = [f"{TARGETS[target.name][0]} {_text(gain)}" for target in targets if (gain := target.learned("svm"))]
    adds = (
        f" On layer {transfers.DEEPEST} learning adds to random weights, by the SVM, in points: {'; '.join(gains)}."
        if gains
        else ""
    )
    return [
        f"Not learned: {' and '.join(names)}. Random weights, of the same architecture, are measured on layer {transfers.DEEPEST} only."
        f"{adds} [ ]: 95 % interval over the splits, as in Tables 4 and 5."
    ]


def _text(gain: Number) -> str:
    """`+37.1 [29.7, 44.5]`"""
    parts = gain.texts()
    return f"{parts['text']} [{parts['low']}, {parts['high']}]" if "low" in parts else parts["text"]


def _columns(targets: Sequence[_Target]) -> tuple[Column, ...]:
    columns = [Column("row", "Classifier (layer)", "label")]
    for target in targets:
        title, _, printed = TARGETS[target.name]
        group = f"{title}, {target.per_class} per class"
        differs = f" ({printed} per class)" if printed != target.per_class else ""
        columns.append(Column(f"{target.name}_paper", f"paper{differs}", "paper", group))
        columns += [Column(f"{target.name}_{name}", f"ours, {name}", "ours", group) for name in target.networks]
        if target.unlearned:
            columns.append(Column(f"{target.name}_unlearned", "ours, not learned", "ours", group))
    return tuple(columns)


def _rows(targets: Sequence[_Target], columns: Sequence[Column]) -> tuple[Row, ...]:
    layers = sorted(
        {int(layer) for target in targets for measured in target.networks.values() for layer in measured["layer"]}
    )
    rows = []
    for classifier, label in CLASSIFIERS.items():
        for layer in sorted({*layers, 1, 2, 3, 4, 5, 7}):
            cells: dict[str, Cell] = {"row": f"{label} ({layer})"}
            for target in targets:
                cells[f"{target.name}_paper"] = target.printed().get((classifier, layer))
                for name in target.networks:
                    cells[f"{target.name}_{name}"] = target.number(name, classifier, layer) or "not run"
                if target.unlearned:
                    cells[f"{target.name}_unlearned"] = target.number("random", classifier, layer)
            rows.append(make_row(columns, cells))
    return (*rows, *_hog_rows(targets, columns))


def _hog_rows(targets: Sequence[_Target], columns: Sequence[Column]) -> list[Row]:
    accuracies: dict[str, Cell] = {
        f"{target.name}_unlearned": number for target in targets if (number := target.number("hog", "svm", HOG_LAYER))
    }
    if not accuracies:
        return []
    row = make_row(columns, {"row": "SVM (HOG)", **accuracies}, partial=True)
    return [heading("Hand-crafted features in place of a layer", columns), row]


def _plot(targets: Sequence[_Target]) -> Drawing:
    with draw.figure(6.6 if len(targets) > 1 else 4.0, 3.4) as figure:
        axes = figure.subplots(1, len(targets), sharey=True, squeeze=False)[0]
        for ax, target in zip(axes, targets, strict=True):
            _panel(ax, target)
        axes[0].set_ylabel("accuracy (%)")
        axes[0].set_ylim(bottom=0)
        handles = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
        handles |= {name: handles.pop(name) for name in (HOG, CHANCE) if name in handles}  # last
        figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=3 if len(targets) > 1 else 2)
        return draw.save(figure)


def _panel(ax: Axes, target: _Target) -> None:
    ax.set_title(f"{TARGETS[target.name][0]}: {target.folds.target}, {target.per_class} per class")
    ax.grid(axis="both")
    ax.set_axisbelow(True)
    ax.tick_params(length=0, labelleft=True)
    for classifier, label in CLASSIFIERS.items():
        style = "-" if classifier == "svm" else (0, (3, 2))
        printed = {layer: number for (kind, layer), number in target.printed().items() if kind == classifier}
        _line(ax, printed, draw.PAPER, style, f"paper, {label}", hollow=True)
        for name, colour in zip(target.networks, COLOURS * len(target.networks), strict=False):
            _line(ax, target.curve(name, classifier), colour, style, f"{name}, {label}", hollow=False)
    if random := target.number("random", "svm", transfers.DEEPEST):
        _line(ax, {transfers.DEEPEST: random}, draw.INK, "none", "random weights, SVM", hollow=False)
    if hog := target.number("hog", "svm", HOG_LAYER):
        ax.axhline(hog.value, color=draw.INK, linewidth=0.9, linestyle="-.", label=HOG, zorder=1)
    chance = 100 / target.folds.classes
    ax.axhline(chance, color=draw.MUTED, linewidth=0.8, linestyle=":", label=CHANCE)
    ax.set_xticks([1, 2, 3, 4, 5, 6, 7])
    ax.set_xlabel("layer")


def _line(ax: Axes, curve: Mapping[int, Number], colour: str, style: Any, label: str, hollow: bool) -> None:
    spreads = [number.spread or 0 for number in curve.values()]
    ax.errorbar(
        list(curve), [number.value for number in curve.values()], spreads, label=label, color=colour, linestyle=style,
        marker="o" if hollow else "D", markersize=4.6 if hollow else 3.4, markerfacecolor="white" if hollow else colour,
        linewidth=1.0 if hollow else 1.5, elinewidth=0.9, capsize=1.8, zorder=2 if hollow else 3,
    )  # fmt: skip


def _alt(targets: Sequence[_Target]) -> str:
    accuracies = [
        f"{TARGETS[target.name][0]}, {name}, {label}: "
        + ", ".join(f"layer {layer} {number.value:.1f}" for layer, number in target.curve(name, classifier).items())
        for target in targets
        for name in target.networks
        for classifier, label in CLASSIFIERS.items()
    ]
    accuracies += [
        f"{TARGETS[target.name][0]}, {UNLEARNED[name]}: {number.value:.1f}"
        for target in targets
        for name, layer in (("random", transfers.DEEPEST), ("hog", HOG_LAYER))
        if (number := target.number(name, "svm", layer))
    ]
    return (
        "Line plots of accuracy over the layer whose features are classified, the paper's hollow. In percent: "
        + "; ".join(accuracies)
    )


def _highlights(target: _Target) -> tuple[Highlight, ...]:
    """How much depth adds, for the first network, and its best layer."""
    ours = target.curve(next(iter(target.networks)), "svm")
    printed = {layer: number for (kind, layer), number in target.printed().items() if kind == "svm"}
    if len(ours) < 2:
        return ()
    title = f"{TARGETS[target.name][0]}: SVM accuracy gained from layer 1 to the best layer"
    return (Highlight(title, _gain(ours), _gain(printed)),)


def _gain(curve: Mapping[int, Number]) -> str:
    """`+41.4 (layer 5)`"""
    best = max(curve, key=lambda layer: curve[layer].value)
    gain = round(curve[best].value, 1) - round(curve[min(curve)].value, 1)
    return f"{gain:+.1f} (layer {best})"
