"""A fit that writes down what its private branch releases, and can be given other releases instead."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from ..training._driver import Driver
from ._claim import unbudgeted


class Released(NamedTuple):
    """One sum on its way through the noise: what went in, and what came out."""

    tier: int
    total: np.ndarray
    noised: np.ndarray


@dataclass(frozen=True, eq=False)
class Counted:
    """One count of where sensitive cells lie.

    Parameters
    ----------
    total, noised : ndarray of shape (n_indicators,)
        Before and after noise.
    n_groups : int
        Groups of indicators; a row adds one to an indicator of each.
    """

    total: np.ndarray
    noised: np.ndarray
    n_groups: int


class Record:
    """What a recorded fit did.

    Parameters
    ----------
    replaying : Record, optional
        That of another fit. Each of this fit's releases is replaced by the other's, so that from then on
        the two fits may differ in nothing.
    erased : int, optional
        Row whose private views are both made the free one: the other neighbour where a relation erases cells.

    Attributes
    ----------
    counts : ndarray or None
        Noised counts of sensitive cells, where the fit has released them before its first step.
    released : list of Released
        In order: tiers of a step, steps.
    states : list of dict of str to ndarray
        At each release: every parameter, and the gradient so far, which is the public part.
    rows : dict of str to ndarray
        What the fit trains on, encoded.
    """

    def __init__(self, replaying: Record | None = None, erased: int | None = None):
        self.replaying = replaying
        self.erased = erased
        self.counted: list[Counted] = []
        self.released: list[Released] = []
        self.states: list[dict[str, np.ndarray]] = []
        self.rows: dict[str, np.ndarray] = {}

    def keep_rows(self, rows: Any) -> None:
        """Copy the encoded rows; erase one if asked to."""
        if self.erased is not None:
            rows.views[0][self.erased] = rows.views[1][self.erased]
        if rows.free is not None:
            self.rows["the free view"] = _array(rows.free)
        for i, view in enumerate(rows.views or []):
            self.rows[f"private view {i}"] = _array(view)
        self.rows |= {"the target": _array(rows.y), "the weights": _array(rows.weight)}

    def keep_counts(self, noised: np.ndarray, cells: Any, table: Any, kept: np.ndarray) -> np.ndarray:
        """The counts, or the other fit's in their place; and what they are without noise."""
        total = np.zeros(len(noised))
        for first, chunk in table.chunks(list(cells.domains)):
            here = np.array(kept[first : first + len(chunk)], dtype=bool)
            if self.erased is not None and first <= self.erased < first + len(chunk):
                here[self.erased - first] = False
            if here.any():
                total += np.asarray((cells.features(chunk[here]).matrix() > 0).sum(axis=0)).ravel()
        self.counted.append(Counted(total, np.array(noised), len(cells.sizes)))
        n = len(self.counted)
        if self.replaying is None or n > len(self.replaying.counted):
            return noised
        other = self.replaying.counted[n - 1].noised
        return noised if other.shape != noised.shape else other.copy()

    def release(self, noise: _Recorded, total: Any) -> Any:
        """Let a sum through the noise, or the other fit's release in its place."""
        self.states.append(_state(noise.module))
        noised = noise.inner.add_to(total)
        self.released.append(Released(noise.tier, _array(total), _array(noised)))
        n = len(self.released)
        if self.replaying is None or n > len(self.replaying.released):
            return noised
        other = self.replaying.released[n - 1].noised
        return noised if other.shape != noised.shape else noised.new_tensor(other)


class _Recorded:
    """Noise of one tier that tells the record what it is added to."""

    def __init__(self, inner: Any, record: Record, tier: int, module: Any):
        self.inner = inner
        self.record = record
        self.tier = tier
        self.module = module

    @property
    def std(self) -> float:
        return self.inner.std

    def rounded(self, total: Any) -> Any:
        return self.inner.rounded(total)

    def add_to(self, total: Any) -> Any:
        return self.record.release(self, total)


class _Recorder(Driver):
    """Carries out a fit's steps as they come, and sees its rows and its net."""

    def __init__(self, record: Record):
        self.record = record

    def counts(self, make: Callable[[], Any], cells: Any, table: Any, kept: Any) -> Any:
        return self.record.keep_counts(make(), cells, table, kept)

    def rows(self, like: Hashable, make: Callable[[], Any]) -> Any:
        rows = make()
        self.record.keep_rows(rows)
        return rows

    def train(self, model: Any, net: Any, rows: Any) -> None:
        tiers = getattr(net, "_tiers", [])
        net._tiers = [
            (engine, _Recorded(noise, self.record, t, net.module_)) for t, (engine, noise) in enumerate(tiers)
        ]
        super().train(model, net, rows)


def recorded_fit(estimator: Any, X: Any, y: Any, record: Record, seed: int | None) -> Any:
    """Fit a clone with fixed randomness, writing into `record`."""
    model = unbudgeted(clone(estimator)).set_params(random_state=seed)
    model._driver = _Recorder(record)
    return model.fit(X, y)


def _array(tensor: Any) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy())


def _state(module: Any) -> dict[str, np.ndarray]:
    state = {}
    for name, parameter in module.named_parameters():
        state[name] = _array(parameter)
        if parameter.grad is not None:
            state[f"the gradient of {name}"] = _array(parameter.grad)
    return state


def final_state(net: Any) -> dict[str, np.ndarray]:
    """Every parameter and buffer of a fitted net, and the losses in its history."""
    state = {name: _array(value) for name, value in net.module_.state_dict().items()}
    losses = [b.get("train_loss", np.nan) for e in net.history for b in e.get("batches", [])]
    return {**state, "the losses in the history": np.array(losses, dtype=float)}
