"""The accounted search: one bound for all trials, nothing of any trial but the best, and honest noise."""

import math
import pickle
import random
import threading
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skfusiondp import (
    Categorical,
    DataHolderWarning,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    OffsetFusionClassifier,
    OffsetFusionRegressor,
    PrivacyBudget,
    PrivacyLedger,
)
from skfusiondp.accounting import LedgerEntry, compute_epsilon, private_parts
from skfusiondp.accounting._privacy_report import PrivacyReport
from skfusiondp.exceptions import InvalidInputError, PrivacyBudgetError, SkfusiondpError
from skfusiondp.model_selection import PrivateRandomSearchCV
from skfusiondp.model_selection._scores import hybrid_score, paid_score, row_scores
from skfusiondp.preprocessing import PrivateQuantileTransformer, PrivateSelectKBest
from skfusiondp.privacy._mechanisms import Gaussian
from skfusiondp.privacy._random_bits import RandomBits
from skfusiondp.privacy._selection import (
    ORDERS,
    Repetitions,
    epsilon_of,
    rdp_of,
)
from skfusiondp.tables._paired_table import PairedTable
from skfusiondp.tables._schema import SensitiveSchema

SENSITIVE = {"age": Numeric(0, 1), "sex": Categorical(["f", "m"])}
pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")


class Stub(ClassifierMixin, BaseEstimator):
    """A private estimator by promise: it keeps a ledger, and records what it was asked for."""

    fitted: list = []  # noqa: RUF012

    def __init__(
        self, steps=10, rate=0.1, epsilon=None, noise_multiplier=None, delta=None, imputer=None,
        random_state=None, budget=None, extra=0, quality=0.0,
    ):  # fmt: skip
        self.steps, self.rate, self.epsilon, self.noise_multiplier = steps, rate, epsilon, noise_multiplier
        self.delta, self.imputer, self.random_state, self.budget = delta, imputer, random_state, budget
        self.extra, self.quality = extra, quality

    def planned_ledger(self, n_rows):
        return PrivacyLedger((LedgerEntry(self.noise_multiplier, self.rate, self.steps, n_rows=n_rows),))

    def fit(self, X, y):
        Stub.fitted.append(self)
        self.classes_, self.n_features_in_ = np.unique(y), np.shape(X)[1]
        self.schema_ = type("Schema", (), {"sensitive": (), "domains": {}})()
        entry = LedgerEntry(self.noise_multiplier, self.rate, self.steps + self.extra, n_rows=len(y))
        self.ledger_ = PrivacyLedger((entry,))
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y):
        return self.quality

    def privacy_report(self):
        return PrivacyReport("Stub", "fusiondp", {}, "replace", 1.0, 1e-5, 10)


@pytest.fixture(autouse=True)
def forget():
    Stub.fitted = []


X, Y = np.zeros((50, 2)), np.arange(50) % 2
PUBLIC = (X[:4], Y[:4])


def search(grid, estimator=None, **parameters):
    settings = {"n_trials": 5, "epsilon": 1.0, "delta": 1e-5, "validation": PUBLIC, "random_state": 0}
    return PrivateRandomSearchCV(estimator or Stub(), grid, **{**settings, **parameters})


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((240, 3)), columns=["a", "b", "age"])
    return frame.assign(sex=np.where(rng.random(240) < 0.5, "f", "m"))


@pytest.fixture(scope="module")
def target(table):
    return (table["age"] + table["b"] > 1).astype(int).to_numpy()


def fusion(cls=FusionDPClassifier, **parameters):
    return cls(SENSITIVE, **{"steps": 4, "public_epochs": 1, "batch_size": 40, **parameters})


# The bound --------------------------------------------------------------------------------


