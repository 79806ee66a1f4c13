"""Columns are read one by one: no cell decides how another column is read."""

import pickle
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    Numeric,
    OffsetFusionClassifier,
)
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.impute._sentence_backend import write_sentences
from skfusiondp.preprocessing import PrivateSelectKBest, PrivateStandardScaler, TableEncoder
from skfusiondp.tables._disk import as_disk_table
from skfusiondp.tables._frames import as_frame, as_text, numeric_values, own_cells
from skfusiondp.tables._public_columns import PublicColumn
from skfusiondp.tables._public_encoder import PublicEncoder
from skfusiondp.tables._schema import resolve_schema

pytestmark = [
    pytest.mark.filterwarnings("ignore:No support rows:UserWarning"),
    pytest.mark.filterwarnings("ignore::skfusiondp.DataHolderWarning"),
]
N = 120
rng = np.random.default_rng(0)
NUMBERS = np.column_stack(
    [rng.integers(0, 200_000, N), rng.normal(size=N).round(3), rng.integers(1, 4, N), rng.integers(20, 80, N)]
).astype(float)
NUMBERS[5, 0] = np.nan
WHOLE = rng.integers(0, 200_000, (N, 4))
Y = (NUMBERS[:, 1] > 0).astype(int)
SENSITIVE, ROW = 3, 7
DOMAIN = {SENSITIVE: Numeric(0, 100)}


def changed(rows, cell):
    rows = [list(r) for r in rows]
    rows[ROW][SENSITIVE] = cell
    return rows


def containers(array):
    """The same public cells in every container that one sensitive cell can lead to."""
    rows = [[int(v) if float(v).is_integer() else float(v) for v in r] for r in array.tolist()]
    yield "list", rows
    yield "tuples", tuple(map(tuple, rows))
    yield "list of arrays", list(np.asarray(rows))
    for name, cell in {"text": "x", "None": None, "NaN": np.nan, "fraction": 0.5, "complex": 1j, "list": [1],
                       "bool": True, "huge": 10**30, "date": pd.Timestamp("2020-01-01")}.items():  # fmt: skip
        yield f"list with {name}", changed(rows, cell)
        if name != "list":
            objects = np.array(rows, dtype=object)
            objects[ROW, SENSITIVE] = cell
            yield f"objects with {name}", objects
            yield f"frame of objects with {name}", pd.DataFrame(objects)
        if name in ("text", "None", "NaN", "fraction", "complex", "bool"):
            yield f"array with {name}", np.array(changed(rows, cell))
    yield "arrays in a list with text", [np.array(r) for r in changed(rows, "x")]
    yield "float32", np.asarray(array, dtype=np.float32)
    yield "as texts", np.asarray(array).astype(str)
    yield "complex", np.asarray(array).astype(complex)


PUBLIC = ["x0", "x1", "x2"]
TABLES = {"floats": NUMBERS, "whole numbers": WHOLE}


