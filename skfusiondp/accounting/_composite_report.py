"""``privacy_report``: what all fitted steps of a pipeline have spent together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..exceptions import InvalidInputError
from ..privacy import BoundEntry, PrivacyLedger
from ..privacy._relations import RELATIONS, whose_rows
from ._candidates import is_search
from ._check_pipeline import PipelineCheck, check_pipeline
from ._known_steps import knows_meta, meta_of
from ._parts import Part, is_fitted, join, members, private_parts, spends
from ._privacy_report import PrivacyReport


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
    lost : tuple of LostFits
        Fits whose ledgers are lost.
    """

    parts: tuple[Part, ...]
    check: PipelineCheck
    adjacency: str
    delta: float
    lost: tuple[LostFits, ...] = ()

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
        """Epsilon of everything under `adjacency`, at `delta`; infinite if the ledgers are no bound."""
        return float("inf") if self.unbounded else self.epsilon_of_the_ledger

    @property
    def unbounded(self) -> bool:
        """Whether the ledgers do not bound what the composite tells: something leaks, or a ledger is lost."""
        return bool(self.check.leaks) or any(fits.made_of for fits in self.lost)

    @property
    def epsilon_of_the_ledger(self) -> float:
        """Epsilon of what has been paid for."""
        return self.same.epsilon(self.delta) if len(self.same) else 0.0

    @property
    def _schemas(self) -> list[Any]:
        found = (getattr(part.spender, "schema_", None) for part in self.parts)
        return [schema for schema in found if schema is not None]

    @property
    def called(self) -> dict[str, str]:
        """What the user calls columns that a part's table has under other names."""
        return {c: name for schema in self._schemas for c, name in schema.called.items()}

    @property
    def domains(self) -> dict[str, Any]:
        """Sensitive columns of all parts, each with its domain."""
        return {schema.name(c): d for schema in self._schemas for c, d in schema.domains.items()}


def privacy_report(fitted: Any, *, delta: float | None = None) -> PrivacyReport:
    """Add up what the steps of a fitted pipeline, search or other estimator of estimators have spent.

    Every fitted object inside that keeps a ledger is found, and all entries under one neighbouring
    relation are composed. Steps whose ledgers are under another relation are listed apart.

    Parameters
    ----------
    fitted : estimator
        A fitted Pipeline, ColumnTransformer, FeatureUnion, search, or any other estimator.
    delta : float, default=None
        Delta of the total; the smallest ``delta_`` of the steps if not given.

    Returns
    -------
    PrivacyReport
        Its relation is that of the last step with a ledger. Its ``mechanism`` has a line for each
        step, and ``not_covered`` what `check_pipeline` finds and which ledgers were lost. If a step
        leaks, epsilon is infinite: the ledger then does not bound what the model tells.

    Raises
    ------
    InvalidInputError
        If `fitted` is not fitted, a part's ledger is lost, or `delta` is needed and no part has one.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skfusiondp import FusionDPClassifier
    >>> from skfusiondp.accounting import privacy_report
    >>> from skfusiondp.datasets import load_adult
    >>> adult = load_adult()
    >>> pipe = make_pipeline("passthrough", FusionDPClassifier(adult.sensitive, epsilon=1.0, steps=4))
    >>> report = privacy_report(pipe.fit(adult.table[:500], adult.target[:500]))
    >>> report.epsilon <= 1, len(report.ledger)
    (True, 2)
    """
    account = account_of(fitted, delta)
    relations = {e.adjacency for e in account.ledger}
    gaps = [f"{f.severity}: {f}" for f in account.check]
    gaps += [
        f"what was spent under {a}: it does not add to {account.adjacency}"
        for a in sorted(relations - {account.adjacency})
    ]
    gaps += [fits.text for fits in account.lost]
    gaps += [
        f"earlier fits of {part.path}: each fit around it makes a new one, with a ledger of its own; a "
        "shared PrivacyBudget counts them all"
        for part in account.parts
        if part.cloned
    ]
    reports = list(_reports(account))
    schemas = list(_schemas(fitted, set()))
    facts = [fact for _, report in reports for fact in report.public]
    if schemas:
        facts.append("what the imputer learnt: its support rows or its pretrained model")
    protected = {c: d for _, r in reports for c, d in r.protected.items()}
    for schema in schemas:
        for c, facts_of_it in schema.facts.items():
            protected.setdefault(c, facts_of_it)
    gaps += [f"{path}: {gap}" if path else gap for path, report in reports for gap in report.not_covered]
    rows = RELATIONS[account.adjacency].protects_rows
    methods = dict.fromkeys(report.method for _, report in reports)
    # Inside a search that is not handed over, its members remember it.
    searches = [fits.kind for fits in account.lost if not fits.made_of]
    searches += [report.chosen_by for _, report in reports if report.chosen_by]
    return PrivacyReport(
        estimator=type(fitted).__name__,
        method=", ".join(methods) or "none",
        protected={} if rows else protected,
        adjacency=account.adjacency,
        epsilon=account.epsilon,
        delta=account.delta,
        n_rows=max((report.n_rows for _, report in reports), default=0),
        mechanism=_lines(account),
        ledger=account.ledger,
        unit=next((report.unit for _, report in reports if report.unit), ""),
        public=tuple(dict.fromkeys(facts)),
        not_covered=tuple(dict.fromkeys(gaps)),
        chosen_by=", ".join(dict.fromkeys(searches)),
    )


