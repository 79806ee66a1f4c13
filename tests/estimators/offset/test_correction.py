"""The correction of an offset: sensitivity of its summands, noise and number of its releases."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from skfusiondp.accounting import Clipping, LedgerEntry, compute_epsilon
from skfusiondp.estimators.offset import _correction
from skfusiondp.estimators.offset._correction import (
    Groups,
    Loss,
    accountant_clipping,
    centred,
    fit_correction,
)
from skfusiondp.estimators.offset._indicator_rows import IndicatorRows, Piece
from skfusiondp.estimators.offset._indicators import Indicators
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
@given(
    st.sampled_from(["binary", "multiclass", "regression"]),
    st.lists(scores, min_size=3, max_size=3),
    st.integers(0, 1),
    st.floats(0, 50),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=5),
    clips,
)
def test_centred_factors_are_public_and_keep_the_sensitivity(task, score, label, weight, codes, clip):
    loss, score = Loss(task), np.array([score[: TASKS[task]]])
    target = np.eye(3)[[label]] if task == "multiclass" else np.array([[float(label)]])
    weight = np.array([weight])
    clipped = clipped_factors(loss.residuals(score, target), weight, clip)
    factors = centred(clipped, score, weight, loss, clip)
    one, other = (
        whole_contribution(
            Indicators([np.array([pair[k]]) for pair in codes], [4] * len(codes)).matrix(), factors
        )
        for k in (0, 1)
    )
    assert squared(one) <= LONGEST
    assert squared(one - other) <= LONGEST * (4 if task == "regression" else 2)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_centred_factors_have_mean_zero_where_the_public_score_is_right(task):
    loss, rng = Loss(task), np.random.default_rng(0)
    score = rng.normal(size=(1, TASKS[task])) - 1.5
    p = loss.mean(score)[0]
    share = np.array([1 - p[0], p[0]]) if task == "binary" else p
    labels = np.array([[0.0], [1.0]]) if task == "binary" else np.eye(3)
    stacked, ones = np.repeat(score, len(labels), axis=0), np.ones(len(labels))
    raw = clipped_factors(loss.residuals(stacked, labels), ones, 0.7)
    assert np.abs(share @ raw).max() > 1e-3
    # A bound that the centred factors do not reach.
    assert np.abs(share @ centred(raw, stacked, ones, loss, 0.7)).max() < 0.35 * np.abs(share @ raw).max()


def test_noise_gets_no_share_and_signal_gets_most():
    rng = np.random.default_rng(0)
    groups = Groups(np.repeat([0, 1, 2], 50), np.ones(3))
    seen = 2.0 * rng.normal(size=(150, 1))
    seen[50:60] += 20
    share = groups.shares(seen, 4.0)
    assert share.argmax() == 1 and share[[0, 2]].max() < 0.2 * share[1]
    assert (share > 0).all()


def plan_of(loss, n, sigma):
    return make_plan(
        n, batch_size=n, steps=17, epsilon=None, noise_multiplier=sigma, delta=1e-5,
        clipping=accountant_clipping(loss, 0.4, "replace"), adjacency="replace",
    )  # fmt: skip


@pytest.mark.parametrize(("task", "divisor"), [("binary", math.sqrt(2)), ("regression", 1.0)])
def test_the_loop_uses_the_noise_of_the_plan_in_each_release(task, divisor, monkeypatch):
    seen = []

    def spy(parts, shape, noise, bits):
        seen.append((max(np.linalg.norm(f, axis=1).max() for _, f in parts), noise.std_in_units))
        return np.zeros(shape)

    monkeypatch.setattr(_correction, "noised_sum", spy)
    loss, n = Loss(task), 50
    plan = plan_of(loss, n, 3.0)
    zeros = np.zeros((n, 1))
    piece = Piece(Indicators([np.arange(n) % 4], [4]), zeros, zeros + 1, np.ones(n))
    rows = IndicatorRows(lambda: iter([piece]), n, 4, 1, plan.steps)
    paid = []
    groups = Groups(np.zeros(4, dtype=int), np.ones(1))
    fit_correction(rows, loss, plan, RandomBits(0), groups, lambda: paid.append(1))
    assert len(paid) == len(seen) == plan.steps
    for largest, std in seen:
        # In units of the bound, which is 0.4 for every task.
        assert largest <= 1 + 1e-12 and std * UNIT == pytest.approx(3.0 / divisor)


def test_epsilon_of_one_release_by_hand():
    """One Gaussian release at distance D and standard deviation s: delta(eps) in closed form."""
    clip, sigma, delta = 0.5, 4.0, 1e-5
    unit = accountant_clipping(Loss("binary"), clip, "replace")
    assert unit == Clipping(clip / math.sqrt(2))
    mu = (math.sqrt(2) * clip) / (sigma * unit.max_grad_norm)
    epsilon = compute_epsilon([LedgerEntry(sigma, 1.0, 1, "replace")], delta)
    exact = stats.norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * stats.norm.cdf(-mu / 2 - epsilon / mu)
    assert exact == pytest.approx(delta, rel=0.02) and exact <= delta * (1 + 1e-6)
