"""Sensitive cells decide nothing before they are paid for; what lies outside a domain is said afterwards."""

import pickle
import warnings
from collections import Counter
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfusiondp import (
    Categorical,
    DataHolderWarning,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    OffsetFusionClassifier,
    PrivacyBudget,
    PrivacyBudgetError,
)
from skfusiondp.model_selection import PrivateRandomSearchCV
from skfusiondp.preprocessing import (
    PrivateCategories,
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
    TableEncoder,
)
from skfusiondp.tables._outside import Outside, outside, tell_data_holder

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")

N = 300
DOMAINS = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}
# Whatever a cell may be: none of these may be refused, or tell of itself by an exception.
STRANGE = [
    "text", "", "1e999", "nan", b"bytes", 10**400, -(10**400), np.inf, -np.inf, 1 + 2j, np.complex64(3j),
    [1, 2], {"a": 1}, {1}, np.array([1.0, np.nan]), (1, [2]), date(2020, 1, 2), pd.Timestamp("2020-01-02"),
    pd.NaT, pd.NA, None, np.nan, np.datetime64("2020-01-02"), np.timedelta64(3, "D"), pd.Timedelta(3, "D"),
    pd.Interval(0, 1), Decimal("sNaN"), Decimal("1e500"), Fraction(10**400, 3), True, np.True_, object(),
    np.longdouble("1e4000"), "\ud800",
]  # fmt: skip


def _refuses(*args):
    raise RuntimeError("this number is none")


class OwnFloat(float):
    __float__ = _refuses


class OwnInt(int):
    __int__ = __float__ = __abs__ = _refuses


class OwnFraction(Fraction):
    __gt__ = _refuses

    def __float__(self):
        raise OverflowError


class NoClass:
    __class__ = property(_refuses)


class OwnText(str):
    strip = casefold = lower = __eq__ = __len__ = _refuses
    __hash__ = str.__hash__


# Numbers alone, so that nothing else in the column has it read as texts.
NUMBERS = {
    "5,000 digits": 10**5000,
    "float": OwnFloat(3),
    "int": OwnInt(3),
    "fraction": OwnFraction(1, 2),
    "no class": NoClass(),
    "text": OwnText("1 "),
}


class Hostile:
    """A cell whose every operation fails."""

    def _fail(self, *args):
        raise RuntimeError("this cell was looked at")

    __eq__ = __hash__ = __float__ = __str__ = __bool__ = __lt__ = __gt__ = _fail


def table(n=N, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "lab": rng.normal(size=n),
            "ward": rng.choice(["n", "s"], n),
            "age": rng.uniform(20, 80, n),
            "sex": rng.choice(["f", "m"], n),
        }
    )


X = table()
Y = (X["lab"] > 0).astype(int).to_numpy()


def fusion(domains=DOMAINS, cls=FusionDPClassifier, **more):
    settings = {"steps": 2, "public_epochs": 1, "module__hidden": (4,), "random_state": 0, "epsilon": 1.0}
    return cls(domains, **{**settings, **more})


def offset(domains=DOMAINS, **more):
    return OffsetFusionClassifier(domains, steps=2, random_state=0, **{"epsilon": 1.0, **more})


SPENDERS = {
    "classifier": fusion,
    "regressor": lambda d=DOMAINS, **k: fusion(d, FusionDPRegressor, **k),
    "feature-dp": lambda d=DOMAINS, **k: fusion(d, method="feature-dp", **k),
    "dp-sgd": lambda d=DOMAINS, **k: fusion(d, method="dp-sgd", **k),
    "offset": offset,
    "scaler": lambda d=DOMAINS, **k: PrivateStandardScaler(d, random_state=0, **k),
    "quantiles": lambda d=DOMAINS, **k: PrivateQuantileTransformer(d, random_state=0, **k),
    "categories": lambda d=DOMAINS, **k: PrivateCategories(d, random_state=0, **k),
    "selector": lambda d=DOMAINS, **k: PrivateSelectKBest(d, k=1, random_state=0, **k),
}
each = pytest.mark.parametrize("made", SPENDERS.values(), ids=SPENDERS)


