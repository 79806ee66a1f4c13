"""Generated tables and parameters of junk: each works, or is refused in words; nothing is half-made."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from generated_inputs.columns import N
from generated_inputs.junk import anything, endless, good, parameters, plain, selectors, tables
from generated_inputs.outcomes import attempt
from generated_inputs.runs import generated
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from skfusiondp import (
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    OffsetFusionClassifier,
    OffsetFusionRegressor,
)
from skfusiondp.model_selection import PrivateRandomSearchCV, StackedGridSearchCV
from skfusiondp.preprocessing import (
    PrivateCategories,
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
    TableEncoder,
)
from skfusiondp.tables._frames import as_frame
from skfusiondp.tables._schema import resolve_schema
from skfusiondp.tables._table import FrameTable

# Tables ---------------------------------------------------------------------------------------------


@generated("table", tables(), selectors, st.one_of(st.none(), tables()))
def test_schemas(table, sensitive, support):
    frame = attempt(as_frame, table)
    if frame is not None:
        schema = attempt(
            resolve_schema, FrameTable(frame, table), sensitive, support=support, on_leak="ignore"
        )
        if schema is not None:
            assert set(schema.sensitive) <= set(schema.columns) == set(frame.columns)


def used_or_refused(estimator, method, fit_args, table, left=()):
    """Fit and use; a refused fit leaves an estimator that says that it is not fitted."""
    fitted = attempt(estimator.fit, *fit_args)
    result = attempt(getattr(estimator, method), table)
    if fitted is None:
        assert result is None, "a refused fit left something that answers"
        assert not any(hasattr(estimator, name) for name in left)
    return result


def assert_finite(result):
    assert result is None or np.isfinite(np.asarray(result, dtype=float)).all()


@generated("table", tables(), selectors, tables())
def test_encoders(table, sensitive, other):
    encoder = TableEncoder(sensitive, on_leak="ignore")
    assert_finite(used_or_refused(encoder, "transform", (table,), other))
    assert_finite(used_or_refused(TableEncoder(good), "transform", (pd.DataFrame(plain),), other))


@generated(
    "table",
    tables(),
    selectors,
    st.one_of(st.none(), tables()),
    tables(),
    parameters(FoundationImputer),
)
def test_imputers(table, sensitive, support, other, parameter):
    _, name, value = parameter
    settings = {"support": support, "backend": "domain", "on_leak": "ignore", "random_state": 0}
    if name:
        settings[name] = value
    imputer = FoundationImputer(sensitive, **settings)
    used_or_refused(imputer, "transform", (table,), other, left=("backend_",))
    sound = FoundationImputer(good, backend="domain", random_state=0).fit(pd.DataFrame(plain))
    imputed = attempt(sound.transform, other)
    if imputed is not None:
        frame = as_frame(imputed).set_axis(list(plain), axis=1)
        assert frame["age"].between(0, 100).all() and frame["sex"].isin(["f", "m"]).all()


PAYING = [PrivateQuantileTransformer, PrivateStandardScaler, PrivateCategories, PrivateSelectKBest]


@generated("table", tables(), selectors, parameters(*PAYING))
def test_transformers_that_pay(table, sensitive, parameter):
    cls, name, value = parameter
    settings = {"random_state": 0, **({name: value} if name else {})}
    transformer = cls(sensitive, **settings)
    target = np.arange(N) % 2
    attempt(transformer.fit, table, target)
    attempt(transformer.transform, table)
    cost = getattr(transformer, "epsilon_", 0.0)
    assert not math.isnan(cost)


# Estimators ------------------------------------------------------------------------------------------


targets = st.one_of(
    st.just(np.arange(N) % 2),
    st.just(np.arange(N) % 2),
    st.lists(st.sampled_from([0, 1, 2, "a", None, np.nan, 1e300, True, "b"]), min_size=N, max_size=N),
    anything,
)


@generated("fit", tables(), targets, parameters(FusionDPClassifier, FusionDPRegressor))
def test_estimators(table, target, parameter):
    # Every public column is there and of its kind, so that refusals come from further in as well.
    cls, name, value = parameter
    settings = {
        "steps": 1,
        "public_epochs": 0,
        "module__hidden": (4,),
        "random_state": 0,
        "noise_multiplier": 1.0,
    }
    if name == "epsilon":
        settings.pop("noise_multiplier")
    if name and not (endless(value) and name in ("epochs", "public_epochs", "steps")):
        settings[name] = value
        if name == "epochs":
            settings.pop("steps")
    model = cls(good if name != "on_leak" else ["age"], **settings)
    result = used_or_refused(model, "predict", (table, target), table, left=("net_", "ledger_"))
    if result is not None and np.asarray(result).dtype.kind == "f" and settings.get("lr") is None:
        assert_finite(result)


@generated("fit", tables(), targets, parameters(OffsetFusionClassifier, OffsetFusionRegressor))
def test_offset_estimators(table, target, parameter):
    cls, name, value = parameter
    settings = {"noise_multiplier": 1.0, "random_state": 0}
    if name == "epsilon":
        settings.pop("noise_multiplier")
    if name and not (endless(value) and name == "steps"):
        settings[name] = value
    model = cls(good if name != "on_leak" else ["age"], **settings)
    used_or_refused(model, "predict", (table, target), table, left=("ledger_",))


@generated("fit", tables(), targets, parameters(PrivateRandomSearchCV, StackedGridSearchCV))
def test_searches(table, target, parameter):
    cls, name, value = parameter
    model = FusionDPClassifier(good, steps=1, public_epochs=0, module__hidden=(4,), random_state=0)
    grid = {"max_grad_norm": [0.5, 1.0]}
    private = cls is PrivateRandomSearchCV
    settings = {"n_trials": 1.5, "random_state": 0} if private else {"cv": 2}
    settings |= {"estimator": model, ("param_distributions" if private else "param_grid"): grid}
    many = endless(value) or (name in ("n_trials", "eta") and isinstance(value, float | int | np.generic))
    # Bytes have a split of their own, and scikit-learn takes what has one for a splitter.
    if name and not many and not (name == "cv" and isinstance(value, bytes)):
        settings[name] = value
    search = cls(**settings)
    # What scikit-learn's search takes it refuses in its own words.
    if attempt(search.fit, table, target, checks="/sklearn/") is None:
        with pytest.raises((NotFittedError, AttributeError)):
            search.predict(pd.DataFrame(plain))
