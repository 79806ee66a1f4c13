"""Per-row gradient norms and weighted gradient sums of single layers, from book-kept tensors.

A layer that saw inputs ``a`` and whose outputs have gradients ``g`` gives a row the gradient
``sum over views v and positions t of g[v, t] (x) a[v, t]``. Its norm needs no such product: it is
a Gram form in the inner products of the a and of the g (Goodfellow 2015; Li et al. 2022, ghost
norm), here over the joint sequence of both views, so that the cross terms are in it.

Views first: tensors have shape (n_views * n_rows, ..., width), all rows of view 0, then of view 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# A Gram form cancels where the views are close. Norms are rounded up by this many units in the
# last place of the terms' absolute sum, so that a clipped row never exceeds the clipping norm.
_SLACK = 64


class Rule(NamedTuple):
    """How one kind of layer contributes: each function returns {parameter name: tensor}."""

    squared_norms: Callable[[Any, Tensor, Tensor, int], dict[str, Tensor]]
    weighted_sum: Callable[[Any, Tensor, Tensor, dict[str, Tensor]], dict[str, Tensor]]


def _rotate(x: Tensor, n_views: int) -> Tensor:
    """Sum and difference of the views over sqrt 2: shape (n_views, n_rows, positions, width).

    An orthogonal change of basis leaves the gradient as it is, and computes its small terms from
    small numbers: where the views agree, the difference is exactly zero.
    """
    x = x.reshape(n_views, len(x) // n_views, -1, x.shape[-1])
    if n_views == 1:
        return x
    return torch.stack([x[0] + x[1], x[0] - x[1]]) * math.sqrt(0.5)


def _linear_norms(layer: Any, a: Tensor, g: Tensor, n_views: int) -> dict[str, Tensor]:
    a, g = _rotate(a, n_views), _rotate(g, n_views)
    _, n_rows, positions, width = a.shape
    length = n_views * positions
    if length == 1:
        weight = a[0, :, 0].square().sum(-1) * g[0, :, 0].square().sum(-1)
    elif n_views == 2 and positions == 1:
        (a0, a1), (g0, g1) = a[:, :, 0], g[:, :, 0]
        squares = _dot(a0, a0) * _dot(g0, g0) + _dot(a1, a1) * _dot(g1, g1)
        cross = 2 * _dot(a0, a1) * _dot(g0, g1)
        weight = squares + cross + _margin(squares + cross.abs())
    elif length * length <= width * g.shape[-1]:
        inputs, gradients = (x.movedim(0, 1).reshape(n_rows, length, -1) for x in (a, g))
        terms = (inputs @ inputs.mT) * (gradients @ gradients.mT)
        weight = terms.sum((1, 2)) + _margin(terms.abs().sum((1, 2)))
    else:
        weight = torch.einsum("vbti,vbto->boi", a, g).square().sum((1, 2))
    norms = {"weight": weight.clamp(min=0)}
    if getattr(layer, "bias", None) is not None:
        summed = g[0].sum(1) * math.sqrt(n_views)
        norms["bias"] = _dot(summed, summed)
    return norms


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return torch.linalg.vecdot(x, y)


def _margin(absolute: Tensor) -> Tensor:
    return _SLACK * torch.finfo(absolute.dtype).eps * absolute


def _scaled(g: Tensor, factor: Tensor) -> Tensor:
    """Scale each row of `g`, in all its views, by `factor` of shape (n_rows,)."""
    views = len(g) // len(factor)
    return g * factor.repeat(views).reshape(-1, *[1] * (g.dim() - 1))


def _linear_sum(layer: Any, a: Tensor, g: Tensor, factors: dict[str, Tensor]) -> dict[str, Tensor]:
    # In the rotated basis too: the sum of two large gradients that cancel would round beyond C.
    n_views = len(g) // len(next(iter(factors.values())))
    a, g = _rotate(a, n_views), _rotate(g, n_views)
    sums = {}
    scaled: dict[int, Tensor] = {}
    for name, factor in factors.items():
        if id(factor) not in scaled:
            scaled[id(factor)] = g * factor[:, None, None]
        rows = scaled[id(factor)]
        if name == "weight":
            sums[name] = rows.flatten(0, 2).T @ a.flatten(0, 2)
        else:
            sums[name] = rows[0].sum((0, 1)) * math.sqrt(n_views)
    return sums


def _norm_gradients(layer: Any, a: Tensor, g: Tensor, n_views: int) -> dict[str, Tensor]:
    """Per-row gradients of a normalisation's scale and shift, each of shape (n_rows, width)."""
    shape, eps = layer.normalized_shape, layer.eps
    if isinstance(layer, nn.LayerNorm):
        normalised = F.layer_norm(a, shape, eps=eps)
    else:
        normalised = F.rms_norm(a, shape, eps=eps)
    width = math.prod(shape)
    n_rows = len(a) // n_views

    def per_row(x: Tensor) -> Tensor:
        x = x.reshape(n_views, n_rows, -1, width)
        return x[:, :, 0].sum(0) if x.shape[2] == 1 else x.sum((0, 2))

    gradients = {"weight": per_row(g * normalised)}
    if getattr(layer, "bias", None) is not None:
        gradients["bias"] = per_row(g)
    return gradients


def _norm_norms(layer: Any, a: Tensor, g: Tensor, n_views: int) -> dict[str, Tensor]:
    return {name: _dot(x, x) for name, x in _norm_gradients(layer, a, g, n_views).items()}


def _norm_sum(layer: Any, a: Tensor, g: Tensor, factors: dict[str, Tensor]) -> dict[str, Tensor]:
    n_rows = len(next(iter(factors.values())))
    gradients = _norm_gradients(layer, a, g, len(a) // n_rows)
    return {n: (f @ gradients[n]).reshape(layer.normalized_shape) for n, f in factors.items()}


def _embedding_norms(layer: Any, a: Tensor, g: Tensor, n_views: int) -> dict[str, Tensor]:
    n_rows = len(a) // n_views
    a = a.reshape(n_views, n_rows, -1).movedim(0, 1).reshape(n_rows, -1)
    g = g.reshape(n_views, n_rows, -1, g.shape[-1]).movedim(0, 1).reshape(n_rows, a.shape[1], -1)
    terms = (g @ g.mT) * (a[:, :, None] == a[:, None, :])
    return {"weight": (terms.sum((1, 2)) + _margin(terms.abs().sum((1, 2)))).clamp(min=0)}


def _embedding_sum(layer: Any, a: Tensor, g: Tensor, factors: dict[str, Tensor]) -> dict[str, Tensor]:
    total = torch.zeros_like(layer.weight)
    scaled = _scaled(g, factors["weight"])
    return {"weight": total.index_add_(0, a.flatten(), scaled.reshape(-1, scaled.shape[-1]))}


def rule_for(layer: nn.Module) -> Rule | None:
    """The rule of a layer, or None where only the general engine can handle it."""
    kind = type(layer)
    if kind is nn.Linear:
        return Rule(_linear_norms, _linear_sum)
    if kind in (nn.LayerNorm, nn.RMSNorm) and layer.elementwise_affine:
        return Rule(_norm_norms, _norm_sum)
    if (
        kind is nn.Embedding
        and layer.padding_idx is None
        and layer.max_norm is None
        and not (layer.scale_grad_by_freq or layer.sparse)
    ):
        return Rule(_embedding_norms, _embedding_sum)
    return None
