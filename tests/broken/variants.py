"""Ways to break the guarantee, each a small patch of the sound library, and what has to catch it."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    Numeric,
    PrivacyBudget,
)
from skfusiondp.accounting import check_pipeline
from skfusiondp.audit import audit_attribute, replay
from skfusiondp.privacy import Clipping, PrivatePlan, _calibration, _composed_mechanisms, relation
from skfusiondp.privacy._noise import GaussianNoise
from skfusiondp.privacy._random_bits import RandomBits
from skfusiondp.privacy._sampling import PoissonSampler
from skfusiondp.training import PerRowEngine, TwoViewObjective
from skfusiondp.training._batches import PrivateSample, Rows, TrainingRows
from skfusiondp.training._dropout import shared_dropout

TESTS = Path(__file__).parents[1]

# The table of the replays: two neighbours that differ in one row ---------------------------------

rng = np.random.default_rng(0)
N, ROW = 160, 7
lab = rng.normal(size=N + 60)
table = pd.DataFrame(
    {
        "lab": lab,
        "ward": rng.choice(["north", "south"], N + 60),
        "age": np.clip(45 + 15 * lab + rng.normal(scale=5, size=N + 60), 10, 80),
        "sex": rng.choice(["f", "m"], N + 60),
    }
)
X, SUPPORT = table[:N].reset_index(drop=True), table[N:].reset_index(drop=True)
y = (X["lab"] + (X["sex"] == "f") + rng.normal(size=N) > 0.5).to_numpy().astype(int)
NEIGHBOUR = X.copy()
NEIGHBOUR.loc[ROW, ["age", "sex"]] = [99.0, "m" if X.loc[ROW, "sex"] == "f" else "f"]
ONLY_AGE = X.copy()
ONLY_AGE.loc[ROW, "age"] = 99.0
DOMAINS = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}
TIERS = {"age": Numeric(0, 100, epsilon=0.5), "sex": Categorical(["f", "m"])}


def model(**parameters):
    backend = {"age": LinearRegression(), "sex": LogisticRegression()}
    settings = {
        "imputer": FoundationImputer(support=SUPPORT, backend=backend),
        "epsilon": 2.0,
        "batch_size": 20,
        "steps": 12,
        "public_epochs": 1,
        "module__hidden": (8,),
    }
    return FusionDPClassifier(parameters.pop("sensitive", DOMAINS), **{**settings, **parameters})


# What catches: each raises AssertionError where the guarantee is broken ---------------------------


def replayed(part, neighbour=NEIGHBOUR, **parameters):
    """One check of a replay on two neighbours, for the module's own choice of parameters and for all."""

    def check(monkeypatch):
        for private in (None, ["*"]):
            report = replay(model(**{"private_parameters": private, **parameters}), X, neighbour, y)
            assert part not in report.failed, str(report)

    return check


