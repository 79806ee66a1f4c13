"""The only code that reads a sensitive training cell: sums of clipped rows in whole units, with noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, logsumexp, softmax

from ..._parameters import Real
from ...exceptions import InvalidInputError
from ...privacy import Clipping, PrivatePlan
from ...privacy._random_bits import RandomBits
from ...privacy._release import noise_std_in_units, release

# A row's features and its factors are whole multiples of these, so what it adds to a release is a whole
# multiple of their product, which is in units of the largest norm.
_FEATURE, _FACTOR = 2.0**-16, 2.0**-20
UNIT = _FEATURE * _FACTOR
# Sums of more rows, with their noise, might not fit into 64 bits.
_MOST_ROWS = 2**26
# Keeps numbers that rounding has left a little too long from being dropped as too long.
_SHORTER = 1 - 2.0**-32
# Half the sensitivity has to be a clipping norm of a plan, too.
MAX_GRAD_NORM = Real(1e-19, 1e19, closed="both", remedy="0.5 is a common start")

# Prior standard deviation of the correction, in logits or in standard deviations of the residual.
_PRIOR = 0.5
# Gradient steps: length over the inverse curvature at the public score (momentum is stable up to 18), and
# the noise that all steps together may add to a coefficient.
_LONGEST, _NOISE_IN_SCORE, _MOMENTUM = 12.0, 2.5, 0.8
# Share of the releases that looks where there is signal, belief in a group that showed none, and strength
# of the penalty on absolute coefficients in standard deviations of the mean release's noise.
_SCREENING, _FLOOR, _PENALTY = 0.125, 0.02, 2.0
# Below this a coefficient's penalty is smooth.
_SMALL = 0.1
# A group shows signal from this many standard deviations of its energy's noise on.
_CLEAR = 1.0


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

    def losses(self, score: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Each row's loss, of shape (n_rows,): log loss, or half the squared error."""
        if self.task == "binary":
            return (np.logaddexp(0, score) - target * score)[:, 0]
        if self.task == "multiclass":
            return logsumexp(score, axis=1) - (target * score).sum(axis=1)
        return np.square(score - target)[:, 0] / 2

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


