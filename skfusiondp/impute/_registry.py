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


@dataclass(frozen=True)
class Registration:
    """Where a backend's class is, so that asking for one does not import the others.

    Parameters
    ----------
    module, kind : str
        Module, relative to this package or absolute, and name of the class, which takes no argument that
        has no default.
    """

    module: str
    kind: str

    def load(self) -> type:
        """Import the class."""
        return getattr(importlib.import_module(self.module, __package__), self.kind)


# By the name that ``backend=`` takes. A new backend is its own file and a line here.
BACKENDS = {
    "conditional": Registration("._conditional_backend", "ConditionalBackend"),
    "ensemble": Registration("._ensemble_backend", "EnsembleBackend"),
    "domain": Registration("._domain_backend", "DomainBackend"),
    "sentence-transformers": Registration("._sentence_backend", "SentenceBackend"),
    "tabicl": Registration("._tabicl_backend", "TabICLBackend"),
    "tabpfn": Registration("._tabpfn_backend", "TabPFNBackend"),
}


def make_backend(backend: Any) -> Any:
    """Return a fresh, unfitted backend, whose parameters have been checked.

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
        if backend not in BACKENDS:
            near = difflib.get_close_matches(backend, BACKENDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidInputError(
                f"backend={shown(backend)} is not one of {', '.join(map(repr, BACKENDS))}.{hint}"
            )
        return BACKENDS[backend].load()()
    # A class has the methods too, but nobody has said with which parameters.
    if not isinstance(backend, type):
        if isinstance(backend, Backend):
            return own(backend)
        estimator = hasattr(backend, "fit") and hasattr(backend, "get_params")
        if estimator or isinstance(backend, Mapping):
            return EstimatorBackend(own(backend))
    raise InvalidInputError(
        f"backend={shown(backend)} is no backend; pass one of {', '.join(map(repr, BACKENDS))}, a backend "
        "object, a scikit-learn regressor or classifier, or a mapping {column: estimator}."
    )


@dataclass(frozen=True)
class _AnyBackend(Constraint):
    """Anything that `make_backend` takes."""

    def check(self, name: str, value: Any) -> None:
        make_backend(value)


BACKEND = _AnyBackend()
