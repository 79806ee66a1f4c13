"""Public columns of numbers or dates that are there as texts are named, for they are read as categories."""

import warnings

import numpy as np
import pandas as pd
import pytest

from skfusiondp import FusionDPClassifier, Numeric, OffsetFusionClassifier
from skfusiondp.tables._mistyped import warn_of_mistyped

RNG = np.random.default_rng(0)
N = 200
NUMBERS = pd.Series([f"{v:.2f}" for v in RNG.normal(size=N)])
DATES = pd.Series(pd.date_range("2020-01-01", periods=N).strftime("%Y/%m/%d %H:%M"))


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (NUMBERS.where(NUMBERS.index % 50 != 3, "?"), "are numbers, such as .* pandas.to_numeric"),
        (DATES, "are dates, such as .* pandas.to_datetime"),
        (DATES.where(DATES.index % 20 > 0, None), "100% of its texts are dates"),
    ],
)
def test_they_are_named_with_the_remedy(cells, words):
    with pytest.warns(UserWarning, match=f"public column 'lab' is read as categories.*{words}"):
        warn_of_mistyped(pd.DataFrame({"lab": cells}))


@pytest.mark.parametrize(
    "cells",
    [
        NUMBERS.astype(float),
        NUMBERS.astype("category"),
        pd.to_datetime(DATES),
        pd.Series([f"{v:05}" for v in range(N)]),  # codes
        pd.Series([f"ward {v}" for v in range(N)]),
        pd.Series(["1", "2", "3", "4"] * 50),
        pd.Series([None] * N, dtype=object),
        pd.Series(["?"] * 100 + [str(v) for v in range(100)]),
    ],
)
def test_others_are_not(cells):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_mistyped(pd.DataFrame({"lab": cells}))


@pytest.mark.parametrize("kind", [FusionDPClassifier, OffsetFusionClassifier])
@pytest.mark.filterwarnings("ignore:No support rows:UserWarning")
def test_a_fit_says_so_once_and_never_of_sensitive_columns(kind):
    table = pd.DataFrame({"lab": NUMBERS, "age": NUMBERS})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        kind({"age": Numeric(-4, 4)}, noise_multiplier=5.0, steps=3).fit(table, RNG.integers(2, size=N))
    found = [str(w.message) for w in said if "read as categories" in str(w.message)]
    assert len(found) == 1 and "'lab'" in found[0]
