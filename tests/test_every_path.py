"""In every path that trains: Poisson samples, the plan's noise once a step, payment before a row is read.

Tests of modules look at a sampler or at a noise source; these look at what a fit does with them, at the far
end: at the rows that a step reads, at the gradient that the optimizer gets, at what a fit has paid.
"""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from skorch.callbacks import Callback

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    Numeric,
    OffsetFusionClassifier,
    PrivacyBudget,
    PrivateSynthesizer,
)
from skfusiondp.estimators.joint._releases import JointReleases
from skfusiondp.estimators.offset import _correction
from skfusiondp.model_selection import PrivateRandomSearchCV, StackedGridSearchCV
from skfusiondp.model_selection._head_stack import HeadStack
from skfusiondp.training import PerRowEngine
from skfusiondp.training._batches import PrivateSample

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")

N, BATCH = 60, 20
Q = BATCH / N
# Noise and samples are the operating system's: a sound fit fails one of these tests this rarely.
LEVEL = 1e-7

rng = np.random.default_rng(0)
ARRAY = rng.normal(size=(N, 4))
Y = (ARRAY[:, 0] + ARRAY[:, 1] > 0).astype(int)
DOMAINS = {0: Numeric(-3, 3)}
TIERS = {0: Numeric(-3, 3, epsilon=0.5), 1: Numeric(-3, 3)}

WHOLE = {"private_parameters": ["*"]}
NET_PATHS = {
    "net": WHOLE,
    "head": {},
    "micro-batches": {**WHOLE, "micro_batch_size": 3},
    "tiers": {"sensitive": TIERS, "noise_multiplier": None, "epsilon": 1e-3},
    "disk": {},
    "stack": {},
}
each_path = pytest.mark.parametrize("path", NET_PATHS)


def scored(model, X, y):
    return 0.0


def fitted(path, folder, **parameters):
    """A fit by one path; a search's best estimator for a stack."""
    settings = {
        "noise_multiplier": 1.0,
        "batch_size": BATCH,
        "public_epochs": 1,
        "module__hidden": (16,),
        "imputer": FoundationImputer(backend="domain"),
        "max_grad_norm": 1.0,
    }
    settings |= {**NET_PATHS[path], **parameters}
    model = FusionDPClassifier(settings.pop("sensitive", DOMAINS), **settings)
    table = ARRAY
    if path == "disk":
        np.save(folder / "table.npy", ARRAY)
        table = os.fspath(folder / "table.npy")
    if path == "stack":
        everything = [(np.arange(N), np.arange(3))]
        model = StackedGridSearchCV(
            model, {"alpha": [1.0, 2.0, 4.0]}, scoring=scored, cv=everything, refit=False
        )
    return model.fit(table, Y)


# Samples -------------------------------------------------------------------------------------------------


def samples(path, folder, monkeypatch, steps):
    """Which rows each private step reads, of shape (n_streams, n_steps, N), a stream a tier or model."""
    used: dict[int, list[np.ndarray]] = {}
    plain, sums = PrivateSample.__init__, HeadStack._clipped_sums

    def kept(self, rows, index, tier=0):
        if len(rows) == N:  # a step is tried on a few made-up rows first
            used.setdefault(tier, []).append(np.array(index))
        plain(self, rows, index, tier)

    def stacked(self, samples):
        for i, index in enumerate(samples):
            used.setdefault(i, []).append(np.array(index))
        return sums(self, samples)

    monkeypatch.setattr(PrivateSample, "__init__", kept)
    monkeypatch.setattr(HeadStack, "_clipped_sums", stacked)
    fitted(path, folder, steps=steps, public_epochs=0)
    table = np.zeros((len(used), steps, N), dtype=bool)
    for stream, drawn in used.items():
        assert len(drawn) == steps
        for step, rows in enumerate(drawn):
            assert len(np.unique(rows)) == len(rows)
            table[stream, step, rows] = True
    return table


@pytest.mark.one_in(3)
@each_path
def test_each_step_reads_a_poisson_sample_of_its_own(path, tmp_path, monkeypatch):
    steps = 80
    included = samples(path, tmp_path, monkeypatch, steps)
    assert len(included) == {"tiers": 2, "stack": 3}.get(path, 1)
    centred = (included - Q) / np.sqrt(Q * (1 - Q))
    for stream, own in zip(included, centred, strict=True):
        assert 2 * stats.norm.sf(abs(own.sum()) / np.sqrt(own.size)) > LEVEL, "another rate"
        assert 2 * stats.norm.sf(abs(own.sum(axis=0)).max() / np.sqrt(steps)) * N > LEVEL, "rows unlike"
        spread = np.square(own.sum(axis=1)).sum() / N  # chi-square, if sizes are binomial
        assert 2 * min(stats.chi2.cdf(spread, steps), stats.chi2.sf(spread, steps)) > LEVEL, "sizes"
        again = (own[:-1] * own[1:]).sum() / np.sqrt(own[1:].size)
        assert 2 * stats.norm.sf(abs(again)) > LEVEL, "one step's sample tells the next one's"
        assert len({row.tobytes() for row in stream}) > 0.9 * steps
    for i in range(len(centred) - 1):
        both = (centred[i] * centred[i + 1]).sum() / np.sqrt(centred[i].size)
        assert 2 * stats.norm.sf(abs(both)) > LEVEL, "two streams share their samples"


