"""Units of several rows, such as a person with several visits, by public labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._parameters import check_int
from ..exceptions import InvalidInputError
from ._disk import DiskTable, as_disk_table
from ._frames import is_frame, is_polars
from ._read_table import count_rows


@dataclass(frozen=True)
class Units:
    """Which rows belong to one person, and how many of them private branches read.

    Parameters
    ----------
    rows_per_unit : int
        The most rows of a unit that private branches read.
    kept : ndarray of shape (n_rows,), bool, or None
        Rows that private branches read; None for all.
    name : str
        Where the labels come from, in the words of the report; empty where each row is a unit.
    """

    rows_per_unit: int = 1
    kept: np.ndarray | None = None
    name: str = ""

    def of(self, n_rows: int) -> np.ndarray:
        """Mask of the rows that private branches read."""
        return np.ones(n_rows, dtype=bool) if self.kept is None else self.kept


def read_units(
    X: Any, column: Any, groups: Any, most: Any, sensitive: Any = None
) -> tuple[Any, Units | None]:
    """Take the column that says whose row it is out of a table, and count the rows of each unit.

    Parameters
    ----------
    X : table of shape (n_rows, n_columns)
    column : str, int or None
        A public column of `X`; not None together with `groups`.
    groups : array-like of shape (n_rows,) or None
        Whose row it is.
    most : int or None
        How many rows of a unit are read privately: its first ones in the table. None: all.
    sensitive : mapping, sequence, str or column selector, optional
        `column` must not be among the columns that it names.

    Returns
    -------
    X : table
        Without the column, of the kind given.
    units : Units or None
        None if neither says whose row it is.

    Raises
    ------
    InvalidInputError
        If both are given, a label is missing, there is not one label a row, or `column` is sensitive (no
        cell of it has been read then).
    """
    if column is None and groups is None:
        if most is not None:
            raise InvalidInputError(
                f"max_rows_per_unit={most!r} is given, but nothing says whose row it is; name a public "
                "column as groups=, or pass fit(X, y, groups=...)."
            )
        return X, None
    if column is not None and groups is not None:
        raise InvalidInputError(
            f"groups={column!r} names a column, and fit is given groups too; give one of them."
        )
    if most is not None:
        check_int("max_rows_per_unit", most)
    if column is None:
        return X, _units(groups, count_rows(X), most, "fit's groups")
    _must_be_public(column, sensitive)
    labels, rest = _taken(X, column)
    return rest, _units(labels, len(labels), most, repr(column))


def _must_be_public(column: Any, sensitive: Any) -> None:
    named = [sensitive] if isinstance(sensitive, str) else sensitive
    if isinstance(named, (Mapping, list, tuple, set, np.ndarray, pd.Index)) and any(
        type(c) is not bool and str(c) == str(column) for c in named
    ):
        raise InvalidInputError(
            f"groups={column!r} is a sensitive column, but whose row it is has to be public: leave it out of "
            "sensitive=, or pass fit(X, y, groups=array)."
        )


def without_column(X: Any, column: Any) -> Any:
    """Drop the column that says whose row it is from a table to predict on, if the table has it."""
    named = None if column is None else _named(X)
    return X if named is None or column not in named.columns else _without(named, column)


def _named(X: Any) -> Any:
    """A table whose columns have names: a frame, or a table on disk; None for what has no names."""
    table = X if is_frame(X) else as_disk_table(X)
    return None if isinstance(table, DiskTable) and table.labels is None else table


def _without(named: Any, column: Any) -> Any:
    if isinstance(named, DiskTable):
        return named.without(column)
    return named.drop(column) if is_polars(named) else named.drop(columns=[column])


def _taken(X: Any, column: Any) -> tuple[Any, Any]:
    """The labels in a column of a table, and the table without it."""
    named = _named(X)
    if named is None:
        raise InvalidInputError(
            f"groups={column!r} names a column, but the columns of this X have no names; pass whose row it "
            "is to fit, as fit(X, y, groups=array)."
        )
    if column not in named.columns:
        raise InvalidInputError(
            f"groups={column!r} is no column of X; name one of {list(named.columns)[:8]!r}"
            f"{' or of the others' if len(named.columns) > 8 else ''}, or pass fit(X, y, groups=array)."
        )
    if isinstance(named, DiskTable):
        labels = pd.concat([frame[column] for _, frame in named.chunks([column])], ignore_index=True)
    else:
        labels = named.get_column(column).to_list() if is_polars(named) else named[column]
    if isinstance(labels, pd.DataFrame):
        raise InvalidInputError(f"groups={column!r} occurs twice among the columns of X; rename them.")
    return labels, _without(named, column)


def _units(groups: Any, n_rows: int, most: Any, name: str) -> Units:
    try:
        labels = pd.Series(list(groups), dtype=object)
        codes = pd.factorize(labels)[0]
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"groups must hold a label for each row, such as a number ({error})."
        ) from error
    if len(labels) != n_rows:
        raise InvalidInputError(
            f"groups has {len(labels)} labels and X has {n_rows} rows; give one label a row."
        )
    if (codes < 0).any():
        raise InvalidInputError(
            f"groups has no label for {int((codes < 0).sum())} rows; give each of them one, such as a number "
            "of its own."
        )
    largest = int(np.bincount(codes).max()) if n_rows else 1
    if most is None or most >= largest:
        return Units(largest, None, name)
    kept = pd.Series(codes).groupby(codes).cumcount().to_numpy() < int(most)
    return Units(int(most), kept, name)
