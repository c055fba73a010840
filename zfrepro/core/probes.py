"""Linear classifiers on frozen features: softmax, linear SVM, one sigmoid per class. Paper section 5.2, Tables 4-7, Fig 9.

The features enter by their inner products alone, which `gram` computes once per layer for every fold, number of training images and
strength; a fit on them is the fit on the features themselves, however many there are (core/newton.py).

Features are standardised as a whole: the training images' mean is subtracted, and one number brings their mean squared
length to 1, so that a strength means the same at every layer. (One number a feature would need the features again for every
fold, and does not help: on the demo network it cost the softmax about 3 points at layers 1, 5 and 7.)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from zfrepro.core import newton
from zfrepro.core.average_precision import mean, of_classes
from zfrepro.core.finite import require_finite
from zfrepro.core.gram import Products, standardise
from zfrepro.core.strengths import STRENGTHS

Kind = Literal["softmax", "svm"]
# How far scores may be from those of an exact fit (core/newton.py), which are 1 apart at an SVM's margins: to choose a strength, and to
# predict.
CHOOSING, PREDICTING = 0.1, 0.01


@dataclass(frozen=True)
class Task:
    """One fold, ready for any classifier. gram: (N, N) of all images; labels: of the training images, (n,) classes or (n, C) presence."""

    gram: Tensor
    labels: np.ndarray
    train: np.ndarray
    test: np.ndarray
    inner: tuple[tuple[np.ndarray, np.ndarray], ...]  # places in `train` to fit on and to choose by

    def products(self) -> Products:
        return standardise(self.gram, self.train, self.test)

    def parts(self) -> Iterator[tuple[Products, np.ndarray, np.ndarray]]:
        """Products, labels to fit on and to choose by, of one inner fold after the other."""
        for fitting, choosing in self.inner:
            products = standardise(self.gram, self.train[fitting], self.train[choosing])
            yield products, self.labels[fitting], self.labels[choosing]


def task(gram: Tensor, labels: np.ndarray, train: np.ndarray, test: np.ndarray, inner: int = 3, seed: int = 0) -> Task:
    """labels: int (N,), classes, or (N, C), presence 1, 0, -1, of all images; those at `test` are not read.

    `inner` folds of the training images, to choose a strength by: stratified by class, fewer where a class has fewer
    images, none where one has a single image; any mixture where several classes can stand in one image.
    """
    return Task(gram, labels[train], train, test, tuple(_parts(labels[train], inner, seed)))


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
    strength = _best_strength(candidates, [_accuracies(kind, candidates, *part) for part in task.parts()])
    products, (classes, loss) = task.products(), _loss(kind, task.labels, task.gram)
    scores = _class_scores(kind, _final_fit(products.train, loss, candidates, strength), products.test)
    require_finite(scores.max(1), "class scores")  # below the highest a log probability may be that of exactly 0
    return Prediction(classes[scores.argmax(1)], scores, classes, strength)


def _loss(kind: Kind, labels: np.ndarray, like: Tensor) -> tuple[np.ndarray, Callable[[float], newton.Loss]]:
    """The classes, ascending, and the loss at a strength. Of two classes the softmax needs the weights of one."""
    classes, places = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"all training images are of class {classes[0]}; a classifier needs two classes")
    shown = torch.from_numpy(places[:, None] == np.arange(len(classes))).to(like)
    if kind == "softmax" and len(classes) > 2:
        return classes, lambda strength: newton.Softmax(shown, strength)
    signs = 2 * shown - 1
    if kind == "softmax":
        return classes, lambda strength: newton.Logistic(signs[:, 1:], strength)
    return classes, lambda strength: newton.SquaredHinge(signs, strength)


def _final_fit(
    products: Tensor, loss: Callable[[float], newton.Loss], candidates: list[float], strength: float
) -> newton.Weights:
    """At a strength. By way of the smaller ones, which takes no more steps than from nothing, often half as many."""
    smaller = [candidate for candidate in candidates if candidate < strength]
    *_, start = (None, *newton.path(products, map(loss, smaller), CHOOSING))
    return newton.fit(products, loss(strength), PREDICTING, start)


def _class_scores(kind: Kind, weights: newton.Weights, test: Tensor) -> np.ndarray:
    scores = weights.scores(test).double()
    if kind == "softmax":
        two = scores.shape[1] == 1
        scores = functional.logsigmoid(torch.cat([-scores, scores], 1)) if two else scores.log_softmax(1)
    return scores.cpu().numpy()


def _accuracies(
    kind: Kind, strengths: list[float], products: Products, train_labels: np.ndarray, test_labels: np.ndarray
) -> np.ndarray:
    """Share of correct predictions at every strength."""
    classes, loss = _loss(kind, train_labels, products.train)
    fits = newton.path(products.train, map(loss, strengths), CHOOSING)
    scores = (_class_scores(kind, weights, products.test) for weights in fits)
    return np.array([np.mean(classes[score.argmax(1)] == test_labels) for score in scores])


def _best_strength(strengths: list[float], scores: list[np.ndarray]) -> float:
    """The middle one, rounded down, where nothing was measured."""
    if not scores:
        return strengths[(len(strengths) - 1) // 2]
    means = np.mean(scores, axis=0)
    return strengths[int(np.argmax(means >= means.max() - 1e-12))]


def sigmoids(task: Task, strengths: Sequence[float] | None = None) -> tuple[np.ndarray, float]:
    """One logistic regression per class: float64 (m, C), log odds that each class is present, and the strength of all.

    Images whose presence is -1 do not train a class. The strength with the highest mean average precision on the inner
    folds. A class that the training images all show, or none of them does, has the same odds everywhere.
    """
    candidates = sorted(strengths or STRENGTHS["sigmoids"])
    precisions = [_precisions(candidates, *part) for part in task.parts()]
    strength = _best_strength(candidates, [values for values in precisions if not np.isnan(values).any()])
    products, (fitted, loss) = task.products(), _losses_of_classes(task.labels, task.gram)
    return _odds(_final_fit(products.train, loss, candidates, strength), products.test, fitted), strength


def _precisions(strengths: list[float], products: Products, presence: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Mean average precision at every strength."""
    fitted, loss = _losses_of_classes(presence, products.train)
    fits = newton.path(products.train, map(loss, strengths), CHOOSING)
    return np.array([mean(of_classes(_odds(weights, products.test, fitted), shown)) for weights in fits])


def _losses_of_classes(presence: np.ndarray, like: Tensor) -> tuple[np.ndarray, Callable[[float], newton.Loss]]:
    """Which classes some training images show and others do not, bool (C,), and their loss at a strength."""
    fitted = (presence == 1).any(0) & (presence == 0).any(0)
    signs = torch.from_numpy((presence == 1) * 1 - (presence == 0))[:, fitted].to(like)
    return fitted, lambda strength: newton.Logistic(signs, strength)


def _odds(weights: newton.Weights, test: Tensor, fitted: np.ndarray) -> np.ndarray:
    odds = np.zeros((len(test), len(fitted)))
    odds[:, fitted] = weights.scores(test).double().cpu().numpy()
    return require_finite(odds, "log odds")
