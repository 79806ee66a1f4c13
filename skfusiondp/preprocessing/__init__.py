"""Encoders that read no sensitive training cell, and transformers that pay for what they learn."""

from ._categories import PrivateCategories
from ._encoder import TableEncoder
from ._moments import PrivateStandardScaler
from ._quantiles import PrivateQuantileTransformer
from ._selector import PrivateSelector

__all__ = [
    "PrivateCategories",
    "PrivateQuantileTransformer",
    "PrivateSelector",
    "PrivateStandardScaler",
    "TableEncoder",
]