@pytest.mark.one_in(9)
@each
@pytest.mark.filterwarnings("ignore::skfusiondp.DataHolderWarning")
def test_a_budget_refuses_before_any_sensitive_cell_is_looked_at(made, monkeypatch):
    """The largest cell could be found by bisection, since fits were refused for it and cost nothing."""
    relation = "add-remove" if "dp-sgd" in str(made()) else "replace"
    budget = PrivacyBudget(0.001, 1e-5, relation)
    hostile = X.astype({"age": object, "sex": object})
    hostile["age"] = hostile["sex"] = [Hostile() for _ in range(N)]

    def looked(*args, **kwargs):
        raise AssertionError("a sensitive cell was read before the reservation")

    for cls, name in ((Numeric, "clean"), (Numeric, "encode"), (Categorical, "codes")):
        monkeypatch.setattr(cls, name, looked)
    said = set()
    for low in (-10.0, 79.0, 500.0):
        domains = {"age": Numeric(low, 1e6), "sex": Categorical(["f"])}
        for cells in (X, X.assign(age=np.nan), hostile):
            with pytest.raises(PrivacyBudgetError) as caught:
                made(domains, delta=1e-5, budget=budget).fit(cells, Y)
            said.add(str(caught.value))
    assert len(said) == 1 and len(budget.ledger) == 0


@each
@pytest.mark.filterwarnings("ignore::skfusiondp.DataHolderWarning")
@pytest.mark.one_in(3)
def test_no_cell_of_a_sensitive_column_causes_a_refusal(made):
    cells = X.astype({"age": object, "sex": object})
    for i, value in enumerate(STRANGE):
        cells.at[i, "age"] = cells.at[i + 50, "sex"] = value
    model = made().fit(cells, Y)
    after = getattr(model, "predict", model.transform if hasattr(model, "transform") else None)
    assert len(after(cells)) == N


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("domain", [Numeric(0, 100), Categorical(["1", "2"])], ids=["numeric", "categorical"])
@pytest.mark.filterwarnings("ignore::skfusiondp.DataHolderWarning")
@pytest.mark.one_in(4)
def test_no_single_number_causes_a_refusal(kind, domain):
    age = [NUMBERS[kind] if i == 7 else v for i, v in enumerate(X["age"])]
    cells = X.assign(age=pd.Series(np.fromiter(age, dtype=object, count=N)))
    for made in (fusion, offset):
        assert len(made({"age": domain}).fit(cells[["lab", "age"]], Y).predict(cells[["lab", "age"]])) == N


def test_a_table_on_disk_is_not_refused_either(tmp_path, monkeypatch):
    monkeypatch.setattr("skfusiondp.tables._disk.CHUNK_ROWS", 64)
    array = np.random.default_rng(0).normal(size=(N, 3))
    np.save(tmp_path / "x.npy", array)
    with pytest.warns(DataHolderWarning, match="100 % of the present cells .*'x0'.*100 % below"):
        fusion({0: Numeric(50, 60), 1: Numeric(-9, 9)}).fit(tmp_path / "x.npy", Y)
    budget = PrivacyBudget(0.001, 1e-5)
    read = []
    real = type(__import__("skfusiondp.tables._disk", fromlist=["x"]).as_disk_table(tmp_path / "x.npy")).take
    monkeypatch.setattr(
        "skfusiondp.tables._disk.MemmapTable.take", lambda s, i, c=None: read.append(c) or real(s, i, c)
    )
    with pytest.raises(PrivacyBudgetError):
        fusion({0: Numeric(50, 60)}, budget=budget, delta=1e-5).fit(tmp_path / "x.npy", Y)
    assert all(columns is not None and "x0" not in columns for columns in read)


# Every cell is encoded ------------------------------------------------------------------------------

values = st.one_of(
    st.sampled_from(range(len(STRANGE))).map(lambda i: STRANGE[i]), st.floats(), st.integers(), st.text()
)


@given(st.lists(values, min_size=1, max_size=8))
def test_each_cell_is_encoded_by_itself(cells):
    numeric, categorical = Numeric(-5, 5), Categorical(["a", 1, "2"])
    column = pd.Series(cells, dtype=object)
    for domain in (numeric, categorical):
        together = domain.encode(column)
        alone = [domain.encode(pd.Series([v], dtype=object))[0] for v in cells]
        assert np.isfinite(together).all() and np.array_equal(together, alone)
    clean = numeric.clean(column)
    assert (np.isnan(clean) | ((clean >= -5) & (clean <= 5))).all()


