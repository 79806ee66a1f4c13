"""How an object that holds tables is shown: by their shapes, and not by their rows."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, repr=False)
class TableShape:
    """What is shown in the place of a table: its type and its shape.

    Parameters
    ----------
    kind : str
        Name of the table's type.
    shape : tuple of int
    """

    kind: str
    shape: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<{self.kind} {' x '.join(str(n) for n in self.shape)}>"


class ShowsShapes:
    """Makes ``repr`` and the HTML diagram show the tables among an estimator's parameters by their shapes.

    scikit-learn prints an estimator, also one inside a pipeline or a search, from its ``get_params`` and has
    no hook for one parameter, so ``get_params`` gives its printers, and nobody else, the shapes.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of parameters that are estimators, as ``name__parameter``.

        Returns
        -------
        dict
            Values by name.
        """
        params = super().get_params(deep)  # type: ignore[misc]
        return {name: _as_shape(value) for name, value in params.items()} if _for_display() else params


def _as_shape(value: Any) -> Any:
    shape = getattr(value, "shape", None)
    return TableShape(type(value).__name__, tuple(shape)) if isinstance(shape, tuple) and shape else value


def _for_display() -> bool:
    """Tell whether one of scikit-learn's printers asks for the parameters."""
    frame = sys._getframe(1)
    while frame.f_code.co_name in ("get_params", "_get_params") and frame.f_back is not None:
        frame = frame.f_back
    module, function = frame.f_globals.get("__name__"), frame.f_code.co_name
    return module == "sklearn.utils._pprint" or (module == "sklearn.base" and function == "_get_params_html")
