"""The smooth model of hybrid rows: its features, its coefficients, its slope."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.linear_model import LogisticRegression, Ridge

from skfusiondp.estimators.offset import _additive
from skfusiondp.estimators.offset._additive import Pieces, fit_additive
from skfusiondp.estimators.offset._correction import Loss

RNG = np.random.default_rng(0)
TABLE = np.column_stack([RNG.normal(size=900), RNG.integers(2, size=900), np.full(900, 7.0)])
TABLE[::9, 0] = np.nan
FEATURES = Pieces(TABLE.T).transform(TABLE)
SPREAD = FEATURES.std(axis=0)
STANDARD = (FEATURES - FEATURES.mean(axis=0)) / np.where(SPREAD < 1e-3, 1, SPREAD)
SCORE = np.nan_to_num(TABLE[:, :1]) * 2 + TABLE[:, 1:2] - 0.5


def test_pieces_keep_numbers_apart_and_mark_what_is_missing():
    pieces = Pieces(TABLE.T)
    assert FEATURES.shape == (900, 6 + 1 + 1 + 3 + 1) and FEATURES.dtype == np.float32
    rising = pieces.transform(np.column_stack([np.linspace(-1, 1, 5), np.zeros(5), np.zeros(5)]))
    assert (np.diff(rising[:, :6].sum(axis=1)) > 0).all()
    gone, far = pieces.transform(np.array([[np.nan, np.nan, np.nan], [-1e30, 1e30, 0.0]]))
    assert gone[:7].tolist() == [0, 0, 0, 0, 0, 0, 1] and np.isfinite(far).all()


@pytest.mark.parametrize("weight", [np.ones(900), RNG.uniform(0.2, 3, 900)], ids=["equal", "unequal"])
def test_coefficients_of_classes_are_those_of_ridge_logistic_regression(weight, monkeypatch):
    monkeypatch.setattr(_additive, "_PENALTY", 5.0)
    monkeypatch.setattr(_additive, "_MOST_ITERATIONS", 500)
    y = (RNG.random(900) < 1 / (1 + np.exp(-SCORE[:, 0]))).astype(float)
    coef = fit_additive(FEATURES, y[:, None], np.zeros((900, 1)), weight, Loss("binary"))
    oracle = LogisticRegression(C=1 / 5.0, tol=1e-8, max_iter=2000).fit(STANDARD, y, weight)
    np.testing.assert_allclose((FEATURES @ coef)[:, 0], oracle.decision_function(STANDARD), atol=0.01)


def test_coefficients_of_numbers_are_those_of_ridge_on_what_the_offset_leaves(monkeypatch):
    monkeypatch.setattr(_additive, "_PENALTY", 50.0)
    offset = RNG.normal(size=(900, 1))
    y = SCORE + RNG.normal(size=(900, 1))
    coef = fit_additive(FEATURES, y, offset, np.ones(900), Loss("regression"))
    oracle = Ridge(alpha=50.0).fit(STANDARD, (y - offset)[:, 0])
    np.testing.assert_allclose((FEATURES @ coef)[:, 0], oracle.predict(STANDARD), atol=0.01)


def test_what_says_nothing_gets_nothing():
    coins = RNG.integers(2, size=(900, 1)).astype(float)
    coef = fit_additive(FEATURES, coins, np.zeros((900, 1)), np.ones(900), Loss("binary"))
    assert np.abs(FEATURES @ coef).max() < 0.4
    assert coef[9] == 0  # a column that never varies


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_residuals_are_the_slope_of_the_losses(task):
    loss, k = Loss(task), 3 if task == "multiclass" else 1
    score = RNG.normal(size=(5, k))
    target = np.eye(k)[RNG.integers(k, size=5)] if k > 1 else RNG.integers(2, size=(5, 1)).astype(float)

    def total(flat):
        return loss.losses(flat.reshape(5, k), target).sum()

    slope = approx_fprime(score.ravel(), total, 1e-7).reshape(5, k)
    np.testing.assert_allclose(loss.residuals(score, target), slope, atol=1e-5)
