"""A refused fit leaves a fitted estimator as it was."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def unchanged_if_refused(fit: Callable) -> Callable:
    """Make a ``fit`` that fails before it pays for anything put back what it had set.

    A fit that paid keeps what it reached: its ledger must not be forgotten.
    """

    @functools.wraps(fit)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return fit(self, *args, **kwargs)
        except Exception:
            if len(getattr(self, "ledger_", ())) == len(before.get("ledger_", ())):
                vars(self).clear()
                vars(self).update(before)
            raise

    return wrapped
