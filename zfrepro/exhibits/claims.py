"""The scoreboard: each of the paper's 42 claims with the quantity that decides it, our number and the verdict.

It draws its board without the style of `kit.draw`, so that a new colour of figures does not judge the claims again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch

from zfrepro.claims import margins, registry
from zfrepro.claims.base import VERDICTS, Effect, Finding, counts
from zfrepro.claims.registry import GROUPS, JudgedClaim
from zfrepro.exhibits.kit import forest, saving
from zfrepro.exhibits.kit.base import Column, Narrow, Piece, Row, Table, make_row
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements.estimate import Estimate

TITLE = "The paper's claims"
PAPER = "Throughout"
STYLES = {  # verdict -> ground of its cell, symbol
    "reproduced": ("#4dbb99", "\u2713"),
    "reproduced, small": ("#bfe6d9", "+"),
    "not reproduced": ("#ea8a4c", "\u2717"),
    "inconclusive": ("#f0e08a", "?"),
    "not attempted": ("#e3e6ea", "\u2013"),
}
INKS = {  # verdict -> colour of its line in the forest plot
    "reproduced": "#00694e",
    "reproduced, small": "#3f9f7d",
    "not reproduced": "#b03a00",
    "inconclusive": "#8a6a00",
}
LINKS = {  # claim -> the exhibit that shows its numbers
    **dict.fromkeys(range(1, 8), "table2_imagenet"),
    **dict.fromkeys(range(8, 17), "table3_ablations"),
    **dict.fromkeys((17, 18, 19), "fig6_first_layers"),
    20: "fig2_features",
    21: "fig4_evolution",
    **dict.fromkeys((22, 27, 28, 29), "occlusion_score"),
    **dict.fromkeys(range(23, 27), "fig5_invariance"),
    **dict.fromkeys((30, 31), "table1_correspondence"),
    **dict.fromkeys((32, 34, 37), "table4_caltech101"),
    33: "table5_caltech256",
    **dict.fromkeys((35, 36), "fig9_caltech256"),
    38: "table6_pascal2012",
    39: "overlap",
    **dict.fromkeys((40, 41, 42), "table7_layers"),
}
COLUMNS = (
    Column("id", "Claim"),
    Column("source", "Where", "label"),
    Column("claim", "In our words", "label"),
    Column("quantity", "What decides it", "label"),
    Column("paper", "By the paper's numbers", "paper"),
    Column("part", "Part that decides", "label"),
    Column("value", "Ours", "ours"),
    Column("low", "Low", "ours"),
    Column("high", "High", "ours"),
    Column("unit", "Unit"),
    Column("n", "n"),
    Column("of", "n counts", "label"),
    Column("verdict", "Verdict", "label"),
    Column("effect", "Effect", "ours"),
    Column("yardstick", "Compared with", "paper"),
    Column("yardstick_is", "That is", "label"),
    Column("reason", "Reason", "label"),
    Column("contradicted", "Against it, from the paper itself", "label"),
    Column("remark", "Note", "label"),
)
INK = "#1b1f24"
STYLE: dict[Any, Any] = {
    "backend": "agg",
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.labelcolor": INK,
    "ytick.labelcolor": INK,
    "savefig.facecolor": "white",
}
WIDTH, HEIGHT_PER_TOPIC = 7.4, 0.66  # inches
SIDE = 0.88  # of a cell, whose distance is 1


def needs(config: Any) -> dict[str, str]:
    return registry.needs(config)


def build(files: Mapping[str, Path]) -> Table:
    judged = registry.judge(files)
    counted = counts(claim.finding.verdict for claim in judged)
    board, alt = _draw_board(judged, counted), _alt(judged)
    return Table(
        caption=f"{len(judged)} sentences of the paper that can be tested, each decided by one quantity with its 95 % interval, "
        "at the scale of this experiment.",
        columns=COLUMNS,
        rows=tuple(_row(claim) for claim in judged),
        drawing=board,
        alt=alt,
        notes=NOTES,
        pieces=(Piece("board", Drawing(board.png), alt), *_effects(judged)),
        data={"claims": [_to_record(claim) for claim in judged], "counts": counted},
    )


SIMULATED = (  # tests/claims/test_error_rates.py, EXPERIMENTS=1200
    "In simulations of equal networks whose trainings differ by 2.9 points, claims 2, 5, 12 and 16 were wrongly reproduced in at most "
    "1.5 % and wrongly not reproduced in at most 1.4 %, with two or three seeds each; with one seed never. Where all layers are equal, "
    "claims 40 and 41 were never wrongly reproduced, and wrongly not reproduced in at most 1.3 %."
)
NOTES = (
    "Reproduced: the whole 95 % interval lies on the claim's side of the threshold, in every part where the claim has several. "
    "Reproduced, small: the same, but the effect, with its whole interval, is less than a quarter of the paper's; where the paper "
    "prints none in comparable units, less than a tenth of the largest possible effect. "
    "Not reproduced: in some part the whole interval lies on the other side, also when corrected for the number of parts. "
    "Inconclusive: the interval includes the threshold, or there is no interval. Where a claim has parts, the number is that of the "
    "part that decides. Top-5 error is a part only where there are 100 classes or more. Claims that a change is small compared with "
    "removing layers 3, 4, 6, 7 show the change itself.",
    "Not converged: networks whose training has not converged cannot refute a claim about trained networks. Where the "
    "validation error of a network still falls over the last fifth of its epochs by more than its noise (1.96 standard errors of the "
    "difference of two shares), or the baseline fits its training images worse than without layers 3, 4, 6, 7, such a verdict is "
    "inconclusive. Networks that diverged are left out; a claim that needs one is not attempted.",
    "Better than chance: a network whose validation top-1 error, with its 95 % interval, is not below that of naming one class for "
    "every image decides nothing; claims about it are not attempted.",
    "Intervals are over images, folds, maps or filters, whichever n counts; three that vary are needed, else there is no interval. "
    "They do not cover another data set or another scale. Claims that compare networks (1 to 3, 5, 6, 8 to 19) need networks that were "
    "trained from several seeds: two degrees of freedom (one network from three seeds, or two from two each), else they are "
    "inconclusive. The intervals of 1 to 16 include that spread, pooled over all networks; a note names those that were trained once.",
    "Claims 17 to 41 look at one network of each kind, so their intervals do not cover another training: they are decided only "
    "where the interval is clear of the threshold by a margin, half of what would count as a small effect, or as the claim says "
    f"({margins.SHARE:g} points for shares of images, 1 point for accuracies). There an effect is called small only if it "
    "would be small even with this margin added. Between folds, the variance of a difference is at least that expected from "
    "sampling the test images, because three folds can agree by chance.",
    "Two errors are possible where a claim lies exactly at its threshold. Wrongly reproduced: at most 2.5 %; all parts have to hold, "
    "so each may have its 95 % interval. Wrongly not reproduced: at most 2.5 % as well; one part is enough, so each counts only with a "
    "simultaneous interval, which misses by 2.5 % divided by the number of comparisons (Bonferroni): the parts, and all those among "
    f"which a part was chosen, as the best layer in claim 41. {SIMULATED}",
    f"{registry.COUNT} claims are judged in this way, each by itself: where nothing is the case, about {registry.COUNT / 40:.0f} of "
    f"{registry.COUNT} would be wrongly called reproduced, and as many not reproduced. Read them together; for a single claim, read its "
    "interval.",
)


def _row(judged: JudgedClaim) -> Row:
    claim, finding = judged.claim, judged.finding
    cells = (
        Number(claim.number, 0), claim.where, claim.statement, claim.quantity, claim.paper, finding.part,
        *_numbers(finding.estimate), finding.verdict, *_effect(finding.effect), finding.reason, claim.contradicted, _remark(judged),
    )  # fmt: skip
    return make_row(COLUMNS, dict(zip((column.key for column in COLUMNS), cells, strict=True)))


def _remark(judged: JudgedClaim) -> str:
    return " ".join(text for text in (judged.claim.remark, judged.finding.remark) if text)


def _numbers(estimate: Estimate | None) -> tuple[Number | str | None, ...]:
    """value, low, high, unit, n, of"""
    if estimate is None:
        return (None,) * 6
    ends = (None if end is None else Number(end, estimate.digits) for end in (estimate.low, estimate.high))
    return (Number(estimate.value, estimate.digits), *ends, estimate.unit, Number(estimate.n, 0), estimate.counted)


def _effect(effect: Effect | None) -> tuple[Number | str | None, ...]:
    """effect, yardstick, what the yardstick is"""
    if effect is None:
        return (None,) * 3
    return (Number(effect.value, effect.digits), Number(effect.yardstick, effect.digits), effect.relative_to)


def _to_record(judged: JudgedClaim) -> dict[str, Any]:
    claim, finding = judged.claim, judged.finding
    estimate = finding.estimate
    numbers = {key: getattr(estimate, key, None) for key in ("value", "low", "high", "n", "unit")}
    numbers["of"] = None if estimate is None else estimate.counted
    return {
        "number": claim.number,
        "topic": GROUPS[judged.group].topic,
        "says": claim.statement,
        "where": claim.where,
        "quantity": claim.quantity,
        "paper": claim.paper,
        "verdict": finding.verdict,
        "symbol": STYLES[finding.verdict][1],
        "effect": "" if finding.effect is None else finding.effect.text(),
        "compared": _compared(finding),
        "reason": finding.reason,
        "contradicted": claim.contradicted,
        "remark": _remark(judged),
        "estimate": "" if estimate is None else estimate.text(),
        **numbers,
        "part": finding.part,
        "parts": [{"name": name, "estimate": part.text()} for name, part in (finding.parts or {}).items()],
        "link": LINKS[claim.number],
    }


def _compared(finding: Finding) -> str:
    """`the paper's 2.1`, where the estimate itself is the effect and can stand beside it; else nothing."""
    effect, estimate = finding.effect, finding.estimate
    if effect is None or estimate is None or effect.relative_to != "the paper's" or effect.value != estimate.value:
        return ""
    return f"{effect.relative_to} {effect.yardstick:.{effect.digits}f}"


def _alt(judged: Sequence[JudgedClaim]) -> str:
    lines = []
    for verdict in VERDICTS:
        numbers = [str(claim.claim.number) for claim in judged if claim.finding.verdict == verdict]
        lines.append(f"{verdict}: {', '.join(numbers) or 'none'}")
    return f"Scoreboard of {len(judged)} claims by number. {'; '.join(lines)}."


def _effects(judged: Sequence[JudgedClaim]) -> tuple[Piece, ...]:
    """The forest plot of all effects, as a piece; nothing where no claim has one."""
    lines = [line for claim in judged if (line := _line(claim))]
    if not lines:
        return ()
    alt = "Forest plot of effects, with their 95 % intervals, in multiples of the paper's or of the largest possible: "
    numbers = "; ".join(f"{line.label}: {line.value:.2f}" for line in lines)
    title, narrow = "Effects beside the paper's", Narrow(forest.draw_narrow(lines, STYLE))
    return (
        Piece("effects", forest.draw(lines, STYLE), f"{alt}{numbers}.", title, least=620, plot=True, narrow=narrow),
    )


def _line(judged: JudgedClaim) -> forest.Line | None:
    effect = judged.finding.effect
    if effect is None or effect.yardstick <= 0:
        return None
    value, ends = effect.in_yardsticks()
    label = f"{judged.claim.number} {STYLES[judged.finding.verdict][1]} {judged.claim.statement.removesuffix('.')}"
    paper = effect.relative_to == "the paper's"
    unit = f" {effect.unit}" if effect.unit else ""
    compared = "paper" if paper else "of at most"
    text = f"{effect.value:.{effect.digits}f}{unit}; {compared} {effect.yardstick:.{effect.digits}f}".replace(
        "-", "\u2212"
    )
    return forest.Line(GROUPS[judged.group].topic, label, value, ends, text, INKS[judged.finding.verdict], paper)


def _draw_board(judged: Sequence[JudgedClaim], counted: Mapping[str, int]) -> Drawing:
    """One line per topic, one cell per claim with its number and the verdict's symbol; above them the counts."""
    topics = {group: [claim for claim in judged if claim.group == group] for group in GROUPS}
    columns = max(map(len, topics.values()))
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        figure = Figure(figsize=(WIDTH, HEIGHT_PER_TOPIC * (len(topics) + 1)), layout="constrained")
        ax = figure.subplots()
        ax.set(xlim=(-0.5, columns - 0.5), ylim=(len(topics) - 0.5, -0.5), aspect="equal", anchor="NW", xticks=[])
        ax.set_yticks(range(len(topics)), [GROUPS[group].topic for group in topics], weight="bold", fontsize=9.5)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        for line, claims in enumerate(topics.values()):
            for column, claim in enumerate(claims):
                _draw_cell(ax, column, line, claim)
        if any(claim.claim.contradicted for claim in judged):
            ax.set_xlabel("* the paper's own numbers speak against it", fontsize=8.5, loc="left")
        _draw_legend(figure, counted)
        return saving.save(figure)


