"""Draws in a block are those of torch's global generator from the same seed, which is left alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skfusiondp.exceptions import InvalidInputError
from skfusiondp.training._own_randomness import OwnRandomness

ONES = torch.ones(6)
DRAWS = {
    "a linear layer": lambda: nn.Linear(5, 4).weight,
    "an embedding": lambda: nn.Embedding(4, 3).weight,
    "a recurrent layer": lambda: nn.LSTM(2, 3).weight_hh_l0,
    "orthogonal": lambda: nn.init.orthogonal_(torch.empty(4, 4)),
    "truncated normal": lambda: nn.init.trunc_normal_(torch.empty(4, 4)),
    "sparse": lambda: nn.init.sparse_(torch.empty(6, 4), 0.3),
    "randn": lambda: torch.randn(3),
    "rand with out": lambda: torch.rand(3, out=torch.empty(3)),
    "randperm": lambda: torch.randperm(7),
    "randint": lambda: torch.randint(2, 50, (4,)),
    "rand_like": lambda: torch.rand_like(ONES),
    "randn_like": lambda: torch.randn_like(ONES),
    "randint_like": lambda: torch.randint_like(ONES, 50),
    "normal": lambda: torch.normal(0.0, 1.0, (3,)),
    "bernoulli": lambda: torch.bernoulli(ONES / 2),
    "multinomial": lambda: torch.multinomial(ONES, 3),
    "a distribution": lambda: torch.distributions.Gamma(1.0, 1.0).sample((2,)),
    "dropout": lambda: F.dropout(ONES, 0.5),
    "alpha dropout": lambda: F.alpha_dropout(ONES, 0.4, training=True),
    "gumbel": lambda: F.gumbel_softmax(ONES),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_block_draws_as_a_seeded_global_generator_and_leaves_it_alone(name):
    before = torch.random.get_rng_state()
    with torch.random.fork_rng():
        torch.manual_seed(7)
        wanted = DRAWS[name]()
    with OwnRandomness(7) as own:
        got = DRAWS[name]()
    torch.testing.assert_close(got, wanted, rtol=0, atol=0)
    assert own.draws > 0
    assert torch.equal(before, torch.random.get_rng_state())


def test_what_brings_its_own_generator_or_draws_nothing_is_no_draw():
    with OwnRandomness(7) as own:
        torch.rand(3, generator=torch.Generator().manual_seed(0))
        F.dropout(ONES, 0.5, training=False)
        F.scaled_dot_product_attention(*[torch.ones(1, 2, 3, 4)] * 3)
        torch.ones(3).softmax(0)
    assert own.draws == 0


def test_attention_with_dropout_of_its_own_is_a_draw():
    with OwnRandomness(7) as own:
        F.scaled_dot_product_attention(*[torch.ones(1, 2, 3, 4)] * 3, dropout_p=0.5)
    assert own.draws > 0


def test_what_takes_no_generator_is_refused(monkeypatch):
    monkeypatch.setattr("skfusiondp.training._own_randomness._with_generator", lambda func, names: None)
    with OwnRandomness(7), pytest.raises(InvalidInputError, match=r"draws random numbers by aten\.randn"):
        torch.randn(3)
