"""The correction of an offset: sensitivity of its summands, noise and number of its releases."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from skfusiondp.accounting import Clipping, LedgerEntry, compute_epsilon
from skfusiondp.estimators.joint._indicators import Indicators
from skfusiondp.estimators.offset import _correction
from skfusiondp.estimators.offset._correction import (
    COUNTS,
    ClippedLoss,
    Loss,
    Releases,
    accountant_clipping,
)
from skfusiondp.estimators.offset._indicator_rows import IndicatorRows, Piece
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.privacy import make_plan
from skfusiondp.privacy._noised_sums import UNIT, clipped_factors, whole_factors, whole_features
from skfusiondp.privacy._random_bits import RandomBits

scores = st.floats(-1e3, 1e3)
clips = st.floats(0.01, 10)
TASKS = {"binary": 1, "multiclass": 3, "regression": 1}


def whole_contribution(phi, factors):
    """What one row adds to a release, in whole units, as Python's numbers of any size."""
    one = whole_features(sp.csr_matrix(phi)).toarray().astype(object)
    return (one.T @ whole_factors(factors).astype(object)).ravel()


def contribution(task, score, label, weight, codes, clip):
    """One row's summand of a release, as a vector."""
    phi = Indicators([np.array([c]) for c in codes], [4] * len(codes)).matrix()
    score = np.array([score[: TASKS[task]]])
    target = np.eye(3)[[label]] if task == "multiclass" else np.array([[float(label)]])
    factors = clipped_factors(Loss(task).residuals(score, target), np.array([weight]), clip)
    return whole_contribution(phi, factors)


def squared(vector):
    return sum(int(v) ** 2 for v in vector)


# Of the largest norm, in units.
LONGEST = round(1 / UNIT) ** 2


@settings(max_examples=300)
@given(
    st.sampled_from(sorted(TASKS)),
    st.lists(scores, min_size=3, max_size=3),
    st.lists(scores, min_size=3, max_size=3),
    st.integers(0, 1),
    st.floats(0, 50),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=5),
    clips,
)
def test_a_row_is_bounded_and_two_of_its_versions_lie_within_the_sensitivity(
    task, one, other, label, weight, codes, clip
):
    """In exact arithmetic, without a tolerance."""
    first = contribution(task, one, label, weight, [a for a, _ in codes], clip)
    second = contribution(task, other, label, weight, [b for _, b in codes], clip)
    # In units of the bound: 2 apart for numbers as targets, sqrt(2) for classes.
    unit = accountant_clipping(Loss(task), clip, "replace")
    assert unit.sensitivity("replace") == pytest.approx((2 if task == "regression" else 2**0.5) * clip)
    assert squared(first) <= LONGEST
    assert squared(first - second) <= LONGEST * (4 if task == "regression" else 2)
    # Against the erased row, which adds exactly zero.
    assert accountant_clipping(Loss(task), clip, "zero-out").sensitivity("zero-out") >= clip


def test_an_erased_row_adds_nothing_and_a_missing_cell_is_another_thing():
    """Erased: no active indicator. Missing: an indicator of its own, up to sqrt(2) bounds from a value."""
    factors = clipped_factors(np.array([[-1.0]]), np.ones(1), 0.5)
    value, missing = (whole_contribution(Indicators([np.array([c])], [4]).matrix(), factors) for c in (0, 3))
    erased = whole_contribution(sp.csr_matrix((1, 4)), factors)
    assert not erased.any()
    assert 0.99 * LONGEST < squared(value - erased) <= LONGEST
    assert 1.99 * LONGEST < squared(value - missing) <= 2 * LONGEST


