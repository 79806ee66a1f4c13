"""Mechanisms as the accountant uses them: the numbers of a ledger's entry, and their privacy loss."""

from __future__ import annotations

import math
from typing import NamedTuple

from ._privacy_loss import Loss, RandomisedResponse, SampledGaussian

#: With this much noise a step costs nothing to any digit; accounting for less noise is an upper bound.
MOST_NOISE = 1e9
#: Less noise than this is accounted as none: a single step would cost an epsilon of thousands.
LEAST_NOISE = 0.01


class Gaussian(NamedTuple):
    """Releases of a Poisson-sampled Gaussian, each of which reads at most `rows` rows of a unit."""

    noise_multiplier: float
    sample_rate: float
    steps: int
    rows: int = 1

    @property
    def noiseless(self) -> bool:
        """Whether it hides nothing."""
        return self.noise_multiplier < LEAST_NOISE

    def of_unit(self, rows: int) -> Gaussian:
        """The same releases, for a unit of which each reads at most so many rows."""
        sigma, q, steps, _ = self
        # Without sampling, a unit's rows add one vector that is so many times as long.
        return Gaussian(sigma / rows, q, steps) if q == 1 else Gaussian(sigma, q, steps, rows)

    def loss(self, pair: tuple[float, float]) -> Loss:
        """Privacy loss of one release, between what a row of clipped norm 1 adds under two neighbours."""
        sigma, q, _, rows = self
        loss = SampledGaussian.of(min(sigma, MOST_NOISE), q, rows, *pair)
        # Sampling only hides more. An epsilon in the thousands, which is what it is then, says as much.
        return SampledGaussian.of(min(sigma, MOST_NOISE), 1.0, rows, *pair) if loss.intricate else loss

    def distance(self, pair: tuple[float, float]) -> float:
        """Distance of the two means in standard deviations, where every row is read in all releases."""
        sigma, _, steps, rows = self
        return (pair[0] - pair[1]) * rows * math.sqrt(steps) / sigma


class Bound(NamedTuple):
    """Any mechanism of which only (epsilon, delta) is given."""

    epsilon: float
    delta: float

    @property
    def steps(self) -> int:
        """How often it is released."""
        return 1

    @property
    def noiseless(self) -> bool:
        """Whether it hides nothing: a bound says what it hides."""
        return False

    def of_unit(self, rows: int) -> Mechanism:
        """The bound of a chain of tables, each of which differs from the last in one row more."""
        epsilon, delta = self
        total = rows * epsilon
        if delta:
            # The chain's deltas add up, each multiplied by exp(epsilon) for every step after it.
            factor = rows if not epsilon else math.expm1(min(total, 700.0)) / math.expm1(min(epsilon, 700.0))
            delta = delta * factor if total <= 700 else 1.0
        return Bound(total, delta) if delta < 1 else NO_PRIVACY

    def loss(self, pair: tuple[float, float]) -> Loss:
        """Privacy loss: the same between all neighbours."""
        return RandomisedResponse(*self)


Mechanism = Gaussian | Bound
NO_PRIVACY = Gaussian(0.0, 1.0, 1)
