"""Model selection: many private fits at once, and what they cost together."""

from ._private_random_search_cv import PrivateRandomSearchCV
from ._stacked_grid_search_cv import StackedGridSearchCV

__all__ = ["PrivateRandomSearchCV", "StackedGridSearchCV"]
