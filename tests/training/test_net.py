"""The training step: what is added to the gradient, what is counted, and what callbacks see."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from skorch.callbacks import Callback

from skfusiondp import FusionDPClassifier
from skfusiondp.accounting import Clipping
from skfusiondp.nets import MLP
from skfusiondp.privacy import make_plan
from skfusiondp.privacy._sampling import PoissonSampler
from skfusiondp.training._batches import TrainingRows
from skfusiondp.training._net import FusionDPNet

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")

N, WIDTH, BATCH = 40, 12, 8
SIGMA, C, ALPHA = 1.7, 0.6, 2.5
NOISE_STD = ALPHA * SIGMA * C / BATCH


class Gradients(Callback):
    """Keep a copy of the gradient of each step."""

    def __init__(self):
        self.seen = []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.seen.append({n: p.grad.clone() for n, p in named_parameters if p.grad is not None})


def made_rows(equal=True, weight=0.0, n=N):
    generator = torch.Generator().manual_seed(0)
    free = torch.randn(n, WIDTH, generator=generator)
    original = free if equal else free + torch.randn(n, WIDTH, generator=generator)
    y = torch.randint(2, (n, 1), generator=generator).float()
    return TrainingRows(free, torch.stack([original, free]), y, torch.full((n,), weight))


def trained(rows, steps=1, sigma=SIGMA, c=C, alpha=ALPHA, free=True, callbacks=(), **kwargs):
    """A net whose parameters stand still (learning rate 0), with its recorded gradients."""
    plan = make_plan(
        len(rows),
        batch_size=BATCH,
        steps=steps,
        epsilon=None,
        noise_multiplier=sigma,
        delta=None,
        clipping=Clipping(c),
        adjacency="replace",
    )
    gradients = Gradients()
    torch.manual_seed(0)
    net = FusionDPNet(
        MLP,
        module__n_features=WIDTH,
        module__hidden=(64, 64),
        plan=plan,
        epoch_steps=(steps,),
        max_epochs=1,
        public_batch_size=16,
        alpha=alpha,
        lr=0.0,
        seed=np.random.SeedSequence(kwargs.pop("seed", 3)),
        secret=False,
        verbose=0,
        callbacks=[gradients, *callbacks],
        **kwargs,
    )
    net.prepare(rows, 1)
    net.fit_more(rows)
    return net, gradients.seen


def flat(gradient):
    return torch.cat([g.flatten() for g in gradient.values()]).double()


def assert_noise(sample, std):
    """Accept normal noise of this scale; reject it 10 % off, by a chi-square test."""

    def p_value(std):
        statistic = float((sample / std).square().sum())
        return 2 * min(f(statistic, len(sample)) for f in (stats.chi2.cdf, stats.chi2.sf))

    assert p_value(std) > 1e-3
    assert p_value(0.9 * std) < 1e-3 and p_value(1.1 * std) < 1e-3
    assert stats.kstest(sample.numpy(), "norm", args=(0, std)).pvalue > 1e-3


@pytest.mark.parametrize("drawn", [0, 1, 8, N])
def test_noise_does_not_depend_on_the_realised_batch(drawn, monkeypatch):
    """Weights of 0 silence the loss, so the gradient is noise; an empty batch has it too."""
    monkeypatch.setattr(PoissonSampler, "draw", lambda self: np.arange(drawn))
    net, (gradient,) = trained(made_rows())
    assert_noise(flat(gradient), NOISE_STD)
    assert net.private_steps_ == 1


@pytest.mark.parametrize("size", [1, 3])
def test_noise_is_added_once_under_micro_batches(size, monkeypatch):
    monkeypatch.setattr(PoissonSampler, "draw", lambda self: np.arange(20))
    _, (gradient,) = trained(made_rows(), micro_batch_size=size)
    assert_noise(flat(gradient), NOISE_STD)


def test_steps_get_fresh_noise():
    _, seen = trained(made_rows(), steps=4)
    assert_noise(torch.cat([flat(g) for g in seen]), NOISE_STD)
    correlations = torch.corrcoef(torch.stack([flat(g) for g in seen])) - torch.eye(4)
    assert correlations.abs().max() < 4 / np.sqrt(len(flat(seen[0])))


def test_without_a_public_branch_alpha_does_not_weigh():
    rows = made_rows()
    rows = TrainingRows(None, rows.views[:1], rows.y, rows.weight)
    _, (gradient,) = trained(rows)
    assert_noise(flat(gradient), NOISE_STD / ALPHA)


@pytest.mark.parametrize("drawn", [1, 5, 8, 31])
def test_divides_by_the_expected_batch_size(drawn, monkeypatch):
    monkeypatch.setattr(PoissonSampler, "draw", lambda self: np.arange(drawn))
    rows = made_rows(equal=False, weight=1.0)
    net, (gradient,) = trained(rows, sigma=1e-9)
    _, (public,) = trained(rows, sigma=1e-9, alpha=0.0)
    kept = rows.private_rows(np.arange(drawn))
    total = net.engine_.clipped_sum(kept.x, kept.y, kept.weight)
    for name, value in total.items():
        wanted = (ALPHA / BATCH * value).float()
        torch.testing.assert_close(gradient[name] - public[name], wanted, rtol=1e-4, atol=1e-6)
    assert flat(gradient).sub(flat(public)).norm() <= ALPHA / BATCH * drawn * C * (1 + 1e-5)


def test_only_private_parameters_get_noise():
    _, (gradient,) = trained(made_rows(), private_parameters=["head.*"])
    assert {n for n, g in gradient.items() if g.abs().max() > 0} == {"head.weight", "head.bias"}


def test_the_public_gradient_is_the_mean_over_the_free_view():
    rows = made_rows(weight=1.0, n=16)  # one public batch holds them all
    net, (gradient,) = trained(rows, alpha=0.0)
    outputs = net.module_(rows.free)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(outputs, rows.y)
    wanted = torch.autograd.grad(loss, list(net.module_.parameters()))
    for got, value in zip(gradient.values(), wanted, strict=True):
        torch.testing.assert_close(got, value, rtol=1e-4, atol=1e-6)


# What is counted -----------------------------------------------------------


class StopAt(Callback):
    """Raise at the k-th private step, in one of skorch's hooks."""

    def __init__(self, k, hook, error):
        self.k, self.hook, self.error, self.count = k, hook, error, 0

    def _maybe(self, hook):
        if hook == self.hook:
            self.count += 1
            if self.count == self.k:
                raise self.error

    def on_grad_computed(self, net, **kwargs):
        self._maybe("on_grad_computed")

    def on_batch_end(self, net, **kwargs):
        self._maybe("on_batch_end")


