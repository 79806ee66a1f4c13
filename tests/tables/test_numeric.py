"""Numbers whose values everybody knows to lie a step apart."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skfusiondp import FoundationImputer, FusionDPClassifier, Numeric
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.persistence import load, save


@pytest.mark.parametrize("step", [0, -1, "1", True, np.nan, np.inf, 0.7, 11, 1j, [1], 1e-300])
def test_a_step_that_does_not_divide_the_interval_is_refused(step):
    with pytest.raises(InvalidInputError, match=r"step=.*whole multiple"):
        Numeric(0, 10, step=step)


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
