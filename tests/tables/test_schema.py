"""Domains encode whatever comes, by what was declared alone; selectors find their columns."""

import math
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import make_column_selector

from skfusiondp import Categorical, Date, Numeric, PrivacyLeakWarning
from skfusiondp.exceptions import InvalidInputError, PrivacyLeakError
from skfusiondp.tables._read_table import as_table
from skfusiondp.tables._schema import resolve_schema

bounds = st.tuples(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9)).map(lambda b: (b[0], b[0] + b[1]))
numbers = st.lists(st.one_of(st.floats(), st.none(), st.integers(-(10**9), 10**9)), max_size=20)
cells = st.one_of(st.text(max_size=3), st.integers(), st.floats(), st.none(), st.booleans())
names = st.lists(st.text(max_size=3), min_size=1, max_size=5, unique=True)


@given(bounds, numbers)
def test_numeric_encoding_is_bounded_whatever_comes(limits, values):
    domain = Numeric(*limits)
    encoded = domain.encode(pd.Series(values, dtype=object))
    assert encoded.shape == (len(values), domain.width) == (len(values), len(domain.feature_names("c")))
    assert encoded.dtype == np.float32
    assert np.isfinite(encoded).all() and (encoded >= 0).all() and (encoded <= 1).all()
    missing = np.array([v is None or v != v for v in values], dtype=bool)
    assert np.array_equal(encoded[:, -1], missing)
    assert (encoded[missing, :-1] == 0).all()


@given(bounds, st.floats(0, 1))
def test_numeric_encoding_is_linear_and_clipped(limits, part):
    low, high = limits
    domain = Numeric(low, high, knots=[])
    inside = min(high, low + part * (high - low))
    value = domain.encode([inside, high + 1, low - 1, math.inf, -math.inf])[:, 0]
    assert value[0] == pytest.approx((inside - low) / (high - low), abs=1e-5)
    assert value[1:].tolist() == [1, 0, 1, 0]


@given(bounds, st.lists(st.floats(0.01, 0.99), max_size=5, unique=True), st.floats(0, 1), st.floats(0, 1))
def test_pieces_fill_one_after_the_other_and_keep_the_order(limits, parts, one, two):
    low, high = limits
    knots = sorted({low + p * (high - low) for p in parts} - {low, high})
    domain = Numeric(low, high, knots=knots)
    a, b = domain.encode([min(high, low + p * (high - low)) for p in sorted((one, two))])[:, :-1]
    assert len(a) == len(knots) + 1 and (a <= b).all()
    for row in (a, b):
        assert (np.diff(row) <= 0).all() or (np.sort(row)[::-1] == row).all()
        assert ((row > 0) & (row < 1)).sum() <= 1


def test_bounds_and_knots_may_be_numpy_s():
    # 200, the width, is more than eight bits hold; two knots in an array have no truth value.
    domain = Numeric(np.int8(-100), np.int8(100), knots=np.array([0, 50], dtype=np.int8))
    assert domain.edges.tolist() == [-100, 0, 50, 100]
    assert Numeric(np.int8(-100), np.int8(100)).edges.tolist() == np.linspace(-100, 100, 9).tolist()
    assert repr(domain) == "Numeric(low=-100, high=100, knots=[0.0, 50.0])"


def test_knots_come_from_support_rows_unless_they_are_stated():
    values = np.arange(1001.0)
    # Even shares of the cells, and smaller ones towards both ends.
    even = np.linspace(0, 1000, 9)[1:-1]
    assert np.allclose(Numeric(0, 1000).with_knots_of(values).knots, [20, 60, *even, 940, 980])
    assert Numeric(0, 1000, knots=[3]).with_knots_of(values).knots == (3.0,)
    assert Numeric(0, 1).with_knots_of(np.array([np.nan])).knots is None
    knots = Numeric(0, 1).with_knots_of(np.array([0.0, 5.0, -3.0])).knots
    assert np.allclose(knots, [0.25, 0.5, 0.75, 0.88, 0.96])
    assert Numeric(0, 1) == Numeric(0, 1, knots=[0.5]) != Numeric(0, 2)


