"""Torch modules for tables of encoded rows."""

from ._mlp import MLP
from ._wide_and_deep import WideAndDeep

__all__ = ["MLP", "WideAndDeep"]
