"""Columns that the pipeline around a fit has renamed, or made an array of: the user's names still hold."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, VotingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsOneClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skfusiondp import (
    DataHolderWarning,
    FoundationImputer,
    FusionDPClassifier,
    Numeric,
    OffsetFusionClassifier,
    PrivacyLeakWarning,
)
from skfusiondp.accounting import check_pipeline, privacy_report
from skfusiondp.accounting._composite_report import account_of
from skfusiondp.audit._claim import promised_epsilon
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.preprocessing import PrivateSelectKBest, PrivateStandardScaler

PUBLIC = ["income", "hours"]
SENSITIVE = {"age": Numeric(18, 90), "bmi": Numeric(10, 60)}


def table(n=200):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "bmi": rng.uniform(15, 50, n),
            "income": rng.normal(3e4, 9e3, n),
            "age": rng.uniform(18, 90, n),
            "hours": rng.normal(40, 5, n),
        }
    )


X = table()
Y = (X["income"] + 300 * X["age"] > 4.5e4).to_numpy().astype(int)


def model(sensitive=None, **parameters):
    sensitive = SENSITIVE if sensitive is None else sensitive
    return FusionDPClassifier(sensitive, **{"steps": 4, "public_epochs": 1, "random_state": 0, **parameters})


def offset(sensitive=None, **parameters):
    return OffsetFusionClassifier(SENSITIVE if sensitive is None else sensitive, random_state=0, **parameters)


def scaled(remainder="passthrough", **how):
    return make_column_transformer((StandardScaler(), PUBLIC), remainder=remainder, **how)


def quiet(fit, *args):
    """Fit; return it, and the messages about leaks and about cells outside their domain."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        done = fit(*args)
    heard = [str(w.message) for w in caught if issubclass(w.category, PrivacyLeakWarning | DataHolderWarning)]
    return done, heard


@pytest.mark.slow
@pytest.mark.parametrize("last", [model, offset])
def test_the_default_pipeline_is_the_model_of_the_one_with_named_output(last):
    named = make_pipeline(scaled(verbose_feature_names_out=False).set_output(transform="pandas"), last())
    prefixed = make_pipeline(scaled().set_output(transform="pandas"), last())
    plain = make_pipeline(scaled(), last())
    by_place = make_pipeline(scaled(), last({3: SENSITIVE["age"], 2: SENSITIVE["bmi"]}))
    wanted, _ = quiet(by_place.fit, X, Y)
    for pipe in (plain, prefixed, named):
        fitted, heard = quiet(pipe.fit, X, Y)
        assert heard == []
        planned = fitted[-1].planned_ledger(len(X))
        assert [set(e.protects) for e in fitted[-1].ledger_] == [set(e.protects) for e in planned]
        assert set(fitted[-1].privacy_report().protected) == {"age", "bmi"}
        assert "remainder__" not in str(privacy_report(fitted)).split("public columns")[0]
        if pipe is plain:
            np.testing.assert_array_equal(fitted.predict_proba(X), wanted.predict_proba(X))
    same = [plain, prefixed] if last is offset else [plain, prefixed, named]  # boosting draws columns by name
    for pipe in same:
        np.testing.assert_allclose(pipe.predict_proba(X), wanted.predict_proba(X), rtol=1e-4, atol=1e-5)
    assert plain[-1].schema_.sensitive == ("x2", "x3")
    assert plain[-1].schema_.called == {"x2": "bmi", "x3": "age"}


@pytest.mark.slow
def test_clones_searches_and_scores_take_the_same_columns():
    pipe = make_pipeline(scaled(), model())
    again, heard = quiet(clone(pipe).fit, X, Y)
    assert heard == [] and again[-1].schema_.called == {"x2": "bmi", "x3": "age"}
    search = GridSearchCV(pipe, {"fusiondpclassifier__max_grad_norm": [0.5, 1.0]}, cv=2, error_score="raise")
    quiet(search.fit, X, Y)
    assert search.best_estimator_[-1].schema_.called == {"x2": "bmi", "x3": "age"}
    assert np.isfinite(cross_val_score(pipe, X, Y, cv=2, error_score="raise")).all()
    nested = make_pipeline(
        scaled(), make_pipeline("passthrough", SelectKBest(k="all"), model(on_leak="ignore"))
    )
    nested.fit(X, Y)
    assert nested[-1][-1].schema_.called == {"x2": "bmi", "x3": "age"}


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_unions_and_nested_transformers_are_followed(output):
    inner = ColumnTransformer(
        [("keep", "passthrough", ["age"]), ("log", FunctionTransformer(np.log1p), ["hours"])]
    )
    rest = ColumnTransformer(
        [("bmi", "passthrough", ["bmi"]), ("one", OneHotEncoder(sparse_output=False), ["ward"])]
    )
    union = FeatureUnion([("a", make_pipeline(inner)), ("b", rest)]).set_output(transform=output)
    wards = X.assign(ward=np.where(X["income"] > 3e4, "x", "y"))
    fitted, heard = quiet(make_pipeline(union, model()).fit, wards, Y)
    assert heard == []
    called = (
        {"x0": "age", "x2": "bmi"} if output == "default" else {"a__keep__age": "age", "b__bmi__bmi": "bmi"}
    )
    assert fitted[-1].schema_.called == called
    assert fitted.predict(wards).shape == Y.shape
    assert check_pipeline(make_pipeline(union, model()), X=wards).ok
    assert check_pipeline(fitted).ok


