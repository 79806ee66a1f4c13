"""Targets of all kinds: those that a classifier or a regressor learns, and those that nobody can."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse as sp

from .columns import N, cells

Y = np.arange(N) % 2
WORDS = np.where(Y, "yes", "no")
NUMBERS = np.sin(np.arange(N))
BOTH = np.column_stack([Y, 1 - Y, np.arange(N) % 3 == 0]).astype(int)
MOMENTS = pd.Series(pd.date_range("2020", periods=N))

LABELS: dict[str, Any] = {
    "labels": Y,
    "bools": Y.astype(bool),
    "texts": WORDS,
    "objects of texts": WORDS.astype(object),
    "floats": Y * 2.0 + 1,
    "halves": Y * 0.5,
    "-1 and 1": Y * 2 - 1,
    "huge": Y * 2**62,
    "uint64": Y.astype(np.uint64) + np.uint64(2**63),
    "big-endian": Y.astype(">i4"),
    "big-endian floats": Y.astype(">f8"),
    "int8": Y.astype(np.int8),
    "a column": Y[:, None],
    "list": Y.tolist(),
    "tuple": tuple(Y.tolist()),
    "list of texts": WORDS.tolist(),
    "series with another index": pd.Series(Y, index=np.arange(N)[::-1]),
    "category": pd.Series(Y).astype("category"),
    "category, one unused": pd.Series(pd.Categorical(WORDS, categories=["z", "yes", "no"])),
    "Categorical": pd.Categorical(WORDS),
    "Int64": pd.Series(Y).astype("Int64"),
    "boolean": pd.Series(Y.astype(bool)).astype("boolean"),
    "string": pd.Series(WORDS).astype("string"),
    "string[pyarrow]": pd.Series(WORDS).astype("string[pyarrow]"),
    "int64[pyarrow]": pd.Series(Y).astype("int64[pyarrow]"),
    "polars": pl.Series(Y),
    "polars texts": pl.Series(WORDS.tolist()),
    "arrow": pa.array(Y),
    "frame": pd.DataFrame({"t": Y}),
    "tensor": __import__("torch").tensor(Y),
    "read-only": np.frombuffer(Y.tobytes(), Y.dtype),
    "masked": np.ma.masked_array(Y),
    "three": np.arange(N) % 3,
    "all distinct": np.arange(N),
    "one of a kind": (np.arange(N) == 0).astype(int),
    "one class": np.zeros(N, int),
    "one class of texts": ["a"] * N,
}
MANY: dict[str, Any] = {
    "labels together": BOTH,
    "bools together": BOTH.astype(bool),
    "floats together": BOTH.astype(float),
    "a constant label": np.column_stack([Y, np.zeros(N, int)]),
    "all labels": np.ones((N, 2), int),
    "sparse labels": sp.csr_matrix(BOTH),
    "frame of labels": pd.DataFrame(BOTH, columns=list("abc")),
    "texts together": np.where(BOTH, "y", "n"),
    "1 and 2 together": BOTH + 1,
    "-1 and 1 together": BOTH * 2 - 1,
    "lists of labels": BOTH.tolist(),
    "sequences": [[0, 1] if v else [2] for v in Y],
    "many values together": np.column_stack([np.arange(N) % 3, np.arange(N) % 4]),
}
AMOUNTS: dict[str, Any] = {
    "numbers": NUMBERS,
    "float16": NUMBERS.astype(np.float16),
    "big-endian numbers": NUMBERS.astype(">f4"),
    "constant": np.ones(N),
    "huge numbers": NUMBERS * 1e300,
    "numbers past float32": NUMBERS * 1e39,
    "tiny numbers": NUMBERS * 1e-300,
    "texts of numbers": NUMBERS.astype(str),
    "objects of numbers": NUMBERS.astype(object),
    "Float64": pd.Series(NUMBERS).astype("Float64"),
    "two targets": np.column_stack([NUMBERS, -NUMBERS]),
    "three dimensions": NUMBERS[:, None, None],
    "decimals": [Decimal(str(round(v, 3))) for v in NUMBERS],
    "complex": NUMBERS.astype(complex),
    "past whole numbers": [2**70 + i for i in range(N)],
    "one outlier": np.where(np.arange(N) == 0, 1e30, NUMBERS),
    "far from zero": NUMBERS + 1e12,
}
NONE: dict[str, Any] = {
    "dates": MOMENTS,
    "datetime64": MOMENTS.to_numpy(),
    "datetimes": [dt.datetime(2020, 1, 1 + i) for i in range(N)],
    "dates of zones": MOMENTS.dt.tz_localize("UTC"),
    "spans": pd.Series(pd.to_timedelta(NUMBERS, unit="D")),
    "periods": pd.Series(pd.period_range("2020", periods=N, freq="D")),
    "a missing label": [None, *Y[1:].tolist()],
    "a missing text": [None, *WORDS[1:].tolist()],
    "a missing Int64": pd.Series([None, *Y[1:].tolist()], dtype="Int64"),
    "a missing number": np.where(np.arange(N) == 3, np.nan, NUMBERS),
    "an infinite number": np.where(np.arange(N) == 3, np.inf, NUMBERS),
    "texts and numbers": cells(["a", *Y[1:].tolist()]),
    "bytes": np.where(Y, b"b", b"a"),
    "tuples": [("a",) if v else ("b",) for v in Y],
    "lists": cells([[1], *Y[1:].tolist()]),
    "dicts": [{"a": int(v)} for v in Y],
    "sets": [{int(v)} for v in Y],
    "objects": [object() for _ in Y],
    "intervals": pd.Series(pd.cut(np.arange(N), 2)),
    "no dimension": np.array(1),
    "a number": 1,
    "a text": "yes",
    "nothing": None,
    "no rows": [],
    "too short": Y[:-1],
    "too long": np.append(Y, 0),
    "a dict": {"a": 1},
    "a set": {0, 1},
    "a function": print,
    "structured": np.array([(1,)] * N, dtype=[("a", int)]),
    "generator": "generator",
}
TARGETS = {**LABELS, **MANY, **AMOUNTS, **NONE}
