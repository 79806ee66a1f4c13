"""Containers of a table, its labels and its shape: what users bring, and what should not be brought."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
from hypothesis import strategies as st

from skfusiondp import Categorical, Numeric

from .columns import KINDS, N, column

NUMBERS = [float(i) for i in range(N)]
DOMAINS = {"age": Numeric(0, 20), "sex": Categorical(["f", "m"])}
PLAIN = pd.DataFrame(
    {"lab": np.cos(NUMBERS), "city": list("abcb" * N)[:N], "age": NUMBERS, "sex": list("fm" * N)[:N]}
)
PUBLIC, SENSITIVE = ["lab", "city"], ["age", "sex"]


class OwnFrame(pd.DataFrame):
    """A frame of the user's own class."""

    @property
    def _constructor(self):
        return OwnFrame


def read_only(X: np.ndarray) -> np.ndarray:
    X.flags.writeable = False
    return X


def as_structured(frame: pd.DataFrame) -> np.ndarray:
    return frame.to_records(index=False)


def as_series_of_rows(frame: pd.DataFrame) -> list:
    return [row for _, row in frame.iterrows()]


CONTAINERS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "own frame": OwnFrame,
    "polars": pl.from_pandas,
    "lazy polars": lambda frame: pl.from_pandas(frame).lazy(),
    "arrow": pa.Table.from_pandas,
    "record batch": pa.RecordBatch.from_pandas,
    "array of objects": lambda frame: frame.astype(object).to_numpy(),
    "array": lambda frame: frame.to_numpy(),
    "array of texts": lambda frame: frame.astype(str).to_numpy().astype(str),
    "array of bytes": lambda frame: frame.astype(str).to_numpy().astype(bytes),
    "columns in memory order": lambda frame: np.asfortranarray(frame.to_numpy()),
    "read-only array": lambda frame: read_only(frame.to_numpy().copy()),
    "every other row": lambda frame: np.repeat(frame.to_numpy(), 2, axis=0)[::2],
    "masked array": lambda frame: np.ma.masked_array(frame.to_numpy(), mask=np.eye(*frame.shape, dtype=bool)),
    "structured array": as_structured,
    "lists": lambda frame: frame.to_numpy().tolist(),
    "tuples": lambda frame: tuple(map(tuple, frame.to_numpy().tolist())),
    "series of rows": as_series_of_rows,
    "dict": lambda frame: frame.to_dict("list"),
    "records": lambda frame: frame.to_dict("records"),
    "generator": lambda frame: (row for row in frame.to_numpy().tolist()),
    "a column": lambda frame: frame.get("lab", frame),
    "transposed": lambda frame: frame.T,
    "three dimensions": lambda frame: frame.to_numpy()[:, :, None],
    "flat": lambda frame: frame.to_numpy().ravel(),
    "group": lambda frame: frame.groupby(np.arange(len(frame)) % 2),
}
# Of frames whose every column is a number, where there are other kinds.
OF_NUMBERS: dict[str, Callable[[np.ndarray], Any]] = {
    **{
        name: lambda X, name=name: X.astype(name)
        for name in [
            ">f8",
            ">f4",
            ">i4",
            "<i2",
            "float16",
            "longdouble",
            "complex64",
            "uint8",
            "bool",
            "object",
        ]
    },
    "matrix": np.matrix,
    "masked": lambda X: np.ma.masked_array(X, mask=X > 12),
    "memory": lambda X: np.ndarray(X.shape, X.dtype, X.tobytes()),
    "tensor": lambda X: __import__("torch").tensor(X),
    "tensor with gradients": lambda X: __import__("torch").tensor(X, requires_grad=True),
    "sparse": sp.csr_matrix,
    "sparse array": sp.coo_array,
    "sparse frame": lambda X: pd.DataFrame.sparse.from_spmatrix(sp.csr_matrix(X)),
    "datetime64": lambda X: X.astype("datetime64[D]"),
    "timedelta64": lambda X: X.astype("timedelta64[s]"),
    "void": lambda X: X.astype("V8"),
    "polars of numbers": lambda X: pl.DataFrame(X, schema=[f"column_{i}" for i in range(X.shape[1])]),
    "arrow of numbers": lambda X: pa.table({f"c{i}": X[:, i] for i in range(X.shape[1])}),
}


