"""PrivateResampler."""

from __future__ import annotations

from typing import Any

from sklearn.base import OneToOneFeatureMixin

from ...tables._containers import SetOutput
from ._base_synthesizer import BaseSynthesizer
from ._synthesis_doc import with_synthesis_docs


@with_synthesis_docs
class PrivateResampler(OneToOneFeatureMixin, SetOutput, BaseSynthesizer):
    """Replace the table by a drawn one in the fits of an imbalanced-learn pipeline.

    Such a pipeline resamples when it is fitted, and hands on the rows that it is to predict as they are: what
    comes after is trained on drawn sensitive cells and predicts on true ones. It is a `PrivateSynthesizer`
    without ``transform``, for steps of these pipelines may not have both.

    Parameters
    ----------
    {sensitive}
    {epsilon}
    {delta}
    {support}

    Attributes
    ----------
    {attributes}

    Other Parameters
    ----------------
    {other_parameters}

    See Also
    --------
    SynthesizedClassifier : Fits any classifier on several draws, and predicts on true rows.

    Notes
    -----
    {notes}

    A drawn cell is a guess from public columns and label: never read it as a fact about a person.

    Examples
    --------
    >>> from skfusiondp import PrivateResampler
    >>> from skfusiondp.datasets import load_adult
    >>> adult = load_adult()
    >>> resampler = PrivateResampler(adult.sensitive, epsilon=1.0, random_state=0)
    >>> table, label = resampler.fit_resample(adult.table[:2000], adult.target[:2000])
    >>> table.shape, label.shape
    ((2000, 12), (2000,))
    """

    _plain_values = True

    def fit_resample(self, X: Any, y: Any, **fit_params: Any) -> tuple[Any, Any]:
        """Fit, and draw the sensitive cells of the training rows once, given their labels.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
        y : array-like of shape (n_rows,)
        **fit_params : dict
            ``groups`` of ``fit``.

        Returns
        -------
        X : table of shape (n_rows, n_columns)
        y : array-like of shape (n_rows,)
        """
        self.fit(X, y, **fit_params)
        return self._contain(self._training_table(0)), y
