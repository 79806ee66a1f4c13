"""The proof names tests that exist; and its lemmas on ledgers, held against closed forms."""

import ast
import math
import re
from pathlib import Path

import pytest

from skfusiondp import PrivacyLedger
from skfusiondp.accounting import (
    BoundEntry,
    LedgerEntry,
    compute_delta,
    compute_epsilon,
)

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "guarantee.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


def functions(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_proof_names_many_tests():
    assert len(NAMED) >= 35


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_the_proof_names_exists(path, name):
    assert (ROOT / path).exists() and name in functions(path)


def test_every_lemma_names_its_test():
    """From each bold heading of a lemma, and each section, to its next there is a line of tests."""
    body = TEXT[TEXT.index("## 1.") : TEXT.index("## What this does not prove")]
    for section in re.split(r"^## ", body, flags=re.M)[1:]:
        assert "*Tests:*" in section, section[:60]
    for lemma in (
        "Coupling",
        "Sensitivity",
        "Poisson",
        "Composition with",
        "Post-processing",
        "Training only",
    ):
        after = body[body.index(f"**{lemma}") :]
        assert "*Tests:*" in re.split(r"\n\*\*|^## ", after[2:], flags=re.M)[0], lemma
    for lemma in ("telescoping", "Sequential", "Parallel", "Budget", "units", "Bounds and parts"):
        assert "*Tests:*" in body[body.index(lemma) :]


FEW = LedgerEntry(noise_multiplier=4.0, sample_rate=1.0, steps=1)
MORE = LedgerEntry(noise_multiplier=2.0, sample_rate=1.0, steps=1)


def test_parts_of_one_partition_cost_the_largest_of_them():
    few, more = PrivacyLedger((FEW,)), PrivacyLedger((MORE,))
    alone = more.epsilon(1e-5)
    assert (few.on("site/a") + more.on("site/b")).epsilon(1e-5) == alone
    assert (few + more.on("site/b")).epsilon(1e-5) == (few + more).epsilon(1e-5) > alone
    # A row lies in one part of each partition.
    crossed = few.on("site/a") + more.on("site/b") + few.on("age/young") + more.on("age/old")
    assert crossed.epsilon(1e-5) == (more + more).epsilon(1e-5)
    # The same part twice is no parallel composition.
    assert (more.on("site/b") + more.on("site/b")).epsilon(1e-5) == (more + more).epsilon(1e-5)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 0.9])
def test_a_bound_is_randomised_response_that_fails_with_probability_delta(epsilon):
    """Kairouz, Oh and Viswanath (2015): the pair that dominates every (epsilon, delta)-private mechanism."""
    own, delta = 1.0, 1e-3
    exact = delta + (1 - delta) * (math.exp(own) - math.exp(epsilon)) / (1 + math.exp(own))
    bound = compute_delta([BoundEntry(own, delta)], epsilon)
    assert exact <= bound + 1e-12 and bound == pytest.approx(exact, rel=1e-3)


def test_two_bounds_compose_below_the_sum_and_above_one():
    one = BoundEntry(0.5, 0.0)
    assert 0.5 < compute_epsilon([one, one], 1e-2) <= 1.0 + 1e-4
    assert compute_epsilon([one], 1e-12) == pytest.approx(0.5, abs=1e-3)
    assert compute_epsilon([BoundEntry(0.5, 1e-3)], 1e-4) == math.inf
