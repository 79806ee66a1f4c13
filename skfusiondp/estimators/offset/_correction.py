"""The private part: noised sums over rows, of gradients, and FusionDP's counts."""

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


@dataclass(frozen=True)
class ClippedLoss:
    """What clipping makes of a loss, from public facts.

    Parameters
    ----------
    loss : Loss
    max_grad_norm : float
        Bound of a row's weighted residual.
    spread : float
        Variance that the sampling of rows adds to a gradient, over the curvature.
    """

    loss: Loss
    max_grad_norm: float
    spread: float = 1.0

    @classmethod
    def of(cls, loss: Loss, score: np.ndarray, target: np.ndarray, max_grad_norm: float) -> ClippedLoss:
        """By public scores and targets.

        The curvature of log loss is the variance of its gradient, and nearly so where some rows' are clipped.
        The residuals of a number have a size of their own: that of the public scores is taken.
        """
        if loss.task != "regression":
            return cls(loss, max_grad_norm)
        size = np.minimum(np.abs(loss.residuals(score, target)), max_grad_norm)
        return cls(loss, max_grad_norm, float(np.mean(size**2)))

    def drift(self, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Expected clipped gradient of rows whose labels follow their score, of shape (n_rows, n_outputs).

        It is not zero, for the less likely label's residual is the longer one and loses more. A number's
        residuals may be of any distribution; it is taken for symmetric.
        """
        drift = np.zeros_like(score)
        for label, share in self._labels(score):
            residuals = self.loss.residuals(score, label)
            drift += share * self.max_grad_norm * clipped_factors(residuals, weight, self.max_grad_norm)
        return drift

    def _labels(self, score: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Each label, and its probability, of shape (n_rows, 1), under the score."""
        p = self.loss.mean(score)
        if self.loss.task == "binary":
            yield np.zeros((1, 1)), 1 - p
            yield np.ones((1, 1)), p
        elif self.loss.task == "multiclass":
            for k, label in enumerate(np.eye(p.shape[1])):
                yield label, p[:, [k]]


class Releases:
    """Noised sums over all rows, piece by piece, of one plan; each is one of its steps.

    Parameters
    ----------
    loss : Loss
    plan : PrivatePlan
    bits : RandomBits
        Where the noise comes from.
    started : callable
        Called before each release: that step is paid for.
    steps : int, optional
        How many of the plan's steps they may make; all, unless others make releases of the same plan.
    """

    def __init__(
        self,
        loss: Loss,
        plan: PrivatePlan,
        bits: RandomBits,
        started: Callable[[], None],
        steps: int | None = None,
    ):
        self._loss, self._plan, self._bits, self._started = loss, plan, bits, started
        # The plan's clipping norm is the accountant's, see noise_unit.
        self._bound = plan.clipping.max_grad_norm / loss.noise_unit(1.0, plan.adjacency)
        self.std = plan.noise_multiplier * plan.clipping.max_grad_norm
        self.left = plan.steps if steps is None else steps

    def gradient(self, rows: IndicatorRows, coef: np.ndarray) -> np.ndarray:
        """The gradient of the loss in coefficients of the rows' features; its noise has deviation `std`."""

        def factors(piece: Piece) -> np.ndarray:
            score = piece.offset + piece.features.height * piece.features.sums(coef)
            return clipped_factors(self._loss.residuals(score, piece.target), piece.weight, self._bound)

        return self._bound * self._release(rows, factors, self._loss)

    def counts(self, rows: IndicatorRows, n_groups: int) -> np.ndarray:
        """How many rows have each indicator of so many groups active, of shape (n_features,)."""
        total = self._release(rows, lambda piece: np.ones((len(piece.features), 1)), COUNTS)
        # A row of norm 1 adds this much less than 1 in each group.
        return total[:, 0] * math.sqrt(n_groups)

    def _release(self, rows: IndicatorRows, factors: Callable[[Piece], np.ndarray], loss: Loss) -> np.ndarray:
        if not self.left:
            raise RuntimeError("All releases of the plan are made.")  # a fault of ours: it is not paid for
        self.left -= 1
        self._started()

        def parts() -> Iterator[tuple]:
            for piece in rows.pieces():
                yield whole_features(piece.features.matrix()), factors(piece)

        noise = release_noise(self._plan, loss, rows.n_rows)
        return noised_sum(parts(), (rows.n_features, rows.n_outputs), noise, self._bits)


# A row's one in a count is a factor of one sign, as that of a class is.
COUNTS = Loss("binary")


def release_noise(plan: PrivatePlan, loss: Loss, n_rows: int) -> SumNoise:
    """Noise of one release of a plan on so many rows; refuses what 64 bits do not hold."""
    return noise_of_sums(plan.noise_multiplier, loss.noise_unit(1.0, plan.adjacency), n_rows)


def accountant_clipping(loss: Loss, max_grad_norm: float, adjacency: str) -> Clipping:
    """The clipping norm in the accountant's unit, after checking the user's."""
    MAX_GRAD_NORM.check("max_grad_norm", max_grad_norm)
    return Clipping(loss.noise_unit(float(max_grad_norm), adjacency))
