"""What the offset estimators share: the public score, the structure, one plan, ledger and report."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
)

from ..._contents import clear_padding
from ..._copies import own
from ..._parameters import Constraint, Rule, check_parameters
from ..._random_state import random_generator, seeded
from ..._refit import PaidFits, all_or_nothing
from ...accounting._privacy_report import PrivacyReport
from ...exceptions import InvalidInputError
from ...impute import FoundationImputer
from ...impute._completed import completed
from ...privacy import PrivacyLedger, PrivatePlan, make_plan
from ...privacy._budget import spending
from ...privacy._ledger import read_without_noise
from ...privacy._random_bits import RandomBits
from ...privacy._weak_budgets import warn_of_plan
from ...tables._frames import as_frame, check_table
from ...tables._groups import Units, read_units, without_column
from ...tables._numeric import Numeric
from ...tables._outside import warn_outside
from ...tables._public_encoder import PublicEncoder
from ...tables._repeats import repeated_rows
from ...tables._schema import SensitiveSchema, resolve_schema
from ...tables._table import FrameTable
from ...tables._targets import support_labels
from ._correction import (
    Loss,
    accountant_clipping,
    fit_correction,
    release_noise,
)
from ._offset_constraints import OFFSET_RULES
from ._structure import Structure

_MIN_ROWS = 11
_FOLDS = 5
# Releases: curvature from labelled support rows lets one Newton step do; without it steps are short.
_NEWTON_STEPS, _GRADIENT_STEPS = 1, 80
_SHAPE_ROWS, _SHAPE_POINTS = 500, 25


class BaseOffsetFusion(PaidFits, BaseEstimator):
    """Common half of OffsetFusionClassifier and OffsetFusionRegressor; not for users."""

    _constraints: ClassVar[Mapping[str, Constraint]]
    _rules: ClassVar[tuple[Rule, ...]] = OFFSET_RULES

    @abstractmethod
    def _encode_target(self, y: Any, n_rows: int) -> tuple[np.ndarray, np.ndarray, Loss]:
        """Validate y; return targets of shape (n_rows, n_outputs), strata and the loss."""

    @abstractmethod
    def _encode_support_target(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Targets and strata of support rows, as the training target was encoded."""

    @abstractmethod
    def _default_model(self, seed: int) -> Any:
        """The public model where the user gives none."""

    @abstractmethod
    def _model_target(self, target: np.ndarray) -> np.ndarray:
        """The target as the public model takes it."""

    @abstractmethod
    def _score_of(self, model: Any, public: Any) -> np.ndarray:
        """A model's score, of shape (n_rows, n_outputs)."""

    @abstractmethod
    def _constant_score(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The score that knows no column, of shape (n_outputs,)."""

    def _bound(self, labelled: bool) -> Any:
        """Bound of a row's gradient, with or without labelled support rows."""
        return self.max_grad_norm

    def _row_weight(self, y: Any, n_rows: int) -> np.ndarray:
        return np.ones(n_rows)

    @all_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> BaseOffsetFusion:
        """Train the public model for free, and the correction under the budget.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
            A pandas or polars frame, or an array.
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
        if y is None:
            raise InvalidInputError(
                f"requires y to be passed, but the target y is None: {type(self).__name__}.fit(X, y)."
            )
        check_parameters(self)
        X, units = read_units(X, self.groups, groups, self.max_rows_per_unit, self.sensitive)
        frame = check_table(self, X, reset=True)
        n = len(frame)
        support = self._support()
        imputer_sensitive = None if self.imputer is None else self.imputer.sensitive
        sensitive = imputer_sensitive if self.sensitive is None else self.sensitive
        table = FrameTable(frame, X)
        schema = resolve_schema(
            table, sensitive, support=self._given_support(), on_leak=self.on_leak, budget=self.budget
        )
        target, strata, loss = self._encode_target(y, n)
        if n < _MIN_ROWS:
            raise InvalidInputError(
                f"X has n_samples={n} rows (n_features={frame.shape[1]}); private training needs at least "
                f"{_MIN_ROWS}, and gives useful models from some thousands on: add rows."
            )
        weight = self._row_weight(y, n)
        if sample_weight is not None:
            weight = weight * _check_sample_weight(sample_weight, frame, ensure_non_negative=True)
        if not weight.sum() > 0:
            raise InvalidInputError("sample_weight is zero for every row; give some rows a weight.")
        weight = weight / weight.mean()
        if support is not None:
            lacking = [c for c in schema.columns if c not in support]
            if lacking:
                raise InvalidInputError(
                    f"support lacks the column(s) {lacking} of the training table; give public rows with "
                    "the same columns (an array as support goes with an array as X)."
                )
        labelled = self.support_target is not None
        if units is None:
            units = repeated_rows(table, schema, self.on_leak)
        plan = self._plan(n, loss, labelled, schema, units.rows_per_unit)
        release_noise(plan, loss, n)  # refuses what 64 bits do not hold
        seeds = self._seeds()

        rows = self._support_rows(support)
        planned = self._cost(plan, schema)
        before = len(getattr(self, "ledger_", ()))
        warn_of_plan(planned, plan.delta, n)
        with spending(self.budget, planned) as pay:

            def begin() -> None:
                # The whole plan: where a fit stops may depend on what it has released.
                self._pay(planned, plan.delta, plan.adjacency)
                pay()

            self._train(frame, schema, plan, seeds, target, strata, weight, loss, support, rows, begin, units)
        if len(self.ledger_) > before:
            warn_outside(table, schema.public_domains)
        return self

    def _cost(self, plan: PrivatePlan, schema: SensitiveSchema) -> PrivacyLedger:
        """What a fit spends; domains that training cells gave are read without noise."""
        source = f"{type(self).__name__}.fit"
        spent = plan.ledger(plan.steps, source=source) if schema.sensitive else PrivacyLedger()
        return spent + read_without_noise(schema.leaks, plan.n_rows, self.adjacency, source)

    def _train(
        self,
        frame: pd.DataFrame,
        schema: SensitiveSchema,
        plan: PrivatePlan,
        seeds: list[Any],
        target: np.ndarray,
        strata: np.ndarray,
        weight: np.ndarray,
        loss: Loss,
        support: pd.DataFrame | None,
        rows: dict[str, Any] | None,
        begin: Callable[[], None],
        units: Units,
    ) -> None:
        """Public score, structure, and the correction: only `_correct` reads sensitive cells."""
        n = len(frame)
        public = frame[list(schema.public)]
        known = public if rows is None else pd.concat([public, rows["frame"][list(schema.public)]])
        columns = PublicEncoder("ordinal", order="name").fit(known)
        score = self._fit_public(columns, public, target, weight, strata, rows, seeds[0])
        if rows is not None:
            rows["public"] = columns.transform(rows["frame"][list(schema.public)])
            score, rows["score"] = score[:n], score[n:]
        structure = Structure(schema.domains, loss).fit(
            columns.transform(public), score, target, weight, strata,
            rows if rows is not None else None if support is None else {"frame": support},
            np.random.default_rng(seeds[1]),
        )  # fmt: skip
        self.imputer_ = None if self.imputer is None else self._fit_imputer(schema, seeds[2])
        self.schema_, self.plan_, self.n_rows_ = schema, plan, n
        self._loss, self._columns, self._structure = loss, columns, structure
        self._labelled, self._supported = rows is not None, support is not None
        clear_padding([self.public_models_, structure])
        self.unit_, self.rows_per_unit_ = units.name, units.rows_per_unit
        self._seeded, self._bound_of_fit = seeded(self.random_state), self._bound(self._labelled)
        kept = units.of(n)
        self._correct(frame[kept], score[kept], target[kept], weight[kept], seeds[3], begin)
        self.shapes_ = self._shapes(public, np.random.default_rng(seeds[1] + 1))

    def _given_support(self) -> Any:
        if self.support is None and self.imputer is not None:
            return self.imputer.support
        return self.support

    def _support(self) -> pd.DataFrame | None:
        given = self._given_support()
        if given is None:
            return None
        support = as_frame(without_column(given, self.groups))
        if not len(support):
            raise InvalidInputError("support has no rows; give public rows, or support=None.")
        if self.support_target is not None:
            support_labels(self.support_target, len(support))
        return support

    def _support_rows(self, support: pd.DataFrame | None) -> dict[str, Any] | None:
        if support is None or self.support_target is None:
            return None
        target, strata = self._encode_support_target(self.support_target)
        return {"frame": support, "target": target, "strata": strata}

    def _plan(
        self, n: int, loss: Loss, labelled: bool, schema: SensitiveSchema, rows_per_unit: int = 1
    ) -> PrivatePlan:
        # Every release reads all sensitive columns, so the smallest budget of a column is that of all.
        stated = [e for d in schema.domains.values() if (e := getattr(d, "epsilon", None)) is not None]
        strictest = min([*stated, 1.0 if self.epsilon is None else self.epsilon]) if stated else None
        steps = self.steps or (_NEWTON_STEPS if labelled else _GRADIENT_STEPS)
        return make_plan(
            n,
            batch_size=n,
            steps=int(steps),
            epsilon=self.epsilon,
            noise_multiplier=self.noise_multiplier,
            delta=self.delta,
            clipping=accountant_clipping(loss, self._bound(labelled), self.adjacency),
            adjacency=self.adjacency,
            columns=dict.fromkeys(schema.sensitive, strictest),
            rows_per_unit=rows_per_unit,
        )

    def _planned_ledger(self, n_rows: int) -> PrivacyLedger:
        """The most that a fit on `n_rows` rows spends, whatever its task and its sensitive columns are."""
        schema = SensitiveSchema(("any",), {"any": Numeric(0.0, 1.0)})
        plan = self._plan(n_rows, Loss("binary"), self.support_target is not None, schema)
        return plan.ledger(plan.steps)

    def _seeds(self) -> list[Any]:
        if self.random_state is None:
            # The last, of the noise, stays with the operating system.
            return [*np.random.SeedSequence().generate_state(3).tolist(), None]
        return random_generator(self.random_state).randint(2**31 - 2, size=4).tolist()

    def _fit_imputer(self, schema: SensitiveSchema, seed: int) -> FoundationImputer:
        imputer = clone(self.imputer)
        if imputer.support is None and self.support is not None:
            imputer.set_params(support=self.support)
        if imputer.random_state is None:
            imputer.set_params(random_state=int(seed) % (2**31 - 1))
        return imputer._fit_schema(schema)

    def _fit_public(
        self,
        columns: PublicEncoder,
        public: pd.DataFrame,
        target: np.ndarray,
        weight: np.ndarray,
        strata: np.ndarray,
        rows: dict[str, Any] | None,
        seed: int,
    ) -> np.ndarray:
        """Fit the public model on folds of public rows; return cross-fitted scores of all of them."""
        if rows is not None:
            public = pd.concat([public, rows["frame"][list(public.columns)]], ignore_index=True)
            target, strata = np.vstack([target, rows["target"]]), np.concatenate([strata, rows["strata"]])
            weight = np.concatenate([weight, np.ones(len(rows["target"]))])
        default = self._boosted = self.public_model is None
        table: Any = columns.transform(public) if default else public
        labels = self._model_target(target)
        base = self._default_model(seed) if default else self.public_model
        self.public_constant_ = self._constant_score(target, weight)
        self.public_models_: list[Any] = []
        folds = min(_FOLDS, int(np.unique(strata, return_counts=True)[1].min()))
        if not public.shape[1] or folds < 2:
            return np.tile(self.public_constant_, (len(target), 1))

        def fitted(chosen: Any) -> Any:
            part = table[chosen] if default else table.iloc[chosen].reset_index(drop=True)
            # Equal weights are left out: boosting bins much faster without.
            given = {"sample_weight": weight[chosen]} if default and np.ptp(weight) else {}
            return own(base).fit(part, labels[chosen], **given)

        score = np.empty((len(target), len(self.public_constant_)))
        splitter = StratifiedKFold if self._stratified else KFold
        for train, held in splitter(folds, shuffle=True, random_state=seed).split(target, strata):
            model = fitted(train)
            score[held] = self._score_of(model, table[held] if default else table.iloc[held])
            self.public_models_.append(model)
        return score

    def _correct(
        self,
        frame: pd.DataFrame,
        score: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray,
        seed: int | None,
        begin: Callable[[], None],
    ) -> None:
        """The private part: everything here that reads `frame` goes through releases of the plan."""
        begin()
        self.steps_run_, self.coef_ = 0, None
        if not self.schema_.sensitive:
            return

        def started() -> None:
            self.steps_run_ += 1

        encoded = self._columns.transform(frame[list(self.schema_.public)])
        phi, start = self._structure.expand(encoded, score, frame)
        shape = self._structure.curvature or self._structure.groups()
        self.coef_ = fit_correction(
            phi, score + start, target, weight, self._loss, self.plan_, RandomBits(seed), shape, started
        )

    def _public_score(self, public: pd.DataFrame) -> np.ndarray:
        """Mean score of the folds' models: less noisy than that of one model of all rows."""
        if not self.public_models_:
            return np.tile(self.public_constant_, (len(public), 1))
        table: Any = self._columns.transform(public) if self._boosted else public
        # A copy each: a model may standardise its table in place.
        return np.mean([self._score_of(m, table.copy()) for m in self.public_models_], axis=0)

    def _score_frame(self, frame: pd.DataFrame) -> np.ndarray:
        public = frame[list(self.schema_.public)]
        score = self._public_score(public)
        if not self.schema_.sensitive:
            return score
        return self._corrected(self._columns.transform(public), score, frame)

    def _corrected(self, encoded: np.ndarray, score: np.ndarray, frame: pd.DataFrame) -> np.ndarray:
        phi, start = self._structure.expand(encoded, score, frame)
        return score + start + phi @ self.coef_

    def _scores(self, X: Any) -> np.ndarray:
        """Scores of a table whose sensitive columns may be absent, of shape (n_rows, n_outputs)."""
        check_is_fitted(self, "shapes_")
        X = without_column(X, self.groups)
        frame = check_table(self, X, reset=False, optional=self.schema_.sensitive)
        return self._score_frame(completed(frame, self.schema_, self.imputer_).frame)

    def _shapes(self, public: pd.DataFrame, rng: np.random.Generator) -> dict:
        """Partial dependence over public cells of training rows; other sensitive cells are drawn."""
        rows = rng.choice(len(public), size=min(len(public), _SHAPE_ROWS), replace=False)
        frame = public.iloc[rows].reset_index(drop=True)
        for c, d in self.schema_.domains.items():
            frame[c] = d.draw(len(frame), rng)
        seen = public.iloc[rows]
        encoded, score = self._columns.transform(seen), self._public_score(seen)
        shapes = {}
        for c, d in self.schema_.domains.items():
            grid = d.grid(_SHAPE_POINTS)
            cells = pd.Series(grid, dtype=grid.dtype)
            parts = []
            for first in range(0, len(grid), _SHAPE_POINTS):
                # Some points at once: models are quicker on one large table than on many small ones.
                points = cells.iloc[first : first + _SHAPE_POINTS]
                every = np.tile(np.arange(len(frame)), len(points))
                moved = frame.iloc[every].assign(**{c: points.repeat(len(frame)).to_numpy()})
                scores = self._corrected(encoded[every], score[every], moved)
                parts.append(scores.reshape(len(points), len(frame), -1).mean(axis=1))
            effect = np.vstack(parts)
            shapes[c] = (np.array(grid.tolist()), effect - effect.mean(axis=0))
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

    def plot_shapes(self) -> Any:
        """Draw the shape functions, a panel a sensitive column.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from matplotlib.figure import Figure

        shapes = self.shape_functions()
        n = max(1, len(shapes))
        figure = Figure(figsize=(3 * n, 2.6), layout="constrained")
        panels = np.ravel(figure.subplots(1, n, squeeze=False))
        for axis, (column, (values, effect)) in zip(panels, shapes.items(), strict=False):
            if self.schema_.domains[column].task == "regressor":
                axis.step(values, effect, where="mid")
            else:
                for k in range(effect.shape[1]):
                    axis.plot([str(v) for v in values], effect[:, k], "o")
            axis.set_title(column)
        panels[0].set_ylabel("effect on the score")
        return figure

    def privacy_report(self) -> PrivacyReport:
        """What this fit protects, between which neighbours, at which cost; and what it does not.

        Returns
        -------
        PrivacyReport
            Text when printed, HTML in a notebook; ``to_dict``, ``to_json``, ``save_html``.
        """
        check_is_fitted(self, "shapes_")
        facts = ["the number of rows, the plan and its parameters", "the labels and the weights of rows",
                 f"the public columns: {', '.join(self.schema_.public) or 'none'}"]  # fmt: skip
        sources = sorted(set(self.schema_.sources.values()) - {"training cells"})
        if sources:
            facts.append(f"the domains of the sensitive columns ({', '.join(sources)})")
        if self._labelled:
            facts.append("the support rows, their sensitive cells and labels: trees, start and curvature")
        elif self._supported:
            facts.append("the support rows: bins of the sensitive columns")
        if self.imputer_ is not None:
            facts.append("what the imputer learnt: its support rows or its pretrained model")
        gaps = ["choosing hyper-parameters by comparing fits on the same sensitive cells"]
        gaps[:0] = self.schema_.gaps
        if self._seeded:
            gaps.append(f"anyone who knows random_state={self._seeded}: the noise can be recomputed; "
                        "use random_state=None for a release")  # fmt: skip
        if self._relation == "zero-out":
            gaps.append("two arbitrary values of a cell: zero-out compares a value with its being erased")
        others = {e.adjacency for e in self.ledger_} - {self._relation}
        if others:
            gaps.append(f"earlier fits of this estimator under {', '.join(sorted(others))}")
        domains, origin = self.schema_.domains, self.schema_.sources
        return PrivacyReport(
            estimator=type(self).__name__,
            method="offset",
            protected={c: {**d.to_dict(), "source": origin.get(c, "declared")} for c, d in domains.items()},
            adjacency=self._relation,
            epsilon=self.epsilon_,
            delta=self.delta_,
            n_rows=self.n_rows_,
            mechanism={
                "noise_multiplier": self.plan_.noise_multiplier,
                "max_grad_norm": self._bound_of_fit,
                "sensitivity": self.plan_.clipping.sensitivity(self._relation),
                "sampling_rate": 1.0,
                "steps_planned": self.plan_.steps,
                "steps_run": self.steps_run_,
                "fits_in_ledger": len(self.ledger_),
            },
            ledger=self.ledger_,
            unit=self.unit_,
            public=tuple(facts),
            not_covered=tuple(gaps),
        )

    def __getstate__(self) -> dict:
        state = dict(super().__getstate__())  # a copy: saving changes nothing
        if "shapes_" in state:
            # A saved model carries no rows.
            state["support"] = state["support_target"] = None
            if isinstance(state.get("imputer"), FoundationImputer):
                state["imputer"] = clone(state["imputer"]).set_params(support=None)
        return state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags
