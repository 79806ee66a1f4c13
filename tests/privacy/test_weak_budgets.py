"""Budgets that promise next to nothing are named as such, in plain words, whoever takes them."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    OffsetFusionClassifier,
    PrivacyBudget,
    WeakPrivacyWarning,
)
from skfusiondp.model_selection import PrivateRandomSearchCV, StackedGridSearchCV
from skfusiondp.preprocessing import PrivateCategories, PrivateStandardScaler

WHOLE_MODELS = True

N = 120
rng = np.random.default_rng(0)
X = pd.DataFrame({"lab": rng.normal(size=N), "age": rng.uniform(20, 80, N), "sex": rng.choice(["f", "m"], N)})
y = (X["age"] / 30 + X["lab"] > 1.7).to_numpy().astype(int)
AGE, SEX = {"age": Numeric(20, 80)}, {"sex": Categorical(["f", "m"])}
SMALL = {"steps": 2, "batch_size": 20, "public_epochs": 0, "module__hidden": (4,)}
SMALL["imputer"] = FoundationImputer(AGE, backend="domain")

FITS = {
    "classifier": (FusionDPClassifier, {"sensitive": AGE, **SMALL}),
    "regressor": (FusionDPRegressor, {"sensitive": AGE, **SMALL}),
    "feature-dp": (FusionDPClassifier, {"sensitive": AGE, "method": "feature-dp", **SMALL}),
    "dp-sgd": (FusionDPClassifier, {"sensitive": AGE, "method": "dp-sgd", **SMALL}),
    "zero-out": (FusionDPClassifier, {"sensitive": AGE, "adjacency": "zero-out", **SMALL}),
    "offset": (OffsetFusionClassifier, {"sensitive": AGE, "steps": 3}),
    "scaler": (PrivateStandardScaler, {"sensitive": AGE}),
    "categories": (PrivateCategories, {"sensitive": SEX}),
}


def said(run):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run()
    return [str(w.message) for w in caught if issubclass(w.category, WeakPrivacyWarning)]


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize(
    ("budget", "named"),
    [
        ({"epsilon": 2.0}, []),
        ({"epsilon": 2.0, "delta": 0.99 / N}, []),
        ({"epsilon": 2.0, "delta": 1 / N}, ["delta="]),
        ({"epsilon": 2.0, "delta": 0.5}, ["delta=0.5"]),
        # Large epsilons take the accountant seconds.
        pytest.param({"epsilon": 60.0, "delta": 1e-5}, ["epsilon="], marks=pytest.mark.slow),
        ({"noise_multiplier": 0.25, "delta": 1e-5}, ["epsilon="]),
        pytest.param({"noise_multiplier": 0.1, "delta": 0.2}, ["delta=", "epsilon="], marks=pytest.mark.slow),
        ({"noise_multiplier": 50.0}, []),
    ],
    ids=str,
)
def test_every_fit_says_what_a_weak_budget_allows(name, budget, named):
    kind, parameters = FITS[name]
    texts = said(lambda: kind(**{**parameters, **budget}).fit(X, y))
    assert len(texts) == len(named) and all(t.startswith(n) for t, n in zip(texts, named, strict=True))


def test_the_texts_are_in_plain_words():
    (delta,) = said(lambda: OffsetFusionClassifier(AGE, epsilon=1.0, delta=1 / N, steps=3).fit(X, y))
    assert "publishes one of the rows whole" in delta and "1/120" in delta and "delta=None" in delta
    (epsilon,) = said(lambda: PrivacyBudget(12.0, 1e-5))
    assert "1.6e+05" in epsilon and "99.9994 %" in epsilon and "0.5 to 8" in epsilon


@pytest.mark.parametrize(
    ("epsilon", "delta", "named"),
    [
        (10.0, 1e-3, []),
        (10.1, 1e-3, ["epsilon="]),
        (1e9, 0.5, ["delta=", "epsilon="]),
        (1.0, 0.5, ["delta="]),
    ],
)
def test_a_shared_budget_says_it_once_when_it_is_made(epsilon, delta, named):
    texts = said(lambda: PrivacyBudget(epsilon, delta))
    assert len(texts) == len(named) and all(t.startswith(n) for t, n in zip(texts, named, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("search", [GridSearchCV, StackedGridSearchCV])
def test_searches_whose_noise_is_given_speak_too(search):
    model = FusionDPClassifier(AGE, delta=1e-5, **SMALL)
    grid = {"noise_multiplier": [0.2, 0.25]}
    texts = said(lambda: search(model, grid, cv=2, refit=False).fit(X, y))
    assert texts and all(t.startswith("epsilon=") for t in texts)


@pytest.mark.slow
def test_how_often_the_private_search_warns_tells_not_how_many_trials_ran():
    model = FusionDPClassifier(AGE, **SMALL)
    for delta in (0.5, 1e-5):
        search = PrivateRandomSearchCV(
            model, {"lr": [0.01, 0.02]}, n_trials=6, epsilon=20.0, delta=delta, random_state=3
        )
        assert len(said(lambda s=search: s.fit(X, y))) == (2 if delta == 0.5 else 1)


def test_methods_that_promise_nothing_or_read_nothing_say_nothing_of_it():
    for method in ("non-private", "hybrid"):
        small = {**SMALL, "steps": None, "epochs": 1}
        assert not said(lambda m=method, s=small: FusionDPClassifier(AGE, method=m, **s).fit(X, y))


def test_it_is_said_before_anything_is_paid_for():
    budget = PrivacyBudget(5.0, 1e-5)
    model = FusionDPClassifier(AGE, epsilon=1.0, delta=0.5, budget=budget, **SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("error", WeakPrivacyWarning)
        with pytest.raises(WeakPrivacyWarning):
            model.fit(X, y)
    assert not len(budget.ledger) and not hasattr(model, "ledger_")
