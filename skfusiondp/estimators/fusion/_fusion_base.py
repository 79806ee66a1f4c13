"""What the FusionDP estimators share: views, plan, training and predictions."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from ..._forked import one_thread_after_fork
from ..._parameters import Constraint, Rule, store_parameters
from ..._random_state import random_generator
from ..._refit import all_or_nothing
from ..._spender import Begin, Job
from ...accounting._called import columns_called
from ...exceptions import InvalidInputError, PrivacyBudgetError
from ...impute import FoundationImputer
from ...impute._completed import completed
from ...privacy import Clipping, PrivatePlan, make_plan
from ...privacy._random_bits import RandomBits
from ...privacy._relations import ROW_RELATIONS
from ...tables._frames import check_table
from ...tables._groups import Units, read_units, without_column
from ...tables._ordered import Ordered
from ...tables._read_table import read_table
from ...tables._repeats import repeated_rows
from ...tables._schema import SensitiveSchema, resolve_schema
from ...tables._select import Lookup, select_columns
from ...tables._table import Table
from ...tables._table_encoder import TableEncoder
from ...training._driver import Driver
from ...training._process_group import Ranks
from .._private_estimator import PrivateEstimator
from ..joint._counted_cells import CountedCells
from ..offset._correction import COUNTS, Releases
from ._count import count_cells, count_plan, uncut, with_knots
from ._fusion_constraints import FUSION, FUSION_RULES
from ._methods import Method, method_of
from ._net_parameters import NetParameters
from ._prepared_net import prepared_net
from ._public_score import PublicScore
from ._schedule import Schedule, schedule_of
from ._scored_encoder import IMPUTED_ROWS, ScoredEncoder
from ._views import FitTable, imputed_cells, training_rows

if TYPE_CHECKING:
    from ...training._batches import TrainingRows
    from ...training._net import FusionDPNet

# Rows by which a fit is rehearsed before a count is paid for, and by which its start is.
_FEW_ROWS, _FEW_STARTS = 8, 500
# Standard deviations beyond their noise from which on gradients show something.
_SEEN = 2.0


@dataclass(frozen=True)
class EncodedTarget:
    """A public target as the net takes it.

    Parameters
    ----------
    values : ndarray of shape (n_rows,) or (n_rows, n_outputs)
    weight : ndarray of shape (n_rows,), float32
        Public weights of the rows.
    task : {"binary", "multiclass", "multilabel", "regression"}
    n_outputs : int
    """

    values: np.ndarray
    weight: np.ndarray
    task: str
    n_outputs: int


@dataclass(frozen=True)
class FusionJob(Job):
    """What a fit of a FusionDP estimator knows before it plans: its table, views and targets.

    `support_target` are the encoded targets of the support rows and their weights, where they are read.
    """

    source: FitTable
    target: EncodedTarget
    support_target: tuple[np.ndarray, np.ndarray] | None


@dataclass(frozen=True)
class FittedEncoder:
    """An encoder, and the scores of training and of labelled support rows, if it has a public model."""

    encoder: TableEncoder
    scores: np.ndarray | None = None
    support_scores: np.ndarray | None = None


class BaseFusionDP(NetParameters, PrivateEstimator):
    """Common half of FusionDPClassifier and FusionDPRegressor; not for users."""

    _constraints: ClassVar[Mapping[str, Constraint]] = FUSION
    _rules: ClassVar[tuple[Rule, ...]] = FUSION_RULES
    _driver = Driver()

    def __init__(
        self,
        sensitive: Any = None,
        *,
        epsilon: float | None = None,
        delta: float | None = None,
        support: Any = None,
        support_target: Any = None,
        imputer: Any = None,
        noise_multiplier: float | None = None,
        adjacency: str = "replace",
        groups: Any = None,
        max_rows_per_unit: int | None = None,
        budget: Any = None,
        on_leak: str = "warn",
        method: str = "fusiondp",
        max_grad_norm: float = 1.0,
        clipping: str = "flat",
        alpha: float = 1.0,
        beta: float = 0.0,
        consistency_bound: float = 1.0,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        public_epochs: int | None = None,
        public_batch_size: int | None = None,
        ema_decay: float = 0.99,
        module: Any = None,
        optimizer: Any = None,
        lr: float | None = None,
        public_lr: float = 2e-3,
        private_parameters: Sequence[str] | None = None,
        micro_batch_size: int | None = None,
        callbacks: Any = None,
        device: str = "cpu",
        verbose: int = 0,
        random_state: Any = None,
        **kwargs: Any,
    ):
        store_parameters(self, locals())
        self._store_net_parameters(kwargs)

    @abstractmethod
    def _encode_target(self, y: Any, n_rows: int) -> EncodedTarget:
        """Validate y and encode it."""

    @abstractmethod
    def _encode_more(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Check and encode the support rows' targets as `_encode_target` did; return their weights too."""

    @all_or_nothing
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> BaseFusionDP:
        """Train under the budget.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns), or PairedTable
            A pandas or polars frame, or an array; or both views from a FoundationImputer with
            ``output="paired"``. A memory-mapped array, a pyarrow Table or data set, or the path of a
            .npy, .parquet or .feather file or a folder of parquet files, stays on disk: rows are read
            and encoded batch by batch (see Notes).
        y : array-like of shape (n_rows,) or (n_rows, n_outputs)
            Target, public.
        sample_weight : array-like of shape (n_rows,), optional
            Public weights of rows in the loss. A row's weighted gradient is clipped like any other.
        groups : array-like of shape (n_rows,), optional
            Whose row it is, public, in place of the parameter `groups`. Under metadata routing, ask for it
            by ``set_fit_request(groups=True)``.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            For a parameter, column, domain or module that cannot be used. Nothing has been trained
            then, and no sensitive cell has been paid for.
        PrivacyLeakError
            If ``on_leak="raise"`` and something would read sensitive cells without paying.
        """
        return self._fit(X, y, sample_weight=sample_weight, groups=groups)

    def _read(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> FusionJob:
        self._require_target(y)
        lookup = columns_called(self, X)
        X, units = read_units(X, self.groups, groups, self.max_rows_per_unit, self.sensitive)
        table = read_table(self, X, reset=True, paired=True)
        # The target is quickly read: before an imputer is fitted.
        target = self._encode_target(y, len(table))
        self._require_rows(*table.shape)
        source = self._fit_table(table, lookup)
        table, schema = source.table, source.schema
        if units is None:  # which matter where something is paid for
            private = method_of(self.method).private
            units = repeated_rows(table, schema, self.on_leak) if private else Units()
        if sample_weight is not None:
            weight = target.weight * self._row_weight(sample_weight, table)
            target = replace(target, weight=weight.astype(np.float32))
        more = self._encode_more(self.support_target) if self._reads_support_target() else None
        return FusionJob(table, schema, units, source, target, more)

    def _fit_table(self, table: Table, lookup: Lookup) -> FitTable:
        """The table that was passed, its schema, and the fitted imputer where one is needed."""
        if self.budget is not None and method_of(self.method).free_view == "true":
            raise PrivacyBudgetError(
                f"method={self.method!r} reads true sensitive cells without noise: that costs an infinite "
                "epsilon, which no budget has. Nothing was read. Take a private method, or leave budget=None."
            )
        if table.views is not None:
            self._check_stated(table, table.views.schema)
            return FitTable(table, table.views.schema, None)
        schema = resolve_schema(
            table,
            self._stated_sensitive(),
            support=self._given_support(),
            on_leak=self.on_leak,
            budget=self.budget,
            lookup=lookup,
            whole_rows=method_of(self.method).protects_rows,
        )
        return FitTable(table, schema, self._fitted_imputer(schema))

    def _check_stated(self, table: Table, schema: SensitiveSchema) -> None:
        """Refuse a `sensitive` that contradicts a paired table."""
        if self.sensitive is None:
            return
        stated = select_columns(table.columns, table.labels, self.sensitive).domains
        other = [
            c
            for c in sorted({*stated, *schema.sensitive})
            if c not in stated
            or c not in schema.sensitive
            or (stated[c] is not None and stated[c] != schema.domains[c])
        ]
        if other:
            raise InvalidInputError(
                f"sensitive={self.sensitive!r} says other things about {other} than the paired "
                "table; leave sensitive=None: the imputer has declared its columns."
            )

    def _fitted_imputer(self, schema: SensitiveSchema, warns: bool = True) -> FoundationImputer | None:
        if self.imputer is None and not method_of(self.method).imputes:
            return None
        imputer = self._unfitted_imputer(self._imputer_seed)
        return self._driver.imputer(schema, lambda: imputer._fit_schema(schema, warns))

    def _imputer_seed(self) -> int | None:
        """A seed for the imputer if the fit is seeded or several processes must impute alike; else None."""
        ranks = Ranks.current()
        if self.random_state is not None:
            return ranks.same(random_generator(self.random_state).randint(2**31 - 1))
        return None if ranks.world == 1 else ranks.same(int(np.random.default_rng().integers(2**31 - 1)))

    def _plan(
        self, n_rows: int, columns: Mapping[str, float | None], rows_per_unit: int, job: Job | None = None
    ) -> PrivatePlan | None:
        method, schedule = method_of(self.method), self._schedule(n_rows)
        settings: dict[str, Any] = {
            "batch_size": schedule.batch_size,
            "steps": max(1, schedule.steps),  # parameters are checked where no step is private, too
            "epsilon": self.epsilon,
            "noise_multiplier": self.noise_multiplier,
            "delta": self.delta,
            "clipping": Clipping(self.max_grad_norm, self.clipping),
            "adjacency": self._adjacency,
            "columns": {} if method.protects_rows else columns,
            "rows_per_unit": rows_per_unit,
        }
        plan = make_plan(n_rows, **settings)
        if not method.private or not (columns or method.protects_rows):
            return None
        counted = self._counted_columns(method, job)
        # Where one tier holds all columns, as a count needs, the smallest budget of a column is that of all.
        epsilon = 1.0 if self.epsilon is None else float(self.epsilon)
        target = min(epsilon if own is None else own for own in columns.values()) if columns else epsilon
        before = count_plan(plan, counted, target) if counted else None
        return plan if before is None else make_plan(n_rows, **settings, before=before)

    def _counted_columns(self, method: Method, job: Job | None) -> tuple[str, ...]:
        """Columns whose cells are counted, so that the default module knows where they lie.

        There are none where `noise_multiplier` is given, which is then the noise of all that is released, and
        where trees of labelled support rows show what a column does.
        """
        starts = method.imputes and self.support_target is not None
        paired = job is not None and job.table.views is not None
        given = self.module is not None or self.noise_multiplier is not None
        if given or method.free_view is None or starts or paired:
            return ()
        stated = uncut(self._declared(None if job is None else len(job.schema.columns)))
        if job is None:
            return stated
        return tuple(c for c in job.schema.public_domains if job.schema.name(c) in stated)

    def _schedule(self, n_rows: int) -> Schedule:
        read = self._reads_support_target()
        return schedule_of(self, n_rows, len(np.asarray(self.support_target)) if read else 0)

    def _budgets(self, job: Job) -> dict[str, float | None]:
        own = super()._budgets(job)
        if method_of(self.method).protects_rows and (stated := [c for c, e in own.items() if e is not None]):
            raise InvalidInputError(
                f"The domain of {', '.join(stated)} has an epsilon of its own, but method={self.method!r} "
                "protects whole rows with one; leave it out, or choose another method."
            )
        return own

    def _unpaid(self, columns: tuple[str, ...], leaks: tuple[str, ...]) -> tuple[str, ...]:
        return columns if method_of(self.method).free_view == "true" else leaks

    def _reads_support_target(self) -> bool:
        """Whether the public branch reads support rows with their target."""
        return self.support_target is not None and method_of(self.method).free_view is not None

    def _labelled_support(
        self,
        encoder: TableEncoder,
        columns: Sequence[str],
        target: tuple[np.ndarray, np.ndarray] | None,
        scores: np.ndarray | None = None,
    ) -> Any:
        """Encoded support rows with their target, which the public branch reads too; or None."""
        if target is None:
            return None
        import torch

        from ...training._batches import Rows

        y, weight = target
        support = self._support_frame()[list(columns)]  # in the order of X, and no others
        own = () if scores is None else (scores,)
        encoded = encoder._encode(check_table(self, support, reset=False), None, *own)
        if method_of(self.method).free_view == "masked":
            encoded = np.where(encoder.sensitive_features_, np.float32(0), encoded)
        return Rows(torch.from_numpy(encoded), torch.from_numpy(y), torch.from_numpy(weight))

    def _seeds(self) -> np.random.SeedSequence:
        if self.random_state is None:
            return np.random.SeedSequence()
        state = random_generator(self.random_state)
        return np.random.SeedSequence(state.randint(2**31 - 1, size=4).tolist())

    def _facts(self, encoder: TableEncoder, target: np.ndarray, weight: np.ndarray, *plan: Any) -> dict:
        """Public facts that processes that train together must have in common."""
        apart = {"device", "verbose", "callbacks", "random_state"}
        apart |= {"imputer", "sensitive", "budget", "support_target"}
        parameters = {k: v for k, v in self.get_params(deep=False).items() if k not in apart}
        return {
            "the table's public columns and the domains": encoder._facts(),
            "the target": (target.tobytes(), weight.tobytes()),
            "the parameters": repr((parameters, plan)),
        }

    def _training_rows(self, *args: Any) -> TrainingRows:
        return training_rows(*args)

    def _train(self, job: Job, begin: Begin) -> None:
        from ...training._surroundings import usual_modes

        assert isinstance(job, FusionJob)
        with usual_modes():
            self._train_on(job, begin)

    def _train_on(self, job: FusionJob, begin: Begin) -> None:
        ranks, n, target, plan = Ranks.current(), job.n_rows, job.target, self.plan_
        seeds = ranks.same(self._seeds())
        self._method = method_of(self.method)
        counts = plan is not None and plan.before is not None
        like = None if plan is None else tuple(tier.columns for tier in plan.tiers)
        found = self._driver.encoder(like, lambda: self._fit_encoder(job, seeds))
        ranks.check_same(**self._facts(found.encoder, target.values, target.weight, plan, self._schedule(n)))
        if counts:
            self._rehearse(job, found, seeds, ranks)
            begin()
            job = self._cut(job, seeds, ranks)
            found = replace(found, encoder=found.encoder._of_schema(job.table, job.schema))
        # Fits of a search may share an encoder that has a start, or one whose fit went on to count.
        found = self._with_imputed_start(job, found, seeds)
        if hasattr(self, "feature_names_in_"):
            found.encoder.feature_names_in_ = self.feature_names_in_
        rows = self._driver.rows(like, lambda: self._encoded(job, found, ranks.rows(n)))
        self.imputer_, self.encoder_ = job.source.imputer, found.encoder
        net = self._prepared_net(rows, found.encoder, target, seeds, ranks)
        net.begin, net.counted = None if counts else begin, counts
        if plan is None:
            begin()
        self._driver.train(self, net, rows)
        self.net_ = net
        self.history_ = net.history

    def _rehearse(
        self, job: FusionJob, found: FittedEncoder, seeds: np.random.SeedSequence, ranks: Ranks
    ) -> None:
        """Do before the count what comes after it, with knots that nobody has counted, and on few rows.

        So that what can be refused is refused before anything is paid for.
        """
        if self.imputer is not None and self._method.imputes:
            # One of the user's own may fail on any row.
            for first, frame in job.table.chunks(job.schema.public):
                imputed_cells(job.source)(frame, np.arange(first, first + len(frame)))
        found = self._with_imputed_start(job, found, seeds, _FEW_STARTS)
        few = self._encoded(job, found, range(min(job.n_rows, _FEW_ROWS)))
        self._prepared_net(few, found.encoder, job.target, copy.deepcopy(seeds), ranks)

    def _cut(self, job: FusionJob, seeds: np.random.SeedSequence, ranks: Ranks) -> FusionJob:
        """The job with knots where sensitive cells lie, by the release that runs before the first step."""
        assert self.plan_ is not None and self.plan_.before is not None
        plan = self.plan_.before
        named = {c: job.schema.domains[c] for c in plan.tiers[0].columns}
        cells = CountedCells({c: d for c, d in named.items() if isinstance(d, Ordered)})
        bits = RandomBits(None if self.random_state is None else seeds.spawn(1)[0])
        kept = job.units.of(job.n_rows)

        def count() -> np.ndarray:
            return count_cells(cells, job.table, kept, Releases(COUNTS, plan, bits, lambda: None))

        # One release: the other ranks learn what it has shown.
        counted = self._driver.counts(count, cells, job.table, kept) if ranks.rank == 0 else None
        cells.learn(ranks.same(counted))
        self.schema_ = schema = with_knots(job.schema, cells)
        imputer = self._fitted_imputer(schema, warns=False)
        return replace(job, schema=schema, source=FitTable(job.table, schema, imputer))

    def _encoded(self, job: FusionJob, found: FittedEncoder, shard: range) -> TrainingRows:
        """The views of some of the rows."""
        support = self._labelled_support(
            found.encoder, job.schema.columns, job.support_target, found.support_scores
        )
        return self._training_rows(
            self._method,
            found.encoder,
            job.source,
            job.target.values,
            job.target.weight,
            shard,
            () if self.plan_ is None else [t.columns for t in self.plan_.tiers],
            support,
            job.units.kept,
            found.scores,
        )

    def _prepared_net(
        self,
        rows: TrainingRows,
        encoder: TableEncoder,
        target: EncodedTarget,
        seeds: np.random.SeedSequence,
        ranks: Ranks,
    ) -> FusionDPNet:
        schedule = self._schedule(self.n_rows_)
        return prepared_net(self, encoder, rows, target.task, target.n_outputs, schedule, seeds, ranks)

    def _fit_encoder(self, job: FusionJob, seeds: np.random.SeedSequence) -> FittedEncoder:
        """Fit the encoder on public facts.

        The default module starts from scores of a public model, unless it reads all cells alike, and from
        what sensitive cells add to them, where this can be learnt for free. Where no true cell trains it,
        that is all that it takes of them.
        """
        method, target, more = method_of(self.method), job.target, job.support_target
        free, views = not method.private, job.source.table.views
        plain = method.free_view in (None, "true") or not job.schema.public
        # Whoever made a view of cells of their own wants the network to learn from it.
        plain = plain or (free and views is not None and views.expected is None)
        encoder = TableEncoder() if plain or self.module is not None else ScoredEncoder()
        encoder._fit_schema(job.table, job.schema)
        if not isinstance(encoder, ScoredEncoder):
            return FittedEncoder(encoder)
        encoder.start_alone = free
        known = job.table, target.values, target.weight
        score = PublicScore(target.task, target.n_outputs)
        seed = _seed_of(seeds)
        if more is None:
            found = FittedEncoder(encoder, encoder.fit_scores(*known, score, seed))
        else:
            support = self._support_frame()
            assert support is not None
            starts = self._starts(job) and (target.task != "regression" or target.n_outputs == 1)
            found = FittedEncoder(encoder, *encoder.fit_start(*known, score, seed, support, *more, starts))
        # A count is yet to move knots, which effects of imputed cells go by.
        counts = self.plan_ is not None and self.plan_.before is not None
        return found if counts else self._with_imputed_start(job, found, seeds)

    def _starts(self, job: FusionJob) -> bool:
        """Whether what sensitive cells add is learnt for free before private steps.

        Not where no column is sensitive, nor where several budgets share what the steps learn.
        """
        method = method_of(self.method)
        one_budget = not method.private or (self.plan_ is not None and len(self.plan_.tiers) == 1)
        return method.imputes and one_budget and bool(job.schema.domains)

    def _with_imputed_start(
        self,
        job: FusionJob,
        found: FittedEncoder,
        seeds: np.random.SeedSequence,
        most_rows: int = IMPUTED_ROWS,
    ) -> FittedEncoder:
        """With a start that is learnt from imputed cells, where labelled support rows gave none."""
        encoder, views = found.encoder, job.source.table.views
        if not isinstance(encoder, ScoredEncoder) or encoder.n_starts or not self._starts(job):
            return found
        if views is not None and views.expected is None:
            return found
        assert found.scores is not None
        known = job.table, job.target.values, job.target.weight, found.scores
        imputed, seed = imputed_cells(job.source), _seed_of(seeds)
        return replace(found, encoder=encoder.with_imputed_start(*known, imputed, seed, most_rows))

    def _tell_holder(self, job: Job) -> None:
        if Ranks.current().rank == 0:
            super()._tell_holder(job)

    @property
    def _adjacency(self) -> str:
        return ROW_RELATIONS[0] if method_of(self.method).protects_rows else self.adjacency

    @property
    def _source(self) -> str:
        return f"{type(self).__name__}.fit(method={self.method!r})"

    @one_thread_after_fork()
    def _scores(self, X: Any) -> np.ndarray:
        """Raw outputs for a table whose sensitive columns may be absent."""
        check_is_fitted(self, "net_")
        X = without_column(X, self.groups)
        table = read_table(self, X, reset=False, optional=self.schema_.sensitive, paired=True)
        parts = [self.net_.outputs(self._encode(table, f, i)) for i, f in table.chunks()]
        return np.concatenate(parts).astype(np.float64)

    def _encode(self, table: Table, frame: pd.DataFrame, first: int) -> np.ndarray:
        """Encode a chunk of a table from its row `first` on.

        Absent sensitive columns are imputed.
        """
        rows = completed(frame, self.schema_, self.imputer_, first)
        return self.encoder_._encode(rows.frame, rows.expected)

    # The report ----------------------------------------------------------------------------

    _method: Method

    @property
    def _method_name(self) -> str:
        return self._method.name

    def _protected(self) -> dict[str, dict]:
        return {} if self._method.protects_rows else super()._protected()

    @property
    def _read_privately(self) -> str:
        return "rows" if self._method.protects_rows else "sensitive cells"

    @property
    def _nothing_seen(self) -> str:
        return f"not told from noise: those of {self._read_privately} add up to no more than their noise does"

    def _mechanism(self) -> dict[str, Any]:
        plan = self.plan_
        if plan is None:
            return {"method": self._method.name}
        return {
            **({} if plan.before is None else {"count_noise_multiplier": plan.before.noise_multiplier}),
            "noise_multiplier": plan.noise_multiplier,
            "max_grad_norm": plan.clipping.max_grad_norm,
            "clipping": plan.clipping.kind,
            "sampling_rate": plan.sample_rate,
            "expected_batch_size": plan.expected_batch_size,
            "steps_planned": plan.steps,
            "steps_run": self.net_.private_steps_,
            "correction_kept_by_plan": self.net_.correction_kept_,
            **({"gradients": self._nothing_seen} if self.net_.beyond_noise_ < _SEEN else {}),
        }

    def _public_facts(self) -> list[str]:
        known = self._table_facts()[: 1 if self._method.protects_rows else None]
        return [*known, *self._common_facts()]

    def _not_covered(self) -> list[str]:
        if self._method.free_view == "true":
            return ["everything: the method is non-private, and reads true sensitive cells without noise"]
        gaps = list(self.schema_.gaps)
        if self._method.protects_rows:
            gaps.append("statistics of the encoding (means, scales, categories) and of the target")
        if self.imputer_ is None and self._method.imputes:
            gaps.append(
                "the hybrid view: it came with X, and whether true cells were read for it is not known"
            )
        if self.plan_ is not None:
            gaps.append(f"choosing hyper-parameters by comparing fits on the same {self._read_privately}")
        return gaps


def _seed_of(seeds: np.random.SeedSequence) -> int:
    return int(seeds.generate_state(1)[0] % (2**31 - 1))
