"""Which columns are sensitive, and where the public domain of each comes from: stated, or public rows."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from .._parameters import ON_LEAK
from ..exceptions import InvalidInputError, PrivacyBudgetError, callers_level, report_leak
from ._determined import determined
from ._domain import Domain
from ._frames import as_frame
from ._kinds import leaked_domain, remedy, support_domain
from ._outside import Outside, outside
from ._public_columns import PublicColumn
from ._same_rows import row_codes, training_rows_given
from ._select import MOST_NAMED, Lookup, Selector, brief, select_columns
from ._table import Table

# Numbers of a column that say where it lies: the range of a few rows says little.
_FEWEST_COMPARED = 10
# Share of a sensitive column's support cells outside its domain that is no matter of rare cells.
_MANY_OUTSIDE = 0.1


@dataclass(frozen=True)
class SensitiveSchema:
    """The columns of a table, which of them are sensitive, and their public domains.

    Parameters
    ----------
    columns : tuple of str
        Every column of the table, in order.
    domains : mapping of str to Domain
        Domain of each sensitive column, in table order.
    sources : mapping of str to str
        Where each domain comes from: "declared", "support" or "training cells" (a leak).
    training_support : str
        How training rows were found among the support rows (a leak); empty if none were.
    called : mapping of str to str
        What the user calls those sensitive columns that the table has under other names, or under none.
    determined : tuple of str
        Which public columns determine which sensitive ones among the support rows.
    """

    _plain_values = True

    columns: tuple[str, ...]
    domains: Mapping[str, Domain]
    sources: Mapping[str, str] = field(default_factory=dict)
    training_support: str = ""
    called: Mapping[str, str] = field(default_factory=dict)
    determined: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "domains", MappingProxyType(dict(self.domains)))
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))
        object.__setattr__(self, "called", MappingProxyType(dict(self.called)))

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

    def name(self, column: str) -> str:
        """What the user calls a column of the table."""
        return self.called.get(column, column)

    def require_columns(self, support: pd.DataFrame) -> None:
        """Refuse support rows that lack a column of the table."""
        lacking = [c for c in self.columns if c not in support]
        if len(lacking) == len(self.columns):
            raise InvalidInputError(
                f"support has none of the columns of the table that reaches this fit, {brief(lacking)}, but "
                f"{brief(list(support.columns))}. Support rows have to be as the model sees the table: where "
                "steps of a pipeline come before it, transform them by the same steps, fitted: "
                "support=step.transform(rows)."
            )
        if lacking:
            raise InvalidInputError(
                f"support lacks the column(s) {brief(lacking)} of the training table; give public rows "
                "with the same columns (an array as support goes with an array as X)."
            )

    @property
    def facts(self) -> dict[str, dict]:
        """What a report says of each sensitive column, by the user's name: its domain, and whence that is."""
        return {
            self.name(c): {**d.to_dict(), "source": self.sources.get(c, "declared")}
            for c, d in self.domains.items()
        }

    @property
    def leaks(self) -> tuple[str, ...]:
        """Sensitive columns whose training cells were read without noise."""
        if self.training_support:
            return self.sensitive
        return tuple(c for c, source in self.sources.items() if source == "training cells")

    @property
    def public_domains(self) -> dict[str, Domain]:
        """Domains of sensitive columns whose training cells were not read for them."""
        return {c: d for c, d in self.domains.items() if c not in self.leaks}

    @property
    def gaps(self) -> tuple[str, ...]:
        """What leaks, and public columns that tell as much, leave uncovered, in the words of the report."""
        guessed = [self.name(c) for c, source in self.sources.items() if source == "training cells"]
        texts = []
        if guessed:
            texts.append(f"domains of {', '.join(guessed)}: read off the training cells; declare them")
        if self.training_support:
            texts.append(
                f"the support rows: training rows are among them ({self.training_support}), and what is "
                "learnt from them is released without noise; give rows of other people"
            )
        texts += [
            f"{found} among the support rows: who knows one knows the other" for found in self.determined
        ]
        return tuple(texts)


