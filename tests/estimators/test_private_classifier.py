"""Weights of classes and rows that would make NaN models, or models of nothing, are refused unpaid."""

import numpy as np
import pandas as pd
import pytest

from skfusiondp import FusionDPClassifier, Numeric, OffsetFusionClassifier, PrivacyBudget
from skfusiondp.exceptions import InvalidInputError

pytestmark = pytest.mark.filterwarnings(
    "ignore:No support rows:UserWarning", "ignore::skfusiondp.WeakPrivacyWarning"
)

N, DELTA = 60, 1e-4
TABLE = pd.DataFrame({"lab": np.linspace(-1, 1, N), "age": np.linspace(20, 80, N)})
TARGET = np.arange(N) % 2
AGE = {"age": Numeric(0, 100)}
MODELS = {
    "fusion": lambda **given: FusionDPClassifier(
        AGE, noise_multiplier=1.0, steps=2, public_epochs=1, module__hidden=(4,), random_state=0, **given
    ),
    "offset": lambda **given: OffsetFusionClassifier(AGE, noise_multiplier=2.0, random_state=0, **given),
}


def assert_refused(kind, match, sample_weight=None, **given):
    budget = PrivacyBudget(50.0, DELTA)
    model = MODELS[kind](budget=budget, delta=DELTA, **given)
    with pytest.raises(InvalidInputError, match=match):
        model.fit(TABLE, TARGET, sample_weight=sample_weight)
    assert not len(budget.ledger) and not hasattr(model, "ledger_")


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    "weight", [np.nan, np.inf, -np.inf, 1e300, 2e9, -1, None, "much", 1j, [1, 2], np.float64(np.nan)]
)
def test_a_class_weight_that_is_no_weight(kind, weight):
    assert_refused(kind, r"^class_weight=\{0: .*", class_weight={0: weight, 1: 1})


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("weight", [0, 1e-300])
def test_class_weights_that_are_all_nothing(kind, weight):
    assert_refused(kind, r"^class_weight=.*or all of them 0", class_weight={0: weight, 1: weight})


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("weight", [np.nan, np.inf, -1.0])
def test_a_row_weight_that_is_no_weight(kind, weight):
    assert_refused(kind, "^sample_weight", np.where(np.arange(N) == 3, weight, 1.0))


@pytest.mark.parametrize("kind", MODELS)
def test_row_weights_that_are_all_nothing(kind):
    assert_refused(kind, "^sample_weight", np.zeros(N))


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("scale", [1e308, 1e-300])
def test_only_ratios_of_row_weights_count(kind, scale):
    weight = np.where(np.arange(N) % 3, 1.0, 0.5)
    one = MODELS[kind]().fit(TABLE, TARGET, sample_weight=weight)
    other = MODELS[kind]().fit(TABLE, TARGET, sample_weight=weight * scale)
    np.testing.assert_allclose(other.predict_proba(TABLE), one.predict_proba(TABLE), atol=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_large_weights_give_numbers(kind):
    model = MODELS[kind](class_weight={0: 1e9, 1: 1e-9}).fit(TABLE, TARGET)
    assert np.isfinite(model.predict_proba(TABLE)).all()
