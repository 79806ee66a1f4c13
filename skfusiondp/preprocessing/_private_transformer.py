"""What the transformers that pay for a release share: plan, release, ledger and report."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._parameters import Constraint, Integer, Rule, as_float, check_parameters
from .._privacy_parameters import EPSILON_OR_NOISE, PRIVACY
from .._random_state import seeded
from .._refit import PaidFits, all_or_nothing
from ..accounting._privacy_report import PrivacyReport
from ..exceptions import InvalidInputError
from ..privacy import (
    LedgerEntry,
    PrivacyLedger,
    calibrate_noise_multiplier,
    relation,
)
from ..privacy._budget import spending
from ..privacy._ledger import read_without_noise
from ..privacy._random_bits import RandomBits
from ..privacy._release import SumNoise
from ..privacy._weak_budgets import warn_of_plan
from ..tables._containers import SetOutput, replace_columns
from ..tables._domain import Domain
from ..tables._frames import check_table
from ..tables._groups import read_units
from ..tables._outside import warn_outside
from ..tables._repeats import repeated_rows
from ..tables._schema import SensitiveSchema, resolve_schema
from ..tables._table import FrameTable

N_BINS = Integer(2, 2**16, remedy="noise hides finer ones")
_EPSILON = 0.5


class PrivateTransformer(  # type: ignore[call-arg]
    PaidFits, OneToOneFeatureMixin, SetOutput, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
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

    sensitive: Any
    epsilon: float | None
    noise_multiplier: float | None
    delta: float | None
    adjacency: str
    groups: Any
    max_rows_per_unit: int | None
    budget: Any
    on_leak: str
    random_state: Any

    @abstractmethod
    def _total(self, frame: pd.DataFrame, columns: tuple[str, ...]) -> np.ndarray:
        """Sum over rows of what each adds, whole multiples of `_unit`, one array of int64."""

    @abstractmethod
    def _learn(self, released: np.ndarray, columns: tuple[str, ...]) -> None:
        """Compute everything from the release: post-processing."""

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
        check_parameters(self)
        frame = check_table(self, X, reset=True)
        table = FrameTable(frame, X)
        schema = resolve_schema(table, self.sensitive, on_leak=self.on_leak, budget=self.budget)
        own = [c for c, d in schema.domains.items() if d.epsilon is not None]
        if own:
            raise InvalidInputError(
                f"The domain of {', '.join(own)} has an epsilon of its own, but {type(self).__name__} "
                "releases all columns together; give it domains without one."
            )
        units = read_units(X, self.groups, groups, self.max_rows_per_unit, schema.sensitive)[1]
        if units is None:
            units = repeated_rows(table, schema, self.on_leak)
        columns = self._columns_to_read(schema, y)
        n = len(frame)
        delta = self._delta(n)
        sigma = self._noise_multiplier(n, units.rows_per_unit)
        # Domains that training cells gave are a read without noise, whatever is released.
        spent = self._ledger_of(sigma, columns, n, units.rows_per_unit)
        spent += read_without_noise(schema.leaks, n, self.adjacency, f"{type(self).__name__}.fit")
        norm = self._norm(len(columns))
        noise = SumNoise(sigma, norm, self._unit)
        warn_of_plan(spent, delta, n)
        with spending(self.budget, spent) as pay:
            self.schema_, self.n_rows_ = schema, n
            self.noise_multiplier_, self.columns_ = sigma, columns
            self.clipping_norm_ = norm
            self.unit_, self.rows_per_unit_ = units.name, units.rows_per_unit
            self._seeded = seeded(self.random_state)
            # What fails half way has read the cells all the same.
            self._pay(spent, delta, self.adjacency)
            pay()
            self._release(self._kept(frame, units.of(n)), noise, columns)
        warn_outside(table, {c: d for c, d in schema.public_domains.items() if c in columns})
        return self

    def _kept(self, frame: pd.DataFrame, kept: np.ndarray) -> pd.DataFrame:
        """The rows that are read: not those of a unit beyond its bound."""
        return frame[kept].reset_index(drop=True)

    def _release(self, frame: pd.DataFrame, noise: SumNoise, columns: tuple[str, ...]) -> None:
        released = np.zeros(0)
        if columns:
            released = noise.added_to(self._total(frame, columns), RandomBits(self.random_state))
        self._learn(released, columns)

    def _columns_to_read(self, schema: SensitiveSchema, y: Any) -> tuple[str, ...]:
        return tuple(c for c, d in schema.domains.items() if isinstance(d, self._needs))

    def _norm(self, n_columns: int) -> float:
        wide = math.sqrt(max(n_columns, 1))
        return relation(self.adjacency).clipping_norm(self._diameter * wide, self._reach * wide)

    def _noise_multiplier(self, n_rows: int, rows_per_unit: int = 1) -> float:
        if self.noise_multiplier is not None:
            return as_float(self.noise_multiplier)
        epsilon = _EPSILON if self.epsilon is None else self.epsilon
        return calibrate_noise_multiplier(
            epsilon, self._delta(n_rows), 1.0, 1, self.adjacency, rows_per_unit=rows_per_unit
        )

    def _delta(self, n_rows: int) -> float:
        return 1 / (10 * n_rows) if self.delta is None else as_float(self.delta)

    def _ledger_of(
        self, sigma: float, columns: tuple[str, ...], n_rows: int, rows_per_unit: int = 1
    ) -> PrivacyLedger:
        if not columns:
            return PrivacyLedger()
        source = f"{type(self).__name__}.fit"
        entry = LedgerEntry(
            sigma, 1.0, 1, self.adjacency, columns, n_rows, source, rows_per_unit=rows_per_unit
        )
        return PrivacyLedger((entry,))

    def _planned_ledger(self, n_rows: int) -> PrivacyLedger:
        """The most that a fit on `n_rows` rows spends."""
        check_parameters(self)
        return self._ledger_of(self._noise_multiplier(n_rows), ("?",), n_rows)

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
        return self._contain(replace_columns(X, frame, new, list(frame.columns)), X)

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

    def privacy_report(self) -> PrivacyReport:
        """What the fit protects, between which neighbours, at which cost; and what it does not.

        Returns
        -------
        PrivacyReport
            Text when printed, HTML in a notebook; ``to_dict``, ``to_json``, ``save_html``.
        """
        check_is_fitted(self, "schema_")
        protected = {
            c: {**d.to_dict(), "source": self.schema_.sources[c]} for c, d in self.schema_.domains.items()
        }
        gaps = list(self.schema_.gaps)
        if self._seeded:
            gaps.append(
                f"anyone who knows random_state={self._seeded}: the noise can be recomputed; use "
                "random_state=None for a release"
            )
        if self._relation == "zero-out":
            gaps.append("two arbitrary values of a cell: zero-out compares a value with its being erased")
        others = {e.adjacency for e in self.ledger_} - {self._relation}
        if others:
            gaps.append(f"earlier fits of this transformer under {', '.join(sorted(others))}")
        gaps.append("transformed rows: each depends on its own cells; what was learnt is protected")
        facts = ["the number of rows and the parameters", *self._public_facts()]
        facts.append(f"the public columns: {', '.join(self.schema_.public) or 'none'}")
        return PrivacyReport(
            estimator=type(self).__name__,
            method="gaussian",
            protected=protected,
            adjacency=self._relation,
            epsilon=self.epsilon_,
            delta=self.delta_,
            n_rows=self.n_rows_,
            mechanism={
                "noise_multiplier": self.noise_multiplier_,
                "clipping_norm": self.clipping_norm_,
                "columns_read": ", ".join(self.columns_) or "none",
                "fits_in_ledger": len(self.ledger_),
            },
            ledger=self.ledger_,
            unit=self.unit_,
            public=tuple(facts),
            not_covered=tuple(gaps),
        )

    def _public_facts(self) -> tuple[str, ...]:
        return ()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags
