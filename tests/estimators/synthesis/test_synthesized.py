"""Estimators trained on drawn tables see no true sensitive cell, cost one release, and predict true rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC

from skfusiondp import Categorical, Numeric, PrivacyBudget, SynthesizedClassifier, SynthesizedRegressor
from skfusiondp.accounting import check_pipeline, privacy_report, private_parts
from skfusiondp.exceptions import InvalidInputError, PrivacyBudgetError
from skfusiondp.privacy._release import SumNoise

DOMAINS = {"age": Numeric(0, 120), "sex": Categorical(["f", "m"])}
SMALL = HistGradientBoostingClassifier(max_iter=5)


def rows(n=300, seed=0):
    rng = np.random.default_rng(seed)
    age = np.clip(rng.normal(50, 15, n), 0, 120)
    table = pd.DataFrame(
        {
            "lab": rng.normal(size=n),
            "age": np.where(rng.random(n) < 0.1, np.nan, age),
            "ward": rng.choice(["a", "b"], n),
            "sex": rng.choice(["f", "m"], n),
        }
    )
    return table, np.where(age + 10 * table["lab"] > 50, "ill", "well")


X, y = rows()


class Recording(ClassifierMixin, BaseEstimator):
    """Keeps the table that it was fitted on, and those that it predicts on."""

    def fit(self, X, y):
        self.classes_, self.seen_, self.target_, self.asked_ = np.unique(y), X, y, []
        return self

    def predict(self, X):
        self.asked_.append(X)
        return np.full(len(X), self.classes_[0])


def junk(table):
    cells = np.array([None, "x", 1e9, -3.0, pd.NaT, 40, "f"], dtype=object)
    rng = np.random.default_rng(1)
    return table.assign(**{c: cells[rng.integers(len(cells), size=len(table))] for c in DOMAINS})


@pytest.mark.filterwarnings("ignore")
def test_the_estimator_sees_released_sums_and_public_facts_alone(monkeypatch):
    seen = []
    for table in (X, junk(X)):
        rng = np.random.default_rng(5)
        monkeypatch.setattr(
            SumNoise, "added_to", lambda s, total, bits, rng=rng: rng.normal(size=total.shape)
        )
        model = SynthesizedClassifier(DOMAINS, estimator=Recording(), n_draws=2, random_state=0).fit(table, y)
        seen.append(model.estimator_.seen_)
    pd.testing.assert_frame_equal(*seen)


def test_draws_of_a_row_follow_one_another_with_its_public_cells_and_label():
    model = SynthesizedClassifier(DOMAINS, estimator=Recording(), n_draws=3, random_state=0).fit(X, y)
    table = model.estimator_.seen_
    assert list(table.columns) == list(X.columns)
    assert np.array_equal(table["lab"], np.repeat(X["lab"], 3))
    assert np.array_equal(model.estimator_.target_, np.repeat(y, 3))
    assert (table.groupby(np.arange(len(table)) // 3)["age"].nunique() > 1).mean() > 0.8


def test_a_search_of_80_fits_inside_costs_what_one_fit_costs(tmp_path):
    budget = PrivacyBudget(1.2, 1e-5, path=tmp_path / "budget.json")
    search = GridSearchCV(SMALL, {"max_depth": [1, 2, 3, 4], "learning_rate": [0.1, 0.2, 0.3, 0.4]}, cv=5)
    model = SynthesizedClassifier(
        DOMAINS, estimator=search, n_draws=2, epsilon=1.0, delta=1e-5, budget=budget
    )
    model.fit(X, y)
    assert model.ledger_ == model.planned_ledger(len(X)) == budget.ledger
    assert 0.9 < model.epsilon_ <= 1
    assert len(model.estimator_.cv_results_["params"]) * model.estimator_.n_splits_ == 80
    assert check_pipeline(model, X=X).ok
    assert [part.ledger for part in private_parts(model)] == [model.ledger_]
    assert privacy_report(make_pipeline("passthrough", model)).epsilon == model.epsilon_
    with pytest.raises(PrivacyBudgetError):
        clone(model).fit(X, y)


def test_it_predicts_true_rows_as_drawn_ones_look():
    model = SynthesizedClassifier(DOMAINS, estimator=Recording(), random_state=0).fit(X, y)
    other = pd.DataFrame({"lab": [0.0] * 4, "age": [40, 500, "unknown", None], "ward": "a",
                          "sex": ["m", "f", "?", None]})  # fmt: skip
    kept = other.copy()
    model.predict(other)
    (asked,) = model.estimator_.asked_
    pd.testing.assert_frame_equal(other, kept)
    assert asked["age"].tolist()[:2] == [40, 120] and asked["age"].isna().tolist() == [
        False,
        False,
        True,
        True,
    ]
    assert asked["sex"].tolist() == ["m", "f", None, None]
    assert asked.dtypes.equals(model.estimator_.seen_.dtypes)


def test_with_little_noise_a_default_model_is_about_as_good_as_one_of_true_rows():
    big, label = rows(3000)
    with pytest.warns(Warning):
        model = SynthesizedClassifier(DOMAINS, noise_multiplier=0.01, random_state=0).fit(big, label)
    test, truth = rows(2000, 1)
    assert model.score(test, truth) > 0.9
    assert np.allclose(model.predict_proba(test).sum(axis=1), 1)
    assert list(model.classes_) == ["ill", "well"]


def test_any_estimator_can_be_trained_as_it_reads_tables():
    encode = make_column_transformer(
        (OneHotEncoder(), ["ward"]), ("drop", ["age", "sex"]), remainder="passthrough"
    )
    for estimator in (LogisticRegression(), make_pipeline(encode, LogisticRegression()), LinearSVC()):
        model = SynthesizedClassifier(DOMAINS, estimator=estimator, n_draws=2, random_state=0).fit(X, y)
        assert set(model.predict(X)) <= {"ill", "well"}
        assert hasattr(model, "predict_proba") == hasattr(estimator, "predict_proba")
        assert hasattr(model, "decision_function") == hasattr(estimator, "decision_function")
        assert not hasattr(estimator, "classes_")


def test_an_estimator_that_reads_neither_form_is_refused_in_words():
    class Refuses(Recording):
        def fit(self, X, y):
            raise ValueError("no")

    with pytest.raises(InvalidInputError, match="estimator=Refuses"):
        SynthesizedClassifier(DOMAINS, estimator=Refuses(), random_state=0).fit(X, y)


def test_more_classes_and_numbers():
    three = np.digitize(X["lab"], [-0.5, 0.5])
    model = SynthesizedClassifier(DOMAINS, n_draws=2, random_state=0).fit(X, three)
    assert model.predict_proba(X).shape == (len(X), 3)
    number = X["lab"] * 2 + X["age"].fillna(50) / 10
    regressor = SynthesizedRegressor(DOMAINS, estimator=None, n_draws=2, random_state=0).fit(X, number)
    assert np.corrcoef(regressor.predict(X), number)[0, 1] > 0.5
    linear = clone(regressor).set_params(estimator=LinearRegression()).fit(X, number)
    assert linear.predict(X).shape == (len(X),)


def test_a_file_predicts_the_same_and_holds_no_training_rows():
    model = SynthesizedClassifier(DOMAINS, estimator=SMALL, random_state=0).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert loaded.ledger_ == model.ledger_
    lengths = [len(v) for v in vars(model).values() if isinstance(v, (pd.DataFrame, np.ndarray))]
    assert len(X) not in lengths


def test_one_class_and_no_target_are_refused_before_anything_is_paid():
    model = SynthesizedClassifier(DOMAINS, random_state=0)
    for target, says in ((np.zeros(len(X)), "one class"), (None, "requires y")):
        with pytest.raises(InvalidInputError, match=says):
            model.fit(X, target)
    assert not hasattr(model, "ledger_")
