"""Linear classifiers on frozen features: softmax, linear SVM, one sigmoid per class. Paper section 5.2, Tables 4-7, Fig 9.

The features enter by their inner products alone. With an L2 penalty the weights lie in the span of the training images,
so a fit on coordinates that have the same inner products (at most as many as training images, however many features) is the
fit on the features themselves: a rotation, not a reduction. `gram` is computed once per layer and serves every fold, number of
training images and strength.

Features are standardised as a whole: the training images' mean is subtracted, and one number brings their mean squared
length to 1, so that a strength means the same at every layer. (One number a feature would need the features again for every
fold, and does not help: on the demo network it cost the softmax about 3 points at layers 1, 5 and 7.)
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from zfrepro.core.average_precision import mean, of_classes
from zfrepro.core.finite import require_finite

Kind = Literal["softmax", "svm"]
STRENGTHS: dict[str, tuple[float, ...]] = {  # C of scikit-learn: the loss's weight against the penalty
    "softmax": (0.3, 3.0, 30.0, 300.0),
    "svm": (0.1, 1.0, 10.0),
    "sigmoids": (0.3, 3.0, 30.0, 300.0),
}
COLUMNS = 4096  # features read at once


def gram(features: np.ndarray, dtype: type = np.float32, onto: np.ndarray | None = None) -> np.ndarray:
    """(N, N) inner products of features (N, D), float16 or float32; added to `onto` where some features are already in it.

    They are taken from the mean of all rows: nearer to 0 fewer digits are lost. `coordinates` takes them from its training
    images' mean, whatever this one was.
    """
    products = np.zeros((len(features),) * 2, dtype) if onto is None else onto
    for start in range(0, features.shape[1], COLUMNS):
        part = require_finite(features[:, start : start + COLUMNS].astype(dtype), "features")
        part -= part.mean(0)
        products += part @ part.T
    return products


@dataclass(frozen=True)
class Coordinates:
    """Images in the span of the training images, standardised: float64 (n, r) and (m, r), r <= n."""

    train: np.ndarray
    test: np.ndarray


def coordinates(gram: np.ndarray, train: np.ndarray, test: np.ndarray) -> Coordinates:
    """Of the images at positions `train` (n,) and `test` (m,), by a Cholesky decomposition with pivoting, which ends
    where nothing but rounding is left."""
    from scipy.linalg import solve_triangular
    from scipy.linalg.lapack import dpstrf

    inner, outer = (gram[np.ix_(rows, train)].astype(np.float64) for rows in (train, test))
    means = inner.mean(0)
    inner = inner - means - means[:, None] + means.mean()
    outer = outer - means - outer.mean(1, keepdims=True) + means.mean()
    scale = np.trace(inner) / len(train) or 1.0
    inner, outer = inner / scale, outer / scale
    left = 100 * np.finfo(gram.dtype).eps * inner.diagonal().max()
    if not left > 0:  # images that are all alike
        return Coordinates(np.zeros((len(train), 1)), np.zeros((len(test), 1)))
    root, order, rank, _ = dpstrf(inner, tol=left, lower=1)
    order, root = order - 1, np.tril(root)[:, :rank]
    train_rows = np.empty_like(root)
    train_rows[order] = root
    return Coordinates(train_rows, solve_triangular(root[:rank], outer[:, order[:rank]].T, lower=True).T)


@dataclass(frozen=True)
class Task:
    """One fold, ready for any classifier: labels are (n,) classes or (n, C) presence of the training images."""

    outer: Coordinates
    labels: np.ndarray
    inner: tuple[tuple[Coordinates, np.ndarray, np.ndarray], ...]  # coordinates, labels to train and to choose by


def task(
    gram: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray, inner: int = 3, seed: int = 0
) -> Task:
    """labels: int (N,), classes, or (N, C), presence 1, 0, -1, of all images; those at `test` are not read.

    `inner` folds of the training images, to choose a strength by: stratified by class, fewer where a class has fewer
    images, none where one has a single image; any mixture where several classes can stand in one image.
    """
    train_labels = labels[train]
    parts = [
        (coordinates(gram, train[fitting], train[choosing]), train_labels[fitting], train_labels[choosing])
        for fitting, choosing in _parts(train_labels, inner, seed)
    ]
    return Task(coordinates(gram, train, test), train_labels, tuple(parts))


def _parts(labels: np.ndarray, inner: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Positions in `labels` to train on and to choose by, one pair per fold."""
    from sklearn.model_selection import KFold, StratifiedKFold

    several = labels.ndim == 2
    count = min(inner, len(labels) if several else int(np.unique(labels, return_counts=True)[1].min()))
    if count < 2:
        return []
    with warnings.catch_warnings():  # with two images per class scikit-learn suspects a regression
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        folds = (KFold if several else StratifiedKFold)(count, shuffle=True, random_state=seed)
        return list(folds.split(np.zeros(len(labels)), None if several else labels))


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of the test images, and the strength it was given."""

    predicted: np.ndarray  # (m,), the class of the highest score
    scores: np.ndarray  # float64 (m, C): log probabilities (softmax) or margins (svm)
    classes: np.ndarray  # (C,): those of the training images, ascending
    strength: float


def classify(task: Task, kind: Kind, strengths: Sequence[float] | None = None) -> Prediction:
    """A softmax, or a linear SVM for each class against the others (squared hinge), of exclusive classes.

    The strength with the most correct predictions on the inner folds; of equals the smallest (most regularised). Without inner
    folds the middle one. Raises ValueError where the training images are of one class.
    """
    candidates = sorted(strengths or STRENGTHS[kind])
    strength = _best_strength(candidates, [_accuracies(kind, candidates, *part) for part in task.inner])
    model = _fit(_model(kind), strength, task.outer.train, task.labels)
    scores = model.predict_log_proba(task.outer.test) if kind == "softmax" else model.decision_function(task.outer.test)
    scores = np.stack([-scores, scores], 1) if scores.ndim == 1 else scores  # of two classes scikit-learn gives one
    require_finite(scores.max(1), "class scores")  # below the highest a log probability may be that of exactly 0
    return Prediction(model.classes_[scores.argmax(1)], scores, model.classes_, strength)


def _accuracies(
    kind: Kind, strengths: list[float], at: Coordinates, train_labels: np.ndarray, test_labels: np.ndarray
) -> np.ndarray:
    """Share of correct predictions at every strength."""
    model = _model(kind, choosing=True)
    return np.array(
        [np.mean(_fit(model, c, at.train, train_labels).predict(at.test) == test_labels) for c in strengths]
    )


def _best_strength(strengths: list[float], scores: list[np.ndarray]) -> float:
    """The middle one, rounded down, where nothing was measured."""
    if not scores:
        return strengths[(len(strengths) - 1) // 2]
    means = np.mean(scores, axis=0)
    return strengths[int(np.argmax(means >= means.max() - 1e-12))]


def _model(kind: Kind, choosing: bool = False) -> Any:
    """To choose a strength the softmax starts from the weights of the strength before, and the SVM stops earlier: sooner, and the
    same choice. The softmax's tolerance, on the largest gradient, is small enough that it does not stop where it starts: the
    gradients there are those of the penalty, about 1e-4 for a thousand training images.

    Newton's method, since with tens of thousands of weights most of L-BFGS's time is its own bookkeeping.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    if kind == "softmax":
        return LogisticRegression(solver="newton-cg", tol=1e-5, max_iter=5000, warm_start=choosing)
    return LinearSVC(dual=True, tol=0.5 if choosing else 0.03, max_iter=5000, random_state=0)


