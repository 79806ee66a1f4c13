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
    found = likeliest_weights(chances)

    def loss(w):
        return -np.log(chances @ w).sum() - ensemble._EQUAL / 3 * np.log(w).sum()

    best = minimize(
        loss,
        np.full(3, 1 / 3),
        bounds=[(1e-6, 1)] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
    ).x
    np.testing.assert_allclose(found, best, atol=5e-3)
    assert np.allclose(likeliest_weights(chances[:0]), 1 / 3)


def test_weights_of_means_are_the_closest():
    rng = np.random.default_rng(2)
    target = rng.normal(size=400) * 20
    predictions = target[:, None] + rng.normal(size=(400, 3)) * [30.0, 12.0, 20.0]
    found = closest_weights(predictions, target)
    errors = (predictions - target[:, None]) / target.std()

    def loss(w):
        return ((errors @ w) ** 2).sum() + ensemble._EQUAL * errors.var() * ((w - 1 / 3) ** 2).sum()

    best = minimize(
        loss, np.full(3, 1 / 3), bounds=[(0, 1)] * 3, constraints={"type": "eq", "fun": lambda w: w.sum() - 1}
    ).x
    np.testing.assert_allclose(found, best, atol=1e-3)
    # Equal ones where all are right, and where one row alone has been seen.
    assert np.allclose(closest_weights(np.tile(target[:, None], (1, 3)), target), 1 / 3)
    assert np.abs(closest_weights(predictions[:2], target[:2]) - 1 / 3).max() < 0.2


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


def test_it_is_better_than_its_members_and_gives_values_that_support_rows_have():
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
