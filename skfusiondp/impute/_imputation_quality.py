"""How well public columns tell each sensitive one: the risk that no privacy takes away."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from .._html import card, page
from ..exceptions import InvalidInputError
from ..tables._domain import Domain
from ._backend import Predictive
from ._categorical_predictive import CategoricalPredictive
from ._judged import covered, crps_losses, losses, mean_auroc
from ._numeric_predictive import NumericPredictive

# One-sided: of columns that cannot be guessed one in a hundred is said to be.
_CONFIDENCE = 0.99
# Fewer cells show nothing, whatever they say.
_FEWEST_CELLS = 30
_POINTS, _ROWS_OF_A_POINT = 8, 20
_WELL, _PARTLY = 0.3, 0.1
_RISK = (
    "Whoever knows a person's public columns can guess so much of the sensitive ones, whatever is released "
    "and at whatever epsilon; only leaving out the public columns that tell of them takes it away."
)
_LEGEND = (
    "score: share of a number's variance, or of a category's log loss, that guesses take away; least: what "
    "it is at least (99 %); auroc: one category against the others; right: share of rows whose likeliest "
    "category is the true one, beside the commonest one's; crps skill: the score of whole distributions of a "
    "number; coverage: of their 80 % intervals."
)

Fold = tuple[Mapping[str, Predictive], Mapping[str, np.ndarray], Mapping[str, np.ndarray]]


@dataclass(frozen=True, repr=False)
class ImputationQuality:
    """How well each sensitive column is guessed, on public rows that the guesses have not seen.

    Parameters
    ----------
    n_rows : int
        Support rows.
    columns : pandas.DataFrame of shape (n_sensitive, 10)
        Of each sensitive column: "cells" that were judged, those of support rows that lie in its domain;
        "score", the share of a number's variance or of a category's log loss that guesses take away from
        what the column's own mean or shares leave, at least -1; "least", its lower end (99 %); "guessed",
        whether that is above 0 on at least 30 cells; of categories "auroc" (one against the others, where
        five cells of it are in a part), "right" and "commonest", shares of rows in which the likeliest
        category, and the commonest of all, is the true one; of numbers "crps skill" (continuous ranked
        probability score, as the score) and "coverage", the share of cells within 80 % intervals; and
        "words", what is to be said of it.
    curves : mapping of str to pandas.DataFrame
        Calibration: what was "predicted" and "observed" in groups of rows with alike predictions, the
        "rows" in each and the standard "error" of what was observed: means of a number, and chances of a
        category's commonest value. Only of columns with at least 40 cells.
    shown : mapping of str to str
        What a curve is of: the column, or the category.

    See Also
    --------
    FoundationImputer.quality : Makes one.
    """

    n_rows: int
    columns: pd.DataFrame
    curves: Mapping[str, pd.DataFrame]
    shown: Mapping[str, str]

    def to_frame(self) -> pd.DataFrame:
        """A copy of `columns`."""
        return self.columns.copy()

    def __repr__(self) -> str:
        figures = self.columns.drop(columns="words")
        table = figures.to_string(float_format="{:.3f}".format, na_rep="")
        return "\n".join([self._heading(), *self.columns["words"], table, _LEGEND, _RISK])

    def _heading(self) -> str:
        return f"Guesses from public columns, on {self.n_rows} support rows, each guessed from the others:"

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
        items = "".join(f"<li>{html.escape(line)}</li>" for line in self.columns["words"])
        figures = self.columns.drop(columns="words")
        table = figures.to_html(float_format="{:.3f}".format, border=0, na_rep="", classes="wide")
        rest = "".join(f"<p>{html.escape(line)}</p>" for line in (_LEGEND, _RISK))
        curves = "".join(
            f"<h3>{html.escape(self.shown[c])}: predicted and observed</h3>{_curve(points)}"
            for c, points in self.curves.items()
        )
        return f"<p><b>{html.escape(self._heading())}</b></p><ul>{items}</ul>{table}{rest}{curves}"

    def plot(self, *, axes: Any = None) -> Any:
        """Draw a calibration curve of each column with at least 40 cells.

        On the dashed line, predictions are what is observed; bars are two standard errors.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, optional
            One for each of `curves`; new ones if not given.

        Returns
        -------
        ndarray of matplotlib Axes

        Raises
        ------
        InvalidInputError
            If `axes` are not as many as `curves`, or there is no curve to draw.
        """
        n = len(self.curves)
        if not n:
            raise InvalidInputError(
                "No column has 40 cells to draw a calibration curve of; fit with more support rows."
            )
        if axes is None:
            import matplotlib.pyplot as plt

            axes = plt.subplots(1, n, figsize=(3.2 * n, 3.2), layout="constrained", squeeze=False)[1][0]
        axes = np.atleast_1d(axes)
        if len(axes) != n or not all(hasattr(ax, "errorbar") for ax in axes):
            raise InvalidInputError(
                f"axes={axes!r} are not {n} matplotlib Axes, one for each of {list(self.curves)}."
            )
        for ax, (column, points) in zip(axes, self.curves.items(), strict=True):
            both = points[["predicted", "observed"]].to_numpy()
            ax.plot(
                [both.min(), both.max()], [both.min(), both.max()], color="grey", linestyle="--", linewidth=1
            )
            ax.errorbar(
                points["predicted"], points["observed"], yerr=2 * points["error"], marker="o", capsize=2
            )
            ax.set(
                title=self.shown[column].replace(": chance", "\nchance"),
                xlabel="predicted",
                ylabel="observed",
            )
        return axes


def quality_of(domains: Mapping[str, Domain], public: Sequence[str], folds: list[Fold]) -> ImputationQuality:
    """Judge guesses of folds.

    Parameters
    ----------
    domains : mapping of str to Domain
    public : sequence of str
        Names of the public columns.
    folds : list of (guesses, known, true)
        Of each fold and column: predictive distributions of its rows, the targets that they were learnt from
        and the true ones.
    """
    rows, curves, shown, n_rows = {}, {}, {}, 0
    for column, domain in domains.items():
        parts = [(g[column], known[column], true[column]) for g, known, true in folds]
        n_rows = sum(len(true) for _, _, true in parts)
        parts = [p for p in parts if not np.isnan(p[2]).all() and not np.isnan(p[1]).all()]
        figures = _figures(parts)
        figures["words"] = _words(column, figures, bool(len(public)))
        rows[column] = figures
        if figures["cells"] >= 2 * _ROWS_OF_A_POINT and figures["varies"]:
            curves[column], often = _calibration(parts)
            name = "" if often is None else f": chance of {domain.restore(np.array([often]))[0]!r}"
            shown[column] = f"{column}{name}"
    order = [
        "cells",
        "score",
        "least",
        "guessed",
        "auroc",
        "right",
        "commonest",
        "crps skill",
        "coverage",
        "words",
    ]
    table = pd.DataFrame([{k: row[k] for k in order} for row in rows.values()], index=list(rows))
    return ImputationQuality(n_rows, table, curves, shown)


def _figures(parts: list[tuple[Predictive, np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Pooled over the parts, each cell beside what the cells that its guess was learnt from say alone."""
    nothing = dict.fromkeys(("auroc", "right", "commonest", "crps skill", "coverage"), np.nan)
    cells = int(sum(np.sum(~np.isnan(true)) for _, _, true in parts))
    found = {"cells": cells, "score": np.nan, "least": np.nan, **nothing, "guessed": False, "varies": False}
    if not cells:
        return found
    true = np.concatenate([true[~np.isnan(true)] for _, _, true in parts])
    found["varies"] = bool(len(np.unique(true)) > 1)
    gain, plain = (np.concatenate(each) for each in zip(*(losses(*part) for part in parts), strict=True))
    if found["varies"] and cells > 1 and plain.mean() > 0:
        score, error = gain.mean() / plain.mean(), gain.std(ddof=1) / np.sqrt(cells) / plain.mean()
        found["score"] = max(-1.0, float(score))
        found["least"] = max(-1.0, float(score - student.ppf(_CONFIDENCE, cells - 1) * error))
        found["guessed"] = bool(found["least"] > 0 and cells >= _FEWEST_CELLS)
    classes = [(g, known, y) for g, known, y in parts if isinstance(g, CategoricalPredictive)]
    if classes:
        hits = [(g.mode() == y)[~np.isnan(y)] for g, _, y in classes]
        found["right"] = float(np.concatenate(hits).mean())
        found["commonest"] = float(np.unique(true, return_counts=True)[1].max() / cells)
        areas = [area for part in classes if not np.isnan(area := mean_auroc(*part))]
        found["auroc"] = float(np.mean(areas)) if areas else np.nan
    numbers = [(g, k, y) for g, k, y in parts if isinstance(g, NumericPredictive) and g.atoms is not None]
    if numbers:
        ours, known = (np.concatenate(x) for x in zip(*(crps_losses(*part) for part in numbers), strict=True))
        found["crps skill"] = float(1 - ours.mean() / known.mean()) if known.mean() > 0 else np.nan
        found["coverage"] = float(np.concatenate([covered(g, y)[~np.isnan(y)] for g, _, y in numbers]).mean())
    return found


