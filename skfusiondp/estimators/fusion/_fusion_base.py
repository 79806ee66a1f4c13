"""What the FusionDP estimators share: views, plan, training and predictions."""

from __future__ import annotations

import copy
import inspect
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from ..._forked import one_thread_after_fork
from ..._parameters import Constraint, Rule, check_int, store_parameters
from ..._random_state import random_generator
from ..._refit import all_or_nothing
from ..._spender import Begin, Job
from ...accounting._called import columns_called
from ...exceptions import InvalidInputError
from ...impute import FoundationImputer
from ...impute._completed import completed
from ...privacy import Clipping, PrivatePlan, make_plan
from ...privacy._random_bits import RandomBits
from ...privacy._relations import ROW_RELATIONS
from ...tables._frames import check_table
from ...tables._groups import read_units, without_column
from ...tables._read_table import read_table
from ...tables._repeats import repeated_rows
from ...tables._schema import SensitiveSchema, resolve_schema
from ...tables._select import Lookup, select_columns
from ...tables._table import Table
from ...tables._table_encoder import TableEncoder
from ...training._driver import Driver
from ...training._process_group import Ranks
from .._private_estimator import PrivateEstimator
from ..offset._correction import COUNTS, Releases
from ..offset._counted_cells import CountedCells, count_cells
from ._count import count_plan, uncut, with_knots
from ._fusion_constraints import FUSION, FUSION_RULES
from ._methods import METHODS, Method, method_of
from ._net_parameters import NetParameters
from ._public_score import PublicScore
from ._scored_encoder import ScoredEncoder
from ._views import FitTable, imputed_cells, training_rows

if TYPE_CHECKING:
    from ...training._batches import TrainingRows
    from ...training._net import FusionDPNet

# Learning rates of private steps where they train a whole network, and where its head alone;
# docs/benchmarks.md says on which tables they were chosen.
_LR, _HEAD_LR = 0.01, 0.02
# Where nothing else is said: the largest batches, the most private steps of an epoch and the most rows of a
# public one. More of them lowers no loss, however many rows the table has (docs/scaling.md).
_LARGEST_BATCH, _LARGEST_PUBLIC_BATCH, _EPOCH_STEPS, _EPOCH_ROWS = 2**13, 2**12, 32, 2**18


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