def _fit(model: Any, strength: float, inputs: np.ndarray, labels: np.ndarray) -> Any:
    """The softmax and the sigmoids are fitted in single precision, in half the time; their weights are kept in double."""
    from sklearn.linear_model import LogisticRegression

    single = isinstance(model, LogisticRegression)
    with warnings.catch_warnings():  # with one or two images per class scikit-learn suspects a regression
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        model.set_params(C=strength).fit(inputs.astype(np.float32) if single else inputs, labels)
    model.coef_, model.intercept_ = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
    return model


def sigmoids(task: Task, strengths: Sequence[float] | None = None) -> tuple[np.ndarray, float]:
    """One logistic regression per class: float64 (m, C), log odds that each class is present, and the strength of all.

    Images whose presence is -1 do not train a class. The strength with the highest mean average precision on the inner
    folds. A class that the training images all show, or none of them does, has the same odds everywhere.
    """
    candidates = sorted(strengths or STRENGTHS["sigmoids"])
    precisions = [np.array([mean(of_classes(_odds(x, y, c), z)) for c in candidates]) for x, y, z in task.inner]
    strength = _best_strength(candidates, [values for values in precisions if not np.isnan(values).any()])
    return _odds(task.outer, task.labels, strength), strength


def _odds(at: Coordinates, presence: np.ndarray, strength: float) -> np.ndarray:
    return require_finite(np.stack([_class_odds(at, column, strength) for column in presence.T], 1), "log odds")


def _class_odds(at: Coordinates, presence: np.ndarray, strength: float) -> np.ndarray:
    counted = presence >= 0
    shown = presence[counted]
    if len(np.unique(shown)) < 2:
        return np.zeros(len(at.test))
    odds: np.ndarray = _fit(_model("softmax"), strength, at.train[counted], shown).decision_function(at.test)
    return odds
