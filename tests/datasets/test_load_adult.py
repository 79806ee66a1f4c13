"""Adult, the real table that ships with the library."""

from importlib import resources

import pandas as pd
import pytest

from skfusiondp import Categorical, Numeric
from skfusiondp.datasets import load_adult
from skfusiondp.tables._read_table import as_table
from skfusiondp.tables._schema import resolve_schema

NUMBERS = ["age", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
WORDS = [
    "workclass",
    "education",
    "marital-status",
    "occupation",
    "relationship",
    "ethnicity",
    "gender",
]


@pytest.fixture(scope="module")
def adult():
    return load_adult()


def test_shape_and_base_rate(adult):
    assert adult.table.shape == (32561, 12)
    assert set(adult.table) == {*NUMBERS, *WORDS}
    assert adult.target.name == "income_over_50k"
    assert adult.target.value_counts().to_dict() == {0: 24720, 1: 7841}


def test_dtypes(adult):
    assert all(pd.api.types.is_integer_dtype(adult.table[c]) for c in NUMBERS)
    assert not any(pd.api.types.is_numeric_dtype(adult.table[c]) for c in WORDS)
    assert adult.target.dtype == "int64"


def test_unanswered_cells_are_missing(adult):
    missing = adult.table.isna().sum()
    assert missing[missing > 0].to_dict() == {"workclass": 1836, "occupation": 1843}
    assert not (adult.table[WORDS] == "?").any(axis=None)


def test_words_are_stripped(adult):
    for column in WORDS:
        words = adult.table[column].dropna().unique()
        assert all(word == word.strip() for word in words)


def test_domains_cover_every_cell(adult):
    for column, domain in adult.sensitive.items():
        cells = adult.table[column]
        if isinstance(domain, Numeric):
            assert cells.between(domain.low, domain.high).all()
        else:
            assert isinstance(domain, Categorical)
            assert set(cells) == set(domain.categories)


def test_domains_serve_as_declarations(adult):
    schema = resolve_schema(as_table(adult.table), adult.sensitive, on_leak="raise")
    assert schema.sensitive == tuple(adult.sensitive)
    assert set(schema.sources.values()) == {"declared"}
    assert schema.public == tuple(adult.public)


def test_return_X_y(adult):
    X, y = load_adult(return_X_y=True)
    pd.testing.assert_frame_equal(X, adult.table)
    pd.testing.assert_series_equal(y, adult.target)


def test_calls_share_no_state():
    first = load_adult()
    first.table.loc[0, "age"] = 0
    first.sensitive.clear()
    again = load_adult()
    assert again.table.loc[0, "age"] == 39
    assert len(again.sensitive) == 5


def test_attribution_ships_with_the_data(adult):
    notice = resources.files("skfusiondp.datasets") / "data" / "LICENSE-adult.txt"
    for text in (notice.read_text(encoding="utf-8"), adult.description, load_adult.__doc__):
        assert "10.24432/C5XW20" in text
        assert "CC BY 4.0" in text
