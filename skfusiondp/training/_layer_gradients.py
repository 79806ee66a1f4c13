"""Per-row gradient norms and weighted gradient sums of single layers, from book-kept tensors.

A layer that saw inputs ``a`` and whose outputs have gradients ``g`` gives a row the gradient
``sum over views v and positions t of g[v, t] (x) a[v, t]``. Its norm needs no such product: it is
a Gram form in the inner products of the a and of the g (Goodfellow 2015; Li et al. 2022, ghost
norm), here over the joint sequence of both views, so that the cross terms are in it.

Views first: tensors have shape (n_views * n_rows, ..., width), all rows of view 0, then of view 1.
Everything from here to the sums is in double precision, whatever the layer computed in.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# What squared norms are rounded up by, as a share of what they would be if no terms cancelled: more than
# their own rounding, so that a clipped row never exceeds the clipping norm.
_ROUNDING = 2.0**-44
# The least that they are, as such a share: a clipped row's terms, before they cancel, then exceed the
# clipping norm at most 1,024 times, which bounds what rounding can do to their sums (docs/guarantee.md,
# section 3).
_LEAST = 2.0**-20


class LayerGradients(Protocol):
    """The per-row gradients of one layer's parameters, without their being formed."""

    def squared_norms(self) -> dict[str, Tensor]:
        """{parameter name: squared norms of shape (n_rows,)}."""
        ...

    def weighted_sum(self, factors: dict[str, Tensor]) -> dict[str, Tensor]:
        """{parameter name: sum over rows of factor times gradient}, for the names in `factors`."""
        ...

    def leave_out(self, lost: Tensor) -> None:
        """Set the gradients of some rows to zero; a factor of 0 would turn infinite ones into NaN."""
        ...


class LinearGradients:
    """Linear layers: rows are outer products of output gradients and inputs.

    With two views everything is computed from sums and differences of the views. That orthogonal
    change of basis (up to the factor 1/2, kept aside) leaves the gradient as it is, and gets its small
    terms from small numbers: where the views agree, the difference is exactly zero, and neither
    norms nor sums lose digits to large terms that cancel.
    """

    def __init__(self, layer: nn.Module, a: Tensor, g: Tensor, n_views: int):
        self._pairs = list(zip(_rotated(a, n_views), _rotated(g, n_views), strict=True))
        self._summed = self._pairs[0][1]
        self._half = 1.0 / n_views
        self._has_bias = getattr(layer, "bias", None) is not None

    def squared_norms(self) -> dict[str, Tensor]:
        a, g = ([pair[i] for pair in self._pairs] for i in (0, 1))
        _, positions, width = a[0].shape
        length = len(a) * positions
        norms = {}
        if self._has_bias:
            norms["bias"] = _square(_over_positions(self._summed))
        apart = [_length(x) * _length(z) for x, z in zip(a, g, strict=True)]
        uncancelled = torch.stack(apart).sum((0, 2)).square()
        if positions == 1:
            weight = torch.stack(apart).square().sum((0, 2))
            if length == 2:
                a, g = [x[:, 0] for x in a], [x[:, 0] for x in g]
                weight = weight + 2 * _dot(a[0], a[1]) * _dot(g[0], g[1])
        elif length * length <= width * g[0].shape[-1]:
            inputs, gradients = torch.cat(a, dim=1), torch.cat(g, dim=1)
            weight = ((inputs @ inputs.mT) * (gradients @ gradients.mT)).sum((1, 2))
        else:
            weight = torch.einsum("bti,bto->boi", torch.cat(a, 1), torch.cat(g, 1)).square().sum((1, 2))
        norms["weight"] = rounded_up(weight, uncancelled) * self._half**2
        return norms

    def leave_out(self, lost: Tensor) -> None:
        self._pairs = [(_without(a, lost), _without(g, lost)) for a, g in self._pairs]
        self._summed = self._pairs[0][1]

    def weighted_sum(self, factors: dict[str, Tensor]) -> dict[str, Tensor]:
        sums = {}
        if "weight" in factors:
            scale = (factors["weight"] * self._half)[:, None, None]
            total = None
            for a, g in self._pairs:
                a, g = (a * scale, g) if a.shape[-1] < g.shape[-1] else (a, g * scale)
                a, g = a.flatten(0, 1), g.flatten(0, 1).T
                total = g @ a if total is None else torch.addmm(total, g, a)
            assert total is not None
            sums["weight"] = total
        if "bias" in factors:
            sums["bias"] = factors["bias"] @ _over_positions(self._summed)
        return sums