@pytest.mark.one_in(4)
@pytest.mark.parametrize("settings", [{}, {"eta": 0.0}, {"distribution": "poisson"}])
def test_the_total_is_the_hand_computed_one_and_meets_the_target(settings):
    grid = {"steps": [10, 40], "rate": [0.1, 0.3]}
    model = search(grid, n_trials=8, **settings).fit(X, Y)
    sigma = {(m.steps, m.rate): m.noise_multiplier for m in Stub.fitted}
    repetitions = Repetitions(8, **settings)
    curves = [rdp_of([Gaussian(s, rate, steps)], "replace") for (steps, rate), s in sigma.items()]
    by_hand = epsilon_of(repetitions.compose(np.max(curves, axis=0)), 1e-5)
    (entry,) = model.ledger_.entries
    assert 0.97 < entry.epsilon <= 1.0 and by_hand <= entry.epsilon + 1e-12
    if len(sigma) == 4:
        assert by_hand == pytest.approx(entry.epsilon)
    assert entry.epsilon <= model.epsilon_ <= 1.0 and model.delta_ == 1e-5 == entry.delta
    # One trial by the accountant: what would be claimed if the choice were forgotten.
    assert model.epsilon_of_one_trial_ < 0.8 * model.epsilon_
    one = max(compute_epsilon(m.ledger_.entries, 1e-5) for m in Stub.fitted)
    assert one <= model.epsilon_of_one_trial_ + 1e-9


def test_a_single_candidate_by_the_theorem_alone():
    search({}, n_trials=5).fit(X, Y)
    sigma = Stub.fitted[0].noise_multiplier
    rdp, gamma = rdp_of([Gaussian(sigma, 0.1, 10)], "replace"), 1 / 5  # geometric
    hat = 2 * min((1 - 1 / b) * r + math.log(1 / gamma) / b for b, r in zip(ORDERS, rdp, strict=True))
    total = rdp + hat + math.log(5) / (ORDERS - 1)
    epsilon = np.min(total + np.log1p(-1 / ORDERS) - np.log(1e-5 * ORDERS) / (ORDERS - 1))
    assert 0.98 < epsilon <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("secret", [False, True])
def test_the_number_of_trials_has_the_stated_distribution_and_no_other(secret):
    counts = []
    for seed in range(600):
        Stub.fitted = []
        # Seeds that others may know must not matter.
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        search({}, n_trials=3, random_state=None if secret else seed).fit(X, Y)
        counts.append(len(Stub.fitted))
    observed = np.bincount(np.minimum(counts, 8), minlength=9)[1:]

    def p_value(gamma):
        p = gamma * (1 - gamma) ** np.arange(7)
        return stats.chisquare(observed, 600 * np.append(p, 1 - p.sum())).pvalue

    assert p_value(1 / 3) > 1e-6 > p_value(1 / 5)


def test_all_that_a_search_draws_comes_from_the_operating_system_unless_seeded(table, target, monkeypatch):
    real, words = RandomBits.words, []

    def counted(self, n):
        words.append(self.secret)
        return real(self, n)

    monkeypatch.setattr(RandomBits, "words", counted)
    search({}, OffsetFusionClassifier(SENSITIVE), validation="private", random_state=None).fit(table, target)
    assert words and all(words)
    words.clear()
    search({}, OffsetFusionClassifier(SENSITIVE), validation="private", random_state=0).fit(table, target)
    assert words and not any(words)


def test_candidates_are_drawn_with_equal_probability_and_with_replacement():
    for seed in range(60):
        search({"quality": [0.1, 0.2, 0.3]}, n_trials=10, random_state=seed).fit(X, Y)
    counts = np.unique([m.quality for m in Stub.fitted], return_counts=True)[1]
    assert stats.chisquare(counts).pvalue > 1e-3


def test_every_trial_has_noise_of_its_own_even_if_the_estimator_has_a_seed():
    search({}, Stub(random_state=7), n_trials=20).fit(X, Y)
    seeds = [m.random_state for m in Stub.fitted]
    assert len(seeds) > 2 and len(set(seeds)) == len(seeds) and 7 not in seeds
    Stub.fitted = []
    search({}, Stub(random_state=7), random_state=None).fit(X, Y)
    assert {m.random_state for m in Stub.fitted} == {None}


def test_a_trial_that_spends_more_than_planned_is_caught():
    with pytest.raises(InvalidInputError, match="more than it had planned"):
        search({}, Stub(extra=1)).fit(X, Y)