def labelled(kind: str, frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose rows or columns have other labels."""
    n, width = frame.shape
    rows = {
        "row MultiIndex": lambda: pd.MultiIndex.from_product([["a"], range(n)]),
        "rows alike": lambda: [0] * n,
        "rows of dates": lambda: pd.date_range("2020", periods=n),
        "rows of nothing": lambda: [None] * n,
        "rows backwards": lambda: range(n)[::-1],
        "categories of rows": lambda: pd.CategoricalIndex(list("ab" * n)[:n]),
        "intervals of rows": lambda: pd.interval_range(0, n),
    }
    columns = {
        "MultiIndex": lambda: pd.MultiIndex.from_product([["a"], frame.columns]),
        "whole numbers": lambda: range(width),
        "other whole numbers": lambda: [7, 3, 2**40, -1][:width],
        "floats": lambda: [0.5, 1.5, np.nan, 2.0][:width],
        "dates": lambda: pd.date_range("2020", periods=width),
        "mixed": lambda: ["lab", 1, None, ("sex",)][:width],
        "bools": lambda: [True, False, 0, 1][:width],
        "twice": lambda: ["lab", "city", "age", "age"][:width],
        "numbers and texts of them": lambda: ["1", 1, "age", "sex"][:width],
        "bytes": lambda: [b"lab", b"city", b"age", b"sex"][:width],
        "empty texts": lambda: ["", " ", "age", "sex"][:width],
        "categories": lambda: pd.CategoricalIndex(frame.columns),
        "capitals": lambda: [str(c).upper() for c in frame.columns],
        "backwards": lambda: list(frame.columns)[::-1],
        "patterns": lambda: ["lab%s", "{city}", "age\n", "sex__sex"][:width],
    }
    frame = frame.copy(deep=False)
    if kind in rows:
        frame.index = rows[kind]()
    else:
        frame.columns = columns[kind]()
    return frame


LABELS = [
    *("row MultiIndex", "rows alike", "rows of dates", "rows of nothing", "rows backwards"),
    *("categories of rows", "intervals of rows", "MultiIndex", "whole numbers", "other whole numbers"),
    *("floats", "dates", "mixed", "bools", "twice", "numbers and texts of them", "bytes", "empty texts"),
    *("categories", "capitals", "backwards", "patterns"),
]


@st.composite
def columns(draw, kinds=tuple(KINDS)):
    """A column of some kind, with missing cells or without."""
    kind = draw(st.sampled_from(kinds))
    missing = draw(st.sampled_from([(), (), (0,), (3, 4, 5), range(N - 1)]))
    hole = draw(st.sampled_from([None, np.nan]))
    values = [hole if i in missing else v for i, v in enumerate(NUMBERS)]
    return kind, column(kind, values)


@st.composite
def frames(draw, roles=("lab", "city", "age", "sex")):
    """A frame of which up to two columns are of some other kind; with the names of the kinds."""
    frame, kinds = PLAIN.copy(), []
    for name in draw(st.lists(st.sampled_from(roles), max_size=2, unique=True)):
        kind, values = draw(columns())
        frame[name] = values
        kinds.append(f"{name}: {kind}")
    return frame, kinds


@st.composite
def tables(draw):
    """A table as somebody might bring it, and in words what is odd about it."""
    frame, said = draw(frames())
    change = draw(st.sampled_from(["none", "none", "container", "labels", "shape", "numbers"]))
    if change == "labels":
        kind = draw(st.sampled_from(LABELS))
        return labelled(kind, frame), [*said, kind]
    if change == "shape":
        how = draw(
            st.sampled_from(["no row", "one row", "two rows", "no column", "one column", "many columns"])
        )
        shaped = {
            "no row": frame[:0],
            "one row": frame[:1],
            "two rows": frame[:2],
            "no column": frame[[]],
            "one column": frame[["age"]],
            "many columns": pd.concat([frame, *(frame["lab"].rename(f"lab {i}") for i in range(40))], axis=1),
        }
        return shaped[how], [*said, how]
    if change == "container":
        kind = draw(st.sampled_from(list(CONTAINERS)))
        try:
            return CONTAINERS[kind](frame), [*said, kind]
        except Exception:  # the other library cannot hold it
            return frame, said
    if change == "numbers":
        kind = draw(st.sampled_from(list(OF_NUMBERS)))
        return OF_NUMBERS[kind](np.column_stack([NUMBERS] * 4)), [kind]
    return frame, said


def length(X: Any) -> int:
    """Number of rows of what a fit took."""
    return X.num_rows if hasattr(X, "num_rows") else X.shape[0] if hasattr(X, "shape") else len(X)
