"""skorch's double-underscore parameters on a scikit-learn estimator."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass
from typing import Any

from ..._parameters import VERBOSE, Device, Integer, Real, Satisfies, are_names, constraints
from ...exceptions import InvalidInputError

PREFIXES = ("module__", "optimizer__", "callbacks__", "criterion__")


class NetParameters:
    """Accept, get, set and clone ``module__hidden`` and its like as skorch's nets do."""

    def _store_net_parameters(self, kwargs: dict[str, Any]) -> None:
        if kwargs:
            known = getattr(self, "_net_parameter_names", ())
            self._net_parameter_names = (*known, *(k for k in kwargs if k not in known))
            vars(self).update(kwargs)

    def _net_parameters(self) -> dict[str, Any]:
        return {k: getattr(self, k) for k in getattr(self, "_net_parameter_names", ())}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters, those of the torch parts that were given included."""
        return {**super().get_params(deep), **self._net_parameters()}  # type: ignore[misc]

    def set_params(self, **params: Any):
        """Set parameters, those of the torch parts included."""
        own = {k: v for k, v in params.items() if k.startswith(PREFIXES) or k in self._net_parameters()}
        super().set_params(**{k: v for k, v in params.items() if k not in own})  # type: ignore[misc]
        self._store_net_parameters(own)
        return self


@dataclass(frozen=True)
class OfTorchParts:
    """Parameters beyond a class's own belong to the torch parts; a misspelt one gets a suggestion."""

    def check(self, owner: Any) -> None:
        for name in owner._net_parameters():
            if not name.startswith(PREFIXES):
                near = difflib.get_close_matches(name, owner.get_params(deep=False), n=2)
                near = [n for n in near if n != name]
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise InvalidInputError(
                    f"{type(owner).__name__} has no parameter {name!r}; {hint}Parameters of the torch parts "
                    f"start with {', '.join(PREFIXES)}."
                )
        LEARNING_RATE.check("optimizer__lr", owner._net_parameters().get("optimizer__lr"))


def _are_callbacks(value: Any) -> bool:
    if isinstance(value, tuple) and not value:  # skorch's own default
        return True
    items = value if isinstance(value, list) else [None]
    parts = [c[1] if isinstance(c, tuple) and len(c) == 2 else c for c in items]
    return all(hasattr(c, "on_train_begin") for c in parts)


def _is_optimizer(value: Any) -> bool:
    from torch.optim import Optimizer

    if inspect.isclass(value):
        return issubclass(value, Optimizer)
    return callable(value) and not inspect.isbuiltin(value)


LEARNING_RATE = Real(0, none=True)
TORCH_PARTS = constraints(
    module=Satisfies(callable, "a torch module class or instance", none=True),
    optimizer=Satisfies(_is_optimizer, "a torch optimizer class, such as torch.optim.SGD", none=True),
    lr=LEARNING_RATE,
    public_lr=Real(0),
    private_parameters=Satisfies(are_names, "a list of names or patterns such as ['head.*']", none=True),
    micro_batch_size=Integer(1, none=True),
    callbacks=Satisfies(
        _are_callbacks, "a list of skorch callbacks, or of (name, callback) pairs", none=True
    ),
    device=Device(),
    verbose=VERBOSE,
)