@cache
def _module(file):
    spec = importlib.util.spec_from_file_location("checked_" + file.replace("/", "_")[:-3], TESTS / file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def existing(file, name, *args):
    """A test of the suite, run with these arguments; a callable makes its argument from the test's module."""

    def check(monkeypatch):
        module = _module(file)
        made = [a(module) if callable(a) else monkeypatch if a is MONKEYPATCH else a for a in args]
        test = getattr(module, name)
        test = test.hypothesis.inner_test if args and hasattr(test, "hypothesis") else test
        test(*made)

    return check


MONKEYPATCH = "the monkeypatch fixture"


def included(module):
    """What test_sampling's fixture draws."""
    sampler = PoissonSampler(module.N, module.Q, RandomBits(0))
    drawn = np.zeros((module.DRAWS, module.N), dtype=bool)
    for step in drawn:
        step[sampler.draw()] = True
    return drawn


def audited(monkeypatch):
    data = np.random.default_rng(0).normal(size=(3000, 4))
    target = (data[:, 0] + data[:, 1] > 0).astype(int)
    fit = FusionDPClassifier({0: Numeric(-3, 3)}, method="feature-dp", epochs=2, epsilon=2.0, random_state=0)
    assert audit_attribute(fit, data, target, random_state=0).consistent


steps_before = []  # a variant puts the steps of a leaky pipeline here


def checked(monkeypatch):
    found = check_pipeline(make_pipeline(*steps_before, model()), sensitive=DOMAINS)
    assert not list(found.findings), str(found)


def a_refit_adds_up(monkeypatch):
    fit = model(random_state=0).fit(X, y)
    once = fit.epsilon_
    assert fit.fit(X, y).ledger_.entries == 2 * fit.planned_ledger(len(X)).entries and fit.epsilon_ > once


# How it is broken ----------------------------------------------------------------------------------


def noise_of_the_realised_batch(patch):
    plain, add, seen = PerRowEngine.clipped_sum, GaussianNoise.add_to, {}

    def counting(self, views, y, weight):
        seen["share"] = views.shape[1] / 8
        return plain(self, views, y, weight)

    patch.setattr(PerRowEngine, "clipped_sum", counting)
    patch.setattr(GaussianNoise, "add_to", lambda self, g: g + seen["share"] * (add(self, g) - g))


def _accounted(patch, change):
    """`change` turns the mechanisms that are accounted for, and their relation, into others."""
    forget_computed_epsilons()
    plain = _composed_mechanisms._costliest

    def broken(mechanisms, under, unsampled, composed):
        changed = [change(m, under) for m in mechanisms]
        return plain(tuple(m for m, _ in changed), changed[0][1], unsampled, composed)

    patch.setattr(_composed_mechanisms, "_costliest", broken)


def forget_computed_epsilons():
    for cached in (_composed_mechanisms.epsilon_of, _composed_mechanisms.delta_of, _calibration.calibrate):
        cached.cache_clear()


def two_c_forgotten(patch):
    _accounted(patch, lambda m, a: (m, relation("zero-out")))


def rate_squared(patch):
    _accounted(patch, lambda m, a: (m._replace(sample_rate=m.sample_rate**2), a))


def no_noise_on_nothing(patch):
    add = GaussianNoise.add_to
    patch.setattr(GaussianNoise, "add_to", lambda self, g: add(self, g) if g.any() else g)


def a_mask_for_each_view(patch):
    def own(shape):
        return torch.rand(shape, generator=torch.Generator().manual_seed(0))

    patch.setattr(
        "skfusiondp.training._per_row_engine.shared_dropout",
        lambda module, n, uniform: shared_dropout(module, 1, own),
    )


def clipping_after_averaging(patch):
    plain = PerRowEngine.clipped_sum
    patch.setattr(Clipping, "factors", lambda self, squares: torch.ones_like(squares))

    def late(self, views, y, weight):
        total, rows = plain(self, views, y, weight), max(views.shape[1], 1)
        mean = torch.cat([t.flatten() for t in total.values()]).norm() / rows
        factor = (self.clipping.max_grad_norm / mean).clamp(max=1.0)
        return {n: t * factor for n, t in total.items()}

    patch.setattr(PerRowEngine, "clipped_sum", late)


def each_view_clipped_on_its_own(patch):
    plain = PerRowEngine.clipped_sum

    def twice(self, views, y, weight):
        if len(views) == 1:
            return plain(self, views, y, weight)
        true, free = (plain(self, views[i : i + 1], y, weight) for i in (0, 1))
        return {n: true[n] - free[n] for n in true}

    patch.setattr(PerRowEngine, "clipped_sum", twice)


def divided_by_the_realised_batch(patch):
    plain, seen = PrivateSample.__init__, {}

    def counting(self, rows, index, tier=0):
        seen["n"] = len(index)
        plain(self, rows, index, tier)

    patch.setattr(PrivateSample, "__init__", counting)
    patch.setattr(PrivatePlan, "expected_batch_size", property(lambda self: max(seen.get("n", 1), 1)))


def shuffled_batches(patch):
    def draw(self):
        size = round(self.n_rows * self.sample_rate)
        order = getattr(self, "_order", np.empty(0, dtype=int))
        if len(order) < size:
            order = self._bits.generator().permutation(self.n_rows)
        self._order = order[size:]
        return order[:size]

    patch.setattr(PoissonSampler, "draw", draw)


def rows_drawn_twice(patch):
    once = PoissonSampler.draw
    patch.setattr(PoissonSampler, "draw", lambda self: np.union1d(once(self), once(self)))


def a_step_not_counted(patch):
    ledger = PrivatePlan.ledger
    patch.setattr(PrivatePlan, "ledger", lambda self, steps, source="": ledger(self, steps - 1, source))


def nan_rows_kept(patch):
    plain = PerRowEngine._factors

    def all_fine(self, norms, views):
        factors, finite = plain(self, norms, views)
        return factors, torch.ones_like(finite)

    patch.setattr(PerRowEngine, "_factors", all_fine)


def bound_from_data(patch):
    def bounded(self, h):
        norm = h.norm(dim=1, keepdim=True)
        bound = norm.detach().max()  # of this batch's true rows, un-noised
        return h / bound.clamp(min=1e-6)

    patch.setattr(TwoViewObjective, "_bounded", bounded)


def imputer_fitted_on_training_cells(patch):
    plain = FusionDPClassifier._fit_table

    def peeking(self, *args):
        source = plain(self, *args)
        imputer = clone(source.imputer).set_params(support=source.table.frame)
        return replace(source, imputer=imputer._fit_schema(source.schema))

    patch.setattr(FusionDPClassifier, "_fit_table", peeking)


def the_same_noise_each_step(patch):
    add = GaussianNoise.add_to

    def reseeded(self, gradient):
        self._bits = RandomBits(0)
        return add(self, gradient)

    patch.setattr(GaussianNoise, "add_to", reseeded)


def encoder_fitted_on_sensitive_cells(patch):
    plain = Numeric.encode

    def scaled(self, values):
        cells = self.clean(values)
        reach = np.nanmax(cells) - np.nanmin(cells) or 1.0
        return plain(self, self.low + (cells - np.nanmin(cells)) / reach * (self.high - self.low))

    patch.setattr(Numeric, "encode", scaled)


def means_of_true_cells(patch):
    patch.setattr(TrainingRows, "free_means", lambda self: self.views[0].mean(dim=0).numpy())


def a_tier_without_noise(patch):
    made = GaussianNoise.__init__
    count = [0]

    def every_other(self, std, unit, bits=None):
        count[0] += 1
        made(self, std * (count[0] % 2), unit, bits)

    patch.setattr(GaussianNoise, "__init__", every_other)


def every_tier_reads_all(patch):
    def all_true(self, index, tier=0):
        rows = torch.from_numpy(index)
        return Rows(torch.stack([v[rows] for v in self.views]), self.y[rows], self.weight[rows])

    patch.setattr(TrainingRows, "private_rows", all_true)


def ledger_forgotten_on_refit(patch):
    plain = FusionDPClassifier.fit

    def afresh(self, X, y):
        vars(self).pop("ledger_", None)
        return plain(self, X, y)

    patch.setattr(FusionDPClassifier, "fit", afresh)


def budget_forgets(patch):
    @contextlib.contextmanager
    def spending(self, planned):
        yield lambda spent=None: None

    patch.setattr(PrivacyBudget, "spending", spending)


class FollowsScore(Callback):
    """A learning rate that follows what the data set shows."""

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        shown = torch.stack([dataset_train[i][0] for i in range(len(dataset_train))])
        for group in net.optimizer_.param_groups:
            group["lr"] *= 1 + 0.1 * float(shown.mean())


def validation_on_true_rows(patch):
    patch.setattr(TrainingRows, "__getitem__", lambda self, i: (self.views[0][i], self.y[i]))


def a_tenth_of_the_noise(patch):
    add = GaussianNoise.add_to
    patch.setattr(GaussianNoise, "add_to", lambda self, g: g + 0.1 * (add(self, g) - g))


def no_clipping(patch):
    patch.setattr(Clipping, "factors", lambda self, squares: torch.ones_like(squares))


def noise_that_others_know(patch):
    made = GaussianNoise.__init__

    def seeded(self, std, unit, bits):
        made(self, std, unit, RandomBits(torch.initial_seed()) if bits.secret else bits)

    patch.setattr(GaussianNoise, "__init__", seeded)


def scaler_before(patch):
    patch.setattr("variants.steps_before", [StandardScaler().set_output(transform="pandas")])


def plain_imputer_before(patch):
    step = SimpleImputer(strategy="most_frequent").set_output(transform="pandas")
    patch.setattr("variants.steps_before", [step])


# The table ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Variant:
    """A broken library: its name, how it is broken, what catches it (as docs/broken_variants.md says)."""

    name: str
    apply: Callable
    caught_by: str
    check: Callable


def by_test(name, apply, file, test, *args):
    return Variant(name, apply, f"tests/{file}::{test}", existing(file, test, *args))


def by_replay(name, apply, part, **kwargs):
    return Variant(name, apply, f"replay: {part}", replayed(part, **kwargs))


SUMS = "sums before noise"
AFTER = "everything after the releases"
_NET, _ENGINE, _ACCOUNTANT = (
    "training/test_net.py",
    "training/test_per_row_engine.py",
    "privacy/test_accountant.py",
)
_SAMPLING = "privacy/test_sampling.py"

VARIANTS = [
    by_test(
        "noise scaled by the realised batch",
        noise_of_the_realised_batch,
        _NET,
        "test_noise_does_not_depend_on_the_realised_batch",
        40,
        MONKEYPATCH,
    ),
    by_test(
        "2C forgotten",
        two_c_forgotten,
        _ACCOUNTANT,
        "test_without_sampling_it_is_the_gaussian_mechanism",
        *("replace", 2, 4.0, 1, 0.5),
    ),
    by_test(
        "empty batch without noise",
        no_noise_on_nothing,
        _NET,
        "test_noise_does_not_depend_on_the_realised_batch",
        0,
        MONKEYPATCH,
    ),
    by_test(
        "dropout masks not shared by the views",
        a_mask_for_each_view,
        _ENGINE,
        "test_views_of_a_row_share_dropout_masks",
        lambda m: m.with_dropout,
    ),
    by_replay("clipping after averaging", clipping_after_averaging, SUMS, max_grad_norm=0.05),
    by_test(
        "each view clipped on its own",
        each_view_clipped_on_its_own,
        _ENGINE,
        "test_one_row_never_adds_more_than_c",
        *(1, "mlp", "flat", 30.0, 8.0, 0.0, 1e-3),
    ),
    by_test(
        "sum divided by the realised batch",
        divided_by_the_realised_batch,
        _NET,
        "test_divides_by_the_expected_batch_size",
        31,
        MONKEYPATCH,
    ),
    Variant("scaler fitted on sensitive cells", scaler_before, "check_pipeline", checked),
    Variant("imputer step fitted on sensitive cells", plain_imputer_before, "check_pipeline", checked),
    by_replay("validation on true rows", validation_on_true_rows, AFTER, callbacks=[FollowsScore()]),
    by_test(
        "sampling rate squared in the accounting",
        rate_squared,
        _ACCOUNTANT,
        "test_one_sampled_step",
        *("replace", 0.6, 0.3, 0.1),
    ),
    by_test(
        "shuffled batches accounted as Poisson samples",
        shuffled_batches,
        _SAMPLING,
        "test_batch_sizes_are_binomial_and_not_fixed",
        included,
    ),
    by_test(
        "rows drawn twice, accounted once",
        rows_drawn_twice,
        _SAMPLING,
        "test_each_row_is_included_at_the_rate",
        included,
    ),
    by_replay("a step missing in the ledger", a_step_not_counted, "ledger"),
    by_test(
        "rows without a finite gradient kept",
        nan_rows_kept,
        _ENGINE,
        "test_a_row_without_finite_gradient_adds_zero_and_others_are_unchanged",
        float("nan"),
        0,
        "mlp",
    ),
    by_test(
        "consistency bound from data, without noise",
        bound_from_data,
        _ENGINE,
        "test_agrees_with_the_loop",
        *("mlp", 0, 7, 2, "flat", 0.8, 0.05),
    ),
    by_replay(
        "imputer that peeks at training cells",
        imputer_fitted_on_training_cells,
        "encoded rows",
        epsilon=None,
        noise_multiplier=4.0,
    ),
    by_replay("the same noise in every step", the_same_noise_each_step, "noise"),
    by_test(
        "noise from a random stream that others know",
        noise_that_others_know,
        "privacy/test_noise.py",
        "test_a_seed_repeats_and_none_does_not",
    ),
    by_replay("encoder fitted on sensitive cells", encoder_fitted_on_sensitive_cells, "encoded rows"),
    by_replay("module centred by true cells", means_of_true_cells, "before each private gradient"),
    by_replay("a column budget's tier without noise", a_tier_without_noise, "noise", sensitive=TIERS),
    by_replay(
        "a tier that reads the columns after it",
        every_tier_reads_all,
        SUMS,
        sensitive=TIERS,
        neighbour=ONLY_AGE,
    ),
    Variant(
        "ledger forgotten on a refit",
        ledger_forgotten_on_refit,
        "tests/broken/variants.py::a_refit_adds_up",
        a_refit_adds_up,
    ),
    by_test(
        "budget that forgets what was spent",
        budget_forgets,
        "privacy/test_budget.py",
        "test_spends_until_the_next_fit_would_overdraw",
    ),
    Variant("a tenth of the noise", a_tenth_of_the_noise, "audit_attribute", audited),
    Variant("no clipping", no_clipping, "audit_attribute", audited),
]
