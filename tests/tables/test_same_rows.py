"""Training rows given as support: found by public facts alone, and never beside an intact epsilon."""

import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    Numeric,
    OffsetFusionClassifier,
    PrivacyBudget,
    PrivacyBudgetError,
    PrivacyLeakError,
    PrivacyLeakWarning,
)
from skfusiondp.accounting import privacy_report
from skfusiondp.datasets import load_adult
from skfusiondp.tables._public_columns import PublicColumn
from skfusiondp.tables._same_rows import row_codes, training_rows_given

SEPSIS = Path(__file__).parents[2] / "shared" / "data" / "sepsis"


def made(n, seed, index=None):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "lab": rng.normal(size=n),
            "ward": rng.choice(["north", "south"], n),
            "age": rng.uniform(20, 80, n),
            "sex": rng.choice(["f", "m"], n),
        },
        index=index,
    )


X, S = made(300, 0), made(80, 1)
y = (X["lab"] > 0).to_numpy().astype(int)
DOMAINS = {"age": Numeric(18, 90), "sex": Categorical(["f", "m"])}
FAST = {"steps": 2, "batch_size": 30, "public_epochs": 0, "module__hidden": (4,)}


def found(train, support, public):
    frames = [train.reset_index(drop=True), support.reset_index(drop=True)]
    columns = [PublicColumn.of(frames[0][c]) for c in public]
    codes = [row_codes(f, columns) for f in frames]
    return training_rows_given(*codes, (train, support))


