"""The parts that Table 1 covers."""

from __future__ import annotations

MASKS = {"t1r1": "right eye", "t1r2": "left eye", "t1r3": "nose", "t1r4": "random"}
PARTS = [mask for mask in MASKS.values() if mask != "random"]
