"""mean, median and sample against the distribution that they are taken from; batches."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skfusiondp import Categorical, Numeric
from skfusiondp.impute import CategoricalPredictive, FoundationImputer, NumericPredictive


def test_draws_follow_the_atoms():
    n = 20_000
    uniforms = np.random.default_rng(0).random(n)
    guess = NumericPredictive(np.zeros(n), np.array([1.0, 2.0, 5.0]), np.array([1.0, 0.0, 3.0]))
    values, counts = np.unique(guess.sample(uniforms), return_counts=True)
    assert values.tolist() == [1.0, 5.0]
    assert stats.chisquare(counts, n * np.array([0.25, 0.75])).pvalue > 1e-3


def test_draws_follow_the_class_probabilities_row_by_row():
    n = 20_000
    weights = np.tile([[0.7, 0.0, 0.3], [0.1, 0.2, 0.7]], (n, 1))
    drawn = CategoricalPredictive(weights).sample(np.random.default_rng(1).random(2 * n))
    for row, expected in enumerate(([0.7, 0.0, 0.3], [0.1, 0.2, 0.7])):
        share = np.bincount(drawn[row::2], minlength=3) / n
        assert np.allclose(share, expected, atol=0.02)
        assert share[np.array(expected) == 0].sum() == 0


@pytest.mark.parametrize("uniform", [0.0, 0.5, np.nextafter(1.0, 0.0)])
def test_no_draw_of_weight_zero(uniform):
    weights = np.array([[0.0, 0.1, 0.2, 0.7, 0.0]])
    assert CategoricalPredictive(weights).sample(np.array([uniform]))[0] in (1, 2, 3)


def test_median_is_the_weighted_one():
    atoms = np.array([[0.0, 1.0, 10.0], [0.0, 1.0, 10.0]])
    weights = np.array([[1.0, 1.0, 5.0], [3.0, 1.0, 1.0]])
    assert NumericPredictive(np.zeros(2), atoms, weights).median().tolist() == [10.0, 0.0]


@pytest.fixture(scope="module")
def two_wards():
    """In ward a age is N(30, 3) and sex mostly f; in ward b N(60, 9) and always m."""
    rng = np.random.default_rng(0)

    def table(n):
        ward = rng.choice(["a", "b"], n)
        first = ward == "a"
        age = np.where(first, rng.normal(30, 3, n), rng.normal(60, 9, n))
        sex = np.where(first & (rng.random(n) < 0.8), "f", "m").astype(object)
        return pd.DataFrame({"ward": ward, "age": age, "sex": sex})

    return table(1500), table(3000)


@pytest.mark.parametrize("backend", ["ensemble", "ridge"])
def test_samples_match_the_conditional_distribution(backend, two_wards):
    support, train = two_wards
    domains = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}
    if backend == "ridge":
        from sklearn.linear_model import LogisticRegression, Ridge

        backend = {"age": Ridge(), "sex": LogisticRegression()}
    imputer = FoundationImputer(domains, support=support, backend=backend, random_state=0)
    drawn = imputer.set_params(strategy="sample").fit_transform(train)
    first = train["ward"] == "a"
    assert abs(drawn["age"][first].mean() - 30) < 0.7
    assert abs(drawn["age"][~first].mean() - 60) < 1.0
    # Against the support's share: what its luck says is all that can be learnt.
    share = (support["sex"][support["ward"] == "a"] == "f").mean()
    assert abs((drawn["sex"][first] == "f").mean() - share) < 0.04
    if isinstance(imputer.backend, str):
        # Residuals are pooled over rows; only leaves know that the wards differ in spread.
        assert abs(drawn["age"][first].std() - 3) < 0.6
        assert abs(drawn["age"][~first].std() - 9) < 1.5
    assert abs(drawn["age"].std() - train["age"].std()) < 1.0
    mean = imputer.set_params(strategy="mean").transform(train)
    median = imputer.set_params(strategy="median").transform(train)
    assert np.abs(mean["age"] - median["age"]).max() < 3
    assert (mean["sex"] == median["sex"]).all()


def test_columns_are_drawn_together(two_wards):
    support, train = two_wards
    twins = {"age": Numeric(0, 100), "twin": Numeric(0, 100)}
    support, train = support.assign(twin=support["age"]), train.assign(twin=train["age"])
    imputer = FoundationImputer(twins, support=support, strategy="sample", random_state=0)
    drawn = imputer.fit_transform(train.drop(columns="sex").assign(sex="f"))
    within = drawn[train["ward"] == "a"]
    assert np.corrcoef(within["age"], within["twin"])[0, 1] > 0.9
    # Fitted for means, it knows nothing of how columns hang together.
    alone = FoundationImputer(twins, support=support, random_state=0).fit(train)
    drawn = alone.set_params(strategy="sample").transform(train)[train["ward"] == "a"]
    assert abs(np.corrcoef(drawn["age"], drawn["twin"])[0, 1]) < 0.1


def test_a_chain_never_sees_a_true_sensitive_cell(domains, support, train):
    imputer = FoundationImputer(domains, support=support, strategy="sample", random_state=0).fit(train)
    drawn = imputer.transform(train)
    other = train.assign(age=train["age"].to_numpy()[::-1], sex="f")
    pd.testing.assert_frame_equal(imputer.transform(other), drawn)
    refitted = FoundationImputer(domains, support=support, strategy="sample", random_state=0).fit(other)
    pd.testing.assert_frame_equal(refitted.transform(train), drawn)
    whole = imputer.set_params(batch_size=7).transform(train)
    pd.testing.assert_frame_equal(whole, drawn)


def test_a_chain_keeps_each_columns_distribution_and_gaps_are_no_obstacle(domains, support, train):
    support = pd.concat([support] * 3, ignore_index=True)
    support.loc[::5, "age"] = np.nan
    support.loc[1::5, "sex"] = None
    drawn = FoundationImputer(domains, support=support, strategy="sample", random_state=0).fit_transform(
        train
    )
    assert drawn["age"].notna().all() and set(drawn["sex"]) <= {"f", "m"}
    north = train["ward"] == "north"
    assert (drawn["sex"][north] == "f").mean() > 0.6 > (drawn["sex"][~north] == "f").mean() + 0.2


def test_draws_are_reproducible(domains, support, train):
    parameters = {"support": support, "strategy": "sample"}
    imputer = FoundationImputer(domains, **parameters, random_state=3).fit(train)
    first = imputer.transform(train)
    pd.testing.assert_frame_equal(first, imputer.transform(train), check_exact=True)
    again = FoundationImputer(domains, **parameters, random_state=3).fit_transform(train)
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    other = FoundationImputer(domains, **parameters, random_state=4).fit_transform(train)
    assert not first.equals(other)


@pytest.mark.parametrize("strategy", ["mean", "median", "sample"])
@pytest.mark.one_in(3)
def test_batches_equal_one_pass(strategy, domains, support, train):
    imputer = FoundationImputer(domains, support=support, strategy=strategy, random_state=0)
    whole = imputer.fit(train).transform(train)
    for size in (1, 7, len(train)):
        parts = imputer.set_params(batch_size=size).transform(train)
        pd.testing.assert_frame_equal(whole, parts, check_exact=True)