LEAKS = {
    "the same object": lambda t: t,
    "a sample": lambda t: t.sample(60, random_state=0),
    "a slice that shares memory": lambda t: t[:60],
    "the first rows, copied": lambda t: t[:60].copy(),
    "shuffled with a new index": lambda t: t.sample(frac=1, random_state=0).reset_index(drop=True),
    "a sample with a new index": lambda t: t.sample(60, random_state=0).reset_index(drop=True),
    "other sensitive cells": lambda t: t.sample(60, random_state=0).assign(age=50.0).reset_index(drop=True),
    "in single precision": lambda t: (
        t.sample(60, random_state=1).reset_index(drop=True).astype({"lab": "f4"})
    ),
    "some of them": lambda t: pd.concat([S, t.sample(30, random_state=0)], ignore_index=True),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_every_way_to_give_training_rows_is_found(leak):
    assert found(X, LEAKS[leak](X), ["lab", "ward"])
    assert not found(X, LEAKS[leak](made(300, 7)), ["lab", "ward"])


def test_labels_tell_where_cells_cannot():
    """Two wards and nothing else: index labels that name rows, or that are far apart."""
    for labels in ([f"P{i:04d}" for i in range(300)], np.random.default_rng(0).permutation(10**7)[:300]):
        train = X.set_axis(labels, axis=0)[["ward", "age", "sex"]]
        assert found(train, train.sample(40, random_state=0).copy(), ["ward"])
        assert not found(train, S[["ward", "age", "sex"]], ["ward"])
    # Numbers of rows in two files are the same numbers.
    assert not found(X[["ward", "age"]], made(900, 5).sample(80, random_state=0)[["ward", "age"]], ["ward"])


def test_adults_coincidences_are_no_alarm_and_its_rows_are_found():
    adult = load_adult()
    for n in (50, 500, 8000):
        support, _, train, _ = adult.split_support(n, random_state=n)
        assert not found(train, support, adult.public)
        assert not found(train.reset_index(drop=True), support.reset_index(drop=True), adult.public)
    assert found(adult.table, adult.table.sample(400, random_state=0).reset_index(drop=True), adult.public)


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_support_of_another_distribution_is_no_alarm(share):
    adult = load_adult()
    rank = adult.table[adult.public[0]].astype(str).rank(pct=True).to_numpy()
    chosen = np.random.default_rng(0).random(len(rank)) < share * rank
    train, support = (adult.table[c].reset_index(drop=True) for c in (~chosen, chosen))
    assert not found(train, support, adult.public)


@pytest.mark.skipif(not SEPSIS.exists(), reason="the published sepsis tables are not here")
@pytest.mark.parametrize("columns", [slice(0, 30), slice(0, 3), slice(20, 30)], ids=str)
def test_sepsis_validation_rows_are_no_training_rows(columns):
    train, held = (pd.read_csv(SEPSIS / f"{name}.csv") for name in ("train_ori", "val"))
    public = list(train.columns[columns])
    assert not found(train, held, public) and not found(held, train, public)
    assert found(train, train.sample(200, random_state=0).reset_index(drop=True), public)


def fusion(support, **more):
    return FusionDPClassifier(DOMAINS, imputer=FoundationImputer(support=support), **FAST, **more)


def offset(support, **more):
    return OffsetFusionClassifier(DOMAINS, support=support, **more)


def offset_imputer(support, **more):
    return OffsetFusionClassifier(DOMAINS, imputer=FoundationImputer(support=support), **more)


FITS = [fusion, offset, offset_imputer]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("fit", FITS)
def test_a_fit_warns_and_its_epsilon_is_infinite_everywhere(fit):
    with pytest.warns(PrivacyLeakWarning, match="support holds rows of the training table"):
        model = fit(X.sample(80, random_state=0)).fit(X, y)
    report = model.privacy_report()
    assert model.epsilon_ == report.epsilon == math.inf == privacy_report(model).epsilon
    assert report.promise.startswith("No privacy guarantee")
    assert any("training rows are among them" in gap for gap in report.not_covered)
    assert set(report.to_dict()["epsilon_by_column"].values()) == {"inf"}


@pytest.mark.parametrize("fit", FITS)
def test_it_can_be_an_error_and_no_budget_pays_for_it(fit):
    budget = PrivacyBudget(5.0, 1e-5)
    with pytest.raises(PrivacyLeakError, match="support holds"):
        fit(X, on_leak="raise", budget=budget).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(PrivacyBudgetError, match=r"support holds rows .*infinite epsilon.*other people"):
            fit(X, budget=budget).fit(X, y)
    assert not len(budget.ledger)


def test_a_budget_says_of_a_method_without_noise_what_it_is():
    budget, model = PrivacyBudget(5.0, 1e-5), fusion(S, method="non-private")
    with pytest.raises(PrivacyBudgetError, match=r"method='non-private'.*infinite epsilon.*Nothing was read"):
        model.set_params(budget=budget).fit(X, y)
    assert not len(budget.ledger) and not hasattr(model, "ledger_")


@pytest.mark.one_in(3)
@pytest.mark.parametrize("fit", FITS)
def test_support_of_other_people_is_no_leak(fit):
    with warnings.catch_warnings():
        warnings.simplefilter("error", PrivacyLeakWarning)
        model = fit(S, on_leak="warn").fit(X, y)
    assert math.isfinite(model.epsilon_)


def test_what_is_found_depends_on_no_sensitive_cell():
    """Public cells decide, whatever sensitive cells are beside them."""
    other = X.assign(age=33.0, sex=None)
    assert found(X, other.sample(50, random_state=0), ["lab", "ward"])
    same_sensitive = S.assign(age=X["age"][:80].to_numpy(), sex=X["sex"][:80].to_numpy())
    assert not found(X, same_sensitive, ["lab", "ward"])


@pytest.mark.parametrize("output", ["paired", "hybrid"])
def test_an_imputer_alone_and_what_comes_after_it(output):
    imputer = FoundationImputer(DOMAINS, support=X[:70], random_state=0, output=output)
    with pytest.warns(PrivacyLeakWarning, match="support holds"):
        paired = imputer.fit(X).transform(X)
    assert imputer.schema_.leaks == ("age", "sex")
    if output == "paired":
        model = FusionDPClassifier(**FAST).fit(paired, y)
        assert model.epsilon_ == math.inf


@pytest.mark.slow
def test_arrays_polars_and_files_are_looked_at_too(tmp_path):
    A = X[["lab", "age"]].to_numpy()
    numbers = {1: Numeric(18, 90)}
    np.save(tmp_path / "train.npy", A)
    pl = pytest.importorskip("polars")
    tables = {
        "array": (A, A[np.random.default_rng(0).permutation(300)[:60]], numbers),
        "list": (A.tolist(), A[20:90].tolist(), numbers),
        "file": (tmp_path / "train.npy", A[50:130], numbers),
        "polars": (pl.DataFrame(X.to_dict("list")), pl.DataFrame(X[9:80].to_dict("list")), DOMAINS),
    }
    for table, support, domains in tables.values():
        model = FusionDPClassifier(domains, imputer=FoundationImputer(support=support), **FAST)
        with pytest.warns(PrivacyLeakWarning, match="support holds"):
            model.fit(table, y)
        assert model.epsilon_ == math.inf
    clean = FusionDPClassifier(
        numbers, imputer=FoundationImputer(support=S[["lab", "age"]].to_numpy()), **FAST
    )
    assert math.isfinite(clean.fit(tmp_path / "train.npy", y).epsilon_)