def test_audits_find_the_columns_in_the_ledger():
    pipe = make_pipeline(scaled(), model()).fit(X, Y)
    account = account_of(pipe)
    assert set(account.domains) == {c for e in account.ledger for c in e.protects} == {"bmi", "age"}
    whole = promised_epsilon(account, ())
    assert whole == promised_epsilon(account, ("x3",)) == promised_epsilon(account, ("age",)) > 0.5


def test_the_check_says_the_same_before_and_after_the_fit():
    for prepare in (scaled(), scaled().set_output(transform="pandas")):
        pipe = make_pipeline(prepare, model())
        assert list(check_pipeline(pipe, X=X)) == []
        assert check_pipeline(pipe).ok
        pipe.fit(X, Y)
        assert list(check_pipeline(pipe)) == [] and list(check_pipeline(pipe, X=X)) == []
        assert check_pipeline(pipe).sensitive == ("bmi", "age")


# What is not to be had by its name ------------------------------------------------------------


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_a_column_that_a_step_has_changed_is_refused(output):
    for prepare in (
        make_column_transformer((StandardScaler(), ["income", "age"]), remainder="passthrough"),
        make_column_transformer((SimpleImputer(), ["age"]), remainder="passthrough"),
    ):
        pipe = make_pipeline(prepare.set_output(transform=output), model(on_leak="ignore"))
        with pytest.raises(
            InvalidInputError, match=r"'age'.*(changed|scaled).*set_output\(transform='pandas'\)"
        ):
            pipe.fit(X, Y)
        assert not check_pipeline(pipe, X=X).ok
    with pytest.raises(InvalidInputError, match=r"'age'.*set_output\(transform='pandas'\)"):
        make_pipeline(StandardScaler(), model(on_leak="ignore")).fit(X, Y)


def test_a_selection_of_this_library_hands_on_other_positions():
    chosen = PrivateSelectKBest(SENSITIVE, k=3, random_state=0, on_leak="ignore")
    with pytest.raises(InvalidInputError, match=r"'age'.*PrivateSelectKBest"):
        make_pipeline(scaled(), chosen, model(on_leak="ignore")).fit(X, Y)


def test_a_column_that_comes_twice_is_refused():
    twice = FeatureUnion([("a", "passthrough"), ("b", "passthrough")])
    with pytest.raises(InvalidInputError, match=r"'age'.*2 columns"):
        make_pipeline(twice, model()).fit(X, Y)
    assert not check_pipeline(make_pipeline(twice, model()), X=X).ok


