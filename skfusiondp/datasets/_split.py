"""Set public support rows aside from a table of one's own."""

from __future__ import annotations

from typing import Any

from sklearn.utils import _safe_indexing, check_consistent_length

from .._parameters import Integer
from .._random_state import random_generator
from ..exceptions import InvalidInputError


def split_support(X: Any, y: Any, n: int, random_state: Any = None) -> tuple[Any, Any, Any, Any]:
    """Set aside `n` rows, drawn uniformly, as a labelled public support set.

    Those rows leave the private table and become public as a whole: no guarantee covers them, and what is
    learnt from them is released without noise. **The people in them must have agreed to that.** Where only
    some have, take their rows and no others, as ``X[agreed]`` and ``X[~agreed]``; where a person has several
    rows, draw people, as `sklearn.model_selection.GroupShuffleSplit` does. A test set is neither: rows to
    evaluate on stay out of both.

    Parameters
    ----------
    X : table of shape (n_rows, n_columns)
        A pandas or polars frame, an array or a list of rows.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
    n : int
        Number of support rows, at least 1 and fewer than the table has.
    random_state : int, RandomState or Generator, default=None (the operating system's entropy)
        Makes the draw repeatable.

    Returns
    -------
    X_support : table of shape (n, n_columns)
        For ``support=``.
    y_support : array-like of shape (n,) or (n, n_outputs)
        For ``support_target=``.
    X : table of shape (n_rows - n, n_columns)
        The private table: fit on it.
    y : array-like of shape (n_rows - n,) or (n_rows - n, n_outputs)

    Raises
    ------
    InvalidInputError
        If `n` is no such number, or `X` and `y` differ in length.

    Notes
    -----
    Rows keep their order, and those of a pandas frame their labels.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfusiondp.datasets import split_support
    >>> people = pd.DataFrame({"lab": range(10), "age": range(30, 40)})
    >>> X_support, y_support, X, y = split_support(people, people["lab"] > 4, 3, random_state=0)
    >>> X_support.index.tolist(), X.index.tolist(), y_support.tolist()
    ([2, 4, 8], [0, 1, 3, 5, 6, 7, 9], [False, False, True])
    """
    try:
        check_consistent_length(X, y)
        rows = len(y)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"X and y cannot be split: {error}. Pass a table in memory and one target a row."
        ) from error
    Integer(1, rows - 1, remedy=f"the table has {rows} rows").check("n", n)
    shuffled = random_generator(random_state).permutation(rows)
    parts = [sorted(shuffled[:n].tolist()), sorted(shuffled[n:].tolist())]
    return tuple(_safe_indexing(table, part) for part in parts for table in (X, y))
