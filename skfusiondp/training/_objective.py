"""The loss of a row, and the joint objective of its two views."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ..exceptions import InvalidInputError


class RowLoss(nn.Module):
    """Loss of each row on its own.

    Parameters
    ----------
    task : {"binary", "multiclass", "multilabel", "regression"}
        Binary and multilabel: mean logistic loss over the outputs. Multiclass: cross-entropy.
        Regression: half the mean squared error over the targets.
    """

    def __init__(self, task: str = "binary"):
        super().__init__()
        self.task = task

    def forward(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Losses of shape (n_rows,) from outputs of shape (n_rows, n_outputs).

        `y` has shape (n_rows, n_outputs), except for multiclass: class positions, (n_rows,).
        """
        if self.task == "multiclass":
            return F.cross_entropy(outputs, y, reduction="none")
        if self.task == "regression":
            return 0.5 * (outputs - y).square().mean(1)
        return F.binary_cross_entropy_with_logits(outputs, y, reduction="none").mean(1)


class TwoViewObjective:
    """What the private gradient differentiates, for each row.

    With two views it is ``l(x) - l(x~) + beta c(h(x), h(x~))``, with one view ``l(x)``.

    Parameters
    ----------
    row_loss : callable
        ``(outputs, y) -> losses of shape (n_rows,)``.
    beta : float
        Weight of the representation-consistency penalty c.
    consistency_bound : float
        C_h: representations are scaled down to this norm before they are compared, so that c, the
        mean squared difference, is at most ``4 C_h**2 / d``. A fixed number: deriving it from
        representations of sensitive rows would have to be paid for.

    References
    ----------
    FusionDP, arXiv 2511.03806: the private loss and its representation-consistency term.
    """

    def __init__(self, row_loss: nn.Module, beta: float = 0.0, consistency_bound: float = 1.0):
        self.row_loss = row_loss
        self.beta = beta
        self.consistency_bound = consistency_bound

    def __call__(self, outputs: Tensor, representations: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Objective of each row.

        Parameters
        ----------
        outputs : Tensor of shape (n_views, n_rows, n_outputs)
        representations : Tensor of shape (n_views, n_rows, ...)
        y : Tensor of shape (n_rows, ...)
        weight : Tensor of shape (n_rows,)
            Public weight of each row's loss (class weights).

        Returns
        -------
        Tensor of shape (n_rows,)
        """
        value = self.row_loss(outputs[0], y) * weight
        if len(outputs) == 1:
            return value
        value = value - self.row_loss(outputs[1], y) * weight
        if self.beta:
            true, imputed = (self._bounded(r.flatten(1)) for r in representations)
            value = value + self.beta * (true - imputed).square().mean(1)
        return value

    def _bounded(self, h: Tensor) -> Tensor:
        # From the squared norm: differentiating vector_norm costs as much as a small layer does.
        # The limits keep squares, and the gradient's third power, within single precision.
        bound = min(self.consistency_bound, 1e18)
        squared = h.square().sum(-1, keepdim=True)
        return h * (bound * squared.clamp(min=max(bound**2, 1e-24)).rsqrt())


def forward_with_representation(module: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs and hidden representation of each row.

    A module states its representation by having ``represent`` and ``head``, with
    ``forward(x) = head(represent(x))``; for any other module the outputs stand in for it.

    Parameters
    ----------
    module : nn.Module
    x : Tensor of shape (n_rows, ...)

    Returns
    -------
    outputs : Tensor of shape (n_rows, n_outputs)
    representations : Tensor of shape (n_rows, ...)
    """
    represent, head = getattr(module, "represent", None), getattr(module, "head", None)
    if callable(represent) and callable(head):
        hidden = represent(x)
        return _two_dimensional(head(hidden)), hidden
    outputs = _two_dimensional(module(x))
    return outputs, outputs


def _two_dimensional(outputs: Any) -> Tensor:
    if not isinstance(outputs, Tensor):
        raise InvalidInputError(
            f"module gives a {type(outputs).__name__} where it must give one tensor (n_rows, n_outputs); "
            "return the outputs alone (a hidden representation is what a method represent(x) gives)."
        )
    return outputs.unsqueeze(-1) if outputs.dim() == 1 else outputs