def test_what_a_strange_cell_counts_as():
    clean = Numeric(-5, 5).clean(pd.Series(["3", "x", 1j, 10**400, -(10**400), [1], True, date(2020, 1, 1)]))
    np.testing.assert_array_equal(clean, [3, np.nan, np.nan, 5, -5, np.nan, 1, np.nan])
    np.testing.assert_array_equal(Numeric(-5, 5).clean(np.array([1 + 0j, 1 + 1j])), [1, np.nan])
    assert np.isnan(Numeric(0, 1e30).clean(pd.Series(pd.to_datetime(["2020-01-01"])))).all()
    codes = Categorical(["1", "2.5", "True"]).codes([1, 1.0, 2.5, True, "x", [1], Hostile(), None])
    assert codes.tolist() == [0, 0, 1, 2, 3, 3, 3, 4]


def test_public_cells_are_refused_as_before():
    for domains in ({"age": Numeric(0, 100)},):
        encoder = TableEncoder(domains).fit(X[["lab", "age"]])
        with pytest.raises(ValueError, match=r"'lab'.*not a number"):
            encoder.transform(X[["lab", "age"]].assign(lab="x"))


# What the data holder is told -----------------------------------------------------------------------


def test_counts():
    cells = pd.Series([-1, 5, 20, None, "x", np.inf, 10], dtype=object)
    assert outside(cells, Numeric(0, 10)) == Outside(6, Counter({"below": 1, "above": 2, "no number": 1}))
    found = outside(pd.Series(["a", "b", None, [1]], dtype=object), Categorical(["a"]))
    assert found == Outside(3, Counter({"unknown categories": 1, "cells that are no texts": 1}))
    assert found.share == pytest.approx(2 / 3)
    assert outside(pd.Series([None, np.nan]), Numeric(0, 1)).share == 0
    # What PrivateCategories has merged is "other" on purpose.
    assert outside(pd.Series(["a", "(other)"]), Categorical(["a"])).share == 0


def test_what_is_wrong_with_a_category_is_said_in_kind():
    cells = ["f", "m ", " f", "F", "nan", "?", "", " N/A ", "x", 1, None, np.nan, pd.NA]
    found = outside(pd.Series(cells, dtype=object), Categorical(["f", "m"]))
    assert found.present == 10 and found.wrong == Counter(
        {
            "with blanks before or after a category": 2,
            "categories in other upper and lower case": 1,
            "texts such as 'nan' or '?', which are missing only as None or NaN": 4,
            "unknown categories": 1,
            "cells that are no texts": 1,
        }
    )
    texts = outside(pd.Series(["0", "1", 1.0, True], dtype=object), Categorical([0, 1]))
    assert texts.wrong == Counter({"texts, where numbers are declared": 2})


SMALL_NUMBERS = {
    "int": [0, 1, 2, None],
    "float": [0.0, 1.0, 2.0, np.nan],
    "bool": [False, True, 2, None],
    "numpy": [np.int8(0), np.True_, np.float32(2), np.nan],
}


@pytest.mark.parametrize("name", SMALL_NUMBERS)
@pytest.mark.parametrize("kind", [object, "category"])
@pytest.mark.parametrize("declared", [[0, 1, 2], [0.0, 1.0, 2.0], ["0", "1", "2"], ["0.0", "1.0", "2.0"]])
def test_categories_are_found_by_value(name, kind, declared):
    """Numbers are found among declared texts too: arrays of texts hold numbers as texts."""
    cells = pd.Series(SMALL_NUMBERS[name], dtype=object).astype(kind)
    assert Categorical(declared).codes(cells).tolist() == [0, 1, 2, 4]
    assert Categorical([*declared, 0.5]).codes(pd.Series([0.5, 2.5])).tolist() == [3, 4]


def test_a_text_is_no_number():
    assert Categorical([0, 1]).codes(["0", "1", "1 ", "True"]).tolist() == [2] * 4


@pytest.mark.parametrize("cell", [1j, np.complex64(1 + 2j), np.complex128(1)])
def test_a_complex_cell_causes_no_warning(cell):
    """numpy warns where it drops an imaginary part, and a warning would be an output."""
    cells = pd.Series([cell, "m"], dtype=object)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert Categorical(["f", "m"]).codes(cells).tolist() == [2, 1]
        assert np.isfinite(Numeric(0, 1).encode(cells)).all()
    assert not caught


