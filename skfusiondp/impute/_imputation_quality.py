"""How well public columns tell each sensitive one: the risk that no privacy takes away."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._html import card, page
from ._backend import Predictive
from ._categorical_predictive import CategoricalPredictive
from ._judged import class_losses, judge

# One-sided, at 95 %: a column counts as guessed only if held-out rows show it.
_BEYOND = 1.645
_POINTS = 8
_RISK = (
    "Whoever knows a person's public columns can guess so much of the sensitive ones, whatever is released "
    "and at whatever epsilon."
)


@dataclass(frozen=True, repr=False)
class ImputationQuality:
    """How well each sensitive column is guessed, on public rows that the guesses have not seen.

    Parameters
    ----------
    n_rows : int
        Support rows.
    columns : pandas.DataFrame of shape (n_sensitive, 6)
        Of each sensitive column: "score", R² of a number and log-loss skill of a category, 0 for the support
        rows' own mean or shares, and 1 for no error; "least", its lower end (95 %); "auroc" of categories;
        "crps skill" (continuous ranked probability score, as the score) and "coverage" (share of cells within
        80 % intervals) of numbers; "guessed", whether "least" is above 0.
    curves : mapping of str to pandas.DataFrame
        Calibration: what was "predicted" and "observed" in groups of rows with alike predictions; means of a
        number, and chances of a category's most frequent value.

    See Also
    --------
    FoundationImputer.quality : Makes one.
    """

    n_rows: int
    columns: pd.DataFrame
    curves: Mapping[str, pd.DataFrame]

    def to_frame(self) -> pd.DataFrame:
        """A copy of `columns`."""
        return self.columns.copy()

    def __repr__(self) -> str:
        table = self.columns.to_string(float_format="{:.3f}".format, na_rep="")
        return "\n".join([*self._lines(), table, _RISK])

    def _lines(self) -> list[str]:
        return [
            f"Guesses from public columns, on {self.n_rows} support rows, each guessed from the others:",
            *(_words(str(c), row) for c, row in self.columns.iterrows()),
        ]

    def _repr_html_(self) -> str:
        return card(self._body())

    def save_html(self, path: Any) -> None:
        """Write a page with the words, the table and a calibration curve of each column.

        Parameters
        ----------
        path : str or Path
        """
        Path(path).write_text(page("What public columns tell", card(self._body())), encoding="utf-8")

    def _body(self) -> str:
        first, *rest = (html.escape(line) for line in self._lines())
        items = "".join(f"<li>{line}</li>" for line in rest)
        table = self.columns.to_html(float_format="{:.3f}".format, border=0, na_rep="", classes="wide")
        return f"<p><b>{first}</b></p><ul>{items}</ul>{table}<p>{html.escape(_RISK)}</p>{self._curves()}"

    def _curves(self) -> str:
        return "".join(
            f"<h3>{html.escape(c)}: predicted and observed</h3>{_curve(points)}"
            for c, points in self.curves.items()
        )

    def plot(self, *, axes: Any = None) -> Any:
        """Draw a calibration curve of each column; on the diagonal, predictions are what is observed.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, optional
            One a sensitive column; new ones if not given.

        Returns
        -------
        ndarray of matplotlib Axes
        """
        if axes is None:
            import matplotlib.pyplot as plt

            n = len(self.curves)
            axes = plt.subplots(1, n, figsize=(3.2 * n, 3.2), layout="constrained", squeeze=False)[1][0]
        axes = np.atleast_1d(axes)
        for ax, (column, points) in zip(axes, self.curves.items(), strict=True):
            ends = [points.to_numpy().min(), points.to_numpy().max()]
            ax.plot(ends, ends, color="grey", linestyle="--", linewidth=1)
            ax.plot(points["predicted"], points["observed"], marker="o")
            ax.set(title=column, xlabel="predicted", ylabel="observed")
        return axes


def _words(column: str, row: pd.Series) -> str:
    if not row["guessed"]:
        return f"{column} cannot be told from the public columns."
    if np.isnan(row["crps skill"]) and not np.isnan(row["auroc"]):
        return f"{column} can be guessed: AUROC {row['auroc']:.2f}, log-loss skill {row['score']:.2f}."
    return f"{column} can be guessed: public columns explain {100 * row['score']:.0f} % of its variance."


def quality_of(
    columns: Iterable[str],
    folds: list[tuple[Mapping[str, Predictive], Mapping[str, np.ndarray], Mapping[str, np.ndarray]]],
) -> ImputationQuality:
    """Judge guesses of folds.

    Parameters
    ----------
    columns : iterable of str
    folds : list of (guesses, known, true)
        Of each fold and column: predictive distributions of its rows, the targets that they were learnt from
        and the true ones.
    """
    rows, curves, n_rows = {}, {}, 0
    for column in columns:
        parts = [(g[column], known[column], true[column]) for g, known, true in folds]
        n_rows = sum(len(true) for _, _, true in parts)
        used = [part for part in parts if not np.isnan(part[2]).all()]
        mean = pd.DataFrame([judge(*part) for part in used]).mean()
        gains = np.concatenate([_gains(*part) for part in used]) if used else np.zeros(0)
        least = gains.mean() - _BEYOND * gains.std() / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
        figures = {k: float(mean.get(k, np.nan)) for k in ("score", "auroc", "crps skill", "coverage")}
        rows[column] = {"score": figures.pop("score"), "least": least, **figures, "guessed": bool(least > 0)}
        curves[column] = _calibration(used)
    return ImputationQuality(n_rows, pd.DataFrame(rows).T.infer_objects(), curves)


def _gains(guess: Predictive, known: np.ndarray, true: np.ndarray) -> np.ndarray:
    """What each cell's guess gains over what the known cells alone say, in units of the score."""
    if isinstance(guess, CategoricalPredictive):
        gain, plain, _ = class_losses(guess, known, true)
        return gain / (plain.mean() or 1.0)
    here = ~np.isnan(true)
    y = true[here]
    plain = (y - np.nanmean(known)) ** 2
    return (plain - (y - guess.mean[here]) ** 2) / (y.var() or 1.0)