def _reports(account: Account) -> Iterator[tuple[str, PrivacyReport]]:
    """The parts' own reports; of a part without one, those of the parts inside it."""
    for part in account.parts:
        for path, spender in [(part.path, part.spender), *_inside(part)]:
            if callable(getattr(spender, "privacy_report", None)) and hasattr(spender, "ledger_"):
                yield path, spender.privacy_report()


def _inside(part: Part) -> list[tuple[str, Any]]:
    if callable(getattr(part.spender, "privacy_report", None)):
        return []
    found = [(name, p) for name, member in members(part.spender) for p in private_parts(member)]
    return [
        (join(join(part.path, name), p.path) if p.path else join(part.path, name), p.spender)
        for name, p in found
    ]


def _schemas(obj: Any, seen: set[int]) -> Iterator[Any]:
    """Schemas of what knows sensitive columns and reads none: fitted imputers."""
    if id(obj) in seen or spends(obj):
        return
    seen.add(id(obj))
    if hasattr(obj, "schema_"):
        yield obj.schema_
    for _, member in members(obj):
        yield from _schemas(member, seen)


def _lines(account: Account) -> dict[str, Any]:
    """A line for each part and for each neighbouring relation."""
    lines: dict[str, Any] = {}
    for part in account.parts:
        for name, count in Counter(e.adjacency for e in part.ledger).items():
            own = part.ledger.under(name)
            mechanisms = "mechanism" if count == 1 else "mechanisms"
            place = f"step {part.path.replace('__', '.')}" if part.path else "all of it"
            lines[place if name == account.adjacency else f"{place} ({name})"] = (
                f"epsilon {own.epsilon(account.delta):.5g} at delta {account.delta:.5g} ({count} "
                f"{mechanisms}, {name}, of {whose_rows(own.rows_per_unit)})"
            )
    for name in sorted({e.adjacency for e in account.ledger} - {account.adjacency}):
        lines[f"epsilon_under_{name}"] = account.ledger.under(name).epsilon(account.delta)
    lines["epsilon_of_the_ledger"] = account.epsilon_of_the_ledger
    lines["mechanisms_in_ledger"] = len(account.same)
    return lines


class LostFits(NamedTuple):
    """Fits whose ledgers are lost.

    Parameters
    ----------
    text : str
        Which, in words.
    made_of : bool
        Whether what was released is made of them, and not only chosen by them.
    kind : str
        Class of what has fitted them.
    """

    text: str
    made_of: bool
    kind: str


def lost_fits(obj: Any, path: str) -> Iterator[LostFits]:
    """Fits whose ledgers went with the clones that a search or the like has thrown away."""
    if spends(obj) or getattr(obj, "_counts_its_fits", False):
        return
    lost, made_of = "", False
    if is_search(obj):
        lost = "the cross-validation fits"
    elif knows_meta(obj):
        lost, made_of = str(meta_of(obj).loses), True
    if lost and private_parts(obj):
        place = f"{path} ({type(obj).__name__})" if path else type(obj).__name__
        text = (
            f"{place}: {lost} have read sensitive cells too, and their ledgers are lost with the clones, "
            "unless a shared PrivacyBudget has recorded them"
        )
        yield LostFits(text, made_of, type(obj).__name__)
    for name, inner in members(obj):
        yield from lost_fits(inner, join(path, name))


def account_of(fitted: Any, delta: float | None = None) -> Account:
    """Add up what a fitted composite has spent, and check the rest of it.

    `delta` is that of the total: the smallest ``delta_`` of the parts if None.

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
        delta = _delta(parts)
    if delta is None:
        if spent:
            raise InvalidInputError("delta=None, and no part has a delta_ of its own: give one, like 1e-5.")
        delta = 0.0
    last = spent[-1].spender if spent else None
    adjacency = getattr(last, "_relation", None) or (
        spent[-1].ledger.entries[-1].adjacency if spent else "replace"
    )
    lost = dict.fromkeys(lost_fits(fitted, ""))
    return Account(parts, check_pipeline(fitted), adjacency, delta, tuple(lost))


def _delta(parts: tuple[Part, ...]) -> float | None:
    """The smallest delta of the parts, on top of what those need that are known by a bound alone."""
    bounds = sum(e.delta for part in parts for e in part.ledger if isinstance(e, BoundEntry))
    plain = [p for p in parts if not any(isinstance(e, BoundEntry) for e in p.ledger)]
    smallest = min((d for part in plain for d in _deltas(part.spender)), default=None)
    return bounds + (smallest or 0.0) if bounds else smallest


def _deltas(spender: Any) -> list[float]:
    """Delta of a part, or those of the parts inside it where it has none of its own."""
    if hasattr(spender, "delta_"):
        return [float(spender.delta_)]
    return [
        d for _, member in members(spender) for part in private_parts(member) for d in _deltas(part.spender)
    ]
