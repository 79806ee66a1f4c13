"""What the library says when it refuses or warns."""

from __future__ import annotations

import os
import sys
import warnings


class SkfusiondpError(Exception):
    """Base class of every exception that this library raises on purpose."""


class InvalidInputError(SkfusiondpError, ValueError):
    """A table, target or parameter that cannot be used; the message names the remedy."""


class MissingDependencyError(SkfusiondpError, ImportError):
    """An optional package or a file that it needs is absent; the message names the remedy."""


class PrivacyLeakError(SkfusiondpError, ValueError):
    """Something would read sensitive training cells without paying, and ``on_leak="raise"``."""


class PrivacyBudgetError(SkfusiondpError, ValueError):
    """A fit would overdraw the budget that it was given; nothing was read."""


class PrivacyLeakWarning(UserWarning):
    """Something reads sensitive training cells without paying for them in the ledger."""


class DataHolderWarning(UserWarning):
    """Something about sensitive cells, told to whoever holds them and to nobody else."""


class WeakPrivacyWarning(UserWarning):
    """A budget under which the guarantee rules out next to nothing; the message says what it allows."""


def report_leak(message: str, on_leak: str) -> None:
    """Warn, raise or stay silent about a leak, as ``on_leak`` asks.

    Parameters
    ----------
    message : str
        One sentence that names the leak and its remedy.
    on_leak : {"warn", "raise", "ignore"}
        What the user wants to happen.

    Raises
    ------
    PrivacyLeakError
        If ``on_leak="raise"``.
    """
    if on_leak == "raise":
        raise PrivacyLeakError(message)
    if on_leak == "warn":
        warnings.warn(message, PrivacyLeakWarning, stacklevel=callers_level())


_PACKAGE = os.path.dirname(__file__) + os.sep


def callers_level() -> int:
    """The `stacklevel` of a warning that points at the line from which this package was called."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
