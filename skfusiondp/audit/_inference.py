"""Attribute inference: guess a sensitive cell of a training row from a finished model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_regressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_consistent_length

from .._random_state import random_generator
from ..exceptions import InvalidInputError
from ..tables._domain import Domain
from ..tables._frames import as_frame
from ..tables._table import FrameTable
from ..tables._table_encoder import TableEncoder
from ._claim import check_predicts, fitted_part, log_likelihood
from ._like_given import like_given

# A sensitive number counts as guessed where the right one of so many equal intervals is.
_INTERVALS = 4


@dataclass(frozen=True)
class AttributeInference:
    """How often a sensitive cell is guessed right, without the model and with it.

    Parameters
    ----------
    column : str
    n_rows : int
        Rows attacked.
    baseline : float
        Share guessed right from the row's other cells and its label, by one who knows all other rows.
    attack : float
        Share guessed right by the same attacker who can also ask the model.
    standard_error : float
        Of the difference of the two.
    """

    column: str
    n_rows: int
    baseline: float
    attack: float
    standard_error: float

    @property
    def advantage(self) -> float:
        """What the model gives away about these rows: attack minus baseline."""
        return self.attack - self.baseline

    def to_dict(self) -> dict:
        """The figures as plain values."""
        return {**asdict(self), "advantage": self.advantage}

    def to_json(self) -> str:
        """The figures as a JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        return (
            f"{self.column} of {self.n_rows} rows: guessed right in {self.baseline:.1%} without the model, "
            f"in {self.attack:.1%} with it (advantage {self.advantage:+.1%}, "
            f"standard error {self.standard_error:.1%})"
        )


def attribute_inference(
    estimator: Any, X: Any, y: Any, *, column: str | None = None, random_state: Any = 0
) -> AttributeInference:
    """Guess a sensitive cell of each row with the help of a finished model.

    The attacker knows the row's other cells and its label, every other row of X, and may ask the model.
    Without the model they guess by a random forest. With it they multiply the forest's probabilities by
    the model's likelihood of the row's label under each value. Only the difference tells on the model.

    Parameters
    ----------
    estimator : fitted estimator, or Pipeline that ends in one
    X : table of shape (n_rows, n_columns)
        Rows that it was fitted on. Their cells are read and not paid for: keep the result inside.
    y : array-like of shape (n_rows,)
    column : str, optional
        Sensitive column; the first if not given. Numbers are guessed up to quarters of their domain.
    random_state : int, RandomState or Generator, default=0
        Of the forest.

    Returns
    -------
    AttributeInference

    Raises
    ------
    InvalidInputError
        If the estimator is not fitted, promises nothing or predicts nothing, or `column` is not sensitive.

    Notes
    -----
    A failed attack proves nothing; the bound on every attack is ``risk``. A model without privacy shows
    little here too, unless it overfits.

    References
    ----------
    Confidence-based inversion: Fredrikson, Jha and Ristenpart (2015). Baseline without the model: Jayaraman
    and Evans (2022), arXiv 2209.01292.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from skfusiondp import FusionDPClassifier, Numeric
    >>> from skfusiondp.audit import attribute_inference
    >>> X, y = make_classification(200, 4, n_informative=3, n_redundant=0, random_state=0)
    >>> model = FusionDPClassifier({0: Numeric(-4, 4)}, method="feature-dp", epochs=1).fit(X, y)
    >>> attribute_inference(model, X, y).n_rows
    200
    """
    part = fitted_part(estimator)
    check_predicts(part, "attribute_inference")
    frame, target = as_frame(X), np.asarray(y)
    check_consistent_length(frame, target)
    if target.ndim != 1:
        raise InvalidInputError(f"y has shape {target.shape}; attribute_inference takes one target a row.")
    domains = dict(part.schema_.domains)
    if column is None:
        column = str(next(iter(domains), ""))
    if column not in domains:
        raise InvalidInputError(
            f"column={column!r} is no sensitive column; there are {', '.join(domains) or 'none'}."
        )
    values, truth = _candidates(domains[column], frame[column])
    present = truth >= 0
    if not present.any():
        raise InvalidInputError(
            f"column={column!r} has no cell with a declared value in X; nothing to guess."
        )
    prior = _without_model(part, frame, target, column, truth, present, len(values), random_state)
    likelihood = np.empty_like(prior)
    for k, value in enumerate(values):
        asked = frame.assign(**{column: pd.Series([value] * len(frame), index=frame.index)})
        likelihood[:, k] = log_likelihood(estimator, like_given(asked, X), target)
    if is_regressor(estimator):
        likelihood *= 0.5 / max(-likelihood.max(1).mean(), 1e-12)
    posterior = np.log(prior + 1e-9) + likelihood
    without = (prior.argmax(1) == truth)[present].astype(float)
    informed = (posterior.argmax(1) == truth)[present].astype(float)
    return AttributeInference(
        column=column,
        n_rows=int(present.sum()),
        baseline=float(without.mean()),
        attack=float(informed.mean()),
        standard_error=float((informed - without).std() / np.sqrt(present.sum())),
    )


def _candidates(domain: Domain, cells: pd.Series) -> tuple[list, np.ndarray]:
    """Values to try, and which of them each cell holds; -1 where it holds none."""
    values = domain.restore(domain.centers(_INTERVALS)).tolist()
    held = domain.bins(cells, _INTERVALS)
    return values, np.where(held < len(values), held, -1)


def _without_model(
    part: Any,
    frame: pd.DataFrame,
    target: np.ndarray,
    column: str,
    truth: np.ndarray,
    present: np.ndarray,
    n_values: int,
    random_state: Any,
) -> np.ndarray:
    """Probability of each value from the row's other cells and label, by one who knows other rows."""
    encoder = TableEncoder()._fit_schema(FrameTable(frame), part.schema_)
    own = [f"sensitive__{n}" for n in part.schema_.domains[column].feature_names(column)]
    others = ~np.isin(encoder.get_feature_names_out(), own)
    labels = np.unique(target, return_inverse=True)[1]
    known = np.column_stack([encoder._encode(frame)[:, others], labels])
    rng = random_generator(random_state)
    prior = np.full((len(frame), n_values), 1e-6)
    for rest, held_out in KFold(5, shuffle=True, random_state=rng).split(known):
        rest = rest[present[rest]]
        forest = RandomForestClassifier(100, min_samples_leaf=5, random_state=rng).fit(
            known[rest], truth[rest]
        )
        prior[np.ix_(held_out, forest.classes_)] += forest.predict_proba(known[held_out])
    return prior / prior.sum(1, keepdims=True)