def resolve_schema(
    table: Table,
    sensitive: Selector,
    *,
    support: Any = None,
    on_leak: str = "warn",
    budget: Any = None,
    lookup: Lookup | None = None,
    whole_rows: bool = False,
) -> SensitiveSchema:
    """Turn the user's ``sensitive=`` into a schema.

    Nothing here depends on a sensitive cell, or on the type that cells give to their column, unless a
    domain is missing: what is refused or selected is decided by names, declarations and public rows.

    Parameters
    ----------
    table : Table
        The training table. Its sensitive cells are read only where neither the user nor
        `support` gives a domain, and then `on_leak` says what happens.
    sensitive : None, mapping or column selector
        None protects every column. A mapping gives each column's domain (None: infer it).
        Anything else is what ColumnTransformer takes as columns.
    support : table, optional
        Public rows of other people, from which missing domains are inferred, and on which callables are
        called. Training rows among them are a leak too.
    on_leak : {"warn", "raise", "ignore"}
        What happens at a leak, or when nothing is sensitive.
    budget : PrivacyBudget or None, optional
        A shared budget pays for no read without noise, so that with one no domain may be missing.
    lookup : callable, optional
        As in `select_columns`.
    whole_rows : bool, optional
        Whether public columns are protected too, so that they may tell what a sensitive column holds.

    Raises
    ------
    InvalidInputError
        For an unknown column, a declared domain that is none, or a callable that goes by types or cells.
    PrivacyLeakError
        If `on_leak` is "raise", and a domain would be read off the training cells or a public column
        determines a sensitive one.
    PrivacyBudgetError
        If there is a budget, and a domain would be read off the training cells or support rows are
        training rows.
    """
    ON_LEAK.check("on_leak", on_leak)
    public = None if support is None else as_frame(support, "support")
    selected = select_columns(table.columns, table.labels, sensitive, support=public, lookup=lookup)
    declared = selected.domains
    if not declared:
        report_leak(
            f"sensitive={sensitive!r} selects no column: nothing is protected. Name the sensitive "
            "columns, or pass sensitive=None to protect every column.",
            on_leak,
        )
    guessed = [
        c
        for c, d in declared.items()
        if d is None and (public is None or c not in public or public[c].isna().all())
    ]
    leaked = _leaked(table, guessed, on_leak, budget)
    domains: dict[str, Domain] = {}
    sources: dict[str, str] = {}
    for column in table.columns:
        if column not in declared:
            continue
        domain = declared[column]
        if domain is not None:
            domains[column], sources[column] = domain, "declared"
        elif column in leaked:
            domains[column], sources[column] = leaked[column], "training cells"
        else:
            assert public is not None
            domains[column], sources[column] = support_domain(public[column]), "support"
        if public is not None and column in public:
            domains[column] = domains[column].informed_by(public[column])
    schema = SensitiveSchema(table.columns, domains, sources, called=selected.called)
    if public is None or not declared:
        return schema
    _warn_outside(public, schema)
    return replace(
        schema,
        training_support=_training_support(table, schema, public, support, on_leak, budget),
        determined=() if whole_rows else _determined(schema, public, on_leak),
    )


def _determined(schema: SensitiveSchema, public: pd.DataFrame, on_leak: str) -> tuple[str, ...]:
    """Which public columns determine which sensitive ones, by public rows, after `on_leak` has been heard."""
    found = determined(public[[c for c in schema.columns if c in public]], schema.domains)
    texts = tuple(map(str, found))
    if texts:
        report_leak(
            f"Among the support rows {'; '.join(texts)}: whoever knows those public columns knows what is to "
            "be protected, so that the guarantee protects nothing there. Name them sensitive too, or leave "
            "them out.",
            on_leak,
        )
    return texts


def _training_support(
    table: Table, schema: SensitiveSchema, public: pd.DataFrame, support: Any, on_leak: str, budget: Any
) -> str:
    """How training rows were found among the support rows, by public cells; empty if none were.

    `support` is what the user passed, and `public` the same as a frame.
    """
    names = [c for c in schema.public if c in public]
    sample = table.sample(names)
    columns = _of_the_same_kind(sample, public, names)
    _warn_apart(sample, public, columns)
    codes = [row_codes(piece, columns) for _, piece in table.chunks(names)]
    training = np.concatenate(codes) if codes else np.zeros(0, np.uint64)
    how = training_rows_given(training, row_codes(public, columns), (table.given, support))
    if how and budget is not None and on_leak != "raise":
        raise PrivacyBudgetError(
            f"support holds rows of the training table ({how}), so that what is learnt from their sensitive "
            "cells would be released without noise: that costs an infinite epsilon, which no budget has. "
            "Nothing was read. Give public rows of other people as support=, or none."
        )
    if how:
        report_leak(
            f"support holds rows of the training table ({how}), so that what is learnt from their sensitive "
            "cells is released without noise: epsilon is infinite. Give public rows of other people as "
            "support=, or none.",
            on_leak,
        )
    return how


