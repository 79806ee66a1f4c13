"""Whether released sums show that a column goes with the label, beyond what other public facts explain."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skfusiondp import Categorical
from skfusiondp.estimators.joint import _conditional_family as family
from skfusiondp.estimators.joint._conditional_family import COMMON, Released, evidence
from skfusiondp.estimators.joint._embedding import Embedding
from skfusiondp.estimators.joint._joint_model import JointModel

POINTS = Embedding.of(2, ordered=False).points
GROUP = np.array([0, 1, 4, 4])
ABOUT = GROUP == 1


def sums(features, cells, std, seed=0):
    """Sums of features times points, with noise."""
    noise = std * np.random.default_rng(seed).normal(size=(4, 1))
    own = np.where(GROUP == 0, COMMON, GROUP)[:, None]
    return Released(features.T @ POINTS[cells] + noise, np.full(4, std), own)


def made(n, seed, by_label):
    """A label that two public features predict, and a column that goes with the label or with them."""
    rng = np.random.default_rng(seed)
    public = rng.choice([-0.5, 0.5], size=(n, 2))
    label = np.where(rng.random(n) < 0.5 + 0.6 * public[:, 0], 0.5, -0.5)
    told = label if by_label else public[:, 0]
    cells = (rng.random(n) < 0.5 + 0.4 * told).astype(int)
    return np.column_stack([np.full(n, 0.5), label, public]), cells


@pytest.mark.parametrize("std", [3.0, 30.0])
def test_a_column_that_goes_with_the_label_shows_it_and_a_copy_of_a_public_one_does_not(std):
    for seed in range(5):
        features, cells = made(4000, seed, by_label=True)
        (shown,) = evidence(sums(features, cells, std, seed), features, 1.0, POINTS, ABOUT)
        assert shown > 5
        features, cells = made(4000, seed, by_label=False)
        (shown,) = evidence(sums(features, cells, std, seed), features, 1.0, POINTS, ABOUT)
        assert 0 <= shown < 2.5
        # Beside what all rows have in common alone, it would.
        named = np.isin(GROUP, (0, 1))
        few = sums(features, cells, std, seed)
        alone = Released(few.total[named], few.std[named], few.group[named])
        assert evidence(alone, features[:, named], 1.0, POINTS, ABOUT[named])[0] > 5


def test_it_is_the_ratio_of_two_normal_densities_of_what_the_others_leave():
    features, cells = made(3000, 1, by_label=True)
    features[:, 1:] += [0.1, 0.3, -0.2]
    released = sums(features, cells, 20.0)
    (shown,) = evidence(released, features, 1.0, POINTS, ABOUT)
    shape = family._Family(released, features, 1.0, POINTS)
    theta, variance = family._prior(released, shape)
    mean = features.mean(axis=0)
    share = family.probabilities(theta, mean[None], POINTS)[0]
    spread = float(share @ POINTS[:, 0] ** 2 - (share @ POINTS[:, 0]) ** 2)
    # Curvature of the log-partition beside the constant feature, whose sums are fitted.
    centred = features - mean
    cross = spread * centred.T @ centred
    # All sums hold the noise of the constant one, as far as their means go with it.
    noise = 20.0**2 * (np.eye(4) + np.outer(mean, mean) / 0.25)
    own, others = [1], [2, 3]
    every = np.array([*own, *others])
    none = np.diag([0.0, *variance[others, 0]])
    cross, noise = cross[np.ix_(every, every)], noise[np.ix_(every, every)]
    surplus = (released.total - shape.expected(theta))[every, 0]

    def covariance(prior):
        return cross @ prior @ cross + cross + noise

    null = covariance(none)
    left = np.r_[1.0, -np.linalg.solve(null[1:, 1:], null[1:, 0])]

    def log_density(prior):
        return stats.norm(0, np.sqrt(left @ covariance(prior) @ left)).logpdf(left @ surplus)

    least = none + np.diag([family._VARIANCES[0], 0, 0])
    best = max(log_density(none + np.diag([v, 0, 0])) for v in family._VARIANCES)
    assert shown == pytest.approx(best - log_density(least), rel=1e-6) and shown > 5


def model_of(shown):
    model = JointModel({})
    model._shown = shown
    return model


def test_one_of_many_columns_must_show_more_than_one_alone():
    assert model_of([]).evidence == 0.0
    assert model_of([4.0]).evidence == pytest.approx(4.0)
    assert model_of([4.0] + [0.0] * 59).evidence < 1.0
    assert model_of([9.0] + [0.0] * 59).evidence == pytest.approx(9 - np.log(60), abs=0.01)


@pytest.mark.slow
def test_columns_of_noise_are_not_believed():
    from skfusiondp import OffsetFusionClassifier

    for seed in range(2):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame(rng.integers(0, 2, (600, 20)), columns=[f"s{i}" for i in range(20)])
        table["lab"] = rng.normal(size=600)
        y = (table["lab"] + rng.logistic(size=600) > 0).astype(int)
        named = {f"s{i}": Categorical([0, 1]) for i in range(20)}
        model = OffsetFusionClassifier(named, epsilon=0.3, random_state=seed).fit(table, y)
        assert not model._structure.shares.any()
