"""Fit the candidates of a grid on one training set, and do once what their fits have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.base import clone

from ..exceptions import TrainingDivergedError
from ..training._driver import Driver

# Settings that nothing depends on but the private steps.
PRIVATE_SETTINGS = ("noise_multiplier", "epsilon", "delta", "max_grad_norm", "alpha", "beta", "lr")


@dataclass
class FoldFit:
    """One candidate fitted on one training set.

    Parameters
    ----------
    estimator : estimator
    error : Exception or None
        What its fit raised.
    seconds : float
        Its own time, and its share of what was done for several.
    alone : str
        Why its private steps were not trained together with others'; empty if they were.
    """

    estimator: Any
    error: Exception | None = None
    seconds: float = 0.0
    alone: str = ""


def why_not_shared(estimator: Any, fit_params: Mapping[str, Any]) -> str:
    """Why fits of an estimator share nothing; empty if they can."""
    if fit_params:
        return "fit takes further arguments"
    return "" if hasattr(estimator, "_driver") else f"{type(estimator).__name__} has no stacked training"


def alike(candidates: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Positions of candidates, in groups that differ in private settings alone."""
    groups: dict[str, list[int]] = {}
    for i, parameters in enumerate(candidates):
        public = sorted((k, repr(v)) for k, v in parameters.items() if k not in PRIVATE_SETTINGS)
        groups.setdefault(repr(public), []).append(i)
    return list(groups.values())


def fit_each(
    estimator: Any,
    candidates: Sequence[Mapping[str, Any]],
    X: Any,
    y: Any,
    fit_params: Mapping[str, Any],
    imputers: list[tuple[Any, Any]],
    fits: list[FoldFit],
) -> list[FoldFit]:
    """Fit candidates that differ in private settings alone on one training set.

    `imputers` holds (schema, imputer) pairs that were fitted before, and gets further ones: an imputer
    learns nothing from a training set. `fits` is filled in place and returned, so that an interrupted search
    can still count what it spent.
    """
    reason = why_not_shared(estimator, fit_params)
    shared = None if reason else SharedWork(imputers)
    for parameters in candidates:
        fits.append(FoldFit(clone(estimator), alone=reason))
        _fit_one(fits[-1], parameters, X, y, fit_params, shared)
    if shared is not None:
        shared.finish(fits)
    return fits


def _fit_one(
    fit: FoldFit, parameters: Mapping[str, Any], X: Any, y: Any, fit_params: Any, shared: SharedWork | None
) -> None:
    began, model = time.perf_counter(), fit.estimator
    try:
        model.set_params(**clone(dict(parameters), safe=False))
        if shared is not None:
            model._driver = shared.of_next_fit()
        model.fit(X, **fit_params) if y is None else model.fit(X, y, **fit_params)
    except Exception as error:  # the search decides by error_score, as GridSearchCV does
        fit.error = error
    finally:
        vars(model).pop("_driver", None)
        fit.seconds = time.perf_counter() - began


class SharedWork(Driver):
    """Does once what fits on the same rows have in common that differ in private settings alone.

    The first fit imputes and encodes the rows, and trains the default module's public part, which reads no
    sensitive cell but each row's own in its representation. The nets then wait until ``finish`` trains their
    private heads together. All of this is as each fit would do it alone.
    """

    def __init__(self, imputers: list[tuple[Any, Any]]):
        self._imputers = imputers
        self._encoders: dict[Hashable, Any] = {}
        self._rows: dict[Hashable, Any] = {}
        self._represented: Any = None
        self._waiting: list[Any] = []
        self._alone: dict[int, str] = {}
        self._counted = False

    def of_next_fit(self) -> SharedWork:
        """This, for a fit that has not begun."""
        self._counted = False
        return self

    def imputer(self, schema: Any, make: Callable[[], Any]) -> Any:
        if self._counted:
            return make()
        for known, imputer in self._imputers:
            # Domains with other knots are equal, but what is imputed is encoded by them.
            if known == schema and repr(known) == repr(schema):
                return imputer
        self._imputers.append((schema, make()))
        return self._imputers[-1][1]

    def counts(self, make: Callable[[], Any], cells: Any, table: Any, kept: Any) -> Any:
        self._counted = True
        return make()

    def encoder(self, like: Hashable, make: Callable[[], Any]) -> Any:
        return self._once(self._encoders, like, make)

    def rows(self, like: Hashable, make: Callable[[], Any]) -> Any:
        return self._once(self._rows, like, make)

    def _once(self, known: dict[Hashable, Any], like: Hashable, make: Callable[[], Any]) -> Any:
        if self._counted:
            return make()
        if like not in known:
            known[like] = make()
        return known[like]

    def train(self, model: Any, net: Any, rows: Any) -> None:
        from ._head_stack import why_alone

        reason = why_alone(net, rows)
        if model.budget is not None:
            reason = "a shared budget is asked before each fit"
        elif self._counted:
            reason = "each fit counts where the sensitive cells lie, with noise of its own"
        elif model.schema_.leaks:
            reason = "domains are read off the training cells"
        if reason is None:
            reason = self._wait(net, rows)
        else:
            net.fit_more(rows)
        if reason is not None:
            self._alone[id(net)] = reason

    def _wait(self, net: Any, rows: Any) -> str | None:
        """Warm a net up, and let it wait for its private steps; if it cannot, say why, and train it."""
        if self._waiting:
            net.warm_up_as(self._waiting[0])
        else:
            self._represented = net.warm_up(rows)
            if self._represented is None:
                raise KeyboardInterrupt
            if self._represented.represent is not None:
                net.train_head(self._represented)
                return "its rows' representations do not fit in memory"
        self._waiting.append(net)
        return None

    def finish(self, fits: Sequence[FoldFit]) -> None:
        """Train the nets that wait, and write down which of the fits had a net that did not."""
        from ..training._surroundings import usual_modes
        from ._head_stack import train_heads

        began = time.perf_counter()
        if self._waiting:
            with usual_modes():
                train_heads(self._waiting, self._represented)
        share = (time.perf_counter() - began) / max(1, len(self._waiting))
        waited = {id(net) for net in self._waiting}
        for fit in fits:
            number = id(getattr(fit.estimator, "net_", None))
            if number in waited:
                fit.seconds += share
                try:
                    fit.estimator.net_.refuse_diverged()
                except TrainingDivergedError as error:
                    fit.error = error
            elif fit.error is None:
                fit.alone = self._alone[number]
            else:
                fit.alone = f"{type(fit.error).__name__} in its fit"
