"""The weights that come with the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file

from ._network import KernelNetwork

FILE = Path(__file__).with_name("kernel_network.safetensors")


@cache
def pretrained() -> KernelNetwork:
    """Return the network, in double precision; nothing is downloaded."""
    weights = load_file(FILE)
    # Without memory, and so without the draws with which layers start: they are the global generator's.
    with torch.device("meta"):
        network = KernelNetwork(width=weights["table.0.bias"].shape[0])
    network.load_state_dict(weights, assign=True)
    return network.double().requires_grad_(False).eval()
