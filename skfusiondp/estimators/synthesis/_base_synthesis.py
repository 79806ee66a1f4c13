"""What synthesizer and synthesized models share: one plan of releases, and draws from the model they give."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ..._contents import clear_padding
from ..._parameters import Constraint, Rule, constraints
from ..._privacy_parameters import EPSILON_OR_NOISE, PRIVACY, SUPPORT
from ..._random_state import random_generator
from ..._spender import Begin, Job, Spender
from ...accounting._called import columns_called
from ...exceptions import InvalidInputError
from ...impute._draws import uniforms_at
from ...privacy import Clipping, PrivatePlan, make_plan
from ...privacy._noised_sums import noise_of_sums
from ...privacy._random_bits import RandomBits
from ...tables._frames import as_frame, check_table
from ...tables._groups import read_units, without_column
from ...tables._public_encoder import PublicEncoder
from ...tables._repeats import repeated_rows
from ...tables._schema import resolve_schema
from ...tables._table import FrameTable
from ..fusion._public_score import PublicScore
from ..joint._joint_model import JointModel
from ..joint._label import NO_LABEL, Label
from ..joint._public_features import PublicFeatures
from ..joint._releases import JointReleases, largest_norm

# Releases of the plan, which sums share out.
STEPS = 12
_MIN_ROWS = 11
_NOT_SHOWN = (
    "cells are drawn without it: no sum shows that a sensitive column tells of it more than public ones do"
)
# `JointModel.evidence` from which on cells are drawn given the label. Chosen on eight own tables of 1,000 and
# 6,000 rows, at epsilons of .05 to 1: below it boosting on drawn tables gains .03 AUROC without the label.
_SHOWN = 0.3
# The stream of drawn labels of new rows: of no draw of a column's cells. Zeros at its end would not tell it
# from a shorter one.
_LABELS = (0, 0, 2)

SYNTHESIS = constraints(PRIVACY, support=SUPPORT)


@dataclass(frozen=True)
class SynthesisJob(Job):
    """What a fit knows before it plans.

    Parameters
    ----------
    label : Label
    support : pandas.DataFrame or None
    """

    label: Label = NO_LABEL
    support: pd.DataFrame | None = None


class BaseSynthesis(Spender):
    """A model of the sensitive columns given public ones and label, made of noised sums. Not for users."""

    _constraints: ClassVar[Mapping[str, Constraint]] = SYNTHESIS
    _rules: ClassVar[tuple[Rule, ...]] = (EPSILON_OR_NOISE,)
    # Makes the releases of a fit; an audit listens to them.
    _releases: ClassVar[Callable[..., JointReleases]] = JointReleases

    epsilon: float | None
    noise_multiplier: float | None
    support: Any
    groups: Any
    max_rows_per_unit: int | None

    def _read_label(self, y: Any, n_rows: int) -> Label:
        """The target as the model takes it."""
        raise NotImplementedError

    def _read(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> SynthesisJob:
        lookup = columns_called(self, X)
        X, units = read_units(X, self.groups, groups, self.max_rows_per_unit, self.sensitive)
        support = self._support_frame()
        table = FrameTable(check_table(self, X, reset=True), X)
        schema = resolve_schema(
            table,
            self.sensitive,
            support=self.support,
            on_leak=self.on_leak,
            budget=self.budget,
            lookup=lookup,
        )
        label = self._read_label(y, len(table))
        if len(table) < _MIN_ROWS:
            raise InvalidInputError(
                f"X has n_samples={len(table)} rows (n_features={len(table.columns)}); a private model needs "
                f"at least {_MIN_ROWS}, and is of use from some thousands on: add rows."
            )
        if support is not None:
            schema.require_columns(support)
        if units is None:
            units = repeated_rows(table, schema, self.on_leak)
        return SynthesisJob(table, schema, units, label, support)

    def _support_frame(self) -> pd.DataFrame | None:
        if self.support is None:
            return None
        support = as_frame(without_column(self.support, self.groups), "support")
        if not len(support):
            raise InvalidInputError("support has no rows; give public rows, or support=None.")
        return support

    def _plan(
        self, n_rows: int, columns: Mapping[str, float | None], rows_per_unit: int, job: Job | None = None
    ) -> PrivatePlan | None:
        if not columns:
            return None
        # The sums are of all sensitive columns, so the smallest budget of a column is that of all.
        stated = [e for e in columns.values() if e is not None]
        strictest = min([*stated, 1.0 if self.epsilon is None else self.epsilon]) if stated else None
        plan = make_plan(
            n_rows,
            batch_size=n_rows,
            steps=STEPS,
            epsilon=self.epsilon,
            noise_multiplier=self.noise_multiplier,
            delta=self.delta,
            clipping=Clipping(1.0),
            adjacency=self.adjacency,
            columns=dict.fromkeys(columns, strictest),
            rows_per_unit=rows_per_unit,
        )
        noise_of_sums(
            plan.noise_multiplier, largest_norm(len(columns), STEPS), n_rows
        )  # what 64 bits do not hold
        return plan

    def _train(self, job: Job, begin: Begin) -> None:
        """Scores and features for free; then the sums, from which all else follows."""
        assert isinstance(job, SynthesisJob)
        schema, label = job.schema, job.label
        self._supported = job.support is not None
        free, noise, self._draw_seed = self._seeds()
        public = job.table.sample(schema.public)
        self._columns = PublicEncoder("dense").fit(public)
        self._label, self._score = label.kind, None
        score = np.zeros((job.n_rows, 0))
        if label.kind.task and len(schema.public):
            self._score = PublicScore(label.kind.task, label.kind.n_scores)
            score = self._score.fit(public, None, label.target, np.ones(job.n_rows), free)
        self._label.learn(label.target, score)
        encoded = self._columns.transform(public)
        told = self._label.features(label.target, score)
        self._features = PublicFeatures(encoded, score, told)
        self._training_features = self._features(encoded, score, told)
        self.sums_released_, self._model = 0, JointModel({})
        plan, kept = self.plan_, job.units.of(job.n_rows)
        if plan is None:
            return
        begin()

        def started() -> None:
            self.sums_released_ += 1

        releases = self._releases(plan, RandomBits(noise), started)
        rows = job.table.sample(schema.sensitive)
        self._model = JointModel.released(
            schema.domains,
            job.support,
            rows,
            kept,
            self._training_features,
            self._features.group,
            releases,
            np.random.default_rng(free + 1),
            _SHOWN if self._label.task else -math.inf,
        )
        clear_padding([self._score, self._features, self._model])

    @property
    def _without_label(self) -> bool:
        """Whether cells are drawn without the label, for no sum has shown that a column goes with it."""
        return bool(self._label.task and self._model.columns) and not self._model.goes_with_label

    def _seeds(self) -> tuple[int, Any, int]:
        """Of the free part, of the noise (None: the operating system's), and of draws."""
        if self.random_state is None:
            free, draws = np.random.SeedSequence().generate_state(2).tolist()
            return free % 2**31, None, draws
        free, noise, draws = random_generator(self.random_state).randint(2**31 - 2, size=3).tolist()
        return free, noise, draws

    def _drawn(self, features: np.ndarray, draw: int) -> pd.DataFrame:
        """One draw of the sensitive cells of rows; of new rows for `draw` -1."""
        n = len(features)

        def uniforms(column: int, which: int) -> np.ndarray:
            return uniforms_at([self._draw_seed, draw + 1, column, which], n)

        return self._model.draw(features, uniforms)

    def _features_of(self, public: pd.DataFrame) -> np.ndarray:
        """Features of new rows, with labels drawn from the public model."""
        n = len(public)
        score = np.zeros((n, self._label.n_scores if self._score is not None else 0))
        if self._score is not None:
            score = self._score(public)
        label = self._label.drawn(score, uniforms_at([self._draw_seed, *_LABELS], n))
        return self._features(self._columns.transform(public), score, self._label.features(label, score))

    def _mechanism(self) -> dict[str, Any]:
        if self.plan_ is None:
            return {"method": "synthesis"}
        return {
            "noise_multiplier": self.plan_.noise_multiplier,
            "sampling_rate": 1.0,
            "steps_planned": self.plan_.steps,
            "sums_released": self.sums_released_,
            **({"label": _NOT_SHOWN} if self._without_label else {}),
        }

    _method_name = "synthesis"

    def _public_facts(self) -> list[str]:
        facts = [
            "the number of rows, the plan and the parameters",
            *(["the labels"] if self._label.task else []),
            f"the public columns: {', '.join(self.schema_.public) or 'none'}",
        ]
        if self._supported:
            facts.append("the support rows: where the sensitive cells lie")
        return [*facts, *self._domain_facts()]

    def _not_covered(self) -> list[str]:
        return [
            *self.schema_.gaps,
            "what public columns and labels tell of a person: drawn cells are guesses from these, and no "
            "facts about anybody",
        ]
