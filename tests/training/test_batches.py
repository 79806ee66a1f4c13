"""Batches: public epochs first, then private ones; only private batches hold private views."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch

from skfusiondp.accounting import Clipping
from skfusiondp.privacy import make_plan
from skfusiondp.training import _batches
from skfusiondp.training._batches import BatchSchedule, RepresentedRows, TrainingRows

N = 60


def made_rows(free=True):
    number = torch.arange(N, dtype=torch.float32)[:, None]
    views = torch.stack([number + 1000, number])
    return TrainingRows(number if free else None, views if free else views[:1], number % 2, torch.ones(N))


def made_plan(steps=5, batch_size=6):
    return make_plan(
        N,
        batch_size=batch_size,
        steps=steps,
        epsilon=None,
        noise_multiplier=1.0,
        delta=None,
        clipping=Clipping(1.0),
        adjacency="replace",
    )


def rows_of(batch):
    """All rows of a batch's private sample."""
    (piece,) = batch.private[0].pieces(N)
    return piece


def schedule(rows, plan, epochs, public=16, seed=0):
    return BatchSchedule(rows, plan, epochs, public, np.random.SeedSequence(seed), secret=False)


def test_private_steps_come_last_and_are_as_many_as_planned():
    batches = schedule(made_rows(), made_plan(5), (3, 3, 2))
    epochs = [list(batches) for _ in range(3)]
    assert [len(e) for e in epochs] == [3, 3, 2]
    assert [b.private is not None for e in epochs for b in e] == [False] * 3 + [True] * 5
    assert all(b.public is not None for e in epochs for b in e)


def test_without_a_plan_nothing_is_private():
    assert all(b.private is None for b in schedule(made_rows(), None, (4,)))


def test_without_a_free_view_nothing_is_public():
    batches = list(schedule(made_rows(free=False), made_plan(4), (4,)))
    assert all(b.public is None and b.private is not None for b in batches)
    assert rows_of(batches[0]).x.shape[0] == 1


def test_private_rows_pair_their_views_and_targets():
    for batch in schedule(made_rows(), made_plan(5, 30), (5,)):
        original, hybrid = rows_of(batch).x
        assert torch.equal(original - 1000, hybrid)
        assert torch.equal(rows_of(batch).y, hybrid % 2)


def test_public_batches_show_every_row_equally_often_and_never_the_original():
    shown = torch.cat([b.public.x for b in schedule(made_rows(), made_plan(15), (15,))])
    assert torch.equal(shown.flatten().long().bincount(minlength=N), torch.full((N,), 4))


def test_private_batches_are_poisson_samples_and_not_shuffled_passes():
    """The trap: shuffled batches, of one size, accounted as Poisson sampling."""
    sizes = [len(rows_of(b).y) for b in schedule(made_rows(), made_plan(400), (400,))]
    variance = N * 0.1 * 0.9
    assert np.mean(sizes) == pytest.approx(6, abs=4 * np.sqrt(variance / 400))
    assert np.var(sizes) == pytest.approx(variance, rel=0.3)
    assert 0 in sizes


def test_private_sampling_and_public_order_are_independent_streams():
    """Reading another number of public rows must not move which private rows are drawn."""

    def private(public):
        batches = schedule(made_rows(), made_plan(5), (5,), public)
        return [rows_of(b).y.tolist() for b in batches]

    assert private(16) == private(7)


def test_the_dataset_shows_the_free_view_only():
    rows = made_rows()
    assert len(rows) == N
    x, y = rows[7]
    assert (x.item(), y.item()) == (7.0, 1.0)
    with pytest.raises(RuntimeError, match="no view of the training rows that is free"):
        made_rows(free=False)[0]


def test_rows_and_samples_are_values_whose_repr_shows_no_cell():
    rows = made_rows()
    assert torch.all(rows.views[0] >= 1000)  # the cells that must not be seen in a traceback
    (batch,) = list(schedule(rows, made_plan(steps=1), (1,)))
    represented = RepresentedRows.of(rows, lambda x: x * 10)
    for value in (rows, represented, batch.private[0]):
        assert "10" not in repr(value).partition(" object at ")[0] and "tensor" not in repr(value)
        with pytest.raises(FrozenInstanceError):
            value.kept = None
    assert represented.represent is None and torch.equal(represented.free, rows.free * 10)


def test_representations_no_wider_than_the_rows_are_made_once_however_many_rows_there_are(monkeypatch):
    monkeypatch.setattr(_batches, "_KEPT_NUMBERS", 1)
    one = made_rows()
    rows, seen = replace(one, views=[one.views[0], one.free]), []

    def represent(x, width):
        seen.append(len(x))
        return x[:, :1].repeat(1, width)

    made = RepresentedRows.of(rows, lambda x: represent(x, rows.free.shape[1]))
    assert made.represent is None and made.views[1] is made.free
    # The width is looked at; then each view once, although the free one is the second private one too.
    assert sum(seen[1:]) == 2 * N
    wide = RepresentedRows.of(rows, lambda x: represent(x, rows.free.shape[1] + 1))
    assert wide.represent is not None
