"""Tables that stay on disk train the same model as in memory, and read no more than they may."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.tree import DecisionTreeRegressor

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
)
from skfusiondp.exceptions import InvalidInputError, PrivacyLeakWarning
from skfusiondp.impute._draws import uniforms_at
from skfusiondp.nets import MLP
from skfusiondp.preprocessing import TableEncoder
from skfusiondp.tables._disk import ArrowTable, MemmapTable
from skfusiondp.tables._read_table import as_table
from skfusiondp.tables._schema import resolve_schema
from skfusiondp.training import PerRowEngine

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")

METHODS = ["fusiondp", "feature-dp", "dp-sgd", "hybrid", "non-private"]
DOMAINS = {0: Numeric(-3, 3), 2: Categorical([0.0, 1.0, 2.0])}


def made_array(n=600, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    X[:, 0] += X[:, 1]
    X[:, 2] = rng.integers(3, size=n)
    X[rng.random(n) < 0.1, 3] = np.nan
    return X


@pytest.fixture(scope="module")
def array():
    return made_array()


@pytest.fixture(scope="module")
def target(array):
    return (array[:, 0] + array[:, 1] > 0).astype(int)


@pytest.fixture
def memmap(array, tmp_path):
    np.save(tmp_path / "table.npy", array)
    return np.load(tmp_path / "table.npy", mmap_mode="r")


def made(sensitive=DOMAINS, cls=FusionDPClassifier, **parameters):
    defaults = {
        "noise_multiplier": 1.0,
        "steps": 6,
        "public_epochs": 2,
        "public_batch_size": 250,
        "module__hidden": (8,),
        "random_state": 0,
    }
    return cls(sensitive, **{**defaults, **parameters})


def parameters_of(model):
    return np.concatenate([p.detach().numpy().ravel() for p in model.net_.module_.parameters()])


def assert_same_model(one, two):
    # Rows are represented a batch at a time in one and all at once in the other: equal up to rounding.
    np.testing.assert_allclose(parameters_of(one), parameters_of(two), rtol=0, atol=2e-6)
    assert one.schema_ == two.schema_ and one.plan_ == two.plan_ and one.ledger_ == two.ledger_
    assert one.history_[:, "train_loss"] == pytest.approx(two.history_[:, "train_loss"], nan_ok=True)


# Training ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_memmap_trains_the_model_of_the_same_array(method, array, memmap, target):
    one = made(method=method).fit(array, target)
    two = made(method=method).fit(memmap, target)
    assert_same_model(one, two)
    np.testing.assert_allclose(one.predict_proba(array), two.predict_proba(memmap), rtol=0, atol=1e-5)
    assert two.n_features_in_ == 5 and not hasattr(two, "feature_names_in_")


@pytest.mark.parametrize("strategy", ["mean", "sample"])
@pytest.mark.parametrize("backend", ["ensemble", "tree"])
def test_imputing_batch_by_batch_gives_the_same_model(strategy, backend, array, memmap, target):
    if backend == "tree" and strategy == "sample":
        pytest.skip("a regressor has no distribution to sample from")
    sensitive = {0: Numeric(-3, 3)}
    chosen = DecisionTreeRegressor(max_depth=3, random_state=0) if backend == "tree" else backend
    imputer = FoundationImputer(support=made_array(80, 1), backend=chosen, strategy=strategy)
    one, two = (made(sensitive, imputer=imputer).fit(X, target) for X in (array, memmap))
    assert_same_model(one, two)


def test_a_path_and_a_regressor(array, memmap, tmp_path):
    y = array[:, 1] * 3 + 7
    one = made(cls=FusionDPRegressor).fit(array, y)
    two = made(cls=FusionDPRegressor).fit(tmp_path / "table.npy", y)
    assert_same_model(one, two)
    np.testing.assert_allclose(
        one.predict(array), two.predict(str(tmp_path / "table.npy")), rtol=0, atol=1e-5
    )


@pytest.mark.slow
def test_other_numbers(tmp_path, target):
    for dtype in (">f4", np.float16, np.int32, np.bool_):
        array = np.nan_to_num(made_array()).astype(dtype)
        np.save(tmp_path / "x.npy", array)
        native = array.astype(array.dtype.newbyteorder("="))
        memmap = np.load(tmp_path / "x.npy", mmap_mode="r")
        assert_same_model(*(made({1: Numeric(-3, 3)}, steps=2).fit(X, target) for X in (native, memmap)))


# Arrow ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(2)
    n = 500
    age = pd.array(rng.integers(18, 90, n), dtype="Int64")
    age[rng.random(n) < 0.1] = pd.NA
    return pd.DataFrame(
        {
            "lab": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "age": age,
            "ward": pd.Categorical(rng.choice(["north", "south"], n)),
            "sex": rng.choice(np.array(["f", "m", None], dtype=object), n),
            "smoker": rng.random(n) < 0.3,
            "job": rng.choice(["clerk", "nurse", "cook"], n),
        },
        index=np.arange(n) + 7,
    )


PEOPLE = {"age": Numeric(18, 90), "sex": Categorical(["f", "m"])}


@pytest.fixture(params=["parquet", "folder", "feather", "dataset", "table"])
def on_disk(request, people, tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.dataset as ds

    if request.param == "parquet":
        people.to_parquet(tmp_path / "p.parquet", row_group_size=64)
        return tmp_path / "p.parquet"
    if request.param == "feather":
        people.reset_index(drop=True).to_feather(tmp_path / "p.feather")
        return tmp_path / "p.feather"
    if request.param == "table":
        return pa.Table.from_pandas(people)
    (tmp_path / "parts").mkdir()
    for i in range(3):
        people.iloc[i * 200 : (i + 1) * 200].to_parquet(tmp_path / "parts" / f"{i}.parquet")
    return tmp_path / "parts" if request.param == "folder" else ds.dataset(tmp_path / "parts")


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [2**18, 300, 1])
def test_arrow_trains_the_model_of_the_same_frame(ahead, people, on_disk, monkeypatch):
    """However many steps' rows a pass over the file fetches."""
    monkeypatch.setattr(ArrowTable, "rows_ahead", ahead)
    y = (people["lab"].fillna(0) > 0).to_numpy()
    one, two = (made(PEOPLE).fit(X, y) for X in (people, on_disk))
    assert_same_model(one, two)
    np.testing.assert_allclose(one.predict(people), two.predict(on_disk), rtol=0, atol=1e-5)
    assert two.feature_names_in_.tolist() == people.columns.tolist()


