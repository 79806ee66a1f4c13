"""Dates are points of time: whatever type holds them, in every part of the library."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge

from skfusiondp import (
    Categorical,
    DataHolderWarning,
    Date,
    FoundationImputer,
    FusionDPClassifier,
    Numeric,
    OffsetFusionClassifier,
    PrivacyLeakWarning,
)
from skfusiondp.accounting import check_pipeline
from skfusiondp.audit import attribute_inference, audit_attribute
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.impute import ConditionalBackend
from skfusiondp.persistence import load, save
from skfusiondp.preprocessing import (
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
    TableEncoder,
)
from skfusiondp.tables._outside import outside

BORN = Date("1920-01-01", "2006-12-31")
EAST = timezone(timedelta(hours=9))
# The same moment, 1984-02-29 00:00 UTC.
SAME = [
    "1984-02-29", "1984-02-29T09:00+09:00", "1984-02-29 00:00:00", date(1984, 2, 29), datetime(1984, 2, 29),
    datetime(1984, 2, 29, 9, tzinfo=EAST), pd.Timestamp("1984-02-29"), pd.Timestamp("1984-02-29", tz="UTC"),
    np.datetime64("1984-02-29"), np.datetime64("1984-02-29", "ns"), pd.Period("1984-02-29", "D"),
]  # fmt: skip
NO_DATES = [
    5, 1984.5, True, "29.02.1984", "1984-02-30", "soon", "", b"1984-02-29", timedelta(3),
    pd.Timedelta(3, "D"), [1], {"a": 1}, object(), 1j, float("inf"), 10**400,
]  # fmt: skip
MISSING = [None, np.nan, pd.NaT, pd.NA, np.datetime64("NaT")]


def day_of(text):
    return float(np.datetime64(text, "D").astype(int))


# Cells ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", SAME, ids=repr)
def test_a_moment_is_one_number_whatever_holds_it(cell):
    assert BORN.target([cell]).tolist() == [day_of("1984-02-29")]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo", "America/New_York"])
def test_resolutions_and_time_zones_are_one(unit, zone):
    moments = pd.to_datetime(
        pd.Series(["1950-03-04 05:06:07", None, "1999-12-31"], dtype="str"), format="mixed"
    )
    cells = moments.dt.tz_localize("UTC").dt.tz_convert(zone) if zone else moments
    cells = cells.astype(cells.dtype if zone else f"datetime64[{unit}]")
    cells = cells.dt.as_unit(unit)
    expected = BORN.target(moments.astype(object))
    assert np.array_equal(BORN.target(cells), expected, equal_nan=True) and np.isnan(expected[1])
    assert np.array_equal(BORN.encode(cells), BORN.encode(cells.astype(object)))


def test_nanoseconds_are_cut_off_in_every_type():
    cells = pd.Series(pd.to_datetime(["1999-12-31 23:59:59.999999999", "1960-01-01 00:00:00.000000001"]))
    assert np.array_equal(BORN.target(cells), BORN.target(cells.astype(object)))
    assert np.array_equal(BORN.target(cells), BORN.target(cells.astype("datetime64[us]")))


def test_years_beyond_nanoseconds_are_clipped():
    far = np.array(["-20000-01-01", "300000-01-01"], dtype="datetime64[s]")
    assert BORN.target(pd.Series(far)).tolist() == list(BORN.span)


@pytest.mark.parametrize("cell", [*NO_DATES, *MISSING], ids=lambda cell: repr(cell)[:30].split(" at 0x")[0])
def test_what_is_no_date_is_missing_and_never_refused(cell):
    cells = pd.Series([cell, "1984-02-29"], dtype=object)
    encoded = BORN.encode(cells)
    assert encoded[0].tolist() == BORN.encode([None])[0].tolist() and encoded[0, -1] == 1
    assert encoded[1].tolist() == BORN.encode(["1984-02-29"])[0].tolist()
    assert BORN.outside(cells)["no date"] == int(cell in NO_DATES if cell is not pd.NA else 0)


def test_arrow_and_categorical_and_polars_columns_hold_dates():
    pa, pl = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    dates = pd.Series([date(1984, 2, 29), None, date(1990, 1, 1)])
    expected = BORN.encode(dates)
    for kind in (pd.ArrowDtype(pa.date32()), pd.ArrowDtype(pa.timestamp("us"))):
        assert np.array_equal(BORN.encode(dates.astype(kind)), expected)
    assert np.array_equal(BORN.encode(dates.astype("category")), expected)
    for polars in (
        pl.Series("born", dates.tolist()),
        pl.Series("born", dates.tolist()).cast(pl.Datetime("ms")),
    ):
        frame = TableEncoder({"born": BORN}).fit(polars.to_frame()).transform(polars.to_frame())
        assert np.array_equal(frame, expected)


def test_outside_counts_both_sides_and_any_time_of_the_last_day_is_inside():
    cells = pd.Series(["1919-12-31T23:59", "1920-01-01", "2006-12-31T23:59:59", "2007-01-01", "x", None])
    found = outside(cells, BORN)
    assert found.present == 5 and dict(found.wrong) == {"below": 1, "above": 1, "no date": 1}
    exact = Date("1920-01-01", "2006-12-31T12:00")
    assert exact.outside(pd.Series(["2006-12-31T12:00", "2006-12-31T12:01"]))["above"] == 1


moments = st.datetimes(datetime(1800, 1, 1), datetime(2100, 1, 1))
anything = st.one_of(moments, st.dates(), st.text(max_size=12), st.none(), st.integers(), st.floats())


@given(st.lists(anything, min_size=1, max_size=8))
def test_encodings_are_finite_and_each_cell_is_alone(cells):
    together = BORN.encode(pd.Series(cells, dtype=object))
    assert together.shape == (len(cells), BORN.width) and together.dtype == np.float32
    assert np.isfinite(together).all() and together.min() >= 0 and together.max() <= 1
    alone = np.concatenate([BORN.encode(pd.Series([c], dtype=object)) for c in cells])
    assert np.array_equal(together, alone)


@given(st.lists(moments, min_size=2, max_size=8))
def test_later_is_further_and_restoring_is_within_half_a_day(cells):
    encoded = BORN.encode(sorted(cells))[:, :-1].sum(axis=1)
    assert (np.diff(encoded) >= 0).all()
    target = BORN.target(cells)
    again = BORN.target(BORN.restore(target))
    assert np.abs(again - target).max() <= 0.5
    exact = Date("1920-01-01T00:00:01", "2006-12-31")
    assert np.abs(exact.target(exact.restore(target)) - exact.target(cells)).max() < 1e-9


# Declarations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("low", SAME[:-1], ids=repr)
def test_a_bound_may_be_any_date(low):
    domain = Date(low, "2001-01-01")
    assert domain == Date("1984-02-29", "2001-01-01") and domain.low == "1984-02-29"


@pytest.mark.parametrize(
    "bounds",
    [
        (1920, 2006), ("01/02/1920", "2006-12-31"), (None, "2006-12-31"), (pd.NaT, "2006-12-31"),
        ("2006-12-31", "1920-01-01"), ("2006-12-31", "2006-12-31"), (["1920-01-01"], "2006-12-31"),
        ("1920-13-01", "2006-12-31"), (True, False), (timedelta(1), timedelta(2)),
        ("0000-01-01", "2006-12-31"),
        (np.datetime64("1920-01-01"), np.datetime64("12000-01-01")), (-18000.0, 13000.0),
    ],
    ids=repr,
)  # fmt: skip
def test_other_bounds_are_refused_with_the_remedy(bounds):
    with pytest.raises(InvalidInputError, match=r"bounds must be dates .*for example Date\('1920"):
        Date(*bounds)


@pytest.mark.parametrize(
    "knots", ["1960-01-01", [5], ["1910-01-01"], ["1970-01-01", "1960-01-01"], 3, [None]]
)
def test_other_knots_are_refused(knots):
    with pytest.raises(InvalidInputError, match=r"knots=.* must be a list of dates that increase"):
        Date("1920-01-01", "2006-12-31", knots=knots)


def test_a_domain_is_a_plain_value():
    domain = Date(date(1920, 1, 1), "2006-12-31", epsilon=0.5, knots=[pd.Timestamp("1960-01-01 12:00")])
    assert repr(domain) == (
        "Date(low='1920-01-01', high='2006-12-31', epsilon=0.5, knots=['1960-01-01T12:00:00'])"
    )
    assert eval(repr(domain)) == domain == pickle.loads(pickle.dumps(domain)) == copy.deepcopy(domain)
    assert domain.to_dict() == {
        "kind": "date", "text": "date, 1920-01-01 to 2006-12-31", "low": "1920-01-01", "high": "2006-12-31",
        "knots": ["1960-01-01T12:00:00"], "epsilon": 0.5,
    }  # fmt: skip
    assert hash(BORN) == hash(Date("1920-01-01", "2006-12-31")) and Date("1920-01-02", "2006-12-31") != BORN


def test_support_rows_give_knots():
    cells = pd.Series(pd.date_range("1990-01-01", "2000-01-01"))
    informed = BORN.informed_by(cells)
    assert informed == BORN and len(informed.knots) == 11 and informed.knots[5].startswith("1995-01-01")
    assert BORN.informed_by(pd.Series([pd.NaT, pd.NaT])).knots is None
    same = BORN.informed_by(pd.Series(pd.to_datetime(["1990-01-01"] * 9)))
    assert np.isfinite(same.encode(cells)).all()


def test_parts_are_said_as_days():
    parts = Date("2000-01-01", "2004-01-01").phrases(2)
    assert parts == ["between 2000-01-01 and 2002-01-01", "between 2002-01-01 and 2004-01-01"]
    assert Date("2000-01-01", "2000-01-02T12:00").phrases(1) == ["between 2000-01-01 and 2000-01-02T12:00:00"]


# Columns without a declaration ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["datetime", "text", "date", "zone"])
def test_support_rows_that_hold_dates_give_a_date(form):
    moments = pd.Series(pd.date_range("1950-06-01 12:00", periods=50, freq="200D"))
    cells = {
        "datetime": moments, "text": moments.dt.strftime("%Y-%m-%d"), "date": moments.dt.date,
        "zone": moments.dt.tz_localize("UTC"),
    }[form]  # fmt: skip
    support = pd.DataFrame({"lab": np.arange(50.0), "born": cells})
    imputer = FoundationImputer(["born"], support=support).fit(support.iloc[:0:-1].assign(lab=-1.0))
    domain = imputer.schema_.domains["born"]
    assert isinstance(domain, Date) and domain.low == "1950-06-01"
    assert domain.outside(cells) == {"below": 0, "above": 0, "no date": 0}
    assert isinstance(Date.from_support(pd.Series(pd.to_datetime(["2000-01-01"]))), Date)


def test_durations_are_numbers_of_days():
    stay = pd.Series(pd.to_timedelta([12, 36, None, 240], unit="h"))
    domain = Numeric(0, 5)
    for cells in (stay, stay.astype(object), stay.astype("timedelta64[ms]")):
        assert np.array_equal(domain.target(cells), [0.5, 1.5, np.nan, 5.0], equal_nan=True)
    assert domain.outside(stay) == {"below": 0, "above": 1, "no number": 0}
    support = pd.DataFrame({"lab": np.arange(30.0), "stay": pd.to_timedelta(np.arange(30), unit="D")})
    schema = FoundationImputer(["stay"], support=support).fit(support.assign(lab=-1.0)).schema_
    assert (schema.domains["stay"].low, schema.domains["stay"].high) == (0, 29)


def test_training_cells_give_bounds_that_quote_none_of_them():
    cells = pd.Series(pd.date_range("1950-06-01 12:00", periods=500, freq="41D"))
    for leaked in (cells, cells.astype(object), cells.dt.strftime("%Y-%m-%d")):
        table = pd.DataFrame({"lab": np.arange(500.0), "born": leaked})
        with pytest.warns(PrivacyLeakWarning, match=r"sensitive=\{'born': Date\(low, high\)\}"):
            domain = TableEncoder(["born"]).fit(table).schema_.domains["born"]
        assert isinstance(domain, Date) and domain.low < "1950-06-01" and domain.high > str(cells.max())
        assert not set(domain.span) & set(domain.target(leaked))
    assert Date.from_training(pd.Series([pd.NaT, pd.NaT])).width == 9


# Everything that takes a domain --------------------------------------------------------------------------

N = 240
rng = np.random.default_rng(0)
LAB = rng.normal(size=N)
DAYS = np.clip(8000 + 4000 * LAB + rng.normal(0, 1500, N), -18000, 13000)
TABLE = pd.DataFrame(
    {
        "lab": LAB,
        "born": (pd.Timestamp("1970-01-01") + pd.to_timedelta(np.rint(DAYS), unit="D")).as_unit("us"),
        "sex": rng.choice(["f", "m"], N),
    }
)
TABLE.loc[3, "born"] = pd.NaT
Y = (TABLE["born"] > "1990-01-01").astype(int)
DOMAINS = {"born": BORN, "sex": Categorical(["f", "m"])}
TREES = ConditionalBackend(5, random_state=0)
LINEAR = {"born": Ridge(), "sex": LogisticRegression()}
MADE = {
    "imputer": lambda: FoundationImputer(DOMAINS, support=TABLE[:100], backend=TREES),
    "without knowledge": lambda: FoundationImputer(DOMAINS, backend="domain", strategy="sample"),
    "fusiondp": lambda: FusionDPClassifier(
        DOMAINS, imputer=FoundationImputer(support=TABLE[:100], backend=LINEAR), noise_multiplier=1.0,
        epochs=1, random_state=0,
    ),
    "feature-dp": lambda: FusionDPClassifier(
        DOMAINS, method="feature-dp", noise_multiplier=1.0, epochs=1, random_state=0
    ),
    "offset": lambda: OffsetFusionClassifier(DOMAINS, noise_multiplier=5.0, random_state=0),
    "offset with support": lambda: OffsetFusionClassifier(
        DOMAINS, support=TABLE[:100], support_target=Y[:100], noise_multiplier=5.0, random_state=0
    ),
    "quantiles": lambda: PrivateQuantileTransformer(DOMAINS, random_state=0),
    "scaler": lambda: PrivateStandardScaler(DOMAINS, random_state=0),
    "selector": lambda: PrivateSelectKBest(DOMAINS, k=1, random_state=0),
}  # fmt: skip
quiet = pytest.mark.filterwarnings("ignore")


@pytest.mark.one_in(4)
@quiet
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "offset with support" else n for n in MADE]
)
def test_every_estimator_takes_it_and_every_type_is_one(name, tmp_path):
    pytest.importorskip("skops")
    train, test = TABLE[100:], TABLE[:30]
    model = MADE[name]().fit(train, Y[100:])
    ask = "predict_proba" if hasattr(model, "predict_proba") else "transform"
    first = getattr(model, ask)(test)
    if hasattr(model, "privacy_report"):
        assert "date, 1920-01-01 to 2006-12-31" in str(model.privacy_report())
    save(model, tmp_path / "model")
    again = getattr(load(tmp_path / "model"), ask)(test)
    assert pd.DataFrame(first).equals(pd.DataFrame(again))
    if ask == "predict_proba":
        texts = train.assign(born=train["born"].dt.strftime("%Y-%m-%d"))
        other = clone(model).fit(texts, Y[100:])
        assert np.array_equal(other.predict_proba(test.assign(born=test["born"].dt.date)), first)


@quiet
def test_imputed_cells_are_dates_in_every_container():
    pl = pytest.importorskip("polars")
    imputer = MADE["imputer"]().fit(TABLE[100:])
    hybrid = imputer.transform(TABLE[100:])
    assert (
        hybrid["born"].dtype == "datetime64[us]" and (hybrid["born"] == hybrid["born"].dt.normalize()).all()
    )
    near = np.corrcoef(BORN.target(hybrid["born"]), LAB[100:])[0, 1]
    assert near > 0.8
    polars = imputer.transform(pl.from_pandas(TABLE[100:]))
    assert polars.schema["born"] == pl.Datetime("us")
    assert polars["born"].to_list() == hybrid["born"].dt.to_pydatetime().tolist()
    for kind, column in (
        ("pandas", "datetime64[us]"),
        ("polars", "Datetime(time_unit='us', time_zone=None)"),
    ):
        out = clone(imputer).set_output(transform=kind).fit(TABLE[100:]).transform(TABLE[100:])
        assert str(out["born"].dtype) == column
    absent = imputer.transform(TABLE[100:].drop(columns="born"))
    assert absent["born"].equals(hybrid["born"])
    pair = MADE["imputer"]().set_params(output="paired").fit(TABLE[100:]).transform(TABLE[100:])
    assert pair.original["born"].equals(TABLE["born"][100:].reset_index(drop=True))
    moments = TABLE[["born"]].to_numpy()
    alone = FoundationImputer({0: BORN}, backend="domain").fit(moments).transform(moments)
    assert alone.dtype == "datetime64[us]"


@pytest.mark.slow
@quiet
def test_tables_on_disk_hold_dates(tmp_path):
    pytest.importorskip("pyarrow")
    TABLE.to_parquet(tmp_path / "table.parquet")
    TABLE.assign(born=TABLE["born"].dt.date).to_parquet(tmp_path / "days.parquet")
    memory = MADE["fusiondp"]().fit(TABLE, Y)
    for name in ("table.parquet", "days.parquet"):
        disk = MADE["fusiondp"]().fit(str(tmp_path / name), Y)
        assert np.allclose(disk.predict_proba(TABLE), memory.predict_proba(TABLE), atol=1e-6)
        undeclared = MADE["feature-dp"]().set_params(sensitive=["born"]).fit(str(tmp_path / name), Y)
        assert isinstance(undeclared.schema_.domains["born"], Date)


@pytest.mark.slow
@quiet
def test_it_is_audited_shown_and_checked():
    model = MADE["fusiondp"]().fit(TABLE, Y)
    assert attribute_inference(model, TABLE, Y, column="born").n_rows == N - 1
    assert audit_attribute(MADE["fusiondp"](), TABLE, Y, columns=["born"], random_state=0).claim > 0
    assert check_pipeline(MADE["fusiondp"](), X=TABLE).ok
    offset = MADE["offset"]().fit(TABLE, Y)
    values, effect = offset.shape_functions()["born"]
    assert values.dtype == "datetime64[us]" and len(values) == len(effect)
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.close(offset.plot_shapes().figure_)


def test_the_correction_learns_from_dates():
    table = TABLE.assign(lab=rng.normal(size=N)).loc[np.repeat(np.arange(N), 20)].reset_index(drop=True)
    target = (table["born"] > "1992-01-01").astype(int)
    model = OffsetFusionClassifier({"born": BORN}, epsilon=8.0, random_state=0, on_leak="ignore")
    assert model.fit(table, target).score(table, target) > 0.9


@quiet
def test_the_data_holder_hears_of_what_is_no_date():
    odd = TABLE.assign(born=TABLE["born"].dt.strftime("%d.%m.%Y"))
    with pytest.warns(DataHolderWarning, match=r"100 % no date.*check how dates are written"):
        MADE["offset"]().fit(odd, Y)


def test_a_time_zone_is_that_of_the_moment():
    cells = pd.Series([datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=EAST)])
    assert np.diff(BORN.target(cells)).tolist() == [-0.375]
