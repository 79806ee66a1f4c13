"""The offset estimators: what they read, what they pay, and that it is worth it."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, roc_auc_score

from skfusiondp import (
    Categorical,
    FoundationImputer,
    Numeric,
    OffsetFusionClassifier,
    OffsetFusionRegressor,
    PrivacyBudget,
)
from skfusiondp.datasets import load_adult
from skfusiondp.estimators.joint._coded_columns import CodedColumn
from skfusiondp.estimators.joint._counted_cells import CountedCells
from skfusiondp.estimators.joint._releases import JointReleases
from skfusiondp.estimators.offset import _correction, _structure
from skfusiondp.estimators.offset._correction import Loss
from skfusiondp.estimators.offset._structure import Structure, best_shares
from skfusiondp.exceptions import InvalidInputError, PrivacyBudgetError
from skfusiondp.privacy._random_bits import RandomBits

WHOLE_MODELS = True

DOMAINS = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}


def made(n, seed):
    rng = np.random.default_rng(seed)
    lab = rng.normal(size=n)
    ward = rng.choice(["north", "south"], n).astype(object)
    age = np.clip(50 + 20 * rng.normal(size=n) + 5 * lab, 0, 100)
    sex = rng.choice(["f", "m"], n).astype(object)
    age[rng.random(n) < 0.1] = np.nan
    logit = lab + (np.nan_to_num(age, nan=50) - 50) / 8 + (sex == "m")
    y = (logit + rng.logistic(size=n) > 0).astype(int)
    return pd.DataFrame({"lab": lab, "age": age, "ward": ward, "sex": sex}), y, logit


TRAIN, Y, NUMBER = made(400, 0)
SUPPORT, Y_SUPPORT, N_SUPPORT = made(200, 1)


def public_score(model, public):
    return model._public_score(public, model._columns.transform(public))


def scrambled(table):
    rng = np.random.default_rng(5)
    age = np.where(rng.random(len(table)) < 0.3, np.nan, rng.uniform(-50, 500, len(table)))
    sex = rng.choice(np.array(["f", "m", None, "?"], dtype=object), len(table))
    return table.assign(age=np.where(np.arange(len(table)), age, 20.0), sex=sex)


def classifier(**parameters):
    return OffsetFusionClassifier(DOMAINS, **{"random_state": 0, **parameters})


LABELLED = {"support": SUPPORT, "support_target": Y_SUPPORT}


EVERY_SUPPORT = pytest.mark.parametrize(
    "given", [{}, {"support": SUPPORT}, LABELLED], ids=["none", "support", "labelled"]
)


def parts(model):
    """What a model consists of, in bits."""
    names = ("public_models_", "public_constant_", "_structure", "_columns", "coef_", "shapes_", "schema_")
    return {name: pickle.dumps(getattr(model, name)) for name in names}


@pytest.mark.one_in(3)
@EVERY_SUPPORT
def test_all_but_the_released_sums_is_bitwise_the_same_whatever_sensitive_cells_are(given, monkeypatch):
    """With any numbers in place of the releases, the same for two tables, a fit is the same for both."""
    real, seen = _correction.noised_sum, []
    noised = JointReleases._noised

    def fits():
        return [classifier(noise_multiplier=0.5, **given).fit(t, Y) for t in (TRAIN, scrambled(TRAIN))]

    one, two = fits()
    assert not np.array_equal(one.predict_proba(TRAIN), two.predict_proba(TRAIN))  # the change matters

    def anything(rows, shape, noise, bits):
        seen.append(real(rows, shape, noise, bits))  # rows are read as ever
        return np.random.default_rng(shape[0]).normal(size=shape) * 20

    def anything_of_joint_sums(self, total, *args):
        released, std = noised(self, total, *args)
        seen.append(released)
        return np.random.default_rng(total.size).normal(size=total.shape) * 20 * std, std

    monkeypatch.setattr(_correction, "noised_sum", anything)
    monkeypatch.setattr(JointReleases, "_noised", anything_of_joint_sums)
    one, two = fits()
    half = len(seen) // 2
    assert half == 1 + (6 if not given else 5 if "support_target" not in given else 0)
    assert all(not np.array_equal(a, b) for a, b in zip(seen[:half], seen[half:], strict=True))
    assert one.coef_.any() and parts(one) == parts(two)
    assert one.plan_ == two.plan_ and one.ledger_ == two.ledger_ and one.steps_run_ == two.steps_run_
    assert one.epsilon_ == two.epsilon_ and one.delta_ == two.delta_
    assert one.privacy_report() == two.privacy_report()
    assert np.array_equal(one.predict_proba(TRAIN), two.predict_proba(TRAIN))


@pytest.mark.one_in(3)
@EVERY_SUPPORT
def test_no_sensitive_training_cell_moves_a_structure_learnt_from_labelled_support(given):
    one, two = (classifier(noise_multiplier=0.1, **given).fit(t, Y) for t in (TRAIN, scrambled(TRAIN)))
    assert not np.array_equal(one.predict_proba(TRAIN), two.predict_proba(TRAIN))
    assert (parts(one)["_structure"] == parts(two)["_structure"]) == ("support_target" in given)
    for name in ("public_models_", "public_constant_", "_columns", "schema_"):
        assert parts(one)[name] == parts(two)[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "steps", "gradients"),
    [({}, 1, 0), ({}, 2, 1), ({}, 3, 1), ({"support": SUPPORT}, 7, 2), (LABELLED, 2, 2)],
)
def test_a_joint_model_has_two_thirds_of_the_releases_where_no_labelled_row_shows_cells(
    given, steps, gradients, monkeypatch
):
    seen, plain = [], _correction.Releases.gradient
    spent, noised = [0.0], JointReleases._noised

    def watched(self, *args):
        seen.append(1)
        return plain(self, *args)

    def watched_sums(self, *args):
        try:
            return noised(self, *args)
        finally:
            spent.append(self.spent)

    monkeypatch.setattr(_correction.Releases, "gradient", watched)
    monkeypatch.setattr(JointReleases, "_noised", watched_sums)
    model = classifier(noise_multiplier=2.0, steps=steps, **given).fit(TRAIN, Y)
    assert len(seen) == gradients and spent[-1] <= steps - gradients < spent[-1] + 1e-6
    assert model.steps_run_ == model.plan_.steps == steps == sum(e.steps for e in model.ledger_)


@pytest.mark.one_in(3)
@EVERY_SUPPORT
def test_features_have_norm_one_and_no_sign_whatever_the_cells(given):
    model = classifier(noise_multiplier=3.0, **given).fit(TRAIN, Y)
    for table in (TRAIN, scrambled(TRAIN)):
        public = model._columns.transform(table[["lab", "ward"]])
        score = public_score(model, table[["lab", "ward"]])
        phi = model._structure.expand(public, score, table)[0].matrix()
        assert phi.min() >= 0
        np.testing.assert_allclose(np.asarray(phi.multiply(phi).sum(axis=1)).ravel(), 1.0, rtol=1e-12)


@pytest.mark.slow
def test_declared_knots_cut_a_column_where_its_parts_would_not():
    def drawn(seed, n):
        rng = np.random.default_rng(seed)
        x = rng.uniform(0, 100, n)
        y = ((x > 51.4) & (x < 52.9)).astype(int) ^ (rng.random(n) < 0.02)
        return pd.DataFrame({"public": rng.normal(size=n), "x": x}), y

    (table, y), (test, y_test) = drawn(3, 3000), drawn(4, 8000)
    beside = pd.DataFrame({"public": 0.0, "x": [51.0, 52.0, 53.3]})
    losses, steps = [], []
    for domain in (Numeric(0, 100), Numeric(0, 100, knots=[51.4, 52.9])):
        model = OffsetFusionClassifier(
            {"x": domain}, epsilon=8.0, random_state=0, public_model=LogisticRegression()
        ).fit(table, y)
        losses.append(log_loss(y_test, model.predict_proba(test)))
        at = model.decision_function(beside)
        steps.append(at[1] - max(at[0], at[2]))
    assert steps[1] > steps[0] + 2 and losses[1] < losses[0] - 0.01


@pytest.mark.one_in(4)
@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
@pytest.mark.parametrize("given", [{}, LABELLED], ids=["none", "labelled"])
def test_ledger_is_the_loop_and_keeps_the_budget(adjacency, given):
    model = classifier(epsilon=2.0, delta=1e-4, adjacency=adjacency, **given).fit(TRAIN, Y)
    (entry,) = model.ledger_
    assert (entry.sample_rate, entry.steps, entry.adjacency) == (1.0, 1 if given else 3, adjacency)
    assert entry.protects == ("age", "sex") and entry.noise_multiplier == model.plan_.noise_multiplier
    assert model.epsilon_ == model.ledger_.epsilon(1e-4) and 1.9 < model.epsilon_ <= 2.0
    assert model.privacy_report().mechanism["steps_run"] == entry.steps
    model.fit(TRAIN, Y)
    assert len(model.ledger_) == 2 and model.epsilon_ > 2.0


def test_a_column_with_a_smaller_budget_sets_that_of_all():
    domains = {"age": Numeric(0, 100, epsilon=0.5), "sex": Categorical(["f", "m"])}
    assert OffsetFusionClassifier(domains, epsilon=2.0).fit(TRAIN, Y).epsilon_ <= 0.5


def test_a_shared_budget_is_charged_what_ran_and_refuses_before_anything_changes():
    budget = PrivacyBudget(epsilon=1.3, delta=1e-5)
    model = classifier(epsilon=1.0, delta=1e-5, budget=budget).fit(TRAIN, Y)
    assert budget.ledger == model.ledger_ and budget.spent == model.epsilon_
    other = classifier(epsilon=1.0, delta=1e-5, budget=budget)
    with pytest.raises(PrivacyBudgetError, match="above the budget"):
        other.fit(TRAIN, Y)
    assert not hasattr(other, "ledger_") and not hasattr(other, "public_constant_")
    assert budget.ledger == model.ledger_
    # A column of its own budget costs what the ledger says.
    domains = {"age": Numeric(0, 100, epsilon=0.3), "sex": Categorical(["f", "m"])}
    strict = OffsetFusionClassifier(domains, epsilon=1.0, delta=1e-5, budget=budget).fit(TRAIN, Y)
    assert budget.ledger == model.ledger_ + strict.ledger_ and strict.epsilon_ <= 0.3
    with pytest.raises(InvalidInputError, match="budget"):
        classifier(budget=3).fit(TRAIN, Y)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
@pytest.mark.parametrize("stage", ["_fit_public", "_fit_imputer"])
def test_a_fit_that_ends_before_it_reads_a_sensitive_cell_pays_nothing(monkeypatch, error, stage):
    def breaks(*args):
        raise error

    monkeypatch.setattr(OffsetFusionClassifier, stage, breaks)
    budget = PrivacyBudget(epsilon=2.0, delta=1e-5)
    model = classifier(delta=1e-5, budget=budget, imputer=FoundationImputer(support=SUPPORT))
    with pytest.raises(error):
        model.fit(TRAIN, Y)
    assert not len(budget.ledger) and not len(getattr(model, "ledger_", ()))


def test_a_fit_pays_before_it_expands_sensitive_cells(monkeypatch):
    def breaks(*args):
        raise RuntimeError("an error that may depend on a cell")

    for owner, name in ((CountedCells, "features"), (CodedColumn, "codes"), (Structure, "expand")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, breaks)
            budget = PrivacyBudget(epsilon=2.0, delta=1e-5)
            with pytest.raises(RuntimeError, match="may depend"):
                classifier(delta=1e-5, budget=budget).fit(TRAIN, Y)
        assert [e.steps for e in budget.ledger] == [3]


def test_an_interrupted_fit_pays_its_shared_budget_the_whole_plan(monkeypatch):
    def breaks(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(_correction, "noised_sum", breaks)
    budget = PrivacyBudget(epsilon=2.0, delta=1e-5)
    with pytest.raises(KeyboardInterrupt):
        classifier(delta=1e-5, budget=budget).fit(TRAIN, Y)
    assert [e.steps for e in budget.ledger] == [3]


def breaking(monkeypatch, error, at):
    """Make the release number `at` of a fit raise: a sum of the joint model, or a gradient."""
    calls = []

    def breaking_at(real):
        def breaks(*args):
            calls.append(1)
            if len(calls) == at:
                raise error
            return real(*args)

        return breaks

    monkeypatch.setattr(JointReleases, "_noised", breaking_at(JointReleases._noised))
    monkeypatch.setattr(_correction, "noised_sum", breaking_at(_correction.noised_sum))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_fit_that_began_its_releases_pays_for_its_plan(monkeypatch, error):
    """Where it stops may depend on what was released, so that what ran is no bound."""
    breaking(monkeypatch, error, 3)
    budget = PrivacyBudget(epsilon=2.0, delta=1e-5)
    model = classifier(steps=9, delta=1e-5, budget=budget)
    with pytest.raises(error):
        model.fit(TRAIN, Y)
    assert [e.steps for e in model.ledger_] == [e.steps for e in budget.ledger] == [9]
    assert 0.9 < model.epsilon_ == model.ledger_.epsilon(1e-5) <= 1.0
    with pytest.raises(NotFittedError):
        model.predict(TRAIN)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_fit_that_ends_before_a_release_pays_nothing_and_leaves_nothing(monkeypatch, error):
    def breaks(*args):
        raise error

    monkeypatch.setattr(Structure, "fit", breaks)
    model = classifier(**LABELLED)
    before = dict(vars(model))
    with pytest.raises(error):
        model.fit(TRAIN, Y)
    assert vars(model) == before


def test_support_rows_that_cannot_be_read_are_found_before_anything_is_paid():
    budget = PrivacyBudget(epsilon=2.0, delta=1e-5)
    model = classifier(support=SUPPORT.assign(lab="high"), delta=1e-5, budget=budget)
    with pytest.raises(ValueError, match="lab"):
        model.fit(TRAIN, Y)
    assert not len(budget.ledger) and not hasattr(model, "ledger_")


@pytest.mark.one_in(6)
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("at", [1, 2, 7, "shapes"])
def test_a_refit_that_does_not_end_leaves_the_old_model_and_its_new_cost(monkeypatch, error, at):
    model = classifier(delta=1e-4).fit(TRAIN, Y)
    once = model.epsilon_
    before = {k: v for k, v in vars(model).items() if k != "ledger_"}
    bits = pickle.dumps(before)
    if at == "shapes":

        def breaks(*args):
            raise error

        monkeypatch.setattr("skfusiondp.estimators.offset._offset_base.BaseOffsetFusion._shapes", breaks)
    else:
        breaking(monkeypatch, error, at)
    # Another table, other classes, another relation: nothing of them may be mixed with what was there.
    model.set_params(adjacency="zero-out", delta=1e-3)
    with pytest.raises(error):
        model.fit(TRAIN.rename(columns={"lab": "x"})[:200], np.array(["no", "yes"])[Y[:200]])
    model.set_params(adjacency="replace", delta=1e-4)
    after = {k: v for k, v in vars(model).items() if k != "ledger_"}
    assert after.keys() == before.keys() and pickle.dumps({k: after[k] for k in before}) == bits
    assert [e.adjacency for e in model.ledger_] == ["replace", "zero-out"]
    # The model that is there is the first fit's, at its relation; the other is named beside it.
    assert model.epsilon_ == once and model.privacy_report().epsilon == once
    assert any("zero-out" in gap for gap in model.privacy_report().not_covered)
    monkeypatch.undo()
    model.fit(TRAIN, Y)
    assert model.epsilon_ > once and [e.adjacency for e in model.ledger_].count("replace") == 2


class Remembers(LogisticRegression):
    """Keeps a note of every fit in a list that it was given: what an estimator should not do."""

    def __init__(self, notes=None, C=1.0):
        super().__init__(C=C)
        self.notes = notes

    def fit(self, X, y, sample_weight=None):
        self.notes.append(len(X))
        self.seen_ = list(self.notes)
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        X -= 1.0  # in place
        return super().predict_proba(X + 1.0)


@pytest.mark.slow
def test_a_fit_works_on_copies_and_carries_nothing_to_the_next():
    table = TRAIN.drop(columns="ward")
    given = Remembers(["mine"])
    backend = {"age": Ridge(), "sex": Remembers(["backend"])}
    imputer = FoundationImputer(support=SUPPORT.drop(columns="ward"), backend=backend)
    model = classifier(public_model=given, imputer=imputer)
    before, kept = pickle.dumps((given, backend, imputer)), table.copy()
    model.fit(table, Y).predict(table)
    model.predict(table.drop(columns=["age", "sex"]))
    assert pickle.dumps((given, backend, imputer)) == before
    pd.testing.assert_frame_equal(table, kept)
    first, imputing = pickle.dumps(model.public_models_), pickle.dumps(model.imputer_)
    assert all(len(m.seen_) == 2 for m in model.public_models_)
    tidy = classifier(public_model=LogisticRegression()).fit(table, Y)
    np.testing.assert_allclose(public_score(model, table[["lab"]]), public_score(tidy, table[["lab"]]))
    model.fit(table, Y)
    assert pickle.dumps(model.public_models_) == first
    # Nor does what the user does with the objects later reach the fitted model.
    proba, absent = model.predict_proba(table), table.drop(columns=["age", "sex"])
    imputed = model.predict_proba(absent)
    given.notes.append("later")
    given.fit(table[["lab"]], Y)
    backend["sex"].fit(table[["lab"]], Y)
    assert np.array_equal(model.predict_proba(table), proba)
    assert np.array_equal(model.predict_proba(absent), imputed)
    assert pickle.dumps(model.public_models_) == first and pickle.dumps(model.imputer_) == imputing


def test_a_frozen_public_model_is_not_shared():
    """clone hands a frozen estimator over as it is."""
    inner = LogisticRegression().fit(TRAIN[["lab"]].rename(columns={"lab": "lab"}), Y)
    model = classifier(public_model=FrozenEstimator(inner)).fit(TRAIN.drop(columns="ward"), Y)
    proba = model.predict_proba(TRAIN.drop(columns="ward"))
    inner.fit(TRAIN[["lab"]], 1 - Y)
    assert np.array_equal(model.predict_proba(TRAIN.drop(columns="ward")), proba)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("given", [{}, LABELLED], ids=["none", "labelled"])
def test_every_number_of_the_noise_comes_from_the_operating_system(given, monkeypatch):
    real, words = RandomBits.words, []
    noised, sizes = JointReleases._noised, []

    def watched(self, total, *args):
        sizes.append(total.size)
        return noised(self, total, *args)

    monkeypatch.setattr(JointReleases, "_noised", watched)

    def counted(self, n):
        words.append((self.secret, n))
        return real(self, n)

    monkeypatch.setattr(RandomBits, "words", counted)
    model = classifier(random_state=None, **given).fit(TRAIN, Y)
    # A word of 64 bits a coordinate at the least, in every release.
    assert sum(n for _, n in words) >= model.coef_.size + sum(sizes)
    assert bool(sizes) != bool(given)
    assert all(secret for secret, _ in words)
    words.clear()
    classifier(random_state=3, **given).fit(TRAIN, Y)
    assert words and not any(secret for secret, _ in words)


@pytest.mark.slow
@pytest.mark.parametrize("bound", [1e-19, 1e-9, 1e9, 1e19])
def test_extreme_bounds_give_a_model(bound):
    model = classifier(max_grad_norm=bound).fit(TRAIN, Y)
    assert np.isfinite(model.predict_proba(TRAIN)).all() and 0.9 < model.epsilon_ <= 1.0


@pytest.mark.one_in(2)
@pytest.mark.parametrize("given", [{}, LABELLED], ids=["none", "labelled"])
def test_pickle_predicts_alike_and_carries_no_rows(given):
    model = classifier(imputer=FoundationImputer(support=SUPPORT), **given).fit(TRAIN, Y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(TRAIN), model.predict_proba(TRAIN))
    assert again.support is None and again.support_target is None and again.imputer.support is None
    assert TRAIN["lab"].to_numpy().tobytes() not in pickle.dumps(model)
    assert again.privacy_report() == model.privacy_report()


@pytest.mark.slow
def test_absent_sensitive_columns_are_imputed_or_refused():
    model = classifier(imputer=FoundationImputer(), **LABELLED).fit(TRAIN, Y)
    probability = model.predict_proba(TRAIN.drop(columns=["age", "sex"]))
    assert np.isfinite(probability).all()
    assert not np.array_equal(probability, model.predict_proba(TRAIN))
    assert np.isfinite(model.predict_proba(TRAIN.assign(age=np.nan))).all()
    with pytest.raises(InvalidInputError, match="FoundationImputer"):
        classifier().fit(TRAIN, Y).predict(TRAIN.drop(columns="age"))


@pytest.mark.slow
def test_the_start_is_believed_as_far_as_left_out_support_rows_bear_it_out(monkeypatch):
    """Trees of hybrid rows fit chance in few support rows; shares of the start say how much of it is so."""

    def spread(model):
        public = TRAIN[["lab", "ward"]]
        _, start = model._structure.expand(
            model._columns.transform(public), public_score(model, public), TRAIN
        )
        return start.std()

    assert spread(classifier(**LABELLED).fit(TRAIN, Y)) > 0.8
    chance, all_of_it = [], []
    for seed in range(4):
        coins = np.random.default_rng(seed).integers(2, size=len(Y) + len(Y_SUPPORT))
        model = classifier(support=SUPPORT, support_target=coins[len(Y) :])
        chance.append(spread(model.fit(TRAIN, coins[: len(Y)])))
        with monkeypatch.context() as patch:
            patch.setattr(_structure, "best_shares", lambda *_: np.ones(2))
            all_of_it.append(spread(clone(model).fit(TRAIN, coins[: len(Y)])))
    assert np.mean(chance) < 0.5 * np.mean(all_of_it), (chance, all_of_it)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_best_shares_are_the_least_losses(task):
    rng = np.random.default_rng(1)
    k = 3 if task == "multiclass" else 1
    one, two, score = rng.normal(size=(3, 4000, k))
    loss = Loss(task)

    def drawn(*true_shares):
        mean = loss.mean(score + true_shares[0] * one + true_shares[1] * two)
        if task == "binary":
            return (rng.random(mean.shape) < mean).astype(float)
        if task == "multiclass":
            return np.eye(k)[[rng.choice(k, p=m) for m in mean]]
        return mean + rng.normal(size=mean.shape)

    for true, best in (((0.4, 0.8), (0.4, 0.8)), ((2.0, 0.3), (1.0, 0.3)), ((-1.0, 0.0), (0.0, 0.0))):
        found = best_shares(loss, score, [one, two], drawn(*true))
        np.testing.assert_allclose(found, best, atol=0.15)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("few", [1, 2, 7])
def test_few_labelled_support_rows_will_do(few):
    model = classifier(support=SUPPORT[:few], support_target=Y_SUPPORT[:few]).fit(TRAIN, Y)
    assert (
        np.isfinite(model.predict_proba(TRAIN)).all()
        and ((model._structure.shares >= 0) & (model._structure.shares <= 1)).all()
    )


def test_it_learns_what_sensitive_columns_add():
    test, y, _ = made(2000, 9)
    model = classifier(epsilon=20.0, **LABELLED).fit(TRAIN, Y)
    base = public_score(model, test[["lab", "ward"]])[:, 0]
    assert roc_auc_score(y, model.decision_function(test)) > roc_auc_score(y, base) + 0.1
    ages, effect = model.shape_functions()["age"]
    assert ages[0] == 0 and effect[-1, 0] > effect[0, 0] + 0.5
    assert len(model.plot_shapes().axes_) == 2


def noise_columns(n, seed):
    rng = np.random.default_rng(seed)
    table, y, number = made(n, seed)
    sex = rng.choice(["f", "m"], n).astype(object)
    return table.assign(age=rng.uniform(0, 100, n), sex=sex), y, number


@pytest.mark.slow
@pytest.mark.parametrize("cls", [OffsetFusionClassifier, OffsetFusionRegressor])
@pytest.mark.parametrize("given", [{}, {"support": SUPPORT}], ids=["none", "support"])
def test_a_hopeless_budget_leaves_the_public_model_and_the_report_says_so(cls, given):
    table, y, number = noise_columns(300, 3)
    aim = y if cls is OffsetFusionClassifier else number
    model = cls(DOMAINS, epsilon=0.1, random_state=0, **given).fit(table, aim)
    assert model.coef_ is not None and not model.coef_.any() and not model._structure.shares.any()
    frame = made(500, 4)[0]
    assert np.array_equal(model._scores(frame), public_score(model, frame[["lab", "ward"]]))
    report = model.privacy_report()
    assert report.mechanism["correction"] == "none: sensitive columns showed nothing beyond the noise"
    assert "showed nothing beyond the noise" in str(report) and report.to_html()
    assert all(np.abs(effect).max() < 1e-9 for _, effect in model.shape_functions().values())


@pytest.mark.slow
def test_a_correction_that_is_there_is_not_said_to_be_none():
    model = classifier(noise_multiplier=0.5).fit(TRAIN, Y)
    assert model._structure.shares.any() and "correction" not in model.privacy_report().mechanism


@pytest.mark.slow
def test_beats_the_public_columns_on_adult():
    adult = load_adult()
    train, test = slice(0, 8000), slice(8000, 16000)
    model = OffsetFusionClassifier(adult.sensitive, epsilon=1.0, random_state=0)
    model.fit(adult.table[train], adult.target[train])
    public = public_score(model, adult.table[test][list(model.schema_.public)])[:, 0]
    private = model.decision_function(adult.table[test])
    assert model.epsilon_ <= 1.0
    assert roc_auc_score(adult.target[test], private) > roc_auc_score(adult.target[test], public) + 0.02


@pytest.mark.slow
def test_three_classes_any_public_model_weights_and_polars_like_arrays():
    y = np.array(["a", "b", "c"], dtype=object)[np.digitize(NUMBER, [-1, 1])]
    ys = np.array(["a", "b", "c"], dtype=object)[np.digitize(N_SUPPORT, [-1, 1])]
    model = classifier(
        public_model=LogisticRegression(), support=SUPPORT.drop(columns="ward"), support_target=ys
    )
    model.fit(TRAIN.drop(columns="ward"), y, sample_weight=np.arange(len(y)))
    probability = model.predict_proba(TRAIN.drop(columns="ward"))
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert model.decision_function(TRAIN.drop(columns="ward")).shape == (len(y), 3)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("given", [{}, {"support": SUPPORT, "support_target": N_SUPPORT}])
def test_regressor_uses_sensitive_columns(given):
    model = OffsetFusionRegressor(DOMAINS, epsilon=20.0, random_state=0, **given).fit(TRAIN, NUMBER)
    test, _, number = made(1000, 8)
    public = Ridge().fit(TRAIN[["lab"]], NUMBER).score(test[["lab"]], number)
    assert model.score(test, number) > public + 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "bound"),
    [({}, 1.0), ({"support": SUPPORT, "support_target": N_SUPPORT}, 0.2), ({"max_grad_norm": 0.7}, 0.7)],
)
def test_a_numbers_bound_is_smaller_where_there_is_a_start(given, bound):
    model = OffsetFusionRegressor(DOMAINS, random_state=0, **given).fit(TRAIN, NUMBER)
    mechanism = model.privacy_report().mechanism
    assert mechanism["max_grad_norm"] == model.plan_.clipping.max_grad_norm == bound
    assert mechanism["sensitivity"] == 2 * bound


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"epsilon": 1.0, "noise_multiplier": 1.0}, "leave one None"),
        ({"adjacency": "add-remove"}, "replace, zero-out"),
        ({"steps": 0}, "steps=0"),
        ({"max_grad_norm": -1.0}, "max_grad_norm"),
        ({"max_grad_norm": 1e-300}, "from 1e-19"),
        ({"noise_multiplier": 1e18}, "too large"),
        ({"imputer": LogisticRegression()}, "no FoundationImputer"),
        ({"support_target": Y_SUPPORT}, "without support"),
        ({"support": SUPPORT, "support_target": Y_SUPPORT[:5]}, "each row its label"),
        ({"support": SUPPORT.drop(columns="lab"), "support_target": Y_SUPPORT}, "lacks"),
        ({"support": SUPPORT, "support_target": Y_SUPPORT + 7}, "does not have"),
        ({"epsilon": 0}, "epsilon=0"),
        ({"delta": 2.0}, "delta"),
        ({"class_weight": "unheard"}, "class_weight"),
        ({"public_model": 0.0}, "public_model=0.0 must be a scikit-learn estimator with predict_proba"),
        ({"public_model": LogisticRegression}, "public_model="),
        ({"public_model": Ridge()}, "public_model="),
        ({"support": SUPPORT, "support_target": 1.0}, "must be a list or array with a target for each"),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_paid(parameters, words):
    model = classifier(**parameters)
    with pytest.raises(InvalidInputError, match=words):
        model.fit(TRAIN, Y)
    assert not hasattr(model, "ledger_")


@pytest.mark.slow
def test_columns_of_noise_leave_the_public_model_as_good_as_it_was():
    """Clipping pulls gradients away from zero where the public score is right; that is no signal."""
    worse = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        lab = rng.normal(size=6000)
        table = pd.DataFrame(
            {"lab": lab, "age": rng.uniform(0, 100, 6000), "sex": rng.choice(["f", "m"], 6000)}
        )
        y = (lab + rng.logistic(size=6000) > 0).astype(int)
        model = classifier(epsilon=4.0, random_state=seed).fit(table[:3000], y[:3000])
        free = public_score(model, table[["lab"]][3000:])[:, 0]
        own = model.decision_function(table[3000:])
        worse.append(log_loss(y[3000:], expit(own)) - log_loss(y[3000:], expit(free)))
    assert np.mean(worse) < 0.002 and max(worse) < 0.006