def _of_the_same_kind(sample: pd.DataFrame, public: pd.DataFrame, names: list[str]) -> list[PublicColumn]:
    """How public columns are read, after refusing those that hold something else among the support rows."""
    columns = [PublicColumn.of(sample[c]) for c in names]
    for column in columns:
        cells = public[column.name]
        column.check(cells, "in X", "in support")
        PublicColumn.of(cells).check(sample[column.name], "in support", "in X")
    return columns


def _warn_apart(sample: pd.DataFrame, public: pd.DataFrame, columns: list[PublicColumn]) -> None:
    """Warn of columns whose numbers, public both, lie elsewhere among the support rows than in the table."""
    numbers = [c for c in columns if c.kind == "number"]
    apart = [c.name for c in numbers if _lie_apart(c.numbers(sample), c.numbers(public))]
    if apart:
        warnings.warn(
            f"Most numbers of the public column(s) {brief(apart)} lie outside the range that they have in "
            "support, and the reverse: another unit or time, or a step of a pipeline has changed X alone. "
            "What support rows teach does not carry over then; transform them by the same steps, fitted: "
            "support=step.transform(rows).",
            UserWarning,
            stacklevel=callers_level(),
        )


def _warn_outside(public: pd.DataFrame, schema: SensitiveSchema) -> None:
    """Warn of sensitive columns many of whose support cells, public all, lie outside their domain."""
    for column, domain in schema.domains.items():
        found = outside(public[column], domain) if column in public else Outside()
        if found.present and found.share > _MANY_OUTSIDE:
            what = ", ".join(f"{n} {kind}" for kind, n in found.wrong.items() if n)
            warnings.warn(
                f"Of the support rows' cells of the sensitive column {schema.name(column)!r} "
                f"{found.share:.0%} lie outside its domain {domain.brief()} ({what}); "
                f"{domain.outside_remedy}.",
                UserWarning,
                stacklevel=callers_level(),
            )


def _lie_apart(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the median of either lies outside the range of the other."""
    one, other = one[np.isfinite(one)], other[np.isfinite(other)]
    if min(len(one), len(other)) < _FEWEST_COMPARED:
        return False
    first, second = np.median(one), np.median(other)
    return not (other.min() <= first <= other.max() or one.min() <= second <= one.max())


def _leaked(table: Table, guessed: list[str], on_leak: str, budget: Any) -> dict[str, Domain]:
    """Domains read off the training cells, after `on_leak` and the budget have allowed that leak."""
    if not guessed:
        return {}
    start = (
        f"No domain is declared for the sensitive column(s) {brief(guessed)} and no public support "
        "rows give one, so "
    )
    generic = (
        f"Declare them, for example sensitive={{{guessed[0]!r}: Numeric(low, high)}} for numbers, "
        "Categorical([...]) for texts, Date(low, high) for dates."
    )
    if on_leak == "raise":
        report_leak(
            f"{start}bounds and categories would be read off the training cells, which the privacy "
            f"guarantee does not cover. {generic}",
            on_leak,
        )
    if budget is not None:
        raise PrivacyBudgetError(
            f"{start}bounds and categories would be read off the training cells without noise: that costs "
            f"an infinite epsilon, which no budget has. Nothing was read. {generic}"
        )
    cells = table.witnesses(guessed)
    domains = {c: leaked_domain(cells[c]) for c in guessed}
    remedies = ", ".join(remedy(cells[c]) for c in guessed[:MOST_NAMED])
    report_leak(
        f"{start}bounds and categories are read off the training cells, which the privacy guarantee does "
        f"not cover: epsilon is infinite. Declare them, for example sensitive={{{remedies}}}.",
        on_leak,
    )
    return domains
