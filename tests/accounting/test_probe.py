"""A step is run on made-up rows: which columns it makes of which, what it learns, and what is left alone."""

import time
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from corpus import SENSITIVE, OwnTransformer, paid_scaler, table
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, PolynomialFeatures

from skfusiondp import Categorical, PrivacyBudget
from skfusiondp.accounting import _probe, check_pipeline
from skfusiondp.accounting._check_pipeline import _marked
from skfusiondp.accounting._made_up_rows import KEPT, ROWS, made_up, other_contents, variants
from skfusiondp.accounting._probe import probe
from skfusiondp.accounting._provenance import EVERY, Column, Flow, flow_of

FLOW = _marked(flow_of(table()), frozenset(SENSITIVE))


def tried(own, flow=FLOW):
    return probe(FunctionTransformer(own), flow, SENSITIVE)


def sources(trial):
    return {c.name: set(c.sources) for c in trial.flow.columns}


def test_each_column_is_traced_to_those_that_it_is_made_of():
    trial = tried(
        lambda X: X.assign(a=X["age"] > 60, b=X["bmi"].isna(), c=X["sex"] + X["ward"], d=X["lab"] + 1)
    )
    assert trial.learns == frozenset()
    assert {n: s for n, s in sources(trial).items() if n in "abcd"} == {
        "a": {"age"}, "b": {"bmi"}, "c": {"sex"}, "d": set()
    }  # fmt: skip


@pytest.mark.slow
def test_many_columns_are_traced_in_groups():
    names = [f"c{i}" for i in range(30)]
    many = Flow(tuple(Column(n, frozenset({n}), np.dtype(float)) for n in names))
    trial = tried(
        lambda X: X.rename(columns={"c3": "d"}).assign(e=X["c17"] + X["c5"], f=X["c9"].mean()), many
    )
    found = sources(trial)
    assert found["d"] == {"c3"} and found["e"] == {"c5", "c17"} and trial.learns == {"c9"}
    assert all(found[n] == {n} for n in names if n != "c3")


def test_what_depends_on_two_columns_at_once_is_of_both():
    trial = tried(lambda X: X.assign(both=(X["age"] > 1e6) & (X["bmi"] > 1e6)))
    assert sources(trial)["both"] == {"age", "bmi", "sex"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "own",
    [
        lambda X: X.assign(age=X["age"] - X["age"].mean()),
        lambda X: X.assign(lab=X["lab"] * (X["age"].max() > 1e6)),
        lambda X: X.assign(lab=X["lab"] * (X["age"] == X["age"].iloc[1]).mean()),
        lambda X: X.assign(lab=X["age"].shift()),
        lambda X: X[X["age"] > 50],
        lambda X: X if X["age"].max() < 85 else X.drop(columns="lab"),
        lambda X: X.assign(lab=X["lab"].mask(X["bmi"].isna() & X["sex"].isna(), X["age"].mean())),
    ],
    ids=["mean", "rare maximum", "count", "neighbouring row", "rows", "columns", "missing cells"],
)
def test_cells_that_move_other_rows_are_learnt_from(own):
    assert tried(own).learns == {"age"}


def test_a_step_that_writes_what_it_learns_into_its_own_parameter():
    class Sly(TransformerMixin, BaseEstimator):
        def __init__(self, center=0.0):
            self.center = center

        def fit(self, X, y=None):
            self.center = X["age"].mean()
            return self

        def transform(self, X):
            return X

    assert probe(Sly(), FLOW, SENSITIVE).learns == {"age"}


@pytest.mark.slow
def test_a_step_that_writes_into_what_copies_of_it_share():
    class Sly(OwnTransformer):
        seen: ClassVar[dict] = {}

        def fit(self, X, y=None):
            self.seen["mean"] = X["age"].mean()
            return self

        def transform(self, X):
            return X

    def noted(X, notes={}):  # noqa: B006
        notes["mean"] = X["age"].mean()
        return X

    kept = {}
    within = lambda X: X.assign(lab=X["lab"] + 0 * kept.setdefault("n", 0)).pipe(noted, kept)  # noqa: E731
    for step in (Sly(), FunctionTransformer(noted), FunctionTransformer(within)):
        for _ in range(2):  # it now holds what the first trial has left there
            assert probe(step, FLOW, SENSITIVE).learns == {"age"}


def test_what_is_attached_to_the_table_is_looked_at():
    def attached(X):
        made = X.copy()
        made.attrs["mean"] = X["age"].mean()
        return made

    assert tried(attached).learns == {"age"}


