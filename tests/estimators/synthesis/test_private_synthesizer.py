"""PrivateSynthesizer: what it depends on, what it costs, and the tables that it draws."""

import pickle
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skfusiondp import Categorical, Date, Numeric, PrivacyBudget, PrivateResampler, PrivateSynthesizer
from skfusiondp.estimators.joint import _joint_model, _releases
from skfusiondp.estimators.joint._public_features import LABEL_GROUPS
from skfusiondp.estimators.synthesis import _base_synthesis
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.persistence import load, save
from skfusiondp.privacy._random_bits import RandomBits
from skfusiondp.tables._groups import Units

WHOLE_MODELS = True

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


SUPPORT = rows(60, 3)[0]
each_label = pytest.mark.parametrize(
    "label", [None, y, y + X["lab"].to_numpy()], ids=["no label", "classes", "numbers"]
)
each_support = pytest.mark.parametrize("support", [None, SUPPORT], ids=["counted", "support"])


class Replaced:
    """Numbers of a fixed stream in place of every release, and what would have been released."""

    def __init__(self, monkeypatch, scale=3.0):
        self.sums = []
        rng = np.random.default_rng(5)

        def noised(releases, total, unit, diameter, radius, share):
            std = real(releases, total, unit, diameter, radius, share)[1]
            self.sums.append((total.copy(), diameter, radius, share, unit, std))
            return scale * rng.normal(size=total.shape), std

        real = PLAIN_NOISED
        monkeypatch.setattr(_releases.JointReleases, "_noised", noised)


PLAIN_NOISED = _releases.JointReleases._noised


def parts(model):
    """All that a fit leaves, rows for `sample` and what no file holds included, in bits."""
    return {name: pickle.dumps(value) for name, value in vars(model).items()}


@pytest.mark.one_in(9)
@each_support
@each_label
@pytest.mark.parametrize("step", [None, 1, 10], ids=["no step", "step", "few values"])
@pytest.mark.filterwarnings("ignore")
def test_all_but_the_released_sums_is_bitwise_the_same_whatever_sensitive_cells_are(
    monkeypatch, support, label, step
):
    """With any numbers in place of the releases, the same for two tables, a fit is the same for both."""
    before, found, sums = [], [], []
    domains = {**DOMAINS, "age": Numeric(0, 120, step=step)}
    plain = _joint_model.located_cells

    def located(*args):
        before.append(parts(model))
        return plain(*args)

    monkeypatch.setattr(_joint_model, "located_cells", located)
    missing = X.assign(**dict.fromkeys(DOMAINS))
    for table in (X, junk(X), missing):
        sums.append(Replaced(monkeypatch).sums)
        model = PrivateSynthesizer(domains, support=support, random_state=0)
        model.fit(table, label)
        drawn = model.sample(2) if label is None else model.sample(2)[0]
        found.append((parts(model), drawn, model.transform(X), model.privacy_report()))
    for other in (1, 2):
        assert before[0] == before[other] and found[0][0] == found[other][0]
        pd.testing.assert_frame_equal(found[0][1], found[other][1])
        pd.testing.assert_frame_equal(found[0][2], found[other][2])
        assert found[0][3] == found[other][3]
        # Rows are read as ever: all sums differ, and nothing else of the releases.
        assert len(sums[0]) == len(sums[other]) == (10 if support is None else 9)
        for (one, *facts), (two, *same) in zip(sums[0], sums[other], strict=True):
            assert facts == same and one.shape == two.shape and not np.array_equal(one, two)


CELLS = [None, np.nan, pd.NaT, pd.NA, "x", "", b"f", 1e300, -np.inf, 10**400, 40, True, 1 + 2j, [1], {}, "f"]


def squared(vector):
    return sum(int(v) ** 2 for v in vector.ravel())


