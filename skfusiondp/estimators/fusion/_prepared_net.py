"""The net of a FusionDP estimator, with all that can be refused refused."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from ...tables._table_encoder import TableEncoder
from ...training._process_group import Ranks
from ._methods import method_of
from ._schedule import Schedule
from ._scored_encoder import ScoredEncoder

if TYPE_CHECKING:
    from ...training._batches import TrainingRows
    from ...training._net import FusionDPNet

# Learning rates of private steps where they train a whole network, and where its head alone;
# docs/benchmarks.md says on which tables they were chosen.
_LR, _HEAD_LR = 0.01, 0.02


def prepared_net(
    model: Any,
    encoder: TableEncoder,
    rows: TrainingRows,
    task: str,
    n_outputs: int,
    schedule: Schedule,
    seeds: np.random.SeedSequence,
    ranks: Ranks,
) -> FusionDPNet:
    """A FusionDP estimator's net, made and rehearsed: it has seen shapes and public facts alone.

    Parameters
    ----------
    model : FusionDPClassifier or FusionDPRegressor
        Whose fit has a plan.
    encoder : TableEncoder
    rows : TrainingRows
        Encoded; of the private view shapes and types are used alone.
    task : {"binary", "multiclass", "multilabel", "regression"}
    n_outputs : int
    schedule : Schedule
    seeds : SeedSequence
    ranks : Ranks

    Raises
    ------
    InvalidInputError
        For a module, an optimizer or callbacks that cannot be used.
    TrainingDivergedError
        If a few steps on made-up rows already give NaN.
    """
    import torch

    from ...nets import MLP, WideAndDeep
    from ...training._net import FusionDPNet
    from ...training._parts import own_copy
    from ...training._rehearsal import rehearse

    plan, method = model.plan_, method_of(model.method)
    # Copies, so that a fit neither changes what it was given nor carries its training to the next fit.
    own = {name: own_copy(name, value) for name, value in model._net_parameters().items()}
    lr = own.pop("optimizer__lr", None) or model.lr
    module = WideAndDeep if model.module is None else own_copy("module", model.module)
    if model.module is None and method.free_view is None:
        # No column is public, so that nothing is learnt for free: the deep part alone, without dropout.
        module = MLP
        own.setdefault("module__hidden", (256,))
    private = model.private_parameters
    if private is None and method.private and not method.protects_rows:
        private = getattr(module, "private_parameters", None)
    like: Any = rows.free if rows.views is None else rows.views[0]
    if inspect.isclass(module):
        takes = inspect.signature(module).parameters
        facts = {
            "n_features": like.shape[1],
            "n_outputs": n_outputs,
            "sensitive_features": encoder.sensitive_features_,
        }
        if isinstance(encoder, ScoredEncoder):
            facts |= {n: getattr(encoder, n) for n in ("n_scores", "n_leaves", "n_starts")}
        if "feature_means" in takes and rows.free is not None:
            facts["feature_means"] = rows.free_means()
        for name, value in facts.items():
            if name in takes:
                own.setdefault(f"module__{name}", value)
    net = FusionDPNet(
        module,
        criterion__task=task,
        optimizer=torch.optim.Adam if model.optimizer is None else own_copy("optimizer", model.optimizer),
        lr=_LR if lr is None else lr,
        head_lr=_HEAD_LR if lr is None else lr,
        public_lr=model.public_lr,
        max_epochs=len(schedule.epoch_steps),
        plan=plan,
        epoch_steps=schedule.epoch_steps,
        public_batch_size=schedule.public_batch_size,
        alpha=model.alpha,
        beta=model.beta if method.consistent else 0.0,
        consistency_bound=model.consistency_bound,
        ema_decay=model.ema_decay,
        private_parameters=private,
        micro_batch_size=model.micro_batch_size,
        ranks=ranks,
        seed=seeds,
        secret=model.random_state is None,
        callbacks=own_copy("callbacks", model.callbacks),
        device=model.device,
        verbose=model.verbose,
        **own,
    )
    net.prepare(rows, n_outputs)
    rehearse(net, rows, n_outputs)
    return net
