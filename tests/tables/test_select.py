"""Which columns are sensitive is told from names and public rows, never from the training cells or types."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_selector

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    Numeric,
    OffsetFusionClassifier,
    PrivacyLeakError,
)
from skfusiondp.accounting import check_pipeline
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.preprocessing import PrivateStandardScaler, TableEncoder
from skfusiondp.tables._read_table import as_table
from skfusiondp.tables._schema import resolve_schema
from skfusiondp.tables._select import select_columns

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")
N = 200
rng = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {"lab": rng.normal(size=N), "age": rng.integers(20, 80, N), "kids": rng.integers(0, 4, N)}
)
Y = (TABLE["lab"] > 0).astype(int)


def other_types(table):
    """Neighbours of a table: one sensitive cell of one row changes the type of its column."""
    yield table.assign(age=table["age"].where(table.index != 7))
    for cell in (None, "x", [1], 1j, 10**30, True, pd.Timestamp("2020-01-01"), 0.5):
        changed = table.astype({"age": object})
        changed.at[7, "age"] = cell
        yield changed
    yield table.assign(age=table["age"].astype("category"))


def selected(X, key):
    table = as_table(X)
    return select_columns(table.columns, table.labels, key).domains


def refused(selector, table=TABLE, support=None):
    with pytest.raises(InvalidInputError) as caught:
        resolve_schema(as_table(table), selector, support=support, on_leak="ignore")
    return str(caught.value)


# Callables ------------------------------------------------------------------------------------------

BY_TYPE = {
    "int": make_column_selector(dtype_include="int"),
    "int64": make_column_selector(dtype_include=np.int64),
    "number": make_column_selector(dtype_include="number"),
    "not number": make_column_selector(dtype_exclude="number"),
    "object": make_column_selector(dtype_include=object),
    "category": make_column_selector(dtype_include="category"),
    "bool": make_column_selector(dtype_include=bool),
    "datetime": make_column_selector(dtype_include="datetime"),
    "timedelta": make_column_selector(dtype_include="timedelta"),
    "Int64": lambda X: [c for c in X if str(X[c].dtype) == "Int64"],
    "float32": lambda X: [c for c in X if X[c].dtype == "float32"],
    "int8": lambda X: [c for c in X if X[c].dtype == "int8"],
    "pattern and type": make_column_selector(pattern="age|kids", dtype_include="int"),
    "cells": lambda X: [c for c in X if X[c].nunique() > 2],
    "largest cell": lambda X: [c for c in X if pd.to_numeric(X[c], errors="coerce").max() > 50],
    "missing cells": lambda X: [c for c in X if X[c].isna().any()],
    "first row": lambda X: [c for c in X if X[c].iloc[0] is not None],
    "number of rows": lambda X: list(X.columns)[: len(X)],
    "domains from cells": lambda X: {"age": Numeric(float(X["age"].min()), 100.0)},
}


@pytest.mark.one_in(7)
@pytest.mark.parametrize("name", BY_TYPE)
def test_a_callable_that_goes_by_types_or_cells_is_refused(name):
    """One missing cell makes floats of whole numbers, and the column was no longer protected."""
    message = refused(BY_TYPE[name])
    assert "chooses columns by their types or cells" in message and "support rows" in message
    assert {refused(BY_TYPE[name], table).split("sensitive=")[0] for table in other_types(TABLE)} == {""}


@pytest.mark.one_in(4)
@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        (lambda X: ["age"], ("age",)),
        (lambda X: "kids", ("kids",)),
        (make_column_selector(pattern="^a|k"), ("age", "kids")),
        (lambda X: [c for c in X.columns if c != "lab"], ("age", "kids")),
        (lambda X: X.columns.str.startswith("k"), ("kids",)),
        (lambda X: slice("age", None), ("age", "kids")),
        (lambda X: {"age": Numeric(0, 100)}, ("age",)),
        (lambda X: lambda Z: 3, None),
    ],
)
def test_a_callable_that_goes_by_names_is_called_on_made_up_tables(selector, chosen):
    seen = []

    def spied(X):
        seen.append(X)
        return selector(X)

    for table in (TABLE, *other_types(TABLE)):
        if chosen is None:
            assert "selects no columns" in refused(spied, table)
            continue
        schema = resolve_schema(as_table(table), spied, on_leak="ignore")
        assert schema.sensitive == chosen
    assert all(list(X.columns) == list(TABLE) and len(X) != N for X in seen), "never the training table"


def test_with_support_rows_a_callable_sees_them_and_nothing_else():
    others = pd.DataFrame(
        {"lab": rng.normal(size=50), "age": rng.integers(20, 80, 50), "kids": rng.integers(0, 4, 50)}
    )
    selector = make_column_selector(dtype_include="int")
    for table in (TABLE, *other_types(TABLE)):
        try:
            schema = resolve_schema(as_table(table), selector, support=others.astype({"age": float}))
        except InvalidInputError as error:  # age is public here
            assert "The public column 'age' holds" in str(error)
            continue
        assert schema.sensitive == ("kids",)
    model = FusionDPClassifier(
        selector, imputer=FoundationImputer(support=others), steps=1, public_epochs=1, on_leak="raise"
    )
    kinds = [model.fit(t, Y).schema_ for t in (TABLE, TABLE.assign(age=TABLE["age"].where(TABLE.index != 7)))]
    assert kinds[0] == kinds[1] and kinds[0].sensitive == ("age", "kids")


@pytest.mark.parametrize(
    "made",
    [
        lambda s: FusionDPClassifier(s),
        lambda s: OffsetFusionClassifier(s),
        lambda s: PrivateStandardScaler(s),
        lambda s: TableEncoder(s),
        lambda s: FoundationImputer(s, backend="domain"),
    ],
)
def test_every_estimator_resolves_callables_so(made):
    for table in (TABLE, next(other_types(TABLE))):
        with pytest.raises(InvalidInputError, match="chooses columns by their types"):
            made(make_column_selector(dtype_include="int")).fit(table, Y)


def test_a_callable_on_arrays_returns_positions_or_names():
    array = TABLE.to_numpy()
    for selector in (lambda X: [1], lambda X: "x1", lambda X: slice(1, 2), lambda X: [False, True, False]):
        assert tuple(selected(array, selector)) == ("x1",)


# Labels ---------------------------------------------------------------------------------------------

LABELLED = TABLE.set_axis([2, 0, 1], axis=1)
ORDERED = TABLE.set_axis([0, 1, 2], axis=1)


@pytest.mark.parametrize("labels", [[2, 0, 1], [1, 2, 3], [0, 1, 3], ["lab", "age", "kids"], [0.0, 1.0, 2.0],
                                    ["lab", 1, 2], [False, True, 2], ["0", "1", "2"]], ids=str)  # fmt: skip
@pytest.mark.parametrize("key", [1, [1], [0, 1], np.int64(1), [-1], slice(1, 2), slice(1, None), {1: None},
                                 {1: Numeric(0, 9)}, slice(None, 1)], ids=str)  # fmt: skip
def test_integers_are_refused_where_they_could_be_labels(labels, key):
    message = refused(key, TABLE.set_axis(pd.Index(labels, dtype=object), axis=1))
    assert "an integer could be a label or a position" in message
    assert "name the columns, or pass a boolean mask" in message


def test_polars_frames_and_named_tables_on_disk_have_labels_too():
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    assert "an integer could be" in refused([1], pl.from_pandas(TABLE))
    with pytest.raises(InvalidInputError, match="an integer could be a label"):
        FusionDPClassifier({1: Numeric(0, 100)}).fit(pa.Table.from_pandas(TABLE), Y)


@pytest.mark.parametrize(
    ("key", "chosen"),
    [(1, ["x1"]), ([0, 2], ["x0", "x2"]), (slice(1, 3), ["x1", "x2"]), ({1: Numeric(0, 1)}, ["x1"]),
     (np.array([2]), ["x2"]), ([True, False, False], ["x0"]), ("x1", ["x1"])],
)  # fmt: skip
def test_where_labels_are_the_positions_integers_are_both(key, chosen):
    assert list(selected(ORDERED, key)) == chosen
    assert list(selected(TABLE.to_numpy(), key)) == chosen
    assert list(selected(TABLE.to_numpy().tolist(), key)) == chosen


def test_negative_positions_are_for_tables_without_labels():
    assert list(selected(TABLE.to_numpy(), -1)) == ["x2"]
    assert "does not have" in refused([-1], ORDERED)


def test_what_a_callable_returns_on_a_frame_are_labels():
    """Its labels were read as positions: 1 protected the second column, not the one called 1."""
    chosen = resolve_schema(as_table(LABELLED), lambda X: [1], on_leak="ignore")
    assert chosen.sensitive == ("x2",)
    by_type = make_column_selector(dtype_include="int")
    schema = resolve_schema(as_table(LABELLED), by_type, support=LABELLED[:50])
    assert schema.sensitive == ("x1", "x2")
    assert "does not have" in refused(lambda X: [1], TABLE)
    assert "could be a label" in refused(lambda X: slice(0, 1), LABELLED)
    mapped = resolve_schema(as_table(LABELLED), lambda X: {2: Numeric(-4, 4)})
    assert mapped.sensitive == ("x0",)


def test_other_labels_are_labels():
    dated = TABLE.set_axis(pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"]), axis=1)
    chosen = selected(dated, [pd.Timestamp("2020-01-02")])
    assert list(chosen) == ["x1"]
    pairs = TABLE.set_axis(pd.Index([("a", 1), ("a", 2), ("b", 1)], tupleize_cols=False), axis=1)
    assert list(selected(pairs, [("b", 1)])) == ["('b', 1)"]


def test_the_column_that_is_named_is_the_one_that_is_protected():
    with pytest.raises(InvalidInputError, match="could be a label or a position"):
        FusionDPClassifier({1: Numeric(0, 9)}).fit(LABELLED, Y)
    model = FusionDPClassifier({"x2": Numeric(0, 9)}, steps=1, public_epochs=0).fit(LABELLED, Y)
    assert model.schema_.sensitive == ("x2",)
    mask = FusionDPClassifier([False, False, True], steps=1, on_leak="raise")
    with pytest.raises(PrivacyLeakError, match="'x2'"):
        mask.fit(LABELLED, Y)


def test_paired_tables_of_arrays_go_by_position():
    array = TABLE.to_numpy()
    domains = {1: Numeric(0, 100)}
    paired = FoundationImputer(domains, support=array[:50], output="paired").fit_transform(array)
    model = FusionDPClassifier(domains, steps=1, public_epochs=1).fit(paired, Y)
    assert model.schema_.sensitive == ("x1",)
    with pytest.raises(InvalidInputError, match="says other things about"):
        FusionDPClassifier({2: Numeric(0, 9)}).fit(paired, Y)


def test_a_paired_table_s_cells_are_not_read_to_compare_selectors(monkeypatch):
    named = {"age": Numeric(0, 100), "kids": Categorical([0, 1, 2, 3])}
    paired = FoundationImputer(named, support=TABLE[:50], output="paired").fit_transform(TABLE)
    monkeypatch.setattr("skfusiondp.tables._schema.leaked_domain", lambda column: 1 / 0)
    FusionDPClassifier(["age", "kids"], steps=1, public_epochs=1).fit(paired, Y)


def test_a_table_is_no_selection_of_columns():
    table = pd.DataFrame({"age": [1.0, 2.0], "lab": [0.0, 1.0]})
    model = OffsetFusionClassifier({"age": Numeric(0, 9)})
    for wrong in (table, table.to_numpy()):
        with pytest.raises(InvalidInputError, match="give the table as X"):
            check_pipeline(model, wrong)
        with pytest.raises(InvalidInputError, match="give the table as X"):
            OffsetFusionClassifier(wrong).fit(table, [0, 1])
