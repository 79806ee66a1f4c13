"""One noised release: whole numbers, the right noise, and no trace of the total in the low-order bits."""

import numpy as np
import pytest
from scipy import stats

from skfusiondp.exceptions import InvalidInputError
from skfusiondp.privacy._random_bits import RandomBits
from skfusiondp.privacy._release import (
    UNIT,
    SumNoise,
    in_units,
    release,
)


def looks_like(noise, std):
    """Accept a normal sample of a standard deviation, reject others: p value of Kolmogorov and Smirnov."""
    return stats.kstest(noise / std, "norm").pvalue > 1e-6


@pytest.mark.parametrize("random_state", [None, 0])
def test_noise_has_its_scale_and_no_other(random_state):
    std = 1000.0
    noise = release(np.zeros(100_000, np.int64), std, RandomBits(random_state))
    assert looks_like(noise, std)
    assert not looks_like(noise, std * 1.05) and not looks_like(noise, std / 1.05)


def test_noise_of_two_coordinates_and_of_two_releases_is_independent():
    a, b = release(np.zeros((2, 20_000), np.int64), 1000.0, RandomBits())
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.04
    one, other = (release(np.zeros(9, np.int64), 1e6, RandomBits()) for _ in range(2))
    assert np.any(one != other)


def test_small_noise_has_the_probabilities_of_a_rounded_normal():
    noise = release(np.zeros(100_000, np.int64), 1.0, RandomBits())
    k = np.arange(-3, 4)
    expected = stats.norm.cdf(k + 0.5) - stats.norm.cdf(k - 0.5)
    observed = np.array([(noise == i).mean() for i in k])
    assert np.all(np.abs(observed - expected) < 5 * np.sqrt(expected / len(noise)))


def test_the_noise_is_the_same_whatever_the_total_is():
    # In floating point the noise that comes back out differs in its low bits: Mironov's attack.
    for total in (0, 1, 2**40 + 1, -(2**61)):
        got = release(np.full(50, total, np.int64), 12345.6, RandomBits(7))
        assert np.array_equal(got - total, release(np.zeros(50, np.int64), 12345.6, RandomBits(7)))


def test_the_noise_in_units_is_never_below_the_plan():
    for sigma in (0.3, 1.0, 11.79):
        assert SumNoise(sigma, 1.7, UNIT).std_in_units * UNIT >= sigma * 1.7


def test_units_keep_bounds():
    assert in_units(np.array([1.0, -1.0, 0.0])).tolist() == [2**30, -(2**30), 0]


@pytest.mark.parametrize(("total", "std"), [([0.5], 1.0), ([1], -1.0), ([1], np.nan), ([1], 1e30)])
def test_bad_input_is_refused(total, std):
    with pytest.raises(InvalidInputError):
        release(np.array(total), std, RandomBits())
