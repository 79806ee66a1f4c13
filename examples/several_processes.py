"""Train one model on several processes, and search its parameters on a cluster.

    torchrun --nproc-per-node 2 examples/several_processes.py
    accelerate launch --multi_gpu examples/several_processes.py
    python examples/several_processes.py --dask

Every process calls ``fit`` with the same table, target and parameters. The fit sees that
torch.distributed is initialised, as Accelerate's ``Accelerator()`` does: each process trains on its own
block of rows, noise is added once in total, and all end with the same model and the same ledger. On GPUs
pass ``device=str(accelerator.device)``.
"""

from __future__ import annotations

import argparse

import joblib
from sklearn.model_selection import GridSearchCV

from skfusiondp import FoundationImputer, FusionDPClassifier
from skfusiondp.datasets import load_adult

ROWS = 4000


def train() -> None:
    """One fit, on as many processes as were launched."""
    import torch
    from accelerate import Accelerator

    # Without cpu=True, Accelerate starts no process group where there is no GPU.
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    adult = load_adult()
    model = FusionDPClassifier(
        adult.sensitive,
        imputer=FoundationImputer(support=adult.table[-500:]),
        epsilon=2.0,
        device=str(accelerator.device),
    )
    model.fit(adult.table[:ROWS], adult.target[:ROWS])
    if accelerator.is_main_process:  # every process holds the same model; one copy is released
        accuracy = model.score(adult.table[ROWS : 2 * ROWS], adult.target[ROWS : 2 * ROWS])
        print(f"{accelerator.num_processes} process(es), accuracy {accuracy:.3f}")
        print(model.privacy_report())
    accelerator.end_training()


def search() -> None:
    """A grid and a batch imputation on a local dask cluster; another cluster needs its address only."""
    from dask.distributed import Client, LocalCluster

    adult = load_adult()
    table, target = adult.table[:ROWS], adult.target[:ROWS]
    imputer = FoundationImputer(adult.sensitive, support=adult.table[-500:], batch_size=500)
    model = FusionDPClassifier(adult.sensitive, imputer=imputer, epsilon=2.0, epochs=5)
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster), joblib.parallel_config(backend="dask"):
        grid = GridSearchCV(model, {"max_grad_norm": [0.3, 1.0]}, cv=2).fit(table, target)
        hybrid = imputer.fit(table).transform(table)
    print(f"best: {grid.best_params_}, accuracy {grid.best_score_:.3f}; imputed {len(hybrid)} rows")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dask", action="store_true")
    search() if parser.parse_args().dask else train()
