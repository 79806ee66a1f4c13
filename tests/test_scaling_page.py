"""docs/scaling.md shows the figures of the JSON files, and says what a run left out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples" / "benchmarks"


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import scaling_page

    yield scaling_page
    sys.modules.pop("scaling_page", None)


def test_the_page_is_what_the_files_say(page):
    text = page.PAGE.read_text()
    assert page.with_tables(text) == text


def test_tables_are_made_from_the_files(page, tmp_path):
    case = {"batch": 4096, "hidden": [64, 64], "seconds": {"ours": 0.5, "plain": 0.25, "opacus-ghost": 1.0}}
    steps = {"memory_limit": 2**32, "rows": [{**case, "skipped": {"vmap": "memory", "loop": "time"}}]}
    (tmp_path / "step_time_full.json").write_text(json.dumps(steps))
    size = {"rows": 10_000, "step_ratio": 1.0, "peak_mib": 700, "private_mib": 500}
    (tmp_path / "scaling.json").write_text(json.dumps({"results": [size]}))
    text = "before\n<!-- step time -->\nold\n<!-- /step time -->\nafter\n<!-- rows -->\n<!-- /rows -->\n"
    made = page.with_tables(text, tmp_path)
    assert "| 64-64 | 4,096 | 2.00 | > 4 GiB | – | – | – | 2.0 | slow |" in made
    assert "| 10,000 | 1.00 | 700 | 500 |" in made
    assert "old" not in made and "after" in made
    assert page.with_tables(made, tmp_path) == made
