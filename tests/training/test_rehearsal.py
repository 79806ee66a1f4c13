"""What an optimizer or a callback cannot do is refused on made-up rows, before anything is paid."""

import os

import numpy as np
import pandas as pd
import pytest
import torch
from skorch import callbacks as of_skorch

from skfusiondp import Categorical, FusionDPClassifier, FusionDPRegressor, Numeric, PrivacyBudget
from skfusiondp.exceptions import InvalidInputError, TrainingDivergedError

pytestmark = pytest.mark.filterwarnings(
    "ignore:No support rows:UserWarning", "ignore::skfusiondp.WeakPrivacyWarning"
)

N, DELTA = 120, 1e-4
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {"lab": RNG.normal(size=N), "age": RNG.uniform(20, 80, N), "sex": RNG.choice(["f", "m"], N)}
)
TARGET = (TABLE["lab"] > 0).to_numpy().astype(int)
SENSITIVE = {"age": Numeric(18, 90), "sex": Categorical(["f", "m"])}
KINDS = {
    "head alone": {"public_epochs": 2},
    "head alone, no public epoch": {"public_epochs": 0},
    "all": {"public_epochs": 2, "private_parameters": ["*"]},
    "dp-sgd": {"method": "dp-sgd", "adjacency": "add-remove"},
}


class NeedsClosure(torch.optim.SGD):
    def step(self, closure):
        return super().step(closure)


class Fails(of_skorch.Callback):
    def on_batch_end(self, net, **kwargs):
        raise KeyError("mine")


def model(cls=FusionDPClassifier, **given):
    defaults = {
        "noise_multiplier": 1.0,
        "epochs": 2,
        "module__hidden": (4,),
        "delta": DELTA,
        "random_state": 0,
    }
    if "module" in given:
        del defaults["module__hidden"]
    return cls(SENSITIVE, **{**defaults, **given})


def assert_refused_unpaid(match, error=InvalidInputError, target=TARGET, **given):
    budget = PrivacyBudget(50.0, DELTA, adjacency=given.get("adjacency", "replace"))
    refused = model(budget=budget, **given)
    with pytest.raises(error, match=match):
        refused.fit(TABLE, target)
    assert not len(budget.ledger) and not hasattr(refused, "ledger_")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("optimizer", "match"),
    [
        (torch.optim.LBFGS, "optimizer=.*LBFGS.* cannot take a step .*need no closure"),
        (torch.optim.SparseAdam, "optimizer=.*SparseAdam.* cannot take a step .*torch.optim.Adam"),
        (NeedsClosure, "optimizer=.*NeedsClosure.* cannot take a step"),
    ],
)
@pytest.mark.one_in(2)
def test_optimizers_that_cannot_take_a_step(kind, optimizer, match):
    assert_refused_unpaid(match, optimizer=optimizer, **KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("callback", "match"),
    [
        (of_skorch.EarlyStopping(), r"callbacks=\['EarlyStopping'\] fails in on_epoch_end.*'train_loss'"),
        (of_skorch.EpochScoring("accuracy", on_train=True), r"callbacks=\['EpochScoring'\] fails"),
        (of_skorch.Checkpoint(dirname=""), r"callbacks=\['Checkpoint'\] fails.*valid_loss"),
        (of_skorch.LRScheduler("ReduceLROnPlateau", monitor="valid_loss"), r"\['LRScheduler'\] fails"),
        (Fails(), r"callbacks=\['Fails'\] fails in on_batch_end on made-up rows \(KeyError: 'mine'\)"),
    ],
)
@pytest.mark.one_in(3)
def test_callbacks_that_fail(kind, callback, match):
    assert_refused_unpaid(match, callbacks=[callback], **KINDS[kind])


@pytest.mark.parametrize("step_every", ["batch", "epoch"])
def test_a_schedule_that_is_too_short_for_the_fit(step_every):
    schedule = of_skorch.LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=4, step_every=step_every
    )
    match = r"\['LRScheduler'\] fails within the \d+ (steps|epochs) of a phase \(ValueError: Tried to step"
    assert_refused_unpaid(match, callbacks=[schedule], epochs=6, public_epochs=1)