def _calibration(parts: list[tuple[Predictive, np.ndarray, np.ndarray]]) -> pd.DataFrame:
    predicted, observed = [], []
    often = 0
    if parts and isinstance(parts[0][0], CategoricalPredictive):
        cells = np.concatenate([true[~np.isnan(true)] for _, _, true in parts]).astype(int)
        often = int(np.bincount(cells).argmax())
    for guess, _, true in parts:
        here = ~np.isnan(true)
        if isinstance(guess, CategoricalPredictive):
            p = guess.probabilities[here]
            predicted.append(p[:, often] / p.sum(axis=1))
            observed.append((true[here] == often).astype(float))
        else:
            predicted.append(guess.mean[here])
            observed.append(true[here])
    if not predicted:
        return pd.DataFrame({"predicted": [], "observed": []})
    p, o = np.concatenate(predicted), np.concatenate(observed)
    groups = np.array_split(np.argsort(p, kind="stable"), min(_POINTS, max(1, len(p) // 10)))
    return pd.DataFrame(
        {"predicted": [p[g].mean() for g in groups], "observed": [o[g].mean() for g in groups]}
    )


def _curve(points: pd.DataFrame) -> str:
    """The calibration curve as a picture in a page."""
    if not len(points):
        return ""
    low, high = float(points.to_numpy().min()), float(points.to_numpy().max())
    size = 160
    span = (high - low) or 1.0
    place = [
        (size * (p - low) / span, size - size * (o - low) / span)
        for p, o in points[["predicted", "observed"]].itertuples(index=False)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in place)
    dots = "".join(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='var(--good)'/>" for x, y in place)
    return (
        f"<svg width='{size + 20}' height='{size + 20}' viewBox='-10 -10 {size + 20} {size + 20}' role='img' "
        f"aria-label='predicted from {low:.3g} to {high:.3g}, and observed'>"
        f"<line x1='0' y1='{size}' x2='{size}' y2='0' stroke='var(--line)'/>"
        f"<polyline points='{line}' fill='none' stroke='var(--good)' stroke-width='2'/>{dots}</svg>"
        f"<p><small>{low:.3g} to {high:.3g}; the line is where both are the same.</small></p>"
    )
