"""A mistake and its answer, and what mistakes are made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from skfusiondp import (
    Categorical,
    FusionDPClassifier,
    Numeric,
    OffsetFusionClassifier,
)
from skfusiondp.exceptions import InvalidInputError

RNG = np.random.default_rng(0)


def people(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "lab": RNG.normal(size=n),
            "ward": RNG.choice(["a", "b"], n),
            "age": RNG.uniform(20, 90, n).round(),
            "sex": RNG.choice(["f", "m"], n),
        }
    )


X, SUPPORT = people(120), people(60)
y = (X["lab"] > 0).astype(int)
y_support = (SUPPORT["lab"] > 0).astype(int)
DOMAINS = {"age": Numeric(0, 120), "sex": Categorical(["f", "m"])}
NUMBERS = X[["lab", "age"]]
AGE = {"age": Numeric(0, 120)}


def fusion(sensitive=DOMAINS, **given):
    # Two steps are quick; a mistake is told whatever the settings are.
    default = {} if "noise_multiplier" in given or "epsilon" in given else {"noise_multiplier": 9.0}
    length = {} if "epochs" in given or "steps" in given else {"steps": 1}
    return FusionDPClassifier(sensitive, **{**default, **length, "public_epochs": 0, **given})


def offset(sensitive=DOMAINS, **given):
    default = {} if "noise_multiplier" in given or "epsilon" in given else {"noise_multiplier": 9.0}
    return OffsetFusionClassifier(sensitive, **{**default, "steps": 1, **given})


@dataclass(frozen=True)
class Mistake:
    """What somebody does, and words that the answer must have: the parameter, its value, the remedy."""

    what: str
    do: Callable
    kind: type[Exception]
    words: tuple[str, ...]


def refused(what: str, do: Callable, *words: str, kind: type[Exception] = InvalidInputError) -> Mistake:
    return Mistake(what, do, kind, words)


def warned(what: str, kind: type[Warning], do: Callable, *words: str) -> Mistake:
    return Mistake(what, do, kind, words)
