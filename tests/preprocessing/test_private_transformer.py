"""Transformers that pay: bounded contributions, calibrated noise, the ledger, and nothing beside."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    Numeric,
    PrivacyBudget,
    PrivacyLedger,
)
from skfusiondp.accounting import LedgerEntry, compute_epsilon
from skfusiondp.exceptions import InvalidInputError, PrivacyBudgetError
from skfusiondp.preprocessing import (
    PrivateCategories,
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
)
from skfusiondp.privacy import Clipping
from skfusiondp.training import PerRowEngine, RowLoss, TwoViewObjective

DOMAINS = {
    "age": Numeric(0, 100),
    "dose": Numeric(-1, 1),
    "unit": Categorical(["a", "b", "c"]),
    "sex": Categorical([0, 1]),
}
ALL = [
    PrivateQuantileTransformer(DOMAINS, n_bins=8),
    PrivateStandardScaler(DOMAINS),
    PrivateCategories(DOMAINS),
    PrivateSelectKBest(DOMAINS, k=1),
]
READS = {
    PrivateQuantileTransformer: ("age", "dose"),
    PrivateStandardScaler: ("age", "dose"),
    PrivateCategories: ("unit", "sex"),
    PrivateSelectKBest: ("age", "dose", "unit", "sex"),
}
each = pytest.mark.parametrize("transformer", ALL, ids=lambda t: type(t).__name__)


def made_table(n=400, seed=0):
    rng = np.random.default_rng(seed)
    age = np.where(rng.random(n) < 0.1, np.nan, rng.normal(60, 15, n))
    return pd.DataFrame(
        {
            "lab": rng.normal(size=n),
            "age": age,
            "ward": rng.choice(["n", "s"], n),
            "dose": rng.uniform(-1, 1, n),
            "unit": rng.choice(np.array(["a", "a", "b", "c", None, "?"], dtype=object), n),
            "sex": rng.integers(0, 2, n),
        }
    )


def target_of(table):
    return (table["lab"] > 0).astype(int)


def fitted(transformer, table, **parameters):
    return clone(transformer).set_params(**parameters).fit(table, target_of(table))


def total(transformer, table):
    """What a fit sums up, before noise, in the units in which its norm is stated."""
    seen = {}

    class Spy(type(transformer)):
        def _total(self, job):
            seen["total"] = super()._total(job)
            return seen["total"]

    spy = Spy(**transformer.get_params(deep=False)).fit(table, target_of(table))
    return seen["total"] * spy._unit, spy


# The mechanism ----------------------------------------------------------------------------


numbers = st.one_of(
    st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0, 50.0, 100.0, 1e308]), st.floats(-200, 200)
)
words = st.sampled_from(["a", "b", "c", "?", None, "nan"])
rows = st.tuples(numbers, numbers, words, st.sampled_from([0, 1, 2, None, 0.5]))


def with_row(cells):
    table = made_table(30)
    table["sex"] = table["sex"].astype(object)
    for column, cell in zip(DOMAINS, cells, strict=True):
        table.at[3, column] = cell
    return table


@pytest.mark.one_in(4)
@each
@given(rows, rows)
@settings(max_examples=40)
def test_neighbours_differ_by_no_more_than_the_norm_says(transformer, one, other):
    a, spy = total(transformer.set_params(noise_multiplier=1.0), with_row(one))
    b, _ = total(transformer, with_row(other))
    erased, _ = total(transformer, with_row((np.nan, np.nan, None, None)))
    d = len(spy.columns_)
    assert np.linalg.norm(a - b) <= 2 * spy.plan_.clipping.max_grad_norm + 1e-9
    assert np.linalg.norm(a - erased) <= spy._reach * np.sqrt(d) + 1e-9


EXTREME = [(0.0, -1.0, "a", 0), (100.0, 1.0, "b", 1), (np.nan, np.nan, None, None)]


@each
@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
def test_the_norm_is_attained_so_half_the_noise_would_be_caught(transformer, adjacency):
    transformer = clone(transformer).set_params(noise_multiplier=1.0, adjacency=adjacency)
    sums = [total(transformer, with_row(cells)) for cells in EXTREME]
    spy = sums[0][1]
    if adjacency == "replace":
        reached = np.linalg.norm(sums[0][0] - sums[1][0]) / 2
    else:
        reached = np.linalg.norm(sums[0][0] - sums[2][0])
    assert reached == pytest.approx(spy.plan_.clipping.max_grad_norm)


@each
@pytest.mark.one_in(4)
def test_the_noise_is_what_the_ledger_says_and_nothing_else(transformer):
    """Accept the stated scale, reject one that is 10 % off, on the released numbers themselves."""
    seen = []

    class Spy(type(transformer)):
        def _total(self, job):
            self._exact = super()._total(job) * self._unit
            return super()._total(job)

        def _learn(self, released, job):
            # Releases are whole units; spread within one, they compare with a normal distribution.
            spread = self._unit * (rng.random(len(released)) - 0.5)
            seen.append((released - self._exact + spread) / self.plan_.tiers[0].noise_std)
            super()._learn(released, job)

    table, rng = made_table(60), np.random.default_rng(0)
    spy = Spy(**transformer.get_params(deep=False)).set_params(epsilon=None, noise_multiplier=30.0)
    for seed in range(400):
        spy.set_params(random_state=seed)
        spy.ledger_ = type(spy.fit(table, target_of(table)).ledger_)()
    noise = np.concatenate(seen)
    assert stats.kstest(noise, "norm").pvalue > 1e-4
    assert abs(noise.std() - 1) < 5 / np.sqrt(2 * len(noise)) < 0.1


@each
def test_without_a_release_nothing_is_learnt_from_sensitive_cells(transformer, monkeypatch):
    """With the release held fixed, whatever the sensitive cells are, the fit is bitwise the same."""
    fixed = lambda t, std, bits: np.arange(t.size, dtype=np.int64) * 1000 + 10**7  # noqa: E731
    monkeypatch.setattr("skfusiondp.privacy._release.release", fixed)
    table, other = made_table(), made_table()
    for column in DOMAINS:
        other[column] = table[column].sample(frac=1, random_state=1).to_numpy()
    a, b = fitted(transformer, table), fitted(transformer, other)
    assert pickle.dumps(a) == pickle.dumps(b)


@each
def test_columns_of_other_kinds_are_not_read(transformer):
    """A cell that cannot be read at all stays where it is, in columns that a class leaves alone."""

    class Unreadable:
        def __hash__(self):
            raise AssertionError("read")

        def __float__(self):
            raise AssertionError("read")

    table = made_table()
    others = [c for c in DOMAINS if c not in READS[type(transformer)]]
    for column in others:
        table[column] = table[column].astype(object)
        assert fitted(transformer, table).columns_ == READS[type(transformer)]


# Ledger, budget, report -------------------------------------------------------------------


@each
@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
def test_the_ledger_is_the_hand_computed_one(transformer, adjacency):
    table = made_table()
    model = fitted(transformer, table, epsilon=None, noise_multiplier=5.0, adjacency=adjacency, delta=1e-5)
    columns = READS[type(transformer)]
    entry = LedgerEntry(5.0, 1.0, 1, adjacency, columns, 400, f"{type(transformer).__name__}.fit")
    assert model.ledger_.entries == (entry,)
    # The Gaussian mechanism in closed form (Balle and Wang 2018), at a distance of 2 norms or one.
    mu = (2 if adjacency == "replace" else 1) / 5.0
    e = model.epsilon_
    delta = stats.norm.cdf(mu / 2 - e / mu) - np.exp(e) * stats.norm.cdf(-mu / 2 - e / mu)
    assert delta == pytest.approx(1e-5, rel=0.02) and delta <= 1e-5 * 1.0001


@each
def test_the_budget_is_met_refits_add_and_clones_start_anew(transformer):
    table = made_table()
    model = fitted(transformer, table, epsilon=0.3, noise_multiplier=None)
    once = model.epsilon_
    assert 0.29 < once <= 0.3 and model.delta_ == 1 / 4000
    model.fit(table, target_of(table))
    assert len(model.ledger_) == 2
    assert model.epsilon_ == compute_epsilon(model.ledger_.entries, 1 / 4000) > once
    assert not hasattr(clone(model), "ledger_")
    assert pickle.loads(pickle.dumps(model)).ledger_ == model.ledger_


@each
def test_an_overdrawn_budget_refuses_before_a_cell_is_read(transformer, monkeypatch):
    table = made_table()
    budget = PrivacyBudget(epsilon=0.5, delta=1e-4)
    fitted(transformer, table, epsilon=0.4, noise_multiplier=None, delta=1e-4, budget=budget)
    assert 0.39 < budget.spent <= 0.4
    monkeypatch.setattr(type(transformer), "_total", lambda *a: pytest.fail("read"))
    with pytest.raises(PrivacyBudgetError):
        fitted(transformer, table, epsilon=0.4, noise_multiplier=None, delta=1e-4, budget=budget)


@each
def test_a_fit_that_fails_half_way_has_paid(transformer, monkeypatch):
    table, budget = made_table(), PrivacyBudget(epsilon=1, delta=1e-4)
    model = clone(transformer).set_params(budget=budget, epsilon=0.4, noise_multiplier=None, delta=1e-4)

    def breaks(*args):
        raise RuntimeError("boom")

    monkeypatch.setattr(type(transformer), "_total", breaks)
    with pytest.raises(RuntimeError, match="boom"):
        model.fit(table, target_of(table))
    assert len(model.ledger_) == 1 and 0.39 < budget.spent <= 0.4


@each
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("at", ["_total", "_learn"])
def test_a_refit_that_does_not_end_leaves_the_old_one_and_its_new_cost(transformer, error, at, monkeypatch):
    table = made_table()
    # Three columns and another order: nothing of the second table may stay behind.
    other = table.drop(columns="ward").iloc[:300]
    model = fitted(transformer, table, epsilon=0.4, noise_multiplier=None, delta=1e-4)
    once, transformed = model.epsilon_, model.transform(table)
    before = {k: v for k, v in vars(model).items() if k != "ledger_"}

    def breaks(*args):
        raise error

    monkeypatch.setattr(type(transformer), at, breaks)
    for epsilon, adjacency in ((0.3, "replace"), (0.2, "zero-out")):
        model.set_params(epsilon=epsilon, adjacency=adjacency)
        with pytest.raises(error):
            model.fit(other, target_of(other))
    model.set_params(epsilon=0.4, adjacency="replace")
    after = {k: v for k, v in vars(model).items() if k != "ledger_"}
    assert after.keys() == before.keys() and all(after[k] is before[k] for k in before)
    assert [e.adjacency for e in model.ledger_] == ["replace", "replace", "zero-out"]
    both = PrivacyLedger(model.ledger_.entries[:2])
    assert model.epsilon_ == both.epsilon(1e-4) == model.privacy_report().epsilon > once
    assert any("zero-out" in gap for gap in model.privacy_report().not_covered)
    pd.testing.assert_frame_equal(model.transform(table), transformed)
    # A first fit that does not end has paid, and is no fit.
    first = clone(model)
    with pytest.raises(error):
        first.fit(table, target_of(table))
    assert first.epsilon_ == first.ledger_.epsilon(1e-4) > 0.3
    with pytest.raises(NotFittedError):
        first.transform(table)


def test_epsilon_is_not_there_before_a_fit():
    assert not hasattr(PrivateStandardScaler(DOMAINS), "epsilon_")


@each
def test_the_report_names_what_was_read_and_at_which_cost(transformer):
    report = fitted(transformer, made_table(), random_state=0).privacy_report()
    assert report.adjacency == "replace" and report.epsilon > 0
    assert all(c in str(report) for c in DOMAINS)
    assert any("random_state=0" in gap for gap in report.not_covered)


def test_nothing_to_read_costs_nothing():
    table = made_table()
    only = {"unit": DOMAINS["unit"]}
    model = PrivateStandardScaler(only).fit(table)
    assert len(model.ledger_) == 0 and model.epsilon_ == 0
    pd.testing.assert_frame_equal(model.transform(table), table)
    kept = PrivateSelectKBest(DOMAINS, k=4).fit(table, target_of(table))
    assert len(kept.ledger_) == 0 and kept.kept_ == tuple(DOMAINS)


@each
@pytest.mark.parametrize(
    "parameters",
    [
        {"epsilon": -1, "noise_multiplier": None},
        {"epsilon": None, "noise_multiplier": 0},
        {"epsilon": None, "noise_multiplier": True},
        {"epsilon": None, "noise_multiplier": 10**400},
        {"epsilon": [], "noise_multiplier": None},
        {"epsilon": 1.0, "noise_multiplier": 1.0},
        {"delta": 2},
        {"adjacency": "add-remove"},
        {"sensitive": {"age": Numeric(0, 100, epsilon=0.1)}},
        {"sensitive": {"nobody": Numeric(0, 1)}},
        {"random_state": -4},
        {"budget": 3},
    ],
    ids=str,
)
def test_bad_parameters_are_refused(transformer, parameters):
    with pytest.raises(InvalidInputError):
        fitted(transformer, made_table(), **parameters)


@pytest.mark.parametrize(
    ("transformer", "name", "value"),
    [
        (ALL[0], "n_bins", 1),
        (ALL[0], "n_bins", 10**400),
        (ALL[0], "output", "gauss"),
        (ALL[0], "output", np.array(["uniform"])),
        (ALL[1], "limit", 0),
        (ALL[1], "limit", 10**400),
        (ALL[2], "min_frequency", 1),
        (ALL[2], "min_frequency", 10**400),
        (ALL[2], "output", "x"),
        (ALL[3], "k", -1),
        (ALL[3], "n_bins", 2.5),
        (ALL[3], "n_bins", 2**17),
        (ALL[3], "n_groups", 1),
    ],
)
def test_own_parameters_are_checked(transformer, name, value):
    with pytest.raises(InvalidInputError, match=name):
        fitted(transformer, made_table(), **{name: value})


@pytest.mark.parametrize("transformer", ALL)
def test_noise_that_no_release_holds_leaves_nothing(transformer):
    made = clone(transformer).set_params(epsilon=None, noise_multiplier=1e18)
    with pytest.raises(InvalidInputError, match=r"noise_multiplier=1e\+18 is too large"):
        made.fit(made_table(), np.arange(len(made_table())) % 2)
    assert not hasattr(made, "ledger_")
    with pytest.raises(NotFittedError):
        made.transform(made_table())


# What they learn --------------------------------------------------------------------------


def test_quantiles_are_found_and_missing_cells_stay_missing():
    table = made_table(4000)
    model = PrivateQuantileTransformer(DOMAINS, epsilon=2.0, random_state=0).fit(table)
    out = model.transform(table)
    ranks = out["age"].dropna()
    assert np.array_equal(out["age"].isna(), table["age"].isna())
    assert stats.kstest(ranks, "uniform").statistic < 0.06
    assert np.all(np.diff(model.cdf_["age"]) >= 0)
    pd.testing.assert_frame_equal(out[["lab", "ward", "unit"]], table[["lab", "ward", "unit"]])
    normal = PrivateQuantileTransformer(DOMAINS, output="normal", epsilon=2.0, random_state=0).fit(table)
    cells = normal.transform(table)["dose"]
    assert abs(cells.std() - 1) < 0.1 and cells.abs().max() <= normal.domains_["dose"].high


def test_moments_are_found():
    table = made_table(5000)
    model = PrivateStandardScaler(DOMAINS, epsilon=2.0, random_state=0).fit(table)
    assert model.mean_["age"] == pytest.approx(60, abs=1) and model.scale_["age"] == pytest.approx(
        15, abs=1.5
    )
    out = model.set_output(transform="pandas").transform(table)
    assert out["dose"].std() == pytest.approx(1, abs=0.1)
    assert model.domains_ == {**DOMAINS, "age": Numeric(-5.0, 5.0), "dose": Numeric(-5.0, 5.0)}


def test_rare_categories_are_merged_or_encoded_by_their_share():
    table = made_table(3000)
    table.loc[table["unit"] == "c", "unit"] = "b"
    merged = PrivateCategories(DOMAINS, min_frequency=0.05, epsilon=2.0, random_state=0).fit(table)
    assert merged.rare_ == {"unit": ["c"], "sex": []}
    table.loc[0, "unit"] = "c"
    out = merged.transform(table)
    assert out.loc[0, "unit"] == "(other)" and DOMAINS["unit"].codes(out["unit"])[0] == 3
    shares = PrivateCategories(DOMAINS, output="frequencies", epsilon=2.0, random_state=0).fit(table)
    assert shares.frequencies_["unit"][0] == pytest.approx(0.4, abs=0.03)
    assert shares.transform(table)["unit"].isna().equals(table["unit"].isna())


@pytest.mark.parametrize("continuous", [False, True])
def test_the_selector_keeps_what_says_something(continuous):
    table = made_table(5000)
    y = table["dose"] if continuous else (table["dose"] > 0)
    model = PrivateSelectKBest(DOMAINS, k=1, epsilon=1.0, random_state=0).fit(table, y)
    assert model.kept_ == ("dose",) and list(model.transform(table)) == ["lab", "ward", "dose"]
    assert model.domains_ == {"dose": DOMAINS["dose"]}


@pytest.mark.slow
def test_the_score_of_an_independent_column_is_zero_in_the_mean():
    table = made_table(500)
    y = np.random.default_rng(1).integers(0, 2, 500)
    scores = [
        PrivateSelectKBest(DOMAINS, k=1, noise_multiplier=40.0, random_state=i).fit(table, y).scores_
        for i in range(200)
    ]
    scores = pd.DataFrame(scores)
    assert np.all(scores.mean().abs() < 4 * scores.std() / np.sqrt(200) + 0.002)


def test_kinds_of_tables(df_module):
    table = made_table()
    given = df_module(table)
    for transformer in ALL:
        model = clone(transformer).fit(given, target_of(table))
        out = model.transform(given)
        assert type(out) is type(given)
        assert list(out.columns) == list(model.get_feature_names_out())


def test_they_compose_with_the_private_classifier_under_one_budget():
    table = made_table(500)
    budget = PrivacyBudget(epsilon=2.0, delta=1e-4)
    step = PrivateQuantileTransformer(DOMAINS, epsilon=0.5, delta=1e-4, budget=budget)
    ranked = {**DOMAINS, "age": Numeric(0, 1), "dose": Numeric(0, 1)}
    model = FusionDPClassifier(ranked, epsilon=1.0, delta=1e-4, steps=3, public_epochs=1, budget=budget)
    pipe = make_pipeline(step, model).fit(table, target_of(table))
    both = pipe[0].ledger_ + pipe[1].ledger_
    assert budget.ledger == both and 1.0 < budget.spent == both.epsilon(1e-4) < 1.5
    assert pipe.predict(table).shape == (500,)


# Erased rows ------------------------------------------------------------------------------


def sums_of_model(model, step, table, y, erased=()):
    """Clipped sums of a private gradient on what a paid step makes of a table, some of its rows erased."""
    paired = model.imputer_._pair(step.transform(table))
    views = [model.encoder_._encode(paired.original), model.encoder_._encode(paired.hybrid, paired.expected)]
    views = torch.stack([torch.as_tensor(v) for v in views])
    for row in erased:
        views[0, row] = views[1, row]  # what is erased has no view of its own
    module = torch.nn.Linear(views.shape[2], 1)
    torch.nn.init.zeros_(module.weight)
    torch.nn.init.zeros_(module.bias)
    engine = PerRowEngine(module, TwoViewObjective(RowLoss("binary")), Clipping(0.05))
    total = engine.clipped_sum(views, torch.tensor(y, dtype=torch.float64)[:, None], torch.ones(len(table)))
    return np.concatenate([t.double().flatten().numpy() for t in total.values()])


def test_an_erased_row_adds_nothing_in_a_step_and_nothing_in_the_model_behind_it():
    """Erased is no value: the step's total moves by its reach at most, the model's by C; NaN is a value."""
    row, domains = 7, {"age": Numeric(0, 100), "dose": Numeric(-1, 1)}
    table = made_table(120)[["lab", "age", "dose"]]
    table.loc[row, ["age", "dose"]] = [100.0, 1.0]
    missing = table.copy()
    missing.loc[row, ["age", "dose"]] = np.nan
    y = target_of(table).to_numpy()
    kept = np.arange(120) != row

    # The step: an erased row is one that is not there, and one of missing cells happens to add as little.
    settings = {"epsilon": None, "noise_multiplier": 5.0, "adjacency": "zero-out"}
    step = PrivateStandardScaler(domains, **settings)
    (value, spy), (nan, _) = total(step, table), total(step, missing)
    erased, _ = total(step, table[kept])
    assert np.linalg.norm(value - erased) == pytest.approx(spy.plan_.clipping.max_grad_norm)
    assert np.array_equal(nan, erased)

    # What comes out of the step is given by its release; behind it a missing cell is a value and counts.
    step = PrivateStandardScaler(domains, random_state=0, **settings).fit(table, y)
    imputer = FoundationImputer(backend="domain")
    model = FusionDPClassifier(step.domains_, imputer=imputer, adjacency="zero-out", steps=2, random_state=0)
    model.fit(step.transform(table), y)
    value, nan = (sums_of_model(model, step, t, y) for t in (table, missing))
    erased = sums_of_model(model, step, table, y, [row])
    others = sums_of_model(model, step, table[kept], y[kept])
    np.testing.assert_allclose(erased, others, atol=1e-12)
    assert 0.01 < np.linalg.norm(value - erased) <= 0.05 * (1 + 1e-9)
    assert 0.01 < np.linalg.norm(nan - erased) <= 0.05 * (1 + 1e-9)
    # Between a value and a missing cell lies more than zero-out pays for.
    assert np.linalg.norm(value - nan) > 0.05 * 1.1
