"""Support rows are drawn out of a table of one's own, whatever holds it."""

import numpy as np
import pandas as pd
import pytest

from skfusiondp import FusionDPClassifier, Numeric
from skfusiondp.datasets import load_adult, split_support
from skfusiondp.exceptions import InvalidInputError

FRAME = pd.DataFrame({"lab": np.arange(200.0), "age": np.arange(200.0) % 70}, index=np.arange(1000, 1200))
Y = pd.Series(FRAME["lab"] > 99)


def test_every_row_is_in_one_part_and_keeps_its_label_and_target():
    S, t, X, y = split_support(FRAME, Y, 50, random_state=0)
    assert len(S) == len(t) == 50 and len(X) == len(y) == 150
    assert pd.concat([S, X]).sort_index().equals(FRAME) and S.index.is_monotonic_increasing
    assert t.equals(Y[S.index]) and y.equals(Y[X.index])
    again = split_support(FRAME, Y, 50, random_state=0)
    assert again[0].equals(S) and not split_support(FRAME, Y, 50, random_state=1)[0].equals(S)


def test_every_container():
    pl = pytest.importorskip("polars")
    expected = split_support(FRAME, Y, 50, random_state=0)[0].to_numpy()
    for X in (FRAME.to_numpy(), FRAME.to_numpy().tolist(), pl.from_pandas(FRAME)):
        S, t, rest, y = split_support(X, Y.tolist(), 50, random_state=0)
        assert type(S) is type(X) and np.array_equal(np.asarray(S), expected)
        assert len(t) == 50 and len(y) == 150 and len(rest) == 150


def test_a_loaded_table_splits_alike():
    adult = load_adult()
    for ours, theirs in zip(
        split_support(adult.table, adult.target, 30, 7), adult.split_support(30, 7), strict=True
    ):
        assert ours.equals(theirs)


@pytest.mark.filterwarnings("error::skfusiondp.PrivacyLeakWarning")
def test_the_support_is_not_taken_for_training_rows():
    S, t, X, y = split_support(FRAME, Y, 50, random_state=0)
    model = FusionDPClassifier(
        {"age": Numeric(0, 100)}, support=S, support_target=t, noise_multiplier=1.0, steps=1
    )
    assert model.fit(X, y).schema_.leaks == ()


@pytest.mark.parametrize("n", [0, 200, 201, -1, 1.5, True, "5", None])
def test_a_number_that_leaves_no_rows_is_refused(n):
    with pytest.raises(InvalidInputError, match=r"n=.*the table has 200 rows"):
        split_support(FRAME, Y, n)


@pytest.mark.parametrize("y", [Y[:-1], None, 3])
def test_targets_of_another_length_are_refused(y):
    with pytest.raises(InvalidInputError, match="X and y cannot be split"):
        split_support(FRAME, y, 5)