@pytest.mark.parametrize(
    "knots",
    [[0], [10], [5, 5], [6, 4], [math.nan], ["x"], [-1], 3, [[1]], ["4"], "57", [np.complex64(3)]],
    ids=str,
)
def test_refuses_other_knots(knots):
    with pytest.raises(InvalidInputError, match="knots="):
        Numeric(0, 10, knots=knots)


@given(names, st.lists(cells, max_size=20))
def test_categorical_encoding_is_one_hot_whatever_comes(categories, values):
    domain = Categorical(categories)
    encoded = domain.encode(pd.Series(values, dtype=object))
    assert encoded.shape == (len(values), len(categories) + 2)
    assert len(domain.feature_names("c")) == domain.width
    assert (encoded.sum(axis=1) == 1).all() and set(np.unique(encoded)) <= {0.0, 1.0}
    for value, row in zip(values, encoded, strict=True):
        if value is None or value != value:
            assert row[-1] == 1
        elif value in categories:
            assert row[categories.index(value)] == 1
        else:
            assert row[-2] == 1


def test_unhashable_and_typed_cells():
    assert Categorical(["a"]).codes(pd.Series([["a"], {}], dtype=object)).tolist() == [1, 1]
    assert Categorical(np.array([1, 2])).codes([2, 3, None]).tolist() == [1, 2, 3]
    assert Categorical(["a", "b"]).codes(pd.Series(["b", None], dtype="category")).tolist() == [
        1,
        3,
    ]
    assert Categorical(["a", "b"]).codes(pd.Series(["b", pd.NA], dtype="string")).tolist() == [
        1,
        3,
    ]


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float32", object])
def test_numeric_takes_every_kind_of_column(dtype):
    column = pd.Series([0, 10], dtype=dtype)
    assert Numeric(0, 10).encode(column)[:, 0].tolist() == [0, 1]


@given(bounds, st.integers(0, 50), st.integers(0, 99))
def test_draws_lie_in_the_domain(limits, n, seed):
    drawn = Numeric(*limits).draw(n, np.random.default_rng(seed))
    assert drawn.shape == (n,) and ((drawn >= limits[0]) & (drawn <= limits[1])).all()
    assert set(Categorical(["a", 7]).draw(n, np.random.default_rng(seed))) <= {"a", 7}


@pytest.mark.parametrize("limits", [(1, 1), (2, 1), (0, math.inf), (math.nan, 1), ("a", "b"), (None, 1)])
def test_numeric_refuses(limits):
    with pytest.raises(InvalidInputError, match="bounds must be finite numbers with low < high"):
        Numeric(*limits)


@pytest.mark.parametrize("categories", [[], ["a", "a"], ["a", None], [math.nan], "ab", 3])
def test_categorical_refuses(categories):
    with pytest.raises(InvalidInputError, match="Categorical"):
        Categorical(categories)


TABLE = pd.DataFrame({"lab": [1.0, 2.0], "ward": ["n", "s"], "age": [30, 40], "sex": ["f", "m"]})


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        (None, ("lab", "ward", "age", "sex")),
        ("age", ("age",)),
        (["sex", "age"], ("age", "sex")),
        ([False, True, False, True], ("ward", "sex")),
        (np.array([False, False, True, True]), ("age", "sex")),
        (slice("ward", "age"), ("ward", "age")),
        (make_column_selector(pattern="^[ws]"), ("ward", "sex")),
        (lambda X: ["lab"], ("lab",)),
        ({"age": Numeric(0, 99), "sex": None}, ("age", "sex")),
        ([], ()),
    ],
)
def test_selectors(selector, chosen):
    schema = resolve_schema(as_table(TABLE), selector, on_leak="ignore")
    assert schema.sensitive == chosen  # in table order
    assert schema.public == tuple(c for c in TABLE if c not in chosen)


