"""Sensitive cells of training rows, drawn from a joint model that is released for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...tables._domain import Domain
from ...tables._public_encoder import PublicEncoder
from ..joint._joint_model import JointModel
from ..joint._label import LabelKind
from ..joint._public_features import PublicFeatures, Ranks
from ..joint._releases import JointReleases
from ._posterior import BELIEVED
from ._public_rows import PublicRows

# Log odds for a column that goes with the label, from which on drawn cells teach a start. It need not be
# sure: the gradient says how much of the start to keep.
_SHOWN = 1.0


class DrawnCells:
    """Draws of the sensitive cells of training rows, given their public columns, public score and label.

    Parameters
    ----------
    training : PublicRows
    task : {"binary", "multiclass", "regression"}
    rng : Generator
        Of the draws, and of those that the model's fit rests on.
    """

    def __init__(self, training: PublicRows, task: str, rng: np.random.Generator):
        self._rng, self._model = rng, JointModel({})
        encoded = PublicEncoder("dense").fit(training.frame).transform(training.frame)
        score = training.score if training.frame.shape[1] else training.score[:, :0]
        if task == "regression":
            target, kind = training.target[:, 0], LabelKind(task, ranks=Ranks(training.target))
        else:
            target, kind = training.strata, LabelKind(task, np.arange(max(2, training.target.shape[1])))
        label = kind.features(target)  # the correction sees what the score leaves of it
        features = PublicFeatures(encoded, score, label)
        self._features, self._group = features(encoded, score, label), features.group

    def release(
        self,
        domains: Mapping[str, Domain],
        support: pd.DataFrame | None,
        cells: pd.DataFrame,
        kept: np.ndarray,
        releases: JointReleases,
    ) -> None:
        """Release the model.

        Parameters
        ----------
        domains : mapping of str to domain
        support : DataFrame of shape (n_support, n_columns) or None
        cells : DataFrame of shape (n_rows, n_sensitive)
            The rows' true cells.
        kept : ndarray of shape (n_rows,), bool
            Rows whose cells are read.
        releases : JointReleases
        """
        self._model = JointModel.released(
            domains, support, cells, kept, self._features, self._group, releases, self._rng
        )

    def informative(self, judged: bool) -> bool:
        """Whether the released sums show that some sensitive column goes with the label.

        They must show more if no gradient judges what drawn cells teach.
        """
        return self._model.evidence > (_SHOWN if judged else BELIEVED)

    def __call__(self, rows: np.ndarray) -> pd.DataFrame:
        """Sensitive cells of rows at some positions, drawn anew."""
        return self._model.draw(self._features[rows], lambda *_: self._rng.random(len(rows)))
