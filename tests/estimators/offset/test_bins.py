"""Bins of the sensitive columns: where they are cut, and that wide bounds cost nothing."""

import numpy as np
import pandas as pd
import pytest
from skfusiondp.estimators.offset._bins import Bins
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, r2_score, roc_auc_score

from skfusiondp import Categorical, Numeric, OffsetFusionClassifier, OffsetFusionRegressor
from skfusiondp.estimators.joint._counted_cells import CountedCells
from skfusiondp.estimators.offset._correction import ClippedLoss, Loss
from skfusiondp.estimators.offset._public_rows import PublicRows

WIDE = [1, 10, 100]


def domains(wide):
    """Bounds of columns that lie around 50, right of 0, and around -30."""
    return {
        "age": Numeric(50 - 40 * wide, 50 + 40 * wide),
        "skewed": Numeric(0, 20 * wide),
        "below": Numeric(-30 - 12 * wide, -30 + 12 * wide),
    }


def made(n, seed):
    rng = np.random.default_rng(seed)
    lab, age, skewed, below = (
        rng.normal(size=n),
        rng.normal(50, 10, n),
        rng.lognormal(0, 1, n),
        rng.normal(-30, 3, n),
    )
    number = 0.7 * lab + 1.2 * np.sin(age / 6) + np.log(skewed) + 0.8 * (np.abs(below + 30) > 3)
    y = (number + rng.logistic(size=n) > 0).astype(int)
    return pd.DataFrame({"lab": lab, "age": age, "skewed": skewed, "below": below}), y, number


TEST, Y_TEST, NUMBER_TEST = made(8000, 99)


def auc(n, wide, seed=0, support=None, **parameters):
    table, y, _ = made(n, seed)
    model = OffsetFusionClassifier(
        domains(wide), random_state=seed, public_model=LogisticRegression(), support=support, **parameters
    )
    return roc_auc_score(Y_TEST, model.fit(table, y).decision_function(TEST))


@pytest.mark.parametrize("support", [None, made(1500, 5)[0]], ids=["counted", "support"])
def test_a_large_table_is_predicted_alike_however_wide_the_bounds(support):
    found = [auc(20_000, wide, support=support, noise_multiplier=20.0) for wide in WIDE]
    public = roc_auc_score(Y_TEST, TEST["lab"])
    assert max(found) - min(found) < 0.01 and min(found) > public + 0.15


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.5, 1.0, 4.0])
def test_at_usual_budgets_wide_bounds_cost_little(epsilon):
    found = np.mean(
        [[auc(12_000, wide, seed, epsilon=epsilon) for wide in WIDE] for seed in range(4)], axis=0
    )
    assert found[0] - found[1:].min() < 0.01


def test_a_number_is_predicted_alike_however_wide_the_bounds():
    table, _, number = made(12_000, 0)
    found = []
    for wide in WIDE:
        model = OffsetFusionRegressor(
            domains(wide), noise_multiplier=3.0, random_state=0, public_model=Ridge()
        )
        found.append(r2_score(NUMBER_TEST, model.fit(table, number).predict(TEST)))
    assert max(found) - min(found) < 0.01 and min(found) > 0.9


def test_effects_of_four_columns_of_a_thousand_bins_are_found():
    """Such bins vary in many more directions than are looked at."""

    def drawn(n, seed):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame(rng.normal(size=(n, 5)), columns=list("pabcd"))
        logit = table.to_numpy() @ [0.7, 0.6, -0.5, 0.4, 0.3]
        return table, (logit + rng.logistic(size=n) > 0).astype(int)

    (table, y), (test, y_test) = drawn(10_000, 0), drawn(8_000, 1)
    plain = LogisticRegression()
    floor, ceiling = (
        log_loss(y_test, plain.fit(table[c], y).predict_proba(test[c])) for c in (["p"], [*"pabcd"])
    )
    model = OffsetFusionClassifier(
        {c: Numeric(-4, 4) for c in "abcd"}, epsilon=1.0, random_state=0, public_model=plain
    )
    found = log_loss(y_test, model.fit(table, y).predict_proba(test))
    assert model._structure.n_features > 700
    assert floor - found > 0.7 * (floor - ceiling), (floor, found, ceiling)


def cut(cells, declared, frame=TEST):
    rng = np.random.default_rng(0)
    score = rng.normal(size=(len(frame), 1))
    target = (score > 0).astype(float)
    rows = PublicRows(np.zeros((len(frame), 1)), score, target, target[:, 0], np.ones(len(frame)), 1.0)
    bins = Bins(declared, Loss("binary"))
    return bins, bins.fit(rows, cells, ClippedLoss(Loss("binary"), 0.5), rng)


def test_without_support_and_counts_an_interval_is_cut_all_over():
    bins, landscape = cut(CountedCells(domains(1)), domains(1))
    for c, d in domains(1).items():
        fine, (low, high) = bins.edges[c][0], d.span
        assert (np.diff(fine) > 0).all() and low < fine[0] and fine[-1] < high and len(fine) > 30
    assert landscape.basis.shape == (
        bins.n_features,
        len(landscape.expected(np.zeros((bins.n_features, 1)))[1]),
    )


def test_the_landscape_is_that_of_the_features_of_rows_like_these():
    """Directions are orthonormal, and the curvature along them that of the loss of the rows themselves."""
    declared = {"age": Numeric(10, 90), "sex": Categorical(["f", "m"])}
    rng = np.random.default_rng(1)
    frame = TEST.assign(sex=rng.choice(["f", "m"], len(TEST)))
    cells = CountedCells(declared)
    cells.learn(np.asarray((cells.features(frame).matrix() > 0).sum(axis=0)).ravel().astype(float))
    bins, landscape = cut(cells, declared, frame)
    basis = landscape.basis
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-8)
    assert np.array_equal(np.unique(landscape.group), np.arange(landscape.group.max() + 1))
    coef = 0.3 * rng.normal(size=(bins.n_features, 1))
    score = np.random.default_rng(0).normal(size=(len(frame), 1))
    features, _ = bins.expand(np.zeros((len(frame), 1)), score, frame)
    p = 1 / (1 + np.exp(-score - features.height * features.sums(coef)))
    true = np.square(features.matrix() @ basis).T @ (p * (1 - p))
    # The rows of which it is learnt are drawn from these.
    np.testing.assert_allclose(landscape.expected(coef)[1][-20:], true[-20:], rtol=0.15)
