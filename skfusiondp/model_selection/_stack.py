"""A stack of multilayer perceptrons as batched tensors: forward, backward, clipped sums.

Models come first in every shape. Rows come in up to three parts: the public batch, the private
batch in its original view, and the same rows in the hybrid view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..nets import MLP, WideAndDeep
from ..training._layer_gradients import rounded_up


class Layout:
    """Where each trained parameter lies in its model's row of one flat tensor.

    Parameters
    ----------
    module : MLP or WideAndDeep
        Of the latter the wide part, which is an MLP without hidden layers.
    """

    def __init__(self, module: MLP | WideAndDeep):
        self.slots: dict[str, tuple[slice, torch.Size]] = {}
        start = 0
        for name, parameter in trained_parameters(module).items():
            self.slots[name] = (slice(start, start + parameter.numel()), parameter.shape)
            start += parameter.numel()
        self.size = start
        self.blocks: list[tuple[str, str, float, float]] = []
        body = list(module.body) if isinstance(module, MLP) else []
        for i, layer in enumerate(body):
            if isinstance(layer, nn.Linear):
                norm: Any = body[i + 1]
                drops = [m.p for m in body[i + 3 : i + 4] if isinstance(m, nn.Dropout)]
                dropout = drops[0] if drops else 0.0
                self.blocks.append((f"body.{i}.", f"body.{i + 1}.", norm.eps, dropout))

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Each parameter of all models, of shape (n_models, *shape)."""
        return {n: flat[:, s].unflatten(1, shape) for n, (s, shape) in self.slots.items()}


def trained_parameters(module: MLP | WideAndDeep) -> dict[str, nn.Parameter]:
    """What a stack trains of a module, by the names that it has in an MLP."""
    if isinstance(module, WideAndDeep):
        return {f"head.{name}": p for name, p in module.head.wide.named_parameters()}
    return dict(module.named_parameters())


