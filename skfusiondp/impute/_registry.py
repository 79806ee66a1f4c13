"""From what the user passes as ``backend=`` to an unfitted backend."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._copies import own
from .._parameters import Constraint, check_parameters, shown
from ..exceptions import InvalidInputError
from ._backend import Backend
from ._estimator_backend import EstimatorBackend

# Modules, not classes, so that asking for one does not import the others.
NAMES = {
    "conditional": ("_conditional_backend", "ConditionalBackend"),
    "domain": ("_domain_backend", "DomainBackend"),
    "sentence-transformers": ("_sentence_backend", "SentenceBackend"),
    "tabicl": ("_tabicl_backend", "TabICLBackend"),
    "tabpfn": ("_tabpfn_backend", "TabPFNBackend"),
}


def make_backend(backend: Any) -> Any:
    """Return a fresh, unfitted backend, whose parameters have been checked.

    Parameters
    ----------
    backend : str, backend, estimator or mapping of str to estimator

    Returns
    -------
    Backend

    Raises
    ------
    InvalidInputError
        If it is none of these, or has a parameter that cannot be used.
    """
    made = _made(backend)
    if hasattr(made, "_constraints"):
        check_parameters(made)
    return made


def _made(backend: Any) -> Any:
    if isinstance(backend, str):
        if backend not in NAMES:
            near = difflib.get_close_matches(backend, NAMES, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidInputError(
                f"backend={shown(backend)} is not one of {', '.join(map(repr, NAMES))}.{hint}"
            )
        module, name = NAMES[backend]
        return getattr(importlib.import_module(f".{module}", __package__), name)()
    # A class has the methods too, but nobody has said with which parameters.
    if not isinstance(backend, type):
        if isinstance(backend, Backend):
            return own(backend)
        estimator = hasattr(backend, "fit") and hasattr(backend, "get_params")
        if estimator or isinstance(backend, Mapping):
            return EstimatorBackend(own(backend))
    raise InvalidInputError(
        f"backend={shown(backend)} is no backend; pass one of {', '.join(map(repr, NAMES))}, a backend "
        "object, a scikit-learn regressor or classifier, or a mapping {column: estimator}."
    )


@dataclass(frozen=True)
class _AnyBackend(Constraint):
    """Whatever a backend can be made of."""

    def check(self, name: str, value: Any) -> None:
        make_backend(value)


BACKEND = _AnyBackend()
