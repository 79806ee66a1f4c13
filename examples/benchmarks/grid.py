"""4 noise levels, 4 clipping norms, 5 folds: StackedGridSearchCV against one fit after the other.

    python examples/benchmarks/grid.py path/to/sepsis --out results/grid.json

Single fits, each on a fold's training rows as GridSearchCV would fit them, run before and after the search,
in the same process; their median, times the number of fits, is what a sequential search takes. Processor
seconds are the ones to compare where other programs run on the same machine.
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold

from skfusiondp import FoundationImputer, FusionDPClassifier
from skfusiondp.datasets import load_sepsis
from skfusiondp.model_selection import StackedGridSearchCV

GRID = {"noise_multiplier": [0.8, 1.0, 1.5, 2.0], "max_grad_norm": [0.5, 1.0, 2.0, 4.0]}
FOLDS = 5


def timed(run):
    """Wall and processor seconds of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", help="folder with the sepsis table")
    parser.add_argument("--out", default="results/grid.json")
    parser.add_argument("--jobs", type=int, default=1, help="processes over folds")
    parser.add_argument("--repeats", type=int, default=2, help="single fits before, and as many after")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")

    sepsis = load_sepsis(arguments.folder)
    model = FusionDPClassifier(
        sepsis.sensitive, imputer=FoundationImputer(support=sepsis.support), noise_multiplier=1.0
    )
    folds = list(StratifiedKFold(FOLDS).split(sepsis.table, sepsis.target))
    rows = folds[0][0]
    X, y = sepsis.table.iloc[rows], np.asarray(sepsis.target)[rows]
    search = StackedGridSearchCV(
        model, GRID, cv=folds, scoring="average_precision", n_jobs=arguments.jobs, refit=False
    )
    single = [timed(lambda: model.fit(X, y)) for _ in range(arguments.repeats)]
    stacked = timed(lambda: search.fit(sepsis.table, sepsis.target))
    single += [timed(lambda: model.fit(X, y)) for _ in range(arguments.repeats)]
    wall, cpu = np.median(single, axis=0).tolist()
    n_fits = len(search.ledger_)
    result = {
        "single_fit_seconds": wall,
        "single_fit_cpu_seconds": cpu,
        "grid_seconds": stacked[0],
        "grid_cpu_seconds": stacked[1],
        "n_fits": n_fits,
        "sequential_over_grid": wall * n_fits / stacked[0],
        "sequential_over_grid_cpu": cpu * n_fits / stacked[1],
        "stacked": search.stacked_,
        "best_params": search.best_params_,
        "best_score": search.best_score_,
        "jobs": arguments.jobs,
        "torch_threads": torch.get_num_threads(),
        "load_average": os.getloadavg(),
    }
    for name, value in result.items():
        print(f"{name:<32}{value:.2f}" if isinstance(value, float) else f"{name:<32}{value}")
    out = Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
