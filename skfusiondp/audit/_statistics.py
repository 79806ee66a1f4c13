"""From guesses to epsilon: lower bounds with a confidence, and a posterior. Pure numpy and scipy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import beta, binom

from .._parameters import Real
from ..exceptions import InvalidInputError

# Guesses of one run cannot show more than this; past it all probabilities are 1 in floating point.
_MOST = 40.0
CONFIDENCE = Real(0, 1, exact=True, remedy="0.95 is usual")


def guess_p_value(
    correct: int, guesses: int, n_canaries: int, epsilon: float, delta: float = 0.0, hops: int = 1
) -> float:
    """Chance of so many correct guesses, at most, if the mechanism is (epsilon, delta)-private.

    Parameters
    ----------
    correct : int
        Coins that were guessed right.
    guesses : int
        Coins that were guessed; the auditor abstained on the others.
    n_canaries : int
        Coins that were thrown.
    epsilon : float, at least 0
    delta : float in [0, 1)
    hops : int, default=1
        Steps of the neighbouring relation between the two sides of a coin. Two values of a cell are
        two zero-out steps apart, through the erased cell.

    Returns
    -------
    float
        A p-value of the hypothesis that the mechanism is (epsilon, delta)-private.

    Raises
    ------
    InvalidInputError
        If the counts are not ``0 <= correct <= guesses <= n_canaries``, or a bound is out of range.

    References
    ----------
    Steinke, Nasr and Jagielski (2023), arXiv 2305.08846, Theorem 5.2 and Appendix D: with
    ``W ~ Binomial(guesses, e^eps / (1 + e^eps))`` the p-value is ``P(W >= correct) + 2 m delta a`` where
    ``a = max_i P(correct > W >= correct - i) / i``. Two hops are (2 eps, (1 + e^eps) delta)-close.

    Examples
    --------
    >>> from skfusiondp.audit import guess_p_value
    >>> guess_p_value(10, 10, 10, epsilon=0.0) == 0.5**10
    True
    """
    _check_counts(correct, guesses, n_canaries)
    _check_bounds(epsilon, delta)
    if hops == 2:
        epsilon, delta = 2 * epsilon, (1 + math.exp(min(epsilon, _MOST))) * delta
    success = float(expit(epsilon))
    tail = float(binom.sf(correct - 1, guesses, success))
    if delta == 0 or correct == 0:
        return min(tail, 1.0)
    below = np.cumsum(binom.pmf(np.arange(correct - 1, -1, -1), guesses, success))
    steepest = float((below / np.arange(1, correct + 1)).max())
    return min(tail + 2 * n_canaries * delta * steepest, 1.0)


def epsilon_lower_bound(
    correct: int, guesses: int, n_canaries: int, delta: float = 0.0, confidence: float = 0.95, hops: int = 1
) -> float:
    """Largest epsilon that the guesses refute at a confidence.

    Parameters
    ----------
    correct, guesses, n_canaries : int
        As for ``guess_p_value``.
    delta : float in [0, 1)
        Delta of the claim.
    confidence : float in (0, 1), default=0.95
    hops : int, default=1
        As for ``guess_p_value``.

    Returns
    -------
    float
        A mechanism that is (epsilon, delta)-private for an epsilon below this one would give so many
        correct guesses with a probability of at most ``1 - confidence``. 0 if nothing is refuted.

    Raises
    ------
    InvalidInputError
        If an argument is out of range.

    Examples
    --------
    >>> from skfusiondp.audit import epsilon_lower_bound
    >>> round(epsilon_lower_bound(100, 100, 100), 2)  # all right: ln(q / (1 - q)) at q = 0.05 ** 0.01
    3.49
    """
    CONFIDENCE.check("confidence", confidence)
    level = 1 - confidence

    def excess(epsilon: float) -> float:
        return guess_p_value(correct, guesses, n_canaries, epsilon, delta, hops) - level

    if excess(0.0) >= 0:
        return 0.0
    # The delta term is not monotone, so the first crossing is looked for, from below.
    grid = np.linspace(0, _MOST, 801)
    for low, high in pairwise(grid.tolist()):
        if excess(high) >= 0:
            return float(brentq(excess, low, high, xtol=1e-10))
    return _MOST


@dataclass(frozen=True)
class EpsilonPosterior:
    """What errors of an attack in independent trials say about epsilon, as a distribution.

    Parameters
    ----------
    false_positives, negatives : int
        Trials on the first table, and how often the attack guessed the second.
    false_negatives, positives : int
        Trials on the second table, and how often the attack guessed the first.
    delta : float in [0, 1), default=0.0

    Raises
    ------
    InvalidInputError
        If a count is out of range.

    Notes
    -----
    The two error rates have Beta(errors + 1/2, rest + 1/2) posteriors, independent of each other.
    Epsilon is at most e where the pair of rates lies in the region that (e, delta)-privacy allows.
    Trials are independent fits of one canary. Canaries of one run are nearly so under noise, but nothing
    proves it: for one run the bound is ``epsilon_lower_bound``.

    References
    ----------
    Zanella-Béguelin et al. (2023), arXiv 2206.05199. The region: Kairouz, Oh and Viswanath (2015).

    Examples
    --------
    >>> from skfusiondp.audit import EpsilonPosterior
    >>> posterior = EpsilonPosterior(false_positives=120, negatives=1000, false_negatives=120, positives=1000)
    >>> low, high = posterior.interval(0.9)
    >>> low < 1.99 < high  # ln(0.88 / 0.12)
    True
    """

    false_positives: int
    negatives: int
    false_negatives: int
    positives: int
    delta: float = 0.0

    def __post_init__(self) -> None:
        _check_counts(self.false_positives, self.negatives, self.negatives)
        _check_counts(self.false_negatives, self.positives, self.positives)
        _check_bounds(0.0, self.delta)

    def cdf(self, epsilon: float) -> float:
        """Posterior probability that epsilon is at most `epsilon`."""
        fpr = beta(self.false_positives + 0.5, self.negatives - self.false_positives + 0.5)
        fnr = beta(self.false_negatives + 0.5, self.positives - self.false_negatives + 0.5)
        # Midpoints of equal slices of the false positive rate's posterior.
        x = fpr.ppf((np.arange(4000) + 0.5) / 4000)
        lower = _allowed(x, epsilon, self.delta)
        upper = 1 - _allowed(1 - x, epsilon, self.delta)
        return float(np.clip(fnr.cdf(upper) - fnr.cdf(lower), 0, None).mean())

    def quantile(self, probability: float) -> float:
        """Epsilon below which the posterior has `probability`; 0 where an atom at 0 has as much."""
        Real(0, 1).check("probability", probability)
        if self.cdf(0.0) >= probability:
            return 0.0
        if self.cdf(_MOST) < probability:
            return _MOST
        return float(brentq(lambda e: self.cdf(e) - probability, 0.0, _MOST, xtol=1e-6))

    def interval(self, credibility: float = 0.95) -> tuple[float, float]:
        """Equal-tailed credible interval of epsilon."""
        tail = (1 - credibility) / 2
        return self.quantile(tail), self.quantile(1 - tail)


def _allowed(x: np.ndarray, epsilon: float, delta: float) -> np.ndarray:
    """Smallest second error rate that (epsilon, delta)-privacy allows beside the first, x."""
    steep = 1 - delta - math.exp(epsilon) * x
    flat = math.exp(-epsilon) * (1 - delta - x)
    return np.clip(np.maximum(steep, flat), 0, 1)


def _check_counts(correct: int, guesses: int, n_canaries: int) -> None:
    whole = all(isinstance(n, Integral) for n in (correct, guesses, n_canaries))
    if not (whole and 0 <= correct <= guesses <= n_canaries):
        raise InvalidInputError(
            f"{correct!r} of {guesses!r} with {n_canaries!r} trials must be whole numbers of which each is "
            "at least 0 and at most the next."
        )


def _check_bounds(epsilon: float, delta: float) -> None:
    Real(0, math.inf, closed="both", exact=True, says="must be at least 0").check("epsilon", epsilon)
    Real(0, 1, closed="left", exact=True).check("delta", delta)
