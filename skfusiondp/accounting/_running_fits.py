"""Which fits are running: the composites on the call stack in whose fit an estimator is being fitted."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from ._candidates import SEARCHES, is_search
from ._parts import join

_FITS = ("fit", "fit_transform", "fit_predict", "fit_resample", "partial_fit")
_WRAPPED_BY = ("sklearn", "skfusiondp", "imblearn")
# scikit-learn's function that fits some members of a bagging, in a worker process too: there is no fit there.
_MEMBERS_OF_BAGGING = "_parallel_build_estimators"


@dataclass(frozen=True)
class RunningFit:
    """A composite whose fit is running, and what of it contains the estimator.

    Parameters
    ----------
    composite : estimator
    frame : frame
        The outermost one of its fit, whose variables hold the table as it was handed over.
    path : str
        Where in the composite the estimator is, as in ``get_params``; empty for the estimator itself.
    member : estimator or None
        What the composite is fitting: the next composite, or the estimator; None if something that it is not
        known to contain lies between.
    """

    composite: Any
    frame: FrameType
    path: str
    member: Any

    @property
    def table(self) -> Any:
        """The table that the composite was handed; its columns' names where only these are there."""
        if self.frame.f_code.co_name == _MEMBERS_OF_BAGGING:
            names = getattr(self.composite, "feature_names_in_", None)
            return self.frame.f_locals.get("X") if names is None else list(names)
        return _table(self.frame)


def running_fits(estimator: Any, frame: FrameType | None) -> list[RunningFit]:
    """Find the composites in whose fits `estimator` is being fitted, the innermost first.

    A search that is fitted itself is among them.
    """
    levels: list[RunningFit] = []
    inner, path = [estimator], ""
    while frame is not None:
        owner = _fitted_by(frame)
        if owner is not None and owner is inner[-1]:
            # Decorators hold the same object and the table as it was handed over.
            if levels:
                levels[-1] = replace(levels[-1], frame=frame)
            elif is_search(owner):
                levels.append(RunningFit(owner, frame, path, owner))
        elif owner is not None:
            place = next((p for i in reversed(inner) if (p := _place(owner, i)) is not None), None)
            if place is None:
                inner.insert(-1, owner)  # not known to contain it; what contains this one may be seen
            else:
                path = join(place, path) if path else place
                member = inner[-1] if len(inner) == 1 else None
                levels.append(RunningFit(owner, frame, path, member))
                inner = [owner]
        frame = frame.f_back
    return levels


def _fitted_by(frame: FrameType) -> Any:
    """The estimator whose fit runs in this frame; None if none does."""
    code = frame.f_code
    if not code.co_argcount:
        return None
    if code.co_name == _MEMBERS_OF_BAGGING:
        return frame.f_locals.get("ensemble")
    if code.co_name not in _FITS:
        wraps = code.co_flags & inspect.CO_VARARGS and code.co_flags & inspect.CO_VARKEYWORDS
        if not wraps or str(frame.f_globals.get("__name__")).split(".")[0] not in _WRAPPED_BY:
            return None
    owner = frame.f_locals.get(code.co_varnames[0])
    if getattr(owner, "_stands_for_another", False) is True:
        return None  # what stands behind it is further up
    is_estimator = hasattr(type(owner), "fit") and hasattr(type(owner), "get_params")
    return owner if is_estimator else None


def _table(frame: FrameType) -> Any:
    """The table that the fit of a frame was handed."""
    code, names = frame.f_code, frame.f_locals
    if code.co_argcount > 1:
        return names.get(code.co_varnames[1])
    n = code.co_argcount + code.co_kwonlyargcount
    variables = code.co_varnames[n:] if code.co_flags & inspect.CO_VARARGS else ()
    arguments = names.get(variables[0], ()) if variables else ()
    keywords = names.get(variables[1], {}) if len(variables) > 1 else {}
    return arguments[0] if arguments else keywords.get("X") if isinstance(keywords, Mapping) else None


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
