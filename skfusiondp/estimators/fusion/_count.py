"""Where the sensitive cells lie, by one noised count of them before the first step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ...privacy import PrivatePlan
from ...privacy._accountant import calibrate_noise_multiplier
from ...privacy._plan import Tier
from ...tables._domain import Domain
from ...tables._ordered import Ordered
from ...tables._schema import SensitiveSchema
from ...tables._table import Table
from ..joint._counted_cells import CountedCells
from ..offset._correction import COUNTS, Releases, accountant_clipping
from ..offset._indicator_rows import IndicatorRows, Piece, read_pieces

# A count has the noise of one of so many full releases that would cost all of the budget.
_RELEASES = 12
# Quantiles of a column that its knots are taken from.
_QUANTILES = 1_001


def uncut(domains: Mapping[str, Domain | None]) -> tuple[str, ...]:
    """Columns of numbers whose domains have no knots."""
    return tuple(c for c, d in domains.items() if isinstance(d, Ordered) and d.knots is None)


def count_plan(plan: PrivatePlan, columns: tuple[str, ...], epsilon: float) -> PrivatePlan | None:
    """Plan a count of some columns' cells, as one of twelve releases that together would cost `epsilon`.

    Returns
    -------
    PrivatePlan or None
        None where its noise would hide all rows, or columns have budgets of their own.
    """
    if len(plan.tiers) != 1 or not plan.steps:
        return None
    noise = calibrate_noise_multiplier(
        epsilon, plan.delta, 1.0, _RELEASES, plan.adjacency, rows_per_unit=plan.rows_per_unit
    )
    if noise > plan.n_rows:
        return None
    clipping = accountant_clipping(COUNTS, 1.0, plan.adjacency)
    return replace(plan, sample_rate=1.0, steps=1, tiers=(Tier(columns, noise, clipping),))


def count_cells(cells: CountedCells, table: Table, kept: np.ndarray, releases: Releases) -> np.ndarray:
    """Count the kept rows of a table by `cells.features`: one release, what ``cells.learn`` takes."""

    def piece(frame: pd.DataFrame, rows: np.ndarray) -> Piece:
        nothing = np.zeros((len(rows), 1))
        return Piece(cells.features(frame), nothing, nothing, np.ones(len(rows)))

    columns = tuple(cells.domains)
    counted = IndicatorRows(
        lambda: read_pieces(table, columns, kept, piece), int(kept.sum()), sum(cells.sizes), 1, 1
    )
    return releases.counts(counted, len(cells.sizes))


def with_knots(schema: SensitiveSchema, cells: CountedCells) -> SensitiveSchema:
    """The schema with the counted columns' knots where their cells lie."""
    shares = np.linspace(0, 1, _QUANTILES)
    domains = dict(schema.domains)
    for column in cells.domains:
        domain: Any = domains[column]  # a dataclass; what knots it has are those of few support rows
        domains[column] = replace(domain, knots=None).with_knots_of(cells.quantiles(column, shares))
    return replace(schema, domains=domains)
