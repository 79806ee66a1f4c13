"""PrivateSynthesizer."""

from __future__ import annotations

from typing import Any

from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ...tables._containers import SetOutput, replace_columns
from ...tables._frames import check_table
from ...tables._groups import without_column
from ._base_synthesizer import BaseSynthesizer
from ._synthesis_doc import with_synthesis_docs


@with_synthesis_docs
class PrivateSynthesizer(  # type: ignore[call-arg]
    OneToOneFeatureMixin, SetOutput, TransformerMixin, BaseSynthesizer, auto_wrap_output_keys=None
):
    """Release a table once: true public columns and labels, sensitive cells drawn from a private model.

    The cells are drawn given public columns and label, from a model that noised sums over the rows give.
    That is paid for once, by the fit: what is done with the tables drawn from it, training and tuning
    any model, plots, sharing, costs nothing more.

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
    SynthesizedClassifier : Fits any classifier on such tables, and predicts on true rows.
    PrivateResampler : Draws such tables in the fits of an imbalanced-learn pipeline.

    Notes
    -----
    {notes}

    A drawn cell is a guess from public columns and label: never read it as a fact about a person.

    Examples
    --------
    >>> from skfusiondp import PrivateSynthesizer
    >>> from skfusiondp.datasets import load_adult
    >>> adult = load_adult()
    >>> synthesizer = PrivateSynthesizer(adult.sensitive, epsilon=1.0, random_state=0)
    >>> synthesizer = synthesizer.fit(adult.table[:2000], adult.target[:2000])
    >>> table, label = synthesizer.sample(n_draws=2)
    >>> table.shape, label.shape
    ((4000, 12), (4000,))
    """

    _plain_values = True

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fit, and draw the sensitive cells of the training rows once, given their labels.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
        y : array-like of shape (n_rows,), optional
        **fit_params : dict
            ``groups`` of ``fit``.

        Returns
        -------
        table of shape (n_rows, n_columns)
        """
        return self.fit(X, y, **fit_params)._contain(self._training_table(0))

    def transform(self, X: Any) -> Any:
        """Draw the sensitive cells of rows whose labels are not known; those that `X` holds are not read.

        Labels are drawn too, from the public model. A model that is to be trained should see draws that go
        with the labels: those of ``sample`` or ``fit_transform``.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
            A frame may lack the sensitive columns.

        Returns
        -------
        table of shape (n_rows, n_columns)
            Of the kind given, or that ``set_output`` asks for.
        """
        check_is_fitted(self, "schema_")
        X = without_column(X, self.groups)
        frame = check_table(self, X, reset=False, optional=self.schema_.sensitive)
        drawn = self._drawn(self._features_of(frame[list(self.schema_.public)]), -1)
        return self._contain(
            replace_columns(X, frame, drawn.set_axis(frame.index), list(self.schema_.columns))
        )
