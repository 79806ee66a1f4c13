"""How much tuning would add to the defaults: a user who gives only `sensitive` and `epsilon`, against a grid.

Each parameter moves alone. "Tuned" is the setting with the best mean on the very rows that are judged, which
flatters it: no search does better. epsilon 1, replace, labelled support rows, as in suite.py. Small tables
are the harder test: Adult and the seven tables of _tuning.py are cut to 1,500 rows (`--small`).

    SKFUSIONDP_SEPSIS=path/to/folder python examples/benchmarks/defaults.py --out docs/results/defaults.json
    python examples/benchmarks/defaults.py --small --out docs/results/defaults_small.json
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # one fit a core, set before numpy loads

import argparse
import json
import warnings
from pathlib import Path

import _ours
import _peers
import _tables
import _tuning
import numpy as np
from joblib import Parallel, delayed
from sklearn.metrics import average_precision_score, roc_auc_score
from tqdm import tqdm

GRIDS = {
    "FusionDP": {
        "lr": (0.01, 0.04),
        "public_lr": (0.001, 0.004),
        "max_grad_norm": (0.5, 2.0),
        "epochs": (10, 40),
        "public_epochs": (5, 20),
        "module__dropout": (0.0, 0.5),
        "module__hidden": ((64,), (64, 128, 64)),
    },
    "OffsetFusion": {"max_grad_norm": (0.25, 1.0), "steps": (2, 4)},
}


def settings(family: str) -> list[dict]:
    """The defaults, then every parameter moved alone."""
    return [{}, *({name: v} for name, values in GRIDS[family].items() for v in values)]


def fit(table: str, seed: int, family: str, params: dict, rows: int) -> dict:
    """Fit one setting and judge it."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    task = _tables.split(table, seed, rows)
    scores = _ours.fit_ours(task, 1.0, seed, "replace", family=family, **params)
    return {
        "table": table,
        "method": family,
        "params": params,
        "seed": seed,
        "auprc": float(average_precision_score(task.y_test, scores)),
        "auroc": float(roc_auc_score(task.y_test, scores)),
    }


def summary(results: list[dict]) -> list[dict]:
    """A row a table and method: the defaults, the best setting, and what it adds, in AUPRC."""
    rows = []
    for table, method in dict.fromkeys((r["table"], r["method"]) for r in results):
        own = [r for r in results if (r["table"], r["method"]) == (table, method)]
        means = {
            key: float(np.mean([r["auprc"] for r in own if json.dumps(r["params"]) == key]))
            for key in dict.fromkeys(json.dumps(r["params"]) for r in own)
        }
        best = max(means, key=means.__getitem__)
        rows.append({"table": table, "method": method, "default": means["{}"], "tuned": means[best],
                     "best": best, "gain": means[best] - means["{}"]})  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    known = [*_tables.TABLES, *_tuning.TABLES]
    parser.add_argument("--tables", nargs="+", choices=known, default=["adult", "sepsis"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=_tables.MOST_ROWS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("results/defaults.json"))
    parser.add_argument("--small", action="store_true", help="eight tables of 1,500 rows each, 3 seeds")
    args = parser.parse_args()
    if args.small:
        args.tables, args.rows, args.seeds = ["adult", *_tuning.TABLES], 1500, 3
    jobs = [
        (table, seed, family, params, args.rows)
        for table in args.tables for seed in range(args.seeds) for family in GRIDS
        for params in settings(family)
    ]  # fmt: skip
    run = Parallel(n_jobs=args.jobs, return_as="generator", batch_size=1)
    results = list(tqdm(run(delayed(fit)(*j) for j in jobs), total=len(jobs), unit="fit"))
    rows = summary(results)
    print(f"{'table':<20}{'method':<16}{'defaults':>9}{'tuned':>8}{'gain':>8}  best setting")
    for r in rows:
        print(f"{r['table']:<20}{r['method']:<16}{r['default']:>9.3f}{r['tuned']:>8.3f}{r['gain']:>+8.3f}"
              f"  {r['best']}")  # fmt: skip
    args.out.parent.mkdir(parents=True, exist_ok=True)
    command = "examples/benchmarks/defaults.py" + " --small" * args.small
    facts = {"command": command, "epsilon": 1.0, "adjacency": "replace",
             "delta": _peers.DELTA, "seeds": args.seeds, "rows": args.rows}  # fmt: skip
    args.out.write_text(json.dumps({**facts, "summary": rows, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
