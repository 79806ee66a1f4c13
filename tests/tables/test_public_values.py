"""Public cells are read by value, whatever type holds them; what cannot be is refused in one sentence."""

import uuid
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    Numeric,
    OffsetFusionClassifier,
)
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.preprocessing import PrivateStandardScaler, TableEncoder
from skfusiondp.tables._frames import as_frame
from skfusiondp.tables._public_columns import PublicColumn
from skfusiondp.tables._public_encoder import PublicEncoder

WHOLE_MODELS = True

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
N = 60
AGE = {"age": Numeric(0, 100)}
CODE = np.tile([1, 2, 3], N // 3)
Y = (CODE == 2).astype(int)
pytestmark = pytest.mark.filterwarnings("ignore::skfusiondp.DataHolderWarning")


def table(cells, age=50.0):
    return pd.DataFrame({"code": cells, "age": np.full(len(cells), age) + np.arange(len(cells)) % 7})


def encoders(train):
    """What each encoder of public columns makes of a table, after a fit on another."""
    public = as_frame(train)[["code"]]
    network = TableEncoder(AGE).fit(train)
    yield lambda X: network.transform(X)[:, ~network.sensitive_features_]
    for form, order in (("dense", "frequency"), ("ordinal", "name")):
        encoder = PublicEncoder(form, order).fit(public)
        yield lambda X, encoder=encoder: encoder.transform(as_frame(X)[["code"]])


def series(values, kind):
    return pd.Series(values, dtype=object) if kind == "object" else pd.Series(values).astype(kind)


AS_NUMBERS = {
    "int": lambda v: table(pd.Series(v)),
    "int8": lambda v: table(series(v, "int8")),
    "float": lambda v: table(series(v, float)),
    "float32": lambda v: table(series(v, "float32")),
    "Int64": lambda v: table(series(v, "Int64")),
    "Float64": lambda v: table(series(v, "Float64")),
    "arrow": lambda v: table(series(v, "int64[pyarrow]")),
    "arrow decimal": lambda v: table(
        pd.Series([Decimal(int(c)) for c in v], dtype=pd.ArrowDtype(pa.decimal128(9, 2)))
    ),
    "objects": lambda v: table(series(list(v), "object")),
    "decimals": lambda v: table(series([Decimal(int(c)) for c in v], "object")),
    "fractions": lambda v: table(series([Fraction(int(c)) for c in v], "object")),
    "big-endian": lambda v: table(pd.Series(np.asarray(v, dtype=">i4"))),
    "polars": lambda v: pl.DataFrame({"code": v, "age": np.full(len(v), 50.0)}),
    "pyarrow": lambda v: pa.table({"code": v, "age": np.full(len(v), 50.0)}),
    "category of ints": lambda v: table(pd.Series(v).astype("category")),
    "category of floats": lambda v: table(series(v, float).astype("category")),
    "category of objects": lambda v: table(series(list(v), "object").astype("category")),
}
AS_TEXTS = {
    "objects": lambda v: table(series(list(v), "object")),
    "str": lambda v: table(series(v, "str")),
    "string": lambda v: table(series(v, "string")),
    "arrow": lambda v: table(series(v, "string[pyarrow]")),
    "ArrowDtype": lambda v: table(pd.Series(v, dtype=pd.ArrowDtype(pa.string()))),
    "dictionary": lambda v: table(pd.Series(v, dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string())))),
    "category": lambda v: table(pd.Series(v).astype("category")),
    "polars": lambda v: pl.DataFrame({"code": v, "age": np.full(len(v), 50.0)}),
    "polars categories": lambda v: pl.DataFrame(
        {"code": pl.Series(v, dtype=pl.Categorical), "age": np.full(len(v), 50.0)}
    ),
    "polars enum": lambda v: pl.DataFrame(
        {"code": pl.Series(v, dtype=pl.Enum(["1", "2", "3"])), "age": np.full(len(v), 50.0)}
    ),
    "pyarrow": lambda v: pa.table({"code": v, "age": np.full(len(v), 50.0)}),
}
TEXTS = [str(v) for v in CODE]


