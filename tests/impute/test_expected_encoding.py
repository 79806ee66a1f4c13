"""The expected encoding of a cell is no encoding of the expected cell."""

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Categorical, Date, FoundationImputer, Numeric
from skfusiondp.impute import CategoricalPredictive, NumericPredictive
from skfusiondp.impute._expected_encoding import expected_encoding

DOMAIN = Numeric(0, 10, knots=[5])
ENDS = np.array([0.0, 10.0])


def test_a_cell_at_one_of_two_ends_lies_at_both_with_its_probability():
    guess = NumericPredictive(np.array([5.0, 7.5]), ENDS, np.array([[1.0, 1.0], [1.0, 3.0]]))
    assert expected_encoding(guess, DOMAIN).tolist() == [[0.5, 0.5, 0.0], [0.75, 0.75, 0.0]]
    assert DOMAIN.encode(guess.mean)[0].tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("atoms", "probabilities"),
    [
        (ENDS, None),
        (ENDS, np.ones(2)),
        (np.tile(ENDS, (3, 1)), None),
        (np.tile(ENDS, (3, 1)), np.ones(2)),
        (np.tile(ENDS, (3, 1)), np.full((3, 2), 7.0)),
    ],
    ids=["of all rows", "marginal", "a row its own", "a row its own, weighed alike", "by row"],
)
def test_distributions_of_every_shape(atoms, probabilities):
    found = expected_encoding(NumericPredictive(np.full(3, 5.0), atoms, probabilities), DOMAIN)
    assert found.dtype == np.float32 and found.tolist() == [[0.5, 0.5, 0.0]] * 3


def test_it_is_the_mean_over_draws():
    rng = np.random.default_rng(0)
    guess = NumericPredictive(np.zeros(2), np.sort(rng.uniform(-1, 12, (2, 5))), rng.uniform(size=(2, 5)))
    even = (np.arange(20_000) + 0.5) / 20_000
    for row in range(2):
        one = NumericPredictive(np.zeros(20_000), guess.atoms[row], guess.probabilities[row])
        drawn = DOMAIN.encode(DOMAIN.restore(one.sample(even))).mean(axis=0)
        np.testing.assert_allclose(expected_encoding(guess, DOMAIN)[row], drawn, atol=1e-3)


def test_categories_have_their_probabilities():
    guess = CategoricalPredictive(np.array([[1.0, 3.0]]))
    assert expected_encoding(guess, Categorical(["f", "m"])).tolist() == [[0.25, 0.75, 0.0, 0.0]]


def test_of_a_mean_alone_there_is_none():
    assert expected_encoding(NumericPredictive(np.zeros(2)), DOMAIN) is None


def test_dates_too():
    domain = Date("2020-01-01", "2020-01-11", knots=["2020-01-06"])
    low, high = domain.span
    guess = NumericPredictive(np.array([(low + high) / 2]), np.array([low, high]))
    np.testing.assert_allclose(expected_encoding(guess, domain), [[0.5, 0.5, 0.0]], atol=1e-6)


@pytest.mark.parametrize("strategy", ["mean", "median", "sample"])
def test_an_imputer_hands_it_on_where_it_imputes_means(strategy):
    rng = np.random.default_rng(0)
    support = pd.DataFrame({"lab": rng.normal(size=80), "age": rng.choice(ENDS, 80)})
    train = pd.DataFrame({"lab": rng.normal(size=30), "age": 3.0})
    imputer = FoundationImputer(
        {"age": DOMAIN}, support=support, strategy=strategy, output="paired", random_state=0
    )
    paired = imputer.fit_transform(train)
    cells = DOMAIN.encode(paired.hybrid["age"])
    if strategy != "mean":
        assert np.array_equal(paired.encoded["age"], cells)
        return
    # Of a cell at either end, each interval is passed with the probability of the upper one.
    np.testing.assert_allclose(paired.encoded["age"][:, 0], paired.encoded["age"][:, 1], atol=1e-6)
    assert not np.allclose(cells[:, 0], cells[:, 1])
