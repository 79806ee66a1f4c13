"""Tables of what imputation.py measured."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd


def lines(results: list[dict], tables: Iterable[str]) -> list[str]:
    """Means over tables of the means over columns and draws, a row a method."""
    frame = pd.DataFrame([r for r in results if r["table"] in set(tables)])
    if not len(frame):
        return []
    answer = []
    for n_support, some in frame.groupby("support"):
        shown = [k for k in ("score", "auroc", "crps skill", "coverage") if k in some]
        by_table = some.groupby(["method", "table"])[shown].mean()
        whole = by_table["score"].unstack().dropna(axis=1)
        rank = whole.rank(ascending=False).mean(axis=1)
        mean = by_table.loc[by_table.index.get_level_values("table").isin(whole.columns)]
        mean = mean.groupby("method").mean().assign(rank=rank)
        seconds = some.groupby(["method", "table", "seed"])["seconds"].first().groupby("method").mean()
        answer += ["", f"{n_support:,} support rows, {whole.shape[1]} tables:", ""]
        answer += ["| method | " + " | ".join(mean) + " | seconds |", "|---" * (mean.shape[1] + 2) + "|"]
        for method in mean.sort_values("score").index:
            cells = " | ".join("–" if pd.isna(v) else f"{v:.3f}" for v in mean.loc[method])
            answer.append(f"| {method} | {cells} | {seconds[method]:.2f} |")
    return answer
