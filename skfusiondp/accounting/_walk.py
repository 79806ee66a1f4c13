"""The walk through a pipeline: which columns each step is fitted on, and what it does with them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..tables._domain import Domain
from ..tables._paired_table import PairedTable
from ._known_steps import (
    SKLEARN_MODEL,
    UNKNOWN_META,
    Meta,
    is_a,
    is_ours,
    knows_meta,
    knows_step,
    meta_of,
    rule_of,
)
from ._provenance import (
    EVERY,
    Flow,
    flow_of,
    joined,
)
from ._step_outputs import (
    after,
    gives_frame,
    imputed,
    named_by,
    prediction,
)

_SEARCHES = ("param_grid", "param_distributions", "search_spaces")
_MEMBERS = ("estimator", "base_estimator", "regressor", "classifier")


@dataclass(frozen=True)
class Seen:
    """Something to say about one step, and the sensitive columns that it is about."""

    path: str
    estimator: str
    sources: frozenset[str]
    severity: str
    why: str
    remedy: str


class Walk:
    """Visit every step in the order of a fit, and note what each one is seen to do.

    Parameters
    ----------
    start : Flow
        The table that the pipeline is fitted on.
    fitting : bool, default=False
        Whether steps of this library are being fitted, and say themselves what their parameters leak.

    Attributes
    ----------
    seen : dict of Seen to None
        In the order of the visit, each once.
    stated : frozenset of str
        Columns that this library's own steps say are sensitive.
    """

    def __init__(self, start: Flow, fitting: bool = False):
        self.start = start
        self.fitting = fitting
        self.seen: dict[Seen, None] = {}
        self.stated: frozenset[str] = frozenset()
        self._instead: dict[str, Any] = {}

    def visit(self, estimator: Any, flow: Flow, path: str = "") -> Flow:
        """Fit one step in thought; give the columns that come out of it, or its predictions."""
        estimator = self._instead.get(path, estimator)
        if estimator is None or (isinstance(estimator, str) and estimator == "passthrough"):
            return flow
        if isinstance(estimator, str):  # "drop"
            return Flow(named=flow.named)
        if _has(estimator, "transformers", "remainder"):
            return self._column_transformer(estimator, flow, path)
        if _has(estimator, "transformer_list"):
            return self._union(estimator, flow, path)
        if isinstance(getattr(estimator, "steps", None), list):
            for name, step in self._get(estimator, path, "steps"):
                flow = self.visit(step, flow, _join(path, name))
            return flow
        if _has(estimator, "estimator") and any(hasattr(estimator, n) for n in _SEARCHES):
            return self._search(estimator, flow, path)
        if is_ours(estimator):
            return self._ours(estimator, flow, path)
        if is_a(estimator, "FrozenEstimator"):
            self._say(
                estimator, path, flow.sources, "note", "was fitted before; what it learnt must be public", ""
            )
            return after(estimator, flow, "mixed" if hasattr(estimator, "transform") else "prediction")
        if knows_meta(estimator) or (not knows_step(estimator) and list(self._members(estimator, path))):
            return self._meta(estimator, flow, path)
        return self._step(estimator, flow, path)

    # Steps of other libraries ------------------------------------------------------------

    def _step(self, estimator: Any, flow: Flow, path: str) -> Flow:
        rule = rule_of(estimator, lambda name: self._get(estimator, path, name))
        assert not callable(rule.reads) and not callable(rule.note)
        if rule.reads is not None:
            self._say(estimator, path, flow.sources, "leak", rule.reads, rule.remedy)
        if rule.note:
            self._say(estimator, path, flow.sources, "note", rule.note, "")
        return after(estimator, flow, rule.gives)

    def _meta(self, estimator: Any, flow: Flow, path: str) -> Flow:
        meta = meta_of(estimator)
        if meta.follows:
            inner = Walk(self.start, self.fitting)
            inner._instead = self._instead
            inner._predictions(estimator, meta, flow, path)
            self.stated |= inner.stated
            if not any(s.severity == "leak" and s.sources for s in inner.seen):
                self.seen.update(inner.seen)
                return flow
            self._say(estimator, path, flow.sources, "leak", str(meta.reads), meta.remedy)
            return flow
        sources = self._predictions(estimator, meta, flow, path)
        reads = meta.reads(lambda n: self._get(estimator, path, n)) if callable(meta.reads) else meta.reads
        if reads is not None:
            # What nobody knows may read any cell that it is handed, whatever its members do.
            about = flow.sources if meta is UNKNOWN_META else sources
            self._say(estimator, path, about, "leak", reads, meta.remedy)
        if meta.selects:
            return flow
        return prediction(sources)

    def _predictions(self, estimator: Any, meta: Meta, flow: Flow, path: str) -> frozenset[str]:
        """Visit the members; the sensitive columns that enter their predictions."""
        sources: frozenset[str] = frozenset()
        for name, member in self._members(estimator, path):
            if member is None:  # the class's own default, a model without privacy
                self._say(
                    estimator,
                    _join(path, name),
                    flow.sources,
                    "leak",
                    f"has {name}=None, and the default model {SKLEARN_MODEL.reads}",
                    SKLEARN_MODEL.remedy,
                )
                sources |= flow.sources
                continue
            sources |= self.visit(member, flow, _join(path, name)).sources
        if meta.stacks:
            stacked = prediction(sources)
            if self._get(estimator, path, "passthrough"):
                stacked = joined([stacked, flow], named=False)
            final = self._get(estimator, path, "final_estimator")
            if final is None:
                self._say(
                    estimator,
                    _join(path, "final_estimator"),
                    stacked.sources,
                    "leak",
                    "has final_estimator=None, and the default model learns from predictions on true cells",
                    SKLEARN_MODEL.remedy,
                )
            else:
                self.visit(final, stacked, _join(path, "final_estimator"))
            sources |= stacked.sources
        return sources

    def _members(self, estimator: Any, path: str) -> Iterator[tuple[str, Any]]:
        names = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else ()
        for name in _MEMBERS:
            if name in names:
                member = self._get(estimator, path, name)
                if member is None or (hasattr(member, "fit") and not isinstance(member, type)):
                    yield name, member
        members = self._get(estimator, path, "estimators") if "estimators" in names else None
        if isinstance(members, list):
            for item in members:
                pair = isinstance(item, tuple) and len(item) == 2
                name, member = item if pair else (type(item).__name__, item)
                if hasattr(member, "fit"):
                    yield str(name), member

    def _search(self, estimator: Any, flow: Flow, path: str) -> Flow:
        inside = _join(path, "estimator")
        before, outs = self._instead, []
        for choice in _choices(estimator):
            self._instead = {**before, **{_join(inside, k): v for k, v in choice.items()}}
            outs.append(self.visit(estimator.estimator, flow, inside))
        self._instead = before
        sources = frozenset().union(*(out.sources for out in outs))
        if not getattr(estimator, "_accounts_for_privacy", False):
            self._say(
                estimator,
                path,
                sources,
                "uncovered",
                "scores candidates on rows whose true cells they read, and picks the best: neither is "
                "covered by the released model's epsilon",
                "Choose parameters beforehand or on public rows.",
            )
        return outs[0] if len(outs) == 1 else prediction(sources)

    # Containers ------------------------------------------------------------

    def _column_transformer(self, estimator: Any, flow: Flow, path: str) -> Flow:
        parts, left = [], flow
        fitted = {
            name: columns
            for name, _, columns in getattr(estimator, "transformers_", ())
            if flow.rest is None and not callable(columns)
        }
        naming = getattr(estimator, "verbose_feature_names_out", True)
        for name, step, key in self._get(estimator, path, "transformers"):
            given = flow.pick(fitted.get(name, key) if callable(key) else key)
            full = _join(path, name)
            if given is None:
                if not (isinstance(step, str) and step in ("passthrough", "drop")):
                    self._say(
                        step,
                        full,
                        flow.sources,
                        "leak",
                        f"gets columns that cannot be told without the table (columns={_brief(key)})",
                        "Pass X=table to check_pipeline: only names and types are read.",
                    )
                given = flow
            else:
                left = left.without(given)
            parts.append(named_by(naming, name, self.visit(step, given, full)))
        rest = self.visit(self._get(estimator, path, "remainder"), left, _join(path, "remainder"))
        parts.append(named_by(naming, "remainder", rest))
        return joined(parts, gives_frame(estimator))

    def _union(self, estimator: Any, flow: Flow, path: str) -> Flow:
        naming = getattr(estimator, "verbose_feature_names_out", True)
        parts = []
        for name, step in self._get(estimator, path, "transformer_list"):
            parts.append(named_by(naming, name, self.visit(step, flow, _join(path, name))))
        return joined(parts, gives_frame(estimator))

    # This library's own steps ------------------------------------------------------------

    def _ours(self, estimator: Any, flow: Flow, path: str) -> Flow:
        imputer = self._get(estimator, path, "imputer")
        method = self._get(estimator, path, "method")
        sensitive = self._get(estimator, path, "sensitive")
        if sensitive is None and imputer is not None:
            sensitive = getattr(imputer, "sensitive", None)
        if not hasattr(estimator, "sensitive"):
            return after(estimator, flow, "prediction" if method or _predicts(estimator) else "same")
        if sensitive is None and flow.protected is not None and method:
            stated = Flow(tuple(c for c in flow.columns if c.sources and c.sources <= flow.protected))
        else:
            stated = self._stated(estimator, sensitive, flow, path)
            support = getattr(estimator, "support", None) if imputer is None else imputer.support
            self._domains(estimator, sensitive, support, stated, path)
        self.stated |= flow.sources if method == "dp-sgd" else stated.sources
        # What pays for its own columns lets all others pass, and reads none of them.
        paid = is_a(estimator, "PrivateTransformer")
        treated_as_public = frozenset() if paid else self._undeclared(estimator, stated, flow, path)
        if method == "non-private" and not self.fitting:
            why = "reads true cells without noise (method='non-private')"
            self._say(estimator, path, flow.sources, "leak", why, "Use method='fusiondp'.")
        for callback in getattr(estimator, "callbacks", None) or ():
            own = callback[1] if isinstance(callback, tuple) else callback
            if type(own).__module__.split(".")[0] not in ("skorch", "skfusiondp"):
                self._say(
                    estimator,
                    path,
                    flow.sources,
                    "note",
                    f"has the callback {type(own).__name__}: it is handed the hybrid view, and what it "
                    "reads beyond that is not covered",
                    "",
                )
        if is_a(estimator, "FoundationImputer"):
            return imputed(estimator, stated, treated_as_public, flow)
        if is_a(estimator, "TableEncoder"):
            return after(estimator, flow, "mixed")
        if method:
            return prediction(treated_as_public if method == "hybrid" else flow.sources)
        return after(estimator, flow, "prediction" if _predicts(estimator) else "same")

    def _stated(self, estimator: Any, sensitive: Any, flow: Flow, path: str) -> Flow:
        """The columns of the step's own `sensitive`."""
        fitted = getattr(getattr(estimator, "schema_", None), "sensitive", None)
        stated = flow.pick(sensitive)
        if stated is None and fitted is not None:
            sensitive, stated = list(fitted), flow.pick(list(fitted))
        if stated is not None:
            if not flow.named and sensitive is not None and _texts(sensitive):
                self._say(
                    estimator,
                    path,
                    stated.sources,
                    "note",
                    "names its sensitive columns, but is handed an array: its fit refuses that",
                    "Call set_output(transform='pandas') on the steps before it.",
                )
            return stated
        keys = _texts(sensitive)
        found = [part for k in keys if (part := flow.pick(k)) is not None]
        lost = [k for k in keys if flow.pick(k) is None]
        known = [part for k in lost if (part := self.start.pick(k)) is not None]
        self.stated = self.stated.union(*(part.sources for part in known))
        why = (
            f"names {_brief(lost)} sensitive, which the steps before it have renamed or mixed with others"
            if keys
            else f"has sensitive={_brief(sensitive)}, which cannot be told without the table"
        )
        remedy = (
            "Let sensitive columns pass by the steps before it under their own names "
            "(verbose_feature_names_out=False, set_output(transform='pandas'))."
            if keys
            else "Pass X=table to check_pipeline: only names and types are read."
        )
        about = frozenset().union(*(part.sources for part in known)) or flow.sources
        self._say(estimator, path, about, "leak", why, remedy)
        # What is not understood is said once, above; it is not said again of every column.
        return joined(found, flow.named) if keys else flow

    def _undeclared(self, estimator: Any, stated: Flow, flow: Flow, path: str) -> frozenset[str]:
        """Sensitive columns that the step takes to be public."""
        if stated is flow or stated == flow:
            return frozenset()
        names = [c.name for c in stated.columns]
        open_ = [
            c
            for c in flow.columns
            if c.sources and c not in stated.columns and not (c.many and any(c.matches(n) for n in names))
        ]
        sources = flow.rest_sources.union(*(c.sources for c in open_))
        self._say(
            estimator,
            path,
            sources,
            "leak",
            f"takes {_brief([c.name for c in open_] or 'them')} for public, and reads it without paying",
            "Name it in sensitive=, or leave it out before this step.",
        )
        return sources

    def _domains(self, estimator: Any, sensitive: Any, support: Any, stated: Flow, path: str) -> None:
        if self.fitting:
            return
        schema = getattr(estimator, "schema_", None)
        if schema is not None:
            part = stated.pick(list(schema.leaks))
            open_ = part.sources if part is not None else stated.sources
        elif support is not None:
            return
        elif isinstance(sensitive, Mapping):
            part = stated.pick([k for k, d in sensitive.items() if not isinstance(d, Domain)])
            open_ = part.sources if part is not None else frozenset()
        else:
            open_ = stated.sources
        self._say(
            estimator,
            path,
            open_,
            "leak",
            "reads their domains off the training cells",
            "Declare each one: sensitive={column: Numeric(low, high) or Categorical([...])}.",
        )

    def _say(
        self, estimator: Any, path: str, sources: frozenset[str], severity: str, why: str, remedy: str
    ) -> None:
        name = estimator if isinstance(estimator, str) else type(estimator).__name__
        if sources:
            self.seen[Seen(path, name, sources, severity, why, remedy)] = None

    def _get(self, estimator: Any, path: str, name: str) -> Any:
        return self._instead.get(_join(path, name), getattr(estimator, name, None))


