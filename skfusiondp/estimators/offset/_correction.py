"""The correction's coefficients, learnt by noised sums over rows: loss, Newton and gradient steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logsumexp, softmax

from ..._parameters import Real
from ...privacy import Clipping, PrivatePlan, relation
from ...privacy._noised_sums import clipped_factors, noise_of_sums, noised_sum, whole_features
from ...privacy._random_bits import RandomBits
from ...privacy._release import SumNoise
from ._indicator_rows import IndicatorRows, Piece

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

    _plain_values = True

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

        Two contributions of one row with non-negative features have residuals on the same side where the
        label is a class (docs/offset.md, lemma 2), so they are at most ``sqrt(2) max_grad_norm`` apart, not
        twice it. An erased row adds nothing.
        """
        diameter = 2 * max_grad_norm / (1.0 if self.task == "regression" else math.sqrt(2))
        return relation(adjacency).clipping_norm(diameter, reach=max_grad_norm)


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
            expected += share * clipped_factors(p - label, weight, max_grad_norm)
    else:
        for k in range(p.shape[1]):
            expected += p[:, [k]] * clipped_factors(p - np.eye(p.shape[1])[k], weight, max_grad_norm)
    return clipped_factors(factors - expected, np.ones(len(factors)), 1.0)


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

    _plain_values = True

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
    rows: IndicatorRows,
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
    rows : IndicatorRows
        Features, offsets, targets and weights.
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
    releases = Releases(rows, loss, plan, bits, started)
    theta = np.zeros((rows.n_features, rows.n_outputs))
    if isinstance(shape, Groups):
        # A public number: how strongly the loss bends at the public score.
        bends = [(loss.curvature(p.offset) * p.weight[:, None]).sum(axis=0) for p in rows.pieces()]
        return _descend(releases, theta, shape, plan.steps, std, float(np.sum(bends, axis=0).max(initial=0)))
    average = np.zeros_like(theta)
    kept = plan.steps - plan.steps // 2
    # Averaging T releases, each with T times the variance of one, gives the variance of one.
    variance = std**2 / plan.steps
    h = np.maximum(shape.curvature, 1e-12)
    prior = (variance / h + 1.0) / _PRIOR**2
    damping = 1.0 if plan.steps == 1 else 0.7
    inner = np.zeros_like(h)
    for step in range(plan.steps):
        g = shape.basis.T @ releases.gradient(shape.basis @ inner)
        inner = inner - damping * (g + prior * inner) / (h + prior)
        if step >= plan.steps // 2:
            average += shape.basis @ inner / kept
    return average


class Releases:
    """Noised sums over all rows, piece by piece.

    Parameters
    ----------
    rows, loss, plan, bits, started
        As for `fit_correction`.
    """

    def __init__(
        self,
        rows: IndicatorRows,
        loss: Loss,
        plan: PrivatePlan,
        bits: RandomBits,
        started: Callable[[], None],
    ):
        self._rows, self._loss, self._bits, self._started = rows, loss, bits, started
        # The plan's clipping norm is the accountant's, see noise_unit.
        self._bound = plan.clipping.max_grad_norm / loss.noise_unit(1.0, plan.adjacency)
        self._noise = release_noise(plan, loss, rows.n_rows)

    def look(self) -> np.ndarray:
        """The gradient at the public score, less its expectation under that score."""

        def factors(piece: Piece) -> np.ndarray:
            return centred(
                self._clipped(piece, piece.offset), piece.offset, piece.weight, self._loss, self._bound
            )

        return self._release(factors)

    def gradient(self, theta: np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
        """The gradient at coefficients of features of which `scale` multiplies the columns."""
        values = theta if scale is None else theta * scale[:, None]

        def factors(piece: Piece) -> np.ndarray:
            return self._clipped(piece, piece.offset + piece.features.height * piece.features.sums(values))

        return self._release(factors, scale)

    def _clipped(self, piece: Piece, score: np.ndarray) -> np.ndarray:
        return clipped_factors(self._loss.residuals(score, piece.target), piece.weight, self._bound)

    def _release(self, factors: Callable[[Piece], np.ndarray], scale: np.ndarray | None = None) -> np.ndarray:
        self._started()

        def parts() -> Iterator[tuple]:
            for piece in self._rows.pieces():
                yield whole_features(piece.features.matrix(scale)), factors(piece)

        shape = (self._rows.n_features, self._rows.n_outputs)
        return self._bound * noised_sum(parts(), shape, self._noise, self._bits)


def _descend(
    releases: Releases, theta: np.ndarray, groups: Groups, steps: int, std: float, bend: float
) -> np.ndarray:
    """Find the groups that carry signal, then descend in them; coefficients as for equal weights."""
    looks = int(_SCREENING * steps)
    scale = np.ones(len(theta))
    if looks:
        seen = np.mean([releases.look() for _ in range(looks)], axis=0)
        scale = groups.scale(groups.shares(seen, std**2 / looks))
    left = steps - looks
    bend = max(bend, 1e-12)
    size = min(_LONGEST / bend, _NOISE_IN_SCORE / (std * math.sqrt(left))) * (1 - _MOMENTUM)
    penalty = _PENALTY * std / math.sqrt(left)
    small = max(_SMALL, size * penalty)
    velocity, average = np.zeros_like(theta), np.zeros_like(theta)
    for step in range(left):
        pull = penalty * np.clip(theta / small, -1, 1)
        velocity = _MOMENTUM * velocity + releases.gradient(theta, scale) + pull
        theta = theta - size * velocity
        if step >= left // 2:
            average += theta / (left - left // 2)
    return average * scale[:, None]


def release_noise(plan: PrivatePlan, loss: Loss, n_rows: int) -> SumNoise:
    """Noise of one release of a plan on so many rows; refuses what 64 bits do not hold."""
    return noise_of_sums(plan.noise_multiplier, loss.noise_unit(1.0, plan.adjacency), n_rows)


def accountant_clipping(loss: Loss, max_grad_norm: float, adjacency: str) -> Clipping:
    """The clipping norm in the accountant's unit, after checking the user's."""
    MAX_GRAD_NORM.check("max_grad_norm", max_grad_norm)
    return Clipping(loss.noise_unit(float(max_grad_norm), adjacency))
