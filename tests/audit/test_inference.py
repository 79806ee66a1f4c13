"""Attribute inference counts only what the model adds to what can be guessed without it."""

import json

import numpy as np
import pandas as pd
import pytest

from skfusiondp import (
    Categorical,
    FusionDPClassifier,
    Numeric,
    PrivateSynthesizer,
    SynthesizedClassifier,
)
from skfusiondp.audit import attribute_inference
from skfusiondp.exceptions import InvalidInputError

DOMAINS = {"s": Categorical(["a", "b"])}


@pytest.fixture(scope="module")
def rows():
    """A secret that nothing else predicts, but that decides the label together with a public cell."""
    rng = np.random.default_rng(0)
    s, p = rng.integers(2, size=600), rng.integers(2, size=600)
    noise = rng.normal(size=(600, 3))
    table = pd.DataFrame({"s": np.array(["a", "b"])[s], "p": p, **{f"n{i}": noise[:, i] for i in range(3)}})
    return table, s, p


class Oracle:
    """Stands for a model that has learnt the labels by heart, in the estimators' own clothes."""

    classes_ = np.array([0, 1])
    epsilon_, delta_, ledger_ = np.inf, 1e-5, ()
    _estimator_type = "classifier"

    def __init__(self, table, y):
        self.known = {tuple(row): label for row, label in zip(table.to_numpy().tolist(), y, strict=True)}
        model = FusionDPClassifier(DOMAINS, method="non-private", epochs=1, random_state=0)
        self.schema_ = model.fit(table, y).schema_

    def predict_proba(self, X):
        sure = [self.known.get(tuple(row)) for row in X.to_numpy().tolist()]
        return np.array([[0.5, 0.5] if v is None else [0.95 - 0.9 * v, 0.05 + 0.9 * v] for v in sure])

    def __sklearn_tags__(self):
        return FusionDPClassifier().__sklearn_tags__()


def test_a_model_that_knows_its_rows_by_heart_gives_the_secret_away(rows):
    table, _, p = rows
    found = attribute_inference(Oracle(table, p), table, p)
    assert found.advantage > 0.3 and found.attack > 0.8
    assert found.advantage > 10 * found.standard_error


@pytest.mark.slow
def test_a_private_model_adds_next_to_nothing(rows):
    table, s, p = rows
    model = FusionDPClassifier(DOMAINS, method="feature-dp", epsilon=0.5, epochs=2, random_state=0)
    found = attribute_inference(model.fit(table, s ^ p), table, s ^ p, column="s")
    # The label with the public cell tells the secret; whoever knows both needs no model.
    assert found.baseline > 0.7 and abs(found.advantage) < 0.05
    assert json.loads(found.to_json())["n_rows"] == 600 and "without the model" in str(found)


@pytest.mark.slow
def test_numbers_are_guessed_by_quarters_and_missing_cells_are_left_out(rows):
    table, _, p = rows
    table = table.assign(n0=table["n0"].where(np.arange(600) >= 50))
    model = FusionDPClassifier({"n0": Numeric(-3, 3)}, method="feature-dp", epochs=1, random_state=0)
    found = attribute_inference(model.fit(table, p), table, p)
    assert found.column == "n0" and found.n_rows == 550


def test_what_cannot_be_attacked_is_refused(rows):
    table, _, p = rows
    with pytest.raises(InvalidInputError, match="fitted"):
        attribute_inference(FusionDPClassifier(DOMAINS), table, p)
    model = FusionDPClassifier(DOMAINS, method="feature-dp", epochs=1, random_state=0).fit(table, p)
    with pytest.raises(InvalidInputError, match="column='p'"):
        attribute_inference(model, table, p, column="p")


def test_a_synthesizer_predicts_nothing_and_is_refused(rows):
    table, _, p = rows
    fitted = PrivateSynthesizer(DOMAINS, epsilon=1.0, random_state=0).fit(table, p)
    with pytest.raises(InvalidInputError, match="attribute_inference asks"):
        attribute_inference(fitted, table, p)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [lambda X: X.tolist(), pd.DataFrame, lambda X: pd.DataFrame(X, columns=["a", "b", "c"])]
)
def test_the_model_is_asked_about_tables_of_the_kind_that_was_given(kind, recwarn):
    X = np.random.default_rng(0).normal(size=(100, 3))
    y, table = X[:, 0] > 0, kind(X)
    place = "c" if "a" in getattr(table, "columns", ()) else 2
    model = SynthesizedClassifier({place: Numeric(-4, 4)}, epsilon=1.0, random_state=0).fit(table, y)
    found = attribute_inference(model, table, y)
    reference = SynthesizedClassifier({2: Numeric(-4, 4)}, epsilon=1.0, random_state=0).fit(X, y)
    assert (found.baseline, found.attack) == (
        attribute_inference(reference, X, y).baseline,
        attribute_inference(reference, X, y).attack,
    )
    assert not [w for w in recwarn if "feature names" in str(w.message)]
