"""PrivateRandomSearchCV."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import MetaEstimatorMixin, clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _num_samples, check_is_fitted

from .._parameters import (
    ESTIMATOR,
    Anything,
    OneOf,
    Real,
    Satisfies,
    as_float,
    check_parameters,
    constraints,
    store_parameters,
)
from .._random_state import RANDOM_STATE
from .._refit import all_or_nothing
from .._spender import Spender, without_rows
from ..accounting._enclosing import check_enclosing
from ..accounting._privacy_report import PrivacyReport
from ..exceptions import (
    InvalidInputError,
    PrivacyLeakError,
    SkfusiondpError,
    TrainingDivergedError,
    WeakPrivacyWarning,
)
from ..privacy import BoundEntry, LedgerEntry, PrivacyLedger, compute_epsilon
from ..privacy._budget import BUDGET
from ..privacy._constraints import DELTA, EPSILON
from ..privacy._ledger import read_without_noise
from ..privacy._mechanisms import Gaussian
from ..privacy._random_bits import RandomBits
from ..privacy._relations import relation
from ..privacy._selection import DISTRIBUTION, ETA, N_TRIALS, Repetitions, Spec, calibrate_repeated
from ..privacy._weak_budgets import warn_if_weak
from ..tables._disk import as_disk_table
from ..tables._frames import own_cells
from ..tables._outside import one_for_all, tell_data_holder, warn_outside
from ..tables._paired_table import PairedTable
from ..tables._read_table import as_table, count_rows
from ..tables._schema import SensitiveSchema
from ..tables._targets import read_labels
from ._scores import check_hybrid, check_row_scoring, free_score, hybrid_score, paid_score
from ._trials import (
    Candidate,
    candidates_of,
    check_kept,
    final_name,
    leaks_of,
    leaks_of_failed,
    planned,
    prepared,
    refuse_leaks,
    spenders_of,
    steps_of,
    strictest_on_leak,
)

# What a scoring of held-out rows adds to the kinds of runs: one release of their sum.
_SCORING: Spec = ((), 1.0, 1)
# The accountant's grid, to which the epsilon of a bound is rounded up.
_GRID = 1e-4
_SET_BY_THE_SEARCH = ("epsilon", "noise_multiplier", "delta", "random_state", "budget")


def _best_has(name: str) -> Any:
    def check(self: Any) -> bool:
        return hasattr(getattr(self, "best_estimator_", self.estimator), name)

    return available_if(check)


@dataclass(frozen=True)
class SearchPlan:
    """What a search does, fixed before its first trial.

    Parameters
    ----------
    candidates : list of Candidate
    sigmas : list of float
        Noise multiplier of each candidate, and last of the paid score if there is one.
    repetitions : Repetitions
    cost : PrivacyLedger
        Of all trials together.
    delta : float
    adjacency : str
    epsilon_of_one_trial : float
    """

    candidates: list[Candidate]
    sigmas: list[float]
    repetitions: Repetitions
    cost: PrivacyLedger
    delta: float
    adjacency: str
    epsilon_of_one_trial: float


class PrivateRandomSearchCV(MetaEstimatorMixin, Spender):
    """Random search whose epsilon covers every trial, the choice among them and the released model.

    A random number of candidates is drawn, each is trained once with its own noise, and the best model
    is released as it is. How many trials ran, and how the others scored, is not released: that is what
    makes the choice cheap, and why there are no ``cv_results_``.

    Parameters
    ----------
    estimator : estimator
        FusionDPClassifier, FusionDPRegressor, an Offset estimator, or a pipeline that ends in one. Its
        own `epsilon`, `noise_multiplier`, `delta` and `random_state` are replaced.
    param_distributions : dict of lists, or list of such dicts
        Values to try. Every combination is a candidate, drawn with equal probability, with replacement.
    n_trials : float, default=10
        Expected number of trials, above 1.
    epsilon : float, default=1.0
        Budget of the whole search.
    delta : float, default=None (1 / (10 n_rows))
        Probability with which nothing is promised.
    distribution : {"negative-binomial", "poisson"}, default="negative-binomial"
        Of the number of trials. Poisson may draw none: then `fit` has paid, and raises.
    eta : float, default=1.0
        Shape of the negative binomial, above -1: 1 is geometric, 0 logarithmic. The smaller, the less the
        choice costs, and the more often a single trial runs.
    validation : {"hybrid", "private"} or tuple (X, y), default="hybrid"
        Rows that candidates are compared on. "hybrid": held-out rows with imputed sensitive cells, free.
        "private": held-out rows as they are, by a noised score that is paid for. Public rows: free.
    validation_size : float, default=0.2
        Share of the rows that is held out, at random; nothing is held out where public rows are given.
    scoring : str or callable, default=None (``score``; for "private" accuracy or squared error)
        As in RandomizedSearchCV. With ``validation="private"``: "accuracy", "log-loss", "squared-error"
        or a function of (estimator, X, y) that gives a row a number in [0, 1]; others are clipped. Rows are
        scored alone: `X` and `y` hold one row, `estimator` and the scorer are copies. A row whose scoring
        fails counts as 0, and a ``DataHolderWarning`` at the end says how many. What a function keeps in a
        closure or a global variable is not copied: it must not carry anything from row to row.
    budget : PrivacyBudget or str, default=None (this search alone)
        Budget that the search shares with other fits, and may not overdraw. Its delta has to be above
        the search's if anything else is to be paid from it.
    random_state : int, RandomState or Generator, default=None (the operating system's entropy)
        Draws the number of trials, candidates and noise. A release needs None.

    Attributes
    ----------
    best_estimator_ : estimator
        Model of the best trial. It is not fitted again: that would have to be paid for again. Its own
        ``epsilon_`` is that of its one trial.
    best_params_ : dict
        Its parameters.
    best_score_ : float
        Its score: free, or noised and paid for.
    ledger_ : PrivacyLedger
        One entry a search, which covers all its trials.
    epsilon_, delta_ : float
        Cost of everything in `ledger_`; the deltas of repeated searches add up.
    epsilon_of_one_trial_ : float
        Epsilon of one trial of the costliest candidate at `delta_`, score included: what naive
        accounting would claim for the released model.
    schema_ : SensitiveSchema
        Sensitive columns of the released model, and their domains.
    n_rows_ : int
        Rows that were searched on.

    Notes
    -----
    One run of the base mechanism draws a candidate, trains it and scores it. A row is either trained on
    or held out, which is public, so that a run's Renyi divergence at each order is at most the largest of
    every candidate's training and of the noised score. Papernot and Steinke's Theorems 2 (truncated
    negative binomial) and 6 (Poisson) turn that into the divergence of the best of a random number of
    runs. Every candidate's noise is calibrated so that the result meets `epsilon`. A trial whose ledger
    shows more than was planned makes the search raise.

    Running time shows how many trials ran: do not publish it. Nor should a model of another trial be
    kept, or a log that names candidates.

    References
    ----------
    N. Papernot and T. Steinke, "Hyperparameter Tuning with Renyi Differential Privacy", ICLR 2022,
    arXiv:2110.03620.

    Examples
    --------
    >>> from skfusiondp import FusionDPClassifier
    >>> from skfusiondp.datasets import load_adult
    >>> from skfusiondp.model_selection import PrivateRandomSearchCV
    >>> adult = load_adult()
    >>> model = FusionDPClassifier(adult.sensitive, epochs=1)
    >>> candidates = {"lr": [0.01, 0.02], "max_grad_norm": [0.5, 1.0]}
    >>> search = PrivateRandomSearchCV(model, candidates, n_trials=2, epsilon=1.0, random_state=0)
    >>> search = search.fit(adult.table[:900], adult.target[:900])
    >>> 0.99 < search.epsilon_ <= 1.0, search.epsilon_of_one_trial_ < 0.8
    (True, True)
    >>> sorted(search.best_params_), len(search.ledger_)
    (['lr', 'max_grad_norm'], 1)
    """

    # What check_pipeline asks: the choice is in the ledger, not only the trials.
    _accounts_for_privacy = True
    _plain_values = True
    _constraints = constraints(
        estimator=ESTIMATOR,
        param_distributions=Anything("checked candidate by candidate"),
        n_trials=N_TRIALS,
        epsilon=EPSILON,
        delta=replace(DELTA, none=True),
        distribution=DISTRIBUTION,
        eta=ETA,
        validation=Satisfies(
            lambda v: (isinstance(v, tuple) and len(v) == 2) or OneOf(("hybrid", "private")).allows(v),
            "'hybrid', 'private', or public rows as (X, y)",
        ),
        validation_size=Real(0, 1),
        scoring=Anything("checked with the estimator that it scores"),
        budget=BUDGET,
        random_state=RANDOM_STATE,
    )

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_trials: float = 10,
        epsilon: float = 1.0,
        delta: float | None = None,
        distribution: str = "negative-binomial",
        eta: float = 1.0,
        validation: Any = "hybrid",
        validation_size: float = 0.2,
        scoring: Any = None,
        budget: Any = None,
        random_state: Any = None,
    ):
        store_parameters(self, locals())

    @all_or_nothing
    def fit(self, X: Any, y: Any = None) -> PrivateRandomSearchCV:
        """Run the trials and keep the best model.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns), or PairedTable
        y : array-like of shape (n_rows,)

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            For a parameter, candidate or table that cannot be used.
        PrivacyBudgetError
            If the search would overdraw `budget`; nothing was read.
        SkfusiondpError
            If the Poisson distribution drew no trial.
        """
        self._require_target(y)
        check_parameters(self)
        if sp.issparse(X):
            raise TypeError("Sparse data was passed, but a dense table is needed; call X.toarray() first.")
        if isinstance(X, np.memmap) or (as_disk_table(X) is None and not hasattr(X, "columns")):
            X = np.asarray(own_cells(X))
        y = y if hasattr(y, "iloc") else np.asarray(y)
        n_rows = count_rows(X)
        if n_rows < 2:
            raise InvalidInputError(f"X has n_samples={n_rows} rows, minimum of 2 is required; add rows.")
        bits = RandomBits(self.random_state)
        train, held_out = self._split(X, y, n_rows, bits)
        n_train = n_rows if held_out is None else len(train[1])
        plan = self._search_plan(n_rows, n_train, isinstance(X, PairedTable))
        around = check_enclosing(self, X, strictest_on_leak(self.estimator))
        self._surroundings, self._spent_around = around.sentence, around.ledger
        self._chosen_by = around.chosen_by
        self._refuse_early(train, held_out)
        how_many = plan.repetitions.draw(bits)
        warn_if_weak(as_float(self.epsilon), plan.delta, n_rows)
        leaks: dict[str, None] = {}
        unscored: Counter[str] = Counter()
        with self._reserved(plan.cost, plan.delta, plan.adjacency) as begin:
            # All trials are paid for, however many run, and whether or not one of them fails.
            begin()
            try:
                with warnings.catch_warnings():
                    # The warning above speaks for all trials: one from each would show how many ran.
                    warnings.simplefilter("ignore", WeakPrivacyWarning)
                    best = self._best_of(how_many, plan, train, held_out, bits, unscored, leaks)
            finally:
                # Without a budget, which refuses it, domains may have come from training cells.
                unpaid = read_without_noise(tuple(leaks), n_rows, plan.adjacency, self._source)
                self.ledger_ = self.ledger_ + unpaid
        self.best_estimator_, self.best_params_, self.best_score_ = best
        self.schema_ = steps_of(self.best_estimator_)[-1].schema_
        self.n_rows_, self.epsilon_of_one_trial_, self.unit_ = n_rows, plan.epsilon_of_one_trial, ""
        # The report speaks of this fit, whatever parameters are set afterwards.
        self._trials = plan.repetitions.mean, plan.repetitions.distribution, plan.repetitions.eta
        self._validated = self.validation if isinstance(self.validation, str) else "public rows"
        if unscored:
            reasons = ", ".join(f"{reason} ({n})" for reason, n in sorted(unscored.items()))
            tell_data_holder(
                f"scoring={self.scoring!r} gave held-out rows no score, which then counted as 0, over all "
                f"trials: {reasons}."
            )
        schema = getattr(steps_of(self.best_estimator_)[0], "schema_", None)
        if as_disk_table(X) is None and isinstance(schema, SensitiveSchema):
            warn_outside(as_table(X), schema.public_domains, schema.called)
        return self

    def _refuse_early(self, train: tuple, held_out: tuple | None) -> None:
        """Refuse, before anything is paid, what every trial would refuse."""
        if self.validation == "hybrid":
            check_hybrid(self.estimator, train[0])
        if held_out is None or self.validation == "hybrid":
            check_scoring(self.estimator, self.scoring)
        if held_out is None:
            X, y = self.validation
            if _num_samples(X) != _num_samples(y):
                raise InvalidInputError(
                    f"validation holds {_num_samples(X)} rows and {_num_samples(y)} targets; give one a row."
                )
            names = getattr(train[0], "columns", None)
            lacking = [] if names is None else [c for c in names if c not in getattr(X, "columns", names)]
            if lacking:
                raise InvalidInputError(f"validation lacks the column(s) {lacking} of the training table.")
        if is_classifier(self.estimator):
            labels = read_labels(train[1], _num_samples(train[1]))[0]
            if labels.ndim == 1 and len(np.unique(labels)) < 2:
                raise InvalidInputError("y has only one class; a classifier needs rows of at least two.")
        first = steps_of(self.estimator)[0]
        if not isinstance(first, Spender):
            return
        for parameters in candidates_of(self.param_distributions):
            model = steps_of(clone(self.estimator).set_params(**clone(parameters, safe=False)))[0]
            strict = model.on_leak == "raise"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # each trial says it
                try:
                    # Nothing is paid yet, so no domain may be read off the cells.
                    model.set_params(on_leak="raise")._read(*train)
                except PrivacyLeakError:
                    if strict:
                        raise

    def planned_ledger(self, n_rows: int, rows_per_unit: int = 1) -> PrivacyLedger:
        """Say what a search on so many rows will spend, from public facts alone.

        Parameters
        ----------
        n_rows : int
            Rows of the table, those that will be held out included.
        rows_per_unit : int, default=1
            Only 1: a search bounds what single rows cost.

        Returns
        -------
        PrivacyLedger
            One entry, which covers all trials.
        """
        check_parameters(self)
        if rows_per_unit != 1:
            raise InvalidInputError(
                f"rows_per_unit={rows_per_unit!r} must be 1: this search bounds what single rows cost."
            )
        holds_out = isinstance(self.validation, str)
        n_train = n_rows - math.ceil(self.validation_size * n_rows) if holds_out else n_rows
        return self._search_plan(n_rows, n_train, paired=False).cost

    def _search_plan(self, n_rows: int, n_train: int, paired: bool) -> SearchPlan:
        delta = 1 / (10 * n_rows) if self.delta is None else as_float(self.delta)
        candidates = self._candidates(n_train, paired)
        specs = [c.spec for c in candidates] + [_SCORING] * (self.validation == "private")
        adjacency = candidates[0].adjacency
        if relation(adjacency).protects_rows and isinstance(self.validation, str):
            raise InvalidInputError(
                f"validation={self.validation!r} splits the rows, and one more would split them otherwise, "
                "so method='dp-sgd' (add-remove) is not covered; give public rows as validation=(X, y)."
            )
        repetitions = Repetitions(self.n_trials, self.distribution, self.eta)
        target = math.floor(round(as_float(self.epsilon) / _GRID, 6)) * _GRID or as_float(self.epsilon)
        sigmas, total = calibrate_repeated(specs, target, delta, adjacency, repetitions)
        cost = PrivacyLedger((BoundEntry(total, delta, adjacency, (), n_rows, self._source),))
        one_trial = _costliest(specs, sigmas, adjacency, delta)
        return SearchPlan(candidates, sigmas, repetitions, cost, delta, adjacency, one_trial)

    @property
    def _source(self) -> str:
        return f"PrivateRandomSearchCV.fit({type(steps_of(self.estimator)[-1]).__name__}): all trials"

    @property
    def delta_(self) -> float:
        """Delta of all searches: each has a failure probability of its own, and a refit adds another."""
        shown = self.ledger_.under(self._relation)
        return float(sum(e.delta for e in shown if isinstance(e, BoundEntry)))

    @delta_.setter
    def delta_(self, value: float) -> None:
        """A search's delta is in its ledger."""

    def _candidates(self, n_rows: int, paired: bool) -> list[Candidate]:
        final = final_name(self.estimator)
        drawn = candidates_of(self.param_distributions)
        for name in [f"{final}{n}" for n in _SET_BY_THE_SEARCH]:
            if any(name in c for c in drawn):
                raise InvalidInputError(
                    f"param_distributions names {name!r}, which the search sets itself: it gives every "
                    "candidate the noise that the whole search's epsilon allows. Leave it out."
                )
        candidates = [
            planned(self.estimator, c, n_rows, self.validation == "hybrid" and not paired) for c in drawn
        ]
        relations = {c.adjacency for c in candidates}
        if len(relations) > 1:
            raise InvalidInputError(
                f"Candidates have different neighbouring relations, {sorted(relations)}; use one."
            )
        return candidates

    def _split(self, X: Any, y: Any, n_rows: int, bits: RandomBits) -> tuple[tuple, tuple | None]:
        """Rows to train on, and rows to hold out; chosen without a look at sensitive cells."""
        if isinstance(self.validation, tuple):
            return (X, y), None
        size = self.validation_size
        if as_disk_table(X) is not None:
            raise InvalidInputError(
                "X is a table on disk, which cannot be split; give public rows as validation=(X, y)."
            )
        if self.validation == "private":
            check_row_scoring(self.scoring, self.estimator)
        if _num_samples(y) != n_rows:
            raise InvalidInputError(
                f"Found input variables with inconsistent numbers of samples: X has {n_rows} rows, y "
                f"{_num_samples(y)}."
            )
        strata = None
        labels = read_labels(y, n_rows)[0] if is_classifier(self.estimator) else np.zeros(0)
        if labels.size == n_rows:
            counts = np.unique(labels, return_counts=True)[1]
            # Rows of every class on either side, where there are enough.
            enough = counts.min() >= 2 and len(counts) <= min(size, 1 - size) * n_rows
            strata = labels.ravel() if enough else None
        rows = train_test_split(
            np.arange(n_rows), test_size=size, stratify=strata, random_state=bits.integer(2**31 - 1)
        )
        train, held_out = ((_take(X, r), _safe_indexing(y, r)) for r in rows)
        return train, held_out

    def _best_of(
        self,
        how_many: int,
        plan: SearchPlan,
        train: tuple,
        held_out: tuple | None,
        bits: RandomBits,
        unscored: Counter,
        leaks: dict[str, None],
    ) -> tuple[Any, dict, float]:
        """Model, parameters and score of the best trial; nothing else of any trial is kept.

        `leaks` gets the columns whose domains were read off the training cells.
        """
        best: tuple[Any, dict, float] | None = None
        diverged: Exception | None = None
        candidates, sigmas, delta = plan.candidates, plan.sigmas, plan.delta
        for _ in range(how_many):
            i = bits.integer(len(candidates))
            model = prepared(self.estimator, candidates[i], sigmas[i], delta, bits)
            if self.budget is not None:
                refuse_leaks(model)
            try:
                with one_for_all():
                    model.fit(*train)
            except TrainingDivergedError as error:
                # The worst outcome of all: told apart from others only if it is the best of the trials.
                diverged = error
                leaks.update(dict.fromkeys(leaks_of_failed(model)))
                continue
            leaks.update(dict.fromkeys(leaks_of(model)))
            check_kept(model, candidates[i], sigmas[i])
            score = self._score(model, held_out, sigmas[-1], candidates[i].adjacency, bits, unscored)
            if best is None or score > best[2]:
                best = model, clone(candidates[i].parameters, safe=False), score
        if best is None and diverged is not None:
            raise TrainingDivergedError(
                "Training diverged in every trial that ran, so that there is no model; the search is paid "
                "for. Lower the candidates' learning rates."
            ) from diverged
        if best is None:
            raise SkfusiondpError(
                "distribution='poisson' drew no trial, so there is no model; the search is paid for. "
                "Repeating it costs as much again; distribution='negative-binomial' draws at least one."
            )
        return best

    def _score(
        self,
        model: Any,
        held_out: tuple | None,
        sigma: float,
        adjacency: str,
        bits: RandomBits,
        unscored: Counter,
    ) -> float:
        if held_out is None:
            X, y = self.validation
            return free_score(model, X, y, self.scoring)
        X, y = held_out
        if self.validation == "hybrid":
            return hybrid_score(model, X, y, self.scoring)
        return paid_score(model, X, y, self.scoring, sigma, adjacency, bits, unscored)

    @_best_has("predict")
    def predict(self, X: Any) -> np.ndarray:
        """Predict with the released model.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_outputs)
        """
        return self._best().predict(X)

    @_best_has("predict_proba")
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities by the released model.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
        """
        return self._best().predict_proba(X)

    @_best_has("predict_log_proba")
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities by the released model.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
        """
        return self._best().predict_log_proba(X)

    @_best_has("decision_function")
    def decision_function(self, X: Any) -> np.ndarray:
        """Decision function of the released model.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_classes)
        """
        return self._best().decision_function(X)

    @_best_has("score")
    def score(self, X: Any, y: Any) -> float:
        """Score of the released model, by its own ``score``.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
        y : array-like of shape (n_rows,)

        Returns
        -------
        float
        """
        return self._best().score(X, y)

    def _best(self) -> Any:
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_

    @property
    def classes_(self) -> np.ndarray:
        """Classes of the released model."""
        return self._best().classes_

    @property
    def n_features_in_(self) -> int:
        """Number of columns seen in ``fit``."""
        return self._best().n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns seen in ``fit``, if they have any."""
        return self._best().feature_names_in_

    # The report ----------------------------------------------------------------------------

    @property
    def _released(self) -> PrivacyReport:
        """The report of the released model's own trial."""
        return steps_of(self._best())[-1].privacy_report()

    @property
    def _method_name(self) -> str:
        return self._released.method

    def _protected(self) -> dict[str, dict]:
        # A column that a step before has left out was read all the same.
        reports = [s.privacy_report() for s in spenders_of(self._best()) if hasattr(s, "privacy_report")]
        return {c: d for report in reports for c, d in report.protected.items()}

    def _mechanism(self) -> dict[str, Any]:
        repetitions = Repetitions(*self._trials)
        shape = {"eta": float(repetitions.eta), "gamma": repetitions.gamma}
        released = {
            f"released_{k}": v for k, v in self._released.mechanism.items() if k != "mechanisms_in_ledger"
        }
        return {
            "epsilon_of_the_search": self.epsilon_,
            "epsilon_of_one_trial": self.epsilon_of_one_trial_,
            "expected_trials": float(repetitions.mean),
            "distribution_of_trials": repetitions.distribution,
            **(shape if repetitions.distribution == "negative-binomial" else {}),
            "validation": self._validated,
            **released,
        }

    def _public_facts(self) -> list[str]:
        return [*self._released.public, "the candidates and the split into trained and held-out rows"]

    def _not_covered(self) -> list[str]:
        free = "choosing hyper-parameters by comparing fits on the same sensitive cells"
        gaps = [g for g in self._released.not_covered if g != free and "random_state=" not in g]
        return [*gaps, "running time, which tells how many trials ran, and models or logs of other trials"]

    def __getstate__(self) -> dict:
        state = dict(super().__getstate__())
        if "best_estimator_" in state:
            state["estimator"] = without_rows(state["estimator"])
            if isinstance(state["validation"], tuple):
                state["validation"] = "private"  # the rows stay here; a search of the copy needs its own
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.input_tags, tags.target_tags = inner.input_tags, inner.target_tags
        return tags


def _costliest(specs: list[Spec], sigmas: list[float], adjacency: str, delta: float) -> float:
    """Epsilon of one run of the costliest kind, by the accountant."""
    kinds = {(*s[0], Gaussian(sigma, s[1], s[2])) for s, sigma in zip(specs, sigmas, strict=True)}
    return max(
        compute_epsilon([LedgerEntry(*m[:3], adjacency) for m in kind], delta)  # type: ignore[call-arg]
        for kind in kinds
    )


def _take(X: Any, rows: np.ndarray) -> Any:
    return X[rows] if isinstance(X, PairedTable) else _safe_indexing(X, rows)
