"""The pair of views of a table: original and hybrid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._parameters import Satisfies, check_parameters, constraints
from ..exceptions import InvalidInputError
from ._frames import as_frame
from ._schema import Selector, SensitiveSchema, resolve_schema
from ._table import FrameTable

FRAME = Satisfies(lambda f: isinstance(f, pd.DataFrame), "a pandas DataFrame", hidden=True)


@dataclass(frozen=True, eq=False)
class PairedTable:
    """Both views of the same rows: the original one and the hybrid one.

    In the hybrid view the sensitive columns are imputed from public knowledge, so it
    depends on no sensitive cell. The public columns of the two views are the same.

    Parameters
    ----------
    original : pandas.DataFrame of shape (n_rows, n_columns)
        The true table: reading its sensitive columns has to be paid for.
    hybrid : pandas.DataFrame of shape (n_rows, n_columns)
        The same rows with imputed sensitive columns: free to read.
    schema : SensitiveSchema
        Which columns are sensitive and their public domains.
    expected : mapping of str to ndarray of shape (n_rows, width), optional
        Mean of the encoding of each imputed column, such as the probabilities of its categories,
        which cells cannot hold. None: the encoding of the hybrid view's cells.

    Notes
    -----
    ``paired[rows]`` takes rows by position, so scikit-learn's splitters can cut it.
    """

    original: pd.DataFrame
    hybrid: pd.DataFrame
    schema: SensitiveSchema
    expected: Mapping[str, np.ndarray] | None = None

    _constraints = constraints(
        original=FRAME,
        hybrid=FRAME,
        schema=Satisfies(lambda s: isinstance(s, SensitiveSchema), "the schema of a fitted imputer"),
        expected=Satisfies(
            lambda e: isinstance(e, Mapping), "a mapping of columns to arrays", none=True, hidden=True
        ),
    )

    def __post_init__(self) -> None:
        check_parameters(self)
        if self.original.shape != self.hybrid.shape:
            raise InvalidInputError(
                f"The original view has shape {self.original.shape} and the hybrid view "
                f"{self.hybrid.shape}; they must hold the same rows and columns."
            )

    @classmethod
    def from_views(
        cls, original: Any, hybrid: Any, sensitive: Selector = None, *, on_leak: str = "warn"
    ) -> PairedTable:
        """Pair a table with a hybrid view that was made elsewhere.

        Parameters
        ----------
        original, hybrid : tables of shape (n_rows, n_columns)
            The hybrid view may order its columns differently. It must have been made
            without reading the sensitive cells of `original`: that is the caller's promise.
        sensitive : None, mapping or column selector
            As everywhere: {column: domain}, or what ColumnTransformer takes as columns.
        on_leak : {"warn", "raise", "ignore"}
            What happens when a domain has to be read off the training cells.

        Returns
        -------
        PairedTable

        Raises
        ------
        InvalidInputError
            If the views differ in shape, in names or in a public cell.

        Examples
        --------
        >>> import pandas as pd
        >>> from skfusiondp import Numeric
        >>> from skfusiondp.impute import PairedTable
        >>> true = pd.DataFrame({"lab": [1.0, 2.0], "age": [30.0, 60.0]})
        >>> imputed = true.assign(age=[45.0, 45.0])
        >>> PairedTable.from_views(true, imputed, {"age": Numeric(18, 90)}).shape
        (2, 2)
        """
        true, imputed = as_frame(original), as_frame(hybrid)
        if sorted(true.columns) != sorted(imputed.columns):
            differ = sorted(set(true.columns) ^ set(imputed.columns))
            raise InvalidInputError(f"The two views do not have the same columns; they differ in {differ}.")
        imputed = imputed[list(true.columns)]
        schema = resolve_schema(FrameTable(true, original), sensitive, on_leak=on_leak)
        paired = cls(true, imputed, schema)
        for column in schema.public:
            if not _same_cells(true[column], imputed[column]):
                raise InvalidInputError(
                    f"The public column {column!r} differs between the two views; pair the same rows in "
                    "the same order, or name that column sensitive."
                )
        return paired

    @property
    def shape(self) -> tuple[int, int]:
        """(n_rows, n_columns)."""
        return self.original.shape

    @property
    def columns(self) -> pd.Index:
        """Column names."""
        return self.original.columns

    def __len__(self) -> int:
        return len(self.original)

    def __getitem__(self, rows: Any) -> PairedTable:
        rows = np.atleast_1d(np.arange(len(self))[rows])
        return PairedTable(
            self.original.iloc[rows].reset_index(drop=True),
            self.hybrid.iloc[rows].reset_index(drop=True),
            self.schema,
            None if self.expected is None else {c: v[rows] for c, v in self.expected.items()},
        )

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        # What numpy makes of two tables no estimator could use.
        raise TypeError(
            "A PairedTable is two views of the same rows, for FusionDPClassifier and FusionDPRegressor; give "
            "other estimators one view: paired.hybrid, which is free to read, or, in a pipeline, "
            "FoundationImputer(output='hybrid')."
        )

    @property
    def encoded(self) -> Mapping[str, np.ndarray]:
        """Encoding of the sensitive columns of the hybrid view, column by column."""
        given = self.expected or {}
        domains = self.schema.domains
        return {c: given[c] if c in given else d.encode(self.hybrid[c]) for c, d in domains.items()}

    def __repr__(self) -> str:
        return (
            f"PairedTable({len(self)} rows, {len(self.columns)} columns, "
            f"sensitive: {', '.join(self.schema.sensitive) or 'none'})"
        )


def _same_cells(a: pd.Series, b: pd.Series) -> bool:
    missing = a.isna().to_numpy()
    if not np.array_equal(missing, b.isna().to_numpy()):
        return False
    return bool(np.all(a.astype(object).to_numpy()[~missing] == b.astype(object).to_numpy()[~missing]))
