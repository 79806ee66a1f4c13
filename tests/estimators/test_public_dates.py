"""What a public date tells is learnt by every estimator: weekends, hours, seasons and trends."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from skfusiondp import FoundationImputer, FusionDPClassifier, Numeric, OffsetFusionClassifier

WHOLE_MODELS = True

N, TRAIN = 2000, 1500
rng = np.random.default_rng(0)
WHEN = pd.Series(pd.Timestamp("2021-03-01") + pd.to_timedelta(rng.integers(0, 1000 * 86_400, N), unit="s"))
AGE = {"age": Numeric(18, 90)}
X = pd.DataFrame({"when": WHEN, "age": rng.uniform(18, 90, N)})
TARGETS = {
    "weekend": WHEN.dt.day_of_week >= 5,
    "office hours": (WHEN.dt.hour >= 9) & (WHEN.dt.hour < 17),
    "night": (WHEN.dt.hour >= 20) | (WHEN.dt.hour < 6),
    "summer": WHEN.dt.month.isin([6, 7, 8]),
    "winter": WHEN.dt.month.isin([12, 1, 2]),
    "trend": pd.Timestamp("2022-08-01") < WHEN,
}
MODELS = {
    "fusion": lambda: FusionDPClassifier(AGE, epsilon=2.0, random_state=0),
    "offset": lambda: OffsetFusionClassifier(AGE, epsilon=2.0, random_state=0),
}
# As texts, so that the imputer also learns from one type and guesses from another.
TEXTS = WHEN.dt.strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("target", TARGETS)
def test_estimators_learn_it(target, name):
    y = TARGETS[target].to_numpy().astype(int)
    model = MODELS[name]().fit(X[:TRAIN], y[:TRAIN])
    assert model.score(X[TRAIN:], y[TRAIN:]) > 0.96
    assert model.score(X.assign(when=TEXTS)[TRAIN:], y[TRAIN:]) > 0.96


@pytest.mark.one_in(12)
@pytest.mark.parametrize("backend", ["ensemble", "linear"])
@pytest.mark.parametrize("target", TARGETS)
def test_imputers_learn_it(target, backend):
    y = TARGETS[target].to_numpy()
    support = pd.DataFrame({"when": TEXTS, "age": np.where(y, 70.0, 30.0)})
    made = Ridge() if backend == "linear" else backend
    imputer = FoundationImputer(AGE, support=support[:TRAIN], backend=made, random_state=0)
    guess = imputer.fit(X[TRAIN:]).transform(X[TRAIN:])["age"]
    # A line through a circle's points cuts arcs other than halves unevenly.
    assert np.mean((guess > 50) == y[TRAIN:]) > (0.9 if backend == "linear" else 0.99)
