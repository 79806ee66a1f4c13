"""The default public model: gradient boosting, which is told what the rows of a category have as labels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import KFold
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import TargetEncoder

# Trees of one output, and fewer where there are many.
_BOOSTED = 100
# Rows of a leaf, at least; scikit-learn's default.
_LEAF = 20
# A column of more categories than this is also read by the mean label of each of them. Of more classes than
# this none is, for each class takes a feature; nor of fewer rows, which leave a category one or two.
MANY_CATEGORIES, _MOST_CLASSES, _LEAST_ROWS = 20, 10, 100


def settings(seed: int, n_outputs: int, n_rows: int) -> dict[str, Any]:
    """Settings of boosting on so many rows; the models of five folds are averaged.

    Each class needs trees of its own: of many classes each gets fewer, which learn faster. Too few rows for
    two leaves have no tree that splits: one says what all would.
    """
    trees = _BOOSTED if n_outputs <= 3 else max(10, 3 * _BOOSTED // n_outputs)
    return {
        "max_iter": trees if n_rows >= 2 * _LEAF else 1,
        "min_samples_leaf": _LEAF,
        "learning_rate": min(0.25, 0.1 * _BOOSTED / trees),
        "max_leaf_nodes": 15,
        "l2_regularization": 1.0,
        "max_features": 0.3,
        "early_stopping": False,
        "random_state": seed,
    }


def boosted_model(task: str, seed: int, n_outputs: int, n_rows: int, many: Sequence[int] = ()) -> Any:
    """Gradient boosting on public columns in the ordinal form of `PublicEncoder`.

    Trees split categories by their order, which of many says nothing. So each such column comes twice: as it
    is, and as the mean label of each category, shrunk, and of a training row by other rows (Micci-Barreca
    2001; scikit-learn's ``TargetEncoder``).

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
    seed, n_outputs, n_rows : int
    many : sequence of int
        Positions of columns of many categories.
    """
    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    boosting = kind(**settings(seed, n_outputs, n_rows))
    if not many or n_outputs > _MOST_CLASSES or n_rows < _LEAST_ROWS:
        return boosting
    target = "continuous" if task == "regression" else task
    # scikit-learn takes folds since 1.9, and deprecates the seed that it took before.
    takes_folds = signature(TargetEncoder).parameters["random_state"].default == "deprecated"
    drawn = {"cv": KFold(5, shuffle=True, random_state=seed)} if takes_folds else {"random_state": seed}
    means = TargetEncoder(target_type=target, **drawn)
    columns = FeatureUnion(
        [("all", "passthrough"), ("many", ColumnTransformer([("means", means, list(many))]))]
    )
    return Pipeline([("columns", columns), ("boosting", boosting)])


def fitted(model: Any, table: np.ndarray, target: np.ndarray, weight: np.ndarray) -> Any:
    """Fit such a model. Equal weights are left out: boosting is much faster without any."""
    name = "boosting__sample_weight" if isinstance(model, Pipeline) else "sample_weight"
    given = {name: weight} if np.ptp(weight) else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)  # the others' means do
        return model.fit(table, target, **given)
