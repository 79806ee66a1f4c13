"""Small tables in which the sensitive columns follow from the public ones, with noise."""

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Categorical, Numeric


def make_table(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    lab = rng.normal(size=n)
    ward = rng.choice(["north", "south", "west"], size=n)
    age = np.clip(50 + 15 * lab + rng.normal(scale=5, size=n), 0, 100)
    sex = np.where((ward == "north") ^ (rng.random(n) < 0.1), "f", "m")
    lab[rng.random(n) < 0.1] = np.nan
    return pd.DataFrame({"lab": lab, "age": age, "ward": ward, "sex": sex.astype(object)})


@pytest.fixture
def domains():
    return {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}


@pytest.fixture
def support():
    return make_table(200, seed=0)


@pytest.fixture
def train():
    return make_table(60, seed=1)
