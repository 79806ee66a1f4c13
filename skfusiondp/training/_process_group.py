"""Training on several processes: which rows each one has, and what they exchange."""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
from typing import Any

import numpy as np

from ..exceptions import InvalidInputError, callers_level


class Ranks:
    """The processes of one training run; with a single process, no method does anything.

    Every rank calls ``fit`` with the *same* table, target and parameters, and trains on its own block
    of rows. (Were the tables the ranks' own, a row that two of them hold would be protected half as
    well, and nothing would tell.)

    Notes
    -----
    Each rank draws a Poisson sample of its own rows, at the rate of the whole: together that is a
    Poisson sample of the table. The ranks' sums are added up on the noise's grid, where addition is exact,
    and rank 0 adds the whole noise to the total, exactly once and from one source. (Shares of the
    variance on every rank would need sources that are surely independent, which fixed seeds are not.) Ranks
    exchange sums of clipped gradients without noise: they and the links between them are trusted, as
    one process would be.
    """

    def __init__(self, rank: int = 0, world: int = 1):
        self.rank = rank
        self.world = world

    @classmethod
    def current(cls) -> Ranks:
        """The ranks of torch.distributed if it is initialised, as Accelerate and torchrun do."""
        import torch.distributed as dist

        if not (dist.is_available() and dist.is_initialized()):
            launched = os.environ.get("WORLD_SIZE", "1")
            if launched not in ("", "1") and "RANK" in os.environ:
                warnings.warn(
                    f"{launched} processes were launched together, but torch.distributed is not initialised: "
                    "each one trains a model of its own, on all rows, and models that are released add up. "
                    "Call torch.distributed.init_process_group, or make an accelerate.Accelerator, before.",
                    UserWarning,
                    stacklevel=callers_level(),
                )
            return cls()
        return cls(dist.get_rank(), dist.get_world_size())

    def noised(self, noise: Any, total: Any) -> Any:
        """The sum of all ranks' totals with noise added once, the same on every rank."""
        if self.world == 1:
            return noise.add_to(total)
        import torch.distributed as dist

        total = noise.rounded(total)
        dist.all_reduce(total)
        if self.rank == 0:
            total = noise.add_to(total)
        dist.broadcast(total, src=0)
        return total

    def rows(self, n_rows: int) -> range:
        """Positions of this rank's block of rows."""
        return range(n_rows * self.rank // self.world, n_rows * (self.rank + 1) // self.world)

    def share(self, public_batch_size: int) -> int:
        """Rows of a public batch that this rank takes."""
        return max(1, public_batch_size // self.world)

    def same(self, value: Any) -> Any:
        """Rank 0's value, on every rank."""
        if self.world == 1:
            return value
        import torch.distributed as dist

        held = [value]
        dist.broadcast_object_list(held, src=0)
        return held[0]

    def own_seed(self, seed: np.random.SeedSequence) -> np.random.SeedSequence:
        """A seed of this rank's own, from one that all have in common."""
        return seed if self.world == 1 else seed.spawn(self.world)[self.rank]

    def check_same(self, **facts: Any) -> None:
        """Refuse, on every rank, a fit that is not the same everywhere.

        Parameters
        ----------
        **facts
            Public facts about table, target and parameters, by the name that an error gives them.

        Raises
        ------
        InvalidInputError
            If one differs between ranks.
        """
        if self.world == 1:
            return
        import torch.distributed as dist

        mine = {k: hashlib.sha256(pickle.dumps(v)).hexdigest() for k, v in facts.items()}
        everyone: list[Any] = [None] * self.world
        dist.all_gather_object(everyone, mine)
        differ = [k for k in mine if len({other[k] for other in everyone}) > 1]
        if differ:
            raise InvalidInputError(
                f"The {self.world} processes of this fit do not agree on {', '.join(differ)}: pass the same "
                "table, target and parameters on each; every process trains on its own block of the rows."
            )

    def broadcast(self, module: Any) -> None:
        """Give every rank rank 0's parameters and buffers."""
        if self.world > 1:
            import torch.distributed as dist

            for tensor in module.state_dict().values():
                dist.broadcast(tensor, src=0)

    def sum_gradients(self, module: Any) -> None:
        """Replace each gradient by its sum over ranks, in one exchange."""
        if self.world == 1:
            return
        import torch
        import torch.distributed as dist

        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        if not gradients:
            return
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def mean(self, value: Any) -> Any:
        """Mean of a tensor over ranks."""
        if self.world == 1:
            return value
        import torch.distributed as dist

        total = value.clone()
        dist.all_reduce(total)
        return total / self.world
