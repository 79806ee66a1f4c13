"""Ways to release a table's sensitive cells, and how close and how useful what they release is.

Each way takes a task, a budget and a seed, and returns tables of the training rows whose sensitive cells are
drawn, one after the other. Support rows are training rows like the others; where their cells were public
they would say where cells lie, so that peers take scales and bins from them at no charge.
"""

from __future__ import annotations

import functools
import itertools
import math
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _honest import WHOLE
from _peers import DELTA, randomised, score
from _tables import Task
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfusiondp import Categorical, PrivateSynthesizer
from skfusiondp.privacy import Clipping, make_plan

DRAWS = 5
# Bins of numbers for peers and for judging, of the public score, and of a number as label.
_BINS, _SCORE_BINS, _LABEL_BINS = 16, 4, 4
_BOOSTING = {
    "max_iter": 150,
    "learning_rate": 0.06,
    "max_leaf_nodes": 15,
    "early_stopping": False,
    "categorical_features": "from_dtype",
}


def ours(task: Task, epsilon: float, seed: int) -> list[pd.DataFrame]:
    """PrivateSynthesizer with its defaults."""
    domains = {
        c: replace(d, step=1) if c in WHOLE.get(task.name, ()) else d for c, d in task.sensitive.items()
    }
    model = PrivateSynthesizer(domains, epsilon=epsilon, delta=DELTA, random_state=seed)
    model.fit(task.train, task.y_train, **task.groups(len(task.train)))
    return model.sample(DRAWS, stacked=False)[0]


def local_answers(task: Task, epsilon: float, seed: int) -> list[pd.DataFrame]:
    """Randomized response and Laplace noise, each row by itself; there is but one draw."""
    return [randomised(task, task.train, epsilon, np.random.default_rng(seed))]


def independent_draws(task: Task, epsilon: float, seed: int) -> list[pd.DataFrame]:
    """Noised shares of each column, from which cells are drawn whatever the rest of the row is."""
    rng, bins = np.random.default_rng(seed), Bins(task, task.support)
    std = _deviation(len(task.train), len(task.sensitive), epsilon)
    codes, drawn = bins.codes(task.train), []
    shares = []
    for j, size in enumerate(bins.sizes):
        counts = np.bincount(codes[:, j], minlength=size) + rng.normal(scale=std, size=size)
        shares.append(np.clip(counts, 1e-9, None) / np.clip(counts, 1e-9, None).sum())
    for _ in range(DRAWS):
        cells = np.column_stack([rng.choice(len(p), len(codes), p=p) for p in shares])
        drawn.append(bins.filled(task.train, cells, rng))
    return drawn


def mbi(task: Task, epsilon: float, seed: int, *, python: Path) -> list[pd.DataFrame]:
    """A graphical model (Private-PGM) of sensitive columns, label and public score; draws given the latter.

    Measured are each sensitive column with label and score, and neighbouring sensitive columns.
    """
    rng, bins = np.random.default_rng(seed), Bins(task, task.support)
    count = len(bins.sizes)
    cliques = [(0, j) for j in range(1, count + 1)] + [(j, j + 1) for j in range(1, count)]
    facts, n_facts = _public_facts(task, seed)
    codes = np.column_stack([facts, bins.codes(task.train)])
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.npz", Path(folder) / "out.npy"
        np.savez(
            source, codes=codes, sizes=[n_facts, *bins.sizes], n_draws=DRAWS, seed=seed,
            cliques=cliques, std=_deviation(len(codes), len(cliques), epsilon),
        )  # fmt: skip
        worker = Path(__file__).with_name("_mbi.py")
        done = subprocess.run([python, worker, source, out], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr[-500:])
        drawn = np.load(out)
    return [bins.filled(task.train, cells, rng) for cells in drawn]


