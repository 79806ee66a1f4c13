"""SynthesizedClassifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils.metaestimators import available_if

from ..._parameters import store_parameters
from ...exceptions import InvalidInputError
from ...tables._domain import plain
from ..joint._label import Label, classes
from ._base_synthesized import BaseSynthesized
from ._synthesis_doc import with_synthesis_docs


def _has(method: str) -> Any:
    def check(self: Any) -> bool:
        estimator = getattr(self, "estimator_", self.estimator)
        return estimator is None or hasattr(estimator, method)

    return available_if(check)


@with_synthesis_docs
class SynthesizedClassifier(ClassifierMixin, BaseSynthesized):
    """Any classifier, trained on tables whose sensitive cells are drawn from a private model.

    The release of that model is all that is paid for. The classifier may be a search over a grid, a
    calibration or an ensemble: it sees drawn cells alone, so that whatever it does costs nothing more. It
    predicts on true rows.

    Parameters
    ----------
    {sensitive}
    {estimator}
    n_draws : int, default=5
        Draws of the table that it is trained on, together.
    {epsilon}
    {delta}
    {support}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    estimator_ : estimator
        Fitted on the drawn tables.
    {attributes}

    Other Parameters
    ----------------
    {other_parameters}

    See Also
    --------
    PrivateSynthesizer : Gives the tables themselves.

    Notes
    -----
    {notes}

    Examples
    --------
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skfusiondp import SynthesizedClassifier
    >>> from skfusiondp.datasets import load_adult
    >>> adult = load_adult()
    >>> search = GridSearchCV(HistGradientBoostingClassifier(max_iter=20), {"max_depth": [2, 4]}, cv=3)
    >>> model = SynthesizedClassifier(adult.sensitive, estimator=search, epsilon=1.0, random_state=0)
    >>> model = model.fit(adult.table[:2000], adult.target[:2000])
    >>> model.predict_proba(adult.table[2000:2003]).shape, bool(model.epsilon_ <= 1.0)
    ((3, 2), True)
    """

    _plain_values = True

    def __init__(
        self,
        sensitive: Any = None,
        *,
        estimator: Any = None,
        n_draws: int = 5,
        epsilon: float | None = None,
        delta: float | None = None,
        support: Any = None,
        noise_multiplier: float | None = None,
        adjacency: str = "replace",
        groups: Any = None,
        max_rows_per_unit: int | None = None,
        budget: Any = None,
        on_leak: str = "warn",
        random_state: Any = None,
    ):
        store_parameters(self, locals())

    def _read_label(self, y: Any, n_rows: int) -> Label:
        label = classes(y, n_rows)
        self.classes_ = label.kind.classes
        if label.kind.task == "":
            raise InvalidInputError(
                f"y has only one class, {plain(self.classes_[0])!r}; a classifier needs rows of at least two."
            )
        return label

    def _estimator_target(self, target: np.ndarray) -> np.ndarray:
        return self.classes_[target.astype(int)]

    def _default_estimator(self, seed: int) -> Any:
        return HistGradientBoostingClassifier(**self._boosting(seed))

    @_has("predict_proba")
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class, of true rows.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
        """
        table = self._readable(X)
        return self.estimator_.predict_proba(table)

    @_has("decision_function")
    def decision_function(self, X: Any) -> np.ndarray:
        """Score of true rows.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_classes)
        """
        table = self._readable(X)
        return self.estimator_.decision_function(table)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # At a few dozen rows the noise that privacy needs drowns the signal, as it must.
        tags.classifier_tags.poor_score = True
        return tags
