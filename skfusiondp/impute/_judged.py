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
# Categories with fewer cells are not ranked.
_FEWEST = 5


def judge(guess: Predictive, known: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Figures of one column.

    Parameters
    ----------
    guess : NumericPredictive or CategoricalPredictive
        Of n_rows rows.
    known : ndarray of shape (n_support,)
        The targets that it was learnt from, as `Domain.target` has them; NaN for missing.
    true : ndarray of shape (n_rows,)
        NaN where a cell is missing: it is not judged.

    Returns
    -------
    dict of str to float
        "score": R² of a number, log-loss skill of a category (1 - loss / loss of the shares in `known`), at
        least -1. Of categories also "auroc", where one can be ranked; of numbers with a distribution "crps
        skill" and "coverage".
    """
    if isinstance(guess, CategoricalPredictive):
        gain, plain, _ = class_losses(guess, known, true)
        found = {"score": max(-1.0, float(gain.sum() / (plain.sum() or 1.0)))}
        auroc = mean_auroc(guess, known, true)
        return found if np.isnan(auroc) else {**found, "auroc": auroc}
    here = ~np.isnan(true)
    y = true[here]
    found = {"score": max(-1.0, 1 - float(np.mean((y - guess.mean[here]) ** 2) / (y.var() or 1.0)))}
    if guess.atoms is not None:
        ours, plain = crps_losses(guess, known, true)
        found["crps skill"] = float(1 - ours.mean() / (plain.mean() or 1.0))
        found["coverage"] = float(covered(guess, true)[here].mean())
    return found


def losses(guess: Predictive, known: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gain in loss over what the known cells alone say, and the loss of that, a cell that is not missing.

    Squared error of numbers and their mean, log loss of categories and their shares.
    """
    if isinstance(guess, CategoricalPredictive):
        return class_losses(guess, known, true)[:2]
    y = true[~np.isnan(true)]
    plain = (y - np.nanmean(known)) ** 2
    return plain - (y - guess.mean[~np.isnan(true)]) ** 2, plain


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


def mean_auroc(guess: CategoricalPredictive, known: np.ndarray, true: np.ndarray) -> float:
    """AUROC of a category against the others, on the mean over cells; NaN if none can be ranked."""
    p = class_losses(guess, known, true)[2]
    y = true[~np.isnan(true)].astype(int)
    counts = np.bincount(y, minlength=p.shape[1])
    judged = [k for k in range(p.shape[1]) if _FEWEST <= counts[k] <= len(y) - _FEWEST]
    if not judged:
        return float("nan")
    areas = [roc_auc_score(y == k, p[:, k]) for k in judged]
    return float(np.average(areas, weights=counts[judged]))


def crps_losses(
    guess: NumericPredictive, known: np.ndarray, true: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pinball loss over levels, of a guess and of the known numbers' quantiles, a cell.

    But for a factor it is the continuous ranked probability score.
    """
    here = ~np.isnan(true)
    drawn = np.stack([guess.sample(np.full(len(true), u))[here] for u in LEVELS], axis=1)
    plain = np.quantile(known[~np.isnan(known)], LEVELS)[None]
    return _pinball(true[here], drawn), _pinball(true[here], plain)


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


def _pinball(y: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    error = y[:, None] - quantiles
    return np.maximum(LEVELS * error, (LEVELS - 1) * error).mean(axis=1)
