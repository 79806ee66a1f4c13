"""The joint model of the sensitive columns: one family after the other, each given those before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from ...impute._draws import inverse
from ...tables._domain import Domain
from ...tables._ordered import Ordered
from ._coded_columns import CodedColumn
from ._conditional_family import ABSENT, COMMON, Released, evidence, fit_family, information, probabilities
from ._counted_cells import CountedCells
from ._embedding import Embedding
from ._public_features import LABEL_GROUPS
from ._releases import JointReleases
from ._support_cells import LocatedCells, SupportCells

# Part of the releases that counts where cells lie, if no support rows show it.
_COUNTED = 1 / 12
# Part of the releases by which the columns' needs are found; the least need of one against the largest.
_FIRST, _LEAST = 0.15, 0.1
# Releases of all pairs of columns against those of all columns with public facts.
_PAIRS = 0.15
# Groups of parameters of pairs are numbered from here on.
_FIRST_PAIR = 100
# Coordinates of an interval, and of a list, that enter pairs.
_PAIR_BENDS, _PAIR_VALUES = 8, 31
# Rows, drawn several times where they are fewer, that the families are fitted on.
_FITTED_ROWS, _MOST_COPIES = 30_000, 3
# Missing cells are drawn where the released sums show more of them than so many deviations of their noise.
_SURELY = 3.0
# Rows that are drawn at once.
_DRAWN_ROWS = 16_384

# Uniform numbers for all rows, given the position of a column and which of its two they are.
Uniforms = Callable[[int, int], np.ndarray]


@dataclass(frozen=True, eq=False)
class PublicSide:
    """Public facts of the rows that sums are over.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
        Of norm at most 1.
    group : ndarray of shape (n_features,), int
        What each is of.
    fitted : ndarray of shape (n_fitted, n_features)
        Of rows that stand for the table.
    weight : float
        Rows of the table that each of these stands for.
    """

    features: np.ndarray
    group: np.ndarray
    fitted: np.ndarray
    weight: float

    @property
    def label(self) -> np.ndarray:
        """Which features are of the label; all but the constant where there is none."""
        of_label = np.isin(self.group, LABEL_GROUPS)
        return of_label if of_label.any() else self.group > 0


class JointModel:
    """Sensitive cells given public features.

    Parameters
    ----------
    columns : mapping of str to CodedColumn
    """

    _plain_values = True
    # As models were fitted that do not say, saved by earlier versions.
    goes_with_label = True

    def __init__(self, columns: Mapping[str, CodedColumn]):
        self.columns = dict(columns)
        self._embeddings = [Embedding.of(c.n_parts, c.ordered) for c in columns.values()]
        self._in_pairs = [
            e.leading(_PAIR_BENDS if c.ordered else _PAIR_VALUES)
            for e, c in zip(self._embeddings, columns.values(), strict=True)
        ]
        self.theta: list[np.ndarray] = []
        self.has_missing: list[bool] = []
        self._shown: list[float] = []

    @classmethod
    def released(
        cls,
        domains: Mapping[str, Domain],
        support: pd.DataFrame | None,
        cells: pd.DataFrame,
        kept: np.ndarray,
        features: np.ndarray,
        group: np.ndarray,
        releases: JointReleases,
        rng: np.random.Generator,
        least_evidence: float = -math.inf,
    ) -> JointModel:
        """Cut columns where cells lie, by support rows or by a first count, and fit as `fit` does.

        Parameters
        ----------
        domains : mapping of str to domain
        support : DataFrame of shape (n_support, n_columns) or None
        cells, kept, features, group, releases, rng, least_evidence
            As in `fit`.
        """
        located = located_cells(domains, support, cells[kept], releases)
        model = cls({c: CodedColumn.of(d, c, located) for c, d in domains.items()})
        model.fit(cells, kept, features, group, releases, rng, least_evidence)
        return model

    def fit(
        self,
        cells: pd.DataFrame,
        kept: np.ndarray,
        features: np.ndarray,
        group: np.ndarray,
        releases: JointReleases,
        rng: np.random.Generator,
        least_evidence: float = -math.inf,
    ) -> None:
        """Release sums of true cells, and fit.

        Parameters
        ----------
        cells : DataFrame of shape (n_rows, n_sensitive)
        kept : ndarray of shape (n_rows,), bool
            Rows whose cells are read.
        features : ndarray of shape (n_rows, n_features)
            Public, of norm at most 1.
        group : ndarray of shape (n_features,), int
            What each is of; 0 is the same for all rows.
        releases : JointReleases
        rng : Generator
            For draws that the fit rests on.
        least_evidence : float
            Cells go with the label only where `evidence` is above this.
        """
        rows = np.arange(len(features))
        if len(rows) > _FITTED_ROWS:
            rows = rng.choice(len(rows), _FITTED_ROWS, replace=False)
        known, weight = features[rows], kept.sum() / len(rows)
        codes = [c.codes(cells[name])[kept] for name, c in self.columns.items()]
        self._shown = []
        public = PublicSide(features[kept], group, known, weight)
        released = self._release(codes, public, releases)
        copies = min(_MOST_COPIES, max(1, _FITTED_ROWS // len(rows)))
        known, weight = np.tile(known, (copies, 1)), weight / copies
        self.goes_with_label = self.evidence > least_evidence
        if not self.goes_with_label:
            # Sums of zero with features of zero: the parameters of what is of the label are zero then.
            known[:, public.label] = 0.0
            for sums in released:
                sums.total[: len(group)][public.label] = 0.0
        self.theta = []
        self.has_missing = [
            shows_missing(sums, e.points, public) for sums, e in zip(released, self._embeddings, strict=True)
        ]
        for j, sums in enumerate(released):
            self.theta.append(fit_family(sums, known, weight, self._embeddings[j].points))
            drawn = inverse(self._chances(j, known), rng.random(len(known)))
            known = np.hstack([known, self._in_pairs[j].points[drawn]])

    @property
    def evidence(self) -> float:
        """Log of how much likelier the sums are if one column goes with the label than if none does.

        Beyond what it tells of other public facts, as far as that is linear in their features. Which column
        it is, and whether by itself or with the score, is not known: all are as likely.
        """
        return float(logsumexp(self._shown) - np.log(len(self._shown))) if self._shown else 0.0

    def _release(
        self, codes: list[np.ndarray], public: PublicSide, releases: JointReleases
    ) -> list[Released]:
        """The sums of each column: with public features, in two parts, then with each column before it."""
        n = len(codes)
        first = _FIRST * releases.left / n
        sums = [
            self._marginal(c, e, public, releases, first)
            for c, e in zip(codes, self._embeddings, strict=True)
        ]
        told = np.array(
            [
                information(s, public.fitted, public.weight, e.points, public.label)
                for s, e in zip(sums, self._embeddings, strict=True)
            ]
        )
        shares = _LEAST + (1 - _LEAST) * np.sqrt(told / max(told.max(), 1e-9))
        unit = releases.left / (shares.sum() * (1 + _PAIRS))
        # Of all pairs together; their number is that of the columns before each.
        pair = _PAIRS * shares.sum() * unit / max(1, n * (n - 1) / 2)
        if n == 1:
            unit *= 1 + _PAIRS
        found = []
        for j, (embedding, share) in enumerate(zip(self._embeddings, unit * shares, strict=True)):
            more = self._marginal(codes[j], embedding, public, releases, share)
            own = sums[j].averaged(more, first / (first + share))
            self._shown += evidence(own, public.fitted, public.weight, embedding.points, public.label)
            parts = [own]
            parts += [self._pair(codes, i, j, releases, pair) for i in range(j)]
            found.append(Released.stacked(parts))
        return found

    def _marginal(
        self,
        codes: np.ndarray,
        embedding: Embedding,
        public: PublicSide,
        releases: JointReleases,
        share: float,
    ) -> Released:
        total, std = releases.marginal(codes, embedding, public.features, share)
        group = public.group[:, None]
        own = np.where(group == 0, COMMON, np.broadcast_to(group, total.shape))
        return Released(total, np.full(len(total), std), own)

    def _pair(
        self, codes: list[np.ndarray], i: int, j: int, releases: JointReleases, share: float
    ) -> Released:
        one, other = self._in_pairs[i], self._in_pairs[j]
        total, std = releases.pair((codes[i], codes[j]), (one, other), share)
        more = ((0, 0), (0, self._embeddings[j].whole.shape[1] - total.shape[1]))
        own = np.full(total.shape, _FIRST_PAIR + i)
        return Released(
            np.pad(total, more), np.full(len(total), std), np.pad(own, more, constant_values=ABSENT)
        )

    def _chances(self, j: int, known: np.ndarray) -> np.ndarray:
        """Probabilities of a column's parts, of shape (n_rows, n_parts)."""
        p = probabilities(self.theta[j], known, self._embeddings[j].points)
        if not self.has_missing[j]:
            p[:, -1] = 0.0
        return p

    def draw(self, features: np.ndarray, uniforms: Uniforms) -> pd.DataFrame:
        """Sensitive cells of rows with such public features.

        Parameters
        ----------
        features : ndarray of shape (n_rows, n_features)
        uniforms : callable
            Uniform numbers of all rows, given the position of a column and 0 for the part or 1 for the place
            in it.
        """
        n, drawn = len(features), {}
        codes: list[np.ndarray] = []
        for j, (name, column) in enumerate(self.columns.items()):
            chance, part = uniforms(j, 0), np.empty(n, dtype=np.int64)
            for first in range(0, n, _DRAWN_ROWS):
                rows = slice(first, first + _DRAWN_ROWS)
                before = [e.points[c[rows]] for e, c in zip(self._in_pairs, codes, strict=False)]
                known = np.hstack([features[rows], *before])
                part[rows] = inverse(self._chances(j, known), chance[rows])
            codes.append(part)
            drawn[name] = column.cells(part, uniforms(j, 1))
        return pd.DataFrame(drawn)


def located_cells(
    domains: Mapping[str, Domain],
    support: pd.DataFrame | None,
    cells: pd.DataFrame,
    releases: JointReleases,
) -> LocatedCells:
    """Where cells lie: by support rows, or by a first count of the rows to be read."""
    if support is not None:
        return SupportCells(domains, support)
    counted = CountedCells({c: d for c, d in domains.items() if isinstance(d, Ordered)})
    if counted.domains:  # a list's values need no cuts
        share = _COUNTED * releases.left
        counted.learn(releases.counts(counted.features(cells), len(counted.sizes), share))
    return counted


def shows_missing(sums: Released, points: np.ndarray, public: PublicSide) -> bool:
    """Whether more missing cells were released than noise explains. A function of the release: it is free.

    The sums with the feature that is the same for all rows are counts of the parts, but for the parts' mean,
    which the number of rows gives.
    """
    constant = int(np.flatnonzero(public.group == 0)[0])
    size = float(public.features[0, constant])
    solved = np.linalg.inv(np.column_stack([points, np.ones(len(points))]).T)[-1]
    counted = solved @ np.r_[sums.total[constant] / size, len(public.features)]
    return bool(counted > _SURELY * sums.std[constant] / size * np.linalg.norm(solved[:-1]))
