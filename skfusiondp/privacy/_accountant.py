"""From events to (epsilon, delta), and back: a thin layer over dp-accounting's PLD accountant."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING

from .._exceptions import InvalidInputError

if TYPE_CHECKING:
    from ._ledger import LedgerEntry

#: Neighbouring relations and what they say, in the words of the report.
ADJACENCIES = {
    "replace": "the sensitive cells of one row change to any other values",
    "zero-out": "the sensitive cells of one row are erased, so that both its views are the imputed one",
    "add-remove": "one whole row is added or removed",
}

# Privacy losses are rounded up to a multiple of this, so every epsilon is an upper bound; a
# coarser grid is used while searching, and never gives a smaller epsilon.
_GRID = 1e-4
_SEARCH_GRID = 1e-3
# One step with less noise than this costs an epsilon of thousands: it is called what it is, none.
_NO_NOISE = 0.01


def compute_epsilon(entries: Sequence[LedgerEntry], delta: float) -> float:
    """Epsilon of the adaptive composition of `entries` at `delta`.

    Parameters
    ----------
    entries : sequence of LedgerEntry
        Mechanisms that ran on the same rows, all under one neighbouring relation.
    delta : float in (0, 1)

    Returns
    -------
    float
        An upper bound, tight up to the discretisation (1e-4). 0 without entries, infinity if a
        mechanism is not private.

    Raises
    ------
    InvalidInputError
        If the entries have different neighbouring relations, or delta is outside (0, 1).

    References
    ----------
    Composition of dominating pairs: Zhu, Dong and Wang (2022), Theorem 10. Discretised privacy
    loss distributions: Doroshenko et al. (2022), as implemented in dp-accounting.

    Examples
    --------
    >>> from skfusiondp.accounting import LedgerEntry, compute_epsilon
    >>> step = LedgerEntry(noise_multiplier=1.0, sample_rate=128 / 14293, steps=1443,
    ...                    adjacency="replace")
    >>> round(compute_epsilon([step], delta=1e-5), 2)
    3.08
    """
    check_delta(delta)
    return _epsilon(tuple(e.mechanism for e in entries), adjacency_of(entries), delta, _GRID)


def compute_delta(entries: Sequence[LedgerEntry], epsilon: float) -> float:
    """Delta of the adaptive composition of `entries` at `epsilon`.

    Parameters
    ----------
    entries : sequence of LedgerEntry
    epsilon : float, at least 0

    Returns
    -------
    float
        An upper bound; 0 without entries, 1 if a mechanism is not private.
    """
    if not epsilon >= 0:
        raise InvalidInputError(f"epsilon={epsilon!r} must be a number of at least 0.")
    mechanisms = tuple(e.mechanism for e in entries)
    if any(m[0] < _NO_NOISE for m in mechanisms):
        return 1.0
    if not mechanisms:
        return 0.0
    accountant = _accountant(mechanisms, adjacency_of(entries), _GRID)
    return float(accountant.get_delta(epsilon))


def calibrate_noise_multiplier(
    epsilon: float, delta: float, sample_rate: float, steps: int, adjacency: str = "replace"
) -> float:
    """Smallest noise multiplier found whose composed epsilon meets the target.

    Parameters
    ----------
    epsilon : float
        Target, positive.
    delta : float in (0, 1)
    sample_rate : float in (0, 1]
        Poisson sampling rate of one step.
    steps : int
        Number of steps, at least 1.
    adjacency : {"replace", "zero-out", "add-remove"}

    Returns
    -------
    float
        Noise standard deviation divided by the clipping norm. What it costs is never above
        `epsilon`: the returned value was evaluated, and met the target.

    Raises
    ------
    InvalidInputError
        If an argument is out of range or no noise multiplier below 1e6 meets the target.

    Examples
    --------
    >>> from skfusiondp.accounting import calibrate_noise_multiplier
    >>> sigma = calibrate_noise_multiplier(2.0, 1e-5, sample_rate=0.01, steps=1000)
    >>> 1.1 < sigma < 1.3
    True
    """
    check_delta(delta)
    if not (isinstance(epsilon, Real) and 0 < epsilon < math.inf):
        raise InvalidInputError(
            f"epsilon={epsilon!r} must be a positive, finite number; typical budgets are 0.5 to 8."
        )
    if not 0 < sample_rate <= 1 or steps < 1 or adjacency not in ADJACENCIES:
        raise InvalidInputError(
            f"sample_rate={sample_rate!r} must be in (0, 1], steps={steps!r} at least 1 and "
            f"adjacency={adjacency!r} one of {', '.join(ADJACENCIES)}."
        )
    return _calibrate(float(epsilon), float(delta), float(sample_rate), int(steps), adjacency)


def check_delta(delta: float) -> None:
    """Refuse a delta outside (0, 1)."""
    if not (isinstance(delta, Real) and 0 < delta < 1):
        raise InvalidInputError(
            f"delta={delta!r} must lie strictly between 0 and 1; choose it well below one over the "
            "number of rows, or pass delta=None for 1/(10 n)."
        )


def adjacency_of(entries: Sequence[LedgerEntry]) -> str:
    """The one neighbouring relation of `entries`."""
    relations = {e.adjacency for e in entries}
    if len(relations) > 1:
        raise InvalidInputError(
            f"The ledger holds mechanisms under different neighbouring relations ({sorted(relations)}), "
            "which do not compose into one epsilon; ask for the epsilon of each part."
        )
    return relations.pop() if relations else "replace"


@functools.lru_cache(maxsize=512)
def _calibrate(epsilon: float, delta: float, q: float, steps: int, adjacency: str) -> float:
    def spent(sigma: float) -> float:
        return _epsilon(((sigma, q, steps),), adjacency, delta, _SEARCH_GRID)

    # Start where the Gaussian limit of the composition puts the answer, then bisect on log sigma.
    high = max(0.3, q * math.sqrt(steps) * math.sqrt(2 * math.log(1 / delta)) / epsilon)
    while spent(high) > epsilon:
        high *= 1.6
        if high > 1e6:
            raise InvalidInputError(
                f"No noise multiplier below 1e6 gives epsilon={epsilon} at delta={delta} for {steps} "
                f"steps with sampling rate {q:.3g}; raise epsilon or run fewer steps."
            )
    low = high / 1.6
    while low > 1e-2 and spent(low) <= epsilon:
        low, high = low / 1.6, low
    while high / low > 1.0005:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if spent(middle) <= epsilon else (middle, high)
    return high


@functools.lru_cache(maxsize=4096)
def _epsilon(mechanisms: tuple, adjacency: str, delta: float, grid: float) -> float:
    if any(m[0] < _NO_NOISE for m in mechanisms):
        return math.inf
    if not mechanisms:
        return 0.0
    return float(_accountant(mechanisms, adjacency, grid).get_epsilon(delta))


def _accountant(mechanisms: tuple, adjacency: str, grid: float):
    import dp_accounting as dpa
    from dp_accounting import pld

    # "Zero-out" is dp-accounting's REPLACE_SPECIAL: the row's contribution becomes null. For
    # "replace" see the docs' proof: the pair (+C, -C) dominates every pair of clipped vectors.
    relation = {
        "replace": dpa.NeighboringRelation.REPLACE_ONE,
        "zero-out": dpa.NeighboringRelation.REPLACE_SPECIAL,
        "add-remove": dpa.NeighboringRelation.ADD_OR_REMOVE_ONE,
    }[adjacency]
    # Under tiny noise one step's loss reaches 1/sigma**2; a grid in proportion keeps memory bounded
    # and epsilon, astronomical by then, an upper bound.
    reach = max((4 / s**2 * n for s, _, n in mechanisms if s < 0.1), default=0.0)
    accountant = pld.PLDAccountant(relation, max(grid, reach / 1e6))
    for sigma, q, steps in mechanisms:
        gaussian = dpa.GaussianDpEvent(sigma)
        accountant.compose(dpa.SelfComposedDpEvent(dpa.PoissonSampledDpEvent(q, gaussian), steps))
    return accountant
