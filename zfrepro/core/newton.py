"""Fit linear classifiers with an L2 penalty from inner products alone, all classes at once, by Newton's method.

With this penalty the best weights are a sum of the training images, so their coefficients (n, C) and the training images' inner products
K (n, n) give all scores: K @ coefficients + intercepts. Vectors of coefficients are compared by the inner product of the weights they
stand for, a @ K @ b. By it the Hessian is the identity plus that of the loss, and a step of conjugate gradients takes one product
with K, for all classes together.

The objective is strongly convex by it, so a gradient of length t means weights that are at most t from the best ones: the scores of an
image of length 1 are at most t from the exact ones, usually much closer. Fits stop by that length.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

STEPS = 100  # of Newton's method, at most
CONJUGATE = 250  # steps of conjugate gradients for one of Newton's, at most
FORCING = 0.05  # the length of the residual, relative to the first one's, at which they end; with 0.2 an SVM takes half as long again
HALVINGS = 30  # of a step that goes too far


@dataclass(frozen=True)
class Curvature:
    """Second derivatives of a loss by the scores (n, C). probabilities: where classes share one loss, else None."""

    weights: Tensor
    probabilities: Tensor | None = None

    def times(self, scores: Tensor) -> Tensor:
        """Their product with a change of the scores."""
        weighted = self.weights * scores
        if self.probabilities is None:
            return weighted
        return weighted - self.probabilities * weighted.sum(1, keepdim=True)

    def of_intercepts(self) -> Tensor:
        """(C,): second derivatives by each intercept."""
        diagonal = self.weights if self.probabilities is None else self.weights * (1 - self.probabilities)
        return diagonal.sum(0)

    def columns(self, kept: Tensor) -> Curvature:
        return self if self.probabilities is not None else Curvature(self.weights[:, kept])


@dataclass(frozen=True)
class Loss(ABC):
    """Of all training images, times the strength. targets (n, C): 1 for an image of the class, -1 for another, 0 for one that does not
    count; for the softmax 1 and 0."""

    targets: Tensor
    strength: float
    shared = False  # whether all classes have one loss, or each its own
    intercept_penalty = 0.0

    @abstractmethod
    def values(self, scores: Tensor) -> Tensor:
        """float64 (C,), or (1,) where it is shared."""

    @abstractmethod
    def slopes(self, scores: Tensor) -> Tensor:
        """(n, C): derivatives by the scores."""

    @abstractmethod
    def curvature(self, scores: Tensor) -> Curvature:
        """Second derivatives by the scores."""

    def columns(self, kept: Tensor) -> Loss:
        """The loss of some of the classes; of all where it is shared."""
        return self if self.shared else replace(self, targets=self.targets[:, kept])

    def dot(self, first: Tensor, second: Tensor) -> Tensor:
        """float64 (C,), or (1,) where it is shared: sums over images of (n, C), of (C,) the values themselves."""
        product = first * second
        if self.shared:
            return product.sum(dtype=torch.float64).reshape(1)
        return (product.sum(0, dtype=torch.float64) if product.ndim == 2 else product.double()).reshape(-1)


class Softmax(Loss):
    """Cross-entropy of exclusive classes; intercepts are not penalised."""

    shared = True

    def values(self, scores: Tensor) -> Tensor:
        losses = scores.logsumexp(1) - (scores * self.targets).sum(1)
        return self.strength * losses.sum(dtype=torch.float64).reshape(1)

    def slopes(self, scores: Tensor) -> Tensor:
        return self.strength * (scores.softmax(1) - self.targets)

    def curvature(self, scores: Tensor) -> Curvature:
        probabilities = scores.softmax(1)
        return Curvature(self.strength * probabilities, probabilities)


class Logistic(Loss):
    """Cross-entropy of each class by itself; intercepts are not penalised."""

    def values(self, scores: Tensor) -> Tensor:
        losses = self.targets.abs() * functional.softplus(-self.targets * scores)
        return self.strength * losses.sum(0, dtype=torch.float64)

    def slopes(self, scores: Tensor) -> Tensor:
        return -self.strength * self.targets * (-self.targets * scores).sigmoid()

    def curvature(self, scores: Tensor) -> Curvature:
        probabilities = scores.sigmoid()
        return Curvature(self.strength * self.targets.abs() * probabilities * (1 - probabilities))


class SquaredHinge(Loss):
    """A linear SVM for each class against the others; intercepts are penalised like a weight, as LIBLINEAR does."""

    intercept_penalty = 1.0

    def values(self, scores: Tensor) -> Tensor:
        return self.strength * self._missing(scores).square().sum(0, dtype=torch.float64)

    def slopes(self, scores: Tensor) -> Tensor:
        return -2 * self.strength * self.targets * self._missing(scores)

    def curvature(self, scores: Tensor) -> Curvature:
        return Curvature(2 * self.strength * (self._missing(scores) > 0).to(scores.dtype))

    def _missing(self, scores: Tensor) -> Tensor:
        """How far a score is below the margin of 1."""
        return (1 - self.targets * scores).clamp(min=0)


@dataclass(frozen=True)
class Weights:
    """coefficients (n, C) of the training images, intercepts (C,), and the coefficients' product with the inner products, (n, C)."""

    coefficients: Tensor
    intercepts: Tensor
    product: Tensor

    def scores(self, products: Tensor | None = None) -> Tensor:
        """(m, C) of images with these inner products (m, n) with the training images; default: of the training images."""
        return (self.product if products is None else products @ self.coefficients) + self.intercepts

    def columns(self, kept: Tensor) -> Weights:
        return Weights(self.coefficients[:, kept], self.intercepts[kept], self.product[:, kept])

    def plus(self, other: Weights, factor: Tensor) -> Weights:
        """factor: (C,) or (1,)."""
        factor = factor.to(self.intercepts.dtype)
        return Weights(
            self.coefficients + factor * other.coefficients,
            self.intercepts + factor * other.intercepts,
            self.product + factor * other.product,
        )