def start_of(pipe: Any, X: Any) -> Flow:
    """The columns of the table, or those that a fitted pipeline remembers, or none that are known."""
    known = flow_of(X)
    if known is None and not isinstance(X, PairedTable):
        names = _remembered(pipe, "feature_names_in_")
        count = _remembered(pipe, "n_features_in_")
        if names is not None:
            known = flow_of([str(n) for n in names])
        elif isinstance(count, int | np.integer) and not _names_anywhere(pipe):
            known = flow_of([f"x{i}" for i in range(count)])
    return Flow(rest=frozenset({EVERY})) if known is None else known


def _remembered(pipe: Any, name: str) -> Any:
    with contextlib.suppress(Exception):  # unfitted pipelines and searches raise as they like
        return getattr(pipe, name)
    return None


def _names_anywhere(pipe: Any) -> bool:
    """Whether a step remembers column names, so that the table had some and was no array."""
    parts = pipe.get_params(deep=True).values() if hasattr(pipe, "get_params") else ()
    return any(_remembered(part, "feature_names_in_") is not None for part in parts)


def _choices(search: Any) -> Iterator[dict[str, Any]]:
    """Parameters to walk with: the first of each grid, and then each other value once."""
    grids: Any = next((g for n in _SEARCHES if (g := getattr(search, n, None)) is not None), {})
    for grid in [grids] if isinstance(grids, Mapping) else grids:
        lists = {
            k: list(v)
            for k, v in (grid.items() if isinstance(grid, Mapping) else ())
            if isinstance(v, list | tuple | np.ndarray) and len(v)
        }
        first = {k: v[0] for k, v in lists.items()}
        yield first
        yield from ({**first, k: other} for k, v in lists.items() for other in v[1:])


def _predicts(estimator: Any) -> bool:
    return hasattr(estimator, "predict") and not hasattr(estimator, "transform")


def _texts(sensitive: Any) -> list[str]:
    """The names in a selector; none if it goes by anything else."""
    keys = [sensitive] if isinstance(sensitive, str) else sensitive
    if callable(keys) or not isinstance(keys, Iterable):
        return []
    keys = list(keys)
    return keys if all(isinstance(k, str) for k in keys) else []


def _has(estimator: Any, *names: str) -> bool:
    return all(hasattr(estimator, n) for n in names)


def _join(path: str, name: Any) -> str:
    return f"{path}__{name}" if path else str(name)


def _brief(value: Any, most: int = 6) -> str:
    if isinstance(value, list | tuple):
        shown = ", ".join(repr(v) for v in itertools.islice(value, most))
        return shown if len(value) <= most else f"{shown} and {len(value) - most} more"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
