"""Any public model: it is handed the public columns as they are, or as numbers where it cannot read them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skfusiondp import Numeric, OffsetFusionClassifier, OffsetFusionRegressor
from skfusiondp.exceptions import InvalidInputError

pytestmark = pytest.mark.filterwarnings("ignore::skfusiondp.DataHolderWarning")
N = 300
rng = np.random.default_rng(0)
WARD = rng.choice(["a", "b", "c"], N)
Y = (WARD == "b").astype(int)
X = pd.DataFrame({"lab": rng.normal(size=N), "ward": WARD, "age": rng.uniform(20, 80, N)})
X.loc[::7, "lab"] = np.nan
FAST = {"sensitive": {"age": Numeric(18, 90)}, "noise_multiplier": 1.0, "steps": 2, "random_state": 0}


class TextsOnly(ClassifierMixin, BaseEstimator):
    """Reads texts, as CatBoost does where it is told which columns hold them."""

    def __init__(self, columns=("ward",)):
        self.columns = columns

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.rate_ = pd.Series(y).groupby(X[self.columns[0]].to_numpy()).mean()
        return self

    def predict_proba(self, X):
        p = X[self.columns[0]].map(self.rate_).fillna(0.5).to_numpy(dtype=float)
        return np.column_stack([1 - p, p])


class NumbersOnly(TextsOnly):
    """Raises an error of its own at texts, as CatBoost does where it is not told."""

    def fit(self, X, y):
        if isinstance(X, pd.DataFrame):
            raise RuntimeError("bad object for id: 'b'")
        self.model_ = LogisticRegression().fit(np.nan_to_num(X), y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(np.nan_to_num(X))


MODELS = {
    "linear": LogisticRegression(),
    "neighbours": KNeighborsClassifier(),
    "forest": RandomForestClassifier(20, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=20),
    "scaled": make_pipeline(StandardScaler(), LogisticRegression()),
    "prepared": make_pipeline(make_column_transformer((OneHotEncoder(), ["ward"])), LogisticRegression()),
    "texts": TextsOnly(),
    "numbers": NumbersOnly(),
    "default": None,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["object", "str", "category"])
def test_text_columns(name, kind):
    table = X.astype({"ward": kind})
    model = OffsetFusionClassifier(public_model=MODELS[name], **FAST).fit(table, Y)
    assert model.score(table, Y) > 0.95
    assert model.score(X, Y) == model.score(table, Y)
    assert len(model.public_models_) == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["linear", "neighbours", "forest", "boosting", "scaled", "numbers", "default"]
)
def test_dates_are_no_nanoseconds(name):
    day = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, N), unit="D"))
    table = pd.DataFrame({"day": day, "age": X["age"]})
    y = (day.dt.day_of_week >= 5).astype(int)
    assert OffsetFusionClassifier(public_model=MODELS[name], **FAST).fit(table, y).score(table, y) > 0.9


@pytest.mark.one_in(9)
@pytest.mark.parametrize("name", ["linear", "forest", "boosting", "default"])
@pytest.mark.parametrize("kind", [float, object])
def test_columns_that_are_missing_as_a_whole_or_in_a_fold(name, kind):
    empty = pd.Series(np.full(N, np.nan)).astype(kind)
    few = empty.copy()
    few[3] = 1.0
    for cells in (empty, few):
        table = X.assign(lab=cells)
        model = OffsetFusionClassifier(public_model=MODELS[name], **FAST).fit(table, Y)
        assert model.score(table, Y) > 0.95
        assert np.isfinite(model.predict_proba(X.assign(lab=1.0))).all()
    table = pd.DataFrame({"lab": empty, "age": X["age"]})
    labelled = {"support": table.copy().assign(age=50.0 + np.arange(N) % 9), "support_target": Y}
    model = OffsetFusionClassifier(public_model=MODELS[name], on_leak="ignore", **labelled, **FAST)
    assert np.isfinite(model.fit(table, Y).predict_proba(table)).all()


def test_a_regressor():
    target = np.where(WARD == "b", 5.0, 0.0)
    for model in (LinearRegression(), make_pipeline(StandardScaler(), LinearRegression()), None):
        fitted = OffsetFusionRegressor(public_model=model, **FAST).fit(X, target)
        assert fitted.score(X, target) > 0.95


class Never(TextsOnly):
    def fit(self, X, y):
        raise RuntimeError("not today")


def test_a_model_that_reads_neither_is_refused_before_anything_is_paid():
    model = OffsetFusionClassifier(public_model=Never(), **FAST)
    with pytest.raises(InvalidInputError, match=r"public_model=Never .*neither.*not today.*Pipeline"):
        model.fit(X, Y)
    assert not hasattr(model, "ledger_")
