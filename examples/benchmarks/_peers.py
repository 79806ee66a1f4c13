"""What the library is compared with: free baselines, and private peers.

Each function takes a task, a budget and a seed, and returns a score (or a prediction) of every test row.
Record-level peers train on private and support rows together, and are told bounds, scales and categories
that come from declarations and support rows, so that they pay for none of it.
"""

from __future__ import annotations

import functools
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from _tables import Task
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from skfusiondp import Categorical

DELTA = 1e-5
DIFFPRIVLIB = ("diffprivlib==0.6.6", "scikit-learn<1.6")
_BOOSTING = {
    "max_iter": 200,
    "learning_rate": 0.05,
    "max_leaf_nodes": 15,
    "l2_regularization": 1.0,
    "early_stopping": False,
    "categorical_features": "from_dtype",
}


def score(task: Task, model, X) -> np.ndarray:
    """Probability of class 1, or the prediction."""
    return model.predict(X) if task.regression else model.predict_proba(X)[:, 1]


def _boosting(task: Task, X: pd.DataFrame, y, seed: int):
    cls = HistGradientBoostingRegressor if task.regression else HistGradientBoostingClassifier
    return cls(**_BOOSTING, random_state=seed).fit(X, y)


def _boosted(task: Task, train: pd.DataFrame, y, seed: int) -> np.ndarray:
    model = _boosting(task, task.typed(train), y, seed)
    return score(task, model, task.typed(task.test[list(train.columns)]))


def ceiling(task: Task, epsilon: float | None, seed: int) -> np.ndarray:
    """All true columns, no privacy."""
    return _boosted(task, task.train, task.y_train, seed)


def public_only(task: Task, epsilon: float | None, seed: int) -> np.ndarray:
    """Nobody's sensitive cells."""
    return _boosted(task, task.train[task.public], task.y_train, seed)


def hybrid_only(task: Task, epsilon: float | None, seed: int) -> np.ndarray:
    """Imputed sensitive cells of the private rows, true ones of the support rows."""
    rows = pd.concat([task.hybrid, task.support], ignore_index=True)
    return _boosted(task, rows, task.y_train, seed)


def support_only(task: Task, epsilon: float | None, seed: int) -> np.ndarray:
    """The support rows, as if there were no others."""
    return _boosted(task, task.support, task.y_support, seed)


def support_and_score(task: Task, epsilon: float | None, seed: int) -> np.ndarray:
    """The support rows, with a column more: the score of a public model of the private rows."""
    public = _boosting(task, task.typed(task.private[task.public]), task.y_private, seed)

    def scored(frame: pd.DataFrame) -> pd.DataFrame:
        typed = task.typed(frame)
        return typed.assign(public_score=score(task, public, typed[task.public]))

    return score(task, _boosting(task, scored(task.support), task.y_support, seed), scored(task.test))


def input_perturbation(task: Task, epsilon: float, seed: int) -> np.ndarray:
    """Local DP: randomized response and Laplace noise, an equal share of epsilon a sensitive column.

    Pure epsilon under the replace relation, since a row's cells change together. Support rows stay true.
    """
    noisy = randomised(task, task.private, epsilon, np.random.default_rng(seed))
    return _boosted(task, pd.concat([noisy, task.support], ignore_index=True), task.y_train, seed)


def randomised(task: Task, frame: pd.DataFrame, epsilon: float, rng: np.random.Generator) -> pd.DataFrame:
    """The frame with answers in place of its sensitive cells."""
    share = epsilon / len(task.sensitive)
    noisy = frame.copy()
    for c, domain in task.sensitive.items():
        known = task.support[c]
        if isinstance(domain, Categorical):
            noisy[c] = _randomized_response(noisy[c], list(domain.categories), known.isna().any(), share, rng)
            continue
        # A missing cell must not show, so it answers with the middle of the domain.
        cells = noisy[c].astype(float).clip(domain.low, domain.high).fillna((domain.low + domain.high) / 2)
        cells += rng.laplace(scale=(domain.high - domain.low) / share, size=len(cells))
        noisy[c] = cells.clip(domain.low, domain.high)
    return noisy


def _randomized_response(cells: pd.Series, levels: list, missing: bool, epsilon: float, rng) -> pd.Series:
    """Keep a cell with probability e^epsilon / (e^epsilon + k - 1), else answer another level."""
    codes = pd.Categorical(cells, categories=levels).codes.astype(int)
    k = len(levels) + missing
    # Unknown cells are the last level where "missing" is one, and a random answer where it is not.
    codes = np.where(codes < 0, k - 1 if missing else rng.integers(k, size=len(codes)), codes)
    other = (codes + rng.integers(1, k, size=len(codes))) % k
    keep = rng.random(len(codes)) < np.exp(epsilon) / (np.exp(epsilon) + k - 1)
    answers = np.where(keep, codes, other)
    return pd.Series([levels[i] if i < len(levels) else None for i in answers], index=cells.index)


