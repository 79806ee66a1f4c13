"""Fits, searches and workers under one budget: the total is the hand-made sum, to the sixth digit."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skfusiondp import (
    FusionDPClassifier,
    Numeric,
    PrivacyBudget,
    PrivacyBudgetError,
    PrivacyLedger,
)
from skfusiondp.accounting import LedgerEntry
from skfusiondp.model_selection import StackedGridSearchCV

WHOLE_MODELS = True

N = 120
rng = np.random.default_rng(0)
X = pd.DataFrame({"age": rng.uniform(20, 80, N), "lab": rng.normal(size=N)})
y = (X["age"] / 30 + X["lab"] > 1.7).to_numpy().astype(int)
AGE = {"age": Numeric(20, 80)}
SMALL = {"steps": 2, "batch_size": 20, "public_epochs": 0, "module__hidden": (4,), "random_state": 0}


def entry(n_rows, sigma, steps=2):
    return LedgerEntry(sigma, 20 / n_rows, steps, "replace", ("age",), n_rows)


def by_hand(entries, delta):
    return PrivacyLedger(tuple(entries)).epsilon(delta)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("search", "n_jobs"),
    [
        (StackedGridSearchCV, 1),
        pytest.param(GridSearchCV, 2, marks=pytest.mark.slow),
    ],
)
def test_a_grid_of_16_on_3_folds_costs_the_composition_of_its_49_fits(search, n_jobs):
    noises, norms = [4.0, 5.0, 6.0, 7.0], [0.5, 1.0, 1.5, 2.0]
    budget = PrivacyBudget(8.0, 1e-5)
    model = FusionDPClassifier(AGE, budget=budget, **SMALL)
    grid = {"noise_multiplier": noises, "max_grad_norm": norms}
    if search is StackedGridSearchCV:
        with pytest.warns(UserWarning, match="shared budget"):
            fitted = search(model, grid, cv=3, n_jobs=n_jobs).fit(X, y)
    else:
        fitted = search(model, grid, cv=3, n_jobs=n_jobs).fit(X, y)
    best = fitted.best_params_["noise_multiplier"]
    expected = [entry(80, s) for s in noises for _ in norms for _ in range(3)] + [entry(120, best)]
    assert len(budget.ledger) == 49
    assert budget.spent == pytest.approx(by_hand(expected, 1e-5), abs=1e-6)
    assert budget.spent <= 8.0


@pytest.mark.slow
def test_the_fit_that_would_overdraw_is_stopped_and_nothing_before_is_lost():
    sigma = 2.0
    allowed = 5
    limit = by_hand([entry(80, sigma)] * allowed, 1e-5) * 1.001
    budget = PrivacyBudget(limit, 1e-5)
    model = FusionDPClassifier(AGE, budget=budget, noise_multiplier=sigma, **SMALL)
    search = GridSearchCV(model, {"max_grad_norm": [0.5, 1.0, 2.0]}, cv=3, refit=False)
    with pytest.warns(Warning, match="above the budget"):
        search.fit(X, y)
    scores = np.concatenate([search.cv_results_[f"split{i}_test_score"] for i in range(3)])
    assert np.isfinite(scores).sum() == allowed == len(budget.ledger)


def test_a_refused_fit_leaves_the_model_as_it_was():
    plan = by_hand([entry(120, 3.0)], 1e-5)
    budget = PrivacyBudget(plan * 1.01, 1e-5)
    model = FusionDPClassifier(AGE, budget=budget, noise_multiplier=3.0, **SMALL).fit(X, y)
    before, ledger, spent = model.predict_proba(X), model.ledger_, budget.spent
    with pytest.raises(PrivacyBudgetError):
        model.set_params(noise_multiplier=2.0).fit(X, y)
    assert np.array_equal(model.predict_proba(X), before)
    assert model.ledger_ == ledger and budget.spent == spent
    fresh = FusionDPClassifier(AGE, budget=budget, **SMALL)
    with pytest.raises(PrivacyBudgetError):
        fresh.fit(X, y)
    with pytest.raises(NotFittedError):
        fresh.predict(X)


def test_an_interrupted_fit_pays_its_plan():
    import skorch.callbacks

    class Stop(skorch.callbacks.Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    budget = PrivacyBudget(50.0, 1e-5)
    settings = {**SMALL, "steps": 6, "callbacks": [Stop()]}
    FusionDPClassifier(AGE, budget=budget, noise_multiplier=3.0, **settings).fit(X, y)
    assert [e.steps for e in budget.ledger] == [6]


def test_a_fit_that_fails_keeps_what_it_paid():
    import skorch.callbacks

    class Fail(skorch.callbacks.Callback):
        def on_batch_end(self, net, **kwargs):
            if net.begin is not None:  # what fails when it is tried on made-up rows is refused
                raise RuntimeError("disk full")

    model = FusionDPClassifier(AGE, noise_multiplier=3.0, **{**SMALL, "steps": 6}).fit(X, y)
    with pytest.raises(RuntimeError, match="disk full"):
        model.set_params(callbacks=[Fail()]).fit(X, y)
    assert [e.steps for e in model.ledger_] == [6, 6]


def test_methods_without_a_guarantee_are_refused_and_free_ones_pay_nothing():
    budget = PrivacyBudget(5.0, 1e-5)
    FusionDPClassifier(AGE, method="hybrid", budget=budget, **{**SMALL, "steps": None, "epochs": 1}).fit(X, y)
    assert budget.spent == 0
    for method in ("non-private", "dp-sgd"):
        with pytest.raises(PrivacyBudgetError):
            FusionDPClassifier(AGE, method=method, budget=budget, **SMALL).fit(X, y)


def test_a_pipeline_pays_by_the_path_of_the_budgets_file(tmp_path):
    path = str(tmp_path / "budget.json")
    PrivacyBudget(5.0, 1e-5, path=path)
    pipe = make_pipeline(FunctionTransformer(), FusionDPClassifier(AGE, budget=path, **SMALL)).fit(X, y)
    assert PrivacyBudget.open(path).ledger == pipe[-1].ledger_
