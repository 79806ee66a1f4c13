"""Copied rows among real tables' rows: found where public cells can tell them from chance, and only there."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skfusiondp import FusionDPClassifier, Numeric
from skfusiondp.datasets import load_adult
from skfusiondp.tables._repeats import _repeated_cells

WHOLE_MODELS = True

FOLDER = Path(__file__).parents[2] / "examples" / "benchmarks"
SIZES = {"300": 300, "3000": 3000, "all": 10**9}
TABLES = [
    "compas", "pensions", "mothers", "colleges", "insurance", "crashes", "incomes", "support2",
    "acs_massachusetts", "flchain", "nhis", "alcohol", "credit_default", "adult", "sepsis", "adult_hours",
]  # fmt: skip
# What nothing tells from chance: these tables have a hundred or two different rows, nearly all of which occur
# many times, so a bootstrap of them is a table like any other of such people.
CLASS = {"twice a class", "ten times a class", "balanced"}
UNTOLD = {
    **{(name, size): CLASS | {"bootstrap", "visits"}
       for name in ("mothers", "insurance", "nhis") for size in SIZES},
    ("acs_massachusetts", "300"): {"bootstrap", "twice a class", "balanced"},
    ("acs_massachusetts", "3000"): {"bootstrap"},
    ("acs_massachusetts", "all"): {"balanced"},
    # Few of 300 rows stand alone, or few are copied.
    ("compas", "300"): {"bootstrap"},
    ("alcohol", "300"): {"twice a class"},
    ("adult_hours", "300"): {"balanced"},
}  # fmt: skip


def copied(n: int, label: pd.Series, seed: int) -> dict[str, np.ndarray]:
    """Rows of a table that was copied from in every way; the rarer class is the one over-sampled."""
    rng = np.random.default_rng(seed)
    every = np.arange(n)
    one = (label == 1).to_numpy() if label.nunique() == 2 else (label > label.median()).to_numpy()
    one = np.flatnonzero(one if one.mean() <= 0.5 else ~one)
    return {
        "bootstrap": rng.integers(0, n, n),
        "twice a class": np.r_[every, one],
        "ten times a class": np.r_[every, np.tile(one, 9)],
        "balanced": np.r_[every, rng.choice(one, max(n - 2 * len(one), len(one)))],
        "visits": np.repeat(every, rng.integers(1, 9, n)),
        "the table twice": np.r_[every, every],
    }


@pytest.fixture(scope="module")
def tables():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        import _tables

        yield _tables
    for name in ("_tables", "_tuning"):
        sys.modules.pop(name, None)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", TABLES)
def test_copies_of_real_rows_are_found_and_the_rows_themselves_are_no_alarm(tables, name, size):
    if why := tables.absent(name):
        pytest.skip(why)
    loaded = tables.load(name)
    public = tuple(loaded.public)
    for seed in range(2):
        rows = np.random.default_rng(seed).permutation(len(loaded.table))[: SIZES[size]]
        frame = loaded.table.iloc[rows][list(public)].reset_index(drop=True)
        label = loaded.target.iloc[rows].reset_index(drop=True)
        assert _repeated_cells(frame, public) == 1
        for how, index in copied(len(frame), label, seed).items():
            found = _repeated_cells(frame.iloc[index].reset_index(drop=True), public)
            if how not in UNTOLD.get((name, size), ()):
                assert found >= np.bincount(index).max() > 1, (how, seed)


@pytest.mark.parametrize("n", [300, 3000])
def test_copies_of_adult_rows_are_found_and_the_rows_themselves_are_no_alarm(n):
    adult = load_adult()
    public = tuple(adult.public)
    frame = adult.table[:n]
    assert _repeated_cells(frame, public) == 1
    for how, index in copied(n, adult.target[:n], 0).items():
        assert _repeated_cells(frame.iloc[index], public) >= np.bincount(index).max() > 1, how


def heaped(n, rng):
    """Money that people round: half of the amounts to hundreds or tens, one in eight is nothing."""
    money = rng.lognormal(7, 1, n)
    step = rng.choice([100, 10, 1, 0.1, 0.01], n, p=[0.25, 0.25, 0.2, 0.15, 0.15])
    return pd.DataFrame({"money": np.where(rng.random(n) < 0.12, 0, np.round(money / step) * step),
                         "plan": rng.integers(0, 2, n)}).round(2)  # fmt: skip


def one_hot(n, rng):
    """Regions and sizes of towns in 0/1 columns, beside months of which most people have none."""
    region, town = rng.integers(0, 4, n), rng.integers(0, 8, n)
    months = np.where(rng.random(n) < 0.75, 0, rng.gamma(1, 12, n).round(1))
    columns = {f"region_{i}": (region == i).astype(int) for i in range(3)}
    columns |= {f"town_{i}": (town == i).astype(int) for i in range(7)}
    return pd.DataFrame({"months": months, **columns})


def not_measured(n, rng):
    """Results of which most patients have none at all, or few."""
    measured = rng.random((n, 6)) < rng.beta(0.3, 0.7, (n, 1))
    return pd.DataFrame(np.where(measured, rng.normal(size=(n, 6)).round(2), np.nan)).add_prefix("x")


@pytest.mark.parametrize("n", [400, 4000])
@pytest.mark.parametrize("make", [heaped, one_hot, not_measured])
def test_frequent_cells_are_no_evidence_and_copies_among_them_are_found(make, n):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        frame = make(n, rng)
        assert frame.duplicated().sum() > n / 20
        assert _repeated_cells(frame, tuple(frame)) == 1
        for index in (rng.integers(0, n, n), np.r_[:n, :n], np.repeat(np.arange(n), rng.integers(1, 5, n))):
            copies = frame.iloc[index].reset_index(drop=True)
            assert _repeated_cells(copies, tuple(frame)) >= np.bincount(index).max() > 1


@pytest.mark.parametrize("n", [300, 20_000])
def test_a_category_in_several_columns_is_one(n):
    """A name beside its code and its 0/1 columns: rows never differ in one of them alone."""
    kind = np.random.default_rng(0).integers(0, 12, n)
    columns = {f"is_{i}": (kind == i).astype(float) for i in range(12)}
    for more in ({}, {"name": [f"k{i}" for i in kind]}, {"name": [f"k{i}" for i in kind], "code": kind * 7}):
        frame = pd.DataFrame({**columns, **more})
        assert _repeated_cells(frame, tuple(frame)) == 1


def test_a_few_patients_with_many_equal_visits_are_found():
    rng = np.random.default_rng(0)
    patients = pd.DataFrame(rng.normal(size=(40, 3)).round(3)).add_prefix("x").assign(ward=["a", "b"] * 20)
    visits = rng.integers(1, 60, 40)
    frame = patients.loc[np.repeat(np.arange(40), visits)].reset_index(drop=True)
    assert _repeated_cells(frame, tuple(frame)) == visits.max()


def test_a_designed_experiment_is_no_alarm_and_a_table_there_twice_is_one():
    grid = pd.MultiIndex.from_product([range(4), range(3), range(5)]).to_frame(index=False).add_prefix("x")
    design = pd.concat([grid] * 6, ignore_index=True)
    assert _repeated_cells(design, tuple(design)) == 1
    few = pd.DataFrame(np.random.default_rng(0).integers(0, 4, (400, 2))).add_prefix("x")
    assert _repeated_cells(few, ("x0", "x1")) == 1
    most = few.value_counts().iloc[0]
    assert _repeated_cells(pd.concat([few, few], ignore_index=True), ("x0", "x1")) == 2 * most


def test_few_kinds_of_rows_that_occur_an_even_number_of_times_are_chance():
    counts = [258, 146, 118, 90, 86, 78, 68, 56]
    frame = pd.DataFrame({"x": np.repeat(np.arange(8), counts)})
    assert _repeated_cells(frame, ("x",)) == 1


def test_what_is_copied_is_found_among_much_that_is_not():
    """Two hundred of 6,000 rows that no other row resembles."""
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(6000, 4))).add_prefix("x")
    assert _repeated_cells(pd.concat([frame, frame[:200]], ignore_index=True), tuple(frame)) == 2


@pytest.mark.parametrize("method", ["non-private", "hybrid"])
def test_where_nothing_is_paid_for_there_is_no_warning(method):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"lab": rng.normal(size=60), "ward": rng.normal(size=60), "age": rng.uniform(20, 80, 60)}
    )
    twice = pd.concat([table, table])
    model = FusionDPClassifier({"age": Numeric(0, 100)}, method=method, public_epochs=1, epochs=1)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.fit(twice, (twice["lab"] > 0).astype(int).to_numpy())
    assert not [w for w in said if "rows of the same people" in str(w.message)]
