"""StackedGridSearchCV."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.utils.validation import _num_samples

from .._parameters import ESTIMATOR, N_JOBS, Anything, check_parameters, constraints
from ..accounting import check_pipeline
from ..exceptions import InvalidInputError
from ..privacy import PrivacyLedger
from ..tables._targets import read_labels
from ._trainer import (
    Fitted,
    Outcome,
    fit_all,
    ledger_of,
)


class StackedGridSearchCV(GridSearchCV):
    """Grid search that trains the models of a grid together, as one stack of batched tensors.

    It takes what GridSearchCV takes and gives what it gives. The table is imputed once, each fold
    encoded once, and models that differ only in `noise_multiplier`, `epsilon`, `delta`,
    `max_grad_norm`, `alpha`, `beta`, `lr` or `random_state` are trained in one loop, each with its own
    Poisson sample, clipping norm, noise, optimizer state and iterate average. Models of a fold with the
    same learning rate share their start and public warm-up, which read no sensitive cell.

    Parameters
    ----------
    estimator : estimator
        FusionDPClassifier or FusionDPRegressor to be stacked; anything else is searched as
        GridSearchCV does it.
    param_grid : dict or list of dict
        Parameters and the values to try. Others than those named above split the grid into stacks.
    scoring : str, callable, list, tuple or dict, default=None
        As in GridSearchCV.
    n_jobs : int or None, default=None
        Threads over stacks, and processes over what is fitted one by one.
    refit : bool, str or callable, default=True
        As in GridSearchCV: the best parameters are fitted on all rows by the estimator's own ``fit``.
    cv : int, splitter or iterable, default=None
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
        As in GridSearchCV. The fit time of a stacked model is its share of its stack's.
    best_estimator_ : estimator
        An ordinary fitted estimator; its own ``epsilon_`` is that of the refit alone.
    best_params_, best_score_, best_index_, scorer_, n_splits_, refit_time_, multimetric_
        As in GridSearchCV.
    ledger_ : PrivacyLedger
        An entry a model that was trained, fold models first and the refit last: what the search read.
    stacked_ : dict
        Number of models trained "stacked" and "sequentially", and "why_not": reason and count of the
        latter.

    Warns
    -----
    UserWarning
        Once, with the reasons, if models are fitted one by one: pipelines, other modules than
        ``nets.MLP``, callbacks, other optimizers than Adam and SGD (or with weight decay), chosen
        `private_parameters`, other devices than the CPU.

    Notes
    -----
    Each fold's model reads sensitive cells of its training rows under its own plan, and the whole search
    is the composition in `ledger_`, ``search.ledger_.epsilon(delta)``. Two things are covered by no
    entry: scoring on validation rows reads their true sensitive cells without noise, and choosing the
    best of many models by such scores reveals more than the chosen model's epsilon says (Papernot and
    Steinke 2022). So the epsilon of `best_estimator_` does not cover the selection. Where
    it has to, search on public rows (the support), or fix parameters beforehand.

    Results are those of a sequential search up to random draws. With `random_state` set, every model draws
    the samples and noise that its own ``fit`` would draw, and differs by rounding only (with dropout, by
    its masks too).

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

    _constraints = constraints(
        dict.fromkeys(GridSearchCV._parameter_constraints, Anything("GridSearchCV's own, which checks it")),
        estimator=ESTIMATOR,
        n_jobs=N_JOBS,
    )

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
        check_pipeline(self, X=X, on_leak=_on_leak(self.estimator))
        self.ledger_ = earlier
        outcome = Outcome()
        try:
            fit_all(self.estimator, candidates, X, y, splits, self.n_jobs, params, outcome)
        finally:
            self.ledger_ = earlier + outcome.ledger
        self.stacked_ = _counts(outcome)
        _say_once(self.stacked_)
        settings = self.get_params(deep=False)
        settings.update(estimator=_recalling(self.estimator, outcome), cv=splits, n_jobs=None)
        inner = GridSearchCV(**settings)
        try:
            inner.fit(X, y, **params)
        finally:
            if "best_estimator_" in vars(inner):
                self.ledger_ = self.ledger_ + ledger_of(inner.best_estimator_)
        self.__dict__.update({k: v for k, v in vars(inner).items() if k.endswith("_") and k[0] != "_"})
        if self.scoring is None:
            # The passthrough scorer holds the estimator that it was made for, here one that recalls.
            self.scorer_ = check_scoring(self.estimator)
        self._own_times(outcome, len(splits))
        return self

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

    def _own_times(self, outcome: Outcome, n_splits: int) -> None:
        seconds = np.array([f.seconds for f in outcome.fits]).reshape(-1, n_splits)
        self.cv_results_["mean_fit_time"] = seconds.mean(axis=1)
        self.cv_results_["std_fit_time"] = seconds.std(axis=1)


def _spends(estimator: Any) -> bool:
    """Whether an estimator, or one inside it, keeps a ledger; any other search is scikit-learn's."""
    parts = [estimator, *estimator.get_params(deep=True).values()]
    return any(callable(getattr(part, "privacy_report", None)) for part in parts)


def _on_leak(estimator: Any) -> str:
    """The strictest of what the estimator and its parts want to happen if something leaks."""
    parts = [estimator, *estimator.get_params(deep=True).values()]
    wishes = {getattr(part, "on_leak", None) for part in parts if not isinstance(part, type)}
    return next((wish for wish in ("raise", "warn") if wish in wishes), "ignore")


def _recalling(estimator: Any, outcome: Outcome) -> Any:
    """An estimator whose next fits recall those of `outcome`, in order; then it fits as ever.

    scikit-learn's own search scores, ranks and refits with it. A fitted object is of the estimator's
    own class and carries nothing of this.
    """
    cls = type(estimator)
    left: Iterator[Fitted] = iter(outcome.fits)

    class Recalling(cls):  # type: ignore[misc, valid-type]
        def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
            self.__class__ = cls
            trained = next(left, None)
            if trained is None:
                return self.fit(X, y, **params)
            if trained.error is not None:
                raise trained.error
            self.__dict__.update(vars(trained.estimator))
            return self

    Recalling.__name__, Recalling.__qualname__ = cls.__name__, cls.__qualname__
    copy = clone(estimator)
    copy.__class__ = Recalling
    return copy


def _counts(outcome: Outcome) -> dict[str, Any]:
    stacked = sum(f.stacked for f in outcome.fits)
    return {
        "stacked": stacked,
        "sequentially": len(outcome.fits) - stacked,
        "why_not": dict(outcome.why_not),
    }


def _say_once(counts: dict[str, Any]) -> None:
    if counts["sequentially"]:
        reasons = "; ".join(f"{reason} ({n} models)" for reason, n in counts["why_not"].items())
        warnings.warn(
            f"StackedGridSearchCV fitted {counts['sequentially']} of its models one by one, as GridSearchCV "
            f"does: {reasons}.",
            UserWarning,
            stacklevel=3,
        )
