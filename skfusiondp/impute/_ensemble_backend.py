"""The default: linear models, trees and a pretrained Gaussian process, averaged."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import nnls

from .._random_state import seed_of
from ..tables._domain import Domain
from ._backend import Predictive
from ._categorical_predictive import CategoricalPredictive
from ._conditional_backend import ConditionalBackend, TreesHead
from ._heads import Head
from ._linear_head import LinearHead
from ._numeric_predictive import NumericPredictive
from .pretrained._head import PretrainedHead

# Weights of trees, linear model and process before anything is known, and support rows that these count as
# against what left-out rows say of the members.
_PRIOR = np.array([0.25, 0.25, 0.5])
_ROWS_OF_PRIOR = 50.0
_STEPS = 50
_ROWS_AT_ONCE = 512
_LEAST = 1e-3


class EnsembleBackend(ConditionalBackend):
    """Linear models, trees and a pretrained Gaussian process, averaged, one set a sensitive column.

    Parameters
    ----------
    n_estimators : int, default=60
        Trees of each forest.
    n_jobs : int, default=None (1)
        Processor cores for the forests; as in scikit-learn.
    random_state : int, RandomState or Generator, default=None (a new one each fit)
        Seed of the trees.

    Notes
    -----
    Members weigh what predictions of support rows that they have not seen say, drawn towards a half for the
    process and a quarter for the others:
    stacking (Wolpert, Neural Networks 5, 1992; van der Laan, Polley and Hubbard, Super Learner, 2007). The
    process has a kernel that a small network sets, which was trained on synthetic tables alone and comes with
    the package. A number's distribution is that of the trees (`ConditionalBackend`), tilted exponentially to
    the mean of all members: its values are those of support rows, or means of neighbouring ones where there
    are more than 64. The fitted process holds the public columns of support rows.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from skfusiondp import FoundationImputer, Numeric
    >>> from skfusiondp.impute import EnsembleBackend
    >>> rng = np.random.default_rng(0)
    >>> lab = rng.uniform(size=300)
    >>> support = pd.DataFrame({"lab": lab, "age": 20 + 60 * lab + rng.normal(0, 5, 300)})
    >>> train = pd.DataFrame({"lab": [0.17, 0.83], "age": [61.0, 33.0]})
    >>> imputer = FoundationImputer(
    ...     {"age": Numeric(20, 80)}, support=support,
    ...     backend=EnsembleBackend(n_estimators=20, random_state=0),
    ... )
    >>> imputer.fit_transform(train)["age"].round(-1).tolist()
    [30.0, 70.0]
    """

    _plain_values = True

    def _make_head(self, column: str, domain: Domain) -> Head:
        return EnsembleHead(domain, self.n_estimators, self.n_jobs, seed_of(self.random_state))


class EnsembleHead(Head):
    """The averaged members of one column."""

    _plain_values = True

    def __init__(self, domain: Domain, n_estimators: int, n_jobs: int | None, random_state: Any):
        super().__init__(domain)
        self.n_estimators = n_estimators
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, features: np.ndarray, target: np.ndarray) -> EnsembleHead:
        # Members square numbers, of which the largest and the smallest that there are would leave nothing.
        self.size_ = float(np.abs(target).max()) if self.domain.task == "regressor" else 1.0
        if self.domain.task == "regressor":
            target = target / self.size_
        trees = TreesHead(self.domain, self.n_estimators, self.n_jobs, self.random_state, leaves_out=True)
        self.members_: list[Any] = [trees, LinearHead(self.domain), PretrainedHead(self.domain)]
        for member in self.members_:
            member.fit(features, target)
        left_out = [m.left_out_ for m in self.members_]
        for member in self.members_:
            del member.left_out_
        if self.domain.task == "classifier":
            rows = np.arange(len(target))
            chances = np.column_stack([p[rows, target] for p in left_out])
            self.weights_ = likeliest_weights(chances, _PRIOR)
        else:
            self.weights_ = closest_weights(np.column_stack(left_out), target, _PRIOR)
        return self

    def predict(self, features: np.ndarray) -> Predictive:
        n = len(features)
        # Products of matrices of few rows round in other ways, and a row is to be guessed alike in any batch.
        filled = np.concatenate([features, np.zeros((-n % _ROWS_AT_ONCE, features.shape[1]))])
        guesses = [m.predict(filled) for m in self.members_]
        if self.domain.task == "classifier":
            each = [g.probabilities / g.probabilities.sum(axis=1, keepdims=True) for g in guesses]
            return CategoricalPredictive(np.tensordot(self.weights_, each, axes=1)[:n])
        mean = np.tensordot(self.weights_, [g.mean for g in guesses], axes=1)
        trees = guesses[0]
        mean = np.clip(mean, trees.atoms[0], trees.atoms[-1])
        shares = tilted(trees.atoms, trees.probabilities, mean)
        return NumericPredictive(self.size_ * mean[:n], self.size_ * trees.atoms, shares[:n])


def likeliest_weights(chances: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Weights of a mixture by maximum posterior likelihood (EM), drawn towards `prior`.

    Parameters
    ----------
    chances : ndarray of shape (n_rows, n_members)
        Probability that each member gave the true value of a row that it had not seen.
    prior : ndarray of shape (n_members,)
        Of sum 1.

    Returns
    -------
    ndarray of shape (n_members,)
    """
    chances, weights = np.clip(chances, _LEAST, None), prior
    for _ in range(_STEPS):
        taken = chances * weights
        taken /= taken.sum(axis=1, keepdims=True)
        weights = (taken.sum(axis=0) + _ROWS_OF_PRIOR * prior) / (len(chances) + _ROWS_OF_PRIOR)
    return weights