@pytest.fixture
def used(monkeypatch):
    """Count how often private rows were really used."""
    from skfusiondp.training import PerRowEngine

    calls = []
    real = PerRowEngine.clipped_sum
    monkeypatch.setattr(PerRowEngine, "clipped_sum", lambda self, *args: calls.append(1) or real(self, *args))
    return calls


def made_classifier(adult, **parameters):
    defaults = {
        "noise_multiplier": 1.0,
        "public_epochs": 0,
        "batch_size": 30,
        "module__hidden": (8,),
        "random_state": 0,
    }
    return FusionDPClassifier(adult.sensitive, **{**defaults, **parameters})


@pytest.mark.parametrize(
    ("parameters", "steps"),
    [
        ({"steps": 7}, 7),  # an epoch has ceil(200 / 30) = 7 steps
        ({"steps": 3}, 3),
        ({"steps": 17}, 17),
        ({"epochs": 2}, 14),
        ({"epochs": 1, "public_epochs": 2}, 7),
        ({"steps": 5, "method": "dp-sgd"}, 5),
        ({"steps": 5, "method": "feature-dp"}, 5),
        ({"steps": 5, "method": "hybrid"}, 0),
    ],
    ids=str,
)
def test_accounted_steps_are_the_steps_run(adult, used, parameters, steps):
    model = made_classifier(adult, **parameters).fit(adult.table[:200], adult.target[:200])
    assert len(used) == steps == sum(e.steps for e in model.ledger_)
    if steps:
        (entry,) = model.ledger_
        assert (entry,) == model.plan_.ledger(steps, entry.source).entries


@pytest.mark.parametrize(
    ("given", "rows", "epochs"), [(None, 200, 5), (None, 2800, 7), (None, 90_000, 10), (3, 90_000, 3)]
)
def test_small_tables_have_fewer_public_epochs_by_default(adult, given, rows, epochs):
    model = made_classifier(adult, public_epochs=given, batch_size=None, epochs=2)
    schedule = model._schedule(rows)
    assert sum(schedule.epoch_steps[:epochs]) == sum(schedule.epoch_steps) - schedule.steps


def rows_read(schedule, private):
    """Rows that private steps read in expectation, and the public ones."""
    public = sum(schedule.epoch_steps) * schedule.public_batch_size
    return schedule.steps * schedule.batch_size * private, public


