"""This library's estimators on a task, with the support that a user may have: labelled, unlabelled, none."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from _peers import DELTA, score
from _tables import Task

import skfusiondp
from skfusiondp.training._driver import Driver

LABELLED, UNLABELLED, NONE = SUPPORT = ("labelled support", "support without labels", "no support")


def processor_seconds() -> float:
    """Of this process and those that it started: on a busy machine a clock would measure its neighbours."""
    return sum(os.times()[:4])


class Remembering(Driver):
    """Carry out what does not hang on the budget once, for all fits of FusionDP that differ in it alone.

    Attributes
    ----------
    spared : float
        Processor seconds that the last fit would have taken longer.
    """

    def __init__(self) -> None:
        self._key: Any = None
        self._steps: dict[Hashable, tuple[Any, float]] = {}
        self.spared, self._counted = 0.0, False

    def begin(self, key: Any) -> None:
        """Forget what other fits made."""
        self.spared, self._counted = 0.0, False
        if key != self._key:
            self._key, self._steps = key, {}

    def counts(self, make: Callable[[], Any], cells: Any, table: Any, kept: Any) -> Any:
        self._counted = True  # what follows depends on this fit's noise
        return make()

    def imputer(self, schema: Any, make: Callable[[], Any]) -> Any:
        return self._once("imputer", make)

    def encoder(self, like: Hashable, make: Callable[[], Any]) -> Any:
        return self._once(("encoder", like), make)

    def rows(self, like: Hashable, make: Callable[[], Any]) -> Any:
        return self._once(("rows", like), make)

    def _once(self, step: Hashable, make: Callable[[], Any]) -> Any:
        if self._counted:
            return make()
        if step in self._steps:
            self.spared += self._steps[step][1]
        else:
            start = processor_seconds()
            made = make()
            self._steps[step] = made, processor_seconds() - start
        return self._steps[step][0]


REMEMBERING = Remembering()


def fit_ours(
    task: Task,
    epsilon: float | None,
    seed: int,
    relation: str | None,
    *,
    family: str,
    support: str = LABELLED,
    **params,
) -> np.ndarray:
    """Fit with its defaults and score the test rows.

    Without support its rows are further private rows, so that all three see the same labels but for those
    that are unlabelled; so they are for "dp-sgd", which has no use for support.
    """
    protects_rows = params.get("method") == "dp-sgd"
    given = {
        LABELLED: {"support": task.support, "support_target": task.y_support},
        UNLABELLED: {"support": task.support},
        NONE: {},
    }[NONE if protects_rows else support]
    X, y = (task.private, task.y_private) if given else (task.train, task.y_train)
    # A record-level method has its one relation by default.
    adjacency = {} if protects_rows else {"adjacency": relation}
    model = getattr(skfusiondp, family + ("Regressor" if task.regression else "Classifier"))(
        task.sensitive, epsilon=epsilon, delta=DELTA, random_state=seed, **given, **adjacency, **params
    )
    if family == "FusionDP":
        # The task itself, which is equal to itself alone.
        REMEMBERING.begin((task, seed, relation, support, sorted(map(str, params.items()))))
        model._driver = REMEMBERING
    groups = {} if protects_rows else task.groups(len(X))
    return score(task, model.fit(X, y, **groups), task.test)


def fit_paid_view(task: Task, epsilon: float, seed: int, relation: str | None) -> np.ndarray:
    """FusionDP without support rows, whose imputer learns from a released table: half of the budget each."""
    half = {"epsilon": epsilon / 2, "delta": DELTA / 2, "adjacency": relation, "random_state": seed}
    groups = task.groups(len(task.train))
    synthesizer = skfusiondp.PrivateSynthesizer(task.sensitive, **half).fit(
        task.train, task.y_train, **groups
    )
    REMEMBERING.begin(object())
    model = getattr(skfusiondp, "FusionDP" + ("Regressor" if task.regression else "Classifier"))(
        task.sensitive, support=synthesizer.transform(task.train), **half
    )
    return score(task, model.fit(task.train, task.y_train, **groups), task.test)
