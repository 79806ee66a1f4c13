"""Coins of canaries, guessed from the sums that a synthesizer releases."""

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Categorical, Numeric, PrivateSynthesizer, SynthesizedClassifier
from skfusiondp.audit import audit_attribute
from skfusiondp.estimators.joint._releases import JointReleases
from skfusiondp.exceptions import InvalidInputError

pytestmark = pytest.mark.filterwarnings("ignore")

rng = np.random.default_rng(0)
N = 500
X = pd.DataFrame({"lab": rng.normal(size=N), "ward": rng.choice(["a", "b", "c"], N)})
# As many coins can be read as public columns tell their rows apart.
X[[f"lab {i}" for i in range(50)]] = rng.normal(size=(N, 50))
X["age"] = np.clip(50 + 10 * X.lab + 10 * rng.normal(size=N), 0, 120).round()
X["sex"] = rng.choice(["f", "m"], N)
Y = (X.age + 10 * rng.normal(size=N) > 50).astype(int).to_numpy()
DOMAINS = {"age": Numeric(0, 120, step=1), "sex": Categorical(["f", "m"])}


def audit(epsilon, model=PrivateSynthesizer, n_canaries=40, seed=0, **parameters):
    model = model(DOMAINS, epsilon=epsilon, delta=1e-5, random_state=seed, **parameters)
    return audit_attribute(model, X, Y, n_canaries=n_canaries, random_state=seed)


@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
def test_a_sound_release_keeps_its_claim(adjacency):
    found = audit(2.0, adjacency=adjacency)
    assert found.score == "white-box" and found.hops == (1 if adjacency == "replace" else 2)
    assert found.claim <= 2.0 and found.consistent


def test_the_attack_reads_coins_where_epsilon_allows_it():
    found = audit(300.0, n_canaries=30)
    assert found.correct > 26 and found.epsilon_lower > 1 and found.consistent
    assert "saw all noised sums" in found.attack and "gradients" not in found.attack
    assert audit(300.0, n_canaries=30, model=SynthesizedClassifier, n_draws=1).epsilon_lower > 1


def test_sums_with_a_fraction_of_their_noise_are_caught(monkeypatch):
    """Sums with public features, that is: those of pairs are alike for all rows whose cells are."""
    marginal = JointReleases.marginal

    def quieter(self, *args):
        noised = self._noised
        self._noised = lambda total, unit, *rest: (total * unit, noised(total, unit, *rest)[1] / 1000)
        try:
            return marginal(self, *args)
        finally:
            del self._noised

    monkeypatch.setattr(JointReleases, "marginal", quieter)
    found = audit(1.0)
    assert not found.consistent and found.correct == found.guesses


KINDS = {
    "array": lambda X: X.to_numpy(),
    "list": lambda X: X.to_numpy().tolist(),
    "numbered frame": lambda X: X.set_axis(range(X.shape[1]), axis=1),
    "polars": lambda X: pytest.importorskip("polars").DataFrame(X.to_dict("list")),
    "arrow": lambda X: pytest.importorskip("pyarrow").Table.from_pandas(X),
}


@pytest.mark.slow
@pytest.mark.parametrize("score", ["white-box", "black-box"])
@pytest.mark.parametrize("kind", KINDS)
def test_tables_of_any_kind_are_audited_as_frames_are(kind, score):
    numbers = X[["lab", "lab 0", "age"]]
    table, place = KINDS[kind](numbers), "age" if kind in ("polars", "arrow") else 2

    def audited(table, place):
        model = SynthesizedClassifier({place: DOMAINS["age"]}, epsilon=1.0, random_state=0)
        return audit_attribute(model, table, Y, score=score, n_canaries=20, random_state=0)

    found, reference = audited(table, place), audited(numbers, "age")
    assert (found.correct, found.guesses, found.claim) == (
        reference.correct, reference.guesses, reference.claim,
    )  # fmt: skip


def test_a_synthesizer_without_labels_is_audited_and_models_need_theirs():
    model = PrivateSynthesizer(DOMAINS, epsilon=300.0, delta=1e-5, random_state=0)
    found = audit_attribute(model, X, n_canaries=30, random_state=0)
    assert found.epsilon_lower > 1 and found.consistent
    with pytest.raises(InvalidInputError, match="y=None: SynthesizedClassifier learns labels"):
        audit_attribute(SynthesizedClassifier(DOMAINS), X)
    with pytest.raises(InvalidInputError, match="y='income' must be array-like"):
        audit_attribute(model, X, "income")


def test_groups_are_refused():
    model = PrivateSynthesizer(DOMAINS, groups="ward", max_rows_per_unit=300)
    with pytest.raises(InvalidInputError, match="without groups"):
        audit_attribute(model, X, Y, random_state=0)


def test_the_model_that_was_audited_is_a_plain_one():
    from skfusiondp.audit._canaries import Canaries
    from skfusiondp.audit._released_sums import released_scores

    model = PrivateSynthesizer(DOMAINS, epsilon=1.0, random_state=0)
    before = vars(model).copy()
    fitted, _ = released_scores(
        model,
        X,
        model.fit(X, Y).schema_,
        Y,
        Canaries.throw(N, 5, ("age",), np.random.RandomState(0)),
        lambda table: table,
    )
    assert "_releases" not in vars(fitted) and vars(model).keys() >= before.keys()
