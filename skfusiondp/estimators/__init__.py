"""Estimators that train under feature-level differential privacy."""

from ._classifier import FusionDPClassifier
from ._regressor import FusionDPRegressor

__all__ = ["FusionDPClassifier", "FusionDPRegressor"]
