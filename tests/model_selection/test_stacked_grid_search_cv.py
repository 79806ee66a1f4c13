"""The stacked search gives what the sequential one gives."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn
from torch.optim import SGD

from skfusiondp import (
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    PrivacyLedger,
)
from skfusiondp.datasets import load_adult
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.model_selection import StackedGridSearchCV
from skfusiondp.nets import MLP

GRID = {"noise_multiplier": [0.05, 1.0], "max_grad_norm": [0.1, 1.0], "beta": [0.0, 1.0], "lr": [2e-3, 4e-3]}
SENSITIVE = {"age": Numeric(0, 1), "dose": Numeric(-1, 1)}


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((160, 4)), columns=["a", "b", "age", "dose"])
    frame["kind"] = np.where(frame["a"] > 0.5, "x", "y")
    return frame


@pytest.fixture
def target(table):
    return (table["age"] + table["b"] > 1).astype(int)


def model(cls=FusionDPClassifier, **parameters):
    settings = {"sensitive": SENSITIVE, "random_state": 0, "epochs": 2, "public_epochs": 2, "averaging": 0.5}
    return cls(**{**settings, **parameters})


def both(estimator, grid, X, y, **settings):
    stacked = StackedGridSearchCV(estimator, grid, cv=3, error_score="raise", **settings).fit(X, y)
    plain = GridSearchCV(estimator, grid, cv=3, error_score="raise", **settings).fit(X, y)
    return stacked, plain


def weights(estimator):
    return np.concatenate([p.detach().numpy().ravel() for p in estimator.net_.module_.parameters()])


def assert_same(stacked, plain, tolerance=2e-3):
    assert set(stacked.cv_results_) == set(plain.cv_results_)
    for key, value in plain.cv_results_.items():
        assert len(stacked.cv_results_[key]) == len(value)
        if "test_" in key and "rank" not in key:
            np.testing.assert_allclose(stacked.cv_results_[key], value, atol=tolerance)
    assert stacked.n_splits_ == plain.n_splits_
    assert stacked.stacked_["sequentially"] == 0


METHODS = ["fusiondp", "feature-dp", "dp-sgd", "hybrid", "non-private"]


# The first and the last in every run, the others with the slow ones.
KINDS = [("fusiondp", None), ("feature-dp", None), *((m, MLP) for m in METHODS)]
EACH_KIND = [
    KINDS[0],
    *(pytest.param(*kind, marks=pytest.mark.slow) for kind in KINDS[1:-1]),
    KINDS[-1],
]


@pytest.mark.parametrize(("method", "module"), EACH_KIND)
def test_with_a_seed_it_is_the_sequential_search(table, target, method, module):
    adjacency = "add-remove" if method == "dp-sgd" else "replace"
    estimator = model(method=method, adjacency=adjacency, module=module)
    stacked, plain = both(estimator, GRID, table, target, scoring="neg_log_loss")
    assert_same(stacked, plain)
    assert stacked.best_params_ == plain.best_params_ or method in ("hybrid", "non-private", "feature-dp")
    ledgers = [PrivacyLedger(s.best_estimator_.ledger_.entries) for s in (stacked, plain)]
    assert len(set(ledgers)) == 1 or stacked.best_params_ != plain.best_params_
    assert type(stacked.best_estimator_) is FusionDPClassifier


@pytest.mark.parametrize("kind", ["numpy", "polars", "paired"])
def test_containers(table, target, kind):
    estimator, X = model(), table
    if kind == "numpy":
        X, estimator = table.drop(columns="kind").to_numpy(), model(sensitive={2: Numeric(0, 1)})
    elif kind == "polars":
        X = pytest.importorskip("polars").from_pandas(table)
    else:
        X = FoundationImputer(SENSITIVE, support=table[:30], output="paired").fit_transform(table)
        estimator = model(sensitive=None)
    grid = {"max_grad_norm": [0.1, 1.0]}
    stacked, plain = both(estimator, grid, X, target, scoring="neg_log_loss")
    assert_same(stacked, plain)
    assert hasattr(stacked.best_estimator_, "feature_names_in_") == (kind != "numpy")
    stacked.predict(X)


@pytest.mark.parametrize("task", ["regression", "several", "multiclass", "multilabel"])
def test_tasks(table, task):
    y = table["age"] + table["b"]
    scoring, cls = "neg_mean_squared_error", FusionDPRegressor
    if task == "several":
        y = np.column_stack([y, -y])
    elif task == "multiclass":
        y, cls, scoring = np.digitize(y, [0.7, 1.3]), FusionDPClassifier, "neg_log_loss"
    elif task == "multilabel":
        y, cls, scoring = np.column_stack([y > 1, y > 0.7]).astype(int), FusionDPClassifier, "accuracy"
    stacked, plain = both(model(cls), {"max_grad_norm": [0.1, 1.0]}, table, y, scoring=scoring)
    assert_same(stacked, plain, 2e-2 if task == "multilabel" else 2e-3)


def test_a_folds_model_has_the_weights_of_its_own_fit(table, target):
    from skfusiondp.model_selection._trainer import Outcome, fit_all

    rows = np.arange(0, 160, 2)
    candidates = [{"noise_multiplier": 1.0, "max_grad_norm": c, "alpha": a} for c in (0.1, 1) for a in (1, 3)]
    outcome = fit_all(model(), candidates, table, target, [(rows, rows)], None, {}, Outcome())
    for fitted, parameters in zip(outcome.fits, candidates, strict=True):
        assert fitted.stacked
        own = model(**parameters).fit(table.iloc[rows], target.iloc[rows])
        np.testing.assert_allclose(weights(fitted.estimator), weights(own), atol=2e-3)
        assert fitted.estimator.ledger_ == own.ledger_
        assert fitted.estimator.epsilon_ == own.epsilon_
        np.testing.assert_allclose(
            fitted.estimator.history_[:, "train_loss"], own.history_[:, "train_loss"], atol=1e-3
        )
        assert fitted.estimator.privacy_report().to_dict()["mechanism"]["steps_run"] == own.plan_.steps


def test_without_a_seed_noise_is_each_models_own(table, target):
    from skfusiondp.model_selection._trainer import Outcome, fit_all

    rows = np.arange(160)
    estimator = model(
        random_state=None,
        alpha=1.0,
        steps=1,
        epochs=None,
        public_batch_size=160,
        optimizer=SGD,
        lr=0.01,
        averaging=0.0,
        module=MLP,
    )
    values = [50.0, 50.0, 200.0]
    candidates = [{"noise_multiplier": s, "max_grad_norm": 1e-3} for s in values]
    fits = fit_all(estimator, candidates, table, target, [(rows, rows)], None, {}, Outcome()).fits
    trained = np.stack([weights(f.estimator) for f in fits])
    assert not np.array_equal(trained[0], trained[1])
    # One start for all, so that differences are the difference of two noises.
    batch = fits[0].estimator.plan_.expected_batch_size
    for other, sigma in ((1, np.hypot(50, 50)), (2, np.hypot(50, 200))):
        std = (trained[0] - trained[other]).std()
        assert 0.95 < std / (0.01 * sigma * 1e-3 / batch) < 1.05


def test_ledger_holds_every_model_and_the_refit(table, target):
    search = StackedGridSearchCV(model(), {"noise_multiplier": [1.0, 2.0]}, cv=3).fit(table, target)
    assert [e.noise_multiplier for e in search.ledger_][:6] == [1.0] * 3 + [2.0] * 3
    assert search.ledger_.entries[-1] == search.best_estimator_.ledger_.entries[0]
    assert len(search.ledger_) == 7
    assert search.ledger_.epsilon(1e-3) > 2 * search.best_estimator_.epsilon_
    assert search.stacked_ == {"stacked": 6, "sequentially": 0, "why_not": {}}


class Own(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_features, n_outputs)

    def forward(self, x):
        return self.layer(x)


@pytest.mark.parametrize("case", ["module", "pipeline", "weight decay"])
def test_falls_back_and_says_so_once(table, target, case):
    estimator, name = model(), "max_grad_norm"
    if case == "module":
        estimator.set_params(module=Own)
    elif case == "pipeline":
        estimator, name = make_pipeline(FunctionTransformer(), estimator), "fusiondpclassifier__max_grad_norm"
    else:
        estimator.set_params(optimizer__weight_decay=0.1)
    grid = {name: [0.1, 1.0]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search = StackedGridSearchCV(estimator, grid, cv=3, scoring="neg_log_loss").fit(table, target)
    assert len([w for w in caught if "one by one" in str(w.message)]) == 1
    assert search.stacked_["sequentially"] == 6
    assert len(search.ledger_) == 7
    plain = GridSearchCV(estimator, grid, cv=3, scoring="neg_log_loss").fit(table, target)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], atol=1e-5
    )


def test_mixed_grids_stack_what_they_can(table, target):
    grid = [
        {"method": ["fusiondp", "feature-dp"], "max_grad_norm": [0.1, 1.0]},
        {"optimizer__weight_decay": [0.1]},
    ]
    with pytest.warns(UserWarning, match="weight_decay"):
        search = StackedGridSearchCV(model(), grid, cv=2, n_jobs=2).fit(table, target)
    assert search.stacked_["stacked"] == 8
    assert search.stacked_["sequentially"] == 2


def test_a_bad_value_fails_its_own_fits_only(table, target):
    grid = {"noise_multiplier": [-1.0, 1.0]}
    with pytest.warns(Warning):
        search = StackedGridSearchCV(model(), grid, cv=2).fit(table, target)
    assert np.isnan(search.cv_results_["mean_test_score"][0])
    assert search.best_params_ == {"noise_multiplier": 1.0}
    with pytest.raises(ValueError, match="noise_multiplier"):
        StackedGridSearchCV(model(), grid, cv=2, error_score="raise").fit(table, target)


def test_labelled_support_rows_train_a_stack_too(table, target):
    imputer = FoundationImputer(support=table[:40])
    for module in (None, MLP):
        estimator = model(imputer=imputer, support_target=target[:40], module=module)
        grid = {"max_grad_norm": [0.1, 1.0]}
        stacked, plain = both(estimator, grid, table[40:], target[40:], scoring="neg_log_loss")
        assert_same(stacked, plain)


def test_several_metrics_and_no_refit(table, target):
    search = StackedGridSearchCV(
        model(), {"max_grad_norm": [0.1, 1.0]}, cv=2, scoring=["roc_auc", "accuracy"], refit="roc_auc"
    ).fit(table, target)
    assert {"mean_test_roc_auc", "mean_test_accuracy", "rank_test_roc_auc"} <= set(search.cv_results_)
    assert clone(search).refit == "roc_auc"
    search = StackedGridSearchCV(model(), {"max_grad_norm": [0.1]}, cv=2, refit=False).fit(table, target)
    assert not hasattr(search, "best_estimator_")
    assert len(search.ledger_) == 2


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"scoring": "acuracy"}, "scoring"),
        ({"scoring": ["roc_auc", "acuracy"], "refit": "roc_auc"}, "acuracy"),
        ({"scoring": ["roc_auc", "accuracy"]}, "refit=True must be one of the metrics, roc_auc, accuracy"),
        ({"n_jobs": 0}, "n_jobs=0 must be a whole number other than 0"),
        ({"error_score": "none"}, "error_score"),
        ({"estimator": 3.0}, "estimator"),
        ({"estimator": FusionDPClassifier}, "is no estimator; pass an object"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_paid_for(table, target, settings, match):
    # scikit-learn's own search looks at metrics when all models are trained.
    search = StackedGridSearchCV(**{"estimator": model(), "param_grid": {"lr": [0.1, 0.2]}, **settings})
    with pytest.raises((ValueError, TypeError), match=match):
        search.fit(table, target)
    assert not hasattr(search, "ledger_")


def test_labels_that_are_none_are_refused_in_words(table, target):
    search = StackedGridSearchCV(model(), {"lr": [0.1, 0.2]}, cv=2)
    with pytest.raises(InvalidInputError, match="y cannot be used as a target"):
        search.fit(table, np.array([*target[1:], "a"], dtype=object))


def test_an_interrupted_search_tells_what_it_spent(table, target, monkeypatch):
    from skfusiondp.model_selection._ensemble import Ensemble

    step = Ensemble._step

    def interrupted(self):
        if self.private_steps == 2:
            raise KeyboardInterrupt
        step(self)

    monkeypatch.setattr(Ensemble, "_step", interrupted)
    search = StackedGridSearchCV(model(), {"max_grad_norm": [0.1, 1.0]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(table, target)
    # When it was interrupted may depend on what was released: the plans of those that began are paid.
    assert [e.steps for e in search.ledger_] == [4, 4]


def test_a_second_search_adds_to_the_ledger(table, target):
    search = StackedGridSearchCV(model(), {"max_grad_norm": [0.1, 1.0]}, cv=2).fit(table, target)
    once = search.ledger_
    assert search.fit(table, target).ledger_ == once + once


def test_torch_threads_are_left_as_they_were(table, target):
    import torch

    before = torch.get_num_threads()
    StackedGridSearchCV(model(), {"max_grad_norm": [0.1]}, cv=2, n_jobs=2).fit(table, target)
    assert torch.get_num_threads() == before


def test_a_fitted_search_pickles(tmp_path):
    adult = load_adult()
    model = FusionDPClassifier(adult.sensitive, steps=3, public_epochs=1, random_state=0)
    search = StackedGridSearchCV(model, {"max_grad_norm": [0.5, 1.0]}, cv=2)
    search.fit(adult.table[:200], adult.target[:200])
    loaded = pickle.loads(pickle.dumps(search))
    rows = adult.table[200:220]
    np.testing.assert_array_equal(loaded.predict_proba(rows), search.predict_proba(rows))
    assert loaded.ledger_ == search.ledger_