def test_steps_before_that_pay_are_part_of_a_trial(table, target):
    step = PrivateQuantileTransformer(SENSITIVE, noise_multiplier=20.0)
    pipe = make_pipeline(step, fusion())
    grid = {"fusiondpclassifier__lr": [0.001, 0.01]}
    model = search(grid, pipe, n_trials=2, validation="hybrid", validation_size=0.25).fit(table, target)
    final = model.best_estimator_[-1]
    mechanisms = [e.mechanism for e in model.best_estimator_[0].ledger_ + final.ledger_]
    assert mechanisms[0] == Gaussian(20.0, 1.0, 1) and mechanisms[1][1:3] == (40 / 180, 4)
    by_hand = epsilon_of(Repetitions(2).compose(rdp_of(mechanisms, "replace")), 1e-5)
    assert by_hand == pytest.approx(model.ledger_.entries[0].epsilon)
    assert model.predict(table).shape == (240,)
    assert len(private_parts(model)) == 1  # what is inside is counted already


# What is kept -----------------------------------------------------------------------------


def test_only_the_best_trial_is_kept():
    model = search({"quality": [0.1, 0.2, 0.9]}, n_trials=40, random_state=1).fit(X, Y)
    tried = [m.quality for m in Stub.fitted]
    assert len(tried) > 3 and model.best_score_ == max(tried) == model.best_params_["quality"]
    assert model.best_estimator_.quality == model.best_score_
    assert not hasattr(model, "cv_results_")
    held = [v for k, v in vars(model).items() if k.endswith("_")]
    assert sum(isinstance(v, Stub) for v in held) == 1
    assert not any(isinstance(v, int) and v == len(tried) for v in held)
    assert not any(isinstance(v, list) for v in held)


def test_a_failed_trial_has_paid_for_the_search():
    class Breaks(Stub):
        def fit(self, X, y):
            raise RuntimeError("boom")

    budget = PrivacyBudget(2.0, 1e-4)
    model = search({}, Breaks(), budget=budget)
    with pytest.raises(RuntimeError, match="boom"):
        model.fit(X, Y)
    assert len(model.ledger_) == len(budget.ledger) == 1


def test_poisson_without_a_trial_has_paid_and_says_so():
    empty = next(s for s in range(99) if Repetitions(1.1, "poisson").draw(RandomBits(s)) == 0)
    budget = PrivacyBudget(2.0, 1e-4)
    model = search({}, distribution="poisson", n_trials=1.1, random_state=empty, budget=budget)
    with pytest.raises(SkfusiondpError, match="no trial"):
        model.fit(X, Y)
    assert not Stub.fitted and len(budget.ledger) == 1


def test_a_budget_is_met_and_refuses_before_a_trial():
    budget = PrivacyBudget(1.5, 1e-4)
    search({}, budget=budget).fit(X, Y)
    assert 0.9 < budget.spent <= 1.0
    Stub.fitted = []
    with pytest.raises(PrivacyBudgetError):
        search({}, budget=budget).fit(X, Y)
    assert not Stub.fitted


def test_a_second_fit_adds_to_the_ledger():
    model = search({}).fit(X, Y).fit(X, Y)
    assert len(model.ledger_) == 2 and model.delta_ == 2e-5 and 1.9 < model.epsilon_ <= 2.0
    assert not hasattr(clone(model), "ledger_")


# Scores -----------------------------------------------------------------------------------


class Right(Stub):
    def predict(self, X):
        return np.asarray(X)[:, 0]


def test_a_paid_score_has_the_noise_that_was_accounted_and_no_less(monkeypatch):
    monkeypatch.setattr(Right, "__module__", "skfusiondp.made_up")  # all rows at once, which is quicker
    y = np.ones(100)
    X = np.repeat([1.0, 0.0], [70, 30])[:, None]
    for adjacency, norm in (("replace", 0.5), ("zero-out", 1.0)):
        scores = [paid_score(Right(), X, y, "accuracy", 8.0, adjacency, RandomBits(i)) for i in range(4000)]
        noise = (np.array(scores) - 0.7) * 100 / (8.0 * norm)
        assert stats.kstest(noise, "norm").pvalue > 1e-4
        # The variance of 4,000 draws tells a scale that is 10 % off by 8 standard errors.
        assert abs(noise.std() - 1) < 5 / np.sqrt(8000) < abs(1.1 * noise.std() - 1)


