"""Checks of single parameters: what is refused names the parameter, its value and what it may be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from .exceptions import InvalidInputError


def is_number(value: Any) -> bool:
    """Tell whether a parameter is a number."""
    return isinstance(value, Real) and not isinstance(value, bool)


def as_float(value: Any) -> float:
    """A number of any kind (Python's, numpy's, a fraction, a decimal) as a float; nan for all else.

    What is kept, compared and written to JSON is plain Python, whatever arithmetic a number came from.
    """
    if not isinstance(value, Real | Decimal) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]
    except ValueError:  # a signalling decimal
        return math.nan


def is_whole(value: Any) -> bool:
    """Tell whether a parameter is a whole number."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_choice(name: str, value: Any, choices: Iterable[str], remedy: str = "") -> None:
    """Refuse a parameter that is none of the names that it may be.

    Parameters
    ----------
    name : str
    value : object
    choices : iterable of str
    remedy : str
        What the message ends with.

    Raises
    ------
    InvalidInputError
        If it is none of them.
    """
    # An array compares cell by cell, and has no answer to whether it is one of the names.
    if not (isinstance(value, str) and value in choices):
        raise InvalidInputError(f"{name}={value!r} is not one of {', '.join(choices)}{remedy or '.'}")


def whole(
    name: str, value: Any, least: int = 1, *, default: int | None = None, most: int | None = None
) -> int:
    """A parameter that must be a whole number.

    Parameters
    ----------
    name : str
    value : object
    least : int
    default : int, optional
        What None stands for; without it, None is refused.
    most : int, optional
        The number of rows, where no more can be taken.

    Returns
    -------
    int

    Raises
    ------
    InvalidInputError
        If it is none, or out of range.
    """
    if value is None and default is not None:
        return default
    none = "" if default is None else ", or None"
    if not is_whole(value) or value < least:
        raise InvalidInputError(f"{name}={value!r} must be a whole number of at least {least}{none}.")
    if most is not None and value > most:
        raise InvalidInputError(
            f"{name}={value} is larger than the number of rows, {most}; pass at most {most}{none}."
        )
    return int(value)


def check_estimator_object(name: str, value: Any) -> None:
    """Refuse what is no estimator, or a class of them."""
    if isinstance(value, type) or not all(hasattr(value, n) for n in ("fit", "get_params")):
        raise InvalidInputError(
            f"{name}={value!r} is no estimator; pass an object, such as FusionDPClassifier(), or a pipeline."
        )


def check_verbose(verbose: Any) -> None:
    """Refuse a `verbose` that is neither a truth value nor a whole number of at least 0."""
    if not isinstance(verbose, bool):
        whole("verbose", verbose, 0)


def check_n_jobs(n_jobs: Any) -> None:
    """Refuse an `n_jobs` that joblib does not know."""
    if n_jobs is not None and not (is_whole(n_jobs) and 0 < abs(n_jobs) < 2**31):
        raise InvalidInputError(
            f"n_jobs={n_jobs!r} must be a whole number other than 0, or None; -1 takes every core."
        )
