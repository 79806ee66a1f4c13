"""Guesses to epsilon: against formulas by hand and against mechanisms that meet the bound."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from skfusiondp.audit import EpsilonPosterior, epsilon_lower_bound, guess_p_value
from skfusiondp.exceptions import InvalidInputError


def by_hand(correct, guesses, n_canaries, epsilon, delta):
    """Theorem 5.2 of arXiv 2305.08846, term by term."""
    success = math.exp(epsilon) / (1 + math.exp(epsilon))
    chance = [math.comb(guesses, k) * success**k * (1 - success) ** (guesses - k) for k in range(guesses + 1)]
    tail = sum(chance[correct:])
    steep = max(sum(chance[max(correct - i, 0) : correct]) / i for i in range(1, n_canaries + 1))
    return min(1.0, tail + 2 * n_canaries * delta * steep)


@pytest.mark.parametrize("epsilon", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("delta", [0.0, 1e-4, 1e-2])
@pytest.mark.parametrize(("correct", "guesses", "n"), [(10, 10, 10), (17, 20, 40), (9, 20, 21), (0, 5, 9)])
def test_p_value_is_the_theorems(correct, guesses, n, epsilon, delta):
    expected = by_hand(correct, guesses, n, epsilon, delta)
    assert guess_p_value(correct, guesses, n, epsilon, delta) == pytest.approx(expected, rel=1e-9)


def test_two_hops_are_group_privacy():
    pair = guess_p_value(80, 100, 200, 0.5, 1e-6, hops=2)
    assert pair == guess_p_value(80, 100, 200, 1.0, (1 + math.exp(0.5)) * 1e-6)
    assert epsilon_lower_bound(90, 100, 100, hops=2) == pytest.approx(epsilon_lower_bound(90, 100, 100) / 2)


def test_bound_solves_for_the_confidence_and_all_smaller_epsilons_are_refuted():
    bound = epsilon_lower_bound(90, 100, 500, 1e-5, 0.9)
    assert guess_p_value(90, 100, 500, bound, 1e-5) == pytest.approx(0.1)
    assert all(guess_p_value(90, 100, 500, e, 1e-5) < 0.1 for e in np.linspace(0, bound - 1e-6, 50))
    assert epsilon_lower_bound(90, 100, 500, 1e-5, 0.99) < bound
    assert epsilon_lower_bound(90, 100, 500, 1e-3, 0.9) < bound
    assert epsilon_lower_bound(50, 100, 100) == 0.0
    assert epsilon_lower_bound(100, 100, 100) == pytest.approx(math.log(0.05**0.01 / (1 - 0.05**0.01)))


def test_randomized_response_is_refuted_as_rarely_as_promised_and_no_rarer():
    # The worst case of pure privacy: each coin is answered truthfully with chance e^eps / (1 + e^eps).
    epsilon, n = 1.0, 300
    rng = np.random.default_rng(0)
    correct, times = np.unique(rng.binomial(n, 1 / (1 + math.exp(-epsilon)), size=20_000), return_counts=True)
    above = [epsilon_lower_bound(int(c), n, n) > epsilon for c in correct]
    assert 0.04 < np.average(above, weights=times) <= 0.052


def test_the_bound_holds_for_a_mechanism_that_gives_up_with_chance_delta():
    # (0, delta): with chance delta everything is published. Refuting epsilon = 0 at 95 % needs more.
    n, delta = 50, 2e-4
    chance = (1 - delta) * binom.sf(np.arange(n + 1) - 1, n, 0.5) + delta
    refuted = [c for c in range(n + 1) if epsilon_lower_bound(c, n, n, delta) > 0]
    assert chance[min(refuted)] <= 0.05


@pytest.mark.parametrize(
    "call",
    [
        lambda: guess_p_value(11, 10, 20, 1.0),
        lambda: guess_p_value(1, 10, 9, 1.0),
        lambda: guess_p_value(1, 10, 20, -1.0),
        lambda: epsilon_lower_bound(1, 10, 20, delta=1.0),
        lambda: epsilon_lower_bound(1, 10, 20, confidence=95),
        lambda: EpsilonPosterior(3, 2, 0, 2),
        lambda: EpsilonPosterior(1, 2, 0, 2).quantile(1.0),
    ],
)
def test_what_cannot_be_is_refused(call):
    with pytest.raises(InvalidInputError, match="must"):
        call()


@pytest.mark.parametrize("delta", [0.0, 0.05])
def test_posterior_agrees_with_draws_from_the_two_rates(delta):
    posterior = EpsilonPosterior(30, 200, 50, 220, delta)
    rng = np.random.default_rng(0)
    fpr, fnr = rng.beta(30.5, 170.5, 200_000), rng.beta(50.5, 170.5, 200_000)
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = [np.log((1 - delta - x) / y) for x, y in ((fpr, fnr), (fnr, fpr), (1 - fpr, 1 - fnr))]
    epsilon = np.nanmax([np.zeros_like(fpr), *needed], axis=0)
    for e in (1.0, 1.4, 1.8):
        assert posterior.cdf(e) == pytest.approx((epsilon <= e).mean(), abs=0.005)
    low, high = posterior.interval(0.9)
    assert low == pytest.approx(np.quantile(epsilon, 0.05), abs=0.01)
    assert high == pytest.approx(np.quantile(epsilon, 0.95), abs=0.01)


def test_posterior_of_a_coin_tosser_is_near_zero_and_narrows():
    few, many = (EpsilonPosterior(n // 2, n, n // 2, n) for n in (50, 5000))
    assert many.quantile(0.95) < 0.1 < few.quantile(0.95)
    assert many.quantile(1e-9) == 0.0
