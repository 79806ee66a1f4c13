"""Numbers whose values everybody knows to lie a step apart."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skfusiondp import FoundationImputer, FusionDPClassifier, Numeric
from skfusiondp.audit import check_domains
from skfusiondp.estimators.joint._coded_columns import CodedColumn
from skfusiondp.estimators.joint._support_cells import SupportCells
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.persistence import load, save


@pytest.mark.parametrize("step", [0, -1, "1", True, np.nan, np.inf, 0.7, 11, 1j, [1], 1e-300, 10**400])
def test_a_step_that_does_not_divide_the_interval_is_refused(step):
    with pytest.raises(InvalidInputError, match=r"step=.*whole multiple"):
        Numeric(0, 10, step=step)


@pytest.mark.parametrize(
    ("low", "high", "step"), [(0, 1e9 + 0.1, 0.3), (1e17, 1e17 + 1000, 1), (10**20, 10**20 + 10, 1)]
)
def test_a_step_that_64_bits_do_not_show_or_that_is_far_from_dividing_is_refused(low, high, step):
    with pytest.raises(InvalidInputError, match=r"step=.*whole multiple"):
        Numeric(low, high, step=step)


@settings(max_examples=200)
@given(
    st.sampled_from([1, 2, 0.1, 0.25, 1 / 3, 1e-6, 1e6]),
    st.floats(-1e4, 1e4).map(round),
    st.integers(1, 500),
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20),
)
def test_restored_cells_are_the_nearest_values_of_the_column(step, low, n, numbers):
    domain = Numeric(low, low + n * step, step=step)
    cells = domain.restore(np.array(numbers))
    steps = (cells - low) / step
    assert np.abs(steps - np.rint(steps)).max() < 1e-3 and (steps > -0.01).all() and (steps < n + 0.01).all()
    inside = np.clip(numbers, *domain.span)
    assert (np.abs(cells - inside) <= step / 2 * (1 + 1e-6) + 1e-6).all()


def test_tenths_are_the_numbers_that_people_write():
    assert Numeric(0, 1, step=0.1).restore(np.linspace(0, 1, 11)).tolist() == [i / 10 for i in range(11)]


@pytest.mark.parametrize("low", [0, 0.7, -3, 12.3, -1000])
@pytest.mark.parametrize("step", [0.1, 0.05, 0.3, 1, 1e-4])
def test_between_each_two_values_is_one_cut(low, step):
    domain = Numeric(low, low + 23 * step, step=step)
    values = low + step * np.arange(24)
    cuts = domain.between_values(values)
    assert np.abs(cuts - (values[:-1] + step / 2)).max() < step / 1000
    parts = CodedColumn.of(domain, "a", SupportCells({"a": domain}, pd.DataFrame({"a": [None]})))
    assert parts.codes(pd.Series(domain.restore(values))).tolist() == list(range(24))


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [
        (0, 1, Fraction(1, 4)),
        (Fraction(1, 4), Fraction(9, 4), Fraction(1, 4)),
        (0, 1, np.float32(0.1)),
        (np.float16(0), np.int8(3), np.uint8(1)),
        (0, 1e-290, 1e-291),
        (-1e300, 1e300, 1e299),
        (0, 1e9, 1e9),
        (1, 2, 1e-9),
        (1_700_000_000_000, 1_800_000_000_000, 1),
    ],
)
def test_values_lie_within_the_bounds_whatever_numbers_state_them(low, high, step):
    domain = Numeric(low, high, step=step)
    low, high = float(low), float(high)
    cells = domain.restore(low + (high - low) * np.array([-1, 0, 0.4, 1, 2]))
    assert cells.dtype == float and cells[[0, 1, 3, 4]].tolist() == [low, low, high, high]
    steps = (cells - low) / float(step)
    assert (
        np.allclose(steps, np.rint(steps), rtol=1e-6, atol=1e-3)
        and abs(cells[2] - low - 0.4 * (high - low)) <= step
    )
    assert eval(repr(domain)) == domain


def test_fractions_are_bounds_like_other_numbers():
    domain = Numeric(Fraction(1, 4), Fraction(5, 4))
    assert domain == Numeric(0.25, 1.25) and domain.encode([1.25, None]).sum() == 9


def test_it_is_stated_by_representation_report_and_file(tmp_path):
    domain = Numeric(np.int8(0), 120, step=np.int64(1))
    assert repr(domain) == "Numeric(low=0, high=120, step=1)" == domain.brief()
    assert eval(repr(domain)) == domain != Numeric(0, 120)
    assert type(domain.step) is int
    assert "in steps of 1" in domain.describe()
    model = FusionDPClassifier({"a": domain}, method="feature-dp", epochs=1, random_state=0)
    X = pd.DataFrame({"a": np.arange(40.0), "b": np.tile([0.0, 1.0], 20)})
    save(model.fit(X, np.tile([0, 1], 20)), tmp_path / "model.skops")
    assert load(tmp_path / "model.skops").schema_.domains["a"].step == 1


def test_true_cells_are_encoded_as_they_are():
    assert np.array_equal(Numeric(0, 8, step=1).encode([2.5, 7.9]), Numeric(0, 8).encode([2.5, 7.9]))


def test_imputed_cells_are_values_of_the_column():
    rng = np.random.default_rng(0)
    support = pd.DataFrame({"age": rng.integers(0, 90, 80).astype(float), "lab": rng.normal(size=80)})
    found = FoundationImputer({"age": Numeric(0, 120, step=1)}, support=support, random_state=0).fit(support)
    cells = found.transform(support.assign(age=np.nan))["age"]
    assert (cells == cells.round()).all() and cells.nunique() > 1


def test_the_holder_of_the_data_hears_of_cells_between_steps():
    table = pd.DataFrame({"age": [17.0, 17.5, 18.0, np.nan, 90.0, 200.0, "x", np.inf]})
    found = check_domains(table, {"age": Numeric(10, 120, step=1)})
    assert found.to_frame().loc["age", "outside"] == pytest.approx(4 / 7)
    assert "between two steps" in str(found) and "between" not in str(
        check_domains(table, {"age": Numeric(10, 120)})
    )
    tenths = pd.DataFrame({"lab": np.arange(0, 101, dtype=np.float32) / 10})
    assert check_domains(tenths, {"lab": Numeric(0, 10, step=0.1)}).to_frame().loc["lab", "outside"] == 0
    assert Numeric(0, 10).outside(tenths["lab"]).keys() == {"below", "above", "no number"}
    spans = pd.DataFrame({"stay": pd.to_timedelta([1, 2, 2.5], unit="D")})
    assert check_domains(spans, {"stay": Numeric(0, 9, step=1)}).to_frame().loc["stay", "outside"] > 0.3
