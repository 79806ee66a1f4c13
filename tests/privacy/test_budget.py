"""A shared budget: asked before a fit, paid right before a read, and never overdrawn by whoever shares it."""

import copy
import json
import multiprocessing
import os
import pickle
import threading
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from skfusiondp import (
    FusionDPClassifier,
    PrivacyBudget,
    PrivacyBudgetError,
    PrivacyLedger,
)
from skfusiondp.accounting import BoundEntry, LedgerEntry
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.privacy._budget import spending

FIT = PrivacyLedger((LedgerEntry(20.0, 1.0, 10),))


def spend(budget, planned=FIT):
    with budget.spending(planned) as pay:
        pay()


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


SHORT = PrivacyLedger((LedgerEntry(20.0, 1.0, 3),))


@pytest.mark.parametrize("end", [None, RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("paid", [(), (FIT,), (SHORT,), (SHORT, SHORT)], ids=len)
def test_however_a_block_ends_it_has_paid_what_it_said_before_it_read(end, paid):
    budget = PrivacyBudget(2.0, 1e-5)
    try:
        with budget.spending(FIT) as pay:
            for ledger in paid:
                pay(ledger)
            if end is not None:
                raise end("stopped")
    except BaseException as error:
        assert type(error) is end
    assert budget.ledger == sum(paid, PrivacyLedger())
    assert json.loads(Path(budget.path).read_text())["reserved"] == {}


def test_paying_more_than_was_planned_is_refused_before_it_is_read():
    budget, read = PrivacyBudget(FIT.epsilon(1e-5) * 1.01, 1e-5), []
    with pytest.raises(PrivacyBudgetError), budget.spending(FIT) as pay:
        pay(FIT + FIT)
        read.append(True)
    assert not read and budget.spent == 0


@pytest.mark.parametrize("more", [False, True])
def test_a_killed_process_has_paid_its_plan_or_more_where_it_said_so(more):
    budget = PrivacyBudget(4.0, 1e-5)

    def die():
        with budget.spending(FIT) as pay:
            pay(FIT + FIT if more else SHORT)
            os._exit(9)

    process = multiprocessing.get_context("fork").Process(target=die)
    process.start()
    process.join()
    assert process.exitcode == 9
    assert budget.ledger == (FIT + FIT if more else FIT)


def test_a_running_fit_counts_for_the_next():
    budget = PrivacyBudget(FIT.epsilon(1e-5) * 1.01, 1e-5)
    with budget.spending(FIT), pytest.raises(PrivacyBudgetError):
        spend(budget)
    spend(budget)


def test_copies_pickles_and_paths_are_the_same_budget(tmp_path):
    path = tmp_path / "budget.json"
    budget = PrivacyBudget(4.0, 1e-5, path=path)
    estimator = clone(FusionDPClassifier(budget=budget))
    for other in (copy.deepcopy(budget), pickle.loads(pickle.dumps(budget)), estimator.budget):
        assert other == budget
        spend(other)
    with spending(str(path), FIT) as pay:
        pay()
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


@pytest.mark.parametrize("linked", ["file", "folder", "dangling", "moved"])
def test_every_path_to_a_file_is_one_budget(tmp_path, linked):
    folder = tmp_path / "real"
    folder.mkdir()
    path, link = folder / "budget.json", tmp_path / "link"
    if linked == "dangling":
        link.symlink_to(path)
        PrivacyBudget(2.0, 1e-5, path=link)
    first = PrivacyBudget(2.0, 1e-5, path=path)
    if linked == "file":
        link.symlink_to(path)
    if linked == "folder":
        link.symlink_to(folder)
        link = link / "budget.json"
    if linked == "moved":
        path.rename(link)
        path.symlink_to(link)
    second = PrivacyBudget.open(link)
    spend(first)
    spend(second)
    assert first.ledger == second.ledger == PrivacyBudget.open(path).ledger == FIT + FIT
    assert path.is_symlink() == (linked == "moved")
    assert first == second or linked == "moved"


def test_a_file_with_a_second_name_is_refused(tmp_path):
    path, other = tmp_path / "budget.json", tmp_path / "other.json"
    budget = PrivacyBudget(2.0, 1e-5, path=path)
    os.link(path, other)
    for use in (lambda: spend(budget), lambda: budget.spent, lambda: PrivacyBudget.open(other)):
        with pytest.raises(InvalidInputError, match="hard link"):
            use()
    other.unlink()
    spend(budget)
    assert budget.ledger == FIT


def test_a_file_that_vanished_is_never_taken_for_unspent(tmp_path):
    path = tmp_path / "budget.json"
    budget = PrivacyBudget(2.0, 1e-5, path=path)
    spend(budget)
    pickled, saved = pickle.dumps(budget), path.read_text()
    path.unlink()
    uses = [
        lambda: budget.spent,
        lambda: spend(budget),
        lambda: pickle.loads(pickled).ledger,
        lambda: copy.deepcopy(budget).spent,
        lambda: PrivacyBudget(2.0, 1e-5, path=path),
        lambda: PrivacyBudget.open(path),
        lambda: FusionDPClassifier(budget=budget, sensitive=["a"]).budget.spent,
    ]
    for use in uses:
        with pytest.raises(InvalidInputError, match="the file is gone"):
            use()
        assert not path.exists()
    (tmp_path / "budget.json.lock").unlink()
    for use in uses[:4]:
        with pytest.raises(InvalidInputError, match="the file is gone"):
            use()
    path.write_text(saved)
    assert budget.ledger == FIT


def test_a_file_that_vanishes_while_a_fit_runs_is_not_made_anew(tmp_path):
    budget = PrivacyBudget(2.0, 1e-5, path=tmp_path / "budget.json")
    with pytest.raises(InvalidInputError, match="the file is gone"), budget.spending(FIT) as pay:
        pay()
        os.unlink(budget.path)
    assert not os.path.exists(budget.path)


def start(path, barrier, failed):
    barrier.wait()
    try:
        spend(PrivacyBudget(50.0, 1e-5, path=path))
    except Exception:
        failed.value += 1
        raise


def test_processes_that_start_a_budget_at_once_share_it(tmp_path):
    context = multiprocessing.get_context("fork")
    for trial in range(5):
        path, failed = tmp_path / f"{trial}.json", context.Value("i", 0)
        barrier = context.Barrier(4)
        workers = [context.Process(target=start, args=(path, barrier, failed)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not failed.value and len(PrivacyBudget.open(path).ledger) == 4


def test_a_lock_that_another_process_has_just_made_is_no_vanished_budget(tmp_path):
    path = tmp_path / "budget.json"
    (tmp_path / "budget.json.lock").touch()  # where the first process stands before it writes the file
    other = PrivacyBudget(2.0, 1e-5, path=tmp_path / "there.json")
    timer = threading.Timer(0.3, os.rename, (other.path, path))
    timer.start()
    assert PrivacyBudget(2.0, 1e-5, path=path).ledger == PrivacyLedger()
    timer.join()


numbers = [np.float32, np.float64, Fraction, lambda v: Decimal(repr(v)), np.longdouble]


@pytest.mark.parametrize("number", numbers)
def test_numbers_of_every_kind_are_kept_as_plain_ones(number, tmp_path):
    path = tmp_path / "budget.json"
    budget = PrivacyBudget(number(2.5), number(2**-15), path=path)
    assert type(budget.epsilon) is float and type(budget.delta) is float
    assert budget == PrivacyBudget(2.5, 2**-15, path=path) == PrivacyBudget.open(path)
    entry = LedgerEntry(number(20.0), number(0.5), number(3.0), n_rows=np.int64(7))
    assert entry == LedgerEntry(20.0, 0.5, 3, n_rows=7)
    assert [type(v) for v in entry.mechanism] == [float, float, int, int]
    ledger = PrivacyLedger((entry, BoundEntry(number(0.5), number(2**-20))))
    spend(budget, ledger)
    assert budget.ledger == ledger == PrivacyLedger.from_json(ledger.to_json())
    assert ledger.epsilon(number(2**-14)) == ledger.epsilon(2**-14)
    assert ledger.delta(number(1.5)) == ledger.delta(1.5)


@pytest.mark.parametrize("integer", [np.int8, np.int64, np.uint16, Fraction, Decimal])
def test_whole_numbers_of_every_kind(integer):
    budget = PrivacyBudget(integer(2), 1e-5)
    assert type(budget.epsilon) is float
    entry = LedgerEntry(integer(20), integer(1), integer(3))
    assert [type(v) for v in (entry.noise_multiplier, entry.sample_rate, entry.steps)] == [float, float, int]
    spend(budget, PrivacyLedger((entry,)))
    assert budget.ledger.entries == (LedgerEntry(20.0, 1.0, 3),)


@pytest.mark.parametrize(
    "wrong", [True, np.bool_(True), "1", None, [1.0], 1j, Decimal("NaN"), Decimal("sNaN"), 10**400, np.nan]
)
def test_what_is_no_number_is_refused(wrong):
    with pytest.raises(InvalidInputError, match="epsilon="):
        PrivacyBudget(wrong, 1e-5)
    with pytest.raises(InvalidInputError, match="delta="):
        PrivacyBudget(1.0, wrong)
    with pytest.raises(InvalidInputError):
        LedgerEntry(wrong, 1.0, 1)


@pytest.mark.parametrize("use", [PrivacyBudget.open, lambda path: PrivacyBudget(1.0, 1e-5, path=path)])
def test_a_path_that_is_none_is_refused_in_words(use):
    with pytest.raises(InvalidInputError, match=r"path='a\\x00'|budget='a\\x00'"):
        use("a\0")


def test_of_a_fit_without_noise_the_message_says_so_and_how_to_mend_it():
    budget = PrivacyBudget(2.0, 1e-5)
    bare = PrivacyLedger((LedgerEntry(0.0, 1.0, 1, "replace", ("age",), 100, "Paired.fit"),))
    with (
        pytest.raises(
            PrivacyBudgetError, match=r"Paired.fit would read true cells of age without noise"
        ) as said,
        budget.spending(bare, 1e-4),
    ):
        pass
    assert "Lower the fit's epsilon" not in str(said.value) and "give the fit delta" not in str(said.value)
    assert budget.spent == 0 and not len(budget.ledger)


def test_of_a_fit_of_next_to_no_noise_the_message_says_that():
    budget = PrivacyBudget(2.0, 1e-5)
    little = PrivacyLedger((LedgerEntry(1e-3, 1.0, 1, "replace", ("age",), 100),))
    with pytest.raises(
        PrivacyBudgetError, match=r"noise_multiplier=0.001 is so little.*a larger one"
    ) as said:
        budget._check(little, PrivacyLedger())
    assert "without noise" not in str(said.value)


def test_of_a_bound_at_too_large_a_delta_the_message_says_that():
    budget = PrivacyBudget(5.0, 1e-5)
    noised = LedgerEntry(1.0, 1.0, 1, "replace", ("age",), 100)
    known = PrivacyLedger((noised, BoundEntry(1.0, 1e-3, "replace", ("age",), 100, "Search.fit")))
    with pytest.raises(
        PrivacyBudgetError, match=r"Search.fit is known to have epsilon=1 at delta=0.001 alone.*delta=1e-05"
    ) as said:
        budget._check(known, PrivacyLedger())
    assert "noise_multiplier" not in str(said.value)
