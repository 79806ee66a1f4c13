"""What the parameters of the offset estimators may be."""

from __future__ import annotations

from typing import Any

from ..._parameters import VERBOSE, Constraint, Integer, Rule, Satisfies, constraints
from ..._privacy_parameters import EPSILON_OR_NOISE, PRIVACY, SUPPORT, SUPPORT_TARGET
from ...impute._foundation_imputer import IMPUTER
from .._private_estimator import SUPPORT_OF_TARGET
from ._correction import MAX_GRAD_NORM

OFFSET = constraints(
    PRIVACY,
    support=SUPPORT,
    support_target=SUPPORT_TARGET,
    imputer=IMPUTER,
    max_grad_norm=MAX_GRAD_NORM,
    steps=Integer(1, none=True),
    verbose=VERBOSE,
)
OFFSET_RULES: tuple[Rule, ...] = (EPSILON_OR_NOISE, SUPPORT_OF_TARGET)


def public_model(method: str) -> Constraint:
    """An estimator that scores rows by such a method."""

    def scores(model: Any) -> bool:
        needed = ("get_params", "fit", method)
        return not isinstance(model, type) and all(hasattr(model, n) for n in needed)

    return Satisfies(scores, f"a scikit-learn estimator with {method}", none=True)
