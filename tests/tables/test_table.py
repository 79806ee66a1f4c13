"""Every kind of table gives the same rows, columns and facts."""

import numpy as np
import pandas as pd
import pytest

from skfusiondp import FoundationImputer, FusionDPClassifier, Numeric
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.preprocessing import PrivateStandardScaler, TableEncoder
from skfusiondp.tables._kinds import leaked_domain
from skfusiondp.tables._read_table import as_table, count_rows, read_table

N = 300
rng = np.random.default_rng(0)
ARRAY = rng.normal(size=(N, 3)).round(2)
FRAME = pd.DataFrame(ARRAY, columns=["lab", "age", "dose"])
Y = (ARRAY.sum(1) > 0).astype(int)
DOMAIN = {"age": Numeric(-3, 3)}


def on_disk(kind, tmp_path):
    if kind == "memmap":
        np.save(tmp_path / "x.npy", ARRAY)
        return np.load(tmp_path / "x.npy", mmap_mode="r")
    pytest.importorskip("pyarrow")
    FRAME.to_parquet(tmp_path / "x.parquet", row_group_size=50)
    return tmp_path / "x.parquet"


@pytest.fixture(params=["frame", "array", "memmap", "parquet"])
def given(request, tmp_path):
    kinds = {"frame": FRAME, "array": ARRAY}
    return kinds[request.param] if request.param in kinds else on_disk(request.param, tmp_path)


def test_all_kinds_give_the_same_rows(given, monkeypatch):
    for module in ("_disk", "_table"):
        monkeypatch.setattr(f"skfusiondp.tables.{module}.CHUNK_ROWS", 70)
    table = as_table(given)
    assert table.shape == (N, 3) and len(table) == N == count_rows(given)
    assert list(table.empty().dtypes) == [np.float64] * 3 and not len(table.empty())
    index = np.array([250, 3, 3, 0])
    first, *_, last = table.columns
    for columns, places in ((None, [0, 1, 2]), ([last, first], [2, 0]), ([first], [0])):
        np.testing.assert_array_equal(table.take(index, columns), ARRAY[index][:, places])
        pieces = list(table.chunks(columns))
        assert len(pieces) > 1
        assert [start for start, _ in pieces] == np.cumsum([0, *(len(p) for _, p in pieces[:-1])]).tolist()
        np.testing.assert_array_equal(pd.concat([p for _, p in pieces]), ARRAY[:, places])
    np.testing.assert_array_equal(table.sample([last]), ARRAY[:, [2]])


def test_few_cells_stand_for_all_of_a_column(given):
    table = as_table(given)
    found = table.witnesses(table.columns)
    wanted = [leaked_domain(FRAME[c]) for c in FRAME]
    assert [leaked_domain(found[c]) for c in table.columns] == wanted
    if not table.in_memory:
        assert max(len(cells) for cells in found.values()) <= 2


def test_a_fitted_estimator_s_names_are_given_to_every_kind(given):
    encoder = TableEncoder(DOMAIN).fit(FRAME)
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning, "X does not have valid feature names")
        table = read_table(encoder, given, reset=False)
    assert table.columns == tuple(FRAME)
    np.testing.assert_array_equal(table.take(np.arange(5), ["dose", "lab"]), ARRAY[:5][:, [2, 0]])


@pytest.mark.one_in(4)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names", "ignore:X has feature names")
@pytest.mark.parametrize("fitted_on", ["array", "frame"])
def test_a_model_predicts_from_every_kind(fitted_on, given):
    """A memory map for a model of a named frame was looked up by names that it does not have."""
    X, domain = (ARRAY, {1: Numeric(-3, 3)}) if fitted_on == "array" else (FRAME, DOMAIN)
    model = FusionDPClassifier(
        domain, method="feature-dp", noise_multiplier=1.0, steps=2, public_epochs=1, random_state=0
    )
    model.fit(X, Y)
    np.testing.assert_allclose(model.predict_proba(given), model.predict_proba(X), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "fit",
    [
        lambda path: PrivateStandardScaler(DOMAIN).fit(path),
        lambda path: FoundationImputer(DOMAIN).fit(path),
        lambda path: TableEncoder(DOMAIN).fit(path),
    ],
    ids=["scaler", "imputer", "encoder"],
)
def test_a_path_is_refused_by_what_reads_tables_in_memory(fit, tmp_path):
    with pytest.raises(InvalidInputError, match=r"x.parquet' is a path, and .* read it first"):
        fit(str(tmp_path / "x.parquet"))


def test_two_columns_of_one_name_are_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    twice = pa.Table.from_arrays([pa.array(ARRAY[:, 0]), pa.array(ARRAY[:, 1])], ["lab", "lab"])
    with pytest.raises(InvalidInputError, match=r"\['lab'\] occur twice"):
        as_table(twice)
