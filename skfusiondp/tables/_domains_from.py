"""A stub of declarations to fill in, from types and public rows alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import InvalidInputError
from ._date import Date
from ._disk import as_disk_table
from ._frames import as_frame, is_polars
from ._kinds import support_domain
from ._numeric import Numeric

_HEAD = "Keep the sensitive columns, delete the others; put what everybody knows in the place of each ..."
_BLANKS = {
    Numeric: "Numeric(low=..., high=...)",
    Date: "Date(low=..., high=...)",
    bool: "Categorical([False, True])",
}
_BLANK = "Categorical([...])"
_WHOLE = "Numeric(low=..., high=..., step=1)"


class DomainStub(dict):
    """What `domains_from` returns: {column: domain, or ``...`` where one has to be filled in}.

    Shown, it is Python code to paste. Used as ``sensitive=`` before each ``...`` is replaced, it is refused.

    Parameters
    ----------
    domains : mapping of label to Domain or Ellipsis
    types : mapping of label to str
        What is known of each column, said beside it.
    blanks : mapping of label to str
        Code of the declarations to be filled in.
    """

    def __init__(self, domains: Mapping = {}, types: Mapping = {}, blanks: Mapping = {}):
        super().__init__(domains)
        self.types = dict(types)
        self.blanks = dict(blanks)

    def __repr__(self) -> str:
        lines = [f"    # {_HEAD}"]
        for label, domain in self.items():
            code = self.blanks.get(label, "...") if domain is ... else repr(domain)
            note = f"  # {self.types[label]}" if label in self.types else ""
            lines.append(f"    {label!r}: {code},{note}")
        return "\n".join(["{", *lines, "}"])

    def __reduce__(self) -> tuple:
        return DomainStub, (dict(self), self.types, self.blanks)


def domains_from(columns: Any, *, support: Any = None) -> DomainStub:
    """Write a stub of the declarations that ``sensitive=`` needs, for you to fill in.

    Bounds and categories must not come from the table that is to be protected. So no cell of it is read:
    columns of numbers, dates and texts get blanks. Public rows (`support`) fill them.

    Parameters
    ----------
    columns : table of shape (n_rows, n_columns), or its types
        A frame, an array, a table on disk, or types by column, such as ``X.dtypes``. Only names and types
        are read.
    support : table, optional
        Public rows of other people. What they give is a proposal, marked as theirs: widen it to what
        everybody knows, since a training cell may lie beyond.

    Returns
    -------
    DomainStub
        A dict {column: domain, or ``...``}; printed, it is code to paste.

    Raises
    ------
    InvalidInputError
        If `columns` is neither a table nor types by column.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfusiondp import domains_from
    >>> table = pd.DataFrame({"age": [61, 48], "sex": ["f", "m"], "born": pd.to_datetime(["1964", "1977"])})
    >>> domains_from(table.dtypes)
    {
        # Keep the sensitive columns, delete the others; put what everybody knows in the place of each ...
        'age': Numeric(low=..., high=..., step=1),  # int64; or Categorical([...]) for codes
        'sex': Categorical([...]),  # str; or Date(low=..., high=...) for dates
        'born': Date(low=..., high=...),  # datetime64[us]
    }
    >>> domains_from(table[["sex"]], support=pd.DataFrame({"sex": ["f", "m", "x"]}))["sex"]
    Categorical(categories=('f', 'm', 'x'))
    """
    types = _types(columns)
    public = None if support is None else as_frame(support, "support")
    stub = DomainStub()
    for position, (label, dtype) in enumerate(types.items()):
        name = str(label) if isinstance(label, str) else f"x{position}"
        stub.blanks[label], stub.types[label] = _blank(dtype)
        stub[label] = ...
        if public is not None and name in public and public[name].notna().any():
            found = support_domain(public[name])
            if stub.blanks[label] == _WHOLE and isinstance(found, Numeric):
                found = Numeric(found.low, found.high, step=1)
            stub[label] = found
            stub.types[label] = "from the support rows: widen it where more is possible"
    return stub


def _blank(dtype: Any) -> tuple[str, str]:
    """Code of a declaration to be filled in, and what is said beside it."""
    empty = pd.Series([], dtype=dtype)
    kind: Any = next((kind for kind in (Numeric, Date) if kind.holds(empty)), None)
    if kind is None and pd.api.types.is_bool_dtype(empty.dtype):
        kind = bool
    texts = empty.dtype == object or isinstance(empty.dtype, pd.StringDtype)
    # Categories of a pandas type are cells of the table: they are not shown.
    shown = "category" if isinstance(empty.dtype, pd.CategoricalDtype) else str(empty.dtype)
    if texts:
        shown += f"; or {_BLANKS[Date]} for dates"
    if pd.api.types.is_integer_dtype(empty.dtype):
        return _WHOLE, f"{shown}; or {_BLANK} for codes"
    return _BLANKS.get(kind, _BLANK), shown


def _types(columns: Any) -> dict[Any, Any]:
    """Types by label: of a frame's columns, of an array's by position."""
    if isinstance(columns, pd.DataFrame):
        return dict(zip(columns.columns, columns.dtypes, strict=True))
    if is_polars(columns):
        columns = columns.schema
    if isinstance(columns, pd.Series | Mapping):
        return {label: _pandas_type(label, dtype) for label, dtype in columns.items()}
    table = as_disk_table(columns)
    if table is not None:
        empty = table.empty()
        labels = empty.columns if table.labels else range(empty.shape[1])
        return dict(zip(labels, empty.dtypes, strict=True))
    array = np.asarray(columns)
    if array.ndim != 2:
        raise InvalidInputError(
            f"columns={type(columns).__name__} is no table and no mapping of columns to types; pass the "
            "table, or its types as X.dtypes."
        )
    return dict.fromkeys(range(array.shape[1]), array.dtype)


def _pandas_type(label: Any, dtype: Any) -> Any:
    if type(dtype).__module__.split(".")[0] == "polars" or "polars" in getattr(dtype, "__module__", ""):
        dtype = _type_of_polars(dtype)
    try:
        return pd.api.types.pandas_dtype(dtype)
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"columns[{label!r}]={dtype!r} is no type; pass the types of a table, as X.dtypes."
        ) from None


def _type_of_polars(dtype: Any) -> str:
    if dtype.is_numeric():
        return "float64"
    if dtype.is_temporal() and str(dtype) != "Time":
        return "timedelta64[us]" if str(dtype).startswith("Duration") else "datetime64[us]"
    return "bool" if str(dtype) == "Boolean" else "object"
