"""A correction learnt piece by piece: as from all rows at once, in memory that does not grow with them."""

import numpy as np
import pytest

from skfusiondp.estimators.joint._indicators import Indicators
from skfusiondp.estimators.offset import _indicator_rows
from skfusiondp.estimators.offset._correction import Loss, Releases, accountant_clipping
from skfusiondp.estimators.offset._indicator_rows import IndicatorRows, Piece
from skfusiondp.estimators.offset._posterior import Landscape, posterior_coefficients
from skfusiondp.privacy import make_plan
from skfusiondp.privacy._random_bits import RandomBits

N, SIZES = 300, [4, 5]
RNG = np.random.default_rng(0)
CODES = [RNG.integers(k, size=N) for k in SIZES]
OFFSET, TARGET = RNG.normal(size=(N, 1)), (CODES[0] > 1).astype(float)[:, None]
WEIGHT = RNG.uniform(0.5, 2, N)


def made(cuts, releases):
    """The rows in pieces, and a list that grows by each piece that is read."""
    reads = []

    def read():
        for chosen in np.split(np.arange(N), cuts):
            reads.append(len(chosen))
            features = Indicators([c[chosen] for c in CODES], SIZES)
            yield Piece(features, OFFSET[chosen], TARGET[chosen], WEIGHT[chosen])

    return IndicatorRows(read, N, sum(SIZES), 1, releases), reads


def coefficients(rows, releases):
    loss = Loss("binary")
    plan = make_plan(
        N, batch_size=N, steps=releases, epsilon=None, noise_multiplier=0.5, delta=1e-5,
        clipping=accountant_clipping(loss, 0.5, "replace"), adjacency="replace",
    )  # fmt: skip
    flat = np.zeros((sum(SIZES), 1)), np.full((sum(SIZES), 1), 20.0)
    landscape = Landscape(np.eye(sum(SIZES)), lambda coef: flat)
    made = Releases(loss, plan, RandomBits(1), lambda: None)
    return posterior_coefficients(lambda c: made.gradient(rows, c), landscape, 1, releases, made.std)


@pytest.mark.parametrize("kept", [2**30, 1])
def test_pieces_give_the_coefficients_of_all_rows_at_once(kept, monkeypatch):
    monkeypatch.setattr(_indicator_rows, "_KEPT_BYTES", kept)
    whole, _ = made([], 16)
    pieces, reads = made([1, 100, 101], 16)
    # To the last bit in what is released: sums of whole numbers.
    expected = coefficients(whole, 16)
    assert expected.any()
    np.testing.assert_allclose(coefficients(pieces, 16), expected, rtol=1e-9)
    # Kept after the first pass where they are few, and read again for each release where they are not.
    assert len(reads) == (4 if kept > 1 else 4 * 16)


def test_one_release_keeps_nothing():
    rows, reads = made([150], 1)
    for _ in range(2):
        assert sum(len(p.weight) for p in rows.pieces()) == N
    assert len(reads) == 4 and rows._kept is None
