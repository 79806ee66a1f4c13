"""The one place that reads sensitive cells: bounds, noise, count of releases."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from skfusiondp.accounting import Clipping, LedgerEntry, compute_epsilon
from skfusiondp.offset._mechanism import (
    Groups,
    Loss,
    accountant_clipping,
    centred,
    fit_correction,
    noise_generator,
    noised_sum,
    row_contributions,
)
from skfusiondp.offset._structure import indicators
from skfusiondp.privacy import make_plan

scores = st.floats(-1e3, 1e3)
clips = st.floats(0.01, 10)
TASKS = {"binary": 1, "multiclass": 3, "regression": 1}


def contribution(task, score, label, weight, codes, clip):
    """One row's summand of a release, as a vector."""
    phi = indicators([np.array([c]) for c in codes], [4] * len(codes))
    score = np.array([score[: TASKS[task]]])
    target = np.eye(3)[[label]] if task == "multiclass" else np.array([[float(label)]])
    factors = row_contributions(Loss(task).residuals(score, target), np.array([weight]), clip)
    return (phi.T @ factors).ravel()


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
    first = contribution(task, one, label, weight, [a for a, _ in codes], clip)
    second = contribution(task, other, label, weight, [b for _, b in codes], clip)
    unit = accountant_clipping(Loss(task), clip, "replace")
    assert np.linalg.norm(first) <= clip * (1 + 1e-9)
    assert np.linalg.norm(first - second) <= unit.sensitivity("replace") * (1 + 1e-9)
    # Against the erased row, which adds exactly zero.
    erased = accountant_clipping(Loss(task), clip, "zero-out")
    assert np.linalg.norm(first) <= erased.sensitivity("zero-out") * (1 + 1e-9)


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
    bound = accountant_clipping(Loss(task), clip, "replace").sensitivity("replace")
    assert np.linalg.norm(gap) == pytest.approx(bound)


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
    clipped = row_contributions(loss.residuals(score, target), weight, clip)
    factors = centred(clipped, score, weight, loss, clip)
    one, other = (
        indicators([np.array([pair[k]]) for pair in codes], [4] * len(codes)).T @ factors for k in (0, 1)
    )
    unit = accountant_clipping(loss, clip, "replace")
    assert np.linalg.norm(one) <= clip * (1 + 1e-9)
    assert np.linalg.norm(one - other) <= unit.sensitivity("replace") * (1 + 1e-9)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_centred_factors_have_mean_zero_where_the_public_score_is_right(task):
    loss, rng = Loss(task), np.random.default_rng(0)
    score = rng.normal(size=(1, TASKS[task])) - 1.5
    p = loss.mean(score)[0]
    share = np.array([1 - p[0], p[0]]) if task == "binary" else p
    labels = np.array([[0.0], [1.0]]) if task == "binary" else np.eye(3)
    stacked, ones = np.repeat(score, len(labels), axis=0), np.ones(len(labels))
    raw = row_contributions(loss.residuals(stacked, labels), ones, 0.7)
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


def test_rows_that_are_not_finite_add_exactly_zero():
    residuals = np.array([[np.nan], [np.inf], [0.3], [0.0]])
    assert row_contributions(residuals, np.ones(4), 1.0).ravel().tolist() == [0, 0, 0.3, 0]
    assert not row_contributions(np.array([[0.5]]), np.array([np.inf]), 1.0).any()


@pytest.mark.parametrize("std", [0.1, 5.0])
def test_noise_has_the_stated_scale_and_shape(std):
    phi = sp.csr_matrix((3, 20_000))
    noise = noised_sum(phi, np.ones((3, 1)), std, noise_generator(1)).ravel()
    assert stats.kstest(noise, "norm", args=(0, std)).pvalue > 1e-3
    for wrong in (0.9, 1.1):
        assert stats.kstest(noise, "norm", args=(0, wrong * std)).pvalue < 1e-3


def test_noise_is_fresh_unless_seeded():
    draws = [noise_generator(seed).normal(size=4).tolist() for seed in (7, 7, None, None)]
    assert draws[0] == draws[1] and draws[2] != draws[3]


@pytest.mark.parametrize(("task", "divisor"), [("binary", math.sqrt(2)), ("regression", 1.0)])
def test_the_loop_uses_the_noise_of_the_plan_in_each_release(task, divisor, monkeypatch):
    seen = []
    from skfusiondp.offset import _mechanism

    def spy(features, factors, std, rng):
        seen.append((np.linalg.norm(factors, axis=1).max(), std))
        return np.zeros((features.shape[1], factors.shape[1]))

    monkeypatch.setattr(_mechanism, "noised_sum", spy)
    loss, n = Loss(task), 50
    plan = make_plan(
        n, batch_size=n, steps=17, epsilon=None, noise_multiplier=3.0, delta=1e-5,
        clipping=accountant_clipping(loss, 0.4, "replace"), adjacency="replace",
    )  # fmt: skip
    phi = indicators([np.arange(n) % 4], [4])
    zeros = np.zeros((n, 1))
    paid = []
    groups = Groups(np.zeros(4, dtype=int), np.ones(1))
    fit_correction(
        phi, zeros, zeros + 1, np.ones(n), loss, plan, noise_generator(0), groups, lambda: paid.append(1)
    )
    assert len(paid) == len(seen) == plan.steps
    for largest, std in seen:
        assert largest <= 0.4 + 1e-12 and std == pytest.approx(3.0 * 0.4 / divisor)


def test_epsilon_of_one_release_by_hand():
    """One Gaussian release at distance D and standard deviation s: delta(eps) in closed form."""
    clip, sigma, delta = 0.5, 4.0, 1e-5
    unit = accountant_clipping(Loss("binary"), clip, "replace")
    assert unit == Clipping(clip / math.sqrt(2))
    mu = (math.sqrt(2) * clip) / (sigma * unit.max_grad_norm)
    epsilon = compute_epsilon([LedgerEntry(sigma, 1.0, 1, "replace")], delta)
    exact = stats.norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * stats.norm.cdf(-mu / 2 - epsilon / mu)
    assert exact == pytest.approx(delta, rel=0.02) and exact <= delta * (1 + 1e-6)
