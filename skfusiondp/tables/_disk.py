"""Tables that stay on disk: memory-mapped arrays, and Arrow data sets such as parquet files."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import InvalidInputError, MissingDependencyError
from ._arrow import from_arrow
from ._frames import is_numeric, missing_cells, numeric_values
from ._row_file import RowFile
from ._table import CHUNK_ROWS, Table
from ._unreadable import cells_of

# Rows whose public columns give medians, scales and categories; a table of fewer gives all of its rows.
STATISTICS_ROWS = 2**17


class DiskTable(Table):
    """A table of which a fit holds a few rows at a time.

    Parameters
    ----------
    given : object
        What the user passed.
    columns : sequence of str
    n_rows : int
    """

    in_memory = False

    def __init__(self, given: Any, columns: Sequence[str], n_rows: int):
        self.given = given
        self._own = dict(zip(columns, columns, strict=True))
        self._n_rows = n_rows

    def known_as(self, names: Sequence[str]) -> DiskTable:
        """The same table under an estimator's names, or those of its columns that are named."""
        table = copy.copy(self)
        own = self.columns if len(names) == len(self.columns) else names
        table._own = dict(zip(names, own, strict=True))
        return table

    def without(self, column: str) -> DiskTable:
        """The same table without one of its columns."""
        table = copy.copy(self)
        table._own = {name: own for name, own in self._own.items() if name != column}
        return table

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self._own)

    def __len__(self) -> int:
        return self._n_rows

    def sample(self, columns: Sequence[str]) -> pd.DataFrame:
        index = np.arange(len(self))
        if len(self) > STATISTICS_ROWS:
            # A fixed seed: which public rows these are is no secret, and a refit takes the same.
            drawn = np.random.default_rng(0).choice(index, STATISTICS_ROWS, replace=False, shuffle=False)
            index = np.sort(drawn)
        return self.take(index, columns)

    def witnesses(self, columns: Sequence[str]) -> Mapping[str, pd.Series]:
        found: dict[str, pd.Series] = {}
        for _, frame in self.chunks(columns):
            for column in columns:
                cells = frame[column]
                present = cells[~missing_cells(cells)]
                kept = pd.concat([found[column], present]) if column in found else present
                found[column] = _extremes(kept) if len(kept) else kept
        return found


class MemmapTable(DiskTable):
    """A memory-mapped matrix of numbers, read row by row from its file."""

    def __init__(self, array: np.memmap, given: Any):
        super().__init__(given, [f"x{i}" for i in range(array.shape[1])], len(array))
        self._position = {name: i for i, name in enumerate(self.columns)}
        self._dtype = array.dtype.newbyteorder("=")
        self._file = RowFile.of_memmap(array)
        self._array = array if self._file is None else None

    def empty(self) -> pd.DataFrame:
        return self._frame(np.empty((0, len(self._position)), self._dtype), None)

    def take(self, index: np.ndarray, columns: Sequence[str] | None = None) -> pd.DataFrame:
        if self._file is not None:
            return self._frame(self._file.read(index), columns)
        assert self._array is not None
        return self._frame(np.asarray(self._array[index]), columns)

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pd.DataFrame]]:
        for start in range(0, len(self), CHUNK_ROWS):
            yield start, self.take(np.arange(start, min(start + CHUNK_ROWS, len(self))), columns)

    def _frame(self, values: np.ndarray, columns: Sequence[str] | None) -> pd.DataFrame:
        # As in memory, whole numbers are floats: one missing cell would have made them so.
        kind = self._dtype if self._dtype.kind == "f" else np.dtype(np.float64)
        names = list(self.columns if columns is None else columns)
        wanted = values[:, [self._position[self._own[n]] for n in names]]
        return pd.DataFrame(wanted.astype(kind, copy=False), columns=names)


