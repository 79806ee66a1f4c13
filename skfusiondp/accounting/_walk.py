"""The walk through a pipeline: which columns each step is fitted on, and what it does with them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..tables._domain import Domain
from ..tables._kinds import declarations
from ._accounted import accounts, brought_by_others, is_ours, overridden
from ._candidates import candidates, is_search
from ._discovery import Discovery
from ._finding import Finding
from ._known_steps import (
    SKLEARN_MODEL,
    UNKNOWN_META,
    Meta,
    Rule,
    columns_read,
    is_a,
    knows_meta,
    knows_step,
    meta_of,
    rule_of,
)
from ._parts import join
from ._probe import chosen_by_cells, fitted_on_made_up_rows, probe
from ._provenance import Flow, joined
from ._step_outputs import after, around, counted, does_nothing, gives_frame, imputed, named_by, prediction

_MEMBERS = ("estimator", "base_estimator", "regressor", "classifier")
_SEARCHES = (
    "scores candidates on rows whose true cells they read, and picks the best: neither is covered by the "
    "released model's epsilon"
)
_TABLE_NEEDED = "Pass X=table to check_pipeline: only names and types are read."
_BY_NAME = "Select columns by name: a list, or make_column_selector(pattern=...)."
_LEARNS = (
    "learns from the cells: when it was run on made-up rows, cells of these columns changed what it had "
    "learnt, other rows, or which rows and columns come out"
)
_LEARNS_NOTHING = (
    "On made-up rows it learnt nothing of these columns and changed no other row by them; a condition that "
    "made-up rows do not meet would not be seen"
)


class Walk:
    """Visit every step in the order of a fit, and note what each one is seen to do.

    Parameters
    ----------
    start : Flow
        The table that the pipeline is fitted on.
    domains : mapping of str to domain, default={}
        Declared domains of its columns: made-up rows keep to them.
    fitting : bool, default=False
        Whether steps of this library are being fitted, which report themselves what their parameters leak.
    trying : bool, default=True
        Whether steps of other libraries are run on made-up rows.
    thorough : bool, default=True
        Whether those runs look for every way to learn from cells, and not only which column is made of which.

    Attributes
    ----------
    seen : dict of Finding to None
        In the order of the visit, each once.
    discovery : Discovery
        Which columns the steps say are sensitive.
    """

    def __init__(
        self,
        start: Flow,
        domains: Mapping[str, Any] | None = None,
        *,
        fitting: bool = False,
        trying: bool = True,
        thorough: bool = True,
    ):
        self.start = start
        self.domains = domains or {}
        self.fitting = fitting
        self.trying = trying
        self.thorough = thorough
        self.seen: dict[Finding, None] = {}
        self.discovery = Discovery(start)

    def visit(self, estimator: Any, flow: Flow, path: str = "") -> Flow:
        """Follow the fit of one step; return the columns that come out of it, or its predictions."""
        if estimator is None or (isinstance(estimator, str) and estimator == "passthrough"):
            return flow
        if isinstance(estimator, str):  # "drop"
            return Flow(named=flow.named)
        composite = self._composite(estimator)
        if composite is not None:
            self._composes_only(estimator, flow, path)
            return composite(estimator, flow, path)
        if is_ours(estimator) or accounts(estimator):
            return self._ours(estimator, flow, path)
        if is_a(estimator, "FrozenEstimator") and not brought_by_others(estimator):
            why = "was fitted before; what it learnt must be public"
            self._say(estimator, path, flow.sources, why, severity="note")
            return after(estimator, flow, "same" if hasattr(estimator, "transform") else "prediction")
        if knows_meta(estimator) or (not knows_step(estimator) and list(self._members(estimator))):
            return self._meta(estimator, flow, path)
        return self._step(estimator, flow, path)

    # Steps of other libraries ------------------------------------------------------------

    def _step(self, estimator: Any, flow: Flow, path: str) -> Flow:
        rule = rule_of(estimator)
        assert not callable(rule.reads) and not callable(rule.note)
        keeps_to = self._keeps_to(estimator, flow, rule)
        trial = None
        if self.trying and self._worth_trying(rule, flow, keeps_to):
            handed = replace(flow, polars=self.start.polars)
            trial = probe(estimator, handed, self.domains, self.thorough)
        learns = trial.learns if trial is not None else frozenset()
        if rule.reads is not None and (rule.known or trial is None):
            sources = flow.sources if keeps_to is None else keeps_to.sources
            self._say(estimator, path, sources | learns, rule.reads, rule.remedy)
        elif learns:
            self._say(estimator, path, learns, _LEARNS, rule.remedy)
        elif rule.reads is not None and (keeps_to is None or keeps_to.sources):
            why = f"{rule.reads}. {_LEARNS_NOTHING}"
            self._say(estimator, path, flow.sources, why, severity="note")
        if rule.note:
            self._say(estimator, path, flow.sources, rule.note, severity="note")
        if trial is not None and trial.flow is not None and not does_nothing(estimator):
            return trial.flow
        if keeps_to is not None:
            return joined([flow.without(keeps_to), around(keeps_to)], flow.named)
        return after(estimator, flow, rule.gives)

    @staticmethod
    def _worth_trying(rule: Rule, flow: Flow, keeps_to: Flow | None) -> bool:
        """Whether a run on made-up rows tells more than what is known: it takes time."""
        if rule.known and rule.reads is not None:
            return rule.gives == "each" and keeps_to is None
        return bool(flow.sources) or rule.known

    def _keeps_to(self, estimator: Any, flow: Flow, rule: Rule) -> Flow | None:
        """The columns that a step keeps to, if it is of a library that says so; None if it may read all."""
        named = columns_read(estimator)
        if named is None and is_a(estimator, "BaseEncoder") and self.trying:  # chooses by types of columns
            named = columns_read(fitted_on_made_up_rows(estimator, flow, self.domains))
        return None if named is None else flow.pick(named)

    def _meta(self, estimator: Any, flow: Flow, path: str) -> Flow:
        meta = meta_of(estimator)
        if meta.follows:
            how = {"fitting": self.fitting, "trying": self.trying, "thorough": self.thorough}
            inner = Walk(self.start, self.domains, **how)
            inner._predictions(estimator, meta, flow, path)
            self.discovery.stated |= inner.discovery.stated
            if not any(f.severity == "leak" for f in inner.seen):
                self.seen.update(inner.seen)
                return flow
            self._say(estimator, path, flow.sources, str(meta.reads), meta.remedy)
            return flow
        sources = self._predictions(estimator, meta, flow, path)
        if meta.reads:
            # A class that is not known may read any cell that it is handed, whatever its members do.
            about = flow.sources if meta is UNKNOWN_META else sources
            self._say(estimator, path, about, str(meta.reads), meta.remedy)
        return flow if meta.selects else prediction(sources)

    def _predictions(self, estimator: Any, meta: Meta, flow: Flow, path: str) -> frozenset[str]:
        """Visit the members; the sensitive columns that enter their predictions."""
        sources: frozenset[str] = frozenset()
        for name, member in self._members(estimator):
            if member is None:  # the class's own default, a model without privacy
                why = f"has {name}=None, and the default model {SKLEARN_MODEL.reads}"
                self._say(estimator, join(path, name), flow.sources, why, SKLEARN_MODEL.remedy)
                sources |= flow.sources
                continue
            sources |= self.visit(member, flow, join(path, name)).sources
        if meta.stacks:
            stacked = prediction(sources)
            if getattr(estimator, "passthrough", None):
                stacked = joined([stacked, flow], named=False)
            final, place = getattr(estimator, "final_estimator", None), join(path, "final_estimator")
            if final is None:
                why = "has final_estimator=None, and the default model learns from predictions on true cells"
                self._say(estimator, place, stacked.sources, why, SKLEARN_MODEL.remedy)
            else:
                self.visit(final, stacked, place)
            sources |= stacked.sources
        return sources

    def _members(self, estimator: Any) -> Iterator[tuple[str, Any]]:
        names = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else ()
        for name in _MEMBERS:
            if name in names:
                member = getattr(estimator, name, None)
                if member is None or (hasattr(member, "fit") and not isinstance(member, type)):
                    yield name, member
        members = getattr(estimator, "estimators", None) if "estimators" in names else None
        if isinstance(members, list):
            for item in members:
                pair = isinstance(item, tuple) and len(item) == 2
                name, member = item if pair else (type(item).__name__, item)
                if hasattr(member, "fit"):
                    yield str(name), member

    def _search(self, estimator: Any, flow: Flow, path: str) -> Flow:
        inside = join(path, "estimator")
        chosen = candidates(estimator)
        outs = [self.visit(made, flow, inside) for made in chosen.estimators]
        sources = frozenset().union(*(out.sources for out in outs))
        if chosen.untold:
            why = f"has {chosen.untold}: not every one has been checked"
            self._say(estimator, path, flow.sources, why, "Split it into searches with fewer choices.")
        if not (getattr(estimator, "_accounts_for_privacy", False) and accounts(estimator)):
            remedy = "Choose parameters beforehand or on public rows."
            self._say(estimator, path, sources, _SEARCHES, remedy, "uncovered")
        return outs[0] if len(outs) == 1 else prediction(sources)

    # Containers ------------------------------------------------------------

    def _composite(self, estimator: Any) -> Callable[[Any, Flow, str], Flow] | None:
        """How a container or a search is followed; None for anything else."""
        if _has(estimator, "transformers", "remainder"):
            return self._column_transformer
        if _has(estimator, "transformer_list"):
            return self._union
        if isinstance(getattr(estimator, "steps", None), list):
            return self._pipeline
        if is_search(estimator):
            return self._search
        return None

    def _composes_only(self, estimator: Any, flow: Flow, path: str) -> None:
        brought = brought_by_others(estimator)
        if brought and not accounts(estimator):
            why = f"overrides methods of a class that is known to be free ({', '.join(brought)})"
            remedy = "Use the library's own class, and do the rest in a step of its own."
            self._say(estimator, path, flow.sources, why, remedy)

    def _pipeline(self, estimator: Any, flow: Flow, path: str) -> Flow:
        for name, step in estimator.steps:
            flow = self.visit(step, flow, join(path, name))
        return flow

    def _column_transformer(self, estimator: Any, flow: Flow, path: str) -> Flow:
        parts, left = [], flow
        fitted = {name: (step, key) for name, step, key in getattr(estimator, "transformers_", ())}
        naming = getattr(estimator, "verbose_feature_names_out", True)
        for name, step, key in estimator.transformers:
            choose = key
            if name in fitted:
                own, own_key = fitted[name]
                step = own if type(own) is type(step) else step
                key = own_key if callable(key) and flow.rest is None and not callable(own_key) else key
            given = flow.pick(key)
            full = join(path, name)
            if given is None:
                if not (isinstance(step, str) and step in ("passthrough", "drop")):
                    why = f"gets columns that cannot be told without the table (columns={_brief(key)})"
                    self._say(step, full, flow.sources, why, _TABLE_NEEDED)
                else:
                    self._chooses(step, choose, flow, full)
                given = flow
            else:
                self._chooses(step, choose, flow, full)
                left = left.without(given)
            out = self.visit(step, given, full)
            if flow.rest is None and name in fitted and type(fitted[name][0]) is type(step):
                out = counted(estimator, name, out)
            parts.append(named_by(naming, name, out))
        rest = self.visit(estimator.remainder, left, join(path, "remainder"))
        parts.append(named_by(naming, "remainder", rest))
        return joined(parts, gives_frame(estimator))

    def _chooses(self, step: Any, key: Any, flow: Flow, path: str) -> None:
        """Note a function that selects columns by cells: which columns come out tells of them."""
        if not callable(key) or not flow.sources:
            return
        if type(key).__name__ == "make_column_selector" and type(key).__module__.split(".")[0] == "sklearn":
            typed = key.dtype_include is not None or key.dtype_exclude is not None
            pattern = key.pattern or ""
            named = (c.sources for c in flow.columns if c.many or re.search(pattern, c.name))
            asked = flow.rest_sources.union(*named) if typed else frozenset()
            if asked:
                why = "is handed columns by their types, and one cell can change the type of these"
                self._say(step, path, asked, why, _BY_NAME)
            return
        if not self.trying:
            return
        if chosen_by_cells(key, flow, self.domains):
            why = (
                "is handed columns that a function selects by their cells, or it cannot be told: on made-up "
                "rows its answer changed with these columns, or it could not be asked"
            )
            self._say(step, path, flow.sources, why, f"{_BY_NAME} {_TABLE_NEEDED}")

    def _union(self, estimator: Any, flow: Flow, path: str) -> Flow:
        naming = getattr(estimator, "verbose_feature_names_out", True)
        parts = []
        for name, step in estimator.transformer_list:
            parts.append(named_by(naming, name, self.visit(step, flow, join(path, name))))
        return joined(parts, gives_frame(estimator))

    # This library's own steps ------------------------------------------------------------

    def _ours(self, estimator: Any, flow: Flow, path: str) -> Flow:
        imputer = getattr(estimator, "imputer", None)
        method = getattr(estimator, "method", None)
        sensitive = getattr(estimator, "sensitive", None)
        if not accounts(estimator):
            names = ", ".join(overridden(estimator))
            why = f"puts {names} in place of this library's own, and is not known to pay for what that reads"
            remedy = "Leave it as it is, or state the cost: _accounts_for_privacy = True and planned_ledger."
            self._say(estimator, path, flow.sources, why, remedy)
        if sensitive is None and imputer is not None:
            sensitive = getattr(imputer, "sensitive", None)
        if not hasattr(estimator, "sensitive"):
            return after(estimator, flow, "prediction" if method or _predicts(estimator) else "same")
        if sensitive is None and flow.protected is not None and method:
            stated = Flow(tuple(c for c in flow.columns if c.sources and c.sources <= flow.protected))
        else:
            named_here, known = _as_here(sensitive, flow)
            stated = self._stated(estimator, named_here, known, flow, path)
            support = getattr(estimator, "support", None) if imputer is None else imputer.support
            self._domains(estimator, named_here, support, stated, path)
        self.discovery.note(estimator, sensitive, flow if method == "dp-sgd" else stated)
        # A private transformer reads only the columns that it pays for; DP-SGD pays for all.
        pays_for_all = is_a(estimator, "PrivateTransformer") or method == "dp-sgd"
        treated_as_public = frozenset() if pays_for_all else self._undeclared(estimator, stated, flow, path)
        if method == "non-private" and not self.fitting:
            why = "reads true cells without noise (method='non-private')"
            self._say(estimator, path, flow.sources, why, "Use method='fusiondp'.")
        for callback in getattr(estimator, "callbacks", None) or ():
            own = callback[1] if isinstance(callback, tuple) else callback
            if type(own).__module__.split(".")[0] not in ("skorch", "skfusiondp"):
                why = (
                    f"has the callback {type(own).__name__}: it is handed the hybrid view, and what it reads "
                    "beyond that is not covered"
                )
                self._say(estimator, path, flow.sources, why, severity="note")
        if is_a(estimator, "PrivateSynthesizer") and path:
            why = (
                "draws the sensitive cells of rows to be predicted anew, from public columns: predictions do "
                "not use those cells"
            )
            remedy = "SynthesizedClassifier, SynthesizedRegressor and PrivateResampler leave them."
            self._say(estimator, path, flow.sources, why, remedy, severity="note")
        if is_a(estimator, "FoundationImputer") or is_a(estimator, "BaseSynthesizer"):
            return imputed(estimator, stated, treated_as_public, flow)
        if is_a(estimator, "TableEncoder"):
            return after(estimator, flow, "mixed")
        if method:
            return prediction(flow.sources)
        return after(estimator, flow, "prediction" if _predicts(estimator) else "same")

    def _stated(self, estimator: Any, sensitive: Any, known: bool, flow: Flow, path: str) -> Flow:
        """The columns of the step's own `sensitive`, which is `known` to name unchanged ones."""
        fitted = getattr(getattr(estimator, "schema_", None), "sensitive", None)
        stated = flow.pick(sensitive)
        if stated is None and fitted is not None:
            sensitive, stated = list(fitted), flow.pick(list(fitted))
        if stated is not None:
            self._chooses(estimator, sensitive, flow, path)
            if not (flow.named or known) and sensitive is not None and _texts(sensitive):
                why = "names its sensitive columns, but is handed an array without them: its fit refuses that"
                remedy = "Call set_output(transform='pandas') on the steps before it."
                self._say(estimator, path, stated.sources, why, remedy, "note")
            return stated
        self.discovery.lost = True
        keys = _texts(sensitive)
        found = [part for k in keys if (part := flow.pick(k)) is not None]
        lost = [k for k in keys if flow.pick(k) is None]
        first = [part for k in lost if (part := self.start.pick(k)) is not None]
        self.discovery.stated |= frozenset().union(*(part.sources for part in first))
        places = _places(sensitive) if flow.rest is None else []
        if keys:
            why = (
                f"names {_brief(lost)} sensitive, which the steps before it have renamed or mixed with others"
            )
            remedy = (
                "Let sensitive columns pass by the steps before it under their own names "
                "(verbose_feature_names_out=False, set_output(transform='pandas'))."
            )
        elif places:
            why = f"has sensitive={_brief(sensitive)}, and only a fit tells how many columns are before that"
            remedy = "Put sensitive columns first, or name them (set_output(transform='pandas'))."
        else:
            why = f"has sensitive={_brief(sensitive)}, which cannot be told without the table"
            remedy = _TABLE_NEEDED
        meant = flow.possible(places) if places else flow
        about = frozenset().union(*(part.sources for part in first)) or meant.sources or flow.sources
        self._say(estimator, path, about, why, remedy)
        if meant.columns and meant is not flow:
            return meant
        # The finding above covers every column: none is reported again.
        return joined(found, flow.named) if keys else flow

    def _undeclared(self, estimator: Any, stated: Flow, flow: Flow, path: str) -> frozenset[str]:
        """Sensitive columns that the step takes to be public."""
        if stated is flow or stated == flow:
            return frozenset()
        names = [c.name for c in stated.columns]
        open_ = [c for c in flow.columns if c.sources and c not in stated.columns]
        sources = flow.rest_sources.union(*(c.sources for c in open_))
        if any(c.many and any(c.matches(n) for n in names) for c in open_):
            why = (
                "may be handed more columns made of sensitive ones than it names, and takes those for public"
            )
            remedy = (
                "Pass X=table to check_pipeline, and name in sensitive= all columns that are made of them."
            )
        else:
            shown = _brief([c.name for c in open_]) if open_ else "columns without a name"
            why = f"takes {shown} for public, and reads what it takes for public without paying"
            remedy = "Name them in sensitive=, or leave them out before this step."
        self._say(estimator, path, sources, why, remedy)
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
        remedy = f"Declare each one: sensitive={{column: {declarations()}}}."
        self._say(estimator, path, open_, "reads their domains off the training cells", remedy)

    def _say(
        self,
        estimator: Any,
        path: str,
        sources: frozenset[str],
        why: str,
        remedy: str = "",
        severity: str = "leak",
    ) -> None:
        """Note something about a step, if sensitive columns are concerned."""
        name = estimator if isinstance(estimator, str) else type(estimator).__name__
        if sources:
            self.seen[Finding(path, name, tuple(sorted(sources)), severity, why, remedy)] = None


