"""The chapter's table is what the benchmark measured."""

import json
import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_is_the_benchmarks():
    results = json.loads((DOCS / "results/audit.json").read_text())["results"]
    text = (DOCS / "auditing.md").read_text().split("<!-- table: audit_seeds -->")[1]
    rows = re.findall(r"^\| ([\d.]+) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", text, re.M)
    assert [float(r[0]) for r in rows] == sorted({r["epsilon"] for r in results})
    for epsilon, *cells in rows:
        for broken, (span, count) in enumerate((cells[:2], cells[2:])):
            own = [r for r in results if (r["epsilon"], r["broken"]) == (float(epsilon), bool(broken))]
            bounds = [r["epsilon_lower"] for r in own]
            assert span == f"{min(bounds):.2f} to {max(bounds):.2f}"
            assert count == f"{sum(b > float(epsilon) for b in bounds)} of {len(bounds)}"
            assert all((b > float(epsilon)) == bool(broken) and b > 0 for b in bounds)
