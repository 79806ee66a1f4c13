"""One-run audit of feature-level privacy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_consistent_length

from .._parameters import Integer, OneOf, Real
from .._random_state import random_generator
from ..accounting._composite_report import account_of
from ..exceptions import InvalidInputError
from ..privacy import relation
from ..tables._frames import as_frame
from ..tables._paired_table import PairedTable
from ..tables._schema import SensitiveSchema, resolve_schema
from ..tables._table import FrameTable
from ._canaries import Canaries, canary_columns, guess_coins
from ._claim import (
    check_predicts,
    last_step,
    log_likelihood,
    promised_epsilon,
    stated_sensitive,
    unbudgeted,
)
from ._like_given import like_given
from ._released_sums import released_scores, releases_sums
from ._result import AttributeAudit
from ._statistics import CONFIDENCE, epsilon_lower_bound
from ._white_box import check_white_box, erases, pair, white_box_scores

SCORE = OneOf(("white-box", "black-box"))
CLAIM = Real(0, math.inf, closed="both", none=True, says="must be an epsilon of at least 0, or None")


def audit_attribute(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    score: str = "white-box",
    columns: str | Sequence[str] | None = None,
    n_canaries: int | None = None,
    guesses: int | None = None,
    claim: float | None = None,
    confidence: float = 0.95,
    random_state: Any = None,
) -> AttributeAudit:
    """Attack one fit, and bound its epsilon from below by how often the attack is right.

    Some rows of the table become canaries: a fair coin sets the sensitive cells of each to one of two
    values of their domains (with ``method="dp-sgd"``: lets the row take part or not). A clone is fitted on
    that table, the coins are guessed, and where more guesses are right than (epsilon, delta)-privacy allows,
    that epsilon is refuted.

    Parameters
    ----------
    estimator : skfusiondp estimator, or for ``score="black-box"`` a Pipeline that ends in one
        Not changed; need not be fitted.
    X : table of shape (n_rows, n_columns), or PairedTable
        Training table. The audit reads its sensitive cells and pays for nothing: keep its results inside.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs), optional
        May be left out for a synthesizer that is fitted without labels.
    score : {"white-box", "black-box"}, default="white-box"
        "white-box": the attacker sees every noised gradient, and the module and the canaries' public cells
        are crafted for the worst case: the adversary that the claim is made against. Of a synthesizer the
        attacker sees every noised sum, and knows all that goes into it but the coins. "black-box": the
        attacker asks the released model alone, about rows as they are: usually finds little.
    columns : str or sequence of str, optional
        Sensitive columns that the coins set; all if not given.
    n_canaries : int, optional
        Half of the rows if not given.
    guesses : int, optional
        Coins to guess. If not given, a tenth of them, but at least ``4 e^claim``, without which not even
        perfect guesses refute the claim; and never more than all.
    claim : float, optional
        The epsilon to hold the bound against; if not given, what the fit's ledger says of `columns`.
    confidence : float in (0, 1), default=0.95
    random_state : int, RandomState or Generator, default=None (the operating system's entropy)
        Choice of canaries and coins. The fit has the estimator's own.

    Returns
    -------
    AttributeAudit
        Text when printed, HTML in a notebook; ``plot``, ``to_dict``, ``to_json``.

    Raises
    ------
    InvalidInputError
        If an argument is out of range, nothing is sensitive, labels are missing, or the estimator promises
        nothing or predicts nothing.

    Notes
    -----
    Two tables that differ in one coin differ in the sensitive cells of one row, so that the fit, as a
    function of the coins, is (epsilon, delta)-private in the sense of the theorem under ``replace``. Under
    ``zero-out`` the white-box coins for ``method="fusiondp"`` choose between a value and its being erased.
    Elsewhere they choose between two values, which are two steps apart through the erased row: what is
    refuted is then the (2 eps, (1 + e^eps) delta) that follows. The proof is in docs/auditing.md.

    References
    ----------
    Steinke, Nasr and Jagielski (2023), arXiv 2305.08846, Theorem 5.2. Canaries with orthogonal
    gradients: Nasr et al. (2023), arXiv 2302.07956.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from skfusiondp import FusionDPClassifier, Numeric
    >>> from skfusiondp.audit import audit_attribute
    >>> X, y = make_classification(400, 4, n_informative=3, n_redundant=0, random_state=0)
    >>> model = FusionDPClassifier({0: Numeric(-4, 4)}, method="feature-dp", epochs=2, random_state=0)
    >>> audit = audit_attribute(model, X, y, random_state=0)
    >>> audit.epsilon_lower < audit.claim
    True
    """
    SCORE.check("score", score)
    CONFIDENCE.check("confidence", confidence)
    CLAIM.check("claim", claim)
    part = last_step(estimator)
    sums = releases_sums(part)
    if score == "white-box":
        check_white_box(estimator)
    else:
        check_predicts(part, "score='black-box'")
    rng = random_generator(random_state)
    whole_rows = getattr(part, "method", None) == "dp-sgd"
    frame, schema = _table(estimator, X)
    target = _target(part, y, len(frame))
    chosen = () if whole_rows else canary_columns(schema, columns)
    canaries = Canaries.throw(len(frame), n_canaries, chosen, rng)
    if score == "white-box" and sums:
        fitted, scores = released_scores(
            estimator, frame, schema, target, canaries, lambda table: _as_given(table, X)
        )
    elif score == "white-box":
        paired = X if isinstance(X, PairedTable) else pair(estimator, frame, schema)
        fitted, scores = white_box_scores(estimator, paired, target, canaries)
    else:
        fitted, scores = _black_box_scores(estimator, X, frame, schema, target, canaries)
    promise = account_of(fitted)
    adjacency = promise.adjacency
    direct = not relation(adjacency).erases or (score == "white-box" and not sums and erases(estimator))
    hops = 1 if direct else 2
    claim = promised_epsilon(promise, chosen) if claim is None else float(claim)
    count = _guesses(guesses, len(canaries), claim * hops)
    index, first = guess_coins(scores, count)
    correct = int((canaries.coins[index] == first).sum())
    delta = promise.delta
    return AttributeAudit(
        estimator=type(part).__name__,
        score=score,
        adjacency=adjacency,
        columns=chosen,
        n_rows=len(frame),
        n_canaries=len(canaries),
        guesses=count,
        correct=correct,
        confidence=float(confidence),
        epsilon_lower=epsilon_lower_bound(correct, count, len(canaries), delta, confidence, hops),
        claim=claim,
        delta=delta,
        hops=hops,
        sums=score == "white-box" and sums,
    )


def _guesses(guesses: int | None, n_canaries: int, reach: float) -> int:
    if guesses is None:
        needed = n_canaries if reach > math.log(n_canaries) else math.ceil(4 * math.exp(reach))
        return min(n_canaries, max(n_canaries // 10, needed, 1))
    Integer(1, n_canaries, remedy="no more than there are canaries").check("guesses", guesses)
    return int(guesses)


def _table(estimator: Any, X: Any) -> tuple[pd.DataFrame, SensitiveSchema]:
    """The original table as a frame, and its schema."""
    if isinstance(X, PairedTable):
        return X.original.reset_index(drop=True), X.schema
    frame = as_frame(X)
    support = getattr(getattr(last_step(estimator), "imputer", None), "support", None)
    sensitive = stated_sensitive(estimator)
    return frame, resolve_schema(FrameTable(frame, X), sensitive, support=support, on_leak="ignore")


def _target(part: Any, y: Any, n_rows: int) -> Any:
    """The labels as an array; None where the estimator needs none."""
    if y is None:
        if hasattr(type(part), "predict"):
            raise InvalidInputError(
                f"y=None: {type(part).__name__} learns labels; give those of the rows of X."
            )
        return None
    target = np.asarray(y)
    if target.ndim == 0:
        raise InvalidInputError(f"y={y!r} must be array-like, with a label for each row of X.")
    check_consistent_length(np.empty(n_rows), target)
    return target


def _as_given(original: pd.DataFrame, X: Any) -> Any:
    """A table with canaries as one of the kind of `X`."""
    if isinstance(X, PairedTable):
        return PairedTable(original, X.hybrid.reset_index(drop=True), X.schema, X.expected)
    return like_given(original, X)


def _black_box_scores(
    estimator: Any, X: Any, frame: pd.DataFrame, schema: SensitiveSchema, y: np.ndarray, canaries: Canaries
) -> tuple[Any, np.ndarray]:
    """A fitted clone, and how much better it fits the coins' first side than their second."""

    table = canaries.set_in(frame, schema)
    stays = np.ones(len(frame), dtype=bool)
    if not canaries.columns:
        stays[canaries.rows[~canaries.coins]] = False
    whole = _as_given(table, X)
    model = unbudgeted(estimator).fit(whole if stays.all() else whole[stays], y[stays])
    if not canaries.columns:
        return model, log_likelihood(model, whole, y)[canaries.rows]
    sides = [
        log_likelihood(model, _as_given(canaries.set_in(frame, schema, np.full(len(canaries), side)), X), y)
        for side in (True, False)
    ]
    return model, (sides[0] - sides[1])[canaries.rows]
