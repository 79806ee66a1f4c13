"""Ways to break what a path does with sound parts, and the search's, the transformers' and the disk's own."""

from __future__ import annotations

import contextlib
import copy
import importlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from skorch import NeuralNet
from variants import MONKEYPATCH, Variant, _module, by_test

from skfusiondp import FoundationImputer, PrivacyBudget
from skfusiondp._spender import Spender
from skfusiondp.estimators.offset import _correction
from skfusiondp.model_selection import (
    PrivateRandomSearchCV,
    _scores,
)
from skfusiondp.model_selection._head_stack import HeadStack
from skfusiondp.preprocessing import (
    PrivateCategories,
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
)
from skfusiondp.preprocessing import (
    _private_transformer as _private,
)
from skfusiondp.privacy._noise import GaussianNoise
from skfusiondp.privacy._random_bits import RandomBits
from skfusiondp.privacy._release import SumNoise
from skfusiondp.privacy._sampling import PoissonSampler
from skfusiondp.privacy._selection import Repetitions
from skfusiondp.training import PerRowEngine
from skfusiondp.training._batches import BatchSchedule, RepresentedRows
from skfusiondp.training._net import FusionDPNet
from skfusiondp.training._process_group import Ranks
from skfusiondp.training._throwaway import Throwaway

# What catches -------------------------------------------------------------------------------------------


def on_path(name, apply, test, path):
    """A test of every path, run on one of them."""

    def check(monkeypatch):
        with tempfile.TemporaryDirectory() as folder:
            arguments = (Path(folder),) if "budget" in test else (Path(folder), monkeypatch)
            getattr(_module("test_every_path.py"), test)(path, *arguments)

    return Variant(name, apply, f"tests/test_every_path.py::{test}[{path}]", check)


def on_bytes(name, apply, estimator, change="other values", base="usual"):
    """Two neighbours' released bytes, for one estimator."""

    def check(monkeypatch):
        module = importlib.import_module("test_released_bytes")
        with tempfile.TemporaryDirectory() as folder:
            case = module.Case(estimator, "frame", base, change)
            assert not module.difference(case, Path(folder))

    where = f"tests/test_released_bytes.py, {estimator}, {change}"
    return Variant(name, apply, where, check)


def on_use(name, apply, estimator):
    def check(monkeypatch):
        test = importlib.import_module("test_released_bytes").test_using_a_model_leaves_nothing_in_it
        with tempfile.TemporaryDirectory() as folder:
            test(estimator, Path(folder))

    where = f"tests/test_released_bytes.py::test_using_a_model_leaves_nothing_in_it[{estimator}]"
    return Variant(name, apply, where, check)


TRANSFORMERS = (PrivateQuantileTransformer, PrivateStandardScaler, PrivateCategories, PrivateSelectKBest)

SAMPLES = "test_each_step_reads_a_poisson_sample_of_its_own"
NOISE = "test_each_step_gets_the_plans_noise_once_and_afresh"
AFRESH = "test_another_fit_gets_other_noise"
BITS = "test_all_noise_and_samples_are_the_operating_systems_bits"
PAID = "test_the_plan_is_paid_before_the_first_private_row_is_read"
CHARGED = "test_a_budget_is_charged_once_what_the_ledger_says"

# Samples ------------------------------------------------------------------------------------------------


def fixed_size(self):
    size = round(self.n_rows * self.sample_rate)
    return np.sort(self._bits.generator().choice(self.n_rows, size, replace=False))


def fixed_sizes_for(kind):
    def apply(patch):
        plain = BatchSchedule.__init__

        def made(self, rows, *args, **kwargs):
            plain(self, rows, *args, **kwargs)
            if isinstance(rows, kind) if isinstance(kind, type) else rows.reader is not None:
                for sampler in self._samplers:
                    sampler.draw = fixed_size.__get__(sampler)

        patch.setattr(BatchSchedule, "__init__", made)

    return apply


