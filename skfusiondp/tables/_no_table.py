"""Refusals of what is no table. They show types and shapes, and no cell: some cells are sensitive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..exceptions import InvalidInputError

_FRAME = "pass pandas.DataFrame(X)"
_ROWS = "pass a pandas or polars frame, or an array or a list of rows of one length"


def check_two_dimensional(X: Any, cells: Any) -> None:
    """Refuse what numpy has not read as rows and columns.

    Parameters
    ----------
    X : object
        What the user passed.
    cells : object
        The same as an array, if numpy could make one.

    Raises
    ------
    InvalidInputError
        Unless `cells` is an array of shape (n_rows, n_columns) of single values.
    """
    if isinstance(cells, np.ndarray) and cells.ndim == 2 and cells.dtype.kind != "V":
        return
    what, remedy = _kind_of(X)
    raise InvalidInputError(f"X is {what}, which is no table of rows and columns; {remedy}.")


def _kind_of(X: Any) -> tuple[str, str]:
    """In words, what was passed and what to pass in its place."""
    kind = type(X).__name__
    if isinstance(X, Mapping):
        return f"a {kind}", _FRAME
    if hasattr(X, "collect") and hasattr(X, "lazy"):
        return f"a {kind} that has not been computed", "pass X.collect()"
    if isinstance(X, Iterator):
        return f"a {kind}", "pass list(X)"
    if getattr(getattr(X, "dtype", None), "names", None):
        return f"a structured array of shape {X.shape}", _FRAME
    if isinstance(X, list | tuple):
        kinds = {type(row).__name__ for row in X}
        if kinds and kinds <= {"dict", "Series"}:
            return f"a {kind} of {kinds.pop()}", _FRAME
        rows = "no rows" if not kinds else "rows of different lengths or of one cell each"
        return f"a {kind} of {rows}", f"Reshape your data: {_ROWS}"
    shape = getattr(X, "shape", None)
    if isinstance(shape, tuple) and len(shape) == 1:
        return f"a {kind} of shape {shape}", (
            "Reshape your data with X.reshape(-1, 1) if it is one column, X.reshape(1, -1) if it is one row, "
            f"or {_ROWS}"
        )
    return (f"a {kind} of shape {tuple(shape)}" if isinstance(shape, tuple) else f"a {kind}"), _ROWS
