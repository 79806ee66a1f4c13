"""A public model as a free offset, and a private correction in the sensitive columns."""

from ._estimators import OffsetFusionClassifier, OffsetFusionRegressor

__all__ = ["OffsetFusionClassifier", "OffsetFusionRegressor"]
