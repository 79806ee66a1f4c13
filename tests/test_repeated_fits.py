"""A fit of an object that was fitted before says so, and what its ledger will hold, before it pays."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.stats import uniform
from sklearn.base import clone
from sklearn.linear_model import HuberRegressor
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline

from skfusiondp import (
    FusionDPClassifier,
    Numeric,
    OffsetFusionRegressor,
    PrivacyBudget,
    PrivacyBudgetError,
    RepeatedFitWarning,
)
from skfusiondp.accounting._candidates import noise_choices
from skfusiondp.model_selection import PrivateRandomSearchCV, StackedGridSearchCV
from skfusiondp.nets import MLP, WideAndDeep
from skfusiondp.preprocessing import PrivateStandardScaler

AGE = {1: Numeric(0, 1)}
X = np.random.default_rng(0).uniform(size=(120, 2))
Y = (X[:, 0] > 0.5).astype(int)


def model(**parameters):
    return FusionDPClassifier(AGE, **{"steps": 2, "public_epochs": 0, "random_state": 0, **parameters})


def heard(fit, *args):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(*args)
    return [str(w.message) for w in caught if w.category is RepeatedFitWarning]


@pytest.mark.parametrize(
    "made",
    [
        model(),
        model(method="dp-sgd", adjacency="add-remove"),
        OffsetFusionRegressor(AGE, steps=1, random_state=0),
        PrivateStandardScaler(AGE, random_state=0),
        PrivateRandomSearchCV(model(), {"max_grad_norm": [0.5, 1.0]}, n_trials=1.1, random_state=0),
        StackedGridSearchCV(model(), {"max_grad_norm": [0.5, 1.0]}, cv=2),
    ],
    ids=lambda m: f"{type(m).__name__}{getattr(m, 'method', '')}",
)
@pytest.mark.one_in(3)
def test_every_fit_after_the_first_says_so(made):
    made = clone(made)
    assert heard(made.fit, X, Y) == []
    for _ in range(2):
        before, held = made.epsilon_, len(made.ledger_)
        (text,) = heard(made.fit, X, Y)
        assert text.startswith(f"This {type(made).__name__} was fitted before") and "clone" in text
        assert "PrivacyBudget" in text and f" {held} " in text and made.epsilon_ > before
        shown = before if isinstance(made, StackedGridSearchCV) else made.epsilon_
        assert f"epsilon {shown:.4g} at delta" in text


@pytest.mark.slow
def test_copies_and_searches_begin_anew():
    fitted = model().fit(X, Y)
    assert heard(clone(fitted).fit, X, Y) == []
    assert heard(cross_val_score, fitted, X, Y) == []
    assert heard(GridSearchCV(fitted, {"max_grad_norm": [0.5, 1.0]}, cv=2).fit, X, Y) == []
    assert heard(model(method="hybrid").fit(X, Y).fit, X, Y) == []  # it reads nothing, so nothing adds up


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [None, 2])
@pytest.mark.parametrize("kind", [GridSearchCV, RandomizedSearchCV])
def test_a_search_over_noise_is_warned_of_once(kind, jobs):
    for values, told in (
        ({"noise_multiplier": [2.0, 4.0]}, "noise_multiplier"),
        ({"last__noise_multiplier": [2.0, 4.0], "last__alpha": [0.5]}, "last__noise_multiplier"),
    ):
        fitted = model() if told == "noise_multiplier" else Pipeline([("last", model())])
        search = kind(
            fitted, values, cv=2, n_jobs=jobs, **({"n_iter": 2} if kind is not GridSearchCV else {})
        )
        for _ in range(2):
            (text,) = heard(search.fit, X, Y)
            assert text.startswith(f"{kind.__name__} compares fits that differ in {told}")
            assert "least noise" in text and "PrivateRandomSearchCV" in text


def test_every_way_to_compare_noise_is_seen():
    step, other = Pipeline([("last", model(epsilon=1.0))]), model(epsilon=3.0)
    own = [{"age": Numeric(0, 100, epsilon=e)} for e in (0.2, 0.5)]
    for fitted, values in (
        (step, {"last__epsilon": [1.0, 2.0]}),
        (step, {"last": [model(epsilon=1.0), other]}),
        (step, {"last": [Pipeline([("inside", model(epsilon=1.0))]), other]}),
        (model(), {"sensitive": own}),
        (step, {"last__epsilon": uniform(1, 2)}),
    ):
        assert noise_choices(GridSearchCV(fitted, values)) == list(values)
    for fitted, values in (
        (step, {"last": [model(epsilon=1.0), model(epsilon=1.0, alpha=0.5)]}),
        (step, {"last": [other, "passthrough"]}),
        (model(), {"sensitive": [AGE, {"age": Numeric(0, 120)}]}),
        (model(), {"alpha": [0.5, 1.0], "module": [MLP, WideAndDeep]}),
    ):
        assert noise_choices(GridSearchCV(fitted, values)) == []


@pytest.mark.one_in(4)
@pytest.mark.parametrize(
    "search",
    [
        GridSearchCV(model(noise_multiplier=2.0), {"max_grad_norm": [0.5, 1.0]}, cv=2),
        GridSearchCV(model(), {"epsilon": [1.0]}, cv=2),
        StackedGridSearchCV(model(), {"epsilon": [1.0, 2.0]}, cv=2),
        GridSearchCV(
            OffsetFusionRegressor(AGE, steps=1, public_model=make_pipeline(HuberRegressor())),
            {"public_model__huberregressor__epsilon": [1.2, 1.5]},
            cv=2,
        ),
    ],
    ids=["settings", "one value", "counts its fits", "another epsilon"],
)
def test_other_searches_are_not_warned_of(search):
    assert heard(clone(search).fit, X, Y) == []


def test_a_pipeline_fits_its_last_step_again():
    pipe = make_pipeline("passthrough", model()).fit(X, Y)
    assert len(heard(pipe.fit, X, Y)) == 1


def test_as_an_error_it_stops_the_fit_before_anything_is_paid():
    fitted = model().fit(X, Y)
    before = fitted.ledger_
    with warnings.catch_warnings(), pytest.raises(RepeatedFitWarning):
        warnings.simplefilter("error", RepeatedFitWarning)
        fitted.fit(X, Y)
    assert fitted.ledger_ == before


def test_a_budget_says_what_another_delta_does(tmp_path):
    budget = PrivacyBudget(1.0, 1e-5, path=tmp_path / "budget.json")
    with pytest.raises(PrivacyBudgetError) as caught:
        model(epsilon=1.0, delta=1e-3, budget=budget).fit(X, Y)
    assert "chosen at delta=0.001" in str(caught.value) and "give the fit delta=1e-05" in str(caught.value)
    assert budget.spent == 0
    model(epsilon=1.0, delta=1e-5, budget=budget).fit(X, Y)
    with pytest.raises(PrivacyBudgetError) as caught:
        model(epsilon=1.0, delta=1e-5, budget=budget).fit(X, Y)
    assert "chosen at" not in str(caught.value)
