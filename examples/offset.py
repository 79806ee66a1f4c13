"""OffsetFusionClassifier against its floor (public columns only) and its ceiling (all true columns).

    python examples/offset.py                           # Adult, which ships with the library
    python examples/offset.py --tables sepsis adult     # $SKFUSIONDP_SEPSIS names sepsis' folder

Each split trains on 80 % of the rows and judges on the others. A table without support rows of its own
is judged twice: without any, and with 500 of its training rows given up as labelled public support.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split

from skfusiondp import OffsetFusionClassifier, datasets

MOST_ROWS = 15_000


def judge(table, seed, epsilons, delta):
    """Yield (name, epsilon, AUROC, AUPRC) of one split."""
    rows = np.random.default_rng(seed).permutation(len(table.table))[:MOST_ROWS]
    train, test = train_test_split(rows, test_size=0.2, random_state=seed, stratify=table.target.iloc[rows])
    given = {"without support": (train, None, None)}
    if table.support is not None:
        given["labelled support"] = (train, table.support, table.support_target)
    else:
        own, rest = train[:500], train[500:]
        given["labelled support"] = (rest, table.table.iloc[own], table.target.iloc[own])
    X, y = table.table.iloc[test], table.target.iloc[test]

    def scored(name, epsilon, score):
        return name, epsilon, float(roc_auc_score(y, score)), float(average_precision_score(y, score))

    # With nothing sensitive, the public model sees every column: the non-private ceiling.
    ceiling = OffsetFusionClassifier([], on_leak="ignore", random_state=seed)
    ceiling.fit(table.table.iloc[train], table.target.iloc[train])
    yield scored("all true columns", None, ceiling.decision_function(X))
    floor = OffsetFusionClassifier([], on_leak="ignore", random_state=seed)
    floor.fit(table.table.iloc[train][table.public], table.target.iloc[train])
    yield scored("public columns only", None, floor.decision_function(X[table.public]))
    for epsilon in epsilons:
        for name, (mine, support, labels) in given.items():
            model = OffsetFusionClassifier(
                table.sensitive,
                support=support,
                support_target=labels,
                epsilon=epsilon,
                delta=delta,
                random_state=seed,
            ).fit(table.table.iloc[mine], table.target.iloc[mine])
            yield scored(name, epsilon, model.decision_function(X))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=["adult"], help="names of skfusiondp.datasets.load_*")
    parser.add_argument("--epsilon", nargs="+", type=float, default=[0.5, 1.0])
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    found = []
    for name in args.tables:
        table = getattr(datasets, f"load_{name}")()
        results: dict = {}
        for seed in range(args.seeds):
            for method, epsilon, *figures in judge(table, seed, args.epsilon, args.delta):
                results.setdefault((method, epsilon), []).append(figures)
        print(f"\n{name}: replace relation, delta = {args.delta:g}, {args.seeds} splits")
        for (method, epsilon), figures in results.items():
            auroc, auprc = np.mean(figures, axis=0)
            print(f"  {method:<22}{epsilon or '-':>5}   AUROC {auroc:.3f}   AUPRC {auprc:.3f}", flush=True)
            found.append({"table": name, "method": method, "epsilon": epsilon, "figures": figures})
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
