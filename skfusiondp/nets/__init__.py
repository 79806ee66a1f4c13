"""Torch modules, and the engine that clips the joint gradient of both views row by row."""

from ._average import IterateAverage
from ._checks import check_module
from ._engine import PerRowEngine
from ._mlp import MLP
from ._objective import RowLoss, TwoViewObjective, forward_with_representation
from ._throwaway import Throwaway
from ._wide_deep import WideAndDeep

__all__ = [
    "MLP",
    "IterateAverage",
    "PerRowEngine",
    "RowLoss",
    "Throwaway",
    "TwoViewObjective",
    "WideAndDeep",
    "check_module",
    "forward_with_representation",
]