def _words(column: str, found: Mapping[str, Any], public: bool) -> str:
    """One sentence for somebody who has to decide."""
    if not found["cells"]:
        return f"{column} could not be judged: no support row has a cell that lies in its domain."
    if not public:
        return f"{column} could not be judged: there is no public column."
    if not found["varies"]:
        return f"{column} is the same in all support rows: anybody knows it."
    cells = f"{found['cells']} cells"
    if not found["guessed"]:
        if found["cells"] < 100:
            return f"{column}: {cells} are too few to show whether public columns tell anything of it."
        return f"{column}: no sign, on {cells}, that public columns tell anything of it."
    score = found["score"]
    how = "well" if score >= _WELL else "in part" if score >= _PARTLY else "a little"
    if np.isnan(found["right"]):
        part = f"public columns explain {100 * score:.0f} % of its variance"
    else:
        right, commonest = (f"{100 * found[k]:.0f} %" for k in ("right", "commonest"))
        part = f"the likeliest category is the true one in {right} of rows, the commonest in {commonest}"
    return f"{column} can be guessed {how}: {part} ({cells})."


def _calibration(parts: list[tuple[Predictive, np.ndarray, np.ndarray]]) -> tuple[pd.DataFrame, int | None]:
    """Points of a curve, and of which category it is."""
    predicted, observed, often = [], [], None
    if isinstance(parts[0][0], CategoricalPredictive):
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
    p, o = np.concatenate(predicted), np.concatenate(observed)
    groups = np.array_split(np.argsort(p, kind="stable"), min(_POINTS, len(p) // _ROWS_OF_A_POINT))
    points = [(p[g].mean(), o[g].mean(), len(g), o[g].std(ddof=1) / np.sqrt(len(g))) for g in groups]
    return pd.DataFrame(points, columns=["predicted", "observed", "rows", "error"]), often


def _curve(points: pd.DataFrame) -> str:
    """The calibration curve as a picture in a page."""
    both = points[["predicted", "observed"]].to_numpy()
    low, high, size = float(both.min()), float(both.max()), 160
    span = (high - low) or 1.0
    place = [(size * (p - low) / span, size - size * (o - low) / span) for p, o in both]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in place)
    bars = [2 * size * error / span for error in points["error"]]
    dots = "".join(
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='var(--good)'/>"
        f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{y - bar:.1f}' y2='{y + bar:.1f}' stroke='var(--good)'/>"
        for (x, y), bar in zip(place, bars, strict=True)
    )
    edge = 30
    return (
        f"<svg width='{size + 2 * edge}' height='{size + 2 * edge}' role='img' "
        f"viewBox='-{edge} -{edge} {size + 2 * edge} {size + 2 * edge}' "
        f"aria-label='predicted and observed, from {low:.3g} to {high:.3g}'>"
        f"<line x1='0' y1='{size}' x2='{size}' y2='0' stroke='var(--line)'/>"
        f"<polyline points='{line}' fill='none' stroke='var(--good)' stroke-width='2'/>{dots}</svg>"
        f"<p><small>{low:.3g} to {high:.3g} on both axes (predicted to the right, observed upwards); on the "
        "straight line both are the same; bars are two standard errors.</small></p>"
    )
