"""Stacked clipped sums are the per-row engine's, model by model."""

import numpy as np
import pytest
import torch

from skfusiondp.model_selection._stack import (
    Layout,
    Private,
    StackedMLP,
    clipped_sums,
)
from skfusiondp.nets import MLP
from skfusiondp.privacy import Clipping
from skfusiondp.training import PerRowEngine, RowLoss, TwoViewObjective

SIZES = (7, 5, 0)
NORMS = (0.05, 1.0, 100.0)


def stack(kind="flat", n_views=2, seed=0, hidden=(8, 12), spoil=None):
    """Models of different clipping norms on samples of different sizes."""
    torch.manual_seed(seed)
    models = [MLP(5, 1, hidden=hidden) for _ in SIZES]
    clippings = [Clipping(c, kind) for c in NORMS]
    layout = Layout(models[0])
    flat = torch.stack([torch.cat([p.detach().flatten() for p in m.parameters()]) for m in models]).double()
    n = max(SIZES)
    views = torch.randn(n_views, len(SIZES), n, 5, dtype=torch.float64)
    if n_views == 2:
        views[1, :, :2] = views[0, :, :2]
    if spoil is not None:
        views[0, 0, 4] = spoil
    y = torch.randint(2, (len(SIZES), n, 1)).double()
    real = torch.arange(n) < torch.tensor(SIZES)[:, None]
    return models, clippings, layout, flat, views, y, real


def stacked_sums(clippings, layout, flat, views, y, real):
    n_views = len(views)
    model = StackedMLP(layout, flat, np.random.default_rng(0))
    with torch.no_grad():
        outputs, _ = model.forward(torch.cat(list(views), 1), 0, n_views)
    with torch.enable_grad():
        outputs = outputs.requires_grad_()
        n = y.shape[1]
        ends = torch.stack([outputs[:, v * n : (v + 1) * n].flatten(0, 1) for v in range(n_views)])
        objective = TwoViewObjective(RowLoss())(
            ends, ends, y.flatten(0, 1), torch.ones(y.numel(), dtype=torch.float64)
        )
        (g,) = torch.autograd.grad(objective.sum(), outputs)
    with torch.no_grad():
        differ = (views[0] != views[-1]).any(-1) if n_views == 2 else torch.ones_like(real)
        private = Private(n_views, real, differ)
        return clipped_sums(model.backward(g, None), private, clippings, layout)


@pytest.mark.parametrize("kind", ["flat", "per-layer", "automatic"])
@pytest.mark.parametrize("n_views", [1, 2])
def test_sums_are_the_engines(kind, n_views):
    models, clippings, layout, flat, views, y, real = stack(kind, n_views)
    got = layout.views(stacked_sums(clippings, layout, flat, views, y, real))
    for i, (model, size) in enumerate(zip(models, SIZES, strict=True)):
        engine = PerRowEngine(model, TwoViewObjective(RowLoss()), clippings[i])
        wanted = engine.clipped_sum(views[:, i, :size], y[i, :size], torch.ones(size))
        for name, value in wanted.items():
            torch.testing.assert_close(got[name][i], value, rtol=1e-9, atol=1e-12)


def test_an_empty_sample_and_equal_views_add_exactly_zero():
    _, clippings, layout, flat, views, y, real = stack()
    views[1] = views[0]
    assert not stacked_sums(clippings, layout, flat, views, y, real).any()
    assert not stacked_sums(clippings, layout, flat, views, y, torch.zeros_like(real)).any()


@pytest.mark.parametrize("spoil", [float("nan"), float("inf"), 1e30])
def test_a_row_without_a_finite_gradient_adds_zero(spoil):
    _, clippings, layout, flat, views, y, real = stack(spoil=spoil)
    got = stacked_sums(clippings, layout, flat, views, y, real)
    assert got.isfinite().all()
    if spoil != 1e30:
        real[0, 4] = False
        views[0, 0, 4] = 0.0
        torch.testing.assert_close(got, stacked_sums(clippings, layout, flat, views, y, real))


@pytest.mark.parametrize("gap", [1.0, 1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("norm", [1e-6, 1e-2, 1.0])
def test_one_row_never_exceeds_the_clipping_norm(gap, norm):
    _, _, layout, flat, views, y, real = stack(seed=3)
    views = views[:, :, :1].clone()
    views[1] = views[0] + gap * torch.randn_like(views[0])
    clippings = [Clipping(norm)] * len(SIZES)
    got = stacked_sums(clippings, layout, flat, views, y[:, :1], torch.ones_like(real[:, :1]))
    assert (got.norm(dim=1) <= norm * (1 + 1e-5)).all()
