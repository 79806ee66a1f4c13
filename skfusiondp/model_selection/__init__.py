"""Model selection: many private fits at once, and what they cost together."""

from ._search import StackedGridSearchCV

__all__ = ["StackedGridSearchCV"]
