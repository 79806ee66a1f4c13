"""What the pretrained network and its kernels see of features: standardised values, ranks and hats."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_KNOTS = (-1.0, -0.5, 0.0, 0.5, 1.0)
N_HATS = len(_KNOTS)


@dataclass(frozen=True)
class Scale:
    """What is learnt of each feature from the support rows of a batch of tables.

    Parameters
    ----------
    mean, spread : Tensor of shape (n_tables, 1, n_features)
    ordered : Tensor of shape (n_tables, n_features, n_support)
        Ascending.
    hat_mean : Tensor of shape (n_tables, 1, n_features * N_HATS)
    rank_mean : Tensor of shape (n_tables, 1, n_features)
    """

    mean: torch.Tensor
    spread: torch.Tensor
    ordered: torch.Tensor
    rank_mean: torch.Tensor
    hat_mean: torch.Tensor

    @classmethod
    def of(cls, support: torch.Tensor) -> Scale:
        """Learn from `support`, of shape (n_tables, n_support, n_features)."""
        mean, spread = support.mean(1, keepdim=True), support.std(1, keepdim=True, unbiased=False)
        ordered = support.transpose(1, 2).sort(-1).values.contiguous()
        ranks = _ranks(ordered, support)
        return cls(
            mean,
            torch.where(spread > 1e-6, spread, torch.ones_like(spread)),
            ordered,
            ranks.mean(1, keepdim=True),
            _hats(ranks).mean(1, keepdim=True),
        )


@dataclass(frozen=True)
class Channels:
    """Features of a batch of tables, centred on the support rows.

    Parameters
    ----------
    values, ranks : Tensor of shape (n_tables, n_rows, n_features)
        Standardised, with tails drawn in; and mid-ranks, which span 2.
    hats : Tensor of shape (n_tables, n_rows, n_features * N_HATS)
        Piecewise linear functions of the ranks: sums of them are additive models.
    """

    values: torch.Tensor
    ranks: torch.Tensor
    hats: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor, scale: Scale) -> Channels:
        """Compute them for `features`, of shape (n_tables, n_rows, n_features)."""
        ranks = _ranks(scale.ordered, features)
        return cls(
            drawn_in((features - scale.mean) / scale.spread, 3.0),
            ranks - scale.rank_mean,
            _hats(ranks) - scale.hat_mean,
        )

    def rows(self, which: slice) -> Channels:
        """Return some of the rows."""
        return Channels(self.values[:, which], self.ranks[:, which], self.hats[:, which])

    def single(self) -> Channels:
        """Return them in single precision."""
        return Channels(self.values.float(), self.ranks.float(), self.hats.float())


def drawn_in(values: torch.Tensor, beyond: float) -> torch.Tensor:
    """Let values grow like a logarithm `beyond` a size."""
    size = values.abs()
    far = beyond + torch.log(size.clamp(min=beyond) - beyond + 1.0)
    return torch.where(size > beyond, torch.sign(values) * far, values)


def _ranks(ordered: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Mid-ranks among the support rows, from -1 to 1."""
    asked = features.transpose(1, 2).contiguous()
    below = torch.searchsorted(ordered, asked)
    up_to = torch.searchsorted(ordered, asked, right=True)
    return ((below + up_to).to(features.dtype) / ordered.shape[-1] - 1.0).transpose(1, 2)


def _hats(ranks: torch.Tensor) -> torch.Tensor:
    knots = torch.tensor(_KNOTS, dtype=ranks.dtype, device=ranks.device)
    width = _KNOTS[1] - _KNOTS[0]
    return (1.0 - (ranks[..., None] - knots).abs() / width).clamp(min=0.0).flatten(2)
