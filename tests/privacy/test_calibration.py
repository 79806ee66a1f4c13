"""Calibrated noise is enough, and half a percent less would not be."""

import math

import pytest
from oracles import composed_log_delta, gaussian_delta

from skfusiondp.accounting import BoundEntry, LedgerEntry, calibrate_noise_multiplier, compute_epsilon
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.privacy import _composition

EPSILONS = (1e-3, 0.01, 0.05, 0.3, 1.0, 8.0, 30.0, 60.0, 100.0)
SOME = (1e-3, 0.05, 1.0, 60.0)
ENOUGH = 1.005


def assert_enough_and_not_more(sigma, plan, epsilon, delta, adjacency="replace", beside=(), rows=1):
    def exact(noise):
        entries = [*beside, LedgerEntry(noise, *plan, adjacency, rows_per_unit=rows)]
        return composed_log_delta(epsilon, entries, adjacency)

    assert exact(sigma) <= math.log(delta) + 1e-7
    assert exact(sigma / ENOUGH) > math.log(delta)


@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize(
    ("plan", "delta"), [((1 / 32, 640), 1e-5), ((0.1, 1000), 1e-6), ((0.01, 1000), 1e-12)]
)
@pytest.mark.one_in(4)
def test_calibrated_noise_is_within_half_a_percent(plan, delta, epsilon, adjacency):
    sigma = calibrate_noise_multiplier(epsilon, delta, *plan, adjacency)
    assert_enough_and_not_more(sigma, plan, epsilon, delta, adjacency)


@pytest.mark.slow
@pytest.mark.parametrize("adjacency", ["replace", "add-remove"])
@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("delta", [1e-5, 1e-12])
@pytest.mark.parametrize("plan", [(1e-4, 10**5), (1e-3, 3000), (0.5, 30), (0.1, 10**5), (0.9, 500)])
def test_calibrated_noise_is_within_half_a_percent_for_many_plans(plan, delta, epsilon, adjacency):
    sigma = calibrate_noise_multiplier(epsilon, delta, *plan, adjacency)
    assert_enough_and_not_more(sigma, plan, epsilon, delta, adjacency)


@pytest.mark.slow
def test_where_delta_falls_off_a_cliff_the_search_is_not_led_astray():
    # A little more noise, and delta is nothing: there the search must not take rounding for delta.
    sigma = calibrate_noise_multiplier(1.0, 1e-5, 1e-8, 10**8)
    assert 0.29 < sigma < 0.31
    assert compute_epsilon([LedgerEntry(sigma, 1e-8, 10**8)], 1e-5) <= 1.0


@pytest.mark.parametrize(("adjacency", "times"), [("replace", 2), ("add-remove", 1)])
@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize(("steps", "delta", "rows"), [(1, 1e-5, 1), (10**5, 1e-9, 1), (7, 1e-20, 4)])
def test_without_sampling_it_is_exact(steps, delta, rows, epsilon, adjacency, times):
    sigma = calibrate_noise_multiplier(epsilon, delta, 1.0, steps, adjacency, rows_per_unit=rows)
    distance = times * rows * math.sqrt(steps) / sigma
    assert gaussian_delta(epsilon, distance) <= delta * (1 + 1e-6)
    assert gaussian_delta(epsilon, distance * ENOUGH) > delta


@pytest.mark.parametrize("epsilon", [0.05, 1.0, 8.0])
def test_what_runs_beside_is_paid_too(epsilon):
    beside = (
        LedgerEntry(40.0 / epsilon, 0.1, 100, rows_per_unit=2),
        LedgerEntry(60.0 / epsilon, 1.0, 1, rows_per_unit=2),
        BoundEntry(epsilon / 4, 0.0, rows_per_unit=2),
    )
    sigma = calibrate_noise_multiplier(epsilon, 1e-7, 0.05, 200, beside=beside, rows_per_unit=2)
    assert_enough_and_not_more(sigma, (0.05, 200), epsilon, 1e-7, beside=beside, rows=2)


@pytest.mark.parametrize("rows", [3, 12])
def test_units_of_several_rows(rows):
    sigma = calibrate_noise_multiplier(1.0, 1e-6, 0.05, 100, rows_per_unit=rows)
    assert_enough_and_not_more(sigma, (0.05, 100), 1.0, 1e-6, rows=rows)


@pytest.mark.parametrize("epsilon", SOME)
@pytest.mark.parametrize(("q", "steps"), [(1e-4, 10), (0.01, 1), (0.5, 2), (1e-4, 10**5)])
@pytest.mark.one_in(3)
def test_few_compositions_are_evaluated_and_the_target_is_met(q, steps, epsilon, monkeypatch):
    plain, seen = _composition._compose, []
    monkeypatch.setattr(_composition, "_compose", lambda *args: seen.append(1) or plain(*args))
    sigma = calibrate_noise_multiplier(epsilon, 3e-6, q, steps)
    assert len(seen) <= 20
    assert compute_epsilon([LedgerEntry(sigma, q, steps)], 3e-6) <= epsilon
    less = compute_epsilon([LedgerEntry(max(sigma / ENOUGH, 0.01), q, steps)], 3e-6)
    assert less > epsilon or sigma == 0.01


def test_where_hardly_any_noise_is_enough_it_is_the_least_that_is_accounted():
    assert calibrate_noise_multiplier(1.0, 1e-3, 1e-6, 10) == pytest.approx(0.01)


def test_more_noise_than_the_accountant_follows_is_refused():
    with pytest.raises(InvalidInputError, match="No noise multiplier below 1e"):
        calibrate_noise_multiplier(1e-6, 1e-9, 1.0, 10**9)
