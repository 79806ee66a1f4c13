"""Constraints on parameters: one table for each class, and one function that checks an object against it.

A message names the parameter, its value, what is allowed, and the remedy where the first three do not say it.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from .exceptions import InvalidInputError

# Computing with larger numbers overflows.
LARGEST = 1e300
# A step of this length, and the numbers of a network after it, are finite in single precision.
LARGEST_RATE = 1e6
_MOST_SHOWN = 500


def as_float(value: Any) -> float:
    """A number of any kind (Python's, numpy's, a fraction, a decimal) as a float; nan for all else.

    What is kept, compared and written to JSON is plain Python, whatever arithmetic a number came from.
    """
    if not isinstance(value, numbers.Real | Decimal) or isinstance(value, bool):
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


def shown(value: Any) -> str:
    """A value as a message shows it: no cell of a table, not the whole of a list, no failure of its repr."""
    if getattr(value, "shape", ()) or hasattr(value, "columns"):
        return f"<{type(value).__name__} of shape {getattr(value, 'shape', '?')}>"
    try:
        text = repr(value)
    except Exception:  # such as a whole number of 5,000 digits
        return f"<{type(value).__name__}>"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """What one parameter may be.

    Parameters
    ----------
    none : bool
        Whether it may be None, which stands for a default.
    remedy : str
        What the message ends with.
    says : str
        What the message says in place of "must be" and `words`.
    hidden : bool
        Whether a message must not show the value: it may be a table of another kind, with its cells.
    """

    none: bool = False
    remedy: str = ""
    says: str = ""
    hidden: bool = False

    @property
    def words(self) -> str:
        """What is allowed: the words of a message after "must be"."""
        return "something else"

    @property
    def verdict(self) -> str:
        """The words of a message about a value that is not allowed."""
        return f"must be {self.words}"

    def allows(self, value: Any) -> bool:
        """Tell whether a value other than None may be used."""
        return True

    def check(self, name: str, value: Any) -> None:
        """Refuse a value that cannot be used."""
        if not ((value is None and self.none) or self.allows(value)):
            says = self.says or f"{self.verdict}{', or None' if self.none else ''}"
            remedy = f"; {self.remedy}" if self.remedy else ""
            given = f"<{type(value).__name__}>" if self.hidden else shown(value)
            raise InvalidInputError(f"{name}={given} {says}{remedy}.")


@dataclass(frozen=True)
class Anything(Constraint):
    """A parameter that cannot be checked by its value alone, and the reason why."""

    reason: str


@dataclass(frozen=True)
class OneOf(Constraint):
    """One of some names."""

    choices: Iterable[str]

    @property
    def words(self) -> str:
        return f"one of {', '.join(self.choices)}"

    @property
    def verdict(self) -> str:
        return f"is not {self.words}"

    def allows(self, value: Any) -> bool:
        # An array compares cell by cell, and has no answer to whether it is one of the names.
        return isinstance(value, str) and value in self.choices


@dataclass(frozen=True)
class Integer(Constraint):
    """A whole number, of Python's or numpy's, from `low` to `high`."""

    low: int
    high: int | None = None

    @property
    def words(self) -> str:
        at_least = f"a whole number of at least {self.low}"
        return at_least if self.high is None else f"a whole number from {self.low} to {self.high}"

    def allows(self, value: Any) -> bool:
        return is_whole(value) and self.low <= value and (self.high is None or value <= self.high)


@dataclass(frozen=True)
class Real(Constraint):
    """A finite number between `low` and `high`; `closed` says which of the two it may be itself.

    With `exact` fractions and decimals are numbers too: for what is converted before it is used.
    """

    low: float
    high: float = LARGEST
    closed: str = "neither"
    exact: bool = False

    @property
    def words(self) -> str:
        at_low, at_high = self.closed in ("left", "both"), self.closed in ("right", "both")
        if self.high == LARGEST:
            return f"a finite number of at least {self.low:g}" if at_low else self._positive
        if at_low and at_high:
            return f"a number from {self.low:g} to {self.high:g}"
        least = f"of at least {self.low:g}" if at_low else f"above {self.low:g}"
        return f"a number {least} and {'at most' if at_high else 'below'} {self.high:g}"

    @property
    def _positive(self) -> str:
        return f"a finite number above {self.low:g}" if self.low else "a positive, finite number"

    def allows(self, value: Any) -> bool:
        if not self.exact and not isinstance(value, int | float | np.integer | np.floating):
            return False
        number = as_float(value)
        return (
            self.low < number < self.high
            or (number == self.low and self.closed in ("left", "both"))
            or (number == self.high and self.closed in ("right", "both"))
        )


@dataclass(frozen=True)
class Satisfies(Constraint):
    """Whatever a function of the value says."""

    test: Callable[[Any], bool]
    what: str

    @property
    def words(self) -> str:
        return self.what

    def allows(self, value: Any) -> bool:
        return self.test(value)


@dataclass(frozen=True)
class Device(Constraint):
    """A torch device that is there, or its name."""

    def check(self, name: str, value: Any) -> None:
        if value is None and self.none:
            return
        import torch

        wanted = "must be a torch device or its name"
        if isinstance(value, str | torch.device):
            try:
                torch.zeros(1, device=value).cpu()
                return
            # A torch that was built without a device says so by an AssertionError.
            except (RuntimeError, AssertionError) as error:
                first = str(error).partition("\n")[0]
                wanted = f"cannot be used here: {first}"
        raise InvalidInputError(f"{name}={shown(value)} {wanted}; 'cpu' works everywhere.")


class Rule(Protocol):
    """What several parameters of one object must be together."""

    def check(self, owner: Any) -> None:
        """Refuse an object whose parameters do not go together."""
        ...


@dataclass(frozen=True)
class NotBoth:
    """Two parameters that state the same thing: one of them stays None."""

    one: str
    other: str
    remedy: str = "leave one None"

    def check(self, owner: Any) -> None:
        one, other = getattr(owner, self.one), getattr(owner, self.other)
        if one is not None and other is not None:
            raise InvalidInputError(
                f"{self.one}={shown(one)} and {self.other}={shown(other)} are both given; {self.remedy}."
            )


@dataclass(frozen=True)
class Together:
    """A parameter that has no effect unless another is given; `given` returns that other one."""

    name: str
    given: Callable[[Any], Any]
    remedy: str

    def check(self, owner: Any) -> None:
        if getattr(owner, self.name) is not None and self.given(owner) is None:
            raise InvalidInputError(f"{self.name} is given without {self.remedy}.")


def constraints(*shared: Mapping[str, Constraint], **own: Constraint) -> Mapping[str, Constraint]:
    """The table of a class: its own constraints, and those that it shares with others."""
    table = {name: constraint for one in shared for name, constraint in one.items()}
    return MappingProxyType({**table, **own})


def store_parameters(owner: Any, given: Mapping[str, Any]) -> None:
    """Store what an ``__init__`` was given, each parameter under its name, from its ``locals()``."""
    vars(owner).update({name: value for name, value in given.items() if name not in ("self", "kwargs")})


def check_parameters(owner: Any) -> None:
    """Refuse the first parameter that a class's `_constraints`, and then its `_rules`, do not allow."""
    for name, constraint in owner._constraints.items():
        constraint.check(name, getattr(owner, name))
    for rule in getattr(owner, "_rules", ()):
        rule.check(owner)


