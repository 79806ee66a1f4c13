"""``random_state`` as scikit-learn takes it, refused in words where it is none."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from .exceptions import InvalidInputError


def random_generator(random_state: Any) -> np.random.RandomState:
    """Generator of a ``random_state``: None, a whole number, or a generator of this kind itself.

    Raises
    ------
    InvalidInputError
        If it is none of these.
    """
    try:
        return check_random_state(random_state)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInputError(
            f"random_state={random_state!r} must be None, a whole number from 0 to 2**32 - 1, or a "
            "numpy.random.RandomState."
        ) from error


def seeded(random_state: Any) -> str:
    """What a fit's ``random_state`` was, in words that its report keeps; empty where it was None."""
    return "" if random_state is None else repr(random_state)
