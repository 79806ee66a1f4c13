"""Adult, the table that comes with the library."""

from __future__ import annotations

from importlib import resources

import pandas as pd

from ..tables._categorical import Categorical
from ..tables._domain import Domain
from ..tables._numeric import Numeric
from ._table import XY, SensitiveTable, as_answer, as_label, loader

_DESCRIPTION = """\
Adult (Census Income): one row a person of the US Current Population Survey of 1994; the label
is 1 where the yearly income is above 50,000 US dollars (24 % of the rows).
Source: Becker, B. and Kohavi, R. (1996). Adult. UCI Machine Learning Repository,
doi:10.24432/C5XW20, in the copy of the package xai 0.3.0 (training part, without fnlwgt and
native-country).
Licence: CC BY 4.0."""


def _sensitive() -> dict[str, Domain]:
    """Bounds and categories as UCI's documentation of the table lists them."""
    return {
        "age": Numeric(17, 90, step=1),
        "marital-status": Categorical(
            [
                *("Married-civ-spouse", "Divorced", "Never-married", "Separated", "Widowed"),
                *("Married-spouse-absent", "Married-AF-spouse"),
            ]
        ),
        "relationship": Categorical(
            ["Wife", "Own-child", "Husband", "Not-in-family", "Other-relative", "Unmarried"]
        ),
        "ethnicity": Categorical(["White", "Asian-Pac-Islander", "Amer-Indian-Eskimo", "Other", "Black"]),
        "gender": Categorical(["Female", "Male"]),
    }


@loader
def load_adult(*, return_X_y: bool = False) -> SensitiveTable | XY:
    """Load Adult (Census Income): does a person earn more than 50,000 US dollars a year?

    The table ships with the library, so nothing is downloaded. Sensitive are age (years),
    marital status, relationship, ethnicity and gender. Cells that were not answered are missing
    (workclass and occupation).

    Parameters
    ----------
    return_X_y : bool, default False
        Return ``(table, target)`` instead of a `SensitiveTable`.

    Returns
    -------
    SensitiveTable or (pandas.DataFrame, pandas.Series)
        32,561 rows and 12 columns; the target `income_over_50k` is 1 in 24 % of the rows.

    Notes
    -----
    Becker, B. and Kohavi, R. (1996). Adult. UCI Machine Learning Repository,
    doi:10.24432/C5XW20. Licence: CC BY 4.0; the changes made to the file are listed in
    ``LICENSE-adult.txt`` beside it.

    Examples
    --------
    >>> from skfusiondp.datasets import load_adult
    >>> adult = load_adult()
    >>> adult.table.shape
    (32561, 12)
    >>> round(float(adult.target.mean()), 2)
    0.24
    >>> adult.sensitive["age"]
    Numeric(low=17, high=90, step=1)
    """
    file = resources.files(__package__) / "data" / "adult.csv.gz"
    with file.open("rb") as handle:
        # Only the empty cell is missing: "None"-like words stay words on every pandas.
        frame = pd.read_csv(handle, compression="gzip", keep_default_na=False, na_values=[""])
    target = as_label(frame.pop("loan") == ">50K", "income_over_50k", frame.index)
    table = SensitiveTable("adult", frame, target, _sensitive(), _DESCRIPTION)
    return as_answer(table, return_X_y)
