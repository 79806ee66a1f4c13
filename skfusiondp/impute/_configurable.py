"""Parameters of what is no estimator."""

from __future__ import annotations

import inspect
from typing import Any

from sklearn.base import BaseEstimator

from .._parameters import constraints


class Configurable:
    """An object that `sklearn.base.clone` copies and that searches reach, but no scikit-learn estimator.

    A backend's ``fit`` takes public and sensitive columns of support rows, and domains: what works with any
    estimator would take it for one, and fail. Derive a backend of your own from this class too.
    """

    _constraints = constraints()

    # scikit-learn has no such class of its own; these methods of its estimators need nothing else of them.
    _get_param_names: Any = classmethod(vars(BaseEstimator)["_get_param_names"].__func__)
    get_params = BaseEstimator.get_params
    set_params = BaseEstimator.set_params

    def __repr__(self) -> str:
        defaults = {n: repr(p.default) for n, p in inspect.signature(type(self)).parameters.items()}
        shown = {n: repr(v) for n, v in self.get_params(deep=False).items()}
        return f"{type(self).__name__}({', '.join(f'{n}={v}' for n, v in shown.items() if v != defaults[n])})"
