"""How the public model is handed the public columns: as they are, or as numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags

from ...tables._public_columns import PublicColumn
from ...tables._public_encoder import PublicEncoder


@dataclass(frozen=True)
class PublicView:
    """The public columns in a form that a model reads.

    Parameters
    ----------
    encoder : PublicEncoder or None
        None hands on the frame of public columns as it is.
    """

    _plain_values = True

    encoder: PublicEncoder | None = None

    def __call__(self, public: pd.DataFrame) -> Any:
        """The table that the model is handed; the model may change it."""
        return public.copy() if self.encoder is None else self.encoder.transform(public)

    @staticmethod
    def rows(table: Any, chosen: np.ndarray) -> Any:
        """Some rows to fit on."""
        if isinstance(table, pd.DataFrame):
            return table.iloc[chosen].reset_index(drop=True)
        part = table[chosen]
        # Boosting has no bins for a column that these rows leave empty. One made-up cell gives it some, and
        # splits none off, for a leaf needs more rows.
        part[0, np.isnan(part).all(axis=0)] = 0.0
        return part


def views_for(model: Any, columns: PublicEncoder, public: pd.DataFrame) -> Iterator[PublicView]:
    """The views that a user's model may be able to read, in the order in which to try them.

    As they are, unless that would turn dates into nanoseconds; then as numbers: as the default model gets
    them where the model knows gaps, else standardised, without gaps and with indicators of categories.

    Parameters
    ----------
    model : estimator
    columns : PublicEncoder
        The default model's, fitted.
    public : pandas.DataFrame of shape (n_rows, n_public)
    """
    tags = get_tags(model)
    dated = any(PublicColumn.of(public[c]).kind not in ("number", "category") for c in public)
    if not dated or tags.input_tags.string or _prepares_columns(model):
        yield PublicView()
    yield PublicView(columns if tags.input_tags.allow_nan else PublicEncoder().fit(public))


def _prepares_columns(model: Any) -> bool:
    """Whether a model has parts, as a pipeline has, that may read dates before all becomes numbers."""
    parts = [part for part in model.get_params(deep=True).values() if hasattr(part, "fit")]
    return any(
        isinstance(part, ColumnTransformer | FunctionTransformer)
        or type(part).__module__.split(".")[0] != "sklearn"
        for part in parts
    )
