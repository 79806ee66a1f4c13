"""Model selection: many private fits at once, and what they cost together."""

from ._private_search import PrivateRandomSearchCV
from ._search import StackedGridSearchCV

__all__ = ["PrivateRandomSearchCV", "StackedGridSearchCV"]
