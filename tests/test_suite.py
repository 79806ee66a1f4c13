"""The benchmark suite: what it judges, what it does not run twice, and the noise of its local peer."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Numeric
from skfusiondp.exceptions import MissingDependencyError

FOLDER = Path(__file__).parents[1] / "examples" / "benchmarks"


@pytest.fixture
def suite(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import suite

    yield suite
    for name in ("suite", "_peers", "_report", "_tables", "_tuning"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "name", ["compas", "pensions", "mothers", "colleges", "insurance", "crashes", "incomes"]
)
def test_tuning_tables_lie_in_their_declared_domains(suite, name):
    try:
        table = suite._tables.load(name)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    for column, domain in table.sensitive.items():
        cells = table.table[column].dropna()
        if isinstance(domain, Numeric):
            assert cells.between(domain.low, domain.high).all(), column
        else:
            assert set(cells.unique()) == set(domain.categories), column
    assert 0.1 < table.target.mean() < 0.9 and len(table.table) == len(table.target)


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_randomized_response_keeps_a_cell_as_often_as_epsilon_says(suite, epsilon):
    cells = pd.Series(["a"] * 40_000)
    found = suite._peers._randomized_response(cells, ["a", "b"], True, epsilon, np.random.default_rng(0))
    kept = np.exp(epsilon) / (np.exp(epsilon) + 2)
    assert (found == "a").mean() == pytest.approx(kept, abs=0.01)
    assert (found == "b").mean() == pytest.approx((1 - kept) / 2, abs=0.01)


def test_laplace_noise_has_the_scale_of_its_share(suite, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        suite._peers, "_boosted", lambda task, train, y, seed: seen.setdefault("train", train)
    )
    task = suite._tables.split("adult", 0, 3000)
    suite._peers.input_perturbation(task, 1000.0, 0)
    noise = seen["train"]["age"][: len(task.private)] - task.private["age"]
    # Five columns share the budget of 1,000; ages lie in a domain of 73 years.
    inside = task.private["age"].between(20, 85)
    assert noise[inside].abs().mean() == pytest.approx(73 / 200, rel=0.1)


def test_judge_wants_every_peer_beaten_and_measures_the_gap(suite):
    def result(method, relation, epsilon, seed, auroc):
        return {"table": "t", "method": method, "relation": relation, "epsilon": epsilon, "seed": seed,
                "rows": 9, "auroc": auroc, "auprc": auroc, "seconds": 1.0}  # fmt: skip

    groups = {"OffsetFusion": "ours", "dp-sgd": "ours", "DP-EBM": "peers", "public columns only": "free",
              "all true columns": "free"}  # fmt: skip
    results = [
        *(result("OffsetFusion", "replace", 1.0, s, 0.78 + 0.02 * s) for s in range(2)),
        # A split that the others were not judged on does not count.
        result("OffsetFusion", "replace", 1.0, 2, 0.99),
        result("OffsetFusion", "zero-out", 1.0, 0, 0.99),
        *(result("dp-sgd", "add-remove", 1.0, s, 0.7) for s in range(2)),
        *(result("dp-sgd", "add-remove", 4.0, s, 0.8) for s in range(2)),
        *(result("DP-EBM", "add-remove", 4.0, s, 0.75) for s in range(2)),
        *(result("public columns only", None, None, s, 0.7) for s in range(2)),
        *(result("all true columns", None, None, s, 0.8) for s in range(2)),
    ]
    cells = suite._report.by_table(results)["t"]
    judged = suite._report.judge(cells, groups)
    assert judged["best"] == "OffsetFusion" and judged["value"] == pytest.approx(0.79)
    assert judged["closed"] == pytest.approx(0.9)
    assert judged["peers"] == {"dp-sgd": 0.8, "DP-EBM": 0.75}
    assert judged["leads"]["DP-EBM"][0] == pytest.approx(0.04)
    assert judged["over_dp_sgd"] == pytest.approx(0.79 / 0.7 - 1)
    two = {s: cells["OffsetFusion", "replace", 1.0][s] for s in range(2)}
    assert suite._report.figure(two, "auroc")[1] == pytest.approx(0.01)


def test_a_run_goes_on_where_it_stopped(suite, tmp_path, monkeypatch, capsys):
    out = tmp_path / "suite.json"
    command = ["suite.py", "--tables", "adult_hours", "--seeds", "1", "--rows", "600", "--jobs", "1"]
    command += ["--only", "free", "--json", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    suite.main()
    stored = json.loads(out.read_text())
    assert {r["method"] for r in stored["results"]} >= {"public columns only", "all true columns"}
    assert all(-1 < r["r2"] < 1 for r in stored["results"])
    stored["results"].pop()
    out.write_text(json.dumps(stored))
    capsys.readouterr()
    suite.main()
    assert "1 fits in" in capsys.readouterr().out
    assert len(json.loads(out.read_text())["results"]) == len(stored["results"]) + 1
