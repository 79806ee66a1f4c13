"""The privacy loss of a unit, such as a person, that has several rows: group privacy on the right pair."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import log_ndtr, ndtr
from scipy.stats import binom

from ._relations import Relation

# Probabilities below this are moved to the largest number of rows, which only adds to the loss.
_RARE = 1e-30
# So much of the first distribution is left out on either side; what is left out above has infinite loss.
_LEFT_OUT = 2e-23
_TAIL = 10.5
_NODES = 4097
_AT_ONCE = 2**20


def unit_loss(sigma: float, q: float, k: int, relation: Relation, grid: float) -> Any:
    """Privacy loss distribution of one release, for a unit of at most k rows.

    Each row is Poisson-sampled at rate q and adds a vector of norm at most 1 (the clipping norm), so that
    a unit of which m rows are sampled adds one of norm at most m.

    Parameters
    ----------
    sigma : float
        Noise multiplier.
    q : float in (0, 1)
    k : int, at least 1
    relation : Relation
    grid : float
        Privacy losses are multiples of it.

    Returns
    -------
    dp_accounting.pld.privacy_loss_distribution.PrivacyLossDistribution
        Of the pair that dominates all others (docs/guarantee.md, section on units):
        ``sum_m Bin(m; k, q) N(m a, sigma^2)`` against the same with b, for each pair (a, b) of the relation.

    Notes
    -----
    The loss of each pair grows with x, so an interval of losses is one of x. The masses that both
    distributions have there are put on its two ends such that both are kept: connect the dots
    (Doroshenko et al. 2022), which only adds to every hockey-stick divergence.
    """
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

    counts, weights = _sampled_rows(k, q)

    def sums(one: float) -> Mixture:
        return (one * counts, weights) if one else (np.zeros(1), np.ones(1))

    return PrivacyLossDistribution(*(_loss(sums(a), sums(b), sigma, grid) for a, b in relation.pairs))


Mixture = tuple[np.ndarray, np.ndarray]


def _sampled_rows(k: int, q: float) -> Mixture:
    """How many of k rows are sampled, and with which probabilities."""
    counts = np.arange(k + 1.0)
    weights = binom.pmf(counts, k, q)
    kept = weights >= _RARE
    kept[-1] = True
    counts, weights = counts[kept], weights[kept]
    weights[-1] += max(0.0, 1.0 - weights.sum())
    return counts, weights


def _loss(upper: Mixture, lower: Mixture, sigma: float, grid: float) -> Any:
    """Loss of one mixture of normals against another, whose means are not above the first one's."""
    from dp_accounting.pld.pld_pmf import DensePLDPmf

    low, high = upper[0].min() - _TAIL * sigma, upper[0].max() + _TAIL * sigma
    nodes = np.linspace(low, high, _NODES)
    z = (nodes[:, None] - upper[0]) / sigma
    inside = (ndtr(z) @ upper[1] > _LEFT_OUT) & (ndtr(-z) @ upper[1] > _LEFT_OUT)
    nodes = np.linspace(nodes[inside][0], nodes[inside][-1], _NODES)
    losses = np.maximum.accumulate(_log_ratio(nodes, upper, lower, sigma)[0])
    first, last = math.floor(losses[0] / grid), math.ceil(losses[-1] / grid)
    epsilons = grid * np.arange(first, last + 1)
    edges = np.concatenate([_inverse(part, nodes, losses, upper, lower, sigma) for part in _parts(epsilons)])
    p, q = _masses(edges, upper, sigma), _masses(edges, lower, sigma)
    # The mass p between losses e and e + grid is split between the two such that q is kept too.
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = np.exp(np.log(np.maximum(q, 1e-320)) + epsilons[1:] - np.log(np.maximum(p, 1e-320)))
    down = np.where(p > 0, p * np.clip((ratio - 1) / math.expm1(grid), 0, 1), 0)
    probabilities = np.zeros(len(epsilons))
    probabilities[:-1] += down
    probabilities[1:] += p - down
    probabilities[0] += float(_weighed(ndtr, edges[0], upper, sigma))
    # Above the last loss: what the other distribution matches gets that loss, the rest an infinite one.
    beyond = float(_weighed(lambda z: ndtr(-z), edges[-1], upper, sigma))
    matched = min(beyond, math.exp(min(0.0, epsilons[-1] + _log_tail(edges[-1], lower, sigma))))
    probabilities[-1] += matched
    return DensePLDPmf(grid, first, probabilities, beyond - matched, True)


def _parts(values: np.ndarray) -> list[np.ndarray]:
    return np.array_split(values, max(1, len(values) // (_AT_ONCE // 16)))


def _log_ratio(x: np.ndarray, upper: Mixture, lower: Mixture, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Privacy loss at each x, and how fast it grows."""
    (a, da), (b, db) = (_log_tilt(x, m, sigma) for m in (upper, lower))
    return a - b, da - db


def _log_tilt(x: np.ndarray, mixture: Mixture, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Logarithm of a mixture's density over that of N(0, sigma^2), and its derivative."""
    means, weights = mixture
    exponents = x[:, None] * (means / sigma**2) + (np.log(weights) - means**2 / (2 * sigma**2))
    top = exponents.max(axis=1, keepdims=True)
    np.exp(exponents - top, out=exponents)
    total = exponents.sum(axis=1)
    return top[:, 0] + np.log(total), exponents @ means / total / sigma**2


def _inverse(
    epsilons: np.ndarray, nodes: np.ndarray, losses: np.ndarray, upper: Mixture, lower: Mixture, sigma: float
) -> np.ndarray:
    """Where the loss has these values: Newton's method, kept between the nodes around each."""
    right = np.clip(np.searchsorted(losses, epsilons), 1, len(nodes) - 1)
    width = nodes[1] - nodes[0]
    x = np.interp(epsilons, losses, nodes)
    for _ in range(3):
        value, slope = _log_ratio(x, upper, lower, sigma)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.nan_to_num((value - epsilons) / slope, posinf=0, neginf=0)
        x = np.clip(x - step, nodes[right - 1] - width, nodes[right] + width)
    return np.maximum.accumulate(x)


def _masses(edges: np.ndarray, mixture: Mixture, sigma: float) -> np.ndarray:
    """Probability between neighbouring edges, to full relative precision in both tails."""
    total = np.zeros(len(edges) - 1)
    for mean, weight in zip(*mixture, strict=True):
        z = (edges - mean) / sigma
        below, above = ndtr(z), ndtr(-z)
        total += weight * np.where(z[:-1] > 0, above[:-1] - above[1:], below[1:] - below[:-1])
    return np.maximum(total, 0)


def _weighed(function: Any, edge: float, mixture: Mixture, sigma: float) -> float:
    means, weights = mixture
    return float(weights @ function((edge - means) / sigma))


def _log_tail(edge: float, mixture: Mixture, sigma: float) -> float:
    means, weights = mixture
    terms = np.log(weights) + log_ndtr((means - edge) / sigma)
    return float(terms.max() + np.log(np.exp(terms - terms.max()).sum()))
