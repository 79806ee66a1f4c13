"""skorch's double-underscore parameters on a scikit-learn estimator."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

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

    def _check_net_parameters(self) -> None:
        """Refuse, at fit, what no part of the net takes; suggest what was meant."""
        for name in self._net_parameters():
            if not name.startswith(PREFIXES):
                near = difflib.get_close_matches(name, self.get_params(deep=False), n=2)
                near = [n for n in near if n != name]
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise InvalidInputError(
                    f"{type(self).__name__} has no parameter {name!r}; {hint}Parameters of the torch parts "
                    f"start with {', '.join(PREFIXES)}."
                )
        self._check_callbacks(getattr(self, "callbacks", None))
        self._check_optimizer(getattr(self, "optimizer", None))
        self._check_device(getattr(self, "device", "cpu"))

    def _check_callbacks(self, callbacks: Any) -> None:
        if callbacks is None or (isinstance(callbacks, tuple) and not callbacks):  # skorch's own default
            return
        items = callbacks if isinstance(callbacks, list) else [None]
        parts = [c[1] if isinstance(c, tuple) and len(c) == 2 else c for c in items]
        if not all(hasattr(c, "on_train_begin") for c in parts):
            raise InvalidInputError(
                f"callbacks={callbacks!r} must be a list of skorch callbacks, or of (name, callback) pairs, "
                "or None."
            )

    def _check_device(self, device: Any) -> None:
        import torch

        wanted = "must be a torch device or its name"
        if isinstance(device, str | torch.device):
            try:
                torch.zeros(1, device=device).cpu()
                return
            # A torch that was built without a device says so by an AssertionError.
            except (RuntimeError, AssertionError) as error:
                first = str(error).partition("\n")[0]
                wanted = f"cannot be used here: {first}"
        raise InvalidInputError(f"device={device!r} {wanted}; 'cpu' is everywhere.")

    def _check_optimizer(self, optimizer: Any) -> None:
        from torch.optim import Optimizer

        own = issubclass(optimizer, Optimizer) if inspect.isclass(optimizer) else callable(optimizer)
        if optimizer is not None and (not own or inspect.isbuiltin(optimizer)):
            raise InvalidInputError(
                f"optimizer={optimizer!r} must be a torch optimizer class, such as torch.optim.SGD, or None."
            )

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters, those of the torch parts that were given included."""
        return {**super().get_params(deep), **self._net_parameters()}  # type: ignore[misc]

    def set_params(self, **params: Any):
        """Set parameters, those of the torch parts included."""
        own = {k: v for k, v in params.items() if k.startswith(PREFIXES) or k in self._net_parameters()}
        super().set_params(**{k: v for k, v in params.items() if k not in own})  # type: ignore[misc]
        self._store_net_parameters(own)
        return self
