"""The plan: one value states sampler, clip, noise, steps and relation."""

import dataclasses
import math

import pytest

from skfusiondp.accounting import Clipping
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.privacy import make_plan

ARGUMENTS = {
    "batch_size": 50,
    "steps": 30,
    "epsilon": None,
    "noise_multiplier": 1.2,
    "delta": None,
    "clipping": Clipping(2.5),
    "adjacency": "replace",
}


def test_derived_quantities():
    plan = make_plan(1000, **ARGUMENTS)
    assert plan.sample_rate == 0.05
    assert plan.expected_batch_size == pytest.approx(50)
    assert plan.tiers[0].noise_std == pytest.approx(1.2 * 2.5)
    assert plan.delta == pytest.approx(1e-4)  # 1/(10 n)


def test_entry_states_what_the_plan_states():
    plan = make_plan(1000, **ARGUMENTS, columns={"age": None})
    (entry,) = plan.ledger(12, source="here")
    assert entry.mechanism == (1.2, 0.05, 12, 1)
    assert (entry.adjacency, entry.n_rows, entry.protects, entry.source) == (
        "replace",
        1000,
        ("age",),
        "here",
    )


@pytest.mark.parametrize("adjacency", ["replace", "zero-out", "add-remove"])
@pytest.mark.parametrize("epsilon", [0.5, 4.0])
def test_meets_the_target(adjacency, epsilon):
    plan = make_plan(
        1000, **{**ARGUMENTS, "noise_multiplier": None, "epsilon": epsilon, "adjacency": adjacency}
    )
    spent = plan.ledger(plan.steps).epsilon(plan.delta)
    assert 0.97 * epsilon < spent <= epsilon


def test_epsilon_one_is_the_default_budget():
    stated = make_plan(1000, **{**ARGUMENTS, "noise_multiplier": None, "epsilon": 1.0})
    assert make_plan(1000, **{**ARGUMENTS, "noise_multiplier": None}) == stated


def test_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_plan(1000, **ARGUMENTS).noise_multiplier = 0.0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"adjacency": "swap"}, "adjacency='swap' is not one of"),
        ({"batch_size": 0}, "batch_size=0 must lie between 1 and the number of rows, 1000"),
        ({"batch_size": 1001}, "batch_size=1001"),
        ({"delta": 0.0}, "delta=0.0"),
        ({"delta": 1.0}, "delta=1.0"),
        ({"delta": math.nan}, "delta=nan"),
        ({"noise_multiplier": 0}, "noise_multiplier=0 .*non-private"),
        ({"noise_multiplier": math.nan}, "noise_multiplier=nan"),
        ({"noise_multiplier": None, "epsilon": -1}, "epsilon=-1"),
        ({"noise_multiplier": None, "epsilon": math.inf}, "epsilon=inf"),
    ],
    ids=str,
)
def test_refuses(change, match):
    with pytest.raises(InvalidInputError, match=match):
        make_plan(1000, **{**ARGUMENTS, **change})