@pytest.mark.one_in(2)
@each_support
@pytest.mark.filterwarnings("ignore")
def test_one_row_moves_every_sum_of_a_fit_by_no_more_than_it_is_noised_for(monkeypatch, support):
    """Of a whole fit, in exact arithmetic: another cell of any kind, and an erased row."""
    table, label = X[:60], y[:60]
    monkeypatch.setattr(_joint_model, "fit_family", lambda sums, *_: np.zeros(sums.total.shape))
    monkeypatch.setattr(_joint_model, "information", lambda *_: 1.0)

    def sums(table, erased=None):
        found = Replaced(monkeypatch).sums
        kept = np.arange(len(table)) != erased
        monkeypatch.setattr(Units, "of", lambda self, n: kept)
        PrivateSynthesizer(DOMAINS, support=support, random_state=0).fit(table, label)
        return found

    usual = sums(table.astype(dict.fromkeys(DOMAINS, object)))
    for i, cell in enumerate(CELLS):
        other = table.astype(dict.fromkeys(DOMAINS, object))
        for j, c in enumerate(DOMAINS):
            other.iat[i, other.columns.get_loc(c)] = CELLS[(i + j) % len(CELLS)]
        moved = False
        for (one, diameter, *_), (two, same, *_) in zip(usual, sums(other), strict=True):
            assert diameter == same and squared(one - two) <= diameter**2 * (1 + 1e-12), cell
            moved |= squared(one - two) > 0
        assert moved
    for (one, _, radius, *_), (two, *_) in zip(usual, sums(table, erased=7), strict=True):
        assert 0 < squared(one - two) <= radius**2 * (1 + 1e-12)


@pytest.mark.one_in(6)
@each_support
@each_label
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4, 1e12])
@pytest.mark.filterwarnings("ignore")
def test_shares_that_follow_sums_keep_to_the_plan_whatever_is_released(monkeypatch, support, label, scale):
    """In exact arithmetic; the fit goes on with any numbers, and the ledger has what they spend."""
    sums = Replaced(monkeypatch, scale).sums
    model = PrivateSynthesizer(DOMAINS, noise_multiplier=2.0, support=support, random_state=0)
    model.fit(X, label)
    (entry,) = model.ledger_
    planned = entry.steps * (2 / Fraction(entry.noise_multiplier)) ** 2
    spent = sum(
        (Fraction(diameter) * Fraction(unit) / Fraction(std)) ** 2 for _, diameter, *_, unit, std in sums
    )
    assert planned * (1 - Fraction(1, 10**6)) <= spent <= planned


@each_support
@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
@pytest.mark.filterwarnings("ignore")
def test_the_ledger_holds_the_whole_plan_and_the_sums_use_it_up(monkeypatch, support, adjacency):
    ran = []
    noised = _releases.JointReleases._noised

    def watched(self, total, unit, diameter, radius, share):
        ran.append((share, self))
        found, std = noised(self, total, unit, diameter, radius, share)
        # Standard deviations apart that this sum moves, as the plan has it.
        moves = diameter * unit if adjacency == "replace" else radius * unit
        ran[-1] = (share, self, moves / std)
        return found, std

    monkeypatch.setattr(_releases.JointReleases, "_noised", watched)
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


def test_a_column_with_a_smaller_budget_sets_that_of_all():
    model = PrivateSynthesizer({**DOMAINS, "age": Numeric(0, 120, epsilon=0.4)}, delta=1e-5, random_state=0)
    assert 0.35 < model.fit(X, y).epsilon_ <= 0.4


class Stop(Exception):
    pass


@pytest.mark.one_in(9)
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
@pytest.mark.parametrize("at", [1, 4, 10, "fit_family", "draws"])
def test_an_interrupted_fit_pays_the_whole_plan_and_leaves_the_old_model(monkeypatch, error, at):
    budget = PrivacyBudget(9.0, 1e-3)
    model = PrivateSynthesizer(DOMAINS, delta=1e-5, budget=budget, random_state=0).fit(X, y)
    before = parts(model)
    del before["ledger_"]
    count = []

    def breaks(*args):
        count.append(1)
        if len(count) == (at if isinstance(at, int) else 1):
            raise error
        return PLAIN_NOISED(*args)

    if isinstance(at, int):
        monkeypatch.setattr(_releases.JointReleases, "_noised", breaks)
    elif at == "fit_family":
        monkeypatch.setattr(_joint_model, "fit_family", breaks)
    else:
        monkeypatch.setattr(_joint_model, "inverse", breaks)
    with pytest.raises(error):
        model.fit(X[:300], y[:300])
    after = parts(model)
    del after["ledger_"]
    assert after == before
    one, two = model.ledger_.entries
    assert two.steps == one.steps == _base_synthesis.STEPS and budget.ledger == model.ledger_


