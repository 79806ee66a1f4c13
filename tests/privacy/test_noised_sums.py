"""Sums of clipped rows: no row is longer than the bound, sums are exact, and the noise is the plan's."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from skfusiondp.exceptions import InvalidInputError
from skfusiondp.privacy import _noised_sums
from skfusiondp.privacy._noised_sums import (
    UNIT,
    clipped_factors,
    noise_of_sums,
    whole_factors,
    whole_features,
)
from skfusiondp.privacy._random_bits import RandomBits
from skfusiondp.privacy._release import SumNoise


def whole_contribution(phi, factors):
    """What one row adds to a release, in whole units, as Python's numbers of any size."""
    one = whole_features(sp.csr_matrix(phi)).toarray().astype(object)
    return (one.T @ whole_factors(factors).astype(object)).ravel()


def released(phi, factors, noise, bits):
    return _noised_sums.noised_sum([(phi, factors)], (phi.shape[1], factors.shape[1]), noise, bits)


def squared(vector):
    return sum(int(v) ** 2 for v in vector)


# Of the largest norm, in units.
LONGEST = round(1 / UNIT) ** 2


# Numbers whose computed norm may be 1, or just above by rounding.
lengths = st.sampled_from([1.0, 1 + 2.0**-52, 1 - 2.0**-53, 1 + 1e-9, 0.5, 3.0, 1e308, np.inf, np.nan, 0.0])


@settings(max_examples=300)
@given(
    st.lists(st.floats(0.01, 1), min_size=1, max_size=40),
    lengths,
    st.lists(st.floats(-1, 1), min_size=1, max_size=5),
    lengths,
)
def test_no_row_is_longer_than_the_bound_whatever_rounding_did_to_it(cells, length, factors, other):
    phi, f = np.array([cells]), np.array([factors])
    with np.errstate(all="ignore"):
        phi = length * phi / np.linalg.norm(phi)
        f = other * f / np.linalg.norm(f) if f.any() else f
    added = whole_contribution(phi, f)
    assert squared(added) <= LONGEST
    if length in (1.0, 0.5) and other in (1.0, 0.5) and np.isfinite(f).all() and f.any():
        # Little is lost, and nothing is dropped.
        exact = (phi.T @ f).ravel()
        assert np.abs(added.astype(float) * UNIT - exact).max() < 2.0**-15


@pytest.mark.parametrize("size", [1e-200, 1e-160, 1e-30, 1.0, 1e30, 1e160, 1e200])
@pytest.mark.parametrize("bound", [1e-100, 0.5, 1e100])
@pytest.mark.parametrize("k", [1, 3])
def test_rows_of_every_size_are_clipped_to_every_bound(size, bound, k):
    residuals = size * np.array([[0.6, -0.8, 0.0][:k]])
    factors = clipped_factors(residuals, np.ones(1), bound)
    length = size * (0.6 if k == 1 else 1.0)
    np.testing.assert_allclose(math.hypot(*factors[0]), min(1.0, length / bound), rtol=1e-9)


def test_rows_that_are_not_finite_add_exactly_zero():
    residuals = np.array([[np.nan], [np.inf], [0.3], [0.0]])
    assert clipped_factors(residuals, np.ones(4), 1.0).ravel().tolist() == [0, 0, 0.3, 0]
    assert not clipped_factors(np.array([[0.5]]), np.array([np.inf]), 1.0).any()


@pytest.mark.parametrize("std", [0.1, 5.0])
def test_noise_has_the_stated_scale_and_shape(std):
    phi = sp.csr_matrix((3, 20_000))
    noise = released(whole_features(phi), np.ones((3, 1)), SumNoise(std, 1.0, UNIT), RandomBits(1)).ravel()
    assert stats.kstest(noise, "norm", args=(0, std)).pvalue > 1e-3
    for wrong in (0.9, 1.1):
        assert stats.kstest(noise, "norm", args=(0, wrong * std)).pvalue < 1e-3


def test_noise_is_fresh_unless_seeded():
    phi, noise = whole_features(sp.csr_matrix((3, 4))), SumNoise(1.0, 1.0, UNIT)
    draws = [released(phi, np.ones((3, 1)), noise, RandomBits(s)).tolist() for s in (7, 7, None, None)]
    assert draws[0] == draws[1] and draws[2] != draws[3]


def test_a_release_is_exact_in_any_order_and_no_low_bit_tells_the_rows():
    """Sums of floating-point numbers depend on their order, and their last bits on every row."""
    rng = np.random.default_rng(0)
    n = 3000
    active = np.hstack([np.eye(4)[rng.integers(4, size=n)] for _ in range(7)])
    phi, noise = whole_features(sp.csr_matrix(active / math.sqrt(7))), SumNoise(3.3, 1.0, UNIT)
    factors = clipped_factors(rng.normal(size=(n, 1)), np.ones(n), 0.3)
    order = rng.permutation(n)
    once = released(phi, factors, noise, RandomBits(1))
    reordered = released(phi[order], factors[order], noise, RandomBits(1))
    assert np.array_equal(once, reordered)
    parts = [(phi[:7], factors[:7]), (phi[7:7], factors[7:7]), (phi[7:], factors[7:])]
    pieces = _noised_sums.noised_sum(iter(parts), once.shape, noise, RandomBits(1))
    assert np.array_equal(once, pieces)
    factors[5] = -factors[5]
    moved = released(phi, factors, noise, RandomBits(1))
    for values in (once, moved, moved - once):
        assert np.array_equal(values / UNIT, np.rint(values / UNIT))
    assert (moved != once).sum() == 7


def test_sums_that_64_bits_may_not_hold_are_refused(monkeypatch):
    # The bound is what it says: the largest sum and the largest noise fit.
    assert _noised_sums._MOST_ROWS * round(1 / UNIT) + 13.2 * 2.0**58 < 2**63
    monkeypatch.setattr(_noised_sums, "_MOST_ROWS", 49)
    with pytest.raises(InvalidInputError, match=r"X has 50 rows.* at most 49"):
        noise_of_sums(3.0, 1.0, 50)
    monkeypatch.undo()
    with pytest.raises(InvalidInputError, match=r"noise_multiplier=1000000000000\.0 is too large"):
        noise_of_sums(1e12, 1.0, 50)
