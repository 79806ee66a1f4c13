"""One encoding for both views: public columns from the data, sensitive ones from domains."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skfusiondp import Categorical, Numeric
from skfusiondp.preprocessing import TableEncoder

DOMAINS = {"age": Numeric(0, 100, knots=[50]), "sex": Categorical(["f", "m"])}


def made_table(n=50, seed=0):
    rng = np.random.default_rng(seed)
    lab = rng.normal(5, 2, n)
    lab[0] = np.nan
    ward = rng.choice(np.array(["n", "s", None], dtype=object), n)
    sex = rng.choice(np.array(["f", "m"], dtype=object), n)
    return pd.DataFrame({"lab": lab, "age": rng.uniform(0, 100, n), "ward": ward, "sex": sex})


def test_names_say_what_is_public_and_what_sensitive():
    encoder = TableEncoder(DOMAINS).fit(made_table())
    names = encoder.get_feature_names_out()
    assert names.tolist() == [
        "public__lab_piece0",
        "public__lab_piece1",
        "public__lab_piece2",
        "public__lab_piece3",
        "public__lab_(missing)",
        "public__ward_<missing>",
        "public__ward_n",
        "public__ward_s",
        "sensitive__age_piece0",
        "sensitive__age_piece1",
        "sensitive__age_(missing)",
        "sensitive__sex_f",
        "sensitive__sex_m",
        "sensitive__sex_(other)",
        "sensitive__sex_(missing)",
    ]
    assert [n.startswith("sensitive__") for n in names] == encoder.sensitive_features_.tolist()
    assert encoder.transform(made_table()).shape[1] == len(names)


def test_public_numbers_are_encoded_between_their_quartiles_and_marked_where_missing():
    table = made_table()
    encoded = TableEncoder(DOMAINS).fit_transform(table)
    quartiles = table["lab"].quantile([0, 0.25, 0.5, 0.75, 1]).to_numpy()
    wanted = np.interp(table["lab"], quartiles, np.arange(5))
    np.testing.assert_allclose(encoded[1:, :4].sum(1), wanted[1:], atol=1e-5)
    assert encoded[0, :5].tolist() == [0, 0, 0, 0, 1] and encoded[1:, 4].max() == 0


def test_sensitive_cells_are_encoded_by_their_domain_alone():
    encoder = TableEncoder(DOMAINS).fit(made_table())
    some = made_table(4).assign(age=[0, 50, 999, None], sex=["f", "m", "x", None])
    assert encoder.transform(some)[:, encoder.sensitive_features_].tolist() == [
        [0, 0, 0, 1, 0, 0, 0],
        [1, 0, 0, 0, 1, 0, 0],
        [1, 1, 0, 0, 0, 1, 0],
        [0, 0, 1, 0, 0, 0, 1],
    ]


@settings(max_examples=40)
@given(
    arrays(float, 8, elements=st.floats(allow_infinity=False)),
    st.lists(st.one_of(st.text(max_size=2), st.none()), min_size=8, max_size=8),
    arrays(float, 8, elements=st.floats()),
)
def test_is_finite_and_bounded_whatever_comes(lab, words, age):
    encoder = TableEncoder(DOMAINS).fit(made_table())
    table = pd.DataFrame({"lab": lab, "age": age, "ward": words, "sex": words[::-1]}).astype(
        {"ward": object, "sex": object}
    )
    encoded = encoder.transform(table)
    assert encoded.dtype == np.float32 and np.isfinite(encoded).all()
    assert encoded.min() >= 0 and encoded.max() <= 1


def test_equal_cells_have_equal_codes_in_both_views():
    """An imputed value that is the true one must give equal views, or zero-out is void."""
    table = made_table()
    encoder = TableEncoder(DOMAINS).fit(table)
    hybrid = table.assign(age=table["age"].astype(object), sex=table["sex"].astype("category"))
    assert np.array_equal(encoder.transform(table), encoder.transform(hybrid))


def test_only_the_changed_rows_and_the_sensitive_features_change():
    table = made_table()
    encoder = TableEncoder(DOMAINS).fit(table)
    other = table.copy()
    other.loc[7, ["age", "sex"]] = [3.0, None]
    differ = encoder.transform(table) != encoder.transform(other)
    assert differ[7, encoder.sensitive_features_].any()
    assert not differ[:, ~encoder.sensitive_features_].any() and not np.delete(differ, 7, 0).any()


def test_table_kinds_are_encoded_alike(df_module):
    encoder = TableEncoder(DOMAINS).fit(df_module(made_table()))
    wanted = TableEncoder(DOMAINS).fit(made_table()).transform(made_table(20, 1))
    np.testing.assert_allclose(encoder.transform(df_module(made_table(20, 1))), wanted, atol=1e-6)


def test_many_rare_categories_share_a_feature():
    table = made_table(300).assign(ward=[f"w{i % 150}" for i in range(300)])
    encoder = TableEncoder(DOMAINS).fit(table)
    names = [n for n in encoder.get_feature_names_out() if n.startswith("public__ward")]
    assert len(names) == 64 and "infrequent" in names[-1]


def test_a_public_outlier_is_cut_off():
    encoder = TableEncoder(DOMAINS).fit(made_table())
    encoded = encoder.transform(made_table(3).assign(lab=[1e12, -1e12, 5.0]))
    assert encoded[:2, :4].tolist() == [[1] * 4, [0] * 4]


@pytest.mark.parametrize("sensitive", [None, ["lab", "ward", "age", "sex"]])
def test_everything_may_be_sensitive(sensitive):
    encoder = TableEncoder(sensitive, on_leak="ignore").fit(made_table())
    assert encoder.sensitive_features_.all()
    assert np.isfinite(encoder.transform(made_table())).all()
