"""What the FusionDP estimators share: views, plan, training, ledger and report."""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted, check_random_state

from .._exceptions import InvalidInputError
from .._paired import PairedTable
from .._schema import SensitiveSchema, resolve_schema
from .._tables import check_table
from ..impute import FoundationImputer
from ..preprocessing import TableEncoder
from ..privacy import Clipping, LedgerEntry, PrivacyLedger, PrivatePlan, make_plan
from ..report import PrivacyReport
from ._net_parameters import NetParameters

METHODS = ("fusiondp", "feature-dp", "dp-sgd", "hybrid", "non-private")
_PRIVATE = ("fusiondp", "feature-dp", "dp-sgd")
_ADJACENCIES = ("replace", "zero-out", "add-remove")
_MIN_ROWS = 11


class BaseFusionDP(NetParameters, BaseEstimator):
    """Common half of FusionDPClassifier and FusionDPRegressor; not for users."""

    @abstractmethod
    def _check_target(self, y: Any, n_rows: int) -> tuple[np.ndarray, np.ndarray, str, int]:
        """Validate y; return (encoded y, row weights, task, number of outputs)."""

    def fit(self, X: Any, y: Any) -> BaseFusionDP:
        """Train under the budget.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns), or PairedTable
            A pandas or polars frame, or an array; or both views from a FoundationImputer with
            ``output="paired"``.
        y : array-like of shape (n_rows,) or (n_rows, n_outputs)
            Target, public.

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
        self._check_method()
        original, hybrid, schema, imputer = self._views(X)
        target, weight, task, n_outputs = self._check_target(y, len(original))
        if len(original) < _MIN_ROWS:
            raise InvalidInputError(
                f"X has n_samples={len(original)} rows (n_features={original.shape[1]}); private training "
                f"needs at least {_MIN_ROWS}, and gives useful models from some thousands on: add rows."
            )
        plan, epoch_steps, public_batch_size = self._plan(len(original), schema)
        seeds = self._seeds()
        if imputer is not None and self.method in ("fusiondp", "hybrid"):
            hybrid = _replace(original, imputer._impute_frame(original))
        encoder = TableEncoder()._fit_schema(original, schema)
        rows = self._training_rows(encoder, original, hybrid, target, weight)
        self.schema_, self.imputer_, self.encoder_, self.plan_ = schema, imputer, encoder, plan
        self.n_rows_ = len(original)
        self.delta_ = plan.delta if plan else (self.delta or 1 / (10 * len(original)))
        self._train(rows, task, n_outputs, plan, epoch_steps, public_batch_size, seeds)
        return self

    def _check_method(self) -> None:
        self._check_net_parameters()
        if self.method not in METHODS:
            raise InvalidInputError(f"method={self.method!r} is not one of {', '.join(METHODS)}.")
        if self.adjacency not in _ADJACENCIES[: 3 if self.method == "dp-sgd" else 2]:
            raise InvalidInputError(
                f"adjacency={self.adjacency!r} is not one of replace, zero-out; the public columns of a row "
                "are read freely, so only method='dp-sgd' protects whole rows (add-remove)."
            )
        if self.epsilon is not None and self.noise_multiplier is not None:
            raise InvalidInputError(
                f"epsilon={self.epsilon!r} and noise_multiplier={self.noise_multiplier!r} are both given; "
                "either states the budget: leave one None."
            )
        if self.epochs is not None and self.steps is not None:
            raise InvalidInputError(
                f"epochs={self.epochs!r} and steps={self.steps!r} are both given; leave one None."
            )
        for name in ("alpha", "beta"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 <= value < math.inf):
                raise InvalidInputError(f"{name}={value!r} must be a finite number of at least 0.")
        for name in ("consistency_bound", "lr"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 < value < math.inf):
                raise InvalidInputError(f"{name}={value!r} must be a positive, finite number.")

    def _views(
        self, X: Any
    ) -> tuple[pd.DataFrame, pd.DataFrame | None, SensitiveSchema, FoundationImputer | None]:
        """Original view, hybrid view if it came with X, schema, and the fitted imputer if any."""
        if isinstance(X, PairedTable):
            original = check_table(self, X.original, reset=True)
            if self.sensitive is not None:
                stated = resolve_schema(original, self.sensitive, on_leak="ignore").sensitive
                if stated != X.schema.sensitive:
                    raise InvalidInputError(
                        f"sensitive={list(stated)} differs from the paired table's "
                        f"{list(X.schema.sensitive)}; leave sensitive=None, the imputer has stated it."
                    )
            return original, X.hybrid, X.schema, None
        frame = check_table(self, X, reset=True)
        imputer = self.imputer
        if imputer is not None and not isinstance(imputer, FoundationImputer):
            raise InvalidInputError(
                f"imputer={imputer!r} is no FoundationImputer; wrap a scikit-learn model as "
                "FoundationImputer(backend=model, support=...)."
            )
        sensitive = self.sensitive
        if sensitive is None and imputer is not None:
            sensitive = imputer.sensitive
        support = None if imputer is None else imputer.support
        schema = resolve_schema(frame, sensitive, support=support, on_leak=self.on_leak, original=X)
        if imputer is None and self.method not in ("fusiondp", "hybrid"):
            return frame, None, schema, None
        fitted = FoundationImputer() if imputer is None else clone(imputer)
        if fitted.random_state is None and self.random_state is not None:
            fitted.set_params(random_state=check_random_state(self.random_state).randint(2**31 - 1))
        return frame, None, schema, fitted._fit_schema(frame, schema)

    def _plan(
        self, n_rows: int, schema: SensitiveSchema
    ) -> tuple[PrivatePlan | None, tuple[int, ...], int]:
        """The private plan, the steps of each epoch, and the public batch size."""
        batch = _count("batch_size", self.batch_size, min(n_rows, max(64, n_rows // 16)), n_rows)
        public = _count("public_batch_size", self.public_batch_size, min(n_rows, 1024), n_rows)
        warm = _count("public_epochs", self.public_epochs, 20, None, least=0)
        per_epoch = math.ceil(n_rows / batch)
        if self.steps is not None:
            steps = _count("steps", self.steps, 0, None)
        else:
            steps = per_epoch * _count("epochs", self.epochs, 20, None)
        public_per_epoch = max(1, n_rows // public)
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
        )
        warmup = (public_per_epoch,) * (0 if self.method == "dp-sgd" else warm)
        private = (per_epoch,) * (steps // per_epoch)
        if steps % per_epoch:
            private += (steps % per_epoch,)
        nothing = self.method != "dp-sgd" and not schema.sensitive
        if self.method not in _PRIVATE or nothing:
            return None, warmup + (public_per_epoch,) * len(private), public
        return plan, warmup + private, public

    def _seeds(self) -> np.random.SeedSequence:
        if self.random_state is None:
            return np.random.SeedSequence()
        state = check_random_state(self.random_state)
        return np.random.SeedSequence(state.randint(2**31 - 1, size=4).tolist())

    def _training_rows(self, encoder, original, hybrid, target, weight):
        import torch

        from .._batches import TrainingRows

        free = views = None
        true = None
        if self.method != "hybrid":
            true = encoder._encode(original)
        if self.method == "non-private":
            free = true
        elif self.method == "feature-dp":
            assert true is not None
            free = np.where(encoder.sensitive_features_, np.float32(0), true)
        elif self.method != "dp-sgd":
            free = encoder._encode(hybrid if encoder.schema_.sensitive else original)
        if self.method in _PRIVATE:
            assert true is not None
            views = true[None] if free is None else np.stack([true, free])
        tensors = [None if v is None else torch.from_numpy(v) for v in (free, views, target, weight)]
        return TrainingRows(*tensors)  # type: ignore[arg-type]

    def _train(self, rows, task, n_outputs, plan, epoch_steps, public_batch_size, seeds) -> None:
        import torch

        from .._net import FusionDPNet
        from ..nets import MLP

        module = MLP if self.module is None else self.module
        own = self._net_parameters()
        like = rows.free if rows.views is None else rows.views[0]
        if inspect.isclass(module):
            takes = inspect.signature(module).parameters
            for name, value in (("n_features", like.shape[1]), ("n_outputs", n_outputs)):
                if name in takes:
                    own.setdefault(f"module__{name}", value)
        net = FusionDPNet(
            module,
            criterion__task=task,
            optimizer=torch.optim.Adam if self.optimizer is None else self.optimizer,
            lr=self.lr,
            max_epochs=len(epoch_steps),
            plan=plan,
            epoch_steps=epoch_steps,
            public_batch_size=public_batch_size,
            alpha=self.alpha,
            beta=self.beta if self.method == "fusiondp" else 0.0,
            consistency_bound=self.consistency_bound,
            private_parameters=self.private_parameters,
            micro_batch_size=self.micro_batch_size,
            seed=seeds,
            secret_noise=self.random_state is None,
            callbacks=self.callbacks,
            device=self.device,
            verbose=self.verbose,
            **own,
        )
        # The user's own random stream is none of ours to move.
        with torch.random.fork_rng():
            torch.manual_seed(int(seeds.spawn(1)[0].generate_state(1)[0]))
            net.prepare(rows, n_outputs)
            try:
                net.fit_more(rows)
            finally:
                # An interrupted or failed fit has paid for the steps that it ran.
                self.ledger_ = getattr(self, "ledger_", PrivacyLedger()) + self._spent(net)
        self.net_ = net
        self.history_ = net.history
        self.epsilon_ = self._epsilon()

    def _spent(self, net: Any) -> PrivacyLedger:
        source = f"{type(self).__name__}.fit(method={self.method!r})"
        protects = () if self.method == "dp-sgd" else self.schema_.sensitive
        if self.method == "non-private" and self.schema_.sensitive:
            entry = LedgerEntry(0.0, 1.0, 1, self.adjacency, protects, self.n_rows_, source)
            return PrivacyLedger((entry,))
        if self.plan_ is None or not net.private_steps_:
            return PrivacyLedger()
        return PrivacyLedger((self.plan_.entry(net.private_steps_, protects=protects, source=source),))

    @property
    def _adjacency(self) -> str:
        return "add-remove" if self.method == "dp-sgd" else self.adjacency

    def _epsilon(self) -> float:
        same = tuple(e for e in self.ledger_ if e.adjacency == self._adjacency)
        return PrivacyLedger(same).epsilon(self.delta_)

    def _outputs(self, X: Any) -> np.ndarray:
        """Raw outputs for a table whose sensitive columns may be absent."""
        check_is_fitted(self)
        if isinstance(X, PairedTable):
            X = X.hybrid if self.method == "hybrid" else X.original
            frame = check_table(self, X, reset=False)
        else:
            frame = check_table(self, X, reset=False, optional=self.schema_.sensitive)
            frame = self._complete(frame)
        encoded = self.encoder_._encode(frame)
        return self.net_.outputs(encoded)

    def _complete(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Impute absent sensitive columns; all of them where training never saw a true one."""
        absent = [c for c in self.schema_.sensitive if c not in frame]
        wanted = list(self.schema_.sensitive) if self.method == "hybrid" and self.imputer_ else absent
        if not wanted:
            return frame
        if self.imputer_ is None:
            raise InvalidInputError(
                f"X lacks the sensitive column(s) {absent} and this model was fitted without an imputer of "
                "its own; pass imputer=FoundationImputer(...) at construction, or a table with all columns."
            )
        imputed = self.imputer_._impute_frame(frame)[wanted]
        return _replace(frame, imputed)[list(self.schema_.columns)]

    def privacy_report(self) -> PrivacyReport:
        """What this fit protects, between which neighbours, at which cost; and what it does not.

        Returns
        -------
        PrivacyReport
            Text when printed, HTML in a notebook; ``to_dict``, ``to_json``, ``save_html``.
        """
        check_is_fitted(self)
        whole_rows = self.method == "dp-sgd"
        protected = {
            c: {**d.to_dict(), "source": self.schema_.sources.get(c, "declared")}
            for c, d in self.schema_.domains.items()
        }
        plan = self.plan_
        mechanism: dict[str, Any] = {"method": self.method}
        if plan is not None:
            mechanism = {
                "noise_multiplier": plan.noise_multiplier,
                "max_grad_norm": plan.clipping.max_grad_norm,
                "clipping": plan.clipping.kind,
                "sampling_rate": plan.sample_rate,
                "expected_batch_size": plan.expected_batch_size,
                "steps_planned": plan.steps,
                "steps_run": self.net_.private_steps_,
                "fits_in_ledger": len(self.ledger_),
            }
        return PrivacyReport(
            estimator=type(self).__name__,
            method=self.method,
            protected={} if whole_rows else protected,
            adjacency=self._adjacency,
            epsilon=self.epsilon_,
            delta=self.delta_,
            n_rows=self.n_rows_,
            mechanism=mechanism,
            ledger=self.ledger_,
            public=self._public_facts(),
            not_covered=self._not_covered(),
        )

    def _public_facts(self) -> tuple[str, ...]:
        facts = ["the number of rows, the plan and its parameters"]
        if self.method != "dp-sgd":
            facts += ["the labels", f"the public columns: {', '.join(self.schema_.public) or 'none'}"]
        sources = set(self.schema_.sources.values()) - {"training cells"}
        if sources:
            facts.append(f"the domains of the sensitive columns ({', '.join(sorted(sources))})")
        if self.imputer_ is not None:
            facts.append("what the imputer learnt: its support rows or its pretrained model")
        return tuple(facts)

    def _not_covered(self) -> tuple[str, ...]:
        gaps = []
        if self.schema_.leaks and self.method != "non-private":
            gaps.append(
                f"domains of {', '.join(self.schema_.leaks)}: read off the training cells; declare them"
            )
        if self.method == "dp-sgd":
            gaps.append("statistics of the encoding (means, scales, categories) and of the target")
        if self.imputer_ is None and self.method in ("fusiondp", "hybrid"):
            gaps.append("the hybrid view: it came with X, made without reading sensitive cells by promise")
        if self.plan_ is not None:
            gaps.append("choosing hyper-parameters by comparing fits on the same sensitive cells")
            if self.random_state is not None:
                gaps.append(
                    f"anyone who knows random_state={self.random_state!r}: the noise can be recomputed; "
                    "use random_state=None for a release"
                )
            gaps.append("low-order bits of the floating-point noise (Mironov 2012)")
            if self._adjacency == "zero-out":
                gaps.append("two arbitrary values of a cell: zero-out compares a value with its imputation")
        others = {e.adjacency for e in self.ledger_} - {self._adjacency}
        if others:
            gaps.append(f"earlier fits of this estimator under {', '.join(sorted(others))}")
        return tuple(gaps)

    def __getstate__(self) -> dict:
        state = super().__getstate__()
        if "net_" in state and isinstance(state.get("imputer"), FoundationImputer):
            # A saved model carries no rows; the fitted imputer_ has what prediction needs.
            state["imputer"] = clone(state["imputer"]).set_params(support=None)
        return state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _replace(frame: pd.DataFrame, columns: pd.DataFrame) -> pd.DataFrame:
    """`frame` with some columns replaced or added, in frame order."""
    return frame.assign(**{str(c): columns[c].to_numpy() for c in columns})


def _count(name: str, value: Any, default: int, most: int | None, least: int = 1) -> int:
    if value is None:
        return default
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least:
        raise InvalidInputError(f"{name}={value!r} must be a whole number of at least {least}, or None.")
    if most is not None and value > most:
        raise InvalidInputError(
            f"{name}={value} is larger than the number of rows, {most}; pass at most {most}, or None."
        )
    return int(value)