@pytest.mark.parametrize("cell", [np.nan, np.inf, -1e9, 1e9, 0.5])
def test_one_row_changes_a_paid_score_by_no_more_than_its_share(cell):
    def scoring(model, X, y):
        return X[:, 0]

    X = np.full((10, 1), 0.5)
    other = X.copy()
    other[3] = cell
    a, b = (paid_score(None, x, np.zeros(10), scoring, 1e-12, "replace", RandomBits(0)) for x in (X, other))
    assert abs(a - b) <= 0.1 + 1e-9


class Mixing:
    """Scorers that carry something from row to row: by the table, in themselves, the model or the types."""

    def __init__(self):
        self.seen = []

    def table(self, model, X, y):
        return np.full(len(y), float(any(v == 1 for v in cells_of(X))))

    def memory(self, model, X, y):
        self.seen += [v == 1 for v in cells_of(X)]
        return np.full(len(y), float(any(self.seen)))

    def model(self, model, X, y):
        model.seen = getattr(model, "seen", False) or any(v == 1 for v in cells_of(X))
        return np.full(len(y), float(model.seen))

    def default(self, model, X, y, *, seen=[]):  # noqa: B006
        return self.memory(model, X, y)

    def types(self, model, X, y):
        kinds = [str(X.dtype)] if isinstance(X, np.ndarray) else [str(d) for d in columns_of(X)]
        return np.full(
            len(y), float("o" not in "".join(kinds[-1:]).lower() and "str" not in kinds[-1].lower())
        )

    def raising(self, model, X, y):
        if any(v == 1 for v in cells_of(X)):
            raise SystemExit(3)
        return self.memory(model, X, y)

    def warning(self, model, X, y):
        warnings.warn(f"{cells_of(X)}", UserWarning, stacklevel=2)
        return self.memory(model, X, y)


def columns_of(X):
    X = X.original if isinstance(X, PairedTable) else X
    return list(X.dtypes)


def cells_of(X):
    X = X.original if isinstance(X, PairedTable) else X
    return np.asarray(X)[:, -1].tolist()


class Protects(Stub):
    """A model of one sensitive column, the last."""

    def fit(self, X, y):
        super().fit(X, y)
        self.schema_ = SensitiveSchema(("a", "age"), {"age": Numeric(0, 1)})
        return self


def tables_of(cells):
    frame = pd.DataFrame({"a": np.zeros(len(cells)), "age": pd.Series(cells)})
    schema = SensitiveSchema(("a", "age"), {"age": Numeric(0, 1)})
    yield frame
    numbers = all(v is None or (isinstance(v, int | float) and not abs(v) > 1e9) for v in cells)
    yield pl.DataFrame({"a": [0.0] * len(cells), "age": cells}, strict=False) if numbers else None
    yield frame.to_numpy()
    yield PairedTable(frame, frame.assign(age=0.5), schema)


@pytest.mark.parametrize("how", ["table", "memory", "model", "default", "types", "raising", "warning"])
@pytest.mark.parametrize("cell", [1, None, np.nan, 0.5, 7, 10**400, [3]], ids=lambda c: str(c)[:9])
@pytest.mark.parametrize("kind", range(4), ids=["pandas", "polars", "array", "paired"])
@pytest.mark.one_in(4)
def test_one_row_moves_a_paid_score_by_its_own_share_whatever_the_scorer(how, cell, kind):
    """The worst scorer sees one row: another cell in row 3 moves the score of row 3."""
    model = Protects(noise_multiplier=1.0).fit(X, Y)
    scores = []
    for cells in ([0] * 10, [0] * 3 + [cell] + [0] * 6):
        given = list(tables_of(cells))[kind]
        if given is None:
            pytest.skip("polars has no such column")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            unscored = Counter()
            scores.append(row_scores(model, given, np.zeros(10), getattr(Mixing(), how), unscored))
        assert not caught
        assert sum(unscored.values()) <= 1
    assert (np.delete(scores[0], 3) == np.delete(scores[1], 3)).all()
    assert not hasattr(model, "seen")