@pytest.mark.parametrize("name", AS_NUMBERS)
def test_numbers_are_equal_by_value(name):
    """In each direction: fitted on one type, used on another."""
    for trained, wanted in ((AS_NUMBERS["int"], "number"), (AS_NUMBERS["category of ints"], "category")):
        for encode in encoders(trained(CODE)):
            assert np.array_equal(encode(trained(CODE)), encode(AS_NUMBERS[name](CODE)))
        assert PublicColumn.of(as_frame(trained(CODE))["code"]).kind == wanted
    for encode in encoders(AS_NUMBERS[name](CODE)):
        assert np.array_equal(encode(AS_NUMBERS[name](CODE)), encode(table(CODE.astype(float))))


@pytest.mark.parametrize("name", AS_TEXTS)
def test_texts_are_equal_by_value(name):
    for one, other in ((AS_TEXTS["str"], AS_TEXTS[name]), (AS_TEXTS[name], AS_TEXTS["str"])):
        for encode in encoders(one(TEXTS)):
            assert np.array_equal(encode(one(TEXTS)), encode(other(TEXTS)))


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
@pytest.mark.parametrize("kind", ["object", "Int64", "boolean", "string", "category", "polars"])
def test_a_missing_cell_is_missing_in_every_type(kind, gap):
    values = {"boolean": [True, False, True, gap], "string": ["a", "b", "a", gap]}.get(kind, [1, 2, 1, gap])
    if kind == "polars":
        X = pl.DataFrame({"code": [None if pd.isna(v) else v for v in values], "age": [5.0] * 4})
    else:
        X = table(pd.Series(values, dtype=object).astype(kind))
    for encode in encoders(X):
        found, complete = encode(X), encode(X[:3])
        assert np.array_equal(found[:3], complete) and not np.array_equal(found[3], found[0], equal_nan=True)


def test_truth_values_are_numbers():
    truth = np.arange(6) % 2 == 0
    for trained in (truth, pd.Series(truth).astype("category"), pd.Series(truth, dtype="boolean")):
        for encode in encoders(table(trained)):
            found = [
                encode(table(pd.Series(truth).astype(k))) for k in (bool, int, float, object, "category")
            ]
            assert all(np.array_equal(f, found[0]) for f in found) and np.ptp(found[0]) > 0
    mixed = table(pd.Series(["yes", True, 1, 1.0, "1", "True"], dtype=object))
    for encode in encoders(mixed):
        found = encode(mixed)
        assert len(np.unique(found, axis=0)) == 4  # "yes"; the number 1; "1"; "True"
        assert np.array_equal(found[1], found[2]) and np.array_equal(found[2], found[3])


@pytest.mark.parametrize("name", AS_NUMBERS)
def test_texts_where_numbers_were_are_refused(name):
    for encode in encoders(AS_NUMBERS[name](CODE)):
        with pytest.raises(
            InvalidInputError, match=r"'code' holds numbers in the fit and texts such as '1'.*nume"
        ):
            encode(AS_TEXTS["str"](TEXTS))


@pytest.mark.parametrize("name", AS_TEXTS)
def test_numbers_where_texts_were_are_refused(name):
    for encode in encoders(AS_TEXTS[name](TEXTS)):
        with pytest.raises(
            InvalidInputError, match=r"'code' holds texts in the fit and numbers such as 1 now.*astype"
        ):
            encode(AS_NUMBERS["int"](CODE))


@pytest.mark.parametrize(
    ("trained", "cells", "both"),
    [
        ([1.0, 2.0], pd.to_datetime(["2024-01-01", "2024-01-02"]), "numbers in the fit and dates"),
        ([1.0, 2.0], pd.to_timedelta([1, 2], unit="D"), "numbers in the fit and durations"),
        (["2024-01-01", "2024-01-02"], [1.0, 2.0], "dates in the fit and numbers"),
        (["2024-01-01", "2024-01-02"], ["2024-01-01", "soon"], "something that is none .*soon"),
        (
            pd.to_datetime(["2024-01-01", "2024-01-02"]),
            pd.to_timedelta([1, 2], unit="D"),
            "dates .* durations",
        ),
        (["a", "b"], pd.to_datetime(["2024-01-01", "2024-01-02"]), "texts in the fit and dates"),
    ],
)
def test_dates_and_others_are_not_taken_for_each_other(trained, cells, both):
    for encode in encoders(table(pd.Series(trained))):
        with pytest.raises(InvalidInputError, match=f"'code' .*holds {both}"):
            encode(table(pd.Series(cells)))


