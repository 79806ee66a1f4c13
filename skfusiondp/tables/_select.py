"""Which columns the user's ``sensitive=`` selects, decided by names and public rows alone."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import InvalidInputError
from ._domain import Domain
from ._frames import is_frame
from ._kinds import declarations

MOST_NAMED = 8
KEEP_NAMES = (
    "Where steps of a pipeline come before, let columns keep their names: set_output(transform='pandas') on "
    "the steps, and verbose_feature_names_out=False on a ColumnTransformer."
)
Selector = Any  # what ColumnTransformer takes as columns, or a mapping {column: domain}

# Types and cells of made-up tables: a callable must select the same columns on all of them.
_MADE_UP: tuple[tuple[str, tuple], ...] = (
    *((kind, (0, 7)) for kind in ("int8", "int16", "int32", "int64", "uint8", "uint64", "Int64")),
    *((kind, (0.5, np.nan)) for kind in ("float32", "float64", "Float64")),
    ("int64", (-(10**9), 10**9)),
    ("int64", tuple(range(1000))),
    ("float64", tuple(n / 7 for n in range(1000))),
    ("float64", (np.nan, np.nan)),
    ("object", tuple(f"text {n}" for n in range(1000))),
    ("complex128", (1j, 0)),
    ("bool", (True, False)),
    ("boolean", (True, None)),
    ("object", ("a", None)),
    ("object", (1, "b")),
    ("str", ("a", "b")),
    ("string", ("a", None)),
    ("category", ("a", "b")),
    ("category", (1, 2)),
    ("datetime64[ns]", ("2020-01-01", None)),
    ("datetime64[ns, UTC]", ("2020-01-01", None)),
    ("timedelta64[ns]", (1, None)),
)


# Finds a column that the table does not have under the user's name: its place in a table without names, or
# its name there; None if nothing is known of it. It raises where it knows why there is no such column.
Lookup = Callable[[Any], int | str | None]


@dataclass(frozen=True)
class Selected:
    """The columns that a selector stands for.

    Parameters
    ----------
    domains : dict of str to Domain or None
        Declared domain of each one, in the order of the selector.
    called : dict of str to str
        What the user calls those of them that the table has under other names.
    """

    domains: dict[str, Domain | None]
    called: dict[str, str]


def select_columns(
    columns: Sequence[str],
    labels: list | None,
    sensitive: Selector,
    *,
    support: pd.DataFrame | None = None,
    lookup: Lookup | None = None,
) -> Selected:
    """Resolve a selector to {column name: declared domain, or None} without reading a training cell.

    Parameters
    ----------
    columns : sequence of str
        Names of the table's columns, as ``as_frame`` gives them.
    labels : list or None
        What the user calls the columns of a frame, where integers are labels. None: they have no names,
        and integers are positions.
    sensitive : None, mapping or column selector
    support : DataFrame, optional
        Public rows, on which a callable is called. Without them it must choose by names: it has to select
        the same columns on made-up tables of every type.
    lookup : callable, optional
        Finds columns by the names that they had before steps of a pipeline renamed them.

    Returns
    -------
    Selected

    Raises
    ------
    InvalidInputError
        For a column that the table does not have, an integer on a frame that is not labelled 0 to n-1, a
        domain that is none, or a callable that goes by types or cells.
    """
    refuse_table(sensitive)
    known = _Columns(columns, labels, lookup)
    return Selected(known.select(sensitive, support), known.called)


def refuse_table(sensitive: Any) -> None:
    """Refuse a table in the place of what names columns: all of them would be taken."""
    if is_frame(sensitive) or getattr(sensitive, "ndim", 1) == 2:
        raise InvalidInputError(
            f"sensitive is a table ({type(sensitive).__name__}); name its sensitive columns, and "
            "give the table as X."
        )


class _Columns:
    """The columns of a table: their names, and the labels that they have on a frame."""

    def __init__(self, names: Sequence[str], labels: list | None, lookup: Lookup | None = None):
        self.names = list(names)
        self.labels = labels
        self.lookup = lookup
        self.called: dict[str, str] = {}
        self.by_position = labels is None or (
            all(map(_is_integer, labels)) and labels == list(range(len(labels)))
        )

    def select(
        self, sensitive: Selector, support: pd.DataFrame | None, returned: bool = False
    ) -> dict[str, Domain | None]:
        """Resolve a selector; `returned` by a callable, on a frame it holds labels."""
        if sensitive is None:
            return dict.fromkeys(self.names)
        if isinstance(sensitive, Mapping):
            chosen: dict[str, Domain | None] = {}
            for key, domain in sensitive.items():
                if domain is not None and not isinstance(domain, Domain):
                    raise InvalidInputError(
                        f"sensitive[{key!r}]={domain!r} is not a domain; declare {declarations()}, or "
                        "None to infer it from the public support rows."
                    )
                chosen[self._one(key, returned)] = domain
            return chosen
        if callable(sensitive):
            return self._by_callable(sensitive, support)
        return dict.fromkeys(self._several(sensitive, returned))

    def _by_callable(self, selector: Callable, support: pd.DataFrame | None) -> dict[str, Domain | None]:
        if support is not None:
            here = [i for i, name in enumerate(self.names) if name in support]
            table = support[[self.names[i] for i in here]]
            return self._answer(selector, table.set_axis(self._shown(here), axis=1))
        first, *others = (self._outcome(selector, table) for table in self._made_up())
        if any(other != first for other in others):
            raise InvalidInputError(
                f"sensitive={selector!r} chooses columns by their types or cells, which a sensitive cell of "
                "the training table can change; name the columns, or give public support rows "
                "(imputer=FoundationImputer(support=...)), on which it is called in place of the table."
            )
        return self._answer(selector, next(self._made_up()))

    def _outcome(self, selector: Callable, table: pd.DataFrame) -> Any:
        """What a callable selects on a table, in a form that can be compared; None if it fails."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return list(self._answer(selector, table).items())
        except InvalidInputError:
            return None

    def _answer(self, selector: Callable, table: pd.DataFrame) -> dict[str, Domain | None]:
        try:
            chosen = selector(table)
        except Exception as error:
            raise InvalidInputError(
                f"sensitive={selector!r} was called with a table and raised {type(error).__name__}; pass a "
                "callable that takes a table and returns its sensitive columns."
            ) from error
        if chosen is None or callable(chosen):
            raise InvalidInputError(
                f"sensitive={selector!r} was called with a table and returned {chosen!r}, which selects no "
                "columns; return names, a mask, a slice or a mapping {column: domain}."
            )
        return self.select(chosen, None, returned=True)

    def _shown(self, positions: Sequence[int]) -> pd.Index:
        """Labels under which a callable sees the columns at some positions."""
        labels = self.names if self.labels is None else self.labels
        index = pd.Index(labels)  # keeps the type that all labels have in common
        return index[list(positions)]

    def _made_up(self) -> Any:
        labels = self._shown(range(len(self.names)))
        for kind, cells in _MADE_UP:
            column = pd.Series(list(cells), dtype=kind)
            table = pd.DataFrame(dict.fromkeys(range(len(labels)), column)).set_axis(labels, axis=1)
            yield table
            yield table.iloc[:0]

    def _several(self, key: Any, returned: bool) -> list[str]:
        """Names that a key (name, label, position, slice, mask or list of them) stands for."""
        if isinstance(key, str) or _is_integer(key):
            return [self._one(key, returned)]
        if isinstance(key, slice):
            return self._slice(key, returned)
        try:
            keys = list(key)
        except TypeError:
            raise InvalidInputError(
                f"sensitive={key!r} selects no columns; pass names, positions, a mask, a slice, a callable "
                "or a mapping {column: domain}."
            ) from None
        if keys and all(isinstance(k, bool | np.bool_) for k in keys):
            if len(keys) != len(self.names):
                raise InvalidInputError(
                    f"The mask sensitive=... has {len(keys)} entries for {len(self.names)} columns; give "
                    "each one."
                )
            return [c for c, chosen in zip(self.names, keys, strict=True) if chosen]
        return [self._one(k, returned) for k in keys]

    def _slice(self, key: slice, returned: bool) -> list[str]:
        bounds: list[Any] = []
        for bound in (key.start, key.stop):
            if bound is None or isinstance(bound, str):
                bounds.append(None if bound is None else self.names.index(self._one(bound, returned)))
            elif _is_integer(bound):
                if not self.by_position or (returned and self.labels is not None):
                    raise InvalidInputError(f"sensitive={key!r} {self._ambiguous()}")
                bounds.append(int(bound))
            else:
                raise InvalidInputError(f"sensitive={key!r} is no slice of names or of positions.")
        if isinstance(key.stop, str) and bounds[1] is not None:
            bounds[1] += 1  # labels are inclusive, as in pandas and ColumnTransformer
        return self.names[bounds[0] : bounds[1] : key.step]

    def _one(self, key: Any, returned: bool) -> str:
        """Name of the column that a label or a position stands for."""
        if isinstance(key, str) and key in self.names:
            return key
        if _is_integer(key) and not (returned and self.labels is not None):
            if not self.by_position:
                raise InvalidInputError(f"sensitive names the column {key!r}, which {self._ambiguous()}")
            least = 0 if self.labels is not None else -len(self.names)
            if least <= key < len(self.names):
                return self.names[int(key)]
        elif not isinstance(key, bool | np.bool_):
            for name, label in zip(self.names, self.labels or (), strict=False):
                if _same(label, key):
                    self.called[name] = str(key)
                    return name
            found = self._renamed(key)
            if found is not None:
                self.called[found] = str(key)
                return found
        near = difflib.get_close_matches(str(key), self.names, n=1)
        shown = self.names if self.labels is None else self.labels
        hint = f"; did you mean {near[0]!r}?" if near else f"; the table has {brief(shown)}. {self._remedy}"
        raise InvalidInputError(
            f"sensitive names the column {key!r}, which the table does not have{hint}".rstrip()
        )

    def _renamed(self, key: Any) -> str | None:
        """The column that steps of a pipeline have given another name; None if there is none."""
        found = self.lookup(key) if self.lookup is not None else None
        if found is not None:
            return found if isinstance(found, str) else self.names[found]
        return ending_in(key, self.names)

    @property
    def _remedy(self) -> str:
        """What keeps names, where steps of a pipeline may have changed them."""
        if self.labels is not None and not any("__" in name for name in self.names):
            return ""
        return KEEP_NAMES

    def _ambiguous(self) -> str:
        return (
            f"goes by integers, but the columns of X have the labels {brief(self.labels or [])}, where an "
            "integer could be a label or a position; name the columns, or pass a boolean mask."
        )


def ending_in(key: Any, names: Sequence[str]) -> str | None:
    """The column of that name, or the one that ends in it behind the prefix of a step; None if there is none.

    Raises
    ------
    InvalidInputError
        If several end in it.
    """
    if not isinstance(key, str) or key in names:
        return key if isinstance(key, str) else None
    ends = [name for name in names if name.endswith(f"__{key}")]
    if len(ends) > 1:
        raise InvalidInputError(
            f"sensitive names the column {key!r}, which may be {' and '.join(map(repr, ends))}; name each "
            "sensitive one as the table has it."
        )
    return ends[0] if ends else None


def _is_integer(key: Any) -> bool:
    return isinstance(key, int | np.integer) and not isinstance(key, bool | np.bool_ | np.timedelta64)


def _same(label: Any, key: Any) -> bool:
    try:
        return type(label) is not bool and bool(label == key)
    except Exception:  # labels that cannot be compared with it
        return False


def brief(names: Sequence) -> str:
    """Names of columns for a message: the first few, and how many more there are."""
    shown = ", ".join(repr(n) for n in names[:MOST_NAMED])
    return shown if len(names) <= MOST_NAMED else f"{shown} and {len(names) - MOST_NAMED} more"