def test_where_domains_come_from():
    support = TABLE.assign(lab=[5.0, 6.0], age=[20, 50], sex=[None, None])
    declared = {"lab": Numeric(0, 9), "age": None, "sex": None}
    with pytest.warns(PrivacyLeakWarning, match="'sex'"):
        schema = resolve_schema(as_table(TABLE), declared, support=support)
    assert dict(schema.sources) == {"lab": "declared", "age": "support", "sex": "training cells"}
    assert schema.domains["age"] == Numeric(20, 50) and schema.leaks == ("sex",)
    assert schema.domains["sex"].codes(["f", "m", "x"]).tolist() == [0, 1, 2]
    with pytest.raises(PrivacyLeakError):
        resolve_schema(as_table(TABLE), declared, support=support, on_leak="raise")


def test_schema_is_immutable_and_pickles():
    schema = resolve_schema(as_table(TABLE), {"age": Numeric(0, 99)})
    with pytest.raises(TypeError):
        schema.domains["age"] = Numeric(0, 1)
    again = pickle.loads(pickle.dumps(schema))
    assert again == schema
    with pytest.raises(TypeError):
        again.domains["age"] = Numeric(0, 1)


PUBLIC = pd.DataFrame({"kg": np.linspace(50, 90, 40), "age": np.random.default_rng(0).uniform(20, 80, 40)})


def told_of_numbers_apart(support):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        resolve_schema(as_table(PUBLIC), {"age": Numeric(0, 100)}, support=support)
    return [w for w in caught if "'kg' lie outside the range" in str(w.message)]


@pytest.mark.parametrize(
    ("moved", "expected"), [(lambda kg: kg, 0), (lambda kg: kg * 2.2, 1), (lambda kg: (kg - 70) / 12, 1)]
)
def test_public_numbers_that_lie_elsewhere_among_the_support_rows_are_told(moved, expected):
    support = PUBLIC.assign(kg=moved(PUBLIC["kg"]) + 0.01)
    assert len(told_of_numbers_apart(support)) == expected
    assert not told_of_numbers_apart(support[:5])  # a few rows say nothing of where numbers lie


def test_support_rows_of_before_the_pipeline_are_refused_with_the_remedy():
    schema = resolve_schema(as_table(PUBLIC.to_numpy()), {1: Numeric(0, 100)})
    with pytest.raises(InvalidInputError, match=r"'x0', 'x1', but 'kg', 'age'.*step\.transform"):
        schema.require_columns(PUBLIC)
    with pytest.raises(InvalidInputError, match=r"lacks the column\(s\) 'x1'"):
        schema.require_columns(PUBLIC.set_axis(["x0", "age"], axis=1))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"income": 1000.0}, "100% lie outside its domain Numeric.*check unit and type"),
        ({"sex": ["F", "M"]}, "check spelling and type"),
        ({"born": ["1 of May", "2 of May"]}, "check how dates are written"),
    ],
)
def test_support_cells_outside_of_their_domain_are_warned_of(cells, message):
    """Support rows are public, so that this costs nothing: a unit, a spelling or a way of writing dates."""
    n = 40
    rng = np.random.default_rng(0)

    def made():
        return pd.DataFrame(
            {
                "lab": rng.normal(size=n),
                "income": rng.uniform(20, 480, n),
                "sex": rng.choice(["f", "m"], n),
                "born": pd.Timestamp("1960-01-01") + pd.to_timedelta(rng.integers(9000, size=n), unit="D"),
            }
        )

    sensitive = {
        "income": Numeric(0, 500),
        "sex": Categorical(["f", "m"]),
        "born": Date("1950-01-01", "2000-01-01"),
    }
    table, support = made(), made()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve_schema(as_table(table), sensitive, support=support)
        few = support.assign(income=support["income"].where(support.index > 1, 900.0))
        resolve_schema(as_table(table), sensitive, support=few)
    column, value = next(iter(cells.items()))
    wrong = support.assign(**{column: support[column] * value if column == "income" else value * (n // 2)})
    with pytest.warns(UserWarning, match=f"sensitive column '{column}'.*{message}"):
        resolve_schema(as_table(table), sensitive, support=wrong)
