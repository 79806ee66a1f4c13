"""A stub of declarations comes from types and public rows, and cannot be used before it is filled in."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

import skfusiondp
from skfusiondp import Categorical, Date, FusionDPClassifier, Numeric, domains_from
from skfusiondp.exceptions import InvalidInputError

TABLE = pd.DataFrame(
    {
        "age": [61, 48],
        "dose": [0.5, None],
        "sex": ["secret", "m"],
        "born": pd.to_datetime(["1964-01-01", "1977-01-01"]),
        "stay": pd.to_timedelta([1, 2], unit="D"),
        "smoker": [True, False],
        "ward": pd.Categorical(["secret", "b"]),
        "odd": pd.Series(["secret", 3], dtype=object),
    }
)
BLANKS = {
    "age": "Numeric(low=..., high=..., step=1)", "dose": "Numeric(low=..., high=...)",
    "sex": "Categorical([...])", "born": "Date(low=..., high=...)", "stay": "Numeric(low=..., high=...)",
    "smoker": "Categorical([False, True])", "ward": "Categorical([...])", "odd": "Categorical([...])",
}  # fmt: skip


@pytest.mark.parametrize("given", [TABLE, TABLE.dtypes, TABLE.dtypes.to_dict(), TABLE.iloc[:0]], ids=type)
def test_types_give_blanks_and_no_cell_is_shown(given):
    stub = domains_from(given)
    assert stub.blanks == BLANKS and set(stub.values()) == {...} and list(stub) == list(TABLE)
    text = repr(stub)
    assert "secret" not in text and "1964" not in text
    for column, code in BLANKS.items():
        assert f"    {column!r}: {code},  # " in text
    assert "Date(low=..., high=...) for dates" in text


def test_what_is_printed_is_code_that_is_refused_until_it_is_filled_in():
    for line in repr(domains_from(TABLE)).splitlines()[2:-1]:
        code = line.partition(": ")[2].partition("  #")[0].rstrip(",")
        if "..." in code:
            with pytest.raises(InvalidInputError):
                eval(code, vars(skfusiondp) | {"Numeric": Numeric, "Categorical": Categorical, "Date": Date})
    with pytest.raises(InvalidInputError, match=r"sensitive\['age'\]=Ellipsis is not a domain; declare"):
        FusionDPClassifier(domains_from(TABLE[["age"]])).fit(pd.concat([TABLE] * 30), [0, 1] * 30)


def test_support_rows_fill_it_in_and_say_so():
    support = TABLE.assign(age=[20, 80], sex=["f", "m"])[["age", "sex", "born"]].assign(born=pd.NaT)
    stub = domains_from(TABLE, support=support)
    assert stub["age"] == Numeric(20, 80, step=1) and stub["sex"] == Categorical(["f", "m"])
    assert stub["born"] is ... and stub["dose"] is ...
    text = repr(stub)
    assert "'age': Numeric(low=20.0, high=80.0, step=1),  # from the support rows: widen it" in text


def test_a_filled_in_stub_is_a_declaration():
    stub = domains_from(pd.DataFrame({"lab": [0.0], "age": [0.0]}).dtypes)
    del stub["lab"]
    stub["age"] = Numeric(0, 100)
    table = pd.DataFrame({"lab": np.linspace(-1, 1, 60), "age": np.linspace(0, 99, 60)})
    model = FusionDPClassifier(stub, method="feature-dp", noise_multiplier=1.0, steps=1)
    assert model.fit(table, table["lab"] > 0).schema_.domains == {"age": Numeric(0, 100)}
    for copied in (copy.deepcopy(stub), pickle.loads(pickle.dumps(stub))):
        assert copied == stub and repr(copied) == repr(stub)
    assert "'age': Numeric(low=0, high=100),  # float64" in repr(stub)


def test_every_kind_of_table(tmp_path):
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": [1], "b": ["x"], "c": [True]}).with_columns(
        d=pl.lit("2020-01-01").str.to_date(), e=pl.duration(days=1)
    )
    expected = ["Numeric", "Categorical", "Categorical", "Date", "Numeric"]
    for given in (frame, frame.schema):
        assert [code.partition("(")[0] for code in domains_from(given).blanks.values()] == expected
    assert list(domains_from(np.zeros((2, 3)))) == [0, 1, 2]
    TABLE.drop(columns="odd").to_parquet(tmp_path / "x.parquet")
    assert domains_from(tmp_path / "x.parquet").blanks == {k: v for k, v in BLANKS.items() if k != "odd"}
    array = np.random.default_rng(0).normal(size=(40, 2))
    assert isinstance(domains_from(array, support=array)[1], Numeric)


@pytest.mark.parametrize("given", [5, "nowhere", {"a": "no type"}, [1, 2], None])
def test_what_is_no_table_is_refused(given):
    with pytest.raises(InvalidInputError):
        domains_from(given)


def test_whole_numbers_may_be_codes_and_the_bounds_of_a_constant_read_well():
    stub = domains_from(TABLE[["age", "dose"]])
    assert "# int64; or Categorical([...]) for codes" in repr(stub) and repr(stub).count("codes") == 1
    filled = domains_from(TABLE[["age"]], support=pd.DataFrame({"age": [2013, 2013]}))
    assert "Numeric(low=2012.0, high=2014.0, step=1)" in repr(filled)
