"""Ways to break offset releases, searches and refits, each a small patch, and the test that catches it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.base import clone
from variants import MONKEYPATCH, SUMS, by_replay, by_test
from variants_synthesis import columns_cut_by_the_cells_themselves

from skfusiondp import FoundationImputer
from skfusiondp.estimators.fusion import _fusion_base as fusion_base
from skfusiondp.estimators.fusion._count import with_knots
from skfusiondp.estimators.fusion._fusion_base import BaseFusionDP as base_of_fusion
from skfusiondp.estimators.joint._counted_cells import CountedCells
from skfusiondp.estimators.offset import _correction as correction
from skfusiondp.estimators.offset import _offset_base as base
from skfusiondp.estimators.offset._drawn_cells import DrawnCells
from skfusiondp.estimators.offset._indicator_rows import IndicatorRows
from skfusiondp.model_selection import _scores
from skfusiondp.preprocessing import PrivateStandardScaler
from skfusiondp.preprocessing import _private_transformer as _private
from skfusiondp.privacy import PrivatePlan
from skfusiondp.privacy import _noised_sums as sums
from skfusiondp.privacy._random_bits import RandomBits
from skfusiondp.privacy._selection import Repetitions
from skfusiondp.training import PerRowEngine
from skfusiondp.training._process_group import Ranks


def sums_in_floating_point(patch):
    def plain(parts, shape, noise, bits):
        total = sum(np.asarray(features.T @ factors) for features, factors in parts) * sums._FEATURE
        return total + noise.noise_multiplier * noise.norm * bits.normal(total.size).reshape(total.shape)

    patch.setattr(sums, "noised_sum", plain)


def rounded_away_from_zero(patch):
    def longer(values, unit):
        return (np.sign(values) * np.ceil(np.abs(np.nan_to_num(values)) / unit)).astype(np.int64)

    patch.setattr(sums, "_rounded", longer)
    patch.setattr(sums, "whole_factors", lambda factors: longer(factors, sums._FACTOR))


def offset_noise_of_32_bits(patch):
    known = np.random.default_rng(0)
    patch.setattr(
        base, "RandomBits", lambda seed: RandomBits(int(known.integers(2**32)) if seed is None else seed)
    )


def public_models_not_copied(patch):
    patch.setattr(base, "own", clone)


def a_stop_pays_for_what_ran(patch):
    plain = base.BaseOffsetFusion._correct

    def stopping(self, *args):
        try:
            return plain(self, *args)
        finally:
            (*before, _) = self.ledger_.entries
            own = self.plan_.ledger(self.steps_run_, source="a stop")
            self.ledger_ = type(own)((*before, *own.entries))

    patch.setattr(base.BaseOffsetFusion, "_correct", stopping)


def counts_with_a_share_of_the_noise(share):
    def less(patch):
        plain = correction.release_noise

        def noise_of(plan, loss, n_rows):
            noise = plain(plan, loss, n_rows)
            if loss is not correction.COUNTS:
                return noise
            return replace(noise, noise_multiplier=share * noise.noise_multiplier)

        patch.setattr(correction, "release_noise", noise_of)

    return less


def counts_accounted_at_half_their_sensitivity(patch):
    plain = correction.Loss.noise_unit
    patch.setattr(correction.Loss, "noise_unit", lambda self, *args: plain(self, *args) / 2)


def a_fusion_count_that_nobody_pays_for(patch):
    patch.setattr(PrivatePlan, "ledger", lambda self, steps, source="": _ledger(_alone(self), steps, source))


def _alone(plan):
    return replace(plan, before=None)


_ledger = PrivatePlan.ledger


def a_fusion_count_before_payment(patch):
    def fit(self, job, seeds):
        found = _fit_encoder(self, job, seeds)
        if self.plan_ is not None and self.plan_.before is not None:
            self._cut(job, seeds, Ranks())
        return found

    patch.setattr(base_of_fusion, "_fit_encoder", fit)


_fit_encoder = base_of_fusion._fit_encoder


def a_start_by_true_cells(patch):
    def true_cells(source):
        def encoded(public, rows):
            cells = source.table.take(rows, source.schema.sensitive)
            return {c: d.encode(cells[c]) for c, d in source.schema.domains.items()}

        return encoded

    patch.setattr(fusion_base, "imputed_cells", true_cells)


def exact_counts(cells, table):
    counts = cells.features(table.sample(tuple(cells.domains))).matrix().sum(axis=0)
    return np.asarray(counts).ravel()


def knots_by_the_cells_themselves(patch):
    def cut(self, job, seeds, ranks):
        after = _cut(self, job, seeds, ranks)
        cells = CountedCells({c: job.schema.domains[c] for c in self.plan_.before.tiers[0].columns})
        cells.learn(exact_counts(cells, job.table))
        self.schema_ = with_knots(job.schema, cells)
        return replace(after, schema=self.schema_, source=replace(after.source, schema=self.schema_))

    patch.setattr(base_of_fusion, "_cut", cut)


_cut = base_of_fusion._cut


def a_release_more_than_planned(patch):
    plain = correction.Releases.__init__

    def made(self, *args):
        plain(self, *args)
        self.left += 1

    patch.setattr(correction.Releases, "__init__", made)


def a_posterior_of_an_unreleased_sum(patch):
    plain = base.posterior_coefficients

    def peeking(gradient, *args):
        held = [cell.cell_contents for cell in gradient.__closure__]
        (rows,) = [h for h in held if isinstance(h, IndicatorRows)]
        exact = sum(p.features.matrix().T @ (p.offset - p.target) for p in rows.pieces())
        return plain(gradient, *args) - 1e-3 * exact

    patch.setattr(base, "posterior_coefficients", peeking)


def trees_of_true_cells(patch):
    release = DrawnCells.release

    def kept(self, domains, support, cells, *args):
        release(self, domains, support, cells, *args)
        self.true = cells

    patch.setattr(DrawnCells, "release", kept)
    patch.setattr(DrawnCells, "__call__", lambda self, rows: self.true.iloc[rows].reset_index(drop=True))


def gradients_of_rows_that_are_not_kept(patch):
    plain = base.read_pieces

    def all_rows(table, columns, kept, *args):
        return plain(table, columns, np.ones_like(kept), *args)

    patch.setattr(base, "read_pieces", all_rows)


def a_joint_model_of_all_steps_beside_gradients(patch):
    plain = base.JointReleases
    patch.setattr(base, "JointReleases", lambda plan, bits, started, steps: plain(plan, bits, started))


def half_of_a_refit_stays(patch):
    patch.setattr(base.BaseOffsetFusion, "fit", base.BaseOffsetFusion.fit.__wrapped__)


def half_of_a_transformers_refit_stays(patch):
    transformer = _private.PrivateTransformer
    patch.setattr(transformer, "fit", transformer.fit.__wrapped__)


def trials_from_a_constant_seed(patch):
    plain = Repetitions.draw
    patch.setattr(Repetitions, "draw", lambda self, bits: plain(self, RandomBits(0)))


def all_rows_for_a_scorer(patch):
    def together(scoring, model, X, y, unscored):
        return np.broadcast_to(np.asarray(scoring(model, X, y), dtype=float), (len(y),))

    patch.setattr(_scores, "_one_by_one", together)


def a_scorer_that_remembers(patch):
    class NoCopies:
        deepcopy = staticmethod(lambda given: given)

    patch.setattr(_scores, "copy", NoCopies)


def missing_cells_in_the_hybrid_view(patch):
    plain = FoundationImputer._pair

    def pair(self, frame, positions=None):
        paired = plain(self, frame, positions)
        return replace(paired, hybrid=paired.hybrid.where(paired.original.notna()))

    patch.setattr(FoundationImputer, "_pair", pair)
    patch.setattr(_scores, "_blank", lambda X, frame, sensitive: frame)


def erased_taken_for_missing(patch):
    plain = PerRowEngine.clipped_sum

    def missing(self, views, y, weight):
        views = views.clone()
        equal = (views[0] == views[1]).flatten(1).all(1)
        views[0, equal] = 0.0
        return plain(self, views, y, weight)

    patch.setattr(PerRowEngine, "clipped_sum", missing)


def reach_of_a_number_alone(patch):
    patch.setattr(PrivateStandardScaler, "_reach", 1.0)


_OFFSET, _SUMS = "estimators/offset/test_offset.py", "privacy/test_noised_sums.py"
_CORRECTION, _LOCATED = "estimators/offset/test_correction.py", "estimators/joint/test_counted_cells.py"
_FUSION_COUNT = "estimators/fusion/test_count.py"
_COUNTED = "test_a_count_has_the_noise_of_its_own_sensitivity_and_neither_more_nor_less"
_SAME = "test_all_but_the_released_sums_is_bitwise_the_same_whatever_sensitive_cells_are"
_SEARCH, _STEPS = (
    "model_selection/test_private_random_search_cv.py",
    "preprocessing/test_private_transformer.py",
)
_ERASED = "test_an_erased_row_adds_nothing_in_a_step_and_nothing_in_the_model_behind_it"
_ONE_ROW = "test_one_row_moves_a_paid_score_by_its_own_share_whatever_the_scorer"

VARIANTS_OFFSET = [
    by_test(
        "offset sums in floating point",
        sums_in_floating_point,
        _SUMS,
        "test_a_release_is_exact_in_any_order_and_no_low_bit_tells_the_rows",
    ),
    by_test(
        "offset rows rounded away from zero",
        rounded_away_from_zero,
        _SUMS,
        "test_no_row_is_longer_than_the_bound_whatever_rounding_did_to_it",
        *([0.6, 0.8], 1.0, [0.3], 1.0),
    ),
    by_test(
        "offset noise from 32 bits",
        offset_noise_of_32_bits,
        _OFFSET,
        "test_every_number_of_the_noise_comes_from_the_operating_system",
        *({}, MONKEYPATCH),
    ),
    *(
        by_test(
            f"FusionDP counts {words}",
            counts_with_a_share_of_the_noise(share),
            _LOCATED,
            _COUNTED,
            *("replace", 2**-0.5),
        )
        for words, share in (("without noise", 0.0), ("with half of the noise", 0.5))
    ),
    by_replay("a replayed FusionDP count without noise", counts_with_a_share_of_the_noise(0.0), "noise"),
    by_replay(
        "FusionDP counts accounted at half of their sensitivity",
        counts_accounted_at_half_their_sensitivity,
        SUMS,
        adjacency="zero-out",
    ),
    by_replay("a FusionDP count more than planned", a_fusion_count_before_payment, "ledger"),
    by_test(
        "a FusionDP count that nobody pays for",
        a_fusion_count_that_nobody_pays_for,
        _FUSION_COUNT,
        "test_the_ledger_holds_the_count_that_ran_and_all_steps",
        *("feature-dp", {}, "replace"),
    ),
    by_test(
        "a FusionDP count before it is paid for",
        a_fusion_count_before_payment,
        _FUSION_COUNT,
        "test_what_is_refused_is_refused_before_the_count",
    ),
    by_test(
        "FusionDP knots cut by the cells themselves",
        knots_by_the_cells_themselves,
        _FUSION_COUNT,
        "test_given_the_counts_all_that_is_free_is_the_same_whatever_sensitive_cells_are",
        "feature-dp",
    ),
    by_test(
        "a start learnt from true cells in place of imputed ones",
        a_start_by_true_cells,
        "estimators/fusion/test_imputed_start.py",
        "test_of_fusiondp_too_no_training_cell_moves_it",
    ),
    by_test(
        "an offset release more than planned",
        a_release_more_than_planned,
        _CORRECTION,
        "test_each_release_has_the_noise_of_the_plan_and_none_follows_the_last",
        *("binary", 2**0.5, MONKEYPATCH),
    ),
    by_test(
        "an offset posterior of an unreleased sum",
        a_posterior_of_an_unreleased_sum,
        _OFFSET,
        _SAME,
        *({}, MONKEYPATCH),
    ),
    by_test(
        "offset parts cut by the cells themselves",
        columns_cut_by_the_cells_themselves,
        _OFFSET,
        _SAME,
        *({}, MONKEYPATCH),
    ),
    by_test(
        "offset trees learnt from true cells in place of drawn ones",
        trees_of_true_cells,
        _OFFSET,
        _SAME,
        *({}, MONKEYPATCH),
    ),
    by_test(
        "an offset gradient over rows that are not kept",
        gradients_of_rows_that_are_not_kept,
        "test_units_in_fits.py",
        "test_rows_beyond_the_bound_are_in_no_private_branch",
        *("offset", MONKEYPATCH),
    ),
    by_test(
        "an offset joint model that spends the gradients' releases too",
        a_joint_model_of_all_steps_beside_gradients,
        _OFFSET,
        "test_a_joint_model_has_two_thirds_of_the_releases_where_no_labelled_row_shows_cells",
        *({}, 3, 1, MONKEYPATCH),
    ),
    by_test(
        "a frozen public model shared with the user",
        public_models_not_copied,
        _OFFSET,
        "test_a_frozen_public_model_is_not_shared",
    ),
    by_test(
        "a stopped offset fit pays for what ran",
        a_stop_pays_for_what_ran,
        _OFFSET,
        "test_a_fit_that_began_its_releases_pays_for_its_plan",
        *(MONKEYPATCH, lambda m: RuntimeError),
    ),
    by_test(
        "half of an interrupted offset refit stays",
        half_of_a_refit_stays,
        _OFFSET,
        "test_a_refit_that_does_not_end_leaves_the_old_model_and_its_new_cost",
        *(MONKEYPATCH, lambda m: KeyboardInterrupt, 1),
    ),
    by_test(
        "half of an interrupted transformer's refit stays",
        half_of_a_transformers_refit_stays,
        _STEPS,
        "test_a_refit_that_does_not_end_leaves_the_old_one_and_its_new_cost",
        *(lambda m: m.ALL[1], lambda m: KeyboardInterrupt, "_learn", MONKEYPATCH),
    ),
    by_test(
        "the number of trials from a constant seed",
        trials_from_a_constant_seed,
        _SEARCH,
        "test_the_number_of_trials_has_the_stated_distribution_and_no_other",
        True,
    ),
    by_test("a scorer that sees all rows", all_rows_for_a_scorer, _SEARCH, _ONE_ROW, "table", 1, 0),
    by_test("a scorer that remembers rows", a_scorer_that_remembers, _SEARCH, _ONE_ROW, "memory", 1, 0),
    by_test(
        "missing true cells in the hybrid score",
        missing_cells_in_the_hybrid_view,
        _SEARCH,
        "test_the_hybrid_score_tells_nothing_by_types_or_missing_cells",
        *(lambda m: m.table.__wrapped__(), lambda m: m.target.__wrapped__(m.table.__wrapped__()), "pandas"),
    ),
    by_test("an erased row taken for a missing one", erased_taken_for_missing, _STEPS, _ERASED),
    by_test("a step's reach of one number, where it adds three", reach_of_a_number_alone, _STEPS, _ERASED),
]
