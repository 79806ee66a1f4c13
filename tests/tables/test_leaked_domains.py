"""A domain read off training cells: epsilon is infinite wherever it is shown, and no cell is kept."""

import json
import pickle
import re
import struct

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    OffsetFusionClassifier,
    OffsetFusionRegressor,
    PrivacyBudget,
    PrivacyBudgetError,
    PrivacyLeakError,
    PrivacyLeakWarning,
)
from skfusiondp.accounting import privacy_report
from skfusiondp.audit import risk
from skfusiondp.model_selection import PrivateRandomSearchCV, StackedGridSearchCV
from skfusiondp.persistence import load, save
from skfusiondp.preprocessing import (
    PrivateCategories,
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
    TableEncoder,
)
from skfusiondp.tables._categorical import HiddenCategorical
from skfusiondp.tables._kinds import leaked_domain
from skfusiondp.tables._read_table import as_table
from skfusiondp.tables._schema import resolve_schema

pytestmark = [
    pytest.mark.filterwarnings("ignore:No support rows:UserWarning"),
    pytest.mark.filterwarnings("ignore::skfusiondp.PrivacyLeakWarning"),
]
N = 240
WORDS = ["zanzibar", "quagga", "marsupial"]
rng = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "lab": rng.normal(size=N),
        "age": np.round(rng.uniform(21, 79, N), 3) + 1 / 3,
        "pay": rng.exponential(20_000, N) + 1 / 7,
        "race": rng.choice(WORDS, N),
        "born": pd.to_datetime("1950-01-01") + pd.to_timedelta(rng.integers(0, 9999, N), "D"),
        "code": rng.integers(1, 4, N).astype(str),
    }
)
UNDECLARED = ["age", "pay", "race", "born", "code"]
Y = (TABLE["lab"] + (TABLE["race"] == "quagga") > 0.5).astype(int)
QUICK = {"steps": 2, "public_epochs": 1, "module__hidden": (4,), "random_state": 0}


def fusion(method="fusiondp", cls=FusionDPClassifier, **more):
    return cls(UNDECLARED, method=method, **{**QUICK, **more})


SPENDERS = {
    **{m: (lambda m=m, **k: fusion(m, **k)) for m in ("fusiondp", "feature-dp", "dp-sgd", "hybrid")},
    "regressor": lambda **k: fusion(cls=FusionDPRegressor, **k),
    "offset": lambda **k: OffsetFusionClassifier(UNDECLARED, steps=2, random_state=0, **k),
    "offset regressor": lambda **k: OffsetFusionRegressor(UNDECLARED, steps=2, random_state=0, **k),
    "scaler": lambda **k: PrivateStandardScaler(UNDECLARED, random_state=0, **k),
    "quantiles": lambda **k: PrivateQuantileTransformer(UNDECLARED, random_state=0, **k),
    "categories": lambda **k: PrivateCategories(UNDECLARED, random_state=0, **k),
    "selector": lambda **k: PrivateSelectKBest(UNDECLARED, k=3, random_state=0, **k),
    "selector that reads nothing": lambda **k: PrivateSelectKBest(UNDECLARED, k=9, random_state=0, **k),
}
each = pytest.mark.parametrize("name", SPENDERS)


@pytest.fixture(scope="module")
def fitted():
    return {name: made().fit(TABLE, Y) for name, made in SPENDERS.items()}


