"""Ways to break the synthesizer, each a small patch, and the test that catches it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from variants import MONKEYPATCH, by_test

from skfusiondp.estimators.joint import _joint_model
from skfusiondp.estimators.joint._embedding import Embedding
from skfusiondp.estimators.joint._joint_model import JointModel
from skfusiondp.estimators.joint._releases import JointReleases


def counts_with_half_of_the_noise(patch):
    plain = JointReleases.counts

    def less(self, *args):
        sound = self._plan
        self._plan = SimpleNamespace(
            noise_multiplier=sound.noise_multiplier / 2, adjacency=sound.adjacency, steps=sound.steps
        )
        try:
            return plain(self, *args)
        finally:
            self._plan = sound

    patch.setattr(JointReleases, "counts", less)


def no_noise_in_one_sum(patch):
    plain = JointReleases._noised

    def silent(self, total, unit, *args):
        released, std = plain(self, total, unit, *args)
        # The last of them.
        return (released, std) if self.left > 1e-3 else (total * unit, std)

    patch.setattr(JointReleases, "_noised", silent)


def a_release_more_than_planned(patch):
    plain = JointReleases.__init__

    def made(self, *args):
        plain(self, *args)
        self.left, self.spent = self.left + 1, -1.0

    patch.setattr(JointReleases, "__init__", made)


def shares_that_are_not_checked(patch):
    nothing = property(lambda self: 0.0, lambda self, spent: None)
    patch.setattr(JointReleases, "spent", nothing, raising=False)


def sums_of_rows_that_are_not_kept(patch):
    plain = JointModel.fit
    patch.setattr(
        JointModel, "fit", lambda self, cells, kept, *args: plain(self, cells, np.ones_like(kept), *args)
    )


def columns_cut_by_the_cells_themselves(patch):
    plain = _joint_model.located_cells

    def located(domains, support, rows, releases):
        cells = plain(domains, support, rows, releases)
        cells.learn(np.asarray(cells.features(rows).matrix().astype(bool).sum(axis=0)).ravel())
        return cells

    patch.setattr(_joint_model, "located_cells", located)


def half_of_the_diameter(patch):
    plain = Embedding.diameter.fget
    patch.setattr(Embedding, "diameter", property(lambda self: plain(self) / 2))


_SYNTHESIZER = "estimators/synthesis/test_private_synthesizer.py"
_RELEASES = "estimators/joint/test_releases.py"

VARIANTS_SYNTHESIS = [
    by_test(
        "synthesizer: counts with half of the noise",
        counts_with_half_of_the_noise,
        _RELEASES,
        "test_pairs_and_counts_have_noise_of_their_reach",
    ),
    by_test(
        "synthesizer: no noise in one sum",
        no_noise_in_one_sum,
        "test_every_path.py",
        "test_every_sum_of_a_synthesizer_has_the_noise_of_its_share",
        MONKEYPATCH,
    ),
    by_test(
        "synthesizer: a release more than planned",
        a_release_more_than_planned,
        _RELEASES,
        "test_sums_share_out_the_steps_of_the_plan_and_no_more",
    ),
    by_test(
        "synthesizer: shares that are not checked",
        shares_that_are_not_checked,
        _RELEASES,
        "test_whatever_shares_are_asked_for_no_more_than_the_plan_is_released",
        *([3.0, 3.0], "replace", 1.0),
    ),
    by_test(
        "synthesizer: half the diameter",
        half_of_the_diameter,
        _SYNTHESIZER,
        "test_one_row_moves_every_sum_of_a_fit_by_no_more_than_it_is_noised_for",
        *(MONKEYPATCH, None),
    ),
    by_test(
        "synthesizer: sums of rows that are not kept",
        sums_of_rows_that_are_not_kept,
        _SYNTHESIZER,
        "test_rows_of_a_unit_beyond_its_bound_are_not_read_and_the_others_cost_more",
    ),
    by_test(
        "synthesizer: columns cut by the cells themselves",
        columns_cut_by_the_cells_themselves,
        _SYNTHESIZER,
        "test_all_but_the_released_sums_is_bitwise_the_same_whatever_sensitive_cells_are",
        *(MONKEYPATCH, None, lambda m: m.y, None),
    ),
]
