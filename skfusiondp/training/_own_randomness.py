"""Torch's random functions with a generator of one's own, in one thread, without touching the global one."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ..exceptions import InvalidInputError

# Arguments of layers that draw only if these are not 0.
_SHARES = ("dropout", "dropout_p")


class OwnRandomness(TorchDispatchMode):
    """Inside of the block, whatever draws from torch's global generator draws from one of this object's.

    Modules draw their initial weights from torch's global generator, which all threads share: seeding it, or
    keeping its state and putting it back, would change what other threads draw, and they would change what
    is drawn here. A mode holds in the current thread alone.

    Parameters
    ----------
    seed : int
        Of the generators; there is one for each device.

    Attributes
    ----------
    draws : int
        How often something was drawn.
    """

    def __init__(self, seed: int):
        super().__init__()
        self.draws = 0
        self._seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        names = [a.name for a in func._schema.arguments]
        defaults = {a.name: a.default_value for a in func._schema.arguments if a.has_default_value()}
        given = {**defaults, **dict(zip(names, args, strict=False)), **kwargs}
        random = "generator" in names or torch.Tag.nondeterministic_seeded in func.tags
        if not random or given.get("generator") is not None or self._draws_nothing(given):
            return func(*args, **kwargs)
        self.draws += 1
        if func is torch.ops.aten.native_dropout.default:
            return self._dropout(**given)
        seeded = func if "generator" in names else _with_generator(func, names)
        if seeded is None:
            raise InvalidInputError(
                f"module draws random numbers by {func}, which takes no generator but the one that all "
                "threads share; use nn.Dropout, or functions that take a generator."
            )
        return seeded(*args, **kwargs, generator=self._generator(_device(given)))

    def _draws_nothing(self, given: dict[str, Any]) -> bool:
        return any(given.get(name) == 0 for name in _SHARES)

    def _dropout(self, input: Any, p: float, train: bool | None) -> Any:
        if train is False or p == 0:
            return input.clone(), torch.ones_like(input, dtype=torch.bool)
        kept = torch.empty_like(input).bernoulli_(1 - p, generator=self._generator(input.device))
        return input * kept / ((1 - p) or 1.0), kept.bool()

    def _generator(self, device: torch.device) -> torch.Generator:
        if device.type == "meta":
            device = torch.device("cpu")
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self._seed)
        return self._generators[device]


def _with_generator(func: Any, names: list[str]) -> Any:
    """The variant of a function that takes a generator, and all else as `func` does; or None."""
    packet = func.overloadpacket
    for name in packet.overloads():
        other = getattr(packet, name)
        if {a.name for a in other._schema.arguments} == {*names, "generator"}:
            return other
    return None


def _device(given: dict[str, Any]) -> torch.device:
    tensors = [v for v in given.values() if isinstance(v, torch.Tensor)]
    return tensors[0].device if tensors else torch.device(given.get("device") or "cpu")
