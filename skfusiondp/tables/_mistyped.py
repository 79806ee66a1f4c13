"""Public columns of numbers or dates that are there as texts, which are read as categories."""

from __future__ import annotations

import re
import warnings

import pandas as pd

from ..exceptions import callers_level
from ._public_columns import PublicColumn

# Rows that are looked at. Fewer different texts may well be categories, and so may codes such as 02139.
_ROWS, _DIFFERENT = 1000, 20
_MOST_OF = 0.9
_CODE = re.compile(r"0\d")


def warn_of_mistyped(public: pd.DataFrame) -> None:
    """Warn of texts that nearly all are numbers or dates: as such a model learns more of them.

    Parameters
    ----------
    public : DataFrame of shape (n_rows, n_public)
        Public columns; the first rows are looked at.
    """
    for name in public:
        cells = public[name].head(_ROWS)
        if isinstance(cells.dtype, pd.CategoricalDtype):
            continue  # whoever made it means categories
        column = PublicColumn.of(cells)
        if column.kind != "category" or column.holds != ("texts",):
            continue
        texts = cells.dropna().astype(object)
        if texts.nunique() >= _DIFFERENT and (found := _read_as(texts)):
            kind, remedy, share = found
            warnings.warn(
                f"The public column {column.name!r} is read as categories, though {share:.0%} of its texts "
                f"are {kind}, such as {texts.iloc[0]!r}: a model learns more of {kind}. Use {remedy}, or "
                "column.astype('category') if categories are meant.",
                UserWarning,
                stacklevel=callers_level(),
            )


def _read_as(texts: pd.Series) -> tuple[str, str, float] | None:
    """What nearly all texts are, how to turn them into it, and how many are."""
    share = float(pd.to_numeric(texts, errors="coerce").notna().mean())
    if share >= _MOST_OF:
        codes = any(_CODE.match(text.strip()) for text in texts)
        return None if codes else ("numbers", "pandas.to_numeric(column, errors='coerce')", share)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        share = float(pd.to_datetime(texts, errors="coerce", format="mixed", utc=True).notna().mean())
    return ("dates", "pandas.to_datetime(column, errors='coerce')", share) if share >= _MOST_OF else None
