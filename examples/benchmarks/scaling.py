"""Time of a step and peak memory against the number of rows, from 10,000 to ten million.

    python examples/benchmarks/scaling.py --json docs/results/scaling.json
    python examples/benchmarks/scaling.py --quick

The default module trains from a numpy memmap with the same private and public batch sizes at every size
of the table. Each fit runs in a process of its own, as in memory.py, which says what "peak" is. Rounds
visit every size in turn, so that a machine that gets slower is slower for all of them; the step time is
the least of the rounds' medians, and ratios are to the smallest table of the same run.

A row is imputed when a batch first asks for it, and then kept in a temporary file. Small tables are soon
all imputed, large ones are not: the ratio includes that.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from memory import COLUMNS, measured, write_table

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
QUICK = (10_000, 100_000)
BATCH = 4096


def summary(fits: list[dict]) -> dict:
    """What the rounds at one size found."""
    return {
        "rows": fits[0]["rows"],
        "step_ms": min(f["step_ms"] for f in fits),
        "peak_mib": max(f["peak_mib"] for f in fits),
        "private_mib": max(f["private_mib"] for f in fits),
        "seconds_to_first_step": min(f["seconds_to_first_step"] for f in fits),
        "accuracy": fits[0]["accuracy"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 100,000 rows, few steps")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, default=Path("results/scaling.json"))
    arguments = parser.parse_args()
    sizes, steps = (QUICK, 20) if arguments.quick else (SIZES, arguments.steps)
    with tempfile.TemporaryDirectory() as folder:
        needed, free = 4 * COLUMNS * max(sizes), shutil.disk_usage(folder).free
        if free < 2 * needed:
            parser.error(
                f"{folder} has {free / 1e9:.1f} GB free; the table and what is imputed of it need up to "
                f"{2 * needed / 1e9:.1f} GB. Set TMPDIR to a larger disk."
            )
        table, labels = Path(folder) / "table.npy", Path(folder) / "labels.npy"
        np.save(labels, write_table(table, max(sizes)))
        fits: dict[int, list[dict]] = {n: [] for n in sizes}
        for _ in range(arguments.rounds):
            for n in sizes:
                task = {"kind": "memmap", "rows": n, "batch": BATCH, "steps": steps, "micro_batch": None}
                fits[n].append(measured(**task, table=str(table), labels=str(labels)))
    results = [summary(own) for own in fits.values()]
    first = results[0]
    print(f"\n{'rows':>12} {'step, ms':>9} {'step / first':>13} {'peak, MiB':>10} {'peak / first':>13}")
    for r in results:
        r["step_ratio"] = r["step_ms"] / first["step_ms"]
        r["peak_ratio"] = r["peak_mib"] / first["peak_mib"]
        print(
            f"{r['rows']:>12,d} {r['step_ms']:>9.2f} {r['step_ratio']:>13.2f} {r['peak_mib']:>10,d} "
            f"{r['peak_ratio']:>13.2f}"
        )
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "columns": COLUMNS,
        "batch": BATCH,
        "steps": steps,
        "rounds": arguments.rounds,
        "results": results,
    }
    arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    print(f"Written to {arguments.json}.")


if __name__ == "__main__":
    main()
