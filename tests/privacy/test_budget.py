"""A shared budget: asked before, settled after, and never overdrawn by whoever shares its file."""

import copy
import json
import multiprocessing
import pickle
import threading

import pytest
from sklearn.base import clone

from skfusiondp import FusionDPClassifier, PrivacyBudget, PrivacyBudgetError, PrivacyLedger
from skfusiondp._exceptions import InvalidInputError
from skfusiondp.accounting import LedgerEntry
from skfusiondp.privacy._budget import spending

FIT = PrivacyLedger((LedgerEntry(20.0, 1.0, 10),))


def spend(budget, planned=FIT, spent=None):
    with budget.spending(planned) as settle:
        settle(planned if spent is None else spent)


def test_spends_until_the_next_fit_would_overdraw():
    budget = PrivacyBudget(2.0, 1e-5)
    total, fits = PrivacyLedger(), 0
    while (total + FIT).epsilon(1e-5) <= 2.0:
        spend(budget)
        total, fits = total + FIT, fits + 1
    assert fits >= 2 and budget.ledger == total
    assert budget.spent == total.epsilon(1e-5) <= 2.0
    with pytest.raises(PrivacyBudgetError, match="above the budget of 2"):
        spend(budget)
    assert budget.ledger == total


def test_a_refused_block_never_runs():
    budget, ran = PrivacyBudget(0.01, 1e-5), []
    with pytest.raises(PrivacyBudgetError), budget.spending(FIT):
        ran.append(True)
    assert not ran


def test_what_really_ran_replaces_the_plan():
    budget = PrivacyBudget(2.0, 1e-5)
    short = PrivacyLedger((LedgerEntry(20.0, 1.0, 3),))
    spend(budget, FIT, short)
    assert budget.ledger == short


def test_a_block_that_dies_has_paid_its_plan():
    budget = PrivacyBudget(2.0, 1e-5)
    with pytest.raises(RuntimeError), budget.spending(FIT):
        raise RuntimeError("killed")
    assert budget.ledger == FIT


def test_a_running_fit_counts_for_the_next():
    budget = PrivacyBudget(FIT.epsilon(1e-5) * 1.01, 1e-5)
    with budget.spending(FIT) as settle:
        with pytest.raises(PrivacyBudgetError):
            spend(budget)
        settle(PrivacyLedger())
    spend(budget)


def test_copies_pickles_and_paths_are_the_same_budget(tmp_path):
    path = tmp_path / "budget.json"
    budget = PrivacyBudget(4.0, 1e-5, path=path)
    estimator = clone(FusionDPClassifier(budget=budget))
    for other in (copy.deepcopy(budget), pickle.loads(pickle.dumps(budget)), estimator.budget):
        assert other == budget
        spend(other)
    with spending(str(path), FIT) as settle:
        settle(FIT)
    assert len(budget.ledger) == 4
    assert PrivacyBudget.open(path) == budget


def spend_some(budget, refused):
    for _ in range(6):
        try:
            spend(budget)
        except PrivacyBudgetError:
            refused.append(1)


def test_threads_and_processes_never_overdraw_together():
    budget = PrivacyBudget(2.0, 1e-5)
    refused: list = []
    threads = [threading.Thread(target=spend_some, args=(budget, refused)) for _ in range(3)]
    context = multiprocessing.get_context("fork")
    process = context.Process(target=spend_some, args=(budget, []))
    for worker in (*threads, process):
        worker.start()
    for worker in (*threads, process):
        worker.join()
    total = FIT
    while (total + FIT).epsilon(1e-5) <= 2.0:
        total = total + FIT
    assert budget.ledger == total


def test_relations_do_not_mix():
    budget = PrivacyBudget(2.0, 1e-5, adjacency="zero-out")
    with pytest.raises(PrivacyBudgetError, match="replace"):
        spend(budget)


@pytest.mark.parametrize(
    "change",
    [{"epsilon": 0}, {"epsilon": "1"}, {"delta": 1}, {"delta": None}, {"adjacency": "swap"}],
    ids=str,
)
def test_refuses_invalid_budgets(change):
    with pytest.raises(InvalidInputError):
        PrivacyBudget(**{"epsilon": 1.0, "delta": 1e-5, **change})


def test_a_budget_never_changes(tmp_path):
    path = tmp_path / "budget.json"
    PrivacyBudget(1.0, 1e-5, path=path)
    with pytest.raises(InvalidInputError, match="differs from"):
        PrivacyBudget(2.0, 1e-5, path=path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"version": 1, "reserved": {}}', "\x00"])
def test_refuses_files_that_hold_no_budget_and_leaves_them(tmp_path, text):
    path = tmp_path / "budget.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match="holds no privacy budget"):
        PrivacyBudget(1.0, 1e-5, path=path)
    with pytest.raises(InvalidInputError, match="holds no privacy budget"):
        PrivacyBudget.open(path)
    assert path.read_text() == text


def test_refuses_a_ledger_in_the_file_that_was_tampered_with(tmp_path):
    path = tmp_path / "budget.json"
    PrivacyBudget(1.0, 1e-5, path=path)
    state = json.loads(path.read_text())
    state["spent"] = state["spent"].replace("[]", '[{"noise_multiplier": -1}]')
    path.write_text(json.dumps(state))
    with pytest.raises(InvalidInputError):
        PrivacyBudget.open(path)


def test_refuses_other_budgets_and_absent_files(tmp_path):
    for wrong in (3, tmp_path / "none.json", [1]):
        with pytest.raises(InvalidInputError, match="budget="), spending(wrong, FIT):
            pass
    with pytest.raises(InvalidInputError, match="cannot hold"):
        PrivacyBudget(1.0, 1e-5, path=tmp_path)
