"""Pure mechanism: sampling, clipping, noise, events, accounting, ledger and plan.

Nothing here knows scikit-learn, skorch or imputation. The accounting half (accountant, ledger,
plan) does not import torch either.
"""

from ._accountant import (
    ADJACENCIES,
    calibrate_noise_multiplier,
    compute_delta,
    compute_epsilon,
)
from ._budget import PrivacyBudget
from ._clipping import Clipping
from ._ledger import BoundEntry, LedgerEntry, PrivacyLedger
from ._plan import PrivatePlan, Tier, make_plan

__all__ = [
    "ADJACENCIES",
    "BoundEntry",
    "Clipping",
    "LedgerEntry",
    "PrivacyBudget",
    "PrivacyLedger",
    "PrivatePlan",
    "Tier",
    "calibrate_noise_multiplier",
    "compute_delta",
    "compute_epsilon",
    "make_plan",
]
