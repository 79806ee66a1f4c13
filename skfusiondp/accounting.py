"""Privacy accounting for users: what a mechanism costs, and what a fit has spent.

Examples
--------
>>> from skfusiondp.accounting import calibrate_noise_multiplier
>>> calibrate_noise_multiplier(1.0, 1e-5, sample_rate=1.0, steps=1) > 7
True
"""

from .privacy import (
    ADJACENCIES,
    Clipping,
    LedgerEntry,
    PrivacyLedger,
    PrivatePlan,
    calibrate_noise_multiplier,
    compute_delta,
    compute_epsilon,
)

__all__ = [
    "ADJACENCIES",
    "Clipping",
    "LedgerEntry",
    "PrivacyLedger",
    "PrivatePlan",
    "calibrate_noise_multiplier",
    "compute_delta",
    "compute_epsilon",
]