# Noise ---------------------------------------------------------------------------------------------------


class Watches(Callback):
    def __init__(self):
        self.seen = []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        if net.private_steps_:
            names = {f"head.{n}" if net._head_only else n for n in net.engine_.names}
            grads = [p.grad.flatten() for n, p in named_parameters if n in names]
            self.seen.append(torch.cat(grads).double().numpy())


def noise(path, folder, monkeypatch, steps):
    """Private gradients of a fit with so much noise that nothing else shows, in units of the plan's.

    Returns
    -------
    ndarray of shape (n_models, n_steps, n_numbers)
    """
    many = {} if path == "tiers" else {"noise_multiplier": 1e6}
    if path == "stack":
        seen: list[np.ndarray] = []
        plain = HeadStack._private_gradient

        def watched(self, samples):
            weight, bias = plain(self, samples)
            each = [part.reshape(len(samples), -1) for part in (weight, bias)]
            alpha = torch.tensor([net.alpha for net in self.nets])[:, None]
            seen.append((torch.cat(each, 1) / alpha).numpy())
            return weight, bias

        monkeypatch.setattr(HeadStack, "_private_gradient", watched)
        fitted(path, folder, steps=steps, public_epochs=0, **many)
        return np.stack(seen, axis=1) * BATCH / 1e6
    model = fitted(path, folder, steps=steps, callbacks=[Watches()], public_epochs=0, **many)
    tiers = model.plan_.tiers
    std = np.sqrt(sum(t.noise_std**2 for t in tiers)) / model.plan_.expected_batch_size
    return np.stack(model.net_.callbacks[0].seen)[None] / std


@pytest.mark.one_in(3)
@each_path
def test_each_step_gets_the_plans_noise_once_and_afresh(path, tmp_path, monkeypatch):
    steps = 30
    found = noise(path, tmp_path, monkeypatch, steps)
    assert found.shape[1] == steps
    flat = found.reshape(-1, found.shape[2])
    for part in (*flat, *flat.T):  # each step, and each number over all steps
        square = np.square(part).sum()
        p = 2 * min(stats.chi2.cdf(square, part.size), stats.chi2.sf(square, part.size))
        assert p * (len(flat) + len(flat.T)) > LEVEL, "not the plan's noise"
    # A tensor that got none in some step: nothing else comes near this, beside so much noise.
    nothing = (abs(flat) < 1e-4).sum()
    assert stats.binom.sf(nothing - 1, flat.size, 1e-4) > LEVEL, "no noise somewhere"
    alike = flat @ flat.T / np.sqrt(flat.shape[1])
    np.fill_diagonal(alike, 0)
    assert 2 * stats.norm.sf(abs(alike).max()) * alike.size > LEVEL, "two steps or models share their noise"
    assert len(np.unique(flat)) > 0.99 * flat.size


@pytest.mark.one_in(3)
@each_path
def test_another_fit_gets_other_noise(path, tmp_path, monkeypatch):
    one, other = (noise(path, tmp_path, monkeypatch, 4) for _ in range(2))
    alike = (one * other).sum() / np.sqrt(one.size)
    assert 2 * stats.norm.sf(abs(alike)) > LEVEL
    assert np.isin(one, other).mean() < 0.01  # single numbers of single precision may meet


@pytest.mark.one_in(3)
@each_path
def test_all_noise_and_samples_are_the_operating_systems_bits(path, tmp_path, monkeypatch):
    """A generator that is seeded needs a few bytes; 64 bits a number cannot come out of a few bytes."""
    taken, plain = [0], os.urandom

    def counted(n):
        taken[0] += n
        return plain(n)

    monkeypatch.setattr(os, "urandom", counted)
    numbers = noise(path, tmp_path, monkeypatch, 20).size
    assert taken[0] >= 8 * (numbers + 20 * BATCH)


