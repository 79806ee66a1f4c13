"""Pure mechanism: sampling, clipping, noise, events, accounting, ledger and plan.

Nothing here knows scikit-learn, skorch or imputation. The accounting half (accountant, ledger,
plan) does not import torch either.
"""

from ._accountant import calibrate_noise_multiplier, compute_delta, compute_epsilon
from ._budget import PrivacyBudget
from ._clipping import Clipping
from ._entries import BoundEntry, LedgerEntry
from ._ledger import PrivacyLedger
from ._plan import PrivatePlan, Tier, make_plan
from ._relations import CELL_RELATIONS, RELATIONS, ROW_RELATIONS, Relation, relation

__all__ = [
    "CELL_RELATIONS",
    "RELATIONS",
    "ROW_RELATIONS",
    "BoundEntry",
    "Clipping",
    "LedgerEntry",
    "PrivacyBudget",
    "PrivacyLedger",
    "PrivatePlan",
    "Relation",
    "Tier",
    "calibrate_noise_multiplier",
    "compute_delta",
    "compute_epsilon",
    "make_plan",
    "relation",
]
