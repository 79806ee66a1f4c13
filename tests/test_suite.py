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

WHOLE_MODELS = True

FOLDER = Path(__file__).parents[1] / "examples" / "benchmarks"


@pytest.fixture
def suite(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import suite

    yield suite
    for path in FOLDER.glob("*.py"):
        sys.modules.pop(path.stem, None)


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


def _loaded(suite, name):
    if why := suite._tables.absent(name):
        pytest.skip(why)
    return suite._tables.load(name)


@pytest.mark.parametrize("name", ["affairs", "doctor_visits", "drug_spending"])
def test_fresh_tables_fit_their_declarations(suite, name):
    table = _loaded(suite, name)
    for column, domain in table.sensitive.items():
        cells = table.table[column].dropna()
        if isinstance(domain, Numeric):
            # A few incomes are losses.
            assert cells.between(domain.low, domain.high).mean() > 0.99, column
        else:
            assert set(cells.unique()) == set(domain.categories), column
    assert len(table.table) == len(table.target) > 5000 and len(table.sensitive) >= 5
    low, high = suite._tables.TARGET_BOUNDS.get(name, (0, 1))
    assert table.target.between(low, high).all() and table.target.notna().all()


@pytest.mark.parametrize("name", ["adult", "adult_hours", "nhis", "alcohol", "support2", "credit_default"])
def test_no_bound_of_the_suite_is_where_the_data_end(suite, name):
    table = _loaded(suite, name)
    free = {c: d for c, d in table.sensitive.items() if isinstance(d, Numeric) and (d.low, d.high) != (1, 5)}
    assert free
    for column, domain in free.items():
        low, high = table.table[column].min(), table.table[column].max()
        # A bound may cut off what is rarest; it may not trace the data.
        assert (domain.low, domain.high) != (low, high), column
        assert domain.high - domain.low > 1.2 * (high - low) or domain.high < high, column


def test_every_honest_bound_belongs_to_a_sensitive_column(suite):
    for name, bounds in suite._tables.HONEST.items():
        if suite._tables.absent(name) is None:
            kept = suite._tables.TABLES[name]().sensitive
            assert all(isinstance(kept[c], Numeric) for c in bounds), name
            assert list(suite._tables.load(name).sensitive) == list(kept)


@pytest.mark.parametrize(
    ("support", "rows", "given"),
    [
        ("labelled support", 420, {"support", "support_target"}),
        ("support without labels", 420, {"support"}),
        ("no support", 480, set()),
    ],
)
def test_our_methods_get_the_support_that_their_names_say(suite, monkeypatch, support, rows, given):
    seen = {}

    class Spy:
        def __init__(self, sensitive, **params):
            seen.update(params)

        def fit(self, X, y):
            seen.update(rows=len(X), labels=len(y))
            return self

        def predict_proba(self, X):
            return np.zeros((len(X), 2))

    monkeypatch.setattr("skfusiondp.FusionDPClassifier", Spy)
    task = suite._tables.split("adult", 0, 600)
    method = suite.methods(Path("none"))[f"feature-dp, {support}"]
    method.run(task, 0.5, 0, relation="replace")
    assert (seen["method"], seen["epsilon"], seen["adjacency"]) == ("feature-dp", 0.5, "replace")
    assert seen["rows"] == seen["labels"] == rows and given == {k for k in seen if k.startswith("support")}


@pytest.mark.slow
@pytest.mark.parametrize("support", ["labelled support", "no support"])
@pytest.mark.parametrize("name", ["FusionDP", "feature-dp"])
def test_what_fits_share_changes_no_figure(suite, name, support):
    task = suite._tables.split("adult", 0, 800)
    run = suite.methods(Path("none"))[f"{name}, {support}"].run
    after_another = [run(task, e, 0, "replace") for e in (0.5, 2.0)][1]
    assert suite._ours.REMEMBERING.spared > 0
    suite._ours.REMEMBERING.begin("nothing of these fits")
    alone = run(task, 2.0, 0, "replace")
    assert suite._ours.REMEMBERING.spared == 0
    np.testing.assert_array_equal(after_another, alone)
    # Another split, seed or kind of support shares nothing.
    run(suite._tables.split("adult", 1, 800), 2.0, 0, "replace")
    assert suite._ours.REMEMBERING.spared == 0


def _result(method, epsilon, seed, auroc, relation="replace"):
    return {"table": "t", "method": method, "relation": relation, "epsilon": epsilon, "seed": seed,
            "rows": 9, "auroc": auroc, "auprc": auroc, "seconds": 1.0}  # fmt: skip


def test_gains_are_differences_on_common_splits(suite, tmp_path):
    results = [
        *(_result("FusionDP, no support", 1.0, s, 0.8 + 0.1 * s + 0.01) for s in range(2)),
        _result("FusionDP, no support", 1.0, 2, 0.1),
        *(_result("feature-dp, no support", 1.0, s, 0.8 + 0.1 * s) for s in range(2)),
        *(_result("OffsetFusion, no support", 1.0, s, 0.8 + 0.1 * s + 0.02) for s in range(2)),
        *(_result("DP-EBM", 4.0, s, 0.8 + 0.09 * s, "add-remove") for s in range(2)),
    ]
    groups = dict.fromkeys(suite.methods(Path("none")), "ours") | {"DP-EBM": "peers"}
    cells = suite._report.by_table(results)["t"]
    mean, error = suite._gains.lead(cells, "FusionDP, no support", "feature-dp, no support", 1.0)
    assert mean == pytest.approx(0.01) and error == pytest.approx(0.0, abs=1e-9)
    said = "\n".join(suite._gains.section(results, groups))
    assert "| t | **+0.0100 ± 0.0000** |" in said
    assert (
        "no support: -0.0100 AUROC on the mean of 1 tables (-0.0100 with R²), not lower than -0.004: NO"
        in said
    )
    assert "standard errors, no support: on 1 of 1 tables (t)" in said
    assert (
        "ε = 1 above every private peer (dp-sgd among them) at ε = 4 by more than a standard error: on 1 of 1"
        in said
    )
    suite._gains.plot(results, tmp_path / "gains.png")
    assert (tmp_path / "gains.png").stat().st_size > 5000


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
    # Five columns share the budget of 1,000; ages lie in a domain of 120 years.
    inside = task.private["age"].between(20, 85)
    assert noise[inside].abs().mean() == pytest.approx(120 / 200, rel=0.1)


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


@pytest.mark.slow
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


def test_small_tables_cut_the_training_rows_and_leave_the_judges(suite):
    import small_tables

    task = suite._tables.split("adult", 0, 2000)
    small = small_tables.cut(task, 400)
    assert (len(small.private), len(small.support), len(small.train)) == (350, 50, 400)
    assert small.y_train.mean() == pytest.approx(task.y_train.mean(), abs=0.01)
    assert small.test is task.test and set(small.private.columns) == set(task.private.columns)
    free = small_tables.without_sensitive(small)
    assert not set(task.sensitive) & {*free.private, *free.support, *free.test} and free.sensitive == {}


def test_few_rows_are_judged_by_the_mean_over_seeds(suite):
    import _few_rows

    def result(epsilon, seed, figure):
        values = ("t", 300, "OffsetFusion", "no support", epsilon, seed)
        return dict(zip(_few_rows.KEY, values, strict=True)) | {"figure": figure}

    results = [result(None, s, 0.7) for s in range(2)]
    results += [result(0.1, 0, 0.67), result(0.1, 1, 0.71), result(1.0, 0, 0.72), result(1.0, 1, 0.7)]
    said = "\n".join(_few_rows.lines(results))
    assert "1 of 2 below -0.005" in said
    assert "| t | **-0.010** | +0.010 |" in said


@pytest.mark.slow
def test_small_tables_go_on_where_they_stopped(suite, tmp_path, monkeypatch, capsys):
    import small_tables

    out = tmp_path / "small.json"
    command = ["small_tables.py", "--tables", "adult", "--seeds", "1", "--rows", "200", "--epsilon", "1"]
    monkeypatch.setattr(sys, "argv", [*command, "--jobs", "1", "--json", str(out)])
    small_tables.main()
    stored = json.loads(out.read_text())
    assert len(stored["results"]) == 8 and all(0 < r["figure"] <= 1 for r in stored["results"])
    first = capsys.readouterr().out
    small_tables.main()
    assert json.loads(out.read_text()) == stored and capsys.readouterr().out == first
