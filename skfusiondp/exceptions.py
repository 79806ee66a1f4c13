"""Exceptions and warnings of this library."""

from __future__ import annotations

import re
import sys
import sysconfig
import warnings


class SkfusiondpError(Exception):
    """Base class of every exception that this library raises on purpose."""


class InvalidInputError(SkfusiondpError, ValueError):
    """A table, target or parameter that cannot be used; the message names the remedy."""


class UnknownParameterError(InvalidInputError, TypeError):
    """An object is made with a keyword that its class does not have; the message suggests one that it has."""


class MissingDependencyError(SkfusiondpError, ImportError):
    """An optional package or a file that it needs is absent; the message names the remedy."""


class PrivacyLeakError(SkfusiondpError, ValueError):
    """Something would read sensitive training cells without paying, and ``on_leak="raise"``."""


class PrivacyBudgetError(SkfusiondpError, ValueError):
    """A fit would overdraw the budget that it was given; nothing was read."""


class TrainingDivergedError(SkfusiondpError, ValueError):
    """Training ended in a model that computes no numbers; the message says what was paid, and the remedy."""


class PrivacyLeakWarning(UserWarning):
    """Something reads sensitive training cells without paying for them in the ledger."""


class DataHolderWarning(UserWarning):
    """A fact about sensitive cells, for the holder of the data alone: no model or report may contain it."""


class WeakPrivacyWarning(UserWarning):
    """A budget under which the guarantee rules out next to nothing; the message says what it allows."""


class RepeatedFitWarning(UserWarning):
    """An object is fitted again: its ledger adds up, and so does what its table has cost."""


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


_PYTHON = sysconfig.get_path("stdlib")
_INSTALLED = re.compile(r"[\\/](site|dist)-packages[\\/]")


def callers_level() -> int:
    """The `stacklevel` of a warning that points at the user's line, from which this package was called.

    Other libraries' frames may lie between two of this package's, such as joblib's between a search and a
    fit, so the outermost of its own counts; and between it and the user's, such as a pipeline's, so those of
    installed packages are passed over. Its generated methods have no file, but its modules' globals.
    """
    own, depth, frame = 0, 1, sys._getframe(1)
    files = []
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] == __package__:
            own = depth
        files.append(frame.f_code.co_filename)
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]
    users = (level for level in range(own + 1, depth) if not _is_installed(files[level - 1]))
    return next(users, own + 1)  # in a worker there is no user's line


def _is_installed(file: str) -> bool:
    """Tell whether a file is of an installed package or of Python itself."""
    return file.startswith(_PYTHON) or _INSTALLED.search(file) is not None
