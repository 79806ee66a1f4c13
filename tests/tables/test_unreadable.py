"""Cells that no Python object holds, and types at which pandas raises, are no errors that tell of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from released import differences, outcome
from sklearn.linear_model import LogisticRegression

from skfusiondp import (
    Categorical,
    Date,
    FoundationImputer,
    FusionDPClassifier,
    Numeric,
    OffsetFusionClassifier,
)
from skfusiondp.tables._frames import as_frame, numeric_values
from skfusiondp.tables._unreadable import UNREADABLE, cells_of

pa = pytest.importorskip("pyarrow")

N, ROW = 40, 7
DOMAINS = {"age": Numeric(0, 100), "born": Date("1950-01-01", "2005-12-31"), "sex": Categorical(["f", "m"])}


def usual():
    rng = np.random.default_rng(1)
    lab = rng.normal(size=N).round(2)
    born = pd.Timestamp("1970-01-01") + pd.to_timedelta(rng.integers(0, 9000, N), unit="D")
    age = np.clip(45 + 15 * lab, 5, 90).round()
    return pd.DataFrame({"lab": lab, "age": age, "born": born, "sex": rng.choice(["f", "m"], N)})


TARGET = (usual()["lab"] > 0.1).astype(int).to_numpy()


def _with(cell, usual_cell, kind):
    return pa.array([cell if i == ROW else usual_cell for i in range(N)], kind)


def _far(kind):
    """Days or times of which one lies beyond Python's calendar."""
    if kind == pa.date32():
        return _with(2**31 - 1, 0, pa.int32()).cast(kind)
    return _with(2**63 - 9, 0, pa.int64()).view(kind)


COLUMNS = {
    "days": lambda: _far(pa.date32()),
    "days as milliseconds": lambda: _far(pa.date64()),
    **{
        f"times in a zone, {unit}": lambda unit=unit: _far(pa.timestamp(unit, tz="Europe/Zurich"))
        for unit in ("s", "ms", "us", "ns")
    },
    "texts that are none": lambda: _with(b"\xff\xfe", b"f", pa.binary()).view(pa.string()),
    "months and days": lambda: _with(pa.MonthDayNano([1, 1, 1]), None, pa.month_day_nano_interval()),
    "a dictionary": lambda: _with("f", "m", pa.string()).dictionary_encode(),
    "lists": lambda: _with([1], [2], pa.list_(pa.int64())),
}  # fmt: skip


def in_pandas(column):
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([column])))


def changed(column):
    return usual().assign(**dict.fromkeys(DOMAINS, in_pandas(column)))


def fusion():
    return FusionDPClassifier(
        DOMAINS, imputer=FoundationImputer(backend="domain"), noise_multiplier=1.0, steps=2, batch_size=34,
        public_epochs=1, module__hidden=(4,), random_state=0,
    )  # fmt: skip


def offset():
    return OffsetFusionClassifier(
        DOMAINS, noise_multiplier=1.0, steps=2, public_model=LogisticRegression(), random_state=0
    )


def in_arrow(table):
    return pa.Table.from_pandas(table, preserve_index=False)


@pytest.mark.one_in(6)
@pytest.mark.parametrize(
    ("make", "kind"), [(fusion, lambda table: table), (offset, in_arrow)], ids=["frame", "Arrow table"]
)
@pytest.mark.parametrize("column", COLUMNS)
def test_a_fit_tells_nothing_of_them(column, make, kind):
    one, other = (outcome(make, kind(t), TARGET) for t in (usual(), changed(COLUMNS[column]())))
    assert "refusal" not in one.released
    assert not [d for d in differences(one, other) if not d.startswith("file schema")]


@pytest.mark.parametrize("column", COLUMNS)
def test_public_columns_beside_them_are_as_they_were(column):
    batch = pa.RecordBatch.from_pandas(changed(COLUMNS[column]()), preserve_index=False)
    pd.testing.assert_series_equal(as_frame(batch)["lab"], usual()["lab"])


@pytest.mark.parametrize("column", COLUMNS)
def test_every_domain_reads_every_column(column):
    cells = in_pandas(COLUMNS[column]())
    for domain in DOMAINS.values():
        assert np.isfinite(domain.encode(cells)).all()
        domain.outside(cells)
    assert len(numeric_values(cells, sensitive=True)) == N


def test_other_cells_are_as_they_were():
    cells = cells_of(in_pandas(COLUMNS["days"]()))
    assert cells[ROW] is UNREADABLE
    assert set(cells[:ROW]) == {pd.Timestamp(0).date()}
    encoded = Date("1960-01-01", "1980-01-01").encode(in_pandas(COLUMNS["days"]()))
    expected = Date("1960-01-01", "1980-01-01").encode([None if i == ROW else "1970-01-01" for i in range(N)])
    np.testing.assert_array_equal(encoded, expected)


@pytest.mark.parametrize("unit", ["Y", "M", "W", "D", "h", "m", "s", "us"])
def test_arrays_of_dates_beyond_every_calendar_are_read(unit):
    days = np.array([["1980-01-03", "1990-02-04"], ["2000-01-06", "NaT"]], dtype="M8[D]")
    dates = days.astype(f"M8[{unit}]")
    far = dates.copy()
    far[0, 1] = np.array(2**62).view(f"M8[{unit}]")
    one, other = as_frame(dates), as_frame(far)
    np.testing.assert_array_equal(one["x0"].to_numpy(), dates[:, 0])
    pd.testing.assert_series_equal(one["x0"], other["x0"])
    born = Date("1950-01-01", "2005-12-31")
    assert born.encode(other["x1"]).tolist() == born.encode(["2005-12-31", None]).tolist()
