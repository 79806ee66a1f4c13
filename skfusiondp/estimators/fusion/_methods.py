"""The training methods of the FusionDP estimators: FusionDP, and the paper's baselines. One record each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..._parameters import OneOf
from ...privacy._relations import CELL_RELATIONS, ROW_RELATIONS


@dataclass(frozen=True)
class Method:
    """What a method's two branches read, and what that promises.

    Parameters
    ----------
    name : str
        What users pass as ``method=``.
    free_view : {"hybrid", "masked", "true"} or None
        What the public branch reads: imputed sensitive cells, none, or true ones; None if there is no
        public branch.
    private : bool
        Whether there is a private branch, which reads true sensitive cells and pays.
    protects_rows : bool
        Whether whole rows are protected, and not the sensitive columns alone.
    consistent : bool
        Whether representations of a row's two views are drawn together (`beta`).
    """

    _plain_values = True

    name: str
    free_view: str | None
    private: bool
    protects_rows: bool = False
    consistent: bool = False

    @property
    def imputes(self) -> bool:
        """Whether training needs a hybrid view."""
        return self.free_view == "hybrid"

    @property
    def relations(self) -> tuple[str, ...]:
        """Neighbouring relations that `adjacency` may name."""
        return (*CELL_RELATIONS, *ROW_RELATIONS) if self.protects_rows else CELL_RELATIONS


METHODS = {
    m.name: m
    for m in (
        Method("fusiondp", "hybrid", private=True, consistent=True),
        Method("feature-dp", "masked", private=True),
        Method("dp-sgd", None, private=True, protects_rows=True),
        Method("hybrid", "hybrid", private=False),
        Method("non-private", "true", private=False),
    )
}


METHOD = OneOf(METHODS)


def method_of(name: Any) -> Method:
    """The method of a name.

    Raises
    ------
    InvalidInputError
        If there is none of that name.
    """
    METHOD.check("method", name)
    return METHODS[name]
