"""The skorch net whose training step is the FusionDP step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from ..privacy import PrivatePlan
from ..privacy._noise import GaussianNoise
from ..privacy._random_bits import RandomBits
from ..training import (
    PerRowEngine,
    RowLoss,
    Throwaway,
    TwoViewObjective,
    check_module,
    forward_with_representation,
)
from ._batches import Batch, BatchSchedule, Rows, TrainingRows
from ._dropout import shared_dropout
from ._made_up import made_up_rows, made_up_views
from ._own_randomness import OwnRandomness
from ._phases import PhasedNet
from ._process_group import Ranks
from ._shrinkage import BeyondNoise
from ._surroundings import refuse_anomaly_detection, usual_modes
from ._throwaway import copied

_PREDICT_ROWS = 65_536
# Private rows that are read and differentiated at once, so that memory does not grow with the batch.
_MICRO_BATCH = 4096


class FusionDPNet(PhasedNet):
    """Train a module by a free public gradient plus a clipped and noised private one.

    Each step sets ``gradient = public + alpha * private`` and lets the optimizer go on from there.
    The public gradient is the mean over a batch of the free view. The private one is
    ``(sum of clipped per-row gradients + noise) / (q n)`` over a Poisson sample, also when it is empty.

    Parameters
    ----------
    module : torch module class or instance
    criterion : torch module class, default=RowLoss
        Gives the loss of each row; ``criterion__task`` picks it.
    plan : PrivatePlan or None
        The private branch; None trains on the free view alone.
    epoch_steps : sequence of int
        Steps of each epoch, of which the last ``plan.steps`` are private too.
    public_batch_size : int
    alpha, beta, consistency_bound : float
        Weights of the private gradient and of the consistency penalty, and the penalty's bound.
    ema_decay : float in [0, 1)
        Decay of the exponential average of the iterates that replaces the last one after training.
        0 keeps the last iterate. Averaging noised iterates is post-processing: it costs nothing.
    public_lr : float
        Learning rate where no step is private; `lr` is that of private steps, and of the public ones
        before them, where the whole module is trained privately.
    head_lr : float
        Learning rate of private steps where they train the head alone.
    private_parameters : sequence of str, optional
        Patterns of parameters in the private gradient. If all belong to the module's head, the rest of
        it is trained in the public epochs alone, and the head then on the rows' representations.
    micro_batch_size : int, optional
        Rows of a branch that are differentiated at once; 4,096 if not given.
    ranks : Ranks, optional
        The processes that train together. Each one gets its own rows, and the gradient is the sum of
        what they add to it; one alone if not given.
    seed : numpy.random.SeedSequence
        Of the order of public rows; and of sampling, dropout masks and noise where they are repeatable.
    secret : bool
        Draw these from the operating system's bits, and not from `seed`.

    Attributes
    ----------
    private_steps_ : int
        Private steps that read sensitive rows so far.
    correction_kept_ : float
        The share of the head's private correction that is kept; see `shrink_head`.
    beyond_noise_ : float
        Standard deviations by which sums of noised gradients are longer than noise alone; nan where there
        were none, or several tiers. See `BeyondNoise`.
    begin : callable or None
        Called once, before the first of them: that is when a fit pays for its plan.
    engine_ : PerRowEngine or None

    Notes
    -----
    skorch's validation split is off and ``train_loss`` in the history is that of the free view:
    both would otherwise read sensitive cells. The realised private batch size is not recorded, nor are
    durations, which follow it; callbacks are given the public rows of a batch only.
    """

    # Of nets that were saved by versions that did not know.
    beyond_noise_: float = math.nan

    def __init__(
        self,
        module: Any,
        *args: Any,
        criterion: Any = RowLoss,
        plan: PrivatePlan | None = None,
        epoch_steps: Sequence[int] = (),
        public_batch_size: int = 1024,
        alpha: float = 1.0,
        beta: float = 0.0,
        consistency_bound: float = 1.0,
        ema_decay: float = 0.0,
        public_lr: float = 2e-3,
        head_lr: float = 2e-2,
        private_parameters: Sequence[str] | None = None,
        micro_batch_size: int | None = None,
        ranks: Ranks | None = None,
        seed: np.random.SeedSequence | None = None,
        secret: bool = True,
        train_split: Any = None,
        **kwargs: Any,
    ):
        self.plan = plan
        self.epoch_steps = epoch_steps
        self.public_batch_size = public_batch_size
        self.alpha = alpha
        self.beta = beta
        self.consistency_bound = consistency_bound
        self.ema_decay = ema_decay
        self.public_lr = public_lr
        self.head_lr = head_lr
        self.private_parameters = private_parameters
        self.micro_batch_size = micro_batch_size
        self.ranks = ranks
        self.seed = seed
        self.secret = secret
        super().__init__(module, *args, criterion=criterion, train_split=train_split, **kwargs)

    def prepare(self, rows: TrainingRows, n_outputs: int) -> None:
        """Initialise, and refuse an unfit module, on made-up rows before any real one is read.

        Parameters
        ----------
        rows : TrainingRows
            Only shapes and types are used.
        n_outputs : int

        Raises
        ------
        InvalidInputError
            For a module that cannot be used, and parts that cannot be made.
        """
        seed = self.seed or np.random.SeedSequence()
        if self.plan is not None:
            refuse_anomaly_detection()
        self._made_up = made_up_views(rows)[0].to(self.device)
        initial, masks = seed.spawn(1)[0].generate_state(2).tolist()
        self._public_masks = torch.Generator().manual_seed(masks)
        with OwnRandomness(initial):
            self.initialize()
            if any(isinstance(p, UninitializedParameter) for p in self.module_.parameters()):
                # Lazy layers take their shape from the first rows that they see.
                self.module_(self._made_up)
        self.ranks_ = Ranks() if self.ranks is None else self.ranks
        self.ranks_.broadcast(self.module_)
        self.private_steps_ = 0
        self.correction_kept_, self.beyond_noise_ = 1.0, math.nan
        self.begin: Callable[[], None] | None = None
        self.counted = False  # whether the plan was paid for by a count before
        check_module(self.module_, self._made_up, n_outputs)
        self._throwaway = Throwaway(self.module_)
        self.engine_ = None
        self._head_only = False
        if self.plan is not None:
            self._prepare_engines(made_up_rows(rows, n_outputs))

    def _prepare_engines(self, made_up: TrainingRows) -> None:
        """Make each tier's engine and noise."""
        assert self.plan is not None and made_up.views is not None and self.seed is not None
        names, beta = self.private_parameters, self.beta
        views = torch.stack([torch.as_tensor(view, device=self.device) for view in made_up.views])
        self._precision = torch.float64
        if self._only_head_is_private():
            # What is before the head is fixed by then, and so is the penalty on it.
            self._head_only, beta = True, 0.0
            names = [n.removeprefix("head.") for n in names or ()]
            try:
                self._represent(views[0])
            except Exception:
                # As for the engine: constants of the module's own may be in single precision.
                self._precision = torch.float32
            views = torch.stack([self._represent(view) for view in views])
            self._width = views.shape[2:]
        objective = TwoViewObjective(self.criterion_, beta, self.consistency_bound)
        y, weight = made_up.y.to(views.device), made_up.weight.to(views.device)
        self.module_.train()
        self._tiers = []
        for tier in self.plan.tiers:
            masks = self._bits().generator()
            engine = PerRowEngine(
                self._trained, objective, tier.clipping, names, self.micro_batch_size, masks
            )
            engine.prepare(views, y, weight)
            precise = engine.precision == self._precision == torch.float64
            precision = "float64" if precise else "float32"
            size = self.plan.expected_batch_size
            noise = GaussianNoise.for_sums(tier, engine.n_numbers, size, precision, self._bits())
            self._tiers.append((engine, noise))
        self.engine_ = self._tiers[0][0]
        self._beyond_noise = BeyondNoise(self._tiers[0][1].std)

    def _bits(self) -> RandomBits:
        """A separate source of bits for one use: the samples, the masks or the noise of a tier."""
        assert self.seed is not None
        return RandomBits(None if self.secret else self.seed.spawn(1)[0])

    @property
    def _default_callbacks(self) -> list:
        # Durations follow the sizes of the private batches, which nobody may know.
        return [c for c in super()._default_callbacks if c[0] != "epoch_timer"]

    def _only_head_is_private(self) -> bool:
        """Whether nothing before the module's head takes part in the private gradient."""
        module, names = self.module_, self.private_parameters
        has_head = callable(getattr(module, "represent", None)) and isinstance(
            getattr(module, "head", None), nn.Module
        )
        return names is not None and has_head and all(n.startswith("head.") for n in names)

    def _represent(self, x: Tensor) -> Tensor:
        """Representation of encoded rows; of each row on its own, without dropout, in double precision.

        Zeros for a row on which the module fails: a sensitive cell may decide whether it does.
        """
        try:
            return self._represent_at_once(x)
        except Exception:
            if not hasattr(self, "_width"):  # no sensitive row yet
                raise
            if len(x) == 1:
                return torch.zeros((1, *self._width), dtype=torch.float64, device=x.device)
            return torch.cat([self._represent(half) for half in x.tensor_split(2)])

    def _represent_at_once(self, x: Tensor) -> Tensor:
        module = self._throwaway.copy(self._precision, training=False)
        with torch.no_grad():
            hidden = module.represent(x.to(self.device, self._precision))  # type: ignore[operator]
        return hidden.double().to(x.device)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """The batches of a training run; skorch's own iterator otherwise."""
        if training and isinstance(dataset, TrainingRows):
            assert self.seed is not None
            seed = self.ranks_.own_seed(self.seed.spawn(1)[0])
            size = self.ranks_.share(self.public_batch_size)
            plan, epochs = getattr(self, "_schedule", (self.plan, self.epoch_steps))
            self._batches = BatchSchedule(dataset, plan, epochs, size, seed, self.secret)
            return self._batches
        return super().get_iterator(dataset, training)

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """As skorch does, but callbacks never see the private rows of a batch."""
        if iterator is None:
            return
        if not isinstance(iterator, BatchSchedule):
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        count = 0
        for batch in iterator:
            shown = batch.public and batch.public[:2]
            self.notify("on_batch_begin", batch=shown, training=True)
            step = step_fn(batch, **fit_params)
            self.history.record_batch("train_loss", step["loss"].item())
            # skorch averages losses by these sizes; without a public batch there is no loss to weigh.
            self.history.record_batch("train_batch_size", 1 if shown is None else len(shown[1]))
            self.notify("on_batch_end", batch=shown, training=True, **step)
            count += 1
        self.history.record("train_batch_count", count)

    def train_step(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """One step: public gradient, plus alpha times the private one, then the optimizer."""
        self._set_training(True)
        self._zero_grad_optimizer()
        loss, outputs = torch.tensor(float("nan")), None
        if batch.public is not None:
            loss, outputs = self._add_public_gradient(batch.public)
        self.ranks_.sum_gradients(self.module_)
        if batch.private is not None:
            self._add_private_gradient(batch)
        shown = batch.public and batch.public[:2]
        self.notify(
            "on_grad_computed", named_parameters=self.module_.named_parameters(), batch=shown, training=True
        )
        self.step_optimizer()
        self.average_.update()
        return {"loss": loss, "y_pred": outputs}

    def step_optimizer(self) -> None:
        """Let the optimizer move the parameters by the gradients that are there."""
        self.optimizer_.step()

    def _add_public_gradient(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Backpropagate the mean loss; return it and the outputs."""
        loss, outputs = torch.zeros((), device=self.device), []
        for piece in rows.pieces(self.micro_batch_size or _MICRO_BATCH):
            x, y, weight = piece.to(self.device)
            with shared_dropout(self._trained, 1, self._public_mask):
                output, _ = forward_with_representation(self._trained, x)
            part = (self.criterion_(output, y) * weight).sum() / len(rows.y)
            (part / self.ranks_.world).backward()
            loss += part.detach()
            outputs.append(output.detach())
        return self.ranks_.mean(loss), torch.cat(outputs)

    def _public_mask(self, shape: tuple[int, ...]) -> Tensor:
        # Torch's own dropout would draw from the generator that all threads share.
        return torch.rand(shape, generator=self._public_masks, dtype=torch.float32)

    def _add_private_gradient(self, batch: Batch) -> None:
        assert batch.private is not None
        self.begin_private_step()
        parameters = dict(self._trained.named_parameters())
        for tier, (sample, (engine, _)) in enumerate(zip(batch.private, self._tiers, strict=True)):
            clipped: dict[str, Tensor] = {}
            for piece in sample.pieces(self.micro_batch_size or _MICRO_BATCH):
                part = engine.clipped_sum(*piece.to(self.device))
                clipped = {n: clipped[n] + p for n, p in part.items()} if clipped else part
            # One vector: drawing noise once is quicker than drawing it for every tensor.
            total = torch.cat([part.flatten() for part in clipped.values()])
            noised = self.noised(total, batch.public is not None, tier)
            parts = noised.split([part.numel() for part in clipped.values()])
            for name, part in zip(clipped, parts, strict=True):
                parameter = parameters[name]
                private = part.reshape(parameter.shape).to(parameter.dtype)
                parameter.grad = private if parameter.grad is None else parameter.grad + private

    def begin_private_step(self) -> None:
        """Pay for a step and count it before its rows are used: if it fails half-way it has read them."""
        if self.private_steps_ == 0:
            self.refuse_diverged()
            if self.begin is not None:
                self.begin()
        self.private_steps_ += 1

    def noised(self, total: Tensor, beside_public: bool, tier: int = 0) -> Tensor:
        """The private gradient of a step: its clipped sum with noise, times its weight.

        Parameters
        ----------
        total : Tensor of shape (n_numbers,)
        beside_public : bool
            Whether the step has a public gradient too, beside which the private one weighs `alpha`.
        tier : int
        """
        assert self.plan is not None
        scale = (self.alpha if beside_public else 1.0) / self.plan.expected_batch_size
        noised = self.ranks_.noised(self._tiers[tier][1], total)
        if len(self._tiers) == 1:
            self._beyond_noise.add(noised)
            self.beyond_noise_ = self._beyond_noise.deviations
        return scale * noised

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Outputs, computed by a copy: what a forward pass writes to its module must not be saved."""
        return copied(self.module_)(x.to(self.device))

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Raw outputs of encoded rows.

        Parameters
        ----------
        x : ndarray of shape (n_rows, n_features), float32

        Returns
        -------
        ndarray of shape (n_rows, n_outputs), float32
        """
        module = copied(self.module_).eval()
        parts: list[Tensor] = []
        with usual_modes(), torch.no_grad():
            for start in range(0, len(x), _PREDICT_ROWS):
                rows = torch.from_numpy(x[start : start + _PREDICT_ROWS]).to(self.device)
                parts.append(forward_with_representation(module, rows)[0].cpu())
        return torch.cat(parts).numpy()

    def __getstate__(self) -> dict:
        # Not for a file: the engine refers to all of the module, and the noise has a secret source.
        state = super().__getstate__()
        running = (
            "engine_",
            "_tiers",
            "seed",
            "average_",
            "_batches",
            "_fresh_optimizer",
            "_throwaway",
            "_made_up",
            "_public_masks",
            "_beyond_noise",
            "begin",
        )
        return {k: v for k, v in state.items() if k not in running}
