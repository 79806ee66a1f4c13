"""The paper's own settings on its sepsis table: which method comes first, with ``method=`` alone.

What its code does (github.com/helenzeng0503/FusionDP): a network of 64-128-64 units with layer norm, GELU
and dropout 0.15, all of it trained privately; 13 passes (1,443 steps of its 14,293 rows) of SGD at 0.07,
of 128 private and 4,096 public rows a step, each followed by a projection of the weights to norm 10;
alpha 3, beta 0.5, clipping norm 1.8; zero-out; numbers standardised without bounds, *each view by its own
mean and spread*, so that imputed columns vary as much as true ones; dropout *in the first pass alone*,
for the network is never put back into training mode after it is first judged. Where the code leaks, this
does not follow: spreads come from support rows, bounds are wide but declared, both views share their
dropout masks. Its penalty is a squared distance over C_h squared, C_h being the 90 % quantile, at the
start, of distances between true rows and imputed views *of other rows* (6.7 with support rows as the true
ones); here it is a mean over the 64 units, so beta is 64 / 6.7 ** 2 times as large. Its feature-dp has
normal draws for sensitive cells in the public view, where ``method="feature-dp"`` here masks them; both
are run. Judged on --test if given, else on a fifth of train_ori, by seed.

    python examples/benchmarks/paper.py path/to/sepsis --out results/paper.json
"""

import argparse
import dataclasses
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback
from torch import nn

from skfusiondp import FusionDPClassifier, Numeric
from skfusiondp.datasets import SensitiveTable, load_sepsis
from skfusiondp.impute import PairedTable
from skfusiondp.preprocessing import TableEncoder

WIDE = {"Age": Numeric(0, 120), "HospAdmTime": Numeric(-6000, 100), "ICULOS": Numeric(1, 400)}


