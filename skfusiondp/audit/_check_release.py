"""How close a released table's drawn cells are to the true ones, and how often they are the true ones."""

from __future__ import annotations

import html
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.utils.validation import check_consistent_length

from .._html import card, page
from .._random_state import random_generator
from ..exceptions import InvalidInputError
from ..impute._draws import inverse
from ..tables._domain import Domain
from ..tables._numeric import Numeric
from ..tables._ordered import Ordered
from ..tables._public_encoder import PublicEncoder
from ..tables._read_table import as_table
from ..tables._table import Table
from ._check_domains import HOLDER_ALONE, declared_domains

# Numbers are compared in so many parts with even shares of the true cells, a number as label in fewer.
_PARTS, _LABEL_PARTS = 16, 4
# Fewer cells of a part than folds are guessed as its neighbours are.
_FOLDS = 5
_GUESS = {"max_iter": 20, "learning_rate": 0.25, "max_leaf_nodes": 8, "early_stopping": False}


_LEGEND = (
    "total_variation: how far drawn shares are from true ones, 0 to 1; chance: how far they would be if "
    "drawn from the true shares; with_label: as the first, together with the label; matches: share of drawn "
    "cells that are the true one; guessed: of guesses from public columns and label alone."
)


@dataclass(frozen=True, repr=False)
class ReleaseCheck:
    """How drawn cells compare with true ones. Not to be published.

    Parameters
    ----------
    n_rows : int
        Rows of the true table.
    columns : pandas.DataFrame of shape (n_sensitive, 5)
        Of each sensitive column: "total_variation", half the sum of the differences between true and drawn
        shares of its values (of a number: in at most 16 parts with even shares of the true cells);
        "chance", what that would be on average for cells drawn with the true shares; "with_label", as the
        first, of values together with the label (NaN without one); "matches", the share of drawn cells that
        are the true one, or lie in its part; "guessed", that of cells drawn from a model of public columns
        and label alone, which was learnt on other rows: no release can be blamed for so many.
    pairs : pandas.DataFrame of shape (n_sensitive, n_sensitive)
        Total variation of each pair of sensitive columns; NaN on the diagonal.
    shares : mapping of str to pandas.DataFrame
        True and drawn shares of each column's values or parts.
    whole : tuple of str
        Columns whose true cells are whole numbers and whose domain has no ``step=1``, so that drawn cells lie
        between them.
    """

    n_rows: int
    columns: pd.DataFrame
    pairs: pd.DataFrame
    shares: Mapping[str, pd.DataFrame]
    whole: tuple[str, ...] = ()

    @property
    def total_variation(self) -> float:
        """The mean over sensitive columns."""
        return float(self.columns["total_variation"].mean())

    @property
    def pairwise(self) -> float:
        """The mean total variation over pairs of sensitive columns; NaN for one column."""
        return float(np.nanmean(self.pairs)) if len(self.pairs) > 1 else float("nan")

    @property
    def excess_matches(self) -> float:
        """By how much cells match more often than what public columns and label let anybody guess."""
        return float((self.columns["matches"] - self.columns["guessed"]).mean())

    def to_frame(self) -> pd.DataFrame:
        """A copy of `columns`."""
        return self.columns.copy()

    def __repr__(self) -> str:
        lines = [
            HOLDER_ALONE,
            f"Total variation {self.total_variation:.3f} a column, {self.pairwise:.3f} a pair.",
            self._matches(),
            *self._hints(),
            self.columns.to_string(float_format="{:.3f}".format),
            _LEGEND,
        ]
        return "\n".join(lines)

    def _matches(self) -> str:
        points = 100 * self.excess_matches
        than = "more often than" if points > 0 else "less often than"
        return (
            f"Drawn cells are the true ones {abs(points):.1f} points {than} what is guessed from public "
            "columns and label alone."
        )

    def _hints(self) -> list[str]:
        if not self.whole:
            return []
        return [
            f"All true cells of {', '.join(self.whole)} are whole numbers: declared with step=1, drawn ones "
            "are too."
        ]

    def _repr_html_(self) -> str:
        return card(self._body())

    def save_html(self, path: Any) -> None:
        """Write a page with the tables and a picture of the shares of each column.

        Parameters
        ----------
        path : str or Path
        """
        Path(path).write_text(page("Drawn cells beside true ones", card(self._body())), encoding="utf-8")

    def _body(self) -> str:
        numbers = "{:.3f}".format
        parts = [f"<p><b>{html.escape(HOLDER_ALONE)}</b></p>"]
        parts += [f"<p>{html.escape(line)}</p>" for line in (self._matches(), *self._hints(), _LEGEND)]
        parts.append(self.columns.to_html(float_format=numbers, border=0, classes="wide"))
        if len(self.pairs) > 1:
            parts.append("<h3>Total variation of pairs</h3>")
            parts.append(self.pairs.to_html(float_format=numbers, border=0, na_rep=""))
        for column, shares in self.shares.items():
            parts.append(f"<h3>{html.escape(str(column))}</h3>{_bars(shares)}")
        return "\n".join(parts)