@pytest.mark.parametrize("stage", ["PublicScore", "PublicFeatures", "PublicEncoder"])
def test_a_fit_that_ends_before_it_reads_a_sensitive_cell_pays_nothing(monkeypatch, stage):
    def stops(*args):
        raise Stop

    monkeypatch.setattr(_base_synthesis, stage, stops)
    budget = PrivacyBudget(9.0, 1e-3)
    model = PrivateSynthesizer(DOMAINS, delta=1e-5, budget=budget, random_state=0)
    with pytest.raises(Stop):
        model.fit(X, y)
    assert not hasattr(model, "ledger_") and not len(budget.ledger)


@pytest.mark.parametrize(
    ("parameters", "target", "words"),
    [
        ({"epsilon": 1.0, "noise_multiplier": 1.0}, y, "leave one None"),
        ({"adjacency": "add-remove"}, y, "replace, zero-out"),
        ({"epsilon": 0}, y, "epsilon=0"),
        ({"delta": 2.0}, y, "delta"),
        ({"noise_multiplier": 4e6}, y, "too large"),
        ({"support": SUPPORT.drop(columns="age")}, y, "lacks"),
        ({"support": SUPPORT[:0]}, y, "support has no rows"),
        ({"random_state": "a"}, y, "random_state"),
        ({"sensitive": {**DOMAINS, "none": Numeric(0, 1)}}, y, "none"),
        ({}, y[:5], "y "),
        ({}, np.where(y, np.nan, 1.0), "y "),
        ({}, np.column_stack([y, y]), "y has 2 columns"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_paid(parameters, target, words):
    budget = PrivacyBudget(9.0, 1e-3)
    model = PrivateSynthesizer(DOMAINS, budget=budget).set_params(**parameters)
    with pytest.raises(InvalidInputError, match=words):
        model.fit(X, target)
    assert not hasattr(model, "ledger_") and not len(budget.ledger)


def test_noise_that_is_not_refused_fits_into_64_bits_in_every_sum():
    """Shares of many columns are small, so that their noise is many times the plan's."""
    table = X[["lab"]].assign(**{f"c{i}": X["age"] for i in range(12)})
    domains = {f"c{i}": Numeric(0, 120) for i in range(12)}
    with pytest.raises(InvalidInputError, match="too large"):
        PrivateSynthesizer(domains, noise_multiplier=2.0**22 / 24**0.5).fit(table, y)
    PrivateSynthesizer(domains, noise_multiplier=0.999 * 2.0**22 / 24**0.5, random_state=0).fit(table, y)


def test_every_number_of_the_noise_comes_from_the_operating_system(monkeypatch):
    real, words = RandomBits.words, []

    def counted(self, n):
        words.append((self.secret, n))
        return real(self, n)

    monkeypatch.setattr(RandomBits, "words", counted)
    sums = Replaced(monkeypatch).sums
    PrivateSynthesizer(DOMAINS).fit(X, y)
    # A word of 64 bits a coordinate at the least, in every release.
    assert sum(n for _, n in words) >= sum(total.size for total, *_ in sums)
    assert all(secret for secret, _ in words)
    words.clear()
    PrivateSynthesizer(DOMAINS, random_state=3).fit(X, y)
    assert words and not any(secret for secret, _ in words)


def test_labels_of_new_rows_are_drawn_apart_from_their_cells(monkeypatch):
    seen, plain = [], _base_synthesis.uniforms_at

    def kept(seed, n):
        seen.append(plain(seed, n).tobytes())
        return plain(seed, n)

    monkeypatch.setattr(_base_synthesis, "uniforms_at", kept)
    model = PrivateSynthesizer(DOMAINS, random_state=0).fit(X, y)
    model.transform(X)
    model.sample(2)
    # Labels; and in three draws two numbers of each column.
    assert len(seen) == len(set(seen)) == 1 + 3 * 2 * len(DOMAINS)


def test_what_is_handed_in_is_neither_changed_nor_kept():
    table, label = X.copy(), y.copy()
    model = PrivateSynthesizer(DOMAINS, random_state=0).fit(table, label)
    pd.testing.assert_frame_equal(table, X)
    drawn, same = model.sample()
    table["lab"], label[:], drawn["lab"], same[:] = 0.0, 7, 1.0, 8
    again, labels = model.sample(stacked=False)
    pd.testing.assert_frame_equal(again[0][["lab", "ward"]], X[["lab", "ward"]])
    assert np.array_equal(labels, y)
    frames = [value for value in vars(model).values() if isinstance(value, pd.DataFrame)]
    assert frames and not any("age" in frame for frame in frames)


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
    model = PrivateSynthesizer(DOMAINS, epsilon=8.0, random_state=0).fit(X, y)
    table, label = model.sample(3)
    assert list(table.columns) == list(X.columns) and len(table) == 3 * len(X)
    # A row's draws follow one another: folds of rows in order keep them together.
    pd.testing.assert_frame_equal(
        table[["lab", "ward"]], X[["lab", "ward"]].loc[np.repeat(X.index, 3)].reset_index(drop=True)
    )
    assert np.array_equal(label, np.repeat(y, 3))
    age = table["age"].dropna()
    assert age.between(0, 120).all() and table["age"].isna().any()
    assert set(table["sex"].dropna()) <= {"f", "m"}
    assert table["born"].dtype.kind == "M" and table["born"].dropna().dt.year.between(1920, 2010).all()
    assert not table["age"][::3].reset_index(drop=True).equals(table["age"][1::3].reset_index(drop=True))
    again, _ = model.sample(3)
    pd.testing.assert_frame_equal(table, again)
    listed, once = model.sample(3, stacked=False)
    assert len(listed) == 3 and len(once) == len(X)
    for k, one in enumerate(listed):
        pd.testing.assert_frame_equal(one.reset_index(drop=True), table[k::3].reset_index(drop=True))


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


KINDS_OF_TABLES = {
    "pandas": ("age", lambda t: t),
    "numbered frame": (1, lambda t: t.set_axis([0, 1], axis=1)),
    "levels": (("g", "age"), lambda t: pd.concat({"g": t}, axis=1)),
    "polars": ("age", lambda t: pytest.importorskip("polars").from_pandas(t)),
    "arrow": ("age", lambda t: pytest.importorskip("pyarrow").Table.from_pandas(t, preserve_index=False)),
    "array": (1, lambda t: t.to_numpy(np.float32)),
}


def test_where_noise_hides_the_label_cells_are_drawn_without_it_and_that_is_said():
    table, label = rows(2000)
    cells = {}
    for noise in (1.0, 3000.0):
        model = PrivateSynthesizer(DOMAINS, noise_multiplier=noise, random_state=2)
        hidden = noise > 1
        model.fit(table, label)
        assert ("drawn without it" in str(model.privacy_report())) == hidden
        drawn, classes = model.sample(n_draws=5)
        # What there is of the public columns' part goes with the label by them.
        age = drawn["age"] - drawn.groupby(pd.qcut(drawn["lab"], 10))["age"].transform("mean")
        cells[hidden] = age[classes == 1].mean() - age[classes == 0].mean()
        of_label = np.isin(model._features.group, LABEL_GROUPS)
        for theta in model._model.theta:
            assert (theta[: len(of_label)][of_label] == 0).all() == hidden
    assert cells[False] > 3 and abs(cells[True]) < 1.5, cells


def test_models_of_versions_that_did_not_know_were_fitted_with_the_label():
    old = PrivateSynthesizer(DOMAINS, random_state=0).fit(X, y)
    old._model.__dict__.pop("goes_with_label")
    assert "label" not in pickle.loads(pickle.dumps(old)).privacy_report().mechanism


def test_without_a_label_there_is_none_to_be_hidden():
    model = PrivateSynthesizer(DOMAINS, noise_multiplier=300.0, random_state=0).fit(X)
    assert "label" not in model.privacy_report().mechanism


@pytest.mark.parametrize("wanted", ["pandas", "polars"])
def test_it_gives_the_kind_of_table_that_is_asked_for(wanted):
    library = pytest.importorskip(wanted)
    model = PrivateSynthesizer({1: Numeric(0, 120)}, random_state=0).set_output(transform=wanted)
    numbers = X[["lab", "age"]].to_numpy()
    for table in (model.fit_transform(numbers, y), model.transform(numbers)):
        assert isinstance(table, library.DataFrame) and list(table.columns) == ["x0", "x1"]


def test_a_resampler_pays_is_saved_and_reports_as_a_synthesizer(tmp_path):
    budget = PrivacyBudget(5.0, 1e-4, path=tmp_path / "budget.json")
    given = {"epsilon": 1.0, "delta": 1e-5, "random_state": 0}
    resampler = PrivateResampler(DOMAINS, budget=budget, **given)
    table, label = resampler.fit_resample(X, y)
    synthesizer = PrivateSynthesizer(DOMAINS, **given).fit(X, y)
    pd.testing.assert_frame_equal(table.reset_index(drop=True), synthesizer.sample()[0])
    assert label is y and budget.ledger == resampler.ledger_ == resampler.planned_ledger(len(X))
    assert resampler.epsilon_ == synthesizer.epsilon_
    save(resampler, tmp_path / "resampler.skf")
    for again in (load(tmp_path / "resampler.skf"), pickle.loads(pickle.dumps(resampler))):
        assert str(again.privacy_report()) == str(resampler.privacy_report())
        assert getattr(again, "_public_rows", None) is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS_OF_TABLES)
def test_tables_are_of_the_kind_that_was_given(kind, tmp_path):
    age, made = KINDS_OF_TABLES[kind]
    given = made(X[["lab", "age"]])
    model = PrivateSynthesizer({age: Numeric(0, 120)}, random_state=0)
    table, _ = model.fit(given, y).sample(2)
    assert type(table) is type(given) and table.shape == (2 * len(X), 2)
    if hasattr(given, "columns") and kind != "arrow":
        assert list(table.columns) == list(given.columns)
    assert np.allclose(np.asarray(table)[::2, 0], np.asarray(given)[:, 0])
    assert type(model.transform(given)) is type(given)
    assert len(model.save_tables(tmp_path)) == 3
    resampler = PrivateResampler({age: Numeric(0, 120)}, random_state=0)
    drawn, label = resampler.fit_resample(given, y)
    assert type(drawn) is type(given) and label is y
    assert np.allclose(np.asarray(drawn), np.asarray(table)[::2], equal_nan=True)


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


@pytest.mark.slow
@pytest.mark.parametrize("label", [None, "classes"])
def test_missing_cells_are_drawn_where_the_release_shows_some_and_nowhere_else(label):
    """A tenth of the ages is missing and nothing else: what is trained on draws must not meet more gaps."""
    table, classes = rows(4000, 1)
    model = PrivateSynthesizer(DOMAINS, epsilon=2.0, delta=1e-5, random_state=0)
    model.fit(table, None if label is None else classes)
    drawn = model.sample(3) if label is None else model.sample(3)[0]
    assert not drawn[["sex", "born"]].isna().any().any()
    assert drawn["age"].isna().mean() == pytest.approx(table["age"].isna().mean(), abs=0.03)


@pytest.mark.slow
def test_of_few_rows_noise_is_not_taken_for_missing_cells():
    table, classes = rows(100, 2)
    table = table.assign(age=table["age"].fillna(50))
    with_gaps = 0
    for seed in range(20):
        model = PrivateSynthesizer(DOMAINS, epsilon=0.5, delta=1e-3, random_state=seed).fit(table, classes)
        with_gaps += model.sample()[0].isna().any().any()
    assert with_gaps <= 3
