"""Mechanisms as the accountant uses them: the numbers of a ledger's entry, and their privacy loss."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ._group_privacy import unit_loss
from ._relations import Relation

# With this much noise a step costs nothing to any digit; accounting for less noise is an upper bound.
_ENOUGH_NOISE = 1e9
# Less noise than this is accounted as none: a single step would cost an epsilon of thousands.
_NO_NOISE = 0.01


class Gaussian(NamedTuple):
    """Releases of a Poisson-sampled Gaussian, each of which reads at most `rows` rows of a unit."""

    noise_multiplier: float
    sample_rate: float
    steps: int
    rows: int = 1

    @property
    def noiseless(self) -> bool:
        """Whether it hides nothing."""
        return self.noise_multiplier < _NO_NOISE

    @property
    def reach(self) -> float:
        """About the largest privacy loss, where that is large: as large as if all rows were sampled."""
        sigma, _, steps, rows = self._as_sampled()
        return 4 / (sigma / rows) ** 2 * steps if sigma / rows < 0.1 else 0.0

    def of_unit(self, rows: int) -> Gaussian:
        """The same releases, for a unit of which each reads at most so many rows."""
        sigma, q, steps, _ = self
        # Without sampling, a unit's rows add one vector that is so many times as long.
        return Gaussian(sigma / rows, q, steps) if q == 1 else Gaussian(sigma, q, steps, rows)

    def loss(self, relation: Relation, grid: float) -> Any:
        """Privacy loss distribution of dp-accounting, rounded up to multiples of `grid`."""
        import dp_accounting as dpa
        from dp_accounting.pld import privacy_loss_distribution as pld

        sigma, q, steps, rows = self._as_sampled()
        sigma = min(sigma, _ENOUGH_NOISE)
        if rows > 1:
            one = unit_loss(sigma, q, rows, relation, grid)
        else:
            named = dpa.NeighboringRelation[relation.pld_name]
            one = pld.from_gaussian_mechanism(
                sigma, value_discretization_interval=grid, sampling_prob=q, neighboring_relation=named
            )
        return one if steps == 1 else one.self_compose(steps)

    def _as_sampled(self) -> Gaussian:
        """Without sampling, many releases are one of less noise."""
        sigma, q, steps, rows = self
        return Gaussian(sigma / rows / math.sqrt(steps), 1.0, 1) if q == 1 else self


class Bound(NamedTuple):
    """Any mechanism of which only (epsilon, delta) is given."""

    epsilon: float
    delta: float

    @property
    def noiseless(self) -> bool:
        """Whether it hides nothing: a bound says what it hides."""
        return False

    @property
    def reach(self) -> float:
        """About the largest privacy loss, where a grid has to follow it: never, for a bound."""
        return 0.0

    def of_unit(self, rows: int) -> Mechanism:
        """The bound of a chain of tables, each of which differs from the last in one row more."""
        epsilon, delta = self
        total = rows * epsilon
        if delta:
            # The chain's deltas add up, each multiplied by exp(epsilon) for every step after it.
            factor = rows if not epsilon else math.expm1(min(total, 700.0)) / math.expm1(min(epsilon, 700.0))
            delta = delta * factor if total <= 700 else 1.0
        return Bound(total, delta) if delta < 1 else NO_PRIVACY

    def loss(self, relation: Relation, grid: float) -> Any:
        """Privacy loss distribution, rounded up to multiples of `grid`: the same under every relation."""
        from dp_accounting.pld import common
        from dp_accounting.pld import privacy_loss_distribution as pld

        return pld.from_privacy_parameters(common.DifferentialPrivacyParameters(*self), grid)


Mechanism = Gaussian | Bound
NO_PRIVACY = Gaussian(0.0, 1.0, 1)
