"""Distinct rows of a table: what is near what, and how rare."""

from __future__ import annotations

import numpy as np
import pandas as pd

from skfusiondp.tables._distinct_rows import DistinctRows


def neighbours(frame: pd.DataFrame) -> dict:
    """Neighbours of each distinct row, by its cells."""
    rows = DistinctRows.of(frame, tuple(frame))
    # Values are numbered in the order of the table, so rows of the table are found by their numbers.
    kinds = np.stack([pd.factorize(frame[c])[0] for c in frame if frame[c].nunique() > 1], axis=1)
    found = dict(zip(map(tuple, rows.values.tolist()), rows.neighbours().tolist(), strict=True))
    return {
        tuple(cells): found[tuple(kind)]
        for cells, kind in zip(frame.to_numpy().tolist(), kinds.tolist(), strict=True)
    }


def test_neighbours_differ_in_one_column():
    frame = pd.DataFrame({"a": list("xxyyz"), "b": list("pqppr"), "c": list("uuuvw")})
    assert neighbours(frame) == {
        ("x", "p", "u"): 2,
        ("x", "q", "u"): 1,
        ("y", "p", "u"): 2,
        ("y", "p", "v"): 1,
        ("z", "r", "w"): 0,
    }


def test_counts_tell_how_often_a_row_occurs_and_copies_change_nothing_else():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(0, 4, 60), "b": rng.integers(0, 5, 60), "c": rng.normal(size=60)})
    once = DistinctRows.of(frame, tuple(frame))
    thrice = DistinctRows.of(pd.concat([frame] * 3, ignore_index=True), tuple(frame))
    assert (once.counts * 3 == thrice.counts).all() and once.counts.sum() == 60
    assert (once.neighbours() == thrice.neighbours()).all() and (once.rare() == thrice.rare()).all()


def test_numbers_of_many_values_are_neighbours_where_they_are_close():
    numbers = [*range(100, 130), 500.0, 503.0, 900.0]
    found = neighbours(pd.DataFrame({"ward": ["a", "b"] * 16 + ["a"], "dose": numbers}))
    assert found["a", 100.0] == 1 and found["b", 101.0] == 1 and found["a", 110.0] == 2
    assert found["a", 500.0] == found["b", 503.0] == found["a", 900.0] == 0


def test_rare_rows_are_those_of_values_that_few_distinct_rows_have():
    frame = pd.DataFrame({"a": list("xxxxyz"), "b": list("pqrspp")})
    rows = DistinctRows.of(pd.concat([frame] + [frame[-1:]] * 9, ignore_index=True), ("a", "b"))
    rare = {tuple(v) for v in rows.values[rows.rare()].tolist()}
    assert (0, 0) not in rare and {(1, 0), (2, 0)} <= rare


def test_a_column_that_another_determines_does_not_part_neighbours():
    rng = np.random.default_rng(0)
    job, age = rng.integers(0, 6, 200), rng.integers(0, 9, 200)
    plain = DistinctRows.of(pd.DataFrame({"job": job, "age": age}), ("job", "age"))
    more = pd.DataFrame({"job": job, "age": age, "name": [f"n{j}" for j in job], "trade": job // 2})
    assert sorted(DistinctRows.of(more, tuple(more)).neighbours()) == sorted(plain.neighbours())


def test_columns_of_one_category_are_one_column():
    rng = np.random.default_rng(0)
    kind, age = rng.integers(0, 9, 300), rng.integers(0, 9, 300)
    plain = DistinctRows.of(pd.DataFrame({"kind": kind, "age": age}), ("kind", "age"))
    for kept in (9, 8):  # the last one may be left out, as what the others are not
        more = pd.DataFrame({"age": age, **{f"is_{i}": kind == i for i in range(kept)}})
        rows = DistinctRows.of(more, tuple(more))
        assert sorted(rows.neighbours()) == sorted(plain.neighbours())
        assert abs(rows.most_neighbours() - plain.most_neighbours()) < 1e-9


def test_independent_truth_values_are_columns_of_their_own():
    rows = np.random.default_rng(0).random((500, 6)) < [0.5, 0.4, 0.3, 0.2, 0.15, 0.1]
    frame = pd.DataFrame(rows).add_prefix("x")
    assert len(DistinctRows.of(frame, tuple(frame))._groups()) == 6


def test_tables_without_rows_or_differences_have_nothing_to_tell():
    for frame in (pd.DataFrame({"a": []}), pd.DataFrame({"a": [1, 1, 1]}), pd.DataFrame(index=range(3))):
        rows = DistinctRows.of(frame, tuple(frame))
        assert rows.counts.sum() == len(frame) and not rows.neighbours().any()


def test_different_rows_of_many_truth_values_are_never_taken_for_one():
    frame = pd.DataFrame([(i >> np.arange(9)) & 1 for i in range(512)]).add_prefix("x")
    rows = DistinctRows.of(frame, tuple(frame))
    assert len(rows.counts) == 512 and (rows.neighbours() == 9).all()
