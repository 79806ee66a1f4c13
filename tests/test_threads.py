"""Fits in threads give what they give alone: nothing of the library's touches a global random stream."""

import random
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from torch import nn

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    Numeric,
    OffsetFusionClassifier,
)
from skfusiondp.preprocessing import PrivateCategories, PrivateQuantileTransformer

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")

N = 120
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {"lab": RNG.normal(size=N), "age": RNG.uniform(20, 80, N), "sex": RNG.choice(["f", "m"], N)}
)
TARGET = np.arange(N) % 2
SENSITIVE = {"age": Numeric(18, 90), "sex": Categorical(["f", "m"])}


class OfTheUser(nn.Module):
    """Draws its weights in every way that the library's own modules do not."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.body, self.drop, self.head = nn.Linear(n_features, 6), nn.Dropout(0.4), nn.Linear(6, n_outputs)
        nn.init.orthogonal_(self.body.weight)
        self.scale = nn.Parameter(torch.rand(6) + torch.randperm(6) / 6)

    def forward(self, x):
        return self.head(self.drop(torch.tanh(self.body(x) * self.scale)))


def fusion(**given):
    defaults = {"noise_multiplier": 1.0, "steps": 4, "public_epochs": 2, "random_state": 0}
    return FusionDPClassifier(SENSITIVE, **{**defaults, **given})


FITS = {
    "fusion": lambda seed: fusion(random_state=seed),
    "fusion, all private": lambda seed: fusion(random_state=seed, private_parameters=["*"]),
    "fusion, a module of the user's": lambda seed: fusion(random_state=seed, module=OfTheUser),
    "offset": lambda seed: OffsetFusionClassifier(SENSITIVE, noise_multiplier=5.0, random_state=seed),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::skfusiondp.WeakPrivacyWarning")
@pytest.mark.parametrize("name", FITS)
def test_fits_in_threads_are_those_alone(name):
    def probabilities(seed):
        return FITS[name](seed).fit(TABLE, TARGET).predict_proba(TABLE)

    alone = [probabilities(seed) for seed in range(4)]
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(probabilities, range(4)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_search_on_threads_scores_as_one_without():
    search = GridSearchCV(fusion(), {"max_grad_norm": [0.1, 1.0]}, cv=2, n_jobs=2)
    with joblib.parallel_config(backend="threading"):
        together = search.fit(TABLE, TARGET).cv_results_["mean_test_score"]
    alone = search.set_params(n_jobs=1).fit(TABLE, TARGET).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(together, alone)


def test_threads_of_the_users_own_draw_what_they_would_draw():
    """A fit neither seeds nor puts back the stream that another thread is drawing from."""
    torch.manual_seed(3)
    wanted = torch.rand(40)
    torch.manual_seed(3)
    with ThreadPoolExecutor(1) as threads:
        fit = threads.submit(lambda: fusion(module=OfTheUser).fit(TABLE, TARGET))
        drawn = []
        while len(drawn) < 40:
            drawn.append(torch.rand(1))
        fit.result()
    assert torch.equal(torch.cat(drawn), wanted)


EVERYTHING = {
    **{
        name: lambda make=make: make(0).fit(TABLE, TARGET).predict_proba(TABLE) for name, make in FITS.items()
    },
    "fusion, secret": lambda: fusion(random_state=None).fit(TABLE, TARGET).predict(TABLE),
    "dp-sgd": lambda: fusion(method="dp-sgd", adjacency="add-remove").fit(TABLE, TARGET),
    "imputer": lambda: FoundationImputer(SENSITIVE, support=TABLE[::2], on_leak="ignore").fit_transform(
        TABLE
    ),
    "quantiles": lambda: PrivateQuantileTransformer(SENSITIVE, epsilon=1.0).fit_transform(TABLE),
    "categories": lambda: PrivateCategories(SENSITIVE, epsilon=1.0).fit_transform(TABLE),
}
# What seeds, reads, puts back or draws from a generator that the whole process shares.
GLOBAL = [
    *((torch, n) for n in ("manual_seed", "seed", "get_rng_state", "set_rng_state", "initial_seed")),
    *((torch.random, n) for n in ("manual_seed", "get_rng_state", "set_rng_state", "fork_rng")),
    *((np.random, n) for n in ("seed", "get_state", "set_state", "rand", "randn", "random", "normal")),
    *((np.random, n) for n in ("uniform", "randint", "choice", "shuffle", "permutation")),
    *((random, n) for n in ("seed", "getstate", "setstate", "random", "randint", "choice", "shuffle")),
]


@pytest.mark.filterwarnings("ignore::skfusiondp.WeakPrivacyWarning")
@pytest.mark.parametrize("name", EVERYTHING)
def test_no_global_generator_is_touched(name, monkeypatch):
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    with monkeypatch.context() as patch:
        for home, function in GLOBAL:

            def forbidden(*args, function=function, **kwargs):
                raise AssertionError(f"{function} of a global generator is called")

            patch.setattr(home, function, forbidden)
        EVERYTHING[name]()
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert before[2] == random.getstate()