@pytest.mark.parametrize("method", ["fusiondp", "dp-sgd", "hybrid", "non-private"])
def test_what_a_default_fit_reads_does_not_grow_with_a_large_table(adult, method):
    default = {"batch_size": None, "epochs": None, "public_epochs": None, "method": method}
    model = made_classifier(adult, **default)
    private = method in ("fusiondp", "dp-sgd")
    at = {n: rows_read(model._schedule(n), private) for n in (200_000, 1_000_000, 10_000_000)}
    assert at[1_000_000] == at[10_000_000]
    assert max(at[10_000_000]) <= 8 * 10**6
    assert all(one >= 0.9 * other for one, other in zip(at[1_000_000], at[200_000], strict=True))
    # A fit of so many rows has a whole number of the same epochs, and 640 private steps; the hybrid view has
    # public epochs alone.
    steps = 0 if method == "hybrid" else 640
    assert model._schedule(10_000_000).steps == model._schedule(200_000).steps == steps


@pytest.mark.parametrize(
    ("rows", "batch", "public", "steps", "epochs"),
    [(1000, 64, 64, 320, 5), (14_293, 446, 446, 660, 10), (100_000, 3125, 3125, 640, 10)],
)
def test_the_default_schedule_of_tables_that_are_not_large(adult, rows, batch, public, steps, epochs):
    model = made_classifier(adult, batch_size=None, epochs=None, public_epochs=None)
    schedule = model._schedule(rows)
    assert (schedule.batch_size, schedule.public_batch_size, schedule.steps) == (batch, public, steps)
    assert schedule.epoch_steps[:epochs] == (rows // public,) * epochs
    assert sum(schedule.epoch_steps[epochs:]) == steps


def test_what_is_asked_for_is_done_on_a_large_table_too(adult):
    n = 10_000_000
    given = {"batch_size": 250_000, "epochs": 3, "public_epochs": 2, "public_batch_size": 100_000}
    schedule = made_classifier(adult, **given)._schedule(n)
    assert schedule.epoch_steps == (100, 100, 40, 40, 40)
    epochs = made_classifier(adult, batch_size=None, epochs=3, public_epochs=None)._schedule(n)
    assert epochs.steps == 3 * math.ceil(n / epochs.batch_size)


@pytest.mark.parametrize("hook", ["on_grad_computed", "on_batch_end"])
def test_an_interrupted_fit_pays_for_its_plan(adult, used, hook):
    """When to stop may depend on what was released, and then the steps that ran are no bound."""
    stop = StopAt(4, hook, KeyboardInterrupt())
    model = made_classifier(adult, steps=20, callbacks=[stop])
    model.fit(adult.table[:200], adult.target[:200])
    assert len(used) == 4
    assert model.plan_.steps == 20 == sum(e.steps for e in model.ledger_)
    assert model.privacy_report().to_dict()["mechanism"]["steps_run"] == 4
    full = made_classifier(adult, steps=20).fit(adult.table[:200], adult.target[:200])
    assert model.epsilon_ == full.epsilon_


@pytest.mark.parametrize("error", [KeyboardInterrupt(), None])
def test_a_fit_that_ends_before_its_private_steps_pays_nothing(adult, used, monkeypatch, error):
    if error is None:
        error = RuntimeError("imputed too long")
        monkeypatch.setattr(FusionDPClassifier, "_training_rows", lambda *args: raised(error))
        with pytest.raises(RuntimeError, match="imputed too long"):
            made_classifier(adult, steps=20).fit(adult.table[:200], adult.target[:200])
        return
    model = made_classifier(adult, steps=20, public_epochs=3, callbacks=[StopAt(2, "on_batch_end", error)])
    model.fit(adult.table[:200], adult.target[:200])
    assert not used and len(model.ledger_) == 0 and model.epsilon_ == 0
    # Domains that training cells gave are in the model all the same.
    model.set_params(sensitive=["age"], on_leak="ignore").fit(adult.table[:200], adult.target[:200])
    assert not used and model.epsilon_ == np.inf


def raised(error):
    raise error


def test_a_failed_fit_pays_for_its_plan(adult, used):
    stop = StopAt(3, "on_grad_computed", ZeroDivisionError())
    model = made_classifier(adult, steps=20, callbacks=[stop])
    with pytest.raises(ZeroDivisionError):
        model.fit(adult.table[:200], adult.target[:200])
    assert len(used) == 3 and sum(e.steps for e in model.ledger_) == 20


def test_a_refit_that_fails_moves_the_ledger_and_epsilon_and_nothing_else(adult):
    data = adult.table[:200], adult.target[:200]
    model = made_classifier(adult, steps=5).fit(*data)
    before, alone = dict(vars(model)), model.epsilon_
    model.set_params(callbacks=[StopAt(3, "on_grad_computed", ZeroDivisionError())], steps=20)
    with pytest.raises(ZeroDivisionError):
        model.fit(*data)
    assert [e.steps for e in model.ledger_] == [5, 20]
    assert model.epsilon_ == model.ledger_.epsilon(model.delta_) == model.privacy_report().epsilon > alone
    moved = {n for n, v in vars(model).items() if v is not before[n]}
    assert moved == {"ledger_", "callbacks", "steps"}


def test_a_second_fit_adds_to_the_ledger(adult):
    model = made_classifier(adult, steps=5).fit(adult.table[:200], adult.target[:200])
    once = model.epsilon_
    model.fit(adult.table[:200], adult.target[:200])
    assert [e.steps for e in model.ledger_] == [5, 5]
    assert model.epsilon_ > once


# What callbacks see -----------------------------------------------------------

SECRET = 7777.0


class Spy(Callback):
    """Record every tensor that any hook is given, and every row that a dataset shows."""

    def __init__(self):
        self.values, self.hooks = [], set()

    def __getattribute__(self, name):
        if name.startswith("on_"):

            def record(net, *args, **kwargs):
                self.hooks.add(name)
                self._keep([args, {k: v for k, v in kwargs.items() if k != "named_parameters"}])

            return record
        return super().__getattribute__(name)

    def _keep(self, thing):
        if isinstance(thing, torch.Tensor):
            self.values.append(thing.detach().flatten())
        elif isinstance(thing, TrainingRows):
            for i in range(len(thing)):
                self._keep(list(thing[i]))
        elif isinstance(thing, dict):
            self._keep(list(thing.values()))
        elif isinstance(thing, list | tuple):
            for part in thing:
                self._keep(part)


def test_callbacks_never_see_private_rows_and_history_has_no_trace():
    rows = made_rows(weight=1.0)
    rows = replace(rows, views=torch.stack([torch.full_like(rows.free, SECRET), rows.free]))
    spy = Spy()
    net, _ = trained(rows, steps=6, callbacks=[spy])
    seen = torch.cat(spy.values)
    assert {"on_train_begin", "on_batch_begin", "on_batch_end", "on_grad_computed"} <= spy.hooks
    assert torch.isin(rows.free[0], seen).all()  # the spy would have noticed
    assert not (seen == SECRET).any()
    (epoch,) = net.history
    assert not [key for key in epoch if "valid" in key]
    assert {key for batch in epoch["batches"] for key in batch} == {
        "train_loss",
        "train_batch_size",
    }
    assert {batch["train_batch_size"] for batch in epoch["batches"]} == {16}


def test_without_a_public_branch_the_history_tells_nothing_of_the_rows():
    rows = made_rows(weight=1.0)
    rows = TrainingRows(None, rows.views[:1], rows.y, rows.weight)
    net, _ = trained(rows, steps=6)
    for batch in net.history[0]["batches"]:
        assert np.isnan(batch["train_loss"]) and batch["train_batch_size"] == 1


def test_equal_views_make_the_private_branch_pure_noise():
    """Zero-out's promise: at x = x~ a row adds nothing, dropout or not."""
    rows = made_rows(weight=1.0)
    _, (with_rows,) = trained(rows, module__dropout=0.5, sigma=1e-12, alpha=1e6)
    _, (without,) = trained(rows, module__dropout=0.5, sigma=1e-12, alpha=0.0)
    torch.testing.assert_close(flat(with_rows), flat(without), rtol=1e-5, atol=1e-5)


class FailsToRepresent(torch.nn.Module):
    private_parameters = ("head.*",)

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.body, self.head = torch.nn.Linear(n_features, 4), torch.nn.Linear(4, n_outputs)

    def represent(self, x):
        if (x[:, 0] == 77.0).any():
            raise KeyError("a row of 77")
        return torch.tanh(self.body(x))

    def forward(self, x):
        return self.head(self.represent(x))


def test_a_row_that_cannot_be_represented_is_zero_and_no_error():
    net = FusionDPNet(
        FailsToRepresent,
        module__n_features=WIDTH,
        module__n_outputs=1,
        plan=make_plan(
            N,
            batch_size=BATCH,
            steps=1,
            epsilon=None,
            noise_multiplier=SIGMA,
            delta=None,
            clipping=Clipping(C),
            adjacency="replace",
        ),
        epoch_steps=(1,),
        max_epochs=1,
        private_parameters=["head.*"],
        seed=np.random.SeedSequence(3),
        verbose=0,
    )
    rows = made_rows(equal=False)
    net.prepare(rows, 1)
    wanted = net._represent(rows.views[0])
    rows.views[0][7, 0] = 77.0
    got = net._represent(rows.views[0])
    assert not got[7].any()
    others = np.arange(N) != 7
    torch.testing.assert_close(got[others], wanted[others])
