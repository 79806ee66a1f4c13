"""A table that knows which of its columns are sensitive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, overload

import pandas as pd

from .._parameters import Satisfies, check_parameters, constraints
from ..exceptions import InvalidInputError
from ..tables._domain import Domain
from ..tables._paired_table import FRAME
from ._split import split_support

XY = tuple[pd.DataFrame, pd.Series]
TEXT = Satisfies(lambda t: isinstance(t, str), "a text")
SERIES = Satisfies(lambda s: isinstance(s, pd.Series), "a pandas Series", hidden=True)


# Frames have no single truth value, so the generated == would raise; identity is enough.
@dataclass(frozen=True, eq=False, repr=False)
class SensitiveTable:
    """A labelled table, its sensitive columns and their public domains.

    Parameters
    ----------
    name : str
        Short name of the table.
    table : pandas.DataFrame of shape (n_rows, n_columns)
        The columns, without the target.
    target : pandas.Series of shape (n_rows,)
        The label of each row, int64, 0 or 1.
    sensitive : dict of str to Domain
        Public domain of each sensitive column: pass it on as ``sensitive=``.
    description : str
        What a row and the label are, the source and the licence.
    hybrid : pandas.DataFrame of shape (n_rows, n_columns), optional
        The same rows with their sensitive columns imputed from the public ones.
    support : pandas.DataFrame of shape (n_support, n_columns), optional
        Rows that are public as a whole.
    support_target : pandas.Series of shape (n_support,), optional
        Their labels.

    Raises
    ------
    InvalidInputError
        If the parts do not fit together.

    Examples
    --------
    >>> from skfusiondp.datasets import load_adult
    >>> adult = load_adult()
    >>> adult
    SensitiveTable('adult', 32561 rows, 12 columns, 5 of them sensitive)
    >>> list(adult.sensitive)
    ['age', 'marital-status', 'relationship', 'ethnicity', 'gender']
    """

    name: str
    table: pd.DataFrame
    target: pd.Series
    sensitive: dict[str, Domain]
    description: str = ""
    hybrid: pd.DataFrame | None = field(default=None, kw_only=True)
    support: pd.DataFrame | None = field(default=None, kw_only=True)
    support_target: pd.Series | None = field(default=None, kw_only=True)

    _constraints = constraints(
        name=TEXT,
        table=FRAME,
        target=SERIES,
        sensitive=Satisfies(lambda s: isinstance(s, Mapping), "a mapping of columns to domains"),
        description=TEXT,
        hybrid=replace(FRAME, none=True),
        support=replace(FRAME, none=True),
        support_target=replace(SERIES, none=True),
    )

    def __post_init__(self) -> None:
        check_parameters(self)
        unknown = [c for c in self.sensitive if c not in self.table]
        if unknown:
            raise InvalidInputError(
                f"sensitive names the column(s) {unknown}, which the table {self.name!r} does not "
                "have; name only columns of the table."
            )
        if (self.support is None) != (self.support_target is None):
            raise InvalidInputError(
                f"support and support_target of {self.name!r} belong together, but one is None; "
                "give both or neither."
            )
        for part, labels in (("table", "target"), ("hybrid", "target"), ("support", "support_target")):
            frame, column = getattr(self, part), getattr(self, labels)
            if frame is None or column is None:
                continue
            if list(frame.columns) != list(self.table.columns):
                raise InvalidInputError(
                    f"{part} of {self.name!r} has not the columns of the table in their order; "
                    "reorder them as in table.columns."
                )
            if not frame.index.equals(column.index):
                raise InvalidInputError(
                    f"{part} and {labels} of {self.name!r} have different row labels "
                    f"({len(frame)} and {len(column)} rows); give one label a row, in order."
                )

    # The generated repr would print rows, sensitive cells included, into every log.
    def __repr__(self) -> str:
        rows, columns = self.table.shape
        return (
            f"{type(self).__name__}({self.name!r}, {rows} rows, {columns} columns, "
            f"{len(self.sensitive)} of them sensitive)"
        )

    @property
    def public(self) -> list[str]:
        """Names of the columns that are not sensitive, in table order."""
        return [c for c in self.table.columns if c not in self.sensitive]

    def split_support(
        self, n: int, random_state: Any = None
    ) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame, pd.Series]:
        """Set aside `n` rows, drawn uniformly, as a labelled public support set.

        As the function `split_support`, whose documentation says what that means. Rows keep their labels
        and their order, so ``hybrid.loc[table.index]`` is the hybrid view of the rows that stay private.

        Parameters
        ----------
        n : int
            Number of support rows, at least 1 and fewer than the table has.
        random_state : int, RandomState or Generator, default=None (the operating system's entropy)
            Makes the draw repeatable.

        Returns
        -------
        support_table : pandas.DataFrame of shape (n, n_columns)
        support_target : pandas.Series of shape (n,)
        table : pandas.DataFrame of shape (n_rows - n, n_columns)
        target : pandas.Series of shape (n_rows - n,)

        Raises
        ------
        InvalidInputError
            If `n` is no such number.

        Examples
        --------
        >>> from skfusiondp.datasets import load_adult
        >>> X_support, y_support, X, y = load_adult().split_support(500, random_state=0)
        >>> X_support.shape, X.shape
        ((500, 12), (32061, 12))
        """
        return split_support(self.table, self.target, n, random_state)


class Loader(Protocol):
    """A function that loads a table; what it returns depends on `return_X_y`."""

    @overload
    def __call__(self, *, return_X_y: Literal[False] = False) -> SensitiveTable: ...
    @overload
    def __call__(self, *, return_X_y: Literal[True]) -> XY: ...


def loader(load: Any) -> Loader:
    """Tell type checkers what a loader returns; the function itself is unchanged."""
    return load


def as_answer(table: SensitiveTable, return_X_y: bool) -> SensitiveTable | XY:
    """Return `table`, or only its columns and target if `return_X_y`."""
    return (table.table, table.target) if return_X_y else table


def as_label(column: pd.Series | Sequence[bool], name: str, index: pd.Index) -> pd.Series:
    """Return a 0/1 or boolean column as an int64 target called `name`."""
    return pd.Series(column, index=index).astype("int64").rename(name)
