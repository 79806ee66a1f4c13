"""Flipping all cells of one person exceeds the epsilon of a row, and stays below that of a unit."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import beta

from skfusiondp import FoundationImputer, FusionDPClassifier, Numeric

WHOLE_MODELS = True

DELTA, TRIALS = 1e-3, 250
rng = np.random.default_rng(0)
VISITS = np.r_[8, np.tile(np.arange(1, 9), 3)]
PERSON = np.repeat(np.arange(len(VISITS)), VISITS)
N = len(PERSON)
X = pd.DataFrame({"lab": rng.normal(size=N), "age": rng.uniform(0, 100, N), "person": PERSON})
Y = np.r_[np.ones(8), rng.integers(0, 2, N - 8)].astype(int)
YOUNG, OLD = (X.assign(age=np.where(PERSON == 0, age, X["age"])) for age in (0.0, 100.0))


class Linear(torch.nn.Module):
    """Weights that start at zero, so that after one step of descent they are the noised sum itself."""

    private_parameters = ("*",)

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.head = torch.nn.Linear(n_features, n_outputs, bias=False)
        torch.nn.init.zeros_(self.head.weight)

    def forward(self, x):
        return self.head(x)


def released(table, sigma, groups="person", **more):
    model = FusionDPClassifier(
        {"age": Numeric(0, 100)},
        imputer=FoundationImputer(backend="domain"),
        module=Linear,
        optimizer=torch.optim.SGD,
        lr=1.0,
        ema_decay=0.0,
        noise_multiplier=sigma,
        max_grad_norm=0.01,
        steps=1,
        batch_size=N,
        public_batch_size=N,
        public_epochs=0,
        delta=DELTA,
        groups=groups,
        **more,
    ).fit(table, Y)
    weights = model.net_.module_.head.weight.detach().double().flatten().numpy()
    return weights * N / 0.01, model


def bound_below(sigma, **more):
    """Lower bound on epsilon, at 99 %, of telling the two tables apart by one threshold set in advance."""
    young, old = (np.mean([released(t, 0.02, **more)[0] for _ in range(3)], axis=0) for t in (YOUNG, OLD))
    direction = (old - young) / np.linalg.norm(old - young)
    apart = float((old - young) @ direction)
    threshold = float(old @ direction) + 0.3 * sigma
    hits, false = (
        sum(float(released(t, sigma, **more)[0] @ direction) > threshold for _ in range(TRIALS))
        for t in (OLD, YOUNG)
    )
    least = beta.ppf(0.005, hits, TRIALS - hits + 1)
    most = beta.ppf(0.995, false + 1, TRIALS - false)
    return math.log((least - DELTA) / most), apart


@pytest.mark.slow
def test_flipping_a_person_exceeds_the_rows_epsilon_and_not_the_units():
    sigma = 8.0
    model = released(OLD, sigma)[1]
    unit, row = model.epsilon_, model.ledger_.epsilon(DELTA, of="row")
    found, apart = bound_below(sigma)
    assert apart > 8  # more than any single row may move the sum: the audit uses all of the person's
    assert row < found <= unit, (row, found, unit)


@pytest.mark.slow
def test_with_one_row_a_person_the_same_audit_stays_below_the_rows_epsilon():
    sigma = 8.0
    model = released(OLD, sigma, max_rows_per_unit=1)[1]
    assert model.epsilon_ == model.ledger_.epsilon(DELTA, of="row")
    found, apart = bound_below(sigma, max_rows_per_unit=1)
    assert apart <= 2 * 1.001 and found <= model.epsilon_


def test_a_person_moves_the_sum_as_far_as_is_paid_for():
    """Without noise to speak of: more than a row could, and no more than 2 C for each of eight rows."""
    young, old = (np.mean([released(t, 0.02)[0] for _ in range(3)], axis=0) for t in (YOUNG, OLD))
    assert 8 < np.linalg.norm(old - young) <= 16 + 0.5
    young, old = (
        np.mean([released(t, 0.02, max_rows_per_unit=2)[0] for _ in range(3)], axis=0) for t in (YOUNG, OLD)
    )
    assert 2 < np.linalg.norm(old - young) <= 4 + 0.5
