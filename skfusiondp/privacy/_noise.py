"""Gaussian noise for the private gradient."""

from __future__ import annotations

import secrets

import torch
from torch import Tensor


class GaussianNoise:
    """Independent normal noise of one standard deviation, from a generator of its own.

    Parameters
    ----------
    std : float
        Standard deviation of each coordinate: noise multiplier times clipping norm.
    seed : int or None
        None takes 63 bits from the operating system. A fixed seed makes a fit repeatable, and void
        against whoever knows it; the privacy report says so.
    device : str or torch.device

    Notes
    -----
    The generator is torch's (Mersenne twister on CPUs, Philox on GPUs), in floating point: neither
    cryptographically secure nor hardened against the attack of Mironov (2012) on low-order bits.
    """

    def __init__(self, std: float, seed: int | None = None, device: str | torch.device = "cpu"):
        self.std = std
        self._generator = torch.Generator(device=device)
        self._generator.manual_seed(secrets.randbits(63) if seed is None else seed)

    def add_to(self, gradient: Tensor) -> Tensor:
        """Return `gradient` plus noise, in the same shape."""
        noise = torch.empty_like(gradient).normal_(generator=self._generator)
        return gradient + self.std * noise
