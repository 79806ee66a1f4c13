"""How close drawn cells are to true ones, and whether they are too often the true ones."""

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Categorical, Date, Numeric, PrivateSynthesizer
from skfusiondp.audit import check_release
from skfusiondp.exceptions import InvalidInputError

DOMAINS = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}


def made(n, seed):
    rng = np.random.default_rng(seed)
    lab = rng.normal(size=n)
    age = np.clip(50 + 10 * lab + 10 * rng.normal(size=n), 0, 100)
    sex = np.where(rng.random(n) < 0.3, "f", "m").astype(object)
    table = pd.DataFrame({"lab": lab, "age": age, "sex": sex})
    return table, (lab + (sex == "f") > 0.3).astype(int)


TRUE, Y = made(2000, 0)


def test_the_true_table_itself_is_found_out():
    found = check_release(TRUE, TRUE, DOMAINS, Y)
    assert found.total_variation == found.pairwise == 0
    assert (found.columns["matches"] == 1).all() and found.excess_matches > 0.3


def test_total_variation_is_what_shares_say():
    drawn = TRUE.assign(sex="m")
    found = check_release(TRUE, drawn, DOMAINS, Y)
    share = (TRUE["sex"] == "f").mean()
    assert found.columns.loc["sex", "total_variation"] == pytest.approx(share)
    assert found.columns.loc["sex", "matches"] == pytest.approx(1 - share)
    assert found.pairs.loc["age", "sex"] == found.pairs.loc["sex", "age"] == pytest.approx(share)
    assert found.shares["sex"].loc["f"].tolist() == pytest.approx([share, 0])


@pytest.mark.slow
def test_cells_drawn_with_the_true_shares_differ_by_chance():
    rng = np.random.default_rng(1)
    drawn = TRUE.assign(age=rng.permutation(TRUE["age"]), sex=rng.choice(TRUE["sex"], len(TRUE)))
    alone, domain = TRUE[["sex"]], {"sex": DOMAINS["sex"]}
    seen = [
        check_release(alone, alone.assign(sex=rng.choice(TRUE["sex"], len(TRUE))), domain).columns
        for _ in range(30)
    ]
    sex = np.array([c.loc["sex", "total_variation"] for c in seen])
    assert sex.mean() == pytest.approx(seen[0].loc["sex", "chance"], rel=0.5)
    age = check_release(TRUE, drawn, DOMAINS).columns.loc["age"]
    assert age["total_variation"] == 0 and np.isnan(age["with_label"])
    # Shuffled, ages go no more with sexes than before, but not with the label.
    assert check_release(TRUE, drawn, DOMAINS, Y).columns.loc["age", "with_label"] > 0.1


def test_a_private_release_matches_no_more_often_than_anybody_could_guess():
    synthesizer = PrivateSynthesizer(DOMAINS, epsilon=1.0, delta=1e-5, random_state=0).fit(TRUE, Y)
    tables, _ = synthesizer.sample(stacked=False)
    found = check_release(TRUE, tables[0], DOMAINS, Y)
    assert found.excess_matches < 0.02 and found.total_variation < 0.1
    assert "Do not publish" in repr(found)


@pytest.mark.slow
def test_missing_and_undeclared_cells_dates_and_one_column_are_compared():
    days = pd.date_range("2000-01-01", periods=200, freq="D").to_series().reset_index(drop=True)
    table = pd.DataFrame({"lab": np.arange(200.0), "born": days, "sex": ["f", "?", None, "m"] * 50})
    domains = {"born": Date("1999-01-01", "2001-01-01"), "sex": Categorical(["f", "m"])}
    drawn = table.assign(born=days.where(days.index % 2 == 0))
    found = check_release(table, drawn, domains)
    assert found.columns.loc["born", "total_variation"] == pytest.approx(0.5)
    assert found.shares["born"].index[-1] == "missing"
    alone = check_release(table[["lab", "sex"]], drawn[["lab", "sex"]], {"sex": domains["sex"]})
    assert np.isnan(alone.pairwise) and "nan" in repr(alone)
    everything = check_release(table[["sex"]], drawn[["sex"]], {"sex": domains["sex"]})
    assert everything.columns.loc["sex", "matches"] == 1


def test_a_page_shows_both_shares(tmp_path):
    found = check_release(TRUE.rename(columns={"sex": "<sex>"}), TRUE.rename(columns={"sex": "<sex>"}),
                          {"age": DOMAINS["age"], "<sex>": DOMAINS["sex"]})  # fmt: skip
    found.save_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 2 and "&lt;sex&gt;" in text and "<sex>" not in text
    assert found._repr_html_() in text


@pytest.mark.slow
def test_numbers_as_labels_are_parted():
    found = check_release(TRUE, TRUE, DOMAINS, TRUE["lab"])
    assert (found.columns["with_label"] == 0).all()


@pytest.mark.parametrize(
    ("released", "sensitive", "message"),
    [
        (TRUE[:10], DOMAINS, "released has 10 rows and X 2000"),
        (TRUE.drop(columns="age"), DOMAINS, r"released lacks the columns \['age'\]"),
        (TRUE, {"sex": None}, "declares no domain"),
    ],
)
def test_what_cannot_be_compared_is_refused(released, sensitive, message):
    with pytest.raises(InvalidInputError, match=message):
        check_release(TRUE, released, sensitive)


@pytest.mark.slow
def test_whole_numbers_that_the_domain_does_not_know_are_named():
    whole = TRUE.assign(age=TRUE["age"].round())
    found = check_release(whole, whole.assign(age=whole["age"] + 1e-7), DOMAINS, Y)
    assert found.whole == ("age",) and "All true cells of age are whole numbers" in str(found)
    assert "step=1" in found._repr_html_()
    told = check_release(whole, whole, {**DOMAINS, "age": Numeric(0, 100, step=1)}, Y)
    assert told.whole == () and check_release(TRUE, TRUE, DOMAINS, Y).whole == ()


def test_rows_in_another_order_are_refused():
    named = TRUE.set_axis([f"p{i}" for i in range(len(TRUE))])
    with pytest.raises(InvalidInputError, match=r"other index labels than X.*released.loc\[X.index\]"):
        check_release(named, named.sample(frac=1, random_state=0), DOMAINS, Y)
    assert check_release(named, named.reset_index(drop=True), DOMAINS, Y).total_variation == 0
