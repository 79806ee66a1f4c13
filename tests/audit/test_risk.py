"""What the guarantee means to an attacker: closed forms at full sampling, and another library's."""

import json
import math

import numpy as np
import pytest
from scipy.stats import norm

from skfusiondp import (
    Categorical,
    FusionDPClassifier,
    Numeric,
    PrivacyLedger,
)
from skfusiondp.accounting import LedgerEntry
from skfusiondp.audit import attack_success, noise_floor, risk
from skfusiondp.exceptions import InvalidInputError


def ledger(sigma=4.0, q=1.0, steps=1, adjacency="replace"):
    return PrivacyLedger((LedgerEntry(sigma, q, steps, adjacency),))


@pytest.mark.parametrize("prior", [0.5, 0.3, 0.7, 0.9])
@pytest.mark.parametrize(("adjacency", "gap"), [("replace", 2.0), ("add-remove", 1.0)])
def test_two_values_are_the_bayes_test_of_two_gaussians(prior, adjacency, gap):
    mu = gap / 1.5
    t = np.linspace(-10, 10, 200_001)
    best = (prior * norm.sf(t - mu) + (1 - prior) * norm.cdf(t)).max()
    assert attack_success(ledger(1.5, adjacency=adjacency), prior) == pytest.approx(best, abs=1e-3)
    assert attack_success(ledger(1.5, adjacency=adjacency), prior) >= best - 1e-9


@pytest.mark.parametrize("k", [2, 3, 10])
def test_many_values_are_the_tradeoff_curve_at_their_share(k):
    # Zero-out at full sampling is a Gaussian trade-off curve with mu = 1 / sigma.
    exact = norm.cdf(norm.ppf(1 / k) + 1 / 2.0)
    found = attack_success(ledger(2.0, adjacency="zero-out"), k)
    assert exact - 1e-9 <= found <= exact + 0.01


def test_a_guesser_of_many_values_never_does_better_than_the_bound():
    # Simplex of k clipped gradients of norm C: the best guess is the nearest one.
    k, sigma, rng = 4, 1.0, np.random.default_rng(0)
    secret = rng.integers(k, size=100_000)
    seen = np.eye(k)[secret] + sigma * rng.normal(size=(len(secret), k))
    assert (seen.argmax(1) == secret).mean() < attack_success(ledger(sigma), k)


def test_without_release_or_privacy_the_bound_is_the_prior_or_one():
    assert attack_success(PrivacyLedger(), 0.8) == pytest.approx(0.8)
    assert attack_success(PrivacyLedger(), 5) == pytest.approx(0.2)
    assert attack_success(ledger(0.0), 0.5) == 1.0
    for prior in (0.0, 1.0, 1, "half"):
        with pytest.raises((InvalidInputError, TypeError)):
            attack_success(ledger(), prior)


def test_another_library_computes_the_same_curve():
    conversions = pytest.importorskip("riskcal.analysis.conversions")
    import dp_accounting as dpa

    accountant = dpa.pld.PLDAccountant(dpa.NeighboringRelation.ADD_OR_REMOVE_ONE)
    step = dpa.PoissonSampledDpEvent(0.01, dpa.GaussianDpEvent(1.0))
    accountant.compose(dpa.SelfComposedDpEvent(step, 500))
    spent, pld = ledger(1.0, 0.01, 500, "add-remove"), accountant._pld
    advantage = float(conversions.get_advantage_from_pld(pld))
    assert attack_success(spent) == pytest.approx(0.5 + advantage / 2, abs=1e-3)


def test_risk_of_a_fit_reads_its_ledger():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    model = FusionDPClassifier({0: Numeric(-3, 3)}, method="feature-dp", epsilon=1.0, epochs=1)
    found = risk(model.fit(X, (X[:, 1] > 0).astype(int)))
    assert found.separation == pytest.approx(found.advantage / math.sqrt(2))
    assert found.success["one of two equally likely values"] == pytest.approx((1 + found.advantage) / 2)
    assert found.noise_multiplier == model.plan_.noise_multiplier
    assert found.noise_floor == noise_floor(round(1 / model.plan_.sample_rate))
    # (epsilon, delta) alone allows no more than this.
    assert found.success["one of two equally likely values"] <= (math.e + 1e-3) / (1 + math.e)
    assert json.loads(json.dumps(found.to_dict()))["adjacency"] == "replace"
    assert "Separation" in str(found) and "<table>" in found._repr_html_() and "at most" in found.sentence
    with pytest.raises(InvalidInputError, match="is not fitted"):
        risk(FusionDPClassifier())


def test_a_column_with_a_budget_of_its_own_is_harder_to_guess():
    rng = np.random.default_rng(0)
    X = rng.integers(3, size=(300, 3)).astype(float)
    own = {0: Categorical([0.0, 1.0, 2.0], epsilon=0.2), 1: Categorical([0.0, 1.0, 2.0])}
    fit = FusionDPClassifier(own, method="feature-dp", epsilon=4.0, epochs=1).fit(X, X[:, 2] > 0)
    found = risk(fit).success
    assert 1 / 3 < found["x0, 3 equally likely"] < 0.4 < found["x1, 3 equally likely"]


def test_noise_floor_is_the_papers():
    assert noise_floor(1000) == 1 / math.sqrt(2 * math.log(1000))
    with pytest.raises(InvalidInputError, match="rounds=1"):
        noise_floor(1)
