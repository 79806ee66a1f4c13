"""``check_enclosing``: what a running fit can see of the pipeline or search that it is part of.

An estimator that is fitted inside a Pipeline is handed a table that earlier steps have changed. It finds
the Pipeline on the call stack, whose ``fit`` is still running there, and checks it as `check_pipeline`
would. Only names, types and parameters are looked at, and no cell.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from ..exceptions import InvalidInputError, report_leak
from ..privacy import PrivacyLedger
from ._candidates import SEARCHES
from ._check_pipeline import PipelineCheck, look_at
from ._finding import Finding
from ._parts import join, private_parts
from ._probe import on_made_up_rows
from ._provenance import flow_of

_FITS = ("fit", "fit_transform", "fit_predict", "fit_resample", "partial_fit")
_WRAPPED_BY = ("sklearn", "skfusiondp", "imblearn")
_MARK = "(checked by skfusiondp)"  # no name that a function could use

_UNSEEN = (
    "What was done to X before this fit cannot be seen from here: if something fitted on its sensitive cells "
    "has changed X beforehand (a scaler, an imputer, a selection of rows or columns), this epsilon does not "
    "cover it."
)


@dataclass(frozen=True)
class Surroundings:
    """What was seen of the pipeline or search around a fit.

    Parameters
    ----------
    path : str
        Where the estimator is in the outermost one, as in ``get_params``; empty if nothing encloses it.
    findings : tuple of Finding
        What `check_pipeline` finds in the outermost one.
    sentence : str
        What a report should say first: what was checked, and what could not be seen.
    ledger : PrivacyLedger
        What other parts around it had spent before this fit.
    """

    path: str
    findings: tuple[Finding, ...]
    sentence: str
    ledger: PrivacyLedger = field(default_factory=PrivacyLedger)

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """The findings that void the guarantee."""
        return tuple(f for f in self.findings if f.severity == "leak")


@dataclass(frozen=True)
class _Outermost:
    """The outermost composite whose fit is running, and where in it the estimator is."""

    composite: Any
    frame: FrameType
    path: str
    around: tuple[Any, ...] = ()

    def spent_before(self, estimator: Any) -> PrivacyLedger:
        """What the parts of everything around an estimator have spent, but for itself."""
        parts: dict[int, PrivacyLedger] = {}
        for composite in self.around:
            with contextlib.suppress(InvalidInputError):  # the composite's own report lists lost ledgers
                found = [p for p in private_parts(composite) if p.spender is not estimator]
                parts |= {id(p.spender): p.ledger for p in found}
        return sum(parts.values(), PrivacyLedger())


def check_enclosing(estimator: Any, X: Any, on_leak: str) -> Surroundings:
    """Check the outermost pipeline, search or other composite in whose fit `estimator` is being fitted.

    To be called while `estimator`, which may itself be a composite, is fitted on `X`. What its own fit
    reports (domains that are missing, ``method="non-private"``) is left out. Each composite warns once per
    fit, also where its estimators are fitted several times.

    Raises
    ------
    PrivacyLeakError
        If ``on_leak="raise"`` and a step leaks.

    Warns
    -----
    PrivacyLeakWarning
        If ``on_leak="warn"`` and a step leaks.
    """
    outermost = _outermost(estimator, sys._getframe(1))
    if outermost is None or on_made_up_rows():
        return Surroundings("", (), _UNSEEN)
    name = type(outermost.composite).__name__
    check, warned = outermost.frame.f_locals.get(_MARK, (None, False))
    check = check or _checked(outermost, X if outermost.composite is estimator else _table(outermost))
    if check is None:
        sentence = f"{name}, in which this was fitted, cannot be checked. {_UNSEEN}"
        return Surroundings(outermost.path, (), sentence)
    # The mark is dropped with the frame when that fit ends: the next fit is checked again, and warns again.
    # It adds an entry of its own to the frame's table of names, and touches no variable of any function.
    outermost.frame.f_locals[_MARK] = (check, warned or on_leak == "warn")
    if check.leaks and not (warned and on_leak == "warn"):
        report_leak("\n".join(str(f) for f in check.leaks), on_leak)
    sentence = _sentence(name, outermost.path, check)
    return Surroundings(outermost.path, check.findings, sentence, outermost.spent_before(estimator))


def _sentence(name: str, path: str, check: PipelineCheck) -> str:
    place = f"as its step {path}" if path else "as a whole"
    if check.leaks:
        steps = ", ".join(dict.fromkeys(f.path or f.estimator for f in check.leaks))
        return (
            f"This was fitted inside {name} ({place}), where sensitive cells are read without paying "
            f"({steps}): this epsilon does not bound what that tells."
        )
    return (
        f"This was fitted inside {name} ({place}), no step of which is seen to read sensitive cells without "
        f"paying. What was done to X before {name} was fitted cannot be seen from here."
    )


def _checked(outermost: _Outermost, table: Any) -> PipelineCheck | None:
    """The check of the composite; None where it cannot be made."""
    try:
        return None if flow_of(table) is None else look_at(outermost.composite, X=table, fitting=True)
    except Exception:  # a fit must not fail because somebody else's composite cannot be walked
        return None


# The call stack ------------------------------------------------------------


def _outermost(estimator: Any, frame: FrameType | None) -> _Outermost | None:
    around: tuple[Any, ...] = ()
    inner, path, found = [estimator], "", None
    while frame is not None:
        owner = _fitted_by(frame)
        if owner is not None and owner is inner[-1]:
            # Decorators hold the same object and the table as it was handed over.
            if found is not None or _is_search(owner):
                found = _Outermost(owner, frame, path, around)
        elif owner is not None:
            place = next((p for i in reversed(inner) if (p := _place(owner, i)) is not None), None)
            if place is None:
                inner.insert(-1, owner)  # not known to contain it; what contains this one may be seen
            else:
                path = join(place, path) if path else place
                around = (owner, *around)
                inner, found = [owner], _Outermost(owner, frame, path, around)
        frame = frame.f_back
    return found


def _fitted_by(frame: FrameType) -> Any:
    """The estimator whose fit runs in this frame; None if none does."""
    code = frame.f_code
    if not code.co_argcount:
        return None
    if code.co_name not in _FITS:
        wraps = code.co_flags & inspect.CO_VARARGS and code.co_flags & inspect.CO_VARKEYWORDS
        if not wraps or str(frame.f_globals.get("__name__")).split(".")[0] not in _WRAPPED_BY:
            return None
    owner = frame.f_locals.get(code.co_varnames[0])
    if getattr(owner, "_stands_for_another", False) is True:
        return None  # what stands behind it is further up
    is_estimator = hasattr(type(owner), "fit") and hasattr(type(owner), "get_params")
    return owner if is_estimator else None


def _table(outermost: _Outermost) -> Any:
    """The table that the composite was handed."""
    code, names = outermost.frame.f_code, outermost.frame.f_locals
    if code.co_argcount > 1:
        return names.get(code.co_varnames[1])
    n = code.co_argcount + code.co_kwonlyargcount
    variables = code.co_varnames[n:] if code.co_flags & inspect.CO_VARARGS else ()
    arguments = names.get(variables[0], ()) if variables else ()
    keywords = names.get(variables[1], {}) if len(variables) > 1 else {}
    return arguments[0] if arguments else keywords.get("X") if isinstance(keywords, Mapping) else None


def _is_search(estimator: Any) -> bool:
    return any(getattr(estimator, n, None) is not None for n in SEARCHES)


def _place(composite: Any, inner: Any) -> str | None:
    """The name under which a composite holds an estimator, or one of which that may be the clone."""
    parts = dict(_parts(composite))
    for name, part in parts.items():
        if part is inner:
            return name
    # Composites fit clones of what they are given.
    return next((name for name, part in parts.items() if type(part) is type(inner)), None)


def _parts(composite: Any) -> Iterator[tuple[str, Any]]:
    for name, part in composite.get_params(deep=True).items():
        if hasattr(part, "fit"):
            yield name, part
    for name in SEARCHES:  # steps among the candidates of a search
        grids = getattr(composite, name, None)
        for grid in [grids] if isinstance(grids, Mapping) else grids or ():
            for key, values in grid.items() if isinstance(grid, Mapping) else ():
                for value in values if isinstance(values, Iterable) else ():
                    if hasattr(value, "fit"):
                        yield f"estimator__{key}", value
