"""Tables that are released once: how useful and how close they are, beside peers and estimators.

    python examples/benchmarks/synthesizer.py --build-peers      # once: mbi's own environment
    SKFUSIONDP_SEPSIS=path/to/folder python examples/benchmarks/synthesizer.py

The suite's tables, splits and domains; no support rows but for peers' bins. Boosting and a linear model are
trained on five draws and judged on true test rows. A finished fit is in the JSON file at once: a killed run
goes on where it stopped. What OffsetFusion and FusionDP reach on the same splits is in suite.json.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # one fit a core, set before numpy loads

import argparse
import functools
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import _synthesis
import _tables
import numpy as np
import suite
from joblib import Parallel, delayed
from sklearn.metrics import average_precision_score, r2_score, roc_auc_score
from tqdm import tqdm

KEY = ("table", "method", "epsilon", "seed")
LEARNERS = ("boosting", "linear")
MBI = ("mbi==2.0.0",)
OURS = "PrivateSynthesizer"


def methods(python: Path) -> dict:
    """Ways to release by name, and whether they spend a budget."""
    return {
        OURS: (_synthesis.ours, True),
        "mbi, drawn given label and public score": (functools.partial(_synthesis.mbi, python=python), True),
        "independent draws": (_synthesis.independent_draws, True),
        "answers by each row itself": (_synthesis.local_answers, True),
        "guess from public columns and label": (_synthesis.public_guess, False),
        "true cells": (_synthesis.true_cells, False),
    }


def fit(job: dict, python: Path) -> dict:
    """Release, train and judge."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    task = _tables.split(job["table"], job["seed"], job["rows"])
    try:
        start = time.process_time()
        tables = methods(python)[job["method"]][0](task, job["epsilon"], job["seed"])
        result = {**job, "seconds": time.process_time() - start, **_synthesis.fidelity(task, tables[0])}
        for kind in LEARNERS:
            scores = _synthesis.use(kind, task, tables)
            if task.regression:
                result[f"{kind} r2"] = float(r2_score(task.y_test, scores))
            else:
                result[f"{kind} auroc"] = float(roc_auc_score(task.y_test, scores))
                result[f"{kind} auprc"] = float(average_precision_score(task.y_test, scores))
    except Exception as error:
        return {**job, "error": f"{type(error).__name__}: {error}"}
    return result


def lines(results: list[dict], epsilon: float) -> list[str]:
    """A table in markdown: a row a table and method, means over seeds."""
    shown = ["boosting", "linear", "one_way", "pairwise", "with_label", "matches", "seconds"]
    answer = ["| table | method | " + " | ".join(shown) + " |", "|---" * (len(shown) + 2) + "|"]
    for table in dict.fromkeys(r["table"] for r in results):
        for method in dict.fromkeys(r["method"] for r in results):
            group = [r for r in results if (r["table"], r["method"]) == (table, method)]
            group = [r for r in group if r["epsilon"] in (None, epsilon)]
            if not group:
                continue
            name = "r2" if "boosting r2" in group[0] else "auroc"
            keys = [f"{k} {name}" if k in LEARNERS else k for k in shown]
            cells = " | ".join(f"{np.mean([r[k] for r in group]):.3f}" for k in keys)
            answer.append(f"| {table} | {method} | {cells} |")
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=list(_tables.TABLES), default=list(_tables.TABLES))
    parser.add_argument("--epsilon", type=float, nargs="+", default=[0.25, 0.5, 1.0, 2.0, 4.0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--rows", type=int, default=suite.ROWS, help="most rows of a table; a --json for each"
    )
    parser.add_argument("--jobs", type=int, default=2, help="fits at once")
    parser.add_argument("--methods", nargs="+", help="names of methods; all if not given")
    parser.add_argument("--json", type=Path, default=suite.ROOT / "docs/results/synthesizer.json")
    parser.add_argument("--mbi-python", type=Path, default=suite.ROOT / ".venv-mbi/bin/python")
    parser.add_argument("--build-peers", action="store_true", help="make that environment, and stop")
    args = parser.parse_args()
    if args.build_peers:
        subprocess.run([sys.executable, "-m", "venv", args.mbi_python.parents[1]], check=True)
        subprocess.run([args.mbi_python, "-m", "pip", "install", *MBI], check=True)
        return
    stored = json.loads(args.json.read_text())["results"] if args.json.exists() else []
    results = {tuple(r[k] for k in KEY): r for r in stored}
    known = methods(args.mbi_python)
    chosen = {n: known[n] for n in args.methods or known}
    if not args.mbi_python.is_file():
        chosen = {n: m for n, m in chosen.items() if not n.startswith("mbi")}
        print("absent: mbi (run synthesizer.py --build-peers, or name an interpreter with --mbi-python)")
    present = [t for t in args.tables if not _tables.absent(t)]
    print("absent:", ", ".join(t for t in args.tables if t not in present) or "none")
    wanted = [
        dict(zip((*KEY, "rows"), (t, n, e, seed, args.rows), strict=True))
        for t in present
        for seed in range(args.seeds)
        for n, (_, spends) in chosen.items()
        for e in (args.epsilon if spends else [None])
    ]
    todo = [j for j in wanted if tuple(j[k] for k in KEY) not in results]
    run = Parallel(n_jobs=args.jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
    failed = []
    fits = run(delayed(fit)(j, args.mbi_python) for j in todo)
    for r in tqdm(fits, total=len(todo), unit="fit", mininterval=5):
        if "error" in r:
            failed.append(r)
            continue
        results[tuple(r[k] for k in KEY)] = r
        suite.save(args.json, results, {"delta": suite._peers.DELTA, "adjacency": "replace"})
    for r in failed:
        print("failed:", r)
    for epsilon in args.epsilon:
        print(f"\nε = {epsilon:g}, replace, δ = {suite._peers.DELTA:g}, rows:\n")
        print("\n".join(lines(list(results.values()), epsilon)))


if __name__ == "__main__":
    main()
