"""Ways to break budgets, units, sums over columns and what is found of repeated and given rows."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from variants import MONKEYPATCH, by_test, forget_computed_epsilons

from skfusiondp import PrivacyBudget, PrivacyLedger
from skfusiondp.accounting import LedgerEntry
from skfusiondp.privacy import _accountant
from skfusiondp.privacy._mechanisms import Bound, Gaussian
from skfusiondp.tables._groups import Units
from skfusiondp.tables._schema import SensitiveSchema
from skfusiondp.training._batches import BatchSchedule

FIT = PrivacyLedger((LedgerEntry(20.0, 1.0, 10),))
_BUDGET, _UNITS, _FITS = "privacy/test_budget.py", "privacy/test_group_privacy.py", "test_units_in_fits.py"


def folder(module):
    """An empty one, in place of pytest's."""
    return Path(tempfile.mkdtemp())


# Budgets ----------------------------------------------------------------------------------


def links_are_other_budgets(patch):
    patch.setattr(os.path, "realpath", os.path.abspath)


def vanished_means_unspent(patch):
    locked = PrivacyBudget._locked
    patch.setattr(PrivacyBudget, "_locked", lambda self, may_be_new=False: locked(self, True))


def second_names_are_read(patch):
    patch.setattr("skfusiondp.privacy._budget._read", lambda path: json.loads(Path(path).read_text()))


def _spending(patch, block):
    real = PrivacyBudget.spending
    patch.setattr(PrivacyBudget, "spending", contextlib.contextmanager(lambda s, p: block(real, s, p)))


def an_error_gives_the_money_back(patch):
    def block(real, budget, planned):
        with real(budget, planned) as pay:
            owed = []
            yield lambda ledger=planned: owed.append(ledger)
            for ledger in owed:
                pay(ledger)

    _spending(patch, block)


def an_error_before_the_read_costs_the_plan(patch):
    def block(real, budget, planned):
        with real(budget, planned) as pay:
            pay()
            yield lambda ledger=planned: None

    _spending(patch, block)


def only_floats_are_numbers(patch):
    patch.setattr("skfusiondp.privacy._entries._store", lambda entry, numbers: None)


# Units ------------------------------------------------------------------------------------


def a_units_rows_taken_for_one(patch):
    forget_computed_epsilons()
    patch.setattr(Gaussian, "of_unit", lambda mechanism, rows: mechanism)


def one_side_of_a_unit_stays(patch):
    forget_computed_epsilons()
    plain = Gaussian.loss

    def loss(self, pair):
        return plain(self, (pair[0], 0.0) if self.rows > 1 else pair)

    patch.setattr(Gaussian, "loss", loss)


def a_rows_bound_taken_for_a_units(patch):
    forget_computed_epsilons()
    patch.setattr(Bound, "of_unit", lambda bound, rows: bound)


def a_unit_lies_in_one_part(patch):
    def read(entries, of):
        parts = {e.part for e in entries}
        return [_accountant._of_a_unit([e for e in entries if e.part == p], 1) for p in parts]

    patch.setattr(_accountant, "_read_of_one", read)


def noise_for_rows_where_units_are_asked_for(patch):
    from skfusiondp.estimators.fusion import _fusion_base as _base

    plan = _base.make_plan
    patch.setattr(_base, "make_plan", lambda *args, rows_per_unit=1, **kwargs: plan(*args, **kwargs))


def rows_beyond_the_bound_are_sampled(patch):
    patch.setattr(BatchSchedule, "_kept", lambda self, index: index)


def rows_beyond_the_bound_are_summed(patch):
    patch.setattr(Units, "of", lambda self, n_rows: np.ones(n_rows, dtype=bool))


def a_sensitive_column_says_whose_row_it_is(patch):
    patch.setattr("skfusiondp.tables._groups._must_be_public", lambda column, sensitive: None)


def repeated_rows_unseen(patch):
    patch.setattr("skfusiondp.tables._repeats._repeated_cells", lambda frame, columns: 1)


def repeated_rows_accounted_as_single_ones(patch):
    from skfusiondp.preprocessing import _private_transformer as _private

    found = _private.repeated_rows
    patch.setattr(_private, "repeated_rows", lambda *args: (found(*args), Units())[1])


# Columns, support rows, weak budgets --------------------------------------------------------


def the_largest_of_the_columns(patch):
    together = PrivacyLedger.epsilon_of_columns

    def largest(self, columns, delta):
        return max((together(self, [c], delta) for c in columns), default=0.0)

    patch.setattr(PrivacyLedger, "epsilon_of_columns", largest)


def training_rows_as_support_unseen(patch):
    for part in ("_same_labels", "_rare_rows_met", "_all_rows_met"):
        patch.setattr(f"skfusiondp.tables._same_rows.{part}", lambda *args: False)


def an_intact_epsilon_beside_the_leak(patch):
    own = SensitiveSchema.leaks.fget
    patch.setattr(SensitiveSchema, "leaks", property(lambda self: () if self.training_support else own(self)))


