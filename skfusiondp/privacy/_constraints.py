"""Constraints on the numbers of a private mechanism."""

from __future__ import annotations

from .._parameters import OneOf, Real
from ._relations import RELATIONS

# Far below one over any number of rows, and far above what rounding and the tails of the noise may add.
_LEAST_DELTA = 1e-20

EPSILON = Real(
    1e-9, exact=True, says="must be a positive, finite number", remedy="typical budgets are 0.5 to 8"
)
DELTA = Real(
    _LEAST_DELTA,
    1,
    closed="left",
    exact=True,
    says=f"must lie strictly between 0 and 1, and not below {_LEAST_DELTA:g}",
    remedy="choose it well below one over the number of rows, or pass delta=None for 1/(10 n)",
)
NOISE_MULTIPLIER = Real(0, exact=True, remedy="for training without noise say method='non-private'")
ADJACENCY = OneOf(RELATIONS)
