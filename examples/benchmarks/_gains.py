"""Differences between two methods, split by split: what imputation buys, and what was to be reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import _ours
import numpy as np
from _report import PEERS_AT, RECORD_LEVEL, Cells, by_table, figure, judge, markdown, metric

RELATION = "replace"
# How far FusionDP may be from OffsetFusion, and how many standard errors are a win.
NEAR, SURE = 0.004, 2.0
COLOURS = {_ours.LABELLED: "tab:blue", _ours.UNLABELLED: "tab:green", _ours.NONE: "tab:orange"}

GAINS = f"""FusionDP minus feature-dp with the same support rows, split by split (mean ± standard error,
"{RELATION}"; AUROC, or R² where the target is a number). Both train the same network with the same steps and
noise: feature-dp masks sensitive cells in its public view, FusionDP imputes them. Where it has support rows,
FusionDP also learns from them what their labels teach, if they have labels; without any it imputes
the centre of each domain. Bold: more than two standard errors above zero.
"""


def lead(cells: Cells, one: str, other: str, epsilon: float) -> tuple[float, float] | None:
    """Mean difference over common splits and its standard error; None where there are no two such splits."""
    name = metric(cells)
    ours, theirs = (cells.get((m, RELATION, epsilon), {}) for m in (one, other))
    gaps = {s: {name: ours[s][name] - theirs[s][name]} for s in ours if s in theirs}
    return figure(gaps, name) if len(gaps) > 1 else None


def budgets(cells: Cells, one: str, other: str) -> list[float]:
    """Budgets at which both were judged on common splits."""
    return [e for e in sorted({e for _, _, e in cells if e is not None}) if lead(cells, one, other, e)]


def _pair(one: str, other: str, support: str) -> tuple[str, str]:
    return f"{one}, {support}", f"{other}, {support}"


def plot(results: Iterable[dict], path: Path) -> None:
    """Draw what imputation buys: a panel a table, a line a kind of support, bands of a standard error."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    tables = by_table(results)
    columns = min(4, len(tables))
    rows = -(-len(tables) // columns)
    figure_, axes = plt.subplots(
        rows, columns, squeeze=False, sharex=True, layout="constrained",
        figsize=(3.0 * columns, 2.3 * rows + 0.5),
    )  # fmt: skip
    for axis, (table, cells) in zip(axes.flat, tables.items(), strict=False):
        axis.axhline(0.0, color="0.6", linewidth=0.8)
        for support, colour in COLOURS.items():
            pair = _pair("FusionDP", "feature-dp", support)
            x = budgets(cells, *pair)
            if not x:
                continue
            mean, error = np.array([lead(cells, *pair, e) for e in x]).T
            axis.fill_between(x, mean - error, mean + error, color=colour, alpha=0.15, linewidth=0)
            axis.plot(x, mean, marker="o", markersize=3, linewidth=1.4, color=colour, label=support)
        unit = {"r2": "R²", "auroc": "AUROC"}[metric(cells)]
        axis.set_title(f"{table}, {unit}", fontsize=9)
        axis.set_xscale("log")
        ticks = sorted({e for _, _, e in cells if e is not None})
        axis.set_xticks(ticks, [f"{e:g}".lstrip("0") for e in ticks])
        axis.minorticks_off()
        axis.tick_params(labelsize=7, length=2)
        axis.yaxis.set_major_locator(MaxNLocator(4))
        axis.yaxis.set_major_formatter("{x:.3f}")
        axis.spines[["top", "right"]].set_visible(False)
    for axis in list(axes.flat)[len(tables) :]:
        axis.set_axis_off()
    figure_.supxlabel("ε (replace)", fontsize=9)
    figure_.supylabel("FusionDP − feature-dp", fontsize=9)
    labels = {label: h for a in axes.flat for h, label in zip(*a.get_legend_handles_labels(), strict=True)}
    figure_.legend(
        labels.values(), labels.keys(), loc="outside upper center", ncols=3, fontsize=9, frameon=False
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure_.savefig(path, dpi=110)
    plt.close(figure_)


def _shown(found: tuple[float, float] | None) -> str:
    if found is None:
        return ""
    text = "{:+.4f} ± {:.4f}".format(*found)
    return f"**{text}**" if found[0] > SURE * found[1] else text


def bought(results: Iterable[dict], support: str) -> tuple[list[str], list[list[str]]]:
    """FusionDP minus feature-dp: a row a table, a column a budget."""
    tables = by_table(results)
    pair = _pair("FusionDP", "feature-dp", support)
    epsilons = sorted({e for cells in tables.values() for e in budgets(cells, *pair)})
    rows = [[table, *(_shown(lead(cells, *pair, e)) for e in epsilons)] for table, cells in tables.items()]
    return ["table", *(f"ε = {e:g}" for e in epsilons)], rows


def siblings(results: Iterable[dict], epsilon: float = 1.0) -> tuple[list[str], list[list[str]]]:
    """FusionDP minus OffsetFusion on the same inputs: a row a table, a column a kind of support."""
    tables = by_table(results)
    rows = [
        [table, *(_shown(lead(c, *_pair("FusionDP", "OffsetFusion", s), epsilon)) for s in _ours.SUPPORT)]
        for table, c in tables.items()
    ]
    return ["table", *_ours.SUPPORT], rows


def acceptance(results: Sequence[dict], groups: Mapping[str, str]) -> list[str]:
    """Sentences on what was to be reached at ε = 1, and whether it was."""
    tables = by_table(results)
    lines = []
    for support in _ours.SUPPORT:
        pair = _pair("FusionDP", "OffsetFusion", support)
        found = {t: d for t, c in tables.items() if (d := lead(c, *pair, 1.0))}
        auroc = [d[0] for t, d in found.items() if metric(tables[t]) == "auroc"]
        if not auroc:
            continue
        everything = np.mean([d[0] for d in found.values()])
        near = "yes" if np.mean(auroc) >= -NEAR else "NO"
        lines.append(
            f"- FusionDP minus OffsetFusion, {support}: {np.mean(auroc):+.4f} AUROC on the mean of "
            f"{len(auroc)} tables ({everything:+.4f} with R²), not lower than -{NEAR}: {near}."
        )
    for support in _ours.SUPPORT:
        pair = _pair("FusionDP", "feature-dp", support)
        found = {t: d for t, c in tables.items() if (d := lead(c, *pair, 1.0))}
        won = [t for t, (mean, error) in found.items() if mean > SURE * error]
        lines.append(
            f"- FusionDP above feature-dp by more than {SURE:g} standard errors, {support}: on {len(won)} of "
            f"{len(found)} tables ({', '.join(won)})."
        )
    for at in (1.0, PEERS_AT):
        judged = {t: j for t, c in tables.items() if (j := judge(c, groups, at)) and j["peers"]}
        won = [t for t, j in judged.items() if all(mean > error for mean, error in j["leads"].values())]
        lost = [t for t in judged if t not in won]
        lines.append(
            f"- Best of ours at ε = {at:g} above every private peer ({RECORD_LEVEL} among them) at "
            f"ε = {PEERS_AT:g} by more than a standard error: on {len(won)} of {len(judged)} tables"
            + (f"; not on {', '.join(lost)}." if lost else ".")
        )
    return lines


def section(results: Sequence[dict], groups: Mapping[str, str]) -> list[str]:
    """The page's part on FusionDP, feature-dp and OffsetFusion with the same inputs."""
    lines = ["", "## What imputation buys", "", *GAINS.splitlines()]
    lines += ["", "![FusionDP minus feature-dp](results/imputation.png)"]
    for support in _ours.SUPPORT:
        lines += ["", f"With {support}:", "", *markdown(*bought(results, support))]
    lines += ["", "## FusionDP beside OffsetFusion", ""]
    lines += ["FusionDP minus OffsetFusion at ε = 1 on the same inputs, split by split.", ""]
    lines += markdown(*siblings(results))
    return [*lines, "", "In sum, at ε = 1:", "", *acceptance(results, groups)]
