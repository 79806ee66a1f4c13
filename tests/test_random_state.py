"""One policy of ``random_state``: whole numbers, RandomState, Generator and None, alike everywhere."""

import inspect

import numpy as np
import pandas as pd
import pytest

import skfusiondp
from skfusiondp import (
    FoundationImputer,
    FusionDPRegressor,
    Numeric,
    OffsetFusionRegressor,
    audit,
    impute,
    model_selection,
    preprocessing,
)
from skfusiondp._random_state import RANDOM_STATE, random_generator, seed_of
from skfusiondp.datasets import SensitiveTable
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.model_selection import PrivateRandomSearchCV
from skfusiondp.preprocessing import PrivateStandardScaler

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")

N = 60
TABLE = pd.DataFrame({"lab": np.linspace(-1, 1, N), "age": np.linspace(20, 80, N)})
TARGET = np.linspace(0, 1, N)
AGE = {"age": Numeric(0, 100)}

KINDS = {
    "whole number": lambda seed: seed,
    "numpy's whole number": np.uint32,
    "RandomState": np.random.RandomState,
    "Generator": np.random.default_rng,
}
FITS = {
    "FusionDPRegressor": lambda: FusionDPRegressor(
        AGE, noise_multiplier=1.0, steps=1, public_epochs=0, module__hidden=(4,)
    ),
    "OffsetFusionRegressor": lambda: OffsetFusionRegressor(AGE, noise_multiplier=1.0, steps=2),
    "PrivateStandardScaler": lambda: PrivateStandardScaler(AGE, noise_multiplier=1.0),
    "FoundationImputer": lambda: FoundationImputer(AGE, backend="domain", strategy="sample"),
    "ConditionalBackend": lambda: FoundationImputer(
        AGE, support=TABLE[::2].assign(age=TABLE["age"][::2] + 3), backend="ensemble", on_leak="ignore"
    ),
    "PrivateRandomSearchCV": lambda: PrivateRandomSearchCV(
        FusionDPRegressor(AGE, steps=1, public_epochs=0, module__hidden=(4,)),
        {"max_grad_norm": [0.5, 1.0]},
        n_trials=1.5,
        epsilon=8.0,
    ),
}


def outcome(name, random_state):
    made = FITS[name]()
    if name == "ConditionalBackend":
        made.set_params(backend=impute.ConditionalBackend(5, random_state=random_state))
    else:
        made.set_params(random_state=random_state)
    fitted = made.fit(TABLE, TARGET)
    result = fitted.predict(TABLE) if hasattr(fitted, "predict") else fitted.transform(TABLE)
    return np.asarray(result, dtype=float)


@pytest.mark.one_in(8)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FITS)
@pytest.mark.filterwarnings("ignore::skfusiondp.WeakPrivacyWarning")
def test_fits_take_every_kind_and_repeat(name, kind):
    one, again, other = (outcome(name, KINDS[kind](seed)) for seed in (7, 7, 8))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other), "the seed is not used"


def everything_random():
    homes = (skfusiondp, impute, preprocessing, model_selection, audit)
    found = {name: getattr(home, name) for home in homes for name in home.__all__}
    found["SensitiveTable.split_support"] = SensitiveTable.split_support
    makers = {n: f if inspect.isfunction(f) else getattr(f, "__init__", None) for n, f in found.items()}
    takes = {
        n for n, f in makers.items() if inspect.isfunction(f) and "random_state" in str(inspect.signature(f))
    }
    return {n: f for n, f in found.items() if n in takes}


@pytest.mark.parametrize("name", everything_random())
def test_everything_says_and_checks_the_same(name):
    found = everything_random()[name]
    assert "random_state : int, RandomState or Generator, default=" in found.__doc__
    if hasattr(found, "_constraints"):
        assert found._constraints["random_state"] is RANDOM_STATE


@pytest.mark.parametrize("wrong", [-1, 2**32, 1.5, "7", True, np.array([7]), np.random.SeedSequence(7)])
def test_what_is_none_of_them_is_refused(wrong):
    for use in (random_generator, seed_of):
        with pytest.raises(
            InvalidInputError, match=r"(?s)^random_state=.* must be None, a whole number from 0"
        ):
            use(wrong)


def test_a_generators_stream_moves_on():
    for generator in (np.random.default_rng(0), np.random.RandomState(0)):
        assert seed_of(generator) != seed_of(generator)


def test_other_libraries_get_whole_numbers():
    assert seed_of(None) is None and seed_of(5) == 5
    assert isinstance(seed_of(np.random.RandomState(0)), int)


def test_without_a_seed_the_users_stream_stays():
    assert random_generator(None) is not np.random.mtrand._rand