@pytest.mark.slow
def test_a_row_without_a_score_counts_as_nothing_and_only_the_data_holder_is_told(table, target):
    def scoring(model, X, y):
        if X["age"].iloc[0] > 0.5:
            raise ValueError(f"a cell: {X['age'].iloc[0]}")
        return np.ones(2) if X["age"].iloc[0] > 0.4 else [np.nan if X["age"].iloc[0] > 0.3 else 1.0]

    model = search({}, fusion(), n_trials=1.1, validation="private", scoring=scoring)
    with pytest.warns(DataHolderWarning, match=r"no number \(\d+\), not one number a row \(\d+\)\.") as told:
        model.fit(table, target)
    assert "a cell" not in str(told[0].message)
    assert "ValueError" not in str(vars(model))
    # A filter that makes an error of the warning makes none of the fit.
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataHolderWarning)
        assert model.fit(table, target).best_estimator_ is not None


def test_a_scorer_that_cannot_be_copied_is_refused_before_anything_is_paid(table, target):
    class Locked:
        def __init__(self):
            self.lock = threading.Lock()

        def __call__(self, model, X, y):
            return np.ones(len(y))

    model = search({}, fusion(), validation="private", scoring=Locked())
    with pytest.raises(InvalidInputError, match="cannot be copied"):
        model.fit(table, target)
    assert not hasattr(model, "ledger_")


class Counting:
    """A scorer that counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, model, X, y):
        self.calls += 1
        return 1.0


@pytest.mark.parametrize("validation", ["hybrid", "private", "public"])
def test_a_search_changes_neither_scorer_nor_estimator_nor_values_and_shares_none(table, target, validation):
    inner, scorer = LogisticRegression(), Counting()
    estimator = OffsetFusionClassifier(SENSITIVE, imputer=FoundationImputer(backend="domain"))
    grid = {"public_model": [inner], "steps": [2]}
    before = pickle.dumps((estimator, grid, scorer))
    rows = (table[:50], target[:50]) if validation == "public" else validation
    model = search(grid, estimator, n_trials=1.5, validation=rows, scoring=scorer).fit(table, target)
    assert pickle.dumps((estimator, grid, scorer)) == before
    kept = pickle.dumps((model.best_estimator_, model.best_params_))
    inner.fit(table[["a"]], target)
    assert pickle.dumps((model.best_estimator_, model.best_params_)) == kept


@pytest.mark.slow
def test_names_score_rows_of_a_strange_step_alone_and_of_our_own_at_once(table, target):
    """A step that centres the table that it transforms mixes rows; alone, a row is centred by itself."""
    calls = []

    class Centring(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

        def __sklearn_is_fitted__(self):
            return True

        def transform(self, X):
            calls.append(len(X))
            return X.assign(age=X["age"] - X["age"].mean())

    plain = fusion().fit(table, target)
    table, target = table[:40], target[:40]  # each is scored alone
    pipe = Pipeline([("centre", Centring()), ("model", plain)])
    for name in ("accuracy", "log-loss"):
        row_scores(pipe, table, target, name, Counter())
    assert set(calls) == {1}
    one = row_scores(plain, table, target, "log-loss", Counter())
    alone = row_scores(Pipeline([("model", plain)]), table, target, "log-loss", Counter())
    np.testing.assert_allclose(one, alone, atol=1e-6)
    # The spread of a number as target is that of all rows.
    y = table["age"] * 2 + table["b"]
    numbers = OffsetFusionRegressor(SENSITIVE, steps=2).fit(table, y)
    at_once = row_scores(numbers, table, y, None, Counter())
    spied = type("Spied", (OffsetFusionRegressor,), {})
    numbers.__class__ = spied
    np.testing.assert_allclose(row_scores(numbers, table[:20], y[:20], None, Counter()).shape, (20,))
    np.testing.assert_allclose(row_scores(numbers, table, y, None, Counter()), at_once)


def test_a_search_that_does_not_end_leaves_the_old_one_and_its_new_cost(table, target):
    model = search({}, Stub()).fit(X, Y)
    before = {k: v for k, v in vars(model).items() if k != "ledger_"}

    class Breaks(Stub):
        def fit(self, X, y):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.set_params(estimator=Breaks()).fit(X[:30], Y[:30])
    model.set_params(estimator=before["estimator"])
    after = {k: v for k, v in vars(model).items() if k != "ledger_"}
    assert after.keys() == before.keys() and all(after[k] is before[k] for k in before)
    assert len(model.ledger_) == 2 and model.delta_ == 2e-5
    assert 1.9 < model.epsilon_ == model.privacy_report().epsilon <= 2.0


def test_a_paid_score_counts_where_training_costs_less():
    plain = search({}, validation="private", n_trials=5).fit(X, Y)
    rdp = rdp_of([Gaussian(Stub.fitted[0].noise_multiplier, 0.1, 10)], "replace")
    assert epsilon_of(Repetitions(5).compose(rdp), 1e-5) <= plain.ledger_.entries[0].epsilon
    assert plain.best_score_ != round(plain.best_score_ * 10) / 10  # noise


def neighbours(table):
    """A table's held-out sensitive cells in other types, and with other values."""
    yield table.assign(age=None, sex=None)
    yield table.assign(age=np.arange(len(table)))
    yield table.assign(age=[f"{v:.3f}" for v in table["age"]], sex=np.arange(len(table)))
    yield table.assign(
        age=pd.array(np.arange(len(table)), dtype="Int64"), sex=table["sex"].astype("category")
    )
    yield table.assign(sex=pd.Categorical(["f"] * len(table), categories=["f", "m", "secret"]))


