"""Models of this library in the hands of others: what works there is tried, where the other is installed."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import AdaBoostClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skfusiondp import (
    Categorical,
    FusionDPClassifier,
    Numeric,
    OffsetFusionClassifier,
    PrivateResampler,
    PrivateSynthesizer,
)
from skfusiondp.accounting import check_pipeline, privacy_report
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.persistence import trusted_types
from skfusiondp.preprocessing import PrivateStandardScaler

WHOLE_MODELS = True

SENSITIVE = {"age": Numeric(18, 90), "sex": Categorical(["f", "m"])}
RNG, N = np.random.default_rng(0), 160
X = pd.DataFrame(
    {
        "lab": RNG.normal(size=N),
        "ward": RNG.choice(list("abc"), N),
        "age": RNG.uniform(18, 90, N),
        "sex": RNG.choice(["f", "m"], N),
    }
)
Y = (X["lab"] + X["age"] / 50 > 1).to_numpy().astype(int)
pytestmark = pytest.mark.filterwarnings("ignore")


def fusion(**parameters):
    how = {"steps": 2, "public_epochs": 1, "random_state": 0, "on_leak": "ignore", **parameters}
    return FusionDPClassifier(SENSITIVE, **how)


def offset(**parameters):
    return OffsetFusionClassifier(SENSITIVE, steps=1, random_state=0, on_leak="ignore", **parameters)


@pytest.fixture(scope="module", params=[fusion, offset])
def fitted(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return request.param().fit(X, Y)


@pytest.mark.slow
def test_fairlearn_thresholds_are_a_leak_that_is_said():
    fairlearn = pytest.importorskip("fairlearn.postprocessing")
    for member in (fusion(), offset()):
        tuned = fairlearn.ThresholdOptimizer(
            estimator=member, constraints="demographic_parity", predict_method="predict_proba"
        )
        (finding,) = check_pipeline(tuned, X=X).leaks
        assert "chooses thresholds" in finding.why and finding.columns == ("age", "sex")
        tuned.fit(X, Y, sensitive_features=X["sex"])
        assert set(tuned.predict(X, sensitive_features=X["sex"], random_state=0)) <= {0, 1}
        assert privacy_report(tuned).epsilon == float("inf")


@pytest.mark.slow
def test_a_copy_without_its_names_predicts_on_arrays_as_before(fitted):
    # As shap makes it.
    again = type(fitted).__new__(type(fitted))
    vars(again).update({k: v for k, v in vars(fitted).items() if k != "feature_names_in_"})
    wanted = fitted.predict_proba(X)
    np.testing.assert_array_equal(again.predict_proba(X.to_numpy(dtype=object)), wanted)


def test_shap_explains_a_mixed_frame(fitted):
    shap = pytest.importorskip("shap")
    explainer = shap.KernelExplainer(fitted.predict_proba, X.head(5))
    values = np.asarray(explainer.shap_values(X.tail(1), nsamples=10, silent=True))
    assert values.size == 8 and np.isfinite(values).all()


@pytest.mark.slow
def test_skops_loads_what_trusted_types_names():
    skops = pytest.importorskip("skops.io")
    scaler = PrivateStandardScaler({"age": SENSITIVE["age"]}, random_state=0)
    for model in (offset(support=X.head(40)), scaler):
        model.fit(X.tail(120), Y[-120:])
        again = skops.load(io.BytesIO(skops.dumps(model)), trusted=trusted_types(model))
        assert again.ledger_ == model.ledger_ and getattr(again, "support", None) is None
        if hasattr(model, "predict"):
            np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.slow
def test_mlflow_loads_what_trusted_types_names(tmp_path):
    mlflow = pytest.importorskip("mlflow.sklearn")
    pipe = make_pipeline(PrivateStandardScaler({"age": SENSITIVE["age"]}, random_state=0), offset()).fit(X, Y)
    mlflow.save_model(pipe, tmp_path / "m", skops_trusted_types=trusted_types(pipe), pip_requirements=[])
    again = mlflow.load_model(str(tmp_path / "m"))
    np.testing.assert_array_equal(again.predict_proba(X), pipe.predict_proba(X))


def test_skops_alone_is_told_not_to_take_a_net():
    pytest.importorskip("skops.io")
    with pytest.raises(InvalidInputError, match=r"persistence\.save .*cloudpickle"):
        trusted_types(fusion().fit(X, Y))


def test_adaboost_hands_on_weights_and_is_a_leak_that_is_said():
    boosted = AdaBoostClassifier(fusion(), n_estimators=2)
    assert any("weights rows by errors" in f.why for f in check_pipeline(boosted, X=X).leaks)
    boosted.fit(X, Y)
    assert boosted.predict(X).shape == Y.shape and len(boosted.estimators_) >= 1


@pytest.mark.slow
def test_category_encoders_and_feature_engine_on_public_columns():
    encoders = pytest.importorskip("category_encoders")
    engine = pytest.importorskip("feature_engine.imputation")
    for step in (encoders.TargetEncoder(cols=["ward"]), engine.MeanMedianImputer(variables=["lab"])):
        pipe = make_pipeline(step, fusion(on_leak="raise")).fit(X, Y)
        assert pipe.predict(X).shape == Y.shape and np.isfinite(privacy_report(pipe).epsilon)


def test_imblearn_resamples_by_label_alone():
    under = pytest.importorskip("imblearn.under_sampling")
    from imblearn.pipeline import make_pipeline as sampled

    pipe = sampled(under.RandomUnderSampler(random_state=0), fusion(on_leak="raise")).fit(X, Y)
    assert pipe.predict(X).shape == Y.shape and np.isfinite(privacy_report(pipe).epsilon)


@pytest.mark.slow
def test_a_private_table_is_drawn_in_the_fits_of_an_imblearn_pipeline():
    pytest.importorskip("imblearn")
    from imblearn.pipeline import make_pipeline as sampled

    sensitive = {"age": Numeric(0, 100)}
    numbers, seen = X[["lab", "age"]], []

    class Recording(LogisticRegression):
        def fit(self, X, y):
            seen.append(X)
            return super().fit(X, y)

    resampler = PrivateResampler(sensitive, epsilon=5.0, on_leak="raise", random_state=0)
    pipe = sampled(resampler, Recording()).fit(numbers, Y)
    drawn = PrivateSynthesizer(sensitive, epsilon=5.0, random_state=0).fit(numbers, Y).sample()[0]
    pd.testing.assert_frame_equal(seen[0].reset_index(drop=True), drawn)
    assert check_pipeline(sampled(resampler, LogisticRegression()), X=numbers).ok
    assert privacy_report(pipe).epsilon == pipe[0].epsilon_
    # New rows are predicted from their true cells.
    assert np.ptp(pipe.predict_proba(numbers.assign(lab=0.0))[:, 1]) > 0
    search = GridSearchCV(
        sampled(resampler, LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, cv=2
    )
    assert search.fit(numbers, Y).predict(numbers).shape == Y.shape


def test_models_after_a_synthesizer_see_drawn_cells_and_that_is_said():
    sensitive = {"age": Numeric(0, 100)}
    synthesizer = PrivateSynthesizer(sensitive, epsilon=5.0, on_leak="raise", random_state=0)
    pipe = make_pipeline(synthesizer, LogisticRegression())
    found = check_pipeline(pipe, X=X[["lab", "age"]])
    assert found.ok and any("drawn anew" in str(f) or "anew" in str(f) for f in found.findings)
    pipe.fit(X[["lab", "age"]], Y)
    assert privacy_report(pipe).epsilon == pipe[0].epsilon_


@pytest.mark.slow
def test_skrub_on_public_columns_and_its_tabular_pipeline():
    skrub = pytest.importorskip("skrub")
    public = skrub.ApplyToCols(skrub.SquashingScaler(), cols=["lab"])
    pipe = make_pipeline(public, fusion(on_leak="raise")).fit(X, Y)
    assert pipe.predict(X).shape == Y.shape
    vectorized = make_column_transformer((skrub.TableVectorizer(), ["lab", "ward"]), remainder="passthrough")
    pipe = make_pipeline(vectorized, fusion(on_leak="raise")).fit(X, Y)
    assert pipe.predict(X).shape == Y.shape and np.isfinite(privacy_report(pipe).epsilon)


def test_skrubs_tabular_pipeline_is_refused_since_it_changes_every_column():
    skrub = pytest.importorskip("skrub")
    whole = skrub.tabular_pipeline(fusion())
    assert not check_pipeline(whole, X=X).ok  # its vectorizer learns from every column
    with pytest.raises(InvalidInputError, match=r"'age'.*tablevectorizer.*remainder='passthrough'"):
        whole.fit(X, Y)