@pytest.mark.parametrize("kind", TABLES)
def test_public_columns_are_the_same_in_every_container(kind):
    array = np.where(np.isnan(TABLES[kind]), 3, TABLES[kind]) if kind == "floats" else TABLES[kind]
    wanted = pd.DataFrame(np.asarray(array, dtype=float)[:, :3], columns=PUBLIC)
    for name, X in containers(array):
        if name == "float32":
            wanted32 = wanted.astype(np.float32)
            pd.testing.assert_frame_equal(as_frame(X)[PUBLIC], wanted32, obj=name)
            continue
        pd.testing.assert_frame_equal(as_frame(X)[PUBLIC], wanted, obj=name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", TABLES)
def test_what_is_learnt_from_public_columns_is_the_same_in_every_container(kind):
    """One text in a list made categories of public numbers, one missing cell other sentences of all rows."""
    array = np.nan_to_num(TABLES[kind], nan=3.0)
    told = {}
    for name, X in containers(array):
        if name == "float32":
            continue  # its cells have other values
        frame = as_frame(X)
        encoder = TableEncoder(DOMAIN).fit(X)
        public = ~encoder.sensitive_features_
        told[name] = (
            write_sentences(frame[PUBLIC]),
            encoder._names,
            encoder.transform(X)[:, public].tobytes(),
            PublicEncoder().fit(frame[PUBLIC]).transform(frame[PUBLIC]).tobytes(),
            PublicEncoder("ordinal", order="name").fit(frame[PUBLIC]).transform(frame[PUBLIC]).tobytes(),
            np.delete(encoder.transform(X)[:, ~public], ROW, axis=0).tobytes(),
        )
    first = told["list"]
    for name, facts in told.items():
        assert facts == first, name


def test_categories_are_written_alike_whatever_holds_them():
    cells = {
        "int": pd.Series([1, 2, 3]),
        "float": pd.Series([1.0, 2.0, 3.0]),
        "object": pd.Series([1, 2.0, 3], dtype=object),
    }
    for made in (
        lambda s: TableEncoder({"age": Numeric(0, 1)}).fit(s.assign(age=0.5))._names,
        lambda s: write_sentences(s),
        lambda s: PublicEncoder().fit(s).learnt_,
    ):
        said = [repr(made(pd.DataFrame({"code": c.astype("category")}))) for c in cells.values()]
        assert len(set(said)) == 1, said
    assert [as_text(v) for v in (1, 1.0, np.float32(2), 0.5, "1", True, np.inf, np.nan, 1e20)] == [
        "1", "1", "2", "0.5", "1", "True", "inf", "nan", "100000000000000000000",
    ]  # fmt: skip


def test_a_category_with_a_gap_at_prediction_is_the_same_category():
    code = np.tile([1, 2, 3], N // 3)
    train = pd.DataFrame({"code": pd.Series(code).astype("category"), "age": NUMBERS[:, 3]})
    gap = pd.Series(code, dtype=float)
    gap[0] = np.nan
    test = train.assign(code=gap.astype("category"))
    y = (code == 2).astype(int)
    for model in (
        FusionDPClassifier({"age": Numeric(18, 90)}, steps=2, public_epochs=3, random_state=0),
        OffsetFusionClassifier({"age": Numeric(18, 90)}, steps=2, random_state=0),
    ):
        p, q = (model.fit(train, y).predict_proba(t) for t in (train, test))
        np.testing.assert_array_equal(p[1:], q[1:])


def test_texts_of_a_text_array_stay_texts():
    array = np.array(
        [["1", "007", "1.50", "north", "nan", "True"], ["2", "1", "2.5", "south", "0.5", "False"]]
    )
    assert own_cells(array).tolist() == [
        [1, "007", "1.50", "north", pytest.approx(np.nan, nan_ok=True), True],
        [2, 1, 2.5, "south", 0.5, False],
    ]
    frame = as_frame(array)
    assert [frame[c].dtype.kind for c in frame] == ["f", "O", "O", "O", "f", "O"]
    # A sensitive category is found whatever the other cells are.
    codes = Categorical(["1", "2"]).codes(frame["x0"])
    assert codes.tolist() == [0, 1]


def test_whole_numbers_that_no_float_holds_are_left_as_they_are():
    frame = as_frame([[2**60 + 1, 1], [2, 1]])
    assert frame["x0"].tolist() == [2**60 + 1, 2] and frame["x1"].dtype == float
    assert Categorical([2**60 + 1]).codes(frame["x0"]).tolist() == [0, 1]


def test_what_is_no_table_is_refused_as_before():
    for X in ([1, 2, 3], [[1, 2], [3]], ["ab", "cd"], [], [[]], 3):
        with pytest.raises(ValueError):
            TableEncoder(DOMAIN).fit(X)


def test_a_column_of_lists_is_a_column_whatever_their_lengths():
    pl = pytest.importorskip("polars")
    for lists in ([[1, 2], [3, 4]], [[1], [3, 4]], [None, [1]]):
        for X in (pl.DataFrame({"lab": [1.0, 2.0], "age": lists}), [[1.0, lists[0]], [2.0, lists[1]]]):
            column = as_frame(X).iloc[:, 1]
            missing = [v is None for v in lists]
            assert np.isnan(Numeric(0, 9).clean(column)).all()
            assert Categorical(["a"]).codes(column).tolist() == [2 if m else 1 for m in missing]


def test_the_given_table_is_not_changed():
    rows = [[1, "a"], [None, 2.5]]
    objects = np.array(rows, dtype=object)
    frame = pd.DataFrame(objects)
    for X in (rows, objects, frame):
        before = pickle.dumps(X)
        as_frame(X)
        assert pickle.dumps(X) == before
    assert frame.dtypes.eq(object).all()


cells = st.one_of(st.floats(allow_nan=True), st.integers(-(10**20), 10**20), st.text(max_size=4), st.none(),
                  st.booleans(), st.complex_numbers(), st.lists(st.integers(), max_size=2))  # fmt: skip


@given(st.lists(cells, min_size=2, max_size=6), cells, st.booleans())
def test_another_cell_of_the_sensitive_column_changes_no_public_one(column, other, objects):
    public = [1, 2.5, "a", None, 3, 4][: len(column)]
    rows = [[p, 2, c] for p, c in zip(public, column, strict=True)]
    neighbour = [*rows[:-1], [*rows[-1][:2], other]]
    tables = [rows, neighbour]
    if objects and not any(isinstance(r[2], list) for r in rows + neighbour):
        tables = [np.array(t, dtype=object) for t in tables]
    one, two = map(as_frame, tables)
    pd.testing.assert_frame_equal(one[["x0", "x1"]], two[["x0", "x1"]])
    for domain in (Numeric(0, 9), Categorical(["a", "1", 2.5])):
        a, b = domain.encode(one["x2"]), domain.encode(two["x2"])
        assert np.array_equal(a[:-1], b[:-1])


# Whole fits -----------------------------------------------------------------------------------------


def free_parts(model):
    return (model.encoder_._facts(), model.schema_, model.ledger_, model.history_[0, "train_loss"])


@pytest.mark.parametrize("cell", ["x", "30.5", None, 1j, [3], 10**30])
@pytest.mark.one_in(2)
def test_a_fit_on_a_list_depends_on_the_cell_in_its_own_row_only(cell):
    rows = [[float(v) for v in r] for r in np.nan_to_num(NUMBERS)]
    models = [
        FusionDPClassifier(DOMAIN, steps=1, public_epochs=1, noise_multiplier=1.0, random_state=0).fit(X, Y)
        for X in (rows, changed(rows, cell))
    ]
    assert free_parts(models[0]) == free_parts(models[1])
    one, two = (
        OffsetFusionClassifier(DOMAIN, steps=1, random_state=0).fit(X, Y)._columns.learnt_
        for X in (rows, changed(rows, cell))
    )
    assert one == two and [known.column for known in one] == [PublicColumn(c, "number") for c in PUBLIC]


class Watching(LogisticRegression):
    """Keep the types of the public columns that the public model was handed."""

    seen: ClassVar[list] = []

    def fit(self, X, y, sample_weight=None):
        self.seen.append([str(t) for t in X.dtypes])
        return super().fit(np.nan_to_num(X.to_numpy(dtype=float)), y)

    def predict_proba(self, X):
        return super().predict_proba(np.nan_to_num(X.to_numpy(dtype=float)))


@pytest.mark.slow
def test_a_public_model_is_handed_the_same_types():
    Watching.seen.clear()
    for _, X in containers(np.nan_to_num(NUMBERS)):
        if not (isinstance(X, np.ndarray) and X.dtype == np.float32):
            OffsetFusionClassifier(DOMAIN, public_model=Watching(), steps=1, random_state=0).fit(X, Y)
    assert len({tuple(kinds) for kinds in Watching.seen}) == 1


def test_a_memory_map_of_whole_numbers_gives_what_floats_give(tmp_path):
    facts = []
    for i, kind in enumerate((np.int64, np.int8, np.float64)):
        np.save(tmp_path / f"{i}.npy", np.clip(WHOLE, 0, 100).astype(kind))
        table = as_disk_table(tmp_path / f"{i}.npy")
        schema = resolve_schema(table, DOMAIN)
        facts.append(
            (
                TableEncoder()._fit_schema(table, schema)._facts(),
                str(table.take(np.arange(3)).dtypes.tolist()),
            )
        )
    assert len(set(facts)) == 1


# What comes out -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        lambda: FoundationImputer(DOMAIN, backend="domain"),
        lambda: PrivateStandardScaler(DOMAIN, noise_multiplier=1.0, random_state=0),
    ],
)
def test_the_type_of_the_hybrid_view_does_not_depend_on_sensitive_cells(made):
    kinds = {}
    for name, X in containers(np.nan_to_num(NUMBERS)):
        if name != "float32" and not isinstance(X, pd.DataFrame):
            out = made().fit(X).transform(X)
            kinds[name] = (out.dtype, np.delete(out[:, :3], ROW, axis=0).astype(float).tobytes())
    assert {k for k, _ in kinds.values()} == {np.dtype(float)}, kinds
    assert len({b for _, b in kinds.values()}) == 1
    single = FoundationImputer(DOMAIN, backend="domain").fit_transform(NUMBERS.astype(np.float32))
    assert single.dtype == np.float32


