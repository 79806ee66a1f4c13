"""How much of a private correction to believe, by what its noise is expected to be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..privacy import PrivatePlan

# How far a coordinate of the mean private gradient usually is from 0, where there is something to correct and
# gradients are clipped at 1 or more; docs/benchmarks.md says on which tables it was chosen.
_USUAL_GRADIENT = 0.04


def kept_share(plan: PrivatePlan, steps: int) -> float:
    """The share of a correction that is kept: that of signal in the variance of its mean gradient.

    The noise of a mean over n rows and T steps has deviation ``sigma C / (q n sqrt(T))``; of several tiers
    it adds up. With g the usual size of what is looked for, the linear estimate of least mean squared error
    keeps ``g**2 / (g**2 + noise**2)`` of what is seen. A function of the plan, and so of public facts alone.

    Parameters
    ----------
    plan : PrivatePlan
    steps : int
        Steps that ran.

    References
    ----------
    Linear minimum mean squared error (Wiener) shrinkage: Efron and Morris (1973),
    doi:10.1080/01621459.1973.10481350.

    Examples
    --------
    >>> from skfusiondp.privacy import Clipping, make_plan
    >>> settings = {"batch_size": 64, "steps": 100, "epsilon": None, "delta": 1e-5, "adjacency": "replace"}
    >>> plan = make_plan(1000, noise_multiplier=1.0, clipping=Clipping(1.0), **settings)
    >>> round(kept_share(plan, 100), 2), round(kept_share(plan, 1), 2)
    (1.0, 0.87)
    """
    if not steps:
        return 1.0
    noise = sum((tier.noise_multiplier * tier.clipping.max_grad_norm) ** 2 for tier in plan.tiers)
    noise /= plan.expected_batch_size**2 * steps
    signal = (_USUAL_GRADIENT * min(1.0, plan.clipping.max_grad_norm)) ** 2
    return signal / (signal + noise)


class BeyondNoise:
    """How far sums of a training's noised gradients are longer than their noise alone would be.

    Where what is noised adds nothing, the sum of the first t is normal with variance ``t * std**2`` in each
    of d coordinates, so that its squared length, over that variance, is chi-square with mean d, variance 2 d.
    Gradients of a training that nears its end no longer add up: the sums are looked at after 1, 2, 4, 8, ...
    steps. A function of released sums: it costs nothing.

    Parameters
    ----------
    std : float
        Standard deviation of the noise of one step.

    Attributes
    ----------
    deviations : float
        The furthest so far, in standard deviations of that squared length; inf without noise.

    Examples
    --------
    >>> import torch
    >>> seen = BeyondNoise(0.5)
    >>> seen.add(torch.ones(50))
    >>> round(seen.deviations, 1)
    15.0
    """

    def __init__(self, std: float):
        self._std, self._steps, self._sum = std, 0, torch.zeros(())
        self.deviations = -math.inf

    def add(self, noised: Tensor) -> None:
        """Look at one more noised gradient, of shape (d,)."""
        self._steps += 1
        self._sum = noised if self._steps == 1 else self._sum + noised
        if self._steps & (self._steps - 1):
            return
        d, variance = noised.numel(), self._steps * self._std**2
        longer = float(self._sum.double().square().sum()) - d * variance
        now = longer / (variance * math.sqrt(2 * d)) if variance else math.inf
        self.deviations = max(self.deviations, now)


def shrink(parameters: Sequence[Tensor], start: Sequence[Tensor], share: float) -> None:
    """Move parameters towards where they started, so that a share of the way is left."""
    with torch.no_grad():
        for parameter, before in zip(parameters, start, strict=True):
            parameter.copy_(torch.lerp(before, parameter, share))
