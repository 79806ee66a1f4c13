"""The privacy loss of one release, as a distribution on a grid that never understates it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from scipy.interpolate import CubicHermiteSpline
from scipy.special import log_ndtr, logsumexp, ndtr
from scipy.stats import binom

# Numbers of sampled rows that are less likely than this count as no privacy at all.
_RARE = 1e-45
# Beyond so many standard deviations lies less than 1e-44 of a normal distribution.
_TAIL = 14.0
# Between two neighbouring nodes a density is a polynomial to double precision.
_NODES_A_SCALE = 6
_MOST_NODES = 200_000
_MANY_NODES, _FEW_NODES = np.polynomial.legendre.leggauss(4), np.polynomial.legendre.leggauss(2)
_AT_ONCE = 2**18


class Atoms(NamedTuple):
    """A distribution of privacy losses as points, close enough to plan with."""

    losses: np.ndarray
    log_masses: np.ndarray


class Lattice(NamedTuple):
    """A distribution of privacy losses on multiples of a grid: at least as distinguishable as the true one.

    Parameters
    ----------
    first : int
        The first mass lies at this multiple of the grid.
    masses : ndarray
        Of the first distribution of the pair.
    infinite : float
        The mass of an infinite loss.
    """

    first: int
    masses: np.ndarray
    infinite: float


class Loss(Protocol):
    """The privacy loss of one release under one pair of neighbours."""

    @property
    def infinite(self) -> float:
        """The probability that it is infinite."""

    @property
    def atoms(self) -> Atoms:
        """Its distribution, close enough to plan with."""

    def lattice(self, grid: float, least: float, most: float) -> Lattice:
        """Its distribution on multiples of `grid`, never understated; cut off at the atoms of two losses."""


def spread(losses: np.ndarray, masses: np.ndarray, grid: float, infinite: float = 0.0) -> Lattice:
    """Put each mass on the two multiples of the grid around its loss.

    Notes
    -----
    Of a mass m of the first distribution at the loss l the second one has ``m exp(-l)``. Both are kept by
    the shares ``(1 - s, s)`` with ``s = (1 - exp(-(l - a))) / (1 - exp(-grid))``, a being the multiple
    below l. Every hockey-stick divergence is the mean of a function of l that is convex in ``exp(-l)``,
    so that it only grows (connect the dots; Doroshenko et al. 2022).
    """
    below = np.floor(losses / grid)
    above = np.clip(np.expm1(below * grid - losses) / math.expm1(-grid), 0.0, 1.0)
    first = int(below.min())
    index = (below - first).astype(np.int64)
    size = int(index.max()) + 2
    total = np.bincount(index, masses * (1 - above), size) + np.bincount(index + 1, masses * above, size)
    return Lattice(first, total, infinite)


@dataclass(frozen=True)
class Mixture:
    """Normal distributions of one standard deviation around these means, mixed with these weights."""

    means: np.ndarray
    weights: np.ndarray

    def tilt(self, x: np.ndarray, sigma: float) -> np.ndarray:
        """Logarithm of the density over that of N(0, sigma^2)."""
        exponents = self._exponents(x, sigma)
        if len(exponents) == 1:
            return exponents[0]
        # By differences from 1: a step's loss may be a millionth, and a million of them add up.
        with np.errstate(over="ignore"):
            change = self.weights @ np.expm1(exponents)
        value = np.log1p(np.maximum(change, -0.5))
        far = (change < -0.5) | ~np.isfinite(change)
        if far.any():
            value[far] = logsumexp(exponents[:, far], axis=0, b=self.weights[:, None])
        return value

    def slope(self, x: np.ndarray, sigma: float) -> np.ndarray:
        """Derivative of ``tilt``."""
        exponents = self._exponents(x, sigma)
        shares = self.weights[:, None] * np.exp(exponents - exponents.max(axis=0))
        return (self.means / sigma**2) @ shares / shares.sum(axis=0)

    def _exponents(self, x: np.ndarray, sigma: float) -> np.ndarray:
        return np.outer(self.means / sigma**2, x) - (self.means**2 / (2 * sigma**2))[:, None]

    def above(self, x: float, sigma: float) -> float:
        """Probability above x."""
        return float(self.weights @ ndtr((self.means - x) / sigma))

    def below(self, x: float, sigma: float) -> float:
        """Probability below x."""
        return float(self.weights @ ndtr((x - self.means) / sigma))

    def log_above(self, x: float, sigma: float) -> float:
        """Logarithm of the probability above x."""
        return float(np.logaddexp.reduce(np.log(self.weights) + log_ndtr((self.means - x) / sigma)))


@dataclass(frozen=True)
class SampledGaussian:
    """Loss of a Poisson-sampled Gaussian, of which each row in the sample moves the sum to one side.

    Parameters
    ----------
    upper, lower : Mixture
        What is released under two neighbours. Its loss grows with x.
    sigma : float
        Noise multiplier.
    infinite : float
        Probability of what was left out of both mixtures.
    """

    upper: Mixture
    lower: Mixture
    sigma: float
    infinite: float = 0.0

    @classmethod
    def of(cls, sigma: float, q: float, rows: int, one: float, other: float) -> SampledGaussian:
        """Loss between neighbours in which each of a unit's sampled rows adds `one`, or `other`.

        That pair dominates all others (docs/guarantee.md, section on units).
        """
        counts = np.arange(rows + 1.0)
        weights = binom.pmf(counts, rows, q)
        kept = weights > _RARE
        counts, weights = counts[kept], weights[kept]
        missing = float(binom.sf(counts[-1], rows, q) + binom.cdf(counts[0] - 1, rows, q))

        def sums(each: float) -> Mixture:
            return Mixture(each * counts, weights) if each else Mixture(np.zeros(1), np.ones(1))

        return cls(sums(one), sums(other), sigma, missing)

    @property
    def _scale(self) -> float:
        """On which the densities and the loss change."""
        mixed = [m.means for m in (self.upper, self.lower) if len(m.means) > 1]
        return min([self.sigma, *(self.sigma**2 / float(np.abs(means).max()) for means in mixed)])

    @property
    def intricate(self) -> bool:
        """Whether there is so little noise that the loss has more detail than can be followed."""
        span = self.upper.means.max() - self.lower.means.min() + 2 * _TAIL * self.sigma
        return bool(span / self._scale * _NODES_A_SCALE > _MOST_NODES)

    def loss(self, x: np.ndarray) -> np.ndarray:
        """Privacy loss at each x."""
        return self._loss_and_density(x)[0]

    def _loss_and_density(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Privacy loss at each x, and the first distribution's density."""
        losses, densities = [], []
        for part in np.array_split(x, max(1, x.size * self.upper.means.size // _AT_ONCE)):
            tilt = self.upper.tilt(part, self.sigma)
            losses.append(tilt - self.lower.tilt(part, self.sigma))
            densities.append(np.exp(tilt - 0.5 * (part / self.sigma) ** 2))
        return np.concatenate(losses), np.concatenate(densities) / (self.sigma * math.sqrt(2 * math.pi))

    @cached_property
    def _nodes(self) -> tuple[np.ndarray, np.ndarray]:
        low, high = self.upper.means.min() - _TAIL * self.sigma, self.upper.means.max() + _TAIL * self.sigma
        count = math.ceil((high - low) / self._scale * _NODES_A_SCALE) + 1
        x = np.linspace(low, high, count)
        return x, np.maximum.accumulate(self.loss(x))

    @cached_property
    def atoms(self) -> Atoms:
        """Its distribution, close enough to plan with."""
        x, losses = self._nodes
        with np.errstate(divide="ignore"):
            return Atoms(losses, np.log(self._loss_and_density(x)[1] * (x[1] - x[0])))

    def lattice(self, grid: float, least: float, most: float) -> Lattice:
        """Its distribution on multiples of `grid`, never understated; cut off at the atoms of two losses."""
        nodes, losses = self._nodes
        last = min(max(int(np.searchsorted(losses, most)), 1), len(nodes) - 1)
        first = min(max(int(np.searchsorted(losses, least, side="right")) - 1, 0), last - 1)
        bottom, top = nodes[first], nodes[last]
        inside = nodes[(nodes > bottom) & (nodes < top)]
        ends = np.array([bottom, top])
        least, largest = self.loss(ends)
        breaks = np.concatenate([ends, inside, self._where(grid, least, largest)])
        x, widths = _quadrature(np.unique(np.clip(breaks, bottom, top)))
        at, densities = self._loss_and_density(x)
        # Losses below the smallest are raised to it. Of what lies above the largest, as much gets that loss
        # as the other distribution matches, and the rest an infinite one.
        below, beyond = self.upper.below(bottom, self.sigma), self.upper.above(top, self.sigma)
        matched = min(beyond, math.exp(min(0.0, largest + self.lower.log_above(top, self.sigma))))
        at = np.concatenate([at, [least, largest]])
        masses = np.concatenate([densities * widths, [below, matched]])
        return spread(at, masses, grid, beyond - matched + self.infinite)

    def _where(self, grid: float, least: float, largest: float) -> np.ndarray:
        """About where the loss is a multiple of the grid: there the quadrature's integrand has kinks."""
        x, losses = self._nodes
        slopes = self.upper.slope(x, self.sigma) - self.lower.slope(x, self.sigma)
        # Of slopes below this the inverse is no float.
        steep = (slopes > 1e-300) & (np.diff(losses, prepend=-np.inf) > 0)
        if steep.sum() < 2:
            return np.zeros(0)
        wanted = grid * np.arange(math.ceil(least / grid), math.floor(largest / grid) + 1)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.nan_to_num(CubicHermiteSpline(losses[steep], x[steep], 1 / slopes[steep])(wanted))


def _quadrature(breaks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points and their weights for an integral: Gauss-Legendre between neighbouring breaks."""
    half = np.diff(breaks)
    wide = half > half.max() / 64
    points, weights = [], []
    for chosen, (nodes, shares) in ((wide, _MANY_NODES), (~wide, _FEW_NODES)):
        part = half[chosen, None] / 2
        points.append((breaks[:-1][chosen, None] + part + part * nodes).ravel())
        weights.append((part * shares).ravel())
    return np.concatenate(points), np.concatenate(weights)


@dataclass(frozen=True)
class RandomisedResponse:
    """The pair that dominates every (epsilon, delta)-private mechanism.

    With probability delta its loss is infinite, else that of randomised response (Kairouz, Oh and Viswanath,
    2015).
    """

    epsilon: float
    delta: float

    @property
    def infinite(self) -> float:
        """The probability that it is infinite."""
        return self.delta

    @property
    def atoms(self) -> Atoms:
        """Its distribution."""
        losses = np.array([-self.epsilon, self.epsilon])
        return Atoms(losses, math.log1p(-self.delta) - np.logaddexp(0, -losses))

    def lattice(self, grid: float, least: float, most: float) -> Lattice:
        """Its distribution on multiples of `grid`, never understated; both atoms whatever the ends."""
        losses, log_masses = self.atoms
        return spread(losses, np.exp(log_masses), grid, self.delta)
