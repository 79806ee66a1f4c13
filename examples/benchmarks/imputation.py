"""Imputers of sensitive columns on real tables: how well few support rows let them guess.

    SKFUSIONDP_SEPSIS=path/to/folder python examples/benchmarks/imputation.py

Each column is guessed from the public ones, by support rows of the same table, on 1,200 other rows. The score
of a number is R², of a category log-loss skill (1 - loss / loss of the support rows' shares), both at least
-1; with them AUROC, CRPS skill, and the share of cells within 80 % intervals. Tables that no choice has seen
count; the others are those on which choices were made. A finished fit is in the JSON file at once.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # one fit a core, set before numpy loads

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _guesses
import _tables
import _tuning
import _unseen
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from skfusiondp import datasets
from skfusiondp.impute import EnsembleBackend, EstimatorBackend
from skfusiondp.impute._heads import MarginalHead
from skfusiondp.impute._judged import judge
from skfusiondp.impute._registry import make_backend
from skfusiondp.impute.pretrained._head import PretrainedHead
from skfusiondp.tables._domain import Domain

ROOT = Path(__file__).parents[2]
KEY = ("table", "support", "method", "seed")
N_TEST = 1_200
SEEN = {**_tuning.TABLES, "adult": datasets.load_adult, "sepsis": datasets.load_sepsis,
        "support2": datasets.load_support2, "flchain": datasets.load_flchain,
        "acs_massachusetts": datasets.load_acs_massachusetts, "nhis": datasets.load_nhis,
        "alcohol": datasets.load_alcohol, "credit_default": datasets.load_credit_default}  # fmt: skip


class _Columnwise(EnsembleBackend):
    """A head for each column."""

    head: Any = None

    def _make_head(self, column: str, domain: Domain) -> Any:
        return self.head(domain)


def _headed(head: Any) -> Any:
    backend = _Columnwise(random_state=0)
    backend.head = head
    return backend


def _per_task(regressor: Callable[[], Any], classifier: Callable[[], Any]) -> Callable:
    def make(domains: dict[str, Domain]) -> Any:
        return EstimatorBackend(
            {c: regressor() if d.task == "regressor" else classifier() for c, d in domains.items()}
        )

    return make


def _scaled(model: Any) -> Any:
    return make_pipeline(StandardScaler(), model)


def _process() -> GaussianProcessRegressor:
    """One length for all features, amplitude and noise by marginal likelihood."""
    kernel = ConstantKernel(0.3, (1e-3, 1e2)) * RBF(8.0, (1.0, 1e3)) + WhiteKernel(0.7, (1e-2, 1.5))
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)


class _Indicators(ClassifierMixin, BaseEstimator):
    """Gaussian process regression on the indicators of classes."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> _Indicators:
        self.classes_ = np.unique(y)
        self.process_ = _process().fit(X, (y[:, None] == self.classes_).astype(float))
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        p = np.clip(self.process_.predict(X).reshape(len(X), -1), 0.01, 1.0)
        return p / p.sum(axis=1, keepdims=True)


METHODS: dict[str, Callable[[dict[str, Domain]], Any]] = {
    "mean": lambda _: _headed(MarginalHead),
    "linear": _per_task(
        lambda: _scaled(RidgeCV(np.logspace(-1, 4, 16))),
        lambda: _scaled(LogisticRegressionCV(Cs=np.logspace(-4, 1, 8), cv=5, scoring="neg_log_loss")),
    ),
    "ExtraTrees": _per_task(
        lambda: ExtraTreesRegressor(min_samples_leaf=3, random_state=0),
        lambda: ExtraTreesClassifier(min_samples_leaf=3, random_state=0),
    ),
    "HistGradientBoosting": _per_task(
        lambda: HistGradientBoostingRegressor(early_stopping=False, random_state=0),
        lambda: HistGradientBoostingClassifier(early_stopping=False, max_iter=60, random_state=0),
    ),
    "k-NN": _per_task(lambda: _scaled(KNeighborsRegressor(20)), lambda: _scaled(KNeighborsClassifier(20))),
    "Gaussian process": _per_task(lambda: _scaled(_process()), lambda: _scaled(_Indicators())),
    "pretrained process": lambda _: _headed(PretrainedHead),
    "conditional": lambda _: make_backend("conditional").set_params(random_state=0),
    "ensemble": lambda _: make_backend("ensemble").set_params(random_state=0),
}
# Its time grows with the cube of the support rows.
MOST_ROWS = {"Gaussian process": 256}


