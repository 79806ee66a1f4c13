"""With support and domains fixed, sensitive training cells reach the private gradient only."""

import pickle
import struct

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import Callback

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
)
from skfusiondp.impute import ConditionalBackend

DOMAINS = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}


def made_table(n, seed):
    rng = np.random.default_rng(seed)
    lab = rng.normal(size=n)
    ward = rng.choice(["north", "south", "west"], size=n).astype(object)
    age = np.clip(50 + 15 * lab + rng.normal(scale=5, size=n), 0, 100)
    sex = np.where((ward == "north") ^ (rng.random(n) < 0.1), "f", "m").astype(object)
    lab[rng.random(n) < 0.1] = np.nan
    return pd.DataFrame({"lab": lab, "age": age, "ward": ward, "sex": sex})


@pytest.fixture(scope="module")
def support():
    return made_table(150, 0)


@pytest.fixture(scope="module")
def train():
    return made_table(120, 1)


@pytest.fixture(scope="module")
def target(train):
    return (train["lab"].fillna(0) + (train["ward"] == "west") > 0).astype(int)


def permuted(train):
    order = np.random.default_rng(3).permutation(len(train))
    return train.assign(age=train["age"].to_numpy()[order], sex=train["sex"].to_numpy()[order])


def scrambled(train):
    """Other values, missing ones and ones outside the domain."""
    rng = np.random.default_rng(4)
    age = np.where(rng.random(len(train)) < 0.3, np.nan, rng.uniform(-50, 500, len(train)))
    age[0] = 20.0
    sex = rng.choice(np.array(["f", "m", None, "?"], dtype=object), len(train))
    sex[0] = "f"
    return train.assign(age=age, sex=sex)


CHANGES = pytest.mark.parametrize("change", [permuted, scrambled])


class FirstGradient(Callback):
    def __init__(self):
        self.gradients = []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        if not self.gradients:
            self.gradients = [p.grad.clone() for _, p in named_parameters if p.grad is not None]


def made(support, cls=FusionDPClassifier, **parameters):
    defaults = {
        "imputer": FoundationImputer(support=support, backend=ConditionalBackend(n_estimators=5)),
        "noise_multiplier": 1.0,
        "steps": 4,
        "public_epochs": 2,
        "module__hidden": (8,),
        "random_state": 0,
    }
    return cls(DOMAINS, **{**defaults, **parameters})


def parameters_of(model):
    return np.concatenate([p.detach().numpy().ravel() for p in model.net_.module_.parameters()])


def fitted_twice(support, train, target, change, **parameters):
    return [made(support, **parameters).fit(table, target) for table in (train, change(train))]


@pytest.mark.one_in(2)
@CHANGES
def test_schema_imputer_encoder_and_plan_are_bitwise_the_same(change, support, train, target):
    one, two = fitted_twice(support, train, target, change, class_weight="balanced")
    assert not np.array_equal(parameters_of(one), parameters_of(two))  # the change matters
    assert one.schema_ == two.schema_ and one.plan_ == two.plan_
    assert one.delta_ == two.delta_ and one.epsilon_ == two.epsilon_
    assert one.ledger_ == two.ledger_
    assert one.privacy_report() == two.privacy_report()
    assert pickle.dumps(one.encoder_) == pickle.dumps(two.encoder_)
    hybrid = one.imputer_._impute_frame(train)
    pd.testing.assert_frame_equal(hybrid, two.imputer_._impute_frame(change(train)), check_exact=True)
    assert hybrid["age"].nunique() > 20  # and the imputation is no constant
    assert pickle.dumps(one.encoder_._encode(train)) == pickle.dumps(two.encoder_._encode(train))


@pytest.mark.one_in(3)
@CHANGES
@pytest.mark.parametrize("method", ["fusiondp", "feature-dp", "hybrid"])
def test_the_free_view_and_weights_are_bitwise_the_same(change, method, support, train, target, monkeypatch):
    kept = []
    real = FusionDPClassifier._training_rows

    def keep(self, *args):
        kept.append(real(self, *args))
        return kept[-1]

    monkeypatch.setattr(FusionDPClassifier, "_training_rows", keep)
    fitted_twice(support, train, target, change, method=method, class_weight="balanced")
    one, two = kept
    assert torch.equal(one.free, two.free)
    assert torch.equal(one.y, two.y) and torch.equal(one.weight, two.weight)
    assert one.weight.unique().numel() == 2
    if method == "hybrid":
        assert one.views is None
    else:
        assert not torch.equal(one.views[0], two.views[0])
        assert torch.equal(one.views[1], one.free)


@pytest.mark.one_in(4)
@CHANGES
@pytest.mark.parametrize("method", ["fusiondp", "feature-dp"])
def test_the_first_public_gradient_is_bitwise_the_same(change, method, support, train, target):
    """Warm-up steps are public altogether; a step of weight alpha=0 has its public part only."""
    for warm, alpha in ((1, 1.0), (0, 0.0)):
        spied = {"public_epochs": warm, "alpha": alpha, "callbacks": [FirstGradient()]}
        fits = fitted_twice(support, train, target, change, method=method, **spied)
        one, two = (fit.net_.callbacks[0].gradients for fit in fits)
        assert one and all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.one_in(4)