def test_a_selector_hands_a_list_s_own_cells_on():
    rows = changed(np.nan_to_num(NUMBERS).tolist(), "x")
    domains = {SENSITIVE: Numeric(0, 100), 2: Numeric(0, 5)}
    out = PrivateSelectKBest(domains, k=1, random_state=0).fit(rows, Y).transform(rows)
    assert all(isinstance(v, float) for v in out[:, 0])


def test_public_complex_numbers_are_refused_and_sensitive_ones_are_missing():
    array = np.nan_to_num(NUMBERS).astype(complex)
    array[ROW, SENSITIVE] += 1j
    encoder = TableEncoder(DOMAIN).fit(array)
    assert encoder.transform(array)[ROW, -1] == 1 and encoder.transform(array)[:, -1].sum() == 1
    array[ROW, 0] += 1j
    with pytest.raises(InvalidInputError, match=r"'x0'.*not a number"):
        TableEncoder(DOMAIN).fit(array)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([Decimal("sNaN"), Decimal(2)], dtype=object),
        pd.Series(pd.array([None, Decimal(2)], dtype=pd.ArrowDtype(pa.decimal128(9, 2)))),
        pd.Series(pd.Categorical([np.nan, 2.0])),
        pd.Series([None, Fraction(2)], dtype=object),
    ],
    ids=["signalling", "arrow", "category", "fraction"],
)
def test_missing_numbers_of_every_type_are_missing(column):
    assert np.array_equal(numeric_values(column), [np.nan, 2.0], equal_nan=True)


def test_a_number_that_no_float_holds_is_refused_in_words():
    with pytest.raises(InvalidInputError, match=r"'lab' holds numbers, and .* no float holds"):
        numeric_values(pd.Series([10**400], name="lab"))
