"""The joint objective of a row's two views, and the loss that it is made of."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from skfusiondp.nets import MLP
from skfusiondp.training import RowLoss, TwoViewObjective, forward_with_representation


def values(n_views=2, n_rows=5, outputs=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n_views, n_rows, outputs, generator=generator, dtype=torch.float64)
    hidden = 3 * torch.randn(n_views, n_rows, 4, generator=generator, dtype=torch.float64)
    y = torch.randint(2, (n_rows, outputs), generator=generator).double()
    weight = torch.rand(n_rows, generator=generator, dtype=torch.float64)
    return logits, hidden, y, weight


def test_row_losses():
    logits = torch.tensor([[0.5], [-2.0]])
    y = torch.tensor([[1.0], [0.0]])
    binary = [math.log1p(math.exp(-0.5)), math.log1p(math.exp(-2.0))]
    assert RowLoss("binary")(logits, y).tolist() == pytest.approx(binary)
    both = torch.cat([logits, -logits], 1), torch.cat([y, 1 - y], 1)
    assert RowLoss("multilabel")(*both).tolist() == pytest.approx(binary)
    three = torch.tensor([[1.0, 2.0, 3.0]])
    wanted = math.log(math.exp(-1) + 1 + math.exp(1))
    assert RowLoss("multiclass")(three, torch.tensor([1])).tolist() == pytest.approx([wanted])
    squares = RowLoss("regression")(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]]))
    assert squares.tolist() == [0.5 * (1 + 4) / 2]


def test_one_view_is_the_weighted_loss():
    logits, hidden, y, weight = values(1)
    objective = TwoViewObjective(RowLoss("binary"), beta=5.0)
    torch.testing.assert_close(objective(logits, hidden, y, weight), weight * RowLoss("binary")(logits[0], y))


def test_two_views_are_the_difference_plus_the_penalty():
    logits, hidden, y, weight = values()
    loss = RowLoss("binary")
    difference = weight * (loss(logits[0], y) - loss(logits[1], y))
    torch.testing.assert_close(TwoViewObjective(loss)(logits, hidden, y, weight), difference)
    bounded = [h * min(1, 2.0 / float(h.norm())) for h in hidden.flatten(0, 1)]
    penalty = torch.stack([(bounded[i] - bounded[i + 5]).square().mean() for i in range(5)])
    got = TwoViewObjective(loss, 0.3, 2.0)(logits, hidden, y, weight)
    torch.testing.assert_close(got, difference + 0.3 * penalty)


def test_equal_views_are_worth_zero():
    logits, hidden, y, weight = values()
    logits[1], hidden[1] = logits[0], hidden[0]
    got = TwoViewObjective(RowLoss("binary"), beta=2.0)(logits, hidden, y, weight)
    assert torch.count_nonzero(got) == 0


@given(st.floats(0.01, 10), st.floats(0.1, 1e6), st.integers(0, 1000))
def test_the_penalty_is_bounded_whatever_the_representations_are(bound, size, seed):
    logits, hidden, y, weight = values(seed=seed)
    objective = TwoViewObjective(RowLoss("binary"), 1.0, bound)
    penalty = objective(logits * 0, size * hidden, y, weight)
    assert (penalty <= 4 * bound**2 / 4 * (1 + 1e-9)).all() and (penalty >= 0).all()


@pytest.mark.parametrize("bound", [1e-200, 1e-12, 1.0, 1e18, 1e200])
@pytest.mark.parametrize("size", [0.0, 1e-20, 1e-6, 1.0, 1e12])
def test_gradients_of_the_penalty_are_finite_at_the_ends_of_single_precision(bound, size):
    logits, hidden, y, weight = (t.float() for t in values())
    hidden = (size * hidden).requires_grad_()
    penalty = TwoViewObjective(RowLoss("binary"), 1.0, bound)(logits * 0, hidden, y, weight)
    assert (penalty >= 0).all() and (penalty <= max(1.001 * bound * bound, 1e-38)).all()
    assert torch.autograd.grad(penalty.sum(), hidden)[0].isfinite().all()
    if bound >= 1e18:  # as if there were no bound
        torch.testing.assert_close(penalty, (hidden[0] - hidden[1]).square().mean(1))


def test_representation_of_a_module_that_states_one():
    module = MLP(3, 2, hidden=(4,))
    x = torch.randn(5, 3)
    outputs, hidden = forward_with_representation(module, x)
    assert torch.equal(outputs, module(x)) and torch.equal(hidden, module.represent(x))
    assert hidden.shape == (5, 4)


def test_outputs_stand_in_for_a_representation():
    outputs, hidden = forward_with_representation(nn.Linear(3, 2), torch.ones(5, 3))
    assert hidden is outputs
    flat, _ = forward_with_representation(nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)), torch.ones(5, 3))
    assert flat.shape == (5, 1)
