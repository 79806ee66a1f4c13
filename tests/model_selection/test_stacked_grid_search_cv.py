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
from torch.optim import RMSprop

from skfusiondp import (
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
)
from skfusiondp.datasets import load_adult
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.model_selection import StackedGridSearchCV
from skfusiondp.model_selection._fold_fits import fit_each
from skfusiondp.model_selection._head_stack import HeadStack
from skfusiondp.nets import MLP
from skfusiondp.preprocessing import PrivateStandardScaler
from skfusiondp.training._batches import BatchSchedule
from skfusiondp.training._driver import Driver

GRID = {"noise_multiplier": [0.05, 1.0], "max_grad_norm": [0.1, 1.0]}
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
    # Noise that is given: with epsilon the default module counts cells first, and each fit trains alone.
    settings = {"sensitive": SENSITIVE, "random_state": 0, "epochs": 2, "public_epochs": 2, "ema_decay": 0.5}
    settings |= {} if "epsilon" in parameters else {"noise_multiplier": 2.0}
    return cls(**{**settings, **parameters})


def both(estimator, grid, X, y, **settings):
    stacked = StackedGridSearchCV(estimator, grid, cv=2, error_score="raise", **settings).fit(X, y)
    plain = GridSearchCV(estimator, grid, cv=2, error_score="raise", **settings).fit(X, y)
    return stacked, plain


def weights(estimator):
    return np.concatenate([p.detach().numpy().ravel() for p in estimator.net_.module_.parameters()])


def assert_same(stacked, plain, tolerance=2e-3, heads=True):
    assert set(stacked.cv_results_) == set(plain.cv_results_)
    for key, value in plain.cv_results_.items():
        assert len(stacked.cv_results_[key]) == len(value)
        if "test_" in key and "rank" not in key:
            np.testing.assert_allclose(stacked.cv_results_[key], value, atol=tolerance)
    assert stacked.n_splits_ == plain.n_splits_
    assert (stacked.stacked_["sequentially"] == 0) == heads


@pytest.mark.one_in(6)
@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("fusiondp", {}),
        ("feature-dp", {"clipping": "per-layer"}),
        ("fusiondp", {"module": MLP, "beta": 1.0}),
        ("dp-sgd", {"adjacency": "add-remove"}),
        ("hybrid", {}),
    ],
)
def test_with_a_seed_it_is_the_sequential_search(table, target, method, parameters):
    estimator = model(method=method, **parameters)
    stacked, plain = both(estimator, GRID, table, target, scoring="neg_log_loss")
    heads = not {"module", "adjacency"} & set(parameters) and method != "hybrid"
    assert_same(stacked, plain, heads=heads)
    if method != "hybrid":
        assert stacked.best_params_ == plain.best_params_
        assert stacked.best_estimator_.ledger_.entries == plain.best_estimator_.ledger_.entries
    assert type(stacked.best_estimator_) is FusionDPClassifier


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["numpy", "polars", "paired"])
def test_containers(table, target, kind):
    estimator, X = model(), table
    if kind == "numpy":
        X, estimator = table.drop(columns="kind").to_numpy(), model(sensitive={2: Numeric(0, 1)})
    elif kind == "polars":
        X = pytest.importorskip("polars").from_pandas(table)
    else:
        imputer = FoundationImputer(SENSITIVE, support=table[:30], output="paired")
        X, target = imputer.fit_transform(table[30:]), target[30:]
        estimator = model(sensitive=None)
    grid = {"max_grad_norm": [0.1, 1.0]}
    stacked, plain = both(estimator, grid, X, target, scoring="neg_log_loss")
    assert_same(stacked, plain)
    assert hasattr(stacked.best_estimator_, "feature_names_in_") == (kind != "numpy")
    stacked.predict(X)


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("clipping", ["flat", "per-layer"])
@pytest.mark.parametrize("seed", [0, None])
def test_a_folds_model_has_the_weights_of_its_own_fit(table, target, clipping, seed):
    candidates = [
        {"noise_multiplier": s, "max_grad_norm": c, "alpha": a, "lr": r}
        for s, c, a, r in [(1.0, 0.1, 1, 0.01), (2.0, 1, 3, 0.01), (1.0, 1, 1, 0.05)]
    ]
    estimator = model(clipping=clipping, random_state=seed)
    fits = fit_each(estimator, candidates, table, target, {}, [], [])
    for fitted, parameters in zip(fits, candidates, strict=True):
        assert not fitted.alone and "_driver" not in vars(fitted.estimator)
        own = clone(estimator).set_params(**parameters).fit(table, target)
        assert fitted.estimator.ledger_ == own.ledger_
        assert fitted.estimator.epsilon_ == own.epsilon_
        assert fitted.estimator.privacy_report().to_dict()["mechanism"]["steps_run"] == own.plan_.steps
        assert np.allclose(weights(fitted.estimator), weights(own), atol=1e-5) == (seed == 0)
        if seed == 0:
            losses = (m.history_[:, "train_loss"] for m in (fitted.estimator, own))
            np.testing.assert_allclose(*losses, atol=1e-5)


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


