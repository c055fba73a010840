"""The ranks of an ensemble: by the mean of its members' probabilities, one member in memory at a time."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np

from zfrepro.measurements.ranks import rank_ensemble
from zfrepro.storage import artifacts


def test_the_ranks_of_the_mean(tmp_path: Path) -> None:
    """Label 0: by the mean (0.45, 0.4, 0.15) the most probable. Label 2: of the mean (0.3, 0.35, 0.35) one class is as probable and
    comes first."""
    members = {"a": [[0.6, 0.3, 0.1], [0.4, 0.4, 0.2]], "b": [[0.3, 0.5, 0.2], [0.2, 0.3, 0.5]]}
    scores = {run: _save(tmp_path, run, np.array(rows, np.float32)) for run, rows in members.items()}
    assert rank_ensemble(scores, ["a", "b"], 10).tolist() == [0, 1]


def test_changed_scores_are_ranked_again(tmp_path: Path) -> None:
    scores = {"a": _save(tmp_path, "a", np.array([[0.6, 0.3, 0.1], [0.4, 0.4, 0.2]], np.float32))}
    assert rank_ensemble(scores, ["a"], 10).tolist() == [0, 2]
    _save(tmp_path, "a", np.array([[0.1, 0.3, 0.6], [0.2, 0.3, 0.5]], np.float32))
    assert rank_ensemble(scores, ["a"], 10).tolist() == [2, 0]


def test_members_do_not_add_up_in_memory(tmp_path: Path) -> None:
    probabilities = np.full((500, 1000), 1e-3, np.float32)  # 2 MB; of these six members 24 MB
    scores = {str(i): _save(tmp_path, str(i), probabilities) for i in range(6)}
    tracemalloc.start()
    rank_ensemble(scores, list(scores), 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * probabilities.nbytes


def _save(folder: Path, run: str, probabilities: np.ndarray) -> Path:
    path, labels = folder / f"{run}.npz", np.array([0, 2] * (len(probabilities) // 2))
    artifacts.save_arrays(path, labels=labels, probabilities_1=probabilities, probabilities_10=probabilities)
    return path
