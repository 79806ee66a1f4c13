"""A person in several rows: whose row it is, whose epsilon it is, and rows that are there twice."""

import json
import math
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    OffsetFusionClassifier,
    PrivacyBudget,
    PrivacyLeakError,
    PrivacyLeakWarning,
    PrivateSynthesizer,
    SynthesizedClassifier,
)
from skfusiondp.datasets import load_adult
from skfusiondp.estimators.offset._correction import Releases
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.model_selection import PrivateRandomSearchCV, StackedGridSearchCV
from skfusiondp.preprocessing import PrivateCategories, PrivateSelectKBest, PrivateStandardScaler
from skfusiondp.tables._repeats import _repeated_cells
from skfusiondp.training._batches import TrainingRows

WHOLE_MODELS = True

rng = np.random.default_rng(0)
VISITS = rng.integers(1, 9, 70)
PERSON = np.repeat(np.arange(70), VISITS)[rng.permutation(VISITS.sum())]
N = len(PERSON)
X = pd.DataFrame(
    {
        "lab": rng.normal(size=N),
        "ward": rng.choice(["north", "south"], N),
        "age": rng.uniform(20, 80, N),
        "sex": rng.choice(["f", "m"], N),
        "person": PERSON,
    }
)
y = (X["lab"] > 0).to_numpy().astype(int)
DOMAINS = {"age": Numeric(18, 90), "sex": Categorical(["f", "m"])}
FAST = {"steps": 2, "batch_size": 30, "public_epochs": 0, "module__hidden": (4,)}
FAST["imputer"] = FoundationImputer(backend="domain")
SMALL = HistGradientBoostingClassifier(max_iter=5)

MODELS = {
    "fusiondp": FusionDPClassifier(DOMAINS, **FAST),
    "regressor": FusionDPRegressor(DOMAINS, **FAST),
    "feature-dp": FusionDPClassifier(DOMAINS, method="feature-dp", **FAST),
    "dp-sgd": FusionDPClassifier(DOMAINS, method="dp-sgd", **FAST),
    "zero-out": FusionDPClassifier(DOMAINS, adjacency="zero-out", **FAST),
    "tiers": FusionDPClassifier({**DOMAINS, "age": Numeric(18, 90, epsilon=0.4)}, **FAST),
    "offset": OffsetFusionClassifier(DOMAINS, steps=3),
    "synthesizer": PrivateSynthesizer(DOMAINS),
    "synthesized": SynthesizedClassifier(DOMAINS, estimator=SMALL, n_draws=1),
    "scaler": PrivateStandardScaler(DOMAINS),
    "categories": PrivateCategories(DOMAINS),
    "selector": PrivateSelectKBest(DOMAINS, k=1),
}


def fresh(name, **parameters):
    return clone(MODELS[name]).set_params(**parameters)


@pytest.mark.one_in(12)
@pytest.mark.parametrize("most", [None, 3])
@pytest.mark.parametrize("how", ["column", "array"])
@pytest.mark.parametrize("name", MODELS)
def test_epsilon_is_the_units_and_everything_says_so(name, how, most):
    model = fresh(name, epsilon=1.0, max_rows_per_unit=most)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PrivacyLeakWarning)
        if how == "column":
            model.set_params(groups="person").fit(X, y)
        else:
            model.fit(X.drop(columns="person"), y, groups=PERSON)
    k = VISITS.max() if most is None else most
    assert model.rows_per_unit_ == k == model.ledger_.rows_per_unit
    assert 0.9 < model.epsilon_ <= 1.0
    assert model.epsilon_ == model.ledger_.epsilon(model.delta_)
    row = model.ledger_.epsilon(model.delta_, of="row")
    assert row < 0.6 * model.epsilon_
    report = model.privacy_report()
    loaded = json.loads(report.to_json())
    assert loaded["epsilon_of_a_row"] == pytest.approx(row) and loaded["rows_per_unit"] == k
    for text in (str(report), report.to_html(), loaded["epsilon_is_of"]):
        assert f"at most {k} rows" in text
        assert ("person" if how == "column" else "groups") in text


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", ["fusiondp", "regressor", "dp-sgd", "offset"])
def test_the_column_is_left_out_and_may_be_absent_afterwards(name):
    model = fresh(name, epsilon=1.0, groups="person", random_state=0).fit(X, y)
    without = X.drop(columns="person")
    assert list(model.feature_names_in_) == list(without.columns)
    assert np.array_equal(model.predict(X), model.predict(without))
    other = fresh(name, epsilon=1.0, random_state=0).fit(without, y, groups=PERSON)
    assert np.array_equal(other.predict(X[without.columns]), model.predict(X))
    assert pickle.loads(pickle.dumps(model)).privacy_report().to_dict() == model.privacy_report().to_dict()


