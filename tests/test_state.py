"""What outlives a fit: nothing in what it was given, and no trace of a row in what it releases."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from skfusiondp import Categorical, FusionDPClassifier, Numeric
from skfusiondp.nets import MLP
from skfusiondp.preprocessing import TableEncoder

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")

N = 120
rng = np.random.default_rng(0)
X = pd.DataFrame({"lab": rng.normal(size=N), "age": rng.uniform(10, 80, N), "sex": rng.choice(["f", "m"], N)})
y = (X["sex"] == "f").to_numpy().astype(int)
OTHER = X.assign(age=99.0, sex="m")
DOMAINS = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}


def made(**parameters):
    settings = {"steps": 4, "public_epochs": 1, "noise_multiplier": 5.0, "random_state": 0}
    return FusionDPClassifier(DOMAINS, **{**settings, **parameters})


# Of the features that a module of one's own gets.
WIDTH = TableEncoder(DOMAINS).fit(X).sensitive_features_.size


class Counts(Callback):
    def __init__(self):
        self.seen = []

    def on_batch_end(self, net, **kwargs):
        self.seen.append(1)


class Scaled(nn.Module):
    """A module with an argument that it changes."""

    def __init__(self, n_features, n_outputs, scale=None):
        super().__init__()
        self.scale, self.head = scale, nn.Linear(n_features, n_outputs)

    def forward(self, x):
        self.scale.mul_(1.1)
        return self.head(x) * self.scale.detach().clone()


@pytest.mark.parametrize("method", ["fusiondp", "feature-dp", "hybrid", "non-private", "dp-sgd"])
def test_a_module_object_is_copied_and_never_trained(method):
    module = MLP(WIDTH, 1, hidden=(8,))
    before = pickle.dumps(module.state_dict())
    model = made(module=module, method=method).fit(X, y)
    assert pickle.dumps(module.state_dict()) == before and model.module is module
    trained = model.net_.module_.state_dict()
    assert any(not torch.equal(v, module.state_dict()[n]) for n, v in trained.items())
    # So no fit begins where another one ended, nor does a clone's.
    weights = clone(model).module.state_dict()
    assert all(torch.equal(v, module.state_dict()[n]) for n, v in weights.items())


def test_a_private_fit_is_the_same_whether_or_not_the_object_was_fitted_without_noise_before():
    module = MLP(WIDTH, 1, hidden=(8,))
    fresh = made(module=module, private_parameters=["*"]).fit(X, y)
    made(module=module, method="non-private", epochs=20, steps=None).fit(X, y)
    again = made(module=module, private_parameters=["*"]).fit(X, y)
    assert np.array_equal(fresh.predict_proba(X), again.predict_proba(X))


@pytest.mark.parametrize("name", ["callbacks", "module__scale", "optimizer__betas"])
def test_other_parts_are_copied_too(name):
    given = {"callbacks": [Counts()], "module__scale": torch.ones(1), "optimizer__betas": [0.9, 0.99]}[name]
    kept = pickle.dumps(given)
    more = {"module": Scaled} if name == "module__scale" else {}
    model = made(**{name: given}, **more).fit(X, y)
    assert getattr(model, name) is given and pickle.dumps(given) == kept
    if name == "callbacks":
        assert len(model.net_.callbacks[0].seen) > 4


# What a module writes in its forward pass ---------------------------------------------------------


class Running(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.norm = nn.InstanceNorm1d(n_features, track_running_stats=True)
        self.head = nn.Linear(n_features, n_outputs)

    def represent(self, x):
        return self.norm(torch.stack([x, 0 * x], 2))[:, :, 0]

    def forward(self, x):
        return self.head(self.represent(x))


class Keeps(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.head, self.seen = nn.Linear(n_features, n_outputs), {}
        self.register_buffer("most", torch.zeros(n_features), persistent=False)

    def represent(self, x):
        self.attention = x * 1.0
        self.seen["rows"] = self.seen.get("rows", 0) + x.detach().sum()
        self.most = torch.maximum(self.most, x.detach().amax(0))
        return x

    def forward(self, x):
        return self.head(self.represent(x))


class KeepsInItsHead(Keeps):
    def __init__(self, n_features, n_outputs):
        super().__init__(n_features, n_outputs)
        self.head = Keeps(n_features, n_outputs)


def released(model):
    module = model.net_.module_
    # Trained parameters are noised; all else must not know the cells.
    state = {n: b.tolist() for n, b in module.named_buffers()}
    return {**state, **{n: {k for k in vars(m) if k[0] != "_"} for n, m in module.named_modules()}}


@pytest.mark.parametrize("module", [Running, Keeps, KeepsInItsHead])
@pytest.mark.parametrize("private", [["head.*"], ["*"]])
@pytest.mark.parametrize("method", ["fusiondp", "feature-dp", "dp-sgd"])
@pytest.mark.one_in(3)
def test_buffers_and_attributes_are_those_of_public_rows(module, private, method):
    fits = [made(module=module, private_parameters=private, method=method).fit(t, y) for t in (X, OTHER)]
    one, two = (released(m) for m in fits)
    assert one == two
    if method == "dp-sgd":  # there are no public rows
        fresh = module(fits[0].encoder_.sensitive_features_.size, 1)
        assert one == {**one, **{n: b.tolist() for n, b in fresh.named_buffers()}}
    encoded = fits[0].encoder_._encode(X)[:, fits[0].encoder_.sensitive_features_]
    within = encoded[(encoded > 0.01) & (encoded < 0.99)]
    dumped = pickle.dumps(fits[0])
    assert len(within) > 50 and not any(v.tobytes() in dumped for v in within)


@pytest.mark.parametrize("module", [Running, Keeps])
def test_prediction_leaves_nothing_behind(module):
    model = made(module=module, private_parameters=["*"]).fit(X, y)
    before = pickle.dumps(model)
    model.predict_proba(OTHER)
    model.net_.predict(torch.from_numpy(model.encoder_._encode(X)))
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("where", ["model", "net"])
def test_the_history_has_no_durations(where):
    model = made(steps=8).fit(X, y)
    history = pickle.loads(pickle.dumps(model)).history_ if where == "model" else model.net_.history
    assert len(history) > 1
    assert not [key for epoch in history for key in epoch if "dur" in key or "time" in key]
    assert not [key for epoch in history for batch in epoch["batches"] for key in batch if "dur" in key]
    assert not any(type(c).__name__ == "EpochTimer" for _, c in model.net_.callbacks_)


def test_two_fits_never_share_noise_and_nobody_can_move_it():
    def fit():
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002 (streams that others know)
        return made(random_state=None, private_parameters=["head.wide.*"]).fit(X, y)

    weights = [fit().net_.module_.head.wide.weight.detach().numpy() for _ in range(3)]
    # Nobody is missing: the weights of these features are functions of the noise alone.
    names = fit().encoder_.get_feature_names_out()
    blank = [i for i, n in enumerate(n for n in names if n.startswith("sensitive")) if "(missing)" in n]
    drawn = np.array([w[0, 1:][blank] for w in weights])
    assert drawn.shape == (3, 2) and len(np.unique(drawn)) == 6
