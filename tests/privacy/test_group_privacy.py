"""Units of several rows: the pair that is accounted for, held against integration and closed forms."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from skfusiondp.accounting import (
    RELATIONS,
    BoundEntry,
    Clipping,
    LedgerEntry,
    PrivacyLedger,
    calibrate_noise_multiplier,
    compute_delta,
    compute_epsilon,
)
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.privacy import make_plan


def entry(sigma=1.0, q=0.02, steps=1, adjacency="replace", k=1, **more):
    return LedgerEntry(sigma, q, steps, adjacency, rows_per_unit=k, **more)


def hockey_stick(p, r, epsilon, cell):
    return float(np.clip(p - math.exp(epsilon) * r, 0, None).sum() * cell)


def one_step(epsilon, sigma, q, k, adjacency, points=60_001):
    """Delta of the extreme pair with C = 1, by numerical integration."""
    x = np.linspace(-k - 9 * sigma, k + 9 * sigma, points)
    weights = binom.pmf(np.arange(k + 1), k, q)

    def mixture(sign):
        return sum(w * norm.pdf(x, sign * m, sigma) for m, w in enumerate(weights))

    here = mixture(-1) if adjacency == "replace" else norm.pdf(x, 0, sigma)
    cell = x[1] - x[0]
    return max(hockey_stick(*pair, epsilon, cell) for pair in ((mixture(1), here), (here, mixture(1))))


@pytest.mark.parametrize("adjacency", RELATIONS)
@pytest.mark.parametrize(("sigma", "q", "k"), [(0.8, 0.1, 3), (2.0, 0.3, 8), (5.0, 0.03, 40)])
@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
@pytest.mark.one_in(4)
def test_one_sampled_release_of_a_unit(adjacency, sigma, q, k, epsilon):
    exact = one_step(epsilon, sigma, q, k, adjacency)
    bound = compute_delta([entry(sigma, q, 1, adjacency, k)], epsilon)
    assert exact - 1e-8 <= bound <= exact * 1.001 + 1e-8
    fewer = one_step(epsilon, sigma, q, k - 1, adjacency)
    assert fewer < bound - 1e-8 or bound < 1e-7  # the test can fail


def test_steps_compose_as_independent_releases():
    """Two steps by a convolution of the two-dimensional pair."""
    sigma, q, k, epsilon = 1.5, 0.3, 3, 0.7
    x = np.linspace(-k - 8 * sigma, k + 8 * sigma, 2001)
    weights = binom.pmf(np.arange(k + 1), k, q)
    up, down = (sum(w * norm.pdf(x, s * m, sigma) for m, w in enumerate(weights)) for s in (1, -1))
    exact = hockey_stick(np.outer(up, up), np.outer(down, down), epsilon, (x[1] - x[0]) ** 2)
    assert compute_delta([entry(sigma, q, 2, k=k)], epsilon) == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize(("adjacency", "times"), [("zero-out", 1), ("add-remove", 1), ("replace", 2)])
@pytest.mark.parametrize(("sigma", "steps", "k"), [(10.0, 1, 4), (40.0, 25, 3)])
def test_without_sampling_a_unit_moves_the_sum_k_times_as_far(adjacency, times, sigma, steps, k):
    mu, epsilon = times * k * math.sqrt(steps) / sigma, 0.6
    exact = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    bound = compute_delta([entry(sigma, 1.0, steps, adjacency, k)], epsilon)
    assert exact * (1 - 1e-6) <= bound <= exact * 1.001 + 1e-9


polar = st.tuples(st.floats(0, 1), st.floats(0, 2 * math.pi)).map(
    lambda p: (p[0] * math.cos(p[1]), p[0] * math.sin(p[1]))
)


def dominated(us, vs, sigma, q, epsilon, adjacency, k=None, points=241):
    """Whether a unit whose rows add `us` under one table and `vs` under the other is covered."""
    k = len(us) if k is None else k
    x = np.linspace(-len(us) - 7 * sigma, len(us) + 7 * sigma, points)

    def density(vectors):
        total = np.zeros((points, points))
        for chosen in itertools.product([0, 1], repeat=len(vectors)):
            weight = math.prod(q if c else 1 - q for c in chosen)
            w = np.array(chosen) @ np.array(vectors)
            total += weight * np.outer(norm.pdf(x, w[0], sigma), norm.pdf(x, w[1], sigma))
        return total

    found = hockey_stick(density(us), density(vs), epsilon, (x[1] - x[0]) ** 2)
    return found <= one_step(epsilon, sigma, q, k, adjacency, 6001) + 10 / points**2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(polar, polar), min_size=1, max_size=3), st.floats(0.4, 3), st.floats(0.01, 1),
       st.floats(0, 3))  # fmt: skip
@example([((1.0, 0.0), (-1.0, 0.0)), ((1.0, 0.0), (-1.0, 0.0))], 1.0, 0.3, 0.5)
@example([((1.0, 0.0), (-1.0, 0.0)), ((-1.0, 0.0), (1.0, 0.0))], 0.5, 0.5, 0.5)
@example([((1.0, 0.0), (0.0, 1.0)), ((0.0, 1.0), (-1.0, 0.0))], 0.5, 0.5, 0.0)
def test_aligned_opposite_vectors_dominate_whatever_a_units_rows_add(rows, sigma, q, epsilon):
    us, vs = [u for u, _ in rows], [v for _, v in rows]
    assert dominated(us, vs, sigma, q, epsilon, "replace")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(polar, st.booleans()), min_size=1, max_size=3), st.floats(0.4, 3),
       st.floats(0.01, 1), st.floats(0, 3), st.booleans())  # fmt: skip
@example([((1.0, 0.0), True), ((1.0, 0.0), True), ((0.0, 1.0), False)], 0.5, 0.5, 0.3, False)
def test_erasing_any_of_a_units_rows_is_covered_in_both_orders(rows, sigma, q, epsilon, swapped):
    us = [u for u, _ in rows]
    vs = [(0.0, 0.0) if erased else u for u, erased in rows]
    if swapped:
        us, vs = vs, us
    assert dominated(us, vs, sigma, q, epsilon, "zero-out")


def test_the_domination_tests_see_a_weaker_pair():
    aligned = [(1.0, 0.0)] * 3
    opposite = [(-1.0, 0.0)] * 3
    assert dominated(aligned, opposite, 1.0, 0.3, 0.3, "replace")
    assert not dominated(aligned, opposite, 1.0, 0.3, 0.3, "replace", k=2)
    assert not dominated(aligned, opposite, 1.0, 0.3, 0.3, "zero-out")
    assert not dominated(aligned, [(0.0, 0.0)] * 3, 1.0, 0.3, 0.3, "zero-out", k=2)


# Ledgers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("adjacency", RELATIONS)
def test_a_unit_costs_more_than_a_row_and_less_than_the_general_bound(adjacency):
    k, steps = 4, 50
    ledger = PrivacyLedger((entry(3.0, 0.1, steps, adjacency, k),))
    row, unit = ledger.epsilon(1e-6, of="row"), ledger.epsilon(1e-6)
    assert row == compute_epsilon([entry(3.0, 0.1, steps, adjacency)], 1e-6)
    assert 1.5 * row < unit == ledger.epsilon(1e-6, of="unit") == compute_epsilon(ledger.entries, 1e-6)
    tight = ledger.epsilon(1e-9, of="row")
    assert ledger.epsilon(1e-9 * sum(math.exp(j * tight) for j in range(k))) < k * tight
    assert ledger.delta(1.0, of="row") < ledger.delta(1.0)


def test_more_rows_cost_more_and_fewer_never_less():
    costs = [compute_epsilon([entry(3.0, 0.1, 20, k=k)], 1e-6) for k in (1, 2, 3, 5, 9)]
    assert costs == sorted(costs) and len(set(costs)) == 5


def test_where_rows_are_units_nothing_changes():
    ledger = PrivacyLedger((entry(), BoundEntry(0.5, 1e-7)))
    assert ledger.rows_per_unit == 1
    assert ledger.epsilon(1e-5) == ledger.epsilon(1e-5, of="row")


def test_an_entry_that_knows_of_no_units_counts_as_many_rows_as_the_others():
    alone, grouped = entry(5.0, 0.2, 3), entry(6.0, 0.2, 3, k=4)
    mixed = compute_epsilon([alone, grouped], 1e-6)
    assert mixed == compute_epsilon([dataclasses.replace(alone, rows_per_unit=4), grouped], 1e-6)
    capped = dataclasses.replace(alone, rows_per_unit=2)
    assert compute_epsilon([capped, grouped], 1e-6) < mixed
    assert compute_epsilon([alone, grouped], 1e-6, of="row") < mixed / 2


def test_the_bound_of_a_row_grows_by_the_general_formula_and_that_of_a_unit_does_not():
    beside = entry(1e9, 1.0, 1, k=3)
    bound = BoundEntry(0.5, 1e-8)
    delta = 1e-8 * (1 + math.exp(0.5) + math.exp(1.0))
    assert compute_epsilon([bound, beside], delta * 1.001) == pytest.approx(1.5, abs=1e-3)
    assert compute_epsilon([bound, beside], delta * 0.99) == math.inf
    assert compute_delta([bound, beside], 1.6) == pytest.approx(delta, rel=1e-6)
    own = dataclasses.replace(bound, rows_per_unit=3)
    assert compute_epsilon([own, beside], 2e-8) == pytest.approx(0.5, abs=1e-3)
    assert compute_epsilon([own, beside], 2e-8, of="row") == pytest.approx(0.5, abs=1e-3)
    assert compute_epsilon([BoundEntry(400.0, 1e-8), beside], 1e-3) == math.inf
    assert compute_epsilon([BoundEntry(0.0, 1e-8), beside], 4e-8) < 1e-3


def test_rows_of_a_unit_may_lie_in_every_part():
    parts = PrivacyLedger((entry(8.0, 1.0, 1, k=2),))
    both = parts.on("site/a") + parts.on("site/b")
    assert both.epsilon(1e-5, of="row") == parts.epsilon(1e-5, of="row")
    assert both.epsilon(1e-5) == (parts + parts).epsilon(1e-5) > parts.epsilon(1e-5)


def test_the_number_of_rows_is_kept_in_json_and_checked():
    ledger = PrivacyLedger((entry(k=3), BoundEntry(1.0, 1e-6, rows_per_unit=5)))
    assert PrivacyLedger.from_json(ledger.to_json()) == ledger and ledger.rows_per_unit == 5
    old = ledger.to_json().replace('"rows_per_unit": 3', '"part": ""')
    assert PrivacyLedger.from_json(old).entries[0].rows_per_unit == 1
    for wrong in (0, 1.5, -1, "2", None, True, math.inf):
        with pytest.raises(InvalidInputError, match="rows_per_unit"):
            entry(k=wrong)
        with pytest.raises(InvalidInputError, match="rows_per_unit"):
            BoundEntry(1.0, 1e-6, rows_per_unit=wrong)
    with pytest.raises(InvalidInputError, match="of="):
        ledger.epsilon(1e-5, of="person")


@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
@pytest.mark.parametrize(("q", "steps", "k"), [(0.05, 40, 3), (1.0, 3, 8), (0.02, 100, 20)])
def test_calibration_meets_a_units_target_and_is_tight(adjacency, q, steps, k):
    sigma = calibrate_noise_multiplier(1.0, 1e-5, q, steps, adjacency, rows_per_unit=k)
    spent = compute_epsilon([entry(sigma, q, steps, adjacency, k)], 1e-5)
    less = compute_epsilon([entry(sigma * 0.99, q, steps, adjacency, k)], 1e-5)
    assert spent <= 1.0 < less


@pytest.mark.parametrize("columns", [None, {"age": None, "sex": 0.5}], ids=["one", "tiers"])
def test_a_plans_epsilon_is_that_of_a_unit(columns):
    settings = {"batch_size": 100, "steps": 20, "noise_multiplier": None, "delta": 1e-6}
    settings |= {"clipping": Clipping(1.0), "adjacency": "replace", "columns": columns}
    plan = make_plan(1000, epsilon=2.0, rows_per_unit=4, **settings)
    ledger = plan.ledger(20)
    assert plan.rows_per_unit == ledger.rows_per_unit == 4
    assert 1.98 < ledger.epsilon(1e-6) <= 2.0
    assert ledger.epsilon(1e-6, of="row") < 1.0
    noise = {**settings, "columns": None, "noise_multiplier": 3.0}
    given = make_plan(1000, epsilon=None, rows_per_unit=4, **noise)
    assert {e.rows_per_unit for e in given.ledger(20)} == {4}
    with pytest.raises(InvalidInputError, match="rows_per_unit"):
        make_plan(1000, epsilon=2.0, rows_per_unit=0, **settings)
