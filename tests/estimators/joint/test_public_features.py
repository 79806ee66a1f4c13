"""Public facts as features: of norm at most 1, so that no row is left out, and the same for new rows."""

import numpy as np
import pytest

from skfusiondp.estimators.joint._label import any_label, classes, numbers
from skfusiondp.estimators.joint._public_features import PublicFeatures, Ranks
from skfusiondp.privacy._noised_sums import whole_factors

RNG = np.random.default_rng(0)
N = 200
LABELS = {
    "two classes": classes(RNG.integers(2, size=N), N),
    "four classes": classes(RNG.integers(4, size=N), N),
    "numbers": numbers(RNG.exponential(size=N), N),
    "none": any_label(None, N),
}


@pytest.mark.parametrize("label", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("n_public", [0, 1, 90])
@pytest.mark.parametrize("scored", [True, False])
def test_every_row_counts_as_one_and_none_is_too_long(label, n_public, scored):
    encoded = RNG.standard_t(2, size=(N, n_public)) * 100
    score = RNG.normal(size=(N, label.kind.n_scores if scored and label.kind.task else 0))
    label.kind.learn(label.target, score)
    told = label.kind.features(label.target, score)
    made = PublicFeatures(encoded, score, told)
    for rows in (slice(None), slice(5, 6)):
        found = made(encoded[rows], score[rows], told[rows])
        norms = np.linalg.norm(found, axis=1)
        assert (norms <= 1 + 1e-12).all() and (norms > 0.3).all()
        assert whole_factors(found).any(axis=1).all()
        assert found.shape[1] == len(made.group)
    if label.kind.task:
        far = (
            label.kind.features(label.target * 1e6, score - 1e6) if label.kind.task == "regression" else told
        )
        assert (np.linalg.norm(far, axis=1) <= 1 + 1e-12).all()
    far = made(encoded * 1e6, score + 1e6, told)
    assert (np.linalg.norm(far, axis=1) <= 1 + 1e-12).all()
    if label.kind.task == "":
        assert set(made.group) <= {0, 4}


def test_ranks_are_those_among_training_rows():
    ranks = Ranks(np.arange(1000.0)[:, None])
    assert np.allclose(ranks(np.array([[-5.0], [499.5], [2000.0]]))[:, 0], [-1, 0, 1], atol=0.01)
    many = Ranks(np.r_[np.zeros(900), np.arange(100.0)][:, None])
    assert abs(many(np.zeros((1, 1)))[0, 0] + 0.1) < 0.02


def test_whole_numbers_of_many_values_are_numbers_and_of_few_are_classes():
    assert any_label(np.arange(100), 100).kind.task == "regression"
    assert any_label(np.arange(100) % 3, 100).kind.task == "multiclass"
    assert any_label(np.arange(100) % 2, 100).kind.task == "binary"
    assert any_label(np.array(["a", "b"] * 50), 100).kind.task == "binary"
    assert any_label(np.ones(100), 100).kind.task == ""
    assert any_label(np.linspace(0, 1, 100), 100).kind.task == "regression"


def test_of_numbers_what_the_score_leaves_is_told_in_their_own_unit():
    score = RNG.normal(size=(N, 1))
    label = numbers(10 + 3 * score[:, 0] + RNG.normal(size=N), N)
    guessed = 10 + 3 * score
    label.kind.learn(label.target, guessed)
    left = label.kind.features(label.target, guessed)[:, 0]
    inside = np.abs(left) < np.sqrt(0.5) - 1e-9
    assert inside.mean() > 0.9
    assert np.corrcoef(left[inside], (label.target - guessed[:, 0])[inside])[0, 1] > 1 - 1e-9
    assert (
        label.kind.features(label.target).shape[1] == label.kind.features(label.target, guessed).shape[1] - 1
    )
    # Without a score it is the distance from the mean.
    label.kind.learn(label.target, np.zeros((N, 0)))
    left = label.kind.features(label.target, np.zeros((N, 0)))[:, 0]
    assert np.corrcoef(left, label.target)[0, 1] > 0.99
