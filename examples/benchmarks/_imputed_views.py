"""What the default imputer is worth in FusionDP, and what a view is worth that is paid for."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import fmean

_UNLABELLED, _HYBRID, _PAID = "FusionDP, support without labels", "hybrid view only", "FusionDP, paid view"
_FEATURE_DP, _NONE = "feature-dp, no support", "FusionDP, no support"
# Heading, a method of the new file, one of the old and their relation.
_COLUMNS = (
    ("unlabelled support, new imputer", _UNLABELLED, _UNLABELLED, "replace"),
    ("hybrid view alone (ε = 0), new imputer", _HYBRID, _HYBRID, None),
    ("paid view over feature-dp", _PAID, _FEATURE_DP, "replace"),
    ("paid view over FusionDP without support", _PAID, _NONE, "replace"),
)
_TEXT = """
### What FusionDP makes of imputed cells

`python examples/benchmarks/suite.py --methods 'FusionDP, support without labels' 'hybrid view only'
'FusionDP, paid view' --epsilon 1 --seeds 2 --json docs/results/suite_imputer.json`, beside the
[benchmarks](benchmarks.md), whose rows of FusionDP with support and of the hybrid view are those of
`backend="conditional"`, the default before "ensemble": by how much AUROC (R² of numbers) changes on the
same splits (ε = 1, replace, δ = 1e-5; 6,000 rows at most). The *paid view* has no support rows: half of
ε goes into a released table, which the imputer learns from.
"""


def section(folder: Path) -> list[str]:
    """Differences on the same splits, a row a table; nothing if the file is not there."""
    path = folder / "suite_imputer.json"
    if not path.exists():
        return []
    new, old = _by_fit(path), _by_fit(folder / "suite.json")
    heads = ["table", *(head for head, *_ in _COLUMNS)]
    lines = [*_TEXT.splitlines(), "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    rows = {}
    for table in sorted({table for table, *_ in new}):
        rows[table] = [_change(new, old, table, *names) for _, *names in _COLUMNS]
    rows["mean"] = [fmean(v for v in each if not math.isnan(v)) for each in zip(*rows.values(), strict=True)]
    for table, row in rows.items():
        lines.append(f"| {table} | " + " | ".join("–" if math.isnan(v) else f"{v:+.3f}" for v in row) + " |")
    return lines


def _change(new: dict, old: dict, table: str, mine: str, other: str, relation: str | None) -> float:
    """Mean difference over the seeds that both have."""
    pairs = [
        (new[table, mine, relation, seed], old[table, other, relation, seed])
        for seed in range(5)
        if (table, mine, relation, seed) in new and (table, other, relation, seed) in old
    ]
    return fmean(a - b for a, b in pairs) if pairs else math.nan


def _by_fit(path: Path) -> dict[tuple, float]:
    """Figures at ε = 1, and of what spends nothing."""
    return {
        (r["table"], r["method"], r["relation"], r["seed"]): r["r2"] if "r2" in r else r["auroc"]
        for r in json.loads(path.read_text())["results"]
        if r["rows"] == 6_000 and r["epsilon"] in (1.0, None)
    }
