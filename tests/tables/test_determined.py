"""A public column that says what a sensitive one holds makes its protection empty, and is found."""

import json
import pickle
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from skfusiondp import (
    Categorical,
    Date,
    FoundationImputer,
    FusionDPClassifier,
    Numeric,
    OffsetFusionClassifier,
    PrivacyLeakError,
    PrivacyLeakWarning,
)
from skfusiondp.datasets import load_adult, load_flchain, load_nhis, load_support2
from skfusiondp.exceptions import MissingDependencyError
from skfusiondp.tables._determined import determined

DISEASES = list("abcdefgh")
DOMAINS = {
    "age": Numeric(0, 120),
    "sex": Categorical(["f", "m"]),
    "disease": Categorical(DISEASES),
    "income": Numeric(0, 1e7),
}


def made_table(n, seed=0, **more):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "lab": rng.normal(size=n),
            "ward": rng.choice(list("xyz"), n),
            "number": rng.permutation(n),
            "age": rng.integers(18, 90, n),
            "sex": rng.choice(["f", "m"], n),
            "disease": rng.choice(DISEASES, n, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.03, 0.02]),
            "income": np.exp(rng.normal(10, 1, n)),
        }
    )
    year = rng.integers(2000, 2020, n)
    copies = {
        "age2": table["age"] * 1.0,
        "birth_year": 2020 - table["age"],
        "born": pd.Timestamp("2020-06-01") - pd.to_timedelta(365 * table["age"], unit="D"),
        "admitted": year,
        "born_in": year - table["age"],
        "sex_code": np.where(table["sex"] == "f", 2, 1),
        "female": table["sex"] == "f",
        "code": ["icd-" + chr(ord(v) + 7) for v in table["disease"]],
        "detail": [v + str(rng.integers(3)) for v in table["disease"]],
        "log_income": np.log(table["income"]),
        "rounded": table["income"].round(-2),
        "decade": table["age"] // 10,
        "about": table["age"] + rng.normal(0, 5, n),
        "gaps": table["age"].where(rng.random(n) < 0.9),
    }
    return table.assign(**{c: copies[c] for c in more})


FOUND = {
    "age2": "'age2' determines 'age' (the same numbers)",
    "birth_year": "'birth_year' determines 'age' (a linear function of it)",
    "born": "'born' determines 'age' (a linear function of it)",
    "admitted born_in": "'admitted' and 'born_in' determine 'age' (a sum of multiples of them)",
    "sex_code": "'sex_code' determines 'sex' (the same values under other names)",
    "female": "'female' determines 'sex' (the same values under other names)",
    "code": "'code' determines 'disease' (the same values under other names)",
    "detail": "'detail' determines 'disease' (a function of it)",
    "log_income": "'log_income' determines 'income' (a monotone function of it)",
    "rounded": "'rounded' determines 'income' (a linear function of it)",
}


@pytest.mark.parametrize("n", [300, 4000])
@pytest.mark.parametrize("columns", FOUND)
def test_what_determines_a_column_is_named(columns, n):
    found = determined(made_table(n, **dict.fromkeys(columns.split())), DOMAINS)
    assert [str(d) for d in found] == [FOUND[columns]]


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 30, 150, 4000])
@pytest.mark.parametrize("columns", ["", "decade", "about", "admitted"])
def test_what_only_tells_about_it_is_no_alarm(columns, n):
    for seed in range(3):
        table = made_table(n, seed, **dict.fromkeys(columns.split()))
        assert determined(table, DOMAINS) == ()


def test_few_rows_suffice_for_a_plain_copy_and_too_few_say_nothing():
    assert determined(made_table(40, age2=1), DOMAINS)
    assert not determined(made_table(20, age2=1), DOMAINS)


def test_dates_of_birth_are_determined_by_ages():
    table = made_table(200, born=1)
    (found,) = determined(table, {"born": Date("1900-01-01", "2010-01-01")})
    assert str(found) == "'age' determines 'born' (a linear function of it)"


