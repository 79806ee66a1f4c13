"""Privacy accounting for users: what a mechanism costs, and what a fit has spent.

Examples
--------
>>> from skfusiondp.accounting import calibrate_noise_multiplier
>>> calibrate_noise_multiplier(1.0, 1e-5, sample_rate=1.0, steps=1) > 7
True
"""

from ..privacy import (
    RELATIONS,
    BoundEntry,
    Clipping,
    LedgerEntry,
    PrivacyBudget,
    PrivacyLedger,
    PrivatePlan,
    calibrate_noise_multiplier,
    compute_delta,
    compute_epsilon,
)
from ._check_pipeline import PipelineCheck, check_pipeline
from ._composite_report import privacy_report
from ._finding import Finding
from ._parts import Part, private_parts
from ._privacy_report import PrivacyReport

__all__ = [
    "RELATIONS",
    "BoundEntry",
    "Clipping",
    "Finding",
    "LedgerEntry",
    "Part",
    "PipelineCheck",
    "PrivacyBudget",
    "PrivacyLedger",
    "PrivacyReport",
    "PrivatePlan",
    "calibrate_noise_multiplier",
    "check_pipeline",
    "compute_delta",
    "compute_epsilon",
    "privacy_report",
    "private_parts",
]