@pytest.mark.parametrize("name", ["scaler", "categories", "selector"])
def test_a_transformer_passes_the_column_and_does_without_it_later(name):
    model = fresh(name, groups="person", random_state=0).fit(X, y)
    out = model.transform(X)
    assert list(out["person"]) == list(X["person"])
    pd.testing.assert_frame_equal(model.transform(X.drop(columns="person")), out.drop(columns="person"))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", MODELS)
def test_rows_beyond_the_bound_are_in_no_private_branch(name, monkeypatch):
    """Other sensitive cells in the rows left out: the same release, bit by bit."""
    seen = []
    real = TrainingRows.private_rows

    def spy(self, index, tier=0):
        seen.append(index)
        return real(self, index, tier)

    released, gradient = [], Releases.gradient

    def watched(self, *args):
        released.append(gradient(self, *args))
        return released[-1]

    monkeypatch.setattr(TrainingRows, "private_rows", spy)
    monkeypatch.setattr(Releases, "gradient", watched)
    # A label of which age tells, so that a joint model of it is believed.
    offset, told_by_age = name == "offset", (X["lab"] + (X["age"] - 50) / 10 > 0).astype(int)
    beyond = X.groupby("person").cumcount() >= 2
    changed = X.assign(age=X["age"].where(~beyond, 88.0), sex=X["sex"].where(~beyond, "m"))
    models = []
    for table in (X, changed):
        noise = {"epsilon": 1.0} if name == "tiers" else {"noise_multiplier": 1.0}
        model = fresh(name, **noise, groups="person", max_rows_per_unit=2, random_state=0)
        models.append(model.fit(table, told_by_age if offset else y))
    assert not beyond.to_numpy()[np.concatenate([np.zeros(0, int), *seen])].any()
    first, second = models
    assert first.rows_per_unit_ == 2
    if offset:
        assert first._structure.shares.any() and np.array_equal(*released)
    if hasattr(first, "predict"):
        free = [c for c in X if c not in DOMAINS] + list(DOMAINS)
        assert np.array_equal(first.predict(X[free][X.columns]), second.predict(X))
    if name == "scaler":
        assert first.mean_ == second.mean_ and first.scale_ == second.scale_
    if name == "selector":
        assert first.scores_ == second.scores_
    if name == "offset":
        assert np.array_equal(first.coef_, second.coef_)
    if name == "synthesizer":
        pd.testing.assert_frame_equal(first.sample()[0], second.sample()[0])
    # Without the bound the same change is felt.
    if name == "scaler":
        all_rows = [
            fresh(name, noise_multiplier=1.0, random_state=0).fit(t, groups=PERSON) for t in (X, changed)
        ]
        assert all_rows[0].mean_ != all_rows[1].mean_


def test_other_rows_stay_in_the_free_branch():
    capped = fresh("fusiondp", groups="person", max_rows_per_unit=1).fit(X, y)
    assert capped.n_rows_ == N and capped.plan_.n_rows == N


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", ["fusiondp", "offset"])
def test_a_column_of_a_table_on_disk_says_whose_row_it_is(name, tmp_path):
    pytest.importorskip("pyarrow")
    X.to_parquet(tmp_path / "train.parquet")
    one, two = (
        fresh(name, epsilon=1.0, groups="person", max_rows_per_unit=3, random_state=0).fit(table, y)
        for table in (X, str(tmp_path / "train.parquet"))
    )
    assert two.rows_per_unit_ == 3 and one.plan_ == two.plan_ and one.ledger_ == two.ledger_
    assert "person" not in two.schema_.columns and two.n_features_in_ == 4
    np.testing.assert_allclose(
        one.predict_proba(X), two.predict_proba(tmp_path / "train.parquet"), rtol=0, atol=1e-5
    )
    with pytest.raises(InvalidInputError, match="no column of X"):
        fresh(name, groups="nobody").fit(tmp_path / "train.parquet", y)
    np.save(tmp_path / "numbers.npy", X[["lab", "age"]].to_numpy())
    with pytest.raises(InvalidInputError, match="have no names"):
        fresh(name, sensitive={1: Numeric(18, 90)}, groups="lab").fit(tmp_path / "numbers.npy", y)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["polars", "array", "list", "file"])
def test_other_tables_take_units_too(kind, tmp_path):
    A = X[["lab", "age"]].to_numpy()
    domains = {1: Numeric(18, 90)}
    model = FusionDPClassifier(domains, epsilon=1.0, **FAST)
    if kind == "polars":
        pl = pytest.importorskip("polars")
        model = fresh("fusiondp", groups="person").fit(pl.DataFrame(X.to_dict("list")), y)
    elif kind == "file":
        np.save(tmp_path / "train.npy", A)
        model.fit(tmp_path / "train.npy", y, groups=PERSON)
    else:
        model.fit(A if kind == "array" else A.tolist(), y, groups=PERSON.tolist())
    assert model.rows_per_unit_ == VISITS.max() and model.epsilon_ <= 1.0


