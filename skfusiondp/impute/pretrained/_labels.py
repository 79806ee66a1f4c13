"""Labels as what the process regresses on, and its predictions as numbers or probabilities."""

from __future__ import annotations

import torch
from torch.nn import functional

from ._kernel import Hyperparameters

_LEAST = 0.02
_SHARE = 1e-3


def numbers(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Standardised numbers of shape (n_tables, n_rows) as one output of full share."""
    return labels[..., None], torch.ones_like(labels[:, :1])


def indicators(
    classes: torch.Tensor, n_classes: int, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Classes as standardised indicators.

    Returns
    -------
    labels : Tensor of shape (n_tables, n_support, n_classes)
    share : Tensor of shape (n_tables, n_classes)
        In proportion to the indicators' variances.
    shares : Tensor of shape (n_tables, n_classes)
        How often each class occurs.
    """
    shown = functional.one_hot(classes, n_classes).to(dtype)
    shares = shown.mean(1)
    variance = shares * (1.0 - shares)
    labels = (shown - shares[:, None]) / torch.sqrt(variance + _SHARE)[:, None]
    return labels, variance / variance.sum(1, keepdim=True).clamp(min=1e-6), shares


def log_probabilities(predicted: torch.Tensor, shares: torch.Tensor, given: Hyperparameters) -> torch.Tensor:
    """Log probabilities of classes, of shape (n_tables, n_rows, n_classes).

    Predicted indicators move the support's shares; what lies near or below zero is drawn in smoothly, by
    as much as the network says.
    """
    known = shares.clamp(min=_SHARE)[:, None]
    ratio = 1.0 + predicted * torch.sqrt(shares * (1.0 - shares) + _SHARE)[:, None] / known
    steep = 4.0 * given.sharpness[:, 1, None, None]
    moved = torch.log(functional.softplus(steep * ratio.clamp(-8.0, 40.0)) / steep + _LEAST)
    return torch.log_softmax(torch.log(known) + given.sharpness[:, 0, None, None] * moved, dim=-1)
