"""Drawn tables as files, with a card that says what they are."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfusiondp import Categorical, Date, Numeric, PrivateSynthesizer
from skfusiondp.exceptions import InvalidInputError

DOMAINS = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"]), "born": Date("1950-01-01", "2000-01-01")}
rng = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "lab": rng.normal(size=60),
        "age": rng.uniform(0, 100, 60),
        "sex": rng.choice(["f", "m"], 60),
        "born": pd.Timestamp("1970-01-01") + pd.to_timedelta(rng.integers(0, 9000, 60), unit="D"),
    }
)
Y = pd.Series(rng.integers(2, size=60), name="died")


@pytest.fixture(scope="module")
def fitted():
    return PrivateSynthesizer(DOMAINS, epsilon=1.0, delta=1e-5, random_state=0).fit(TABLE, Y)


@pytest.mark.parametrize(("file_format", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_files_hold_the_draws_and_the_labels(fitted, tmp_path, file_format, read):
    paths = fitted.save_tables(tmp_path / "new" / "release", 2, file_format=file_format)
    assert [p.name for p in paths] == [
        f"draw_1.{file_format}",
        f"draw_2.{file_format}",
        "card.html",
        "report.json",
    ]
    tables, label = fitted.sample(2, stacked=False)
    for path, table in zip(paths, tables, strict=False):
        found = read(path)
        assert list(found.columns) == [*TABLE.columns, "died"] and found["died"].tolist() == label.tolist()
        np.testing.assert_allclose(found["age"], table["age"])
        assert found["sex"].fillna("").tolist() == table["sex"].fillna("").tolist()
        days = [pd.to_datetime(t["born"]).astype("datetime64[us]") for t in (found, table)]
        pd.testing.assert_series_equal(*days)
    assert not read(paths[0])["age"].equals(read(paths[1])["age"])


def test_the_card_says_what_is_drawn_and_what_is_promised(fitted, tmp_path):
    *_, card, report = fitted.save_tables(tmp_path)
    text = card.read_text(encoding="utf-8")
    assert (
        "Never read one as a fact about a person" in text and "age, sex, born" in text and "lab, died" in text
    )
    assert "Privacy report" in text or "differential privacy" in text
    stored = json.loads(report.read_text())
    assert stored["epsilon"] == fitted.epsilon_ and stored["delta"] == fitted.delta_
    # True cells are in no file.
    cells = {f"{v:.6f}" for v in TABLE["age"]}
    assert not any(v in (tmp_path / "draw_1.csv").read_text() for v in cells)


def test_nothing_is_overwritten(fitted, tmp_path):
    fitted.save_tables(tmp_path)
    before = (tmp_path / "draw_1.csv").read_bytes()
    with pytest.raises(InvalidInputError, match="holds files"):
        fitted.save_tables(tmp_path, 3)
    with pytest.raises(InvalidInputError, match="file_format='excel'"):
        fitted.save_tables(tmp_path / "other", file_format="excel")
    assert (tmp_path / "draw_1.csv").read_bytes() == before and not (tmp_path / "other").exists()


@pytest.mark.parametrize("kind", ["array", "polars", "no label", "label called like a column"])
def test_tables_of_every_kind(kind, tmp_path):
    number = {"age": DOMAINS["age"]}
    X, y, sensitive = TABLE[["lab", "age"]], Y, number
    if kind == "array":
        X, sensitive = X.to_numpy(), {1: number["age"]}
    elif kind == "polars":
        X = pl.from_pandas(X)
    elif kind == "no label":
        y = None
    else:
        y = Y.rename("lab")
    model = PrivateSynthesizer(sensitive, epsilon=1.0, delta=1e-5, random_state=0).fit(X, y)
    found = pd.read_csv(model.save_tables(tmp_path / "release")[0])
    assert found.shape == (60, 2 + (y is not None))
    assert found.columns[-1] == {"no label": "age", "label called like a column": "lab_"}.get(kind, "died")
