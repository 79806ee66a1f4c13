"""Three real tables on which nothing was ever chosen: the suite judges by them, nothing else may use them.

Sensitive columns are who a person is, how she lives and how she is. Domains are what somebody would write who
knows what the columns mean and has not seen the data.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pandas as pd

from skfusiondp import Categorical, Numeric
from skfusiondp.datasets import SensitiveTable
from skfusiondp.datasets._wheels import WheelFile
from skfusiondp.tables._domain import Domain

_statsmodels = functools.partial(WheelFile, "statsmodels", "0.15.0")
_linearmodels = functools.partial(WheelFile, "linearmodels", "7.1")
_BIT = Categorical([0, 1])
_AGE = Numeric(0, 120)


def _made(name: str, frame: pd.DataFrame, target: pd.Series, public: list[str], sensitive: dict[str, Domain]):
    table = frame[[*public, *sensitive]].reset_index(drop=True)
    return SensitiveTable(name, table, target.reset_index(drop=True), sensitive, name)


def _label(true: pd.Series) -> pd.Series:
    return true.astype("int64").rename("label")


def affairs() -> SensitiveTable:
    """Whether a reader of Redbook had an affair (Fair 1978, statsmodels); one row a married woman."""
    file = _statsmodels("statsmodels/datasets/fair/fair.csv")
    public = ["educ", "occupation", "occupation_husb"]
    sensitive: dict[str, Domain] = {
        "rate_marriage": Numeric(1, 5),  # the questionnaire's answers, very poor to very good
        "age": _AGE,
        "yrs_married": Numeric(0, 100),
        "children": Numeric(0, 20),
        "religious": Numeric(1, 4),  # the questionnaire's answers, not at all to strongly
    }
    frame = file.pick(pd.read_csv(file.path()), [*public, *sensitive, "affairs"])
    return _made("affairs", frame, _label(frame["affairs"] > 0), public, sensitive)


def doctor_visits() -> SensitiveTable:
    """Whether a person sees a doctor within the year (RAND Health Insurance Experiment, statsmodels).

    One row a person, its first year. Left out is what follows the label (visits, admissions, expenses), and
    what repeats a sensitive column: child, fchild, linc, ghindx and xghindx.
    """
    file = _statsmodels("statsmodels/datasets/randhie/src/randhie.csv")
    # A plan and what it pays, where it is offered, and how many belong to the family.
    public = ["plan", "site", "coins", "tookphys", "num", "lpi", "idp", "logc", "fmde"]
    sensitive: dict[str, Domain] = {
        "xage": _AGE,
        "female": _BIT,
        "black": _BIT,
        "income": Numeric(0, 1_000_000),  # dollars a year
        "educdec": Numeric(0, 30),  # years of schooling of the family's head
        "mhi": Numeric(0, 100),  # an index of mental health, defined between these
        "disea": Numeric(0, 100),  # an index of chronic diseases
        "physlm": _BIT,  # has a physical limitation
        "health": Categorical(["excellent", "good", "fair", "poor"]),
    }
    asked = ["hlthg", "hlthf", "hlthp"]
    found = [c for c in sensitive if c != "health"]
    frame = file.pick(pd.read_csv(file.path()), [*public, *found, *asked, "zper", "year", "mdvis"])
    frame = frame.sort_values(["zper", "year"]).drop_duplicates("zper")
    # Answers that were not given are shares in this file.
    frame = frame.assign(
        health=_health(frame, asked, ["good", "fair", "poor"]),
        **{c: frame[c].round().astype("int64") for c in ("black", "physlm")},
    )
    return _made("doctor_visits", frame, _label(frame["mdvis"] > 0), public, sensitive)


def drug_spending() -> SensitiveTable:
    """The logarithm of what a person of Medicare's age spends on drugs in a year (MEPS, linearmodels).

    Left out is what repeats a sensitive column: ssiratio, poverty, lowincome, midincome, linc, age2, vgh,
    fph, blhisp, and priolist, which says whether there is a chronic condition.
    """
    file = _linearmodels("linearmodels/datasets/meps/meps.csv.bz2")
    public = ["educyr", "private", "msa", "firmsz", "multlc", "hi_empunion"]
    sensitive: dict[str, Domain] = {
        "age": Numeric(65, 120),  # who gets Medicare is known
        "female": _BIT,
        "black": _BIT,
        "hisp": _BIT,
        "marry": _BIT,
        "income": Numeric(0, 1_000),  # thousands of dollars a year: a few losses are clipped
        "totchr": Numeric(0, 20),  # chronic conditions
        "health": Categorical(["excellent", "very good", "good", "fair", "poor"]),
    }
    asked = ["vegood", "good", "fair", "poor"]
    found = [c for c in sensitive if c != "health"]
    frame = file.pick(pd.read_csv(file.path()), [*public, *found, *asked, "ldrugexp"])
    frame = frame.assign(health=_health(frame, asked, ["very good", "good", "fair", "poor"]))
    return _made("drug_spending", frame, frame["ldrugexp"], public, sensitive)


def _health(frame: pd.DataFrame, columns: list[str], names: list[str]) -> pd.Series:
    """One column out of 0/1 columns; where none is set, health is excellent."""
    answers = frame[columns].to_numpy(dtype=float)
    answers = np.hstack([answers, 1 - answers.sum(axis=1, keepdims=True)])
    chosen = np.array([*names, "excellent"], dtype=object)[answers.argmax(axis=1)]
    return pd.Series(chosen, index=frame.index, dtype=object)


TABLES: dict[str, Callable[[], SensitiveTable]] = {
    f.__name__: f for f in (affairs, doctor_visits, drug_spending)
}
# Spending of one dollar to 100,000, in logarithms.
TARGET_BOUNDS = {"drug_spending": (0.0, 11.5)}
