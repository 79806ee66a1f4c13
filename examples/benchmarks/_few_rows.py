"""Private models beside free ones on cut tables: what small_tables.py found, as tables."""

from __future__ import annotations

import numpy as np

KEY = ("table", "rows", "method", "support", "epsilon", "seed")
SUPPORT = ("no support", "labelled support")
# Private methods, and whose fit on the public columns alone each is compared with.
PAIRS = (("OffsetFusion", "OffsetFusion"), ("FusionDP", "FusionDP"), ("FusionDP", "OffsetFusion"))
# A private model may be worse by this much at most, on the mean over seeds.
LEAST = -0.005


def against_free(results: list[dict], method: str, support: str, free: str) -> dict[tuple, np.ndarray]:
    """Private minus free figure of each seed, by (table, rows, epsilon)."""
    by_key = {tuple(r[k] for k in KEY): r["figure"] for r in results}
    found: dict[tuple, list[float]] = {}
    for (table, rows, m, s, epsilon, seed), figure in by_key.items():
        baseline = by_key.get((table, rows, free, support, None, seed))
        if (m, s) == (method, support) and epsilon is not None and baseline is not None:
            found.setdefault((table, rows, epsilon), []).append(figure - baseline)
    return {k: np.array(v) for k, v in found.items()}


def lines(results: list[dict]) -> list[str]:
    """Tables in markdown: private minus free, a row a table and a column a size and budget."""
    answer = []
    for method, free in (
        ("OffsetFusion", "OffsetFusion"),
        ("FusionDP", "FusionDP"),
        ("FusionDP", "OffsetFusion"),
    ):
        for support in SUPPORT:
            gaps = against_free(results, method, support, free)
            if not gaps:
                continue
            places = sorted({k[1:] for k in gaps})
            below = sum(v.mean() < LEAST for v in gaps.values())
            answer += [
                "",
                f"{method}, {support}, minus {free} on public columns; {below} of {len(gaps)} below {LEAST}:",
                "",
                "| table | " + " | ".join(f"{n:,} rows, ε = {e:g}" for n, e in places) + " |",
                "|---" * (len(places) + 1) + "|",
            ]
            for table in dict.fromkeys(k[0] for k in gaps):
                cells = (gaps.get((table, *p)) for p in places)
                shown = ("" if v is None else _cell(v.mean()) for v in cells)
                answer.append(f"| {table} | {' | '.join(shown)} |")
    return answer


def _cell(mean: float) -> str:
    return f"**{mean:+.3f}**" if mean < LEAST else f"{mean:+.3f}"
