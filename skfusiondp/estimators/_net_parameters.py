"""skorch's double-underscore parameters on a scikit-learn estimator."""

from __future__ import annotations

from typing import Any

PREFIXES = ("module__", "optimizer__", "callbacks__", "criterion__")


class NetParameters:
    """Accept, get, set and clone ``module__hidden`` and its like as skorch's nets do."""

    def _store_net_parameters(self, kwargs: dict[str, Any]) -> None:
        unknown = [k for k in kwargs if not k.startswith(PREFIXES)]
        if unknown:
            raise TypeError(
                f"{type(self).__name__}.__init__() got an unexpected keyword argument {unknown[0]!r}; "
                f"parameters of the torch parts start with {', '.join(PREFIXES)}."
            )
        vars(self).update(kwargs)

    def _net_parameters(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k.startswith(PREFIXES)}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters, those of the torch parts that were given included."""
        return {**super().get_params(deep), **self._net_parameters()}  # type: ignore[misc]

    def set_params(self, **params: Any):
        """Set parameters, those of the torch parts included."""
        own = {k: v for k, v in params.items() if k.startswith(PREFIXES)}
        super().set_params(**{k: v for k, v in params.items() if k not in own})  # type: ignore[misc]
        vars(self).update(own)
        return self
