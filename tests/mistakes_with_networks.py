"""The mistakes that new users make with networks, optimizers and callbacks; see tests/mistakes.py."""

from __future__ import annotations

import torch
from mistake import X, fusion, refused, y
from skorch.callbacks import EarlyStopping, LRScheduler

BATCH_NORM = torch.nn.Sequential(torch.nn.LazyLinear(4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
SHORT = LRScheduler(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=2, step_every="batch")


class Pair(torch.nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.head = torch.nn.Linear(n_features, n_outputs)

    def forward(self, x):
        return self.head(x), x


class Recurrent(torch.nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.recurrent, self.head = torch.nn.GRU(1, 4, batch_first=True), torch.nn.Linear(4, n_outputs)

    def forward(self, x):
        return self.head(self.recurrent(x[:, :, None])[0][:, -1])


NETWORKS = [
        refused(
            "A method that there is not",
            lambda: fusion(method="dpsgd").fit(X, y),
            "method='dpsgd'", "dp-sgd",
        ),
        refused(
            "Batch norm",
            lambda: fusion(module=BATCH_NORM).fit(X, y),
            "module", "BatchNorm1d", "mixes rows", "LayerNorm",
        ),
        refused(
            "A callback that is no list",
            lambda: fusion(callbacks=EarlyStopping).fit(X, y),
            "callbacks=", "a list of skorch callbacks",
        ),
        refused(
            "Something else as a callback",
            lambda: fusion(callbacks=[3]).fit(X, y),
            "callbacks=[3]", "a list",
        ),
        refused(
            "The optimizer by its name",
            lambda: fusion(optimizer="sgd").fit(X, y),
            "optimizer='sgd'", "torch.optim.SGD",
        ),
        refused(
            "Steps and epochs",
            lambda: fusion(steps=3, epochs=2).fit(X, y),
            "epochs=2", "steps=3", "one None",
        ),
        refused(
            "A batch larger than the table",
            lambda: fusion(batch_size=1_000_000).fit(X, y),
            "batch_size=1000000", "120", "at most 120",
        ),
        refused("A learning rate of zero", lambda: fusion(lr=0).fit(X, y), "lr=0", "above 0"),
        refused(
            "A learning rate that no network survives",
            lambda: fusion(lr=1e30).fit(X, y),
            "lr=1e+30", "at most 1e+06",
        ),
        refused(
            "An optimizer that needs a closure",
            lambda: fusion(optimizer=torch.optim.LBFGS).fit(X, y),
            "optimizer=", "LBFGS", "closure", "torch.optim.Adam",
        ),
        refused(
            "Early stopping on a validation loss",
            lambda: fusion(callbacks=[EarlyStopping()]).fit(X, y),
            "callbacks=", "EarlyStopping", "'valid_loss'", "monitor 'train_loss'",
        ),
        refused(
            "A schedule that ends before the fit",
            lambda: fusion(callbacks=[SHORT], steps=9).fit(X, y),
            "callbacks=", "LRScheduler", "total", "begins the schedule anew",
        ),
        refused(
            "A module that returns several things",
            lambda: fusion(module=Pair).fit(X, y),
            "module", "tuple", "one tensor", "represent(x)",
        ),
        refused(
            "A recurrent module",
            lambda: fusion(module=Recurrent).fit(X, y),
            "module", "GRU", "torch.func", "recurrent state",
        ),
        refused(
            "A class weight that is no number",
            lambda: fusion(class_weight={0: float("nan"), 1: 1.0}).fit(X, y),
            "class_weight={0: nan, 1: 1.0}", "from 0 to 1e+09", "'balanced'",
        ),
        refused(
            "One name as the list of private parameters",
            lambda: fusion(private_parameters="head").fit(X, y),
            "private_parameters='head'", "['head.*']",
        ),
        refused(
            "A misspelt parameter of the module",
            lambda: fusion(module__hiden=(8,)).fit(X, y),
            "module__hiden", "did you mean 'module__hidden'",
        ),
    ]  # fmt: skip
