"""Heads that are trained together get what each would get alone."""

import numpy as np
import pandas as pd
import pytest
import torch

from skfusiondp import FoundationImputer, FusionDPClassifier, Numeric
from skfusiondp.model_selection import _fold_fits, _head_stack
from skfusiondp.model_selection._head_stack import HeadStack

pytestmark = pytest.mark.filterwarnings("ignore:No support rows")
NORMS = (0.01, 0.5, 100.0)
SAMPLES = [np.array([0, 3, 4, 9]), np.array([], dtype=np.int64), np.array([1, 3, 5])]


def waiting(monkeypatch, clipping="flat", several=False):
    """Nets of three clipping norms that wait for their private steps, and their rows."""
    kept = []
    monkeypatch.setattr(_head_stack, "train_heads", lambda nets, rows: kept.append((nets, rows)))
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, 4)), columns=list("abcd"))
    target = np.digitize(table["a"], [-0.5, 0.5]) if several else (table["a"] > 0).astype(int)
    model = FusionDPClassifier(
        {"a": Numeric(-3, 3), "b": Numeric(-3, 3)},
        imputer=FoundationImputer(backend="domain"),
        clipping=clipping,
        steps=3,
        public_epochs=1,
        noise_multiplier=1.0,
        module__hidden=(8,),
    )
    _fold_fits.fit_each(model, [{"max_grad_norm": c} for c in NORMS], table, target, {}, [], [])
    return kept[0]


def sums(nets, rows):
    return HeadStack(nets, rows)._clipped_sums(SAMPLES)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("clipping", ["flat", "per-layer"])
def test_sums_are_those_of_each_nets_own_engine(clipping, several, monkeypatch):
    nets, rows = waiting(monkeypatch, clipping, several)
    got = sums(nets, rows)
    for net, sample, own in zip(nets, SAMPLES, got, strict=True):
        wanted = net.engine_.clipped_sum(*rows.private_rows(sample))
        flat = torch.cat([part.flatten() for part in wanted.values()])
        torch.testing.assert_close(own, flat, rtol=1e-9, atol=1e-12)
        assert own.norm() <= net.plan.clipping.max_grad_norm * len(sample)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_row_without_finite_gradient_adds_nothing_and_changes_no_other_net(value, monkeypatch):
    nets, rows = waiting(monkeypatch)
    before = sums(nets, rows)
    rows.views[0][4] = value
    after = sums(nets, rows)
    assert after.isfinite().all()
    torch.testing.assert_close(after[1:], before[1:], rtol=1e-12, atol=0)
    if value != 1e30:
        rows.views[0][4] = rows.views[1][4]
        torch.testing.assert_close(after, sums(nets, rows), rtol=1e-12, atol=0)


def test_rows_whose_views_are_equal_add_exactly_zero(monkeypatch):
    nets, rows = waiting(monkeypatch)
    rows.views[1][:] = rows.views[0]
    assert not sums(nets, rows).any()


def test_a_large_batch_is_trained_alone(monkeypatch):
    nets, rows = waiting(monkeypatch)
    assert _head_stack.why_alone(nets[0], rows) is None
    monkeypatch.setattr(_head_stack, "_ROWS_AT_ONCE", 60)
    assert _head_stack.why_alone(nets[0], rows) == "batches are large"
