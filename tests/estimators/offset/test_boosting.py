"""The default public model: a column of many categories is read by the mean label of each of them."""

import numpy as np
import pandas as pd
import pytest

from skfusiondp import FusionDPClassifier, Numeric, OffsetFusionClassifier, OffsetFusionRegressor
from skfusiondp.estimators.offset._boosting import boosted_model, fitted
from skfusiondp.persistence import load, save

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")
AGE = {"age": Numeric(0, 120)}


def made(n, k, seed):
    rng = np.random.default_rng(seed)
    effects = np.random.default_rng(99).normal(scale=1.5, size=k)
    code, number = rng.integers(k, size=n), rng.normal(size=n)
    table = pd.DataFrame(
        {"code": [f"c{c:03}" for c in code], "number": number, "age": rng.uniform(18, 90, n)}
    )
    return table, effects[code] + 0.5 * number


@pytest.mark.one_in(4)
@pytest.mark.parametrize("kind", [OffsetFusionClassifier, OffsetFusionRegressor, FusionDPClassifier])
def test_categories_are_told_apart_by_their_labels(kind, tmp_path):
    (table, logit), (test, truth) = made(2000, 200, 0), made(1000, 200, 1)
    rng = np.random.default_rng(2)
    numbers = kind is OffsetFusionRegressor
    y = logit + rng.normal(size=2000) if numbers else (logit + rng.logistic(size=2000) > 0).astype(int)
    model = kind(AGE, epsilon=1.0, random_state=0).fit(table, y)
    say = model.predict if numbers else model.decision_function
    assert np.corrcoef(say(test), truth)[0, 1] > 0.75
    save(model, tmp_path / "model.skf")
    loaded = load(tmp_path / "model.skf")
    assert np.array_equal(say(test), loaded.predict(test) if numbers else loaded.decision_function(test))


def test_a_row_does_not_see_its_own_label():
    """Categories of one row each say nothing, however the model is fitted."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=400)
    table = np.arange(400.0)[:, None]
    model = fitted(boosted_model("binary", 0, 1, 400, [0]), table, y, np.ones(400))
    assert np.ptp(model.predict_proba(table + 1000)[:, 1]) < 1e-9
    told = model.named_steps["columns"].fit_transform(table, y)[:, 1]
    assert abs(np.corrcoef(told, y)[0, 1]) < 0.3


@pytest.mark.parametrize(
    ("task", "target"),
    [
        ("binary", np.arange(200) % 2),
        ("multiclass", np.array(["a", "b", "c", "d"])[np.minimum(np.arange(200), 3)]),
        ("regression", np.arange(200.0)),
    ],
)
@pytest.mark.parametrize("even", [True, False])
@pytest.mark.filterwarnings("error")
def test_rare_classes_missing_cells_and_weights_are_no_trouble(task, target, even):
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.integers(50, size=200), rng.normal(size=200)]).astype(float)
    table[::9, 0] = np.nan
    weight = np.ones(200) if even else rng.uniform(0.5, 2, 200)
    outputs = 4 if task == "multiclass" else 1
    model = fitted(boosted_model(task, 0, outputs, 200, [0]), table, target, weight)
    assert len(model.predict(np.vstack([table, [[1e6, 0.0]]]))) == 201


def test_of_few_categories_rows_and_of_many_classes_it_is_boosting_alone():
    for outputs, rows, many in ((1, 200, []), (1, 50, [0]), (30, 200, [0])):
        assert not hasattr(boosted_model("multiclass", 0, outputs, rows, many), "steps")
