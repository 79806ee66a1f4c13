"""Train every method at every budget and seed, and show what came out.

Shared by the examples: one table on the screen, one JSON file, one plot, one privacy report.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.metrics import average_precision_score, roc_auc_score
from tqdm import tqdm

from skfusiondp import FusionDPClassifier, OffsetFusionClassifier


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows to judge on; `train` may be a table or a PairedTable."""

    train: Any
    y_train: Any
    test: Any
    y_test: Any
    sensitive: Any = None
    imputer: Any = None
    support_target: Any = None


@dataclass(frozen=True)
class Result:
    """One fit, judged."""

    name: str
    method: str
    target_epsilon: float | None
    seed: int
    auroc: float
    auprc: float
    epsilon: float
    delta: float
    adjacency: str
    noise_multiplier: float | None
    seconds: float


def run(
    jobs: Iterable[tuple[str, str, float | None, int]],
    split: Callable[[str, int], Split],
    *,
    n_jobs: int = 2,
    **params: Any,
) -> list[Result]:
    """Fit each job (name, method, epsilon, seed) on the rows that ``split(name, seed)`` gives."""
    jobs = list(jobs)
    done = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(_fit)(job, split, params) for job in jobs)
    return list(tqdm(done, total=len(jobs), unit="fit"))


def _fit(job: tuple[str, str, float | None, int], split: Callable, params: dict) -> Result:
    import torch

    torch.set_num_threads(1)  # one fit a core: small networks gain nothing from more
    name, method, epsilon, seed = job
    rows = split(name, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        model = _model(method, rows, epsilon=epsilon, random_state=seed, **params)
        model.fit(rows.train, rows.y_train)
        seconds = time.perf_counter() - start
    scores = model.predict_proba(rows.test)[:, 1]
    return Result(
        name,
        method,
        epsilon,
        seed,
        float(roc_auc_score(rows.y_test, scores)),
        float(average_precision_score(rows.y_test, scores)),
        model.epsilon_,
        model.delta_,
        model.privacy_report().adjacency,
        model.plan_.noise_multiplier if model.plan_ else None,
        round(seconds, 2),
    )


def _model(method: str, rows: Split, **params: Any) -> Any:
    if method == "offset-fusion":
        support = None if rows.imputer is None else rows.imputer.support
        return OffsetFusionClassifier(
            rows.sensitive, support=support, support_target=rows.support_target, **params
        )
    return FusionDPClassifier(
        rows.sensitive, imputer=rows.imputer, support_target=rows.support_target, method=method, **params
    )


def show(results: Sequence[Result]) -> None:
    """Print mean and spread (standard deviation over seeds) of each method and budget."""
    width = max(len(r.name) for r in results) + 2
    print(f"\n{'method':<{width}}{'epsilon':>8}  {'relation':<11}{'AUROC':>15}{'AUPRC':>17}")
    for (name, epsilon), group in _grouped(results).items():
        shown = "0" if group[0].epsilon == 0 else "inf" if np.isinf(group[0].epsilon) else f"{epsilon:g}"
        relation = "-" if shown in ("0", "inf") else group[0].adjacency
        print(
            f"{name:<{width}}{shown:>8}  {relation:<11}{_spread(r.auroc for r in group):>15}"
            f"{_spread(r.auprc for r in group):>17}"
        )
    print(f"delta = {results[0].delta:.3g}; mean ± standard deviation over {_n_seeds(results)} seeds\n")


def write_json(results: Sequence[Result], path: Path, **facts: Any) -> None:
    """Write every fit; an infinite epsilon becomes the text "inf"."""
    rows = [asdict(r) for r in results]
    for row in rows:
        row["epsilon"] = row["epsilon"] if np.isfinite(row["epsilon"]) else "inf"
    path.parent.mkdir(parents=True, exist_ok=True)
    summary = [
        {
            "name": name,
            "epsilon": epsilon,
            "auroc": float(np.mean([r.auroc for r in group])),
            "auprc": float(np.mean([r.auprc for r in group])),
        }
        for (name, epsilon), group in _grouped(results).items()
    ]
    path.write_text(json.dumps({**facts, "summary": summary, "results": rows}, indent=1) + "\n")


def plot(results: Sequence[Result], path: Path, title: str) -> None:
    """Draw utility against epsilon, with the methods that have none as level lines."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharex=True, layout="constrained")
    groups = _grouped(results)
    epsilons = sorted({e for _, e in groups if e is not None})
    names = list(dict.fromkeys(name for name, _ in groups))
    for axis, metric in zip(axes, ("auroc", "auprc"), strict=True):
        for i, name in enumerate(names):
            own = {e: [getattr(r, metric) for r in g] for (n, e), g in groups.items() if n == name}
            if None in own:
                axis.axhline(np.mean(own[None]), color=f"C{i}", linestyle="--", label=name)
                continue
            x = sorted(own)
            mean = np.array([np.mean(own[e]) for e in x])
            std = np.array([np.std(own[e]) for e in x])
            axis.plot(x, mean, "o-", color=f"C{i}", label=name)
            axis.fill_between(x, mean - std, mean + std, color=f"C{i}", alpha=0.15)
        axis.set(xscale="log", xlabel="ε", ylabel=metric.upper())
        axis.set_xticks(epsilons, [f"{e:g}" for e in epsilons])
        axis.minorticks_off()
    axes[0].legend(fontsize=8)
    relations = sorted({r.adjacency for r in results if r.target_epsilon is not None})
    figure.suptitle(f"{title} (δ = {results[0].delta:.2g}; relations: {', '.join(relations)})", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def _grouped(results: Sequence[Result]) -> dict[tuple[str, float | None], list[Result]]:
    groups: dict[tuple[str, float | None], list[Result]] = {}
    for r in results:
        groups.setdefault((r.name, r.target_epsilon), []).append(r)
    return groups


def _spread(values: Iterable[float]) -> str:
    values = list(values)
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


def _n_seeds(results: Sequence[Result]) -> int:
    return len({r.seed for r in results})