class Shuffles(TransformerMixin, BaseEstimator):
    """A step that nobody knows, with a trap: its names say nothing of what it does."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return X.iloc[:, ::-1].set_axis([f"step__{c}" for c in X.columns], axis=1)

    def get_feature_names_out(self, names=None):
        return np.asarray(names)


def test_steps_that_nobody_knows_are_not_believed():
    with pytest.raises(InvalidInputError, match=r"'age'.*Shuffles"):
        make_pipeline(Shuffles(), model(on_leak="ignore")).fit(X, Y)


def test_the_message_names_the_remedy_where_nothing_can_be_seen():
    with pytest.raises(
        InvalidInputError, match=r"set_output\(transform='pandas'\).*verbose_feature_names_out=False"
    ):
        model().fit(scaled().fit_transform(X), Y)
    with pytest.raises(InvalidInputError, match="did you mean 'age'"):
        model({"agee": Numeric(18, 90)}).fit(X, Y)


# Without a pipeline around ------------------------------------------------------------


def test_a_prefix_of_one_column_alone_is_enough():
    frame = scaled().set_output(transform="pandas").fit_transform(X)
    fitted, heard = quiet(model().fit, frame, Y)
    assert heard == [] and fitted.schema_.sensitive == ("remainder__bmi", "remainder__age")
    assert fitted.privacy_report().protected.keys() == {"bmi", "age"}
    assert fitted.predict(frame.drop(columns="remainder__age")).shape == Y.shape
    both = frame.assign(other__age=frame["remainder__age"])
    with pytest.raises(InvalidInputError, match="'remainder__age' and 'other__age'"):
        model().fit(both, Y)


def test_a_scaled_column_under_a_prefix_is_told_to_the_holder():
    frame = make_column_transformer((StandardScaler(), ["age"]), remainder="passthrough")
    frame = frame.set_output(transform="pandas").fit_transform(X)
    _, heard = quiet(model().fit, frame, Y)
    assert any("lie outside" in text and "'age'" in text for text in heard)


# Composites that hand on arrays ------------------------------------------------------------


@pytest.mark.one_in(4)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda m: BaggingClassifier(m, n_estimators=2, bootstrap=False, max_samples=0.9),
        lambda m: AdaBoostClassifier(m, n_estimators=1),
        OneVsOneClassifier,
        lambda m: VotingClassifier([("a", m)]),
    ],
)
def test_members_are_told_the_names_that_their_arrays_have_lost(wrap):
    for pipe, last in (
        (wrap(model(on_leak="ignore")), lambda p: p),
        (make_pipeline(scaled(), wrap(model(on_leak="ignore"))), lambda p: p[-1]),
    ):
        pipe.fit(X, Y)
        members = last(pipe).estimators_
        assert all(set(m.privacy_report().protected) == {"bmi", "age"} for m in members)
        assert pipe.predict(X).shape == Y.shape


@pytest.mark.parametrize("steps", [(), (scaled().set_output(transform="pandas"),)])
@pytest.mark.slow
def test_members_in_worker_processes_are_told_too(steps):
    bagging = BaggingClassifier(model(on_leak="ignore"), n_estimators=2, bootstrap=False, max_samples=0.9)
    pipe = make_pipeline(*steps, bagging.set_params(n_jobs=2)).fit(X, Y)
    assert all(set(m.privacy_report().protected) == {"bmi", "age"} for m in pipe[-1].estimators_)


def test_members_on_some_of_the_columns_are_refused():
    bagging = BaggingClassifier(model(on_leak="ignore"), bootstrap=False, max_features=0.5, random_state=0)
    with pytest.raises(InvalidInputError, match=r"max_features=1\.0"):
        bagging.fit(X, Y)


# Transformers ------------------------------------------------------------


def test_the_librarys_own_steps_find_their_columns_too():
    for step in (
        FoundationImputer(SENSITIVE, support=None, backend="domain"),
        PrivateStandardScaler(SENSITIVE, epsilon=1.0, random_state=0),
    ):
        pipe = make_pipeline(scaled(), step)
        out = pipe.fit_transform(X)
        by_place = clone(step).set_params(sensitive={2: SENSITIVE["bmi"], 3: SENSITIVE["age"]})
        np.testing.assert_array_equal(out, by_place.fit_transform(scaled().fit_transform(X)))
        frame = make_pipeline(scaled(), clone(step)).set_output(transform="pandas").fit_transform(X)
        assert list(frame) == [
            "standardscaler__income",
            "standardscaler__hours",
            "remainder__bmi",
            "remainder__age",
        ]
        in_part = ColumnTransformer([("own", clone(step), [1, 2, 3]), ("rest", "passthrough", [0])])
        chosen = make_pipeline(scaled(), in_part)
        chosen.fit(X, Y)
        assert chosen[-1].named_transformers_["own"].schema_.called == {"x1": "bmi", "x2": "age"}


# Other kinds of tables ------------------------------------------------------------


def test_labels_of_several_levels_are_named_as_the_user_has_them():
    levels = X.set_axis(pd.MultiIndex.from_tuples([("who", c) for c in X]), axis=1)
    declared = {("who", c): d for c, d in SENSITIVE.items()}
    fitted, heard = quiet(model(declared).fit, levels, Y)
    assert heard == []
    assert list(fitted.privacy_report().protected) == ["('who', 'bmi')", "('who', 'age')"]
    with pytest.raises(InvalidInputError, match=r"\('who', 'age'\)"):
        model({"agee": Numeric(0, 1)}).fit(levels, Y)


def test_a_pipeline_step_with_memory_and_one_of_imblearn(tmp_path):
    pipe = Pipeline([("s", scaled()), ("m", model())], memory=str(tmp_path)).fit(X, Y)
    assert pipe[-1].schema_.called == {"x2": "bmi", "x3": "age"}
    imblearn = pytest.importorskip("imblearn")
    from imblearn.pipeline import make_pipeline as sampled

    sampler = imblearn.under_sampling.RandomUnderSampler(random_state=0)
    pipe, heard = quiet(sampled(scaled(), sampler, model()).fit, X, Y)
    assert heard == [] and pipe[-1].schema_.called == {"x2": "bmi", "x3": "age"}