def fit(products: Tensor, loss: Loss, tolerance: float, start: Weights | None = None) -> Weights:
    """products: (n, n) inner products of the training images, of mean squared length 1; tolerance: length of the gradient; start:
    weights to begin with, such as those of a smaller strength. Classes that are done are not computed further."""
    point = found = _zeros(products, loss.targets) if start is None else start
    left = torch.arange(loss.targets.shape[1], device=products.device)
    length, rounding = torch.full((1,), torch.inf, device=products.device), torch.zeros(1, device=products.device) > 0
    for _ in range(STEPS):
        gradient, length_before = _gradient(products, loss, point), length
        curvature = loss.curvature(point.scores())
        of_intercepts = loss.intercept_penalty + curvature.of_intercepts()
        length = _square(loss, gradient, _scaled(gradient, of_intercepts)).abs().sqrt()
        going = (length > tolerance) & ~(rounding & (length > length_before / 2))
        found = _put(found, left, point)
        if not going.any():
            return found
        if not (loss.shared or going.all()):
            left, length = left[going], length[going]
            point, gradient, loss = point.columns(going), gradient.columns(going), loss.columns(going)
            curvature, of_intercepts = curvature.columns(going), of_intercepts[going]
        direction = _direction(products, loss, gradient, curvature, of_intercepts)
        step, rounding = _step_length(loss, point, direction, gradient)
        point = point.plus(direction, step)
    warnings.warn(f"{len(left)} classes: the gradient is still {float(length.max()):.2g} long", stacklevel=2)
    return _put(found, left, point)


def _zeros(products: Tensor, targets: Tensor) -> Weights:
    return Weights(torch.zeros_like(targets), torch.zeros_like(targets[0]), torch.zeros_like(targets))


def _put(found: Weights, columns: Tensor, point: Weights) -> Weights:
    if len(columns) == len(found.intercepts):
        return point
    return Weights(
        found.coefficients.index_copy(1, columns, point.coefficients),
        found.intercepts.index_copy(0, columns, point.intercepts),
        found.product.index_copy(1, columns, point.product),
    )


def _gradient(products: Tensor, loss: Loss, point: Weights) -> Weights:
    slopes = loss.slopes(point.scores())
    coefficients = point.coefficients + slopes
    intercepts = loss.intercept_penalty * point.intercepts + slopes.sum(0)
    return Weights(coefficients, intercepts, products @ coefficients)


def _square(loss: Loss, first: Weights, second: Weights) -> Tensor:
    """(C,) or (1,): inner products of weights and intercepts."""
    return loss.dot(first.coefficients, second.product) + loss.dot(first.intercepts, second.intercepts)


def _scaled(residual: Weights, of_intercepts: Tensor) -> Weights:
    """Intercepts have another unit than weights; their own curvature brings them to the same."""
    return replace(residual, intercepts=residual.intercepts / of_intercepts.clamp(min=1e-12))


