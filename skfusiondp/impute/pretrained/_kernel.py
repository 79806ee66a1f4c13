"""The kernel family, and Gaussian process regression with a member of it, solved exactly."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ._channels import N_HATS, Channels

_CONSTANT = 0.02
_LEAST_NOISE = 0.03


@dataclass(frozen=True)
class Hyperparameters:
    """A kernel for each table of a batch.

    Parameters
    ----------
    values, ranks, hats, smooth, rough : Tensor of shape (n_tables, n_features)
        Relevance of each feature, positive: in the linear parts, in the sum of piecewise linear functions,
        and as squared inverse length of the squared exponential and inverse length of the exponential part.
    amplitudes : Tensor of shape (n_tables, 4)
        Of the linear, the additive, the smooth and the rough part.
    noise : Tensor of shape (n_tables, 1)
        Variance of a label given everything, of labels of variance 1.
    sharpness : Tensor of shape (n_tables, 2)
        How predictions become probabilities of classes.
    """

    values: torch.Tensor
    ranks: torch.Tensor
    hats: torch.Tensor
    smooth: torch.Tensor
    rough: torch.Tensor
    amplitudes: torch.Tensor
    noise: torch.Tensor
    sharpness: torch.Tensor


def kernel(left: Channels, right: Channels, given: Hyperparameters) -> torch.Tensor:
    """Covariances of rows, of shape (n_tables, n_left, n_right).

    Notes
    -----
    The exponential part is the limit of a Mondrian forest, random trees that do not see labels (Balog,
    Lakshminarayanan, Ghahramani, Roy and Teh, The Mondrian Kernel, UAI 2016).
    """
    n = given.values.shape[1]
    parts = (
        _product(left.values, right.values, given.values / n)
        + _product(left.ranks, right.ranks, 3.0 * given.ranks / n),
        _product(left.hats, right.hats, 4.0 * given.hats.repeat_interleave(N_HATS, dim=1) / n),
        _smooth(left.ranks, right.ranks, 3.0 * given.smooth / n),
        _rough(left.ranks, right.ranks, 2.0 * given.rough / n),
    )
    weighted = [a[:, None, None] * part for a, part in zip(given.amplitudes.unbind(1), parts, strict=True)]
    return torch.stack(weighted).sum(0) + _CONSTANT


def _product(left: torch.Tensor, right: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (left * weight[:, None]) @ right.transpose(1, 2)


def _smooth(left: torch.Tensor, right: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    root = weight.sqrt()[:, None]
    left, right = left * root, right * root
    squares = (left**2).sum(-1)[:, :, None] + (right**2).sum(-1)[:, None]
    return torch.exp(-0.5 * (squares - 2.0 * left @ right.transpose(1, 2)).clamp(min=0.0))


def _rough(left: torch.Tensor, right: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.exp(-torch.cdist(left * weight[:, None], right * weight[:, None], p=1.0))


def solve(covariance: torch.Tensor, noise: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Weights of the support rows, and predictions of each from the others.

    Parameters
    ----------
    covariance : Tensor of shape (n_tables, n_support, n_support)
    noise : Tensor of shape (n_tables, 1)
    labels : Tensor of shape (n_tables, n_support, n_outputs)

    Returns
    -------
    weights, left_out : Tensor of shape (n_tables, n_support, n_outputs)
        Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, sections 2.2 and 5.4.2.
    """
    n = covariance.shape[-1]
    lower = torch.linalg.cholesky(covariance + noise[..., None] * _identity(n, covariance))
    inverse = torch.cholesky_inverse(lower)
    weights = inverse @ labels
    return weights, labels - weights / inverse.diagonal(dim1=1, dim2=2)[..., None]


def _identity(n: int, like: torch.Tensor) -> torch.Tensor:
    return torch.eye(n, dtype=like.dtype, device=like.device)


def noise_of(raw: torch.Tensor) -> torch.Tensor:
    """A noise variance from an unbounded number."""
    return _LEAST_NOISE + torch.exp(raw)
