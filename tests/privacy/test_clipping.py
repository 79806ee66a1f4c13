"""Clipping: a row's influence never exceeds C, whatever its gradient is."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skfusiondp.accounting import RELATIONS, Clipping
from skfusiondp.exceptions import InvalidInputError

KINDS = ["flat", "per-layer", "automatic"]
# From the square root of the smallest normal float32 up to norms whose square overflows.
magnitudes = st.one_of(
    st.just(0.0),
    st.floats(1e-18, 1e25),
    st.sampled_from([math.nan, math.inf]),
)


@given(
    st.sampled_from(KINDS),
    st.floats(1e-3, 1e3),
    st.lists(st.lists(magnitudes, min_size=3, max_size=3), min_size=1, max_size=4),
)
def test_clipped_norm_is_never_above_c(kind, c, rows):
    norms = torch.tensor(rows, dtype=torch.float32).T  # (parameters, rows)
    factors = Clipping(c, kind).factors(norms.square())
    assert factors.shape == norms.shape
    assert bool(torch.isfinite(factors).all())
    for row in range(norms.shape[1]):
        if not norms[:, row].square().sum().isfinite():
            assert factors[:, row].tolist() == [0.0] * 3
        else:
            clipped = (norms[:, row].double() * factors[:, row].double()).norm()
            assert clipped <= c * (1 + 1e-6)


@pytest.mark.parametrize("kind", ["flat", "per-layer"])
def test_small_gradients_are_left_alone(kind):
    factors = Clipping(1.0, kind).factors(torch.full((4, 3), 0.01))
    assert bool((factors == 1).all())


def test_flat_clips_to_c_and_keeps_the_direction():
    squared = torch.tensor([[9.0], [16.0]])
    factors = Clipping(2.0).factors(squared)
    torch.testing.assert_close(factors, torch.full((2, 1), 2.0 / 5.0, dtype=torch.float64))


def test_per_layer_clips_each_layer_on_its_own():
    factors = Clipping(2.0, "per-layer").factors(torch.tensor([[100.0], [0.25]]))
    torch.testing.assert_close(factors, torch.tensor([[2 / math.sqrt(2) / 10], [1.0]], dtype=torch.float64))


def test_automatic_brings_every_row_to_about_c():
    squared = torch.tensor([[1e4, 1.0]], dtype=torch.float64)
    factors = Clipping(3.0, "automatic").factors(squared)
    wanted = torch.tensor([[3.0, 3.0 / 1.01]], dtype=torch.float64)
    torch.testing.assert_close(factors * squared.sqrt(), wanted, rtol=1e-3, atol=0)


@given(st.floats(1e-6, 1e6), st.sampled_from(KINDS))
def test_sensitivity_of_each_relation(c, kind):
    clipping = Clipping(c, kind)
    wanted = {"replace": 2 * c, "zero-out": c, "add-remove": c}
    assert {a: clipping.sensitivity(a) for a in RELATIONS} == wanted


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2),
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2),
    st.sampled_from(KINDS),
)
def test_changing_one_row_moves_the_sum_by_no_more_than_the_sensitivity(u, v, kind):
    clipping = Clipping(1.5, kind)

    def clipped(g):
        g = torch.tensor(g, dtype=torch.float64)[:, None]
        return (g * clipping.factors(g.square())).flatten()

    slack = 1 + 1e-12
    assert (clipped(u) - clipped(v)).norm() <= clipping.sensitivity("replace") * slack
    assert clipped(u).norm() <= clipping.sensitivity("zero-out") * slack


@pytest.mark.parametrize("norm", [0, -1.0, math.nan, math.inf, "1", None])
def test_refuses_a_norm_that_bounds_nothing(norm):
    with pytest.raises(InvalidInputError, match="max_grad_norm"):
        Clipping(norm)


def test_refuses_an_unknown_kind():
    with pytest.raises(InvalidInputError, match="clipping='ghost' is not one of flat"):
        Clipping(1.0, "ghost")


@pytest.mark.parametrize("norm", [1e-25, 9e-21, 1.1e20, 1e38, 1e299])
def test_refuses_a_norm_that_single_precision_cannot_clip(norm):
    with pytest.raises(InvalidInputError, match=r"from 1e-20 to 1e\+20, so that gradients in single"):
        Clipping(norm)


@pytest.mark.parametrize("c", [1e-20, 1e-12, 1e12, 1e20])
@pytest.mark.parametrize("kind", KINDS)
def test_extreme_norms_are_kept(c, kind):
    norms = torch.tensor([[1e-30, 1e-22, 1.0, 1e30]], dtype=torch.float32)
    factors = Clipping(c, kind).factors(norms.double().square())
    assert (factors * norms.double() <= c).all()
