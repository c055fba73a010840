"""Strengths to choose from of the linear classifiers on frozen features. No torch."""

from __future__ import annotations

STRENGTHS: dict[str, tuple[float, ...]] = {  # C of scikit-learn: the loss's weight against the penalty
    "softmax": (0.3, 3.0, 30.0, 300.0),
    "svm": (0.1, 1.0, 10.0),
    "sigmoids": (0.3, 3.0, 30.0, 300.0),
}
