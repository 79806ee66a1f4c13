"""The paper's whole sepsis job, against the same job with a loop over examples.

Private batch 128, public batch 4,096, 1,443 steps, alpha 3, beta 0.5, C 1.8, one thread. Both train on
four fifths of train_ori with the published imputed view and are judged on the other fifth. Then the
same table with this library's defaults. Prints a table and writes --out.

    SKFUSIONDP_SEPSIS=path/to/folder python examples/benchmarks/sepsis_job.py
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from _loop import LoopEngine
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split

from skfusiondp import FusionDPClassifier
from skfusiondp.datasets import load_sepsis
from skfusiondp.impute import PairedTable
from skfusiondp.nets import MLP

PAPER = {
    "module": MLP,
    "private_parameters": ["*"],
    "alpha": 3.0,
    "beta": 0.5,
    "max_grad_norm": 1.8,
    "batch_size": 128,
    "public_batch_size": 4096,
    "public_epochs": 0,
    "ema_decay": 0.0,
    "lr": 1e-3,
    "noise_multiplier": 1.0,
    "delta": 1e-5,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=1443)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("results/sepsis_job.json"))
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)

    sepsis = load_sepsis()
    paired = PairedTable.from_views(sepsis.table, sepsis.hybrid, sepsis.sensitive)
    rows = np.arange(len(paired))
    jobs = {
        "loop over examples": (LoopEngine, {**PAPER, "steps": args.steps}),
        "this library, same job": (None, {**PAPER, "steps": args.steps}),
        "this library, defaults": (None, {"noise_multiplier": 1.0, "delta": 1e-5}),
    }
    results = []
    for seed in range(args.seeds):
        train, held_out = train_test_split(rows, test_size=0.2, random_state=seed, stratify=sepsis.target)
        for name, (engine, params) in jobs.items():
            model = FusionDPClassifier(random_state=seed, **params)
            start = time.perf_counter()
            if engine is None:
                model.fit(paired[train], sepsis.target.iloc[train])
            else:
                with mock.patch("skfusiondp.training._net.PerRowEngine", engine):
                    model.fit(paired[train], sepsis.target.iloc[train])
            seconds = time.perf_counter() - start
            scores = model.predict_proba(sepsis.table.iloc[held_out])[:, 1]
            auprc = float(average_precision_score(sepsis.target.iloc[held_out], scores))
            results.append({"name": name, "seed": seed, "seconds": seconds, "auprc": auprc})
    loop = np.mean([r["seconds"] for r in results if r["name"] == "loop over examples"])
    print(f"{'job':<26}{'seconds':>9}{'faster':>9}{'AUPRC':>17}")
    for name in jobs:
        own = [r for r in results if r["name"] == name]
        mean = np.mean([r["seconds"] for r in own])
        scores = [r["auprc"] for r in own]
        spread = f"{np.mean(scores):.3f} ± {np.std(scores):.3f}"
        print(f"{name:<26}{mean:>9.1f}{loop / mean:>8.1f}x{spread:>17}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"steps": args.steps, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