@pytest.mark.parametrize("bound", [1e-300, 1e-20, 1e20, 1e300, 0, -1.0, np.nan, np.inf, True, "1", None])
def test_bounds_that_double_precision_does_not_hold_are_refused(bound):
    with pytest.raises(InvalidInputError, match=r"max_grad_norm=.* from 1e-19 to 1e"):
        accountant_clipping(Loss("binary"), bound, "replace")


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_sensitivity_is_reached_so_a_smaller_one_would_be_wrong(task):
    clip = 0.5
    if task == "regression":
        one, other, codes = [9.0], [-9.0], ([0], [0])
    else:
        one, other, codes = [9.0, 0.0, 0.0], [9.0, 0.0, 0.0], ([0], [1])
    label = 0 if task != "multiclass" else 1
    gap = contribution(task, one, label, 1.0, codes[0], clip) - contribution(
        task, other, label, 1.0, codes[1], clip
    )
    gap = gap.astype(float) * UNIT * clip
    bound = accountant_clipping(Loss(task), clip, "replace").sensitivity("replace")
    assert np.linalg.norm(gap) == pytest.approx(bound, rel=1e-4)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=9))
def test_a_row_in_a_count_is_its_indicators_alone_and_two_versions_lie_within_sqrt_2(codes):
    """In exact arithmetic, without a tolerance."""
    one, other = (
        whole_contribution(
            Indicators([np.array([pair[k]]) for pair in codes], [4] * len(codes)).matrix(), np.ones((1, 1))
        )
        for k in (0, 1)
    )
    assert min(one) >= 0 and 0.999 * LONGEST < squared(one) <= LONGEST
    assert squared(one - other) <= 2 * LONGEST
    if all(a != b for a, b in codes):  # nothing less would do
        assert squared(one - other) > 1.99 * LONGEST


@pytest.mark.parametrize(("adjacency", "apart"), [("replace", 2**0.5), ("zero-out", 1.0)])
def test_a_count_is_accounted_at_the_distance_of_its_rows(adjacency, apart):
    """Half of it under "replace", all of it where a row is erased: the accountant's clipping norm."""
    unit = accountant_clipping(COUNTS, 1.0, adjacency)
    assert unit.sensitivity(adjacency) == pytest.approx(apart)


def plan_of(loss, n, sigma):
    return make_plan(
        n, batch_size=n, steps=17, epsilon=None, noise_multiplier=sigma, delta=1e-5,
        clipping=accountant_clipping(loss, 0.4, "replace"), adjacency="replace",
    )  # fmt: skip


@pytest.mark.parametrize(("task", "divisor"), [("binary", math.sqrt(2)), ("regression", 1.0)])
def test_each_release_has_the_noise_of_the_plan_and_none_follows_the_last(task, divisor, monkeypatch):
    seen, rng = [], np.random.default_rng(0)

    def spy(parts, shape, noise, bits):
        seen.append((max(np.linalg.norm(f, axis=1).max() for _, f in parts), noise.std_in_units))
        return rng.normal(size=shape)

    monkeypatch.setattr(_correction, "noised_sum", spy)
    loss, n = Loss(task), 50
    plan = plan_of(loss, n, 3.0)
    zeros = np.zeros((n, 1))
    piece = Piece(Indicators([np.arange(n) % 4], [4]), zeros, zeros + 1, np.ones(n))
    rows, paid = IndicatorRows(lambda: iter([piece]), n, 4, 1, plan.steps), []
    releases = Releases(loss, plan, RandomBits(0), lambda: paid.append(len(seen)))
    assert releases.std == pytest.approx(3.0 * 0.4 / divisor)
    releases.counts(rows, 1)
    while releases.left:
        releases.gradient(rows, rng.normal(size=(4, 1)))
    # Each is paid for before it is made.
    assert paid == list(range(plan.steps)) and len(seen) == plan.steps
    for more in (lambda: releases.counts(rows, 1), lambda: releases.gradient(rows, np.zeros((4, 1)))):
        with pytest.raises(RuntimeError, match="All releases"):
            more()
    assert len(paid) == len(seen) == plan.steps
    for which, (largest, std) in enumerate(seen):
        # In units of the bound, which is 0.4 for every task; a count's two rows lie sqrt(2) apart.
        assert largest <= 1 + 1e-12
        assert std * UNIT == pytest.approx(3.0 / (divisor if which else math.sqrt(2)))


