"""What the parameters of the FusionDP estimators may be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..._parameters import Integer, NotBoth, OneOf, Real, Rule, constraints
from ..._privacy_parameters import EPSILON_OR_NOISE, PRIVACY, SUPPORT, SUPPORT_TARGET
from ...exceptions import InvalidInputError
from ...impute._foundation_imputer import IMPUTER
from ...privacy._clipping import CLIPPING, MAX_GRAD_NORM
from ...privacy._constraints import NOISE_MULTIPLIER
from ...privacy._relations import RELATIONS
from ...training._process_group import Ranks
from .._private_estimator import SUPPORT_OF_TARGET
from ._methods import METHOD, method_of
from ._net_parameters import TORCH_PARTS, OfTorchParts

FUSION = constraints(
    PRIVACY,
    TORCH_PARTS,
    imputer=IMPUTER,
    support=SUPPORT,
    support_target=SUPPORT_TARGET,
    method=METHOD,
    noise_multiplier=replace(NOISE_MULTIPLIER, none=True),
    adjacency=OneOf(RELATIONS, remedy="only method='dp-sgd', which protects whole rows, takes add-remove"),
    max_grad_norm=MAX_GRAD_NORM,
    clipping=CLIPPING,
    alpha=Real(0, closed="left"),
    beta=Real(0, closed="left"),
    consistency_bound=Real(0),
    ema_decay=Real(0, 1, closed="left", remedy="0 keeps the last iterate"),
    batch_size=Integer(1, none=True),
    epochs=Integer(1, none=True),
    steps=Integer(1, none=True),
    public_batch_size=Integer(1, none=True),
    public_epochs=Integer(0, none=True),
)


@dataclass(frozen=True)
class RelationOfMethod:
    """`adjacency` must be a relation that `method` protects."""

    def check(self, owner: Any) -> None:
        OneOf(
            method_of(owner.method).relations,
            remedy="the public columns of a row are read freely, so only method='dp-sgd' protects whole "
            "rows (add-remove)",
        ).check("adjacency", owner.adjacency)


@dataclass(frozen=True)
class BudgetOfOneProcess:
    """Processes that train one model together cannot share a budget."""

    def check(self, owner: Any) -> None:
        if owner.budget is not None and Ranks.current().world > 1:
            raise InvalidInputError(
                f"budget={owner.budget!r} cannot be shared by processes that train one model together; leave "
                "it None and add the fitted model's ledger_ to the budget with PrivacyBudget.spending."
            )


FUSION_RULES: tuple[Rule, ...] = (
    OfTorchParts(),
    RelationOfMethod(),
    EPSILON_OR_NOISE,
    NotBoth("epochs", "steps"),
    SUPPORT_OF_TARGET,
    BudgetOfOneProcess(),
)