def _direction(products: Tensor, loss: Loss, gradient: Weights, curvature: Curvature, of_intercepts: Tensor) -> Weights:
    """Newton's step, by conjugate gradients."""
    left = torch.arange(len(gradient.intercepts), device=products.device)
    goal = FORCING**2 * _square(loss, gradient, _scaled(gradient, of_intercepts)).abs()
    total, residual = _first_step(products, loss, gradient, curvature)
    towards = _scaled(residual, of_intercepts)
    square = _square(loss, residual, towards)
    # what the quadratic approximation changes by so far: <g, d> + <d, H d> / 2 with d = -g and H g = g + residual
    change = (loss.dot(gradient.product, residual.coefficients) - loss.dot(gradient.product, gradient.coefficients)) / 2
    for _ in range(CONJUGATE):
        turned = _times_hessian(loss, curvature, towards)
        along = loss.dot(towards.product, turned.coefficients) + loss.dot(towards.intercepts, turned.intercepts)
        step = torch.where(along > 0, square / along, 0.0)
        total = _add(total, left, towards, step)
        residual = _next_residual(products, residual, turned, step)
        scaled = _scaled(residual, of_intercepts)
        change = change - step * square / 2
        before, square = square, _square(loss, residual, scaled)
        going = ((square > goal) | (change >= 0)) & (along > 0)
        if not going.any():
            break
        towards = scaled.plus(towards, square / before)
        if not (loss.shared or going.all()):
            left, square, goal, change = left[going], square[going], goal[going], change[going]
            of_intercepts = of_intercepts[going]
            loss, curvature = loss.columns(going), curvature.columns(going)
            towards, residual = towards.columns(going), residual.columns(going)
    return total


def _first_step(products: Tensor, loss: Loss, gradient: Weights, curvature: Curvature) -> tuple[Weights, Weights]:
    """The whole gradient of the weights, and what is left to do.

    It brings each coefficient to its slope, where it is in the end. What is left is a loss's change, so what K does not see of the
    coefficients, where there are fewer features than images, cannot grow.
    """
    whole = replace(gradient, intercepts=torch.zeros_like(gradient.intercepts))
    turned = curvature.times(whole.product)
    coefficients, intercepts = turned, turned.sum(0) - gradient.intercepts
    minus = torch.tensor([-1.0], device=products.device)
    return _zeros(products, turned).plus(whole, minus), Weights(coefficients, intercepts, products @ coefficients)


def _times_hessian(loss: Loss, curvature: Curvature, change: Weights) -> Weights:
    """Without the product."""
    turned = curvature.times(change.scores())
    intercepts = loss.intercept_penalty * change.intercepts + turned.sum(0)
    return Weights(change.coefficients + turned, intercepts, turned)


def _next_residual(products: Tensor, residual: Weights, turned: Weights, step: Tensor) -> Weights:
    factor = step.to(products.dtype)
    coefficients = residual.coefficients - factor * turned.coefficients
    return Weights(coefficients, residual.intercepts - factor * turned.intercepts, products @ coefficients)


def _add(total: Weights, columns: Tensor, towards: Weights, step: Tensor) -> Weights:
    return _put(total, columns, total.columns(columns).plus(towards, step))


def _step_length(loss: Loss, point: Weights, direction: Weights, gradient: Weights) -> tuple[Tensor, Tensor]:
    """(C,) or (1,): 1, halved until the objective falls enough; and whether what it could fall is lost in rounding."""
    value, slope = _objective(loss, point), _square(loss, direction, gradient)
    rounding = 4 * torch.finfo(point.product.dtype).eps * value.abs()
    step = torch.ones_like(value)
    for _ in range(HALVINGS):
        too_far = _objective(loss, point.plus(direction, step)) > value + 1e-4 * step * slope + rounding
        if not too_far.any():
            break
        step = torch.where(too_far, step / 2, step)
    return step, slope.abs() <= rounding


def _objective(loss: Loss, point: Weights) -> Tensor:
    penalty = loss.dot(point.coefficients, point.product)
    penalty = penalty + loss.intercept_penalty * loss.dot(point.intercepts, point.intercepts)
    return penalty / 2 + loss.values(point.scores())


def path(products: Tensor, losses: Iterable[Loss], tolerance: float) -> Iterator[Weights]:
    """One fit after the other, each beginning with the weights of the one before."""
    weights = None
    for loss in losses:
        weights = fit(products, loss, tolerance, weights)
        yield weights
