"""Poisson sampling: rows come independently, so that the amplification theorem applies."""

import numpy as np
import pytest
from scipy import stats

from skfusiondp.privacy._random_bits import RandomBits
from skfusiondp.privacy._sampling import PoissonSampler

N, Q, DRAWS = 40, 0.15, 4000
LEVEL = 1e-3


@pytest.fixture(scope="module")
def included():
    sampler = PoissonSampler(N, Q, RandomBits(0))
    table = np.zeros((DRAWS, N), dtype=bool)
    for step in table:
        step[sampler.draw()] = True
    return table


def test_each_row_is_included_at_the_rate(included):
    counts = included.sum(axis=0)
    right = ((counts - DRAWS * Q) ** 2 / (DRAWS * Q * (1 - Q))).sum()
    wrong = ((counts - DRAWS * 1.1 * Q) ** 2 / (DRAWS * 1.1 * Q * (1 - 1.1 * Q))).sum()
    assert stats.chi2.sf(right, N) > LEVEL
    assert stats.chi2.sf(wrong, N) < LEVEL


def size_p_value(sizes):
    """Chi-square test of the variance of batch sizes against the binomial's."""
    statistic = ((sizes - N * Q) ** 2).sum() / (N * Q * (1 - Q))
    # The binomial's fourth moment makes the statistic wider than chi-square by this factor.
    excess = (1 - 6 * Q * (1 - Q)) / (N * Q * (1 - Q))
    z = (statistic - len(sizes)) / np.sqrt(len(sizes) * (2 + excess))
    return 2 * stats.norm.sf(abs(z))


def test_batch_sizes_are_binomial_and_not_fixed(included):
    assert size_p_value(included.sum(axis=1)) > LEVEL
    assert size_p_value(np.full(DRAWS, round(N * Q))) < LEVEL  # shuffled batches


def test_pairs_are_independent(included):
    both = (included.T.astype(float) @ included)[np.triu_indices(N, 1)]
    z = (both.sum() / DRAWS - len(both) * Q**2) / np.sqrt(
        # Pairs that share a row are correlated even under independent inclusion.
        (len(both) * Q**2 * (1 - Q**2) + len(both) * 2 * (N - 2) * (Q**3 - Q**4)) / DRAWS
    )
    assert abs(z) < 3.3
    # A fixed batch size would show here: its pairs come together less often.
    size = round(N * Q)
    fixed = size * (size - 1) / (N * (N - 1))
    assert abs(both.mean() / DRAWS - Q**2) < abs(both.mean() / DRAWS - fixed)


def test_steps_are_independent(included):
    lagged = np.corrcoef(included[:-1].ravel(), included[1:].ravel())[0, 1]
    assert abs(lagged) < 4 / np.sqrt(included.size)


def test_rows_come_once_and_in_range():
    sampler = PoissonSampler(50, 0.9, RandomBits(1))
    for _ in range(100):
        rows = sampler.draw()
        assert len(np.unique(rows)) == len(rows) and rows.min() >= 0 and rows.max() < 50


def test_rate_one_takes_every_row_and_a_small_rate_may_take_none():
    assert sorted(PoissonSampler(20, 1.0, RandomBits(0)).draw()) == list(range(20))
    tiny = PoissonSampler(20, 1e-3, RandomBits(0))
    empty = [tiny.draw() for _ in range(50)]
    assert any(len(rows) == 0 for rows in empty)
    assert all(rows.dtype == np.int64 for rows in empty)


def test_seeds():
    def draws(seed):
        sampler = PoissonSampler(1000, 0.5, RandomBits(seed))
        return np.concatenate([sampler.draw() for _ in range(3)]).tolist()

    assert draws(4) == draws(4)
    assert draws(None) != draws(None)
    np.random.seed(0)  # noqa: NPY002 (the global stream must not matter)
    first = draws(None)
    np.random.seed(0)  # noqa: NPY002 (the global stream must not matter)
    assert draws(None) != first
