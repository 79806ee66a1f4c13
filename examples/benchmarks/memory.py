"""Peak memory of a fit: against the private batch, and for ten million rows that stay on disk.

    python examples/benchmarks/memory.py
    python examples/benchmarks/memory.py --rows 1000000 --out results/memory.json

Each fit runs in a process of its own. "peak" is the most resident memory that it ever had (VmHWM:
private pages plus resident pages of mapped files, all that counts against a limit), "private" the most
of it that belongs to no file, sampled every 20 ms. Memory before the fit, the interpreter and torch
included, is part of both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import psutil

COLUMNS = 40
BATCHES = (256, 1024, 4096, 16384)
BATCH_ROWS = 50_000
MICRO_BATCH = 256
CHUNK = 250_000


def write_table(path: Path, rows: int) -> np.ndarray:
    """Write a matrix of floats chunk by chunk; return its labels."""
    table = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, COLUMNS))
    labels = np.empty(rows, dtype=np.int8)
    for start in range(0, rows, CHUNK):
        rng = np.random.default_rng([0, start])
        part = rng.standard_normal((min(CHUNK, rows - start), COLUMNS), dtype=np.float32)
        table[start : start + len(part)] = part
        labels[start : start + len(part)] = part[:, :4].sum(axis=1) + part[:, 20] > 0
    table.flush()
    return labels


def write_parquet(source: Path, path: Path) -> None:
    """The same table as a parquet file, row group by row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = np.load(source, mmap_mode="r")
    names = [f"x{i}" for i in range(COLUMNS)]
    writer = None
    for start in range(0, len(table), CHUNK):
        part = pa.table({n: np.array(table[start : start + CHUNK, i]) for i, n in enumerate(names)})
        writer = writer or pq.ParquetWriter(path, part.schema)
        writer.write_table(part)
    assert writer is not None
    writer.close()


class Watch:
    """Greatest private resident memory while it is open."""

    def __enter__(self) -> Watch:
        self.private = 0
        self._open = True
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        process = psutil.Process()
        while self._open:
            memory = process.memory_info()
            self.private = max(self.private, memory.rss - memory.shared)
            time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._thread.join()


def peak() -> int:
    """Greatest resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def fit(task: dict) -> dict:
    """Run one fit in this process and say what it took."""
    import torch
    from skorch.callbacks import Callback

    from skfusiondp import FusionDPClassifier, Numeric

    class Clock(Callback):
        """When each step ended."""

        def on_batch_end(self, *_: object, **__: object) -> None:
            ends.append(time.perf_counter())

    ends: list[float] = []
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    sensitive = {i: Numeric(-5, 5) for i in range(4)}
    model = FusionDPClassifier(
        {f"x{i}": d for i, d in sensitive.items()} if task["kind"] == "parquet" else sensitive,
        noise_multiplier=1.0,
        delta=1e-6,
        batch_size=task["batch"],
        public_batch_size=task["batch"],
        steps=task["steps"],
        public_epochs=0,
        micro_batch_size=task["micro_batch"],
        callbacks=[Clock()],
    )
    labels = np.load(task["labels"])[: task.get("rows")]
    if task["kind"] == "memory":
        X = np.array(np.load(task["table"], mmap_mode="r")[:BATCH_ROWS])
        labels = labels[:BATCH_ROWS]
    elif task["kind"] == "memmap":
        X = np.load(task["table"], mmap_mode="r")[: task.get("rows")]
    else:
        X = task["table"]
    before = psutil.Process().memory_info().rss
    start = time.perf_counter()
    with Watch() as watch:
        model.fit(X, labels)
        seconds = time.perf_counter() - start
        if task["kind"] == "memmap":
            accuracy = float((model.predict(X[:BATCH_ROWS]) == labels[:BATCH_ROWS]).mean())
        else:
            accuracy = None
    mib = 2**20
    return {
        **{k: task[k] for k in ("kind", "batch", "steps", "micro_batch")},
        "rows": len(labels),
        "before_mib": round(before / mib),
        "peak_mib": round(peak() / mib),
        "private_mib": round(watch.private / mib),
        "seconds": round(seconds, 1),
        "seconds_to_first_step": round(ends[0] - start, 2),
        "step_ms": float(np.median(np.diff(ends))) * 1e3,
        "accuracy": accuracy,
        "private_steps": model.net_.private_steps_,
    }


def measured(**task: object) -> dict:
    """Run one fit in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--task", json.dumps(task)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{result['kind']:8s} {result['rows']:>9,d} rows  batch {result['batch']:>6,d}  "
        f"micro-batch {result['micro_batch'] or '-':>5}  peak {result['peak_mib']:>5d} MiB  "
        f"private {result['private_mib']:>5d} MiB  {result['seconds']:>6.1f} s",
        flush=True,
    )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--parquet", action="store_true", help="train from parquet too (slower)")
    parser.add_argument("--out", type=Path, default=Path("results/memory.json"))
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        print(json.dumps(fit(json.loads(arguments.task))))
        return
    steps = arguments.steps
    with tempfile.TemporaryDirectory() as folder:
        table, labels = Path(folder) / "table.npy", Path(folder) / "labels.npy"
        np.save(labels, write_table(table, max(arguments.rows, BATCH_ROWS)))
        files = {"table": str(table), "labels": str(labels)}
        batches = [
            measured(kind="memory", batch=b, steps=20, micro_batch=m, **files)
            for m in (MICRO_BATCH, BATCH_ROWS)
            for b in BATCHES
        ]
        growth = {
            m: next(r["peak_mib"] for r in batches if (r["micro_batch"], r["batch"]) == (m, BATCHES[-1]))
            / next(r["peak_mib"] for r in batches if (r["micro_batch"], r["batch"]) == (m, BATCHES[0]))
            - 1
            for m in (MICRO_BATCH, BATCH_ROWS)
        }
        print(
            f"From a private batch of {BATCHES[0]} to {BATCHES[-1]:,d} the peak grows by "
            f"{growth[MICRO_BATCH]:.1%} in micro-batches of {MICRO_BATCH}, "
            f"by {growth[BATCH_ROWS]:.1%} without."
        )
        disk = [measured(kind="memmap", batch=4096, steps=steps, micro_batch=None, **files)]
        if arguments.parquet:
            write_parquet(table, Path(folder) / "table.parquet")
            files["table"] = str(Path(folder) / "table.parquet")
            disk.append(measured(kind="parquet", batch=4096, steps=steps, micro_batch=None, **files))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        json.dumps({"growth_of_peak": growth, "private_batches": batches, "on_disk": disk}, indent=2)
    )
    print(f"Written to {arguments.out}.")


if __name__ == "__main__":
    main()
