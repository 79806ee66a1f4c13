"""What the transformers that pay for a release share: one noised total, and what follows from it."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._parameters import Constraint, Integer, Rule
from .._privacy_parameters import EPSILON_OR_NOISE, PRIVACY
from .._refit import all_or_nothing
from .._shared_docs import documented
from .._spender import Begin, Job, Spender
from ..accounting._called import columns_called
from ..exceptions import InvalidInputError
from ..privacy import Clipping, PrivatePlan, make_plan
from ..privacy._random_bits import RandomBits
from ..privacy._relations import relation
from ..privacy._release import SumNoise
from ..tables._containers import SetOutput, replace_columns
from ..tables._domain import Domain
from ..tables._frames import check_table
from ..tables._groups import read_units
from ..tables._repeats import repeated_rows
from ..tables._schema import resolve_schema
from ..tables._table import FrameTable

N_BINS = Integer(2, 2**16, remedy="noise hides finer ones")

_SENSITIVE = """
sensitive : dict of str to domain, list of str or column selector, default=None (every column)
    A dict gives domains: ``{"age": Numeric(18, 90)}``; anything else is what ColumnTransformer takes
    as columns.
"""
_RELEASE = """
domains_ : dict of str to Domain
    Domain of each sensitive column that comes out, for the ``sensitive=`` of the next step.
{schema_}
columns_ : tuple of str
    Columns whose cells were read.
plan_ : PrivatePlan or None
    Noise and clipping norm of the release; None if no column was read.