def nothing_said_of_an_empty_promise(patch):
    patch.setattr("skfusiondp.privacy._weak_budgets._meanings", lambda *args: [])


VARIANTS_ACCOUNTING = [
    by_test(
        "a link to a budget's file counts as a budget of its own",
        links_are_other_budgets,
        *(_BUDGET, "test_every_path_to_a_file_is_one_budget", folder, "file"),
    ),
    by_test(
        "a budget whose file vanished counts as unspent",
        vanished_means_unspent,
        *(_BUDGET, "test_a_file_that_vanished_is_never_taken_for_unspent", folder),
    ),
    by_test(
        "a second name of a budget's file is read",
        second_names_are_read,
        *(_BUDGET, "test_a_file_with_a_second_name_is_refused", folder),
    ),
    by_test(
        "an error after the read gives the money back",
        an_error_gives_the_money_back,
        *(_BUDGET, "test_however_a_block_ends_it_has_paid_what_it_said_before_it_read"),
        *(lambda module: RuntimeError, (FIT,)),
    ),
    by_test(
        "an error before the read costs the plan",
        an_error_before_the_read_costs_the_plan,
        *(_BUDGET, "test_however_a_block_ends_it_has_paid_what_it_said_before_it_read"),
        *(lambda module: KeyboardInterrupt, ()),
    ),
    by_test(
        "numbers kept as they came",
        only_floats_are_numbers,
        *(_BUDGET, "test_whole_numbers_of_every_kind", lambda module: np.int64),
    ),
    by_test(
        "a unit's rows accounted as one",
        a_units_rows_taken_for_one,
        *(_UNITS, "test_one_sampled_release_of_a_unit", "replace", 0.8, 0.1, 3, 0.5),
    ),
    by_test(
        "a unit's rows change on one side only",
        one_side_of_a_unit_stays,
        *(_UNITS, "test_one_sampled_release_of_a_unit", "replace", 0.8, 0.1, 3, 0.5),
    ),
    by_test(
        "a row's bound taken for a unit's",
        a_rows_bound_taken_for_a_units,
        *(_UNITS, "test_the_bound_of_a_row_grows_by_the_general_formula_and_that_of_a_unit_does_not"),
    ),
    by_test(
        "a unit's rows in different parts compose in parallel",
        a_unit_lies_in_one_part,
        *(_UNITS, "test_rows_of_a_unit_may_lie_in_every_part"),
    ),
    by_test(
        "noise for rows where a unit's epsilon is asked for",
        noise_for_rows_where_units_are_asked_for,
        *(_FITS, "test_epsilon_is_the_units_and_everything_says_so", "fusiondp", "column", None),
    ),
    by_test(
        "a unit's rows beyond its bound are sampled",
        rows_beyond_the_bound_are_sampled,
        *(_FITS, "test_rows_beyond_the_bound_are_in_no_private_branch", "fusiondp", MONKEYPATCH),
    ),
    by_test(
        "a unit's rows beyond its bound are summed",
        rows_beyond_the_bound_are_summed,
        *(_FITS, "test_rows_beyond_the_bound_are_in_no_private_branch", "scaler", MONKEYPATCH),
    ),
    by_test(
        "a sensitive column says whose row it is",
        a_sensitive_column_says_whose_row_it_is,
        *(_FITS, "test_no_cell_of_a_sensitive_column_says_whose_row_it_is", "scaler", {"age": None}),
    ),
    by_test(
        "bootstrapped rows unseen",
        repeated_rows_unseen,
        *(_FITS, "test_repeated_rows_are_a_leak_and_epsilon_stays_true", "scaler"),
        "a bootstrap with a new index",
    ),
    by_test(
        "bootstrapped rows accounted as single ones",
        repeated_rows_accounted_as_single_ones,
        *(_FITS, "test_repeated_rows_are_a_leak_and_epsilon_stays_true", "scaler"),
        "a bootstrap with a new index",
    ),
    by_test(
        "columns together cost the largest of them",
        the_largest_of_the_columns,
        *("privacy/test_ledger.py", "test_columns_together_cost_what_read_any_of_them_and_not_the_largest"),
    ),
    by_test(
        "training rows as support unseen",
        training_rows_as_support_unseen,
        *("tables/test_same_rows.py", "test_every_way_to_give_training_rows_is_found"),
        "a sample with a new index",
    ),
    by_test(
        "training rows as support beside an intact epsilon",
        an_intact_epsilon_beside_the_leak,
        *("tables/test_same_rows.py", "test_a_fit_warns_and_its_epsilon_is_infinite_everywhere"),
        lambda module: module.fusion,
    ),
    by_test(
        "nothing said of an empty promise",
        nothing_said_of_an_empty_promise,
        *("privacy/test_weak_budgets.py", "test_a_shared_budget_says_it_once_when_it_is_made"),
        *(1.0, 0.5, ["delta="]),
    ),
]
