"""``random_state``: None, a whole number or a generator of numpy's, for everything that is random."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._parameters import Satisfies, is_whole

_GENERATORS = (np.random.RandomState, np.random.Generator)

RANDOM_STATE = Satisfies(
    lambda value: isinstance(value, _GENERATORS) or (is_whole(value) and 0 <= value < 2**32),
    "a whole number from 0 to 2**32 - 1, a numpy RandomState or Generator",
    says="must be None, a whole number from 0 to 2**32 - 1, or a numpy.random.RandomState or Generator",
    none=True,
)


def random_generator(random_state: Any) -> np.random.RandomState:
    """The stream of a ``random_state``; a generator's own stream moves on.

    Raises
    ------
    InvalidInputError
        If it is none of those that may be given.
    """
    RANDOM_STATE.check("random_state", random_state)
    if isinstance(random_state, np.random.RandomState):
        return random_state
    generator = isinstance(random_state, np.random.Generator)
    return np.random.RandomState(random_state.bit_generator if generator else random_state)


def seed_of(random_state: Any) -> int | None:
    """A ``random_state`` for other libraries: None and whole numbers stay, a generator is drawn from."""
    RANDOM_STATE.check("random_state", random_state)
    if random_state is None or is_whole(random_state):
        return random_state
    return int(random_generator(random_state).randint(2**31 - 1))


def seeded(random_state: Any) -> str:
    """What a fit's ``random_state`` was, in words that its report keeps; empty where it was None."""
    return "" if random_state is None else repr(random_state)
