"""What ends a phase, what ends a fit, and what becomes of a model that computes no numbers."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import FitFailedWarning
from skorch.callbacks import Callback, EarlyStopping, LRScheduler

from skfusiondp import FusionDPClassifier, Numeric, PrivacyBudget
from skfusiondp.exceptions import TrainingDivergedError
from skfusiondp.model_selection import PrivateRandomSearchCV, StackedGridSearchCV

pytestmark = pytest.mark.filterwarnings(
    "ignore:No support rows:UserWarning", "ignore::skfusiondp.WeakPrivacyWarning"
)

N = 120
TABLE = pd.DataFrame({"lab": np.linspace(-1, 1, N), "age": np.linspace(20, 80, N)})
TARGET = np.arange(N) % 2
AGE = {"age": Numeric(0, 100)}
ALL = {"private_parameters": ["*"]}


def model(**given):
    defaults = {"noise_multiplier": 1.0, "epochs": 2, "batch_size": 40, "module__hidden": (4,)}
    return FusionDPClassifier(AGE, random_state=0, **{**defaults, **given})


class Interrupts(Callback):
    """Ctrl-C in the first epoch of a fit; not in the rehearsal of one."""

    def on_epoch_end(self, net, **kwargs):
        if net.begin is not None:
            raise KeyboardInterrupt


@pytest.mark.parametrize("given", [{}, ALL], ids=["head alone", "all"])
def test_early_stopping_in_public_epochs_ends_these_and_private_ones_follow(given):
    never_better = EarlyStopping(monitor="train_loss", patience=2, threshold=1e9, threshold_mode="abs")
    fitted = model(callbacks=[never_better], public_epochs=30, epochs=1, **given).fit(TABLE, TARGET)
    assert fitted.net_.private_steps_ == 3 and fitted.epsilon_ > 0
    assert len(fitted.history_) < 30


@pytest.mark.parametrize("given", [{}, ALL], ids=["head alone", "all"])
def test_a_fit_that_is_interrupted_before_its_private_steps_says_so(given):
    with pytest.warns(UserWarning, match="interrupted before its first private step"):
        fitted = model(callbacks=[Interrupts()], public_epochs=3, **given).fit(TABLE, TARGET)
    assert fitted.net_.private_steps_ == 0 and fitted.epsilon_ == 0


POLICIES = {
    "StepLR": {"step_size": 1, "gamma": 0.5},
    "ExponentialLR": {"gamma": 0.5},
    "CosineAnnealingLR": {"T_max": 4},
    torch.optim.lr_scheduler.LambdaLR: {"lr_lambda": lambda epoch: 0.5**epoch},
}


@pytest.mark.parametrize("policy", POLICIES)
def test_schedules_begin_anew_with_each_phase(policy):
    schedule = LRScheduler(policy=policy, **POLICIES[policy])
    history = model(callbacks=[schedule], lr=0.5, public_lr=0.25, public_epochs=2).fit(TABLE, TARGET).history_
    rates = [epoch["event_lr"] for epoch in history]
    assert rates[0] == pytest.approx(0.25) and rates[2] == pytest.approx(0.5)
    assert rates[1] / rates[0] == pytest.approx(rates[3] / rates[2]) and rates[1] < rates[0]


@pytest.mark.one_in(12)
@pytest.mark.parametrize(
    "given", [{"public_epochs": 0}, {"public_epochs": 2, **ALL}], ids=["head alone", "all"]
)
@pytest.mark.parametrize("policy", [*POLICIES, "WarmRestartLR", "ReduceLROnPlateau"])
def test_schedules_work_in_a_fit_of_one_phase(policy, given):
    schedule = LRScheduler(policy=policy, **POLICIES.get(policy, {}))
    fitted = model(callbacks=[schedule], **given).fit(TABLE, TARGET)
    assert fitted.net_.private_steps_ == 6


def test_a_schedule_of_batches_begins_anew_too():
    one_cycle = torch.optim.lr_scheduler.OneCycleLR
    schedule = LRScheduler(one_cycle, max_lr=0.1, total_steps=20, step_every="batch")
    fitted = model(callbacks=[schedule], public_epochs=5, epochs=5).fit(TABLE, TARGET)  # 15 steps a phase
    assert fitted.net_.private_steps_ == 15


@pytest.mark.parametrize("given", [{}, ALL], ids=["head alone", "all"])
def test_groups_of_parameters_keep_their_learning_rate_in_every_phase(given):
    groups = [("deep.body.0.*", {"lr": 0.0}), ("head.wide.bias", {"lr": 0.0})]
    before = model(public_epochs=0, epochs=1, lr=1e-9, **given).fit(TABLE, TARGET).net_.module_.state_dict()
    fitted = model(public_epochs=2, optimizer__param_groups=groups, **given).fit(TABLE, TARGET)
    for name, value in fitted.net_.module_.named_parameters():
        still = name.startswith("deep.body.0.") or name == "head.wide.bias"
        assert torch.allclose(value, before[name], atol=1e-6) == still, name


class Poisons(Callback):
    """Makes a parameter NaN after a step of a real fit."""

    def __init__(self, at):
        self.at = at

    def on_batch_end(self, net, **kwargs):
        if net.begin is not None and net.private_steps_ == self.at:
            with torch.no_grad():
                next(net.module_.head.parameters()).fill_(float("nan"))


@pytest.mark.parametrize("given", [{}, ALL], ids=["head alone", "all"])
@pytest.mark.parametrize(("at", "paid"), [(0, 0), (5, 6)])
def test_a_model_of_nan_is_an_error_that_says_what_was_paid(at, paid, given):
    budget = PrivacyBudget(50.0, 1e-4)
    fit = model(callbacks=[Poisons(at)], budget=budget, delta=1e-4, public_epochs=1, ema_decay=0.0, **given)
    said = "6 private steps ran, and the plan is paid for" if paid else "nothing is paid"
    with pytest.raises(TrainingDivergedError, match=said):
        fit.fit(TABLE, TARGET)
    assert [e.steps for e in budget.ledger] == [paid] * bool(paid)
    assert not hasattr(fit, "net_")


def test_learning_rates_that_no_network_survives_are_refused():
    for name in ("lr", "public_lr", "optimizer__lr"):
        with pytest.raises(ValueError, match=rf"^{name}=1e\+30 must be a number above 0 and at most 1e\+06"):
            model(**{name: 1e30}).fit(TABLE, TARGET)


@pytest.mark.parametrize("groups", [3, ["head.*"], [("head.*", 0.1)], [("head.*", {"lr": 1e30})]])
def test_groups_that_are_none_are_refused(groups):
    with pytest.raises(ValueError, match=r"^optimizer__param_groups=.* must be a list of pairs"):
        model(optimizer__param_groups=groups).fit(TABLE, TARGET)


def test_a_group_of_no_parameter_is_refused():
    with pytest.raises(ValueError, match=r"optimizer__param_groups has 'hed\.\*'.*head\.wide\.weight"):
        model(optimizer__param_groups=[("hed.*", {"lr": 0.1})]).fit(TABLE, TARGET)


def test_a_search_goes_on_where_a_candidate_diverges(monkeypatch):
    """A diverged trial is the worst of all; no warning or error of one tells that it ran."""
    from skfusiondp.training._net import FusionDPNet

    real = FusionDPNet.refuse_diverged

    def diverges(net):
        if net.lr == 0.5 and net.private_steps_:
            raise TrainingDivergedError("made up")
        real(net)

    monkeypatch.setattr(FusionDPNet, "refuse_diverged", diverges)
    grid = {"lr": [0.01, 0.5]}
    fitted = model(epochs=None, noise_multiplier=None, steps=2, public_epochs=0)
    arguments = {"n_trials": 20, "epsilon": 8.0, "random_state": 0, "distribution": "negative-binomial"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        found = PrivateRandomSearchCV(fitted, grid, **arguments).fit(TABLE, TARGET)
    assert found.best_params_ == {"lr": 0.01}
    only = PrivateRandomSearchCV(fitted, {"lr": [0.5]}, **arguments)
    with pytest.raises(TrainingDivergedError, match=r"every trial that ran.*the search is paid"):
        only.fit(TABLE, TARGET)
    assert len(only.ledger_)


def test_a_stacked_search_scores_a_diverged_candidate_as_failed(monkeypatch):
    from skfusiondp.model_selection._head_stack import HeadStack

    real = HeadStack.train

    def poisoned(stack):
        real(stack)
        with torch.no_grad():
            stack.heads[-1].wide.weight.fill_(float("nan"))

    monkeypatch.setattr(HeadStack, "train", poisoned)
    search = StackedGridSearchCV(model(), {"max_grad_norm": [0.5, 1.0]}, cv=2, refit=False)
    with pytest.warns(FitFailedWarning):
        search.fit(TABLE, TARGET)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
