"""What is said of how well columns can be guessed."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, cross_val_predict

from skfusiondp import Categorical, FoundationImputer, Numeric
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.impute import CategoricalPredictive, ImputationQuality, NumericPredictive
from skfusiondp.impute._judged import covered, judge

DOMAINS = {"age": Numeric(0, 100), "coin": Categorical(["heads", "tails"]), "sex": Categorical(["f", "m"])}


def people(n=300, seed=0):
    rng = np.random.default_rng(seed)
    lab = rng.normal(size=n)
    return pd.DataFrame(
        {
            "lab": lab,
            "age": np.clip(50 + 12 * lab + 6 * rng.normal(size=n), 0, 100),
            "coin": rng.choice(["heads", "tails"], n),
            "sex": np.where(lab + rng.normal(size=n) > 0, "f", "m"),
        }
    )


@pytest.fixture
def imputer():
    backend = {"age": LinearRegression(), "coin": LogisticRegression(), "sex": LogisticRegression()}
    return FoundationImputer(DOMAINS, support=people(), backend=backend, random_state=0).fit(people(5))


def test_scores_are_those_of_rows_that_were_left_out(imputer):
    found, support = imputer.quality(), people()
    folds = KFold(5, shuffle=True, random_state=imputer._seed)
    lab = imputer.backend_.encoder_.transform(support[["lab"]])
    guess = cross_val_predict(LinearRegression(), lab, support["age"], cv=folds)
    plain = cross_val_predict(DummyRegressor(), lab, support["age"], cv=folds)
    score = 1 - ((support["age"] - guess) ** 2).sum() / ((support["age"] - plain) ** 2).sum()
    assert found.columns.loc["age", "score"] == pytest.approx(score, abs=1e-3)
    assert found.n_rows == 300 and isinstance(found, ImputationQuality)
    assert 0.7 < found.columns.loc["age", "coverage"] < 0.9
    assert 0.65 < found.columns.loc["sex", "auroc"] < 0.9
    p = cross_val_predict(LogisticRegression(), lab, support["sex"], cv=folds)
    assert found.columns.loc["sex", "right"] == pytest.approx((p == support["sex"]).mean(), abs=0.02)
    assert (found.columns["least"] < found.columns["score"]).all()


def test_words_say_what_can_be_guessed(imputer):
    found = imputer.quality()
    assert found.to_frame()["guessed"].to_dict() == {"age": True, "coin": False, "sex": True}
    for text in (repr(found), found._repr_html_()):
        assert "coin: no sign, on 300 cells, that public columns tell anything of it." in text
        assert "age can be guessed well: public columns explain" in text
        assert "the likeliest category is the true one in" in text and "at whatever epsilon" in text


def test_noise_is_rarely_said_to_be_guessed():
    called = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        coin = np.where(rng.random(80) < 0.1, "heads", "tails")
        support = pd.DataFrame({"lab": rng.normal(size=80), "age": rng.uniform(0, 100, 80), "coin": coin})
        imputer = FoundationImputer(
            {k: DOMAINS[k] for k in ("age", "coin")},
            support=support,
            backend={"age": LinearRegression(), "coin": LogisticRegression()},
            random_state=0,
        )
        called += imputer.fit(support).quality().columns["guessed"].sum()
    assert called <= 5


def test_it_is_drawn_and_written(imputer, tmp_path):
    found = imputer.quality(n_folds=3)
    axes = found.plot()
    assert [ax.get_title().replace("\n", ": ") for ax in axes] == list(found.shown.values())
    assert found.shown["age"] == "age" and found.shown["coin"].startswith("coin: chance of ")
    found.save_html(tmp_path / "quality.html")
    assert (tmp_path / "quality.html").read_text(encoding="utf-8").count("<svg") == 3
    for points in found.curves.values():
        assert len(points) == 8 and points["predicted"].is_monotonic_increasing
        assert points["rows"].sum() == 300
    with pytest.raises(InvalidInputError, match="3 matplotlib Axes"):
        found.plot(axes=axes[:2])


def test_what_cannot_be_judged_is_not_called_safe():
    support = people()
    support.loc[::3, "age"] = np.nan
    support["sex"] = support["sex"].str.upper()
    support["coin"] = "tails"
    imputer = FoundationImputer(DOMAINS, support=support, backend="conditional", random_state=0)
    with pytest.warns(UserWarning, match="outside its domain"):
        imputer.fit(support)
    found = imputer.quality(n_folds=2)
    assert found.columns["cells"].to_dict() == {"age": 200, "coin": 300, "sex": 0}
    words = found.columns["words"]
    assert "well" in words["age"] and "no support row has a cell that lies in its domain" in words["sex"]
    assert words["coin"] == "coin is the same in all support rows: anybody knows it."
    assert list(found.curves) == ["age"] and len(found.plot()) == 1
    few = FoundationImputer(DOMAINS, support=people(16), backend="conditional", random_state=0).fit(support)
    found = few.quality(n_folds=2)
    assert found.columns["words"].str.contains("16 cells are too few to show").all()
    assert (found.columns["least"] <= found.columns["score"]).all()
    with pytest.raises(InvalidInputError, match="more support rows"):
        found.plot()


def test_without_public_columns_nothing_is_judged_and_a_warning_says_so():
    support = people()[["age"]]
    imputer = FoundationImputer({"age": DOMAINS["age"]}, support=support, random_state=0)
    with pytest.warns(UserWarning, match="No public column reaches the imputer"):
        imputer.fit(people(50, 1)[["age"]])
    assert imputer.quality().columns.loc["age", "words"].endswith("there is no public column.")


@pytest.mark.parametrize("folds", [1, 2.5, True, "five", None, people(3)])
def test_folds_are_whole_numbers(imputer, folds):
    with pytest.raises(InvalidInputError, match="n_folds"):
        imputer.quality(n_folds=folds)


def test_without_rows_there_is_nothing_to_judge():
    few = FoundationImputer(DOMAINS, support=people(8), random_state=0).fit(people(5))
    with pytest.raises(InvalidInputError, match="support has 8 rows"):
        few.quality()
    none = FoundationImputer(DOMAINS, backend="domain").fit(people(5))
    with pytest.raises(InvalidInputError, match="support=None"):
        none.quality()


def test_progress_is_shown_if_wanted(imputer, capsys):
    imputer.set_params(verbose=1).quality(n_folds=2)
    assert "Judging" in capsys.readouterr().err


def test_nothing_changes(imputer):
    before, support = imputer.transform(people(20, 3)), imputer.support.copy()
    imputer.quality()
    pd.testing.assert_frame_equal(imputer.transform(people(20, 3)), before)
    pd.testing.assert_frame_equal(imputer.support, support)


def test_an_interval_that_is_right_covers_four_fifths_of_discrete_numbers_too():
    rng = np.random.default_rng(0)
    weights = np.array([0.5, 0.3, 0.15, 0.05])
    guess = NumericPredictive(np.full(20_000, 0.75), np.arange(4.0), weights)
    true = rng.choice(4, 20_000, p=weights).astype(float)
    assert covered(guess, true).mean() == pytest.approx(0.8, abs=0.01)
    assert covered(NumericPredictive(guess.mean, np.arange(4.0), weights**3), true).mean() < 0.7
    spread = NumericPredictive(np.zeros(9_000), np.sort(rng.normal(size=2_000)))
    assert covered(spread, rng.normal(size=9_000)).mean() == pytest.approx(0.8, abs=0.03)


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    true, p = rng.integers(3, size=500), rng.dirichlet([2, 1, 1], 500)
    known = rng.integers(3, size=100)
    shares = np.tile(np.bincount(known) / 100, (500, 1))
    found = judge(CategoricalPredictive(p), known.astype(float), true.astype(float))
    clipped = np.clip(p, 1e-3, None)
    expected = 1 - log_loss(true, clipped / clipped.sum(axis=1, keepdims=True)) / log_loss(true, shares)
    assert found["score"] == pytest.approx(expected, abs=1e-3)
