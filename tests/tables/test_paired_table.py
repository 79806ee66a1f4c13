"""The pair of views: same rows, same public cells, cut by position."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Numeric
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.impute import PairedTable

TRUE = pd.DataFrame(
    {"lab": [1.0, None, 3.0], "ward": ["n", "s", None], "age": [30.0, 60.0, 90.0]}, index=[5, 7, 9]
)
IMPUTED = TRUE.assign(age=45.0)
AGE = {"age": Numeric(18, 90)}


@pytest.fixture
def paired():
    return PairedTable.from_views(TRUE, IMPUTED, AGE)


def test_holds_both_views(paired):
    assert paired.shape == (3, 3) and len(paired) == 3 and list(paired.columns) == list(TRUE)
    assert paired.original["age"].tolist() == [30, 60, 90]
    assert paired.hybrid["age"].tolist() == [45, 45, 45]
    assert paired.schema.sensitive == ("age",) and dict(paired.schema.domains) == AGE


@pytest.mark.parametrize("rows", [[2, 0], np.array([2, 0]), np.array([True, False, True]), slice(1, None), 1])
def test_rows_are_cut_alike_in_both_views(paired, rows):
    cut = paired[rows]
    wanted = np.atleast_1d(np.arange(3)[rows])
    assert cut.original["age"].tolist() == TRUE["age"].iloc[wanted].tolist()
    assert len(cut.hybrid) == len(wanted) == len(cut)
    assert cut.schema == paired.schema
    for column in ("lab", "ward"):
        pd.testing.assert_series_equal(cut.original[column], cut.hybrid[column])


def test_columns_may_come_in_another_order():
    paired = PairedTable.from_views(TRUE, IMPUTED[["age", "ward", "lab"]], AGE)
    assert list(paired.hybrid) == list(TRUE)


def test_kinds_of_tables(df_module):
    paired = PairedTable.from_views(df_module(TRUE), df_module(IMPUTED), AGE)
    assert paired.hybrid["age"].tolist() == [45, 45, 45]
    assert isinstance(paired.original, pd.DataFrame)


@pytest.mark.parametrize(
    ("hybrid", "match"),
    [
        (IMPUTED[:2], "shape"),
        (IMPUTED.rename(columns={"lab": "lob"}), r"differ in \['lab', 'lob'\]"),
        (IMPUTED.assign(lab=[1.0, None, 4.0]), "public column 'lab' differs"),
        (IMPUTED.assign(lab=[1.0, 2.0, 3.0]), "public column 'lab' differs"),
        (IMPUTED.assign(ward=["n", "x", None]), "public column 'ward' differs"),
        (IMPUTED[::-1], "public column"),
    ],
)
def test_refuses_views_that_are_no_pair(hybrid, match):
    with pytest.raises(InvalidInputError, match=match):
        PairedTable.from_views(TRUE, hybrid, AGE)


def test_is_immutable_and_prints_no_cells(paired):
    with pytest.raises(dataclasses.FrozenInstanceError):
        paired.original = TRUE
    assert repr(paired) == "PairedTable(3 rows, 3 columns, sensitive: age)"
