"""The README and the user guide run as they are written; the examples do their job."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import mean, median

import pytest

from skfusiondp import FusionDPClassifier, Numeric, OffsetFusionClassifier
from skfusiondp.audit import attack_success

WHOLE_MODELS = True

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)


# The others' code takes a minute and more.
SHORT = {"declaring.md"}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, id=p.name, marks=[] if p.name in SHORT else [pytest.mark.slow])
        for p in DOCUMENTS
        if BLOCK.search(p.read_text())
    ],
)
def test_code_runs_as_written(path, capsys):
    namespace: dict = {"__name__": "document"}
    for block in BLOCK.findall(path.read_text()):
        exec(compile(block, str(path), "exec"), namespace)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_and_named_files_exist(path):
    text = path.read_text()
    links = [t for t in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in t]
    named = re.findall(r"`((?:tests|examples|docs|skfusiondp)/[\w/.]+\.\w+)`", text)
    inside = re.findall(r"`((?:privacy|nets|impute|estimators|preprocessing)/[\w/]+\.py)`", text)
    for target in links:
        assert (path.parent / target).exists(), target
    for target in [*named, *(f"skfusiondp/{t}" for t in inside)]:
        assert (ROOT / target).exists(), target


def test_readme_commands_name_files_and_extras_that_exist():
    text = (ROOT / "README.md").read_text()
    commands = re.findall(r"<!-- command: (\w+) -->\n```sh\n(.*?)\n```", text, re.S)
    assert [name for name, _ in commands] == ["quickstart", "tests"]
    assert (ROOT / "examples/quickstart.py").exists() and "examples/quickstart.py" in commands[0][1]
    project = (ROOT / "pyproject.toml").read_text()
    for extra in re.findall(r'"\.\[(\w+)\]"', text):
        assert re.search(rf"^{extra} = \[", project, re.M), extra


def at_epsilon_one(method: str, key: str) -> dict[str, dict[int, float]]:
    """{table: {seed: figure}} of one of our methods in the benchmarks."""
    found: dict[str, dict[int, float]] = {}
    for r in json.loads((ROOT / "docs/results/suite.json").read_text())["results"]:
        if (r["method"], r["epsilon"], r["relation"]) == (method, 1.0, "replace"):
            value = r[key] if key == "seconds" else r.get("auroc", r.get("r2"))
            found.setdefault(r["table"], {})[r["seed"]] = value
    return found


def over(other: str, support: str) -> dict[str, float]:
    """{table: mean lead of FusionDP at epsilon 1}."""
    ours, theirs = (at_epsilon_one(f"{m}, {support}", "figure") for m in ("FusionDP", other))
    return {t: mean(ours[t][s] - theirs[t][s] for s in ours[t]) for t in ours}


def test_the_readme_says_what_the_benchmarks_measured():
    text = " ".join((ROOT / "README.md").read_text().split())
    kinds = ("labelled support", "support without labels", "no support")
    leads = [over("OffsetFusion", support) for support in kinds]
    figures = [f"{mean(lead.values()):+.3f}".replace("0.", ".", 1).replace("-", "−") for lead in leads]
    assert (
        f"On {len(leads[0])} tables at ε = 1 the mean lead of FusionDP over OffsetFusion in AUROC (R² where "
        f"the target is a number) is {figures[0]} where support rows have labels, {figures[1]} where they "
        f"have none, and {figures[2]} without any"
    ) in text
    behind = [-lead for lead in over("feature-dp", "no support").values() if lead < 0]
    most = f"{max(behind):.3f}".replace("0.", ".", 1)
    assert f"is ahead of FusionDP on {len(behind)} of 12 tables, by at most {most}" in text
    times = [
        [median(by_seed.values()) for by_seed in at_epsilon_one(f"{m}, labelled support", "seconds").values()]
        for m in ("FusionDP", "OffsetFusion")
    ]
    spans = [f"{round(min(t))} to {round(max(t))}" for t in times]
    assert (
        f"A fit with labelled support rows takes {spans[0]} seconds of a core, one of OffsetFusion {spans[1]}"
        in text
    )


def test_the_readme_says_how_well_a_cell_can_be_guessed():
    text = " ".join((ROOT / "README.md").read_text().split())
    stated = re.search(r"at most (\d+) % at ε = 1, (\d+) % at ε = 4 and (\d+) % at ε = 8 \(3,000 rows", text)
    assert stated
    for epsilon, percent in zip((1.0, 4.0, 8.0), stated.groups(), strict=True):
        for kind in (OffsetFusionClassifier, FusionDPClassifier):
            planned = kind({"age": Numeric(0, 1)}, epsilon=epsilon).planned_ledger(3000)
            assert int(percent) - 1.5 < 100 * attack_success(planned) <= int(percent) + 0.01


@pytest.mark.slow
def test_the_first_command_answers(tmp_path):
    out = run_example("-m", "skfusiondp", "--picture", str(tmp_path / "first.png"))
    assert (tmp_path / "first.png").stat().st_size > 10_000
    rows = dict(re.findall(r"^(.+?)  +(?:0|1|inf) +([.0-9]+) ", out, re.M))
    public, private, everything = (float(v) for v in rows.values())
    assert public + 0.02 < private <= everything + 0.01
    assert "differential privacy of the sensitive columns" in out and "guessed right" in out


def run_example(*args: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *args], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_quickstart_does_the_main_job(tmp_path):
    out = run_example(
        "examples/quickstart.py", "--seeds", "1", "--epsilon", "1", "--jobs", "1", "--out", str(tmp_path)
    )
    rows = {r["method"]: r for r in json.loads((tmp_path / "quickstart.json").read_text())["results"]}
    assert set(rows) == {"non-private", "hybrid", "dp-sgd", "feature-dp", "fusiondp", "offset-fusion"}
    assert rows["fusiondp"]["epsilon"] <= 1 and rows["fusiondp"]["adjacency"] == "replace"
    # The private model must use what true cells teach. The hybrid method learns a part of it for free, from
    # imputed ones: it has an AUROC of .89 here.
    assert rows["fusiondp"]["auroc"] > rows["hybrid"]["auroc"] + 0.02
    assert "neighbouring relation: replace" in out
    assert (tmp_path / "quickstart.png").stat().st_size > 10_000
    assert "ε" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("SKFUSIONDP_SEPSIS"), reason="needs the sepsis table")
def test_sepsis_example(tmp_path):
    out = tmp_path / "sepsis.json"
    run_example("examples/sepsis.py", "--seeds", "1", "--epsilon", "1", "--jobs", "1", "--json", str(out))
    rows = {r["name"]: r for r in json.loads(out.read_text())["results"]}
    assert rows["fusiondp (own view)"]["auprc"] > rows["hybrid (own view)"]["auprc"]
    # Siblings: where support rows are labelled, both start from what such rows teach.
    assert rows["offset-fusion (own view)"]["auprc"] > rows["fusiondp (own view)"]["auprc"] - 0.01
    assert rows["offset-fusion (own view)"]["auprc"] > rows["hybrid (own view)"]["auprc"]
