"""Thousands of generated values: each works, or is refused in words; no crash, no NaN, nothing half-made."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from generated_inputs.columns import cells as column_of
from generated_inputs.junk import anything, cells, good, numbers, others
from generated_inputs.outcomes import attempt
from generated_inputs.runs import FEW, MANY, generated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skfusiondp import Categorical, Numeric, PrivacyBudget, PrivacyLedger
from skfusiondp.accounting import BoundEntry, Clipping, LedgerEntry, calibrate_noise_multiplier


@generated(
    "cheap", anything, anything, anything, st.one_of(st.none(), st.lists(anything, max_size=3), anything)
)
def test_numeric_domains(low, high, epsilon, knots):
    domain = attempt(Numeric, low, high, epsilon=epsilon, knots=knots)
    if domain is not None:
        encoded = domain.encode([0.0, np.nan, 1e308, -1e308, None])
        assert np.isfinite(encoded).all() and encoded.shape == (5, domain.width)
        assert domain.low < domain.high and json.dumps(domain.to_dict())


@generated("cheap", st.one_of(anything, st.lists(anything, max_size=4)), anything)
def test_categorical_domains(categories, epsilon):
    domain = attempt(Categorical, categories, epsilon=epsilon)
    if domain is not None:
        encoded = domain.encode([*domain.categories, None, "?"])
        assert (encoded.sum(1) == 1).all() and len(domain.categories) >= 1


@generated("cheap", st.sampled_from(list(good.values())), st.lists(cells, max_size=6))
def test_cells_of_a_domain(domain, values):
    encoded = attempt(domain.encode, column_of(values))
    if encoded is not None:
        assert encoded.shape == (len(values), domain.width) and np.isfinite(encoded).all()


fields = st.fixed_dictionaries(
    {},
    optional={
        name: st.one_of(numbers, anything)
        for name in (
            "noise_multiplier",
            "sample_rate",
            "steps",
            "adjacency",
            "protects",
            "n_rows",
            "source",
            "part",
        )
    },
)


@generated("cheap", fields, st.sampled_from([LedgerEntry, BoundEntry]))
def test_ledger_entries(changes, kind):
    start = {"noise_multiplier": 1.0, "sample_rate": 0.5, "steps": 1} if kind is LedgerEntry else {}
    start = start or {"epsilon": 1.0, "delta": 1e-6}
    renamed = {"noise_multiplier": "epsilon", "sample_rate": "delta"} if kind is BoundEntry else {}
    changes = {renamed.get(k, k): v for k, v in changes.items() if not (kind is BoundEntry and k == "steps")}
    entry = attempt(kind, **{**start, **changes})
    small = (
        entry is not None and getattr(entry, "steps", 1) < 100 and getattr(entry, "noise_multiplier", 1) > 0.1
    )
    if small and isinstance(entry, LedgerEntry):
        cost = attempt(PrivacyLedger((entry,)).epsilon, 1e-5)
        assert cost is None or not math.isnan(cost)


def broken(text, draw):
    """A JSON text with something in it replaced, cut or put in."""
    what = draw(st.sampled_from(["value", "key", "cut", "insert", "type", "text"]))
    value = json.loads(text)
    if what == "text":
        return draw(st.text(max_size=30))
    if what == "type":
        return json.dumps(draw(st.one_of(st.none(), st.integers(), st.lists(st.integers()), st.just({}))))
    if what in ("value", "key"):
        where, json_value = value, None
        while isinstance(where, dict | list) and where and draw(st.booleans()):
            keys = list(where) if isinstance(where, dict) else list(range(len(where)))
            json_value, key = where, draw(st.sampled_from(keys))
            where = where[key]
        if json_value is not None:
            new = draw(
                st.sampled_from([None, "", -1, 1e308, "inf", [], {}, [None], True, "1", 10**30, 0, "NaN"])
            )
            if what == "key" and isinstance(json_value, dict):
                json_value["unknown"] = json_value.pop(key)
            else:
                json_value[key] = new
        return json.dumps(value)
    at = draw(st.integers(0, len(text)))
    return text[:at] if what == "cut" else text[:at] + draw(st.text(min_size=1, max_size=3)) + text[at:]


LEDGER = PrivacyLedger((LedgerEntry(2.0, 0.1, 3, protects=("age",)), BoundEntry(0.5, 1e-6))).to_json()


@st.composite
def ledgers(draw):
    return draw(st.one_of(anything, st.just(broken(LEDGER, draw))))


@generated("cheap", ledgers())
def test_ledger_texts(text):
    ledger = attempt(PrivacyLedger.from_json, text)
    if ledger is not None:
        assert PrivacyLedger.from_json(ledger.to_json()) == ledger
        assert all(isinstance(c, str) for e in ledger for c in e.protects)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("budgets")


def a_budgets_file():
    path = FOLDER / "good.json"
    # A budget of its own each time: a file that vanished beside its lock is one that was spent from.
    for file in (path, path.with_name("good.json.lock")):
        file.unlink(missing_ok=True)
    budget = PrivacyBudget(2.0, 1e-5, path=path)
    with budget.spending(PrivacyLedger()) as pay:
        pay(PrivacyLedger.from_json(LEDGER))
    return path.read_text()


@st.composite
def budget_files(draw):
    return broken(a_budgets_file(), draw)


@pytest.mark.usefixtures("folder")
class TestBudgets:
    """Files that hold no budget are refused, and left as they are."""

    @pytest.mark.parametrize(
        "count", [FEW["cheap"], pytest.param(MANY["cheap"], marks=pytest.mark.slow)], ids=["few", "many"]
    )
    def test_files(self, count):
        path = FOLDER / "budget.json"

        quiet = list(HealthCheck)

        @settings(max_examples=count, suppress_health_check=quiet)
        @given(budget_files())
        def run(text):
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            before = path.read_bytes()
            budget = attempt(PrivacyBudget.open, path)
            assert path.read_bytes() == before
            assert budget is None or (budget.epsilon > 0 and 0 < budget.delta < 1 and len(budget.ledger) >= 0)

        run()


@generated("cheap", anything, anything, anything)
def test_budget_values(epsilon, delta, adjacency):
    budget = attempt(PrivacyBudget, epsilon, delta, adjacency=adjacency)
    assert budget is None or 0 < float(budget.epsilon) < math.inf


@generated("cheap", anything, anything)
def test_clipping(norm, kind):
    clipping = attempt(Clipping, norm, "flat") or attempt(Clipping, 1.0, kind)
    if clipping is not None:
        assert attempt(clipping.sensitivity, "replace") is None or clipping.sensitivity("replace") > 0


@generated("table", st.one_of(others, st.sampled_from([0.1, 1.0, 8, 0, -1, math.inf, math.nan, True])))
def test_calibration(epsilon):
    sigma = attempt(calibrate_noise_multiplier, epsilon, 1e-5, 1.0, 1)
    assert sigma is None or (sigma > 0 and math.isfinite(sigma))


def test_each_slow_run_has_ten_thousand_examples():
    here = Path(__file__).parent
    source = "".join(file.read_text(encoding="utf-8") for file in here.glob("test_*generated*.py"))
    counts = {kind: len(re.findall(rf'^@generated\(\s*"{kind}"', source, re.MULTILINE)) for kind in MANY}
    counts["cheap"] += 1  # TestBudgets
    assert sum(MANY[kind] * n for kind, n in counts.items()) >= 10_000