def row_contributions(residuals: np.ndarray, weight: np.ndarray, max_grad_norm: float) -> np.ndarray:
    """Factors of each row's features in the released sum, in units of `max_grad_norm`: of norm at most 1.

    Parameters
    ----------
    residuals : ndarray of shape (n_rows, n_outputs)
    weight : ndarray of shape (n_rows,)
    max_grad_norm : float

    Returns
    -------
    ndarray of shape (n_rows, n_outputs)
        Zero where a residual is not finite. The bound holds up to rounding; `whole_factors` makes it exact.
    """
    weighted = residuals * weight[:, None]
    largest = np.abs(weighted).max(axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        # By the largest first: the squares of very small and very large numbers are 0 and infinite.
        norms = largest * np.linalg.norm(weighted / largest, axis=1, keepdims=True)
        clipped = weighted / np.maximum(norms, max_grad_norm)
    return np.where(np.isfinite(norms) & (largest > 0), clipped, 0.0)


def centred(
    factors: np.ndarray, score: np.ndarray, weight: np.ndarray, loss: Loss, max_grad_norm: float
) -> np.ndarray:
    """Factors at a public score less their expectation under that score, of norm at most 1 again.

    Public numbers of rows, whatever their sign, so that two versions of a row still lie at most
    ``sqrt(2)`` apart (docs/offset.md, lemma 2).
    """
    if loss.task == "regression":
        return factors
    p = loss.mean(score)
    expected = np.zeros_like(factors)
    if loss.task == "binary":
        for label, share in ((0.0, 1 - p), (1.0, p)):
            expected += share * row_contributions(p - label, weight, max_grad_norm)
    else:
        for k in range(p.shape[1]):
            expected += p[:, [k]] * row_contributions(p - np.eye(p.shape[1])[k], weight, max_grad_norm)
    return row_contributions(factors - expected, np.ones(len(factors)), 1.0)


def whole_features(features: sp.csr_matrix) -> sp.csr_matrix:
    """Non-negative features rounded down to whole multiples of ``2**-16``, as int64.

    The norm of each row is at most ``2**16``: a row that would be longer is left out.
    """
    whole = _rounded(features.data, _FEATURE)
    rows = sp.csr_matrix((whole, features.indices, features.indptr), shape=features.shape)
    squares = rows.multiply(rows) @ np.ones(rows.shape[1], dtype=np.int64)
    rows.data = np.where(np.repeat(squares <= round(_FEATURE**-2), np.diff(rows.indptr)), whole, 0)
    return rows


def whole_factors(factors: np.ndarray) -> np.ndarray:
    """Factors of norm at most 1 rounded towards zero to whole multiples of ``2**-20``, as int64.

    The norm of each row is at most ``2**20``: a row that would be longer adds nothing.
    """
    whole = _rounded(factors, _FACTOR)
    squares = np.square(whole).sum(axis=1, keepdims=True)
    return np.where(squares <= round(_FACTOR**-2), whole, 0)


def _rounded(values: np.ndarray, unit: float) -> np.ndarray:
    # A number beyond 1 belongs to a row that is too long; its size does not matter, but must fit.
    return (np.clip(np.nan_to_num(values, nan=2.0), -2.0, 2.0) * (_SHORTER / unit)).astype(np.int64)


def noised_sum(features: sp.csr_matrix, factors: np.ndarray, std: float, bits: RandomBits) -> np.ndarray:
    """One release: the sum over rows of features times factors, plus noise in every coordinate.

    Parameters
    ----------
    features : csr_matrix of shape (n_rows, n_features)
        Of `whole_features`.
    factors : ndarray of shape (n_rows, n_outputs)
        Of `row_contributions`.
    std : float
        Of the noise, in units of ``UNIT``.
    bits : RandomBits

    Returns
    -------
    ndarray of shape (n_features, n_outputs)
        In units of the bound of a row's norm.

    Notes
    -----
    Formal guarantee: a row adds a vector of whole numbers whose norm is at most ``2**36 = 1 / UNIT``,
    exactly, and rounding towards zero turns no sign, so that two versions of a row of a labelled table
    lie at most ``sqrt(2)`` times that apart (docs/offset.md, lemma 2). Sums of 64 bits are exact in any
    order, and the noise comes by `privacy._release.release`.
    """
    return release(np.asarray(features.T @ whole_factors(factors)), std, bits) * UNIT


def release_std(plan: PrivatePlan, loss: Loss, n_rows: int) -> float:
    """Standard deviation of a release's noise in units of ``UNIT``, if 64 bits hold it and the sum.

    Raises
    ------
    InvalidInputError
        If they do not.
    """
    if n_rows > _MOST_ROWS:
        raise InvalidInputError(
            f"X has {n_rows} rows, whose sum 64 bits may not hold; the offset estimators take at most "
            f"{_MOST_ROWS}: fit on some of the rows."
        )
    return noise_std_in_units(plan.noise_multiplier, loss.noise_unit(1.0, plan.adjacency), UNIT)


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


@dataclass(frozen=True)
class Groups:
    """Columns of the features of which each row has one active per group.

    Parameters
    ----------
    own : ndarray of shape (n_features,), int
        The group of each column.
    prior : ndarray of shape (n_groups,)
        Belief in each group before anything is released.
    """

    own: np.ndarray
    prior: np.ndarray

    def scale(self, share: np.ndarray) -> np.ndarray:
        """Factors of columns of equally weighted features, so that each row has norm 1 again."""
        return np.sqrt(share / share.sum() * len(share))[self.own]

    def shares(self, seen: np.ndarray, variance: float) -> np.ndarray:
        """Share of each group in a row's squared norm: the energy that a release showed beyond its noise.

        Parameters
        ----------
        seen : ndarray of shape (n_features, n_outputs)
            A noised gradient.
        variance : float
            Of its noise.
        """
        energy = np.bincount(self.own, np.square(seen).sum(axis=1))
        cells = np.bincount(self.own) * seen.shape[1]
        beyond = energy - cells * variance
        clear = beyond > _CLEAR * np.sqrt(2 * cells) * variance
        signal = np.where(clear, beyond, 0.0) * self.prior
        most = signal.max()
        return _FLOOR * self.prior + (signal / most if most > 0 else 0.0)


def fit_correction(
    features: sp.csr_matrix,
    offset: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    loss: Loss,
    plan: PrivatePlan,
    bits: RandomBits,
    shape: PublicCurvature | Groups,
    started: Callable[[], None],
) -> np.ndarray:
    """Train the correction's coefficients by releases of `noised_sum`; all else is post-processing.

    With public curvature the steps are Newton's, with a prior as strong as the noise along each direction
    asks for. Else the first releases, all at the offset, say which groups of features carry signal, and
    get their share of a row's norm; the others are gradient steps with momentum and a penalty on absolute
    coefficients, the last half averaged.

    Parameters
    ----------
    features : csr_matrix of shape (n_rows, n_features)
        Non-negative, rows of norm at most 1.
    offset, target : ndarray of shape (n_rows, n_outputs)
    weight : ndarray of shape (n_rows,)
    loss : Loss
    plan : PrivatePlan
    bits : RandomBits
        Where the noise comes from.
    shape : PublicCurvature or Groups
        What is known for free: curvature of these features, or the groups that they fall into.
    started : callable
        Called before each release: that step is paid for.

    Returns
    -------
    ndarray of shape (n_features, n_outputs)
    """
    std = plan.noise_multiplier * plan.clipping.max_grad_norm
    # The plan's clipping norm is the accountant's, see noise_unit.
    bound = plan.clipping.max_grad_norm / loss.noise_unit(1.0, plan.adjacency)
    std_in_units = release_std(plan, loss, len(target))

    def noised(rows: sp.csr_matrix, factors: np.ndarray) -> np.ndarray:
        return bound * noised_sum(rows, factors, std_in_units, bits)

    def releasing(phi: sp.csr_matrix) -> Callable[[np.ndarray], np.ndarray]:
        """Noised gradients of the correction in these features, as a function of its coefficients."""
        rows = whole_features(phi)

        def gradient(theta: np.ndarray) -> np.ndarray:
            started()
            residuals = loss.residuals(offset + phi @ theta, target)
            return noised(rows, row_contributions(residuals, weight, bound))

        return gradient

    unscaled = whole_features(features)

    def look() -> np.ndarray:
        """The gradient at the public score, less what clipping alone would make of it."""
        started()
        factors = row_contributions(loss.residuals(offset, target), weight, bound)
        return noised(unscaled, centred(factors, offset, weight, loss, bound))

    if isinstance(shape, Groups):
        # A public number: how strongly the loss bends at the public score.
        bend = float((loss.curvature(offset) * weight[:, None]).sum(axis=0).max())
        return _descend(look, releasing, features, offset.shape[1], shape, plan.steps, std, bend)
    theta = np.zeros((features.shape[1], offset.shape[1]))
    average = np.zeros_like(theta)
    kept = plan.steps - plan.steps // 2
    # One noise draw's worth: averaging T releases, each with T times the variance, gives it back.
    variance = std**2 / plan.steps
    h = np.maximum(shape.curvature, 1e-12)
    prior = (variance / h + 1.0) / _PRIOR**2
    damping = 1.0 if plan.steps == 1 else 0.7
    inner = np.zeros_like(h)
    release_at = releasing(features)
    for step in range(plan.steps):
        g = shape.basis.T @ release_at(shape.basis @ inner)
        inner = inner - damping * (g + prior * inner) / (h + prior)
        if step >= plan.steps // 2:
            average += shape.basis @ inner / kept
    return average


def _descend(
    look: Callable[[], np.ndarray],
    releasing: Callable[[sp.csr_matrix], Callable[[np.ndarray], np.ndarray]],
    features: sp.csr_matrix,
    n_outputs: int,
    groups: Groups,
    steps: int,
    std: float,
    bend: float,
) -> np.ndarray:
    """Find the groups that carry signal, then descend in them; coefficients as for equal weights."""
    theta = np.zeros((features.shape[1], n_outputs))
    looks = int(_SCREENING * steps)
    scale = np.ones(len(theta))
    if looks:
        seen = np.mean([look() for _ in range(looks)], axis=0)
        scale = groups.scale(groups.shares(seen, std**2 / looks))
    release_at = releasing((features @ sp.diags(scale)).tocsr())
    left = steps - looks
    bend = max(bend, 1e-12)
    size = min(_LONGEST / bend, _NOISE_IN_SCORE / (std * math.sqrt(left))) * (1 - _MOMENTUM)
    penalty = _PENALTY * std / math.sqrt(left)
    small = max(_SMALL, size * penalty)
    velocity, average = np.zeros_like(theta), np.zeros_like(theta)
    for step in range(left):
        pull = penalty * np.clip(theta / small, -1, 1)
        velocity = _MOMENTUM * velocity + release_at(theta) + pull
        theta = theta - size * velocity
        if step >= left // 2:
            average += theta / (left - left // 2)
    return average * scale[:, None]


def accountant_clipping(loss: Loss, max_grad_norm: float, adjacency: str) -> Clipping:
    """The clipping norm in the accountant's unit, after checking the user's."""
    MAX_GRAD_NORM.check("max_grad_norm", max_grad_norm)
    return Clipping(loss.noise_unit(float(max_grad_norm), adjacency))
