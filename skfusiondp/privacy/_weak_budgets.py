"""Warnings about budgets that promise next to nothing, computed from public facts alone."""

from __future__ import annotations

import math
import warnings

from ..exceptions import WeakPrivacyWarning, callers_level
from ._attack_success import attack_success
from ._entries import BoundEntry, LedgerEntry
from ._ledger import PrivacyLedger

# A larger epsilon is warned about.
_LARGE_EPSILON = 10.0
# A larger delta is warned about where the number of rows is not known: it is too large from 100 rows on.
_LARGE_DELTA = 0.01


def warn_if_weak(
    epsilon: float, delta: float, n_rows: int | None = None, planned: PrivacyLedger | None = None
) -> None:
    """Warn where (epsilon, delta) rules out little, and say what it allows.

    Parameters
    ----------
    epsilon : float
        Of everything together.
    delta : float
    n_rows : int, optional
        Rows of the table (public); None where no table is known yet.
    planned : PrivacyLedger, optional
        What is about to run, where it is known: it says how much can be guessed.
    """
    for text in _meanings(epsilon, delta, n_rows, planned):
        warnings.warn(text, WeakPrivacyWarning, stacklevel=callers_level())


def warn_of_plan(planned: PrivacyLedger, delta: float, n_rows: int) -> None:
    """``warn_if_weak`` for what a fit is about to run; it may state a noise multiplier, and no epsilon."""
    if not len(planned) or any(isinstance(e, LedgerEntry) and not e.noise_multiplier for e in planned):
        return  # nothing is promised, which is said elsewhere
    warn_if_weak(planned.epsilon(delta), delta, n_rows, planned)


def _meanings(epsilon: float, delta: float, n_rows: int | None, planned: PrivacyLedger | None) -> list[str]:
    texts = []
    if n_rows is not None and delta * n_rows >= 1:
        texts.append(
            f"delta={delta:.4g} promises little for {n_rows} rows: it is not below 1/{n_rows}, and a method "
            "that publishes one of the rows whole, picked at random, has such a delta too. Choose it well "
            f"below that, such as {1 / (10 * n_rows):.2g}, or delta=None."
        )
    elif delta >= _LARGE_DELTA:
        texts.append(
            f"delta={delta:.4g} promises little: with this probability nothing is promised at all, and a row "
            "may be published whole. Choose it well below one over the number of rows, such as 1e-6."
        )
    if epsilon > _LARGE_EPSILON:
        odds = f"{math.exp(epsilon):.2g}" if epsilon < 300 else "more than 1e130"
        # The figure of reports: what the releases allow, or any of this epsilon and delta.
        known = planned or PrivacyLedger((BoundEntry(epsilon, min(delta, 0.999)),))
        chance = 100 * attack_success(known)
        guess = f"{chance:.4f} %" if chance < 99.9999 else "more than 99.9999 %"
        texts.append(
            f"epsilon={epsilon:.4g} promises little: it lets whoever sees the result multiply the odds of a "
            f"guess about somebody's sensitive cells by {odds}, so that which of two equally likely values "
            f"is true may be guessed right in {guess} of cases. Budgets that protect are about 0.5 to 8."
        )
    return texts
