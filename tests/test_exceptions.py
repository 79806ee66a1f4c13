"""Warnings point at the line of the user's own code."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skfusiondp import (
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    OffsetFusionClassifier,
    OffsetFusionRegressor,
    PrivacyBudget,
)
from skfusiondp.model_selection import PrivateRandomSearchCV, StackedGridSearchCV
from skfusiondp.preprocessing import PrivateQuantileTransformer, PrivateStandardScaler

TABLE = pd.DataFrame({"lab": np.linspace(-1, 1, 60), "age": np.linspace(18, 90, 60)})
TARGET = (TABLE["lab"] > 0).astype(int)
AGE = {"age": Numeric(18, 90)}


def model(**given):
    return FusionDPClassifier(epochs=1, **given)


@pytest.mark.parametrize(
    "call",
    [
        lambda: FoundationImputer().fit(TABLE),
        lambda: FoundationImputer(AGE).fit(TABLE),
        lambda: PrivacyBudget(epsilon=50.0, delta=1e-5),
        lambda: model(sensitive=AGE, epsilon=50.0).fit(TABLE, TARGET),
        lambda: model(sensitive=AGE, epsilon=50.0).fit(TABLE.assign(age=300.0), TARGET),
        lambda: model(epsilon=1.0).fit(TABLE, TARGET),
    ],
    ids=["no domain", "no support", "weak budget", "weak plan", "cells outside", "no domain in a fit"],
)
def test_a_warning_points_at_the_line_that_called_the_package(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    ours = [w for w in caught if "skfusiondp" in w.category.__module__ or w.category is UserWarning]
    assert ours and {w.filename for w in ours} == {__file__}


def pipeline():
    return make_pipeline(FunctionTransformer(), model(sensitive=AGE, epsilon=50.0))


@pytest.mark.one_in(4)
@pytest.mark.parametrize(
    "call",
    [
        lambda: pipeline().fit(TABLE, TARGET),
        lambda: make_pipeline(make_pipeline(FunctionTransformer(), pipeline())).fit(TABLE, TARGET),
        lambda: cross_val_score(model(sensitive=AGE, epsilon=50.0), TABLE, TARGET, cv=2),
        lambda: GridSearchCV(pipeline(), {}, cv=2).fit(TABLE, TARGET),
        lambda: StackedGridSearchCV(model(sensitive=AGE, epsilon=50.0), {}, cv=2).fit(TABLE, TARGET),
        lambda: PrivateRandomSearchCV(pipeline(), {}, epsilon=50.0, n_trials=1.5).fit(TABLE, TARGET),
        lambda: PrivateStandardScaler(AGE, epsilon=50.0).fit(TABLE),
        lambda: make_pipeline(PrivateQuantileTransformer(AGE, epsilon=50.0)).fit_transform(TABLE),
        lambda: OffsetFusionClassifier(AGE, epsilon=50.0, steps=2).fit(TABLE, TARGET),
        lambda: make_pipeline(OffsetFusionRegressor(AGE, epsilon=50.0, steps=2)).fit(TABLE, TABLE["lab"]),
        lambda: TransformedTargetRegressor(FusionDPRegressor(AGE, epsilon=50.0, epochs=1)).fit(TABLE, TARGET),
    ],
    ids=[
        "pipeline", "pipelines", "cross-validation", "grid search", "stacked search", "private search",
        "scaler", "transformer", "offset", "offset in a pipeline", "transformed target",
    ],
)  # fmt: skip
def test_a_warning_points_at_the_users_line_also_through_other_libraries(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    ours = [w for w in caught if "skfusiondp" in w.category.__module__ or "support" in str(w.message)]
    assert {"WeakPrivacyWarning"} <= {w.category.__name__ for w in ours}
    assert {w.filename for w in ours} == {__file__}


def test_in_a_worker_there_is_no_users_line():
    with warnings.catch_warnings(record=True) as caught, ThreadPoolExecutor(1) as workers:
        warnings.simplefilter("always")
        workers.submit(pipeline().fit, TABLE, TARGET).result()
    assert caught and not any("skfusiondp/" in w.filename for w in caught)
