"""The ledger: immutable, mergeable, and strict about what it reads."""

import dataclasses
import json
import math

import pytest

from skfusiondp.accounting import LedgerEntry, PrivacyLedger
from skfusiondp.exceptions import InvalidInputError

STEP = LedgerEntry(1.5, 0.05, 40, "zero-out", ("age", "sex"), 800, "test")


def test_json_round_trip():
    ledger = PrivacyLedger((STEP, LedgerEntry(0.0, 1.0, 1, "zero-out")))
    again = PrivacyLedger.from_json(ledger.to_json())
    assert again == ledger
    assert again.entries[0].protects == ("age", "sex")
    assert json.loads(ledger.to_json())["version"] == 1


def test_merging_keeps_order_and_costs_more():
    other = dataclasses.replace(STEP, steps=7)
    merged = PrivacyLedger((STEP,)) + PrivacyLedger((other,))
    assert list(merged) == [STEP, other] and len(merged) == 2
    alone = PrivacyLedger((STEP,)).epsilon(1e-5)
    assert alone < merged.epsilon(1e-5) < alone + PrivacyLedger((other,)).epsilon(1e-5)


def test_two_halves_cost_as_much_as_the_whole():
    half = PrivacyLedger((dataclasses.replace(STEP, steps=20),))
    assert (half + half).epsilon(1e-5) == pytest.approx(PrivacyLedger((STEP,)).epsilon(1e-5), rel=1e-3)


def test_is_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PrivacyLedger((STEP,)).entries = ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        STEP.steps = 1


def test_nothing_read_costs_nothing_and_no_noise_costs_infinitely_much():
    assert PrivacyLedger().epsilon(1e-5) == 0.0
    assert PrivacyLedger().delta(1.0) == 0.0
    raw = PrivacyLedger((STEP, dataclasses.replace(STEP, noise_multiplier=0)))
    assert raw.epsilon(1e-5) == math.inf
    assert raw.delta(100.0) == 1.0


def test_epsilon_and_delta_are_inverse():
    ledger = PrivacyLedger((STEP,))
    assert ledger.delta(ledger.epsilon(1e-5)) == pytest.approx(1e-5, rel=1e-2)


@pytest.mark.parametrize(
    "change",
    [
        {"noise_multiplier": -1.0},
        {"noise_multiplier": math.nan},
        {"noise_multiplier": math.inf},
        {"noise_multiplier": True},
        {"noise_multiplier": "1"},
        {"sample_rate": 0},
        {"sample_rate": 1.5},
        {"sample_rate": math.nan},
        {"steps": 0},
        {"steps": 2.5},
        {"steps": -3},
        {"steps": math.inf},
        {"steps": math.nan},
        {"steps": None},
        {"adjacency": "substitute"},
    ],
    ids=str,
)
def test_refuses_invalid_entries(change):
    with pytest.raises(InvalidInputError, match="no valid ledger entry"):
        dataclasses.replace(STEP, **change)


def text(version=1, **change):
    entry = {**dataclasses.asdict(STEP), **change}
    return json.dumps({"version": version, "entries": [entry]})


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "not json",
        "[]",
        "null",
        "7",
        '{"entries": []}',
        '{"version": 1}',
        '{"version": 1, "entries": [5]}',
        '{"version": 1, "entries": [{"noise_multiplier": 1.0}]}',
        text(version=2),
        text(unknown=3),
        text(steps=-1),
        text(steps=math.inf),
        text(noise_multiplier="loud"),
        text(adjacency=["replace"]),
        None,
    ],
)
def test_refuses_texts_that_are_no_ledger(broken):
    with pytest.raises(InvalidInputError):
        PrivacyLedger.from_json(broken)


def column_entry(sigma, *columns):
    return LedgerEntry(sigma, 1.0, 1, protects=columns)


def test_columns_together_cost_what_read_any_of_them_and_not_the_largest():
    ledger = PrivacyLedger((column_entry(1.0, "age"), column_entry(1.0, "sex"), column_entry(3.0, "wage")))
    alone = ledger.epsilon_by_column(1e-5)
    both = ledger.epsilon_of_columns(["age", "sex"], 1e-5)
    assert list(alone) == ["age", "sex", "wage"] and alone["age"] == alone["sex"]
    assert both == PrivacyLedger((column_entry(1.0, "age"),) * 2).epsilon(1e-5) > 1.5 * alone["age"]
    assert ledger.epsilon_of_columns(("wage",), 1e-5) == alone["wage"]
    assert ledger.epsilon_of_columns({"age", "sex", "wage"}, 1e-5) == ledger.epsilon(1e-5) > both
    assert ledger.epsilon_of_columns(["height"], 1e-5) == 0 == ledger.epsilon_of_columns([], 1e-5)


def test_entries_that_name_no_column_count_for_every_column():
    whole = column_entry(2.0)
    ledger = PrivacyLedger((column_entry(1.0, "age"), whole))
    assert ledger.epsilon_of_columns(["sex"], 1e-5) == PrivacyLedger((whole,)).epsilon(1e-5)
    with pytest.raises(InvalidInputError, match="columns="):
        ledger.epsilon_of_columns("age", 1e-5)


def test_a_column_read_by_a_tier_of_its_own_in_one_fit_and_together_in_another():
    """Swapped refits: neither column's own value covers both."""
    first = (column_entry(4.0, "sex"), column_entry(1.0, "sex", "age"))
    swapped = (column_entry(4.0, "age"), column_entry(1.0, "age", "sex"))
    ledger = PrivacyLedger(first + swapped)
    assert ledger.epsilon_of_columns(["age", "sex"], 1e-5) > max(ledger.epsilon_by_column(1e-5).values())
