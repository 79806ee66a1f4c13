"""Rows of a file are read and written where they are."""

import numpy as np
import pytest

from skfusiondp.tables._disk import as_disk_table
from skfusiondp.tables._row_file import RowFile


@pytest.fixture(scope="module")
def array():
    return np.random.default_rng(0).normal(size=(600, 5)).astype(np.float32)


@pytest.fixture
def memmap(array, tmp_path):
    np.save(tmp_path / "table.npy", array)
    return np.load(tmp_path / "table.npy", mmap_mode="r")


@pytest.mark.parametrize(
    "cut",
    [lambda m: m[100:400], lambda m: m[:, 1:], lambda m: m[::2], lambda m: m[5:300:3, 1:4]],
    ids=["rows", "columns", "step", "all"],
)
def test_slices_of_a_memmap_are_read_where_they_are(cut, array, memmap):
    """A slice keeps its parent's offset attribute, which is then wrong."""
    table = as_disk_table(cut(memmap))
    index = np.array([3, 0, 98, 50, 50, 51])
    np.testing.assert_array_equal(table.take(index), cut(array)[index])
    assert isinstance(table._file, RowFile)


def test_maps_whose_rows_are_not_in_the_file_are_read_through_the_map(array, tmp_path):
    np.save(tmp_path / "columns.npy", np.asfortranarray(array))
    np.save(tmp_path / "changed.npy", array)
    changed = np.load(tmp_path / "changed.npy", mmap_mode="c")
    changed[0] = 5.0
    for X in (np.load(tmp_path / "columns.npy", mmap_mode="r"), changed):
        np.testing.assert_array_equal(as_disk_table(X).take(np.array([7, 0])), np.asarray(X)[[7, 0]])


def test_a_temporary_file_of_rows():
    file = RowFile.temporary(50, 3)
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    index = np.array([40, 2, 3, 49])
    file.write(index, rows)
    assert np.array_equal(file.read(index), rows)
    assert not file.read(np.array([0, 1])).any() and file.read(np.array([], int)).shape == (0, 3)


def test_a_file_that_is_too_short_says_so(array, memmap, tmp_path):
    table = as_disk_table(memmap)
    with open(tmp_path / "table.npy", "r+b") as file:
        file.truncate(1000)
    with pytest.raises(OSError, match="shorter than the table"):
        table.take(np.array([599]))