def why_not_stackable(module: nn.Module, head_only: bool) -> str | None:
    """Why a module cannot be stacked, or None if it can: as the library builds it."""
    if head_only and type(module) is WideAndDeep and type(module.head.wide) is nn.Linear:
        return None
    if type(module) is not MLP:
        return (
            f"module {type(module).__name__} has no stacked rules, only nets.MLP has, and nets.WideAndDeep "
            "if its wide part alone is private"
        )
    kinds = [type(m) for m in module.body]
    period = 4 if nn.Dropout in kinds else 3
    pattern = [nn.Linear, nn.LayerNorm, nn.ReLU, nn.Dropout][:period]
    if kinds != pattern * (len(kinds) // period) or type(module.head) is not nn.Linear:
        return "module is an MLP with changed layers"
    if not all(p.requires_grad for p in module.parameters()):
        return "module has frozen parameters"
    return None


class Private:
    """The private rows of one step, padded to the largest sample of the stack.

    Parameters
    ----------
    n_views : int
    real : Tensor of shape (n_models, n_rows), bool
        False where a row is padding.
    differ : Tensor of shape (n_models, n_rows), bool
        False where the views of a row are equal, so that it adds nothing.
    """

    def __init__(self, n_views: int, real: Tensor, differ: Tensor):
        self.n_views = n_views
        self.counts = real & differ
        self.n_rows = real.shape[1]


class StackedMLP:
    """Forward and backward of a stack of models.

    Parameters
    ----------
    layout : Layout
    flat : Tensor of shape (n_models, n_parameters)
        Parameters; read at each step.
    masks : numpy.random.Generator
        Draws the dropout masks of private rows.
    """

    def __init__(self, layout: Layout, flat: Tensor, masks: np.random.Generator):
        self.layout = layout
        self._masks = masks
        self.parameters = layout.views(flat)

    def forward(self, x: Tensor, n_public: int, n_views: int) -> tuple[Tensor, Tensor]:
        """Outputs and representations, of shapes (n_models, n_rows, ...); keeps what backward needs."""
        self._kept: list[tuple[Tensor, ...]] = []
        for linear, norm, eps, dropout in self.layout.blocks:
            p = self.parameters
            h = torch.baddbmm(p[linear + "bias"].unsqueeze(1), x, p[linear + "weight"].mT)
            # Torch is twice as fast with a scale and a shift, even if they change nothing.
            one, zero = h.new_ones(h.shape[-1]), h.new_zeros(h.shape[-1])
            unit, mean, rstd = torch.native_layer_norm(h, h.shape[-1:], one, zero, eps)
            out = torch.addcmul(p[norm + "bias"].unsqueeze(1), unit, p[norm + "weight"].unsqueeze(1))
            out.clamp_(min=0)
            keep = torch.empty(0)
            if dropout:
                keep = self._shared_mask(out, n_public, n_views, dropout)
                out = out * keep
            self._kept.append((x, h, unit, mean, rstd, out, keep))
            x = out
        self._representation = x
        head = torch.baddbmm(self.parameters["head.bias"].unsqueeze(1), x, self.parameters["head.weight"].mT)
        return head, x

    def _shared_mask(self, out: Tensor, n_public: int, n_views: int, dropout: float) -> Tensor:
        """Dropout masks, one a row, which all views of the row share."""
        n_models, n_rows, width = out.shape
        n_private = (n_rows - n_public) // max(n_views, 1)
        keep = 1.0 - dropout
        public = torch.rand(n_models, n_public, width) < keep
        # Their number tells how many rows were sampled, so they come from no stream that public ones share.
        drawn = self._masks.random((n_models, n_private, width), dtype=np.float32)
        private = torch.from_numpy(drawn) < keep
        return torch.cat([public] + [private] * n_views, 1) / (keep or math.inf)

    def backward(self, g_outputs: Tensor, g_hidden: Tensor | None) -> LayerTensors:
        """Gradients at every layer's outputs; no gradient of a parameter is formed."""
        tensors = LayerTensors()
        p = self.parameters
        tensors.linear["head."] = (self._representation, g_outputs)
        g = torch.bmm(g_outputs, p["head.weight"])
        if g_hidden is not None:
            g = g + g_hidden
        for i in reversed(range(len(self.layout.blocks))):
            linear, norm, _, dropout = self.layout.blocks[i]
            x, h, unit, mean, rstd, out, keep = self._kept[i]
            if dropout:
                g = g * keep
            g = torch.ops.aten.threshold_backward(g, out, 0)
            tensors.norm[norm] = (unit, g)
            g = torch.ops.aten.native_layer_norm_backward(
                g * p[norm + "weight"].unsqueeze(1),
                h, h.shape[-1:], mean, rstd, None, None, [True, False, False],
            )[0]  # fmt: skip
            tensors.linear[linear] = (x, g)
            if i:
                g = torch.bmm(g, p[linear + "weight"])
        return tensors


class LayerTensors:
    """Inputs and output gradients of every layer: all that sums and norms are made of."""

    def __init__(self) -> None:
        self.linear: dict[str, tuple[Tensor, Tensor]] = {}
        self.norm: dict[str, tuple[Tensor, Tensor]] = {}

    def part(self, rows: slice) -> LayerTensors:
        """The same for some of the rows."""
        part = LayerTensors()
        part.linear = {n: (a[:, rows], g[:, rows]) for n, (a, g) in self.linear.items()}
        part.norm = {n: (a[:, rows], g[:, rows]) for n, (a, g) in self.norm.items()}
        return part

    def add_sums(self, into: dict[str, Tensor]) -> None:
        """Add the sum over rows of each parameter's gradient."""
        for name, (a, g) in self.linear.items():
            into[name + "weight"] += torch.bmm(g.mT, a)
            into[name + "bias"] += g.sum(1)
        for name, (unit, g) in self.norm.items():
            into[name + "weight"] += (unit * g).sum(1)
            into[name + "bias"] += g.sum(1)


def clipped_sums(tensors: LayerTensors, private: Private, clippings: Sequence[Any], layout: Layout) -> Tensor:
    """Sum over the private rows of each model's clipped per-row gradients.

    Parameters
    ----------
    tensors : LayerTensors
        Of the private rows alone, view after view.
    private : Private
    clippings : sequence of Clipping
        One a model.
    layout : Layout

    Returns
    -------
    Tensor of shape (n_models, n_parameters)

    Notes
    -----
    Formal guarantee, as the per-row engine's: each row adds at most its model's clipping norm; padding,
    a row whose views are equal, and a row whose gradient is not finite add exactly zero.
    """
    n_models = len(clippings)
    pairs = {n: (_rotated(a, private), _rotated(g, private)) for n, (a, g) in tensors.linear.items()}
    rows = {n: (_both(unit * g, private), _both(g, private)) for n, (unit, g) in tensors.norm.items()}
    norms: dict[str, Tensor] = {}
    for name, (a, g) in pairs.items():
        norms[name + "weight"] = _outer_norms(a, g)
        norms[name + "bias"] = _dot(g[0], g[0])
    for name, (weight, bias) in rows.items():
        norms[name + "weight"] = _dot(weight, weight)
        norms[name + "bias"] = _dot(bias, bias)
    names = list(layout.slots)
    stacked = torch.stack([norms[n] for n in names], 1)
    finite = stacked.sum(1).isfinite()
    # Nothing of a row that counts for nothing may reach a product: zero times infinity is no zero.
    lost = ~finite & private.counts
    factors = _factors(clippings, stacked) * (private.counts & finite).unsqueeze(1)
    if lost.any() or not finite.all():
        gone = ~finite.unsqueeze(-1)
        pairs = {
            n: (tuple(x.masked_fill(gone, 0) for x in a), tuple(x.masked_fill(gone, 0) for x in g))
            for n, (a, g) in pairs.items()
        }
        rows = {n: (w.masked_fill(gone, 0), b.masked_fill(gone, 0)) for n, (w, b) in rows.items()}
    factor = {n: factors[:, i] for i, n in enumerate(names)}
    total = torch.zeros(n_models, layout.size, dtype=torch.float64)
    into = layout.views(total)
    half = 1.0 / private.n_views
    for name, (a, g) in pairs.items():
        scale = (factor[name + "weight"] * half).unsqueeze(-1)
        narrow = a[0].shape[-1] < g[0].shape[-1]
        for a_, g_ in zip(a, g, strict=True):
            part = torch.bmm(g_.mT, a_ * scale) if narrow else torch.bmm((g_ * scale).mT, a_)
            into[name + "weight"] += part
        into[name + "bias"] += torch.bmm(factor[name + "bias"].unsqueeze(1), g[0])[:, 0]
    for name, (weight, bias) in rows.items():
        into[name + "weight"] += torch.bmm(factor[name + "weight"].unsqueeze(1), weight)[:, 0]
        into[name + "bias"] += torch.bmm(factor[name + "bias"].unsqueeze(1), bias)[:, 0]
    return total


def _factors(clippings: Sequence[Any], squared_norms: Tensor) -> Tensor:
    """Each model's clipping factors, of shape (n_models, n_parameters, n_rows)."""
    if all(c.kind == "flat" for c in clippings):
        # What Clipping.factors does, for all models at once.
        norms = torch.tensor([c.bound for c in clippings], dtype=torch.float64).unsqueeze(1)
        total = squared_norms.sum(1)
        factor = (norms / total.sqrt()).clamp(max=1.0).masked_fill(~total.isfinite(), 0.0)
        return factor.unsqueeze(1).expand_as(squared_norms)
    return torch.stack([c.factors(s) for c, s in zip(clippings, squared_norms, strict=True)])


def _rotated(x: Tensor, private: Private) -> tuple[Tensor, ...]:
    """Sum and difference of the views: small differences are computed from small numbers."""
    if private.n_views == 1:
        return (x,)
    true, imputed = x[:, : private.n_rows], x[:, private.n_rows :]
    return true + imputed, true - imputed


def _both(x: Tensor, private: Private) -> Tensor:
    return x if private.n_views == 1 else x[:, : private.n_rows] + x[:, private.n_rows :]


def _outer_norms(a: tuple[Tensor, ...], g: tuple[Tensor, ...]) -> Tensor:
    """Squared norms of the rows' outer products, rounded up."""
    if len(a) == 1:
        return _dot(a[0], a[0]) * _dot(g[0], g[0])
    apart = torch.stack([_dot(x, x) * _dot(z, z) for x, z in zip(a, g, strict=True)])
    cross = 2 * _dot(a[0], a[1]) * _dot(g[0], g[1])
    return rounded_up(apart.sum(0) + cross, apart.sqrt().sum(0).square()) * 0.25


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return torch.linalg.vecdot(x, y)
