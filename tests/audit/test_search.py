"""Who sees every gradient of a private search's best trial learns no more than the search claims."""

import numpy as np
import pytest
import torch

from skfusiondp import FusionDPClassifier, Numeric
from skfusiondp.audit import audit_attribute
from skfusiondp.model_selection import PrivateRandomSearchCV
from skfusiondp.privacy._noise import GaussianNoise

WHOLE_MODELS = True

CLAIM = 2.0


def surest(trial, X, y):
    """The attacker's own choice among the trials: the one whose gradients say most about the coins."""
    scores = np.abs(trial.net_.callbacks[-1].scores_)
    return float(np.sort(scores)[-100:].mean())


class Searched(FusionDPClassifier):
    """A classifier whose fit is a search; its listener hears the best trial, and nothing of the others."""

    _accounts_for_privacy = True  # its ledger is the search's

    def fit(self, X, y):
        search = PrivateRandomSearchCV(
            FusionDPClassifier(**self.get_params()),
            {"lr": [1e-3, 1e-2], "max_grad_norm": [0.5, 1.0]},
            n_trials=4,
            epsilon=CLAIM,
            validation=(X, y),  # never read: the score is the listener's
            scoring=surest,
            random_state=self.random_state,
        ).fit(X, y)
        self.net_, self.schema_ = search.best_estimator_.net_, search.schema_
        self._pay(search.ledger_, search.delta_, "replace")
        return self


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 4))
    return X, (X[:, 0] + X[:, 1] + rng.normal(size=2000) > 0).astype(int)


def audited(rows, seed):
    model = Searched({0: Numeric(-3, 3)}, method="feature-dp", epochs=2, random_state=seed)
    return audit_attribute(model, *rows, random_state=seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_sound_search_stands(rows, seed):
    found = audited(rows, seed)
    assert found.claim == pytest.approx(CLAIM, abs=0.01) and found.consistent
    assert found.guesses >= 100


@pytest.mark.slow
def test_a_search_with_a_tenth_of_its_noise_is_caught(rows, monkeypatch):
    def tenth(self, gradient):
        return gradient + 0.1 * self.std * torch.empty_like(gradient).normal_()

    monkeypatch.setattr(GaussianNoise, "add_to", tenth)
    found = audited(rows, 0)
    assert not found.consistent and "refuted" in found.verdict
