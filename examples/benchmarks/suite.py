"""Every estimator of this library, private peers and free baselines, on real tables, same splits and budgets.

    python examples/benchmarks/suite.py --build-peers          # once: diffprivlib's own environment
    python examples/benchmarks/suite.py                        # writes docs/results/suite.json and the page
    python examples/benchmarks/suite.py --quick                # minutes: 2 tables, 2 seeds, 3,000 rows

A finished fit is in the JSON file at once: a killed run goes on where it stopped, and a run with more
budgets or seeds adds to what is there (`--epsilon 1 --seeds 5` first, others later). `--only` picks groups of
methods, `--methods` single ones, `--again` fits those anew. Tables come out of installed wheels (each
loader's error says which command installs it) and, for sepsis, out of the folder that SKFUSIONDP_SEPSIS
names; what cannot be had is named and left out. Peers: pip install "skfusiondp[bench]".
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # one fit a core, set before numpy loads

import argparse
import functools
import importlib.util
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import _gains
import _ours
import _peers
import _report
import _tables
from joblib import Parallel, delayed
from sklearn.metrics import average_precision_score, r2_score, roc_auc_score
from tqdm import tqdm

ROOT = Path(__file__).parents[2]
ALL = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
FEW, ONE = (0.1, 1.0), (1.0,)
# Most rows of a table, so that all of it takes hours and not days on two cores.
ROWS = 6_000
QUICK = {"tables": ["support2", "adult_hours"], "seeds": 2, "rows": 3000, "epsilon": [1.0, 4.0]}


@dataclass(frozen=True)
class Method:
    """How a method is fitted, and under which relations and budgets; None means that it spends none."""

    group: str
    run: Callable
    relations: tuple[str | None, ...] = (None,)
    # Budgets of relations beyond the first, unless all are asked for.
    beyond: tuple[float, ...] = ()
    # Budgets of the first relation; None means all that were asked for.
    grid: tuple[float, ...] | None = None


FAMILIES: tuple[tuple[str, str, dict], ...] = (
    ("FusionDP", "FusionDP", {}),
    ("feature-dp", "FusionDP", {"method": "feature-dp"}),
    ("OffsetFusion", "OffsetFusion", {}),
)


def methods(python: Path) -> dict[str, Method]:
    """All methods by name; `python` is the interpreter that has diffprivlib."""
    both, rows = ("replace", "zero-out"), ("add-remove",)

    def peer(run: Callable, relations: tuple[str, ...] = rows) -> Method:
        return Method("peers", run, relations)

    def from_diffprivlib(model: str) -> Method:
        # Its guarantee is for one row in place of another.
        return peer(functools.partial(_peers.diffprivlib, model=model, python=python), ("replace a row",))

    def ours(family: str, support: str, **params: str) -> Callable:
        return functools.partial(_ours.fit_ours, family=family, support=support, **params)

    return {
        **{
            f"{name}, {support}": Method(
                "ours",
                ours(family, support, **params),
                both,
                beyond=ONE if support == _ours.LABELLED and name != "feature-dp" else (),
                # What imputation alone is worth; OffsetFusion imputes nothing.
                grid=FEW if support == _ours.UNLABELLED and name == "OffsetFusion" else None,
            )
            for name, family, params in FAMILIES
            for support in _ours.SUPPORT
        },
        # What a release is worth as support rows of the imputer, within the same budget.
        "FusionDP, paid view": Method("ours", _ours.fit_paid_view, both, grid=ONE),
        "dp-sgd": Method("ours", ours("FusionDP", _ours.NONE, method="dp-sgd"), rows, grid=(0.5, 1.0, 4.0)),
        "Opacus DP-SGD": peer(_peers.opacus),
        "Opacus DP-SGD, warm start on support": Method("peers", _peers.opacus_warm, rows, grid=(4.0,)),
        "DP-EBM": peer(_peers.dp_ebm),
        "diffprivlib logistic regression": from_diffprivlib("logistic"),
        "diffprivlib random forest": from_diffprivlib("forest"),
        "diffprivlib linear regression": from_diffprivlib("linear"),
        "input perturbation": peer(_peers.input_perturbation, ("replace",)),
        "public columns only": Method("free", _peers.public_only),
        "hybrid view only": Method("free", _peers.hybrid_only),
        "support rows only": Method("free", _peers.support_only),
        "support rows, public score": Method("free", _peers.support_and_score),
        "all true columns": Method("free", _peers.ceiling),
    }


def absent(name: str, python: Path) -> str | None:
    """Why a method cannot run here, or None."""
    if name == "DP-EBM" and importlib.util.find_spec("interpret") is None:
        return 'pip install "skfusiondp[bench]"'
    if name.startswith("diffprivlib") and not python.is_file():
        return "run suite.py --build-peers, or name an interpreter with --peers-python"
    return None


def jobs(args: argparse.Namespace, tables: Sequence[str], chosen: dict[str, Method]) -> list[dict]:
    """The keys of all fits, table by table and split by split, so that a process reads each but once."""
    found = []
    for table in tables:
        regression = table in _tables.TARGET_BOUNDS
        for seed in range(args.seeds):
            for name, m in chosen.items():
                if name in (_report.CLASSIFIERS if regression else _report.REGRESSORS):
                    continue
                for i, relation in enumerate(m.relations):
                    for epsilon in _budgets(args, m, i):
                        found.append({"table": table, "method": name, "relation": relation,
                                      "epsilon": epsilon, "seed": seed, "rows": args.rows})  # fmt: skip
    return found


def _budgets(args: argparse.Namespace, m: Method, place: int) -> list[float | None]:
    if m.relations == (None,):
        return [None]
    asked = args.peer_epsilon if m.group == "peers" else args.epsilon
    few = m.beyond if place else m.grid
    return list(asked) if args.full or few is None else [e for e in asked if e in few]


def fit(job: dict, python: Path) -> dict:
    """Fit and judge; the answer is the job with its figures, or with an error."""
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    task = _tables.split(job["table"], job["seed"], job["rows"])
    method = methods(python)[job["method"]]
    more = {"relation": job["relation"]} if method.group == "ours" else {}
    start = _ours.processor_seconds()
    _ours.REMEMBERING.spared = 0.0
    try:
        scores = method.run(task, job["epsilon"], job["seed"], **more)
    except Exception as error:
        return {**job, "error": f"{type(error).__name__}: {error}"}
    seconds = round(_ours.processor_seconds() - start + _ours.REMEMBERING.spared, 2)
    if task.regression:
        return {**job, "r2": float(r2_score(task.y_test, scores)), "seconds": seconds}
    auroc, auprc = (f(task.y_test, scores) for f in (roc_auc_score, average_precision_score))
    return {**job, "auroc": float(auroc), "auprc": float(auprc), "seconds": seconds}


def key(result: dict) -> tuple:
    """What makes a result one of its own."""
    return tuple(result[k] for k in ("table", "method", "relation", "epsilon", "seed", "rows"))


def save(path: Path, results: dict[tuple, dict], facts: dict) -> None:
    """Write the file in one move: a kill leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    lines = ",\n ".join(json.dumps(r) for r in results.values())
    half.write_text(json.dumps(facts, indent=1)[:-2] + f',\n "results": [\n {lines}\n ]\n}}\n')
    half.replace(path)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=list(_tables.TABLES), default=list(_tables.TABLES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=ROWS, help="most rows of a table")
    parser.add_argument("--epsilon", type=float, nargs="+", default=list(ALL))
    parser.add_argument("--peer-epsilon", type=float, nargs="+", default=[1.0, 4.0])
    parser.add_argument("--full", action="store_true", help="every method and relation at every budget")
    parser.add_argument("--jobs", type=int, default=2, help="fits at once")
    parser.add_argument("--json", type=Path, default=ROOT / "docs/results/suite.json")
    parser.add_argument("--quick", action="store_true", help="small settings, results/suite_quick.json")
    parser.add_argument("--only", nargs="+", choices=("ours", "peers", "free"), help="groups of methods")
    parser.add_argument("--methods", nargs="+", help="of these names only")
    parser.add_argument("--again", action="store_true", help="fit the chosen methods anew")
    parser.add_argument("--peers-python", type=Path, default=ROOT / ".venv-peers/bin/python")
    parser.add_argument("--build-peers", action="store_true", help="make that environment, and stop")
    args = parser.parse_args()
    if args.quick:
        vars(args).update(QUICK, json=ROOT / "results/suite_quick.json")
    return args


