"""Noise: normal, of the stated scale, independent, fresh unless a seed is given."""

import math

import pytest
import torch
from scipy import stats

from skfusiondp.privacy._noise import GaussianNoise, unit_of
from skfusiondp.privacy._random_bits import RandomBits

N = 20_000
# Seeds are fixed, so a passing test stays passing; the level states how rare the draw would be.
LEVEL = 1e-3


def noise_of(std, seed=None):
    return GaussianNoise(std, unit_of(1.0), RandomBits(seed))


def scale_p_value(sample, std):
    """Two-sided chi-square test of the standard deviation at mean zero."""
    statistic = float((sample.double() / std).square().sum())
    return 2 * min(stats.chi2.cdf(statistic, sample.numel()), stats.chi2.sf(statistic, sample.numel()))


@pytest.mark.parametrize("std", [0.02, 1.0, 37.0])
def test_scale(std):
    sample = noise_of(std, seed=1).add_to(torch.zeros(N))
    assert scale_p_value(sample, std) > LEVEL
    assert scale_p_value(sample, 0.9 * std) < LEVEL
    assert scale_p_value(sample, 1.1 * std) < LEVEL


def test_shape_of_the_distribution():
    sample = noise_of(2.0, seed=2).add_to(torch.zeros(N)).numpy()
    assert stats.kstest(sample, "norm", args=(0, 2.0)).pvalue > LEVEL
    assert stats.kstest(sample, "norm", args=(0, 2.2)).pvalue < LEVEL
    same_scale = math.sqrt(2.0)  # a Laplace distribution of standard deviation 2
    assert stats.kstest(sample, "laplace", args=(0, same_scale)).pvalue < LEVEL


def test_coordinates_and_calls_are_independent():
    noise = noise_of(1.0, seed=3)
    first, second = noise.add_to(torch.zeros(N, 2)), noise.add_to(torch.zeros(N, 2))
    together = torch.cat([first, second], dim=1).T.double()
    correlations = torch.corrcoef(together) - torch.eye(4, dtype=torch.double)
    assert correlations.abs().max() < 4 / math.sqrt(N)


def test_is_added_and_does_not_change_its_argument():
    gradient = torch.full((3, 4), 5.0)
    noised = noise_of(1e-3, seed=0).add_to(gradient)
    assert noised.shape == (3, 4) and torch.equal(gradient, torch.full((3, 4), 5.0))
    assert 0 < (noised - 5.0).abs().max() < 0.01


def test_a_seed_repeats_and_none_does_not():
    def draw(seed):
        return noise_of(1.0, seed).add_to(torch.zeros(8))

    assert torch.equal(draw(7), draw(7))
    assert not torch.equal(draw(7), draw(8))
    torch.manual_seed(0)
    first = draw(None)
    torch.manual_seed(0)  # the global stream, which others know, must not matter
    assert not torch.equal(first, draw(None))


def test_leaves_the_global_stream_alone():
    before = torch.random.get_rng_state()
    noise_of(1.0).add_to(torch.zeros(8))
    assert torch.equal(before, torch.random.get_rng_state())
