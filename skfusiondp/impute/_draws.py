"""Draws by uniform numbers, by position, so that a row is drawn alike in whatever batch it comes."""

from __future__ import annotations

import numpy as np


def uniforms_at(seed: list[int], n: int, positions: np.ndarray | None = None) -> np.ndarray:
    """The first `n` uniform numbers of a stream, or those at positions of it.

    Parameters
    ----------
    seed : list of int
    n : int
    positions : ndarray of shape (n,), optional
        In any order, each once or several times.

    Returns
    -------
    ndarray of shape (n,)
    """
    if positions is None:
        return np.random.default_rng(seed).random(n)
    uniforms = np.empty(n)
    bits = np.random.PCG64(seed)
    stream, first, at, last = np.random.Generator(bits), bits.state, 0, -1
    for i in np.argsort(positions, kind="stable").tolist():
        position = int(positions[i])
        if position == last:
            bits.state, at = first, 0
        bits.advance(position - at)
        uniforms[i] = stream.random()
        at, last = position + 1, position
    return uniforms


def inverse(weights: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """First position whose cumulative share exceeds the uniform number; never one of weight 0."""
    cumulative = np.cumsum(weights, axis=1)
    cumulative = cumulative / cumulative[:, -1:]
    return np.argmax(cumulative > uniforms[:, None], axis=1)
