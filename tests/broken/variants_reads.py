"""Ways to read sensitive cells that nobody pays for, each a small patch, and the test that catches it."""

from __future__ import annotations

import contextlib

import numpy as np
import pandas as pd
from variants import MONKEYPATCH, Variant, by_test, existing

from skfusiondp import Categorical, FusionDPClassifier, Numeric
from skfusiondp.estimators.fusion import _fusion_base as base
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.privacy import PrivacyLedger
from skfusiondp.tables import _schema as schema
from skfusiondp.tables._outside import outside, warn_outside
from skfusiondp.tables._select import _Columns
from skfusiondp.tables._table import FrameTable


def refuses_no_cell(name, *args):
    """A test, in which a refusal is a failure and not an error."""

    def check(monkeypatch):
        try:
            existing("tables/test_outside.py", name, *args)(monkeypatch)
        except InvalidInputError as error:
            raise AssertionError(str(error)) from error

    return check


def a_domain_that_excludes_every_cell_is_refused(patch):
    plain = base.resolve_schema

    def looking(table, *args, **kwargs):
        found = plain(table, *args, **kwargs)
        for column, domain in found.domains.items():
            if isinstance(domain, Numeric) and outside(table.frame[column], domain).share == 1:
                raise InvalidInputError(f"The domain of {column!r} excludes every cell.")
        return found

    patch.setattr(base, "resolve_schema", looking)


def a_text_in_a_sensitive_column_is_refused(patch):
    patch.setattr("skfusiondp.tables._numeric.numeric_values", lambda column, sensitive: _strict(column))


def _strict(column):
    try:
        return pd.to_numeric(column).to_numpy(dtype=float, na_value=float("nan"))
    except Exception as error:
        raise InvalidInputError(f"{column.name!r} holds something that is no number") from error


def the_share_outside_is_kept(patch):
    def keeping(self, job):
        domains = self.schema_.domains.items()
        self.outside_ = {c: outside(job.table.frame[c], d).share for c, d in domains}

    patch.setattr(FusionDPClassifier, "_tell_holder", keeping)


def the_share_is_told_before_it_is_paid(patch):
    plain = FusionDPClassifier._fit_table

    def telling(self, X, lookup):
        source = plain(self, X, lookup)
        warn_outside(source.table, source.schema.domains)
        return source

    patch.setattr(FusionDPClassifier, "_fit_table", telling)


def every_trial_tells(patch):
    patch.setattr("skfusiondp.model_selection._private_random_search_cv.one_for_all", contextlib.nullcontext)


def callables_see_the_training_table(patch):
    plain = FrameTable.__init__
    given = []

    def keeping(self, *args):
        plain(self, *args)
        given.append(self.given)

    patch.setattr(FrameTable, "__init__", keeping)
    patch.setattr(_Columns, "_by_callable", lambda self, selector, support: self._answer(selector, given[-1]))


def integers_are_positions(patch):
    plain = _Columns.__init__

    def by_position(self, names, labels, lookup=None):
        plain(self, names, None, lookup)

    patch.setattr(_Columns, "__init__", by_position)


def a_list_is_read_by_numpy(patch):
    patch.setattr("skfusiondp.tables._frames.own_cells", lambda X: X)


def categories_are_written_by_their_type(patch):
    patch.setattr("skfusiondp.tables._cells.as_text", str)


def a_library_s_errors_at_cells_are_let_out(patch):
    for file in ("_categorical", "_moments", "_frames"):
        patch.setattr(f"skfusiondp.tables.{file}.cells_of", lambda column: column.astype(object).tolist())


def an_arrow_table_is_converted_as_a_whole(patch):
    for file in ("_disk", "_frames"):
        patch.setattr(f"skfusiondp.tables.{file}.from_arrow", lambda table: table.to_pandas())


def whole_numbers_become_floats_where_one_is_missing(patch):
    rounded = lambda values, missing: np.where(missing, np.nan, values.astype(np.float64))  # noqa: E731
    patch.setattr("skfusiondp.tables._frames.with_gaps", rounded)


def numbers_are_looked_up_in_the_type_that_holds_them(patch):
    def as_written(value):
        return float(str(value)) if isinstance(value, np.floating) else value

    patch.setattr("skfusiondp.tables._categorical._pythons", as_written)


def a_leaked_domain_costs_nothing(patch):
    patch.setattr("skfusiondp._spender.read_without_noise", lambda *args: PrivacyLedger())


def a_leaked_domain_keeps_its_cells(patch):
    def verbatim(column):
        if column.dtype.kind in "fiu":
            return Numeric(float(column.min()), float(column.max()))
        return Categorical(sorted(column.dropna().unique(), key=str))

    patch.setattr(schema, "leaked_domain", verbatim)


def a_leak_is_read_before_the_budget_is_asked(patch):
    plain = schema._leaked
    patch.setattr(schema, "_leaked", lambda table, names, on_leak, budget: plain(table, names, on_leak, None))


_APART = "tables/test_cells_apart.py"
_OUTSIDE, _SELECT, _TABLES, _LEAKED, _UNREADABLE = (
    "tables/test_outside.py",
    "tables/test_select.py",
    "tables/test_frames.py",
    "tables/test_leaked_domains.py",
    "tables/test_unreadable.py",
)

VARIANTS_READS = [
    Variant(
        "a domain that excludes every cell is refused",
        a_domain_that_excludes_every_cell_is_refused,
        f"tests/{_OUTSIDE}::test_a_budget_refuses_before_any_sensitive_cell_is_looked_at",
        refuses_no_cell(
            "test_a_budget_refuses_before_any_sensitive_cell_is_looked_at",
            lambda module: module.fusion,
            MONKEYPATCH,
        ),
    ),
    Variant(
        "a text in a sensitive column is refused",
        a_text_in_a_sensitive_column_is_refused,
        f"tests/{_OUTSIDE}::test_no_cell_of_a_sensitive_column_causes_a_refusal",
        refuses_no_cell(
            "test_no_cell_of_a_sensitive_column_causes_a_refusal", lambda module: module.SPENDERS["scaler"]
        ),
    ),
    by_test(
        "the share outside a domain is kept",
        the_share_outside_is_kept,
        _OUTSIDE,
        "test_nothing_of_it_is_kept",
        "classifier",
        None,
    ),
    by_test(
        "the share outside a domain is told before it is paid for",
        the_share_is_told_before_it_is_paid,
        _OUTSIDE,
        "test_a_fit_that_fails_says_nothing",
        MONKEYPATCH,
    ),
    by_test(
        "every trial of a search tells the data holder",
        every_trial_tells,
        _OUTSIDE,
        "test_a_search_speaks_once_however_many_trials_ran",
        4,
    ),
    by_test(
        "callable selectors see the training table",
        callables_see_the_training_table,
        _SELECT,
        "test_a_callable_that_goes_by_types_or_cells_is_refused",
        "int",
    ),
    by_test(
        "integers on a frame are positions",
        integers_are_positions,
        _SELECT,
        "test_the_column_that_is_named_is_the_one_that_is_protected",
    ),
    by_test(
        "a list is read by numpy",
        a_list_is_read_by_numpy,
        _TABLES,
        "test_public_columns_are_the_same_in_every_container",
        "whole numbers",
    ),
    by_test(
        "categories are written by their column's type",
        categories_are_written_by_their_type,
        _TABLES,
        "test_categories_are_written_alike_whatever_holds_them",
    ),
    by_test(
        "errors of a library at single cells are let out",
        a_library_s_errors_at_cells_are_let_out,
        _UNREADABLE,
        "test_a_fit_tells_nothing_of_them",
        "days",
        lambda module: module.fusion,
        lambda module: lambda table: table,
    ),
    by_test(
        "an Arrow table is converted as a whole",
        an_arrow_table_is_converted_as_a_whole,
        _UNREADABLE,
        "test_a_fit_tells_nothing_of_them",
        "lists",
        lambda module: module.offset,
        lambda module: module.in_arrow,
    ),
    by_test(
        "whole numbers become floats where one is missing",
        whole_numbers_become_floats_where_one_is_missing,
        _APART,
        "test_the_others_are_read_alike",
        "polars, Int64",
    ),
    by_test(
        "numbers are looked up in the type that holds them",
        numbers_are_looked_up_in_the_type_that_holds_them,
        _APART,
        "test_the_others_are_read_alike",
        "objects, float32",
    ),
    by_test(
        "a leaked domain under an intact epsilon",
        a_leaked_domain_costs_nothing,
        _LEAKED,
        "test_an_imputer_s_users_pay_for_its_leak",
    ),
    by_test(
        "a leaked domain keeps its cells",
        a_leaked_domain_keeps_its_cells,
        _LEAKED,
        "test_other_holders_of_domains_keep_no_cell_either",
    ),
    by_test(
        "a leaked domain is read before the budget is asked",
        a_leak_is_read_before_the_budget_is_asked,
        _LEAKED,
        "test_a_budget_refuses_it_before_a_cell_is_read",
        "fusiondp",
        MONKEYPATCH,
    ),
]
