"""Estimators that train under feature-level differential privacy."""

from .fusion._fusion_dp_classifier import FusionDPClassifier
from .fusion._fusion_dp_regressor import FusionDPRegressor
from .offset._offset_fusion_classifier import OffsetFusionClassifier
from .offset._offset_fusion_regressor import OffsetFusionRegressor
from .offset._shape_functions_display import ShapeFunctionsDisplay
from .synthesis._private_resampler import PrivateResampler
from .synthesis._private_synthesizer import PrivateSynthesizer
from .synthesis._synthesized_classifier import SynthesizedClassifier
from .synthesis._synthesized_regressor import SynthesizedRegressor

__all__ = [
    "FusionDPClassifier",
    "FusionDPRegressor",
    "OffsetFusionClassifier",
    "OffsetFusionRegressor",
    "PrivateResampler",
    "PrivateSynthesizer",
    "ShapeFunctionsDisplay",
    "SynthesizedClassifier",
    "SynthesizedRegressor",
]
