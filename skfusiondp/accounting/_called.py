"""``columns_called``: the columns of a fit's table by the names that they had before steps of a pipeline.

A step hands its columns on under other names (``remainder__age``) or, in an array, under none. The composites
whose fits are running hold the table with its names, and the fitted steps tell where each of its columns
has gone. Only columns whose cells no step has changed are found: for others the domain that the user has
declared may not be right. Names, positions and parameters are looked at, and no cell.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, replace
from typing import Any

from .._parameters import is_whole
from ..exceptions import InvalidInputError
from ..tables._frames import is_frame
from ..tables._select import KEEP_NAMES, Lookup, ending_in
from ._accounted import brought_by_others
from ._candidates import is_search
from ._known_steps import UNKNOWN_META, is_a, meta_of
from ._provenance import Column, Flow, flow_of, joined
from ._running_fits import RunningFit, running_fits
from ._step_outputs import does_nothing, hands_on_cells, keeps_places, named_by


class _Lost(Exception):
    """The columns cannot be followed; the message says why, as the end of a sentence."""


@dataclass(frozen=True)
class _Before:
    """A table with names, and the composites that have handed it on, the outermost first."""

    table: Flow
    levels: tuple[RunningFit, ...]

    def handed(self) -> Flow:
        """The columns that the innermost composite hands to the estimator."""
        flow = self.table
        for level in self.levels:
            flow = _inside(level, flow)
        return flow


def columns_called(estimator: Any, X: Any) -> Lookup:
    """Make the function that finds columns of `X`, on which `estimator` is being fitted, by first names.

    Parameters
    ----------
    estimator : estimator
    X : table
        As its fit was handed it.

    Returns
    -------
    callable
        ``lookup(name)`` gives the column's position where `X` is an array and its name where it is a frame,
        or None where no composite around the fit holds a table with names. It raises `InvalidInputError`
        where the column is not there any more as it was, or not for certain.
    """

    def lookup(key: Any) -> int | str | None:
        before = _before(running_fits(estimator, sys._getframe(1)))
        key = None if before is None else ending_in(key, [c.name for c in before.table.columns])
        if before is None or key is None:
            return None
        try:
            flow = before.handed()
        except _Lost as lost:
            raise _refused(key, f"which cannot be followed to this fit: {lost}") from None
        places = [i for i, c in enumerate(flow.columns) if c.own == key]
        more = X.shape[1] - len(flow.columns)
        if more and not (more > 0 and is_a(before.levels[-1].composite, "_BaseChain")):
            raise _refused(key, "which cannot be followed to this fit: other columns have come to it")
        if not places:
            made = {c.name.rstrip("0123456789"): None for c in flow.columns if key in c.sources}
            how = f"steps before it have changed it ({', '.join(made)})" if made else "it is not among them"
            raise _refused(key, f"which this fit is not handed as it was in the table: {how}")
        if len(places) > 1:
            raise _refused(key, f"which this fit is handed as {len(places)} columns")
        return str(X.columns[places[0]]) if is_frame(X) else places[0]

    return lookup


def _refused(key: str, why: str) -> InvalidInputError:
    return InvalidInputError(
        f"sensitive names the column {key!r}, {why}. Let sensitive columns pass by the steps before "
        f"(remainder='passthrough'), or declare the columns that those make of them. {KEEP_NAMES}"
    )


def _before(levels: list[RunningFit]) -> _Before | None:
    """The nearest table with names, and what lies between it and the fit; None if there is none."""
    for n, level in enumerate(levels, 1):
        table = _names(level)
        if table is not None:
            return _Before(table, tuple(reversed(levels[:n])))
    return None


def _names(level: RunningFit) -> Flow | None:
    """The columns of the table that a composite was handed, if they have names."""
    flow = flow_of(level.table)
    return None if flow is None or flow.by_position else flow


# What a composite hands to its member ------------------------------------------------------------


def _inside(level: RunningFit, flow: Flow) -> Flow:
    """The columns that a composite, whose fit is running, hands to the member that it is fitting."""
    composite, member = level.composite, level.member
    name = type(composite).__name__
    if member is composite:
        return flow
    if member is not None and _hands_on_all(composite):
        if is_a(composite, "BaseBagging") and not _hands_on_every_column(composite, flow):
            raise _Lost(
                f"{name} hands its members some of the columns; use max_features=1.0 and "
                "bootstrap_features=False"
            )
        return flow
    if member is None or brought_by_others(composite):
        raise _Lost(f"{name} hands on its table in a way that is not known")
    if hasattr(composite, "transformer_list") or is_search(composite):
        return flow
    if hasattr(composite, "transformers") and hasattr(composite, "remainder"):
        chosen = flow.pick(_one_like(member, [(step, key) for _, step, key in composite.transformers], name))
        if chosen is None:
            raise _Lost(f"{name} chooses columns in a way that only its fit tells")
        return chosen
    if isinstance(getattr(composite, "steps", None), list):
        steps = [step for _, step in composite.steps]
        for step in steps[: _one_like(member, [(s, i) for i, s in enumerate(steps)], name)]:
            flow = after_fit(step, flow)
        return flow
    raise _Lost(f"{name} hands on its table in a way that is not known")


def _hands_on_all(composite: Any) -> bool:
    """Tell whether an estimator of estimators hands its members all columns in order."""
    meta = meta_of(composite)
    return meta is not UNKNOWN_META and not meta.stacks


def _one_like(member: Any, held: list[tuple[Any, Any]], name: str) -> Any:
    """What belongs to the one part that is a member, or whose clone it may be."""
    same = [about for part, about in held if part is member]
    same = same or [about for part, about in held if type(part) is type(member)]
    if len(same) != 1:
        raise _Lost(f"which {type(member).__name__} of {name} this is cannot be told")
    return same[0]


def _hands_on_every_column(bagging: Any, flow: Flow) -> bool:
    most = bagging.max_features
    return not bagging.bootstrap_features and most == (len(flow.columns) if is_whole(most) else 1.0)


# What a fitted step hands on ------------------------------------------------------------


def after_fit(step: Any, flow: Flow) -> Flow:
    """The columns that a fitted step hands on: each one, in order; a column that it has made is no one's own.

    Raises
    ------
    _Lost
        If it is not known how many there are.
    """
    if does_nothing(step):
        return flow
    if isinstance(step, str):  # "drop"
        return Flow()
    if not brought_by_others(step):
        if isinstance(getattr(step, "steps", None), list):
            for _, inner in step.steps:
                flow = after_fit(inner, flow)
            return flow
        if hasattr(step, "transformers_") and hasattr(step, "output_indices_"):
            return _after_column_transformer(step, flow)
        if hasattr(step, "transformer_list"):
            naming = getattr(step, "verbose_feature_names_out", True)
            return joined([named_by(naming, n, after_fit(s, flow)) for n, s in step.transformer_list], True)
    if is_a(step, "PrivateSelectKBest"):
        raise _Lost("PrivateSelectKBest selects columns; hand it a frame, whose columns keep their names")
    if is_a(step, "SelectorMixin") and type(step).__module__.split(".")[0] == "sklearn":
        kept = step.get_support(indices=True)
        return replace(flow, columns=tuple(flow.columns[i] for i in kept))
    if keeps_places(step):
        return flow
    if is_a(step, "BaseSampler") and type(step).__module__.split(".")[0] == "imblearn":
        if is_a(step, "FunctionSampler"):
            raise _Lost("which columns FunctionSampler hands on is not known")
        return flow
    if is_a(step, "OneToOneFeatureMixin"):
        keeps = hands_on_cells(step)
        return replace(flow, columns=tuple(c if keeps else replace(c, own="") for c in flow.columns))
    return _made(step, flow, _width(step))


def _made(step: Any, flow: Flow, width: int) -> Flow:
    names = [f"{type(step).__name__.lower()}{i}" for i in range(width)]
    return replace(flow, columns=tuple(Column(n, flow.sources) for n in names))


def _width(step: Any) -> int:
    with contextlib.suppress(Exception):  # many have no names to give
        return len(step.get_feature_names_out())
    raise _Lost(f"how many columns {type(step).__name__} makes is not known")


def _after_column_transformer(step: Any, flow: Flow) -> Flow:
    parts = []
    naming = getattr(step, "verbose_feature_names_out", True)
    for name, inner, key in step.transformers_:
        place = step.output_indices_.get(name, slice(0, 0))
        if (isinstance(inner, str) and inner == "drop") or place.stop == place.start:
            continue
        given = flow.pick(key)
        if given is None:
            raise _Lost(f"which columns {type(step).__name__} gives to {name!r} is not known")
        width = place.stop - place.start
        try:
            out = after_fit(inner, given)
        except _Lost:
            out = _made(inner, given, width)
        if len(out.columns) != width:
            out = _made(inner, given, width)
        parts.append((place.start, named_by(naming, name, out)))
    ordered = [part for _, part in sorted(parts, key=lambda p: p[0])]
    return joined(ordered, True)
