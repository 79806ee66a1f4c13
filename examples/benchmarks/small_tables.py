"""Is a private model ever worse than the free one? The suite's tables, cut to a few hundred or thousand rows.

    SKFUSIONDP_SEPSIS=path/to/folder python examples/benchmarks/small_tables.py
    python examples/benchmarks/results_page.py                 # puts what it found into docs/results.md

So many rows train, an eighth of them as labelled support where there is any; the suite's test rows judge.
The free model is the same estimator on the public columns alone (for OffsetFusion that is its own public
model); FusionDP is compared with OffsetFusion's too, since boosting may be the better one. A finished fit is
in the JSON file at once: a killed run goes on where it stopped.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # one fit a core, set before numpy loads

import argparse
import json
import warnings
from dataclasses import replace
from pathlib import Path

import _few_rows
import _ours
import _peers
import _tables
import numpy as np
import suite
from joblib import Parallel, delayed
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import train_test_split
from tqdm import tqdm

FAMILIES = ("OffsetFusion", "FusionDP")
SUPPORT_SHARE = 1 / 8


def cut(task: _tables.Task, rows: int) -> _tables.Task:
    """The task with so many training rows, support rows included."""

    def part(X, y, n: int):
        if n >= len(X):
            return X, y
        strata = None if task.regression else y
        kept, _ = train_test_split(np.arange(len(X)), train_size=n, random_state=task.seed, stratify=strata)
        return X.iloc[kept].reset_index(drop=True), y.iloc[kept].reset_index(drop=True)

    lent = int(rows * SUPPORT_SHARE)
    private, y_private = part(task.private, task.y_private, rows - lent)
    support, y_support = part(task.support, task.y_support, lent)
    return replace(task, private=private, y_private=y_private, support=support, y_support=y_support)


def without_sensitive(task: _tables.Task) -> _tables.Task:
    """The task as somebody sees it who has the public columns alone."""
    frames = {name: getattr(task, name)[task.public] for name in ("private", "support", "test")}
    return replace(task, sensitive={}, **frames)


def fit(job: dict) -> dict:
    """Fit and judge; an epsilon of None means the free model."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    task = cut(_tables.split(job["table"], job["seed"], _tables.MOST_ROWS), job["rows"])
    free = job["epsilon"] is None
    try:
        scores = _ours.fit_ours(
            without_sensitive(task) if free else task,
            1.0 if free else job["epsilon"],
            job["seed"],
            "replace",
            family=job["method"],
            support=job["support"],
        )
    except Exception as error:
        return {**job, "error": f"{type(error).__name__}: {error}"}
    judged = (r2_score if task.regression else roc_auc_score)(task.y_test, scores)
    return {**job, "figure": float(judged)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=list(_tables.TABLES), default=list(_tables.TABLES))
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 1000, 3000])
    parser.add_argument("--epsilon", type=float, nargs="+", default=[0.1, 0.5, 1.0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="fits at once")
    parser.add_argument("--json", type=Path, default=suite.ROOT / "docs/results/small_tables.json")
    args = parser.parse_args()
    stored = json.loads(args.json.read_text())["results"] if args.json.exists() else []
    results = {tuple(r[k] for k in _few_rows.KEY): r for r in stored}
    present = [t for t in args.tables if not _tables.absent(t)]
    print("absent:", ", ".join(t for t in args.tables if t not in present) or "none")
    wanted = [
        dict(zip(_few_rows.KEY, (t, n, m, s, e, seed), strict=True))
        for t in present for seed in range(args.seeds) for n in args.rows
        for m in FAMILIES for s in _few_rows.SUPPORT for e in (None, *args.epsilon)
    ]  # fmt: skip
    todo = [j for j in wanted if tuple(j.values()) not in results]
    run = Parallel(n_jobs=args.jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
    failed = []
    for r in tqdm(run(delayed(fit)(j) for j in todo), total=len(todo), unit="fit", mininterval=5):
        if "error" in r:
            failed.append(r)
            continue
        results[tuple(r[k] for k in _few_rows.KEY)] = r
        facts = {"delta": _peers.DELTA, "adjacency": "replace"}
        suite.save(args.json, results, facts)
    for r in failed:
        print("failed:", r)
    print("\n".join(_few_rows.lines(list(results.values()))))


if __name__ == "__main__":
    main()
