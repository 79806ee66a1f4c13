"""Fitting an object again: what is said of it, and what stays of a fit that does not end."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ._forked import one_thread_after_fork
from .exceptions import RepeatedFitWarning, callers_level
from .privacy import BoundEntry, PrivacyLedger
from .privacy._relations import whose_rows


def warn_of_repeated_fit(
    name: str, earlier: PrivacyLedger, planned: PrivacyLedger | None, delta: float
) -> None:
    """Say what an object's ledger will hold after one more fit, if it holds something already.

    Before anything is paid, from public facts alone. Clones, as searches fit them, have empty ledgers.

    Parameters
    ----------
    name : str
        Class of the object.
    earlier, planned : PrivacyLedger
        What its earlier fits have spent, and what this one will; None where that is not known yet.
    delta : float
        Of this fit.
    """
    if not len(earlier) or (planned is not None and not len(planned)):
        return
    held = earlier if planned is None else earlier + planned
    if planned is not None:  # the deltas of bounds add up
        delta += sum(e.delta for e in earlier if isinstance(e, BoundEntry))
    adjacency = held.entries[-1].adjacency
    total = held.under(adjacency)
    if planned is None:
        holds, adds = f"holds {len(held)} entries of earlier fits", ", to which this one adds"
    else:
        holds, adds = f"will hold {len(held)} entries, {len(earlier)} of earlier fits", ""
    warnings.warn(
        f"This {name} was fitted before, and each fit reads the sensitive cells anew: its ledger_ {holds}, "
        f"with epsilon {total.epsilon(delta):.4g} at delta {delta:.4g} ({adjacency}, of "
        f"{whose_rows(total.rows_per_unit)}){adds}. sklearn.base.clone gives an unfitted copy, whose ledger "
        "starts empty: for another table. Two models of the same table cost that table both; a budget="
        "PrivacyBudget(...) that they share counts and bounds it.",
        RepeatedFitWarning,
        stacklevel=callers_level(),
    )


def all_or_nothing(fit: Callable) -> Callable:
    """Make a ``fit`` that does not end, Ctrl-C included, put back all that it had set but what it paid.

    The object says by its method ``_paid_attributes(before)`` which attributes those are, given its state
    before the fit; an object without one keeps none.
    """

    @functools.wraps(fit)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            # Numpy's warnings and errors about numbers could be about a sensitive cell's.
            with one_thread_after_fork(), np.errstate(all="ignore"):
                return fit(self, *args, **kwargs)
        except BaseException:
            paid = self._paid_attributes(before) if hasattr(self, "_paid_attributes") else {}
            vars(self).clear()
            vars(self).update(before | paid)
            raise

    return wrapped
