"""SynthesizedRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor

from ..._parameters import store_parameters
from ..joint._label import Label, numbers
from ._base_synthesized import BaseSynthesized
from ._synthesis_doc import with_synthesis_docs


@with_synthesis_docs
class SynthesizedRegressor(RegressorMixin, BaseSynthesized):
    """Any regressor, trained on tables whose sensitive cells are drawn from a private model.

    The release of that model is all that is paid for. The regressor may be a search over a grid or an
    ensemble: it sees drawn cells alone, so that whatever it does costs nothing more. It predicts on true
    rows.

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
    >>> from skfusiondp import SynthesizedRegressor
    >>> from skfusiondp.datasets import load_adult
    >>> adult = load_adult()
    >>> table, hours = adult.table[:2000], adult.table["hours-per-week"][:2000]
    >>> model = SynthesizedRegressor(adult.sensitive, epsilon=1.0, random_state=0)
    >>> model = model.fit(table.drop(columns="hours-per-week"), hours)
    >>> model.predict(adult.table[2000:2003].drop(columns="hours-per-week")).shape
    (3,)
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
        return numbers(y, n_rows)

    def _estimator_target(self, target: np.ndarray) -> np.ndarray:
        return target

    def _default_estimator(self, seed: int) -> Any:
        return HistGradientBoostingRegressor(**self._boosting(seed))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # At a few dozen rows the noise that privacy needs drowns the signal, as it must.
        tags.regressor_tags.poor_score = True
        return tags
