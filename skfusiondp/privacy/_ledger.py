"""The ledger: every mechanism that touched a sensitive cell, as it ran."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..exceptions import InvalidInputError
from ._accountant import compute_delta, compute_epsilon
from ._entries import ENTRY_KINDS, Entry, LedgerEntry, entry_of


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

    _plain_values = True

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
        names = {kind: name for name, kind in ENTRY_KINDS.items()}
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
            return cls(tuple(entry_of(entry) for entry in loaded["entries"]))
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
    """
    if not columns:
        return PrivacyLedger()
    return PrivacyLedger((LedgerEntry(0.0, 1.0, 1, adjacency, columns, n_rows, source),))