class Own:
    def __repr__(self):
        return "one of ours"


@pytest.mark.parametrize(
    "cell",
    [[1, 2], {"a": 1}, {1, 2}, np.arange(2), (1, 2), Own(), np.zeros((2, 2)), pd.Series([1])],
    ids=repr,
)
def test_cells_that_are_no_values_are_refused(cell):
    cells = pd.Series([None] * N, dtype=object)
    cells.iloc[0] = "a"
    cells.iloc[1:] = pd.Series([cell] * (N - 1), index=cells.index[1:], dtype=object)
    X = table(cells)
    for made in (
        lambda: TableEncoder(AGE).fit(X),
        lambda: PublicEncoder().fit(X),
        lambda: FusionDPClassifier(AGE, random_state=0).fit(X, Y),
        lambda: OffsetFusionClassifier(AGE, random_state=0).fit(X, Y),
        lambda: FoundationImputer(AGE, support=X).fit(X),
        lambda: PrivateStandardScaler(AGE, random_state=0).fit(X),
    ):
        with pytest.raises(InvalidInputError, match=rf"'code' holds cells of type {type(cell).__name__}"):
            made()
    for domain in (Numeric(0, 1), Categorical(["a", 1])):  # and never refused where they are sensitive
        assert np.isfinite(domain.encode(cells)).all()
    assert Categorical(["a", 1]).codes(cells).tolist() == [0] + [2] * (N - 1)


def test_cells_of_other_types_that_are_values_are_categories():
    day = date(2024, 2, 29)
    for cells in (
        pd.cut(np.arange(8.0), 3),
        [uuid.UUID(int=i % 3) for i in range(8)],
        [day, 3] * 4,
        [b"a", b"b"] * 4,
    ):
        X = table(pd.Series(cells))
        for encode in encoders(X):
            assert len(np.unique(encode(X), axis=0)) == len(set(cells))


@pytest.mark.slow
def test_odd_cells_give_no_error_from_inside():
    for cells in ([Decimal("sNaN"), Decimal(1)], ["\ud800", "b"], [Decimal("NaN"), 2], [True, pd.NA]):
        X = table(pd.Series(cells * (N // 2), dtype=object))
        model = FusionDPClassifier(AGE, noise_multiplier=1.0, steps=1, public_epochs=1, random_state=0)
        assert len(model.fit(X, Y).predict(X)) == N
        assert len(OffsetFusionClassifier(AGE, steps=1, random_state=0).fit(X, Y).predict(X)) == N
    with pytest.raises(InvalidInputError, match=r"'code' holds numbers, .*too large"):
        TableEncoder(AGE).fit(table(pd.Series([10**400] * N, dtype=object)))


@pytest.mark.slow
def test_an_imputer_reads_support_rows_of_another_type():
    """It erred by 13.7 for 0.007."""
    age = 20.0 + 20 * CODE
    support = pd.DataFrame({"code": pd.Series(CODE).astype("category"), "age": age})
    for backend in (LinearRegression(), "ensemble"):
        imputer = FoundationImputer(AGE, support=support, backend=backend, random_state=0)
        for kind in (int, float, "Int64", object, "category"):
            X = pd.DataFrame({"code": pd.Series(CODE).astype(kind), "age": 0.0})
            assert np.abs(imputer.fit_transform(X)["age"] - age).max() < 3


@pytest.mark.parametrize("other", ["support", "X"])
def test_support_rows_of_texts_and_training_rows_of_numbers_are_refused_before_anything_is_paid(other):
    tables = {"X": table(CODE), "support": table(CODE, 45.0)}
    tables[other] = tables[other].assign(code=TEXTS)
    X, support = tables["X"], tables["support"]
    imputer = FoundationImputer(AGE, support=support)
    for model in (
        FusionDPClassifier(AGE, imputer=imputer, random_state=0),
        OffsetFusionClassifier(AGE, support=support, support_target=Y, random_state=0),
    ):
        with pytest.raises(
            InvalidInputError, match=r"'code' holds \w+ in X and \w+ such as '?1'? in support"
        ):
            model.fit(X, Y)
        assert not hasattr(model, "ledger_")
    with pytest.raises(InvalidInputError, match="in support"):
        imputer.fit(X)
