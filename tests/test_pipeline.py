"""The estimators as scikit-learn users use them: pipelines, searches, clones, pickles, tables."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skfusiondp import FoundationImputer, FusionDPClassifier, FusionDPRegressor
from skfusiondp.impute import ConditionalBackend, PairedTable
from skfusiondp.nets import MLP

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")

METHODS = ["fusiondp", "feature-dp", "dp-sgd", "hybrid", "non-private"]
GRID = {"noise_multiplier": [0.8, 2.0], "max_grad_norm": [0.5, 1.0]}
SMALL = {
    "noise_multiplier": 1.0,
    "steps": 3,
    "public_epochs": 1,
    "module__hidden": (8,),
    "random_state": 0,
}


@pytest.fixture(scope="module")
def split(adult):
    """Support rows, training rows and training target."""
    table, target = adult.table.reset_index(drop=True), adult.target.reset_index(drop=True)
    return table[:100], table[100:300], target[100:300].to_numpy()


def small(sensitive, cls=FusionDPClassifier, **parameters):
    return cls(sensitive, **{**SMALL, **parameters})


def quick_imputer(adult, support, **parameters):
    kinds = {
        "regressor": DecisionTreeRegressor(max_depth=3, random_state=0),
        "classifier": DecisionTreeClassifier(max_depth=3, random_state=0),
    }
    backend = {c: kinds[d.task] for c, d in adult.sensitive.items()}
    return FoundationImputer(support=support, backend=backend, **parameters)


def public_steps(adult):
    """Ordinary preprocessing of some public columns; the others pass."""
    numbers = [c for c in adult.public if adult.table[c].dtype.kind in "if"]
    steps = ColumnTransformer(
        [
            ("scale", StandardScaler(), numbers[:1]),
            (
                "one_hot",
                OneHotEncoder(sparse_output=False, handle_unknown="ignore"),
                ["education"],
            ),
        ],
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    return steps.set_output(transform="pandas")


@pytest.mark.one_in(3)
def test_pipeline_with_column_transformer_and_grid_search(adult, split, df_module):
    _, X, y = split
    X = df_module(X)
    pipeline = Pipeline([("public", public_steps(adult)), ("clf", small(adult.sensitive))])
    search = GridSearchCV(pipeline, {f"clf__{k}": v for k, v in GRID.items()}, cv=2, error_score="raise")
    search.fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_["clf"]
    assert best.schema_.sensitive == tuple(c for c in adult.table.columns if c in adult.sensitive)
    assert best.plan_.noise_multiplier == search.best_params_["clf__noise_multiplier"]
    assert search.predict(X).shape == (len(y),)


@pytest.mark.one_in(3)
def test_explicit_pipeline_and_grid_search(adult, split, df_module):
    support, X, y = split
    X, support = df_module(X), df_module(support)
    imputer = quick_imputer(adult, support, sensitive=adult.sensitive, output="paired", random_state=0)
    pipeline = make_pipeline(imputer, small(None))
    grid = {f"fusiondpclassifier__{k}": v for k, v in GRID.items()}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    model = search.best_estimator_[-1]
    assert set(model.schema_.sensitive) == set(adult.sensitive)
    assert "it came with X" in str(model.privacy_report())
    assert search.predict(X).shape == (len(y),)


def test_explicit_pipeline_equals_the_estimator_with_an_imputer(adult, split):
    support, X, y = split
    imputer = quick_imputer(adult, support, random_state=0)
    one = small(adult.sensitive, imputer=imputer).fit(X, y)
    explicit = clone(imputer).set_params(sensitive=adult.sensitive, output="paired")
    two = make_pipeline(explicit, small(None)).fit(X, y)
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))


@pytest.mark.slow
def test_grid_search_on_a_paired_table(adult, split):
    _, X, y = split
    paired = PairedTable.from_views(X, X.assign(age=40), adult.sensitive)
    search = GridSearchCV(small(None), {"max_grad_norm": [0.5, 1.0]}, cv=2, error_score="raise")
    search.fit(paired, y)
    assert search.predict(paired).shape == (len(y),)


@pytest.mark.slow
def test_the_method_can_be_searched(adult, split):
    _, X, y = split
    grid = {"method": METHODS}
    search = GridSearchCV(small(adult.sensitive), grid, cv=2, error_score="raise").fit(X, y)
    assert [p["method"] for p in search.cv_results_["params"]] == METHODS


def test_cross_val_score(adult, split):
    _, X, y = split
    scores = cross_val_score(small(adult.sensitive), X, y, cv=3, error_score="raise")
    assert scores.shape == (3,) and np.isfinite(scores).all()


# Parameters -----------------------------------------------------------


def test_parameters_of_the_torch_parts(adult, split):
    _, X, y = split
    model = small(adult.sensitive, module__hidden=(7,), optimizer__weight_decay=0.25)
    assert model.get_params()["module__hidden"] == (7,)
    copy = clone(model)
    assert copy.get_params()["optimizer__weight_decay"] == 0.25
    copy.set_params(module__hidden=(5,), module__dropout=0.1, lr=0.01)
    assert copy.get_params()["module__hidden"] == (5,)
    assert model.get_params()["module__hidden"] == (7,)
    copy.fit(X, y)
    assert copy.net_.module_.deep.head.in_features == 5
    assert copy.net_.optimizer_.param_groups[0]["weight_decay"] == 0.25
    assert copy.net_.optimizer_.param_groups[0]["lr"] == 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "rate"),
    [
        ({}, 0.02),
        ({"method": "feature-dp"}, 0.02),
        ({"method": "dp-sgd"}, 0.01),
        ({"module": MLP, "private_parameters": ["*"]}, 0.01),
        ({"lr": 0.5}, 0.5),
        ({"method": "dp-sgd", "lr": 0.5}, 0.5),
        ({"optimizer__lr": 0.5}, 0.5),
        ({"optimizer__lr": None, "lr": 0.5}, 0.5),
    ],
)
def test_learning_rate_of_private_steps(adult, split, settings, rate):
    _, X, y = split
    model = small(adult.sensitive, **settings).fit(X, y)
    assert model.net_.optimizer_.param_groups[0]["lr"] == rate


def test_parameters_of_the_imputer(adult, split):
    support, _, _ = split
    imputer = FoundationImputer(support=support, backend=ConditionalBackend(n_estimators=5))
    model = small(adult.sensitive, imputer=imputer)
    assert model.get_params()["imputer__backend__n_estimators"] == 5
    model.set_params(imputer__strategy="median")
    assert model.imputer.strategy == "median"
    with pytest.raises(ValueError, match="Invalid parameter 'strategi'"):
        model.set_params(imputer__strategi="median")


def test_every_parameter_is_stored_as_given():
    model = FusionDPClassifier()
    changed = {name: object() for name in model.get_params()}
    assert FusionDPClassifier(**changed).get_params(deep=False) == changed


@pytest.mark.parametrize("cls", [FusionDPClassifier, FusionDPRegressor])
def test_fit_changes_no_parameter(cls, adult, split):
    support, X, y = split
    model = small(adult.sensitive, cls, imputer=quick_imputer(adult, support))
    before = model.get_params()
    kept = {k: v for k, v in before.items() if not k.startswith("imputer__")}
    model.fit(X, y)
    after = model.get_params()
    assert all(after[k] is v for k, v in kept.items())
    assert not hasattr(model.imputer, "schema_")  # the caller's imputer is cloned, not fitted


# Saving and repeating -----------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_pickle_round_trip(method, adult, split):
    support, X, y = split
    model = small(adult.sensitive, method=method, imputer=quick_imputer(adult, support)).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.ledger_ == model.ledger_ and again.epsilon_ == model.epsilon_
    assert again.schema_ == model.schema_ and again.plan_ == model.plan_
    assert str(again.privacy_report()) == str(model.privacy_report())


def test_random_state_repeats_a_fit_and_none_does_not(adult, split):
    _, X, y = split

    def outputs(random_state):
        return small(adult.sensitive, random_state=random_state).fit(X, y).predict_proba(X)

    assert np.array_equal(outputs(3), outputs(3))
    assert np.array_equal(outputs(np.random.RandomState(3)), outputs(np.random.RandomState(3)))
    assert not np.array_equal(outputs(3), outputs(4))
    assert not np.array_equal(outputs(None), outputs(None))


def test_a_fit_leaves_the_users_random_streams_alone(adult, split):
    import torch

    _, X, y = split
    before = torch.random.get_rng_state()
    numbers = np.random.get_state()[1].copy()  # noqa: NPY002
    small(adult.sensitive).fit(X, y)
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.array_equal(numbers, np.random.get_state()[1])  # noqa: NPY002


# Tables -----------------------------------------------------------


@pytest.mark.one_in(9)
def test_table_kinds_give_the_same_model(adult, split, df_module):
    support, X, y = split
    wanted = small(adult.sensitive, imputer=quick_imputer(adult, support)).fit(X, y).predict_proba(X)
    imputer = quick_imputer(adult, df_module(support))
    got = small(adult.sensitive, imputer=imputer).fit(df_module(X), y).predict_proba(df_module(X))
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_arrays_and_positions(split):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    y = X[:, 0] > 0
    model = small([1, 3], on_leak="ignore").fit(X, y)
    assert model.schema_.sensitive == ("x1", "x3")
    assert model.predict(X).dtype == bool


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_predicts_without_the_sensitive_columns(method, adult, split, df_module):
    support, X, y = split
    model = small(adult.sensitive, method=method, imputer=quick_imputer(adult, support)).fit(df_module(X), y)
    without = df_module(X.drop(columns=list(adult.sensitive)))
    probabilities = model.predict_proba(without)
    assert probabilities.shape == (len(y), 2)
    some = df_module(X.drop(columns=["age", "gender"]))
    assert np.isfinite(probabilities).all()
    full = model.predict_proba(df_module(X))
    assert model.predict(some).shape == (len(y),)
    assert not np.array_equal(probabilities, full)


def test_a_missing_public_column_is_an_error_that_names_it(adult, split):
    _, X, y = split
    model = small(adult.sensitive).fit(X, y)
    with pytest.raises(ValueError, match="workclass"):
        model.predict(X.drop(columns="workclass"))


# Targets -----------------------------------------------------------


def test_multiclass(adult, split):
    _, X, _ = split
    y = np.array(["low", "mid", "high"])[np.arange(len(X)) % 3]
    model = small(adult.sensitive).fit(X, y)
    assert model.classes_.tolist() == ["high", "low", "mid"]
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (len(X), 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert np.array_equal(model.predict(X), model.classes_[probabilities.argmax(axis=1)])


def test_multilabel(adult, split):
    _, X, y = split
    labels = np.column_stack([y, 1 - y, np.arange(len(y)) % 2])
    model = small(adult.sensitive).fit(X, labels)
    assert model.predict_proba(X).shape == model.predict(X).shape == (len(X), 3)
    assert set(np.unique(model.predict(X))) <= {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize("n_targets", [None, 1, 3])
def test_regression_in_the_targets_own_unit(n_targets, adult, split):
    _, X, _ = split
    hours = X["hours-per-week"].to_numpy(dtype=float) * 1000
    y = hours if n_targets is None else np.column_stack([hours] * n_targets)
    model = small(
        adult.sensitive,
        FusionDPRegressor,
        public_epochs=150,
        public_lr=0.01,
        lr=1e-5,
        noise_multiplier=50.0,
    )
    predicted = model.fit(X, y).predict(X)
    assert predicted.shape == y.shape
    first = predicted if n_targets is None else predicted[:, 0]
    assert np.corrcoef(first, hours)[0, 1] > 0.8  # hours per week is a public column
    assert abs(first.mean() - hours.mean()) < 5000


@pytest.mark.slow
def test_a_free_gradient_learns_what_public_columns_tell(adult, split):
    _, X, y = split
    model = small(adult.sensitive, public_epochs=200, public_lr=0.01, method="hybrid").fit(X, y)
    assert model.score(X, y) > 0.85 > 0.8 > max(y.mean(), 1 - y.mean())


@pytest.mark.slow
def test_class_weight_moves_predictions(adult, split):
    _, X, y = split

    def mean(class_weight):
        model = small(adult.sensitive, class_weight=class_weight, public_epochs=60, lr=0.005, method="hybrid")
        return model.fit(X, y).predict_proba(X)[:, 1].mean()

    assert mean({0: 0.05, 1: 1.0}) > mean(None) + 0.1
    assert mean("balanced") > mean(None) + 0.02


def test_nothing_sensitive_trains_freely(adult, split):
    _, X, y = split
    model = small([], on_leak="ignore").fit(X, y)
    assert model.plan_ is None and model.epsilon_ == 0.0
    assert "nothing is protected" in str(model.privacy_report())