def check_release(
    X: Any, released: Any, sensitive: Mapping, y: Any = None, *, random_state: Any = 0
) -> ReleaseCheck:
    """Compare a released table with the true one, before it is shared.

    Nothing is kept, and nothing of it may be published: true cells are read without noise.

    Parameters
    ----------
    X : table of shape (n_rows, n_columns)
        The true table.
    released : table of shape (n_rows, n_columns)
        Its rows in the same order, with drawn sensitive cells, as
        ``PrivateSynthesizer(...).fit(X, y).sample(stacked=False)`` gives them.
    sensitive : mapping of str to Domain
        As ``fit`` takes it, with a domain for each column.
    y : array-like of shape (n_rows,), optional
        Label.
    random_state : int, RandomState or Generator, default=0
        Of the guesses.

    Returns
    -------
    ReleaseCheck
        Text when printed, tables and bars in a notebook.

    Raises
    ------
    InvalidInputError
        If `sensitive` names no column of `X`, or gives one no domain, or if `released` has other rows or
        lacks columns.

    Examples
    --------
    >>> from skfusiondp import PrivateSynthesizer
    >>> from skfusiondp.audit import check_release
    >>> from skfusiondp.datasets import load_adult
    >>> adult = load_adult()
    >>> X, y = adult.table[:2000], adult.target[:2000]
    >>> synthesizer = PrivateSynthesizer(adult.sensitive, epsilon=1.0, random_state=0).fit(X, y)
    >>> tables, label = synthesizer.sample(stacked=False)
    >>> found = check_release(X, tables[0], adult.sensitive, y)
    >>> found.total_variation < 0.1
    True
    """
    true, drawn = as_table(X), as_table(released)
    domains = declared_domains(true, sensitive)
    missing = [c for c in true.columns if c not in drawn.columns]
    if missing:
        raise InvalidInputError(f"released lacks the columns {missing}; give a table with the columns of X.")
    if len(true) != len(drawn):
        raise InvalidInputError(
            f"released has {len(drawn)} rows and X {len(true)}; give one draw of the same rows."
        )
    if isinstance(X, pd.DataFrame) and isinstance(released, pd.DataFrame):
        numbered = pd.RangeIndex(len(X))
        if not released.index.equals(X.index) and not released.index.equals(numbered):
            raise InvalidInputError(
                "released has other index labels than X: rows are compared by position, so give them in the "
                "order of X, released.loc[X.index], or numbered, released.reset_index(drop=True)."
            )
    cells, made = true.sample(list(domains)), drawn.sample(list(domains))
    parted = {c: _parts(d, cells[c], made[c]) for c, d in domains.items()}
    label = None if y is None else _label(y, len(true))
    rng = np.random.default_rng(random_generator(random_state).randint(2**31 - 1))
    known = _known(true, [c for c in true.columns if c not in domains], label)
    rows = {c: _of_column(own, known, label, rng) for c, (own, _) in parted.items()}
    names = list(domains)
    pairs = pd.DataFrame(np.nan, index=names, columns=names)
    for one, other in itertools.combinations(names, 2):
        both = [np.column_stack(pair) for pair in zip(parted[one][0], parted[other][0], strict=True)]
        pairs.loc[one, other] = pairs.loc[other, one] = _total_variation(*both)
    shares = {c: _shares(own, labels) for c, (own, labels) in parted.items()}
    whole = tuple(c for c, d in domains.items() if _is_whole(d, cells[c]))
    return ReleaseCheck(len(true), pd.DataFrame.from_dict(rows, orient="index"), pairs, shares, whole)


def _is_whole(domain: Domain, cells: pd.Series) -> bool:
    """Whether all cells are whole numbers that the domain does not know to be."""
    if not isinstance(domain, Numeric) or domain.step is not None:
        return False
    seen = domain.clean(cells)
    seen = seen[np.isfinite(seen)]
    return bool(len(seen) and (seen == np.rint(seen)).all())


Codes = tuple[np.ndarray, np.ndarray]


