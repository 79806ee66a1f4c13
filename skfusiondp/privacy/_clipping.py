"""Clipping: from per-row gradient norms to factors, and the sensitivity that this guarantees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._exceptions import InvalidInputError
from .._parameters import as_float, check_choice

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("flat", "per-layer", "automatic")

# Stability constant of automatic clipping (Bu et al. 2022, section 4): keeps small gradients small.
_GAMMA = 0.01


@dataclass(frozen=True)
class Clipping:
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

    max_grad_norm: float
    kind: str = "flat"

    def __post_init__(self) -> None:
        norm = self.max_grad_norm
        # The largest floats are refused too: twice the norm must be a number.
        if not 1e-300 < as_float(norm) < 1e300:
            raise InvalidInputError(
                f"max_grad_norm={norm!r} must be a positive, finite number; 1.0 is a common start."
            )
        object.__setattr__(self, "max_grad_norm", as_float(norm))
        check_choice("clipping", self.kind, KINDS)

    def sensitivity(self, adjacency: str) -> float:
        """L2 sensitivity of the sum of clipped rows under a neighbouring relation."""
        return self.max_grad_norm * {"replace": 2.0, "zero-out": 1.0, "add-remove": 1.0}[adjacency]

    def factors(self, squared_norms: Tensor) -> Tensor:
        """Scale of each row's gradient.

        Parameters
        ----------
        squared_norms : Tensor of shape (n_parameters, n_rows)
            Squared gradient norms of each parameter tensor and row.

        Returns
        -------
        Tensor of shape (n_parameters, n_rows)
            Factors in [0, ...); equal along the first axis unless `kind` is "per-layer".
        """
        total = squared_norms.sum(0, keepdim=True)
        finite = total.isfinite()
        if self.kind == "per-layer":
            bound = self.max_grad_norm / math.sqrt(len(squared_norms))
            scale = (bound / squared_norms.sqrt()).clamp(max=1.0)
        elif self.kind == "automatic":
            scale = (self.max_grad_norm / (total.sqrt() + _GAMMA)).expand_as(squared_norms)
        else:
            scale = (self.max_grad_norm / total.sqrt()).clamp(max=1.0).expand_as(squared_norms)
        return scale.where(finite, scale.new_zeros(()))
