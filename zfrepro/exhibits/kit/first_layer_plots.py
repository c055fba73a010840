"""Plots of the sizes and spectra of first layers, for Fig 6."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.axes_numbers import make_logarithmic
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements.first_layers import Layers

NAMES = {"unclipped": "not clipped", "baseline": "baseline", "improved": "improved"}
STYLES = {"improved": (draw.BLUE, "-"), "baseline": (draw.RED, "-"), "unclipped": (draw.GREEN, (0, (3, 2)))}


def sizes(networks: Mapping[str, Layers]) -> Drawing:
    """The RMS of every network's filters, in decreasing order."""
    with draw.figure(3.62, 2.95) as figure:
        ax = figure.subplots()
        for label in STYLES:
            if label in networks:
                rms = np.sort(networks[label].rms)[::-1]
                colour, style = STYLES[label]
                ax.plot(np.arange(1, len(rms) + 1), rms, color=colour, linestyle=style, label=NAMES[label])
        clips = sorted({layers.clip for layers in networks.values() if layers.clip is not None})
        for clip in clips:
            ax.axhline(clip, color=draw.MUTED, linestyle=":", linewidth=1)
        for clip in clips[-1:]:
            ax.text(1, clip, "clip", color=draw.MUTED, va="bottom", fontsize=7)
        ax.set(xlabel="filters of layer 1, largest first", ylabel="RMS of a filter")
        make_logarithmic(ax)
        ax.legend(loc="best")
        return draw.save(figure)


def spectra(networks: Mapping[str, Layers]) -> Drawing:
    """Energy over frequency, of the filters and of the projections; triangles at the multiples of 1 / stride."""
    with draw.figure(7.4, 2.7) as figure:
        left, right = figure.subplots(1, 2)
        for label, layers in networks.items():
            colour = STYLES[label][0]
            shares = 100 * layers.arrays["spectrum_1"][:-1]  # the last: everything beyond 1/2
            left.plot((np.arange(len(shares)) + 0.5) / 2 / len(shares), shares, color=colour, label=label)
            if "spectrum_2" in layers.arrays:
                along = 100 * layers.arrays["spectrum_2"]
                right.plot(np.linspace(0, 0.5, len(along)), along, color=colour)
                _mark(right, layers.about["stride"], colour)
        for ax, title in ((left, "Filters of layer 1"), (right, "Layer-2 projections, along rows and columns")):
            ax.set(xlabel="cycles per pixel", xlim=(0, 0.5), ylabel="energy (%)")
            ax.set_title(title)
        _band(left, *next(iter(networks.values())).about["bands"])
        left.legend(loc="center right")
        make_logarithmic(right)
        return draw.save(figure)


def _band(ax: Axes, low: float, high: float) -> None:
    ax.set_ylim(bottom=0)
    ax.axvspan(low, high, color="#eef1f5", zorder=0)
    ax.text((low + high) / 2, 0.97 * ax.get_ylim()[1], "middle", ha="center", va="top", color=draw.MUTED, fontsize=7)


def _mark(ax: Axes, stride: int, colour: str) -> None:
    """Triangles at the multiples of 1 / stride, those of a larger stride below."""
    at = [k / stride for k in range(1, stride // 2 + 1)]
    height = 0.03 + 0.05 * (stride == 2)
    ax.plot(at, [height] * len(at), "^", color=colour, markersize=5, transform=ax.get_xaxis_transform(), clip_on=False)