def main() -> None:
    args = parse()
    if args.build_peers:
        subprocess.run([sys.executable, "-m", "venv", args.peers_python.parents[1]], check=True)
        subprocess.run([args.peers_python, "-m", "pip", "install", *_peers.DIFFPRIVLIB], check=True)
        return
    warnings.simplefilter("ignore")
    facts: dict = {"delta": _peers.DELTA}
    stored = json.loads(args.json.read_text()) if args.json.exists() else {"results": []}
    known = methods(args.peers_python)
    results = {key(r): r for r in stored["results"] if r["method"] in known}
    missing = {t: why for t in args.tables if (why := _tables.absent(t))}
    chosen = {n: m for n, m in known.items() if m.group in (args.only or [m.group])}
    chosen = {n: m for n, m in chosen.items() if n in (args.methods or [n])}
    missing |= {n: why for n in chosen if (why := absent(n, args.peers_python))}
    for name, why in missing.items():
        print(f"absent: {name} ({why})")
    chosen = {n: m for n, m in chosen.items() if n not in missing}
    wanted = jobs(args, [t for t in args.tables if t not in missing], chosen)
    if args.again:
        results = {k: r for k, r in results.items() if k not in {key(j) for j in wanted}}
    todo = [j for j in wanted if key(j) not in results]
    run = Parallel(n_jobs=args.jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
    start, errors = time.perf_counter(), []
    for result in tqdm(
        run(delayed(fit)(j, args.peers_python) for j in todo), total=len(todo), unit="fit", mininterval=5
    ):
        if "error" in result:
            errors.append(result)
            continue
        results[key(result)] = result
        save(args.json, results, facts)
    print(f"{len(todo)} fits in {time.perf_counter() - start:.0f} s")
    for e in errors:
        print("failed:", key(e), e["error"])
    shown = [r for r in results.values() if r["rows"] == args.rows]
    groups = {n: m.group for n, m in known.items()}
    _report.show(shown, groups)
    published = not args.quick and args.json.parent == ROOT / "docs/results"
    if published and any(groups[r["method"]] == "ours" for r in shown):
        _report.plot(shown, groups, args.json.with_suffix(".png"))
        _gains.plot(shown, args.json.with_name("imputation.png"))
        _report.page(shown, groups, ROOT / "docs/benchmarks.md", _gains.section(shown, groups))


if __name__ == "__main__":
    main()
