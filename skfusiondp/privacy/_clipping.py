"""Clipping: from per-row gradient norms to factors, and the sensitivity that this guarantees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._keywords import KnownKeywords
from .._parameters import OneOf, Real, as_float
from ._relations import relation

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("flat", "per-layer", "automatic")

# Gradients are single-precision numbers: with norms beyond these, what is clipped or noised would vanish or
# overflow in them.
_LEAST, _MOST = 1e-20, 1e20
MAX_GRAD_NORM = Real(
    _LEAST,
    _MOST,
    closed="both",
    exact=True,
    says=f"must be a number from {_LEAST:g} to {_MOST:g}, so that gradients in single precision can be "
    "clipped to it and noised",
    remedy="1.0 is a common start",
)
CLIPPING = OneOf(KINDS)
# Several times what rounding of the factors may add to a norm.
_ROUNDING = 2.0**-40
# Stability constant of automatic clipping (Bu et al. 2022, section 4): keeps small gradients small.
_GAMMA = 0.01


@dataclass(frozen=True)
class Clipping(KnownKeywords):
    """Bound each row's gradient to norm ``max_grad_norm``.

    Parameters
    ----------
    max_grad_norm : float
        Clipping norm C, positive.
    kind : {"flat", "per-layer", "automatic"}
        "flat" scales a row's whole gradient by ``min(1, C / norm)``. "per-layer" scales each of L
        parameters' gradients to ``C / sqrt(L)``, so that the whole still has norm at most C.
        "automatic" scales every row to just below C, by ``C / (norm + 0.01)``.

    Notes
    -----
    Formal guarantee: after clipping, a row's gradient has L2 norm at most C, so that the sum over
    rows has L2 sensitivity C where a row's contribution vanishes ("zero-out", "add-remove") and
    2C where it changes to another one ("replace"). Rows whose norm is not finite get factor 0.

    References
    ----------
    Flat: Abadi et al. (2016). Per-layer: McMahan et al. (2018). Automatic: Bu et al.,
    arXiv 2206.07136, equation 4.

    Examples
    --------
    >>> from skfusiondp.accounting import Clipping
    >>> Clipping(1.8).sensitivity("replace")
    3.6
    """

    _plain_values = True

    max_grad_norm: float
    kind: str = "flat"

    def __post_init__(self) -> None:
        MAX_GRAD_NORM.check("max_grad_norm", self.max_grad_norm)
        CLIPPING.check("clipping", self.kind)
        object.__setattr__(self, "max_grad_norm", as_float(self.max_grad_norm))

    @property
    def bound(self) -> float:
        """What factors scale norms to: the clipping norm, less what rounding them may add."""
        return self.max_grad_norm * (1 - _ROUNDING)

    def sensitivity(self, adjacency: str) -> float:
        """L2 sensitivity of the sum of clipped rows under a neighbouring relation."""
        return relation(adjacency).sensitivity(self.max_grad_norm)

    def factors(self, squared_norms: Tensor) -> Tensor:
        """Scale of each row's gradient.

        Parameters
        ----------
        squared_norms : Tensor of shape (n_parameters, n_rows)
            Squared gradient norms of each parameter tensor and row.

        Returns
        -------
        Tensor of shape (n_parameters, n_rows), float64
            Factors in [0, ...); equal along the first axis unless `kind` is "per-layer".
        """
        squared_norms, norm = squared_norms.double(), self.bound
        total = squared_norms.sum(0, keepdim=True)
        finite = total.isfinite()
        if self.kind == "per-layer":
            bound = norm / math.sqrt(len(squared_norms))
            scale = (bound / squared_norms.sqrt()).clamp(max=1.0)
        elif self.kind == "automatic":
            scale = (norm / (total.sqrt() + _GAMMA)).expand_as(squared_norms)
        else:
            scale = (norm / total.sqrt()).clamp(max=1.0).expand_as(squared_norms)
        return scale.where(finite, scale.new_zeros(()))
