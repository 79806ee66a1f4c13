"""FusionDP counts where sensitive cells lie before its first step: paid for, noised, and of use."""

import copy
import math
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    PrivacyBudget,
)
from skfusiondp.accounting import compute_epsilon
from skfusiondp.audit import replay
from skfusiondp.estimators.fusion import _fusion_base as base
from skfusiondp.estimators.fusion._imputed_start import ImputedStart
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.impute import ConditionalBackend, DomainBackend
from skfusiondp.model_selection import StackedGridSearchCV
from skfusiondp.nets import MLP
from skfusiondp.tables._read_table import as_table
from skfusiondp.training._driver import Driver

DOMAINS = {"age": Numeric(0, 1e4), "sex": Categorical(["f", "m"])}
QUICK = {"epsilon": 2.0, "delta": 1e-5, "epochs": 1, "public_epochs": 1, "random_state": 0}


def made(n, seed):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "lab": rng.normal(size=n),
            "age": np.round(rng.normal(50, 15, n).clip(0), 1),
            "sex": rng.choice(["f", "m"], n),
        }
    )
    risk = table["lab"] + 2.0 * (np.abs(table["age"] - 50) > 12) - 1.0
    return table, (rng.random(n) < 1 / (1 + np.exp(-2 * risk))).astype(int)


TRAIN, Y = made(400, 0)
SUPPORT, Y_SUPPORT = made(100, 1)


def scrambled(table):
    rng = np.random.default_rng(5)
    return table.assign(age=rng.uniform(-50, 500, len(table)), sex=rng.choice(["f", "m", "?"], len(table)))


@pytest.mark.parametrize("method", ["fusiondp", "feature-dp"])
@pytest.mark.parametrize("settings", [{}, {"support": SUPPORT}], ids=["no support", "support"])
@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
@pytest.mark.one_in(2)
def test_the_ledger_holds_the_count_that_ran_and_all_steps(method, settings, adjacency):
    model = FusionDPClassifier(DOMAINS, method=method, adjacency=adjacency, **{**QUICK, **settings})
    planned = model.planned_ledger(len(TRAIN))
    model.fit(TRAIN, Y)
    assert len(model.ledger_) == 2
    count, steps = model.ledger_
    assert model.ledger_.entries == planned.entries
    assert (count.sample_rate, count.steps, count.protects, count.adjacency) == (1.0, 1, ("age",), adjacency)
    assert steps.steps == model.plan_.steps == model.net_.private_steps_
    assert steps.protects == ("age", "sex")
    twelve = replace(count, steps=12)
    assert compute_epsilon([twelve], 1e-5) == pytest.approx(2.0, rel=0.02)
    assert model.epsilon_ <= 2.0 < 1.02 * model.epsilon_
    assert model.privacy_report().mechanism["count_noise_multiplier"] == count.noise_multiplier


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"noise_multiplier": 3.0, "epsilon": None},
        {"support": SUPPORT, "support_target": Y_SUPPORT},
        {"module": MLP},
        {"sensitive": {**DOMAINS, "age": Numeric(0, 1e4, knots=[40, 60])}},
        {"sensitive": {"age": Numeric(0, 1e4, epsilon=1.0), "sex": Categorical(["f", "m"])}},
        {"sensitive": {"sex": Categorical(["f", "m"])}},
        {"epsilon": 1e-3},
        {"method": "dp-sgd"},
        {"method": "hybrid", "support": SUPPORT},
    ],
    ids=str,
)
def test_where_nothing_is_to_be_learnt_from_it_there_is_no_count(given):
    model = FusionDPClassifier(**{"sensitive": DOMAINS, **QUICK, **given})
    planned = model.planned_ledger(len(TRAIN))
    model.fit(TRAIN, Y)
    assert model.plan_ is None or model.plan_.before is None
    assert model.ledger_.entries == planned.entries
    assert "count_noise_multiplier" not in model.privacy_report().mechanism


def test_knots_lie_where_the_cells_do():
    big, y = made(20_000, 2)
    model = FusionDPClassifier(DOMAINS, **QUICK).fit(big, y)
    knots = np.array(model.schema_.domains["age"].knots)
    shares = [np.mean(big["age"] < k) for k in knots]
    assert len(knots) >= 8 and knots.max() < 200
    assert max(np.diff([0, *shares, 1])) < 0.25


@pytest.mark.slow
def test_wide_bounds_cost_little():
    """Of ten thousand years a hundred hold the cells; the effect is no straight line."""
    (train, y), (test, y_test) = made(6_000, 3), made(3_000, 4)
    found = {}
    for high in (100.0, 1e4):
        domains = {**DOMAINS, "age": Numeric(0, high)}
        model = FusionDPClassifier(domains, **{**QUICK, "epochs": 20}).fit(train, y)
        found[high] = roc_auc_score(y_test, model.predict_proba(test)[:, 1])
    alone = roc_auc_score(y_test, test["lab"])
    assert found[1e4] > found[100.0] - 0.02 and found[1e4] > alone + 0.1, found


def counts_of(model, cells=None):
    """The net and rows of a fit whose counts are what `cells` were counted to be, or its own."""
    seen = {}
    rows_of = model._training_rows

    class Counts(Driver):
        def counts(self, make, *counted):
            seen["counts"] = make() if cells is None else cells
            return seen["counts"]

    def rows(*args):
        seen["rows"] = rows_of(*args)
        return seen["rows"]

    model._driver, model._training_rows = Counts(), rows
    return seen


@pytest.mark.one_in(3)
@pytest.mark.parametrize("method", ["fusiondp", "feature-dp", "fusiondp with support"])
def test_given_the_counts_all_that_is_free_is_the_same_whatever_sensitive_cells_are(method):
    method, *with_support = method.split(" with ")
    settings = {**QUICK, "method": method, "support": SUPPORT if with_support else None}
    one, two, three = (FusionDPClassifier(DOMAINS, **settings) for _ in range(3))
    first = counts_of(one)
    one.fit(TRAIN, Y)
    second = counts_of(two, first["counts"])
    two.fit(scrambled(TRAIN), Y)
    third = counts_of(three)
    three.fit(scrambled(TRAIN), Y)
    assert repr(one.schema_) == repr(two.schema_) != repr(three.schema_)
    assert pickle.dumps(one.encoder_) == pickle.dumps(two.encoder_) != pickle.dumps(three.encoder_)
    assert bool(one.encoder_.n_starts) == bool(with_support)
    assert np.array_equal(first["rows"].free.numpy(), second["rows"].free.numpy())
    assert not np.array_equal(first["counts"], third["counts"])
    # The views that the private branch reads do differ.
    assert not np.array_equal(first["rows"].views[0].numpy(), second["rows"].views[0].numpy())


@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
def test_the_count_has_the_noise_of_its_plan(adjacency):
    """Half of the distance of two rows' counts, or one row's, times the noise multiplier in the ledger."""
    model = FusionDPClassifier(DOMAINS, adjacency=adjacency, **QUICK)
    seen = counts_of(model)
    model.fit(TRAIN, Y)
    cells = base.CountedCells({"age": DOMAINS["age"]})
    true = np.asarray((cells.features(TRAIN).matrix() > 0).sum(axis=0)).ravel()
    unit = math.sqrt(2) / 2 if adjacency == "replace" else 1.0
    std = model.ledger_.entries[0].noise_multiplier * unit * math.sqrt(len(cells.sizes))
    z = (seen["counts"] - true) / std
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert np.std(z) == pytest.approx(1, abs=0.15)


def test_a_count_without_a_seed_repeats_nothing():
    noise = []
    for _ in range(2):
        model = FusionDPClassifier(DOMAINS, **{**QUICK, "random_state": None})
        seen = counts_of(model)
        model.fit(TRAIN, Y)
        noise.append(seen["counts"])
    assert not np.isclose(noise[0], noise[1]).any()


class Fails(torch.optim.Adam):
    def step(self, closure=None):
        raise RuntimeError("no step")


def test_what_is_refused_is_refused_before_the_count():
    budget = PrivacyBudget(epsilon=5.0, delta=1e-4)
    model = FusionDPClassifier(DOMAINS, budget=budget, optimizer=Fails, **QUICK)
    seen = counts_of(model)
    with pytest.raises(InvalidInputError, match="optimizer"):
        model.fit(TRAIN, Y)
    assert "counts" not in seen and not len(budget.ledger) and not hasattr(model, "ledger_")


class Late(DomainBackend):
    """Fails on a row that is not among the first."""

    def predict(self, public):
        if (public["lab"] > 9).any():
            raise RuntimeError("a late row")
        return super().predict(public)


