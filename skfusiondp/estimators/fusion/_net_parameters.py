"""skorch's double-underscore parameters on a scikit-learn estimator."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from ..._keywords import suggestion
from ..._parameters import LARGEST_RATE, VERBOSE, Device, Integer, Real, Satisfies, are_names, constraints
from ...exceptions import InvalidInputError
from ._methods import method_of

PREFIXES = ("module__", "optimizer__", "callbacks__", "criterion__")


class NetParameters:
    """Accept, get, set and clone ``module__hidden`` and its like as skorch's nets do."""

    _prefixes: ClassVar[tuple[str, ...]] = PREFIXES

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
    """Parameters of the torch parts must be ones that the module and the optimizer take."""

    def check(self, owner: Any) -> None:
        given = owner._net_parameters()
        for name in given:
            if not name.startswith(PREFIXES):  # "kwargs" itself
                raise InvalidInputError(
                    f"{type(owner).__name__} has no parameter {name!r}; what it takes beside its own starts "
                    f"with {', '.join(PREFIXES)}."
                )
        LEARNING_RATE.check("optimizer__lr", given.get("optimizer__lr"))
        PARAM_GROUPS.check("optimizer__param_groups", given.get("optimizer__param_groups"))
        if any(name.startswith(("module__", "optimizer__")) for name in given):
            _check_names(given, "module__", _module_of(owner))
            _check_names(given, "optimizer__", _optimizer_of(owner))


def _module_of(owner: Any) -> Any:
    from ...nets import MLP, WideAndDeep

    if owner.module is None:  # as the fit chooses it
        return MLP if method_of(owner.method).free_view is None else WideAndDeep
    return owner.module if inspect.isroutine(owner.module) else _class_of(owner.module)


def _optimizer_of(owner: Any) -> Any:
    from torch.optim import Adam

    return Adam if owner.optimizer is None else owner.optimizer


def _class_of(part: Any) -> type:
    return part if inspect.isclass(part) else type(part)


def _check_names(given: Iterable[str], prefix: str, part: Any) -> None:
    """Refuse a parameter that a part of the net does not take, where its signature tells."""
    try:
        takes = dict(inspect.signature(part).parameters)
    except (TypeError, ValueError):  # some built-in callables have none
        return
    if any(p.kind is p.VAR_KEYWORD for p in takes.values()):
        return
    takes = {n: p for n, p in takes.items() if n != "params"}  # which an optimizer gets from the net
    for name in given:
        own = name.removeprefix(prefix)
        # What lies deeper (optimizer__param_groups__0__lr) is skorch's own business.
        if name.startswith(prefix) and "__" not in own and own not in (*takes, "param_groups"):
            meant = suggestion(own, takes)
            hint = f"did you mean {prefix + meant!r}?" if meant else f"it takes {', '.join(takes)}."
            raise InvalidInputError(
                f"{name} is given, but {getattr(part, '__name__', part)} takes no {own!r}; {hint}"
            )


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


def _are_groups(value: Any) -> bool:
    if not isinstance(value, list | tuple):
        return False
    pairs = [p for p in value if isinstance(p, list | tuple) and len(p) == 2]
    return len(pairs) == len(value) and all(
        isinstance(pattern, str)
        and isinstance(settings, dict)
        and Real(0, LARGEST_RATE, closed="both").allows(settings.get("lr", 0))
        for pattern, settings in pairs
    )


LEARNING_RATE = Real(0, LARGEST_RATE, closed="right", none=True)
PARAM_GROUPS = Satisfies(
    _are_groups,
    "a list of pairs of a pattern of parameters and their settings, such as [('head.*', {'lr': 0.1})], "
    f"with each lr from 0 to {LARGEST_RATE:g}",
    none=True,
)
TORCH_PARTS = constraints(
    module=Satisfies(callable, "a torch module class or instance", none=True),
    optimizer=Satisfies(_is_optimizer, "a torch optimizer class, such as torch.optim.SGD", none=True),
    lr=LEARNING_RATE,
    public_lr=Real(0, LARGEST_RATE, closed="right"),
    private_parameters=Satisfies(are_names, "a list of names or patterns such as ['head.*']", none=True),
    micro_batch_size=Integer(1, none=True),
    callbacks=Satisfies(
        _are_callbacks, "a list of skorch callbacks, or of (name, callback) pairs", none=True
    ),
    device=Device(),
    verbose=VERBOSE,
)
