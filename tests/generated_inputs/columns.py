"""Kinds of columns: each pandas, Arrow and Python type that a table may hold, from plain values.

A kind is a function of plain values (whole numbers from 0 to 13 for rows, or what a role makes of them).
`ALIKE` says which kinds hold the same values, so that a model must treat them alike.
"""

from __future__ import annotations

import datetime as dt
import enum
import fractions
import ipaddress
import pathlib
import uuid
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

N = 14
Kind = Callable[[list], Any]


def cells(values: list) -> pd.Series:
    """A column of objects, whatever they are: pandas neither converts nor spreads them."""
    column = pd.Series([None] * len(values), dtype=object)
    for i, value in enumerate(values):
        column.iat[i] = value
    return column


def typed(name: str, values: list) -> pd.Series:
    """A column of a type that pandas knows by name."""
    return pd.Series(values, dtype=name)


def arrow(kind: pa.DataType, values: list) -> pd.Series:
    """A column that Arrow holds."""
    plain = [None if v is None or v != v else v for v in values]
    return pd.Series(pd.array(pa.array(plain, kind), dtype=pd.ArrowDtype(kind)))


def each(make: Callable[[Any], Any], values: list) -> pd.Series:
    """Objects, one made of each value; missing values stay."""
    return cells([v if v is None or v != v else make(v) for v in values])


class Colour(enum.Enum):
    """A category as a member of an enumeration."""

    f, m = "f", "m"


class Own:
    """An object of the user's own, which knows nothing but itself."""


class Raises:
    """An object that raises whatever it is asked."""

    def __eq__(self, other):
        raise ZeroDivisionError

    def __hash__(self):
        raise ZeroDivisionError

    def __str__(self):
        raise ZeroDivisionError

    __repr__ = __float__ = __bool__ = __len__ = __str__


# Numbers, from values such as 3.0, with None or NaN for a missing one --------------------------------------

WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", ">i2", ">i4", ">i8", "<i8"]
FLOATS = ["float16", "float32", "float64", ">f4", ">f8", "longdouble"]
NULLABLE = ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt32", "UInt64", "Float32", "Float64"]
ARROW_NUMBERS = [pa.int8(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64(), pa.float32(), pa.float64()]


def whole(make: Callable, values: list) -> pd.Series:
    return make([v if v is None or v != v else int(v) for v in values])


NUMBERS: dict[str, Kind] = {
    **{name: partial(typed, name) for name in [*FLOATS, *NULLABLE]},
    **{f"{kind}[pyarrow]": partial(whole, partial(arrow, kind)) for kind in ARROW_NUMBERS[:-2]},
    **{f"{kind}[pyarrow]": partial(arrow, kind) for kind in ARROW_NUMBERS[-2:]},
    "decimal[pyarrow]": lambda values: arrow(pa.decimal128(9, 2), each(lambda v: Decimal(str(v)), values)),
    "objects": cells,
    "objects of ints": partial(whole, cells),
    "objects of numpy": partial(each, np.float32),
    "objects of decimals": partial(each, lambda v: Decimal(str(v))),
    "objects of fractions": partial(each, fractions.Fraction),
    "complex": lambda values: pd.Series(
        np.array([np.nan if v is None else v for v in values], dtype=complex)
    ),
    "sparse": lambda values: pd.Series(pd.arrays.SparseArray(np.array(values, dtype=float))),
    "sparse ints": lambda values: pd.Series(pd.arrays.SparseArray(np.array(values, dtype=float).astype(int))),
    "categories of floats": lambda values: pd.Series(pd.Categorical(np.array(values, dtype=float))),
    "categories of ints": lambda values: pd.Series(pd.Categorical(pd.array(values, dtype="Int64"))),
    "ordered categories": lambda values: pd.Series(
        pd.Categorical(np.array(values, dtype=float), ordered=True)
    ),
    "texts of numbers": partial(each, str),
    "bytes of numbers": partial(each, lambda v: str(v).encode()),
}
# Those that hold no missing cell: with one they are floats in every table.
FULL: dict[str, Kind] = {name: partial(typed, name) for name in WHOLE}
TRUTHS: dict[str, Kind] = {
    "bool": lambda values: pd.Series([bool(v % 2) for v in values]),
    "boolean": lambda values: typed(
        "boolean", [None if v is None or v != v else bool(v % 2) for v in values]
    ),
    "bool[pyarrow]": lambda values: arrow(pa.bool_(), each(lambda v: bool(v % 2), values).tolist()),
    "objects of bools": partial(each, lambda v: bool(v % 2)),
    "categories of bools": lambda values: each(lambda v: bool(v % 2), values).astype("category"),
}

# Dates, times and spans -------------------------------------------------------------------------------------

START = dt.datetime(2020, 2, 27)


def moments(values: list) -> list:
    return [None if v is None or v != v else START + dt.timedelta(days=int(v)) for v in values]


def stamps(unit: str, values: list, zone: str | None = None) -> pd.Series:
    column = pd.Series(pd.to_datetime(moments(values))).astype(f"datetime64[{unit}]")
    return column if zone is None else column.dt.tz_localize(zone)


def of_moments(make: Callable, values: list) -> pd.Series:
    return each(make, [np.nan if v is None else v for v in moments(values)])


DATES: dict[str, Kind] = {
    **{f"datetime64[{unit}]": partial(stamps, unit) for unit in ("s", "ms", "us", "ns")},
    "datetimes": partial(of_moments, lambda v: v),
    "dates": partial(of_moments, lambda v: v.date()),
    "timestamps": partial(of_moments, pd.Timestamp),
    "objects of datetime64": partial(of_moments, lambda v: np.datetime64(v, "s")),
    "iso dates": partial(of_moments, lambda v: v.date().isoformat()),
    "iso moments": partial(of_moments, lambda v: v.isoformat()),
    "date32[pyarrow]": lambda values: arrow(pa.date32(), of_moments(lambda v: v.date(), values)),
    "timestamp[pyarrow]": lambda values: arrow(pa.timestamp("us"), of_moments(lambda v: v, values)),
    "periods": lambda values: pd.Series(pd.PeriodIndex(stamps("ns", values), freq="D")),
}
ZONED: dict[str, Kind] = {
    "utc": partial(stamps, "ns", zone="UTC"),
    "utc seconds": partial(stamps, "s", zone="UTC"),
    "objects in utc": partial(of_moments, lambda v: v.replace(tzinfo=dt.UTC)),
    "iso utc": partial(of_moments, lambda v: v.isoformat() + "+00:00"),
    "timestamp[utc][pyarrow]": lambda values: arrow(
        pa.timestamp("us", "UTC"), of_moments(lambda v: v.replace(tzinfo=dt.UTC), values)
    ),
    "berlin": lambda values: stamps("us", values, "UTC").dt.tz_convert("Europe/Berlin"),
}
SPANS: dict[str, Kind] = {
    **{
        f"timedelta64[{unit}]": lambda values, unit=unit: pd.Series(
            pd.to_timedelta([np.nan if v is None else v for v in values], unit="D")
        ).astype(f"timedelta64[{unit}]")
        for unit in ("s", "ms", "us", "ns")
    },
    "timedeltas": partial(each, lambda v: dt.timedelta(days=float(v))),
    "duration[pyarrow]": lambda values: arrow(
        pa.duration("us"), each(lambda v: dt.timedelta(days=float(v)), values)
    ),
}
ODD_DATES: dict[str, Kind] = {
    "months": lambda values: pd.Series(pd.PeriodIndex(stamps("ns", values), freq="M")),
    "years": lambda values: pd.Series(pd.PeriodIndex(stamps("ns", values), freq="Y")),
    "times of day": partial(each, lambda v: dt.time(int(v) % 24, 30)),
    "time64[pyarrow]": lambda values: arrow(pa.time64("us"), each(lambda v: dt.time(int(v) % 24), values)),
    "far dates": partial(each, lambda v: dt.datetime(9999 - int(v), 12, 31)),
    "first dates": partial(each, lambda v: dt.date(1 + int(v), 1, 1)),
    "far seconds": lambda values: pd.Series(
        np.array(["0001-01-01", "9999-12-31"] * len(values), dtype="datetime64[s]")[: len(values)]
    ),
    "no date": lambda values: pd.Series(pd.DatetimeIndex([pd.NaT] * len(values))),
    "zones together": lambda values: cells(
        [
            pd.Timestamp("2020-01-01", tz=zone) + pd.Timedelta(i, "D")
            for i, zone in enumerate(["UTC", "Asia/Tokyo"] * len(values))
        ][: len(values)]
    ),
    "zoned and not": lambda values: cells(
        [START.replace(tzinfo=dt.UTC if i % 2 else None) for i in range(len(values))]
    ),
    "dates and numbers": lambda values: cells([START if i % 2 else i for i in range(len(values))]),
    "dates as people write": partial(of_moments, lambda v: v.strftime("%d/%m/%Y")),
    "calendar nonsense": lambda values: cells(["2020-02-30", "2020-13-01", "99-99-99"] * len(values)).head(
        len(values)
    ),
    "offsets": partial(each, lambda v: pd.DateOffset(days=int(v))),
    "intervals of dates": lambda values: pd.Series(
        pd.interval_range(pd.Timestamp("2020-01-01"), periods=len(values))
    ),
}

# Texts ------------------------------------------------------------------------------------------------------


def words(values: list) -> list:
    return [None if v is None or v != v else "fm"[int(v) % 2] for v in values]


TEXTS: dict[str, Kind] = {
    "objects of texts": lambda values: cells(words(values)),
    "objects of numpy texts": lambda values: each(np.str_, words(values)),
    "str": lambda values: typed("str", words(values)),
    "string": lambda values: typed("string", words(values)),
    "string[python]": lambda values: typed("string[python]", words(values)),
    "string[pyarrow]": lambda values: arrow(pa.string(), words(values)),
    "large_string[pyarrow]": lambda values: arrow(pa.large_string(), words(values)),
    "category": lambda values: typed("category", words(values)),
    "category, one unused": lambda values: pd.Series(pd.Categorical(words(values), ["m", "z", "f"])),
    "category, ordered": lambda values: pd.Series(pd.Categorical(words(values), ["m", "f"], ordered=True)),
    "category of strings": lambda values: typed("string", words(values)).astype("category"),
    "dictionary[pyarrow]": lambda values: pd.Series(
        pd.array(
            pa.array(words(values)).dictionary_encode(),
            dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string())),
        )
    ),
}
ODD_TEXTS: dict[str, Kind] = {
    "bytes": lambda values: each(str.encode, words(values)),
    "binary[pyarrow]": lambda values: arrow(pa.binary(), each(str.encode, words(values))),
    "enumerations": lambda values: each(Colour, words(values)),
    "uuids": partial(each, lambda v: uuid.UUID(int=int(v))),
    "paths": partial(each, lambda v: pathlib.PurePosixPath(f"/{v}")),
    "addresses": partial(each, lambda v: ipaddress.ip_address(int(v))),
    "intervals": lambda values: pd.Series(pd.cut(np.arange(len(values)), 3)).astype(object),
    "categories of intervals": lambda values: pd.Series(pd.cut(np.arange(len(values)), 3)),
    "tuples": partial(each, lambda v: (int(v) % 2, "a")),
    "blanks": lambda values: cells(["f ", " f", "F", "", " ", "\n", "f"] * len(values)).head(len(values)),
    "words for missing": lambda values: cells(["nan", "NA", "?", "None", "<NA>", "null"] * len(values)).head(
        len(values)
    ),
    "long texts": lambda values: each(lambda v: f"{v}" * 3000, words(values)),
    "all distinct": partial(each, lambda v: f"id {v}"),
    "unicode": lambda values: cells(["é", "e\u0301", "\u200b", "\x00", "\ud800", "𝔣"] * len(values)).head(
        len(values)
    ),
}

