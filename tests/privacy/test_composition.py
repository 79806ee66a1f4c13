"""Compositions, held against an inverse Laplace transform without a grid, and against dp-accounting."""

import itertools
import math
import time

import dp_accounting as dpa
import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution as pld
from oracles import composed_log_delta, gaussian_delta

from skfusiondp.accounting import RELATIONS, BoundEntry, LedgerEntry, compute_delta, compute_epsilon
from skfusiondp.exceptions import InvalidInputError

# dp-accounting's names of the relations.
PEERS = {"replace": "REPLACE_ONE", "zero-out": "REPLACE_SPECIAL", "add-remove": "ADD_OR_REMOVE_ONE"}
DELTAS = (1e-3, 1e-5, 1e-9, 1e-12, 1e-15, 1e-18, 1e-20)


def entry(sigma=1.0, q=0.02, steps=100, adjacency="replace", k=1):
    return LedgerEntry(sigma, q, steps, adjacency, rows_per_unit=k)


def assert_tight(entries, adjacency, delta, share=1e-3):
    """Epsilon at `delta` is an upper bound, and a share less would be none."""
    epsilon = compute_epsilon(entries, delta)
    assert composed_log_delta(epsilon, entries, adjacency) <= math.log(delta) + 1e-7
    assert composed_log_delta(epsilon * (1 - share), entries, adjacency) > math.log(delta)


MANY_STEPS = [
    (4.0, 0.01, 1000), (1.0, 128 / 14293, 1443), (0.8, 0.02, 300), (300.0, 0.1, 1000), (20.0, 0.5, 40),
    (2.0, 1e-3, 100_000), (1e4, 0.1, 100_000), (0.6, 0.3, 100),
]  # fmt: skip


@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
@pytest.mark.parametrize(("sigma", "q", "steps"), MANY_STEPS)
@pytest.mark.parametrize("delta", [1e-3, 1e-6, 1e-20])
def test_epsilon_is_an_upper_bound_and_within_a_thousandth(sigma, q, steps, adjacency, delta):
    assert_tight([entry(sigma, q, steps, adjacency)], adjacency, delta)


def test_the_oracle_itself_knows_the_closed_form():
    exact = math.log(gaussian_delta(0.7, 2 * math.sqrt(50) / 20))
    assert composed_log_delta(0.7, [entry(20.0, 1.0, 50)], "replace") == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
def test_entries_of_different_kinds_compose(adjacency):
    entries = [
        entry(3.0, 0.05, 200, adjacency), entry(5.0, 0.2, 50, adjacency), entry(30.0, 1.0, 4, adjacency),
        entry(10.0, 0.1, 100, adjacency, k=3), BoundEntry(0.2, 0.0, adjacency, rows_per_unit=3),
    ]  # fmt: skip
    known = [
        e if e.rows_per_unit == 3 else LedgerEntry(*e.mechanism[:3], adjacency, rows_per_unit=3)
        for e in entries
    ]
    for delta in (1e-5, 1e-12, 1e-18):
        assert_tight(known, adjacency, delta)
        assert compute_epsilon(entries, delta) == pytest.approx(compute_epsilon(known, delta), rel=1e-12)


@pytest.mark.one_in(6)
@pytest.mark.parametrize("adjacency", RELATIONS)
@pytest.mark.parametrize(
    ("sigma", "q", "steps"), [(0.5, 1e-4, 10), (0.9, 0.05, 3), (2.0, 0.3, 1), (0.4, 1e-3, 200)]
)
def test_few_steps_cost_what_dp_accounting_says(adjacency, sigma, q, steps):
    """Its grid understates nothing either; it is coarser than ours here, and its tails are cut at 1e-15."""
    peer = pld.from_gaussian_mechanism(
        sigma, value_discretization_interval=2e-4, sampling_prob=q,
        neighboring_relation=dpa.NeighboringRelation[PEERS[adjacency]],
    )  # fmt: skip
    peer = peer.self_compose(steps) if steps > 1 else peer
    for delta in (1e-4, 1e-7):
        mine = compute_epsilon([entry(sigma, q, steps, adjacency)], delta)
        assert mine == pytest.approx(peer.get_epsilon_for_delta(delta), rel=2e-3, abs=2e-4)