def test_odd_cells_are_no_error_and_missing_ones_hide_nothing():
    table = made_table(200, age2=1, gaps=1).astype({"age": object, "sex": object})
    table.loc[[0, 1, 2], "age"] = [None, "?", 1e300]
    table.loc[[3, 4], "sex"] = [None, "other"]
    table["empty"], table["constant"], table["huge"] = None, 1, 10.0 ** np.linspace(-300, 300, 200)
    assert {d.public for d in determined(table, DOMAINS)} >= {("age2",)}
    assert determined(table[["age", "sex"]], DOMAINS) == ()


@pytest.mark.parametrize("loader", [load_adult, load_flchain, load_nhis, load_support2])
def test_no_alarm_on_real_tables(loader):
    try:
        data = loader()
    except MissingDependencyError as absent:
        pytest.skip(str(absent))
    for size in (50, 500, 2000):
        assert determined(data.table.sample(size, random_state=size), data.sensitive) == ()


def test_it_takes_a_fraction_of_a_second():
    data = load_adult()
    started = time.process_time()
    determined(data.table, data.sensitive)
    assert time.process_time() - started < 1.5


# In a fit ------------------------------------------------------------------------------------------------

DECLARED = {"age": Numeric(0, 120)}
SUPPORT, TABLE = made_table(150, 1, birth_year=1), made_table(80, 2, birth_year=1)
Y = (TABLE["lab"] > 0).astype(int)
SAID = "'birth_year' determines 'age' (a linear function of it)"
ONE_STEP = {"noise_multiplier": 1.0, "steps": 1, "public_epochs": 1}
OFFSET = {"noise_multiplier": 5.0, "public_model": DummyClassifier()}
MADE = {
    "fusiondp": lambda **given: FusionDPClassifier(
        DECLARED, support=SUPPORT, method="feature-dp", **ONE_STEP, **given
    ),
    "offset": lambda **given: OffsetFusionClassifier(DECLARED, support=SUPPORT, **OFFSET, **given),
    "imputer": lambda **given: FoundationImputer(DECLARED, support=SUPPORT, backend="domain", **given),
}


@pytest.mark.parametrize("name", MADE)
def test_a_fit_says_it_as_on_leak_asks(name, recwarn):
    with pytest.warns(PrivacyLeakWarning, match=r"Among the support rows 'birth_year' determines 'age'"):
        model = MADE[name]().fit(TABLE, Y)
    with pytest.raises(PrivacyLeakError, match="Name them sensitive too"):
        MADE[name](on_leak="raise").fit(TABLE, Y)
    recwarn.clear()
    quiet = MADE[name](on_leak="ignore").fit(TABLE, Y)
    assert not [w for w in recwarn if issubclass(w.category, PrivacyLeakWarning)]
    assert quiet.schema_.determined == model.schema_.determined == (SAID,)
    assert pickle.loads(pickle.dumps(model.schema_)).determined == (SAID,)
    if name != "imputer":
        report = quiet.privacy_report()
        assert SAID in str(report) and SAID in json.loads(report.to_json())["not_covered"][0]
        assert np.isfinite(quiet.epsilon_)  # the training cells were paid for


@pytest.mark.filterwarnings("error::skfusiondp.PrivacyLeakWarning")
def test_whole_rows_may_hold_copies_and_training_cells_are_not_looked_at():
    whole = FusionDPClassifier(DECLARED, support=SUPPORT, method="dp-sgd", **ONE_STEP)
    assert whole.fit(TABLE, Y).schema_.determined == ()
    no_support = FusionDPClassifier(DECLARED, method="feature-dp", **ONE_STEP)
    assert no_support.fit(TABLE, Y).schema_.determined == ()
    other = SUPPORT.assign(birth_year=np.random.default_rng(0).permutation(SUPPORT["birth_year"]))
    assert MADE["fusiondp"]().set_params(support=other).fit(TABLE, Y).schema_.determined == ()
