"""The transfer protocol: folds, features, softmax on frozen features, mean per-class accuracy. Paper section 5.2."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from zfrepro.core import crops, nets


@dataclass(frozen=True)
class Fold:
    """Positions of training and test pictures, int64, disjoint."""

    train: np.ndarray
    test: np.ndarray


def folds(labels: np.ndarray, per_class: int, test_per_class: int, count: int, seed: int) -> list[Fold]:
    """`count` random splits: `per_class` training pictures of every class, and up to `test_per_class` of the others to test.

    Fewer training pictures are a prefix of more, so that curves over `per_class` compare like with like.
    """
    return [_fold(labels, per_class, test_per_class, np.random.default_rng([seed, number])) for number in range(count)]


def _fold(labels: np.ndarray, per_class: int, test_per_class: int, generator: np.random.Generator) -> Fold:
    train, test = [], []
    for label in range(int(labels.max()) + 1):
        members = generator.permutation(np.flatnonzero(labels == label))
        if len(members) <= per_class:
            raise ValueError(
                f"class {label} has {len(members)} pictures, {per_class} to train and one to test are needed"
            )
        train.append(members[:per_class])
        test.append(members[::-1][: min(test_per_class, len(members) - per_class)])
    return Fold(np.concatenate(train), np.concatenate(test))


@torch.inference_mode()
def features(
    net: nn.Sequential,
    images: np.ndarray,
    subtract: crops.MeanSubtraction,
    input_size: int,
    layer: int,
    batch: int = 256,
) -> np.ndarray:
    """float32 (N, D): outputs of a paper layer for the centre view, flattened."""
    net.eval()
    wanted = {nets.last_child_of(net, layer): layer}
    view = crops.centre_view(images.shape[1], input_size)
    parts = [
        nets.layer_outputs(net, inputs, wanted)[layer].flatten(1).float().cpu().numpy()
        for _, inputs in crops.fixed_view_batches(images, subtract, view, input_size, batch)
    ]
    return np.concatenate(parts)


def softmax_accuracy(features: np.ndarray, labels: np.ndarray, fold: Fold, seed: int) -> float:
    """Mean per-class accuracy (%) of multinomial logistic regression on standardised features.

    The L2 strength is chosen by up to three-fold cross-validation on the training pictures; 0.01 where a class has but one.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-2, max_iter=300, tol=1e-3))
    parts = min(3, int(np.bincount(labels[fold.train])[np.unique(labels[fold.train])].min()))
    if parts > 1:
        inner = StratifiedKFold(parts, shuffle=True, random_state=seed)
        model = GridSearchCV(model, {"logisticregression__C": [1e-4, 1e-3, 1e-2, 1e-1]}, cv=inner)
    with warnings.catch_warnings():  # with one or two pictures a class scikit-learn suspects a regression
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        model.fit(features[fold.train], labels[fold.train])
    return mean_class_accuracy(model.predict(features[fold.test]), labels[fold.test])


def mean_class_accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Percent right in each class, averaged over the classes."""
    return 100 * float(np.mean([np.mean(predicted[labels == label] == label) for label in np.unique(labels)]))
