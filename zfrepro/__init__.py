"""Zeiler & Fergus (2013), reproduced; and its analyses for any network, in `zfrepro.analysis`, whose functions can be named here, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zfrepro.analysis import project as project

ANALYSES = ("project",)


def __getattr__(name: str) -> Any:
    """Import torch only for those who ask for an analysis; the commands start without it."""
    if name in ANALYSES:
        from zfrepro import analysis

        return getattr(analysis, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
