"""The smallest noise that meets a target, in few evaluations of the accountant."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from ..exceptions import InvalidInputError
from ._composed_mechanisms import delta_of, epsilon_of, log_delta_near
from ._mechanisms import LEAST_NOISE, MOST_NOISE, Gaussian, Mechanism
from ._relations import Relation

# The noise found is at most this much more, as a logarithm, than what the accountant needs.
_CLOSE = 1e-3


@functools.lru_cache(maxsize=512)
def calibrate(
    epsilon: float,
    delta: float,
    q: float,
    steps: int,
    relation: Relation,
    beside: tuple[Mechanism, ...],
    rows: int,
) -> float:
    """Noise multiplier whose steps cost at most `epsilon` at `delta`, together with what runs `beside` them.

    Raises
    ------
    InvalidInputError
        If no noise that the accountant can follow is enough.
    """

    def together(log_sigma: float) -> tuple[Mechanism, ...]:
        return (*beside, Gaussian(math.exp(log_sigma), q, steps).of_unit(rows))

    def excess(log_sigma: float) -> float:
        spent = delta_of(together(log_sigma), relation, epsilon, delta)
        return math.log(spent / delta) if spent > 0 else -math.inf

    def about(log_sigma: float) -> float:
        return log_delta_near(together(log_sigma), relation, epsilon, delta) - math.log(delta)

    # Where the Gaussian limit of the composition puts the answer; then where a quick approximation does.
    distance = rows * relation.sensitivity(1.0) * q * math.sqrt(steps)
    deviations = math.sqrt(2 * math.log(1.25 / delta))
    start = math.log(distance * (deviations + math.sqrt(deviations**2 + 2 * epsilon)) / (2 * epsilon))
    ends = math.log(LEAST_NOISE), math.log(MOST_NOISE)
    near = _first_below_zero(about, start, *ends, slope=1.0)
    near = ends[1] if near is None else near
    # Where the approximation is far off, its slope is too: it may not be what makes noise look close enough.
    steep = min(max(1.0, (about(near - 0.01) - about(near + 0.01)) / 0.02), 50.0)
    found = _first_below_zero(excess, near, *ends, steep)
    step = _CLOSE / 4
    while found is not None and epsilon_of(together(found), relation, delta) > epsilon:
        found = found + step if found + step < ends[1] else None
        step *= 2
    if found is None:
        raise InvalidInputError(
            f"No noise multiplier below {MOST_NOISE:g} gives epsilon={epsilon} at delta={delta} for {steps} "
            f"steps with sampling rate {q:.3g}; raise epsilon or run fewer steps."
        )
    return math.exp(found)


def _first_below_zero(
    falling: Callable[[float], float], start: float, least: float, most: float, slope: float
) -> float | None:
    """Where a function that falls about as fast as `slope` is zero or little less, in an interval.

    Returns
    -------
    float or None
        At most ``_CLOSE`` above the zero; None if there is none below `most`.
    """
    at, step = min(max(start, least), most), _CLOSE
    low, high = (-math.inf, math.inf), (math.inf, -math.inf)
    while True:
        value = falling(at)
        if value > 0:
            low = (at, value)
        else:
            high = (at, value)
        if low[0] >= most:
            return None
        width = high[0] - low[0]
        if high[0] <= least or width <= _CLOSE or -high[1] / slope <= _CLOSE / 2:
            return high[0]
        if math.isinf(width):
            step = max(4 * step, min(1.0, 1.1 * abs(value) / slope))
            at = min(max(at + math.copysign(step, value), least), most)
        elif math.isinf(high[1]) or math.isinf(low[1]):
            at = low[0] + width / 2
        else:
            slope = (low[1] - high[1]) / width
            at = low[0] + min(max(low[1] / slope + _CLOSE / 4, 0.05 * width), 0.95 * width)
