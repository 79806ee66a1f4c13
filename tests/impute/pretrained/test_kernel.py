"""The kernel family and the exact solution, against other implementations and by brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.kernel_ridge import KernelRidge

from skfusiondp.impute.pretrained._channels import N_HATS, Channels, Scale
from skfusiondp.impute.pretrained._kernel import Hyperparameters, kernel, solve
from skfusiondp.impute.pretrained._process import _projected


def channels_of(features, support=None):
    features = torch.as_tensor(np.asarray(features), dtype=torch.float64)[None]
    support = features if support is None else torch.as_tensor(np.asarray(support), dtype=torch.float64)[None]
    return Channels.of(features, Scale.of(support))


def some_hyperparameters(n_features, seed=0, part=None):
    rng = np.random.default_rng(seed)
    relevances = [torch.as_tensor(rng.uniform(0.1, 3, size=(1, n_features))) for _ in range(5)]
    amplitudes = torch.as_tensor(rng.uniform(0.1, 2, size=(1, 4)))
    if part is not None:
        amplitudes = torch.eye(4, dtype=torch.float64)[part : part + 1]
    return Hyperparameters(
        *relevances, amplitudes, torch.full((1, 1), 0.2, dtype=torch.float64), torch.ones(1, 2)
    )


TABLES = arrays(np.float64, st.tuples(st.integers(2, 25), st.integers(1, 4)), elements=st.floats(-1e6, 1e6))


@given(TABLES)
@settings(max_examples=50, deadline=None)
def test_channels_are_bounded_and_hats_sum_to_one(features):
    found = channels_of(features)
    assert found.ranks.abs().max() <= 2 and torch.isfinite(found.values).all()
    hats = found.hats.view(1, len(features), features.shape[1], N_HATS)
    # Centred ones sum to nothing, so the plain ones always sum to the same.
    assert hats.sum(-1).abs().max() < 1e-9


@given(TABLES, st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_each_part_is_a_covariance(features, seed):
    found = channels_of(features)
    for part in range(4):
        covariance = kernel(found, found, some_hyperparameters(features.shape[1], seed, part))[0]
        assert torch.allclose(covariance, covariance.T)
        assert torch.linalg.eigvalsh(covariance).min() > -1e-6 * covariance.diagonal().max()


def test_ranks_do_not_see_the_unit():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 3))
    plain, bent = channels_of(features), channels_of(np.exp(features))
    assert torch.equal(plain.ranks, bent.ranks) and torch.equal(plain.hats, bent.hats)


def test_gapless_tables_of_another_scale_are_seen_alike():
    features = np.random.default_rng(1).normal(size=(40, 2))
    assert torch.allclose(channels_of(features).values, channels_of(1e5 + 300 * features).values, atol=1e-6)


@pytest.fixture
def problem():
    rng = np.random.default_rng(3)
    found = channels_of(rng.normal(size=(40, 3)))
    given_ = some_hyperparameters(3)
    labels = torch.as_tensor(rng.normal(size=(1, 40, 2)))
    return found, given_, kernel(found, found, given_), labels


def test_it_is_kernel_ridge_regression(problem):
    _, given_, covariance, labels = problem
    weights, _ = solve(covariance, given_.noise, labels)
    ridge = KernelRidge(alpha=float(given_.noise), kernel="precomputed").fit(covariance[0], labels[0])
    np.testing.assert_allclose(weights[0], ridge.dual_coef_, rtol=1e-7)


def test_left_out_predictions_are_those_without_the_row(problem):
    _, given_, covariance, labels = problem
    left_out = solve(covariance, given_.noise, labels)[1]
    rest = np.arange(40) != 11
    ridge = KernelRidge(alpha=float(given_.noise), kernel="precomputed")
    ridge.fit(covariance[0][rest][:, rest], labels[0][rest])
    np.testing.assert_allclose(left_out[0, 11], ridge.predict(covariance[0][11:12, rest])[0], rtol=1e-7)


def test_left_out_predictions_of_a_sketch_are_those_without_the_row(problem):
    _, given_, covariance, labels = problem
    across, inner = covariance[:, :, :15], covariance[:, :15, :15]
    weights, left_out = _projected(across, inner.clone(), given_.noise, labels)
    rest = np.arange(40) != 11
    alone, _ = _projected(across[:, rest], inner.clone(), given_.noise, labels[:, rest])
    np.testing.assert_allclose(left_out[0, 11], (across[0, 11:12] @ alone[0])[0], rtol=1e-5)
    # With all rows in the sketch it is the exact process.
    exact = solve(covariance, given_.noise, labels)[0]
    whole, _ = _projected(covariance, covariance.clone(), given_.noise, labels)
    np.testing.assert_allclose((covariance @ whole)[0], (covariance @ exact)[0], atol=1e-4)
    assert weights.shape == (1, 15, 2)
