"""White-box canaries: rows whose clipped gradients are orthogonal, read off the noised gradients.

The module gets one more parameter a canary. It moves no output, but its gradient is so steep that a
canary's clipped private gradient is, up to rounding, C along its own parameter, with the sign of the
coin, and 0 along all others: the worst case that the guarantee covers.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor, nn

# A canary's own gradient is this many times what it would be for a bias: it drowns the shared part.
_STEEP = 1e6


class Side(NamedTuple):
    """``weights . (x[features] - known)``: 1 for a coin's first side, -1 or 0 for its second, else 0."""

    features: tuple[int, ...]
    known: tuple[float, ...]
    weights: tuple[float, ...]


class CanaryModule(nn.Module):
    """A module, and for each canary a parameter that only this canary's row has a gradient for.

    Parameters
    ----------
    n_features, n_outputs : int
        Of the whole; the module inside does not see the bits.
    base : torch module class or instance
    bits : tuple of int
        Features that spell a canary's number in binary; all are 0 for any other row.
    unseen : tuple of int
        Features that the base module does not see.
    side : Side or None
        How steep a canary's own parameter is. None: as steep for each.
    **kwargs
        For a `base` that is a class.
    """

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        base: Any,
        bits: tuple[int, ...],
        unseen: tuple[int, ...],
        side: Side | None,
        **kwargs: Any,
    ):
        super().__init__()
        self._bits, self._side = list(bits), side
        self._rest = [i for i in range(n_features) if i not in set(unseen)]
        if inspect.isclass(base):
            takes = inspect.signature(base).parameters
            for name, value in (("n_features", len(self._rest)), ("n_outputs", n_outputs)):
                if name in takes:
                    kwargs.setdefault(name, value)
            base = base(**kwargs)
        self.base = base
        self.canaries = nn.Embedding(2 ** len(bits), 1)
        nn.init.zeros_(self.canaries.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The base module's outputs; the canaries' parameters are in their gradient only."""
        powers = 2 ** torch.arange(len(self._bits), device=x.device)
        number = ((x[:, self._bits] > 0.5) * powers).sum(1)
        slope: Any = 1.0
        if self._side is not None:
            known, weights = x.new_tensor(self._side.known), x.new_tensor(self._side.weights)
            slope = ((x[:, list(self._side.features)] - known) * weights).sum(1)
        own = self.canaries(number)[:, 0]
        outputs = self.base(x[:, self._rest])
        outputs = outputs[:, None] if outputs.dim() == 1 else outputs
        moved = outputs[:, 0] + _STEEP * slope * (number > 0) * (own - own.detach())
        return torch.cat([moved[:, None], outputs[:, 1:]], dim=1)


class CanaryListener(Callback):
    """Add up, step by step, what the noised gradients say about each coin.

    Parameters
    ----------
    sides : sequence of Tensors of shape (n_canaries, n_features)
        The canaries' rows as the first side of the coin has them, and as the second, if that one has a
        gradient at all.
    y : Tensor of shape (n_canaries, ...)
    column : str, optional
        Sensitive column that the module reads the coin's side from.

    Attributes
    ----------
    scores_ : ndarray of shape (n_canaries,)
        Log-likelihood ratio of the coins' two sides, given all noised gradients: no score does better
        against a Poisson-sampled Gaussian (Neyman and Pearson).
    """

    def __init__(self, sides: Sequence[Tensor], y: Tensor, column: str | None = None):
        self.sides = sides
        self.y = y
        self.column = column
        self.scores_ = np.zeros(len(y))
        self.seen_ = 0

    def on_grad_computed(self, net: Any, named_parameters: Any, batch: Any = None, **_: Any) -> None:
        """Read one step's gradients; they are public times one, plus alpha times private."""
        if net.private_steps_ == self.seen_:
            return
        self.seen_ = net.private_steps_
        plan = net.plan
        alpha = 1.0 if batch is None else net.alpha
        if alpha == 0:  # the private gradient is multiplied by 0
            return
        gradient = dict(named_parameters)["canaries.weight"].grad
        # Known views give the canaries' parameters no gradient, so there is no public part to take away.
        tier, std = self._tier(plan)
        unit = plan.expected_batch_size / (alpha * tier.clipping.max_grad_norm)
        seen = gradient[1 : 1 + len(self.y), 0].double().cpu().numpy() * unit
        q, variance = plan.sample_rate, (std / tier.clipping.max_grad_norm) ** 2
        # Each layer has its share of the clipping norm there: the canaries' parameters are one of them.
        step = len(net.engine_.names) ** -0.5 if plan.clipping.kind == "per-layer" else 1.0
        for side, x in zip((1, -1), self.sides, strict=False):
            self.scores_ += side * _log_mixture(side * seen * self._slopes(net, x), step, q, variance)

    def _tier(self, plan: Any) -> tuple[Any, float]:
        """The tier that brings the coins' column in, and the noise of all tiers together."""
        own = next((t for t in plan.tiers if self.column in t.columns), plan.tiers[0])
        return own, math.hypot(*(t.noise_std for t in plan.tiers))

    def _slopes(self, net: Any, x: Tensor) -> np.ndarray:
        """Sign of each row's loss in its first output, at this step's parameters."""
        was_training = net.module_.training
        net.module_.eval()
        with torch.no_grad():
            outputs = net.module_(x.to(net.device))
        net.module_.train(was_training)
        outputs.requires_grad_()
        with torch.enable_grad():
            loss = net.criterion_(outputs, self.y.to(net.device)).sum()
        return torch.autograd.grad(loss, outputs)[0][:, 0].sign().double().cpu().numpy()


def _log_mixture(z: np.ndarray, step: float, q: float, variance: float) -> np.ndarray:
    """Log-likelihood of z where a step is taken with probability q, against never."""
    absent = np.log1p(-q) if q < 1 else -np.inf
    return np.logaddexp(absent, np.log(q) + (step * z - step**2 / 2) / variance)
