"""StackedGridSearchCV."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples

from .._keywords import KnownKeywords
from .._parameters import ESTIMATOR, N_JOBS, Anything, check_parameters, constraints
from .._refit import all_or_nothing, warn_of_repeated_fit
from .._spender import without_rows
from ..accounting import private_parts
from ..accounting._composite_report import lost_fits
from ..accounting._enclosing import check_enclosing
from ..exceptions import InvalidInputError, callers_level
from ..privacy import PrivacyLedger
from ..tables._targets import read_labels
from ._fold_fits import FoldFit, alike, fit_each, why_not_shared
from ._trials import strictest_on_leak


class StackedGridSearchCV(GridSearchCV, KnownKeywords):
    """Grid search that does once what its fits have in common, and trains their private heads together.

    It takes what GridSearchCV takes and gives what it gives. Models of a fold that differ only in
    `noise_multiplier`, `epsilon`, `delta`, `max_grad_norm`, `alpha`, `beta` or `lr` share their imputed and
    encoded rows. With the default module they share its public training too, which reads no sensitive
    cell, and their private heads are trained in one loop, each with its own Poisson sample, clipping norm,
    noise, optimizer state and iterate average.

    Parameters
    ----------
    estimator : estimator
        FusionDPClassifier or FusionDPRegressor; the fits of anything else share nothing.
    param_grid : dict or list of dict
        Parameters and the values to try. Those that differ in others than the ones named above share nothing.
    scoring : str, callable, list, tuple or dict, default=None (the estimator's ``score``)
        As in GridSearchCV.
    n_jobs : int, default=None (1)
        Processes over folds, and over groups of candidates that share nothing.
    refit : bool, str or callable, default=True
        As in GridSearchCV: the best parameters are fitted on all rows by the estimator's own ``fit``.
    cv : int, splitter or iterable, default=None (5 folds)
        As in GridSearchCV.
    verbose : int, default=0
        As in GridSearchCV.
    pre_dispatch : int or str, default="2*n_jobs"
        Taken for compatibility, not used.
    error_score : "raise" or number, default=nan
        As in GridSearchCV.
    return_train_score : bool, default=False
        As in GridSearchCV. Training scores read sensitive cells.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        As in GridSearchCV. Fit times hold a model's share of what was done for several.
    best_estimator_ : estimator
        An ordinary fitted estimator; its own ``epsilon_`` is that of the refit alone.
    best_params_, best_score_, best_index_, scorer_, n_splits_, refit_time_, multimetric_
        As in GridSearchCV.
    ledger_ : PrivacyLedger
        An entry a model that was trained, fold models first and the refit last: what the search read.
    stacked_ : dict
        Number of models whose heads were trained "stacked", of those trained "sequentially", and "why_not":
        reason and count of the latter.

    Warns
    -----
    UserWarning
        Once, with the reasons, if models are fitted one by one: pipelines, other modules than the default
        one, callbacks, other optimizers than Adam, AdamW and SGD, chosen `private_parameters`, automatic
        clipping, a shared budget, other devices than the CPU.

    Notes
    -----
    Each fold's model reads sensitive cells of its training rows under its own plan, and the whole search
    is the composition in `ledger_`, ``search.ledger_.epsilon(delta)``. Two things are covered by no
    entry: scoring on validation rows reads their true sensitive cells without noise, and choosing the
    best of many models by such scores reveals more than the chosen model's epsilon says (Papernot and
    Steinke 2022). So the epsilon of `best_estimator_` does not cover the selection. Where
    it has to, search on public rows (the support), or fix parameters beforehand.

    Results are those of a sequential search up to random draws. With `random_state` set, every model draws
    what its own ``fit`` would draw, and differs by rounding only. Without, the models of a fold that share
    their public training share its start.

    References
    ----------
    N. Papernot and T. Steinke, "Hyperparameter Tuning with Renyi Differential Privacy", ICLR 2022,
    arXiv:2110.03620.

    Examples
    --------
    >>> from skfusiondp import FusionDPClassifier
    >>> from skfusiondp.datasets import load_adult
    >>> from skfusiondp.model_selection import StackedGridSearchCV
    >>> adult = load_adult()
    >>> model = FusionDPClassifier(adult.sensitive, epochs=1, random_state=0)
    >>> grid = {"noise_multiplier": [1.0, 2.0], "max_grad_norm": [0.5, 1.0]}
    >>> search = StackedGridSearchCV(model, grid, cv=3).fit(adult.table[:900], adult.target[:900])
    >>> len(search.cv_results_["params"]), search.stacked_["stacked"], len(search.ledger_)
    (4, 12, 13)
    >>> sorted(search.best_params_)
    ['max_grad_norm', 'noise_multiplier']
    """

    _counts_its_fits = True  # so that no report calls them lost
    _constraints = constraints(
        dict.fromkeys(GridSearchCV._parameter_constraints, Anything("GridSearchCV's own, which checks it")),
        estimator=ESTIMATOR,
        n_jobs=N_JOBS,
    )

    @all_or_nothing
    def fit(self, X: Any, y: Any = None, **params: Any) -> StackedGridSearchCV:
        """Train every candidate on every fold, score, and refit the best.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns), or PairedTable
        y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        **params : dict
            ``groups`` for the splitter; anything else goes to ``fit``, and then nothing is stacked.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            For a parameter that cannot be used; nothing has been read then. What scikit-learn checks itself
            it refuses in its own words.
        """
        self._check_parameters()
        # A second search on the same rows adds to the first.
        earlier = getattr(self, "ledger_", PrivacyLedger())
        if not _spends(self.estimator):
            super().fit(X, y, **params)
            self.ledger_, self.stacked_ = earlier, {"stacked": 0, "sequentially": 0, "why_not": {}}
            return self
        if y is not None and is_classifier(self.estimator):
            read_labels(y, _num_samples(y))
        groups = params.pop("groups", None)
        splitter = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = list(splitter.split(X, y, groups))
        candidates = list(ParameterGrid(self.param_grid))
        for parameters in candidates:
            clone(self.estimator).set_params(**clone(parameters, safe=False))  # refuses unknown names
        for gap, *_ in lost_fits(self.estimator, "estimator"):
            raise InvalidInputError(
                f"{gap}. The search could not count them: use GridSearchCV with such a budget, or "
                "StackedGridSearchCV in place of a search inside."
            )
        warn_of_repeated_fit(type(self).__name__, earlier, None, getattr(self, "delta_", 0.0))
        check_enclosing(self, X, strictest_on_leak(self.estimator))
        self.ledger_ = earlier
        fits = self._fit_folds(X, y, candidates, splits, params)
        self.stacked_ = _counts(fits)
        _say_once(self.stacked_)
        scorers = _scorers(self.estimator, self.scoring)
        settings = self.get_params(deep=False)
        stand_in = _Trained(clone(self.estimator), iter(fits))
        settings.update(estimator=stand_in, scoring=scorers, cv=splits, n_jobs=None)
        inner = GridSearchCV(**settings)
        inner._stands_for_another = True  # a fit inside belongs to this search
        try:
            inner.fit(X, y, **params)
        finally:
            if "best_estimator_" in vars(inner):
                inner.best_estimator_ = inner.best_estimator_.estimator
                self.ledger_ = self.ledger_ + _spent(inner.best_estimator_)
        self.__dict__.update({k: v for k, v in vars(inner).items() if k.endswith("_") and k[0] != "_"})
        self.scorer_ = (
            {n: s.scorer for n, s in scorers.items()} if isinstance(scorers, dict) else scorers.scorer
        )
        seconds = np.array([f.seconds for f in fits]).reshape(-1, len(splits))
        self.cv_results_["mean_fit_time"] = seconds.mean(axis=1)
        self.cv_results_["std_fit_time"] = seconds.std(axis=1)
        return self

    def _fit_folds(
        self, X: Any, y: Any, candidates: list[dict], splits: list[tuple], params: dict[str, Any]
    ) -> list[FoldFit]:
        """Fit each candidate on each training set, and count what was spent; candidate by candidate."""
        groups = [[i] for i in range(len(candidates))]
        if not why_not_shared(self.estimator, params):
            groups = alike(candidates)
        jobs = [(group, j) for group in groups for j in range(len(splits))]
        started: list[list[FoldFit]] = [[] for _ in jobs]
        imputers: dict[int, list] = {id(group): [] for group in groups}
        run = Parallel(n_jobs=self.n_jobs, return_as="generator")(
            delayed(fit_each)(
                self.estimator,
                [candidates[i] for i in group],
                *_training_set(X, y, splits[j][0], params),
                imputers[id(group)],
                fits,
            )
            for (group, j), fits in zip(jobs, started, strict=True)
        )
        try:
            for number, fits in enumerate(run):
                started[number] = fits
        finally:
            done = {
                (i, j): fit
                for (group, j), fits in zip(jobs, started, strict=True)
                for i, fit in zip(group, fits, strict=False)
            }
            fits = [done[job] for job in sorted(done)]
            self.ledger_ = sum((_spent(f.estimator) for f in fits), self.ledger_)
            deltas = [p.spender.delta_ for f in fits for p in private_parts(f.estimator) if len(p.ledger)]
            self.delta_ = min(map(float, deltas), default=getattr(self, "delta_", 0.0))
        return fits

    def _paid_attributes(self, before: dict[str, Any]) -> dict[str, Any]:
        """What stays of a search that failed: the ledger of the fits that ran."""
        spent = vars(self).get("ledger_", PrivacyLedger())
        names = [n for n in ("ledger_", "delta_") if n in vars(self)]
        return {n: vars(self)[n] for n in names} if len(spent) else {}

    @property
    def epsilon_(self) -> float:
        """Epsilon of everything in `ledger_`, at `delta_`; how the best was chosen is not covered."""
        return self.ledger_.epsilon(self.delta_)

    def __getstate__(self) -> dict:
        state = dict(super().__getstate__())
        if "cv_results_" in state:
            state["estimator"] = without_rows(state["estimator"])
        return state

    def _check_parameters(self) -> None:
        """Refuse what scikit-learn would refuse after the training only, which is paid for by then."""
        check_parameters(self)
        self._validate_params()
        if self.scoring is None or callable(self.scoring):
            return
        check_scoring(self.estimator, self.scoring)
        if isinstance(self.scoring, str) or self.refit is False or callable(self.refit):
            return
        if self.refit not in self.scoring:
            raise InvalidInputError(
                f"refit={self.refit!r} must be one of the metrics, {', '.join(map(str, self.scoring))}, by "
                "which the best parameters are chosen, or False."
            )


def _spends(estimator: Any) -> bool:
    """Whether an estimator, or one inside it, keeps a ledger."""
    parts = [estimator, *estimator.get_params(deep=True).values()]
    return any(callable(getattr(part, "privacy_report", None)) for part in parts)


def _spent(model: Any) -> PrivacyLedger:
    """What all parts of a model have spent."""
    return sum((part.ledger for part in private_parts(model)), PrivacyLedger())


def _training_set(X: Any, y: Any, train: np.ndarray, params: dict[str, Any]) -> tuple:
    cut = {
        k: _safe_indexing(v, train) if hasattr(v, "__len__") and len(v) == len(X) else v
        for k, v in params.items()
    }
    return _safe_indexing(X, train), None if y is None else _safe_indexing(y, train), cut


class _Trained(BaseEstimator):
    """Stands for an estimator in scikit-learn's own search: each of its fits takes a model trained before.

    Parameters
    ----------
    estimator : estimator
        The model, once it is fitted.
    fits : iterator of FoldFit
        In the order in which the search fits. When they are used up, the estimator's own ``fit`` is called.
    """

    _stands_for_another = True

    def __init__(self, estimator: Any, fits: Iterator[FoldFit]):
        self.estimator = estimator
        self.fits = fits

    def __sklearn_clone__(self) -> _Trained:
        return _Trained(clone(self.estimator), self.fits)

    def set_params(self, **params: Any) -> _Trained:
        self.estimator.set_params(**params)
        return self

    def fit(self, X: Any, y: Any = None, **params: Any) -> _Trained:
        """Take the next model."""
        done = next(self.fits, None)
        if done is None:
            self.estimator.fit(X, y, **params)
        elif done.error is not None:
            raise done.error
        else:
            self.estimator = done.estimator
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "estimator" not in vars(self):
            raise AttributeError(name)
        return getattr(self.estimator, name)

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.estimator)


class _OfTheModel:
    """A scorer that is given the model, and not the `_Trained` around it."""

    def __init__(self, scorer: Any):
        self.scorer = scorer

    def __call__(self, stand_in: _Trained, *args: Any, **params: Any) -> Any:
        return self.scorer(stand_in.estimator, *args, **params)


def _scorers(estimator: Any, scoring: Any) -> Any:
    if scoring is None or isinstance(scoring, str) or callable(scoring):
        return _OfTheModel(check_scoring(estimator, scoring))
    named = scoring if isinstance(scoring, Mapping) else {name: name for name in scoring}
    return {name: _OfTheModel(check_scoring(estimator, s)) for name, s in named.items()}


def _counts(fits: list[FoldFit]) -> dict[str, Any]:
    why_not = Counter(f.alone for f in fits if f.alone)
    alone = sum(why_not.values())
    return {"stacked": len(fits) - alone, "sequentially": alone, "why_not": dict(why_not)}


def _say_once(counts: dict[str, Any]) -> None:
    if counts["sequentially"]:
        reasons = "; ".join(f"{reason} ({n} models)" for reason, n in counts["why_not"].items())
        warnings.warn(
            f"StackedGridSearchCV fitted {counts['sequentially']} of its models one by one, as GridSearchCV "
            f"does: {reasons}.",
            UserWarning,
            stacklevel=callers_level(),
        )
