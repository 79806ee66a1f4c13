"""Write the tables of docs/scaling.md from docs/results/step_time_full.json and scaling.json.

    python examples/benchmarks/step_time.py --out docs/results/step_time_full.json
    python examples/benchmarks/scaling.py --json docs/results/scaling.json
    python examples/benchmarks/scaling_page.py

A table stands between the comments ``<!-- name -->`` and ``<!-- /name -->``; the rest of the page is
written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "results"
PAGE = ROOT / "docs" / "scaling.md"
CONTENDERS = ("vmap", "vmap-wide", "vmap-chunked", "opacus", "opacus-ghost", "loop")


def step_time(content: dict) -> list[str]:
    """One row a case: our step over a plain pass, and the others' steps over ours."""
    left_out = {"memory": f"> {content['memory_limit'] / 2**30:.0f} GiB", "time": "slow"}
    lines = [
        f"| module | batch | step / plain | {' | '.join(f'{n} / step' for n in CONTENDERS)} |",
        "|---" * (3 + len(CONTENDERS)) + "|",
    ]
    for row in content["rows"]:
        s, why = row["seconds"], row["skipped"]
        others = " | ".join(
            f"{s[n] / s['ours']:.1f}" if n in s else left_out.get(why.get(n), "–") for n in CONTENDERS
        )
        module = row["hidden"] if row["hidden"] == "wide" else "-".join(map(str, row["hidden"]))
        lines.append(f"| {module} | {row['batch']:,d} | {s['ours'] / s['plain']:.2f} | {others} |")
    return lines


def rows(content: dict) -> list[str]:
    """One row a table size."""
    lines = [
        "| rows | step / that of the smallest | peak memory, MiB | of it in no file, MiB |",
        "|---|---|---|---|",
    ]
    for r in content["results"]:
        lines.append(
            f"| {r['rows']:,d} | {r['step_ratio']:.2f} | {r['peak_mib']:,d} | {r['private_mib']:,d} |"
        )
    return lines


TABLES: dict[str, tuple[str, Callable[[dict], list[str]]]] = {
    "step time": ("step_time_full.json", step_time),
    "rows": ("scaling.json", rows),
}


def with_tables(page: str, folder: Path = FOLDER) -> str:
    """The page with each table replaced by that of its file, where there is one."""
    for name, (file, made) in TABLES.items():
        if (folder / file).exists():
            lines = "\n".join(made(json.loads((folder / file).read_text())))
            block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
            page = block.sub(lambda m, lines=lines: f"{m[1]}\n{lines}\n\n{m[2]}", page)
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
