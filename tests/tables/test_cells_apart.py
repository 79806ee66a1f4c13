"""One cell of a sensitive column never changes how the others are read, nor what public columns hold.

Whether it is missing, a text or too large for its type, each other cell has the same value, bit by bit: else
one row would move a noised sum by what all rows add to it.
"""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfusiondp import Categorical, Date, Numeric
from skfusiondp.tables._frames import as_frame
from skfusiondp.tables._moments import days

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
AT, N = 3, 12
OTHERS = [i for i in range(N) if i != AT]


def changed(cells, odd):
    return [*cells[:AT], odd, *cells[AT + 1 :]]


# Whole numbers that floats round, small ones, fractions that types round, days and moments.
LARGE = [900_000_000_000_207_009 + 1000 * (i % 3) for i in range(N)]
SMALL = [i % 3 for i in range(N)]
SINGLE = [np.float32(0.1) * (1 + i % 2) for i in range(N)]
HALF = [np.float16(0.1)] * N
LONG = [np.longdouble("0.1")] * N
DAYS = [dt.date(1950, 5, 1 + i % 3) for i in range(N)]
MOMENTS = [dt.datetime(1650, 5, 1 + i % 3, 3, 4, 5, 678901) for i in range(N)]
FAR = dt.date(2100, 1, 1).toordinal() + 70_000_000  # no day of Python's


def days_of_arrow(kind):
    start = dt.date(1970, 1, 1).toordinal()

    def make(cells):
        counts = [None if c is None else (c if isinstance(c, int) else c.toordinal() - start) for c in cells]
        if kind == pa.date64():
            counts = [None if c is None else c * 86_400_000 for c in counts]
        column = pa.array(counts, pa.int64() if kind == pa.date64() else pa.int32()).view(kind)
        return pa.table({"s": column, "public": list(range(N))})

    return make


def coded_days(cells):
    table = days_of_arrow(pa.date32())(cells)
    return table.set_column(0, "s", table.column("s").dictionary_encode())


def arrow(kind):
    return lambda cells: pa.table({"s": pa.array(cells, kind), "public": list(range(N))})


def polars(kind):
    return lambda cells: pl.DataFrame({"s": pl.Series(cells, dtype=kind), "public": list(range(N))})


def typed(kind):
    return lambda cells: pd.DataFrame({"s": pd.Series(cells, dtype=kind), "public": range(N)})


def rows(cells):
    return [[cell, i] for i, cell in enumerate(cells)]


def objects(cells):
    return pd.DataFrame({"s": pd.Series(cells, dtype=object), "public": range(N)})


def masked(kind):
    def make(cells):
        gap = [c is None for c in cells]
        kept = [cells[0] if c is None else c for c in cells]
        matrix = np.column_stack([np.array(kept, dtype=kind), np.array(cells[:1] * N, dtype=kind)])
        return np.ma.MaskedArray(matrix, np.column_stack([gap, [False] * N]))

    return make


ANYTHING = [
    None,
    "unknown",
    10**400,
    2**63,
    0.5,
    float("nan"),
    True,
    Decimal("1.5"),
    np.float32(3),
    [1],
    b"x",
]
CASES = {
    "polars, Int64": (polars(pl.Int64), LARGE, [None]),
    "polars, UInt64": (polars(pl.UInt64), LARGE, [None, 2**64 - 1]),
    "polars, small": (polars(pl.Int16), SMALL, [None]),
    "polars, dates": (polars(pl.Date), DAYS, [None]),
    "Arrow, int64": (arrow(pa.int64()), LARGE, [None]),
    "Arrow, uint64": (arrow(pa.uint64()), LARGE, [None, 2**64 - 1]),
    "Arrow, small": (arrow(pa.int8()), SMALL, [None]),
    "Arrow, bool": (arrow(pa.bool_()), [i % 2 == 0 for i in range(N)], [None]),
    "Arrow, date32": (days_of_arrow(pa.date32()), DAYS, [None, FAR, -(2**31)]),
    "Arrow, date64": (days_of_arrow(pa.date64()), DAYS, [None, FAR, -(10**10)]),
    "Arrow, coded dates": (coded_days, DAYS, [None, FAR]),
    "Arrow, moments": (arrow(pa.timestamp("s")), [m.replace(microsecond=0) for m in MOMENTS], [None]),
    "pandas, Int64": (typed("Int64"), LARGE, [None]),
    "pandas, Arrow's int64": (typed(pd.ArrowDtype(pa.int64())), LARGE, [None]),
    "pandas, Arrow's days": (typed(pd.ArrowDtype(pa.date32())), DAYS, [None]),
    "masked, int64": (masked(np.int64), LARGE, [None]),
    "masked, bool": (masked(bool), [i % 2 == 0 for i in range(N)], [None]),
    "masked, float32": (masked(np.float32), SINGLE, [None]),
    "masked, float16": (masked(np.float16), HALF, [None]),
    "masked, days": (masked("datetime64[D]"), DAYS, [None]),
    "masked, ns": (masked("datetime64[ns]"), DAYS, [None]),
    "masked, texts": (masked("U5"), ["a", "b", "1", "2.5"] * 3, [None]),
}
for name, cells in {
    "large": LARGE, "small": SMALL, "float32": SINGLE, "float16": HALF, "longdouble": LONG, "days": DAYS,
    "moments": MOMENTS, "Decimals": [Decimal(i % 3) / 10 for i in range(N)],
    "texts": ["a", "0.1", "1"] * 4, "bool": [np.bool_(i % 2) for i in range(N)],
    "int64": [np.int64(c) for c in LARGE],
}.items():  # fmt: skip
    CASES |= {f"rows, {name}": (rows, cells, ANYTHING), f"objects, {name}": (objects, cells, ANYTHING)}
    CASES[f"array of objects, {name}"] = (lambda c: np.array(rows(c), dtype=object), cells, ANYTHING)