def as_kind(table, kind):
    if kind == "array":
        return table.to_numpy() if all(d.kind in "fi" for d in table.dtypes) else table.to_numpy(dtype=object)
    if kind == "polars":
        return pl.DataFrame({c: table[c].tolist() for c in table}, strict=False)
    return table


@pytest.mark.parametrize("kind", ["pandas", "polars", "array"])
def test_the_hybrid_score_tells_nothing_by_types_or_missing_cells(table, target, kind):
    """What the scorer gets is bitwise the same, types included, whatever the sensitive cells are."""
    domains = {"x2": Numeric(0, 1), "x3": Numeric(0, 1)} if kind == "array" else SENSITIVE
    table = table.assign(sex=0.0) if kind == "array" else table
    model = FusionDPClassifier(
        domains, steps=2, public_epochs=1, random_state=0, imputer=FoundationImputer(backend="domain")
    )
    model.fit(as_kind(table, kind), target)
    step = FunctionTransformer()
    for fitted in (model, Pipeline([("same", step.fit(as_kind(table, kind))), ("model", model)])):
        seen = []

        def scoring(m, X, y, seen=seen):
            kinds = np.atleast_1d(X.dtypes if hasattr(X, "dtypes") else X.dtype)
            seen.append((type(X), [str(d) for d in kinds], np.asarray(X).tolist()))
            return 1.0

        for other in (table, *neighbours(table)):
            # Deep copies of a function are the function: the list is this one.
            hybrid_score(fitted, as_kind(other, kind), target, scoring)
        assert len(seen) == 6 and all(s == seen[0] for s in seen)


def test_the_hybrid_score_reads_no_true_sensitive_cell(table, target):
    """Held-out rows' sensitive cells changed: the same trials, score and model."""
    model = fusion(random_state=0)
    first = search({"lr": [0.01, 0.03]}, model, n_trials=2, validation="hybrid").fit(table, target)
    rng = np.random.default_rng(0)
    # The split is drawn from the seed and public facts: find it by what training was given.
    seen = []

    class Spy(FusionDPClassifier):
        def fit(self, X, y):
            seen.append(list(X.index))
            return super().fit(X, y)

    spy = Spy(**model.get_params(deep=False))
    search({"lr": [0.01, 0.03]}, spy, n_trials=2, validation="hybrid").fit(table, target)
    held = np.setdiff1d(np.arange(240), seen[0])
    assert len(held) == 48
    changed = table.copy()
    changed.loc[held, "age"] = rng.random(48)
    changed.loc[held, "sex"] = "m"
    again = search({"lr": [0.01, 0.03]}, model, n_trials=2, validation="hybrid").fit(changed, target)
    assert again.best_score_ == first.best_score_ and again.best_params_ == first.best_params_
    assert np.array_equal(again.predict_proba(table), first.predict_proba(table))


@pytest.mark.slow
@pytest.mark.parametrize("validation", ["hybrid", "private", "public"])
def test_all_kinds_of_validation_on_the_real_estimator(table, target, validation):
    rows = (table[:50], target[:50]) if validation == "public" else validation
    model = search({"lr": [0.01]}, fusion(), n_trials=1.5, validation=rows).fit(table, target)
    assert model.score(table, target) == model.best_estimator_.score(table, target)
    report = model.privacy_report()
    text = str(report)
    assert "Epsilon of the search" in text and "Epsilon of one trial" in text
    assert report.to_dict()["mechanism"]["epsilon_of_one_trial"] < report.epsilon <= 1.0
    assert not any("comparing fits" in g for g in report.not_covered)
    assert list(model.classes_) == [0, 1] and model.n_features_in_ == 4
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(table), model.predict(table))


