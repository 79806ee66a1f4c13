"""The ledger: every mechanism that touched a sensitive cell, as it ran."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

from .._exceptions import InvalidInputError
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
        Sensitive columns; empty for whole rows.
    n_rows : int
        Rows that the mechanism could read (public).
    source : str
        Which estimator and method wrote the entry.

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

    def __post_init__(self) -> None:
        object.__setattr__(self, "protects", tuple(self.protects))
        numbers = all(
            isinstance(v, int | float) and not isinstance(v, bool)
            for v in (self.noise_multiplier, self.sample_rate, self.steps)
        )
        if not (
            numbers
            and 0 <= self.noise_multiplier < float("inf")
            and 0 < self.sample_rate <= 1
            and 1 <= self.steps < float("inf")
            and self.steps == int(self.steps)
            and self.adjacency in ADJACENCIES
        ):
            raise InvalidInputError(
                f"{self!r} is no valid ledger entry: noise_multiplier must be at least 0, sample_rate in "
                f"(0, 1], steps a positive whole number and adjacency one of {', '.join(ADJACENCIES)}."
            )

    @property
    def mechanism(self) -> tuple[float, float, int]:
        """(noise multiplier, sampling rate, steps): all that the accountant needs."""
        return (float(self.noise_multiplier), float(self.sample_rate), int(self.steps))


@dataclass(frozen=True)
class PrivacyLedger:
    """What was read, how, and under which neighbouring relation; immutable, merged with ``+``.

    Parameters
    ----------
    entries : tuple of LedgerEntry
        In the order in which they ran, all on the same rows.

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

    entries: tuple[LedgerEntry, ...] = ()

    def __add__(self, other: PrivacyLedger) -> PrivacyLedger:
        return PrivacyLedger(self.entries + other.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[LedgerEntry]:
        return iter(self.entries)

    def epsilon(self, delta: float) -> float:
        """Epsilon of all entries together at `delta` (see ``compute_epsilon``)."""
        return compute_epsilon(self.entries, delta)

    def delta(self, epsilon: float) -> float:
        """Delta of all entries together at `epsilon` (see ``compute_delta``)."""
        return compute_delta(self.entries, epsilon)

    def to_json(self) -> str:
        """The entries as a JSON text."""
        return json.dumps({"version": 1, "entries": [asdict(e) for e in self.entries]}, indent=2)

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
            known = {f.name for f in fields(LedgerEntry)}
            for entry in loaded["entries"]:
                if set(entry) - known:
                    raise ValueError(f"unknown fields {sorted(set(entry) - known)}")
            return cls(tuple(LedgerEntry(**entry) for entry in loaded["entries"]))
        except InvalidInputError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidInputError(
                f"This text is not a ledger written by PrivacyLedger.to_json ({error}); nothing was loaded."
            ) from error
