"""Six small reports of seven claims, in which verdicts differ and flip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers import toy_report

YES, SMALL, NO, OPEN, NONE = "reproduced", "reproduced, small", "not reproduced", "inconclusive", "not attempted"
SIX = {  # claim -> verdict in each of six runs, None where a run does not have it
    1: [YES] * 6,
    2: [YES, YES, SMALL, YES, YES, YES],  # differs
    3: [YES, OPEN, YES, YES, NO, YES],  # differs, flips
    4: [NO, SMALL, NO, NO, NO, NO],  # differs, flips: small counts as reproduced
    5: [OPEN, NO, NONE, OPEN, OPEN, OPEN],  # differs
    6: [None, YES, YES, YES, YES, YES],  # missing is no difference
    7: [NONE] * 6,
}


def claims(verdicts: list[str | None], **more: Any) -> list[dict[str, Any]]:
    return [toy_report.claim(i, verdict, **more) for i, verdict in enumerate(verdicts, 1) if verdict]


def six(folder: Path) -> list[str]:
    """Six report folders, demo-0 to demo-5, three seeds in two precisions."""
    for i in range(6):
        training = {
            "seeds": [i // 2 * 100, i // 2 * 100 + 1, i // 2 * 100 + 2],
            "precisions": [("float32", "bfloat16")[i % 2]],
            "devices": ["cpu"],
        }
        toy_claims = claims([verdicts[i] for verdicts in SIX.values()])
        toy_report.write(folder / f"demo-{i}", f"demo-{i}", claims=toy_claims, training=training)
    return [str(folder / f"demo-{i}") for i in range(6)]
