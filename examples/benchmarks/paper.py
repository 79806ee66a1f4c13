"""The paper's own settings on its sepsis table: which method comes first, with ``method=`` alone.

Its network (64-128-64 units with layer norm, all of it trained privately), its steps (1,443, of 128 private
and 4,096 public rows), alpha 3, beta 0.5, clipping norm 1.8, Adam, no averaging, its published imputed view,
and zero-out neighbours, for which its noise is calibrated. Judged on a fifth of train_ori, split off by seed.

    python examples/benchmarks/paper.py path/to/sepsis --out results/paper.json
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split

from skfusiondp import FusionDPClassifier
from skfusiondp.datasets import load_sepsis
from skfusiondp.impute import PairedTable
from skfusiondp.nets import MLP

SETTINGS = {
    "module": MLP,
    "private_parameters": ["*"],
    "alpha": 3.0,
    "beta": 0.5,
    "max_grad_norm": 1.8,
    "batch_size": 128,
    "public_batch_size": 4096,
    "steps": 1443,
    "public_epochs": 0,
    "averaging": 0.0,
    "lr": 1e-3,
}
METHODS = ("non-private", "hybrid", "dp-sgd", "feature-dp", "fusiondp")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", help="folder with the sepsis table")
    parser.add_argument("--epsilon", type=float, default=2.0)
    parser.add_argument("--adjacency", choices=("replace", "zero-out"), default="zero-out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--out", type=Path, default=Path("results/paper.json"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)

    sepsis = load_sepsis(arguments.folder)
    results = []
    print(f"{'method':<14}{'seed':>5}{'epsilon':>9}{'AUPRC':>9}{'AUROC':>9}{'seconds':>9}")
    for seed in range(arguments.seeds):
        rows = sepsis.table.index
        train, test = train_test_split(rows, test_size=0.2, random_state=seed, stratify=sepsis.target)
        for method in arguments.methods:
            settings = dict(SETTINGS)
            if method in ("dp-sgd", "non-private"):
                del settings["public_batch_size"]
            view = PairedTable.from_views(sepsis.table.loc[train], sepsis.hybrid.loc[train], sepsis.sensitive)
            started = time.perf_counter()
            model = FusionDPClassifier(
                method=method,
                epsilon=arguments.epsilon,
                delta=1e-5,
                adjacency="add-remove" if method == "dp-sgd" else arguments.adjacency,
                random_state=seed,
                **settings,
            ).fit(view, sepsis.target.loc[train])
            scores = model.predict_proba(sepsis.table.loc[test])[:, 1]
            truth = sepsis.target.loc[test]
            result = {
                "method": method,
                "seed": seed,
                "epsilon": model.epsilon_ if np.isfinite(model.epsilon_) else "inf",
                "auprc": float(average_precision_score(truth, scores)),
                "auroc": float(roc_auc_score(truth, scores)),
                "seconds": round(time.perf_counter() - started, 1),
            }
            results.append(result)
            print(
                f"{method:<14}{seed:>5}{float(result['epsilon']):>9.2f}{result['auprc']:>9.3f}"
                f"{result['auroc']:>9.3f}{result['seconds']:>9}",
                flush=True,
            )
    for method in arguments.methods:
        own = [r for r in results if r["method"] == method]
        print(f"{method:<14} mean AUPRC {np.mean([r['auprc'] for r in own]):.3f}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    facts = {"adjacency": arguments.adjacency, "epsilon": arguments.epsilon, "delta": 1e-5}
    arguments.out.write_text(json.dumps({**facts, "results": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
