"""The parts that Table 1 covers."""

from __future__ import annotations

MASKS = ("right eye", "left eye", "nose", "random")  # rows of the paper's table, and keys of correspondence.json
PARTS = [mask for mask in MASKS if mask != "random"]