class ArrowTable(DiskTable):
    """An Arrow data set, such as a folder of parquet files, read by passes over all of it.

    Parquet cells lie compressed, column by column, so that no row can be read alone: `take` passes
    over the data once, whatever it takes.
    """

    rows_ahead = 2**18

    def __init__(self, dataset: Any, given: Any):
        self._dataset = dataset
        index = (dataset.schema.pandas_metadata or {}).get("index_columns", [])
        hidden = {name for name in index if isinstance(name, str)}
        columns = [n for n in dataset.schema.names if n not in hidden]
        twice = sorted({n for n in columns if columns.count(n) > 1})
        if twice:
            raise InvalidInputError(f"Column names {twice} occur twice in X; rename them.")
        super().__init__(given, columns, dataset.count_rows())

    @property
    def labels(self) -> list:
        return list(self.columns)

    def empty(self) -> pd.DataFrame:
        return self._pandas(self._dataset.schema.empty_table().select(list(self._own.values())), self.columns)

    def take(self, index: np.ndarray, columns: Sequence[str] | None = None) -> pd.DataFrame:
        names = list(self.columns if columns is None else columns)
        if not names:
            return pd.DataFrame(index=range(len(index)))
        wanted, place = np.unique(index, return_inverse=True)
        parts = []
        for start, batch in self._batches(names):
            low, high = np.searchsorted(wanted, [start, start + len(batch)])
            if low < high:
                parts.append(batch.take(wanted[low:high] - start))
        if not parts:
            return self.empty()[names]
        # Small copies, so that no batch is kept alive whole.
        taken = pd.concat([self._pandas(part, names) for part in parts], ignore_index=True)
        return taken.iloc[place].reset_index(drop=True)

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pd.DataFrame]]:
        names = list(self.columns if columns is None else columns)
        if not names:
            yield 0, pd.DataFrame(index=range(len(self)))
            return
        for start, batch in self._batches(names):
            yield start, self._pandas(batch, names)

    def _batches(self, names: list[str]) -> Iterator[tuple[int, Any]]:
        start = 0
        # Reading far ahead would keep several row groups in memory.
        few: dict[str, Any] = {"batch_readahead": 1, "fragment_readahead": 1, "use_threads": False}
        if getattr(getattr(self._dataset, "format", None), "default_extname", "") == "parquet":
            from pyarrow.dataset import ParquetFragmentScanOptions

            few["fragment_scan_options"] = ParquetFragmentScanOptions(
                use_buffered_stream=True, buffer_size=2**20, pre_buffer=False
            )
        own = [self._own[n] for n in names]
        for batch in self._dataset.to_batches(columns=own, batch_size=CHUNK_ROWS, **few):
            if len(batch):
                yield start, batch
            start += len(batch)

    def _pandas(self, rows: Any, names: Sequence[str]) -> pd.DataFrame:
        return from_arrow(rows).reset_index(drop=True).set_axis(list(names), axis=1)


def as_disk_table(X: Any) -> DiskTable | None:
    """Return `X` as a table that stays on disk, if it is none already; None for every other kind of table.

    Parameters
    ----------
    X : object
        A two-dimensional numpy.memmap of numbers, a pyarrow Table or data set, or the path of a
        .npy file, of a parquet, feather or Arrow file, or of a folder of parquet files. For anything
        else the result is None.

    Raises
    ------
    InvalidInputError
        For a path that leads nowhere or to a file of another kind.
    MissingDependencyError
        If a path needs pyarrow and it is not installed.
    """
    if isinstance(X, DiskTable):
        return X
    source = _opened(os.fspath(X)) if isinstance(X, str | os.PathLike) else X
    if isinstance(source, np.memmap):
        numbers = source.ndim == 2 and source.dtype.kind in "biuf" and source.size > 0
        return MemmapTable(source, X) if numbers and getattr(source, "_mmap", None) is not None else None
    # Where X is an object of pyarrow, pyarrow is installed; in other cases it is not imported.
    if type(source).__module__.split(".")[0] != "pyarrow":
        return None
    import pyarrow as pa
    import pyarrow.dataset as ds

    if isinstance(source, pa.Table):
        return ArrowTable(ds.dataset(source), X)
    return ArrowTable(source, X) if isinstance(source, ds.Dataset) else None


def _opened(path: str) -> Any:
    """What lies at a path, as a memory map or an Arrow data set; nothing is read."""
    if not os.path.exists(path):
        raise InvalidInputError(f"X={path!r} is neither a table nor the path of an existing file or folder.")
    ending = os.path.splitext(path)[1].lower()
    if ending == ".npy":
        return np.load(path, mmap_mode="r")
    kinds = {".parquet": "parquet", ".pq": "parquet", ".feather": "feather", ".arrow": "ipc"}
    kind = "parquet" if os.path.isdir(path) else kinds.get(ending)
    if kind is None:
        raise InvalidInputError(
            f"X={path!r} ends in {ending!r}; pass the path of a .npy, .parquet, .feather or .arrow file, or "
            "of a folder of parquet files, or read the table yourself."
        )
    try:
        import pyarrow.dataset as ds
    except ImportError as error:
        raise MissingDependencyError(
            f"Reading {path!r} needs pyarrow, which is not installed: pip install pyarrow."
        ) from error
    return ds.dataset(path, format=kind)


def _extremes(cells: pd.Series) -> pd.Series:
    """Of numbers the least and the greatest, of anything else one cell of each kind."""
    if not is_numeric(cells) or pd.api.types.is_bool_dtype(cells.dtype):
        texts = [(type(v), str(v)) for v in cells_of(cells)]  # lists cannot be compared
        return cells[~pd.Series(texts, dtype=object).duplicated().to_numpy()]
    values = numeric_values(cells, sensitive=True)
    finite = np.flatnonzero(np.isfinite(values))
    if not len(finite):
        return cells.iloc[:1]
    return cells.iloc[[finite[values[finite].argmin()], finite[values[finite].argmax()]]]