def cut_to_the_shortest(patch):
    plain = HeadStack._private_gradient

    def cut(self, samples):
        return plain(self, [sample[: min(map(len, samples))] for sample in samples])

    patch.setattr(HeadStack, "_private_gradient", cut)


def one_sample_for_all_members(patch):
    plain = HeadStack._private_gradient
    patch.setattr(HeadStack, "_private_gradient", lambda self, s: plain(self, [s[0]] * len(s)))


def one_sample_for_all_tiers(patch):
    plain = BatchSchedule.draw

    def shared(self):
        public, private = plain(self)
        return public, private[:1] * len(private)

    patch.setattr(BatchSchedule, "draw", shared)


def every_sample_twice(patch):
    plain = PoissonSampler.draw

    def again(self):
        before = vars(self).pop("_last", None)
        if before is not None:
            return before
        self._last = plain(self)
        return self._last

    patch.setattr(PoissonSampler, "draw", again)


def ranks_share_their_seed(patch):
    patch.setattr(Ranks, "own_seed", lambda self, seed: seed)


# Noise ----------------------------------------------------------------------------------------------------


def seeds_of(bits):
    def apply(patch):
        made = RandomBits.__init__

        def few(self, seed=None):
            made(self, int.from_bytes(os.urandom(8), "big") % 2**bits if seed is None else seed)

        patch.setattr(RandomBits, "__init__", few)

    return apply


def a_constant_seed(patch):
    made = RandomBits.__init__
    patch.setattr(RandomBits, "__init__", lambda self, seed=None: made(self, 0 if seed is None else seed))


def noise_for_every_piece(patch):
    plain = PerRowEngine.clipped_sum

    def noisy(self, views, y, weight):
        total = plain(self, views, y, weight)
        std = getattr(self, "_noise_std", 0.0)
        return {n: t + std * torch.randn(t.shape, dtype=t.dtype) for n, t in total.items()}

    made = FusionDPNet.prepare

    def prepared(self, rows, n_outputs):
        made(self, rows, n_outputs)
        for engine, noise in getattr(self, "_tiers", []):
            engine._noise_std = noise.std
            noise.add_to = noise.rounded

    patch.setattr(PerRowEngine, "clipped_sum", noisy)
    patch.setattr(FusionDPNet, "prepare", prepared)


def no_noise_in_one_step(patch):
    add, count = GaussianNoise.add_to, [0]

    def once_without(self, total):
        count[0] += 1
        return self.rounded(total) if count[0] == 3 else add(self, total)

    patch.setattr(GaussianNoise, "add_to", once_without)


def members_share_noise(patch):
    """Each tensor's noise is drawn for the first model of a stack and used for the others too."""
    plain, kept = GaussianNoise.add_to, {}

    def shared(self, total):
        turn = kept.setdefault(id(self), 0)
        kept[id(self)] = turn + 1
        if (turn, total.shape) not in kept:
            kept[turn, total.shape] = plain(self, torch.zeros_like(total))
        return total + kept[turn, total.shape]

    patch.setattr(GaussianNoise, "add_to", shared)


def offset_noise_forgotten_once(patch):
    plain, count = _correction.noised_sum, [0]

    def once_without(parts, shape, noise, bits):
        count[0] += 1
        less = replace(noise, noise_multiplier=0.0) if count[0] == 1 else noise
        return plain(parts, shape, less, bits)

    patch.setattr(_correction, "noised_sum", once_without)


def sums_without_noise(patch):
    patch.setattr(SumNoise, "added_to", lambda self, total, bits: total * self.unit)


# Clipping -------------------------------------------------------------------------------------------


def half_the_norm(patch):
    plain = _private.Clipping
    patch.setattr(_private, "Clipping", lambda norm: plain(norm / 2))


def offset_sensitivity_too_small(patch):
    plain = _correction.Loss.noise_unit
    patch.setattr(_correction.Loss, "noise_unit", lambda self, *args: plain(self, *args) / 2)


