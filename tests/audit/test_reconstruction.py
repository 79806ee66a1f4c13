"""Linear reconstruction reads exact sums like the table, and noised ones no better than allowed."""

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Categorical, PrivacyLedger
from skfusiondp.accounting import LedgerEntry, calibrate_noise_multiplier
from skfusiondp.audit import attack_success, linear_reconstruction
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.preprocessing import PrivateCategories
from skfusiondp.privacy import relation
from skfusiondp.privacy._random_bits import RandomBits
from skfusiondp.privacy._release import release

N, M = 200, 300


@pytest.fixture(scope="module")
def bits():
    return np.random.default_rng(0).permutation(np.arange(N) % 2)


@pytest.fixture(scope="module")
def groups():
    return np.random.default_rng(1).integers(2, size=(M, N))


def test_category_shares_of_public_groups_without_noise_give_every_bit_away(bits, groups):
    bits, groups = bits[:30], groups[:45, :30]
    answers = []
    for group in groups:
        rows = np.flatnonzero(group)
        exact = PrivateCategories({"illness": Categorical(["no", "yes"])}, noise_multiplier=1e-4)
        exact.fit(pd.DataFrame({"illness": np.array(["no", "yes"])[bits[rows]]}))
        answers.append(len(rows) * exact.frequencies_["illness"][1])
    found = linear_reconstruction(groups, answers, bits, column="illness")
    assert found.attack == 1.0 and found.advantage > 0.3
    assert found.column == "illness" and found.n_rows == 30


def released(groups, bits, sigma):
    """Counts as the paid steps release them, what they cost together, and their noise."""
    norm = relation("replace").clipping_norm(PrivateCategories._diameter, PrivateCategories._reach)
    ledger = PrivacyLedger((LedgerEntry(sigma, 1.0, len(groups)),))
    return release(groups @ bits, sigma * norm, RandomBits(0)), ledger, sigma * norm


def test_noise_that_the_ledger_counts_for_all_answers_hides_them(bits, groups):
    three_errors = 3 * np.sqrt(0.25 / N)
    answers, ledger, std = released(groups, bits, calibrate_noise_multiplier(1.0, 1e-4, 1.0, M))
    assert ledger.epsilon(1e-4) <= 1.0
    found = linear_reconstruction(groups, answers, bits, noise_std=std)
    bound = attack_success(ledger)
    assert bound < 0.75 and found.attack <= bound + three_errors
    # Noise for a single answer is too little for all of them: the ledger says so, and the attack shows it.
    answers, ledger, std = released(groups, bits, calibrate_noise_multiplier(1.0, 1e-4, 1.0, 1))
    broken = linear_reconstruction(groups, answers, bits, noise_std=std)
    assert bound + three_errors < broken.attack <= attack_success(ledger)


def test_knowing_the_noise_is_no_worse_than_not_knowing_it(bits, groups):
    rng = np.random.default_rng(2)
    wise, naive = [], []
    for _ in range(20):
        answers = groups @ bits + rng.normal(scale=20, size=M)
        wise.append(linear_reconstruction(groups, answers, bits, noise_std=20).attack)
        naive.append(linear_reconstruction(groups, answers, bits).attack)
    assert np.mean(wise) > np.mean(naive)


def test_weighted_sums_and_fewer_answers_than_rows(bits):
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(150, N))
    found = linear_reconstruction(weights, weights @ bits, bits)
    assert 0.8 < found.attack < 1.0


@pytest.mark.parametrize(
    "change, match",
    [
        ({"queries": np.zeros(N)}, "need answers of shape"),
        ({"answers": np.zeros(M - 1)}, "need answers of shape"),
        ({"answers": np.full(M, np.nan)}, "answers must hold finite numbers"),
        ({"queries": [["a"]]}, "queries must hold finite numbers"),
        ({"secret": np.full(N, 2)}, "zeros and ones"),
        ({"secret": np.ones(N)}, "zeros and ones, and both"),
        ({"noise_std": -1.0}, "noise_std=-1.0"),
    ],
)
def test_what_cannot_be_solved_is_refused(bits, groups, change, match):
    given = {"queries": groups, "answers": groups @ bits, "secret": bits, **change}
    with pytest.raises(InvalidInputError, match=match):
        linear_reconstruction(**given)
