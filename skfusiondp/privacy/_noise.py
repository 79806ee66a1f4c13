"""Gaussian noise for sums of clipped gradients, added on a grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ._random_bits import RandomBits
from ._release import SumNoise

if TYPE_CHECKING:
    from torch import Tensor

    from ._plan import Tier

# The grid's spacing is the largest power of two below this share of the clipping norm.
_UNIT = 2.0**-24
# How far a row's computed gradient may be from the exact one of the proof, as a share of the clipping
# norm: where a pass computes in double precision, and where its module takes single precision only.
_OF_A_ROW = {"float64": 2.0**-30, "float32": 2.0**-14}


class GaussianNoise:
    """Rounds a sum to a grid, adds Gaussian noise, and rounds to the grid again.

    Parameters
    ----------
    std : float
        Standard deviation of each coordinate.
    unit : float
        Spacing of the grid: a power of two, so that multiples of it are exact.
    bits : RandomBits, optional
        Source of the noise; the operating system's if not given.

    Notes
    -----
    Formal guarantee: what comes out is the rounded value of a Gaussian mechanism whose input are whole
    multiples of `unit` (``release``), so that its low-order bits reveal nothing. Any multiple of the unit can
    come out within 13 standard deviations, whatever the sum is. Rounding the input moves it by at most half
    a unit a coordinate, which `widened` makes part of the clipping norm.
    """

    def __init__(self, std: float, unit: float, bits: RandomBits | None = None):
        self.std = std
        self.unit = unit
        self._noise = SumNoise(std, 1.0, unit)
        self._bits = RandomBits() if bits is None else bits

    @classmethod
    def for_sums(
        cls,
        tier: Tier,
        n_numbers: int,
        expected_batch_size: float,
        precision: str = "float64",
        bits: RandomBits | None = None,
    ) -> GaussianNoise:
        """Noise of a plan's tier for sums of `n_numbers` numbers, rounding paid for.

        Parameters
        ----------
        tier : Tier
        n_numbers : int
            Of all tensors that are noised in one step.
        expected_batch_size : float
        precision : {"float64", "float32"}
            In which a row's gradient is computed.
        bits : RandomBits, optional
        """
        norm = tier.clipping.max_grad_norm
        wide = widened(norm, n_numbers, expected_batch_size, precision)
        return cls(tier.noise_multiplier * wide, unit_of(norm), bits)

    def rounded(self, total: Tensor) -> Tensor:
        """The sum on the grid, in double precision, in which sums of such sums are exact."""
        return self._in_units(total) * self.unit

    def add_to(self, total: Tensor) -> Tensor:
        """Return the rounded sum plus noise, in double precision and in the same shape."""
        import torch

        units = self._in_units(total).to(torch.int64).cpu().numpy()
        return torch.from_numpy(self._noise.added_to(units, self._bits)).to(total.device)

    def _in_units(self, total: Tensor) -> Tensor:
        return (total.double() / self.unit).round()


def unit_of(max_grad_norm: float) -> float:
    """Spacing of the grid for sums of rows of norm at most `max_grad_norm`."""
    return 2.0 ** math.floor(math.log2(_UNIT * max_grad_norm))


def widened(
    max_grad_norm: float, n_numbers: int, expected_batch_size: float, precision: str = "float64"
) -> float:
    """The clipping norm that pays for rounding too.

    Parameters
    ----------
    max_grad_norm : float
    n_numbers : int
        Coordinates of the sum.
    expected_batch_size : float
        Of a Poisson sample; twice as many rows and 200 are exceeded with a probability below 1e-80.
    precision : {"float64", "float32"}

    Returns
    -------
    float
        ``C (1 + 2**-24 sqrt(d) + (2 q n + 200) r)``: half a unit a coordinate for each of two sums, and the
        rounding r of each row's own gradient (docs/guarantee.md, section 3).
    """
    rows = 2 * expected_batch_size + 200
    return max_grad_norm * (1 + _UNIT * math.sqrt(n_numbers) + _OF_A_ROW[precision] * rows)