epsilon_, delta_ : float
    Cost of everything in `ledger_` under the relation of the last fit.
{unit_}
{rows_per_unit_}
{n_rows_}
{ledger_}
{n_features_in_}
{feature_names_in_}
"""
with_shared_docs = documented(_SENSITIVE, release=_RELEASE)


@dataclass(frozen=True)
class Release(Job):
    """A job whose private part is one noised total.

    Parameters
    ----------
    columns : tuple of str
        Sensitive columns that the total reads.
    strata : ndarray of shape (n_rows,) or None
        Groups of rows by a public target, for totals by group.
    """

    columns: tuple[str, ...] = ()
    strata: np.ndarray | None = None

    @property
    def kept(self) -> Release:
        """The rows that are read: not those of a unit beyond its bound."""
        kept = np.flatnonzero(self.units.of(self.n_rows))
        strata = None if self.strata is None else self.strata[kept]
        return replace(self, table=FrameTable(self.table.take(kept)), strata=strata)


class PrivateTransformer(  # type: ignore[call-arg]
    OneToOneFeatureMixin, SetOutput, TransformerMixin, Spender, auto_wrap_output_keys=None
):
    """One Gaussian release about the sensitive columns, from which all else follows; not for users.

    A subclass says what a row adds to the total, and bounds it: a column's share of that vector has at most
    the length `_reach`, and two shares lie at most `_diameter` apart. Shares of d columns are concatenated,
    so both bounds grow by sqrt(d). An erased row adds nothing and comes out erased; a missing cell adds
    nothing too, but is a value and comes out as one.
    """

    _constraints: ClassVar[Mapping[str, Constraint]] = PRIVACY
    _rules: ClassVar[tuple[Rule, ...]] = (EPSILON_OR_NOISE,)
    _needs: ClassVar[type] = Domain
    _diameter: ClassVar[float]
    _reach: ClassVar[float]
    _unit: ClassVar[float] = 1.0
    _kind = "transformer"

    epsilon: float | None
    noise_multiplier: float | None
    groups: Any
    max_rows_per_unit: int | None

    @abstractmethod
    def _share(self, cells: pd.Series, column: str, strata: np.ndarray | None) -> np.ndarray:
        """Sum over rows of what one column's cells add: int64, whole multiples of `_unit`, one dimension."""

    def _total(self, job: Release) -> np.ndarray:
        """The shares of all columns, one after the other."""
        cells = job.table.sample(job.columns)
        return np.concatenate([self._share(cells[c], c, job.strata) for c in job.columns])

    @abstractmethod
    def _learn(self, released: np.ndarray, job: Release) -> None:
        """Compute everything from the release, which costs nothing more."""

    @all_or_nothing
    def fit(self, X: Any, y: Any = None, groups: Any = None) -> PrivateTransformer:
        """Release what is learnt about the sensitive columns, with noise, and write it to the ledger.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
            A pandas or polars frame, or an array.
        y : ignored
        groups : array-like of shape (n_rows,), optional
            Whose row it is, public, in place of the parameter `groups`.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            For a parameter, column or domain that cannot be used; no sensitive cell has been paid for.
        PrivacyBudgetError
            If the fit would overdraw `budget`; nothing was read.
        PrivacyLeakError
            If ``on_leak="raise"`` and a domain is missing.
        """
        return self._fit(X, y, groups=groups)

    def _read(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> Release:
        table = FrameTable(check_table(self, X, reset=True), X)
        schema = resolve_schema(
            table,
            self.sensitive,
            on_leak=self.on_leak,
            budget=self.budget,
            lookup=columns_called(self, X),
        )
        own = [c for c, d in schema.domains.items() if d.epsilon is not None]
        if own:
            raise InvalidInputError(
                f"The domain of {', '.join(own)} has an epsilon of its own, but {type(self).__name__} "
                "releases all columns together; give it domains without one."
            )
        units = read_units(X, self.groups, groups, self.max_rows_per_unit, schema.sensitive)[1]
        if units is None:
            units = repeated_rows(table, schema, self.on_leak)
        return Release(
            table, schema, units, self._columns_to_read(schema.domains), self._strata(y, len(table))
        )

    def _domain(self, column: str) -> Any:
        """Domain of a column that was read: one of `_needs`."""
        return self.schema_.domains[column]

    def _columns_to_read(self, domains: Mapping[str, Domain | None]) -> tuple[str, ...]:
        """Columns whose cells a fit reads, of all sensitive ones; one without a known domain may be read."""
        return tuple(c for c, d in domains.items() if d is None or isinstance(d, self._needs))

    def _declared(self, n_columns: int | None = None) -> dict[str, Domain | None]:
        declared = super()._declared(n_columns)
        return {c: declared[c] for c in self._columns_to_read(declared)}

    def _strata(self, y: Any, n_rows: int) -> np.ndarray | None:
        return None

    def _budgets(self, job: Job) -> dict[str, float | None]:
        assert isinstance(job, Release)
        return dict.fromkeys(job.columns)

    def _plan(
        self, n_rows: int, columns: Mapping[str, float | None], rows_per_unit: int, job: Job | None = None
    ) -> PrivatePlan | None:
        if not columns:
            return None
        wide = math.sqrt(len(columns))
        norm = relation(self.adjacency).clipping_norm(self._diameter * wide, self._reach * wide)
        plan = make_plan(
            n_rows,
            batch_size=n_rows,
            steps=1,
            epsilon=self.epsilon,
            noise_multiplier=self.noise_multiplier,
            delta=self.delta,
            clipping=Clipping(norm),
            adjacency=self.adjacency,
            columns=columns,
            rows_per_unit=rows_per_unit,
        )
        self._noise(plan)  # refuses what 64 bits do not hold
        return plan

    def _noise(self, plan: PrivatePlan) -> SumNoise:
        return SumNoise(plan.noise_multiplier, plan.clipping.max_grad_norm, self._unit)

    def _train(self, job: Job, begin: Begin) -> None:
        assert isinstance(job, Release)
        self.columns_ = job.columns
        released = np.zeros(0)
        plan, job = self.plan_, job.kept
        if plan is not None:
            begin()
            released = self._noise(plan).added_to(self._total(job), RandomBits(self.random_state))
        self._learn(released, job)

    def transform(self, X: Any) -> Any:
        """Transform the sensitive columns; public ones pass as they are.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)

        Returns
        -------
        table of shape (n_rows, n_columns)
            Of the kind given, or that ``set_output`` asks for. Missing cells stay missing.
        """
        check_is_fitted(self, "schema_")
        frame = check_table(self, X, reset=False, optional=self._may_be_absent)
        new = pd.DataFrame({c: self._transformed(frame[c], c) for c in self.columns_}, index=frame.index)
        return self._contain(replace_columns(X, frame, new, list(frame.columns)))

    @property
    def _may_be_absent(self) -> tuple[str, ...]:
        return () if self.groups is None else (str(self.groups),)

    def _transformed(self, cells: pd.Series, column: str) -> Any:
        """New cells of one column."""
        raise NotImplementedError

    @property
    def domains_(self) -> dict[str, Domain]:
        """Domain of each sensitive column of the transformed table."""
        check_is_fitted(self, "schema_")
        return {c: self._new_domain(c) if c in self.columns_ else d for c, d in self.schema_.domains.items()}

    def _new_domain(self, column: str) -> Domain:
        return self.schema_.domains[column]

    def _mechanism(self) -> dict[str, Any]:
        read = {"columns_read": ", ".join(self.columns_) or "none"}
        if self.plan_ is None:
            return read
        plan = self.plan_
        return {
            "noise_multiplier": plan.noise_multiplier,
            "clipping_norm": plan.clipping.max_grad_norm,
            **read,
        }

    def _public_facts(self) -> list[str]:
        public = ", ".join(self.schema_.public) or "none"
        return ["the number of rows and the parameters", f"the public columns: {public}"]

    def _not_covered(self) -> list[str]:
        own = "transformed rows: each depends on its own cells; what was learnt is protected"
        return [*self.schema_.gaps, own]

    def _outside_of(self, job: Job) -> dict[str, Domain]:
        # Of other columns no cell was read.
        return {c: d for c, d in super()._outside_of(job).items() if c in self.columns_}
