"""How public columns become numbers."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Numeric
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.preprocessing import TableEncoder
from skfusiondp.tables._public_columns import PublicColumn
from skfusiondp.tables._public_encoder import PublicEncoder


@pytest.fixture
def public():
    return pd.DataFrame(
        {
            "lab": [1.0, 3.0, np.nan, 5.0],
            "ward": ["b", "a", "b", None],
            "day": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03", None]),
            "ill": [True, False, True, True],
        }
    )


def test_dense(public):
    encoded = PublicEncoder().fit(public).transform(public)
    assert encoded.shape == (4, 2 + 2 + (2 + 7) + 1)  # a date has weekdays beside its day
    assert np.isfinite(encoded).all()
    assert encoded[2, :2].tolist() == [0.0, 1.0]  # the median, and the mark of a gap
    assert encoded[:, 2:4].tolist() == [[1, 0], [0, 1], [1, 0], [0, 0]]


def test_ordinal_keeps_gaps(public):
    encoded = PublicEncoder("ordinal").fit(public).transform(public)
    assert encoded.shape == (4, 5)
    assert np.isnan(encoded[2, 0]) and np.isnan(encoded[3, 1:4]).all()
    assert encoded[:3, 1].tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("kind", ["dense", "ordinal"])
def test_rows_are_encoded_by_themselves(kind, public):
    encoder = PublicEncoder(kind).fit(public)
    rows = [encoder.transform(public.iloc[[i]]) for i in range(4)]
    assert np.array_equal(np.vstack(rows), encoder.transform(public), equal_nan=True)


def test_new_categories_infinities_and_all_missing_columns():
    support = pd.DataFrame({"lab": [np.nan] * 3, "ward": ["a", "b", "c"]})
    encoder = PublicEncoder().fit(support)
    encoded = encoder.transform(pd.DataFrame({"lab": [np.inf], "ward": ["new"]}))
    assert encoded.tolist() == [[0.0, 1.0, 0.0, 0.0, 0.0]]


def test_rare_categories_share_the_rest():
    support = pd.DataFrame({"code": [str(i) for i in range(100)] + ["9"]})
    encoder = PublicEncoder().fit(support)
    encoded = encoder.transform(support)
    assert encoded.shape == (101, 30) and encoded.sum() == 31


def test_a_number_that_turns_into_text_is_named():
    encoder = PublicEncoder().fit(pd.DataFrame({"lab": [1.0, 2.0]}))
    with pytest.raises(InvalidInputError, match="'lab'"):
        encoder.transform(pd.DataFrame({"lab": ["high"]}))


WEEK = pd.date_range("2024-02-26 12:00", periods=7, freq="D")
DATES = {
    **{unit: pd.Series(WEEK).astype(f"datetime64[{unit}]") for unit in ("s", "ms", "us", "ns")},
    "Paris": pd.Series(WEEK.tz_localize("UTC").tz_convert("Europe/Paris")),
    "objects": pd.Series(WEEK.to_pydatetime(), dtype=object),
    "numpy objects": pd.Series([np.datetime64(t) for t in WEEK], dtype=object),
    "texts": pd.Series(WEEK.strftime("%Y-%m-%d %H:%M"), dtype=object),
    "texts in a zone": pd.Series([t.isoformat() + "Z" for t in WEEK]),
    "texts of pandas": pd.Series(WEEK.strftime("%Y-%m-%dT%H:%M:%S.000"), dtype="string"),
    "periods": pd.Series(WEEK.to_period("h")),
}


def encoders(column):
    """What each of the encoders makes of a public column."""
    frame = pd.DataFrame({"day": column.to_numpy() if column.dtype == object else column, "age": 1.0})
    network = TableEncoder({"age": Numeric(0, 2)}).fit(frame)
    yield network.transform(frame)[:, ~network.sensitive_features_]
    for form, order in (("dense", "frequency"), ("ordinal", "frequency"), ("ordinal", "name")):
        yield PublicEncoder(form, order).fit(frame[["day"]]).transform(frame[["day"]])


@pytest.mark.parametrize("name", DATES)
def test_dates_are_the_same_numbers_whatever_holds_them(name):
    days = 19779.5 + np.arange(7)
    numbers = list(encoders(pd.Series(days)))
    for found, wanted, number in zip(encoders(DATES[name]), encoders(DATES["ns"]), numbers, strict=True):
        assert np.array_equal(found, wanted)
        assert np.array_equal(found[:, : number.shape[1]], number)  # then the weekdays
    with_gap = DATES[name].where(np.arange(7) != 3)
    *_, found = encoders(with_gap)
    assert np.isnan(found[3]).all() and np.array_equal(np.delete(found[:, 0], 3), np.delete(days, 3))


def test_plain_dates_and_durations_are_days():
    today = pd.DataFrame({"day": pd.Series([date(2024, 2, 26), date(1, 1, 1), None], dtype=object)})
    found = PublicEncoder("ordinal").fit(today).transform(today)
    assert np.array_equal(found[:, 0], [19779.0, -719162.0, np.nan], equal_nan=True)
    stay = pd.Series(pd.to_timedelta([12, 36, None], unit="h"))
    for cells in (stay, stay.astype(object)):
        found = PublicEncoder("ordinal").fit(cells.to_frame("day")).transform(cells.to_frame("day"))
        assert np.array_equal(found[:, 0], [0.5, 1.5, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    "cells",
    [
        pd.Series(["2024-02-29", "2023-02-29"]),  # no such day
        pd.Series(["2024-02-29", "soon"]),
        pd.Series(["20240229", "20240301"]),
        pd.Series(["2024-02-29", "2024-03-01"], dtype="category"),
        pd.Series([None, None], dtype=object),
        pd.Series([date(2024, 2, 29), 3], dtype=object),
    ],
)
def test_what_is_not_all_dates_is_a_category(cells):
    assert PublicColumn.of(cells.rename("day")).kind == "category"


def test_a_date_that_turns_into_something_else_is_named():
    encoder = PublicEncoder().fit(pd.DataFrame({"day": ["2024-02-29", "2024-03-01"]}))
    for cell in ("soon", 3.5):
        with pytest.raises(InvalidInputError, match=r"'day' (holds dates in the fit|is one of dates)"):
            encoder.transform(pd.DataFrame({"day": [cell]}))
