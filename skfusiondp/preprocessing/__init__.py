"""Encoders that read no sensitive training cell, and transformers that pay for what they learn."""

from ..tables._table_encoder import TableEncoder
from ._private_categories import PrivateCategories
from ._private_quantile_transformer import PrivateQuantileTransformer
from ._private_select_k_best import PrivateSelectKBest
from ._private_standard_scaler import PrivateStandardScaler

__all__ = [
    "PrivateCategories",
    "PrivateQuantileTransformer",
    "PrivateSelectKBest",
    "PrivateStandardScaler",
    "TableEncoder",
]
