"""A table whose sensitive columns may be absent, completed by an imputer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from ..exceptions import InvalidInputError
from ..tables._schema import SensitiveSchema

if TYPE_CHECKING:
    from ._foundation_imputer import FoundationImputer


class Completed(NamedTuple):
    """Rows with all columns, and the expected encodings of those sensitive columns that were imputed."""

    frame: pd.DataFrame
    expected: Mapping[str, np.ndarray]


def completed(
    frame: pd.DataFrame,
    schema: SensitiveSchema,
    imputer: FoundationImputer | None,
    first: int = 0,
) -> Completed:
    """Impute the sensitive columns that a table lacks.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, at least n_public)
    schema : SensitiveSchema
    imputer : FoundationImputer or None
        Fitted.
    first : int
        Position of the first row in the table that `frame` is a part of.

    Raises
    ------
    InvalidInputError
        If columns are absent and there is no imputer.
    """
    absent = tuple(c for c in schema.sensitive if c not in frame)
    if not absent:
        return Completed(frame, {})
    if imputer is None:
        raise InvalidInputError(
            f"X lacks the sensitive column(s) {list(absent)} and this model was fitted without an imputer of "
            "its own. Two ways cost nothing. Missing cells: "
            f"X.assign(**dict.fromkeys({list(absent)}, numpy.nan))[model.feature_names_in_]. Cells imputed "
            "by public rows that have all columns: FoundationImputer(sensitive, support=rows).fit(table)"
            ".transform(X)[model.feature_names_in_], where table is the one that the model was fitted on."
        )
    paired = imputer._pair(frame, np.arange(first, first + len(frame)))
    return Completed(paired.original, {c: paired.encoded[c] for c in absent})