def check_int(
    name: str, value: Any, least: int = 1, *, default: int | None = None, most: int | None = None
) -> int:
    """A whole number; `default` where it is None, and at most the `most` rows of a table.

    Raises
    ------
    InvalidInputError
        If it is none, or out of range.
    """
    if value is None and default is not None:
        return default
    Integer(least, none=default is not None).check(name, value)
    if most is not None and value > most:
        none = "" if default is None else ", or None"
        raise InvalidInputError(
            f"{name}={value} is larger than the number of rows, {most}; pass at most {most}{none}."
        )
    return int(value)


def _is_estimator(value: Any) -> bool:
    return not isinstance(value, type) and all(hasattr(value, n) for n in ("fit", "get_params"))


ESTIMATOR = Satisfies(
    _is_estimator,
    "an estimator",
    says="is no estimator",
    remedy="pass an object, such as FusionDPClassifier(), or a pipeline",
)


def are_names(value: Any) -> bool:
    """Tell whether a value is a list or tuple of texts."""
    return isinstance(value, list | tuple) and all(isinstance(n, str) for n in value)


SENSITIVE = Anything("the columns that it names are looked up in the table")
ON_LEAK = OneOf(("warn", "raise", "ignore"))
VERBOSE = Satisfies(lambda v: isinstance(v, bool) or (is_whole(v) and v >= 0), "a whole number of at least 0")
N_JOBS = Satisfies(
    lambda n: is_whole(n) and 0 < abs(n) < 2**31,
    "a whole number other than 0",
    none=True,
    remedy="-1 takes every core",
)
