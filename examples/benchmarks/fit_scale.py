"""Time and memory of whole fits, and of predictions, against the number of rows and of classes.

    python examples/benchmarks/fit_scale.py --json docs/results/fit_scale.json
    python examples/benchmarks/fit_scale.py --only fusion offset --rows 10000 100000

Default settings at epsilon = 1. Each fit runs in a process of its own on one thread; seconds are processor
time, so that a machine that does other things beside it changes them little. "peak" is the most resident
memory, the table and the interpreter included, and "of the fit" what the fit added to what was resident
before. Predictions are of 10,000 rows and of one row, beside those of scikit-learn's gradient boosting with
its default settings on the same columns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import memory
import numpy as np

COLUMNS, SENSITIVE, SUPPORT, TEST = 33, 4, 2000, 10_000
FUSION_ROWS = (10_000, 100_000, 1_000_000)
OFFSET_ROWS = (10_000, 100_000, 300_000)
DISK_ROWS = 10_000_000
CLASSES = (2, 8, 47)


def made(rows: int, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """A table of numbers whose labels follow it in steps, products and waves."""
    rng = np.random.default_rng(rows)
    X = rng.standard_normal((rows, COLUMNS), dtype=np.float32)
    score = X[:, :4] @ [0.6, -0.5, 0.4, 0.3] + 0.7 * np.sin(2 * X[:, 10]) + 0.8 * X[:, 11] * X[:, 12]
    score += 0.5 * np.abs(X[:, 13]) + 0.5 * X[:, 0] * X[:, 10] + 0.15 * X[:, 14:].sum(axis=1)
    if classes == 2:
        return X, (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(int)
    noised = score + 0.5 * rng.standard_normal(rows)
    return X, np.clip(classes / 8 * noised + classes / 2, 0, classes - 1).astype(int)


def seconds_of(call: object, times: int = 1) -> float:
    """Processor time of a call, the least of three rounds."""
    found = []
    for _ in range(3):
        start = time.process_time()
        for _ in range(times):
            call()  # type: ignore[operator]
        found.append((time.process_time() - start) / times)
    return min(found)


def run(task: dict) -> dict:
    """Fit one model in this process and say what it took."""
    import pandas as pd
    import psutil
    import torch
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import log_loss

    from skfusiondp import FusionDPClassifier, Numeric, OffsetFusionClassifier

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    kind, rows, classes = task["kind"], task["rows"], task["classes"]
    if kind == "disk":
        X, y = np.load(task["table"], mmap_mode="r")[:rows], np.load(task["labels"])[:rows]
        more, y_more = np.load(task["table"], mmap_mode="r")[-SUPPORT - TEST :], np.load(task["labels"])
        more, y_more = np.array(more), y_more[-SUPPORT - TEST :]
    else:
        X, y = made(rows + SUPPORT + TEST, classes)
        more, y_more, X, y = X[rows:].copy(), y[rows:], X[:rows].copy(), y[:rows]
    domains = {i: Numeric(-4, 4) for i in range(SENSITIVE)}
    names = [f"x{i}" for i in range(X.shape[1])]
    if kind != "disk":
        X, more = pd.DataFrame(X, columns=names), pd.DataFrame(more, columns=names)
        domains = {f"x{i}": d for i, d in domains.items()}
    if kind == "fusion":
        model = FusionDPClassifier(domains, epsilon=1.0, random_state=0)
    else:
        labelled = {"support": more[:SUPPORT], "support_target": y_more[:SUPPORT]}
        given = {} if kind == "offset without labels" else labelled
        model = OffsetFusionClassifier(domains, epsilon=1.0, random_state=0, **given)
    before = psutil.Process().memory_info().rss
    start = time.process_time()
    model.fit(X, y)
    seconds, peak = time.process_time() - start, memory.peak()
    test, y_test = more[SUPPORT:], y_more[SUPPORT:]
    found = {
        **{k: task[k] for k in ("kind", "rows", "classes")},
        "seconds": round(seconds, 1),
        "peak_mib": round(peak / 2**20),
        "of_the_fit_mib": round((peak - before) / 2**20),
        "log_loss": round(float(log_loss(y_test, model.predict_proba(test), labels=model.classes_)), 4),
    }
    if task["predict"]:
        few = slice(0, min(rows, 20_000))
        boosting = HistGradientBoostingClassifier(early_stopping=False).fit(np.asarray(X)[few], y[few])
        table = np.asarray(test)
        found |= {
            "predict_ms": 1e3 * seconds_of(lambda: model.predict_proba(test)),
            "predict_one_ms": 1e3 * seconds_of(lambda: model.predict_proba(test[:1]), 10),
            "boosting_ms": 1e3 * seconds_of(lambda: boosting.predict_proba(table)),
            "boosting_one_ms": 1e3 * seconds_of(lambda: boosting.predict_proba(table[:1]), 10),
        }
    return found


def measured(**task: object) -> dict:
    """Run one fit in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--task", json.dumps({"predict": False, "classes": 2, **task})],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(result), flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    kinds = ["fusion", "offset", "offset without labels", "classes", "disk"]
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--rows", nargs="+", type=int, help="instead of the sizes of the kind")
    parser.add_argument("--json", type=Path, default=Path("results/fit_scale.json"))
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        print(json.dumps(run(json.loads(arguments.task))))
        return
    results = []
    for kind in kinds[:3]:
        sizes = arguments.rows or (FUSION_ROWS if kind == "fusion" else OFFSET_ROWS)
        if kind in arguments.only:
            results += [measured(kind=kind, rows=n, predict=n == min(sizes)) for n in sizes]
    if "classes" in arguments.only:
        results += [measured(kind="offset", rows=1500, classes=k) for k in CLASSES]
    if "disk" in arguments.only:
        rows = (arguments.rows or [DISK_ROWS])[-1]
        with tempfile.TemporaryDirectory() as folder:
            table, labels = Path(folder) / "table.npy", Path(folder) / "labels.npy"
            np.save(labels, memory.write_table(table, rows + SUPPORT + TEST))
            results.append(measured(kind="disk", rows=rows, table=str(table), labels=str(labels)))
    old = json.loads(arguments.json.read_text())["results"] if arguments.json.exists() else []
    again = {(r["kind"], r["rows"], r["classes"]) for r in results}
    kept = [r for r in old if (r["kind"], r["rows"], r["classes"]) not in again]
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    content = {"command": "examples/benchmarks/fit_scale.py", "epsilon": 1.0, "results": [*kept, *results]}
    arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    print(f"Written to {arguments.json}.")


if __name__ == "__main__":
    main()
