"""The only code that reads a sensitive training cell: clipped row sums with Gaussian noise."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, softmax

from .._exceptions import InvalidInputError
from ..privacy import Clipping, PrivatePlan

# Prior standard deviation of the correction, in logits or in standard deviations of the residual.
_PRIOR = 1.0
# Largest step without curvature, over the inverse Lipschitz bound (momentum is stable up to 18), and the
# noise that all steps together may add to a score.
_LONGEST, _NOISE_IN_SCORE = 16.0, 0.8
_MOMENTUM = 0.8


@dataclass(frozen=True)
class Loss:
    """Residuals (gradients in the score) and curvatures of one task.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
    """

    task: str

    def residuals(self, score: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Gradient of each row's loss in its score, of shape (n_rows, n_outputs)."""
        return self.mean(score) - target

    def mean(self, score: np.ndarray) -> np.ndarray:
        """Expected target."""
        if self.task == "binary":
            return expit(score)
        return softmax(score, axis=1) if self.task == "multiclass" else score

    def curvature(self, score: np.ndarray) -> np.ndarray:
        """Second derivative of each row's loss in each of its scores."""
        p = self.mean(score)
        return np.ones_like(score) if self.task == "regression" else p * (1 - p)

    def noise_unit(self, max_grad_norm: float, adjacency: str) -> float:
        """What the noise multiplier multiplies: the accountant's clipping norm.

        The accountant's "replace" pair lies two such norms apart. Two contributions of one row with
        non-negative features have residuals on the same side where the label is a class (docs/offset.md,
        lemma 2), so they are at most ``sqrt(2) max_grad_norm`` apart, not twice it.
        """
        if adjacency == "replace" and self.task != "regression":
            return max_grad_norm / math.sqrt(2)
        return max_grad_norm


def noise_generator(seed: int | None) -> np.random.Generator:
    """A generator for the noise: from the operating system's entropy unless a seed is given."""
    return np.random.default_rng(secrets.randbits(256) if seed is None else seed)


def row_contributions(residuals: np.ndarray, weight: np.ndarray, max_grad_norm: float) -> np.ndarray:
    """Factors of each row's features in the released sum, of norm at most `max_grad_norm`.

    Parameters
    ----------
    residuals : ndarray of shape (n_rows, n_outputs)
    weight : ndarray of shape (n_rows,)
    max_grad_norm : float

    Returns
    -------
    ndarray of shape (n_rows, n_outputs)
        Zero where a residual is not finite.
    """
    weighted = residuals * weight[:, None]
    norms = np.linalg.norm(weighted, axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        clipped = weighted * np.minimum(1.0, max_grad_norm / norms)
    return np.where(np.isfinite(norms) & (norms > 0), clipped, 0.0)


def noised_sum(
    features: sp.csr_matrix, factors: np.ndarray, std: float, rng: np.random.Generator
) -> np.ndarray:
    """One release: the sum over rows of features times factors, plus noise in every coordinate.

    Returns
    -------
    ndarray of shape (n_features, n_outputs)
    """
    total = np.asarray(features.T @ factors)
    return total + std * rng.standard_normal(total.shape)


@dataclass(frozen=True)
class PublicCurvature:
    """Directions in which hybrid rows vary, and the loss's curvature along them.

    Parameters
    ----------
    basis : ndarray of shape (n_features, n_directions)
        Orthonormal.
    curvature : ndarray of shape (n_directions, n_outputs)
        Of the sum over all training rows.
    """

    basis: np.ndarray
    curvature: np.ndarray


def fit_correction(
    features: sp.csr_matrix,
    offset: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    loss: Loss,
    plan: PrivatePlan,
    rng: np.random.Generator,
    curvature: PublicCurvature | None,
    started: Callable[[], None],
) -> np.ndarray:
    """Train the correction's coefficients by releases of `noised_sum`; all else is post-processing.

    With public curvature the steps are Newton's, with a prior as strong as the noise along each direction
    asks for; else they are gradient steps with momentum, the last half averaged.

    Parameters
    ----------
    features : csr_matrix of shape (n_rows, n_features)
        Non-negative, rows of norm at most 1.
    offset, target : ndarray of shape (n_rows, n_outputs)
    weight : ndarray of shape (n_rows,)
    loss : Loss
    plan : PrivatePlan
    rng : numpy.random.Generator
        Of the noise.
    curvature : PublicCurvature or None
    started : callable
        Called before each release: that step is paid for.

    Returns
    -------
    ndarray of shape (n_features, n_outputs)
    """
    clip = plan.clipping.max_grad_norm
    std = plan.noise_multiplier * clip
    unit = loss.noise_unit(1.0, plan.adjacency)
    bound = clip / unit  # the plan's clipping norm is the accountant's, see noise_unit

    def release(theta: np.ndarray) -> np.ndarray:
        started()
        residuals = loss.residuals(offset + features @ theta, target)
        return noised_sum(features, row_contributions(residuals, weight, bound), std, rng)

    theta = np.zeros((features.shape[1], offset.shape[1]))
    average = np.zeros_like(theta)
    kept = plan.steps - plan.steps // 2
    if curvature is not None:
        # One noise draw's worth: averaging T releases, each with T times the variance, gives it back.
        variance = std**2 / plan.steps
        h = np.maximum(curvature.curvature, 1e-12)
        prior = (variance / h + 1.0) / _PRIOR**2
        damping = 1.0 if plan.steps == 1 else 0.7
        inner = np.zeros_like(h)
        for step in range(plan.steps):
            g = curvature.basis.T @ release(curvature.basis @ inner)
            inner = inner - damping * (g + prior * inner) / (h + prior)
            if step >= plan.steps // 2:
                average += curvature.basis @ inner / kept
        return average
    n = max(float(weight.sum()), 1e-12)
    steepest = n if loss.task == "regression" else n / 4
    quiet = _NOISE_IN_SCORE * steepest / (std * np.sqrt(plan.steps))
    size = min(_LONGEST, quiet) * (1 - _MOMENTUM) / steepest
    velocity = np.zeros_like(theta)
    for step in range(plan.steps):
        velocity = _MOMENTUM * velocity + release(theta)
        theta = theta - size * velocity
        if step >= plan.steps // 2:
            average += theta / kept
    return average


def accountant_clipping(loss: Loss, max_grad_norm: float, adjacency: str) -> Clipping:
    """The clipping norm in the accountant's unit, after checking the user's."""
    checked = Clipping(max_grad_norm).max_grad_norm
    if isinstance(checked, bool):
        raise InvalidInputError(f"max_grad_norm={max_grad_norm!r} must be a positive, finite number.")
    return Clipping(loss.noise_unit(checked, adjacency))
