"""A correction learnt piece by piece: as from all rows at once, in memory that does not grow with them."""

import numpy as np
import pytest

from skfusiondp.estimators.offset import _indicator_rows
from skfusiondp.estimators.offset._correction import Groups, Loss, accountant_clipping, fit_correction
from skfusiondp.estimators.offset._indicator_rows import IndicatorRows, Piece
from skfusiondp.estimators.offset._indicators import Indicators
from skfusiondp.privacy import make_plan
from skfusiondp.privacy._random_bits import RandomBits

N, SIZES = 300, [4, 5]
RNG = np.random.default_rng(0)
CODES = [RNG.integers(k, size=N) for k in SIZES]
OFFSET, TARGET = RNG.normal(size=(N, 1)), RNG.integers(2, size=(N, 1)).astype(float)
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
        N, batch_size=N, steps=releases, epsilon=None, noise_multiplier=1.0, delta=1e-5,
        clipping=accountant_clipping(loss, 0.5, "replace"), adjacency="replace",
    )  # fmt: skip
    shape = Groups(np.repeat([0, 1], SIZES), np.ones(2))
    return fit_correction(rows, loss, plan, RandomBits(1), shape, lambda: None)


@pytest.mark.parametrize("kept", [2**30, 1])
def test_pieces_give_the_coefficients_of_all_rows_at_once(kept, monkeypatch):
    monkeypatch.setattr(_indicator_rows, "_KEPT_BYTES", kept)
    whole, _ = made([], 16)
    pieces, reads = made([1, 100, 101], 16)
    # To the last bit in what is released: sums of whole numbers.
    np.testing.assert_allclose(coefficients(pieces, 16), coefficients(whole, 16), rtol=1e-9)
    # Kept after the first pass where they are few, and read again for each release where they are not.
    assert len(reads) == (4 if kept > 1 else 4 * 17)


def test_one_release_keeps_nothing():
    rows, reads = made([150], 1)
    for _ in range(2):
        assert sum(len(p.weight) for p in rows.pieces()) == N
    assert len(reads) == 4 and rows._kept is None