def public_guess(task: Task, epsilon: float | None, seed: int) -> list[pd.DataFrame]:
    """What public columns and label alone say, learnt without noise and drawn: no release."""
    rng, bins = np.random.default_rng(seed), Bins(task, task.train)
    known = task.typed(task.train[task.public]).assign(label=task.y_train.to_numpy())
    codes, guessed = bins.codes(task.train), []
    model = HistGradientBoostingClassifier(
        max_iter=50, max_leaf_nodes=8, categorical_features="from_dtype", early_stopping=False, random_state=0
    )
    for j in range(codes.shape[1]):
        # Cells in parts too rare for five folds are guessed as the others are.
        p = cross_val_predict(model, known, _common(codes[:, j]), cv=5, method="predict_proba")
        values = np.unique(_common(codes[:, j]))
        u = rng.random((len(p), 1))
        guessed.append(values[np.minimum((p.cumsum(axis=1) < u).sum(axis=1), len(values) - 1)])
    return [bins.filled(task.train, np.column_stack(guessed), rng)]


def true_cells(task: Task, epsilon: float | None, seed: int) -> list[pd.DataFrame]:
    """The table itself: no release."""
    return [task.train]


def _common(codes: np.ndarray) -> np.ndarray:
    values, counts = np.unique(codes, return_counts=True)
    return np.where(np.isin(codes, values[counts >= 10]), codes, values[counts.argmax()])


def _deviation(n_rows: int, n_tables: int, epsilon: float) -> float:
    """Deviation of the noise of so many tables of counts, in each of which one row may move."""
    settings = {"batch_size": n_rows, "steps": 1, "delta": DELTA, "noise_multiplier": None}
    # Two versions of a row lie sqrt(2) apart in each table: twice the accountant's norm.
    norm = math.sqrt(2 * n_tables) / 2
    plan = make_plan(n_rows, epsilon=epsilon, adjacency="replace", clipping=Clipping(norm), **settings)
    return plan.noise_multiplier * norm


@functools.lru_cache(maxsize=2)
def _public_facts(task: Task, seed: int) -> tuple[np.ndarray, int]:
    """A code of each training row's label and public score, and how many codes there are."""
    X, y = task.typed(task.train[task.public]), task.y_train.to_numpy()
    model = learner("boosting", task, 1)
    method = "predict" if task.regression else "predict_proba"
    said = cross_val_predict(model, X, y, cv=5, method=method)
    bins = _shares(said if said.ndim == 1 else said[:, 1], _SCORE_BINS)
    labels = np.unique(y, return_inverse=True)[1]
    if task.regression:
        labels = np.minimum(
            (pd.Series(y).rank(pct=True).to_numpy() * _LABEL_BINS).astype(int), _LABEL_BINS - 1
        )
    return labels * _SCORE_BINS + bins, int(labels.max() + 1) * _SCORE_BINS


def _label_codes(task: Task) -> np.ndarray:
    """Classes of the training rows' labels, or even shares of a number."""
    if task.regression:
        return _shares(task.y_train, _LABEL_BINS)
    return np.unique(task.y_train, return_inverse=True)[1]


def _shares(values: Any, count: int) -> np.ndarray:
    rank = pd.Series(values).rank(pct=True).to_numpy()
    return np.minimum((rank * count).astype(int), count - 1)


