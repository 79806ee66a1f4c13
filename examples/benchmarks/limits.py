"""How much noise and clipping cost FusionDP, and so what a better mechanism could win.

The same fit with its noise taken away, with its clipping taken away too, and the same network with true
values throughout. Noise also ends a fit early, so to speak: now and then less of it is worse. Tables are
those that defaults are chosen on, and sepsis, cut to two sizes.

    SKFUSIONDP_SEPSIS=path/to/folder python examples/benchmarks/limits.py --out docs/results/limits.json
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

# As good as none, and a number that the accountant can still put an epsilon to.
NO_NOISE = 1e-4
SETTINGS = {
    "epsilon 1": {},
    "no noise": {"noise_multiplier": NO_NOISE},
    "no noise, no clipping": {"noise_multiplier": NO_NOISE, "max_grad_norm": 100.0},
    "non-private": {"method": "non-private"},
}


def fit(table: str, rows: int, seed: int, name: str) -> dict:
    """Fit one setting and judge it."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    task = _tables.split(table, seed, rows)
    params = {"method": "fusiondp", **SETTINGS[name]}
    epsilon = None if "noise_multiplier" in params else 1.0
    scores = _ours.fit_ours(task, epsilon, seed, "replace", family="FusionDP", **params)
    measure = average_precision_score if table == "sepsis" else roc_auc_score
    figure = float(measure(task.y_test, scores))
    return {"table": table, "rows": rows, "setting": name, "seed": seed, "figure": figure}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    known = [*_tuning.TABLES, "sepsis"]
    parser.add_argument("--tables", nargs="+", choices=known, default=known)
    parser.add_argument("--rows", type=int, nargs="+", default=[1500, _tables.MOST_ROWS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("results/limits.json"))
    args = parser.parse_args()
    jobs = [
        (table, rows, seed, name)
        for rows in args.rows for table in args.tables for seed in range(args.seeds) for name in SETTINGS
    ]  # fmt: skip
    run = Parallel(n_jobs=args.jobs, return_as="generator", batch_size=1)
    results = list(tqdm(run(delayed(fit)(*j) for j in jobs), total=len(jobs), unit="fit"))
    print(f"{'table':<12}{'rows':>8}" + "".join(f"{name:>24}" for name in SETTINGS))
    for rows in args.rows:
        for table in args.tables:
            own = [r for r in results if (r["table"], r["rows"]) == (table, rows)]
            means = [np.mean([r["figure"] for r in own if r["setting"] == name]) for name in SETTINGS]
            print(f"{table:<12}{rows:>8,}" + "".join(f"{m:>24.4f}" for m in means))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    facts = {"command": "examples/benchmarks/limits.py", "epsilon": 1.0, "adjacency": "replace",
             "delta": _peers.DELTA, "seeds": args.seeds}  # fmt: skip
    args.out.write_text(json.dumps({**facts, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
