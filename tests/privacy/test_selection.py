"""The cost of repeating and choosing, against dp-accounting, closed forms and the PLD accountant."""

import random

import dp_accounting as dpa
import numpy as np
import pytest
from dp_accounting.rdp import rdp_privacy_accountant as oracle
from scipy import stats

from skfusiondp.accounting import LedgerEntry, compute_epsilon
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.privacy import RELATIONS
from skfusiondp.privacy._mechanisms import Bound, Gaussian
from skfusiondp.privacy._random_bits import RandomBits
from skfusiondp.privacy._selection import (
    ORDERS,
    Repetitions,
    _divergence,
    delta_of,
    epsilon_of,
    rdp_of,
)


@pytest.mark.parametrize(("adjacency", "distance"), [("replace", 2), ("zero-out", 1), ("add-remove", 1)])
def test_without_sampling_the_closed_form(adjacency, distance):
    assert rdp_of([Gaussian(1.3, 1.0, 1)], adjacency) == pytest.approx(ORDERS * distance**2 / (2 * 1.3**2))
    # The quadrature itself.
    quadrature = [_divergence(a, 1.3, (1.0, 1.0), (1.0, 1.0 - distance)) for a in ORDERS]
    assert quadrature == pytest.approx(ORDERS * distance**2 / (2 * 1.3**2), rel=1e-9)


@pytest.mark.parametrize(("q", "sigma"), [(0.01, 1.0), (0.001, 0.7), (0.2, 2.0), (0.5, 0.6)])
def test_with_sampling_what_dp_accounting_computes(q, sigma):
    whole = ORDERS[(np.round(ORDERS) == ORDERS) & (ORDERS < 129)]
    accountant = oracle.RdpAccountant(whole)
    accountant.compose(dpa.PoissonSampledDpEvent(q, dpa.GaussianDpEvent(sigma)), 100)
    ours = rdp_of([Gaussian(sigma, q, 100)], "add-remove")[np.isin(ORDERS, whole)]
    assert ours == pytest.approx(accountant._rdp, rel=1e-5, abs=1e-9)
    assert np.all(ours >= accountant._rdp * (1 - 1e-9))


@pytest.mark.parametrize(("q", "sigma"), [(0.05, 1.0), (0.3, 0.8), (0.3, 3.0)])
def test_the_replace_pair_against_adaptive_integration(q, sigma):
    from scipy.integrate import quad

    def log(x, sign):
        parts = stats.norm.logpdf(x, [0, sign], sigma)
        return np.logaddexp(np.log1p(-q) + parts[0], np.log(q) + parts[1])

    rdp = rdp_of([Gaussian(sigma, q, 1)], "replace")
    for a in (ORDERS[0], 2.0, 5.0):
        moment = quad(lambda x, a=a: np.exp(a * log(x, 1) + (1 - a) * log(x, -1)), -40, 50, limit=500)[0]
        assert rdp[a == ORDERS] == pytest.approx(np.log(moment) / (a - 1), rel=1e-6)


@pytest.mark.parametrize("adjacency", RELATIONS)
@pytest.mark.parametrize("mechanism", [(1.0, 0.01, 1000), (5.0, 1.0, 1), (2.0, 0.1, 50)])
def test_epsilon_by_these_divergences_is_above_the_accountants_and_close(mechanism, adjacency):
    tight = compute_epsilon([LedgerEntry(*mechanism, adjacency)], 1e-5)
    assert tight <= epsilon_of(rdp_of([Gaussian(*mechanism)], adjacency), 1e-5) < 1.2 * tight + 0.05


def test_without_noise_nothing_is_bounded_and_a_bound_cannot_be_repeated():
    assert np.isinf(rdp_of([Gaussian(0.0, 1.0, 1)], "replace")).all()
    with pytest.raises(InvalidInputError):
        rdp_of([Bound(1.0, 1e-6)], "replace")
    with pytest.raises(InvalidInputError):
        rdp_of([Gaussian(1.0, 1.0, 1)], "swap")


def test_delta_is_the_inverse_of_epsilon():
    rdp = rdp_of([Gaussian(2.0, 0.1, 50)], "replace")
    assert delta_of(rdp, epsilon_of(rdp, 1e-6)) == pytest.approx(1e-6)


