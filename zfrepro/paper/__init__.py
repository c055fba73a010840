"""The numbers of Zeiler & Fergus (2013). What they leave open is in `guesses`.

Numbers are arXiv 1311.2901 v3's; `tables/` holds them as CSV, `provenance.csv` there says how each was checked. A row's
`name` is what the code reads, its `row_id` traces it to the checked sources.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

DATA_FILES = ("paper/tables/*.csv",)


@functools.cache
def table(name: str) -> pd.DataFrame:
    """One of the paper's tables, numbers in percent unless its header says otherwise: `table("table3_ablation")`."""
    import pandas as pd

    return pd.read_csv(Path(__file__).parent / "tables" / f"{name}.csv")


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of one of the paper's tables, as column -> value."""
    return [{str(column): value for column, value in row.items()} for row in table(name).to_dict("records")]


VARIANTS: dict[str, dict[str, Any]] = {  # row of Table 3 -> the network's description (core/architecture.py, Network)
    "baseline": {"base": "baseline"},
    "baseline-without-3-4": {"base": "baseline", "remove": (3, 4)},
    "baseline-without-7": {"base": "baseline", "remove": (7,)},
    "baseline-without-6-7": {"base": "baseline", "remove": (6, 7)},
    "baseline-without-3-4-6-7": {"base": "baseline", "remove": (3, 4, 6, 7)},
    "baseline-2048": {"base": "baseline", "units": 2048},
    "baseline-8192": {"base": "baseline", "units": 8192},
    "improved": {"base": "improved"},
    "improved-2048": {"base": "improved", "units": 2048},
    "improved-8192": {"base": "improved", "units": 8192},
    "improved-wide": {"base": "improved", "maps": (512, 1024, 512)},
    "improved-wide-8192": {"base": "improved", "maps": (512, 1024, 512), "units": 8192},
}
