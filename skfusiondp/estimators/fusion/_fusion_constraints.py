"""What the parameters of the FusionDP estimators may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..._parameters import Integer, NotBoth, OneOf, Real, Rule, Together, constraints
from ..._privacy_parameters import EPSILON_OR_NOISE, PRIVACY, SUPPORT_TARGET
from ...impute._foundation_imputer import IMPUTER
from ...privacy._clipping import CLIPPING, MAX_GRAD_NORM
from ...privacy._relations import CELL_RELATIONS, RELATIONS
from ._net_parameters import TORCH_PARTS, OfTorchParts

METHODS = ("fusiondp", "feature-dp", "dp-sgd", "hybrid", "non-private")

FUSION = constraints(
    PRIVACY,
    TORCH_PARTS,
    imputer=IMPUTER,
    support_target=SUPPORT_TARGET,
    method=OneOf(METHODS),
    adjacency=OneOf(RELATIONS, remedy="only method='dp-sgd', which protects whole rows, takes add-remove"),
    max_grad_norm=MAX_GRAD_NORM,
    clipping=CLIPPING,
    alpha=Real(0, closed="left"),
    beta=Real(0, closed="left"),
    consistency_bound=Real(0),
    averaging=Real(0, 1, closed="left", remedy="0 keeps the last iterate"),
    batch_size=Integer(1, none=True),
    epochs=Integer(1, none=True),
    steps=Integer(1, none=True),
    public_batch_size=Integer(1, none=True),
    public_epochs=Integer(0, none=True),
)


@dataclass(frozen=True)
class RelationOfMethod:
    """Whole rows are protected by the method that reads no public column freely."""

    def check(self, owner: Any) -> None:
        if owner.method != "dp-sgd":
            OneOf(
                CELL_RELATIONS,
                remedy="the public columns of a row are read freely, so only method='dp-sgd' protects whole "
                "rows (add-remove)",
            ).check("adjacency", owner.adjacency)


FUSION_RULES: tuple[Rule, ...] = (
    OfTorchParts(),
    RelationOfMethod(),
    EPSILON_OR_NOISE,
    NotBoth("epochs", "steps"),
    Together(
        "support_target",
        lambda model: getattr(model.imputer, "support", None),
        "support rows; pass them as imputer=FoundationImputer(support=rows), or leave support_target=None",
    ),
)
