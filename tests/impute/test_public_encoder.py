"""How public columns become numbers."""

import numpy as np
import pandas as pd
import pytest

from skfusiondp.exceptions import InvalidInputError
from skfusiondp.impute._public_encoder import PublicEncoder


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
    assert encoded.shape == (4, 2 + 2 + 2 + 1)
    assert np.isfinite(encoded).all()
    assert encoded[2, :2].tolist() == [0.0, 1.0]  # the median, and the mark of a gap
    assert encoded[:, 2:4].tolist() == [[1, 0], [0, 1], [1, 0], [0, 0]]


def test_ordinal_keeps_gaps(public):
    encoded = PublicEncoder("ordinal").fit(public).transform(public)
    assert encoded.shape == (4, 4)
    assert np.isnan(encoded[2, 0]) and np.isnan(encoded[3, 1]) and np.isnan(encoded[3, 2])
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
    assert encoder.n_features_ == 30
    assert encoder.transform(support).sum() == 31


def test_a_number_that_turns_into_text_is_named():
    encoder = PublicEncoder().fit(pd.DataFrame({"lab": [1.0, 2.0]}))
    with pytest.raises(InvalidInputError, match="'lab'"):
        encoder.transform(pd.DataFrame({"lab": ["high"]}))
