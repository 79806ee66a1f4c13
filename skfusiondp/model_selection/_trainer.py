"""Fit every candidate on every fold: in stacks where it can be, one by one where it cannot."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from ..privacy import PrivacyLedger
from ._capture import (
    Fold,
    SharedTable,
    can_capture,
    captured,
)

# What models of one stack may differ in; their plan, sample and noise are their own anyway.
STACKABLE = (
    "noise_multiplier",
    "epsilon",
    "delta",
    "max_grad_norm",
    "alpha",
    "beta",
    "lr",
    "random_state",
)


@dataclass
class Fitted:
    """One candidate fitted on one fold.

    Parameters
    ----------
    estimator : estimator
    error : Exception or None
        What its fit raised.
    seconds : float
        Its own time, or its share of a stack's.
    stacked : bool
    """

    estimator: Any
    error: Exception | None = None
    seconds: float = 0.0
    stacked: bool = False

    @property
    def ledger(self) -> PrivacyLedger:
        """What the fit spent, also when it failed."""
        return ledger_of(self.estimator)


@dataclass
class Outcome:
    """Every fit of a search so far, by position of its candidate and its fold."""

    done: dict[tuple[int, int], Fitted] = field(default_factory=dict)
    why_not: Counter = field(default_factory=Counter)

    @property
    def fits(self) -> list[Fitted]:
        """Candidate by candidate, and in each fold by fold."""
        return [self.done[job] for job in sorted(self.done)]

    @property
    def ledger(self) -> PrivacyLedger:
        """The fits' entries, in the order of the fits."""
        return sum((f.ledger for f in self.fits), PrivacyLedger())


def ledger_of(estimator: Any) -> PrivacyLedger:
    """The ledger of an estimator, or of the steps of a pipeline and the like."""
    own = getattr(estimator, "ledger_", None)
    if isinstance(own, PrivacyLedger):
        return own
    steps = getattr(estimator, "steps", None)
    parts = [step for _, step in steps] if isinstance(steps, list) else []
    parts += [p for n in ("estimator_", "best_estimator_") if (p := vars(estimator).get(n)) is not None]
    return sum((ledger_of(part) for part in parts), PrivacyLedger())


def fit_all(
    estimator: Any,
    candidates: list[dict],
    X: Any,
    y: Any,
    splits: list[tuple[np.ndarray, np.ndarray]],
    n_jobs: int | None,
    fit_params: dict[str, Any],
    outcome: Outcome,
) -> Outcome:
    """Fit each candidate on each training set.

    Parameters
    ----------
    estimator : estimator
    candidates : list of dict
        Parameters to set.
    X : table
    y : array-like
    splits : list of (train, test)
    n_jobs : int or None
    fit_params : dict
        Further arguments of ``fit``; with any, nothing is stacked.
    outcome : Outcome
        Filled in place, so that an interrupted search still tells what it spent.

    Returns
    -------
    Outcome
    """
    jobs = [(i, j) for i in range(len(candidates)) for j in range(len(splits))]
    done, why_not = outcome.done, outcome.why_not
    if fit_params or not can_capture(estimator):
        name = type(estimator).__name__
        why_not["fit takes further arguments" if fit_params else f"{name} has no stacked training"] = len(
            jobs
        )
    elif estimator.budget is not None or any("budget" in c for c in candidates):
        why_not["a shared budget is asked before each fit"] = len(jobs)
    else:
        _fit_stacks(estimator, candidates, X, y, splits, n_jobs, done, why_not)
    left = [job for job in jobs if job not in done]
    fitted = Parallel(n_jobs=n_jobs)(
        delayed(_fit_one)(clone(estimator), candidates[i], *_training_set(X, y, splits[j][0], fit_params))
        for i, j in left
    )
    done.update(zip(left, fitted, strict=True))
    return outcome


def _training_set(X: Any, y: Any, train: np.ndarray, fit_params: dict[str, Any]) -> tuple:
    cut = {
        k: _safe_indexing(v, train) if hasattr(v, "__len__") and len(v) == len(X) else v
        for k, v in fit_params.items()
    }
    return _safe_indexing(X, train), None if y is None else _safe_indexing(y, train), cut


def _fit_one(estimator: Any, parameters: dict, X: Any, y: Any, fit_params: dict) -> Fitted:
    began = time.perf_counter()
    try:
        estimator.set_params(**clone(parameters, safe=False))
        estimator.fit(X, **fit_params) if y is None else estimator.fit(X, y, **fit_params)
    except Exception as error:  # the search decides by error_score, as GridSearchCV does
        return Fitted(estimator, error, time.perf_counter() - began)
    return Fitted(estimator, None, time.perf_counter() - began)


def _fit_stacks(estimator, candidates, X, y, splits, n_jobs, done, why_not) -> None:
    import torch

    from ._ensemble import Member
    from ._ensemble import why_not as not_a_member

    shared: dict[str, SharedTable | None] = {}
    folds: dict[tuple, Fold] = {}
    stacks: dict[tuple, list[tuple[tuple[int, int], Any, Member]]] = {}
    for i, parameters in enumerate(candidates):
        other = repr(sorted((k, repr(v)) for k, v in parameters.items() if k not in STACKABLE))
        seed = repr(parameters.get("random_state", estimator.random_state))
        key = f"{other} {seed}"
        for j, (train, _) in enumerate(splits):
            began = time.perf_counter()
            model = clone(estimator)
            try:
                model.set_params(**clone(parameters, safe=False))
                if key not in shared:
                    table = SharedTable(model, X)
                    shared[key] = table if table.usable else None
                if (key, j) not in folds:
                    X_train, y_train, _ = _training_set(X, y, train, {})
                    folds[key, j] = Fold(X_train, y_train, train)
                model, net, rows, random = captured(model, folds[key, j], shared[key])
                reason = not_a_member(net, rows)
            except Exception as error:  # the plain fit meets it again, and the search reports it
                reason = f"{type(error).__name__} while it was prepared"
            if reason is not None:
                why_not[reason] += 1
                continue
            # Without a seed each fit draws its own start; here the models of a fold share one.
            start = (key, j, None if net._head_only else repr(net.optimizer_.param_groups[0]["lr"]))
            member = Member(net, rows, start, random)
            member.seconds = time.perf_counter() - began
            stacks.setdefault((key, j, member.stack_key), []).append(((i, j), model, member))
    before = torch.get_num_threads()
    try:
        Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(_train)([m for _, _, m in stack], n_jobs) for stack in stacks.values()
        )
    finally:
        torch.set_num_threads(before)
        # An interrupted or failed stack has paid too.
        for stack in stacks.values():
            for job, model, member in stack:
                done[job] = _finished(model, member)


def _train(members: list[Any], n_jobs: int | None) -> None:
    import torch

    from ._ensemble import train

    if n_jobs not in (None, 1):
        # Threads of threads would fight over the same cores.
        torch.set_num_threads(1)
    train(members)


def _finished(model: Any, member: Any) -> Fitted:
    """Give an estimator what its own ``_train`` leaves; the net's first private step has paid."""
    model.net_, model.history_ = member.net, member.net.history
    return Fitted(model, None, member.seconds, stacked=True)