@CHANGES
@pytest.mark.parametrize("cls", [FusionDPClassifier, FusionDPRegressor])
@pytest.mark.parametrize("parameters", [{"method": "hybrid"}, {"alpha": 0.0}], ids=str)
def test_without_the_private_gradient_the_model_is_bitwise_the_same(
    change, cls, parameters, support, train, target
):
    one, two = fitted_twice(support, train, target, change, cls=cls, **parameters)
    assert np.array_equal(parameters_of(one), parameters_of(two))
    losses = [m.history_[:, "train_loss"] for m in (one, two)]
    assert losses[0] == losses[1]
    assert np.array_equal(one.predict(train), two.predict(train))
    if parameters == {"method": "hybrid"}:
        assert one.epsilon_ == 0.0 and len(one.ledger_) == 0
        # Rows to predict on are taken as they are, and no others come in.
        assert np.array_equal(one._scores(change(train)), two._scores(change(train)))
        assert not np.array_equal(one._scores(train), one._scores(change(train)))


@CHANGES
def test_target_scaling_is_bitwise_the_same(change, support, train):
    y = train["lab"].fillna(3.0) * 10 + 4
    one, two = (
        made(support, FusionDPRegressor, steps=2, public_epochs=0).fit(t, y) for t in (train, change(train))
    )
    assert one.target_mean_ == two.target_mean_ == pytest.approx(y.mean())
    assert one.target_scale_ == two.target_scale_ == pytest.approx(y.std(ddof=0))


@pytest.mark.one_in(2)
@CHANGES
def test_the_loss_in_the_history_of_the_first_step_is_the_free_views(change, support, train, target):
    one, two = fitted_twice(support, train, target, change, steps=1, public_epochs=0)
    assert one.history_[0, "batches", 0, "train_loss"] == two.history_[0, "batches", 0, "train_loss"]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("method", ["fusiondp", "feature-dp", "dp-sgd", "hybrid", "non-private"])
def test_missing_sensitive_cells_drop_no_row(method, support, train, target):
    holes = train.assign(age=train["age"].where(train.index > 80), sex=train["sex"].where(train.index > 40))
    model = made(support, method=method).fit(holes, target)
    assert model.n_rows_ == len(train)
    if model.plan_ is not None:
        assert model.plan_.n_rows == len(train)
        assert model.plan_.expected_batch_size == pytest.approx(64)
    assert np.isfinite(parameters_of(model)).all()
    assert np.isfinite(model.predict_proba(holes)).all()


# Nothing of the table goes into a file -----------------------------------------------------------

WORD = "zanzibarquagga"


def planted(table, base):
    """Unusual floats in every numeric cell, a marker word in sensitive and unused ones."""
    n = len(table)
    # At uneven distances: trees cut halfway between two cells, which is no cell then.
    steps = np.cumsum(np.random.default_rng(8).uniform(1, 2, n))
    table = table.assign(
        lab=base + steps * np.pi / 1000,
        age=50 + (base + np.arange(n)) * np.pi / 1000,
    )
    table.loc[table.index[5], "sex"] = WORD
    return table


def floats_in(dumped, values):
    """How many of the values occur in the bytes, in double or single precision, either order."""
    return sum(any(struct.pack(kind, v) in dumped for kind in ("<d", ">d", "<f", ">f")) for v in values)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("method", ["fusiondp", "feature-dp", "dp-sgd", "hybrid", "non-private"])
def test_a_pickled_model_holds_no_rows(method, support, train, target):
    train = planted(train, 1.2345)
    marked = support.assign(unused=WORD)
    model = made(marked, method=method).fit(train, target)
    assert WORD.encode() in pickle.dumps([marked, train])  # the search can succeed
    assert floats_in(pickle.dumps(train), train["age"]) == len(train)
    dumped = pickle.dumps(model)
    assert WORD.encode() not in dumped
    assert floats_in(dumped, train["age"]) == 0
    # A median of public cells is one of them.
    assert floats_in(dumped, train["lab"]) <= 2
    encoded = np.hstack([d.encode(train[c]) for c, d in model.schema_.domains.items()])
    within = encoded[(encoded > 0.01) & (encoded < 0.99)]
    assert len(within) > len(train) / 2 and floats_in(dumped, within) == 0
    again = pickle.loads(dumped)
    assert np.array_equal(again.predict_proba(train), model.predict_proba(train))


def test_pickled_support_rows(support, train, target):
    """The imputer keeps its models, but not the public columns of its support rows."""
    marked = planted(support, 8.7654).assign(sex=support["sex"])
    dumped = pickle.dumps(made(marked).fit(train, target))
    assert floats_in(dumped, marked["lab"]) == 0


def test_a_pickled_net_holds_neither_noise_generator_nor_seed(support, train, target):
    model = made(support, random_state=None).fit(train, target)
    state = model.net_.__getstate__()
    assert not {"seed", "_tiers", "engine_"} & set(state)
    assert not any(isinstance(v, torch.Generator) for v in state.values())