def dp_ebm(task: Task, epsilon: float, seed: int) -> np.ndarray:
    """Differentially private explainable boosting machine of the package interpret."""
    from interpret.privacy import DPExplainableBoostingClassifier, DPExplainableBoostingRegressor

    def plain(frame: pd.DataFrame) -> pd.DataFrame:
        """Categories as words, a missing one too; numbers within bounds, a missing one as a median."""
        columns = {}
        for c in frame:
            if c in task.levels:
                columns[c] = frame[c].astype(object).where(frame[c].notna(), "missing").astype(str)
            else:
                # Its private binning refuses missing cells.
                known = frame[c].astype(float).fillna(float(task.support[c].median()))
                columns[c] = known.clip(*bounds[c])
        return pd.DataFrame(columns)

    bounds = {}
    for c in task.train:
        if c not in task.levels:
            domain, low, high = task.sensitive.get(c), task.support[c].min(), task.support[c].max()
            bounds[c] = (domain.low, domain.high) if domain else (low, max(high, low + 1))
    common = {
        "feature_types": ["nominal" if c in task.levels else "continuous" for c in task.train],
        "privacy_bounds": bounds,
        "epsilon": epsilon,
        "delta": DELTA,
        "random_state": seed,
        "n_jobs": 1,
    }
    if task.regression:
        low, high = task.target_bounds
        model = DPExplainableBoostingRegressor(privacy_target_min=low, privacy_target_max=high, **common)
    else:
        model = DPExplainableBoostingClassifier(**common)
    return score(task, model.fit(plain(task.train), task.y_train.to_numpy()), plain(task.test))


def opacus(
    task: Task, epsilon: float, seed: int, *, warm_start: bool = False, epochs: int = 20
) -> np.ndarray:
    """DP-SGD of the paper's network by Opacus' PrivacyEngine: Poisson sampling, PRV accountant.

    With `warm_start` the network is first trained on the support rows, without noise.
    """
    import torch
    from opacus import PrivacyEngine
    from torch.utils.data import DataLoader, TensorDataset

    from skfusiondp.nets import MLP

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    low, high = task.target_bounds or (0.0, 2.0)
    half = (high - low) / 2

    def tensors(frame: pd.DataFrame, y: pd.Series) -> TensorDataset:
        # A number is learnt between its bounds, -1 to 1; a label as it is.
        target = (y.to_numpy(dtype=float) - low) / half - (1.0 if task.regression else 0.0)
        return TensorDataset(torch.from_numpy(task.encoded(frame)), torch.tensor(target).float()[:, None])

    loss = torch.nn.MSELoss() if task.regression else torch.nn.BCEWithLogitsLoss()
    rows, test = tensors(task.train, task.y_train), torch.from_numpy(task.encoded(task.test))
    module = MLP(test.shape[1], 1)
    if warm_start:
        _train(module, torch.optim.Adam(module.parameters(), lr=1e-3), loss, epochs,
               DataLoader(tensors(task.support, task.y_support), batch_size=64, shuffle=True))  # fmt: skip
    loader = DataLoader(rows, batch_size=max(64, len(rows) // 32))
    module, optimizer, loader = PrivacyEngine().make_private(
        module=module,
        optimizer=torch.optim.Adam(module.parameters(), lr=2e-3),
        data_loader=loader,
        noise_multiplier=_opacus_noise(epsilon, 1 / len(loader), epochs),
        max_grad_norm=1.0,
    )
    _train(module, optimizer, loss, epochs, loader)
    module.eval()
    with torch.no_grad():
        outputs = module(test)[:, 0].double().numpy()
    return (outputs + 1.0) * half + low if task.regression else outputs


@functools.lru_cache
def _opacus_noise(epsilon: float, sample_rate: float, epochs: int) -> float:
    """What make_private_with_epsilon calibrates, once for all seeds."""
    from opacus.accountants.utils import get_noise_multiplier

    return get_noise_multiplier(
        target_epsilon=epsilon, target_delta=DELTA, sample_rate=sample_rate, epochs=epochs, accountant="prv"
    )


def _train(module, optimizer, loss, epochs: int, loader) -> None:
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss(module(x), y).backward()
            optimizer.step()


opacus_warm = functools.partial(opacus, warm_start=True)


def diffprivlib(task: Task, epsilon: float, seed: int, *, model: str, python: Path) -> np.ndarray:
    """A model of diffprivlib, fitted by the interpreter of its own environment."""
    X = task.encoded(task.train).astype(float)
    support = task.encoded(task.support)
    # One-hot columns lie in [0, 1], standardised ones within the clip: support rows show which is which.
    low, high = np.where(support.min(axis=0) < 0, -3.0, 0.0), np.where(support.max(axis=0) > 1, 3.0, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.npz", Path(folder) / "out.npy"
        np.savez(
            source, model=model, X=X, y=task.y_train.to_numpy(), test=task.encoded(task.test).astype(float),
            epsilon=epsilon, seed=seed, low=low, high=high, norm=np.median(np.linalg.norm(support, axis=1)),
            target=np.array(task.target_bounds or (0, 1)),
        )  # fmt: skip
        worker = Path(__file__).with_name("_diffprivlib.py")
        done = subprocess.run([python, worker, source, out], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr[-500:])
        scores = np.load(out)
    return np.clip(scores, *task.target_bounds) if task.regression else scores