@dataclass(frozen=True)
class Schedule:
    """Steps and batch sizes of a fit, from public facts.

    Parameters
    ----------
    batch_size, public_batch_size : int
    steps : int
        Private steps.
    epoch_steps : tuple of int
        Steps of each epoch: of the public warm-up first, then private ones.
    """

    batch_size: int
    public_batch_size: int
    steps: int
    epoch_steps: tuple[int, ...]


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
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> BaseFusionDP:
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
        if units is None:
            units = repeated_rows(table, schema, self.on_leak)
        if sample_weight is not None:
            weight = target.weight * self._row_weight(sample_weight, table)
            target = replace(target, weight=weight.astype(np.float32))
        more = self._encode_more(self.support_target) if self._reads_support_target() else None
        return FusionJob(table, schema, units, source, target, more)

    def _fit_table(self, table: Table, lookup: Lookup) -> FitTable:
        """The table that was passed, its schema, and the fitted imputer where one is needed."""
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

    def _fitted_imputer(self, schema: SensitiveSchema) -> FoundationImputer | None:
        if self.imputer is None and not method_of(self.method).imputes:
            return None
        imputer = self._unfitted_imputer(self._imputer_seed)
        return self._driver.imputer(schema, lambda: imputer._fit_schema(schema))

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
        epsilon = 1.0 if self.epsilon is None else float(self.epsilon)
        before = count_plan(plan, counted, epsilon) if counted else None
        return plan if before is None else make_plan(n_rows, **settings, before=before)

    def _counted_columns(self, method: Method, job: Job | None) -> tuple[str, ...]:
        """Columns of which a count is to show the default module where their cells lie.

        None where noise is given, for as much as it says, and where trees of support rows show them.
        """
        starts = method.imputes and self.support_target is not None
        paired = job is not None and job.table.views is not None
        given = self.module is not None or self.noise_multiplier is not None
        if given or method.free_view is None or starts or paired:
            return ()
        stated = uncut(self._declared())
        if job is None:
            return stated
        return tuple(c for c in job.schema.public_domains if job.schema.name(c) in stated)

    def _schedule(self, n_rows: int) -> Schedule:
        method = method_of(self.method)
        share = max(64, n_rows // 32)
        default = min(n_rows, share, _LARGEST_BATCH)
        batch = check_int("batch_size", self.batch_size, default=default, most=n_rows)
        default = min(batch, _LARGEST_PUBLIC_BATCH)
        public = check_int("public_batch_size", self.public_batch_size, default=default, most=n_rows)
        n_support = len(np.asarray(self.support_target)) if self._reads_support_target() else 0
        whole_pass = max(1, (n_rows + n_support) // public)
        some_pass = min(whole_pass, max(1, _EPOCH_ROWS // public))
        # The fewer the rows, the sooner the network memorises imputed cells.
        few = min(10, max(5, n_rows // 400))
        warm = check_int("public_epochs", self.public_epochs, 0, default=few) if method.free_view else 0
        warmup = (some_pass if self.public_epochs is None else whole_pass,) * warm
        per_epoch = math.ceil(n_rows / batch)
        if self.batch_size is None and self.epochs is None and share > _LARGEST_BATCH:
            per_epoch = _EPOCH_STEPS
        if self.steps is not None:
            steps = check_int("steps", self.steps, default=0)
        else:
            # Where the module starts from what the hybrid view says, public epochs have little to add to it.
            done = method.imputes and not method.private and self.module is None
            steps = per_epoch * check_int("epochs", self.epochs, default=0 if done else 20)
        private = (per_epoch,) * (steps // per_epoch)
        if steps % per_epoch:
            private += (steps % per_epoch,)
        if not method.private:
            private = (some_pass if self.epochs is None else whole_pass,) * len(private)
        return Schedule(batch, public, steps, warmup + private)

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
        ranks, plan = Ranks.current(), self.plan_
        seeds = ranks.same(self._seeds())
        self._method = method_of(self.method)
        found = self._driver.encoder(lambda: self._fit_encoder(job, seeds))
        if plan is None or plan.before is None:
            net, rows = self._prepared(job, found, self._method, seeds, ranks)
            net.begin = begin
        else:
            # What can be refused is refused before anything is paid, by rows of the same kind.
            self._prepared(job, found, METHODS["feature-dp"], copy.deepcopy(seeds), ranks)
            begin()
            cells = CountedCells({c: job.schema.domains[c] for c in plan.before.tiers[0].columns})
            cells.learn(self._count(job, cells, plan.before, seeds, ranks))
            job = self._cut(job, cells)
            found = replace(found, encoder=found.encoder._of_schema(job.table, job.schema))
            net, rows = self._prepared(job, found, self._method, seeds, ranks)
            net.counted = True
        if plan is None:
            begin()
        self._driver.train(self, net, rows)
        self.net_ = net
        self.history_ = net.history

    def _count(
        self,
        job: FusionJob,
        cells: CountedCells,
        plan: PrivatePlan,
        seeds: np.random.SeedSequence,
        ranks: Ranks,
    ) -> np.ndarray:
        """Count sensitive cells: the release that runs before the first step."""
        bits = RandomBits(None if self.random_state is None else seeds.spawn(1)[0])

        def counts() -> np.ndarray:
            releases = Releases(COUNTS, plan, bits, lambda: None)
            return count_cells(cells, job.table, job.units.of(job.n_rows), releases)

        # One release: the other ranks learn what it has shown.
        return ranks.same(self._driver.counts(counts) if ranks.rank == 0 else None)

    def _cut(self, job: FusionJob, cells: CountedCells) -> FusionJob:
        """The job with knots where the cells lie."""
        self.schema_ = schema = with_knots(job.schema, cells)
        return replace(job, schema=schema, source=FitTable(job.table, schema, self._fitted_imputer(schema)))

    def _prepared(
        self,
        job: FusionJob,
        found: FittedEncoder,
        method: Method,
        seeds: np.random.SeedSequence,
        ranks: Ranks,
    ) -> tuple[FusionDPNet, TrainingRows]:
        """The net, and the encoded rows, of which it has seen nothing but shapes and public facts."""
        n, target, plan, encoder = job.n_rows, job.target, self.plan_, found.encoder
        schedule = self._schedule(n)
        if hasattr(self, "feature_names_in_"):
            encoder.feature_names_in_ = self.feature_names_in_
        ranks.check_same(**self._facts(encoder, target.values, target.weight, plan, schedule))
        extra = self._labelled_support(encoder, job.schema.columns, job.support_target, found.support_scores)
        tiers = () if plan is None else [t.columns for t in plan.tiers]
        rows = self._driver.rows(
            lambda: self._training_rows(
                method,
                encoder,
                job.source,
                target.values,
                target.weight,
                ranks.rows(n),
                tiers,
                extra,
                job.units.kept,
                found.scores,
            )
        )
        self.imputer_, self.encoder_ = job.source.imputer, encoder
        return self._prepared_net(rows, target, schedule, seeds, ranks), rows

    def _fit_encoder(self, job: FusionJob, seeds: np.random.SeedSequence) -> FittedEncoder:
        """Fit the encoder on public facts.

        The default module starts from scores of a public model, unless it reads all cells alike. Where no
        true cell trains it, all that it takes of them is a start.
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
        seed = int(seeds.generate_state(1)[0] % (2**31 - 1))
        # None where no column is sensitive: then a start would have nothing to read.
        one_budget = free or (self.plan_ is not None and len(self.plan_.tiers) == 1)
        starts = method.imputes and one_budget and bool(job.schema.domains)
        # Where true cells train it, a count may yet move knots, which effects of imputed ones would go by.
        imputed = imputed_cells(job.source) if free and starts else None
        if more is None:
            return FittedEncoder(encoder, encoder.fit_scores(*known, score, seed, imputed))
        support = self._support_frame()
        assert support is not None
        one_target = target.task != "regression" or target.n_outputs == 1
        starts = starts and one_target
        return FittedEncoder(
            encoder, *encoder.fit_start(*known, score, seed, support, *more, starts, imputed)
        )

    def _prepared_net(
        self,
        rows: TrainingRows,
        target: EncodedTarget,
        schedule: Schedule,
        seeds: np.random.SeedSequence,
        ranks: Ranks,
    ) -> FusionDPNet:
        import torch

        from ...nets import MLP, WideAndDeep
        from ...training._net import FusionDPNet
        from ...training._parts import own_copy
        from ...training._rehearsal import rehearse

        plan = self.plan_
        # Copies, so that a fit neither changes what it was given nor carries its training to the next fit.
        own = {name: own_copy(name, value) for name, value in self._net_parameters().items()}
        lr = own.pop("optimizer__lr", None) or self.lr
        module = WideAndDeep if self.module is None else own_copy("module", self.module)
        if self.module is None and self._method.free_view is None:
            # No column is public, so that nothing is learnt for free: the deep part alone, without dropout.
            module = MLP
            own.setdefault("module__hidden", (256,))
        private = self.private_parameters
        if private is None and self._method.private and not self._method.protects_rows:
            private = getattr(module, "private_parameters", None)
        like: Any = rows.free if rows.views is None else rows.views[0]
        if inspect.isclass(module):
            takes = inspect.signature(module).parameters
            facts = {
                "n_features": like.shape[1],
                "n_outputs": target.n_outputs,
                "sensitive_features": self.encoder_.sensitive_features_,
            }
            if isinstance(self.encoder_, ScoredEncoder):
                facts |= {n: getattr(self.encoder_, n) for n in ("n_scores", "n_leaves", "n_starts")}
            if "feature_means" in takes and rows.free is not None:
                facts["feature_means"] = rows.free_means()
            for name, value in facts.items():
                if name in takes:
                    own.setdefault(f"module__{name}", value)
        net = FusionDPNet(
            module,
            criterion__task=target.task,
            optimizer=torch.optim.Adam if self.optimizer is None else own_copy("optimizer", self.optimizer),
            lr=_LR if lr is None else lr,
            head_lr=_HEAD_LR if lr is None else lr,
            public_lr=self.public_lr,
            max_epochs=len(schedule.epoch_steps),
            plan=plan,
            epoch_steps=schedule.epoch_steps,
            public_batch_size=schedule.public_batch_size,
            alpha=self.alpha,
            beta=self.beta if self._method.consistent else 0.0,
            consistency_bound=self.consistency_bound,
            ema_decay=self.ema_decay,
            private_parameters=private,
            micro_batch_size=self.micro_batch_size,
            ranks=ranks,
            seed=seeds,
            secret=self.random_state is None,
            callbacks=own_copy("callbacks", self.callbacks),
            device=self.device,
            verbose=self.verbose,
            **own,
        )
        net.prepare(rows, target.n_outputs)
        rehearse(net, rows, target.n_outputs)
        return net

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
            what = "rows" if self._method.protects_rows else "sensitive cells"
            gaps.append(f"choosing hyper-parameters by comparing fits on the same {what}")
        return gaps
