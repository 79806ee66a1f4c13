"""Ways to break noise, state and payment of a fit."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from variants import Variant, X, by_test, model, y

from skfusiondp import FusionDPClassifier, PrivacyLedger
from skfusiondp._spender import Spender
from skfusiondp.privacy import _clipping, _noise
from skfusiondp.privacy._random_bits import RandomBits
from skfusiondp.training import Throwaway
from skfusiondp.training import _module_checks as _checks
from skfusiondp.training._net import FusionDPNet


class StopsAtThree(Callback):
    """An impatient user, or a program that fails."""

    def __init__(self, error=KeyboardInterrupt):
        self.error, self.steps = error, 0

    def on_grad_computed(self, net, **kwargs):
        if net.private_steps_ == 3:
            raise self.error


def a_stopped_fit_pays_its_plan(monkeypatch):
    fit = model(callbacks=[StopsAtThree()]).fit(X, y)
    assert fit.net_.private_steps_ == 3 and [e.steps for e in fit.ledger_][-1] == 12


def a_failed_refit_raises_epsilon(monkeypatch):
    fit = model().fit(X, y)
    try:
        fit.set_params(callbacks=[StopsAtThree(ZeroDivisionError)]).fit(X, y)
    except ZeroDivisionError:
        assert fit.epsilon_ == fit.ledger_.epsilon(fit.delta_)
        assert fit.ledger_.entries == 2 * fit.planned_ledger(len(X)).entries


def noise_without_a_grid(patch):
    def plain(self, total):
        return total + self.std * torch.from_numpy(self._bits.normal(total.numel())).reshape(total.shape)

    patch.setattr(_noise.GaussianNoise, "add_to", plain)


def rounding_for_free(patch):
    patch.setattr(_noise, "widened", lambda norm, *facts: norm)


def uniform_numbers_of_one_word(patch):
    patch.setattr(RandomBits, "uniform", lambda self, n: (self.words(n).astype(float) + 0.5) * 2.0**-64)


def normal_numbers_in_single_precision(patch):
    plain = RandomBits.normal
    patch.setattr(RandomBits, "normal", lambda self, n: plain(self, n).clip(-5.77, 5.77))


def given_objects_trained(patch):
    # A method takes its names from its module when it is called.
    patch.setattr("skfusiondp.training._parts.own_copy", lambda part, given: given)


def passes_on_the_module(patch):
    patch.setattr(Throwaway, "copy", lambda self, dtype, training=True: self._module.to(dtype))


def one_copy_for_all_passes(patch):
    plain = Throwaway.__init__

    def reused(self, module):
        plain(self, module)
        self._writes_nothing = True

    patch.setattr(Throwaway, "__init__", reused)


def evaluation_mode_unchecked(patch):
    plain = _checks._check_rows_apart
    patch.setattr(_checks, "_check_rows_apart", lambda m, x, training: training and plain(m, x, training))


def traces_unseen(patch):
    patch.setattr(_checks, "traces", lambda module: "")


def every_norm_taken(patch):
    wide = dataclasses.replace(_clipping.MAX_GRAD_NORM, low=1e-300, high=1e300)
    patch.setattr(_clipping, "MAX_GRAD_NORM", wide)


def durations_kept(patch):
    patch.setattr(FusionDPNet, "_default_callbacks", NeuralNet._default_callbacks)


def steps_that_ran(patch):
    plain = FusionDPClassifier.fit

    def fit(self, X, y):
        plain(self, X, y)
        ran = self.net_.private_steps_
        self.ledger_ = PrivacyLedger(tuple(replace(e, steps=ran) for e in self.ledger_))
        return self

    patch.setattr(FusionDPClassifier, "fit", fit)


def epsilon_of_the_last_fit_that_ended(patch):
    def of_the_net(self):
        ended = self.ledger_.entries[: self.__dict__.setdefault("_ended", len(self.ledger_))]
        return PrivacyLedger(ended).epsilon(self.delta_)

    plain = FusionDPClassifier.fit

    def fit(self, X, y):
        plain(self, X, y)
        self._ended = len(self.ledger_)
        return self

    patch.setattr(FusionDPClassifier, "fit", fit)
    patch.setattr(Spender, "epsilon_", property(of_the_net))


_NOISE, _BITS, _STATE = "privacy/test_noise.py", "privacy/test_random_bits.py", "test_state.py"
_REMEMBERS = "test_a_pass_leaves_nothing_in_the_module_and_nothing_for_the_next"
_HERE = "tests/broken/variants_core.py"

VARIANTS_CORE = [
    by_test(
        "noise added to floating-point sums",
        noise_without_a_grid,
        _NOISE,
        "test_what_comes_out_lies_on_the_grid_whatever_the_sum_is",
    ),
    by_test(
        "rounding for free",
        rounding_for_free,
        _NOISE,
        "test_rounding_is_part_of_the_clipping_norm",
    ),
    by_test(
        "uniform numbers of one word",
        uniform_numbers_of_one_word,
        _BITS,
        "test_small_numbers_have_as_many_digits_as_large_ones",
    ),
    by_test(
        "tails cut at 5.77 deviations",
        normal_numbers_in_single_precision,
        _BITS,
        "test_tails_reach_thirteen_deviations_and_no_step_in_them_is_wider_than_the_grid",
    ),
    by_test(
        "a module object trained in place",
        given_objects_trained,
        _STATE,
        "test_a_module_object_is_copied_and_never_trained",
        "fusiondp",
    ),
    by_test(
        "passes over sensitive rows on the module itself",
        passes_on_the_module,
        "training/test_per_row_engine.py",
        _REMEMBERS,
        False,
    ),
    by_test(
        "one copy of a module for all passes",
        one_copy_for_all_passes,
        "training/test_per_row_engine.py",
        _REMEMBERS,
        False,
    ),
    by_test(
        "modules unchecked in evaluation mode",
        evaluation_mode_unchecked,
        "training/test_module_checks.py",
        "test_a_module_that_mixes_rows_in_evaluation_mode_is_refused",
        lambda m: lambda x: 1 + x.std(),
    ),
    by_test(
        "modules unchecked for what their copies share",
        traces_unseen,
        "training/test_module_checks.py",
        "test_a_module_that_writes_where_no_copy_can_be_thrown_away_is_refused",
        "closure",
    ),
    by_test(
        "norms that single precision cannot clip",
        every_norm_taken,
        "privacy/test_clipping.py",
        "test_refuses_a_norm_that_single_precision_cannot_clip",
        1e-25,
    ),
    by_test("durations in the history", durations_kept, _STATE, "test_the_history_has_no_durations", "model"),
    Variant(
        "a stopped fit accounted by the steps that ran",
        steps_that_ran,
        f"{_HERE}::a_stopped_fit_pays_its_plan",
        a_stopped_fit_pays_its_plan,
    ),
    Variant(
        "epsilon left behind by a failed refit",
        epsilon_of_the_last_fit_that_ended,
        f"{_HERE}::a_failed_refit_raises_epsilon",
        a_failed_refit_raises_epsilon,
    ),
]
