"""check_pipeline and popular transformers of other libraries: what they read, and which columns they make."""

import pytest
from corpus import AGE, BMI, SENSITIVE, columns, imputer, model, on, one_hot, table, then
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skfusiondp import Categorical
from skfusiondp.accounting import check_pipeline


def check(steps):
    return check_pipeline(steps, X=table())


def leaks(steps):
    """Step and columns of each leak."""
    return {(f.path, f.columns) for f in check(steps).leaks}


@pytest.fixture
def encoders():
    return pytest.importorskip("category_encoders")


@pytest.fixture
def engine():
    pytest.importorskip("feature_engine")
    from feature_engine import creation, encoding, imputation, outliers, scaling, selection, wrappers

    class Engine:
        MathFeatures, RelativeFeatures = creation.MathFeatures, creation.RelativeFeatures
        MeanEncoder, OneHotEncoder = encoding.MeanEncoder, encoding.OneHotEncoder
        MeanMedianImputer, DropMissingData = imputation.MeanMedianImputer, imputation.DropMissingData
        ArbitraryNumberImputer = imputation.ArbitraryNumberImputer
        Winsorizer, MeanNormalizationScaler = outliers.Winsorizer, scaling.MeanNormalizationScaler
        DropConstantFeatures = selection.DropConstantFeatures
        SklearnTransformerWrapper = wrappers.SklearnTransformerWrapper

    return Engine


@pytest.fixture
def skrub():
    return pytest.importorskip("skrub")


# category_encoders ------------------------------------------------------------


def test_encoders_are_judged_by_the_columns_that_they_keep_to(encoders):
    assert not len(check(then(encoders.TargetEncoder(cols=["ward"]), model())))
    assert not len(check(then(encoders.OneHotEncoder(cols="ward"), model())))
    assert ("s0", ("sex",)) in leaks(then(encoders.TargetEncoder(cols=["ward", "sex"]), model()))
    assert not len(check_pipeline(then(encoders.WOEEncoder(cols=["ward"]), model())))


def test_encoders_that_choose_by_type_are_followed(encoders):
    # By default they take columns of texts: of the sensitive ones, that is "sex".
    assert ("s0", ("sex",)) in leaks(then(encoders.CountEncoder(), model()))
    assert not len(check(on(encoders.CountEncoder(), ["lab", "ward"])))
    assert not len(check(then(encoders.CountEncoder(), model({**AGE, **BMI}))))


@pytest.mark.slow
def test_an_encoder_that_drops_constant_columns_reads_all(encoders):
    steps = then(encoders.TargetEncoder(cols=["ward"], drop_invariant=True), model())
    assert leaks(steps) == {("s0", ("age", "bmi", "sex"))}


@pytest.mark.slow
def test_hashes_of_a_column_carry_its_cells(encoders):
    hashing = encoders.HashingEncoder(cols=["sex"], n_components=2, max_process=1)
    declared = {**AGE, **BMI, "col_0": Categorical([0, 1])}
    assert leaks(then(hashing, model(declared))) == {("s1", ("sex",))}
    assert check(then(hashing, model({**declared, "col_1": Categorical([0, 1])}))).ok


# feature_engine ------------------------------------------------------------


@pytest.mark.slow
def test_steps_that_learn_are_named_with_what_they_learn_from(engine):
    for step, column in (
        (engine.MeanMedianImputer(variables=["bmi"]), "bmi"),
        (engine.MeanEncoder(variables=["sex"]), "sex"),
        (engine.MeanNormalizationScaler(variables=["age"]), "age"),
        (engine.Winsorizer(variables=["age"]), "age"),
        (engine.DropMissingData(variables=["bmi"]), "bmi"),
        (engine.SklearnTransformerWrapper(StandardScaler(), variables=["lab", "age"]), "age"),
    ):
        assert leaks(then(step, model())) == {("s0", (column,))}, step


@pytest.mark.slow
def test_steps_on_public_columns_alone_are_silent(engine):
    for step in (
        engine.MeanMedianImputer(variables=["lab"]),
        engine.MeanEncoder(variables=["ward"]),
        engine.OneHotEncoder(variables=["ward"]),
        engine.MathFeatures(variables=["lab", "pulse"], func="sum"),
    ):
        assert not len(check(then(step, model()))), step
        assert check_pipeline(then(step, model())).ok, step


def test_what_is_not_known_and_learns_nothing_is_a_note(engine):
    steps = then(engine.ArbitraryNumberImputer(arbitrary_number=20, variables=["bmi"]), model())
    assert [f.severity for f in check(steps)] == ["note"]


def test_new_columns_are_traced_to_their_sources(engine):
    total = engine.MathFeatures(variables=["lab", "age"], func="sum", new_variables_names=["total"])
    assert leaks(then(total, model())) == {("s1", ("age",))}
    ratio = engine.RelativeFeatures(variables=["lab"], reference=["age"], func=["div"])
    assert leaks(then(ratio, model())) == {("s1", ("age",))}


def test_selection_reads_all_columns(engine):
    found = leaks(then(engine.DropConstantFeatures(missing_values="ignore"), model()))
    assert ("s0", ("age", "bmi", "sex")) in found


# imbalanced-learn ------------------------------------------------------------


def test_samplers():
    pytest.importorskip("imblearn")
    from imblearn import FunctionSampler
    from imblearn.ensemble import BalancedBaggingClassifier
    from imblearn.over_sampling import SMOTE, RandomOverSampler
    from imblearn.pipeline import Pipeline
    from imblearn.under_sampling import NearMiss, RandomUnderSampler

    def sampled(sampler, last=None):
        return Pipeline([("sampler", sampler), ("clf", model() if last is None else last)])

    assert not len(check(sampled(RandomUnderSampler())))
    older = FunctionSampler(func=lambda X, y: (X[X["age"] > 30], y[X["age"] > 30]))
    for leaky in (RandomUnderSampler(replacement=True), RandomOverSampler(), SMOTE(), NearMiss(), older):
        assert leaks(sampled(leaky)) == {("sampler", ("age", "bmi", "sex"))}, leaky
    encoded = then(imputer(), columns(("x", one_hot(), ["ward", "sex"])))
    assert check(Pipeline([*encoded.steps, ("s", SMOTE()), ("clf", LogisticRegression())])).ok
    for how in ({}, {"bootstrap": False}, {"bootstrap": False, "replacement": True}):
        assert not check(BalancedBaggingClassifier(model(), **how)).ok, how


# skrub ------------------------------------------------------------


def test_a_table_vectorizer_learns_from_all_columns(skrub):
    assert ("s0", tuple(SENSITIVE)) in leaks(then(skrub.TableVectorizer(), model()))
    assert ("tablevectorizer", tuple(SENSITIVE)) in leaks(skrub.tabular_pipeline(model()))
    assert check(on(skrub.TableVectorizer(), ["lab", "ward"])).ok
    assert check(then(imputer(), skrub.TableVectorizer(), LogisticRegression())).ok


@pytest.mark.slow
def test_a_step_applied_to_some_columns_is_tried(skrub):
    scaled = skrub.ApplyToCols(StandardScaler(), cols=["age"])
    assert leaks(then(scaled, model())) == {("s0", ("age",))}
    assert check(then(skrub.ApplyToCols(StandardScaler(), cols=["lab", "pulse"]), model())).ok
    assert check(then(skrub.SelectCols(["lab", "age"]), model(AGE))).ok
    assert check(then(skrub.DropCols(["lab"]), model())).ok
