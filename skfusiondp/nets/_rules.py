"""Per-row gradient norms and weighted gradient sums of single layers, from book-kept tensors.

A layer that saw inputs ``a`` and whose outputs have gradients ``g`` gives a row the gradient
``sum over views v and positions t of g[v, t] (x) a[v, t]``. Its norm needs no such product: it is
a Gram form in the inner products of the a and of the g (Goodfellow 2015; Li et al. 2022, ghost
norm), here over the joint sequence of both views, so that the cross terms are in it.

Views first: tensors have shape (n_views * n_rows, ..., width), all rows of view 0, then of view 1.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# A Gram form cancels where the views are close. Norms are rounded up by this many units in the
# last place of the terms' absolute sum, so that a clipped row never exceeds the clipping norm.
_SLACK = 64


class LayerGradients(Protocol):
    """The per-row gradients of one layer's parameters, without their being formed."""

    def squared_norms(self) -> dict[str, Tensor]:
        """{parameter name: squared norms of shape (n_rows,)}."""
        ...

    def weighted_sum(self, factors: dict[str, Tensor]) -> dict[str, Tensor]:
        """{parameter name: sum over rows of factor times gradient}, for the names in `factors`."""
        ...


class LinearGradients:
    """Linear layers: rows are outer products of output gradients and inputs.

    With two views everything is computed from sums and differences of the views. That orthogonal
    change of basis (up to the factor 1/2, kept aside) leaves the gradient as it is, and gets its small
    terms from small numbers: where the views agree, the difference is exactly zero, and neither
    norms nor sums lose digits to large terms that cancel.
    """

    def __init__(self, layer: nn.Module, a: Tensor, g: Tensor, n_views: int):
        self._a, self._g = _rotated(a, n_views), _rotated(g, n_views)
        self._half = 1.0 / n_views
        self._has_bias = getattr(layer, "bias", None) is not None

    def squared_norms(self) -> dict[str, Tensor]:
        a, g = self._a, self._g
        _, positions, width = a[0].shape
        length = len(a) * positions
        if length == 1:
            weight = _dot(a[0][:, 0], a[0][:, 0]) * _dot(g[0][:, 0], g[0][:, 0])
        elif positions == 1:
            (a0, a1), (g0, g1) = (x[:, 0] for x in a), (x[:, 0] for x in g)
            squares = _dot(a0, a0) * _dot(g0, g0) + _dot(a1, a1) * _dot(g1, g1)
            cross = 2 * _dot(a0, a1) * _dot(g0, g1)
            weight = squares + cross + _margin(squares + cross.abs())
        elif length * length <= width * g[0].shape[-1]:
            inputs, gradients = torch.cat(a, dim=1), torch.cat(g, dim=1)
            terms = (inputs @ inputs.mT) * (gradients @ gradients.mT)
            weight = terms.sum((1, 2)) + _margin(terms.abs().sum((1, 2)))
        else:
            weight = torch.einsum("bti,bto->boi", torch.cat(a, 1), torch.cat(g, 1)).square().sum((1, 2))
        norms = {"weight": weight.clamp(min=0) * self._half**2}
        if self._has_bias:
            summed = _over_positions(g[0])
            norms["bias"] = _dot(summed, summed)
        return norms

    def weighted_sum(self, factors: dict[str, Tensor]) -> dict[str, Tensor]:
        sums = {}
        if "weight" in factors:
            scale = (factors["weight"] * self._half)[:, None, None]
            narrow = self._a[0].shape[-1] < self._g[0].shape[-1]
            total = None
            for a, g in zip(self._a, self._g, strict=True):
                a, g = (a * scale, g) if narrow else (a, g * scale)
                part = g.flatten(0, 1).T @ a.flatten(0, 1)
                total = part if total is None else total + part
            assert total is not None
            sums["weight"] = total
        if "bias" in factors:
            sums["bias"] = factors["bias"] @ _over_positions(self._g[0])
        return sums


class NormGradients:
    """Scale and shift of LayerNorm and RMSNorm: rows are as small as the parameters, so they are formed."""

    def __init__(self, layer: Any, a: Tensor, g: Tensor, n_views: int):
        self._shape = layer.normalized_shape
        norm = F.layer_norm if isinstance(layer, nn.LayerNorm) else F.rms_norm
        normalised = norm(a, self._shape, eps=layer.eps)
        self._rows = {"weight": self._per_row(g * normalised, n_views)}
        if getattr(layer, "bias", None) is not None:
            self._rows["bias"] = self._per_row(g, n_views)

    def _per_row(self, x: Tensor, n_views: int) -> Tensor:
        views = x.reshape(n_views, len(x) // n_views, -1, math.prod(self._shape))
        summed = views[0] + views[1] if n_views == 2 else views.sum(0)
        return _over_positions(summed)

    def squared_norms(self) -> dict[str, Tensor]:
        return {name: _dot(x, x) for name, x in self._rows.items()}

    def weighted_sum(self, factors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {n: (f @ self._rows[n]).reshape(self._shape) for n, f in factors.items()}


class EmbeddingGradients:
    """Embeddings: a row adds output gradients to the vectors that it looked up."""

    def __init__(self, layer: Any, a: Tensor, g: Tensor, n_views: int):
        n_rows = len(a) // n_views
        self._table = layer.weight
        self._a = a.reshape(n_views, n_rows, -1).movedim(0, 1).reshape(n_rows, -1)
        g = g.reshape(n_views, n_rows, -1, g.shape[-1])
        self._g = g.movedim(0, 1).reshape(n_rows, self._a.shape[1], -1)

    def squared_norms(self) -> dict[str, Tensor]:
        same = self._a[:, :, None] == self._a[:, None, :]
        terms = (self._g @ self._g.mT) * same
        return {"weight": (terms.sum((1, 2)) + _margin(terms.abs().sum((1, 2)))).clamp(min=0)}

    def weighted_sum(self, factors: dict[str, Tensor]) -> dict[str, Tensor]:
        scaled = (self._g * factors["weight"][:, None, None]).flatten(0, 1)
        return {"weight": torch.zeros_like(self._table).index_add_(0, self._a.flatten(), scaled)}


def _rotated(x: Tensor, n_views: int) -> tuple[Tensor, ...]:
    """Sum and difference of two views (one view as it is), each of shape (n_rows, positions, width)."""
    views = x.reshape(n_views, len(x) // n_views, -1, x.shape[-1])
    if n_views == 1:
        return (views[0],)
    return views[0] + views[1], views[0] - views[1]


def _over_positions(x: Tensor) -> Tensor:
    return x[:, 0] if x.shape[1] == 1 else x.sum(1)


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return torch.linalg.vecdot(x, y)


def _margin(absolute: Tensor) -> Tensor:
    return _SLACK * torch.finfo(absolute.dtype).eps * absolute


def rule_for(layer: nn.Module) -> type | None:
    """How a layer's per-row gradients are kept, or None where only the general engine can."""
    kind = type(layer)
    if kind is nn.Linear:
        return LinearGradients
    if kind in (nn.LayerNorm, nn.RMSNorm) and layer.elementwise_affine:
        return NormGradients
    if (
        kind is nn.Embedding
        and layer.padding_idx is None
        and layer.max_norm is None
        and not (layer.scale_grad_by_freq or layer.sparse)
    ):
        return EmbeddingGradients
    return None
