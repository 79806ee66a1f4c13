"""Which columns are sensitive, and where the public domain of each comes from: stated, or public rows."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from ._domains import Categorical, Domain, Numeric
from ._exceptions import ON_LEAK, InvalidInputError, report_leak
from ._parameters import check_choice
from ._same_rows import compared_as_numbers, row_codes, training_rows_given
from ._tables import as_frame, is_numeric, numeric_values

Selector = Any  # what ColumnTransformer takes as columns, or a mapping {column: domain}


@dataclass(frozen=True)
class SensitiveSchema:
    """The columns of a table, which of them are sensitive, and their public domains.

    Parameters
    ----------
    columns : tuple of str
        Every column of the table, in order.
    domains : mapping of str to Numeric or Categorical
        Domain of each sensitive column, in table order.
    sources : mapping of str to str
        Where each domain comes from: "declared", "support" or "training cells" (a leak).
    training_support : str
        How training rows were found among the support rows (a leak); empty if none were.
    """

    columns: tuple[str, ...]
    domains: Mapping[str, Domain]
    sources: Mapping[str, str] = field(default_factory=dict)
    training_support: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "domains", MappingProxyType(dict(self.domains)))
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))

    def __getstate__(self) -> dict:
        return {k: dict(v) if isinstance(v, Mapping) else v for k, v in vars(self).items()}

    def __setstate__(self, state: dict) -> None:
        for key, value in state.items():
            object.__setattr__(self, key, MappingProxyType(value) if isinstance(value, dict) else value)

    @property
    def sensitive(self) -> tuple[str, ...]:
        """Names of the sensitive columns, in table order."""
        return tuple(self.domains)

    @property
    def public(self) -> tuple[str, ...]:
        """Names of the public columns, in table order."""
        return tuple(c for c in self.columns if c not in self.domains)

    @property
    def leaks(self) -> tuple[str, ...]:
        """Sensitive columns whose training cells were read without noise."""
        if self.training_support:
            return self.sensitive
        return tuple(c for c, source in self.sources.items() if source == "training cells")

    @property
    def gaps(self) -> tuple[str, ...]:
        """What the leaks leave uncovered, in the words of the report."""
        guessed = [c for c, source in self.sources.items() if source == "training cells"]
        texts = []
        if guessed:
            texts.append(f"domains of {', '.join(guessed)}: read off the training cells; declare them")
        if self.training_support:
            texts.append(
                f"the support rows: training rows are among them ({self.training_support}), and what is "
                "learnt from them is released without noise; give rows of other people"
            )
        return tuple(texts)


def resolve_schema(
    X: pd.DataFrame,
    sensitive: Selector,
    *,
    support: Any = None,
    on_leak: str = "warn",
    original: Any = None,
) -> SensitiveSchema:
    """Turn the user's ``sensitive=`` into a schema.

    Parameters
    ----------
    X : pandas.DataFrame of shape (n_rows, n_columns)
        The training table. Its sensitive cells are read only where neither the user nor
        `support` gives a domain, and then `on_leak` speaks.
    sensitive : None, mapping or column selector
        None protects every column. A mapping gives each column's domain (None: infer it).
        Anything else is what ColumnTransformer takes as columns.
    support : table, optional
        Public rows of other people, from which missing domains are inferred. Training rows among them
        are a leak, of which `on_leak` speaks too.
    on_leak : {"warn", "raise", "ignore"}
        What happens when a domain has to be read off the training cells, or nothing is sensitive.
    original : table, optional
        What the user passed, for callable selectors; `X` if not given.

    Returns
    -------
    SensitiveSchema

    Raises
    ------
    InvalidInputError
        For an unknown column, a declared domain that is none, or one that excludes every cell.
    PrivacyLeakError
        If `on_leak` is "raise" and a domain would be read off the training cells.
    """
    check_choice("on_leak", on_leak, ON_LEAK)
    columns = tuple(X.columns)
    declared = _select(X, sensitive, X if original is None else original)
    if not declared:
        report_leak(
            f"sensitive={sensitive!r} selects no column: nothing is protected. Name the sensitive "
            "columns, or pass sensitive=None to protect every column.",
            on_leak,
        )
    support_frame = None if support is None else as_frame(support)
    domains: dict[str, Domain] = {}
    sources: dict[str, str] = {}
    guessed = [
        c
        for c, d in declared.items()
        if d is None and (support_frame is None or c not in support_frame or support_frame[c].isna().all())
    ]
    if guessed:
        report_leak(
            f"No domain is declared for the sensitive column(s) {_brief(guessed)} and no public support "
            "rows give one, so bounds and categories are read off the training cells, which the "
            "privacy guarantee does not cover. Declare them, for example "
            f"sensitive={{{guessed[0]!r}: Numeric(low, high)}}.",
            on_leak,
        )
    for column in columns:
        if column not in declared:
            continue
        domain = declared[column]
        if domain is not None:
            domains[column], sources[column] = domain, "declared"
        elif column in guessed:
            domains[column], sources[column] = _infer(X[column]), "training cells"
        else:
            assert support_frame is not None
            domains[column], sources[column] = _infer(support_frame[column]), "support"
        found = domains[column]
        if isinstance(found, Numeric) and support_frame is not None and column in support_frame:
            public = numeric_values(support_frame[column], sensitive=True)
            domains[column] = found.with_knots_of(public)
        if sources[column] != "training cells" and domains[column].excludes(X[column]):
            raise InvalidInputError(
                f"The domain of the sensitive column {column!r}, {domains[column]!r}, excludes every cell "
                "of the training table; check its bounds, unit, spelling or type."
            )
    found_how = ""
    if support_frame is not None and declared:
        given = (X if original is None else original, support)
        found_how = check_support_rows(X, support_frame, set(declared), on_leak, given)
    return SensitiveSchema(columns, domains, sources, found_how)


def check_support_rows(
    X: pd.DataFrame | Iterable[pd.DataFrame],
    support: pd.DataFrame,
    sensitive: set[str],
    on_leak: str,
    originals: tuple[Any, Any] = (None, None),
) -> str:
    """Speak of training rows among the support rows, as far as public facts give them away.

    Parameters
    ----------
    X : pandas.DataFrame, or iterable of them
        The training table, or its pieces.
    support : pandas.DataFrame
    sensitive : set of str
        Columns whose training cells are not read.
    on_leak : {"warn", "raise", "ignore"}
    originals : (training table, support), optional
        As the user passed them.

    Returns
    -------
    str
        How they were found; empty if they were not.
    """
    codes: list[np.ndarray] = []
    columns: list[str] = []
    numbers: list[str] = []
    for piece in [X] if isinstance(X, pd.DataFrame) else X:
        if not codes:
            columns = [c for c in piece.columns if c not in sensitive and c in support]
            numbers = compared_as_numbers([piece, support], columns)
        codes.append(row_codes(piece, columns, numbers))
    training = np.concatenate(codes) if codes else np.zeros(0, np.uint64)
    how = training_rows_given(training, row_codes(support, columns, numbers), originals)
    if how:
        report_leak(
            f"support holds rows of the training table ({how}), so that what is learnt from their sensitive "
            "cells is released without noise: epsilon is infinite. Give public rows of other people as "
            "support=, or none.",
            on_leak,
        )
    return how


def _infer(column: pd.Series) -> Domain:
    """Domain of a column whose cells may be read: public support rows, or a leak that was reported."""
    present = column[column.notna()]
    if is_numeric(column) and not pd.api.types.is_bool_dtype(column.dtype):
        values = numeric_values(present)
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
        if low == high:
            # A constant still needs an interval; one unit to each side is arbitrary but harmless.
            low, high = np.nextafter(low - 1, -np.inf), np.nextafter(high + 1, np.inf)
        return Numeric(float(low), float(high))
    try:
        categories = sorted(pd.unique(present.astype(object)), key=lambda v: (str(type(v)), str(v)))
    except TypeError:
        raise InvalidInputError(
            f"Column {column.name!r} holds cells that are no numbers and no categories, such as lists; "
            "convert them to texts or numbers, or drop the column."
        ) from None
    return Categorical(categories or ["missing"])


def _select(X: pd.DataFrame, sensitive: Selector, original: Any) -> dict[str, Domain | None]:
    """Resolve a selector to {column name: declared domain or None}."""
    if sensitive is None:
        return dict.fromkeys(X.columns)
    if isinstance(sensitive, Mapping):
        chosen: dict[str, Domain | None] = {}
        for key, domain in sensitive.items():
            if domain is not None and not isinstance(domain, Numeric | Categorical):
                raise InvalidInputError(
                    f"sensitive[{key!r}]={domain!r} is not a domain; declare Numeric(low, high) or "
                    "Categorical([...]), or None to infer it from the public support rows."
                )
            chosen[_names(X, [key])[0]] = domain
        return chosen
    if isinstance(sensitive, Callable):  # type: ignore[arg-type]
        return _select(X, _call_selector(sensitive, X, original), original)
    return dict.fromkeys(_names(X, sensitive))


def _call_selector(selector: Callable, X: pd.DataFrame, original: Any) -> Any:
    # make_column_selector needs pandas; a user's own callable may want what was passed.
    try:
        chosen = selector(original if isinstance(original, pd.DataFrame) else X)
    except Exception as error:
        raise InvalidInputError(
            f"sensitive={selector!r} was called with the table and raised {type(error).__name__}; pass a "
            "callable that takes a table and returns its sensitive columns."
        ) from error
    if chosen is None or callable(chosen):
        raise InvalidInputError(
            f"sensitive={selector!r} was called with the table and returned {chosen!r}, which selects no "
            "columns; return names, positions, a mask, a slice or a mapping {column: domain}."
        )
    return chosen


def _names(X: pd.DataFrame, key: Any) -> list[str]:
    """Resolve a column key (name, position, slice, mask or list of them) to names."""
    columns = list(X.columns)
    if isinstance(key, str | int | np.integer) and not isinstance(key, bool):
        key = [key]
    if isinstance(key, slice):
        bounds = [columns.index(_one(columns, b)) if isinstance(b, str) else b for b in (key.start, key.stop)]
        if isinstance(key.stop, str):
            bounds[1] += 1  # labels are inclusive, as in pandas and ColumnTransformer
        return columns[slice(bounds[0], bounds[1], key.step)]
    try:
        keys = list(key)
    except TypeError:
        raise InvalidInputError(
            f"sensitive={key!r} selects no columns; pass names, positions, a mask, a slice, a callable "
            "or a mapping {column: domain}."
        ) from None
    if keys and all(isinstance(k, bool | np.bool_) for k in keys):
        if len(keys) != len(columns):
            raise InvalidInputError(
                f"The mask sensitive=... has {len(keys)} entries for {len(columns)} columns; give each one."
            )
        return [c for c, chosen in zip(columns, keys, strict=True) if chosen]
    return [_one(columns, k) for k in keys]


def _one(columns: list[str], key: Any) -> str:
    if isinstance(key, str) and key in columns:
        return key
    if (
        isinstance(key, int | np.integer)
        and not isinstance(key, bool)
        and -len(columns) <= key < len(columns)
    ):
        return columns[int(key)]
    near = difflib.get_close_matches(str(key), columns, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; the table has {_brief(columns)}."
    raise InvalidInputError(f"sensitive names the column {key!r}, which the table does not have{hint}")


def _brief(names: Sequence, most: int = 8) -> str:
    shown = ", ".join(repr(n) for n in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
