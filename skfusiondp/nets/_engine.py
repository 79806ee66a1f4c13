"""Clip the joint gradient of all views row by row, and sum: exact, without a loop over rows.

Two paths give the same numbers. *Book-keeping* runs the views as one stacked forward pass, takes
the gradients at the layers' outputs in one backward pass that computes no weight gradient, and gets
norms and the clipped sum from the tensors kept (Bu et al. 2023, arXiv 2210.00038, for two views).
*Vmap* differentiates each row with torch.func; it takes any module that vmap takes.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from .._exceptions import InvalidInputError
from ..privacy import Clipping
from ._dropout import shared_dropout
from ._objective import TwoViewObjective, forward_with_representation
from ._rules import LayerGradients, rule_for

Kept = list[tuple[str, LayerGradients]]

# Rows that the vmap path differentiates at once: their gradients must fit in memory.
_VMAP_NUMBERS = 2**25


class PerRowEngine:
    """Sum over rows of each row's clipped gradient of a joint objective.

    Parameters
    ----------
    module : nn.Module
        Rows must not mix (``check_module``).
    objective : TwoViewObjective
    clipping : Clipping
    private_parameters : sequence of str, optional
        Names or patterns (``"head.*"``) of the parameters that take part. The others get no private
        gradient and need no noise.
    micro_batch_size : int, optional
        Rows handled at once; memory is bounded by it and not by the batch.

    Attributes
    ----------
    path : {"book-keeping", "vmap"}
        Chosen by ``prepare``; why is in `reason`.
    names : tuple of str
        Parameters that take part.

    Notes
    -----
    Formal guarantee: each row adds a vector of L2 norm at most ``clipping.max_grad_norm``; a row
    whose views are equal, or whose gradient is not finite, adds exactly zero.
    """

    def __init__(
        self,
        module: nn.Module,
        objective: TwoViewObjective,
        clipping: Clipping,
        private_parameters: Sequence[str] | None = None,
        micro_batch_size: int | None = None,
    ):
        self.module = module
        self.objective = objective
        self.clipping = clipping
        self.micro_batch_size = micro_batch_size
        self.names = _chosen(module, private_parameters)
        self._layers, self.reason = _book_kept(module, self.names)
        self.path = "book-keeping" if self._layers is not None else "vmap"

    def prepare(self, views: Tensor, y: Tensor, weight: Tensor) -> None:
        """Choose the path on made-up rows, before any sensitive one is read.

        Book-keeping sees a layer only when it is called as a module, once. What it computes is held
        against plain automatic differentiation; on any difference the general path is taken.

        Parameters
        ----------
        views : Tensor of shape (n_views, n_rows, ...)
            Made-up rows in the shape of encoded ones.
        y : Tensor of shape (n_rows, ...)
        weight : Tensor of shape (n_rows,)
        """
        if self._layers is None:
            return
        factor = torch.linspace(0.5, 1.5, len(y), device=views.device, dtype=views.dtype)
        params = dict(self.module.named_parameters())
        with torch.random.fork_rng():
            torch.manual_seed(0)
            with shared_dropout(self.module, len(views)):
                objective = self._objective(self.module, views, y, weight)
            wanted = torch.autograd.grad(
                (objective * factor).sum(), [params[n] for n in self.names], allow_unused=True
            )
            torch.manual_seed(0)
            kept = self._forward_backward(views, y, weight)
        if kept is None:
            self._layers, self.path = None, "vmap"
            return
        got = self._weighted_sum(kept, dict.fromkeys(self.names, factor))
        for name, expected in zip(self.names, wanted, strict=True):
            if not torch.allclose(
                got[name],
                torch.zeros_like(got[name]) if expected is None else expected,
                rtol=1e-3,
                atol=1e-5,
            ):
                self._layers, self.path = None, "vmap"
                self.reason = f"the gradient of {name} is not seen through its layer's inputs and outputs"
                return

    def clipped_sum(self, views: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Sum of clipped per-row gradients.

        Parameters
        ----------
        views : Tensor of shape (n_views, n_rows, ...)
            Encoded rows: (original, hybrid), or one view.
        y : Tensor of shape (n_rows, ...)
        weight : Tensor of shape (n_rows,)

        Returns
        -------
        dict of str to Tensor
            One tensor a parameter that takes part; zeros for an empty batch.
        """
        n_rows = views.shape[1]
        size = self.micro_batch_size or max(n_rows, 1)
        if self.path == "vmap":
            params = dict(self.module.named_parameters())
            numbers = sum(params[n].numel() for n in self.names)
            size = min(size, max(1, _VMAP_NUMBERS // max(numbers, 1)))
        total: dict[str, Tensor] = {}
        for start in range(0, n_rows, size):
            rows = slice(start, start + size)
            part = self._part(views[:, rows], y[rows], weight[rows])
            total = {n: total[n] + part[n] for n in self.names} if total else part
        return total or self._zeros()

    def _zeros(self) -> dict[str, Tensor]:
        params = dict(self.module.named_parameters())
        return {name: torch.zeros_like(params[name]) for name in self.names}

    def _part(self, views: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Clipped sum of one micro-batch."""
        step = self._part_book_keeping if self._layers is not None else self._part_vmap
        sums, finite = step(views, y, weight)
        if sums is not None:
            return sums
        # Zero times a non-finite gradient is NaN, so those rows are left out and the rest redone.
        if not finite.any():
            return self._zeros()
        return self._part(views[:, finite], y[finite], weight[finite])

    def _part_book_keeping(self, views: Tensor, y: Tensor, weight: Tensor):
        kept = self._forward_backward(views, y, weight)
        if kept is None:  # what made-up rows did not show, real ones did
            self._layers, self.path = None, "vmap"
            return self._part_vmap(views, y, weight)
        norms = {}
        for prefix, gradients in kept:
            for name, value in gradients.squared_norms().items():
                norms[prefix + name] = value
        factors, finite = self._factors(norms, views)
        return (self._weighted_sum(kept, factors) if finite.all() else None), finite

    def _part_vmap(self, views: Tensor, y: Tensor, weight: Tensor):
        params = {n: p.detach() for n, p in self.module.named_parameters()}
        chosen = {n: params.pop(n) for n in self.names}
        wrapper = _Wrapper(self.module)

        def objective(chosen: dict[str, Tensor], x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
            state = {f"module.{n}": p for n, p in {**params, **chosen}.items()}
            outputs, hidden = functional_call(wrapper, state, (x,))
            return self.objective(outputs[:, None], hidden[:, None], y[None], weight[None])[0]

        with shared_dropout(self.module, len(views)):
            gradients = vmap(grad(objective), in_dims=(None, 1, 0, 0), randomness="different")(
                chosen, views, y, weight
            )
        norms = {n: g.flatten(1).square().sum(1) for n, g in gradients.items()}
        factors, finite = self._factors(norms, views)
        if not finite.all():
            return None, finite
        return {n: torch.tensordot(factors[n], g, 1) for n, g in gradients.items()}, finite

    def _factors(self, norms: dict[str, Tensor], views: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        stacked = torch.stack([norms[n] for n in self.names])
        factors = self.clipping.factors(stacked)
        if len(views) == 2:
            # Equal views have equal gradients; rounding, or a module's own randomness, must not
            # make the difference of the two anything but zero.
            differ = (views[0] - views[1]).flatten(1).abs().amax(1) != 0
            factors = factors * differ
        if self.clipping.kind == "per-layer":
            per_name = dict(zip(self.names, factors, strict=True))
        else:
            per_name = dict.fromkeys(self.names, factors[0])
        return per_name, stacked.sum(0).isfinite()

    def _objective(self, module: nn.Module, views: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        outputs, hidden = forward_with_representation(module, views.flatten(0, 1))
        n_views = len(views)
        return self.objective(
            outputs.unflatten(0, (n_views, -1)), hidden.unflatten(0, (n_views, -1)), y, weight
        )

    def _forward_backward(self, views: Tensor, y: Tensor, weight: Tensor) -> Kept | None:
        """What is kept of each layer, with its name prefix; None if one cannot be followed."""
        assert self._layers is not None
        seen: dict[nn.Module, list[tuple[Tensor, Tensor, int]]] = {layer: [] for layer in self._layers}

        def keep(layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            seen[layer].append((args[0].detach(), output, output._version))

        handles = [layer.register_forward_hook(keep) for layer in self._layers]
        try:
            with shared_dropout(self.module, len(views)):
                objective = self._objective(self.module, views, y, weight)
        finally:
            for handle in handles:
                handle.remove()
        for layer, calls in seen.items():
            name = self._layers[layer][0].rstrip(".")
            if len(calls) != 1:
                self.reason = f"the layer {name!r} is called {len(calls)} times in a forward pass"
                return None
            if len(calls[0][0]) != views.shape[0] * views.shape[1]:
                self.reason = f"the layer {name!r} sees {len(calls[0][0])} rows, not one a row and view"
                return None
            if calls[0][1]._version != calls[0][2]:
                self.reason = f"the output of the layer {name!r} is changed in place"
                return None
        outputs = [calls[0][1] for calls in seen.values()]
        gradients = torch.autograd.grad(objective.sum(), outputs, allow_unused=True)
        kept = []
        for (layer, calls), g in zip(seen.items(), gradients, strict=True):
            prefix, rule = self._layers[layer]
            a, output, _ = calls[0]
            kept.append((prefix, rule(layer, a, torch.zeros_like(output) if g is None else g, len(views))))
        return kept

    def _weighted_sum(self, kept: Kept, factors: dict[str, Tensor]) -> dict[str, Tensor]:
        sums = {}
        for prefix, gradients in kept:
            own = {n.removeprefix(prefix): f for n, f in factors.items() if _is_in(n, prefix)}
            for name, value in gradients.weighted_sum(own).items():
                sums[prefix + name] = value
        return sums


def _is_in(name: str, prefix: str) -> bool:
    """Whether a parameter belongs to the layer itself, not to one further down."""
    return name.startswith(prefix) and "." not in name[len(prefix) :]


class _Wrapper(nn.Module):
    """A module whose forward gives outputs and representation, for functional_call."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return forward_with_representation(self.module, x)


def _chosen(module: nn.Module, patterns: Sequence[str] | None) -> tuple[str, ...]:
    names = [n for n, p in module.named_parameters() if p.requires_grad]
    if patterns is None:
        return tuple(names)
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise InvalidInputError(
                f"private_parameters has {pattern!r}, which matches no trainable parameter; "
                f"the module has {', '.join(names)}."
            )
    return tuple(n for n in names if any(fnmatch.fnmatch(n, p) for p in patterns))


def _book_kept(
    module: nn.Module, names: Sequence[str]
) -> tuple[dict[nn.Module, tuple[str, type]] | None, str]:
    """The layers that hold `names` with their name prefix and rule; None and why if one has no rule."""
    layers: dict[nn.Module, tuple[str, type]] = {}
    owned = set()
    for path, layer in module.named_modules():
        prefix = f"{path}." if path else ""
        own = [prefix + n for n, _ in layer.named_parameters(recurse=False) if prefix + n in names]
        if not own:
            continue
        rule = rule_for(layer)
        if rule is None:
            return None, f"{type(layer).__name__} has no book-keeping rule"
        layers[layer] = (prefix, rule)
        owned.update(own)
    if owned != set(names):
        return None, "parameters are shared between layers"
    return layers, "every layer has a book-keeping rule"