def _as_here(sensitive: Any, flow: Flow) -> tuple[Any, bool]:
    """A selector by the names that columns have here, and whether each is known by its first name.

    A fit looks them up in the same way (`columns_called`).
    """
    keys = _texts(sensitive)
    known = {k: c.name for k in keys if (c := flow.called(k)) is not None}
    here = {k: k if flow.named and flow.pick(k) is not None else known.get(k, k) for k in keys}
    if isinstance(sensitive, Mapping) and keys:
        sensitive = {here[k]: domain for k, domain in sensitive.items()}
    elif keys:
        sensitive = list(here.values())
    return sensitive, len(known) == len(keys)


def _predicts(estimator: Any) -> bool:
    return hasattr(estimator, "predict") and not hasattr(estimator, "transform")


def _texts(sensitive: Any) -> list[str]:
    """The names in a selector; none if it goes by anything else."""
    keys = [sensitive] if isinstance(sensitive, str) else sensitive
    if callable(keys) or not isinstance(keys, Iterable):
        return []
    keys = list(keys)
    return keys if all(isinstance(k, str) for k in keys) else []


def _places(sensitive: Any) -> list[int]:
    """The positions in a selector; none if it goes by anything else."""
    keys = [sensitive] if isinstance(sensitive, int) else sensitive
    if callable(keys) or isinstance(keys, str | slice) or not isinstance(keys, Iterable):
        return []
    keys = list(keys)
    return keys if all(isinstance(k, int) and not isinstance(k, bool) for k in keys) else []


def _has(estimator: Any, *names: str) -> bool:
    return all(hasattr(estimator, n) for n in names)


def _brief(value: Any, most: int = 6) -> str:
    if isinstance(value, list | tuple):
        shown = ", ".join(repr(v) for v in itertools.islice(value, most))
        return shown if len(value) <= most else f"{shown} and {len(value) - most} more"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