# What no table should hold, nothing at all, and everything together ----------------------------------------

NESTED: dict[str, Kind] = {
    "lists": partial(each, lambda v: [v, v]),
    "empty lists": partial(each, lambda v: []),
    "dicts": partial(each, lambda v: {"a": v}),
    "sets": partial(each, lambda v: {v}),
    "arrays": partial(each, lambda v: np.array([v, 1.0])),
    "arrays of no dimension": partial(each, lambda v: np.array(v)),
    "series": partial(each, lambda v: pd.Series([v])),
    "frames": partial(each, lambda v: pd.DataFrame({"age": [v]})),
    "tensors": partial(each, lambda v: __import__("torch").tensor(v)),
    "objects of one's own": partial(each, lambda v: Own()),
    "objects that raise": partial(each, lambda v: Raises()),
    "functions": partial(each, lambda v: print),
    "types": partial(each, lambda v: type),
    "list[pyarrow]": lambda values: arrow(pa.list_(pa.int64()), each(lambda v: [int(v)], values)),
    "struct[pyarrow]": lambda values: arrow(
        pa.struct({"a": pa.int64()}), each(lambda v: {"a": int(v)}, values)
    ),
    "a list among numbers": lambda values: cells([[1.0], *values[1:]]),
    "a dict among texts": lambda values: cells([{"a": 1}, *words(values)[1:]]),
}
EMPTY: dict[str, Kind] = {
    "none": lambda values: cells([None] * len(values)),
    "nan": lambda values: typed("float64", [np.nan] * len(values)),
    "objects of nan": lambda values: cells([np.nan] * len(values)),
    "no Int64": lambda values: typed("Int64", [None] * len(values)),
    "no string": lambda values: typed("string", [None] * len(values)),
    "no boolean": lambda values: typed("boolean", [None] * len(values)),
    "no category": lambda values: typed("category", [None] * len(values)),
    "null[pyarrow]": lambda values: arrow(pa.null(), [None] * len(values)),
    "missing of all kinds": lambda values: cells(
        [None, np.nan, pd.NA, pd.NaT, Decimal("NaN"), np.datetime64("NaT"), float("nan")] * len(values)
    ).head(len(values)),
}
EXTREME: dict[str, Kind] = {
    "infinite": lambda values: pd.Series([np.inf, -np.inf, *[1.0] * len(values)]).head(len(values)),
    "largest": lambda values: pd.Series([1.7e308, -1.7e308] * len(values)).head(len(values)),
    "smallest": lambda values: pd.Series([5e-324, -0.0] * len(values)).head(len(values)),
    "past floats": lambda values: cells([10**400, -(10**400)] * len(values)).head(len(values)),
    "past whole floats": lambda values: pd.Series([2**53 + i for i in range(len(values))]),
    "largest uint64": lambda values: pd.Series(np.full(len(values), 2**64 - 1, dtype=np.uint64)),
    "constant": lambda values: pd.Series([3.0] * len(values)),
    "one outlier": lambda values: pd.Series([1e30, *[0.0] * len(values)]).head(len(values)),
    "numbers and texts": lambda values: cells([i if i % 2 else "f" for i in range(len(values))]),
    "numbers and texts of them": lambda values: cells([i if i % 2 else str(i) for i in range(len(values))]),
    "bools and texts": lambda values: cells([True if i % 2 else "True" for i in range(len(values))]),
    "bools and numbers": lambda values: cells([True if i % 2 else float(i) for i in range(len(values))]),
    "signalling decimals": lambda values: cells([Decimal("sNaN"), Decimal(1)] * len(values)).head(
        len(values)
    ),
}

# Kinds that hold the same values, cell by cell.
ALIKE: dict[str, dict[str, Kind]] = {
    "numbers": {
        k: v
        for k, v in {**NUMBERS, **FULL}.items()
        if "text" not in k and "bytes" not in k and "categor" not in k and "complex" not in k
    },
    "truths": {k: v for k, v in TRUTHS.items() if "categor" not in k},
    "dates": DATES,
    "zoned dates": ZONED,
    "spans": SPANS,
    "texts": TEXTS,
}
KINDS: dict[str, Kind] = {
    name: kind
    for group in (
        NUMBERS,
        FULL,
        TRUTHS,
        DATES,
        ZONED,
        SPANS,
        ODD_DATES,
        TEXTS,
        ODD_TEXTS,
        NESTED,
        EMPTY,
        EXTREME,
    )
    for name, kind in group.items()
}


def column(kind: str, values: list) -> pd.Series:
    """A column of a kind. A kind that cannot hold a missing cell gets zeros in their place."""
    if kind in FULL or kind == "bool" or kind == "sparse ints":
        values = [0.0 if v is None or v != v else v for v in values]
    made = KINDS[kind](values)
    assert len(made) == len(values)
    return made.reset_index(drop=True)
