"""Feature-level differential privacy for scikit-learn.

Protect only the sensitive columns of a table: a foundation model imputes them from the
public columns, and a modified DP-SGD trains on both views (FusionDP, arXiv 2511.03806).

Names are loaded on first use, so importing the package imports neither torch nor transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

_HOMES = {
    "Categorical": "._schema",
    "Numeric": "._schema",
    "FoundationImputer": ".impute",
    "DataHolderWarning": "._exceptions",
    "FusionDPClassifier": ".estimators",
    "FusionDPRegressor": ".estimators",
    "OffsetFusionClassifier": ".offset",
    "OffsetFusionRegressor": ".offset",
    "PrivacyBudget": ".privacy",
    "PrivacyBudgetError": "._exceptions",
    "PrivacyLedger": ".privacy",
    "PrivacyLeakError": "._exceptions",
    "PrivacyLeakWarning": "._exceptions",
    "PrivacyReport": ".report",
    "WeakPrivacyWarning": "._exceptions",
}
_MODULES = (
    "accounting",
    "audit",
    "datasets",
    "estimators",
    "impute",
    "model_selection",
    "nets",
    "offset",
    "persistence",
    "preprocessing",
    "report",
)

__all__ = [*_HOMES, *_MODULES]

if TYPE_CHECKING:  # what type checkers and editors see
    from ._domains import Categorical as Categorical
    from ._domains import Numeric as Numeric
    from ._exceptions import DataHolderWarning as DataHolderWarning
    from ._exceptions import PrivacyBudgetError as PrivacyBudgetError
    from ._exceptions import PrivacyLeakError as PrivacyLeakError
    from ._exceptions import PrivacyLeakWarning as PrivacyLeakWarning
    from ._exceptions import WeakPrivacyWarning as WeakPrivacyWarning
    from .estimators import FusionDPClassifier as FusionDPClassifier
    from .estimators import FusionDPRegressor as FusionDPRegressor
    from .impute import FoundationImputer as FoundationImputer
    from .offset import OffsetFusionClassifier as OffsetFusionClassifier
    from .offset import OffsetFusionRegressor as OffsetFusionRegressor
    from .privacy import PrivacyBudget as PrivacyBudget
    from .privacy import PrivacyLedger as PrivacyLedger
    from .report import PrivacyReport as PrivacyReport


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    elif name in _MODULES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
