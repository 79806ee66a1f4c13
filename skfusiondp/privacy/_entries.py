"""Entries of a ledger: one mechanism each, as it ran, with all that it costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from .._keywords import KnownKeywords
from .._parameters import as_float
from ..exceptions import InvalidInputError
from ._mechanisms import Bound, Gaussian
from ._relations import RELATIONS, Relation, relation

# The accountant cannot compute with larger numbers.
_LARGEST = 1e300
_MOST_ROWS = 1e9


@dataclass(frozen=True)
class LedgerEntry(KnownKeywords):
    """One mechanism that read sensitive cells: `steps` releases of a Poisson-sampled Gaussian.

    Parameters
    ----------
    noise_multiplier : float
        Noise standard deviation over the clipping norm. 0 states a read without any noise, whose
        epsilon is infinite.
    sample_rate : float in (0, 1]
        Poisson sampling rate; 1 reads every row.
    steps : int
        Releases that really ran.
    adjacency : {"replace", "zero-out", "add-remove"}
        Neighbouring relation.
    protects : tuple of str
        Sensitive columns whose cells it read; empty for whole rows.
    n_rows : int
        Rows that the mechanism could read (public).
    source : str
        Which estimator and method wrote the entry.
    part : str
        ``"partition/part"`` where only one part of a public partition of the rows was read, such as
        ``"site/3"``; parts of one partition compose in parallel. Empty for all rows.
    rows_per_unit : int
        The most rows of one unit, such as a person, that it read; 1 where each row is a unit.

    Raises
    ------
    InvalidInputError
        If a field is out of range.
    """

    _plain_values = True

    noise_multiplier: float
    sample_rate: float
    steps: int
    adjacency: str = "replace"
    protects: tuple[str, ...] = ()
    n_rows: int = 0
    source: str = ""
    part: str = ""
    rows_per_unit: int = 1

    def __post_init__(self) -> None:
        sigma, q, steps = (as_float(v) for v in (self.noise_multiplier, self.sample_rate, self.steps))
        valid = (
            0 <= sigma < _LARGEST and 0 < q <= 1 and 1 <= steps < _LARGEST and self.steps == int(self.steps)
        )
        must = "noise_multiplier must be at least 0, sample_rate in (0, 1] and steps a positive whole number"
        _check(self, valid, must)
        _store(self, {"noise_multiplier": sigma, "sample_rate": q, "steps": int(self.steps)})

    @property
    def mechanism(self) -> Gaussian:
        """Noise multiplier, sampling rate and steps: all that the accountant needs."""
        return Gaussian(self.noise_multiplier, self.sample_rate, self.steps)


@dataclass(frozen=True)
class BoundEntry(KnownKeywords):
    """One mechanism known only by its (epsilon, delta), such as an accounted search.

    Parameters
    ----------
    epsilon : float
        At least 0.
    delta : float in [0, 1)
    adjacency : {"replace", "zero-out", "add-remove"}
    protects : tuple of str
    n_rows : int
    source : str
    part : str
        As for ``LedgerEntry``.
    rows_per_unit : int
        The rows that a unit may have whose bound this is; 1 for the bound of a row.

    Raises
    ------
    InvalidInputError
        If a field is out of range.
    """

    _plain_values = True

    epsilon: float
    delta: float
    adjacency: str = "replace"
    protects: tuple[str, ...] = ()
    n_rows: int = 0
    source: str = ""
    part: str = ""
    rows_per_unit: int = 1

    def __post_init__(self) -> None:
        epsilon, delta = as_float(self.epsilon), as_float(self.delta)
        valid = 0 <= epsilon < _LARGEST and 0 <= delta < 1
        _check(self, valid, "epsilon must be at least 0 and delta in [0, 1)")
        _store(self, {"epsilon": epsilon, "delta": delta})

    @property
    def mechanism(self) -> Bound:
        """Epsilon and delta: all that the accountant needs."""
        return Bound(self.epsilon, self.delta)


Entry = LedgerEntry | BoundEntry
#: Kinds of entries, by their names in files.
ENTRY_KINDS: dict[str, Any] = {"gaussian": LedgerEntry, "bound": BoundEntry}


def _check(entry: Entry, valid: bool, must: str) -> None:
    """Refuse an entry whose own numbers are not `valid`, or whose common fields are not."""
    names = isinstance(entry.protects, list | tuple) and all(isinstance(c, str) for c in entry.protects)
    part = isinstance(entry.part, str) and (entry.part == "" or all(entry.part.partition("/")))
    known = isinstance(entry.adjacency, str) and entry.adjacency in RELATIONS
    if not (valid and names and part and known):
        raise InvalidInputError(
            f"{entry!r} is no valid ledger entry: {must}, adjacency one of {', '.join(RELATIONS)}, protects "
            "names of columns, and part empty or of the form 'partition/part'."
        )


def _store(entry: Entry, numbers: dict[str, Any]) -> None:
    """Keep plain Python, so that entries compare, add up and are written whatever they came from."""
    n_rows = as_float(entry.n_rows)
    if not (0 <= n_rows < _LARGEST):
        raise InvalidInputError(f"n_rows={entry.n_rows!r} must be a number of rows, at least 0.")
    rows = as_float(entry.rows_per_unit)
    if not (1 <= rows < _MOST_ROWS and rows == int(rows)):
        raise InvalidInputError(
            f"rows_per_unit={entry.rows_per_unit!r} must be a whole number of at least 1: the most rows of "
            "one unit, such as a person."
        )
    plain = {"n_rows": int(n_rows), "rows_per_unit": int(rows), "protects": tuple(entry.protects)}
    for name, value in {**numbers, **plain}.items():
        object.__setattr__(entry, name, value)


def relation_of(entries: Iterable[Entry]) -> Relation:
    """The one neighbouring relation of `entries`; "replace" where there are none.

    Raises
    ------
    InvalidInputError
        If there are several.
    """
    names = sorted({e.adjacency for e in entries})
    if len(names) > 1:
        raise InvalidInputError(
            f"The ledger holds mechanisms under different neighbouring relations ({names}), "
            "which do not compose into one epsilon; ask for the epsilon of each part."
        )
    return relation(names[0] if names else "replace")


def entry_of(stated: dict) -> Entry:
    """The entry whose fields a file states, with its kind."""
    values = dict(stated)
    kind = ENTRY_KINDS[values.pop("kind", "gaussian")]
    if unknown := set(values) - {f.name for f in fields(kind)}:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    columns, texts = values.get("protects", []), (values.get("source", ""), values.get("part", ""))
    if isinstance(columns, str) or not all(isinstance(c, str) for c in (*columns, *texts)):
        raise ValueError(f"protects={columns!r} must list names, and source and part be texts")
    return kind(**values)