def test_a_schedule_that_grows_without_bound():
    schedule = of_skorch.LRScheduler(torch.optim.lr_scheduler.ExponentialLR, gamma=1e30)
    match = (
        r"\['LRScheduler'\] fails within the \d+ epochs of a phase \(ValueError: a learning rate of 2e\+27"
    )
    assert_refused_unpaid(match, callbacks=[schedule], epochs=6, public_epochs=1)


@pytest.mark.parametrize("kind", ["head alone", "all"])
def test_a_callback_that_leaves_nothing_to_train(kind):
    match = "callbacks=.*Freezer.* leave a module whose loss has no gradient"
    assert_refused_unpaid(match, callbacks=[of_skorch.Freezer("*")], **KINDS[kind])


def test_a_module_without_numbers():
    class Meta(torch.nn.Linear):
        def __init__(self, n_features, n_outputs):
            super().__init__(n_features, n_outputs, device="meta")

    assert_refused_unpaid("module has parameters on the device 'meta'", module=Meta)


@pytest.mark.parametrize("public_epochs", [0, 1])
def test_checkpoints_of_the_end_work_in_every_phase(public_epochs):
    last = of_skorch.TrainEndCheckpoint(f_params=None, f_optimizer=None, f_criterion=None, f_history=None)
    model(callbacks=[last], public_epochs=public_epochs).fit(TABLE, TARGET)


def test_settings_that_give_nan_at_once():
    assert_refused_unpaid(
        r"Training diverged.*nothing is paid",
        TrainingDivergedError,
        public_epochs=0,
        optimizer__weight_decay=np.inf,
    )


@pytest.mark.parametrize("part", ["module", "optimizer", "callbacks", "module__hidden"])
def test_parts_that_cannot_be_copied(part):
    class Locked:
        def __init__(self):
            self.lock = os.scandir()

        def __call__(self, *args, **kwargs):
            raise AssertionError

        on_train_begin = None

    given = [Locked()] if part == "callbacks" else Locked()
    assert_refused_unpaid(f"{part}=.* cannot be copied .*TypeError", **{part: given})


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"module__hidden": 3}, "module=.* cannot be made .*TypeError: 'int' object is not iterable"),
        ({"optimizer__betas": 3}, "optimizer=.* cannot be made .*TypeError"),
        ({"callbacks__mine__x": 3}, "callbacks__mine__x names no callback"),
    ],
)
def test_parts_that_cannot_be_made(given, match):
    assert_refused_unpaid(match, **given)


def test_a_rehearsal_leaves_no_trace(tmp_path):
    """Files, the user's callbacks, and what is trained: all as without it."""

    class Counts(of_skorch.Callback):
        def __init__(self):
            self.epochs = 0

        def on_epoch_end(self, net, **kwargs):
            self.epochs += 1

    class Prints(of_skorch.PrintLog):
        def on_epoch_end(self, net, **kwargs):
            raise AssertionError  # pragma: no cover - the fit is refused first

    counts = Counts()
    checkpoint = of_skorch.Checkpoint(monitor="valid_loss_best", dirname=str(tmp_path))
    assert_refused_unpaid("Checkpoint", callbacks=[counts, Prints(), checkpoint])
    assert not list(tmp_path.iterdir()) and counts.epochs == 0
    fitted = model(callbacks=[counts], public_epochs=1).fit(TABLE, TARGET)
    assert dict(fitted.net_.callbacks_)["Counts"].epochs == 3 and counts.epochs == 0
    assert len(fitted.history_) == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.one_in(2)
def test_what_works_is_not_refused(kind):
    """Scores on held-out rows, schedules, gradient clipping, other optimizers, several classes."""
    given = {
        "optimizer": torch.optim.AdamW,
        "callbacks": [
            of_skorch.GradientNormClipping(1.0),
            of_skorch.LRScheduler("StepLR", step_size=1),
            of_skorch.EpochScoring(lambda net, X, y: 0.5, on_train=True, name="mine"),
            of_skorch.EarlyStopping(monitor="mine", patience=50),
        ],
    }
    if kind == "dp-sgd":
        del given["callbacks"][2:]  # no training row is free to score
    model(**given, **KINDS[kind]).fit(TABLE, np.arange(N) % 11)
    model(FusionDPRegressor, **given, **KINDS[kind]).fit(TABLE, np.column_stack([TABLE["lab"]] * 3))
