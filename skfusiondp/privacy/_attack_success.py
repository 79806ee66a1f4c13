"""How often the best attack can be right: epsilon and delta in plain terms."""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np

from ..exceptions import InvalidInputError
from ._entries import relation_of
from ._ledger import PrivacyLedger


def attack_success(ledger: PrivacyLedger, prior: float | int = 0.5) -> float:
    """Largest chance with which anyone can guess a secret, whatever they know and do.

    Parameters
    ----------
    ledger : PrivacyLedger
        What was run, under one neighbouring relation.
    prior : float in (0, 1) or int of at least 2, default=0.5
        A float p: the secret is one of two values, and the attacker knows that one of them has
        probability p. A whole number k: the secret is one of k equally likely values.

    Returns
    -------
    float
        An upper bound on the chance of a right guess. Without the release it is ``max(p, 1 - p)`` or ``1/k``.

    Raises
    ------
    InvalidInputError
        If `prior` is neither, or the ledger mixes neighbouring relations.

    Notes
    -----
    Two values under ``replace`` (or a row's presence under ``add-remove``): the Bayes test of two
    neighbours is right with probability ``1 - p + p delta(ln((1 - p) / p))`` for p at most 1/2, where delta
    is the ledger's curve, in any order of the neighbours. Otherwise: ``1 - f(b)``, where b is the best chance
    without the release and f the trade-off curve, ``1 - f(b) = min over eps of delta(eps) + e^eps b``; under
    ``zero-out`` this compares each value with the erased cell.

    References
    ----------
    Curve and tests: Dong, Roth and Su (2022), Proposition 6; Kulynych et al. (2024), arXiv 2407.02191. Many
    values: Hayes, Mahloujifar and Balle (2023), arXiv 2302.07225.

    Examples
    --------
    >>> from skfusiondp import PrivacyLedger
    >>> from skfusiondp.accounting import LedgerEntry
    >>> from skfusiondp.audit import attack_success
    >>> ledger = PrivacyLedger((LedgerEntry(noise_multiplier=4.0, sample_rate=1.0, steps=1),))
    >>> round(attack_success(ledger), 3)  # Phi(1 / 4): the tables' gradients are two clipping norms apart
    0.599
    """
    whole = isinstance(prior, Integral) and not isinstance(prior, bool)
    if not (prior >= 2 if whole else isinstance(prior, Real) and 0 < prior < 1):
        raise InvalidInputError(
            f"prior={prior!r} must be a probability between 0 and 1 (of one of two values), or the number "
            "of equally likely values, at least 2."
        )
    relation = relation_of(ledger.entries)
    guess = 1 / prior if whole else max(prior, 1 - prior)
    if not len(ledger):
        return float(guess)
    if (not whole or prior == 2) and not relation.erases:
        rare = 1 - guess
        return float(min(1.0, guess + rare * ledger.delta(math.log(guess / rare))))
    # delta(eps) + e^eps b is large where eps is: only small ones matter.
    curve = [ledger.delta(e) + math.exp(e) * guess for e in np.linspace(0, math.log(1 / guess), 25)]
    return float(min(1.0, *curve))
