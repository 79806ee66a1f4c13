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
    "Categorical": ".tables._categorical",
    "Date": ".tables._date",
    "Numeric": ".tables._numeric",
    "domains_from": ".tables._domains_from",
    "FoundationImputer": ".impute",
    "DataHolderWarning": ".exceptions",
    "FusionDPClassifier": ".estimators",
    "FusionDPRegressor": ".estimators",
    "OffsetFusionClassifier": ".estimators",
    "OffsetFusionRegressor": ".estimators",
    "PrivacyBudget": ".privacy",
    "PrivacyBudgetError": ".exceptions",
    "PrivacyLedger": ".privacy",
    "PrivacyLeakError": ".exceptions",
    "PrivacyLeakWarning": ".exceptions",
    "PrivacyReport": ".accounting",
    "PrivateResampler": ".estimators",
    "PrivateSynthesizer": ".estimators",
    "RepeatedFitWarning": ".exceptions",
    "SynthesizedClassifier": ".estimators",
    "SynthesizedRegressor": ".estimators",
    "WeakPrivacyWarning": ".exceptions",
}
_MODULES = (
    "accounting",
    "audit",
    "datasets",
    "estimators",
    "exceptions",
    "impute",
    "model_selection",
    "nets",
    "persistence",
    "preprocessing",
    "training",
)

__all__ = [*_HOMES, *_MODULES]

if TYPE_CHECKING:  # what type checkers and editors see
    from .accounting._privacy_report import PrivacyReport as PrivacyReport
    from .estimators import FusionDPClassifier as FusionDPClassifier
    from .estimators import FusionDPRegressor as FusionDPRegressor
    from .estimators import OffsetFusionClassifier as OffsetFusionClassifier
    from .estimators import OffsetFusionRegressor as OffsetFusionRegressor
    from .estimators import PrivateResampler as PrivateResampler
    from .estimators import PrivateSynthesizer as PrivateSynthesizer
    from .estimators import SynthesizedClassifier as SynthesizedClassifier
    from .estimators import SynthesizedRegressor as SynthesizedRegressor
    from .exceptions import DataHolderWarning as DataHolderWarning
    from .exceptions import PrivacyBudgetError as PrivacyBudgetError
    from .exceptions import PrivacyLeakError as PrivacyLeakError
    from .exceptions import PrivacyLeakWarning as PrivacyLeakWarning
    from .exceptions import RepeatedFitWarning as RepeatedFitWarning
    from .exceptions import WeakPrivacyWarning as WeakPrivacyWarning
    from .impute import FoundationImputer as FoundationImputer
    from .privacy import PrivacyBudget as PrivacyBudget
    from .privacy import PrivacyLedger as PrivacyLedger
    from .tables._categorical import Categorical as Categorical
    from .tables._date import Date as Date
    from .tables._domains_from import domains_from as domains_from
    from .tables._numeric import Numeric as Numeric


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
    return sorted({*__all__, *(name for name in globals() if name.startswith("_"))})
