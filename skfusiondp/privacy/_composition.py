"""Many releases together: their privacy losses add up, and so do the logarithms of their transforms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.optimize import brentq
from scipy.signal import lfilter
from scipy.special import logsumexp, softmax

from ._privacy_loss import Atoms, Lattice, Loss

# What rounding losses to the grid may add to epsilon, as a share of it, or to the logarithm of delta.
_SHARE_OF_EPSILON = 5e-4
_SHARE_OF_DELTA = 3e-4
_LEAST_CELLS, _MOST_CELLS = 2**14, 2**20
# About so much of the tilted sum may lie outside the range that is looked at, as a logarithm.
_LOG_OUTSIDE = -20.0
_NEGLIGIBLE = 1e-6
# Multiples of the tilt at which Chernoff's bound is tried.
_TILTS = (1.0, 1.5, 3.0, 10.0, 40.0)
# A plan serves where delta differs by this from that for which it was made, as a logarithm.
_FAR = 3.0
# Larger ones are taken for infinite.
_NO_EPSILON = 1e18
# More than rounding in double precision takes: from delta, as a share of it, at all and for every release;
# from what a transform returns, as a share of its norm, likewise.
_ROUNDING, _ROUNDING_EACH = 1e-9, 4e-15
_ROUNDING_FFT, _ROUNDING_FFT_EACH = 4e-15, 1e-15

Part = tuple[Loss, int]


class Plan(NamedTuple):
    """Where and how finely to look at the sum of the losses.

    Parameters
    ----------
    epsilon : float
        The epsilon that is of interest.
    tilt : float
        The sum is looked at with its probabilities multiplied by ``exp(tilt * loss)``, which centres it near
        `epsilon`: there the transform is exact to double precision however small delta is.
    bottom, top : float
        Range of the tilted sum.
    ranges : tuple of (float, float)
        The smallest and the largest loss of each part that matter.
    grid : float
        Losses are rounded to multiples of it.
    log_delta : float
        About the logarithm of delta.
    """

    epsilon: float
    tilt: float
    bottom: float
    top: float
    ranges: tuple[tuple[float, float], ...]
    grid: float
    log_delta: float


class Composed(NamedTuple):
    """The sum of the losses around one epsilon.

    Parameters
    ----------
    losses, masses : ndarray
        Multiples of the grid; probabilities there, multiplied by ``exp(tilt * (loss - epsilon) - log_scale)``
    tilt, epsilon, log_scale : float
        See `masses`.
    infinite : float
        Probability of losses that are infinite or above all these.
    """

    losses: np.ndarray
    masses: np.ndarray
    tilt: float
    epsilon: float
    log_scale: float
    infinite: float

    def delta(self, epsilon: float) -> float:
        """Delta at an epsilon in the range of the losses."""
        over = self.losses > epsilon
        losses = self.losses[over]
        terms = self.masses[over] * np.exp(-self.tilt * (losses - epsilon)) * -np.expm1(epsilon - losses)
        log_scale = self.log_scale - self.tilt * (epsilon - self.epsilon)
        return min(1.0, self.infinite + math.exp(min(log_scale, 700.0)) * float(terms.sum()))

    def epsilon_of(self, delta: float) -> float | None:
        """Epsilon at a delta; None if it is not in the range of the losses."""
        if self.infinite >= delta:
            return None
        # Between two losses delta is `first` less exp(epsilon - loss) times `second`, sums over those above.
        away = self.losses - self.epsilon
        exponents = self.log_scale - math.log(delta - self.infinite) - self.tilt * away
        first = self.masses * np.exp(np.minimum(exponents, 300.0))
        decay = math.exp(-(self.losses[1] - self.losses[0]))
        second = lfilter([1.0], [1.0, -decay], first[::-1])[::-1]
        first = np.cumsum(first[::-1])[::-1]
        found = int(np.searchsorted(second - first, -1.0))
        if found == 0 and self.losses[0] <= 0:
            return 0.0
        if found in (0, len(first)):
            return None
        inside = (
            self.losses[found] + math.log((first[found] - 1) / second[found]) if first[found] > 1 else 0.0
        )
        return float(np.clip(inside, self.losses[found - 1], self.losses[found]))


def composed_log_delta(parts: Sequence[Part], epsilon: float, near: float) -> float:
    """About the logarithm of delta at `epsilon`, or at a smaller one: a saddle-point approximation."""
    return _plan(parts, _that_matters(parts, epsilon, near), near).log_delta


def _that_matters(parts: Sequence[Part], epsilon: float, near: float) -> float:
    """An epsilon, or a smaller one whose delta is far below `near`: farther out no grid is fine enough."""
    return min(epsilon, _first_guess(parts, near * _NEGLIGIBLE)) if near else epsilon


def composed_delta(parts: Sequence[Part], epsilon: float, near: float = 0.0) -> float:
    """Delta at `epsilon` of the composition of the parts, each a loss and how often it is released.

    Parameters
    ----------
    parts : sequence of (Loss, int)
    epsilon : float
    near : float, default=0
        Of deltas below a millionth of this a larger one is given, that of a smaller epsilon.
    """
    epsilon = _that_matters(parts, epsilon, near)
    plan = _plan(parts, epsilon, near)
    return _compose(parts, plan).delta(epsilon)


def composed_epsilon(parts: Sequence[Part], delta: float) -> float:
    """Epsilon at `delta` of the composition of the parts, each a loss and how often it is released."""
    if -math.expm1(sum(steps * math.log1p(-loss.infinite) for loss, steps in parts)) >= delta:
        return math.inf
    guess, low, high, tries = _first_guess(parts, delta), -1.0, math.inf, 0
    while guess < _NO_EPSILON:
        plan = _plan(parts, guess, delta)
        composed = _compose(parts, plan)
        found = composed.epsilon_of(delta)
        if found is not None and plan.tilt * abs(found - guess) < _FAR:
            return max(found, 0.0)
        if composed.delta(guess) > delta:
            low = guess
        elif guess == 0:
            return 0.0
        else:
            high = guess
        if high - low < 1e-6 * high < math.inf:
            return high
        if found is None or not low < found < high:
            found = (max(low, 0.0) + high) / 2 if high < math.inf else 2 * max(low, 0.0) + 1 / plan.tilt
        # Zero is tried before numbers that come ever closer to it.
        tries += 1
        guess = 0.0 if low < 0 and (tries > 3 or plan.tilt * found < 1e-2) else found
    return math.inf


class _Cumulants(NamedTuple):
    """Logarithm of the mean of ``exp(tilt * loss)`` of the sum, and its first two derivatives."""

    value: float
    mean: float
    variance: float


class _Sum:
    """The sum of the losses by their atoms: what a plan is made with.

    Parameters
    ----------
    parts : sequence of (Loss, int)
    rare : float
        Tails of one release that are so unlikely are cut off.
    most : float, optional
        Losses above this are cut off.
    """

    def __init__(self, parts: Sequence[Part], rare: float, most: float = math.inf) -> None:
        self.parts = [(_cut(loss.atoms, rare, most), steps) for loss, steps in parts]
        self.least, self.most = (sum(steps * float(a.losses[i]) for a, steps in self.parts) for i in (0, -1))
        self.steps = sum(steps for _, steps in parts)

    def at(self, tilt: float) -> _Cumulants:
        value = mean = variance = 0.0
        for (losses, log_masses), steps in self.parts:
            exponents = tilt * losses + log_masses
            top = exponents.max()
            shares = np.exp(exponents - top)
            total = shares.sum()
            shares /= total
            own = float(shares @ losses)
            value += steps * float(top + math.log(total))
            mean += steps * own
            variance += steps * float(shares @ (losses - own) ** 2)
        return _Cumulants(value, mean, variance)

    def ranges_under(self, tilt: float) -> tuple[tuple[float, float], ...]:
        """The smallest and the largest loss of each part that matter under a tilt."""
        ranges = []
        for (losses, log_masses), _ in self.parts:
            # Smaller losses are raised to the first.
            raised = np.logaddexp.accumulate(log_masses) + tilt * losses
            exponents = tilt * losses + log_masses
            first = int(np.searchsorted(raised, np.logaddexp.reduce(exponents) - 23 - math.log(self.steps)))
            ranges.append((float(losses[max(0, min(first, len(losses) - 2))]), float(losses[-1])))
        return tuple(ranges)

    def grid(self, tilt: float, allowed: float, narrowest: float, widest: float) -> float:
        """As wide a grid as adds no more than `allowed` to the logarithm of delta."""
        shares = [softmax(tilt * a.losses + a.log_masses) for a, _ in self.parts]
        grid = narrowest
        while grid < widest:
            # What splitting a loss between two multiples adds to the variance.
            added = 0.0
            for ((losses, _), steps), share in zip(self.parts, shares, strict=True):
                near = np.abs(losses)
                added += steps * float(share @ np.where(near < grid, near * (grid - near), grid**2 / 6))
            if added * tilt * (1 + tilt) / 2 > allowed:
                break
            grid *= 2
        return min(max(narrowest, grid / 2), widest)


def _cut(atoms: Atoms, rare: float, most: float) -> Atoms:
    """The atoms without their tails, and what a lattice that ends there makes of these."""
    losses, log_masses = atoms
    masses = np.exp(log_masses)
    first = min(int(np.searchsorted(np.cumsum(masses), rare)), len(losses) - 1)
    last = len(losses) - 1 - int(np.searchsorted(np.cumsum(masses[::-1]), rare))
    last = max(first, min(last, int(np.searchsorted(losses, most))))
    log_masses = log_masses[first : last + 1].copy()
    with np.errstate(divide="ignore"):
        below = np.log(masses[:first].sum())
    above = np.logaddexp.reduce(atoms.log_masses[last + 1 :] - losses[last + 1 :], initial=-math.inf)
    log_masses[0] = np.logaddexp(log_masses[0], below)
    log_masses[-1] = np.logaddexp(log_masses[-1], above + losses[last])
    return Atoms(losses[first : last + 1], log_masses)


def _plan(parts: Sequence[Part], epsilon: float, near: float) -> Plan:
    """Plan for an epsilon, where deltas far below `near` are of no interest.

    Notes
    -----
    Delta is the integral of ``exp(F(z)) / (2 pi i)`` with ``F(z) = K(z) - z epsilon - log z - log(1 + z)``, K
    the sum's cumulants. The tilt is where F is smallest: its saddle point (Alghamdi et al. 2022).
    """
    steps = sum(s for _, s in parts)
    rare = max(near * _NEGLIGIBLE, 1e-50) / steps
    # A loss far above epsilon hides no more than an infinite one; losses of other releases may lower the sum.
    far = epsilon + 16
    total = _Sum(parts, rare, far + 6 * math.sqrt(_Sum(parts, rare, far).at(0.0).variance))
    if epsilon < total.most:
        tilt = _root(lambda tilt: _saddle(total.at(tilt), tilt) - epsilon)
    else:
        tilt = 100 / max(epsilon + total.most - total.least, 1e-12)
    k = total.at(tilt)
    # Chernoff's bound on how much of the tilted sum lies outside.
    below, above = (
        [(_LOG_OUTSIDE + k.value - total.at(s * tilt).value) / (tilt - s * tilt) for s in shares]
        for shares in ((0.9, 0.6, 0.2, -0.5), (1.1, 1.2, 1.35, 1.6, 2.2))
    )
    bottom = min(epsilon, max(total.least, *below))
    # A little beyond the largest sum, where rounding puts some of it.
    largest = total.most + 0.05 * max(total.most - bottom, 0.0)
    top = max(bottom, epsilon, min(largest, max(min(above), epsilon + 30 / tilt)))
    ranges = total.ranges_under(tilt)
    # Losses may all be one number, as those of an absent row without much noise are.
    span = max(top - bottom, 1e-6 * abs(top), 1e-15, *(most - least for least, most in ranges))
    allowed = max(_SHARE_OF_DELTA, _SHARE_OF_EPSILON * epsilon * tilt)
    grid = total.grid(tilt, allowed, span / _MOST_CELLS, span / _LEAST_CELLS)
    return Plan(epsilon, tilt, bottom, top, ranges, grid, _log_delta(k, tilt, epsilon))


def _first_guess(parts: Sequence[Part], delta: float) -> float:
    """About the epsilon at which delta is as given."""
    total, log_delta = _Sum(parts, delta * _NEGLIGIBLE / sum(s for _, s in parts)), math.log(delta)

    def ahead(tilt: float) -> float:
        k = total.at(tilt)
        return log_delta - _log_delta(k, tilt, _saddle(k, tilt))

    tilt = _root(ahead)
    return max(0.0, _saddle(total.at(tilt), tilt))


def _saddle(k: _Cumulants, tilt: float) -> float:
    """The epsilon whose saddle point the tilt is."""
    return k.mean - 1 / tilt - 1 / (1 + tilt)


def _log_delta(k: _Cumulants, tilt: float, epsilon: float) -> float:
    curvature = k.variance + tilt**-2 + (1 + tilt) ** -2
    exponent = k.value - tilt * epsilon - math.log(tilt) - math.log1p(tilt)
    return min(0.0, exponent - 0.5 * math.log(2 * math.pi * curvature))


def _root(increasing: Callable[[float], float]) -> float:
    """The tilt at which a function of it is zero, as closely as a plan needs."""

    def of_log(log_tilt: float) -> float:
        return increasing(math.exp(log_tilt))

    # From below: under tilts that are far too large, rounding drowns what the function is.
    low, high = -25.0, -22.0
    if of_log(low) >= 0:
        return math.exp(low)
    while of_log(high) < 0:
        low, high = high, high + 3
        if high > 60:
            return math.exp(high)
    return math.exp(brentq(of_log, low, high, xtol=1e-4, rtol=1e-6))


def _compose(parts: Sequence[Part], plan: Plan) -> Composed:
    """The sum of the losses around the plan's epsilon.

    Notes
    -----
    The transform is of finite length, so that losses beyond its range come back at its other end: this moves
    those below the range up, which overstates, and what lies above the range is added as infinite.
    """
    first = math.floor(plan.bottom / plan.grid)
    steps = sum(s for _, s in parts)
    # Rounding to the grid spreads a sum by some of its cells.
    spread = min(steps, math.ceil(12 * math.sqrt(steps)))
    size = next_fast_len(math.ceil(plan.top / plan.grid) - first + 2 + spread, real=True)
    log_sizes, angles, moved = np.zeros(size // 2 + 1), np.zeros(size // 2 + 1), 0.0
    log_norms, shift, last, log_finite = np.zeros(len(_TILTS)), 0, 0, 0.0
    for (loss, times), ends in zip(parts, plan.ranges, strict=True):
        lattice = loss.lattice(plan.grid, *ends)
        folded, centre = _folded(lattice, plan.tilt * plan.grid, size)
        # The transform less 1, so that of a release that hardly ever moves anything no digit is lost.
        share = float(folded[1:].sum())
        folded[0] = -share
        less_one = rfft(folded)
        square = np.maximum(2 * less_one.real + np.abs(less_one) ** 2, -1.0)
        with np.errstate(divide="ignore"):
            log_sizes += times * np.log1p(square) / 2
        angles += times * np.arctan2(less_one.imag, 1 + less_one.real)
        moved += times * share
        log_norms += times * np.array([_log_norm(lattice, t * plan.tilt * plan.grid) for t in _TILTS])
        shift += times * centre
        last += times * (lattice.first + len(lattice.masses) - 1)
        log_finite += times * math.log1p(-min(lattice.infinite, 1 - 1e-16))
    spectrum = np.exp(log_sizes) * np.exp(1j * angles)
    masses = np.maximum(np.roll(irfft(spectrum, size), (shift - first) % size), 0.0)
    # What rounding of the transforms may have taken from any of them.
    masses += (_ROUNDING_FFT + _ROUNDING_FFT_EACH * moved) * float(np.linalg.norm(masses)) / math.sqrt(size)
    losses = plan.grid * (first + np.arange(size))
    log_norms += _ROUNDING + _ROUNDING_EACH * steps
    # Chernoff's bound on what lies above the range.
    log_above = float((log_norms - np.array(_TILTS) * plan.tilt * losses[-1]).min())
    above = math.exp(min(0.0, log_above)) if last >= first + size else 0.0
    log_scale = float(log_norms[0]) - plan.tilt * plan.epsilon
    return Composed(losses, masses, plan.tilt, plan.epsilon, log_scale, -math.expm1(log_finite) + above)


def _log_norm(lattice: Lattice, tilt: float) -> float:
    """Logarithm of the sum of a lattice's masses, tilted by so much a multiple of the grid."""
    return float(logsumexp(tilt * (lattice.first + np.arange(len(lattice.masses))), b=lattice.masses))


def _folded(lattice: Lattice, tilt: float, size: int) -> tuple[np.ndarray, int]:
    """A lattice's masses, tilted, of sum 1, and folded to a size around their mean; and that mean."""
    index = np.arange(len(lattice.masses))
    with np.errstate(divide="ignore"):
        exponents = np.log(lattice.masses) + tilt * index
    masses = np.exp(exponents - exponents.max())
    masses /= masses.sum()
    centre = round(float(masses @ index))
    return np.bincount((index - centre) % size, masses, size), centre + lattice.first