def one_norm_for_all_members(patch):
    plain = HeadStack.__init__

    def made(self, nets, rows):
        plain(self, nets, rows)
        self.norms = torch.ones_like(self.norms)

    patch.setattr(HeadStack, "__init__", made)


def scores_of_more_than_one(patch):
    plain = _scores.in_units
    patch.setattr(_scores, "in_units", lambda values: plain(3 * values))


# Attributes, state, outcomes --------------------------------------------------------------------------------


def keeps(kind, of_the_total):
    """A transformer that keeps a number which it computes from cells."""

    def apply(patch):
        plain = kind._total

        def peeking(self, job):
            total = plain(self, job)
            self.kept_exactly_ = of_the_total(total, job.table.frame)
            return total

        patch.setattr(kind, "_total", peeking)

    return apply


def missing_count(total, frame):
    return int(frame.isna().to_numpy().sum())


def exact_sum(total, frame):
    return int(total[-1])


def durations_kept(patch):
    patch.setattr(FusionDPNet, "_default_callbacks", NeuralNet._default_callbacks)


def private_passes_on_the_module_itself(patch):
    plain = Throwaway.copy

    def shared(self, dtype=torch.float64, *, training=True):
        if dtype is None:  # a check on made-up rows, which would refuse the module for it
            return plain(self, dtype, training=training)
        made = copy.deepcopy(self._module).to(dtype).train(training)
        made.register_forward_hook(lambda layer, args, output: written_back(layer, self._module))
        return made

    def written_back(layer, module):
        for name in ("attention", "largest"):
            if name in vars(layer) or name in dict(layer.named_buffers()):
                setattr(module, name, getattr(layer, name).detach().float())

    patch.setattr(Throwaway, "copy", shared)
    patch.setattr(Throwaway, "forget", lambda self: None)


def masks_redrawn_where_a_row_is_lost(patch):
    plain = PerRowEngine.clipped_sum

    def again(self, views, y, weight):
        from_here = copy.deepcopy(self._masks)
        before = plain(self, views, y, weight)
        alone = [plain(self, views[:, i : i + 1], y[i : i + 1], weight[i : i + 1]) for i in range(len(y))]
        lost = [not any(t.any() for t in one.values()) for one in alone]
        self._masks = from_here
        if not any(lost):
            return plain(self, views, y, weight)
        kept = ~torch.tensor(lost)
        del before
        return plain(self, views[:, kept], y[kept], weight[kept])

    patch.setattr(PerRowEngine, "clipped_sum", again)


def sums_in_single_precision(patch):
    plain = PerRowEngine.clipped_sum

    def single(self, *rows):
        return {n: t.float().double() for n, t in plain(self, *rows).items()}

    patch.setattr(PerRowEngine, "clipped_sum", single)


def imputer_keeps_rows(patch):
    for name in ("_pair", "_impute_frame"):
        plain = getattr(FoundationImputer, name)

        def keeping(self, frame, *args, plain=plain):
            self.last_ = frame.copy()
            return plain(self, frame, *args)

        patch.setattr(FoundationImputer, name, keeping)


def net_keeps_rows(patch):
    plain = FusionDPNet.outputs

    def keeping(self, x):
        self.last_ = x
        return plain(self, x)

    patch.setattr(FusionDPNet, "outputs", keeping)


def candidate_by_true_cells(patch):
    """The search looks at training rows, for free, to choose what it reports."""
    plain = PrivateRandomSearchCV._best_of

    def peeking(self, how_many, plan, train, *rest):
        model, parameters, score = plain(self, how_many, plan, train, *rest)
        return model, parameters, score + float(train[0]["age"].max())

    patch.setattr(PrivateRandomSearchCV, "_best_of", peeking)


# What is counted and paid ---------------------------------------------------------------------------