@pytest.mark.slow
def test_metadata_is_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        model = fresh("fusiondp").set_fit_request(groups=True)
        pipe = make_pipeline(model).fit(X.drop(columns="person"), y, groups=PERSON)
        assert pipe[-1].rows_per_unit_ == VISITS.max()
        search = GridSearchCV(model, {"lr": [0.01]}, cv=GroupKFold(2), refit=True)
        search.fit(X.drop(columns="person"), y, groups=PERSON)
        assert search.best_estimator_.rows_per_unit_ == VISITS.max()


@pytest.mark.slow
@pytest.mark.parametrize("search", [GridSearchCV, StackedGridSearchCV])
def test_searches_that_refit_go_by_the_column(search):
    fitted = search(fresh("fusiondp", groups="person"), {"lr": [0.01, 0.02]}, cv=2).fit(X, y)
    assert fitted.best_estimator_.rows_per_unit_ == VISITS.max()


@pytest.mark.parametrize("most", [None, 2])
def test_the_private_search_refuses_units(most):
    model = fresh("fusiondp", groups="person", max_rows_per_unit=most)
    with pytest.raises(InvalidInputError, match="groups='person'"):
        PrivateRandomSearchCV(model, {"lr": [0.01]}, n_trials=2).fit(X, y)
    twice = pd.concat([X, X], ignore_index=True).drop(columns="person")
    budget = PrivacyBudget(50.0, 1e-5)
    with pytest.raises((InvalidInputError, PrivacyLeakError), match="rows of the same people"):
        PrivateRandomSearchCV(
            fresh("fusiondp"),
            {"lr": [0.01]},
            n_trials=2,
            budget=budget,
            delta=1e-6,
            validation=(X.drop(columns="person"), y),
        ).fit(twice, np.r_[y, y])


@pytest.mark.parametrize("name", ["fusiondp", "offset", "scaler"])
@pytest.mark.parametrize(
    ("parameters", "groups", "match"),
    [
        ({"groups": "nobody"}, None, "no column of X"),
        ({"groups": "person"}, PERSON, "give one of them"),
        ({}, PERSON[:-1], "labels and X has"),
        ({}, np.where(PERSON == 3, np.nan, PERSON), "no label"),
        ({}, [[1]] * N, "groups must hold a label"),
        ({}, 5, "groups must hold a label"),
        ({"max_rows_per_unit": 3}, None, "nothing says whose row it is"),
        ({"max_rows_per_unit": 0}, PERSON, "max_rows_per_unit=0"),
        ({"max_rows_per_unit": 2.5}, PERSON, "max_rows_per_unit=2.5"),
    ],
)
def test_refuses_units_that_are_none(name, parameters, groups, match):
    budget = PrivacyBudget(5.0, 1e-5)
    with pytest.raises(InvalidInputError, match=match):
        fresh(name, budget=budget, **parameters).fit(X, y, groups=groups)
    assert not len(budget.ledger)


def test_a_name_needs_a_frame_and_a_public_column():
    with pytest.raises(InvalidInputError, match="have no names"):
        FusionDPClassifier({1: Numeric(0, 1)}, groups="x0", **FAST).fit(X[["lab", "age"]].to_numpy(), y)


@pytest.mark.parametrize("name", ["fusiondp", "offset", "scaler"])
@pytest.mark.parametrize("names", [DOMAINS, ["age", "sex"], "age"])
def test_no_cell_of_a_sensitive_column_says_whose_row_it_is(name, names):
    def refusal(table):
        with pytest.raises(InvalidInputError, match="has to be public") as caught:
            fresh(name, sensitive=names, groups="age").fit(table, y)
        return str(caught.value)

    # A missing label is refused too, in other words, which would tell how many there are.
    assert refusal(X) == refusal(X.assign(age=X["age"].where(X["age"] > 30)))


# Rows that are there twice ----------------------------------------------------------------

