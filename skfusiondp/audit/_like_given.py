"""A frame as a table of the kind that the user gave."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..tables._frames import is_arrow, is_polars


def like_given(frame: pd.DataFrame, X: Any) -> Any:
    """What `as_frame` made of a table, with some cells changed, as a table whose columns go by X's names.

    Estimators find the columns that they name, or number, as in `X`.
    """
    if isinstance(X, pd.DataFrame):
        return frame.set_axis(X.columns, axis=1)
    return frame if is_polars(X) or is_arrow(X) else frame.to_numpy()
