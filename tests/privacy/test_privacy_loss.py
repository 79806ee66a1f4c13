"""The loss of one release on a grid: both distributions keep their mass, and no divergence is understated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from skfusiondp.privacy._privacy_loss import RandomisedResponse, SampledGaussian, spread


def divergence(lattice, grid, epsilon):
    losses = grid * (lattice.first + np.arange(len(lattice.masses)))
    return float((lattice.masses * np.clip(-np.expm1(epsilon - losses), 0, None)).sum()) + lattice.infinite


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(1e-3, 1)), min_size=1, max_size=20), st.floats(1e-3, 2))
def test_spreading_keeps_both_masses_and_understates_nothing(points, grid):
    losses, masses = (np.array(v) for v in zip(*points, strict=True))
    lattice = spread(losses, masses, grid)
    at = grid * (lattice.first + np.arange(len(lattice.masses)))
    assert lattice.masses.min() >= 0 and lattice.masses.sum() == pytest.approx(masses.sum())
    assert lattice.masses @ np.exp(-at) == pytest.approx(masses @ np.exp(-losses))
    for epsilon in np.linspace(-6, 6, 13):
        exact = masses @ np.clip(-np.expm1(epsilon - losses), 0, None)
        assert divergence(lattice, grid, epsilon) >= exact * (1 - 1e-12) - 1e-12


CASES = [
    (0.6, 0.3, 1),
    (1.0, 0.01, 1),
    (4.0, 0.5, 1),
    (0.2, 1e-4, 1),
    (3.0, 1.0, 1),
    (2.0, 0.2, 5),
    (1e4, 0.1, 1),
]


@pytest.mark.parametrize("pair", [(1.0, -1.0), (1.0, 0.0), (0.0, -1.0)])
@pytest.mark.parametrize(("sigma", "q", "rows"), CASES)
def test_the_lattice_is_exact_at_multiples_of_the_grid_and_above_between_them(sigma, q, rows, pair):
    loss = SampledGaussian.of(sigma, q, rows, *pair)
    most = loss.atoms.losses.max()
    grid = most / 2000
    lattice = loss.lattice(grid, -most, np.inf)
    x = np.linspace(-rows - 13 * sigma, rows + 13 * sigma, 400_001)
    weights = binom.pmf(np.arange(rows + 1), rows, q)
    p, r = (sum(w * norm.pdf(x, m * side, sigma) for m, w in enumerate(weights)) for side in pair)
    for epsilon in (0.0, 3.0 * grid, 3.3 * grid, 100.0 * grid, 100.5 * grid):
        exact = float(np.clip(p - np.exp(epsilon) * r, 0, None).sum() * (x[1] - x[0]))
        found = divergence(lattice, grid, epsilon)
        assert exact * (1 - 1e-7) - 1e-13 <= found <= exact * 1.02 + 1e-13


def test_what_is_cut_off_is_overstated():
    loss = SampledGaussian.of(0.7, 0.2, 1, 1.0, -1.0)
    whole, cut = loss.lattice(1e-3, -np.inf, np.inf), loss.lattice(1e-3, -1.0, 2.0)
    assert len(cut.masses) < len(whole.masses) / 2
    assert cut.masses.sum() + cut.infinite == pytest.approx(1)
    for epsilon in (0.0, 0.5, 1.5, 3.0):
        assert divergence(cut, 1e-3, epsilon) >= divergence(whole, 1e-3, epsilon) - 1e-12


def test_a_bound_is_randomised_response_that_fails():
    lattice = RandomisedResponse(0.5, 1e-3).lattice(1e-3, -np.inf, np.inf)
    assert lattice.infinite == 1e-3 and lattice.masses.sum() == pytest.approx(1 - 1e-3)
    assert divergence(lattice, 1e-3, 0.5) == pytest.approx(1e-3)
    assert divergence(lattice, 1e-3, 0.2) == pytest.approx(
        1e-3 + 0.999 * (np.exp(0.5) - np.exp(0.2)) / (1 + np.exp(0.5))
    )


def test_too_little_noise_for_so_many_rows_is_known():
    assert not SampledGaussian.of(0.011, 0.5, 1, 1.0, -1.0).intricate
    assert SampledGaussian.of(0.05, 0.5, 500, 1.0, -1.0).intricate