def test_an_imputer_of_the_users_own_fails_before_the_count():
    table = TRAIN.assign(lab=TRAIN["lab"].where(TRAIN.index != len(TRAIN) - 1, 10.0))
    model = FusionDPClassifier(DOMAINS, imputer=FoundationImputer(backend=Late()), **QUICK)
    with pytest.raises(RuntimeError, match="a late row"):
        model.fit(table, Y)
    assert not hasattr(model, "ledger_")


def test_what_is_rehearsed_has_the_shape_of_what_is_trained(monkeypatch):
    shapes = []
    plain = base.prepared_net

    def prepared(model, encoder, rows, *args):
        shapes.append((encoder.n_starts, rows.free.shape[1:]))
        return plain(model, encoder, rows, *args)

    monkeypatch.setattr(base, "prepared_net", prepared)
    FusionDPClassifier(DOMAINS, support=SUPPORT, **QUICK).fit(TRAIN, Y)
    (before, _), (after, _) = shapes
    assert before == after == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one class", "no weight"])
def test_a_start_of_rows_that_say_nothing_costs_no_fit(kind):
    """Every second row is of one class, or of no weight."""
    even = np.arange(len(TRAIN)) % 2 == 0
    three = np.where(even, 0, 1 + Y)
    weight = None if kind == "one class" else np.where(even, 0.0, 1.0)
    for y in (three, Y):
        model = FusionDPClassifier(DOMAINS, support=SUPPORT, **QUICK).fit(TRAIN, y, sample_weight=weight)
        assert np.isfinite(model.predict_proba(TRAIN)).all()
    start = ImputedStart("multiclass", {"age": Numeric(0, 1)})
    rng = np.random.default_rng(0)
    expected, score = rng.uniform(size=(50, start.widths[0])), rng.normal(size=(50, 3))
    same = start.fit(score, score, expected, np.zeros(50, int), np.ones(50), score, 0)
    assert not same.effects.any()


def test_rows_of_a_start_are_drawn_by_chance():
    """Of a table that is sorted by some period every other row may be of one kind."""
    seen = []
    encoder = FusionDPClassifier(DOMAINS, support=SUPPORT, **QUICK).fit(TRAIN, Y).encoder_

    def imputed(frame, rows):
        seen.append(rows)
        return {c: np.zeros((len(rows), d.width), np.float32) for c, d in encoder.schema_.domains.items()}

    known = as_table(TRAIN), Y, np.r_[np.zeros(100), np.ones(len(Y) - 100)], np.zeros((len(Y), 1))
    encoder.with_imputed_start(*known, imputed, 0, 150)
    rows = seen[0]
    assert len(np.unique(rows)) == 150 and rows.min() >= 100 and 0.3 < (rows % 2).mean() < 0.7