class PaperNet(nn.Module):
    """The paper's network, behind a fixed map from encoded features to standardised numbers."""

    def __init__(self, n_outputs: int, standardise: torch.Tensor):
        super().__init__()
        self.register_buffer("standardise", standardise)
        layers: list[nn.Module] = []
        width = standardise.shape[1]
        for units, dropout in ((64, 0.15), (128, 0.15), (64, 0.0)):
            layers += [nn.Linear(width, units), nn.LayerNorm(units), nn.GELU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = units
        self.body, self.head = nn.Sequential(*layers), nn.Linear(width, n_outputs)

    def represent(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x @ self.standardise[:-1] + self.standardise[-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.represent(x))


class Projection(Callback):
    """Scale the weights down to norm 10 after a step."""

    def on_batch_end(self, net, **kwargs):
        with torch.no_grad():
            norm = torch.sqrt(sum(p.square().sum() for p in net.module_.parameters()))
            for p in net.module_.parameters():
                p.mul_(min(1.0, 10.0 / float(norm)))


class FirstPassDropout(Callback):
    """No dropout after the first pass."""

    def on_epoch_end(self, net, **kwargs):
        for layer in net.module_.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0


def standardisation(table: SensitiveTable, hybrid: pd.DataFrame) -> torch.Tensor:
    """Weights, bias last, that turn encoded features into standardised numbers with missing ones at the mean.

    A piecewise-linear encoding holds the number that it came from, so least squares finds them exactly but
    for a few rows of some public columns. Of true cells only those of support rows are used.
    """
    encoder = TableEncoder(table.sensitive).fit(hybrid)
    rows = pd.concat([hybrid, table.support[list(hybrid.columns)]])
    numbers = pd.DataFrame(
        {
            c: rows[c].astype(float)
            if pd.api.types.is_numeric_dtype(rows[c])
            else pd.Series(pd.Categorical(rows[c]).codes, rows.index).replace(-1, np.nan)
            for c in rows
        }
    )
    # Public columns are scaled by training rows, sensitive ones by the true values of support rows. Missing
    # cells count in the spread, at the mean, as in the paper's code: it fills before it scales.
    parts = (numbers.iloc[: len(hybrid)], numbers.iloc[len(hybrid) :])
    training, support = (part.fillna(part.mean()) for part in parts)
    known = training.assign(**dict.fromkeys(table.sensitive, np.nan))
    mean, spread = known.mean().fillna(support.mean()), known.std().fillna(support.std())
    wanted = ((numbers - mean) / spread).fillna(0.0).to_numpy()
    encoded = np.column_stack([encoder.transform(rows), np.ones(len(rows))]).astype(float)
    return torch.from_numpy(np.linalg.lstsq(encoded, wanted, rcond=None)[0]).float()


def spread_out(table: SensitiveTable, hybrid: pd.DataFrame) -> pd.DataFrame:
    """Imputed numbers with the mean and spread of the support rows' true ones."""
    hybrid = hybrid.copy()
    for c, domain in table.sensitive.items():
        if isinstance(domain, Numeric):
            true, own = table.support[c].astype(float), hybrid[c].astype(float)
            moved = true.mean() + true.std() * (own - own.mean()) / own.std()
            hybrid[c] = moved.clip(domain.low, domain.high)
    return hybrid


def drawn(table: SensitiveTable, hybrid: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The published feature-dp's view: sensitive cells at random, as support rows are spread."""
    hybrid, rng = hybrid.copy(), np.random.default_rng(seed)
    for c, domain in table.sensitive.items():
        if isinstance(domain, Numeric):
            true = table.support[c].astype(float)
            cells = true.mean() + true.std() * rng.normal(size=len(hybrid))
            hybrid[c] = cells.clip(domain.low, domain.high)
        else:
            hybrid[c] = domain.draw(len(hybrid), rng)
    return hybrid


PASSES = 13
PUBLISHED = "feature-dp, published"
# Representations have norms of about 5, which the consistency bound leaves alone.
SETTINGS = {
    "module": PaperNet,
    "private_parameters": ["*"],
    "alpha": 3.0,
    "beta": 0.5 * 64 / 6.7**2,
    "consistency_bound": 10.0,
    "max_grad_norm": 1.8,
    "batch_size": 128,
    "public_batch_size": 4096,
    "public_epochs": 0,
    "ema_decay": 0.0,
    "optimizer": torch.optim.SGD,
    "lr": 0.07,
    "public_lr": 0.07,
    "callbacks": [Projection(), FirstPassDropout()],
}
METHODS = ("non-private", "hybrid", "dp-sgd", PUBLISHED, "feature-dp", "fusiondp")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", help="folder with the sepsis table")
    parser.add_argument("--test", help="CSV file of rows to judge on; all of train_ori are trained on then")
    parser.add_argument("--epsilon", type=float, default=2.0)
    parser.add_argument("--adjacency", choices=("replace", "zero-out"), default="zero-out")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--out", type=Path, default=Path("results/paper.json"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)

    sepsis = load_sepsis(arguments.folder)
    sepsis = dataclasses.replace(sepsis, sensitive={**sepsis.sensitive, **WIDE})
    rows, table, target = sepsis.table.index, sepsis.table, sepsis.target
    file = None if arguments.test is None else pd.read_csv(arguments.test)
    results = []
    print(f"{'method':<24}{'seed':>5}{'epsilon':>9}{'AUPRC':>9}{'AUROC':>9}{'seconds':>9}")
    for seed in range(arguments.seeds):
        if file is None:
            train, test = train_test_split(rows, test_size=0.2, random_state=seed, stratify=target)
            judged, truth = table.loc[test], target.loc[test]
        else:
            train, judged, truth = rows, file[list(table.columns)], file[target.name].astype(int)
        hybrid = spread_out(sepsis, sepsis.hybrid.loc[train])
        standardise = standardisation(sepsis, hybrid)
        for method in arguments.methods:
            steps = PASSES * (len(train) // SETTINGS["batch_size"])
            settings = {**SETTINGS, "steps": steps, "module__standardise": standardise}
            if method in ("dp-sgd", "non-private", "hybrid"):
                del settings["public_batch_size"]
            imputed = hybrid
            if method == PUBLISHED:
                # Two views and one difference, as fusiondp has them, and no penalty.
                imputed, settings["beta"] = drawn(sepsis, hybrid, seed), 0.0
            view = PairedTable.from_views(table.loc[train], imputed, sepsis.sensitive)
            started = time.perf_counter()
            model = FusionDPClassifier(
                method="fusiondp" if method == PUBLISHED else method,
                epsilon=arguments.epsilon,
                delta=1e-5,
                adjacency="add-remove" if method == "dp-sgd" else arguments.adjacency,
                random_state=seed,
                **settings,
            ).fit(view, target.loc[train])
            scores = model.predict_proba(judged)[:, 1]
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
                f"{method:<24}{seed:>5}{float(result['epsilon']):>9.2f}{result['auprc']:>9.3f}"
                f"{result['auroc']:>9.3f}{result['seconds']:>9}",
                flush=True,
            )
    for method in arguments.methods:
        own = [r for r in results if r["method"] == method]
        auprc, auroc = (np.mean([r[k] for r in own]) for k in ("auprc", "auroc"))
        print(f"{method:<24} mean AUPRC {auprc:.3f}, AUROC {auroc:.3f}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    facts = {"adjacency": arguments.adjacency, "epsilon": arguments.epsilon, "delta": 1e-5}
    arguments.out.write_text(json.dumps({**facts, "results": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