def said(model, cells=X):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = model.fit(cells, Y)
    return fitted, [str(w.message) for w in caught if issubclass(w.category, DataHolderWarning)]


@pytest.mark.parametrize("name", SPENDERS)
def test_a_paid_fit_says_what_share_lies_outside(name):
    cells = X.assign(
        age=np.where(np.arange(N) < 30, 500.0, X["age"]), sex=X["sex"].where(np.arange(N) >= 60, "femal")
    )
    cells.loc[200:, "age"] = np.nan
    _, texts = said(SPENDERS[name](), cells)
    reads = {"scaler": 1, "quantiles": 1, "categories": 1}.get(name, 2)
    assert len(texts) == reads
    if name != "categories":
        assert "15 % of the present cells" in texts[0] and "'age'" in texts[0] and "15 % above" in texts[0]
        assert "Numeric(low, high)" in texts[0] and "Numeric(low=0, high=100)" in texts[0]
    if name not in ("scaler", "quantiles"):
        assert "20 % of the present cells" in texts[-1] and "Categorical([...])" in texts[-1]
        assert "femal" not in texts[-1]


@pytest.mark.parametrize("name", SPENDERS)
@pytest.mark.one_in(3)
def test_nothing_of_it_is_kept(name, tmp_path):
    """At one output of the mechanism, a fit that warned is the same as one that did not."""
    cells = X.assign(age=np.where(np.arange(N) < 100, 500.0, X["age"]))
    clipped = X.assign(age=np.where(np.arange(N) < 100, 100.0, X["age"]))
    (one, texts), (two, none) = said(SPENDERS[name](), cells), said(SPENDERS[name](), clipped)
    assert (len(texts) == 1 or name == "categories") and not none
    assert str(one.privacy_report()) == str(two.privacy_report())
    assert one.privacy_report().to_json() == two.privacy_report().to_json()
    one.history_ = two.history_ = None  # durations
    if hasattr(one, "net_"):
        one.net_ = two.net_ = None
    assert pickle.dumps(one) == pickle.dumps(two)
    assert not any("outside" in key.lower() for key in vars(one))


def test_few_cells_outside_are_not_worth_a_word():
    assert said(fusion(), X.assign(age=X["age"].where(X.index != 0, 500.0)))[1] == []
    assert said(fusion(), X)[1] == []


def test_a_fit_that_reads_no_sensitive_cell_says_nothing():
    strange = X.assign(age=500.0)
    model, texts = said(fusion(method="hybrid"), strange)
    assert model.epsilon_ == 0 and texts == []
    assert said(FoundationImputer(DOMAINS, backend="domain"), strange)[1] == []
    assert said(TableEncoder(DOMAINS), strange)[1] == []


def test_an_error_filter_makes_no_exception_of_it(capsys):
    """A refusal would be an output: a fit under -W error ends as every other."""
    quiet = fusion().fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataHolderWarning)
        model = fusion().fit(X.assign(age=500.0), Y)
    assert len(model.ledger_) == len(quiet.ledger_) and model.epsilon_ == quiet.epsilon_
    assert "100 % of the present cells" in capsys.readouterr().err
    tell_data_holder("plain")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tell_data_holder("loud")
    assert "loud" in capsys.readouterr().err


def test_a_fit_that_fails_says_nothing(monkeypatch):
    monkeypatch.setattr(FusionDPClassifier, "_train", lambda *args: 1 / 0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ZeroDivisionError):
            fusion().fit(X.assign(age=500.0), Y)
    assert not any(issubclass(w.category, DataHolderWarning) for w in caught)


@pytest.mark.parametrize("trials", [1.5, 4])
def test_a_search_speaks_once_however_many_trials_ran(trials):
    """How many trials ran is secret: the bound of the search needs it."""
    search = PrivateRandomSearchCV(
        FusionDPClassifier(DOMAINS, steps=2, public_epochs=1, module__hidden=(4,)),
        {"lr": [0.01, 0.02]},
        n_trials=trials,
        distribution="poisson" if trials > 2 else "negative-binomial",
        random_state=1,
    )
    assert len(said(search, X.assign(age=500.0))[1]) == 1
