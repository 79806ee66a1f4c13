"""Indicator features: held in few bytes, the same as a matrix and as sums."""

import numpy as np
import pytest

from skfusiondp.estimators.joint import _indicators
from skfusiondp.estimators.joint._indicators import Indicators

SIZES = [3, 300, 1, 7]
RNG = np.random.default_rng(0)
CODES = [RNG.integers(k, size=50) for k in SIZES]


@pytest.mark.parametrize("numbers", [2**20, 9, 1])
def test_sums_are_products_with_the_matrix(numbers, monkeypatch):
    monkeypatch.setattr(_indicators, "_NUMBERS", numbers)
    features = Indicators(CODES, SIZES)
    values = RNG.normal(size=(sum(SIZES), 2))
    matrix = features.matrix()
    assert matrix.shape == (50, features.n_features) == (50, 311) and (np.diff(matrix.indptr) == 4).all()
    np.testing.assert_allclose(matrix @ values, features.height * features.sums(values))
    np.testing.assert_allclose(np.square(matrix.toarray()).sum(axis=1), 1.0)
    dense = np.zeros((50, 311))
    for first, codes in zip(np.cumsum([0, *SIZES[:-1]]), CODES, strict=True):
        dense[np.arange(50), first + codes] = 0.5
    assert np.array_equal(matrix.toarray(), dense)


@pytest.mark.parametrize(("largest", "expected"), [(256, 1), (257, 2), (65_536, 2), (65_537, 4)])
def test_a_code_takes_as_few_bytes_as_the_largest_group_lets_it(largest, expected):
    features = Indicators([np.array([0, largest - 1]), np.array([1, 1])], [largest, 2])
    assert features.nbytes == 2 * 2 * expected
    assert features.matrix().indices.tolist() == [0, largest + 1, largest - 1, largest + 1]