def cells_in(text):
    """Cells of sensitive columns that a text quotes."""
    shown = [w for w in WORDS if w in text]
    numbers = {float(n) for n in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", text)}
    for column in ("age", "pay"):
        shown += sorted(numbers & set(TABLE[column].astype(float)))
    return shown + [d for d in TABLE["born"].astype(str) if d in text]


def bytes_in(dumped):
    """Cells that are in a file, as texts or as numbers in double precision, either order."""
    found = [w for w in WORDS if w.encode() in dumped]
    for column in ("age", "pay"):
        found += [
            v for v in TABLE[column] if struct.pack("<d", v) in dumped or struct.pack(">d", v) in dumped
        ]
    return found + [d for d in TABLE["born"].astype(str) if d.encode() in dumped]


# Infinity, everywhere ---------------------------------------------------------------------------------


@each
@pytest.mark.one_in(3)
def test_epsilon_is_infinite_wherever_it_is_shown(name, fitted):
    model = fitted[name]
    assert model.epsilon_ == np.inf
    report = model.privacy_report()
    first = str(report).splitlines()[0]
    assert first.startswith("No privacy guarantee") and "epsilon is infinite" in first
    html = report.to_html()
    assert "ε = ∞" in html and "No privacy guarantee" in html and not report.guessing
    assert report.to_dict()["epsilon"] == "inf" and json.loads(report.to_json())["epsilon"] == "inf"
    assert set(report.epsilon_by_column) >= set(UNDECLARED)
    assert all(e == np.inf for c, e in report.epsilon_by_column.items())
    assert privacy_report(make_pipeline("passthrough", clone(model)).fit(TABLE, Y)).epsilon == np.inf
    unpaid = [e for e in model.ledger_ if e.noise_multiplier == 0]
    assert [e.protects for e in unpaid] == [tuple(UNDECLARED)] and unpaid[0].n_rows == N


def test_risk_agrees(fitted):
    for name in ("fusiondp", "offset"):
        found = risk(fitted[name])
        assert found.epsilon == np.inf and found.advantage == 1
        assert set(found.success.values()) == {1.0}
        assert not cells_in(str(found))


def test_declared_columns_beside_keep_their_own_epsilon():
    model = FusionDPClassifier({"age": Numeric(0, 100), "race": None}, epsilon=1.0, **QUICK).fit(
        TABLE[["lab", "age", "race"]], Y
    )
    by_column = model.privacy_report().epsilon_by_column
    assert by_column["race"] == model.epsilon_ == np.inf and by_column["age"] <= 1
    assert "epsilon inf at delta" in str(model.privacy_report())
    assert "∞" in model.privacy_report().to_html()


@each
def test_a_budget_refuses_it_before_a_cell_is_read(name, monkeypatch):
    def read(*args):
        raise AssertionError("a cell was read before the budget was asked")

    monkeypatch.setattr("skfusiondp.tables._schema.leaked_domain", read)
    budget = PrivacyBudget(1e6, 1e-5, "add-remove" if name == "dp-sgd" else "replace")
    model = SPENDERS[name](budget=budget)
    with pytest.raises(PrivacyBudgetError, match="infinite epsilon") as caught:
        model.fit(TABLE, Y)
    assert not cells_in(str(caught.value)) and len(budget.ledger) == 0 and not hasattr(model, "ledger_")
    with pytest.raises(PrivacyLeakError):
        SPENDERS[name](on_leak="raise").fit(TABLE, Y)


def test_a_paired_table_brings_its_leak_along():
    imputer = FoundationImputer(UNDECLARED, backend="domain", output="paired")
    paired = imputer.fit_transform(TABLE)
    assert FusionDPClassifier(**QUICK).fit(paired, Y).epsilon_ == np.inf
    assert FusionDPClassifier(method="hybrid", **QUICK).fit(paired, Y).epsilon_ == np.inf
    with pytest.raises(PrivacyBudgetError):
        FusionDPClassifier(budget=PrivacyBudget(1e6, 1e-5), **QUICK).fit(paired, Y)


def test_an_imputer_s_users_pay_for_its_leak():
    imputer = FoundationImputer(UNDECLARED, backend="domain")
    model = FusionDPClassifier(imputer=imputer, **QUICK).fit(TABLE, Y)
    assert model.epsilon_ == np.inf
    declared = dict(resolve_schema(as_table(TABLE), UNDECLARED, on_leak="ignore").domains)
    pipe = make_pipeline(imputer, FusionDPClassifier(declared, **QUICK)).fit(TABLE, Y)
    assert privacy_report(pipe).epsilon == np.inf


@pytest.mark.parametrize("on_disk", [False, True])
def test_on_disk_too(on_disk, tmp_path):
    TABLE.to_parquet(tmp_path / "x.parquet")
    model = fusion().fit(tmp_path / "x.parquet" if on_disk else TABLE, Y)
    assert model.epsilon_ == np.inf and not bytes_in(pickle.dumps(model.schema_))
    codes = model.schema_.domains["race"].codes(TABLE["race"])
    assert codes.max() == 2


@pytest.mark.slow
def test_searches_show_it_too():
    base = fusion(random_state=None)
    found = PrivateRandomSearchCV(base, {"lr": [0.01]}, n_trials=2, epsilon=2.0, random_state=0).fit(TABLE, Y)
    assert found.epsilon_ == np.inf and found.privacy_report().epsilon == np.inf
    assert str(found.privacy_report()).startswith("No privacy guarantee")
    assert not cells_in(str(found.privacy_report())) and not bytes_in(pickle.dumps(found))
    budget = PrivacyBudget(1e6, 1e-2)
    with pytest.raises(PrivacyLeakError):
        PrivateRandomSearchCV(base, {"lr": [0.01]}, n_trials=2, budget=budget).fit(TABLE, Y)
    with pytest.warns(PrivacyLeakWarning):
        stacked = StackedGridSearchCV(fusion(), {"lr": [0.01, 0.02]}, cv=2).fit(TABLE, Y)
    assert stacked.best_estimator_.epsilon_ == np.inf


# No cell is kept --------------------------------------------------------------------------------------


@each
@pytest.mark.one_in(3)
def test_no_cell_is_shown_or_pickled(name, fitted, tmp_path):
    model = fitted[name]
    report = model.privacy_report()
    for text in (str(report), report.to_html(), report.to_json(), repr(report), repr(model.schema_)):
        assert not cells_in(text)
    if hasattr(model, "encoder_"):
        assert not cells_in(" ".join(model.encoder_.get_feature_names_out()))
    assert bytes_in(pickle.dumps(TABLE)), "the search can succeed"
    assert not bytes_in(pickle.dumps(model))
    path = tmp_path / "model"
    save(model, path)
    assert not bytes_in(path.read_bytes())
    after = "predict" if hasattr(model, "predict") else "transform"
    wanted = getattr(model, after)(TABLE)
    for again in (pickle.loads(pickle.dumps(model)), load(path)):
        got = getattr(again, after)(TABLE)
        assert pd.DataFrame(got).equals(pd.DataFrame(wanted)) and again.schema_ == model.schema_


def test_other_holders_of_domains_keep_no_cell_either():
    for made in (TableEncoder(UNDECLARED), FoundationImputer(UNDECLARED, backend="domain")):
        fitted = made.fit(TABLE)
        assert not bytes_in(pickle.dumps(fitted)) and not cells_in(repr(fitted.schema_))
        hybrid = fitted.transform(TABLE)
        assert pd.DataFrame(pickle.loads(pickle.dumps(fitted)).transform(TABLE)).equals(pd.DataFrame(hybrid))


def test_the_shown_names_of_an_imputed_table_are_found_again():
    imputer = FoundationImputer(["race"], backend="domain", strategy="sample", random_state=0)
    hybrid = imputer.fit_transform(TABLE[["lab", "race"]])
    domain = imputer.schema_.domains["race"]
    assert set(hybrid["race"]) <= set(domain.categories) and domain.codes(hybrid["race"]).max() <= 2


@pytest.mark.parametrize(
    "cells",
    [[20.0, 80.0], [21.5, 79.99], [0.0, 1.0], [-1e-9, 1e-9], [5.0, 5.0], [0.0, 0.0], [60.0], [-1e306, 1e306],
     [1e15, 1e15 + 0.25], [-np.inf, 3.0, np.nan, 7.0], [123456.789, 123456.790]],
    ids=str,
)  # fmt: skip
def test_bounds_lie_outside_on_a_coarse_grid(cells):
    domain = leaked_domain(pd.Series(cells, name="c"))
    finite = [c for c in cells if np.isfinite(c)]
    assert domain.low < min(finite) and domain.high > max(finite)
    spread = max(finite) - min(finite)
    if 0 < spread < 1e300:
        assert domain.high - domain.low < 25 * spread
    if cells == [21.5, 79.99]:
        assert (domain.low, domain.high) == (20, 80)


def test_hidden_categories_are_the_true_ones():
    cells = pd.Series(
        ["b", "a", None, "b", "c", [1], 1, 1.0, True, 2.5, pd.Timestamp("2020-01-01")], name="c"
    )
    hidden = leaked_domain(cells)
    assert isinstance(hidden, HiddenCategorical) and isinstance(hidden, Categorical)
    codes = hidden.codes(cells)
    assert codes[0] == codes[3] and len(set(codes[[0, 1, 4, 6, 8, 9, 10]])) == 7
    assert codes[6] == codes[7] and codes[2] == len(hidden.categories) + 1
    assert codes[5] == len(hidden.categories)
    assert np.array_equal(pickle.loads(pickle.dumps(hidden)).codes(cells), codes)
    other = leaked_domain(cells)
    assert other != hidden and other.salt != hidden.salt and pickle.loads(pickle.dumps(hidden)) == hidden
    assert all(re.fullmatch(r"hidden_\d+", c) for c in hidden.categories)


# What is said -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_disk", [False, True])
def test_the_remedy_names_the_column_s_own_kind(on_disk, tmp_path):
    TABLE.to_parquet(tmp_path / "x.parquet")
    with pytest.warns(PrivacyLeakWarning) as caught:
        fusion("feature-dp").fit(tmp_path / "x.parquet" if on_disk else TABLE, Y)
    (said,) = {str(w.message) for w in caught if issubclass(w.category, PrivacyLeakWarning)}
    for remedy in ("'age': Numeric(low, high)", "'pay': Numeric(low, high)", "'race': Categorical([...])",
                   "'born': Date(low, high)",
                   "'code': Categorical([...])"):  # fmt: skip
        assert remedy in said
    assert "epsilon is infinite" in said and not cells_in(said)


def test_an_error_names_every_kind_without_a_look_at_the_cells():
    """Which kind a column is, its cells decide: one text among numbers would show in the message."""
    said = set()
    for table in (TABLE, TABLE.assign(age="x"), TABLE.assign(age=TABLE["born"])):
        with pytest.raises(PrivacyLeakError) as caught:
            resolve_schema(as_table(table), UNDECLARED, on_leak="raise")
        said.add(str(caught.value))
    (text,) = said
    assert "Numeric(low, high)" in text and "Categorical([...])" in text and "Date(low, high)" in text


def test_where_support_rows_give_domains_nothing_changes():
    schema = resolve_schema(as_table(TABLE[50:]), UNDECLARED, support=TABLE[:50], on_leak="raise")
    assert schema.leaks == () and set(schema.sources.values()) == {"support"}
    assert schema.domains["race"] == Categorical(sorted(WORDS))
    assert schema.domains["age"] == Numeric(TABLE["age"][:50].min(), TABLE["age"][:50].max())
    model = FusionDPClassifier(
        UNDECLARED, imputer=FoundationImputer(support=TABLE[:50]), epsilon=1.0, **QUICK
    )
    assert model.fit(TABLE[50:], Y[50:]).epsilon_ <= 1


@pytest.mark.parametrize("leak", ["domain", "support"])
def test_a_fit_that_ends_before_its_private_steps_shows_the_leak_all_the_same(leak):
    """Ctrl-C in a public epoch keeps a model whose encoder holds what training cells gave."""

    class Stops(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    sensitive = UNDECLARED if leak == "domain" else {"age": Numeric(0, 100)}
    imputer = FoundationImputer(backend="domain", support=TABLE if leak == "support" else None)
    model = FusionDPClassifier(sensitive, callbacks=[Stops()], imputer=imputer, **QUICK).fit(TABLE, Y)
    assert model.net_.private_steps_ == 0
    assert model.epsilon_ == model.privacy_report().epsilon == np.inf
    assert [e.noise_multiplier for e in model.ledger_] == [0.0]
