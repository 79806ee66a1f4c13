"""Tables of every kind, in and out: byte orders, Arrow, labels of several levels, polars and pandas."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    OffsetFusionClassifier,
    OffsetFusionRegressor,
)
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.preprocessing import (
    PrivateCategories,
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
    TableEncoder,
)

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
pytestmark = pytest.mark.filterwarnings("ignore::skfusiondp.DataHolderWarning")
N = 120
rng = np.random.default_rng(0)
ARRAY = np.column_stack([rng.normal(size=N).round(3), rng.integers(0, 5, N), rng.integers(20, 80, N)])
FRAME = pd.DataFrame(ARRAY, columns=["lab", "kind", "age"])
Y, T, W = (ARRAY[:, 0] > 0).astype(int), ARRAY[:, 0] * 3 + 1, rng.uniform(0.5, 1.5, N)
AGE, THIRD, PAIR = ({key: Numeric(18, 90)} for key in ("age", 2, ("who", "age")))
PAID = {"noise_multiplier": 1.0, "random_state": 0}
FITS = {
    "fusion": lambda s: FusionDPClassifier(s, steps=2, public_epochs=1, **PAID),
    "fusion regressor": lambda s: FusionDPRegressor(s, steps=2, public_epochs=1, **PAID),
    "offset": lambda s: OffsetFusionClassifier(s, steps=2, **PAID),
    "offset regressor": lambda s: OffsetFusionRegressor(s, steps=2, **PAID),
}
TRANSFORMERS = {
    "scaler": lambda s: PrivateStandardScaler(s, **PAID),
    "quantiles": lambda s: PrivateQuantileTransformer(s, **PAID),
    "best": lambda s: PrivateSelectKBest(s, k=1, **PAID),
    "imputer": lambda s: FoundationImputer(s, backend="domain"),
    "encoder": lambda s: TableEncoder(s),
}


def swapped(values):
    values = np.asarray(values)
    return values.astype(values.dtype.newbyteorder(">"))


def answer(name, made, X, weight=W, y=None):
    """What a model predicts, or a transformer returns, on its training table."""
    model = made()
    if name in FITS:
        target = (T if "regressor" in name else Y) if y is None else y
        return model.fit(X, target, sample_weight=weight).predict(X)
    return np.asarray(model.fit(X, Y).transform(X)).astype(float)


EVERY = {**FITS, **TRANSFORMERS}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.one_in(3)
def test_numbers_of_another_byte_order(name):
    wanted = answer(name, lambda: EVERY[name](THIRD), ARRAY)
    y = swapped(T if "regressor" in name else Y)
    assert np.array_equal(answer(name, lambda: EVERY[name](THIRD), swapped(ARRAY), swapped(W), y), wanted)
    frame = pd.DataFrame({c: swapped(FRAME[c]) for c in FRAME})
    assert np.array_equal(answer(name, lambda: EVERY[name](AGE), frame, swapped(W), y), wanted)
    if name in FITS:
        model = EVERY[name](AGE).fit(FRAME, T if "regressor" in name else Y, sample_weight=W)
        assert np.array_equal(model.predict(frame), wanted)
        assert model.score(frame, y) == model.score(FRAME, y)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.one_in(3)
def test_arrow_tables(name):
    wanted = answer(name, lambda: EVERY[name](AGE), FRAME)
    table = pa.table({c: FRAME[c].to_numpy() for c in FRAME})
    assert np.array_equal(answer(name, lambda: EVERY[name](AGE), table), wanted)
    assert np.array_equal(
        answer(name, lambda: EVERY[name](AGE), table.combine_chunks().to_batches()[0]), wanted
    )
    model = EVERY[name](AGE).fit(table, T if "regressor" in name else Y)
    assert model.feature_names_in_.tolist() == list(FRAME)
    if name in ("scaler", "quantiles", "imputer", "best"):
        assert isinstance(model.transform(table), pa.Table)
        assert model.transform(table).column_names == list(model.get_feature_names_out())
    if name == "imputer":
        assert model.transform(table.drop_columns("age")).column_names == list(FRAME)


PAIRS = pd.MultiIndex.from_tuples([("lab", "value"), ("lab", "kind"), ("who", "age")])


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.one_in(2)
def test_labels_of_several_levels(name):
    wanted = answer(name, lambda: EVERY[name](AGE), FRAME)
    table = FRAME.set_axis(PAIRS, axis=1)
    assert np.array_equal(answer(name, lambda: EVERY[name](PAIR), table), wanted)
    model = EVERY[name](PAIR).fit(table, T if "regressor" in name else Y)
    assert model.feature_names_in_[-1] == "('who', 'age')" and model.schema_.sensitive == ("('who', 'age')",)
    use = model.predict if name in FITS else model.transform
    with pytest.raises(ValueError, match="same order"):  # order and names count, as with any frame
        use(table[PAIRS[[1, 0, 2]]])
    with pytest.raises(ValueError, match=r"\('lab', 'value'\)"):
        use(table[PAIRS[[1, 2]]])
    if name in ("scaler", "quantiles", "imputer"):
        assert model.transform(table).columns.equals(PAIRS)
    if name == "imputer":
        assert list(model.transform(table[PAIRS[:2]]).columns)[:2] == list(PAIRS[:2])


def test_messages_name_the_labels_of_several_levels():
    table = FRAME.set_axis(PAIRS, axis=1)
    for model in (OffsetFusionClassifier, FusionDPClassifier):
        with pytest.raises(InvalidInputError, match=r"\('who', 'weight'\).*\('who', 'age'\)"):
            model({("who", "weight"): Numeric(0, 1)}).fit(table, Y)
        with pytest.raises(InvalidInputError, match=r"\('lab', 'kind'\).*cells of type list"):
            odd = table.astype(object)
            odd[("lab", "kind")] = pd.Series([[1]] * N)
            model(PAIR).fit(odd, Y)


KINDS = {
    "float": (pd.Series([1.5, 2.5, np.nan]), pl.Float64),
    "float32": (pd.Series([1.5, 2.5, np.nan], dtype="float32"), pl.Float32),
    "int": (pd.Series([1, 2, 3]), pl.Int64),
    "int8": (pd.Series([1, 2, 3], dtype="int8"), pl.Int8),
    "uint16": (pd.Series([1, 2, 3], dtype="uint16"), pl.UInt16),
    "bool": (pd.Series([True, False, True]), pl.Boolean),
    "Int64": (pd.Series([1, pd.NA, 3], dtype="Int64"), pl.Int64),
    "UInt8": (pd.Series([1, pd.NA, 3], dtype="UInt8"), pl.UInt8),
    "Float32": (pd.Series([1, pd.NA, 3], dtype="Float32"), pl.Float32),
    "boolean": (pd.Series([True, pd.NA, False], dtype="boolean"), pl.Boolean),
    "str": (pd.Series(["a", None, "b"], dtype="str"), pl.String),
    "string": (pd.Series(["a", pd.NA, "b"], dtype="string"), pl.String),
    "objects": (pd.Series(["a", pd.NA, "b"], dtype=object), pl.String),
    "category": (pd.Series(["a", None, "b"], dtype="category"), pl.Categorical),
    "ordered numbers": (pd.Series([3, None, 1], dtype="category"), pl.Int64),
    "datetime": (pd.Series(pd.to_datetime(["2024-01-01", None, "2024-01-03"])), pl.Datetime("us")),
    "datetime ns": (pd.Series(["2024-01-01", None], dtype="datetime64[ns]"), pl.Datetime("ns")),
    "zone": (
        pd.Series(pd.to_datetime(["2024-01-01", None])).dt.tz_localize("Europe/Paris"),
        pl.Datetime("us", "Europe/Paris"),
    ),
    "duration": (
        pd.Series(pd.to_timedelta([1, None], unit="D")).astype("timedelta64[us]"),
        pl.Duration("us"),
    ),
    "arrow int": (pd.Series([1, None, 3], dtype="int64[pyarrow]"), pl.Int64),
    "arrow text": (pd.Series(["a", None], dtype=pd.ArrowDtype(pa.string())), pl.String),
    "arrow date": (pd.Series(pd.to_datetime(["2024-01-01", None])).dt.date, pl.Date),
}


@pytest.mark.parametrize("name", KINDS)
def test_public_columns_keep_their_type_from_pandas_to_polars(name):
    cells, wanted = KINDS[name]
    table = pd.DataFrame({"cells": cells, "age": np.full(len(cells), 40.0)})
    imputer = FoundationImputer({"age": Numeric(0, 90)}, backend="domain").set_output(transform="polars")
    found = imputer.fit(table).transform(table)
    assert found.schema["cells"] == wanted and found.schema["age"] == pl.Float64
    assert found["cells"].to_list() == [None if pd.isna(v) else v for v in cells] or cells.dtype.kind == "f"


@pytest.mark.parametrize("kind", [pl.Int64, pl.UInt8, pl.Float32, pl.Boolean, pl.String, pl.Categorical,
                                  pl.Date,
                                  pl.Datetime("us"), pl.Datetime("us", "Asia/Tokyo"), pl.Duration("ms")],
                         ids=str)  # fmt: skip
def test_public_columns_keep_their_kind_from_polars_to_pandas(kind):
    cells = pl.Series(
        "cells", ["1", "0"] if kind in (pl.String, pl.Categorical) else [1, 0], strict=False
    ).cast(kind)
    for given in (cells, cells.extend_constant(None, 1)):
        table = pl.DataFrame({"cells": given, "age": np.full(len(given), 40.0)})
        imputer = FoundationImputer({"age": Numeric(0, 90)}, backend="domain").set_output(transform="pandas")
        found = imputer.fit(table).transform(table)
        assert isinstance(found, pd.DataFrame)
        kept = [None if pd.isna(v) else v for v in found["cells"]]
        assert kept == given.cast(pl.Datetime("us") if kind == pl.Date else kind).to_list()
        assert (found["cells"].dtype == object) == (kind == pl.Boolean and given.null_count() > 0)


def test_categories_that_are_learnt_are_the_same_in_every_output():
    cells = pd.DataFrame({"sex": ["f", "m", None, "f"] * 30, "lab": ARRAY[:, 0]})
    merged = PrivateCategories({"sex": Categorical(["f", "m"])}, **PAID).fit(cells)
    found = [
        merged.set_output(transform=kind).transform(cells)["sex"] for kind in ("default", "pandas", "polars")
    ]
    for column in found:
        assert [v if isinstance(v, str) else None for v in column] == ["f", "m", None, "f"] * 30


def test_a_pair_of_views_is_no_table_for_other_estimators():
    paired = FoundationImputer(AGE, backend="domain", output="paired").fit_transform(FRAME)
    with pytest.raises(TypeError, match=r"PairedTable.* two views .*\.hybrid"):
        LogisticRegression().fit(paired, Y)
    for model in (FITS["offset"](AGE), TRANSFORMERS["scaler"](AGE)):
        with pytest.raises((TypeError, ValueError), match=r"PairedTable.* two views .*\.hybrid"):
            model.fit(paired, Y)
