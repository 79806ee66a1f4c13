"""Whatever kind of table goes in comes out, and absent sensitive columns are added."""

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context

from skfusiondp import Categorical, Numeric
from skfusiondp.impute import FoundationImputer

pl = pytest.importorskip("polars")


@pytest.fixture
def imputer(domains, support, train):
    return FoundationImputer(domains, support=support, random_state=0).fit(train)


def test_pandas_keeps_index_order_and_public_dtypes(imputer, train):
    train = train.assign(ward=train["ward"].astype("category"), lab=train["lab"].astype("float32"))
    train.index = [f"row {i}" for i in range(len(train))]
    before = train.copy()
    hybrid = imputer.transform(train)
    assert hybrid.index.equals(train.index)
    assert list(hybrid.columns) == list(train.columns)
    assert hybrid["ward"].dtype == "category" and hybrid["lab"].dtype == "float32"
    pd.testing.assert_frame_equal(train, before)


def test_duplicated_index(imputer, train):
    train.index = np.zeros(len(train), dtype=int)
    assert imputer.transform(train).shape == train.shape


def test_integer_labels(support, train):
    columns = range(len(train.columns))
    support, train = support.set_axis(columns, axis=1), train.set_axis(columns, axis=1)
    hybrid = FoundationImputer({1: Numeric(0, 100)}, support=support).fit_transform(train)
    assert list(hybrid.columns) == list(columns)
    assert not (hybrid[1] == train[1]).any()
    assert (hybrid[3] == train[3]).all()


def test_polars_in_polars_out(imputer, domains, support, train):
    frame = pl.from_pandas(train.assign(ward=train["ward"].astype(object)))
    hybrid = imputer.transform(frame)
    assert isinstance(hybrid, pl.DataFrame) and hybrid.columns == frame.columns
    assert hybrid.schema["age"] == pl.Float64 and hybrid.schema["sex"] == pl.String
    assert np.allclose(hybrid["age"], imputer.transform(train)["age"])
    other = FoundationImputer(domains, support=pl.from_pandas(support), random_state=0).fit(frame)
    assert np.allclose(other.transform(frame)["age"], hybrid["age"])


@pytest.mark.slow
@pytest.mark.parametrize("absent", [["age"], ["sex"], ["age", "sex"]])
@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_absent_sensitive_columns_are_added_in_their_place(imputer, train, absent, kind):
    lacking = train.drop(columns=absent)
    given = lacking if kind is pd.DataFrame else pl.from_pandas(lacking)
    hybrid = imputer.transform(given)
    assert list(hybrid.columns) == list(train.columns)
    assert np.array_equal(hybrid["age"], imputer.transform(train)["age"])
    paired = imputer.set_params(output="paired").transform(given)
    for column in absent:
        assert paired.original[column].tolist() == paired.hybrid[column].tolist()
    present = next(c for c in ("lab", "age", "sex") if (c not in absent and c != "lab") or c == "lab")
    assert paired.original[present].equals(train[present])


def test_absent_public_columns_are_an_error(imputer, train):
    with pytest.raises(ValueError, match="ward"):
        imputer.transform(train.drop(columns="ward"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_arrays_keep_their_dtype(dtype):
    table = np.random.default_rng(0).normal(size=(40, 3)).astype(dtype)
    imputer = FoundationImputer({2: Numeric(-3, 3)}, support=table, random_state=0)
    hybrid = imputer.fit_transform(table)
    assert hybrid.dtype == dtype and hybrid.shape == table.shape
    assert np.array_equal(hybrid[:, :2], table[:, :2])


def test_integer_arrays_become_floats():
    table = np.random.default_rng(0).integers(0, 2, size=(40, 3))
    coded = FoundationImputer({0: Categorical([0, 1])}, support=table).fit_transform(table)
    assert coded.dtype == np.float64  # one missing cell would have made floats of the given ones
    number = FoundationImputer({0: Numeric(0, 1)}, support=table).fit_transform(table)
    assert number.dtype == np.float64


def test_text_arrays(domains, support, train):
    array, public = train.to_numpy(dtype=object), support.to_numpy(dtype=object)
    chosen = {1: domains["age"], 3: domains["sex"]}
    hybrid = FoundationImputer(chosen, support=public, random_state=0).fit_transform(array)
    frame = FoundationImputer(domains, support=support, random_state=0).fit_transform(train)
    assert hybrid.dtype == object
    assert hybrid[:, 1].tolist() == frame["age"].tolist()
    assert hybrid[:, 3].tolist() == frame["sex"].tolist()


@pytest.mark.parametrize(("kind", "cls"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_set_output(kind, cls, domains, support, train):
    array, public = train.to_numpy(dtype=object), support.to_numpy(dtype=object)
    imputer = FoundationImputer({1: domains["age"]}, support=public, random_state=0).fit(array)
    with config_context(transform_output=kind):
        assert isinstance(imputer.transform(array), cls)
    hybrid = imputer.set_output(transform=kind).transform(array)
    assert isinstance(hybrid, cls) and list(hybrid.columns) == ["x0", "x1", "x2", "x3"]
    frames = FoundationImputer(domains, support=support).set_output(transform=kind).fit(train)
    assert isinstance(frames.transform(train), cls)


def test_set_output_leaves_pairs_alone_and_refuses_other_kinds(domains, support, train):
    imputer = FoundationImputer(domains, support=support, output="paired")
    paired = imputer.set_output(transform="pandas").fit_transform(train)
    assert paired.shape == train.shape and hasattr(paired, "hybrid")
    hybrid = FoundationImputer(domains, support=support).set_output(transform="arrow").fit(train)
    with pytest.raises(ValueError, match="arrow"):
        hybrid.transform(train)


def test_feature_names_are_the_input_names(imputer, train):
    assert imputer.get_feature_names_out().tolist() == list(train.columns)