@pytest.mark.parametrize("case", ["module", "pipeline", "optimizer"])
@pytest.mark.one_in(3)
def test_falls_back_and_says_so_once(table, target, case):
    estimator, name = model(), "max_grad_norm"
    if case == "module":
        estimator.set_params(module=Own)
    elif case == "pipeline":
        estimator, name = make_pipeline(FunctionTransformer(), estimator), "fusiondpclassifier__max_grad_norm"
    else:
        estimator.set_params(optimizer=RMSprop)
    grid = {name: [0.1, 1.0]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search = StackedGridSearchCV(estimator, grid, cv=2, scoring="neg_log_loss").fit(table, target)
    assert len([w for w in caught if "one by one" in str(w.message)]) == 1
    assert search.stacked_["sequentially"] == 4
    assert len(search.ledger_) == 5
    plain = GridSearchCV(estimator, grid, cv=2, scoring="neg_log_loss").fit(table, target)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], atol=1e-5
    )


@pytest.mark.filterwarnings("ignore::skfusiondp.exceptions.DataHolderWarning")
def test_a_search_counts_every_private_part(table, target):
    scaler = PrivateStandardScaler(SENSITIVE, noise_multiplier=2.0, delta=1e-3)
    pipe = make_pipeline(scaler, model(on_leak="ignore"))
    grid = {"fusiondpclassifier__max_grad_norm": [0.1, 1.0]}
    with pytest.warns(UserWarning, match="one by one"):
        search = StackedGridSearchCV(pipe, grid, cv=2).fit(table, target)
    own = [len(step.ledger_) for step in search.best_estimator_]
    assert min(own) > 0 and len(search.ledger_) == 5 * sum(own)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:StackedGridSearchCV fitted")
def test_a_search_inside_a_search_is_counted_or_refused(table, target):
    inner, outer = {"max_grad_norm": [1.0]}, {"estimator__lr": [0.01]}
    counted = StackedGridSearchCV(StackedGridSearchCV(model(), inner, cv=2), outer, cv=2)
    assert len(counted.fit(table, target).ledger_) == 9
    lost = StackedGridSearchCV(GridSearchCV(model(), inner, cv=2), outer, cv=2)
    with pytest.raises(InvalidInputError, match="ledgers are lost with the clones"):
        lost.fit(table, target)
    assert not hasattr(lost, "ledger_")


@pytest.mark.slow
def test_mixed_grids_stack_what_they_can(table, target):
    grid = [
        {"method": ["fusiondp", "feature-dp"], "max_grad_norm": [0.1, 1.0]},
        {"clipping": ["automatic"]},
    ]
    with pytest.warns(UserWarning, match="automatic clipping"):
        search = StackedGridSearchCV(model(), grid, cv=2, n_jobs=2).fit(table, target)
    assert search.stacked_["stacked"] == 8
    assert search.stacked_["sequentially"] == 2
    assert len(search.ledger_) == 11


@pytest.mark.slow
def test_a_bad_value_fails_its_own_fits_only(table, target):
    grid = {"noise_multiplier": [-1.0, 1.0]}
    with pytest.warns(Warning):
        search = StackedGridSearchCV(model(), grid, cv=2).fit(table, target)
    assert np.isnan(search.cv_results_["mean_test_score"][0])
    assert search.best_params_ == {"noise_multiplier": 1.0}
    with pytest.raises(ValueError, match="noise_multiplier"):
        StackedGridSearchCV(model(), grid, cv=2, error_score="raise").fit(table, target)


