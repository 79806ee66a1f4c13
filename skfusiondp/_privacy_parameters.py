"""Constraints on the parameters that all spenders share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ._parameters import ON_LEAK, SENSITIVE, Anything, Integer, NotBoth, OneOf, Satisfies, constraints
from ._random_state import RANDOM_STATE
from .privacy._budget import BUDGET
from .privacy._constraints import DELTA, EPSILON, NOISE_MULTIPLIER
from .privacy._relations import CELL_RELATIONS

PRIVACY = constraints(
    sensitive=SENSITIVE,
    epsilon=replace(EPSILON, none=True),
    noise_multiplier=replace(NOISE_MULTIPLIER, none=True, remedy=""),
    delta=replace(DELTA, none=True),
    adjacency=OneOf(CELL_RELATIONS),
    groups=Anything("a column's name, looked up in the table"),
    max_rows_per_unit=Integer(1, none=True),
    budget=BUDGET,
    on_leak=ON_LEAK,
    random_state=RANDOM_STATE,
)
EPSILON_OR_NOISE = NotBoth("epsilon", "noise_multiplier", "either states the budget: leave one None")


def _is_array(value: Any) -> bool:
    try:
        return np.ndim(value) > 0
    except ValueError:  # lists of different lengths
        return False


SUPPORT = Anything("public rows, checked when they are read")
SUPPORT_TARGET = Satisfies(_is_array, "a list or array with a target for each support row", none=True)
CLASS_WEIGHT = Anything("weights of the target's classes, checked when the target is read")
