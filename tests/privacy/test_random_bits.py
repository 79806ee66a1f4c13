"""Secret draws: every number is made of fresh bits of the operating system, and no seed is cut short."""

import os
import pickle

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import ndtri

from skfusiondp.exceptions import InvalidInputError
from skfusiondp.privacy._noise import GaussianNoise, unit_of
from skfusiondp.privacy._random_bits import RandomBits
from skfusiondp.privacy._sampling import PoissonSampler

LEVEL = 1e-3


@pytest.mark.parametrize("shift", [2**20, 2**32, 2**63, 2**64, 2**100])
def test_seeds_that_differ_in_high_bits_only_are_told_apart(shift):
    for draw in (
        lambda bits: bits.words(4).tolist(),
        lambda bits: bits.normal(4).tolist(),
        lambda bits: bits.generator().random(4).tolist(),
        lambda bits: GaussianNoise(1.0, unit_of(1.0), bits).add_to(torch.zeros(4)).tolist(),
        lambda bits: PoissonSampler(1000, 0.1, bits).draw().tolist(),
    ):
        assert draw(RandomBits(5)) != draw(RandomBits(5 + shift))
        assert draw(RandomBits(5)) == draw(RandomBits(5))
        assert draw(RandomBits()) != draw(RandomBits())


@pytest.fixture
def taken(monkeypatch):
    """Bytes that were asked of the operating system."""
    counts = []
    real = os.urandom
    monkeypatch.setattr(os, "urandom", lambda n: counts.append(n) or real(n))
    return counts


def test_each_noised_number_is_made_of_fresh_bits(taken):
    noise = GaussianNoise(1.0, unit_of(1.0))
    for _ in range(3):
        taken.clear()
        noise.add_to(torch.zeros(10, 100))
        assert sum(taken) >= 8 * 1000


def test_each_sample_is_made_of_fresh_bits(taken):
    sampler = PoissonSampler(10_000, 0.05)
    for _ in range(3):
        taken.clear()
        assert sum(taken) == 0 < len(sampler.draw()) * 8 <= sum(taken)


def test_nothing_that_is_kept_repeats_a_secret_number():
    """Copies, pickles and forks of a source share nothing, since it holds nothing."""
    bits = RandomBits()
    copies = [pickle.loads(pickle.dumps(bits)) for _ in range(2)]
    assert len({tuple(b.words(2)) for b in (bits, *copies)}) == 3
    read, write = os.pipe()
    if os.fork() == 0:  # pragma: no cover
        os.write(write, bits.words(2).tobytes())
        os._exit(0)
    mine = bits.words(2).tobytes()
    os.wait()
    assert os.read(read, 16) != mine


def test_words_are_uniform_in_every_bit():
    words = RandomBits().words(20_000)
    ones = np.unpackbits(words.view(np.uint8)).reshape(len(words), 64).sum(axis=0)
    z = (ones - len(words) / 2) / np.sqrt(len(words) / 4)
    assert np.abs(z).max() < 5.5  # 64 bits, one failure in 10^6 runs
    assert len(np.unique(words)) == len(words)


class Given(RandomBits):
    """A source of chosen words."""

    def __init__(self, *words):
        super().__init__(0)
        self._words = list(words)

    def words(self, n):
        out, self._words = self._words[:n], self._words[n:]
        return np.array(out, dtype=np.uint64)


def test_small_numbers_have_as_many_digits_as_large_ones():
    high = 2**63
    assert Given(high).uniform(1) == 0.5
    # A first word of 1 leaves a cell of 2**-64, in which a second one chooses.
    low, middle = Given(1, 0).uniform(1), Given(1, high).uniform(1)
    assert 2.0**-64 <= low < middle < 2 * 2.0**-64
    assert 0 < Given(0, 0).uniform(1) < 2.0**-128
    assert Given(2**64 - 1).uniform(1) < 1


def test_tails_reach_thirteen_deviations_and_no_step_in_them_is_wider_than_the_grid():
    assert abs(Given(0, 0, 0).normal(1)[0]) > 13
    # Neighbouring numbers at a tail's word differ by less than the noise's grid of 2**-24 deviations.
    for word in (1, 2**10, 2**30, 2**50):
        a, b = (ndtri(0.5 * Given(word, w).uniform(1)[0]) for w in (2**63, 2**63 + 2**20))
        assert abs(a - b) < 2.0**-30


def test_the_distribution_is_normal_on_both_sides():
    sample = RandomBits(1).normal(50_000)
    assert stats.kstest(sample, "norm").pvalue > LEVEL
    assert stats.kstest(np.abs(sample), "halfnorm").pvalue > LEVEL
    assert stats.kstest(1.05 * sample, "norm").pvalue < LEVEL
    assert stats.binomtest(int((sample > 0).sum()), len(sample)).pvalue > LEVEL
    assert stats.kstest(RandomBits(2).uniform(50_000), "uniform").pvalue > LEVEL


def test_whole_numbers_are_equally_probable():
    bits = RandomBits(3)
    counts = np.bincount([bits.integer(7) for _ in range(7000)], minlength=7)
    assert len(counts) == 7 and stats.chisquare(counts).pvalue > LEVEL


@pytest.mark.parametrize("seed", [-1, 1.5, "7", True])
def test_refuses_what_is_no_seed(seed):
    with pytest.raises(InvalidInputError, match="seed="):
        RandomBits(seed)