def counted_after_it_succeeded(patch):
    plain = FusionDPNet._add_private_gradient

    def late(self, batch):
        begin, self.begin = self.begin, None
        plain(self, batch)
        if self.private_steps_ == 1 and begin is not None:
            begin()

    patch.setattr(FusionDPNet, "_add_private_gradient", late)


def stack_counted_after_it_succeeded(patch):
    step, begin = HeadStack._step, FusionDPNet.begin_private_step

    def late(self):
        patch.setattr(FusionDPNet, "begin_private_step", lambda net: None)
        losses = step(self)
        for net in self.nets:
            begin(net)
        return losses

    patch.setattr(HeadStack, "_step", late)


def pays(times):
    def apply(patch):
        plain = PrivacyBudget.spending

        @contextlib.contextmanager
        def wrong(self, planned, delta=None):
            # Room for both, so that paying twice is no overdraft that is refused.
            with plain(self, planned + planned, delta) as pay:

                def paying(ledger=None):
                    for _ in range(times):
                        pay(planned if ledger is None else ledger)

                yield paying

        patch.setattr(PrivacyBudget, "spending", wrong)

    return apply


def paid_for_the_first_fit_only(patch):
    plain = Spender._pay

    def once(self, spent, delta, adjacency):
        plain(self, type(spent)() if getattr(self, "ledger_", ()) else spent, delta, adjacency)

    patch.setattr(Spender, "_pay", once)


def trials_from_a_constant_seed(patch):
    plain = Repetitions.draw
    patch.setattr(Repetitions, "draw", lambda self, bits: plain(self, RandomBits(0)))


def trials(name, apply):
    file, test = "test_every_path.py", "test_two_searches_do_not_run_the_same_number_of_trials"
    return by_test(name, apply, file, test, MONKEYPATCH)


def transformer(kind):
    """The instance that the transformers' own tests use."""
    return lambda module: next(t for t in module.ALL if type(t) is kind)