def test_regression_and_zero_out(table):
    y = table["age"] * 2 + table["b"]
    estimator = fusion(FusionDPRegressor, adjacency="zero-out")
    model = search({"lr": [0.01]}, estimator, n_trials=1.5, validation="private").fit(table, y)
    assert model.ledger_.entries[0].adjacency == "zero-out" and model.predict(table).shape == (240,)


@pytest.mark.parametrize("cls", [OffsetFusionClassifier, OffsetFusionRegressor])
def test_offset_estimators_keep_to_their_plan(table, target, cls):
    y = target if cls is OffsetFusionClassifier else table["age"] * 2 + table["b"]
    grid = {"max_grad_norm": [0.5, 1.0], "steps": [None, 2]}
    model = search(grid, cls(SENSITIVE), n_trials=3, validation="private").fit(table, y)
    final = model.best_estimator_
    assert 0 < final.epsilon_ <= model.epsilon_of_one_trial_ < model.epsilon_ <= 1.0


# Bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "grid"),
    [
        ({"n_trials": 1}, {}),
        ({"eta": -1}, {}),
        ({"distribution": "normal"}, {}),
        ({"epsilon": 0}, {}),
        ({"epsilon": 1e-3}, {}),
        ({"delta": 2}, {}),
        ({"validation": "cv"}, {}),
        ({"validation": "hybrid"}, {}),
        ({"validation": "private", "validation_size": 2}, {}),
        ({"validation": "private", "scoring": "roc_auc"}, {}),
        ({"random_state": "no"}, {}),
        ({"budget": 3}, {}),
        ({}, {"steps": stats.randint(1, 9)}),
        ({}, {"steps": []}),
        ({}, {"noise_multiplier": [1.0]}),
        ({}, {"epsilon": [1.0]}),
        ({}, 7),
        ({"estimator": Stub(budget=PrivacyBudget(1.0, 1e-5))}, {}),
    ],
    # No object in a name: workers must collect the same tests.
    ids=lambda values: ",".join(values) or "-" if isinstance(values, dict) else type(values).__name__,
)
def test_bad_input_is_refused_before_a_trial(parameters, grid):
    with pytest.raises(InvalidInputError):
        search(grid, **parameters).fit(X, Y)
    assert not Stub.fitted


@pytest.mark.parametrize("method", ["non-private", "hybrid"])
def test_methods_without_noise_are_refused(table, target, method):
    with pytest.raises(InvalidInputError):
        search({}, fusion(method=method), validation="hybrid").fit(table, target)


def test_the_figures_of_the_guide():
    from skfusiondp.accounting import calibrate_noise_multiplier
    from skfusiondp.privacy._selection import calibrate_repeated

    (sigma,), _ = calibrate_repeated([((), 1 / 32, 640)], 1.0, 1e-5, "replace", Repetitions(10))
    trial = LedgerEntry(sigma, 1 / 32, 640)
    assert f"{sigma:.1f} {calibrate_noise_multiplier(1.0, 1e-5, 1 / 32, 640):.1f}" == "13.5 5.9"
    assert f"{compute_epsilon([trial], 1e-5):.2f} {compute_epsilon([trial] * 10, 1e-5):.2f}" == "0.41 1.43"


def test_the_report_names_columns_that_a_step_before_left_out(table, target):
    pipe = make_pipeline(PrivateSelectKBest(SENSITIVE, k=1, epsilon=0.2), fusion())
    # Which column stays is known after the fit only; a callable names what is left.
    pipe[-1].set_params(sensitive=lambda X: [c for c in SENSITIVE if c in X], on_leak="ignore")
    model = search({}, pipe, n_trials=1.5, epsilon=2.0, validation="private").fit(table, target)
    assert set(model.privacy_report().protected) == set(SENSITIVE)


