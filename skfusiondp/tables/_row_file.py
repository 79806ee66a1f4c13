"""Rows of fixed width in a file, read and written by position without mapping the file."""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from typing import Any, BinaryIO

import numpy as np


class RowFile:
    """A matrix in a file, of which only the rows asked for are read into memory.

    A memory map fills the process's resident memory page by page as rows are touched, until all of the
    file is in it; plain reads keep only what they return.

    Parameters
    ----------
    file : binary file
    dtype : numpy.dtype
    width : int
        Numbers a row.
    offset, stride : int
        Bytes before the first row, and from one row to the next.
    """

    def __init__(self, file: BinaryIO, dtype: np.dtype, width: int, offset: int, stride: int):
        self._file = file
        weakref.finalize(self, file.close)
        self.dtype = np.dtype(dtype)
        self.width = width
        self._offset = offset
        self._stride = stride

    @classmethod
    def of_memmap(cls, array: np.memmap) -> RowFile | None:
        """The rows of a memory-mapped matrix, or None where its rows cannot be read from the file.

        Parameters
        ----------
        array : numpy.memmap of shape (n_rows, n_columns)
            Also a slice of rows or of columns.
        """
        mapped: Any = getattr(array, "_mmap", None)
        whole_rows = array.strides[1] == array.itemsize and array.strides[0] > 0
        # A copy-on-write map may hold changes that the file does not.
        if mapped is None or array.mode == "c" or not whole_rows or not hasattr(os, "preadv"):
            return None
        # A slice keeps its parent's `offset`: only addresses tell where it really starts.
        start = np.frombuffer(mapped, np.uint8).ctypes.data
        offset = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY + array.ctypes.data - start
        try:
            file: Any = open(str(array.filename), "rb", buffering=0)  # noqa: SIM115 - lives with this object
        except OSError:
            return None
        return cls(file, array.dtype, array.shape[1], offset, array.strides[0])

    @classmethod
    def temporary(cls, n_rows: int, width: int) -> RowFile:
        """An empty file of rows in single precision, which disappears with this object."""
        file: Any = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - lives with this object
        dtype = np.dtype(np.float32)
        stride = width * dtype.itemsize
        file.truncate(n_rows * stride)
        return cls(file, dtype, width, 0, stride)

    def read(self, index: np.ndarray) -> np.ndarray:
        """Rows at positions, ndarray of shape (n_index, width)."""
        rows = np.empty((len(index), self.width), self.dtype)
        self._each_run(index, rows, os.preadv, "ended early: it is shorter than the table")
        return rows

    def write(self, index: np.ndarray, rows: np.ndarray) -> None:
        """Put rows at positions."""
        rows = np.ascontiguousarray(rows, self.dtype)
        self._each_run(index, rows, os.pwritev, "took only part of a row: is the disk full?")

    def _each_run(self, index: np.ndarray, rows: Any, call: Any, trouble: str) -> None:
        """Read or write each stretch of consecutive rows by one system call."""
        row_bytes = self.width * self.dtype.itemsize
        if not len(index) or not row_bytes:
            return
        buffer = memoryview(rows).cast("B")
        joined = np.diff(index) == 1 if self._stride == row_bytes else np.zeros(len(index) - 1, bool)
        starts = np.concatenate([[0], np.flatnonzero(~joined) + 1])
        stops = np.append(starts[1:], len(index))
        places = self._offset + index[starts].astype(np.int64) * self._stride
        handle = self._file.fileno()
        for start, stop, place in zip(starts.tolist(), stops.tolist(), places.tolist(), strict=True):
            part = buffer[start * row_bytes : stop * row_bytes]
            if call(handle, [part], place) != len(part):
                raise OSError(f"The file of rows {trouble}.")
