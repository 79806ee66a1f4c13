"""Training under the two-view step: the skorch net, and the engine that clips joint gradients row by row.

Names are loaded on first use: only they import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "IterateAverage": "._average",
    "PerRowEngine": "._per_row_engine",
    "RowLoss": "._objective",
    "Throwaway": "._throwaway",
    "TwoViewObjective": "._objective",
    "check_module": "._module_checks",
    "forward_with_representation": "._objective",
}
__all__ = [*_HOMES]

if TYPE_CHECKING:
    from ._average import IterateAverage as IterateAverage
    from ._module_checks import check_module as check_module
    from ._objective import RowLoss as RowLoss
    from ._objective import TwoViewObjective as TwoViewObjective
    from ._objective import forward_with_representation as forward_with_representation
    from ._per_row_engine import PerRowEngine as PerRowEngine
    from ._throwaway import Throwaway as Throwaway


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)