class NormGradients:
    """Scale and shift of LayerNorm and RMSNorm: rows are as small as the parameters, so they are formed."""

    def __init__(self, layer: Any, a: Tensor, g: Tensor, n_views: int):
        self._shape = layer.normalized_shape
        if isinstance(layer, nn.LayerNorm):
            # Without a scale and shift, torch takes a path on CPUs that is several times slower.
            one = torch.ones_like(layer.weight)
            normalised = F.layer_norm(a, self._shape, one, torch.zeros_like(one), layer.eps)
        else:
            normalised = F.rms_norm(a, self._shape, eps=layer.eps)
        g = g.double()
        # In place: allocating fresh memory takes longer than the arithmetic.
        self._rows = {"weight": self._per_row(normalised.double().mul_(g), n_views)}
        if getattr(layer, "bias", None) is not None:
            self._rows["bias"] = self._per_row(g, n_views)

    def _per_row(self, x: Tensor, n_views: int) -> Tensor:
        views = x.reshape(n_views, len(x) // n_views, -1, math.prod(self._shape))
        return _over_positions(views[0] + views[1] if n_views == 2 else views[0])

    def squared_norms(self) -> dict[str, Tensor]:
        return {name: _square(x) for name, x in self._rows.items()}

    def weighted_sum(self, factors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {n: (f @ self._rows[n]).reshape(self._shape) for n, f in factors.items()}

    def leave_out(self, lost: Tensor) -> None:
        self._rows = {n: _without(x, lost) for n, x in self._rows.items()}


class EmbeddingGradients:
    """Embeddings: a row adds output gradients to the vectors that it looked up."""

    def __init__(self, layer: Any, a: Tensor, g: Tensor, n_views: int):
        n_rows = len(a) // n_views
        self._table = layer.weight
        self._a = a.reshape(n_views, n_rows, -1).movedim(0, 1).reshape(n_rows, -1)
        g = g.double().reshape(n_views, n_rows, -1, g.shape[-1])
        self._g = g.movedim(0, 1).reshape(n_rows, self._a.shape[1], -1)

    def squared_norms(self) -> dict[str, Tensor]:
        same = self._a[:, :, None] == self._a[:, None, :]
        terms = (self._g @ self._g.mT) * same
        uncancelled = _length(self._g).sum(1).square()
        return {"weight": rounded_up(terms.sum((1, 2)), uncancelled)}

    def weighted_sum(self, factors: dict[str, Tensor]) -> dict[str, Tensor]:
        scaled = (self._g * factors["weight"][:, None, None]).flatten(0, 1)
        zeros = torch.zeros_like(self._table, dtype=torch.float64)
        return {"weight": zeros.index_add_(0, self._a.flatten(), scaled)}

    def leave_out(self, lost: Tensor) -> None:
        self._g = _without(self._g, lost)


def rounded_up(squared: Tensor, uncancelled: Tensor) -> Tensor:
    """Squared norms that are never below the true ones, nor far below those of the terms apart."""
    return torch.maximum(squared + _ROUNDING * uncancelled, _LEAST * uncancelled)


def _rotated(x: Tensor, n_views: int) -> tuple[Tensor, ...]:
    """Sum and difference of two views (one view as it is), each of shape (n_rows, positions, width)."""
    views = x.double().reshape(n_views, len(x) // n_views, -1, x.shape[-1])
    if n_views == 1:
        return (views[0],)
    return views[0] + views[1], views[0] - views[1]


def _over_positions(x: Tensor) -> Tensor:
    return x[:, 0] if x.shape[1] == 1 else x.sum(1)


def _length(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1)


def _square(x: Tensor) -> Tensor:
    return _length(x).square()


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return torch.linalg.vecdot(x, y)


def _without(x: Tensor, lost: Tensor) -> Tensor:
    return x.masked_fill(lost.reshape(-1, *[1] * (x.dim() - 1)), 0.0)


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
