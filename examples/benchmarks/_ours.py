"""This library's estimators on a task, with the support that a user may have: labelled, unlabelled, none."""

from __future__ import annotations

import numpy as np
from _peers import DELTA, score
from _tables import Task

import skfusiondp

LABELLED, UNLABELLED, NONE = SUPPORT = ("labelled support", "support without labels", "no support")


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
    return score(task, model.fit(X, y), task.test)
