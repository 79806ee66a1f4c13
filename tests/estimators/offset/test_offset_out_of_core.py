"""Offset models of tables on disk, and of tables of which a sample gives the free part."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from test_offset import DOMAINS, LABELLED, SUPPORT, TRAIN, Y, classifier, made, public_score, scrambled

from skfusiondp import FoundationImputer, Numeric, OffsetFusionClassifier, OffsetFusionRegressor
from skfusiondp.estimators.offset import _correction, _indicator_rows, _offset_base
from skfusiondp.tables import _disk, _table

WHOLE_MODELS = True

MANY, Y_MANY, NUMBER_MANY = made(1000, 2)


@pytest.fixture(params=["parquet", "table", "memmap"])
def on_disk(request, tmp_path):
    """Write a table to disk; a memory map has numbers only."""

    def write(frame):
        if request.param == "memmap":
            np.save(tmp_path / "x.npy", frame[["lab", "age"]].to_numpy())
            return np.load(tmp_path / "x.npy", mmap_mode="r")
        pa = pytest.importorskip("pyarrow")
        if request.param == "table":
            return pa.Table.from_pandas(frame)
        frame.to_parquet(tmp_path / "x.parquet")
        return tmp_path / "x.parquet"

    return write


def in_memory(frame, stored):
    return np.array(stored) if isinstance(stored, np.ndarray) else frame


def fitted(table, y, labelled, cls=OffsetFusionClassifier, **parameters):
    domains = {1: Numeric(0, 100)} if isinstance(table, np.ndarray) else DOMAINS
    support = SUPPORT[["lab", "age"]].to_numpy() if isinstance(table, np.ndarray) else SUPPORT
    given = {"support": support, "support_target": LABELLED["support_target"]} if labelled else {}
    return cls(domains, random_state=0, noise_multiplier=5.0, **given, **parameters).fit(table, y)


@pytest.mark.one_in(10)
@pytest.mark.parametrize(
    ("labelled", "rows"), [(False, 2**17), (False, 400), pytest.param(True, 400, marks=pytest.mark.slow)]
)
def test_a_table_on_disk_gives_the_model_of_the_same_table_in_memory(on_disk, labelled, rows, monkeypatch):
    monkeypatch.setattr(_offset_base, "_LEARNT_ROWS", rows)
    stored = on_disk(MANY)
    monkeypatch.setattr(
        _disk, "CHUNK_ROWS", 300
    )  # of the one on disk only: pieces differ, the model does not
    monkeypatch.setattr(_disk, "STATISTICS_ROWS", 10**6)
    one, two = (fitted(t, Y_MANY, labelled) for t in (in_memory(MANY, stored), stored))
    assert one.schema_ == two.schema_ and one.plan_ == two.plan_ and one.ledger_ == two.ledger_
    np.testing.assert_allclose(one.coef_, two.coef_, rtol=1e-9, atol=1e-12)
    leaves = one._structure.leaf_values
    np.testing.assert_allclose(leaves, two._structure.leaf_values, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        one.predict_proba(in_memory(MANY, stored)), two.predict_proba(stored), rtol=1e-9, atol=1e-12
    )


@pytest.mark.slow
def test_a_regressor_and_a_model_of_the_user_and_an_imputer_on_disk(tmp_path):
    pytest.importorskip("pyarrow")
    MANY.drop(columns="ward").to_parquet(tmp_path / "x.parquet")
    frame = MANY.drop(columns="ward")
    number = [
        fitted(t, NUMBER_MANY, False, OffsetFusionRegressor).predict(t)
        for t in (frame, tmp_path / "x.parquet")
    ]
    np.testing.assert_allclose(*number, rtol=1e-9)
    model = classifier(public_model=LogisticRegression(), imputer=FoundationImputer(support=frame[:100]))
    scores = [
        model.fit(t, Y_MANY).predict_proba(frame[["lab"]]) for t in (frame, str(tmp_path / "x.parquet"))
    ]
    np.testing.assert_allclose(*scores, rtol=1e-6)


def test_the_free_part_of_a_large_table_is_learnt_from_a_sample_and_the_private_one_from_all(monkeypatch):
    monkeypatch.setattr(_offset_base, "_LEARNT_ROWS", 400)
    seen, plain = {}, _correction.Releases.gradient
    everywhere = _offset_base.BaseOffsetFusion._everywhere

    def scores(self, *args):
        seen["score"] = everywhere(self, *args)
        return seen["score"]

    monkeypatch.setattr(_offset_base.BaseOffsetFusion, "_everywhere", scores)

    def watched(self, rows, coef):
        pieces = list(rows.pieces())
        seen["target"] = np.concatenate([p.target for p in pieces])[:, 0]
        return plain(self, rows, coef)

    monkeypatch.setattr(_correction.Releases, "gradient", watched)
    model = classifier().fit(MANY, Y_MANY)
    assert np.array_equal(seen["target"], Y_MANY) and model.plan_.n_rows == 1000
    # Rows that no model has seen have the score that a new row has, the others a cross-fitted one.
    public = MANY[["lab", "ward"]]
    same = np.isclose(seen["score"][:, 0], public_score(model, public)[:, 0])
    assert 600 <= same.sum() <= 650


@pytest.mark.slow
@pytest.mark.parametrize("given", [{}, LABELLED], ids=["none", "labelled"])
def test_nothing_of_the_free_part_of_a_large_table_moves_with_sensitive_cells(given, monkeypatch):
    monkeypatch.setattr(_offset_base, "_LEARNT_ROWS", 300)
    seen, plain = [], _offset_base.BaseOffsetFusion._everywhere

    def watched(self, *args):
        seen.append(plain(self, *args))
        return seen[-1]

    monkeypatch.setattr(_offset_base.BaseOffsetFusion, "_everywhere", watched)
    models = [classifier(**given).fit(t, Y) for t in (TRAIN, scrambled(TRAIN))]
    assert np.array_equal(*seen)
    assert not np.array_equal(*(m.predict_proba(TRAIN) for m in models))
    assert models[0].epsilon_ == models[1].epsilon_


@pytest.mark.slow
def test_features_are_formed_for_a_few_rows_at_a_time(monkeypatch):
    monkeypatch.setattr(_indicator_rows, "PIECE_ROWS", 64)
    monkeypatch.setattr(_table, "CHUNK_ROWS", 200)
    largest, plain = [], _correction.whole_features

    def watched(matrix):
        largest.append(matrix.shape[0])
        return plain(matrix)

    released, gradient = [], _correction.Releases.gradient

    def noted(self, *args):
        released.append(gradient(self, *args))
        return released[-1]

    monkeypatch.setattr(_correction.Releases, "gradient", noted)
    groups = np.arange(len(MANY)) // 2
    model = classifier(max_rows_per_unit=1, noise_multiplier=0.5, steps=2, **LABELLED)
    model.fit(MANY, Y_MANY, groups=groups)
    monkeypatch.setattr(_correction, "whole_features", watched)
    monkeypatch.setattr(_indicator_rows, "PIECE_ROWS", 7)
    again = clone(model).fit(MANY, Y_MANY, groups=groups)
    assert max(largest) <= 7 and again.steps_run_ == 2 and len(released) == 4
    np.testing.assert_allclose(released[:2], released[2:], rtol=1e-9, atol=1e-12)


def test_a_public_cell_that_no_model_reads_is_found_before_anything_is_paid(monkeypatch):
    monkeypatch.setattr(_offset_base, "_LEARNT_ROWS", 100)
    when = pd.Series(pd.date_range("2020", periods=len(TRAIN)).astype(str), dtype=object)
    rows = _offset_base.BaseOffsetFusion._learnt_rows(len(TRAIN), classifier()._seeds()[0])
    when[int(np.setdiff1d(np.arange(len(TRAIN)), rows)[-1])] = "soon"
    model = classifier()
    with pytest.raises(ValueError, match="soon"):
        model.fit(TRAIN.assign(when=when), Y)
    assert not len(getattr(model, "ledger_", ()))


@pytest.mark.slow
def test_many_classes_take_few_trees_each():
    rng = np.random.default_rng(0)
    for classes in (2, 3, 8, 47):
        y = np.arange(400) % classes
        table = pd.DataFrame({"lab": rng.normal(size=400), "age": rng.uniform(0, 100, 400)})
        model = OffsetFusionClassifier({"age": Numeric(0, 100)}, steps=1, noise_multiplier=9.0).fit(table, y)
        trees = sum(m.n_iter_ * (1 if classes == 2 else classes) for m in model.public_models_)
        assert 100 <= trees <= 2400, (classes, trees)