@pytest.mark.parametrize("delta", DELTAS)
def test_epsilon_and_delta_are_inverse_however_small_delta_is(delta):
    ledger = [entry(2.0, 0.05, 500), BoundEntry(0.1, 0.0)]
    assert compute_delta(ledger, compute_epsilon(ledger, delta)) == pytest.approx(delta, rel=1e-2)


def test_smaller_deltas_cost_more_and_never_everything():
    costs = [compute_epsilon([entry(4.0, 0.01, 1000), entry(40.0, 1.0, 1)], d) for d in DELTAS]
    assert costs == sorted(costs) and costs[-1] < 2.0 * costs[2]


def test_the_order_of_entries_does_not_matter_and_equal_ones_are_steps():
    kinds = [entry(3.0, 0.05, 20), entry(5.0, 0.2, 5), BoundEntry(0.2, 1e-9)]
    costs = [compute_epsilon(order, 1e-6) for order in itertools.permutations(kinds)]
    assert np.ptp(costs) < 1e-9
    assert compute_epsilon([entry(3.0, 0.05, 20)] * 3, 1e-6) == compute_epsilon([entry(3.0, 0.05, 60)], 1e-6)


def test_bounds_alone_cost_at_most_their_sums():
    bounds = [BoundEntry(0.5, 1e-6), BoundEntry(0.25, 2e-6)]
    assert compute_epsilon(bounds[:1], 1e-6) == 0.5 and compute_epsilon(bounds[:1], 0.99e-6) == math.inf
    assert compute_epsilon(bounds, 3e-6) == pytest.approx(0.75) and compute_epsilon(bounds, 1e-2) < 0.75


@pytest.mark.one_in(6)
@pytest.mark.parametrize("adjacency", RELATIONS)
@pytest.mark.parametrize("delta", [0.2, 0.5, 0.9])
def test_large_deltas_and_little_noise_are_no_error(delta, adjacency):
    for sigma in (0.01, 0.05, 1.0):
        for q, steps in ((1 / 6, 2), (1e-3, 50), (0.9, 1)):
            epsilon = compute_epsilon([entry(sigma, q, steps, adjacency)], delta)
            assert compute_delta([entry(sigma, q, steps, adjacency)], epsilon) <= delta * 1.01


def test_sums_over_many_entries_keep_no_memory():
    def resident():
        with open("/proc/self/statm") as stat:
            return int(stat.read().split()[1]) * 4096 / 2**20

    compute_epsilon([entry(0.3, 0.2, 2000)], 1e-5)
    before = resident()
    for i in range(1, 12):
        compute_epsilon([entry(0.3 + 0.01 * i, 0.2, 2000)], 1e-5)
    assert resident() - before < 100


EXTREMES = [
    (1.0, 1e-8, 10**8),
    (100.0, 1e-8, 10**8),
    (0.02, 0.1, 1000),
    (0.011, 0.5, 10**5),
    (1e9, 0.5, 1000),
    (1e299, 0.5, 1),
]


@pytest.mark.parametrize(("sigma", "q", "steps"), EXTREMES)
def test_extreme_plans_are_answered(sigma, q, steps):
    start = time.perf_counter()
    epsilon = compute_epsilon([entry(sigma, q, steps)], 1e-6)
    assert math.isfinite(epsilon) and time.perf_counter() - start < 20


def test_more_steps_than_can_be_followed_are_refused():
    with pytest.raises(InvalidInputError, match="sampled steps are more than"):
        compute_epsilon([entry(1e5, 0.1, 10**12)], 1e-6)