class Bins:
    """Sensitive cells as whole numbers: categories, or even shares of some rows' numbers; last, missing."""

    def __init__(self, task: Task, rows: pd.DataFrame):
        self.domains = task.sensitive
        self.levels = {c: task.levels[c] for c, d in self.domains.items() if isinstance(d, Categorical)}
        self.edges: dict[str, np.ndarray] = {}
        for c, domain in self.domains.items():
            if c not in self.levels:
                known = rows[c].astype(float).dropna().clip(domain.low, domain.high)
                inner = np.unique(known.quantile(np.linspace(0, 1, _BINS + 1)[1:-1]))
                self.edges[c] = np.array(
                    [domain.low, *inner[(inner > domain.low) & (inner < domain.high)], domain.high]
                )

    @property
    def sizes(self) -> list[int]:
        return [
            (len(self.levels[c]) if c in self.levels else len(self.edges[c]) - 1) + 1 for c in self.domains
        ]

    def codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Codes of shape (n_rows, n_sensitive)."""
        found = []
        for (c, _), size in zip(self.domains.items(), self.sizes, strict=True):
            if c in self.levels:
                own = pd.Categorical(frame[c], categories=self.levels[c]).codes.astype(int)
            else:
                cells = frame[c].astype(float).to_numpy()
                inner = self.edges[c][1:-1]
                own = np.where(np.isnan(cells), -1, np.searchsorted(inner, cells, side="right"))
            found.append(np.where(own < 0, size - 1, own))
        return np.column_stack(found)

    def filled(self, frame: pd.DataFrame, codes: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
        """The frame with cells of these codes; numbers are drawn evenly within their bin."""
        made = frame.copy()
        for (c, _), size, own in zip(self.domains.items(), self.sizes, codes.T, strict=True):
            missing = own == size - 1
            if c in self.levels:
                made[c] = pd.Series([*self.levels[c], None], dtype=object)[own].to_numpy()
                continue
            low, high = self.edges[c][:-1], self.edges[c][1:]
            part = np.minimum(own, len(low) - 1)
            cells = low[part] + rng.random(len(own)) * (high - low)[part]
            made[c] = np.where(missing, np.nan, cells)
        return made


def learner(kind: str, task: Task, draws: int):
    """Boosting or a linear model, for tables of so many draws of each row."""
    if kind == "boosting":
        cls = HistGradientBoostingRegressor if task.regression else HistGradientBoostingClassifier
        return cls(**_BOOSTING, min_samples_leaf=20 * draws, l2_regularization=float(draws), random_state=0)
    linear = Ridge(1.0) if task.regression else LogisticRegression(C=1.0 / draws, max_iter=300)
    return make_pipeline(StandardScaler(), linear)


def use(kind: str, task: Task, tables: Sequence[pd.DataFrame]) -> np.ndarray:
    """Scores of the true test rows by a model that was trained on released tables."""
    encode = task.typed if kind == "boosting" else task.encoded
    X = pd.concat(tables, ignore_index=True)
    y = np.tile(task.y_train.to_numpy(), len(tables))
    columns = list(task.train.columns)
    model = clone(learner(kind, task, len(tables))).fit(encode(X[columns]), y)
    return score(task, model, encode(task.test[columns]))


def fidelity(task: Task, released: pd.DataFrame) -> dict[str, float]:
    """How far shares of a released table are from the true ones, and how often its cells are the true ones.

    Total variation of each sensitive column, of each pair of them, and of each with the label, in at most 16
    bins of the true numbers; the mean over columns or pairs. `matches` is the share of cells that fall into
    the part of the true one.
    """
    bins = Bins(task, task.train)
    true, drawn = bins.codes(task.train), bins.codes(released)
    label = _label_codes(task)

    def distance(columns: Sequence[int], beside: np.ndarray | None = None) -> float:
        parts = [
            np.column_stack([t[:, list(columns)], *([] if beside is None else [beside])])
            for t in (true, drawn)
        ]
        _, codes = np.unique(np.vstack(parts), axis=0, return_inverse=True)
        codes = codes.ravel()
        n = len(true)
        counts = [np.bincount(c, minlength=codes.max() + 1) for c in (codes[:n], codes[n:])]
        return float(np.abs(counts[0] - counts[1]).sum() / (2 * n))

    columns = range(true.shape[1])
    pairs = list(itertools.combinations(columns, 2))
    return {
        "one_way": float(np.mean([distance([j]) for j in columns])),
        "pairwise": float(np.mean([distance(p) for p in pairs])) if pairs else float("nan"),
        "with_label": float(np.mean([distance([j], label) for j in columns])),
        "matches": float((true == drawn).mean()),
    }