def _draw_legend(figure: Figure, counted: Mapping[str, int]) -> None:
    keys: list[Any] = [_key(*STYLES[verdict]) for verdict in counted]
    labels = [f"{count}\n{verdict}" for verdict, count in counted.items()]
    figure.legend(
        keys, labels, loc="outside upper left", mode="expand", ncols=len(keys), frameon=False, fontsize=9, handlelength=2.4,
        handletextpad=0.6,
    )  # fmt: skip


def _key(ground: str, symbol: str) -> tuple[Line2D, Line2D]:
    """Two markers, one on the other; sizes in points."""
    square, sign = (Line2D([], [], linestyle="", marker=marker, markeredgewidth=0) for marker in ("s", f"${symbol}$"))
    square.set(markersize=21.6, color=ground)
    sign.set(markersize=8, color=INK)
    return square, sign


def _draw_cell(ax: Axes, column: int, line: int, judged: JudgedClaim) -> None:
    ground, symbol = STYLES[judged.finding.verdict]
    corner, style = (column - SIDE / 2, line - SIDE / 2), f"round,pad=0,rounding_size={0.12 * SIDE}"
    ax.add_patch(FancyBboxPatch(corner, SIDE, SIDE, boxstyle=style, facecolor=ground, linewidth=0))
    centred: dict[str, Any] = {"ha": "center", "va": "center"}
    ax.text(column, line - 0.11, symbol, fontsize=14, weight="bold", **centred)
    mark = "*" if judged.claim.contradicted else ""
    ax.text(column, line + 0.25, f"{judged.claim.number}{mark}", fontsize=8, **centred)
