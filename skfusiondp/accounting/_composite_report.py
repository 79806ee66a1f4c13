"""``privacy_report``: what all fitted steps of a pipeline have spent together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ..exceptions import InvalidInputError
from ..privacy import PrivacyLedger
from ..privacy._relations import whose_rows
from ._candidates import SEARCHES
from ._check_pipeline import check_pipeline
from ._known_steps import knows_meta, meta_of
from ._privacy_report import PrivacyReport
from ._walk import _has, _join

_PARTS = ("steps", "transformer_list")
# Parameters of a fitted object that hold fitted things have no underscore at the end.
_FITTED_PARAMETERS = {"FrozenEstimator": "estimator", "_CalibratedClassifier": "estimator"}


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
        If `fitted` is not fitted, or `delta` is needed and no step has one.

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
    (True, 1)
    """
    steps = list(_ledgers(fitted, "", set()))
    if not steps and not _is_fitted(fitted):
        raise InvalidInputError(f"{type(fitted).__name__} is not fitted: call fit before privacy_report.")
    check = check_pipeline(fitted)
    spent = [(path, step) for path, step in steps if len(step.ledger_)]
    adjacency = spent[-1][1].ledger_.entries[-1].adjacency if spent else "replace"
    ledger = sum((step.ledger_ for _, step in steps), PrivacyLedger())
    same = ledger.under(adjacency)
    if delta is None:
        delta = min((float(s.delta_) for _, s in steps if hasattr(s, "delta_")), default=None)
    if delta is None:
        if len(ledger):
            raise InvalidInputError("delta=None, and no step has a delta_ of its own: give one, like 1e-5.")
        delta = 0.0
    epsilon = same.epsilon(delta) if len(same) else 0.0
    mechanism = _lines(steps, ledger, same, adjacency, epsilon, delta)
    methods = {str(m) for _, s in steps if (m := getattr(s, "method", None)) is not None}
    others = sorted({e.adjacency for e in ledger} - {adjacency})
    gaps = [f"{f.severity}: {f}" for f in check]
    gaps += [f"what was spent under {a}: it does not add to {adjacency}" for a in others]
    gaps += list(_lost(fitted, ""))
    gaps += _steps_gaps(steps)
    return PrivacyReport(
        estimator=type(fitted).__name__,
        method="dp-sgd" if adjacency == "add-remove" else ", ".join(sorted(methods)) or "none",
        protected={} if adjacency == "add-remove" else _protected(steps),
        adjacency=adjacency,
        epsilon=epsilon if check.ok else float("inf"),
        delta=delta,
        n_rows=max((int(getattr(s, "n_rows_", 0)) for _, s in steps), default=0),
        mechanism=mechanism,
        ledger=ledger,
        unit=next((u for _, s in steps if (u := getattr(s, "unit_", ""))), ""),
        public=_public(steps),
        not_covered=tuple(dict.fromkeys(gaps)),
    )


def _ledgers(part: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Fitted objects that keep a ledger, each once; what is inside them, they have counted."""
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(getattr(part, "ledger_", None), PrivacyLedger):
        yield path, part
        return
    for name, inner in _inside(part):
        yield from _ledgers(inner, _join(path, name), seen)


def _inside(part: Any) -> Iterator[tuple[str, Any]]:
    """Fitted objects inside a fitted object, by a name each."""
    held = vars(part) if hasattr(part, "__dict__") else {}
    parameter = _FITTED_PARAMETERS.get(type(part).__name__)
    for name, value in held.items():
        if name in _PARTS or name == parameter or (name.endswith("_") and not name.startswith("__")):
            yield from _objects(name, value, plain=name in _PARTS or name == "transformers_")


def _objects(name: str, value: Any, plain: bool = False) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _objects(f"{name}__{key}", inner)
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            if isinstance(item, tuple) and len(item) > 1 and isinstance(item[0], str):
                yield from _objects(item[0] if plain else f"{name}__{item[0]}", item[1])
            else:
                yield from _objects(f"{name}__{i}", item)
    elif (hasattr(value, "fit") and not isinstance(value, type)) or type(
        value
    ).__name__ in _FITTED_PARAMETERS:
        yield name, value


def _is_fitted(part: Any) -> bool:
    own = [n for n in vars(part) if n.endswith("_") and not n.startswith("_")]
    return bool(own) or any(_is_fitted(p) for _, p in _inside(part) if hasattr(p, "__dict__"))


def _lines(
    steps: list, ledger: PrivacyLedger, same: PrivacyLedger, adjacency: str, epsilon: float, delta: float
) -> dict[str, Any]:
    """A line for each step and for each neighbouring relation."""
    lines: dict[str, Any] = {}
    for path, step in steps:
        for relation, count in Counter(e.adjacency for e in step.ledger_).items():
            own = step.ledger_.under(relation)
            mechanisms = "mechanism" if count == 1 else "mechanisms"
            place = f"step {path.replace('__', '.')}" if path else type(step).__name__
            lines[place if relation == adjacency else f"{place} ({relation})"] = (
                f"epsilon {own.epsilon(delta):.5g} at delta {delta:.5g} ({count} {mechanisms}, {relation}, "
                f"of {whose_rows(own.rows_per_unit)})"
            )
    for relation in sorted({e.adjacency for e in ledger} - {adjacency}):
        lines[f"epsilon_under_{relation}"] = ledger.under(relation).epsilon(delta)
    lines["epsilon_of_the_ledger"] = epsilon
    lines["mechanisms_in_ledger"] = len(same)
    return lines


def _lost(part: Any, path: str) -> Iterator[str]:
    """Fits whose ledgers went with the clones that a search or the like has thrown away."""
    place = f"{path} ({type(part).__name__})" if path else type(part).__name__
    if isinstance(getattr(part, "ledger_", None), PrivacyLedger):
        return
    lost = ""
    if _has(part, "estimator") and any(hasattr(part, n) for n in SEARCHES):
        lost = "the cross-validation fits"
    elif knows_meta(part):
        lost = meta_of(part).loses
    if lost and any(True for _ in _ledgers(part, "", set())):
        yield (
            f"{place}: {lost} have read sensitive cells too, and their ledgers are lost with the clones, "
            "unless a shared PrivacyBudget has recorded them"
        )
    for name, inner in _inside(part):
        yield from _lost(inner, _join(path, name))


def _reports(steps: list) -> Iterator[tuple[str, PrivacyReport]]:
    for path, step in steps:
        own = getattr(step, "privacy_report", None)
        if callable(own):
            report = own()
            if isinstance(report, PrivacyReport):
                yield path, report


def _protected(steps: list) -> dict:
    return {c: d for _, report in _reports(steps) for c, d in report.protected.items()}


def _public(steps: list) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fact for _, report in _reports(steps) for fact in report.public))


def _steps_gaps(steps: list) -> list[str]:
    gaps = [(path, gap) for path, report in _reports(steps) for gap in report.not_covered]
    return [f"{path}: {gap}" if path else gap for path, gap in gaps]