def _parts(domain: Domain, true: pd.Series, drawn: pd.Series) -> tuple[Codes, list[str]]:
    """Parts of true and of drawn cells, and what each part is called; the last is that of missing cells."""
    if not isinstance(domain, Ordered):
        count = domain.n_bins(_PARTS)
        codes = domain.bins(true, _PARTS), domain.bins(drawn, _PARTS)
        names = [str(v) for v in domain.restore(domain.centers(_PARTS)).tolist()]
        names += ["undeclared"] * (count - len(names))
        return codes, [*names, "missing"]
    low, high = domain.span
    values = domain.clean(true)
    seen = values[np.isfinite(values)]
    cuts = np.unique(np.quantile(seen, np.linspace(0, 1, _PARTS + 1)[1:-1])) if len(seen) else np.array([])
    cuts = cuts[(cuts > low) & (cuts <= high)]

    def part(cells: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(cells), len(cuts) + 1, np.searchsorted(cuts, cells, side="right"))

    ends = [str(v) for v in domain.restore(np.r_[low, cuts, high]).tolist()]
    names = [f"{a} to {b}" for a, b in itertools.pairwise(ends)]
    return (part(values), part(domain.clean(drawn))), [*names, "missing"]


def _label(y: Any, n_rows: int) -> np.ndarray:
    """Classes, or even shares of a number of many values."""
    check_consistent_length(np.asarray(y), np.empty(n_rows))
    values, codes = np.unique(np.asarray(y), return_inverse=True)
    if len(values) <= _PARTS:
        return codes
    return (codes.argsort().argsort() * _LABEL_PARTS // n_rows).astype(int)


def _known(table: Table, public: list[str], label: np.ndarray | None) -> np.ndarray:
    """What everybody knows of a row, as trees read it."""
    own = [] if label is None else [label[:, None].astype(float)]
    if not public:
        return np.hstack([*own, np.zeros((len(table), 1))])
    frame = table.sample(public)
    return np.hstack([PublicEncoder("ordinal").fit(frame).transform(frame), *own])


def _of_column(
    parts: Codes, known: np.ndarray, label: np.ndarray | None, rng: np.random.Generator
) -> dict[str, float]:
    true, drawn = parts
    n = len(true)
    p = np.bincount(true) / n
    beside = np.nan
    if label is not None:
        beside = _total_variation(*(np.column_stack([codes, label]) for codes in parts))
    return {
        "total_variation": _total_variation(true, drawn),
        # The mean distance of a binomial share from its expectation, near enough.
        "chance": float(np.sqrt(2 * p * (1 - p) / (np.pi * n)).sum() / 2),
        "with_label": beside,
        "matches": float((true == drawn).mean()),
        "guessed": float((true == _guesses(true, known, rng)).mean()),
    }


def _guesses(codes: np.ndarray, known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Parts drawn from a model of what everybody knows, which was learnt on other rows."""
    values, counts = np.unique(codes, return_counts=True)
    aim = np.where(np.isin(codes, values[counts >= _FOLDS]), codes, values[counts.argmax()])
    classes = np.unique(aim)
    if len(classes) < 2:
        return aim
    model = HistGradientBoostingClassifier(random_state=int(rng.integers(2**31)), **_GUESS)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
    p = cross_val_predict(model, known, aim, cv=folds, method="predict_proba")
    return classes[inverse(p, rng.random(len(p)))]


def _total_variation(true: np.ndarray, drawn: np.ndarray) -> float:
    both = np.concatenate([true, drawn])
    codes = np.unique(both, axis=0, return_inverse=True)[1].ravel()
    counts = [np.bincount(c, minlength=codes.max() + 1) for c in np.split(codes, [len(true)])]
    return float(np.abs(counts[0] - counts[1]).sum() / (2 * len(true)))


def _shares(parts: Codes, names: Sequence[str]) -> pd.DataFrame:
    counts = [np.bincount(codes, minlength=len(names)) / len(codes) for codes in parts]
    found = pd.DataFrame({"true": counts[0], "drawn": counts[1]}, index=list(names))
    return found[(found > 0).any(axis=1)]


def _bars(shares: pd.DataFrame) -> str:
    """Two bars a part, as a picture that needs no library: true shares above, drawn ones below."""
    most = max(float(shares.to_numpy().max()), 1e-9)
    height, left, width = 20, 190, 300
    lines = [
        f"<svg viewBox='0 0 {left + width + 60} {height * len(shares) + 20}' role='img' "
        "style='max-width:100%' font-size='11' fill='currentColor' aria-label='true and drawn shares'>",
        f"<text x='{left}' y='10'>upper bar: true, lower bar: drawn</text>",
    ]
    for i, (name, row) in enumerate(shares.iterrows()):
        top = 18 + i * height
        short = html.escape(str(name)[:32])
        lines.append(f"<text x='{left - 6}' y='{top + 11}' text-anchor='end'>{short}</text>")
        for value, shift, colour in ((row["true"], 0, "var(--good)"), (row["drawn"], 8, "var(--warn)")):
            long = width * value / most
            lines.append(
                f"<rect x='{left}' y='{top + shift}' width='{long:.1f}' height='7' style='fill:{colour}'/>"
            )
        lines.append(f"<text x='{left + width + 6}' y='{top + 11}'>{row['true']:.1%}</text>")
    return "\n".join([*lines, "</svg>"])