def load(name: str) -> datasets.SensitiveTable:
    return _unseen.TABLES[name]() if name in _unseen.TABLES else SEEN[name]()


def rows_of(name: str, seed: int, n_support: int) -> tuple[Any, pd.DataFrame, pd.DataFrame] | None:
    """The table, support rows and rows to judge on; None where there are too few."""
    table = load(name)
    order = np.random.default_rng(1000 + seed).permutation(len(table.table))
    if name == "sepsis":
        own = table.support
        if n_support > len(own):
            return None
        picked = np.random.default_rng(2000 + seed).permutation(len(own))[:n_support]
        return table, own.iloc[picked], table.table.iloc[order[:N_TEST]]
    if n_support + N_TEST > len(order):
        return None
    return table, table.table.iloc[order[:n_support]], table.table.iloc[order[-N_TEST:]]


def fit(job: dict) -> list[dict]:
    """Impute all sensitive columns of a table and judge each."""
    warnings.simplefilter("ignore")
    name, n_support, method, seed = (job[k] for k in KEY)
    found = rows_of(name, seed, n_support)
    if found is None or n_support > MOST_ROWS.get(method, n_support):
        return []
    table, support, test = found
    domains = table.sensitive
    start = time.process_time()
    results = []
    try:
        backend = METHODS[method](domains)
        backend.fit(support[table.public], support[list(domains)], domains)
        guesses = backend.predict(test[table.public])
    except Exception as error:
        return [{**job, "error": f"{type(error).__name__}: {error}"}]
    seconds = time.process_time() - start
    for column, domain in domains.items():
        known, true = domain.target(support[column]), domain.target(test[column])
        figures = judge(guesses[column], known, true)
        results.append({**job, "column": column, "kind": domain.task, "seconds": seconds, **figures})
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=[*_unseen.TABLES, *SEEN])
    parser.add_argument("--support", type=int, nargs="+", default=[64, 256, 1000, 4000])
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="fits at once")
    parser.add_argument("--json", type=Path, default=ROOT / "docs/results/imputation.json")
    args = parser.parse_args()
    results = json.loads(args.json.read_text())["results"] if args.json.exists() else []
    known = {"unseen": list(_unseen.TABLES), "seen": list(SEEN)}
    done = {tuple(r[k] for k in KEY) for r in results}
    tables = [t for t in args.tables if t != "sepsis" or not _tables.absent("sepsis")]
    todo = [
        dict(zip(KEY, (t, n, m, seed), strict=True))
        for t in tables for seed in range(args.seeds) for n in args.support for m in args.methods
    ]  # fmt: skip
    todo = [j for j in todo if tuple(j.values()) not in done]
    run = Parallel(n_jobs=args.jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
    failed = []
    for found in tqdm(run(delayed(fit)(j) for j in todo), total=len(todo), unit="fit", mininterval=5):
        failed += [r for r in found if "error" in r]
        results += [r for r in found if "error" not in r]
        args.json.write_text(json.dumps({**known, "results": results}))
    for r in failed:
        print("failed:", r)
    print("\n".join(["Tables that no choice has seen:", *_guesses.lines(results, _unseen.TABLES)]))
    print("\n".join(["", "The others:", *_guesses.lines(results, SEEN)]))


if __name__ == "__main__":
    main()
