"""The ledger: every mechanism that touched a sensitive cell, as it ran."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from .._parameters import as_float
from ..exceptions import InvalidInputError
from ._accountant import ADJACENCIES, compute_delta, compute_epsilon


@dataclass(frozen=True)
class LedgerEntry:
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
        numbers = {n: as_float(getattr(self, n)) for n in ("noise_multiplier", "sample_rate", "steps")}
        if not (
            _are_names(self.protects)
            and 0 <= numbers["noise_multiplier"] < _LARGEST
            and 0 < numbers["sample_rate"] <= 1
            and 1 <= numbers["steps"] < _LARGEST
            and self.steps == int(self.steps)
            and isinstance(self.adjacency, str)
            and self.adjacency in ADJACENCIES
            and _is_part(self.part)
        ):
            raise InvalidInputError(
                f"{self!r} is no valid ledger entry: noise_multiplier must be at least 0, sample_rate in "
                f"(0, 1], steps a positive whole number, adjacency one of {', '.join(ADJACENCIES)}, "
                "protects names and part empty or of the form 'partition/part'."
            )
        _store(self, {**numbers, "steps": int(self.steps)})

    @property
    def mechanism(self) -> tuple[float, float, int]:
        """(noise multiplier, sampling rate, steps): all that the accountant needs."""
        return (float(self.noise_multiplier), float(self.sample_rate), int(self.steps))


@dataclass(frozen=True)
class BoundEntry:
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

    epsilon: float
    delta: float
    adjacency: str = "replace"
    protects: tuple[str, ...] = ()
    n_rows: int = 0
    source: str = ""
    part: str = ""
    rows_per_unit: int = 1

    def __post_init__(self) -> None:
        numbers = {n: as_float(getattr(self, n)) for n in ("epsilon", "delta")}
        if not (
            _are_names(self.protects)
            and 0 <= numbers["epsilon"] < _LARGEST
            and 0 <= numbers["delta"] < 1
            and isinstance(self.adjacency, str)
            and self.adjacency in ADJACENCIES
            and _is_part(self.part)
        ):
            raise InvalidInputError(
                f"{self!r} is no valid ledger entry: epsilon must be at least 0, delta in [0, 1), adjacency "
                f"one of {', '.join(ADJACENCIES)} and part empty or of the form 'partition/part'."
            )
        _store(self, numbers)

    @property
    def mechanism(self) -> tuple[float, float]:
        """(epsilon, delta): all that the accountant needs."""
        return (float(self.epsilon), float(self.delta))


Entry = LedgerEntry | BoundEntry
_KINDS: dict[str, Any] = {"gaussian": LedgerEntry, "bound": BoundEntry}


# Numbers beyond this are none that an accountant can use.
_LARGEST = 1e300
_MOST_ROWS = 1e9


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


def _are_names(columns: Any) -> bool:
    return isinstance(columns, list | tuple) and all(isinstance(c, str) for c in columns)


def _is_part(part: Any) -> bool:
    return isinstance(part, str) and (part == "" or all(part.partition("/")))


@dataclass(frozen=True)
class PrivacyLedger:
    """What was read, how, and under which neighbouring relation; immutable, merged with ``+``.

    Parameters
    ----------
    entries : tuple of LedgerEntry or BoundEntry
        In the order in which they ran, all on the same table.

    Examples
    --------
    >>> from skfusiondp import PrivacyLedger
    >>> from skfusiondp.accounting import LedgerEntry
    >>> step = LedgerEntry(noise_multiplier=2.0, sample_rate=0.01, steps=500)
    >>> ledger = PrivacyLedger((step,)) + PrivacyLedger((step,))
    >>> len(ledger), ledger == PrivacyLedger.from_json(ledger.to_json())
    (2, True)
    >>> ledger.epsilon(delta=1e-5) < 2 * PrivacyLedger((step,)).epsilon(delta=1e-5)
    True
    """

    entries: tuple[Entry, ...] = ()

    def __add__(self, other: PrivacyLedger) -> PrivacyLedger:
        return PrivacyLedger(self.entries + other.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def epsilon(self, delta: float, of: str = "unit") -> float:
        """Epsilon of all entries together at `delta`, of a unit or of a row (see ``compute_epsilon``)."""
        return compute_epsilon(self.entries, delta, of)

    def delta(self, epsilon: float, of: str = "unit") -> float:
        """Delta of all entries together at `epsilon`, of a unit or of a row (see ``compute_delta``)."""
        return compute_delta(self.entries, epsilon, of)

    def under(self, adjacency: str) -> PrivacyLedger:
        """The entries of one neighbouring relation: no others compose with them.

        Parameters
        ----------
        adjacency : {"replace", "zero-out", "add-remove"}

        Returns
        -------
        PrivacyLedger
            Empty if there are none.
        """
        return PrivacyLedger(tuple(e for e in self.entries if e.adjacency == adjacency))

    @property
    def rows_per_unit(self) -> int:
        """The most rows of one unit that any entry read; 1 where each row is a unit."""
        return max((e.rows_per_unit for e in self.entries), default=1)

    def epsilon_by_column(self, delta: float) -> dict[str, float]:
        """Epsilon at `delta` of each column alone: of the entries that read it.

        Parameters
        ----------
        delta : float in (0, 1)

        Returns
        -------
        dict of str to float
            For tables that differ only in that column's cells of one row or unit, in order of appearance.
            Where cells of several columns may differ, what read any of them counts:
            ``epsilon_of_columns`` says how much, and that may be more than the largest of these.

        Examples
        --------
        >>> from skfusiondp import PrivacyLedger
        >>> from skfusiondp.accounting import LedgerEntry
        >>> age = LedgerEntry(noise_multiplier=9.0, sample_rate=1.0, steps=1, protects=("age",))
        >>> sex = LedgerEntry(noise_multiplier=9.0, sample_rate=1.0, steps=1, protects=("sex",))
        >>> ledger = PrivacyLedger((age, sex))
        >>> {c: round(e, 2) for c, e in ledger.epsilon_by_column(1e-5).items()}
        {'age': 0.81, 'sex': 0.81}
        >>> round(ledger.epsilon_of_columns(["age", "sex"], 1e-5), 2)
        1.19
        """
        columns = dict.fromkeys(c for e in self.entries for c in e.protects)
        return {c: self.epsilon_of_columns([c], delta) for c in columns}

    def epsilon_of_columns(self, columns: Iterable[str], delta: float) -> float:
        """Epsilon at `delta` of several columns together: of the entries that read any of them.

        Parameters
        ----------
        columns : iterable of str
            Names of sensitive columns; all of them, for tables that differ in any cells of one row.
        delta : float in (0, 1)

        Returns
        -------
        float
            Entries that name no column, which read whole rows, always count.
        """
        if isinstance(columns, str):
            raise InvalidInputError(f"columns={columns!r} must list names of columns, such as [{columns!r}].")
        wanted = set(columns)
        read = [e for e in self.entries if not e.protects or wanted.intersection(e.protects)]
        return compute_epsilon(read, delta)

    def on(self, part: str) -> PrivacyLedger:
        """The same entries, on one part of a public partition of the rows.

        Parameters
        ----------
        part : str
            ``"partition/part"``. Ledgers on different parts of one partition compose in parallel when
            they are added: a row is in one part only.

        Examples
        --------
        >>> from skfusiondp import PrivacyLedger
        >>> from skfusiondp.accounting import LedgerEntry
        >>> fit = PrivacyLedger((LedgerEntry(noise_multiplier=2.0, sample_rate=1.0, steps=1),))
        >>> sites = fit.on("site/north") + fit.on("site/south")
        >>> sites.epsilon(1e-5) == fit.epsilon(1e-5) < (fit + fit).epsilon(1e-5)
        True
        """
        if any(e.part for e in self.entries):
            raise InvalidInputError(
                f"on({part!r}) was called on a ledger that names parts already; call it on the ledger of "
                "each part, then add them."
            )
        return PrivacyLedger(tuple(replace(e, part=part) for e in self.entries))

    def to_json(self) -> str:
        """The entries as a JSON text."""
        names = {kind: name for name, kind in _KINDS.items()}
        entries = [{"kind": names[type(e)], **asdict(e)} for e in self.entries]
        return json.dumps({"version": 1, "entries": entries}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> PrivacyLedger:
        """Read what ``to_json`` wrote.

        Raises
        ------
        InvalidInputError
            If the text is no JSON of a known version, or an entry has unknown or invalid fields.
        """
        try:
            loaded: Any = json.loads(text)
            if loaded["version"] != 1:
                raise ValueError(f"version {loaded['version']!r} is unknown")
            return cls(tuple(_loaded(entry) for entry in loaded["entries"]))
        except InvalidInputError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidInputError(
                f"This text is not a ledger written by PrivacyLedger.to_json ({error}); nothing was loaded."
            ) from error


def read_without_noise(columns: tuple[str, ...], n_rows: int, adjacency: str, source: str) -> PrivacyLedger:
    """The entry of a read that nothing protects, whose epsilon is infinite; none if no column was read.

    Parameters
    ----------
    columns : tuple of str
        Sensitive columns that were read, such as those whose domain training cells gave.
    n_rows : int
    adjacency : str
    source : str

    Returns
    -------
    PrivacyLedger
    """
    if not columns:
        return PrivacyLedger()
    return PrivacyLedger((LedgerEntry(0.0, 1.0, 1, adjacency, columns, n_rows, source),))


def _loaded(entry: dict) -> Entry:
    values = dict(entry)
    kind = _KINDS[values.pop("kind", "gaussian")]
    if unknown := set(values) - {f.name for f in fields(kind)}:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    columns, texts = values.get("protects", []), (values.get("source", ""), values.get("part", ""))
    if isinstance(columns, str) or not all(isinstance(c, str) for c in (*columns, *texts)):
        raise ValueError(f"protects={columns!r} must list names, and source and part be texts")
    return kind(**values)
