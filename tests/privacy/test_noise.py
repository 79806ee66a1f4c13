"""Noise: normal, of the stated scale, independent, fresh unless a seed is given."""

import math

import pytest
import torch
from scipy import stats

from skfusiondp.accounting import Clipping
from skfusiondp.privacy import Tier
from skfusiondp.privacy._noise import GaussianNoise, unit_of, widened
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


def test_what_comes_out_lies_on_the_grid_whatever_the_sum_is():
    """Low-order bits tell nothing: outputs are whole multiples, and the same noise moves them alike."""
    total = torch.rand(500, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    unit = unit_of(1.0)
    for shift in (0.0, 1e-9, 0.3):
        units = noise_of(0.7, seed=5).add_to(total + shift) / unit
        assert torch.equal(units, units.round())
    rounded = noise_of(0.7, seed=5).rounded(total)
    assert (rounded - total).abs().max() <= unit / 2
    noise = noise_of(0.7, seed=5).add_to(torch.zeros_like(total))
    assert torch.equal(noise_of(0.7, seed=5).add_to(total), rounded + noise)


@pytest.mark.parametrize("norm", [1e-20, 0.3, 1.0, 1.8, 1e20])
def test_the_grid_is_fine_and_its_spacing_a_power_of_two(norm):
    assert norm * 2.0**-25 < unit_of(norm) <= norm * 2.0**-24
    assert math.frexp(unit_of(norm))[0] == 0.5


def test_rounding_is_part_of_the_clipping_norm():
    # Half a unit a coordinate and sum; each row's own rounding.
    assert widened(1.0, 20_000, 1000) == pytest.approx(
        1 + 2.0**-24 * 20_000**0.5 + 2200 * 2.0**-30, rel=1e-12
    )
    assert 1 < widened(1.0, 1, 64) < 1 + 1e-6
    assert widened(1.0, 1, 64, "float32") > 1.01
    tier = Tier(("age",), 2.0, Clipping(0.5))
    noise = GaussianNoise.for_sums(tier, 20_000, 1000)
    assert noise.std == 2.0 * widened(0.5, 20_000, 1000) > tier.noise_std