VARIANTS_ACCEPTANCE = [
    on_path("head path: samples of one size", fixed_sizes_for(RepresentedRows), SAMPLES, "head"),
    on_path("disk path: samples of one size", fixed_sizes_for("disk"), SAMPLES, "disk"),
    on_path("stack: samples cut to the shortest", cut_to_the_shortest, SAMPLES, "stack"),
    on_path("stack: one sample for all members", one_sample_for_all_members, SAMPLES, "stack"),
    on_path("tiers: one sample for all tiers", one_sample_for_all_tiers, SAMPLES, "tiers"),
    *(
        on_path(f"{p}: every sample used twice", every_sample_twice, SAMPLES, p)
        for p in ("net", "micro-batches", "stack")
    ),
    by_test(
        "ranks: one sample's seed for all ranks",
        ranks_share_their_seed,
        "training/test_process_group.py",
        "test_seeds_of_ranks_differ_and_rates_do_not",
    ),
    *(
        on_path(f"{p}: noise from seeds of 20 bits", seeds_of(20), BITS, p)
        for p in ("head", "tiers", "stack")
    ),
    *(on_path(f"{p}: noise from seeds of 32 bits", seeds_of(32), BITS, p) for p in ("net", "disk")),
    on_path("net: the same noise in every fit", a_constant_seed, AFRESH, "net"),
    on_path("micro-batches: noise for every piece", noise_for_every_piece, NOISE, "micro-batches"),
    *(
        on_path(f"{p}: no noise in one step", no_noise_in_one_step, NOISE, p)
        for p in ("net", "head", "disk", "stack")
    ),
    on_path("stack: members share their noise", members_share_noise, NOISE, "stack"),
    *(
        by_test(
            f"{kind.__name__} without noise",
            sums_without_noise,
            "preprocessing/test_private_transformer.py",
            "test_the_noise_is_what_the_ledger_says_and_nothing_else",
            transformer(kind),
        )
        for kind in TRANSFORMERS
    ),
    *(
        by_test(
            f"{kind.__name__}: half the clipping norm",
            half_the_norm,
            "preprocessing/test_private_transformer.py",
            "test_the_norm_is_attained_so_half_the_noise_would_be_caught",
            transformer(kind),
            "replace",
        )
        for kind in TRANSFORMERS
    ),
    by_test(
        "offset: half the sensitivity",
        offset_sensitivity_too_small,
        "estimators/offset/test_correction.py",
        "test_the_sensitivity_is_reached_so_a_smaller_one_would_be_wrong",
        "binary",
    ),
    by_test(
        "stack: one norm for all members",
        one_norm_for_all_members,
        "model_selection/test_head_stack.py",
        "test_sums_are_those_of_each_nets_own_engine",
        *("flat", False, MONKEYPATCH),
    ),
    by_test(
        "search: scores above one",
        scores_of_more_than_one,
        "model_selection/test_private_random_search_cv.py",
        "test_one_row_changes_a_paid_score_by_no_more_than_its_share",
        1e9,
    ),
    by_test(
        "search: a private score without noise",
        sums_without_noise,
        "model_selection/test_private_random_search_cv.py",
        "test_a_paid_score_has_the_noise_that_was_accounted_and_no_less",
        MONKEYPATCH,
    ),
    by_test(
        "dropout masks redrawn where a row is lost",
        masks_redrawn_where_a_row_is_lost,
        "training/test_per_row_engine.py",
        "test_a_row_without_finite_gradient_leaves_the_others_their_masks",
        False,
    ),
    by_test(
        "sums in single precision",
        sums_in_single_precision,
        "training/test_per_row_engine.py",
        "test_what_a_row_adds_does_not_follow_the_batch_that_it_comes_in",
        "mlp",
    ),
    *(
        by_test(
            f"offset{', labelled support' if labelled else ''}: no noise in one step",
            offset_noise_forgotten_once,
            "test_every_path.py",
            "test_every_release_of_an_offset_fit_has_the_plans_noise",
            labelled,
            MONKEYPATCH,
        )
        for labelled in (False, True)
    ),
    on_path("net: paid after its first step succeeded", counted_after_it_succeeded, PAID, "net"),
    on_path("head: paid after its first step succeeded", counted_after_it_succeeded, PAID, "head"),
    on_path("stack: paid after its first step succeeded", stack_counted_after_it_succeeded, PAID, "stack"),
    on_path("budget that is charged twice", pays(2), CHARGED, "head"),
    on_path("budget that is never charged", pays(0), CHARGED, "net"),
    on_path("second fit that is not paid for", paid_for_the_first_fit_only, CHARGED, "micro-batches"),
    trials("search: number of trials from a constant seed", trials_from_a_constant_seed),
    on_bytes(
        "quantiles that keep the exact number of missing cells",
        keeps(PrivateQuantileTransformer, missing_count),
        "quantiles",
        "missing",
    ),
    on_bytes("scaler that keeps an exact sum", keeps(PrivateStandardScaler, exact_sum), "scaler"),
    on_bytes(
        "categories that keep an exact count",
        keeps(PrivateCategories, missing_count),
        "categories",
        "missing",
    ),
    on_bytes(
        "selector that keeps an exact count", keeps(PrivateSelectKBest, missing_count), "selector", "missing"
    ),
    on_bytes("history with durations", durations_kept, "fusion, head"),
    on_bytes(
        "module that keeps what private passes write",
        private_passes_on_the_module_itself,
        "fusion, module that remembers",
    ),
    on_bytes("search whose score reads true cells", candidate_by_true_cells, "private search, hybrid"),
    on_use("imputer that keeps the rows it imputes", imputer_keeps_rows, "imputer, domain"),
    on_use("imputer that keeps the rows it imputes for a prediction", imputer_keeps_rows, "fusion, head"),
    on_use("net that keeps the rows it predicts", net_keeps_rows, "feature-dp"),
]
