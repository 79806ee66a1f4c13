"""Epsilon and delta of mechanisms that run together, under one neighbouring relation."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from ..exceptions import InvalidInputError
from ._composition import Part, composed_delta, composed_epsilon, composed_log_delta
from ._gaussian import gaussian_delta, gaussian_epsilon
from ._mechanisms import Bound, Gaussian, Mechanism
from ._relations import Relation

# More would need a finer grid than fits into memory.
_MOST_STEPS = 1e9


@functools.lru_cache(maxsize=4096)
def epsilon_of(mechanisms: tuple[Mechanism, ...], relation: Relation, delta: float) -> float:
    """Epsilon at `delta` of all mechanisms together: an upper bound."""
    if any(m.noiseless for m in mechanisms):
        return math.inf
    if not mechanisms:
        return 0.0
    found = _costliest(
        mechanisms,
        relation,
        lambda distance: gaussian_epsilon(distance, delta),
        lambda parts: composed_epsilon(parts, delta),
    )
    # Bounds alone cost at most their sums, which are exact where delta is the last that they allow.
    bounds = [m for m in mechanisms if isinstance(m, Bound)]
    if len(bounds) == len(mechanisms) and math.fsum(m.delta for m in bounds) <= delta:
        return min(found, math.fsum(m.epsilon for m in bounds))
    return found


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
        lambda distance: gaussian_delta(distance, epsilon),
        lambda parts: composed_delta(parts, epsilon, near),
    )


def log_delta_near(
    mechanisms: tuple[Mechanism, ...], relation: Relation, epsilon: float, near: float
) -> float:
    """About the logarithm of delta, in a tenth of the time: neither an upper nor a lower bound."""
    return _costliest(
        mechanisms,
        relation,
        lambda distance: math.log(max(gaussian_delta(distance, epsilon), 1e-300)),
        lambda parts: composed_log_delta(parts, epsilon, near),
    )


def _costliest(
    mechanisms: tuple[Mechanism, ...],
    relation: Relation,
    unsampled: Callable[[float], float],
    composed: Callable[[list[Part]], float],
) -> float:
    """What the pair of neighbours costs that costs most: all mechanisms read the same two tables."""
    return max(_of_pair(mechanisms, pair, unsampled, composed) for pair in relation.pairs)


def _of_pair(
    mechanisms: tuple[Mechanism, ...],
    pair: tuple[float, float],
    unsampled: Callable[[float], float],
    composed: Callable[[list[Part]], float],
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
    if sum(alike.values()) > _MOST_STEPS:
        raise InvalidInputError(
            f"{sum(alike.values()):.4g} sampled steps are more than the {_MOST_STEPS:g} that can be "
            "accounted for; run fewer, or take more rows in each."
        )
    parts = [(one.loss(pair), steps) for one, steps in alike.items()]
    if distance:
        parts.append((Gaussian((pair[0] - pair[1]) / distance, 1.0, 1).loss(pair), 1))
    return composed(parts)
