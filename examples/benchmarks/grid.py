"""What a stacked grid costs, in single fits: 4 noise levels, 4 clipping norms, 5 folds.

    python examples/benchmarks/grid.py path/to/sepsis --out results/grid.json

A single fit includes imputation and encoding, as the search does. The sequential time is an estimate:
the single fit's, times the number of fits, times the share of the rows that a fold trains on.
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path

import torch

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
    parser.add_argument("--jobs", type=int, default=2, help="threads over stacks")
    parser.add_argument("--repeats", type=int, default=2, help="single fits; the fastest counts")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")

    sepsis = load_sepsis(arguments.folder)
    model = FusionDPClassifier(
        sepsis.sensitive, imputer=FoundationImputer(support=sepsis.support), noise_multiplier=1.0
    )
    search = StackedGridSearchCV(
        model, GRID, cv=FOLDS, scoring="average_precision", n_jobs=arguments.jobs, refit=False
    )
    single = min(timed(lambda: model.fit(sepsis.table, sepsis.target)) for _ in range(arguments.repeats))
    stacked = timed(lambda: search.fit(sepsis.table, sepsis.target))
    n_fits = len(search.ledger_)
    sequential = single[0] * n_fits * (FOLDS - 1) / FOLDS
    result = {
        "single_fit_seconds": single[0],
        "single_fit_cpu_seconds": single[1],
        "stacked_grid_seconds": stacked[0],
        "stacked_grid_cpu_seconds": stacked[1],
        "sequential_estimate_seconds": sequential,
        "grid_over_single_fit": stacked[0] / single[0],
        "sequential_over_grid": sequential / stacked[0],
        "n_fits": n_fits,
        "stacked": search.stacked_,
        "best_params": search.best_params_,
        "best_score": search.best_score_,
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
