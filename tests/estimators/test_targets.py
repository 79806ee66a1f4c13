"""Targets of every type are learnt and given back as they are, or refused in one sentence."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import DataConversionWarning

from skfusiondp import (
    Categorical,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    OffsetFusionClassifier,
    OffsetFusionRegressor,
)
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.tables._targets import mean_and_scale

pytestmark = pytest.mark.filterwarnings(
    "ignore::skfusiondp.WeakPrivacyWarning", "ignore:No support rows:UserWarning"
)

N, M = 120, 40
DOMAINS = {"age": Numeric(18, 90), "sex": Categorical(["f", "m"])}


def made_table(n, seed):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {"lab": rng.normal(size=n), "age": rng.uniform(20, 80, n), "sex": rng.choice(["f", "m"], n)}
    )
    return table, (table["lab"] > 0).astype(int).to_numpy()


X, Y = made_table(N, 0)
S, T = made_table(M, 1)
LABELS = np.column_stack([Y, 1 - Y, X["age"] > 50]).astype(int)
MORE = np.column_stack([T, 1 - T, S["age"] > 50]).astype(int)
NUMBER = X["lab"].to_numpy() + X["age"].to_numpy() / 10
FAST = {"noise_multiplier": 1.0, "steps": 2, "public_epochs": 20, "random_state": 0, "public_lr": 0.02}


def fusion(**given):
    return FusionDPClassifier(DOMAINS, **FAST, **given)


def offset(**given):
    return OffsetFusionClassifier(DOMAINS, noise_multiplier=5.0, random_state=0, **given)


def numbers(**given):
    return FusionDPRegressor(DOMAINS, **FAST, **given)


def offset_numbers(**given):
    return OffsetFusionRegressor(DOMAINS, noise_multiplier=5.0, random_state=0, **given)


CLASSIFIERS = pytest.mark.parametrize("make", [fusion, offset])
REGRESSORS = pytest.mark.parametrize("make", [numbers, offset_numbers])
ALL = pytest.mark.parametrize("make", [fusion, offset, numbers, offset_numbers])


# Labels --------------------------------------------------------------------------------------------------

GIVEN = {
    "ints": Y,
    "truth values": Y.astype(bool),
    "texts": np.where(Y, "yes", "no"),
    "minus one and one": 2 * Y - 1,
    "floats": 1.0 + 2 * Y,
    "huge": Y.astype(np.int64) * 2**62,
    "uint64": Y.astype(np.uint64) + np.uint64(2**63),
    "list": Y.tolist(),
    "Int64": pd.Series(Y).astype("Int64"),
    "boolean": pd.Series(Y.astype(bool)).astype("boolean"),
    "string": pd.Series(np.where(Y, "b", "a")).astype("string"),
    "category": pd.Series(np.where(Y, "b", "a")).astype(pd.CategoricalDtype(["z", "b", "a"])),
    "own index": pd.Series(Y, index=np.arange(N)[::-1]),
}


@CLASSIFIERS
@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.one_in(3)
def test_labels_come_back_as_they_are(make, kind):
    y = GIVEN[kind]
    model = make().fit(X, y)
    cells = list(y)
    assert model.classes_.tolist() == sorted(set(cells))
    plain = cells[0].item() if isinstance(cells[0], np.generic) else cells[0]
    assert type(model.classes_.tolist()[0]) is type(plain)
    predicted = model.predict(X)
    assert np.mean([a == b for a, b in zip(predicted.tolist(), cells, strict=True)]) > 0.85


def test_arrow_and_polars_labels_come_back():
    pa, pl = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    for y in (pd.Series(Y).astype(pd.ArrowDtype(pa.int64())), pl.Series(Y)):
        model = fusion().fit(X, y)
        assert model.classes_.dtype == np.int64 and model.score(X, Y) > 0.85


DATES = pd.to_datetime(np.where(Y, "2020-01-01", "2021-01-01"))
REFUSED = {
    "one text class": (np.full(N, "a"), r"only one class, 'a';"),
    "one number class": (np.zeros(N, int), r"only one class, 0;"),
    "texts and numbers": (["a", *Y[1:].tolist()], "texts and other labels; give one kind"),
    "missing": ([None, *Y[1:].tolist()], "contains NaN"),
    "missing Int64": (pd.Series([None, *Y[1:].tolist()], dtype="Int64"), "contains NaN"),
    "infinite": (np.where(np.arange(N) == 3, np.inf, Y), "infinity"),
    "halves": (Y / 2, "continuous"),
    "bytes": (np.where(Y, b"b", b"a"), "bytes"),
    "short": (Y[:-1], "inconsistent numbers of samples"),
    "scalar": (np.array(1), "cannot be used as a target"),
}
NO_TARGET = {
    "dates": DATES,
    "dates of objects": [v.date() for v in DATES],
    "time zone": DATES.tz_localize("UTC"),
    "numpy dates": DATES.to_numpy(),
    "durations": pd.to_timedelta(Y, unit="D"),
    "periods": DATES.to_period("D"),
}


@CLASSIFIERS
@pytest.mark.parametrize("kind", REFUSED)
def test_other_labels_are_refused_in_one_sentence(make, kind):
    y, message = REFUSED[kind]
    with pytest.raises(InvalidInputError, match=message) as caught:
        make().fit(X, y)
    assert "\n" not in str(caught.value)


@ALL
@pytest.mark.parametrize("kind", NO_TARGET)
def test_dates_and_durations_are_no_target(make, kind):
    with pytest.raises(InvalidInputError, match=r"^y holds dates or durations; give numbers, such as days"):
        make().fit(X, NO_TARGET[kind])


# Several labels a row ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", [int, bool, float, "frame", "list"])
def test_indicators_are_learnt(kind):
    y = {"frame": pd.DataFrame(LABELS), "list": LABELS.tolist()}.get(kind)
    model = fusion().fit(X, LABELS.astype(kind) if y is None else y)
    assert model.predict(X).dtype == np.int64 and (model.predict(X)[:, :2] == LABELS[:, :2]).mean() > 0.85


@pytest.mark.parametrize(
    "y",
    [LABELS + 1, LABELS * 2 - 1, LABELS * 2, np.where(LABELS, "y", "n"), LABELS + LABELS[::-1], LABELS / 2],
    ids=["1 2", "-1 1", "0 2", "y n", "0 1 2", "0 0.5"],
)
def test_columns_of_other_labels_are_refused_with_the_remedy(y):
    with pytest.raises(InvalidInputError, match=r"y (has several columns|cannot be used)"):
        fusion().fit(X, y)


def test_the_remedy_makes_indicators():
    y = LABELS * 2 - 1
    with pytest.raises(InvalidInputError) as caught:
        fusion().fit(X, y)
    code = str(caught.value).partition(", as ")[2].partition(", or")[0]
    assert set(np.unique(eval(code))) == {0, 1}


def test_sparse_indicators_are_refused():
    with pytest.raises(InvalidInputError, match=r"\.toarray\(\)"):
        fusion().fit(X, sp.csr_matrix(LABELS))


# Targets of support rows ---------------------------------------------------------------------------------

SUPPORT_LABELS = {
    "floats": T.astype(float),
    "truth values": T.astype(bool),
    "one class": np.zeros(M, int),
    "own index": pd.Series(T, index=np.arange(M)[::-1]),
    "category": pd.Series(T).astype("category"),
    "Int64": pd.Series(T).astype("Int64"),
    "list": T.tolist(),
    "column": T[:, None],
}
NO_SUPPORT_LABELS = {
    "texts": (T.astype(str), "holds labels such as '0' and y such as 0: one are texts"),
    "missing": ([None, *T[1:].tolist()], "support_target contains NaN"),
    "new": (np.where(np.arange(M) == 0, 7, T), r"class\(es\) \[7\], which y does not have"),
    "two columns": (MORE, "support_target has 3 columns and y one label a row"),
    "short": (T[:-1], "39 entries for 40 support rows"),
    "dates": (pd.to_datetime(T, unit="D"), "support_target holds dates"),
    "ragged": ([[1], [1, 2], *T[2:].tolist()], "a target for each support row"),
    "numbers": (T / 3, "support_target cannot be used as a target"),
}


@pytest.mark.slow
@CLASSIFIERS
@pytest.mark.parametrize("kind", SUPPORT_LABELS)
def test_labels_of_support_rows_may_be_of_another_type(make, kind):
    if make is offset and kind != "column":
        pytest.skip("a second each; read by the same function")
    model = make(support=S, support_target=SUPPORT_LABELS[kind]).fit(X, Y)
    assert model.classes_.tolist() == [0, 1] and model.score(X, Y) > (0.4 if kind == "one class" else 0.8)


@CLASSIFIERS
@pytest.mark.parametrize("kind", NO_SUPPORT_LABELS)
def test_other_labels_of_support_rows_are_refused_before_anything_is_paid(make, kind):
    target, message = NO_SUPPORT_LABELS[kind]
    model = make(support=S, support_target=target)
    with pytest.raises(InvalidInputError, match=message):
        model.fit(X, Y)
    assert not hasattr(model, "ledger_")


@pytest.mark.slow
@pytest.mark.parametrize(
    "target, message",
    [
        (MORE[:, :2], "has 2 columns and y 3 columns"), (T, "has one label a row and y 3 columns"),
        (MORE * 2, "other labels than 0 and 1"), (MORE - 2, "other labels than 0 and 1"),
        (MORE[:-1], "39 entries"), (np.where(MORE, "y", "n"), "other labels than 0 and 1"),
    ],
    ids=["narrow", "one", "twos", "negative", "short", "texts"],
)  # fmt: skip
def test_indicators_of_support_rows_are_those_of_y(target, message):
    with pytest.raises(InvalidInputError, match=message):
        fusion(support=S, support_target=target).fit(X, LABELS)
    assert fusion(support=S, support_target=MORE).fit(X, LABELS).predict(X).shape == LABELS.shape


@REGRESSORS
@pytest.mark.parametrize(
    "target, message",
    [
        (np.ones((M, 2)), "support_target has 2 column"), (np.ones(M - 1), "39 entries"),
        (["a"] * M, "support_target cannot be used"), ([None] * M, "support_target contains NaN"),
        (pd.to_datetime(T, unit="D"), "support_target holds dates"), (np.ones((M, 1, 1)), "support_target"),
    ],
    ids=["wide", "short", "texts", "missing", "dates", "deep"],
)  # fmt: skip
def test_numbers_of_support_rows_are_those_of_y(make, target, message):
    with pytest.raises(InvalidInputError, match=message):
        make(support=S, support_target=target).fit(X, NUMBER)


@pytest.mark.slow
@pytest.mark.parametrize("make", [fusion, offset, numbers, offset_numbers])
def test_support_rows_may_have_their_columns_in_any_order_and_others_beside(make):
    support = S[S.columns[::-1]].assign(note="a")
    one, other = (make(support=rows, support_target=T).fit(X, Y).predict(X) for rows in (S, support))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("make", [fusion, offset, offset_numbers])
def test_a_table_of_one_target_is_told_at_the_users_line(make):
    with pytest.warns(DataConversionWarning, match=r"shape \(120, 1\)") as told:
        make().fit(X, Y[:, None])
    assert __file__ in {w.filename for w in told if w.category is DataConversionWarning}


@pytest.mark.parametrize("make", [fusion, offset, numbers, offset_numbers])
def test_the_name_of_the_target_is_no_target(make):
    with pytest.raises(InvalidInputError, match=r"y='lab' is a name.*X\['lab'\]"):
        make().fit(X, "lab")


# Numbers -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@REGRESSORS
@pytest.mark.parametrize("factor", [1e-300, 1e-160, 1.0, 1e38])
def test_a_target_is_learnt_in_its_own_unit(make, factor):
    expected = make().fit(X, NUMBER).predict(X)
    assert np.allclose(make().fit(X, NUMBER * factor).predict(X) / factor, expected, rtol=1e-4)


@pytest.mark.slow
@REGRESSORS
@pytest.mark.parametrize("kind", ["float16", "object", "Float64", "decimal", "column"])
def test_numbers_of_every_type(make, kind):
    made = {
        "object": NUMBER.astype(object), "Float64": pd.Series(NUMBER).astype("Float64"),
        "decimal": [Decimal(str(v)) for v in NUMBER], "column": NUMBER[:, None],
    }.get(kind, NUMBER.astype("float16"))  # fmt: skip
    plain = np.ravel(np.asarray(made, dtype=float))
    assert np.allclose(np.ravel(make().fit(X, made).predict(X)), make().fit(X, plain).predict(X), rtol=1e-6)


@REGRESSORS
@pytest.mark.parametrize(
    "y", [NUMBER.astype(complex), NUMBER.astype(str), NUMBER[:, None, None], np.full(N, 1e308), [None] * N],
    ids=["complex", "texts", "deep", "huge", "missing"],
)  # fmt: skip
def test_what_is_no_number_is_refused_in_one_sentence(make, y):
    with pytest.raises(InvalidInputError) as caught:
        make().fit(X, y)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_constant_has_scale_one_and_no_spread_is_lost():
    mean, scale = mean_and_scale(np.column_stack([np.full(4, 7.0), [1e-320, 0, 0, 0], [0, 0, 1e154, 1e154]]))
    assert mean.tolist()[0] == 7 and scale[0] == 1 and 0 < scale[1] < 1e-320 and scale[2] == 5e153
