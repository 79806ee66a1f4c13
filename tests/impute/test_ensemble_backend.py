"""The averaged imputer: what its members say of rows that they have not seen, its weights, its numbers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from skfusiondp import Categorical, FoundationImputer, Numeric
from skfusiondp.impute import ConditionalBackend, EnsembleBackend
from skfusiondp.impute import _ensemble_backend as ensemble
from skfusiondp.impute._conditional_backend import TreesHead
from skfusiondp.impute._ensemble_backend import EnsembleHead, closest_weights, likeliest_weights, tilted
from skfusiondp.impute._linear_head import LinearHead
from skfusiondp.impute.pretrained._head import PretrainedHead
from skfusiondp.persistence import load, save

WHOLE_MODELS = True
AGE, SEX = Numeric(0, 100), Categorical(["f", "m", "x"])


def made(n, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4))
    age = np.clip(50 + 12 * features[:, 0] + 6 * features[:, 1] ** 2 + 6 * rng.normal(size=n), 0, 100)
    sex = (features[:, 2] + rng.normal(size=n) > 0).astype(np.int64)
    return features, age.round(), sex


@pytest.mark.parametrize(
    "make",
    [
        LinearHead,
        PretrainedHead,
        lambda domain: TreesHead(domain, 60, None, 0, leaves_out=True),
    ],
    ids=["linear", "process", "trees"],
)
def test_a_row_does_not_see_itself(make):
    """Noise is learnt by heart from the row itself alone."""
    rng = np.random.default_rng(0)
    features, age = rng.normal(size=(120, 3)), rng.uniform(0, 100, 120)
    sex = rng.integers(2, size=120)
    assert ((make(AGE).fit(features, age).left_out_ - age) ** 2).mean() > 0.9 * age.var()
    left_out = make(SEX).fit(features, sex).left_out_
    assert left_out.shape == (120, 3) and np.allclose(left_out.sum(axis=1), 1)
    assert ((left_out[:, 1] - sex) ** 2).mean() > 0.9 * sex.var()


def test_trees_that_have_seen_every_row_say_what_is_usual():
    features, age, _ = made(30)
    head = TreesHead(AGE, 1, None, 0, leaves_out=True).fit(features, age)
    assert np.isfinite(head.left_out_).all()
    assert not any(name.startswith("oob_p") for name in vars(head.models_[0]))


def test_weights_of_a_mixture_are_the_likeliest():
    rng = np.random.default_rng(1)
    chances = rng.uniform(0.05, 1, size=(500, 3)) * [0.6, 1.0, 0.8]
    prior = np.array([0.5, 0.3, 0.2])
    found = likeliest_weights(chances, prior)

    def loss(w):
        return -np.log(chances @ w).sum() - ensemble._ROWS_OF_PRIOR * prior @ np.log(w)

    best = minimize(
        loss,
        np.full(3, 1 / 3),
        bounds=[(1e-6, 1)] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
    ).x
    np.testing.assert_allclose(found, best, atol=5e-3)
    assert np.allclose(likeliest_weights(chances[:0], prior), prior)


def test_weights_of_means_are_the_closest():
    rng = np.random.default_rng(2)
    target = rng.normal(size=400) * 20
    predictions = target[:, None] + rng.normal(size=(400, 3)) * [30.0, 12.0, 20.0]
    prior = np.array([0.5, 0.3, 0.2])
    found = closest_weights(predictions, target, prior)
    errors = (predictions - target[:, None]) / target.std()

    def loss(w):
        return ((errors @ w) ** 2).sum() + ensemble._ROWS_OF_PRIOR * errors.var() * ((w - prior) ** 2).sum()

    best = minimize(
        loss, np.full(3, 1 / 3), bounds=[(0, 1)] * 3, constraints={"type": "eq", "fun": lambda w: w.sum() - 1}
    ).x
    np.testing.assert_allclose(found, best, atol=1e-3)
    # Those of the prior where all are right, and nearly where few rows have been seen.
    assert np.allclose(closest_weights(np.tile(target[:, None], (1, 3)), target, prior), prior)
    assert np.abs(closest_weights(predictions[:2], target[:2], prior) - prior).max() < 0.2


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12, unique=True).map(sorted),
    st.floats(0.01, 0.99),
    st.integers(0, 2**31),
)
def test_a_tilted_distribution_has_the_mean_and_no_other_values(atoms, place, seed):
    atoms = np.array(atoms)
    if np.ptp(atoms) < 1e-6 * max(1.0, np.abs(atoms).max()):
        return
    weights = np.random.default_rng(seed).uniform(size=(3, len(atoms)))
    # Means near an end need a distribution that is nearly one value.
    mean = atoms[0] + np.array([place, 0.5, 1 - place]) * np.ptp(atoms)
    p = tilted(atoms, weights, mean)
    assert np.allclose(p.sum(axis=1), 1) and (p >= 0).all()
    assert np.abs(p @ atoms - mean).max() < 0.02 * np.ptp(atoms)


def test_it_is_better_than_its_members_and_draws_are_its_atoms():
    features, age, sex = made(150)
    test, age_test, sex_test = made(2000, 1)
    errors, losses = {}, {}
    for name, head in {
        "all": lambda d: EnsembleHead(d, 60, None, 0),
        "trees": lambda d: TreesHead(d, 60, None, 0),
        "linear": LinearHead,
        "process": PretrainedHead,
    }.items():
        errors[name] = np.mean((head(AGE).fit(features, age).predict(test).mean - age_test) ** 2)
        p = head(SEX).fit(features, sex).predict(test).probabilities
        losses[name] = -np.log(p[np.arange(len(p)), sex_test] / p.sum(axis=1)).mean()
    assert errors["all"] < min(errors["trees"], errors["linear"])
    assert losses["all"] < min(losses["trees"], losses["linear"], losses["process"]) + 0.005
    guess = EnsembleHead(AGE, 60, None, 0).fit(features, age).predict(test)
    drawn = guess.sample(np.random.default_rng(0).random(len(test)))
    assert set(drawn) <= set(guess.atoms)
    inside = (guess.sample(np.full(len(test), 0.1)) <= age_test) & (
        age_test <= guess.sample(np.full(len(test), 0.9))
    )
    assert 0.7 < inside.mean() < 0.95


@pytest.mark.one_in(4)
@pytest.mark.parametrize("n", [12, 60, 600])
@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_supports_of_every_size_rare_classes_gaps_and_texts(n, tmp_path):
    features, age, sex = made(n)
    support = pd.DataFrame({"a": features[:, 0], "b": features[:, 2], "word": np.where(sex, "yes", "no")})
    support.loc[::3, "a"] = np.nan
    support["age"], support["sex"] = age, np.array(["f", "m"])[sex]
    support.loc[0, "sex"] = "x"
    support.loc[1, "age"] = np.nan
    table = support.drop(columns=["age", "sex"]).assign(age=0.0, sex="f")
    imputer = FoundationImputer(
        {"age": AGE, "sex": SEX}, support=support, backend="ensemble", on_leak="ignore", random_state=0
    )
    imputed = imputer.fit_transform(table)
    assert imputed["age"].between(0, 100).all() and imputed["sex"].isin(["f", "m", "x"]).all()
    assert np.corrcoef(imputed["sex"] == "m", sex)[0, 1] > 0.4 or n < 20
    kept = EnsembleBackend(random_state=0).fit(
        support[["a", "b", "word"]], support[["age", "sex"]], {"age": AGE}
    )
    assert len(kept.heads_["age"].members_) == 3
    imputer.set_params(support=None)
    save(imputer, tmp_path / "imputer.skf")
    pd.testing.assert_frame_equal(load(tmp_path / "imputer.skf").transform(table), imputed)


def test_it_guesses_better_than_trees_from_few_rows():
    gaps = {"ensemble": [], "trees": []}
    for seed in range(3):
        features, age, _ = made(64, seed)
        test, age_test, _ = made(2000, seed + 10)
        frame = pd.DataFrame(features, columns=list("abcd"))
        for name, backend in (("ensemble", EnsembleBackend), ("trees", ConditionalBackend)):
            fitted = backend(random_state=0).fit(frame, pd.DataFrame({"age": age}), {"age": AGE})
            guess = fitted.predict(pd.DataFrame(test, columns=list("abcd")))["age"]
            gaps[name].append(np.mean((guess.mean - age_test) ** 2))
    assert np.mean(gaps["ensemble"]) < 0.95 * np.mean(gaps["trees"])


@pytest.mark.parametrize("n", [30, 300])
def test_a_row_is_guessed_alike_in_any_batch(n):
    """To the last bit: draws, likeliest categories and rounded numbers would flip."""
    features, age, sex = made(n)
    support = pd.DataFrame(features, columns=list("abcd")).assign(age=age, sex=np.array(["f", "m"])[sex])
    backend = EnsembleBackend(random_state=0)
    backend.fit(support[list("abcd")], support[["age", "sex"]], {"age": AGE, "sex": SEX})
    asked = pd.DataFrame(made(700, 1)[0], columns=list("abcd"))
    whole = backend.predict(asked)
    for size in (1, 2, 7, 513):
        some = backend.predict(asked[:size])
        assert np.array_equal(some["age"].mean, whole["age"].mean[:size])
        assert np.array_equal(some["age"].probabilities, whole["age"].probabilities[:size])
        assert np.array_equal(some["sex"].probabilities, whole["sex"].probabilities[:size])


@pytest.mark.one_in(6)
@pytest.mark.parametrize("backend", ["ensemble", "conditional"])
@pytest.mark.parametrize("public", [["a"] * 60, ["a"] * 59 + ["b"], [None] * 60], ids=["one", "rare", "none"])
def test_public_columns_that_do_not_vary_say_what_is_usual(backend, public):
    rng = np.random.default_rng(0)
    support = pd.DataFrame({"ward": public, "age": rng.uniform(20, 80, 60)})
    support["sex"] = np.where(rng.random(60) < 0.5, "f", "m")
    support.loc[59, "age"] = np.nan
    domains = {"age": AGE, "sex": Categorical(["f", "m"])}
    imputer = FoundationImputer(domains, support=support, backend=backend, strategy="sample", random_state=0)
    table = pd.DataFrame({"ward": ["a", "b"], "age": [1.0, 2.0], "sex": "f"})
    assert imputer.fit_transform(table)["age"].between(20, 80).all()
    mean = imputer.set_params(strategy="mean").transform(table)["age"]
    assert mean[0] == pytest.approx(support["age"].mean(), abs=3)
    assert not imputer.quality().columns["guessed"].any()


@pytest.mark.parametrize("size", [1e-300, 1e-9, 1e9, 1e160, 1e302])
def test_numbers_of_any_size(size):
    features, age, _ = made(120)
    support = pd.DataFrame(features, columns=list("abcd")).assign(age=age * size)
    imputer = FoundationImputer({"age": Numeric(0, 100 * size)}, support=support, random_state=0)
    found = imputer.fit_transform(support)["age"] / size
    plain = FoundationImputer({"age": AGE}, support=support.assign(age=age), random_state=0)
    np.testing.assert_allclose(found, plain.fit_transform(support)["age"], rtol=1e-3)


def test_categories_that_read_alike_are_told_apart_in_a_chain():
    rng = np.random.default_rng(0)
    one = rng.random(400) < 0.5
    support = pd.DataFrame(
        {"lab": rng.normal(size=400), "kind": pd.Series(np.where(one, 0, 1), dtype=object)}
    )
    support["kind"] = support["kind"].map({0: 1, 1: "1"}).astype(object)
    support["age"] = np.where(one, 10.0, 90.0) + rng.normal(size=400)
    domains = {"kind": Categorical([1, "1"]), "age": AGE}
    imputer = FoundationImputer(domains, support=support, strategy="sample", random_state=0)
    drawn = imputer.fit_transform(support)
    number = drawn["kind"].map(lambda v: isinstance(v, int))
    assert drawn["age"][number].mean() < 20 and drawn["age"][~number].mean() > 80
