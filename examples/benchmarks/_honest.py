"""Bounds of the suite's numbers as somebody would write them who knows the columns and has not seen the data.

The loaders' own bounds are some of them tight: they were written with the tables at hand. A method that needs
tight bounds to work would be flattered by them.
"""

from __future__ import annotations

from skfusiondp import Numeric
from skfusiondp.tables._domain import Domain

# Nobody needs a table to know how old people get.
_AGE = Numeric(0, 120)
_INCOME = Numeric(0, 1_000_000)
_FAMILY = Numeric(1, 30)

HONEST: dict[str, dict[str, Domain]] = {
    # The study took adults. Comorbidities are counted, and the loader's 9 is the largest count that occurs;
    # years of schooling may include a doctorate and more.
    "support2": {"age": Numeric(18, 120), "num.co": Numeric(0, 30), "edu": Numeric(0, 30)},
    # Adults are what the table is about; 95 is where this survey codes the oldest.
    "acs_massachusetts": {"AGEP": Numeric(18, 120)},
    # The cohort is of residents of 50 and more.
    "flchain": {"age": Numeric(50, 120)},
    # Self-rated health has five answers, so `hlth` stays 1 to 5. The ages 26 to 59 are the book's selection,
    # and 200,000 dollars were near the largest income.
    "nhis": {"age": _AGE, "inc": _INCOME},
    # Men of working age, but 25 to 59 are this study's selection, and 12 is next to the largest family.
    "alcohol": {"age": _AGE, "famsize": _FAMILY},
    # Holders of a credit card; 20 to 80 are the data's ends.
    "credit_default": {"AGE": _AGE},
    # 17 and 90 are where this extract begins and ends.
    "adult": {"age": _AGE},
    "adult_hours": {"age": _AGE},
    # Adults and older teenagers in intensive care, up to the age that the Challenge states. Hours from
    # hospital to intensive care: negative up to some six weeks, positive up to a day where the paperwork was
    # late. Hours in intensive care: up to two weeks. The loader clips both at what most patients have.
    "sepsis": {"Age": Numeric(14, 100), "HospAdmTime": Numeric(-1000, 24), "ICULOS": Numeric(0, 340)},
}

# Tables of one row a person, as their description says, whose rows look like copies: members of a family have
# the same public cells. Unless it is told whose row each is, the library promises for as many rows at once.
ONE_ROW_A_PERSON = {"doctor_visits"}

# Columns whose values are whole numbers, as their meaning says: counts, answers on a scale, ages and grades
# in years. A synthesizer is told so, since it draws such values.
WHOLE: dict[str, tuple[str, ...]] = {
    "support2": ("num.co", "edu"),
    "acs_massachusetts": ("AGEP",),
    "flchain": ("age",),
    "nhis": ("hlth", "age"),
    "alcohol": ("age", "famsize"),
    "credit_default": ("AGE",),
    "adult": ("age",),
    "adult_hours": ("age",),
    "sepsis": ("ICULOS",),
    "affairs": ("rate_marriage", "religious", "children"),
    "drug_spending": ("age", "totchr"),
}
