"""Warnings point at the line of the user's own code."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import cross_val_score

from skfusiondp import FoundationImputer, FusionDPClassifier, Numeric, PrivacyBudget

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


def test_also_through_another_library():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cross_val_score(model(sensitive=AGE, epsilon=50.0), TABLE, TARGET, cv=2)
    weak = [w for w in caught if w.category.__name__ == "WeakPrivacyWarning"]
    assert weak and not any("skfusiondp/" in w.filename for w in weak)
