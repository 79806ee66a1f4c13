"""``account_of``: what the parts of a fitted composite have spent together, and whether that is all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..exceptions import InvalidInputError
from ..privacy import PrivacyLedger
from ._check_pipeline import PipelineCheck, check_pipeline
from ._parts import Part, is_fitted, members, private_parts


@dataclass(frozen=True)
class Account:
    """What everything in a fitted composite has spent.

    Parameters
    ----------
    parts : tuple of Part
        What keeps a ledger, in the order of a fit.
    check : PipelineCheck
        What reads sensitive cells without paying.
    adjacency : str
        Neighbouring relation of the last part that has spent something.
    delta : float
    """

    parts: tuple[Part, ...]
    check: PipelineCheck
    adjacency: str
    delta: float

    @property
    def ledger(self) -> PrivacyLedger:
        """Every entry of every part, under any relation."""
        return sum((part.ledger for part in self.parts), PrivacyLedger())

    @property
    def same(self) -> PrivacyLedger:
        """The entries under `adjacency`: others do not compose with them."""
        return self.ledger.under(self.adjacency)

    @property
    def epsilon(self) -> float:
        """Epsilon of everything under `adjacency`, at `delta`; infinite if something leaks."""
        return float("inf") if self.check.leaks else self.epsilon_of_the_ledger

    @property
    def epsilon_of_the_ledger(self) -> float:
        """Epsilon of what has been paid for."""
        return self.same.epsilon(self.delta) if len(self.same) else 0.0

    @property
    def domains(self) -> dict[str, Any]:
        """Sensitive columns of all parts, each with its domain."""
        schemas = (getattr(part.spender, "schema_", None) for part in self.parts)
        return {c: d for schema in schemas if schema is not None for c, d in schema.domains.items()}


def account_of(fitted: Any, delta: float | None = None) -> Account:
    """Add up what a fitted composite has spent, and check the rest of it.

    Parameters
    ----------
    fitted : estimator
        A fitted Pipeline, ColumnTransformer, FeatureUnion, search, or any other estimator.
    delta : float, default=None
        Delta of the total; the smallest ``delta_`` of the parts if not given.

    Returns
    -------
    Account

    Raises
    ------
    InvalidInputError
        If `fitted` is not fitted, a part's ledger is lost, or `delta` is needed and no part has one.
    """
    parts = private_parts(fitted)
    if not any(hasattr(p.spender, "ledger_") for p in parts) and not is_fitted(fitted):
        raise InvalidInputError(
            f"{type(fitted).__name__} is not fitted: call fit first, then ask what it cost."
        )
    spent = [part for part in parts if len(part.ledger)]
    if delta is None:
        delta = min((d for part in parts for d in _deltas(part.spender)), default=None)
    if delta is None:
        if spent:
            raise InvalidInputError("delta=None, and no part has a delta_ of its own: give one, like 1e-5.")
        delta = 0.0
    last = spent[-1].spender if spent else None
    adjacency = getattr(last, "_relation", None) or (
        spent[-1].ledger.entries[-1].adjacency if spent else "replace"
    )
    return Account(parts, check_pipeline(fitted), adjacency, delta)


def _deltas(spender: Any) -> list[float]:
    """Delta of a part, or those of the parts inside it where it has none of its own."""
    if hasattr(spender, "delta_"):
        return [float(spender.delta_)]
    return [
        d for _, member in members(spender) for part in private_parts(member) for d in _deltas(part.spender)
    ]
