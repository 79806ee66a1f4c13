"""What the network reads of a table: figures of its features and labels, none of them a row."""

from __future__ import annotations

import math

import torch

from ._channels import N_HATS, Channels
from ._kernel import Hyperparameters, kernel, solve

# Rows from which the figures of reference kernels are computed: their time grows with the cube.
_REFERENCE_ROWS = 256
# Part, its amplitude, its noise, and whether features weigh what each alone explains.
_REFERENCES = (
    ("linear", 1.0, 0.3, False),
    ("linear", 1.0, 3.0, False),
    ("linear", 1.0, 30.0, False),
    ("smooth", 1.0, 1.0, False),
    ("rough", 1.0, 0.5, False),
    ("linear", 1.0, 1.0, True),
    ("additive", 1.0, 1.0, True),
    ("rough", 1.0, 0.5, True),
)
_PARTS = ("linear", "additive", "smooth", "rough")
N_OF_FEATURE = 8
N_OF_TABLE = len(_REFERENCES) + 5


@torch.no_grad()
def statistics(
    support: Channels, labels: torch.Tensor, share: torch.Tensor, n_classes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Figures of each feature and of each table.

    Parameters
    ----------
    support : Channels
        Of n_support rows.
    labels : Tensor of shape (n_tables, n_support, n_outputs)
        Of mean 0 and variance 1, or 0 where an output never varies.
    share : Tensor of shape (n_tables, n_outputs)
        How much each output counts; of sum 1.
    n_classes : int
        0 for numbers.

    Returns
    -------
    of_features : Tensor of shape (n_tables, n_features, N_OF_FEATURE)
    of_tables : Tensor of shape (n_tables, N_OF_TABLE)
    """
    n_tables, n, n_features = support.values.shape
    by_value, by_rank = (_alone(c, labels, share) for c in (support.values, support.ranks))
    by_hats = _alone_by_hats(support.hats, labels, share)
    spread = support.ranks.std(1, unbiased=False)
    of_features = torch.stack(
        [
            by_value,
            by_rank,
            by_hats,
            torch.log1p(n * by_value) - 0.7,
            torch.log1p(n * by_rank) - 0.7,
            torch.log1p(n * by_hats) - 1.5,
            spread,
            _two_valued(support.ranks),
        ],
        dim=-1,
    )
    explained = torch.maximum(by_value, by_hats)
    heavy = (explained - 1.5 / n).clamp(min=0.0) + 0.05 / n_features
    heavy = n_features * heavy / heavy.sum(1, keepdim=True)
    some = slice(0, _REFERENCE_ROWS)
    few, known = support.rows(some), labels[:, some]
    worth = [_reference(few, known, share, heavy, *reference) for reference in _REFERENCES]
    facts = (math.log(n) / 3 - 1.5, math.log(n_features) / 2 - 1.3, float(n_classes == 0),
             math.log(max(n_classes, 1)) / 2, 0.0)  # fmt: skip
    plain = torch.tensor(facts, dtype=spread.dtype, device=spread.device).expand(n_tables, -1).clone()
    plain[:, -1] = explained.amax(1)
    return of_features, torch.cat([torch.stack(worth, dim=1), plain], dim=1)


def _two_valued(ranks: torch.Tensor) -> torch.Tensor:
    """1 for features of at most two values, 0 for others, (n_tables, n_features)."""
    ends = (ranks - ranks.amin(1, keepdim=True)) * (ranks.amax(1, keepdim=True) - ranks)
    return (ends.amax(1) < 1e-6).to(ranks.dtype)


def _alone(channel: torch.Tensor, labels: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Squared correlation of each feature with the labels, (n_tables, n_features)."""
    n = channel.shape[1]
    scaled = channel / channel.std(1, keepdim=True, unbiased=False).clamp(min=1e-6)
    return ((scaled.transpose(1, 2) @ labels / n) ** 2 @ share[..., None])[..., 0]


def _alone_by_hats(hats: torch.Tensor, labels: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Variance of the labels that a piecewise linear function of each feature explains."""
    n_tables, n, width = hats.shape
    split = hats.view(n_tables, n, width // N_HATS, N_HATS).permute(0, 2, 3, 1)
    identity = torch.eye(N_HATS, dtype=hats.dtype, device=hats.device)
    gram = split @ split.transpose(2, 3) / n + (0.01 + 0.2 / n) * identity
    with_labels = split @ labels[:, None] / n
    explained = (with_labels * torch.linalg.solve(gram, with_labels)).sum(2)
    return (explained @ share[..., None])[..., 0].clamp(0.0, 1.0)


def _reference(
    support: Channels,
    labels: torch.Tensor,
    share: torch.Tensor,
    heavy: torch.Tensor,
    part: str,
    amplitude: float,
    noise: float,
    weighted: bool,
) -> torch.Tensor:
    """R² of predictions of each row from the others by a fixed kernel, (n_tables,)."""
    weight = heavy if weighted else torch.ones_like(heavy)
    amplitudes = torch.zeros(len(heavy), len(_PARTS), dtype=heavy.dtype, device=heavy.device)
    amplitudes[:, _PARTS.index(part)] = amplitude
    given = Hyperparameters(
        weight, weight, weight, weight, weight, amplitudes, torch.full_like(heavy[:, :1], noise), amplitudes
    )
    left_out = solve(kernel(support, support, given), given.noise, labels)[1]
    error = ((labels - left_out) ** 2).mean(1) * share
    return (1.0 - error.sum(1)).clamp(-1.0, 1.0)
