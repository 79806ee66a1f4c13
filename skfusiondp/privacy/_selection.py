"""Repeating a mechanism a random number of times and releasing the best run: what it costs.

Papernot and Steinke (2022) bound it by the Renyi divergences of one run, so those of the
Poisson-sampled Gaussian are computed here for every neighbouring relation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, pdtr

from .._parameters import OneOf, Real, as_float
from ..exceptions import InvalidInputError
from ._constraints import DELTA, EPSILON
from ._mechanisms import Gaussian, Mechanism
from ._random_bits import RandomBits
from ._relations import Relation, relation

#: Orders at which divergences are computed; any subset gives a valid bound, more a tighter one.
ORDERS = np.unique(
    np.concatenate([1 + np.geomspace(0.05, 1, 14), np.arange(3, 16), np.geomspace(16, 512, 32)])
)
DISTRIBUTION = OneOf(("negative-binomial", "poisson"))
N_TRIALS = Real(1, 1e6, closed="right", exact=True, remedy="it is the expected number of trials")
ETA = Real(-1, 100, closed="right", exact=True)
# The most that quadrature and rounding may miss of a step's log moment.
_SLACK = 1e-12
_TAIL = 12.0


@dataclass(frozen=True)
class Repetitions:
    """How often a mechanism is run: the distribution of the number of trials.

    Parameters
    ----------
    mean : float
        Expected number of trials, above 1.
    distribution : {"negative-binomial", "poisson"}, default="negative-binomial"
        Truncated at zero, as in Definition 1 of the paper; or Poisson, which may be zero.
    eta : float, default=1.0
        Shape of the negative binomial, above -1: 1 is geometric, 0 logarithmic. The smaller, the less it
        costs and the more the number varies.

    Raises
    ------
    InvalidInputError
        If a value is out of range.

    Examples
    --------
    >>> from skfusiondp.privacy._selection import Repetitions
    >>> round(Repetitions(mean=10).gamma, 6)
    0.1
    """

    mean: float
    distribution: str = "negative-binomial"
    eta: float = 1.0

    def __post_init__(self) -> None:
        DISTRIBUTION.check("distribution", self.distribution)
        N_TRIALS.check("n_trials", self.mean)
        ETA.check("eta", self.eta)
        for name in ("mean", "eta"):
            object.__setattr__(self, name, as_float(getattr(self, name)))

    @property
    def gamma(self) -> float:
        """Parameter of the negative binomial that gives the mean, rounded down."""
        # The mean falls from infinity to 1 as gamma grows from 0 to 1.
        low, high = 0.0, 1.0
        for _ in range(200):
            middle = (low + high) / 2 if low else high / 2
            low, high = (middle, high) if _mean(middle, self.eta) >= self.mean else (low, middle)
            if high - low <= 1e-13 * high:
                break
        return low

    def draw(self, bits: RandomBits) -> int:
        """Draw a number of trials: the inverse distribution function of one uniform number.

        It must stay secret, which takes `bits` of the operating system.
        """
        u = float(bits.uniform(1)[0])
        if self.distribution == "poisson":
            low, high = -1, math.ceil(self.mean + 40 * math.sqrt(self.mean) + 40)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if pdtr(middle, self.mean) >= u else (middle, high)
            return high
        # Term by term: P(k + 1) / P(k) = (1 - gamma) (k + eta) / (k + 1).
        gamma, eta = self.gamma, self.eta
        k, term = 1, _first(gamma, eta)
        left = u - term
        while left > 0 and term > 1e-18:
            term *= (1 - gamma) * (k + eta) / (k + 1)
            k += 1
            left -= term
        return k

    def compose(self, rdp: np.ndarray) -> np.ndarray:
        """Renyi divergences of the best of so many runs, from those of one run.

        Parameters
        ----------
        rdp : ndarray of shape (n_orders,)
            Of one run, at ``ORDERS``.

        Returns
        -------
        ndarray of shape (n_orders,)

        Notes
        -----
        Truncated negative binomial, Theorem 2 of the paper: for every order b,
        ``eps(a) + (1 + eta) (1 - 1/b) eps(b) + (1 + eta) log(1/gamma) / b + log(mean) / (a - 1)``.
        Poisson, Theorem 6: ``eps(a) + mean * delta + log(mean) / (a - 1)``, where one run is
        ``(log(1 + 1/(a - 1)), delta)``-private.

        References
        ----------
        N. Papernot and T. Steinke, "Hyperparameter Tuning with Renyi Differential Privacy", ICLR 2022,
        arXiv:2110.03620.
        """
        extra = math.log(self.mean) / (ORDERS - 1)
        if self.distribution == "poisson":
            delta = np.array([delta_of(rdp, math.log1p(1 / (a - 1))) for a in ORDERS])
            return rdp + self.mean * delta + extra
        once = (1 - 1 / ORDERS) * rdp - math.log(self.gamma) / ORDERS
        return rdp + extra + (1 + self.eta) * float(np.min(once))


def rdp_of(mechanisms: Sequence[Mechanism], adjacency: str) -> np.ndarray:
    """Renyi divergences at ``ORDERS`` of the adaptive composition of Poisson-sampled Gaussians.

    Parameters
    ----------
    mechanisms : sequence of Gaussian
    adjacency : {"replace", "zero-out", "add-remove"}

    Returns
    -------
    ndarray of shape (n_orders,)
        Upper bounds up to the quadrature's error, for which a slack is added; infinite without noise.

    Raises
    ------
    InvalidInputError
        For any other mechanism.

    Notes
    -----
    The pair of one step is the accountant's: ``(1 - q) N(0, s^2) + q N(a, s^2)`` against the same with b,
    for the costliest pair (a, b) of the relation. It dominates all others in every hockey-stick
    divergence, hence in every Renyi divergence, which is a mixture of those; and Renyi divergences of
    adaptive compositions add. ``E = exp((a - 1) D)`` is the integral of ``P^a Q^(1 - a)``, an analytic
    function that decays like a Gaussian, for which the trapezoid rule converges exponentially (Trefethen
    and Weideman 2014).
    """
    under = relation(adjacency)
    total = np.zeros(len(ORDERS))
    for mechanism in mechanisms:
        if not isinstance(mechanism, Gaussian) or mechanism.rows > 1:
            raise InvalidInputError(
                "A mechanism of which only epsilon and delta are given cannot be repeated; use noise that "
                "the ledger states."
            )
        sigma, q, steps, _ = mechanism
        total = total + steps * np.array(_step(sigma, q, under))
    return total


def epsilon_of(rdp: np.ndarray, delta: float) -> float:
    """Epsilon at `delta` of a mechanism with Renyi divergences `rdp` at ``ORDERS``.

    Notes
    -----
    Canonne, Kamath and Steinke (2020), Proposition 12, at the best order.
    """
    DELTA.check("delta", delta)
    a = ORDERS
    return max(0.0, float(np.min(rdp + np.log1p(-1 / a) - np.log(delta * a) / (a - 1))))


def delta_of(rdp: np.ndarray, epsilon: float) -> float:
    """Delta at `epsilon` of a mechanism with Renyi divergences `rdp` at ``ORDERS``: the inverse."""
    a = ORDERS
    log_delta = (a - 1) * (rdp - epsilon + np.log1p(-1 / a)) - np.log(a)
    return min(1.0, float(np.exp(min(0.0, np.min(log_delta)))))


Spec = tuple[tuple[Mechanism, ...], float, int]


def calibrate_repeated(
    specs: Sequence[Spec], epsilon: float, delta: float, adjacency: str, repetitions: Repetitions
) -> tuple[list[float], float]:
    """Noise for each kind of run, such that the best of so many runs of random kinds meets a target.

    Parameters
    ----------
    specs : sequence of (mechanisms beside, sampling rate, steps)
        What a run of each kind does: mechanisms whose noise is given, and steps whose noise is sought.
    epsilon, delta : float
        Target for the whole.
    adjacency : {"replace", "zero-out", "add-remove"}
    repetitions : Repetitions

    Returns
    -------
    noise_multipliers : list of float
        One a kind; together they were evaluated, and met the target.
    epsilon : float
        What the whole costs.

    Raises
    ------
    InvalidInputError
        If no noise multiplier below 1e5 meets the target.

    Notes
    -----
    Which kind runs is drawn from public knowledge and released with the run, so one run's divergence is
    at most the largest of the kinds' at each order. Each kind is calibrated alone, to a common target
    that is lowered until all together meet `epsilon`.
    """
    DELTA.check("delta", delta)
    EPSILON.check("epsilon", epsilon)
    distinct = list(dict.fromkeys(specs))
    target = float(epsilon)
    while True:
        sigmas = {s: _calibrated(s, target, float(delta), adjacency, repetitions) for s in distinct}
        curves = [rdp_of((*s[0], Gaussian(sigmas[s], s[1], s[2])), adjacency) for s in distinct]
        total = epsilon_of(repetitions.compose(np.max(curves, axis=0)), delta)
        if total <= epsilon:
            return [sigmas[s] for s in specs], total
        target *= 0.999 * float(epsilon) / total


@functools.lru_cache(maxsize=512)
def _calibrated(spec: Spec, epsilon: float, delta: float, adjacency: str, repetitions: Repetitions) -> float:
    beside, q, steps = spec
    known = rdp_of(beside, adjacency)

    def spent(sigma: float) -> float:
        return epsilon_of(repetitions.compose(known + rdp_of([Gaussian(sigma, q, steps)], adjacency)), delta)

    high = max(0.5, q * math.sqrt(steps) / epsilon)
    while spent(high) > epsilon:
        high *= 2
        if high > 1e5:
            raise InvalidInputError(
                f"No noise multiplier below 1e5 brings a search to epsilon={epsilon:.4g} at "
                f"delta={delta:.4g} with n_trials={repetitions.mean:g}; raise epsilon, expect fewer trials, "
                "or spend less in the steps before."
            )
    low = high / 2
    while low > 0.1 and spent(low) <= epsilon:
        low, high = low / 2, low
    while high / low > 1.002:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if spent(middle) <= epsilon else (middle, high)
    return high


@functools.lru_cache(maxsize=4096)
def _step(sigma: float, q: float, relation: Relation) -> tuple[float, ...]:
    """Renyi divergences of one step."""
    if sigma <= 0.01:
        return (math.inf,) * len(ORDERS)
    if q == 1:
        return tuple(ORDERS * relation.sensitivity(1.0) ** 2 / (2 * sigma**2))
    pairs = [((q if a else 0.0, a), (q if b else 0.0, b)) for a, b in relation.pairs]
    return tuple(max(_divergence(order, sigma, *pair) for pair in pairs) for order in ORDERS)


def _divergence(order: float, sigma: float, p: tuple[float, float], q: tuple[float, float]) -> float:
    """Renyi divergence of two mixtures ``(1 - w) N(0, sigma^2) + w N(m, sigma^2)``, each given as (w, m)."""
    # Peaks of the integrand lie between those of its components' products.
    peaks = [order * m + (1 - order) * k for m in (0.0, p[1]) for k in (0.0, q[1])]
    low, high = min(peaks) - _TAIL * sigma, max(peaks) + _TAIL * sigma
    step = sigma * min(1.0, sigma) / 8
    n = max(int((high - low) / step), 1)
    if n > 2_000_000:
        return math.inf  # so little noise that an order this high bounds nothing
    x = np.linspace(low, high, n + 1)
    log_p, log_q = _log_density(x, sigma, *p), _log_density(x, sigma, *q)
    log_moment = logsumexp(order * log_p + (1 - order) * log_q) + math.log((high - low) / n)
    return float(max(log_moment, 0.0) + _SLACK) / (order - 1)


def _log_density(x: np.ndarray, sigma: float, weight: float, mean: float) -> np.ndarray:
    def normal(m: float) -> np.ndarray:
        return -((x - m) ** 2) / (2 * sigma**2) - math.log(sigma * math.sqrt(2 * math.pi))

    if weight in (0, 1):
        return normal(weight * mean)
    return np.logaddexp(math.log1p(-weight) + normal(0.0), math.log(weight) + normal(mean))


def _first(gamma: float, eta: float) -> float:
    """P(K = 1) of the truncated negative binomial."""
    if eta == 0:
        return (1 - gamma) / math.log(1 / gamma)
    return (1 - gamma) * eta / math.expm1(-eta * math.log(gamma))


def _mean(gamma: float, eta: float) -> float:
    if eta == 0:
        return (1 / gamma - 1) / math.log(1 / gamma)
    return eta * (1 - gamma) / (gamma * -math.expm1(eta * math.log(gamma)))
