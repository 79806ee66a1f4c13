"""Neighbouring relations: one record for each, which all other code reads.

A new relation is a record in ``RELATIONS``, the proof of its pair in docs/guarantee.md, and its tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._parameters import OneOf


@dataclass(frozen=True)
class Relation:
    """Which tables are neighbours, in words, and what that means for noise and accounting.

    Parameters
    ----------
    name : str
        What users pass as ``adjacency=``, and what ledgers and files hold.
    neighbours : str
        How neighbouring tables differ, where each row is a unit.
    unit_neighbours : str
        The same where a unit has several rows; ``{unit}`` stands for it.
    protects_rows : bool
        Whether whole rows are protected, public columns and label included; else the sensitive cells.
    erases : bool
        Whether a neighbour's cells are erased, so that two values of a cell are no neighbours of each other.
    pairs : tuple of (float, float)
        What a row of clipped norm 1 adds to a sum in each of two neighbours, at its worst, the larger one
        first. The accountant takes the costliest pair.
    not_covered : str
        What a report must say that the relation leaves out; may be empty.

    Examples
    --------
    >>> from skfusiondp.privacy._relations import relation
    >>> relation("replace").sensitivity(1.5), relation("zero-out").sensitivity(1.5)
    (3.0, 1.5)
    """

    name: str
    neighbours: str
    unit_neighbours: str
    pairs: tuple[tuple[float, float], ...]
    protects_rows: bool = False
    erases: bool = False
    not_covered: str = ""

    def in_words(self, rows_per_unit: int = 1) -> str:
        """How neighbouring tables differ, where a unit (a person, say) has at most so many rows."""
        if rows_per_unit == 1:
            return self.neighbours
        unit = f"one unit (a person, say, with at most {rows_per_unit} rows)"
        return self.unit_neighbours.format(unit=unit)

    def sensitivity(self, clipping_norm: float) -> float:
        """How far one row can move a sum of rows that are clipped to this norm."""
        return clipping_norm * max(one - other for one, other in self.pairs)

    def clipping_norm(self, diameter: float, reach: float) -> float:
        """What the noise multiplier multiplies, for the set of vectors that one row can add.

        Parameters
        ----------
        diameter : float
            Largest distance of two vectors of the set.
        reach : float
            Largest distance of one from what a row adds that is erased or absent.

        Returns
        -------
        float
            Half the diameter where the accountant's pair lies two norms apart; the reach where it lies one
            apart. A Gaussian's divergence depends on the distance of the means alone.
        """
        return diameter / 2 if self.sensitivity(1.0) == 2 else reach


# A row that is erased or absent adds nothing, whichever of two neighbours it is missing from.
_VANISHES = ((1.0, 0.0), (0.0, -1.0))

RELATIONS = {
    r.name: r
    for r in (
        Relation(
            "replace",
            "the sensitive cells of one row change to any other values",
            "the sensitive cells of all rows of {unit} change to any other values",
            # docs/guarantee.md proves that this pair dominates those of all clipped vectors.
            pairs=((1.0, -1.0),),
        ),
        Relation(
            "zero-out",
            "the sensitive cells of one row are erased (not: missing), so that it adds nothing to a sum",
            "the sensitive cells of any rows of {unit} are erased (not: missing), so that those rows add "
            "nothing to a sum",
            pairs=_VANISHES,
            erases=True,
            not_covered="two arbitrary values of a cell: zero-out compares a value with its being erased",
        ),
        Relation(
            "add-remove",
            "one whole row is added or removed",
            "any rows of {unit} are added or removed",
            pairs=_VANISHES,
            protects_rows=True,
        ),
    )
}
#: The names of the relations that protect sensitive cells: those of every method but DP-SGD.
CELL_RELATIONS = tuple(name for name, r in RELATIONS.items() if not r.protects_rows)
#: The names of those that protect whole rows.
ROW_RELATIONS = tuple(name for name, r in RELATIONS.items() if r.protects_rows)


def relation(name: Any) -> Relation:
    """The relation of a name.

    Parameters
    ----------
    name : str
        What users pass as ``adjacency=``.

    Raises
    ------
    InvalidInputError
        If there is none of that name.
    """
    OneOf(RELATIONS).check("adjacency", name)
    return RELATIONS[name]


def whose_rows(rows_per_unit: int, unit: str = "") -> str:
    """Whose epsilon it is, in words: a row's, or that of a unit of several rows."""
    if rows_per_unit == 1:
        return "one row"
    named = f" of {unit}" if unit else ""
    return f"one unit{named}, with at most {rows_per_unit} rows"
