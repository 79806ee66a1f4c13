"""Clip the joint gradient of all views row by row, and sum: exact, without a loop over rows.

Two paths give the same numbers. *Book-keeping* runs the views as one stacked forward pass, takes
the gradients at the layers' outputs in one backward pass that computes no weight gradient, and gets
norms and the clipped sum from the tensors kept (Bu et al. 2023, arXiv 2210.00038, for two views).
*Vmap* differentiates each row with torch.func; it takes any module that vmap takes.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from ..exceptions import InvalidInputError
from ..privacy import Clipping
from ._dropout import Counted, shared_dropout, taken_from
from ._layer_gradients import LayerGradients, rule_for
from ._objective import TwoViewObjective, forward_with_representation
from ._throwaway import Throwaway

Kept = list[tuple[str, LayerGradients]]

# Rows that the vmap path differentiates at once: their gradients must fit in memory.
_VMAP_NUMBERS = 2**24


class PerRowEngine:
    """Sum over rows of each row's clipped gradient of a joint objective.

    Parameters
    ----------
    module : nn.Module
        Rows must not mix (``check_module``). It is not changed: each pass runs on a copy of its own.
    objective : TwoViewObjective
    clipping : Clipping
    private_parameters : sequence of str, optional
        Names or patterns (``"head.*"``) of the parameters that take part. The others get no private
        gradient and need no noise.
    micro_batch_size : int, optional
        Rows handled at once; memory is bounded by it and not by the batch.
    masks : numpy.random.Generator, optional
        Draws the dropout masks, which must be secret. None: seeded by the operating system.

    Attributes
    ----------
    path : {"book-keeping", "vmap"}
        Chosen by ``prepare``; why is in `reason`.
    names : tuple of str
        Parameters that take part.
    precision : torch.dtype
        What a pass computes in: double, or single where the module takes nothing else. Norms and sums
        are always in double precision.

    Notes
    -----
    Formal guarantee: each row adds a vector of L2 norm at most ``clipping.max_grad_norm``; a row
    whose views are equal, whose gradient is not finite, or on which the module fails, adds exactly zero, and
    changes nothing of what the others add: their masks, their factors and their gradients stay as they are.
    A pass leaves nothing in the module.
    """

    def __init__(
        self,
        module: nn.Module,
        objective: TwoViewObjective,
        clipping: Clipping,
        private_parameters: Sequence[str] | None = None,
        micro_batch_size: int | None = None,
        masks: np.random.Generator | None = None,
    ):
        self.module = module
        self.objective = objective
        self.clipping = clipping
        self.micro_batch_size = micro_batch_size
        self.precision = torch.float64
        self.names = _chosen(module, private_parameters)
        self._masks = np.random.default_rng() if masks is None else masks
        self._masks_a_row: int | None = None
        self._throwaway = Throwaway(module)
        self._layers, self.reason = _book_kept(module, self.names)
        self.path = "book-keeping" if self._layers is not None else "vmap"

    @property
    def n_numbers(self) -> int:
        """Coordinates of the sum."""
        params = dict(self.module.named_parameters())
        return sum(params[n].numel() for n in self.names)

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
        try:
            self._take(views, y, weight)
        except Exception:
            # Constants of the module's own may be in single precision, and mix with nothing else.
            self.precision = torch.float32
            try:
                self._take(views, y, weight)
            except Exception as error:  # whatever a module of the user's own may raise
                reason = str(error).partition("\n")[0]
                raise InvalidInputError(
                    f"module cannot be differentiated row by row: {self.reason}, and torch.func refuses it "
                    f"({reason}); use layers without running statistics or recurrent state."
                ) from error

    def _take(self, views: Tensor, y: Tensor, weight: Tensor) -> None:
        """Take the path of book-keeping if it gives what automatic differentiation gives."""
        masks = np.random.Generator(np.random.PCG64(0))
        views, y, weight = self._precise(views, y, weight)
        if self._layers is not None and (why_not := self._why_not_kept(views, y, weight, masks)):
            self._layers, self.path, self.reason = None, "vmap", why_not
        if self._layers is None:
            self._sum_formed(views, y, weight, self._draw_masks(views, masks))

    def _why_not_kept(self, views: Tensor, y: Tensor, weight: Tensor, masks: np.random.Generator) -> str:
        """Why book-keeping does not give what automatic differentiation gives; empty if it does."""
        factor = torch.linspace(0.5, 1.5, len(y), device=views.device, dtype=torch.float64)
        module, uniform = self._throwaway.copy(self.precision), self._draw_masks(views, masks)
        with shared_dropout(module, len(views), taken_from(uniform)):
            objective = self._objective(module, views, y, weight)
        params = dict(module.named_parameters())
        wanted = torch.autograd.grad(
            (objective * factor).sum(), [params[n] for n in self.names], allow_unused=True
        )
        kept = self._forward_backward(views, y, weight, uniform)
        if isinstance(kept, str):
            return kept
        got = self._weighted_sum(kept, dict.fromkeys(self.names, factor))
        for name, expected in zip(self.names, wanted, strict=True):
            expected = torch.zeros_like(got[name]) if expected is None else expected.double()
            if not torch.allclose(got[name], expected, rtol=1e-3, atol=1e-5):
                return f"the gradient of {name} is not seen through its layer's inputs and outputs"
        return ""

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
            One float64 tensor a parameter that takes part; zeros for an empty batch.
        """
        n_rows = views.shape[1]
        size = self.micro_batch_size or max(n_rows, 1)
        if self.path == "vmap":
            size = min(size, max(1, _VMAP_NUMBERS // max(self.n_numbers, 1)))
        total: dict[str, Tensor] = {}
        for start in range(0, n_rows, size):
            rows = slice(start, start + size)
            part = self._part(*self._precise(views[:, rows], y[rows], weight[rows]))
            total = {n: total[n] + part[n] for n in self.names} if total else part
        return total or self._zeros()

    def _precise(self, views: Tensor, y: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y = y.to(self.precision) if y.is_floating_point() else y
        return views.to(self.precision), y, weight.to(self.precision)

    def _zeros(self) -> dict[str, Tensor]:
        params = dict(self.module.named_parameters())
        return {name: torch.zeros_like(params[name], dtype=torch.float64) for name in self.names}

    def _part(self, views: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Clipped sum of one micro-batch."""
        return self._of_rows(views, y, weight, self._draw_masks(views, self._masks))

    def _of_rows(self, views: Tensor, *rest: Tensor) -> dict[str, Tensor]:
        """Clipped sum of some rows, with their targets, weights and masks."""
        try:
            return self._at_once(views, *rest)
        except Exception:
            # A sensitive cell may decide whether a module fails, so no error may leave this pass: the row
            # that it fails on adds nothing, as one without a finite gradient, and the others what they
            # always add.
            n_rows = views.shape[1]
            if n_rows == 1:
                return self._zeros()
            halves = slice(n_rows // 2), slice(n_rows // 2, None)
            one, other = (self._of_rows(views[:, half], *(r[half] for r in rest)) for half in halves)
            return {n: one[n] + other[n] for n in self.names}

    def _at_once(self, views: Tensor, y: Tensor, weight: Tensor, uniform: Tensor) -> dict[str, Tensor]:
        if self._layers is not None:
            kept = self._forward_backward(views, y, weight, uniform)
            if not isinstance(kept, str):
                return self._sum_kept(kept, views)
        # Also where real rows stop book-keeping, although made-up ones did not: with the same masks the
        # sum is the same.
        return self._sum_formed(views, y, weight, uniform)

    def _sum_kept(self, kept: Kept, views: Tensor) -> dict[str, Tensor]:
        norms = {}
        for prefix, gradients in kept:
            for name, value in gradients.squared_norms().items():
                norms[prefix + name] = value
        factors, finite = self._factors(norms, views)
        if not finite.all():
            for _, gradients in kept:
                gradients.leave_out(~finite)
        return self._weighted_sum(kept, factors)

    def _sum_formed(self, views: Tensor, y: Tensor, weight: Tensor, uniform: Tensor) -> dict[str, Tensor]:
        module = self._throwaway.copy(self.precision)
        params = {n: p.detach() for n, p in module.named_parameters()}
        chosen = {n: params.pop(n) for n in self.names}
        wrapper = _Wrapper(module)

        def objective(chosen: dict, x: Tensor, y: Tensor, weight: Tensor, row: Tensor) -> Tensor:
            state = {f"module.{n}": p for n, p in {**params, **chosen}.items()}
            with shared_dropout(module, len(views), taken_from(row)):
                outputs, hidden = functional_call(wrapper, state, (x,))
            return self.objective(outputs[:, None], hidden[:, None], y[None], weight[None])[0]

        gradients = vmap(grad(objective), in_dims=(None, 1, 0, 0, 0))(chosen, views, y, weight, uniform)
        gradients = {n: g.double() for n, g in gradients.items()}
        norms = {n: g.flatten(1).square().sum(1) for n, g in gradients.items()}
        factors, finite = self._factors(norms, views)
        if not finite.all():
            gradients = {
                n: g.masked_fill(~finite.reshape(-1, *[1] * (g.dim() - 1)), 0.0) for n, g in gradients.items()
            }
        return {n: torch.tensordot(factors[n], g, 1) for n, g in gradients.items()}

    def _draw_masks(self, views: Tensor, masks: np.random.Generator) -> Tensor:
        """Uniform numbers for each row's dropout, of shape (n_rows, n_numbers)."""
        if self._masks_a_row is None:
            module, counted = self._throwaway.copy(self.precision), Counted()
            with torch.no_grad(), shared_dropout(module, len(views), counted):
                # Zeros in the shape of a row: nothing of a row is read.
                row = torch.zeros_like(views[:, :1], dtype=self.precision)
                forward_with_representation(module, row.flatten(0, 1))
            self._masks_a_row = counted.numbers
        if not self._masks_a_row:
            # One number that nobody uses: vmap cannot pass on a row of no numbers.
            return torch.zeros((views.shape[1], 1), device=views.device)
        shape = (views.shape[1], self._masks_a_row)
        return torch.from_numpy(masks.random(shape, dtype=np.float32)).to(views.device)

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

    def _forward_backward(self, views: Tensor, y: Tensor, weight: Tensor, uniform: Tensor) -> Kept | str:
        """What is kept of each layer, with its name prefix; or why one cannot be followed."""
        assert self._layers is not None
        module = self._throwaway.copy(self.precision)
        layers = {module.get_submodule(path): path for path in self._layers}
        seen: dict[nn.Module, list[tuple[Tensor, Tensor, int]]] = {layer: [] for layer in layers}

        def keep(layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            seen[layer].append((args[0].detach(), output, output._version))

        handles = [layer.register_forward_hook(keep) for layer in layers]
        try:
            with shared_dropout(module, len(views), taken_from(uniform)):
                objective = self._objective(module, views, y, weight)
        finally:
            for handle in handles:
                handle.remove()
        for layer, calls in seen.items():
            name = layers[layer]
            if len(calls) != 1:
                return f"the layer {name!r} is called {len(calls)} times in a forward pass"
            if len(calls[0][0]) != views.shape[0] * views.shape[1]:
                return f"the layer {name!r} sees {len(calls[0][0])} rows, not one a row and view"
            if calls[0][1]._version != calls[0][2]:
                return f"the output of the layer {name!r} is changed in place"
        outputs = [calls[0][1] for calls in seen.values()]
        gradients = torch.autograd.grad(objective.sum(), outputs, allow_unused=True)
        kept = []
        for (layer, calls), g in zip(seen.items(), gradients, strict=True):
            path = layers[layer]
            prefix, rule = f"{path}." if path else "", self._layers[path]
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


def _book_kept(module: nn.Module, names: Sequence[str]) -> tuple[dict[str, type] | None, str]:
    """The rule of each layer that holds some of `names`, by its path; None and why if one has no rule."""
    layers: dict[str, type] = {}
    owned = set()
    for path, layer in module.named_modules():
        prefix = f"{path}." if path else ""
        own = [prefix + n for n, _ in layer.named_parameters(recurse=False) if prefix + n in names]
        if not own:
            continue
        rule = rule_for(layer)
        # Weight normalisation and its like make a layer's weight from other parameters.
        if rule is None or not {n.removeprefix(prefix) for n in own} <= {"weight", "bias"}:
            return None, f"{type(layer).__name__} has no book-keeping rule"
        layers[path] = rule
        owned.update(own)
    if owned != set(names):
        return None, "parameters are shared between layers"
    return layers, "every layer has a book-keeping rule"
