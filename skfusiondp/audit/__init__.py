"""Attacks that try to break the promise, and what the promise means to an attacker.

Nothing here pays for what it reads: an audit's results stay with those who may see the training table.
"""

from ..privacy._attack_success import attack_success
from ._attribute import audit_attribute
from ._check_copies import CopyCheck, check_copies
from ._check_domains import DomainCheck, check_domains
from ._check_release import ReleaseCheck, check_release
from ._inference import AttributeInference, attribute_inference
from ._reconstruction import linear_reconstruction
from ._replay import ReplayCheck, ReplayReport, replay
from ._result import AttributeAudit
from ._risk import Risk, noise_floor, risk
from ._statistics import EpsilonPosterior, epsilon_lower_bound, guess_p_value

__all__ = [
    "AttributeAudit",
    "AttributeInference",
    "CopyCheck",
    "DomainCheck",
    "EpsilonPosterior",
    "ReleaseCheck",
    "ReplayCheck",
    "ReplayReport",
    "Risk",
    "attack_success",
    "attribute_inference",
    "audit_attribute",
    "check_copies",
    "check_domains",
    "check_release",
    "epsilon_lower_bound",
    "guess_p_value",
    "linear_reconstruction",
    "noise_floor",
    "replay",
    "risk",
]
