"""What the FusionDP estimators share: views, plan, training, ledger and report."""

from __future__ import annotations

import copy
import inspect
import math
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import _num_samples, check_is_fitted

from ..._parameters import Constraint, Rule, check_int, check_parameters
from ..._random_state import random_generator, seeded
from ..._refit import PaidFits, all_or_nothing
from ...exceptions import InvalidInputError
from ...impute import FoundationImputer
from ...impute._completed import completed
from ...privacy import (
    Clipping,
    PrivacyLedger,
    PrivatePlan,
    make_plan,
)
from ...privacy._budget import spending
from ...privacy._ledger import read_without_noise
from ...privacy._weak_budgets import warn_of_plan
from ...tables._frames import check_table
from ...tables._groups import read_units, without_column
from ...tables._outside import warn_outside
from ...tables._read_table import read_table
from ...tables._repeats import repeated_rows
from ...tables._schema import SensitiveSchema, resolve_schema
from ...tables._select import select_columns
from ...tables._table import Table
from ...tables._table_encoder import TableEncoder
from ...tables._targets import support_labels
from ...training._process_group import Ranks
from ._fusion_constraints import FUSION, FUSION_RULES
from ._fusion_report import Reporting
from ._net_parameters import NetParameters
from ._views import PRIVATE_METHODS, FitTable, training_rows

if TYPE_CHECKING:
    from ...training._batches import TrainingRows

_MIN_ROWS = 11
# Learning rates of private steps where they train a whole network, and where its head alone;
# docs/benchmarks.md says on which tables they were chosen.
_LR, _HEAD_LR = 0.01, 0.02


