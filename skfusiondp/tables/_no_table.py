"""Refusals of what is no table. They show types and shapes, and no cell: some cells are sensitive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..exceptions import InvalidInputError

_FRAME = "pass pandas.DataFrame(X)"
_ROWS = "pass a pandas or polars frame, or an array or a list of rows of one length"


def two_dimensional(X: Any, cells: np.ndarray | None, name: str = "X") -> np.ndarray:
    """Return cells that numpy has read as rows and columns; refuse what it has not.

    Parameters
    ----------
    X : object
        What the user passed.
    cells : ndarray or None
        The same as an array, if numpy could make one.
    name : str
        What the user passed it as.

    Returns
    -------
    ndarray of shape (n_rows, n_columns)

    Raises
    ------
    InvalidInputError
        Unless `cells` has two dimensions and holds single values.
    """
    if cells is not None and cells.ndim == 2 and cells.dtype.kind != "V":
        return cells
    what, remedy = _kind_of(X)
    remedy = remedy.replace("X", name)
    raise InvalidInputError(f"{name} is {what}, which is no table of rows and columns; {remedy}.")


def _kind_of(X: Any) -> tuple[str, str]:
    """In words, what was passed and what to pass in its place."""
    kind = type(X).__name__
    if isinstance(X, Mapping):
        return f"a {kind}", _FRAME
    if hasattr(X, "collect") and hasattr(X, "lazy"):
        return f"a {kind} that has not been computed", "pass X.collect()"
    if hasattr(X, "original") and hasattr(X, "hybrid"):
        return f"a {kind}, two views of the same rows", "pass one: X.hybrid, which is free to read"
    if isinstance(X, Iterator):
        return f"a {kind}", "pass list(X)"
    if getattr(getattr(X, "dtype", None), "names", None):
        return f"a structured array of shape {X.shape}", _FRAME
    if isinstance(X, tuple) and X and all(len(getattr(part, "shape", ())) for part in X):
        return "a tuple of tables or columns", "pass X=rows alone; labels have a parameter of their own"
    if isinstance(X, list | tuple):
        kinds = {type(row).__name__ for row in X}
        if kinds and kinds <= {"dict", "Series"}:
            return f"a {kind} of {kinds.pop()}", _FRAME
        rows = "no rows" if not kinds else "rows of different lengths or of one cell each"
        return f"a {kind} of {rows}", f"Reshape your data: {_ROWS}"
    shape = getattr(X, "shape", None)
    if isinstance(shape, tuple) and len(shape) == 1 and hasattr(X, "to_frame"):
        return f"a {kind} of shape {shape}", (
            "Reshape your data: a column of a frame is a table as frame[['name']], and a row as frame[4:5]"
        )
    if isinstance(shape, tuple) and len(shape) == 1:
        return f"a {kind} of shape {shape}", (
            "Reshape your data with X.reshape(-1, 1) if it is one column, X.reshape(1, -1) if it is one row, "
            f"or {_ROWS}"
        )
    return (f"a {kind} of shape {tuple(shape)}" if isinstance(shape, tuple) else f"a {kind}"), _ROWS