PLAIN = X.drop(columns="person")
TWICE = {
    "a bootstrap": lambda t: t.sample(N, replace=True, random_state=0),
    "a bootstrap with a new index": lambda t: t.sample(N, replace=True, random_state=0).reset_index(
        drop=True
    ),
    "over-sampled": lambda t: pd.concat(
        [t, t[:90].sample(120, replace=True, random_state=0)], ignore_index=True
    ),
    "doubled": lambda t: pd.concat([t, t], ignore_index=True),
    "labels of persons": lambda t: t.set_axis(PERSON, axis=0),
    "labels as texts": lambda t: t.set_axis([f"P{i}" for i in PERSON], axis=0),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", ["fusiondp", "offset", "scaler"])
@pytest.mark.parametrize("case", TWICE)
def test_repeated_rows_are_a_leak_and_epsilon_stays_true(name, case):
    table = TWICE[case](PLAIN)
    labels = (table["lab"] > 0).to_numpy().astype(int)
    with pytest.warns(PrivacyLeakWarning, match="rows of the same people"):
        model = fresh(name, epsilon=1.0).fit(table, labels)
    k = VISITS.max() if "labels" in case else table["lab"].value_counts().iloc[0]
    assert model.rows_per_unit_ == k > 1
    assert model.epsilon_ <= 1.0 and model.ledger_.epsilon(model.delta_, of="row") < 0.7
    assert f"at most {k} rows" in str(model.privacy_report())
    with pytest.raises(PrivacyLeakError, match="groups="):
        fresh(name, on_leak="raise").fit(table, labels)


@pytest.mark.slow
@pytest.mark.parametrize("holds", ["array", "list", "polars"])
def test_repeated_rows_of_every_kind_of_table(holds):
    A = PLAIN[["lab", "age"]].to_numpy()[rng.integers(0, N, N)]
    table = A.tolist() if holds == "list" else A
    if holds == "polars":
        table = pytest.importorskip("polars").DataFrame({"x0": A[:, 0], "x1": A[:, 1]})
    sensitive = {"x1": Numeric(18, 90)} if holds == "polars" else {1: Numeric(18, 90)}
    with pytest.warns(PrivacyLeakWarning, match="rows of the same people"):
        FusionDPClassifier(sensitive, **FAST).fit(table, y)


def test_with_groups_repeated_rows_are_no_leak():
    table = PLAIN.assign(person=np.arange(N)).sample(N, replace=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PrivacyLeakWarning)
        model = fresh("fusiondp", groups="person").fit(table, (table["lab"] > 0).astype(int))
    assert model.rows_per_unit_ == table["person"].value_counts().iloc[0]


def test_discrete_tables_and_stacked_ones_are_no_alarm():
    adult = load_adult()
    for n in (200, 1500, 32561):
        assert _repeated_cells(adult.table[:n], tuple(adult.public)) == 1
    assert _repeated_cells(adult.table, ("education", "education-num", "hours-per-week")) == 1
    discrete = pd.DataFrame(
        {"a": rng.integers(0, 9, 900), "b": rng.integers(0, 40, 900), "c": rng.choice(["x", "y"], 900)}
    )
    for columns in (("a",), ("b",), ("a", "b"), ("a", "b", "c"), ("c",), ()):
        assert _repeated_cells(discrete, columns) == 1
    stacked = pd.concat([PLAIN[:100], PLAIN[100:250].reset_index(drop=True)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", PrivacyLeakWarning)
        assert fresh("scaler").fit(stacked).rows_per_unit_ == 1


def test_rows_of_what_most_rows_have_are_no_alarm_and_copies_beside_them_are_found():
    rng = np.random.default_rng(0)
    n, columns = 3000, ("before", "after", "months")
    idle = rng.random(n) < 0.15
    earned = pd.DataFrame({c: np.where(idle, 0.0, rng.lognormal(10, 1, n)) for c in columns})
    assert earned.duplicated().sum() > 400
    assert _repeated_cells(earned, columns) == 1
    missing = earned.mask(earned == 0)
    assert _repeated_cells(missing, columns) == 1
    for table in (earned, missing):
        copied = pd.concat([table, table[~idle][:100]], ignore_index=True)
        assert _repeated_cells(copied, columns) > 1
        assert _repeated_cells(table.sample(n, replace=True, random_state=0), columns) > 1


def test_what_is_found_depends_on_no_sensitive_cell():
    table = TWICE["a bootstrap"](PLAIN).reset_index(drop=True)
    other = table.assign(age=rng.uniform(20, 80, N), sex=rng.choice(["f", "m"], N))
    same = PLAIN.assign(age=50.0, sex="f")
    with pytest.warns(PrivacyLeakWarning):
        first, second = (fresh("scaler").fit(t) for t in (table, other))
    assert first.rows_per_unit_ == second.rows_per_unit_
    assert fresh("scaler").fit(same).rows_per_unit_ == 1


def test_earlier_fits_that_knew_of_no_units_count_as_many_rows():
    model = fresh("scaler", epsilon=0.5).fit(PLAIN)
    assert model.epsilon_ <= 0.5
    model.fit(PLAIN, groups=PERSON)
    assert model.epsilon_ > 2 and math.isfinite(model.epsilon_)
