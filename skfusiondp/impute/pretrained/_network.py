"""The network that sets a kernel for each table, pre-trained on synthetic tables alone."""

from __future__ import annotations

import torch
from torch import nn

from ._channels import Channels
from ._kernel import Hyperparameters, noise_of
from ._statistics import N_OF_FEATURE, N_OF_TABLE, statistics

# Logarithms of amplitudes, of the noise and of the sharpness where the network says nothing.
_START = (-1.2, -1.6, -1.6, -1.2, -0.4, 0.0, 0.0)
_OF_FEATURE = 5


class KernelNetwork(nn.Module):
    """From figures of a table to the hyper-parameters of its kernel.

    Features are a set: a small network reads each one, means and maxima of what it makes of them join the
    figures of the table (Zaheer et al., Deep Sets, NeurIPS 2017), and a second one sets each feature's
    relevances.

    Parameters
    ----------
    width : int, default=48
    """

    def __init__(self, width: int = 48):
        super().__init__()
        self.width = width
        self.feature = _layers(N_OF_FEATURE + N_OF_TABLE, width, width)
        self.table = _layers(N_OF_TABLE + 2 * width, width, width)
        self.relevance = _layers(2 * width, width, _OF_FEATURE)
        self.whole = _layers(width, width, len(_START))
        for layers in (self.relevance, self.whole):
            *_, weight, bias = layers.parameters()
            nn.init.normal_(weight, std=0.02)
            nn.init.zeros_(bias)

    def forward(
        self, support: Channels, labels: torch.Tensor, share: torch.Tensor, n_classes: int
    ) -> Hyperparameters:
        """Set a kernel for each table; arguments as those of `statistics`."""
        of_features, of_tables = statistics(support, labels, share, n_classes)
        beside = of_tables[:, None].expand(-1, of_features.shape[1], -1)
        read = self.feature(torch.cat([of_features, beside], dim=-1))
        table = self.table(torch.cat([of_tables, read.mean(1), read.amax(1)], dim=-1))
        beside = table[:, None].expand(-1, read.shape[1], -1)
        relevances = self.relevance(torch.cat([read, beside], dim=-1)).clamp(-6.0, 4.0).exp()
        start = torch.tensor(_START, dtype=table.dtype, device=table.device)
        whole = (self.whole(table) + start).clamp(-7.0, 3.0)
        values, ranks, hats, smooth, rough = relevances.unbind(-1)
        noise, sharpness = noise_of(whole[:, 4:5]), whole[:, 5:].exp()
        return Hyperparameters(values, ranks, hats, smooth, rough, whole[:, :4].exp(), noise, sharpness)


def _layers(n_in: int, width: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(n_in, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, n_out)
    )
