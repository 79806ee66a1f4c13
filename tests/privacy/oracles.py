"""What mechanisms cost, by methods that use no grid of losses, as the accountant does."""

import math

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import binom, norm

from skfusiondp.accounting import RELATIONS


def gaussian_delta(epsilon, distance):
    """Balle and Wang (2018), theorem 8, for means `distance` standard deviations apart."""
    a = epsilon / distance - distance / 2
    return norm.sf(a) - np.exp(epsilon + norm.logsf(a + distance))


def cumulants(entry, pair):
    """Logarithm of E exp(z loss) of all steps of an entry, for a complex z: the trapezoid rule in x.

    The integrand is analytic and decays like a normal density, so that the rule converges exponentially.
    """
    if hasattr(entry, "epsilon"):
        kept, e = 1 - entry.delta, entry.epsilon
        return lambda z: np.log(kept) + np.log(np.exp(z * e + e) + np.exp(-z * e)) - np.log1p(np.exp(e))
    sigma, q, rows = entry.noise_multiplier, entry.sample_rate, entry.rows_per_unit
    x = np.arange(-rows - 13 * sigma, rows + 13 * sigma, min(sigma, sigma**2 / rows) / 25)

    def tilt(mean):
        count = np.arange(rows + 1)[:, None]
        weights = binom.pmf(count, rows, q)
        z = (count * mean * x - (count * mean) ** 2 / 2) / sigma**2
        top = z.max(axis=0)
        return np.where(top > 1, top + np.log((weights * np.exp(z - top)).sum(axis=0)),
                        np.log1p((weights * np.expm1(np.minimum(z, 1))).sum(axis=0)))  # fmt: skip

    upper = tilt(pair[0])
    loss = upper - tilt(pair[1])
    log_mass = upper - x**2 / (2 * sigma**2) + math.log((x[1] - x[0]) / (sigma * math.sqrt(2 * math.pi)))

    def value(z):
        exponents = z * loss + log_mass
        top = exponents.real.max()
        return entry.steps * (top + np.log(np.exp(exponents - top).sum()))

    return value


def composed_log_delta(epsilon, entries, adjacency):
    """Logarithm of the exact delta of entries that are composed, for more than a few steps.

    Delta is the inverse Laplace transform of exp(K(z)) / (z (1 + z)), integrated through its saddle point.
    """
    return max(_log_delta(epsilon, entries, pair) for pair in RELATIONS[adjacency].pairs)


def _log_delta(epsilon, entries, pair):
    parts = [cumulants(e, pair) for e in entries]

    def exponent(z):
        return sum(part(z) for part in parts) - z * epsilon - np.log(z) - np.log(1 + z)

    def real(log_tilt):
        return float(np.real(exponent(math.exp(log_tilt) + 0j)))

    tilt = math.exp(minimize_scalar(real, bounds=(-6, 16), method="bounded", options={"xatol": 1e-6}).x)
    peak = real(math.log(tilt))
    h = 1e-4 * tilt
    curvature = (real(math.log(tilt + h)) - 2 * peak + real(math.log(tilt - h))) / h**2
    step = 1 / (8 * math.sqrt(curvature))
    terms = []
    while len(terms) < 60 or max(map(abs, terms[-20:])) > 1e-8:
        assert len(terms) < 20_000, "so few steps have to be integrated in another way"
        terms.append(np.exp(exponent(tilt + 1j * step * len(terms)) - peak).real)
    total = (terms[0] / 2 + sum(terms[1:])) * step / math.pi
    # Losses that are bounded, as those of an absent row are, leave nothing above their bound.
    return peak + math.log(total) if total > 1e-9 else -math.inf


def smallest_noise(log_delta_at, delta, start):
    """The noise multiplier at which a delta that falls with it is `delta`, within 1e-5 of itself."""
    low, high = start / 1.2, start * 1.2
    assert log_delta_at(low) > math.log(delta) > log_delta_at(high)
    while high / low > 1 + 1e-5:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if log_delta_at(middle) > math.log(delta) else (low, middle)
    return high
