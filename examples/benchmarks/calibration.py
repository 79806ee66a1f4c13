"""Calibrated noise against the noise that suffices, with seconds and memory.

    python examples/benchmarks/calibration.py
    python examples/benchmarks/calibration.py --epsilons 1 --out /tmp/calibration.json

What suffices is found by bisection on the exact delta: a closed form without sampling, and otherwise an
inverse Laplace transform that uses no grid (tests/privacy/oracles.py). The ratio is the calibrated noise over
it: never below 1, and more than 1.005 would be a fault. "resident" is the process's memory after the plan, in
MB.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import warnings
from itertools import product
from pathlib import Path

import psutil

from skfusiondp.accounting import LedgerEntry, calibrate_noise_multiplier

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "privacy"))
from oracles import composed_log_delta, gaussian_delta, smallest_noise  # noqa: E402

PLANS = (
    (1.0, 1),
    (1.0, 1000),
    (0.5, 30),
    (0.1, 1000),
    (1 / 32, 640),
    (0.01, 1000),
    (1e-3, 100_000),
    (1e-4, 100_000),
)
EPSILONS = (1e-3, 0.01, 0.1, 1.0, 8.0, 60.0, 100.0)
DELTAS = (1e-5, 1e-12)
RELATIONS = ("replace", "zero-out")


def sufficient(epsilon: float, delta: float, q: float, steps: int, relation: str, start: float) -> float:
    """The smallest noise multiplier whose exact delta is at most `delta`."""

    def log_delta(sigma: float) -> float:
        if q == 1:
            distance = (2 if relation == "replace" else 1) * math.sqrt(steps) / sigma
            return math.log(max(float(gaussian_delta(epsilon, distance)), 1e-300))
        return composed_log_delta(epsilon, [LedgerEntry(sigma, q, steps, relation)], relation)

    return smallest_noise(log_delta, delta, start)


def measured(epsilon: float, delta: float, q: float, steps: int, relation: str) -> dict:
    """One line of the table."""
    start = time.perf_counter()
    sigma = calibrate_noise_multiplier(epsilon, delta, q, steps, relation)
    seconds = time.perf_counter() - start
    resident = psutil.Process().memory_info().rss / 2**20
    enough = sufficient(epsilon, delta, q, steps, relation, sigma)
    plan = {"epsilon": epsilon, "delta": delta, "sample_rate": q, "steps": steps, "relation": relation}
    found = {"sigma": sigma, "sufficient": enough, "ratio": sigma / enough}
    return {**plan, **found, "seconds": round(seconds, 3), "resident": round(resident)}


def main() -> None:
    """Print the table and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epsilons", type=float, nargs="*", default=EPSILONS)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "calibration.json")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    rows = []
    print("relation    delta   rate     steps  epsilon     sigma  sufficient  ratio   seconds  resident")
    for relation, delta, (q, steps), epsilon in product(RELATIONS, DELTAS, PLANS, arguments.epsilons):
        rows.append(measured(epsilon, delta, q, steps, relation))
        r = rows[-1]
        print(f"{relation:10} {delta:6.0e} {q:7.4g} {steps:8} {epsilon:8g} {r['sigma']:9.6g} ", end="")
        print(f"{r['sufficient']:9.6g} {r['ratio']:8.5f} {r['seconds']:8.3f} {r['resident']:6}", flush=True)
    worst = {k: max(r[k] for r in rows) for k in ("ratio", "seconds", "resident")}
    least = min(r["ratio"] for r in rows)
    print(f"ratio {least:.6f} to {worst['ratio']:.5f}; at most {worst['seconds']} s, {worst['resident']} MB")
    arguments.out.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