class BaseFusionDP(Reporting, NetParameters, PaidFits, BaseEstimator):
    """Common half of FusionDPClassifier and FusionDPRegressor; not for users."""

    _constraints: ClassVar[Mapping[str, Constraint]] = FUSION
    _rules: ClassVar[tuple[Rule, ...]] = FUSION_RULES

    @abstractmethod
    def _check_target(self, y: Any, n_rows: int) -> tuple[np.ndarray, np.ndarray, str, int]:
        """Validate y; return (encoded y, row weights, task, number of outputs)."""

    @abstractmethod
    def _encode_more(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Encode further targets as `_check_target` did; return them and their weights."""

    @all_or_nothing
    def fit(self, X: Any, y: Any, groups: Any = None) -> BaseFusionDP:
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
        if y is None:
            raise InvalidInputError(
                f"requires y to be passed, but the target y is None: {type(self).__name__}.fit(X, y)."
            )
        check_parameters(self)
        X, units = read_units(X, self.groups, groups, self.max_rows_per_unit, self.sensitive)
        source = self._fit_table(X)
        table, schema = source.table, source.schema
        if units is None:
            units = repeated_rows(table, schema, self.on_leak)
        n = len(table)
        target, weight, task, n_outputs = self._check_target(y, n)
        if n < _MIN_ROWS:
            raise InvalidInputError(
                f"X has n_samples={n} rows (n_features={table.shape[1]}); private training "
                f"needs at least {_MIN_ROWS}, and gives useful models from some thousands on: add rows."
            )
        plan, epoch_steps, public_batch_size = self._plan(n, schema, units.rows_per_unit)
        ranks = Ranks.current()
        seeds = ranks.same(self._seeds())
        encoder = TableEncoder()._fit_schema(table, schema)
        ranks.check_same(**self._facts(encoder, target, weight, plan, epoch_steps, public_batch_size))
        if hasattr(self, "feature_names_in_"):
            encoder.feature_names_in_ = self.feature_names_in_
        extra = self._labelled_support(encoder)
        planned = self._cost(plan, schema, n)
        before = len(getattr(self, "ledger_", ()))
        if plan is not None:
            warn_of_plan(planned, plan.delta, n)
        with self._spending(planned, ranks) as pay:
            tiers = () if plan is None else [t.columns for t in plan.tiers]
            rows = self._training_rows(
                encoder, source, target, weight, ranks.rows(n), tiers, extra, units.kept
            )
            self.schema_, self.imputer_, self.encoder_, self.plan_ = schema, source.imputer, encoder, plan
            self._method, self._seeded = self.method, seeded(self.random_state)
            self.n_rows_, self.unit_, self.rows_per_unit_ = n, units.name, units.rows_per_unit
            delta = plan.delta if plan else float(self.delta or 1 / (10 * n))

            begun = False

            def begin() -> None:
                nonlocal begun
                begun = True
                # The whole plan: where a fit stops may depend on what it has released.
                self._pay(planned, delta, self._adjacency)
                pay(planned)

            self._train(rows, task, n_outputs, epoch_steps, public_batch_size, seeds, ranks, begin)
            if not begun:
                # Without private steps all that was read are domains that training cells gave.
                self._pay(self._cost(None, schema, n), delta, self._adjacency)
        if len(self.ledger_) > before and ranks.rank == 0:
            self._warn_outside(table)
        return self

    def _warn_outside(self, table: Table) -> None:
        """Tell the data holder, after a fit that paid, what share of cells the domains do not hold."""
        warn_outside(table, self.schema_.public_domains)

    def _spending(self, planned: PrivacyLedger, ranks: Ranks) -> AbstractContextManager:
        """Reserve a fit's cost in the shared budget; it is refused before it reads anything."""
        if self.budget is not None and ranks.world > 1:
            raise InvalidInputError(
                f"budget={self.budget!r} cannot be shared by processes that train one model together; leave "
                "it None and add the fitted model's ledger_ to the budget with PrivacyBudget.spending."
            )
        return spending(self.budget, planned)

    def _fit_table(self, X: Any) -> FitTable:
        """The table that was passed, its schema, and the fitted imputer where one is needed."""
        table = read_table(self, X, reset=True)
        if table.views is not None:
            self._check_stated(table, table.views.schema)
            return FitTable(table, table.views.schema, None)
        imputer, sensitive = self.imputer, self.sensitive
        if sensitive is None and imputer is not None:
            sensitive = imputer.sensitive
        support = None if imputer is None else imputer.support
        schema = resolve_schema(table, sensitive, support=support, on_leak=self.on_leak, budget=self.budget)
        return FitTable(table, schema, self._fitted_imputer(schema))

    def _check_stated(self, table: Table, schema: SensitiveSchema) -> None:
        """Refuse `sensitive` where a paired table says something else."""
        if self.sensitive is None:
            return
        stated = select_columns(table.columns, table.labels, self.sensitive)
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
                "table; leave sensitive=None, the imputer has stated it."
            )

    def _fitted_imputer(self, schema: SensitiveSchema) -> FoundationImputer | None:
        if self.imputer is None and self.method not in ("fusiondp", "hybrid"):
            return None
        fitted = FoundationImputer() if self.imputer is None else clone(self.imputer)
        if fitted.random_state is None:
            fitted.set_params(random_state=self._imputer_seed())
        return fitted._fit_schema(schema)

    def _support_target(self) -> np.ndarray | None:
        """Targets of the support rows, where the public branch reads any."""
        if self.support_target is None or self.method == "dp-sgd":
            return None
        return support_labels(self.support_target, _num_samples(self.imputer.support))

    def _labelled_support(self, encoder: TableEncoder) -> Any:
        """Encoded support rows with their target, which the public branch reads too; or None."""
        target = self._support_target()
        if target is None:
            return None
        import torch

        from ...training._batches import Rows

        assert self.imputer is not None
        y, weight = self._encode_more(target)
        support = without_column(self.imputer.support, self.groups)
        encoded = encoder._encode(check_table(self, support, reset=False))
        if self.method == "feature-dp":
            encoded = np.where(encoder.sensitive_features_, np.float32(0), encoded)
        return Rows(torch.from_numpy(encoded), torch.from_numpy(y), torch.from_numpy(weight))

    def _imputer_seed(self) -> int | None:
        """A seed where the fit has one, or where processes must impute alike."""
        ranks = Ranks.current()
        if self.random_state is not None:
            return ranks.same(random_generator(self.random_state).randint(2**31 - 1))
        return None if ranks.world == 1 else ranks.same(int(np.random.default_rng().integers(2**31 - 1)))

    def _plan(
        self, n_rows: int, schema: SensitiveSchema, rows_per_unit: int = 1
    ) -> tuple[PrivatePlan | None, tuple[int, ...], int]:
        """The private plan, the steps of each epoch, and the public batch size."""
        batch = check_int(
            "batch_size", self.batch_size, default=min(n_rows, max(64, n_rows // 32)), most=n_rows
        )
        public = check_int("public_batch_size", self.public_batch_size, default=batch, most=n_rows)
        # The fewer the rows, the sooner the network knows imputed cells by heart.
        few = min(10, max(5, n_rows // 400))
        warm = check_int("public_epochs", self.public_epochs, 0, default=few)
        per_epoch = math.ceil(n_rows / batch)
        if self.steps is not None:
            steps = check_int("steps", self.steps, default=0)
        else:
            steps = per_epoch * check_int("epochs", self.epochs, default=20)
        labelled = self._support_target()
        n_support = 0 if labelled is None else len(labelled)
        public_per_epoch = max(1, (n_rows + n_support) // public)
        clipping = Clipping(self.max_grad_norm, self.clipping)
        plan = make_plan(
            n_rows,
            batch_size=batch,
            steps=steps,
            epsilon=self.epsilon,
            noise_multiplier=self.noise_multiplier,
            delta=self.delta,
            clipping=clipping,
            adjacency="add-remove" if self.method == "dp-sgd" else self.adjacency,
            columns=self._column_budgets(schema),
            rows_per_unit=rows_per_unit,
        )
        warmup = (public_per_epoch,) * (0 if self.method == "dp-sgd" else warm)
        private = (per_epoch,) * (steps // per_epoch)
        if steps % per_epoch:
            private += (steps % per_epoch,)
        nothing = self.method != "dp-sgd" and not schema.sensitive
        if self.method not in PRIVATE_METHODS or nothing:
            return None, warmup + (public_per_epoch,) * len(private), public
        return plan, warmup + private, public

    def _column_budgets(self, schema: SensitiveSchema) -> dict[str, float | None]:
        """Columns that the private branch reads, with the budgets that their domains state."""
        own = {c: d.epsilon for c, d in schema.domains.items()}
        if self.method == "dp-sgd":
            if stated := [c for c, e in own.items() if e is not None]:
                raise InvalidInputError(
                    f"The domain of {', '.join(stated)} has an epsilon of its own, but method='dp-sgd' "
                    "protects whole rows with one; leave it out, or choose another method."
                )
            return {}
        return own

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
        return training_rows(self.method, *args)

    def _train(self, rows, task, n_outputs, epoch_steps, public_batch_size, seeds, ranks, begin) -> None:
        import torch

        from ...nets import MLP, WideAndDeep
        from ...training._net import FusionDPNet

        plan = self.plan_
        # Copies: nothing that was given is changed by a fit, or carries one fit's training to the next.
        own = copy.deepcopy(self._net_parameters())
        lr = own.pop("optimizer__lr", None) or self.lr
        module = WideAndDeep if self.module is None else copy.deepcopy(self.module)
        if self.module is None and self.method == "dp-sgd":
            # No column is public, so that nothing is learnt for free: the deep part alone, without dropout.
            module = MLP
            own.setdefault("module__hidden", (256,))
        private = self.private_parameters
        if private is None and self.method in ("fusiondp", "feature-dp"):
            private = getattr(module, "private_parameters", None)
        like = rows.free if rows.views is None else rows.views[0]
        if inspect.isclass(module):
            takes = inspect.signature(module).parameters
            facts = {
                "n_features": like.shape[1],
                "n_outputs": n_outputs,
                "sensitive_features": self.encoder_.sensitive_features_,
            }
            if "feature_means" in takes and rows.free is not None:
                facts["feature_means"] = rows.free_means()
            for name, value in facts.items():
                if name in takes:
                    own.setdefault(f"module__{name}", value)
        net = FusionDPNet(
            module,
            criterion__task=task,
            optimizer=torch.optim.Adam if self.optimizer is None else copy.deepcopy(self.optimizer),
            lr=_LR if lr is None else lr,
            head_lr=_HEAD_LR if lr is None else lr,
            public_lr=self.public_lr,
            max_epochs=len(epoch_steps),
            plan=plan,
            epoch_steps=epoch_steps,
            public_batch_size=public_batch_size,
            alpha=self.alpha,
            beta=self.beta if self.method == "fusiondp" else 0.0,
            consistency_bound=self.consistency_bound,
            averaging=self.averaging,
            private_parameters=private,
            micro_batch_size=self.micro_batch_size,
            ranks=ranks,
            seed=seeds,
            secret=self.random_state is None,
            callbacks=copy.deepcopy(self.callbacks),
            device=self.device,
            verbose=self.verbose,
            **own,
        )
        # The user's own random stream is none of ours to move.
        with torch.random.fork_rng():
            torch.manual_seed(int(seeds.spawn(1)[0].generate_state(1)[0]))
            net.prepare(rows, n_outputs)
            net.begin = begin
            if plan is None:
                begin()
            self._fit_net(net, rows)
        self.net_ = net
        self.history_ = net.history

    def _fit_net(self, net: Any, rows: TrainingRows) -> None:
        """Run the training; a search that trains many nets at once takes this step over."""
        net.fit_more(rows)

    def _cost(self, plan: PrivatePlan | None, schema: SensitiveSchema, n_rows: int) -> PrivacyLedger:
        """What a fit that begins to read sensitive cells spends."""
        source = f"{type(self).__name__}.fit(method={self.method!r})"
        if self.method == "non-private" and schema.sensitive:
            return read_without_noise(schema.sensitive, n_rows, self.adjacency, source)
        spent = PrivacyLedger() if plan is None else plan.ledger(plan.steps, source)
        # Domains that training cells gave are a read without noise, whatever follows.
        return spent + read_without_noise(schema.leaks, n_rows, self._adjacency, source)

    def _outputs(self, X: Any) -> np.ndarray:
        """Raw outputs for a table whose sensitive columns may be absent."""
        check_is_fitted(self, "net_")
        X = without_column(X, self.groups)
        table = read_table(self, X, reset=False, optional=self.schema_.sensitive)
        return np.concatenate([self.net_.outputs(self._encode(table, f, i)) for i, f in table.chunks()])

    def _encode(self, table: Table, frame: pd.DataFrame, first: int) -> np.ndarray:
        """Encode a chunk of a table from its row `first` on.

        Absent sensitive columns are imputed, and all of them where training never saw a true one.
        """
        hybrid = self.method == "hybrid"
        if hybrid and table.views is not None:
            return self.encoder_._encode(frame, table.views[first : first + len(frame)].encoded)
        imputes_all = hybrid and self.imputer_ is not None
        rows = completed(frame, self.schema_, self.imputer_, first, impute_all=imputes_all)
        return self.encoder_._encode(rows.frame, rows.expected)

    def __getstate__(self) -> dict:
        state = dict(super().__getstate__())  # a copy: saving changes nothing
        if "net_" in state and isinstance(state.get("imputer"), FoundationImputer):
            # A saved model carries no rows; the fitted imputer_ has what prediction needs.
            state["imputer"] = clone(state["imputer"]).set_params(support=None)
            state["support_target"] = None
        return state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags
