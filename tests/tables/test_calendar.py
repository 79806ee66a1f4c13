"""What public dates say beside the day, in every encoder."""

from datetime import UTC, date, datetime, time, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Numeric
from skfusiondp.preprocessing import TableEncoder
from skfusiondp.tables._calendar import Calendar
from skfusiondp.tables._frames import as_frame
from skfusiondp.tables._public_columns import PublicColumn
from skfusiondp.tables._public_encoder import PublicEncoder

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
# A leap year and more, at many hours: a Thursday first.
WHEN = pd.Series(pd.date_range("2023-06-01 00:30", periods=60, freq="9D7h30min")).astype("datetime64[us]")
DAYS = WHEN.astype(np.int64).to_numpy() / 86_400_000_000


def calendar(cells):
    return PublicColumn.of(pd.Series(cells, name="when")).calendar


def test_numbers_are_those_of_pandas():
    every = Calendar.of(DAYS)
    assert every.parts == ("weekday", "hour", "yearday")
    found = every.numbers(DAYS)
    assert np.array_equal(found[:, 0], WHEN.dt.day_of_week)
    np.testing.assert_allclose(found[:, 1], WHEN.dt.hour + WHEN.dt.minute / 60, atol=1e-6)
    assert np.array_equal(found[:, 2], WHEN.dt.dayofyear)
    assert np.isnan(every.numbers(np.array([np.nan, np.inf]))).all()


def test_hours_and_weekdays_are_those_of_the_column_s_time_zone():
    for zone in ("Europe/Paris", "Asia/Tokyo", "America/St_Johns"):
        there = WHEN.dt.tz_localize("UTC").dt.tz_convert(zone)
        found = calendar(there)
        assert found.zone == zone
        read = found.numbers(DAYS)
        assert np.array_equal(read[:, 0], there.dt.day_of_week)
        np.testing.assert_allclose(read[:, 1], there.dt.hour + there.dt.minute / 60, atol=1e-6)
        midnights = pd.Series(pd.date_range("2024-01-01", periods=300, tz=zone))
        assert calendar(midnights).parts == ("weekday", "yearday"), "days alone, summer time or not"
    ahead = [datetime(2024, 1, d, 12, tzinfo=timezone(timedelta(hours=5))) for d in range(1, 9)]
    for cells in (ahead, [t.isoformat() for t in ahead]):
        assert calendar(cells).zone == "UTC+05:00" and calendar(cells).parts == ("weekday",)
    assert calendar([*ahead, datetime(2024, 1, 1, tzinfo=UTC)]).zone == "UTC"


@pytest.mark.parametrize(
    ("cells", "parts"),
    [
        (["2024-03-01", "2024-03-08"], ()),  # two Fridays
        (["2024-03-01", "2024-03-02"], ("weekday",)),
        (["2024-03-01", "2024-09-06"], ("yearday",)),
        (["2024-03-01T10:00", "2024-03-01T12:00"], ("hour",)),
        (["2024-03-01", None], ()),
        ([time(1), time(2)], ("hour",)),
        (["01:00", "02:30:15"], ("hour",)),
        ([timedelta(1), timedelta(200)], ()),
    ],
)
def test_parts_in_which_dates_do_not_differ_are_left_out(cells, parts):
    assert calendar(cells).parts == parts