@pytest.mark.parametrize("labelled", [False, True])
def test_every_release_of_an_offset_fit_has_the_plans_noise(labelled, monkeypatch):
    plain, seen = _correction.noised_sum, []

    def watched(parts, shape, noise, bits):
        released = plain(parts, shape, noise, bits)
        seen.append(released.ravel() / (noise.noise_multiplier * noise.norm))
        return released

    monkeypatch.setattr(_correction, "noised_sum", watched)
    sums, shares = sums_of_joint_models(monkeypatch)
    support = {"support": ARRAY, "support_target": Y} if labelled else {}
    fits, gradients = (1, 5) if labelled else (3, 1)
    for _ in range(fits):
        table = rng.normal(size=(N, 4))
        model = OffsetFusionClassifier(DOMAINS, noise_multiplier=1e6, steps=5, **support)
        model.fit(table, (table[:, 0] > 0).astype(int))
    assert sum(e.steps for e in model.ledger_) == 5
    assert len(seen) == gradients * fits
    assert sum(shares) == pytest.approx((5 - gradients) * fits)
    are_standard_normal([*seen, *sums])


def sums_of_joint_models(monkeypatch):
    """Lists that joint models' sums go to, in deviations of what their noise is to be, and their shares."""
    plain, seen, shares = JointReleases._noised, [], []

    def watched(self, total, unit, diameter, radius, share):
        released, std = plain(self, total, unit, diameter, radius, share)
        seen.append(released.ravel() / (1e6 * diameter / 2 * unit / np.sqrt(share)))
        shares.append(share)
        return released, std

    monkeypatch.setattr(JointReleases, "_noised", watched)
    return seen, shares


def are_standard_normal(seen):
    for part in (*seen, np.concatenate(seen)):
        square = np.square(part).sum()
        p = 2 * min(stats.chi2.cdf(square, part.size), stats.chi2.sf(square, part.size))
        assert p * len(seen) > LEVEL, "not the noise of its share of the plan"
    assert len(np.unique(np.concatenate(seen))) > 0.99 * sum(part.size for part in seen)


def test_every_sum_of_a_synthesizer_has_the_noise_of_its_share(monkeypatch):
    seen, shares = sums_of_joint_models(monkeypatch)
    domains = {0: Numeric(-3, 3), 1: Numeric(-3, 3)}
    for _ in range(3):
        model = PrivateSynthesizer(domains, noise_multiplier=1e6).fit(ARRAY, Y)
    assert sum(shares) == pytest.approx(3 * sum(e.steps for e in model.ledger_))
    are_standard_normal(seen)


# What is paid --------------------------------------------------------------------------------------------


@each_path
def test_the_plan_is_paid_before_the_first_private_row_is_read(path, tmp_path, monkeypatch):
    events, plain = [], FusionDPClassifier._pay

    def paid(self, spent, *args):
        events.append([e.steps for e in spent])
        plain(self, spent, *args)

    def boom(*args, **kwargs):
        events.append("read")
        raise ZeroDivisionError

    monkeypatch.setattr(FusionDPClassifier, "_pay", paid)
    monkeypatch.setattr(PerRowEngine, "clipped_sum", boom)
    with pytest.raises(ZeroDivisionError):
        fitted(path, tmp_path, steps=5, public_epochs=0)
    before = [paid for paid in events[: events.index("read")] if paid]
    assert before == [[5] * (2 if path == "tiers" else 1)] * (3 if path == "stack" else 1)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("path", [p for p in NET_PATHS if p != "stack"])
def test_a_budget_is_charged_once_what_the_ledger_says(path, tmp_path):
    budget = PrivacyBudget(1.0, 1e-3)
    paying = {"epsilon": 0.4, "noise_multiplier": None, "delta": 1e-3, "budget": budget}
    if path == "tiers":
        paying |= {"sensitive": {0: Numeric(-3, 3, epsilon=0.2), 1: Numeric(-3, 3)}}
    model = fitted(path, tmp_path, steps=3, **paying)
    counts = model.plan_.before is not None
    assert budget.ledger.entries == model.ledger_.entries
    assert len(model.ledger_) == len(model.plan_.tiers) + counts
    model.fit(ARRAY, Y)
    assert budget.ledger.entries == model.ledger_.entries


# The number of trials --------------------------------------------------------------------------------------


def test_two_searches_do_not_run_the_same_number_of_trials(monkeypatch):
    table = pd.DataFrame(ARRAY, columns=list("abcd")).assign(sex=np.where(Y, "f", "m"))
    ran = []

    def best_of(self, how_many, *args):
        ran.append(how_many)
        raise ZeroDivisionError

    monkeypatch.setattr(PrivateRandomSearchCV, "_best_of", best_of)
    model = FusionDPClassifier({"sex": Categorical(["f", "m"])}, steps=3, public_epochs=1)
    for _ in range(25):
        with pytest.raises(ZeroDivisionError):
            PrivateRandomSearchCV(model, {"lr": [0.01]}, n_trials=8, epsilon=1.0).fit(table, Y)
    # The most likely number has a probability of 1/8: all alike once in 8**24.
    assert len(set(ran)) > 1
