"""Tables that stay on disk: memory-mapped arrays, and Arrow data sets such as parquet files."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import InvalidInputError, MissingDependencyError
from ._row_file import RowFile

CHUNK_ROWS = 65_536


class DiskTable(ABC):
    """A table of which a fit holds a few rows at a time.

    Attributes
    ----------
    columns : tuple of str
    named : bool
        Whether the columns have names of their own.
    cheap_rows : bool
        Whether single rows are read at a cost that does not grow with the table.
    """

    columns: tuple[str, ...]
    named: bool
    cheap_rows: bool

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def empty(self) -> pd.DataFrame:
        """No rows, but every column with its type."""

    @abstractmethod
    def take(self, index: np.ndarray, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Rows at positions, which may be any and in any order, in the columns named."""

    @abstractmethod
    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pd.DataFrame]]:
        """The whole table in order: the position of a chunk's first row, and the chunk."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n_rows, n_columns)."""
        return len(self), len(self.columns)


class MemmapTable(DiskTable):
    """A memory-mapped matrix of numbers, read row by row from its file."""

    named = False
    cheap_rows = True

    def __init__(self, array: np.memmap):
        self._n_rows, width = array.shape
        self.columns = tuple(f"x{i}" for i in range(width))
        self._dtype = array.dtype.newbyteorder("=")
        self._file = RowFile.of_memmap(array)
        self._array = array if self._file is None else None

    def __len__(self) -> int:
        return self._n_rows

    def empty(self) -> pd.DataFrame:
        return self._frame(np.empty((0, len(self.columns)), self._dtype), None)

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
        frame = pd.DataFrame(values.astype(kind, copy=False), columns=list(self.columns))
        return frame if columns is None else frame[list(columns)]


class ArrowTable(DiskTable):
    """An Arrow data set, such as a folder of parquet files, read by passes over all of it.

    Parquet cells lie compressed, column by column, so that no row can be read alone: `take` passes
    over the data once, whatever it takes.
    """

    named = True
    cheap_rows = False

    def __init__(self, dataset: Any):
        self._dataset = dataset
        index = (dataset.schema.pandas_metadata or {}).get("index_columns", [])
        hidden = {name for name in index if isinstance(name, str)}
        self.columns = tuple(n for n in dataset.schema.names if n not in hidden)
        self._n_rows = dataset.count_rows()

    def __len__(self) -> int:
        return self._n_rows

    def empty(self) -> pd.DataFrame:
        return _pandas(self._dataset.schema.empty_table().select(list(self.columns)))

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
        taken = pd.concat([_pandas(part) for part in parts], ignore_index=True)
        return taken.iloc[place].reset_index(drop=True)

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pd.DataFrame]]:
        names = list(self.columns if columns is None else columns)
        if not names:
            yield 0, pd.DataFrame(index=range(len(self)))
            return
        for start, batch in self._batches(names):
            yield start, _pandas(batch)

    def _batches(self, names: list[str]) -> Iterator[tuple[int, Any]]:
        start = 0
        # Reading far ahead would keep several row groups in memory.
        few: dict[str, Any] = {"batch_readahead": 1, "fragment_readahead": 1, "use_threads": False}
        if getattr(getattr(self._dataset, "format", None), "default_extname", "") == "parquet":
            from pyarrow.dataset import ParquetFragmentScanOptions

            few["fragment_scan_options"] = ParquetFragmentScanOptions(
                use_buffered_stream=True, buffer_size=2**20, pre_buffer=False
            )
        for batch in self._dataset.to_batches(columns=names, batch_size=CHUNK_ROWS, **few):
            if len(batch):
                yield start, batch
            start += len(batch)


def as_disk_table(X: Any) -> DiskTable | None:
    """Return `X` as a table that stays on disk; None for every other kind of table.

    Parameters
    ----------
    X : object
        A two-dimensional numpy.memmap of numbers, a pyarrow Table or data set, or the path of a
        .npy file, of a parquet, feather or Arrow file, or of a folder of parquet files. Anything else
        is none of this function's business.

    Raises
    ------
    InvalidInputError
        For a path that leads nowhere or to a file of another kind.
    MissingDependencyError
        If a path needs pyarrow and it is not installed.
    """
    if isinstance(X, str | os.PathLike):
        return as_disk_table(_opened(os.fspath(X)))
    if isinstance(X, np.memmap):
        numbers = X.ndim == 2 and X.dtype.kind in "biuf" and X.size > 0
        return MemmapTable(X) if numbers and getattr(X, "_mmap", None) is not None else None
    # An object of pyarrow's shows that pyarrow is there; nobody else has to import it.
    if type(X).__module__.split(".")[0] != "pyarrow":
        return None
    import pyarrow as pa
    import pyarrow.dataset as ds

    if isinstance(X, pa.Table):
        return ArrowTable(ds.dataset(X))
    return ArrowTable(X) if isinstance(X, ds.Dataset) else None


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


def _pandas(rows: Any) -> pd.DataFrame:
    return rows.to_pandas().reset_index(drop=True)
