"""The sepsis table: a fabricated folder, what is refused, and the real one where present."""

import os

import pandas as pd
import pytest

from skfusiondp import Categorical
from skfusiondp.datasets import load_sepsis
from skfusiondp.exceptions import InvalidInputError

SENSITIVE = ["Age", "Gender", "Unit1", "Unit2", "HospAdmTime", "ICULOS"]
FILES = ["train_ori.csv", "train_hybrid.csv", "val.csv"]


@pytest.fixture
def frames():
    ori = pd.DataFrame(
        {
            "HR": [80.0, None, 95.0],
            "Age": [50.0, 60.0, 70.0],
            "Gender": [0.0, 1.0, 1.0],
            "Unit1": [None, 1.0, 0.0],
            "Unit2": [None, 0.0, 1.0],
            "HospAdmTime": [-3.0, -0.5, -90.0],
            "ICULOS": [20.0, 30.0, 40.0],
            "ICULOS_bin": [1, 2, 3],
            "SepsisLabel": [0.0, 0.0, 1.0],
        }
    )
    # The published view carries a row number and has its units, imputed, at the end.
    hybrid = ori.drop(columns=["Unit1", "Unit2"]).assign(Age=61.5, Unit1=[0, 1, 1], Unit2=0)
    hybrid.insert(0, "index", [7, 2, 5])
    return {"train_ori.csv": ori, "train_hybrid.csv": hybrid, "val.csv": ori.head(2)}


@pytest.fixture
def folder(tmp_path, frames):
    def write(**changed):
        for name, frame in (frames | {f"{k}.csv": v for k, v in changed.items()}).items():
            frame.to_csv(tmp_path / name, index=False)
        return tmp_path

    return write


def test_fabricated_folder(folder):
    sepsis = load_sepsis(folder())
    assert list(sepsis.table) == ["HR", *SENSITIVE]
    assert sepsis.public == ["HR"]
    assert sepsis.target.tolist() == [0, 0, 1]
    assert list(sepsis.hybrid) == list(sepsis.table)
    assert sepsis.hybrid["Age"].tolist() == [61.5] * 3
    assert sepsis.hybrid.dtypes.equals(sepsis.table.dtypes)
    assert sepsis.support.shape == (2, 7)
    assert sepsis.support_target.tolist() == [0, 0]


def test_environment_variable_names_the_folder(folder, monkeypatch):
    monkeypatch.setenv("SKFUSIONDP_SEPSIS", str(folder()))
    X, y = load_sepsis(return_X_y=True)
    assert X.shape == (3, 7)
    assert y.name == "SepsisLabel"


def test_folder_goes_before_environment(folder, monkeypatch):
    monkeypatch.setenv("SKFUSIONDP_SEPSIS", "nowhere")
    assert len(load_sepsis(folder()).table) == 3


def test_no_folder_named(monkeypatch):
    monkeypatch.delenv("SKFUSIONDP_SEPSIS", raising=False)
    with pytest.raises(InvalidInputError, match="SKFUSIONDP_SEPSIS") as caught:
        load_sepsis()
    for hint in ("10.13026/v64v-d857", "2511.03806", *FILES):
        assert hint in str(caught.value)


def test_folder_that_is_none(tmp_path):
    with pytest.raises(InvalidInputError, match=r"nowhere.*train_ori\.csv, train_hybrid\.csv"):
        load_sepsis(tmp_path / "nowhere")


def test_missing_file(folder):
    place = folder()
    (place / "val.csv").unlink()
    with pytest.raises(InvalidInputError, match=r"does not hold val\.csv; .*PhysioNet"):
        load_sepsis(place)


def test_missing_columns(folder, frames):
    place = folder(val=frames["val.csv"].drop(columns="HR"))
    with pytest.raises(InvalidInputError, match=r"val\.csv lacks the column\(s\) \['HR'\]"):
        load_sepsis(place)
    place = folder(train_ori=frames["train_ori.csv"].drop(columns="ICULOS"))
    with pytest.raises(InvalidInputError, match=r"train_ori\.csv lacks .*'ICULOS'"):
        load_sepsis(place)


def test_shifted_view_is_refused(folder, frames):
    shifted = frames["train_hybrid.csv"].iloc[[1, 0, 2]]
    with pytest.raises(InvalidInputError, match="same patients row by row"):
        load_sepsis(folder(train_hybrid=shifted))
    shorter = frames["train_hybrid.csv"].head(2)
    with pytest.raises(InvalidInputError, match="same patients row by row"):
        load_sepsis(folder(train_hybrid=shorter))


@pytest.mark.skipif(not os.environ.get("SKFUSIONDP_SEPSIS"), reason="SKFUSIONDP_SEPSIS names no folder")
def test_real_table():
    sepsis = load_sepsis()
    assert sepsis.table.shape == sepsis.hybrid.shape == (14293, 36)
    assert sepsis.support.shape == (1573, 36)
    assert list(sepsis.sensitive) == SENSITIVE
    assert len(sepsis.public) == 30
    assert sepsis.target.mean() == pytest.approx(0.15, abs=5e-3)
    assert sepsis.support_target.mean() == pytest.approx(0.15, abs=5e-3)
    # The support rows are public, so they may say whether the declared domains are sensible.
    for column, domain in sepsis.sensitive.items():
        cells = sepsis.support[column].dropna()
        if isinstance(domain, Categorical):
            assert set(cells) == set(domain.categories)
        else:
            assert cells.between(domain.low, domain.high).mean() > 0.95