def closest_weights(predictions: np.ndarray, target: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Weights of means by least squares, none negative, of sum 1, drawn towards `prior`.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows, n_members)
        Of rows that the members had not seen.
    target : ndarray of shape (n_rows,)
    prior : ndarray of shape (n_members,)
        Of sum 1.

    Returns
    -------
    ndarray of shape (n_members,)
    """
    m = len(prior)
    scale = target.std()
    errors = (predictions - target[:, None]) / scale
    # With a sum of 1 the error of the mean is the mean of errors.
    spread = errors.std() if errors.std() > 0 else 1.0
    pull = np.sqrt(_ROWS_OF_PRIOR) * spread * np.eye(m)
    heavy = 1e4 * np.sqrt(len(target)) * np.ones((1, m))
    system = np.vstack([errors, pull, heavy])
    wanted = np.concatenate([np.zeros(len(target)), pull @ prior, heavy[0, :1]])
    weights = nnls(system, wanted)[0]
    return weights / weights.sum()


def tilted(atoms: np.ndarray, probabilities: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Distributions with other means: p times exp(t * atom), t found by Newton's method.

    Parameters
    ----------
    atoms : ndarray of shape (n_atoms,)
        Ascending.
    probabilities : ndarray of shape (n_rows, n_atoms)
        Up to a factor.
    mean : ndarray of shape (n_rows,)
        Between the first and the last atom.

    Returns
    -------
    ndarray of shape (n_rows, n_atoms)
        Of sum 1. Each atom has some chance first, so that any mean can be met.
    """
    scale = atoms.std() or 1.0
    place = (atoms - atoms.mean()) / scale
    wanted = (mean - atoms.mean()) / scale
    log_p = np.log(probabilities / probabilities.sum(axis=1, keepdims=True) + _LEAST / len(atoms))
    low, high = np.full(len(mean), -20.0), np.full(len(mean), 20.0)
    tilt = np.zeros(len(mean))
    for _ in range(25):
        p = np.exp(log_p + tilt[:, None] * place - np.max(log_p + tilt[:, None] * place, axis=1)[:, None])
        p /= p.sum(axis=1, keepdims=True)
        now = p @ place
        spread = np.maximum(p @ place**2 - now**2, 1e-12)
        above = now > wanted
        high, low = np.where(above, tilt, high), np.where(above, low, tilt)
        step = tilt - (now - wanted) / spread
        inside = (step > low) & (step < high)
        tilt = np.where(inside, step, (low + high) / 2)
    return p
