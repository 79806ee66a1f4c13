"""The contract of everything that reads sensitive training cells, and the one way in which a fit pays for it.

An object spends if it says beforehand what a fit will cost (``planned_ledger``), keeps what it has spent
(``ledger_``, ``delta_``, ``epsilon_``), reports it (``privacy_report``), and takes ``budget=`` and
``on_leak=``. `Spender` is that contract with the fit that all of this library's spenders share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from ._display import ShowsShapes
from ._keywords import KnownKeywords
from ._parameters import Constraint, Rule, check_parameters, is_whole
from ._random_state import seeded
from ._refit import warn_of_repeated_fit
from .accounting._enclosing import check_enclosing
from .accounting._privacy_report import PrivacyReport, _up
from .exceptions import InvalidInputError
from .privacy import BoundEntry, PrivacyLedger, PrivatePlan
from .privacy._budget import spending
from .privacy._ledger import read_without_noise
from .privacy._relations import RELATIONS, whose_rows
from .privacy._weak_budgets import warn_of_plan
from .tables._domain import Domain
from .tables._groups import Units
from .tables._mistyped import warn_of_mistyped
from .tables._outside import warn_outside
from .tables._schema import SensitiveSchema
from .tables._table import Table


class Begin:
    """Pays for a fit when it is called: right before the first sensitive cell is read.

    Parameters
    ----------
    pay : callable
    """

    def __init__(self, pay: Callable[[], None]):
        self._pay = pay
        self.begun = False

    def __call__(self) -> None:
        self.begun = True
        self._pay()


@dataclass(frozen=True)
class Job:
    """What a fit knows before it plans. The table aside, everything in it follows from public facts.

    Parameters
    ----------
    table : Table
        The original one.
    schema : SensitiveSchema
    units : Units
        The rows of each unit that private branches read.
    """

    table: Table
    schema: SensitiveSchema
    units: Units

    @property
    def n_rows(self) -> int:
        """Number of rows, which is public."""
        return len(self.table)


class Spender(KnownKeywords, ShowsShapes, BaseEstimator):
    """Whatever reads sensitive training cells: plan, reserve, pay, read, report. Not for users.

    A subclass says what its parameters may be (`_constraints`, `_rules`), reads the public facts of what it
    was given (`_read`), makes a plan from them (`_plan`), and trains (`_train`), calling what it is handed
    right before it first reads a sensitive cell.
    """

    sensitive: Any
    adjacency: str
    budget: Any
    on_leak: str
    random_state: Any
    delta: float | None

    ledger_: PrivacyLedger
    delta_: float
    schema_: SensitiveSchema
    plan_: PrivatePlan | None
    n_rows_: int
    _relation: str
    # Of a fit; models that were saved by earlier versions do not know.
    _chosen_by: str = ""

    _constraints: ClassVar[Mapping[str, Constraint]]
    _rules: ClassVar[tuple[Rule, ...]] = ()

    # What a subclass says ------------------------------------------------------------------

    def _read(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> Job:
        """Read the public facts of a table and its target."""
        raise NotImplementedError

    def _plan(
        self, n_rows: int, columns: Mapping[str, float | None], rows_per_unit: int, job: Job | None = None
    ) -> PrivatePlan | None:
        """Plan a fit that reads these columns, each with its own epsilon or None; None if it reads none.

        Without a job, as for ``planned_ledger``, all but the clipping norm must be right.
        """
        raise NotImplementedError

    def _train(self, job: Job, begin: Begin) -> None:
        """Learn; call `begin` right before the first sensitive cell is read."""
        raise NotImplementedError

    def _budgets(self, job: Job) -> dict[str, float | None]:
        """Sensitive columns that the private part reads, each with the epsilon that its domain states."""
        return {c: d.epsilon for c, d in job.schema.domains.items()}

    def _mechanism(self) -> dict[str, Any]:
        """Noise, clipping and the like, for the report."""
        raise NotImplementedError

    def _public_facts(self) -> list[str]:
        """What the fit has treated as known to the adversary."""
        return []

    def _not_covered(self) -> list[str]:
        """What the guarantee does not cover, beside what every spender has in common."""
        return []

    @property
    def _adjacency(self) -> str:
        """Neighbouring relation of the next fit."""
        return self.adjacency

    @property
    def _source(self) -> str:
        """What the ledger's entries name as their source."""
        return f"{type(self).__name__}.fit"

    # The contract --------------------------------------------------------------------------

    def planned_ledger(self, n_rows: int, rows_per_unit: int = 1) -> PrivacyLedger:
        """Say what a fit on so many rows will spend, from public facts alone.

        Parameters
        ----------
        n_rows : int
            Rows of the training table.
        rows_per_unit : int, default=1
            The most rows of one unit, such as a person.

        Returns
        -------
        PrivacyLedger
            What the fit will add to ``ledger_``, if each sensitive column has a declared domain. Columns that
            `sensitive` does not name are called "?", and positions from the end are as they were given. Of a
            table that an imputer has paired, ask with ``sensitive=None``, as it is fitted: it needs no count
            of cells (FusionDP), and has the noise of all of epsilon.
        """
        check_parameters(self)
        columns = {name: getattr(domain, "epsilon", None) for name, domain in self._declared().items()}
        plan = self._plan(int(n_rows), columns, rows_per_unit)
        return self._cost(plan, self._unpaid(tuple(columns), ()), int(n_rows))

    @property
    def epsilon_(self) -> float:
        """Epsilon of everything in `ledger_` under the relation of the fit that is shown, at `delta_`."""
        return self.ledger_.under(self._relation).epsilon(self.delta_)

    def privacy_report(self) -> PrivacyReport:
        """What the fit protects, between which neighbours, at which cost; and what it does not.

        Returns
        -------
        PrivacyReport
            Text when printed, HTML in a notebook; ``to_dict``, ``to_json``, ``save_html``. It speaks of this
            estimator alone; ``accounting.privacy_report`` speaks of the whole pipeline.
        """
        check_is_fitted(self, "schema_")
        return PrivacyReport(
            estimator=type(self).__name__,
            method=self._method_name,
            protected=self._protected(),
            adjacency=self._relation,
            epsilon=self.epsilon_,
            delta=self.delta_,
            n_rows=self.n_rows_,
            mechanism={**self._mechanism(), "mechanisms_in_ledger": len(self.ledger_)},
            ledger=self.ledger_,
            unit=self.unit_,
            public=tuple(self._public_facts()),
            not_covered=(*self._not_covered(), *self._common_gaps()),
            surroundings=self._in_context(),
            chosen_by=self._chosen_by,
        )

    # The fit -------------------------------------------------------------------------------

    def _fit(self, X: Any, y: Any = None, **given: Any) -> Any:
        """Check, plan, reserve, pay, train; last, warn of what only the data holder may know."""
        check_parameters(self)
        job = self._read(X, y, **given)
        if job.schema.public:
            warn_of_mistyped(next(job.table.chunks(job.schema.public))[1])
        plan = self._plan(job.n_rows, self._budgets(job), job.units.rows_per_unit, job)
        unpaid = self._unpaid(job.schema.sensitive, job.schema.leaks)
        planned = _by_users_names(self._cost(plan, unpaid, job.n_rows), job.schema)
        delta = plan.delta if plan is not None else float(self.delta or 1 / (10 * job.n_rows))
        around = check_enclosing(self, X, self.on_leak)
        self._surroundings, self._spent_around = around.sentence, around.ledger
        self._chosen_by = around.chosen_by
        if plan is not None:
            warn_of_plan(planned, delta, job.n_rows)
        spent_before = len(getattr(self, "ledger_", ()))
        with self._reserved(planned, delta, self._adjacency) as begin:
            self.schema_, self.plan_, self.n_rows_ = job.schema, plan, job.n_rows
            self.unit_, self.rows_per_unit_ = job.units.name, job.units.rows_per_unit
            self._train(job, begin)
            if not begin.begun:
                # No sensitive cell was read, except for domains that were taken from training cells.
                leaked = _by_users_names(self._cost(None, unpaid, job.n_rows), job.schema)
                self._pay(leaked, delta, self._adjacency)
        if len(self.ledger_) > spent_before:
            self._tell_holder(job)
        return self

    @contextmanager
    def _reserved(self, planned: PrivacyLedger, delta: float, adjacency: str) -> Iterator[Begin]:
        """Reserve a cost for a block, which calls what it gets right before it reads a sensitive cell."""
        earlier = vars(self).get("ledger_", PrivacyLedger())
        warn_of_repeated_fit(type(self).__name__, earlier, planned, delta)
        with spending(self.budget, planned, delta) as pay:
            self._seeded = seeded(self.random_state)

            def write_down() -> None:
                # The whole plan: where a fit stops may depend on what it has released.
                self._pay(planned, delta, adjacency)
                pay(planned)

            yield Begin(write_down)

    def _cost(self, plan: PrivatePlan | None, unpaid: tuple[str, ...], n_rows: int) -> PrivacyLedger:
        """What a plan spends, and what is read without noise, whatever follows."""
        spent = PrivacyLedger() if plan is None else plan.ledger(plan.steps, self._source)
        return spent + read_without_noise(unpaid, n_rows, self._adjacency, self._source)

    def _unpaid(self, columns: tuple[str, ...], leaks: tuple[str, ...]) -> tuple[str, ...]:
        """Columns that are read without noise: of all sensitive ones, those whose domains cells gave."""
        return leaks

    def _pay(self, spent: PrivacyLedger, delta: float, adjacency: str) -> None:
        """Add to the ledger; it, delta and relation change together, here and nowhere else."""
        earlier = vars(self).get("ledger_", PrivacyLedger())
        self.ledger_, self.delta_, self._relation = earlier + spent, delta, adjacency

    def _paid_attributes(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """What stays of a fit that failed: the model before it, and the ledger after it."""
        names = ("ledger_",) if "ledger_" in before else ("ledger_", "delta_", "_relation")
        return {name: vars(self)[name] for name in names if name in vars(self)}

    def _tell_holder(self, job: Job) -> None:
        """Tell the data holder what share of cells the declared domains do not hold."""
        warn_outside(job.table, self._outside_of(job), job.schema.called)

    def _outside_of(self, job: Job) -> dict[str, Domain]:
        """Declared domains of columns whose cells were read."""
        return dict(job.schema.public_domains)

    def _declared(self, n_columns: int | None = None) -> dict[str, Domain | None]:
        """Columns that `sensitive` names, with their domains; "?" where it does not name them.

        A position from the end has a column's own name where it is known how many columns there are.
        """
        stated = self._stated_sensitive()
        if not isinstance(stated, Mapping):
            return {"?": None}

        def name(k: Any) -> str:
            return str(k) if not is_whole(k) else f"x{k if n_columns is None else k % n_columns}"

        return {name(k): domain for k, domain in stated.items()}

    def _stated_sensitive(self) -> Any:
        """The stated `sensitive`: this object's, or else its imputer's."""
        imputer = getattr(self, "imputer", None)
        return imputer.sensitive if self.sensitive is None and imputer is not None else self.sensitive

    def _require_target(self, y: Any) -> None:
        if y is None:
            raise InvalidInputError(
                f"requires y to be passed, but the target y is None: {type(self).__name__}.fit(X, y)."
            )

    # The report ----------------------------------------------------------------------------

    @property
    def _method_name(self) -> str:
        return "gaussian"

    def _protected(self) -> dict[str, dict]:
        return self.schema_.facts

    def _domain_facts(self) -> list[str]:
        """Where the domains come from, if anybody has stated them."""
        sources = sorted(set(self.schema_.sources.values()) - {"training cells"})
        return [f"the domains of the sensitive columns ({', '.join(sources)})"] if sources else []

    def _in_context(self) -> str:
        """What the check saw of the pipeline around the fit, and what other steps had spent before it."""
        fixed = (
            f"Whoever knows random_state={self._seeded} can recompute the noise, which then protects nothing "
            "from them. "
        ) * bool(self._seeded and len(self.ledger_))
        others = self._spent_around.under(self._relation)
        if not len(others):
            return f"{fixed}{self._surroundings}"
        delta = self.delta_ + sum(e.delta for e in others if isinstance(e, BoundEntry))
        together = (others + self.ledger_.under(self._relation)).epsilon(delta)
        return (
            f"{fixed}{self._surroundings} This report speaks of this step alone: with what other steps had "
            f"spent before it, epsilon is {_up(together)} at delta {_up(delta)} ({self._relation}, of "
            f"{whose_rows((others + self.ledger_).rows_per_unit, self.unit_)}), and "
            "accounting.privacy_report(pipeline) adds up all steps."
        )

    def _common_gaps(self) -> list[str]:
        gaps = []
        if self._seeded and len(self.ledger_):
            gaps.append(
                f"anyone who knows random_state={self._seeded}: the noise can be recomputed; use "
                "random_state=None for a release"
            )
        if RELATIONS[self._relation].not_covered:
            gaps.append(RELATIONS[self._relation].not_covered)
        others = {e.adjacency for e in self.ledger_} - {self._relation}
        if others:
            gaps.append(f"earlier fits of this {self._kind} under {', '.join(sorted(others))}")
        return gaps

    _kind = "estimator"

    def __getstate__(self) -> dict:
        state = dict(super().__getstate__())  # a copy: saving changes nothing
        if "schema_" in state:
            # A saved model carries no rows; what prediction needs was learnt from them.
            state |= {n: None for n in ("support", "support_target") if n in state}
            if state.get("imputer") is not None:
                state["imputer"] = without_rows(state["imputer"])
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _by_users_names(ledger: PrivacyLedger, schema: SensitiveSchema) -> PrivacyLedger:
    """The entries with the user's names of the columns, where the table has others."""
    if not schema.called:
        return ledger
    return PrivacyLedger(
        tuple(replace(e, protects=tuple(map(schema.name, e.protects))) for e in ledger.entries)
    )


def without_rows(estimator: Any) -> Any:
    """A clone of an unfitted estimator whose parts have no support rows."""
    copy = clone(estimator)
    rows = [n for n in copy.get_params(deep=True) if n.split("__")[-1] in ("support", "support_target")]
    return copy.set_params(**dict.fromkeys(rows))