def test_whole_rows_are_searched_on_public_rows_only(table, target):
    """One more row would change who is held out, so neighbours would differ in many rows."""
    estimator = fusion(method="dp-sgd")
    with pytest.raises(InvalidInputError, match="dp-sgd"):
        search({}, estimator, validation="private").fit(table, target)
    public = (table[:50], target[:50])
    model = search({}, estimator, n_trials=1.5, validation=public).fit(table[50:], target[50:])
    assert model.ledger_.entries[0].adjacency == "add-remove"


@pytest.mark.parametrize("cell", [None, np.nan, "a"])
def test_labels_that_are_none_are_refused_before_rows_are_split(cell):
    table = pd.DataFrame({"lab": np.linspace(0, 1, 60), "age": np.linspace(0, 1, 60)})
    search = PrivateRandomSearchCV(
        FusionDPClassifier({"age": Numeric(0, 1)}), {"max_grad_norm": [0.5, 1.0]}, random_state=0
    )
    with pytest.raises(InvalidInputError, match=r"y (contains NaN|cannot be used as a target)"):
        search.fit(table, np.array([*[0, 1] * 29, 1, cell], dtype=object))
    assert not hasattr(search, "ledger_")


@pytest.mark.parametrize("estimator", [0.0, FusionDPClassifier, "fusiondp"])
def test_what_is_no_estimator_is_refused(estimator):
    search = PrivateRandomSearchCV(estimator, {"max_grad_norm": [0.5, 1.0]})
    with pytest.raises(InvalidInputError, match=r"estimator=.* is no estimator; pass an object"):
        search.fit(np.zeros((60, 2)), np.arange(60) % 2)


# Held-out rows with imputed cells ------------------------------------------------------------


def _people(n=160):
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"lab": rng.normal(size=n), "bmi": rng.normal(size=n), "age": rng.uniform(0, 1, n)})
    return table, (table["lab"] + table["age"] > 0.5).to_numpy().astype(int)


def _with_other_ages(table):
    return table.assign(age=np.random.default_rng(9).uniform(0, 1, len(table)))


def test_hybrid_validation_takes_the_support_of_an_offset_model():
    from skfusiondp import OffsetFusionClassifier

    table, target = _people()
    model = OffsetFusionClassifier({"age": Numeric(0, 1)}, support=table.head(40), steps=1)
    search = PrivateRandomSearchCV(model, {"max_grad_norm": [0.5, 1.0]}, n_trials=1.1, random_state=0)
    assert np.isfinite(search.fit(table.tail(120), target[-120:]).best_score_)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["paired", "renamed"])
def test_hybrid_validation_reads_no_cell_behind_the_steps_of_a_pipeline(kind):
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import StandardScaler

    from skfusiondp.model_selection._scores import hybrid_score

    table, target = _people()
    age = {"age": Numeric(0, 1)}
    if kind == "paired":
        imputer = FoundationImputer(age, support=table.head(40), output="paired", random_state=0)
        pipe = make_pipeline(imputer, FusionDPClassifier(steps=2, random_state=0))
    else:
        scaled = make_column_transformer((StandardScaler(), ["lab"]), remainder="passthrough")
        pipe = make_pipeline(scaled, FusionDPClassifier(age, steps=2, random_state=0))
    name = "fusiondpclassifier__max_grad_norm"
    search = PrivateRandomSearchCV(pipe, {name: [0.5, 1.0]}, n_trials=1.1, random_state=0)
    model = search.fit(table, target).best_estimator_
    score = [hybrid_score(model, t, target, "neg_log_loss") for t in (table, _with_other_ages(table))]
    assert score[0] == score[1] and np.isfinite(score[0])
    moved = model.predict_proba(_with_other_ages(table)) != model.predict_proba(table)
    assert moved.any()  # the model itself reads them


def test_hybrid_validation_refuses_arrays_behind_steps_before_it_pays():
    table, target = _people()
    pipe = make_pipeline(FunctionTransformer(np.fliplr), FusionDPClassifier({0: Numeric(0, 1)}, steps=2))
    search = PrivateRandomSearchCV(pipe, {"fusiondpclassifier__max_grad_norm": [0.5, 1.0]}, n_trials=1.1)
    with pytest.raises(InvalidInputError, match="search on a frame"):
        search.fit(table.to_numpy(), target)
    assert not hasattr(search, "ledger_")