def test_names_that_depend_on_the_rows_are_left_open():
    public = Flow((Column("ward", dtype="object"), Column("sex", frozenset({"sex"}), "object")))
    flow = probe(OneHotEncoder(sparse_output=False).set_output(transform="pandas"), public, {}).flow
    assert all(c.many for c in flow.columns)
    declared = OneHotEncoder(categories=[["x", "y"]], sparse_output=False).set_output(transform="pandas")
    flow = probe(declared, Flow(public.columns[:1]), {}).flow
    assert [c.name for c in flow.columns] == ["ward_x", "ward_y"]


def test_columns_that_nobody_has_told_are_made_up_when_a_step_asks_for_them():
    open_table = Flow((Column("age", frozenset({"age"})),), rest=frozenset())
    trial = probe(FunctionTransformer(lambda X: X.assign(new=X["lab"] * X["age"])), open_table, {})
    assert sources(trial) == {"age": {"age"}, "new": {"age"}} and trial.flow.rest == frozenset()
    mixed = probe(FunctionTransformer(lambda X: X[["age"]].to_numpy()), open_table, {})
    assert mixed.flow.rest is None


def test_what_is_not_tried():
    assert tried(lambda X: X.assign(noise=np.random.default_rng().normal(size=len(X)))) is None
    assert tried(lambda X: 1 / 0) is None
    assert tried(lambda X: X[X["lab"] > X["lab"].median()]) is None  # which row is which then?
    assert probe(FunctionTransformer(), Flow(rest=frozenset({EVERY})), {}) is None
    assert probe(PolynomialFeatures(4), Flow(tuple(Column(f"c{i}") for i in range(100))), {}) is None

    class Held(OwnTransformer):
        def __init__(self, inner=None, budget=None):
            self.inner, self.budget = inner, budget

    # On made-up rows a step of this library would pay out of a true budget.
    assert probe(Held(inner=paid_scaler()), FLOW, SENSITIVE) is None
    assert probe(Held(budget=PrivacyBudget(epsilon=1.0, delta=1e-5)), FLOW, SENSITIVE) is None


def test_a_slow_step_is_given_up(monkeypatch):
    monkeypatch.setattr(_probe, "_SECONDS", 0.02)

    def slow(X):
        end = time.thread_time() + 0.01
        while time.thread_time() < end:
            pass
        return X

    assert tried(slow) is None


def test_it_leaves_no_trace():
    calls = []
    step = FunctionTransformer(lambda X: calls.append(X) or X)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    tried(lambda X: X.assign(lab=np.random.normal(size=len(X))))  # noqa: NPY002
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    probe(step, FLOW, SENSITIVE)
    assert not hasattr(step, "n_features_in_") and calls
    true = set(table()["age"]) | set(table()["lab"])
    assert not any(true & set(X["lab"]) for X in calls)


def test_a_step_that_cannot_be_tried_keeps_the_verdict_of_the_tables():
    def fails(X):
        raise RuntimeError

    assert [f.severity for f in check_pipeline(FunctionTransformer(fails), X=table())] == ["note"]

    class Fails(OwnTransformer):
        def fit(self, X, y=None):
            raise RuntimeError

    assert not check_pipeline(Fails(), X=table()).ok


@pytest.mark.parametrize(
    "dtype",
    [
        "float64",
        "float32",
        "int64",
        "int8",
        "uint8",
        "bool",
        "object",
        "category",
        "datetime64[ns]",
        "string",
    ],
)
def test_made_up_rows_keep_to_their_types(dtype):
    columns = [
        Column("c", frozenset({"c"}), pd.Series([], dtype=dtype).dtype),
        Column("p", dtype=np.dtype(float)),
    ]
    base = made_up(columns, {}, 0)
    assert len(base) == ROWS
    others = list(variants(base, columns, other_contents(base, columns, {}), frozenset({"c"})))
    assert len(others) >= 3
    for other in others:
        assert other.iloc[KEPT].equals(base.iloc[KEPT]) and other["p"].equals(base["p"])
        assert (other.dtypes == base.dtypes).all()
    assert any(not other["c"].equals(base["c"]) for other in others)


def test_made_up_rows_keep_to_declared_domains():
    columns = [Column("sex", frozenset({"sex"}), np.dtype(object))]
    assert set(made_up(columns, {"sex": Categorical(["F", "M"])}, 0)["sex"]) == {"F", "M"}
