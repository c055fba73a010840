"""Zeiler & Fergus (2013), reproduced; and its analyses for any network, in `zfrepro.analysis`, whose functions can be named here, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zfrepro.analysis import choose_layers as choose_layers
    from zfrepro.analysis import correspondence as correspondence
    from zfrepro.analysis import grad_cam as grad_cam
    from zfrepro.analysis import invariance as invariance
    from zfrepro.analysis import occlusion_maps as occlusion_maps
    from zfrepro.analysis import open_network as open_network
    from zfrepro.analysis import plot_correspondence as plot_correspondence
    from zfrepro.analysis import plot_invariance as plot_invariance
    from zfrepro.analysis import plot_occlusion as plot_occlusion
    from zfrepro.analysis import plot_projection as plot_projection
    from zfrepro.analysis import plot_top_activations as plot_top_activations
    from zfrepro.analysis import project as project
    from zfrepro.analysis import top_activations as top_activations

ANALYSES = (
    "choose_layers",
    "correspondence",
    "grad_cam",
    "invariance",
    "occlusion_maps",
    "open_network",
    "plot_correspondence",
    "plot_invariance",
    "plot_occlusion",
    "plot_projection",
    "plot_top_activations",
    "project",
    "top_activations",
)


def __getattr__(name: str) -> Any:
    """Import torch only for those who ask for an analysis; the commands start without it."""
    if name in ANALYSES:
        from zfrepro import analysis

        return getattr(analysis, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