def test_a_fit_that_stops_in_the_count_has_paid_for_all(monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(base, "count_cells", stop)
    model = FusionDPClassifier(DOMAINS, **QUICK)
    with pytest.raises(KeyboardInterrupt):
        model.fit(TRAIN, Y)
    assert model.ledger_.entries == model.planned_ledger(len(TRAIN)).entries


def test_rows_that_the_private_branch_may_not_read_are_not_counted():
    """Of a person's rows the first is read: what the others hold changes no count."""
    visits = TRAIN.assign(patient=np.arange(len(TRAIN)) // 2)
    other = visits.copy()
    other.loc[other["patient"].duplicated(), "age"] = 77.0
    counts = []
    for table in (visits, other):
        model = FusionDPClassifier(DOMAINS, groups="patient", max_rows_per_unit=1, **QUICK)
        seen = counts_of(model)
        model.fit(table, Y)
        counts.append(seen["counts"])
    assert np.array_equal(*counts)


def test_a_replay_of_neighbours_passes_with_a_count_and_counts_are_replayed():
    neighbour = TRAIN.copy()
    neighbour.loc[7, "age"] = 9_000.0
    report = replay(FusionDPClassifier(DOMAINS, **QUICK), TRAIN, neighbour, Y, random_state=0)
    assert report.passed, str(report)


FEW_TREES = FoundationImputer(support=SUPPORT, backend=ConditionalBackend(n_estimators=5))


@pytest.mark.slow
@pytest.mark.parametrize("imputer", [None, FEW_TREES], ids=["no support", "support"])
@pytest.mark.parametrize(
    "values",
    [{"max_grad_norm": [0.5, 1.0]}, {"epsilon": [2.0, 1e-3]}, {"epsilon": [1e-3, 2.0]}],
    ids=["all count", "the first counts", "the second counts"],
)
def test_fits_of_a_search_count_each_for_itself(values, imputer):
    model = FusionDPClassifier(DOMAINS, imputer=imputer, **QUICK)
    grid, plain = (
        search(model, values, cv=2, scoring="neg_log_loss").fit(TRAIN, Y)
        for search in (StackedGridSearchCV, GridSearchCV)
    )
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_allclose(grid.cv_results_[name], plain.cv_results_[name], atol=2e-3)
    own = grid.best_estimator_.ledger_.entries
    assert own == plain.best_estimator_.ledger_.entries
    counts = [e for e in grid.ledger_ if e.sample_rate == 1.0]
    assert len(counts) == (5 if "max_grad_norm" in values else 2 + (len(own) == 2))


@pytest.mark.parametrize("labels", [["lab", "age", "sex"], [0, 1, 2]], ids=["names", "numbers"])
def test_what_is_planned_is_what_is_paid_whatever_columns_are_called(labels):
    domains = {labels[1]: DOMAINS["age"], labels[2]: DOMAINS["sex"]}
    model = FusionDPClassifier(domains, **QUICK)
    planned = model.planned_ledger(len(TRAIN))
    model.fit(TRAIN.set_axis(labels, axis=1), Y)
    assert len(planned) == 2 and model.ledger_.entries == planned.entries


def test_before_the_count_is_paid_for_no_more_than_a_few_rows_are_encoded(monkeypatch):
    """Rehearsal needs rows of the right shape, and not all of them."""
    paid, seen = [], []
    model = FusionDPClassifier(DOMAINS, **QUICK)
    pay, rows_of = model._pay, model._training_rows

    def rows(*args):
        made = rows_of(*args)
        seen.append((len(paid), len(made.y)))
        return made

    monkeypatch.setattr(model, "_pay", lambda *args: (paid.append(1), pay(*args))[1])
    monkeypatch.setattr(model, "_training_rows", rows)
    model.fit(TRAIN, Y)
    before = [n for payments, n in seen if not payments]
    assert before and max(before) < 10 and seen[-1] == (1, len(TRAIN))


def test_a_fit_without_support_says_so_once():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        FusionDPClassifier(DOMAINS, **QUICK).fit(TRAIN, Y)
    assert sum("No support rows" in str(w.message) for w in said) == 1


def test_a_number_as_target_and_copies_repeat():
    number = TRAIN["lab"].to_numpy() + 0.1 * np.abs(TRAIN["age"].to_numpy() - 50)
    model = FusionDPRegressor(DOMAINS, **QUICK).fit(TRAIN, number)
    again = copy.deepcopy(model).fit(TRAIN, number)
    assert np.array_equal(model.predict(TRAIN), again.predict(TRAIN))
    assert len(again.ledger_) == 4


@pytest.mark.parametrize("own", [0.2, 0.35, 5.0])
def test_a_count_costs_a_twelfth_of_the_columns_own_budget(own):
    model = FusionDPClassifier({"age": Numeric(0, 1e4, epsilon=own)}, **QUICK)
    planned = model.planned_ledger(len(TRAIN))
    model.fit(TRAIN.drop(columns="sex"), Y)
    count, _ = model.ledger_
    assert model.ledger_.entries == planned.entries
    assert 0.9 * own < model.epsilon_ <= own
    assert compute_epsilon([replace(count, steps=12)], 1e-5) == pytest.approx(own, rel=0.02)


@pytest.mark.parametrize("position", [1, -1])
def test_what_is_planned_is_what_is_paid_whatever_end_a_position_is_counted_from(position):
    table = TRAIN[["lab", "age"]].to_numpy()
    model = FusionDPClassifier({position: DOMAINS["age"]}, **QUICK)
    planned = model.planned_ledger(len(table))
    model.fit(table, Y)
    # How many columns there are is not known beforehand, and so not the name that the table has.
    called = [replace(e, protects=("x1",)) for e in planned]
    assert len(called) == 2 and list(model.ledger_) == called
