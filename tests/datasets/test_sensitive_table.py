"""SensitiveTable: what it refuses, prints and splits."""

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Numeric, datasets
from skfusiondp.datasets import SensitiveTable
from skfusiondp.exceptions import InvalidInputError


def small(**parts):
    table = pd.DataFrame({"lab": np.arange(10.0), "age": np.arange(20, 30)})
    target = pd.Series(np.arange(10) % 2, name="ill")
    return SensitiveTable("small", table, target, {"age": Numeric(0, 120)}, **parts)


def test_public_names_exist():
    assert sorted(datasets.__all__) == datasets.__all__
    assert all(hasattr(datasets, name) for name in datasets.__all__)


def test_repr_shows_no_cell():
    assert repr(small()) == "SensitiveTable('small', 10 rows, 2 columns, 1 of them sensitive)"


def test_public_columns():
    assert small().public == ["lab"]


def test_is_frozen():
    with pytest.raises(AttributeError):
        small().name = "other"


def test_split_support_parts_rows():
    whole = small()
    support, support_target, table, target = whole.split_support(3, random_state=0)
    assert len(support) == len(support_target) == 3
    assert len(table) == len(target) == 7
    assert sorted([*support.index, *table.index]) == list(range(10))
    assert support.index.is_monotonic_increasing and table.index.is_monotonic_increasing
    pd.testing.assert_frame_equal(pd.concat([support, table]).sort_index(), whole.table)
    pd.testing.assert_series_equal(pd.concat([support_target, target]).sort_index(), whole.target)


def test_split_support_is_repeatable():
    first, second, other = (small().split_support(4, random_state=s)[0] for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first, second)
    assert list(first.index) != list(other.index)


def test_split_support_row_labels_find_the_imputed_view():
    whole = small(hybrid=small().table.assign(age=25))
    *_, table, _ = whole.split_support(5, random_state=0)
    assert whole.hybrid is not None
    assert whole.hybrid.loc[table.index, "lab"].tolist() == table["lab"].tolist()


@pytest.mark.parametrize("n", [0, -1, 10, 2.5, "3", True, None])
def test_split_support_refuses_bad_n(n):
    with pytest.raises(InvalidInputError, match=r"n=.* whole number from 1 to 9"):
        small().split_support(n)


def test_split_support_takes_numpy_integers():
    assert len(small().split_support(np.int64(2), random_state=0)[0]) == 2


def test_unknown_sensitive_column():
    whole = small()
    with pytest.raises(InvalidInputError, match="weight"):
        SensitiveTable("small", whole.table, whole.target, {"weight": Numeric(0, 1)})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"support": small().table}, "give both or neither"),
        ({"support_target": small().target}, "give both or neither"),
        ({"hybrid": small().table[["age", "lab"]]}, "hybrid .* order"),
        ({"hybrid": small().table.head(9)}, r"hybrid and target .*\(9 and 10 rows"),
        (
            {"support": small().table, "support_target": small().target.head(3)},
            r"support and support_target .*\(10 and 3 rows",
        ),
    ],
)
def test_parts_that_do_not_fit(parts, message):
    with pytest.raises(InvalidInputError, match=message):
        small(**parts)