def test_features_have_names_and_lie_between_0_and_1():
    frame = pd.DataFrame({"when": WHEN.where(np.arange(60) != 3), "age": 50.0})
    encoder = TableEncoder({"age": Numeric(0, 90)}).fit(frame)
    names = encoder.get_feature_names_out().tolist()
    assert names[:16] == [
        *(f"public__when_piece{i}" for i in range(4)),
        "public__when_(missing)",
        *(f"public__when_weekday_{d}" for d in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")),
        *(f"public__when_{part}_{end}" for part in ("hour", "yearday") for end in ("sin", "cos")),
    ]
    encoded = encoder.transform(frame)
    assert encoded.shape[1] == len(names) and np.isfinite(encoded).all()
    assert encoded.min() >= 0 and encoded.max() <= 1
    assert encoded[3, :16].tolist() == [0] * 4 + [1] + [0] * 7 + [0.5] * 4
    weekday = dict(zip(names[5:12], encoded[0, 5:12], strict=True))
    assert weekday["public__when_weekday_Thu"] == 1 and sum(weekday.values()) == 1


def test_times_of_day_are_numbers():
    times = [time(0), time(6, 30), time(23, 59, 59, 500_000), None]
    for cells in (
        pd.Series(times, dtype=object),
        pd.Series(["00:00", "06:30", "23:59:59.5", None]),
        as_frame(pl.DataFrame({"when": times}))["when"],
        as_frame(pa.table({"when": times}))["when"],
        pd.Series(times, dtype=pd.ArrowDtype(pa.time64("us"))),
    ):
        frame = pd.DataFrame({"when": cells})
        found = PublicEncoder("ordinal").fit(frame).transform(frame)
        np.testing.assert_allclose(found[:, 1], [0, 6.5, 23 + 59 / 60 + 59.5 / 3600, np.nan], atol=1e-9)


DATED = {
    **{unit: lambda when, unit=unit: when.astype(f"datetime64[{unit}]") for unit in ("s", "ms", "us", "ns")},
    "UTC": lambda when: when.dt.tz_localize("UTC"),
    "Tokyo": lambda when: when.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
    "python": lambda when: pd.Series(when.dt.to_pydatetime(), dtype=object),
    "python in zones": lambda when: pd.Series(
        [t.tz_localize("UTC").tz_convert(z) for t, z in zip(when, ["Asia/Tokyo", "UTC"] * 30, strict=True)],
        dtype=object,
    ),
    "texts": lambda when: when.dt.strftime("%Y-%m-%d %H:%M"),
    "texts with a zone": lambda when: when.dt.strftime("%Y-%m-%dT%H:%M:%S+00:00").astype("string"),
    "texts in a zone": lambda when: pd.Series(
        [t.isoformat() for t in when.dt.tz_localize("UTC").dt.tz_convert("Asia/Kolkata")]
    ),
    "periods": lambda when: when.dt.to_period("min"),
    "arrow": lambda when: when.astype("timestamp[us][pyarrow]"),
    "arrow in a zone": lambda when: when.dt.tz_localize("UTC").astype(
        pd.ArrowDtype(pa.timestamp("ms", "Asia/Tokyo"))
    ),
    "polars": lambda when: pl.Series(when.to_numpy()),
    "polars ms": lambda when: pl.Series(when.to_numpy()).cast(pl.Datetime("ms")),
    "polars in a zone": lambda when: (
        pl.Series(when.to_numpy()).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    ),
    "big-endian": lambda when: pd.Series(when.to_numpy().astype(">M8[us]")),
}


def held(name, when=WHEN):
    cells = DATED[name](when)
    return as_frame(
        pl.DataFrame({"when": cells}) if isinstance(cells, pl.Series) else pd.DataFrame({"when": cells})
    )


@pytest.mark.parametrize("name", DATED)
@pytest.mark.parametrize("form", ["dense", "ordinal"])
def test_fitted_on_one_type_and_used_on_another(name, form):
    for fitted in ("us", "Tokyo"):
        encoder = PublicEncoder(form).fit(held(fitted))
        assert np.array_equal(encoder.transform(held(name)), encoder.transform(held(fitted)))
    encoder = PublicEncoder(form).fit(held(name))
    assert np.array_equal(encoder.transform(held("us")), encoder.transform(held(name)))


@pytest.mark.parametrize("name", [n for n in DATED if "periods" not in n and "zones" not in n])
def test_missing_dates_are_missing_in_every_type(name):
    gaps = WHEN.where(np.arange(60) % 7 != 0)
    if "texts" in name or "python" in name:
        cells = DATED[name](WHEN).astype(object).where(gaps.notna(), pd.NaT if "python" in name else None)
        frame = pd.DataFrame({"when": cells})
    else:
        frame = held(name, gaps)
    found = PublicEncoder("ordinal").fit(frame).transform(frame)
    assert np.array_equal(np.isnan(found).all(axis=1), gaps.isna())
    assert np.array_equal(np.isnan(found).any(axis=1), gaps.isna())
    assert np.isfinite(PublicEncoder().fit(frame).transform(frame)).all()


@pytest.mark.parametrize(
    "cells",
    [
        pd.Series([date(1, 1, 1), date(9999, 12, 31), None], dtype=object),
        pd.Series([datetime(1, 1, 1), datetime(9999, 12, 31), None], dtype=object),
        pd.Series(["0001-01-01", "9999-12-31", None]),
        pd.Series(np.array(["0001-01-01", "9999-12-31", "NaT"], dtype="datetime64[s]")),
        pd.Series(np.array(["0001-01-01", "9999-12-31", "NaT"], dtype="datetime64[us]")).dt.tz_localize(
            "Asia/Tokyo"
        ),
        pl.Series([date(1, 1, 1), date(9999, 12, 31), None]),
        pa.array([date(1, 1, 1), date(9999, 12, 31), None]),
    ],
    ids=lambda c: f"{type(c).__module__} {getattr(c, 'dtype', '')}",
)
def test_dates_that_nanoseconds_do_not_hold(cells):
    table = {"when": cells}
    if isinstance(cells, pl.Series):
        frame = as_frame(pl.DataFrame(table))
    else:
        frame = as_frame(pa.table(table) if isinstance(cells, pa.Array) else pd.DataFrame(table))
    found = PublicEncoder("ordinal").fit(frame).transform(frame)
    np.testing.assert_allclose(found[:2, 0], [-719162, 2932896], atol=0.5)
    assert np.isnan(found[2]).all() and np.isfinite(found[:2]).all()
    assert np.isfinite(PublicEncoder().fit(frame).transform(frame)).all()


def test_dates_of_no_calendar_are_no_error():
    far = pd.DataFrame({"when": pd.Series(np.array([-(10**15), 10**15, 0], dtype="datetime64[s]"))})
    for form in ("dense", "ordinal"):
        near = PublicEncoder(form).fit(pd.DataFrame({"when": WHEN}))
        assert near.transform(far).shape[0] == 3
        PublicEncoder(form).fit(far).transform(far)
    tokyo = PublicEncoder("ordinal").fit(held("Tokyo"))
    assert np.isfinite(tokyo.transform(far)[:, 0]).all()
