"""The table of the FusionDP paper, read out of a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, overload

import pandas as pd

from ..exceptions import InvalidInputError
from ..tables._categorical import Categorical
from ..tables._domain import Domain
from ..tables._numeric import Numeric
from ._table import XY, SensitiveTable, as_answer, as_label

_FOLDER = "SKFUSIONDP_SEPSIS"
_FILES = ("train_ori.csv", "train_hybrid.csv", "val.csv")
_LABEL = "SepsisLabel"
_SOURCE = (
    "the table comes from the PhysioNet/CinC Challenge 2019 (doi:10.13026/v64v-d857), in the "
    "split published with the FusionDP paper (arXiv 2511.03806), as the files " + ", ".join(_FILES)
)
_DESCRIPTION = """\
Sepsis: one row a patient of an intensive care unit; the label is 1 where sepsis was diagnosed
(15 % of the rows). `hybrid` holds the training rows with their sensitive columns imputed by
TabPFN v2 from rows that are not among them; `support` holds the paper's validation rows.
Source: Reyna et al. (2019), PhysioNet/Computing in Cardiology Challenge 2019,
doi:10.13026/v64v-d857, in the split of the FusionDP paper (arXiv 2511.03806).
Licence: CC BY 4.0."""


def _sensitive() -> dict[str, Domain]:
    """Bounds from what is known of intensive care, not from the training rows."""
    return {
        # Adults and older teenagers; 100 is the largest age that the Challenge records.
        "Age": Numeric(14, 100),
        "Gender": Categorical([0, 1]),
        "Unit1": Categorical([0, 1]),
        "Unit2": Categorical([0, 1]),
        # Hours from hospital to intensive care, negative. Most patients move within days; the
        # few who lay in hospital for more than three weeks are clipped.
        "HospAdmTime": Numeric(-504, 0),
        # Hours since admission to intensive care. Stays beyond about four days are clipped.
        "ICULOS": Numeric(1, 100),
    }


@overload
def load_sepsis(
    folder: str | os.PathLike | None = None, *, return_X_y: Literal[False] = False
) -> SensitiveTable: ...
@overload
def load_sepsis(folder: str | os.PathLike | None = None, *, return_X_y: Literal[True]) -> XY: ...
def load_sepsis(folder: str | os.PathLike | None = None, *, return_X_y: bool = False) -> SensitiveTable | XY:
    """Load the sepsis table of the FusionDP paper: does a patient in intensive care get sepsis?

    Sensitive are Age (years), Gender, Unit1 and Unit2 (medical or surgical unit, may be missing),
    HospAdmTime (hours from hospital to intensive care admission, negative) and ICULOS (hours in
    intensive care). Public are 30 vital signs and laboratory values, missing where not measured.
    ICULOS_bin is left out, for it repeats ICULOS.

    Parameters
    ----------
    folder : path-like, optional
        Holds train_ori.csv, train_hybrid.csv and val.csv. If None, the environment variable
        ``SKFUSIONDP_SEPSIS`` names the folder.
    return_X_y : bool, default False
        Return ``(table, target)`` instead of a `SensitiveTable`.

    Returns
    -------
    SensitiveTable or (pandas.DataFrame, pandas.Series)
        14,293 training rows and 36 columns; the target `SepsisLabel` is 1 in 15 % of the rows.
        `hybrid` is the paper's hybrid view of the same rows. `support` and `support_target` are
        its 1,573 validation rows: use them as public support or to validate, not both at once.

    Raises
    ------
    InvalidInputError
        If no folder is named, it or a file is absent, or the files do not belong together.

    Notes
    -----
    Reyna, M. A. et al. (2019). Early prediction of sepsis from clinical data: the
    PhysioNet/Computing in Cardiology Challenge 2019. doi:10.13026/v64v-d857. Licence: CC BY 4.0.

    Examples
    --------
    >>> from skfusiondp.datasets import load_sepsis
    >>> load_sepsis("path/to/sepsis")  # doctest: +SKIP
    SensitiveTable('sepsis', 14293 rows, 36 columns, 6 of them sensitive)
    """
    ori, hybrid, val = (pd.read_csv(path) for path in _paths(folder))
    sensitive = _sensitive()
    table, target = _split(ori, list(ori.columns), "train_ori.csv")
    imputed, imputed_target = _split(hybrid, list(ori.columns), "train_hybrid.csv")
    support, support_target = _split(val, list(ori.columns), "val.csv")
    missing = [c for c in sensitive if c not in table]
    if missing:
        raise InvalidInputError(f"The file train_ori.csv lacks the column(s) {missing}; {_SOURCE}.")
    public = [c for c in table.columns if c not in sensitive]
    # A view that is shifted by one row would train silently on the wrong patients.
    if not (imputed[public].equals(table[public]) and imputed_target.equals(target)):
        raise InvalidInputError(
            "The files train_hybrid.csv and train_ori.csv do not hold the same patients row by "
            f"row; {_SOURCE}."
        )
    answer = SensitiveTable(
        "sepsis",
        table,
        target,
        sensitive,
        _DESCRIPTION,
        hybrid=imputed.astype(table.dtypes.to_dict()),
        support=support,
        support_target=support_target,
    )
    return as_answer(answer, return_X_y)


def _paths(folder: str | os.PathLike | None) -> list[Path]:
    """Return where the three files lie."""
    named = os.environ.get(_FOLDER) if folder is None else folder
    if not named:
        raise InvalidInputError(
            f"folder={folder!r} and the environment variable {_FOLDER} name no folder; {_SOURCE}."
        )
    paths = [Path(named).expanduser() / name for name in _FILES]
    absent = [path.name for path in paths if not path.is_file()]
    if absent:
        raise InvalidInputError(f"folder={str(named)!r} does not hold {', '.join(absent)}; {_SOURCE}.")
    return paths


def _split(frame: pd.DataFrame, columns: list[str], file: str) -> XY:
    """Return the columns of `frame` in the order of `columns`, and its label."""
    absent = [c for c in dict.fromkeys([*columns, _LABEL]) if c not in frame]
    if absent:
        raise InvalidInputError(f"The file {file} lacks the column(s) {absent}; {_SOURCE}.")
    features = [c for c in columns if c not in (_LABEL, "ICULOS_bin")]
    return frame[features], as_label(frame[_LABEL], _LABEL, frame.index)
