"""From ledger entries to (epsilon, delta), and from a target to noise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from .._parameters import OneOf, Real, as_float, check_int
from ..exceptions import InvalidInputError
from ._calibration import calibrate
from ._composed_mechanisms import delta_of, epsilon_of
from ._constraints import ADJACENCY, DELTA, EPSILON
from ._entries import Entry, relation_of
from ._mechanisms import Bound, Mechanism
from ._relations import RELATIONS

_MAX_KINDS_OF_ROWS = 256

#: Whose epsilon: a row's, or a unit's (a person's) that may have several.
OF = ("unit", "row")


def compute_epsilon(entries: Sequence[Entry], delta: float, of: str = "unit") -> float:
    """Epsilon of the adaptive composition of `entries` at `delta`.

    Parameters
    ----------
    entries : sequence of LedgerEntry or BoundEntry
        Mechanisms that ran on the same table, all under one neighbouring relation. Those that name
        different parts of one partition of the rows compose in parallel: the costliest part counts
        (for a unit of several rows, which may lie in several parts, all of them).
    delta : float in (0, 1)
    of : {"unit", "row"}, default="unit"
        Whose: a unit's, of which an entry read up to `rows_per_unit` rows, or a single row's. They are
        the same where no entry states more than one. Where one does, an entry that states one is taken
        to have read as many rows of a unit as any other.

    Returns
    -------
    float
        An upper bound, within about a thousandth of what is exact. 0 without entries, infinity if a
        mechanism is not private.

    Raises
    ------
    InvalidInputError
        If the entries have different neighbouring relations, or delta is outside (0, 1).

    References
    ----------
    Composition of dominating pairs: Zhu, Dong and Wang (2022), Theorem 10. Discretised privacy
    loss distributions: Doroshenko et al. (2022). docs/guarantee.md says why this is a bound.

    Examples
    --------
    >>> from skfusiondp.accounting import LedgerEntry, compute_epsilon
    >>> step = LedgerEntry(noise_multiplier=1.0, sample_rate=128 / 14293, steps=1443,
    ...                    adjacency="replace")
    >>> round(compute_epsilon([step], delta=1e-5), 2)
    3.08
    """
    DELTA.check("delta", delta)
    relation = relation_of(entries)
    return max(epsilon_of(m, relation, as_float(delta)) for m in _read_of_one(entries, of))


def compute_delta(entries: Sequence[Entry], epsilon: float, of: str = "unit") -> float:
    """Delta of the adaptive composition of `entries` at `epsilon`.

    Parameters
    ----------
    entries : sequence of LedgerEntry or BoundEntry
    epsilon : float, at least 0
    of : {"unit", "row"}, default="unit"
        As for ``compute_epsilon``.

    Returns
    -------
    float
        An upper bound; 0 without entries, 1 if a mechanism is not private.
    """
    if not as_float(epsilon) >= 0:
        raise InvalidInputError(f"epsilon={epsilon!r} must be a number of at least 0.")
    relation = relation_of(entries)
    return max(delta_of(m, relation, as_float(epsilon)) for m in _read_of_one(entries, of))


def calibrate_noise_multiplier(
    epsilon: float,
    delta: float,
    sample_rate: float,
    steps: int,
    adjacency: str = "replace",
    beside: Sequence[Entry] = (),
    rows_per_unit: int = 1,
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
    beside : sequence of LedgerEntry or BoundEntry, default=()
        What runs on the same rows too, and is paid from the same target.
    rows_per_unit : int, default=1
        The most rows of a unit, such as a person, whose epsilon the target is.

    Returns
    -------
    float
        Noise standard deviation divided by the clipping norm. What it costs is never above
        `epsilon`: the returned value was evaluated, and met the target.

    Raises
    ------
    InvalidInputError
        If an argument is out of range, `beside` alone exceeds the target, or no noise multiplier
        below 1e9 meets it.

    Examples
    --------
    >>> from skfusiondp.accounting import calibrate_noise_multiplier
    >>> sigma = calibrate_noise_multiplier(2.0, 1e-5, sample_rate=0.01, steps=1000)
    >>> 1.1 < sigma < 1.3
    True
    """
    DELTA.check("delta", delta)
    EPSILON.check("epsilon", epsilon)
    Real(0, 1, closed="right", exact=True).check("sample_rate", sample_rate)
    Real(1, 1e15, closed="left", exact=True).check("steps", steps)
    ADJACENCY.check("adjacency", adjacency)
    check_int("rows_per_unit", rows_per_unit)
    if beside and {e.adjacency for e in beside} != {adjacency}:
        raise InvalidInputError(
            f"The entries in beside= have another neighbouring relation than adjacency={adjacency!r}."
        )
    others = _of_a_unit(beside, int(rows_per_unit))
    epsilon, delta, relation = as_float(epsilon), as_float(delta), RELATIONS[adjacency]
    taken = epsilon_of(others, relation, delta)
    if taken >= epsilon:
        raise InvalidInputError(
            f"epsilon={epsilon!r} is spent already by the entries in beside=, which cost {taken:.4g} at "
            f"delta={delta!r}; raise epsilon, or give the other mechanisms less."
        )
    q, rows = as_float(sample_rate), max([int(rows_per_unit), *(e.rows_per_unit for e in beside)])
    return calibrate(epsilon, delta, q, int(steps), relation, others, rows)


def _read_of_one(entries: Sequence[Entry], of: str) -> list[tuple[Mechanism, ...]]:
    """The mechanisms that read one row or one unit, for every kind of it."""
    OneOf(OF).check("of", of)
    if of == "row" or all(e.rows_per_unit == 1 for e in entries):
        return _of_one_row(entries)
    return [_of_a_unit(entries, 1)]


def _of_a_unit(entries: Sequence[Entry], rows: int) -> tuple[Mechanism, ...]:
    """What each entry costs a unit of which it read as many rows as it states, or as any other does."""
    most = max([rows, *(e.rows_per_unit for e in entries)])

    def read(entry: Entry) -> Mechanism:
        known, mechanism = entry.rows_per_unit > 1, entry.mechanism
        if known and isinstance(mechanism, Bound):
            return mechanism  # a bound that states several rows is a unit's own
        return mechanism.of_unit(entry.rows_per_unit if known else most)

    return tuple(read(entry) for entry in entries)


def _of_one_row(entries: Sequence[Entry]) -> list[tuple[Mechanism, ...]]:
    """The mechanisms that read one row, for every kind of row: parallel composition.

    A row lies in one part of each partition, so it is read by that part's mechanisms and by those
    that name no part.
    """
    parts: dict[str, list[str]] = {}
    for entry in entries:
        if entry.part:
            named = parts.setdefault(entry.part.split("/", 1)[0], [])
            if entry.part not in named:
                named.append(entry.part)
    if math.prod(len(p) for p in parts.values()) > _MAX_KINDS_OF_ROWS:
        # Too many combinations: every entry counts for every row, which is an upper bound.
        return [tuple(e.mechanism for e in entries)]
    return [
        tuple(e.mechanism for e in entries if not e.part or e.part in chosen)
        for chosen in itertools.product(*parts.values())
    ]