@pytest.mark.parametrize("eta", [-0.5, 0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("mean", [1.5, 10, 200])
def test_the_best_of_many_costs_what_dp_accounting_says(eta, mean):
    if eta < 0:  # which dp-accounting refuses: Theorem 2 by hand
        rdp, r = rdp_of([Gaussian(2.0, 0.1, 50)], "replace"), Repetitions(mean, eta=eta)
        i, j = 5, 20
        by_hand = (
            rdp[i]
            + (1 + eta) * (1 - 1 / ORDERS[j]) * rdp[j]
            + (1 + eta) * np.log(1 / r.gamma) / ORDERS[j]
            + np.log(mean) / (ORDERS[i] - 1)
        )
        assert r.compose(rdp)[i] <= by_hand
        return
    rdp = rdp_of([Gaussian(2.0, 0.1, 50)], "replace")
    theirs = oracle._compute_rdp_repeat_and_select(ORDERS, rdp, mean, eta)
    ours = Repetitions(mean, eta=eta).compose(rdp)
    assert np.all(ours >= theirs - 1e-9)
    assert epsilon_of(ours, 1e-5) == pytest.approx(oracle.compute_epsilon(ORDERS, theirs, 1e-5)[0], rel=1e-6)


def test_poisson_costs_what_dp_accounting_says():
    rdp = rdp_of([Gaussian(4.0, 0.01, 50)], "replace")
    theirs = oracle._compute_rdp_repeat_and_select(ORDERS, rdp, 10, np.inf)
    ours = Repetitions(10, "poisson").compose(rdp)
    # dp-accounting has a second way to delta, which may be tighter.
    assert np.all(ours >= theirs - 1e-9)
    least = oracle.compute_epsilon(ORDERS, theirs, 1e-5)[0]
    assert least * 0.999999 <= epsilon_of(ours, 1e-5) < least * 1.1


def test_a_geometric_search_by_hand():
    """Theorem 2 with eta = 1, mean 5, at orders 11 and 21 of a Gaussian: any pair of orders is a bound."""
    rdp = ORDERS * 4 / (2 * 6.0**2)  # noise multiplier 6, replace
    a, b = 11.0, ORDERS[np.argmin(abs(ORDERS - 20))]
    by_hand = a / 18 + 2 * (1 - 1 / b) * b / 18 + 2 * np.log(5) / b + np.log(5) / (a - 1)
    best = Repetitions(5).compose(rdp_of([Gaussian(6.0, 1.0, 1)], "replace"))[a == ORDERS][0]
    every = 2 * np.min((1 - 1 / ORDERS) * rdp + np.log(5) / ORDERS)
    assert best == pytest.approx(a / 18 + every + np.log(5) / 10) and best <= by_hand


def test_one_run_costs_less_than_the_choice_so_forgetting_it_would_be_seen():
    rdp = rdp_of([Gaussian(2.0, 0.1, 50)], "replace")
    for repetitions in (Repetitions(10), Repetitions(10, eta=0.0), Repetitions(10, "poisson")):
        assert epsilon_of(repetitions.compose(rdp), 1e-5) > 1.2 * epsilon_of(rdp, 1e-5)


def probabilities(eta, gamma, n):
    """Definition 1 of the paper, by the product."""
    k = np.arange(1, n + 1)
    if eta == 0:
        return (1 - gamma) ** k / (k * np.log(1 / gamma))
    product = np.cumprod((np.arange(n) + eta) / (np.arange(n) + 1))
    return (1 - gamma) ** k / (gamma**-eta - 1) * product


@pytest.mark.parametrize("seed", [0, None])
@pytest.mark.parametrize("eta", [-0.5, 0.0, 1.0, 2.0])
@pytest.mark.one_in(4)
def test_the_number_of_trials_has_the_distribution_of_the_theorem_and_no_other(eta, seed):
    repetitions = Repetitions(4.0, eta=eta)
    p = probabilities(eta, repetitions.gamma, 4000)
    assert p.sum() == pytest.approx(1) and p @ np.arange(1, 4001) == pytest.approx(4.0)
    bits = RandomBits(seed)
    drawn = np.array([repetitions.draw(bits) for _ in range(20_000)])
    observed = np.bincount(np.minimum(drawn, 12), minlength=13)[1:]

    def p_value(q):
        expected = np.append(q[:11], q[11:].sum()) * len(drawn)
        return stats.chisquare(observed, expected).pvalue

    assert p_value(p) > 1e-6
    other = Repetitions(5.4, eta=eta)
    wrong = probabilities(eta, other.gamma, 4000)
    assert p_value(wrong / wrong.sum()) < 1e-6


@pytest.mark.parametrize("seed", [0, None])
def test_the_poisson_number_of_trials(seed):
    bits = RandomBits(seed)
    drawn = np.array([Repetitions(3.0, "poisson").draw(bits) for _ in range(20_000)])
    observed = np.bincount(np.minimum(drawn, 10), minlength=11)

    def p_value(mean):
        p = stats.poisson.pmf(np.arange(10), mean)
        return stats.chisquare(observed, len(drawn) * np.append(p, 1 - p.sum())).pvalue

    assert p_value(3.0) > 1e-6 > p_value(3.15)


class Given(RandomBits):
    """A source that gives one number."""

    def __init__(self, u):
        super().__init__(0)
        self.u = u

    def uniform(self, n):
        return np.full(n, self.u)


@pytest.mark.parametrize("mean", [1.1, 30.0, 1e6])
@pytest.mark.parametrize("u", [2.0**-129, 1e-9, 0.3, 0.5, 0.999, 1 - 2.0**-53])
def test_the_poisson_number_is_the_inverse_distribution_function(mean, u):
    k = Repetitions(mean, "poisson").draw(Given(u))
    assert stats.poisson.cdf(k, mean) >= u and (k == 0 or stats.poisson.cdf(k - 1, mean) < u)


@pytest.mark.parametrize("distribution", ["negative-binomial", "poisson"])
def test_no_seed_that_others_know_gives_the_number_of_trials(distribution):
    def drawn():
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        return [Repetitions(10.0, distribution).draw(RandomBits()) for _ in range(60)]

    # Sixty numbers agree by chance with a probability below 1e-50.
    assert drawn() != drawn()


@pytest.mark.parametrize(
    "arguments", [(1,), (0.5,), (np.nan,), (10, "binomial"), (10, "negative-binomial", -1), ("ten",), (True,)]
)
def test_bad_input_is_refused(arguments):
    with pytest.raises(InvalidInputError):
        Repetitions(*arguments)