def test_a_released_gradient_is_that_of_clipped_residuals_and_a_count_that_of_rows(monkeypatch):
    def exact(parts, shape, noise, bits):
        return UNIT * sum((f.T @ whole_factors(r)).astype(float) for f, r in parts)

    monkeypatch.setattr(_correction, "noised_sum", exact)
    loss, n, rng = Loss("binary"), 60, np.random.default_rng(0)
    codes = [rng.integers(4, size=n), rng.integers(3, size=n)]
    features = Indicators(codes, [4, 3])
    offset, target = rng.normal(size=(n, 1)), rng.integers(2, size=(n, 1)).astype(float)
    weight = rng.uniform(0, 2, n)
    rows = IndicatorRows(lambda: iter([Piece(features, offset, target, weight)]), n, 7, 1, 2)
    releases = Releases(loss, plan_of(loss, n, 3.0), RandomBits(0), lambda: None)
    coef = rng.normal(size=(7, 1))
    phi = features.matrix().toarray()
    residual = (1 / (1 + np.exp(-offset - phi @ coef)) - target) * weight[:, None]
    expected = phi.T @ np.clip(residual, -0.4, 0.4)
    np.testing.assert_allclose(releases.gradient(rows, coef), expected, atol=0.4 * n * 2**-15)
    counted = np.concatenate([np.bincount(c, minlength=k) for c, k in zip(codes, [4, 3], strict=True)])
    np.testing.assert_allclose(releases.counts(rows, 2), counted, atol=0.01)


def test_rows_of_a_number_vary_by_their_clipped_residuals():
    rng = np.random.default_rng(0)
    score, target = rng.normal(size=(2, 5000, 1))
    whole, clipped = (ClippedLoss.of(Loss("regression"), score, target, c).spread for c in (100.0, 1.0))
    assert whole == pytest.approx(2.0, rel=0.1) and whole > clipped
    assert ClippedLoss.of(Loss("binary"), score, target > 0, 0.1).spread == 1.0


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_the_drift_is_what_clipped_gradients_are_on_average_where_labels_follow_the_score(task):
    rng, n = np.random.default_rng(1), 200_000
    loss = Loss(task)
    score, weight = np.repeat(rng.normal(size=(1, TASKS[task])) - 1, n, axis=0), np.full(n, 1.5)
    p = loss.mean(score[:1])[0]
    if task == "binary":
        target = (rng.random((n, 1)) < p).astype(float)
    else:
        target = np.eye(3)[rng.choice(3, size=n, p=p)]
    clipped = 0.4 * clipped_factors(loss.residuals(score, target), weight, 0.4)
    drift = ClippedLoss(loss, 0.4).drift(score, weight)
    assert np.abs(drift).max() > 0.01
    np.testing.assert_allclose(clipped.mean(axis=0), drift[0], atol=4 * 0.4 / np.sqrt(n))
    assert not ClippedLoss(Loss("regression"), 0.4).drift(score, weight).any()


def test_epsilon_of_one_release_by_hand():
    """One Gaussian release at distance D and standard deviation s: delta(eps) in closed form."""
    clip, sigma, delta = 0.5, 4.0, 1e-5
    unit = accountant_clipping(Loss("binary"), clip, "replace")
    assert unit == Clipping(clip / math.sqrt(2))
    mu = (math.sqrt(2) * clip) / (sigma * unit.max_grad_norm)
    epsilon = compute_epsilon([LedgerEntry(sigma, 1.0, 1, "replace")], delta)
    exact = stats.norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * stats.norm.cdf(-mu / 2 - epsilon / mu)
    assert exact == pytest.approx(delta, rel=0.02) and exact <= delta * (1 + 1e-6)