@pytest.mark.slow
def test_labelled_support_rows_train_a_stack_too(table, target):
    imputer = FoundationImputer(support=table[:40])
    estimator = model(imputer=imputer, support_target=target[:40])
    grid = {"max_grad_norm": [0.1, 1.0]}
    stacked, plain = both(estimator, grid, table[40:], target[40:], scoring="neg_log_loss")
    assert_same(stacked, plain)


@pytest.mark.slow
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
    step = HeadStack._step

    def interrupted(self):
        if self.nets[0].private_steps_ == 2:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(HeadStack, "_step", interrupted)
    search = StackedGridSearchCV(model(), {"max_grad_norm": [0.1, 1.0]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(table, target)
    # When it was interrupted may depend on what was released: the plans of those that began are paid.
    assert [e.steps for e in search.ledger_] == [4, 4]


@pytest.mark.slow
def test_a_second_search_adds_to_the_ledger(table, target):
    search = StackedGridSearchCV(model(), {"max_grad_norm": [0.1, 1.0]}, cv=2).fit(table, target)
    once = search.ledger_
    assert search.fit(table, target).ledger_ == once + once


@pytest.mark.slow
def test_a_fitted_search_pickles(tmp_path):
    adult = load_adult()
    model = FusionDPClassifier(adult.sensitive, steps=3, public_epochs=1, random_state=0)
    search = StackedGridSearchCV(model, {"max_grad_norm": [0.5, 1.0]}, cv=2)
    search.fit(adult.table[:200], adult.target[:200])
    loaded = pickle.loads(pickle.dumps(search))
    rows = adult.table[200:220]
    np.testing.assert_array_equal(loaded.predict_proba(rows), search.predict_proba(rows))
    assert loaded.ledger_ == search.ledger_


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fusiondp", "feature-dp"])
@pytest.mark.parametrize("support", [False, True], ids=["no support", "support"])
@pytest.mark.parametrize("epsilons", [(1.0, 3.0), (3.0, 1.0)], ids=["first all alike", "last all alike"])
def test_fits_share_nothing_that_depends_on_who_pays_what(table, target, method, support, epsilons):
    """At epsilon 1 both columns have the same budget; at 3 one of them has its own, and a tier of its own."""
    sensitive = {"age": Numeric(0, 1, knots=[0.5], epsilon=1.0), "dose": Numeric(-1, 1, knots=[0.0])}
    own = {"sensitive": sensitive, "method": method, "delta": 1e-5, "epochs": 2, "public_epochs": 1}
    given = {"support": table[:60].assign(a=table["b"][:60])} if support else {}
    estimator = FusionDPClassifier(**own, **given, random_state=0)
    fits = fit_each(estimator, [{"epsilon": e} for e in epsilons], table, target, {}, [], [])
    tiers = []
    for fit, epsilon in zip(fits, epsilons, strict=True):
        assert fit.error is None
        lone = clone(estimator).set_params(epsilon=epsilon).fit(table, target)
        np.testing.assert_allclose(
            fit.estimator.predict_proba(table), lone.predict_proba(table), rtol=0, atol=1e-6
        )
        assert fit.estimator.ledger_.entries == lone.ledger_.entries
        tiers.append(len(lone.plan_.tiers))
    assert sorted(tiers) == [1, 2]


def test_rows_of_other_tiers_than_the_plan_s_are_not_trained_on(table, target):
    """A tier would read columns that it does not pay for."""
    rows, plan = [], {}
    for epsilon in (1.0, 3.0):
        sensitive = {"age": Numeric(0, 1, epsilon=1.0), "dose": Numeric(-1, 1)}
        fitted = FusionDPClassifier(
            sensitive,
            method="feature-dp",
            epsilon=epsilon,
            delta=1e-5,
            epochs=1,
            public_epochs=0,
            random_state=0,
        )
        fitted._driver = Keeps(rows)
        plan[epsilon] = fitted.fit(table, target).plan_
    with pytest.raises(RuntimeError, match="tier"):
        BatchSchedule(rows[0], plan[3.0], (1,), 8, np.random.SeedSequence(0))
    with pytest.raises(RuntimeError, match="tier"):
        BatchSchedule(rows[1], plan[1.0], (1,), 8, np.random.SeedSequence(0))


class Keeps(Driver):
    def __init__(self, kept):
        self.kept = kept

    def rows(self, like, make):
        self.kept.append(make())
        return self.kept[-1]
