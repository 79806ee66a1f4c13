"""What the offset estimators share: the public score, the structure, and the private correction."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils.validation import check_is_fitted

from ..._contents import clear_padding
from ..._copies import own
from ..._forked import one_thread_after_fork
from ..._parameters import Constraint, Rule
from ..._random_state import random_generator
from ..._refit import all_or_nothing
from ..._spender import Begin, Job
from ...accounting._called import columns_called
from ...exceptions import InvalidInputError
from ...impute import FoundationImputer
from ...impute._completed import completed
from ...privacy import PrivatePlan, make_plan
from ...privacy._noised_sums import noise_of_sums
from ...privacy._random_bits import RandomBits
from ...tables._groups import read_units, without_column
from ...tables._public_encoder import PublicEncoder
from ...tables._read_table import read_table
from ...tables._repeats import repeated_rows
from ...tables._schema import resolve_schema
from .._private_estimator import PrivateEstimator
from ..joint._releases import JointReleases, largest_norm
from ._boosting import MANY_CATEGORIES, boosted_model, fitted
from ._correction import ClippedLoss, Loss, Releases, accountant_clipping, release_noise
from ._drawn_cells import DrawnCells
from ._indicator_rows import IndicatorRows, Piece, read_pieces
from ._offset_constraints import OFFSET_RULES
from ._posterior import Landscape, posterior_coefficients
from ._public_rows import PublicRows, SupportRows
from ._public_view import PublicView, views_for
from ._shape_functions_display import ShapeFunctionsDisplay
from ._structure import Structure

_FOLDS = 5
# Rows that the public model, the joint model and the structure are learnt from; all of a table of fewer.
_LEARNT_ROWS = 2**17
# Releases: the start that labelled support rows give is near enough for one. Without, the joint model of the
# sensitive columns takes two.
_FROM_SUPPORT, _FROM_DRAWS = 1, 3
# Rows and points of a shape function; of long lists fewer rows a point, down to so few.
_SHAPE_ROWS, _SHAPE_POINTS, _LEAST_SHAPE_ROWS = 500, 25, 50


def _gradients(steps: int) -> int:
    """How many of so many releases are gradients; the others make the joint model."""
    return max(steps // 3, min(steps - 1, 1))


@dataclass(frozen=True)
class OffsetTarget:
    """A public target as the offset estimators take it.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_outputs)
    strata : ndarray of shape (n_rows,)
        Classes, or classes of a number.
    """

    values: np.ndarray
    strata: np.ndarray

    def __getitem__(self, rows: Any) -> OffsetTarget:
        return OffsetTarget(self.values[rows], self.strata[rows])

    def __add__(self, other: OffsetTarget) -> OffsetTarget:
        """The rows of both, one after the other."""
        return OffsetTarget(
            np.vstack([self.values, other.values]), np.concatenate([self.strata, other.strata])
        )


@dataclass(frozen=True)
class OffsetJob(Job):
    """What a fit of an offset estimator knows before it plans.

    `weight`, of shape (n_rows,), is public and of mean 1.
    """

    target: OffsetTarget
    weight: np.ndarray
    loss: Loss
    support: SupportRows | None


class BaseOffsetFusion(PrivateEstimator):
    """Common half of OffsetFusionClassifier and OffsetFusionRegressor; not for users."""

    _constraints: ClassVar[Mapping[str, Constraint]]
    _rules: ClassVar[tuple[Rule, ...]] = OFFSET_RULES

    coef_: Any

    @abstractmethod
    def _encode_target(self, y: Any, n_rows: int) -> tuple[OffsetTarget, Loss]:
        """Validate y; return it encoded, and the loss."""

    @abstractmethod
    def _encode_support_target(self, y: Any) -> OffsetTarget:
        """Targets of support rows, encoded as the training target was."""

    @abstractmethod
    def _model_target(self, target: np.ndarray) -> np.ndarray:
        """The target as the public model takes it."""

    @abstractmethod
    def _score_of(self, model: Any, public: Any) -> np.ndarray:
        """A model's score, of shape (n_rows, n_outputs)."""

    @abstractmethod
    def _constant_score(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The score of a model without columns, of shape (n_outputs,)."""

    def _bound(self) -> Any:
        """Bound of a row's gradient."""
        return self.max_grad_norm

    def _class_weight(self, y: Any, n_rows: int) -> np.ndarray:
        return np.ones(n_rows)

    @all_or_nothing
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> BaseOffsetFusion:
        """Train the public model for free, and the correction under the budget.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
            A pandas or polars frame, or an array. A memory-mapped array, a pyarrow Table or data set, or the
            path of a .npy, .parquet or .feather file or a folder of parquet files, stays on disk and is read
            some rows at a time. The free part and the joint model of the sensitive columns are learnt from at
            most 131,072 rows.
        y : array-like of shape (n_rows,)
            Target, public.
        sample_weight : array-like of shape (n_rows,), optional
            Public weights of rows. A row's weighted contribution is clipped like any other.
        groups : array-like of shape (n_rows,), optional
            Whose row it is, public, in place of the parameter `groups`. Under metadata routing, ask for it
            by ``set_fit_request(groups=True)``.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            For a parameter, table, domain or target that cannot be used. Nothing has been paid for then.
        PrivacyLeakError
            If ``on_leak="raise"`` and something would read sensitive cells without paying.
        """
        return self._fit(X, y, sample_weight=sample_weight, groups=groups)

    def _read(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> OffsetJob:
        self._require_target(y)
        lookup = columns_called(self, X)
        X, units = read_units(X, self.groups, groups, self.max_rows_per_unit, self.sensitive)
        support = self._support_frame()
        table = read_table(self, X, reset=True)
        schema = resolve_schema(
            table,
            self._stated_sensitive(),
            support=self._given_support(),
            on_leak=self.on_leak,
            budget=self.budget,
            lookup=lookup,
        )
        target, loss = self._encode_target(y, len(table))
        self._require_rows(*table.shape)
        weight = self._class_weight(y, len(table)) * self._row_weight(sample_weight, table)
        if support is not None:
            schema.require_columns(support)
        if units is None:
            units = repeated_rows(table, schema, self.on_leak)
        rows = None
        if support is not None:
            labels = None if self.support_target is None else self._encode_support_target(self.support_target)
            rows = SupportRows(support, *((labels.values, labels.strata) if labels else ()))
        return OffsetJob(table, schema, units, target, weight / weight.mean(), loss, rows)

    def _plan(
        self, n_rows: int, columns: Mapping[str, float | None], rows_per_unit: int, job: Job | None = None
    ) -> PrivatePlan | None:
        if not columns:
            return None
        # Every release reads all sensitive columns, so the smallest budget of a column is that of all.
        stated = [e for e in columns.values() if e is not None]
        strictest = min([*stated, 1.0 if self.epsilon is None else self.epsilon]) if stated else None
        steps = self.steps or (_FROM_DRAWS if self.support_target is None else _FROM_SUPPORT)
        # Before a fit the task is not known; the ledger is the same for all.
        loss = job.loss if isinstance(job, OffsetJob) else Loss("regression")
        plan = make_plan(
            n_rows,
            batch_size=n_rows,
            steps=int(steps),
            epsilon=self.epsilon,
            noise_multiplier=self.noise_multiplier,
            delta=self.delta,
            clipping=accountant_clipping(loss, self._bound(), self.adjacency),
            adjacency=self.adjacency,
            columns=dict.fromkeys(columns, strictest),
            rows_per_unit=rows_per_unit,
        )
        # These refuse noise and sums that 64 bits do not hold.
        release_noise(plan, loss, n_rows)
        if self.support_target is None:
            of_sums = plan.steps - _gradients(plan.steps)
            noise_of_sums(plan.noise_multiplier, largest_norm(len(columns), of_sums), n_rows)
        return plan

    def _train(self, job: Job, begin: Begin) -> None:
        """Public score, structure, and the correction: only `_correct` reads sensitive cells."""
        assert isinstance(job, OffsetJob)
        n, schema, support, seeds = job.n_rows, job.schema, job.support, self._seeds()
        learnt = self._learnt_rows(n, seeds[0])
        public = job.table.sample(schema.public) if learnt is None else job.table.take(learnt, schema.public)
        rows = slice(None) if learnt is None else learnt
        target, weight = job.target[rows], job.weight[rows]
        labelled = None if support is None or not support.labelled else support.frame[list(schema.public)]
        self._columns = PublicEncoder("ordinal", order="name").fit(public, labelled)
        score = self._fit_public(public, target, weight, support, job.loss.task, seeds[0])
        if support is not None and labelled is not None:
            own = score[len(public) :]
            support = replace(support, public=self._columns.transform(labelled), score=own)
            score = score[: len(public)]
        encoded = self._columns.transform(public)
        kept = int(job.units.of(n).sum())  # gradients are of these rows
        known = PublicRows(
            encoded, score, target.values, target.strata, weight, kept / len(score), public, learnt
        )
        self._bound_of_fit = self._bound()
        clipped = ClippedLoss.of(job.loss, score, target.values, self._bound_of_fit)
        self._structure: Any = None
        landscape = None
        if labelled is not None and schema.domains:
            assert support is not None
            self._tell(1, "structure of the correction, from public rows")
            self._structure = Structure(schema.domains, job.loss)
            landscape = self._structure.fit(known, support, clipped, np.random.default_rng(seeds[1]))
        self.imputer_ = None if self.imputer is None else self._fit_imputer(job, seeds[2])
        self._labelled, self._supported = labelled is not None, support is not None
        clear_padding([self.public_models_, self._structure])
        everywhere = score if learnt is None else self._everywhere(job, learnt, score)
        self._correct(job, everywhere, known, clipped, landscape, seeds, begin)
        self.shapes_ = self._shapes(public, np.random.default_rng(seeds[1] + 1))

    @staticmethod
    def _learnt_rows(n_rows: int, seed: int) -> np.ndarray | None:
        """Rows that the free part learns from, in order; None for all."""
        if n_rows <= _LEARNT_ROWS:
            return None
        drawn = np.random.default_rng(seed).choice(n_rows, _LEARNT_ROWS, replace=False, shuffle=False)
        return np.sort(drawn)

    def _everywhere(self, job: OffsetJob, learnt: np.ndarray, score: np.ndarray) -> np.ndarray:
        """Public scores of all rows; of those that the models have seen, the cross-fitted ones."""
        if self.plan_ is None:
            return score
        self._tell(1, "public scores of all rows")
        found = np.empty((job.n_rows, score.shape[1]))
        for first, frame in job.table.chunks(job.schema.public):
            found[first : first + len(frame)] = self._public_score(frame, self._columns.transform(frame))
        found[learnt] = score
        return found

    def _tell(self, level: int, what: str) -> None:
        if self.verbose >= level:
            print(f"[{type(self).__name__}] {what}")

    def _seeds(self) -> list[Any]:
        if self.random_state is None:
            # The fourth is that of the noise: None takes it from the operating system.
            return [*np.random.SeedSequence().generate_state(3).tolist(), None]
        return random_generator(self.random_state).randint(2**31 - 2, size=4).tolist()

    def _fit_imputer(self, job: Job, seed: int) -> FoundationImputer:
        return self._unfitted_imputer(lambda: int(seed) % (2**31 - 1))._fit_schema(job.schema)

    def _fit_public(
        self,
        public: pd.DataFrame,
        labels: OffsetTarget,
        weight: np.ndarray,
        support: SupportRows | None,
        task: str,
        seed: int,
    ) -> np.ndarray:
        """Fit the public model on folds of public rows; return cross-fitted scores of all of them."""
        if support is not None and support.labelled:
            assert support.target is not None and support.strata is not None
            public = pd.concat([public, support.frame[list(public.columns)]], ignore_index=True)
            labels = labels + OffsetTarget(support.target, support.strata)
            weight = np.concatenate([weight, np.ones(len(support.target))])
        target, strata = labels.values, labels.strata
        self.public_constant_ = self._constant_score(target, weight)
        self.public_models_: list[Any] = []
        self._view = PublicView(self._columns)
        folds = min(_FOLDS, int(np.unique(strata, return_counts=True)[1].min()))
        if not public.shape[1] or folds < 2:
            return np.tile(self.public_constant_, (len(target), 1))
        splitter = StratifiedKFold if self._stratified else KFold
        splits = list(splitter(folds, shuffle=True, random_state=seed).split(target, strata))
        if self.public_model is None:
            rows, many = max(len(train) for train, _ in splits), self._columns.positions_of(MANY_CATEGORIES)
            model = boosted_model(task, seed, target.shape[1], rows, many)
            return self._fit_folds(model, self._view, public, target, splits, weight)
        said = []
        for view in views_for(self.public_model, self._columns, public):
            self._view = view
            try:
                return self._fit_folds(self.public_model, view, public, target, splits)
            except Exception as error:  # whatever a model raises at columns that it cannot read
                said.append(error)
        raise InvalidInputError(
            f"public_model={type(self.public_model).__name__} can be fitted on the public columns neither as "
            f"they are nor as numbers ({said[0]}); give one that can, such as a Pipeline that encodes them."
        ) from said[0]

    def _fit_folds(
        self,
        base: Any,
        view: PublicView,
        public: pd.DataFrame,
        target: np.ndarray,
        splits: list[tuple[np.ndarray, np.ndarray]],
        weight: np.ndarray | None = None,
    ) -> np.ndarray:
        """Fit a model on each fold's rows; return the scores of the rows that each has not seen."""
        table, aims = view(public), self._model_target(target)
        score = np.empty((len(target), len(self.public_constant_)))
        models = []
        for k, (train, held) in enumerate(splits, 1):
            self._tell(1, f"public model, fold {k} of {len(splits)}")
            rows, aim = view.rows(table, train), aims[train]
            models.append(
                own(base).fit(rows, aim) if weight is None else fitted(own(base), rows, aim, weight[train])
            )
            score[held] = self._score_of(models[-1], view(public.iloc[held]))
        self.public_models_ = models
        return score

    def _correct(
        self,
        job: OffsetJob,
        score: np.ndarray,
        known: PublicRows,
        clipped: ClippedLoss,
        landscape: Landscape | None,
        seeds: list[Any],
        begin: Begin,
    ) -> None:
        """The private part: everything here that reads sensitive cells goes through releases of the plan."""
        self.steps_run_, self.coef_ = 0, None
        plan, n_outputs = self.plan_, score.shape[1]
        if plan is None:
            return
        begin()
        kept = job.units.of(job.n_rows)

        def started() -> None:
            self.steps_run_ += 1
            self._tell(2, f"release {self.steps_run_} of {plan.steps}")

        bits, gradients = RandomBits(seeds[3]), plan.steps
        if landscape is None:
            gradients = _gradients(plan.steps)
            self.steps_run_ = plan.steps - gradients
            self._tell(1, f"joint model of the sensitive columns, {self.steps_run_} release(s)")
            sums = JointReleases(plan, bits, lambda: self._tell(2, "a sum of that model"), self.steps_run_)
            rng = np.random.default_rng(seeds[1])
            draw = DrawnCells(known, job.loss.task, rng)
            support = None if job.support is None else job.support.frame
            read = np.arange(job.n_rows) if known.positions is None else known.positions
            cells = job.table.take(read, job.schema.sensitive)
            draw.release(job.schema.domains, support, cells, kept[read], sums)
            self._structure = Structure(job.schema.domains, job.loss)
            landscape = self._structure.fit_draws(known, draw, clipped, rng, gradients > 0)
            clear_padding(self._structure)
        if not gradients:
            self.coef_ = np.zeros((self._structure.n_features, n_outputs))
            return
        rows = IndicatorRows(
            lambda: read_pieces(
                job.table, job.schema.columns, kept, lambda frame, rows: self._piece(job, score, frame, rows)
            ),
            int(kept.sum()),
            self._structure.n_features,
            n_outputs,
            gradients,
        )
        self._tell(1, f"private correction, {gradients} release(s)")
        releases = Releases(job.loss, plan, bits, started, steps=gradients)
        self.coef_ = posterior_coefficients(
            lambda coef: releases.gradient(rows, coef), landscape, n_outputs, gradients, releases.std
        )

    def _piece(self, job: OffsetJob, score: np.ndarray, frame: pd.DataFrame, rows: np.ndarray) -> Piece:
        """Features, start and target of some rows."""
        encoded, public = self._columns.transform(frame[list(job.schema.public)]), score[rows]
        features, start = self._structure.expand(encoded, public, frame)
        return Piece(features, public + start, job.target.values[rows], job.weight[rows])

    def _public_score(self, public: pd.DataFrame, encoded: np.ndarray) -> np.ndarray:
        """Mean score of the folds' models: less noisy than that of one model of all rows."""
        if not self.public_models_:
            return np.tile(self.public_constant_, (len(public), 1))
        table = encoded if self._view.encoder is self._columns else self._view(public)
        # A copy each: a model may standardise its table in place.
        return np.mean([self._score_of(m, table.copy()) for m in self.public_models_], axis=0)

    @one_thread_after_fork()
    def _scores(self, X: Any) -> np.ndarray:
        """Scores of a table whose sensitive columns may be absent, of shape (n_rows, n_outputs)."""
        check_is_fitted(self, "shapes_")
        X = without_column(X, self.groups)
        table = read_table(self, X, reset=False, optional=self.schema_.sensitive)
        parts = [self._scores_of(frame, first) for first, frame in table.chunks()]
        return np.concatenate(parts)

    def _scores_of(self, frame: pd.DataFrame, first: int) -> np.ndarray:
        frame = completed(frame, self.schema_, self.imputer_, first).frame
        public = frame[list(self.schema_.public)]
        encoded = self._columns.transform(public)
        score = self._public_score(public, encoded)
        if not self.schema_.sensitive:
            return score
        return self._structure.corrected(encoded, score, frame, self.coef_)

    def _shapes(self, public: pd.DataFrame, rng: np.random.Generator) -> dict:
        """Partial dependence over public cells of training rows; other sensitive cells are drawn."""
        rows = rng.choice(len(public), size=min(len(public), _SHAPE_ROWS), replace=False)
        frame = public.iloc[rows].reset_index(drop=True)
        for c, d in self.schema_.domains.items():
            frame[c] = d.draw(len(frame), rng)
        seen = public.iloc[rows]
        encoded = self._columns.transform(seen)
        score = self._public_score(seen, encoded)
        shapes = {}
        for c, d in self.schema_.domains.items():
            grid = d.grid(_SHAPE_POINTS)
            cells = pd.Series(grid, dtype=grid.dtype)
            parts = []
            used = min(len(frame), max(_LEAST_SHAPE_ROWS, _SHAPE_ROWS * _SHAPE_POINTS // len(grid)))
            at_once = max(1, _SHAPE_ROWS * _SHAPE_POINTS // used)
            for first in range(0, len(grid), at_once):
                # Some points at once: models are quicker on one large table than on many small ones.
                points = cells.iloc[first : first + at_once]
                every = np.tile(np.arange(used), len(points))
                moved = frame.iloc[every].assign(**{c: points.repeat(used).to_numpy()})
                scores = self._structure.corrected(encoded[every], score[every], moved, self.coef_)
                parts.append(scores.reshape(len(points), used, -1).mean(axis=1))
            effect = np.vstack(parts)
            values = np.array(grid.tolist()) if grid.dtype == object else grid
            shapes[c] = (values, effect - effect.mean(axis=0))
        return shapes

    def shape_functions(self) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
        """What each sensitive column does to the score, privately.

        Partial dependence over public cells of training rows, other sensitive cells drawn from their
        domains; a function of the released model and of public facts, so it costs nothing.

        Returns
        -------
        mapping of str to (values, effects)
            `values` of shape (n_points,) from the column's domain, `effects` of shape
            (n_points, n_outputs), with mean zero over the points: log odds, class scores, or standard
            deviations of the target.
        """
        check_is_fitted(self, "shapes_")
        return MappingProxyType(self.shapes_)

    def plot_shapes(self, *, ax: Any = None) -> ShapeFunctionsDisplay:
        """Draw the shape functions, a panel a sensitive column.

        Parameters
        ----------
        ax : matplotlib Axes, array of Axes or None, default=None
            Where to draw: an Axes for each column, one that is divided among them, or a new figure.

        Returns
        -------
        ShapeFunctionsDisplay
            Its `figure_` and `axes_` are the picture; ``plot`` draws it again elsewhere.
        """
        return ShapeFunctionsDisplay.from_estimator(self, ax=ax)

    _method_name = "offset"

    def _mechanism(self) -> dict[str, Any]:
        if self.plan_ is None:
            return {"method": "offset"}
        seen = self.coef_ is None or bool(self.coef_.any())
        if not self._labelled and self._structure is not None:
            seen = seen or bool(self._structure.shares.any())
        return {
            "noise_multiplier": self.plan_.noise_multiplier,
            "max_grad_norm": self._bound_of_fit,
            "sensitivity": self.plan_.clipping.sensitivity(self._relation),
            "sampling_rate": 1.0,
            "steps_planned": self.plan_.steps,
            "steps_run": self.steps_run_,
            **({} if seen else {"correction": "none: sensitive columns showed nothing beyond the noise"}),
        }

    def _public_facts(self) -> list[str]:
        facts = self._table_facts()
        if self._labelled:
            facts.append("the support rows, their sensitive cells and labels: trees, start and curvature")
        elif self._supported:
            facts.append("the support rows: where the sensitive cells lie")
        return [*facts, *self._common_facts()]

    def _not_covered(self) -> list[str]:
        return [*self.schema_.gaps, "choosing hyper-parameters by comparing fits on the same sensitive cells"]
