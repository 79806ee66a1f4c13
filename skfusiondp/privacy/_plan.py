"""The plan: one frozen value couples sampler, clip, noise, steps and neighbouring relation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from .._exceptions import InvalidInputError
from ._accountant import ADJACENCIES, calibrate_noise_multiplier, check_delta
from ._clipping import Clipping
from ._ledger import LedgerEntry


@dataclass(frozen=True)
class PrivatePlan:
    """Everything that the private branch does, fixed before the first step from public facts.

    Parameters
    ----------
    n_rows : int
        Rows of the training table (public).
    sample_rate : float in (0, 1]
        Poisson sampling rate q of one step.
    steps : int
        Private steps to run.
    noise_multiplier : float
        Noise standard deviation over the clipping norm.
    clipping : Clipping
    adjacency : {"replace", "zero-out", "add-remove"}
    delta : float in (0, 1)
    """

    n_rows: int
    sample_rate: float
    steps: int
    noise_multiplier: float
    clipping: Clipping
    adjacency: str
    delta: float

    @property
    def expected_batch_size(self) -> float:
        """q n: what the noised sum is divided by, whatever the realised batch was."""
        return self.sample_rate * self.n_rows

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise on the *sum* of clipped gradients."""
        return self.noise_multiplier * self.clipping.max_grad_norm

    def entry(self, steps: int, *, protects: tuple[str, ...] = (), source: str = "") -> LedgerEntry:
        """The ledger entry of `steps` steps that ran under this plan."""
        return LedgerEntry(
            noise_multiplier=self.noise_multiplier,
            sample_rate=self.sample_rate,
            steps=steps,
            adjacency=self.adjacency,
            protects=protects,
            n_rows=self.n_rows,
            source=source,
        )


def make_plan(
    n_rows: int,
    *,
    batch_size: int,
    steps: int,
    epsilon: float | None,
    noise_multiplier: float | None,
    delta: float | None,
    clipping: Clipping,
    adjacency: str,
) -> PrivatePlan:
    """Make a plan that meets ``epsilon``, or that uses ``noise_multiplier`` as given.

    Parameters
    ----------
    n_rows : int
    batch_size : int
        Expected private batch size, at most `n_rows`.
    steps : int
    epsilon : float or None
        Target; None if `noise_multiplier` is given.
    noise_multiplier : float or None
        Takes the place of `epsilon`.
    delta : float or None
        None stands for 1/(10 n).
    clipping : Clipping
    adjacency : {"replace", "zero-out", "add-remove"}

    Returns
    -------
    PrivatePlan

    Raises
    ------
    InvalidInputError
        If an argument is out of range.
    """
    if adjacency not in ADJACENCIES:
        raise InvalidInputError(f"adjacency={adjacency!r} is not one of {', '.join(ADJACENCIES)}.")
    if not 1 <= batch_size <= n_rows:
        raise InvalidInputError(
            f"batch_size={batch_size} must lie between 1 and the number of rows, {n_rows}."
        )
    delta = 1 / (10 * n_rows) if delta is None else delta
    check_delta(delta)
    q = batch_size / n_rows
    if noise_multiplier is None:
        noise_multiplier = calibrate_noise_multiplier(
            1.0 if epsilon is None else epsilon, delta, q, steps, adjacency
        )
    elif not (isinstance(noise_multiplier, Real) and 0 < noise_multiplier < math.inf):
        raise InvalidInputError(
            f"noise_multiplier={noise_multiplier!r} must be a positive, finite number; for training "
            "without noise say method='non-private'."
        )
    return PrivatePlan(n_rows, q, steps, float(noise_multiplier), clipping, adjacency, delta)
