"""What a refit changes if it is refused, fails or is interrupted: nothing but what it has paid."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .privacy import PrivacyLedger


def all_or_nothing(fit: Callable) -> Callable:
    """Make a ``fit`` that does not end, Ctrl-C included, put back all that it had set but what it paid."""

    @functools.wraps(fit)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            paid = {name: vars(self)[name] for name in PaidFits._PAID if name in vars(self)}
            if "ledger_" in before:
                # The model that stays is that of its own relation and delta.
                paid = {"ledger_": paid["ledger_"]}
            vars(self).clear()
            vars(self).update(before | paid)
            raise

    return wrapped


class PaidFits:
    """An estimator whose cost over all fits changes in one place, so that it never shows half of it."""

    _PAID = ("ledger_", "delta_", "_relation")

    ledger_: PrivacyLedger
    delta_: float
    _relation: str

    def _pay(self, spent: PrivacyLedger, delta: float, adjacency: str) -> None:
        """Write down what is about to be read; `delta` and `adjacency` are those of this fit."""
        earlier = vars(self).get("ledger_", PrivacyLedger())
        self.ledger_, self.delta_, self._relation = earlier + spent, delta, adjacency

    @property
    def epsilon_(self) -> float:
        """Epsilon of everything in `ledger_` under the relation of the fit that is shown, at `delta_`."""
        return self.ledger_.under(self._relation).epsilon(self.delta_)
