"""The holder of the data sees which public columns tell what a sensitive one holds."""

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Categorical, Numeric
from skfusiondp.audit import check_copies
from skfusiondp.datasets import load_adult
from skfusiondp.exceptions import InvalidInputError

rng = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "lab": rng.normal(size=400),
        "age": rng.integers(18, 90, 400),
        "sex": rng.choice(["f", "m"], 400),
        "admitted": rng.integers(2000, 2020, 400),
    }
)
TABLE["about"] = TABLE["age"] + rng.normal(0, 3, 400)
COPIES = TABLE.assign(code=TABLE["sex"] == "f", born=TABLE["admitted"] - TABLE["age"]).drop(columns="about")
DOMAINS = {"age": Numeric(0, 120), "sex": Categorical(["f", "m"])}


def test_copies_are_found_alone_and_together():
    found = check_copies(COPIES, DOMAINS)
    assert not found.ok and found.n_rows == 400
    assert [str(d) for d in found.found] == [
        "'admitted' and 'born' determine 'age' (a sum of multiples of them)",
        "'code' determines 'sex' (the same values under other names)",
    ]
    frame = found.to_frame()
    assert frame["public"].iloc[0] == "admitted, born" and frame["explained"].iloc[0] > 0.9999
    for text in (repr(found), str(found), found._repr_html_()):
        assert "For the holder of the data alone" in text and "Do not publish it" in text
        assert "a sum of multiples of them" in text and "protects nothing" in text


def test_what_tells_much_is_shown_and_is_no_copy():
    found = check_copies(TABLE, DOMAINS)
    assert found.ok and found.found == () and "No public column determines" in repr(found)
    first = found.to_frame().iloc[0]
    assert first["sensitive"] == "age" and first["public"] == "about" and 0.8 < first["explained"] < 0.99
    assert "(all public columns)" in set(found.to_frame()["public"])


def test_tables_on_disk_and_arrays(tmp_path):
    COPIES.to_parquet(tmp_path / "x.parquet")
    assert check_copies(tmp_path / "x.parquet", DOMAINS).found == check_copies(COPIES, DOMAINS).found
    array = np.column_stack([rng.normal(size=100), np.arange(100.0), 3 - np.arange(100.0)])
    (found,) = check_copies(array, {1: Numeric(0, 100)}).found
    assert str(found) == "'x2' determines 'x1' (a linear function of it)"


def test_no_alarm_on_adult():
    adult = load_adult()
    assert check_copies(adult.table, adult.sensitive).ok


@pytest.mark.parametrize("sensitive", [["age"], {}, {"nobody": Numeric(0, 1)}, {"age": None}])
def test_each_column_needs_a_domain(sensitive):
    with pytest.raises(InvalidInputError):
        check_copies(TABLE, sensitive)


def test_a_public_column_has_to_be_left():
    with pytest.raises(InvalidInputError, match="no public one is left"):
        check_copies(TABLE[["age", "sex"]], DOMAINS)