@pytest.mark.slow
def test_arrow_trains_with_labelled_support_rows(people):
    pa = pytest.importorskip("pyarrow")
    y = (people["lab"].fillna(0) > 0).to_numpy()
    support = people[:100].copy().assign(lab=np.linspace(-2, 2, 100), age=40, sex="f")
    known = {"support": support, "support_target": support["lab"] > 0, "on_leak": "ignore"}
    one, two = (made(PEOPLE, **known).fit(X, y) for X in (people, pa.Table.from_pandas(people)))
    assert_same_model(one, two)


def test_predicting_from_a_file_without_sensitive_columns(people, tmp_path):
    pytest.importorskip("pyarrow")
    y = (people["lab"].fillna(0) > 0).to_numpy()
    imputer = FoundationImputer(support=people[:100].astype({"age": float}), strategy="sample")
    model = made(PEOPLE, imputer=imputer).fit(people, y)
    known = people.drop(columns=["age", "sex"])
    known.to_parquet(tmp_path / "known.parquet")
    assert np.array_equal(model.predict_proba(known), model.predict_proba(tmp_path / "known.parquet"))


# What is read, and when -----------------------------------------------------------------------------


def test_the_free_view_asks_for_public_columns_only(memmap, people, target, tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    people.to_parquet(tmp_path / "p.parquet")
    asked = []

    def spy(kind):
        real = kind.take
        monkeypatch.setattr(
            kind,
            "take",
            lambda self, index, columns=None: asked.append(columns) or real(self, index, columns),
        )

    spy(MemmapTable)
    spy(ArrowTable)
    y = (people["lab"].fillna(0) > 0).to_numpy()
    for X, labels, sensitive in ((memmap, target, DOMAINS), (tmp_path / "p.parquet", y, PEOPLE)):
        asked.clear()
        model = made(sensitive, method="hybrid").fit(X, labels)
        hidden = set(model.schema_.sensitive)
        # The chunks that check the domains are of sensitive columns, and give nothing but an error.
        assert [c for c in asked if set(c or model.schema_.columns) & hidden and set(c) != hidden] == []
        made(sensitive).fit(X, labels)
        assert [c for c in asked if set(c or model.schema_.columns) > hidden]  # private batches do


def test_rows_are_imputed_once(memmap, target):
    class Counting(DecisionTreeRegressor):
        seen = 0

        def predict(self, X, check_input=True):
            Counting.seen += len(X)
            return super().predict(X, check_input)

    imputer = FoundationImputer(support=made_array(80, 1), backend=Counting(max_depth=3))
    made({0: Numeric(-3, 3)}, imputer=imputer, steps=40).fit(memmap, target)
    assert Counting.seen <= len(memmap) + 80 * 10  # cross-fitting of the support may predict, too


def test_private_rows_arrive_in_pieces(memmap, target, monkeypatch):
    sizes = []
    real = PerRowEngine.clipped_sum
    monkeypatch.setattr(
        PerRowEngine, "clipped_sum", lambda self, x, *a: sizes.append(x.shape[1]) or real(self, x, *a)
    )
    # A module without dropout, whose masks are drawn a piece at a time.
    made_ = functools.partial(made, batch_size=300, module=MLP)
    whole = made_(micro_batch_size=600).fit(memmap, target)
    assert len(sizes) == 6 and max(sizes) > 200
    sizes.clear()
    pieces = made_(micro_batch_size=16).fit(memmap, target)
    assert max(sizes) <= 16 and len(sizes) > 6 * 12
    assert [e.steps for e in pieces.ledger_] == [6] and pieces.net_.private_steps_ == 6
    np.testing.assert_allclose(parameters_of(whole), parameters_of(pieces), rtol=1e-3, atol=1e-5)


def test_sensitive_cells_do_not_move_the_free_view(array, target, tmp_path):
    other = array.copy()
    other[:, [0, 2]] = other[::-1, [0, 2]]
    models = []
    for i, X in enumerate((array, other)):
        np.save(tmp_path / f"{i}.npy", X)
        models.append(made(alpha=0.0).fit(tmp_path / f"{i}.npy", target))
    np.testing.assert_allclose(*(parameters_of(m) for m in models), rtol=0, atol=1e-5)


# Public facts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sensitive", [None, DOMAINS, [0, 2], {0: None, 1: Numeric(-1, 1)}], ids=str)
def test_the_schema_is_that_of_the_table_in_memory(sensitive, array, memmap, monkeypatch):
    monkeypatch.setattr("skfusiondp.tables._disk.CHUNK_ROWS", 64)
    wanted = resolve_schema(as_table(array), sensitive, on_leak="ignore")
    assert resolve_schema(as_table(memmap), sensitive, on_leak="ignore") == wanted


@pytest.mark.parametrize("sensitive", [None, PEOPLE, ["job", "smoker", "ward"]], ids=str)
def test_the_schema_of_an_arrow_table(sensitive, people, on_disk, monkeypatch):
    monkeypatch.setattr("skfusiondp.tables._disk.CHUNK_ROWS", 64)
    wanted = resolve_schema(as_table(people), sensitive, on_leak="ignore")
    got = resolve_schema(as_table(on_disk), sensitive, on_leak="ignore")
    assert got.sources == wanted.sources and list(got.domains) == list(wanted.domains)
    for column, domain in wanted.domains.items():
        # Hidden categories have a salt of their own, and the same cells.
        assert np.array_equal(got.domains[column].encode(people[column]), domain.encode(people[column]))


def test_undeclared_domains_leak_loudly_on_disk_too(memmap, target):
    with pytest.warns(PrivacyLeakWarning, match="read off the training cells"):
        made([0]).fit(memmap, target)


def test_an_infinite_public_cell_is_refused_before_training(array, target, tmp_path):
    array = array.copy()
    array[-1, 4] = np.inf
    np.save(tmp_path / "x.npy", array)
    model = made()
    with pytest.raises(InvalidInputError, match="infinite"):
        model.fit(tmp_path / "x.npy", target)
    assert not hasattr(model, "ledger_")


def test_statistics_of_a_sample_of_rows_are_close(array, memmap, monkeypatch):
    monkeypatch.setattr("skfusiondp.tables._disk.STATISTICS_ROWS", 300)
    schema = resolve_schema(as_table(array), DOMAINS, on_leak="ignore")
    whole, sampled = (
        TableEncoder()._fit_schema(as_table(X), schema).transform(array) for X in (array, memmap)
    )
    assert not np.array_equal(whole, sampled)
    np.testing.assert_allclose(whole, sampled, atol=0.3)


@pytest.mark.parametrize("name", ["nothing.parquet", "table.csv"])
def test_paths_that_lead_nowhere(name, tmp_path, target):
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InvalidInputError, match=r"neither a table nor the path|pass the path of"):
        made().fit(tmp_path / name, target)


def test_too_few_labels(memmap, target):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        made().fit(memmap, target[:-1])


# Parts ----------------------------------------------------------------------------------------------


def test_uniform_numbers_by_position():
    whole = uniforms_at([3, 1], 1000)
    index = np.random.default_rng(0).integers(1000, size=200)
    assert len(np.unique(index)) < 200
    assert np.array_equal(uniforms_at([3, 1], 200, index), whole[index])


def test_views_look_like_tensors(memmap, monkeypatch):
    rows = []
    real = FusionDPClassifier._training_rows
    monkeypatch.setattr(
        FusionDPClassifier, "_training_rows", lambda *args: rows.append(real(*args)) or rows[-1]
    )
    made(steps=1).fit(memmap, np.arange(600) % 2)
    x, y = rows[0][7]
    assert x.shape == rows[0].free.shape[1:] and y.shape == (1,)
    assert torch.equal(x, rows[0].free[torch.tensor([7])][0])
