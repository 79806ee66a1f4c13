"""How good predictive distributions are, judged on true cells that are public."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score

from ._backend import Predictive
from ._categorical_predictive import CategoricalPredictive
from ._numeric_predictive import NumericPredictive

LEVELS = np.arange(1, 20) / 20
INTERVAL = (0.1, 0.9)
_LEAST = 1e-3
# Cells of one kind with fewer are not ranked.
_FEWEST = 5


def judge(guess: Predictive, known: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Figures of one column; see `judge_numbers` and `judge_classes`."""
    if isinstance(guess, NumericPredictive):
        return judge_numbers(guess, known, true)
    return judge_classes(guess, known, true)


def judge_numbers(guess: NumericPredictive, known: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Figures of one numeric column.

    Parameters
    ----------
    guess : NumericPredictive
        Of n_rows rows.
    known : ndarray of shape (n_support,)
        The numbers that it was learnt from; NaN for missing.
    true : ndarray of shape (n_rows,)
        NaN where a cell is missing: it is not judged.

    Returns
    -------
    dict of str to float
        "score": R², at least -1; where there is a distribution also "crps skill" and "coverage".
    """
    here = ~np.isnan(true)
    y = true[here]
    found = {"score": max(-1.0, 1 - float(np.mean((y - guess.mean[here]) ** 2) / (y.var() or 1.0)))}
    if guess.atoms is None:
        return found
    drawn = np.stack([guess.sample(np.full(len(true), u))[here] for u in LEVELS], axis=1)
    plain = np.tile(np.quantile(known[~np.isnan(known)], LEVELS), (len(y), 1))
    found["crps skill"] = 1 - _pinball(y, drawn) / (_pinball(y, plain) or 1.0)
    found["coverage"] = float(np.mean(covered(guess, true)[here]))
    return found


def judge_classes(guess: CategoricalPredictive, known: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Figures of one categorical column; arguments as those of `judge_numbers`, cells as positions.

    Returns
    -------
    dict of str to float
        "score": log-loss skill, 1 - loss / loss of the shares in `known`, at least -1; and "auroc", the mean
        of one class against the others, where a class can be ranked.
    """
    gain, plain, p = class_losses(guess, known, true)
    found = {"score": max(-1.0, float(gain.sum() / (plain.sum() or 1.0)))}
    y = true[~np.isnan(true)].astype(int)
    counts = np.bincount(y, minlength=p.shape[1])
    judged = [k for k in range(p.shape[1]) if _FEWEST <= counts[k] <= len(y) - _FEWEST]
    if judged:
        areas = [roc_auc_score(y == k, p[:, k]) for k in judged]
        found["auroc"] = float(np.average(areas, weights=counts[judged]))
    return found


def class_losses(
    guess: CategoricalPredictive, known: np.ndarray, true: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gain in log loss over known shares, and the loss of these, a cell; and probabilities, floored."""
    here = ~np.isnan(true)
    y = true[here].astype(int)
    p = _floored(guess.probabilities[here])
    shares = np.bincount(known[~np.isnan(known)].astype(int), minlength=p.shape[1])
    plain = -np.log(_floored(shares[None].astype(float))[0][y])
    return plain + np.log(p[np.arange(len(y)), y]), plain, p


def covered(guess: NumericPredictive, true: np.ndarray) -> np.ndarray:
    """How much of each number lies within the 80 % interval around its guess, ndarray of shape (n_rows,).

    1 or 0 where it lies inside or outside. A value that is likely in itself, as of a number of children, can
    lie across an end of the interval; it then counts by the part of its probability inside, so that a
    distribution that is right covers 80 % of discrete numbers too (the randomised probability integral
    transform: Czado, Gneiting and Held, Biometrics 65, 2009).
    """
    atoms = np.asarray(guess.atoms)
    weights = np.ones(1) if guess.probabilities is None else guess.probabilities
    shape = (len(true), atoms.shape[-1])
    atoms, weights = np.broadcast_to(atoms, shape), np.broadcast_to(weights, shape)
    shares = weights / weights.sum(axis=1, keepdims=True)
    below = (shares * (atoms < true[:, None])).sum(axis=1)
    up_to = below + (shares * (atoms == true[:, None])).sum(axis=1)
    inside = np.clip(up_to, *INTERVAL) - np.clip(below, *INTERVAL)
    between = (below >= INTERVAL[0]) & (below <= INTERVAL[1])
    return np.where(up_to > below, inside / np.where(up_to > below, up_to - below, 1.0), between)


def _floored(p: np.ndarray) -> np.ndarray:
    p = np.clip(p / p.sum(axis=1, keepdims=True), _LEAST, None)
    return p / p.sum(axis=1, keepdims=True)


def _pinball(y: np.ndarray, quantiles: np.ndarray) -> float:
    """Mean pinball loss over levels: the continuous ranked probability score, but for a factor."""
    error = y[:, None] - quantiles
    return float(np.mean(np.maximum(LEVELS * error, (LEVELS - 1) * error)))
