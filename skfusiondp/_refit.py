"""What a fit changes if it is refused, fails or is interrupted: nothing but what it has paid."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ._forked import one_thread_after_fork


def all_or_nothing(fit: Callable) -> Callable:
    """Make a ``fit`` that does not end, Ctrl-C included, put back all that it had set but what it paid.

    The object says by its method ``_paid_attributes(before)`` which attributes those are, given its state
    before the fit; an object without one keeps none.
    """

    @functools.wraps(fit)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            with one_thread_after_fork():
                return fit(self, *args, **kwargs)
        except BaseException:
            paid = self._paid_attributes(before) if hasattr(self, "_paid_attributes") else {}
            vars(self).clear()
            vars(self).update(before | paid)
            raise

    return wrapped