DOMAINS = {
    "numbers": Numeric(-1e18, 2e18),
    "whole numbers": Categorical([*sorted(set(LARGE)), 0, 1, 2]),
    "fractions": Categorical([0.1, 0.2, float(np.float32(0.1)), 0.5]),
    "texts": Categorical(["0.1", "0.2", "0", "1", "1.0", "a", *map(str, sorted(set(LARGE))), "True"]),
    "days": Categorical([DAYS[0], DAYS[1], MOMENTS[0]]),
    "dates": Date("1600-01-01", "2100-01-01"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_others_are_read_alike(case):
    make, cells, odd = CASES[case]
    plain = as_frame(make(cells))
    ours, public = plain.columns
    for one in odd:
        try:
            other = as_frame(make(changed(cells, one)))
        except (OverflowError, TypeError, pa.ArrowInvalid):  # no such table
            continue
        pd.testing.assert_series_equal(plain[public], other[public])
        for name, domain in DOMAINS.items():
            read, again = (domain.encode(frame[ours])[OTHERS] for frame in (plain, other))
            assert np.array_equal(read, again, equal_nan=True), (name, one)


def test_cells_are_found_where_they_are_declared():
    """Else the test above would compare nothing."""
    for case, domain in [("polars, Int64", "whole numbers"), ("Arrow, int64", "whole numbers"),
                         ("rows, large", "texts"), ("objects, float32", "fractions"),
                         ("Arrow, date32", "days"), ("Arrow, coded dates", "days")]:  # fmt: skip
        make, cells, _ = CASES[case]
        frame = as_frame(make(changed(cells, None)))
        assert DOMAINS[domain].encode(frame.iloc[:, 0])[OTHERS, :-2].any(axis=1).mean() > 0.5, case


UNITS = ["D", "h", "m", "s", "ms", "us", "ns"]
COUNTS = st.one_of(st.integers(-(2**63) + 1, 2**63 - 1), st.integers(-(10**7), 10**7))


@given(
    unit=st.sampled_from(UNITS), letter=st.sampled_from("mM"), counts=st.lists(COUNTS, min_size=1, max_size=5)
)
def test_a_typed_column_and_its_cells_are_the_same_days(unit, letter, counts):
    column = np.array(counts, dtype=np.int64).view(f"{letter}8[{unit}]")
    kind = "date" if letter == "M" else "duration"
    alone = [days(pd.Series([v], dtype=object), kind, sensitive=True)[0] for v in column]
    if unit in ("s", "ms", "us", "ns"):  # those that pandas holds
        assert np.array_equal(days(pd.Series(column), kind, sensitive=True), alone)
        cells = pd.Series(column).astype(object)
        assert np.array_equal(days(cells, kind, sensitive=True), alone)
    exact = [c / {"D": 1, "h": 24, "m": 1440, "s": 86_400, "ms": 86_400_000, "us": 86_400_000_000,
                  "ns": 86_400_000_000_000}[unit] for c in counts]  # fmt: skip
    assert np.allclose(alone, exact, rtol=1e-12, atol=1e-10)


@given(st.datetimes(), st.sampled_from(["us", "ns", "ms", "s"]))
def test_pythons_own_and_pandas_moments_are_numpys(moment, unit):
    typed = pd.Series([np.datetime64(moment, "us")])
    python = days(pd.Series([moment, "no date"], dtype=object), sensitive=True)[0]
    assert python == days(typed, sensitive=True)[0]
    zoned = moment.replace(tzinfo=dt.timezone(dt.timedelta(hours=5)))
    assert np.isclose(days(pd.Series([zoned], dtype=object), sensitive=True)[0], python - 5 / 24, atol=1e-9)
    delta = moment - dt.datetime(1970, 1, 1)
    assert days(pd.Series([delta], dtype=object), "duration", sensitive=True)[0] == python


def test_the_longest_durations_and_the_ends_of_time_zones_are_days_too():
    cells = pd.Series([dt.timedelta.max, dt.timedelta.min], dtype=object)
    assert np.isfinite(days(cells, "duration", sensitive=True)).all()
    ahead = dt.timezone(dt.timedelta(hours=14))
    first = pd.Series([dt.datetime(1, 1, 1, tzinfo=ahead)], dtype=object)
    assert np.isfinite(days(first, sensitive=True)).all()
