"""Linear reconstruction: solve for a sensitive bit of every row from answers that add it up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._parameters import Real
from ..exceptions import InvalidInputError
from ._inference import AttributeInference


def linear_reconstruction(
    queries: Any, answers: Any, secret: Any, *, noise_std: float = 0.0, column: str = "secret"
) -> AttributeInference:
    """Guess a bit of every row from many sums of it over rows that public cells choose.

    Counts, moments and category shares of a sensitive column, each fitted on the rows of some public
    group, are linear in its cells. The attacker knows who is in which group, hence the equations, and
    the share of ones; they solve for all bits at once. Exact or slightly noised answers, as many as
    there are rows, give every bit away; noise that the ledger has counted for all answers does not.

    Parameters
    ----------
    queries : array-like of shape (n_queries, n_rows)
        What each row's bit is multiplied by in each answer: for counts, whether it is in the group.
    answers : array-like of shape (n_queries,)
        What was released.
    secret : array-like of shape (n_rows,)
        The true bits, 0 and 1. They are read and not paid for: keep the result inside.
    noise_std : float, default=0.0
        Standard deviation of each answer's noise, which a private release makes public.
    column : str, default="secret"
        What the result calls the bit.

    Returns
    -------
    AttributeInference
        Its baseline guesses the more frequent value for every row.

    Raises
    ------
    InvalidInputError
        If shapes do not agree, something is not finite, or `secret` is no bit.

    Notes
    -----
    With mean p and variance v = p(1 - p) of the bits, the best linear estimate of them from answers
    a = Q s + noise is ``p + Q' (Q Q' + noise_std^2 / v I)^-1 (a - Q p)``, rounded. Where it fails, a
    better attack may not: the bound on every attack is ``attack_success``.

    References
    ----------
    Dinur and Nissim (2003). Statistics over public columns as equations: Annamalai, Gadotti and Rocher,
    arXiv 2301.10053, who solve a linear program where this solves least squares: the noise is normal.

    Examples
    --------
    >>> import numpy as np
    >>> from skfusiondp.audit import linear_reconstruction
    >>> rng = np.random.default_rng(0)
    >>> groups, bits = rng.integers(2, size=(300, 200)), rng.integers(2, size=200)
    >>> linear_reconstruction(groups, groups @ bits, bits).attack
    1.0
    >>> noised = groups @ bits + rng.normal(scale=100, size=300)
    >>> linear_reconstruction(groups, noised, bits, noise_std=100).attack < 0.7
    True
    """
    equations, right = _numbers("queries", queries), _numbers("answers", answers)
    bits = _numbers("secret", secret)
    if equations.ndim != 2 or right.shape != equations.shape[:1] or bits.shape != equations.shape[1:]:
        raise InvalidInputError(
            f"queries of shape {equations.shape} need answers of shape (n_queries,) and a secret of shape "
            f"(n_rows,), not {right.shape} and {bits.shape}; give one row of queries an answer."
        )
    if not np.isin(bits, (0, 1)).all() or not 0 < bits.mean() < 1:
        raise InvalidInputError("secret must hold zeros and ones, and both; compare a column to one value.")
    Real(0, closed="left").check("noise_std", noise_std)
    share = bits.mean()
    spread = float(noise_std) ** 2 / (share * (1 - share))
    moments = equations @ equations.T + spread * np.eye(len(right))
    weights = np.linalg.lstsq(moments, right - equations.sum(axis=1) * share)[0]
    informed = (share + equations.T @ weights > 0.5) == bits
    without = (share > 0.5) == bits
    return AttributeInference(
        column=column,
        n_rows=len(bits),
        baseline=float(without.mean()),
        attack=float(informed.mean()),
        standard_error=float((informed.astype(float) - without).std() / math.sqrt(len(bits))),
    )


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if not np.isfinite(numbers).all():
        raise InvalidInputError(f"{name} must hold finite numbers; leave out answers that were not released.")
    return numbers
