"""PrivateSynthesizer: what it depends on, what it costs, and the tables that it draws."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone

from skfusiondp import Categorical, Date, Numeric, PrivateSynthesizer
from skfusiondp.estimators.synthesis import _base_synthesis, _releases
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.privacy._release import SumNoise

DOMAINS = {
    "age": Numeric(0, 120),
    "sex": Categorical(["f", "m"]),
    "born": Date("1920-01-01", "2010-12-31"),
}


def rows(n=400, seed=0):
    rng = np.random.default_rng(seed)
    lab = rng.normal(size=n)
    age = np.clip(50 + 12 * lab + 8 * rng.normal(size=n), 0, 120)
    table = pd.DataFrame(
        {
            "lab": lab,
            "age": np.where(rng.random(n) < 0.1, np.nan, age),
            "ward": rng.choice(["a", "b"], n),
            "sex": rng.choice(["f", "m"], n),
            "born": pd.Timestamp("1980-01-01") + pd.to_timedelta(rng.integers(-9000, 9000, n), unit="D"),
        }
    )
    return table, ((age > 50) ^ (rng.random(n) < 0.1)).astype(int)


X, y = rows()


def junk(table, seed=1):
    """The same public columns, and sensitive cells of any kind."""
    rng = np.random.default_rng(seed)
    other = table.copy()
    cells = [None, "x", 1e9, -3.0, pd.NaT, [1], 40, "f", "1999-01-01"]
    for c in DOMAINS:
        other[c] = pd.Series([cells[i] for i in rng.integers(len(cells), size=len(table))], dtype=object)
    return other


def replaced(monkeypatch):
    """Numbers of a fixed stream in place of every release."""
    rng = np.random.default_rng(5)
    shapes = []

    def added_to(self, total, bits):
        shapes.append(total.shape)
        return rng.normal(size=total.shape) * 3

    monkeypatch.setattr(SumNoise, "added_to", added_to)
    return shapes


@pytest.mark.parametrize("support", [None, rows(60, 3)[0]])
@pytest.mark.parametrize("label", [None, y, y + X["lab"].to_numpy()])
@pytest.mark.filterwarnings("ignore")
def test_all_but_the_released_sums_is_the_same_whatever_sensitive_cells_are(monkeypatch, support, label):
    found, shapes = [], []
    for table in (X, junk(X)):
        shapes.append(replaced(monkeypatch))
        model = PrivateSynthesizer(DOMAINS, support=support, random_state=0).fit(table, label)
        drawn = model.sample(2) if label is None else model.sample(2)[0]
        found.append((drawn, model.transform(X), model.privacy_report().to_dict()))
    assert shapes[0] == shapes[1]
    pd.testing.assert_frame_equal(found[0][0], found[1][0])
    pd.testing.assert_frame_equal(found[0][1], found[1][1])
    assert found[0][2] == found[1][2]


@pytest.mark.parametrize("support", [None, rows(60, 3)[0]])
@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
@pytest.mark.filterwarnings("ignore")
def test_the_ledger_holds_the_whole_plan_and_the_sums_use_it_up(monkeypatch, support, adjacency):
    ran = []
    noised = _releases.Releases._noised

    def watched(self, total, unit, diameter, radius, share):
        ran.append((share, self))
        found, std = noised(self, total, unit, diameter, radius, share)
        # Standard deviations apart that this sum moves, as the plan has it.
        moves = diameter * unit if adjacency == "replace" else radius * unit
        ran[-1] = (share, self, moves / std)
        return found, std

    monkeypatch.setattr(_releases.Releases, "_noised", watched)
    model = PrivateSynthesizer(DOMAINS, adjacency=adjacency, support=support, delta=1e-5, random_state=0).fit(
        X, y
    )
    assert sum(share for share, *_ in ran) == pytest.approx(_base_synthesis.STEPS)
    assert len(ran) == model.sums_released_ == (10 if support is None else 9)
    (entry,) = model.ledger_
    assert (entry.steps, entry.sample_rate, entry.adjacency) == (_base_synthesis.STEPS, 1.0, adjacency)
    assert model.ledger_ == model.planned_ledger(len(X))
    # All sums together are one Gaussian release of that many deviations: its epsilon by hand.
    apart = np.sqrt(sum(d**2 for *_, d in ran))
    factor = 2 if adjacency == "replace" else 1
    assert apart <= factor * np.sqrt(entry.steps) / entry.noise_multiplier * (1 + 1e-9)
    assert apart == pytest.approx(factor * np.sqrt(entry.steps) / entry.noise_multiplier, rel=1e-6)
    epsilon = model.epsilon_
    tails = stats.norm.cdf([-epsilon / apart + apart / 2, -epsilon / apart - apart / 2])
    assert tails[0] - np.exp(epsilon) * tails[1] == pytest.approx(1e-5, rel=0.02)
    assert epsilon <= 1


def test_rows_of_a_unit_beyond_its_bound_are_not_read_and_the_others_cost_more():
    people = np.arange(len(X)) // 4
    one = PrivateSynthesizer(DOMAINS, max_rows_per_unit=2, delta=1e-5, random_state=0).fit(
        X, y, groups=people
    )
    moved = X.copy()
    beyond = np.arange(len(X)) % 4 >= 2
    moved.loc[beyond, ["age", "sex", "born"]] = X.loc[beyond, ["age", "sex", "born"]].to_numpy()[::-1]
    other = PrivateSynthesizer(DOMAINS, max_rows_per_unit=2, delta=1e-5, random_state=0)
    other.fit(moved, y, groups=people)
    pd.testing.assert_frame_equal(one.sample()[0], other.sample()[0])
    assert one.rows_per_unit_ == 2 and one.epsilon_ <= 1
    row = PrivateSynthesizer(DOMAINS, delta=1e-5, random_state=0).fit(X, y)
    assert one.plan_.noise_multiplier > 1.9 * row.plan_.noise_multiplier


def test_tables_have_true_public_columns_and_labels_and_cells_of_the_declared_domains():
    model = PrivateSynthesizer(DOMAINS, epsilon=1.0, random_state=0).fit(X, y)
    table, label = model.sample(3)
    assert list(table.columns) == list(X.columns) and len(table) == 3 * len(X)
    pd.testing.assert_frame_equal(
        table[["lab", "ward"]], pd.concat([X[["lab", "ward"]]] * 3, ignore_index=True)
    )
    assert np.array_equal(label, np.tile(y, 3))
    age = table["age"].dropna()
    assert age.between(0, 120).all() and table["age"].isna().any()
    assert set(table["sex"].dropna()) <= {"f", "m"}
    assert table["born"].dtype.kind == "M" and table["born"].dropna().dt.year.between(1920, 2010).all()
    assert not table[: len(X)]["age"].equals(table["age"][len(X) : 2 * len(X)].reset_index(drop=True))
    again, _ = model.sample(3)
    pd.testing.assert_frame_equal(table, again)
    listed, once = model.sample(3, stacked=False)
    assert len(listed) == 3 and len(once) == len(X)


def test_with_little_noise_the_model_learns_what_goes_with_what():
    big, label = rows(4000)
    model = PrivateSynthesizer(DOMAINS, noise_multiplier=0.01, delta=1e-5, random_state=0)
    with pytest.warns(Warning):
        model.fit(big, label)
    table, _ = model.sample()
    assert abs(table["age"].isna().mean() - big["age"].isna().mean()) < 0.02
    assert abs(table["age"].mean() - big["age"].mean()) < 1
    for part in (label == 0, label == 1, big["lab"].to_numpy() > 1):
        assert abs(table["age"][part].mean() - big["age"][part].mean()) < 2
    assert abs(np.corrcoef(table["age"].fillna(50), big["lab"])[0, 1] - 0.75) < 0.1


@pytest.mark.parametrize("kind", ["pandas", "polars", "array"])
def test_tables_are_of_the_kind_that_was_given(kind):
    numbers = X[["lab", "age"]]
    made = {
        "pandas": lambda t: t,
        "polars": lambda t: pytest.importorskip("polars").from_pandas(t),
        "array": lambda t: t.to_numpy(np.float32),
    }[kind]
    given = made(numbers)
    model = PrivateSynthesizer({1 if kind == "array" else "age": Numeric(0, 120)}, random_state=0)
    table, _ = model.fit(given, y).sample(2)
    assert type(table) is type(given) and table.shape == (2 * len(X), 2)
    assert np.allclose(np.asarray(table)[: len(X), 0], np.asarray(given)[:, 0])
    assert type(model.transform(given)) is type(given)
    drawn, label = clone(model).fit_resample(given, y)
    assert np.allclose(np.asarray(drawn), np.asarray(table)[: len(X)], equal_nan=True) and label is y


def test_rows_without_sensitive_columns_get_some_and_true_ones_are_not_read():
    model = PrivateSynthesizer(DOMAINS, random_state=0).fit(X, y)
    drawn = model.transform(X)
    pd.testing.assert_frame_equal(drawn, model.transform(X.drop(columns=["age", "sex"])))
    pd.testing.assert_frame_equal(drawn, model.transform(junk(X)))


def test_a_file_holds_no_rows_and_says_so():
    model = PrivateSynthesizer(DOMAINS, random_state=0).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    assert loaded._public_rows is loaded._labels is loaded._training_features is None
    pd.testing.assert_frame_equal(loaded.transform(X), model.transform(X))
    with pytest.raises(InvalidInputError, match="no training rows"):
        loaded.sample()


def test_a_table_without_sensitive_columns_is_drawn_as_it_is_and_costs_nothing():
    with pytest.warns(Warning, match="nothing is protected"):
        model = PrivateSynthesizer([], random_state=0).fit(X[["lab"]], y)
    pd.testing.assert_frame_equal(model.sample()[0], X[["lab"]])
    assert len(model.ledger_) == 0 and model.plan_ is None
