"""Epsilon and delta of mechanisms that run together, under one neighbouring relation."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from . import _composition, _gaussian
from ._mechanisms import Gaussian, Mechanism
from ._relations import Relation


@functools.lru_cache(maxsize=4096)
def epsilon_of(mechanisms: tuple[Mechanism, ...], relation: Relation, delta: float) -> float:
    """Epsilon at `delta` of all mechanisms together: an upper bound."""
    if any(m.noiseless for m in mechanisms):
        return math.inf
    if not mechanisms:
        return 0.0
    return _costliest(
        mechanisms,
        relation,
        lambda distance: _gaussian.epsilon_of(distance, delta),
        lambda parts: _composition.epsilon_of(parts, delta),
    )


@functools.lru_cache(maxsize=4096)
def delta_of(
    mechanisms: tuple[Mechanism, ...], relation: Relation, epsilon: float, near: float = 0.0
) -> float:
    """Delta at `epsilon` of all mechanisms together: an upper bound.

    Parameters
    ----------
    mechanisms : tuple of Gaussian or Bound
    relation : Relation
    epsilon : float
    near : float, default=0
        Deltas far below this need not be told from it.
    """
    if any(m.noiseless for m in mechanisms):
        return 1.0
    if not mechanisms:
        return 0.0
    return _costliest(
        mechanisms,
        relation,
        lambda distance: _gaussian.delta_of(distance, epsilon),
        lambda parts: _composition.delta_of(parts, epsilon, near),
    )


def log_delta_near(
    mechanisms: tuple[Mechanism, ...], relation: Relation, epsilon: float, near: float
) -> float:
    """About the logarithm of delta, in a tenth of the time: neither an upper nor a lower bound."""
    return _costliest(
        mechanisms,
        relation,
        lambda distance: math.log(max(_gaussian.delta_of(distance, epsilon), 1e-300)),
        lambda parts: _composition.log_delta_near(parts, epsilon, near),
    )


def _costliest(
    mechanisms: tuple[Mechanism, ...],
    relation: Relation,
    unsampled: Callable[[float], float],
    composed: Callable[[list[_composition.Part]], float],
) -> float:
    """What the pair of neighbours costs that costs most: all mechanisms read the same two tables."""
    return max(_of_pair(mechanisms, pair, unsampled, composed) for pair in relation.pairs)


def _of_pair(
    mechanisms: tuple[Mechanism, ...],
    pair: tuple[float, float],
    unsampled: Callable[[float], float],
    composed: Callable[[list[_composition.Part]], float],
) -> float:
    distance, alike = 0.0, dict[Mechanism, int]()
    for mechanism in mechanisms:
        if isinstance(mechanism, Gaussian) and mechanism.sample_rate == 1:
            # Without sampling, Gaussians together are one of less noise.
            distance = math.hypot(distance, mechanism.distance(pair))
        else:
            one = mechanism._replace(steps=1) if isinstance(mechanism, Gaussian) else mechanism
            alike[one] = alike.get(one, 0) + mechanism.steps
    if not alike:
        return unsampled(distance)
    parts = [(one.loss(pair), steps) for one, steps in alike.items()]
    if distance:
        parts.append((Gaussian((pair[0] - pair[1]) / distance, 1.0, 1).loss(pair), 1))
    return composed(parts)
