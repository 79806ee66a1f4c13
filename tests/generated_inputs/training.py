"""Torch parts of all kinds: modules, optimizers, callbacks and their parameters, sound ones and others."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from skorch import callbacks as skorch
from torch import nn

from .columns import N

WIDTH = 7  # of an encoded row of `tables.PLAIN`: found by each module's first pass


class Own(nn.Module):
    """A module that is told its width and the number of its outputs, and makes its layers of them."""

    def __init__(
        self, n_features: int, n_outputs: int, layers: Callable | None = None, after: Callable | None = None
    ):
        super().__init__()
        self.body = layers(n_features) if layers else nn.Linear(n_features, 6)
        self.head = nn.Linear(6, n_outputs)
        self.after = after

    def forward(self, x):
        x = self.body(x)
        y = self.head(x[0] if isinstance(x, tuple) else x)
        return y if self.after is None else self.after(y)


def own(layers: Callable | None = None, after: Callable | None = None) -> dict[str, Any]:
    return {"module": Own, "module__layers": layers, "module__after": after}


def between(*middle: Callable) -> Callable:
    return lambda n: nn.Sequential(nn.Linear(n, 6), *(make() for make in middle))


class Reshaped(nn.Module):
    """Features as a sequence for the layer in it, and its outputs as features again."""

    def __init__(self, layer: nn.Module, shape: tuple[int, ...], out: int):
        super().__init__()
        self.layer, self.shape, self.linear = layer, shape, nn.Linear(out, 6)

    def forward(self, x):
        z = self.layer(x.reshape(len(x), *self.shape))
        z = z[0] if isinstance(z, tuple) else z
        return self.linear(z.reshape(len(x), -1))


def sequence(make: Callable[[], nn.Module], out: int) -> Callable:
    """Layers of rows of 12 numbers, seen as a sequence of 3 vectors of 4."""
    return lambda n: nn.Sequential(nn.Linear(n, 12), Reshaped(make(), (3, 4), out))


class Counts(nn.Module):
    """Keeps what it saw last."""

    def __init__(self, n):
        super().__init__()
        self.linear, self.calls = nn.Linear(n, 6), 0

    def forward(self, x):
        self.calls += 1
        self.last = x.mean().item()
        return self.linear(x)


class Item(nn.Module):
    """Asks for the value of a tensor."""

    def __init__(self, n):
        super().__init__()
        self.linear = nn.Linear(n, 6)

    def forward(self, x):
        y = self.linear(x)
        return y if float(y.sum().item()) > 0 else -y


class Branches(Item):
    """Takes another way for some rows."""

    def forward(self, x):
        y = self.linear(x)
        return y if (y > 0).any() else y * 2


ACTIVATIONS = [
    *(nn.ReLU, nn.GELU, nn.ELU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.SiLU, nn.Mish, nn.Softsign, nn.PReLU),
    *(nn.Hardtanh, nn.Identity, nn.LeakyReLU, nn.SELU, nn.LogSigmoid, nn.Hardswish, nn.Tanhshrink),
]
MODULES: dict[str, dict[str, Any]] = {
    "default": {},
    "wide": {"module__hidden": (8, 8)},
    "no hidden layer": {"module__hidden": ()},
    **{f"{kind.__name__}": own(between(kind)) for kind in ACTIVATIONS},
    "Softmax": own(between(lambda: nn.Softmax(1))),
    "Dropout": own(between(nn.Dropout)),
    "AlphaDropout": own(between(nn.AlphaDropout)),
    "FeatureAlphaDropout": own(between(nn.FeatureAlphaDropout)),
    "Dropout in place": own(between(lambda: nn.Dropout(inplace=True))),
    "RReLU": own(between(nn.RReLU)),
    "ReLU in place": own(between(lambda: nn.ReLU(inplace=True))),
    "LayerNorm": own(between(lambda: nn.LayerNorm(6))),
    "RMSNorm": own(between(lambda: nn.RMSNorm(6))),
    "GroupNorm": own(between(lambda: nn.GroupNorm(2, 6))),
    "BatchNorm1d": own(between(lambda: nn.BatchNorm1d(6))),
    "LazyBatchNorm1d": own(between(nn.LazyBatchNorm1d)),
    "InstanceNorm1d": own(between(lambda: nn.InstanceNorm1d(6))),
    "LocalResponseNorm": own(between(lambda: nn.LocalResponseNorm(2))),
    "LazyLinear": own(lambda n: nn.LazyLinear(6)),
    "no bias": own(lambda n: nn.Linear(n, 6, bias=False)),
    "float64": own(lambda n: nn.Linear(n, 6).double()),
    "bfloat16": own(lambda n: nn.Linear(n, 6).bfloat16()),
    "complex": own(lambda n: nn.Linear(n, 6, dtype=torch.cfloat)),
    "meta": own(lambda n: nn.Linear(n, 6, device="meta")),
    "frozen": own(lambda n: nn.Linear(n, 6).requires_grad_(False)),
    "weight_norm": own(lambda n: nn.utils.parametrizations.weight_norm(nn.Linear(n, 6))),
    "old weight_norm": own(lambda n: nn.utils.weight_norm(nn.Linear(n, 6))),
    "spectral_norm": own(lambda n: nn.utils.parametrizations.spectral_norm(nn.Linear(n, 6))),
    "old spectral_norm": own(lambda n: nn.utils.spectral_norm(nn.Linear(n, 6))),
    "orthogonal": own(lambda n: nn.utils.parametrizations.orthogonal(nn.Linear(n, 6))),
    "GRU": own(sequence(lambda: nn.GRU(4, 5, batch_first=True), 15)),
    "LSTM": own(sequence(lambda: nn.LSTM(4, 5, batch_first=True), 15)),
    "RNN": own(sequence(lambda: nn.RNN(4, 5, batch_first=True), 15)),
    "GRUCell": own(lambda n: nn.GRUCell(n, 6)),
    "LSTMCell": own(lambda n: nn.LSTMCell(n, 6)),
    "Conv1d": own(sequence(lambda: nn.Conv1d(3, 2, 2), 6)),
    "ConvTranspose1d": own(sequence(lambda: nn.ConvTranspose1d(3, 2, 2), 10)),
    "MaxPool1d": own(sequence(lambda: nn.MaxPool1d(2), 6)),
    "AvgPool1d": own(sequence(lambda: nn.AvgPool1d(2), 6)),
    "attention": own(sequence(lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 12)),
    "attention of rows": own(lambda n: nn.Sequential(nn.Linear(n, 6), nn.TransformerEncoderLayer(6, 2, 8))),
    "Embedding": own(lambda n: nn.Embedding(5, 6)),
    "EmbeddingBag": own(lambda n: nn.EmbeddingBag(5, 6)),
    "Flatten": own(between(nn.Flatten)),
    "nothing in it": own(lambda n: nn.Sequential()),
    "keeps what it saw": own(Counts),
    "asks for a value": own(Item),
    "branches": own(Branches),
    "outputs in a tuple": own(after=lambda y: (y, y)),
    "outputs in a list": own(after=lambda y: [y]),
    "outputs in a dict": own(after=lambda y: {"y": y}),
    "outputs of NaN": own(after=lambda y: y * float("nan")),
    "infinite outputs": own(after=lambda y: y / 0),
    "no outputs": own(after=lambda y: None),
    "flat outputs": own(after=lambda y: y.ravel()),
    "outputs detached": own(after=lambda y: y.detach()),
    "outputs as numpy": own(after=lambda y: y.detach().numpy()),
    "outputs of whole numbers": own(after=lambda y: y.long()),
    "outputs in half precision": own(after=lambda y: y.half()),
    "outputs sorted": own(after=lambda y: y.sort(0).values),
    "outputs centred": own(after=lambda y: y - y.mean(0)),
    "outputs with noise": own(after=lambda y: y + torch.randn_like(y)),
    "outputs rounded": own(after=lambda y: y.round()),
    "outputs squared": own(after=lambda y: y**2),
    "logarithms of outputs": own(after=lambda y: y.log()),
    "Linear": {"module": nn.Linear(WIDTH, 1)},
    "a class of torch": {"module": nn.Linear},
    "Sequential": {"module": nn.Sequential(nn.Linear(WIDTH, 3), nn.ReLU(), nn.Linear(3, 1))},
    "LazyLinear alone": {"module": nn.LazyLinear(1)},
    "an empty module": {"module": nn.Module()},
    "Module itself": {"module": nn.Module},
    "a function": {"module": lambda x: x},
    "partial": {"module": functools.partial(Own, layers=None)},
    "a text": {"module": "MLP"},
    "a number": {"module": 3},
    "a list": {"module": [nn.Linear(3, 1)]},
    "a misspelt argument": {"module__hiden": (4,)},
    "hidden of a text": {"module__hidden": "8"},
    "hidden of a number": {"module__hidden": 8},
    "hidden of nothing": {"module__hidden": None},
    "hidden of no width": {"module__hidden": (0,)},
    "hidden below zero": {"module__hidden": (-1,)},
    "hidden of a fraction": {"module__hidden": (2.5,)},
    "dropout of all": {"module__dropout": 1.0},
    "dropout of more": {"module__dropout": 1.5},
    "dropout of a text": {"module__dropout": "0.5"},
    "dropout of NaN": {"module__dropout": float("nan")},
}

OPTIMIZERS: dict[str, dict[str, Any]] = {
    name: {"optimizer": kind}
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)
}


class NeedsClosure(torch.optim.SGD):
    def step(self, closure):
        return super().step(closure)


class DoesNothing(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        return None


class MakesNaN(DoesNothing):
    def step(self, closure=None):
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    p.fill_(float("nan"))


class KnowsNoRate(torch.optim.SGD):
    def __init__(self, params):
        super().__init__(params, lr=0.1)


OPTIMIZERS |= {
    "needs a closure": {"optimizer": NeedsClosure},
    "does nothing": {"optimizer": DoesNothing},
    "makes NaN": {"optimizer": MakesNaN},
    "knows no rate": {"optimizer": KnowsNoRate},
    "partial": {"optimizer": functools.partial(torch.optim.SGD, momentum=0.9)},
    "a function": {"optimizer": lambda params, lr: torch.optim.SGD(params, lr=lr)},
    "an instance": {"optimizer": torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)},
    "print": {"optimizer": print},
    "a text": {"optimizer": "Adam"},
    "a number": {"optimizer": 3},
    "a type": {"optimizer": int},
    "a lambda of nothing": {"optimizer": lambda *args, **kwargs: None},
    "groups": {"optimizer__param_groups": [("head.*", {"lr": 0.1})]},
    "groups of nothing": {"optimizer__param_groups": [("nothing", {"lr": 0.1})]},
    "groups of junk": {"optimizer__param_groups": 3},
    "a misspelt argument": {"optimizer__wieght_decay": 0.1},
    "decay": {"optimizer": torch.optim.SGD, "optimizer__weight_decay": 0.1},
    "decay of NaN": {"optimizer": torch.optim.SGD, "optimizer__weight_decay": float("nan")},
    "decay below zero": {"optimizer": torch.optim.SGD, "optimizer__weight_decay": -1.0},
    "decay of everything": {"optimizer": torch.optim.SGD, "optimizer__weight_decay": 1e30},
    "momentum of 1e30": {"optimizer": torch.optim.SGD, "optimizer__momentum": 1e30},
    "betas": {"optimizer__betas": (0.5, 0.5)},
    "betas of junk": {"optimizer__betas": "ab"},
    "maximize": {"optimizer": torch.optim.SGD, "optimizer__maximize": True},
    "lr twice": {"optimizer__lr": 0.1, "lr": 0.1},
    **{
        f"lr {rate}": {"lr": rate}
        for rate in (1e-30, 1e3, 1e10, 1e30, 1e299, float("nan"), -1, 0, True, "0.1")
    },
    **{f"SGD lr {rate}": {"lr": rate, "optimizer": torch.optim.SGD} for rate in (1e3, 1e10, 1e30, 1e299)},
    **{f"public_lr {rate}": {"public_lr": rate} for rate in (1e10, 1e30, 1e299)},
}

TORCH_SCHEDULERS = torch.optim.lr_scheduler


class Stops(skorch.Callback):
    def on_epoch_begin(self, net, **kwargs):
        raise KeyboardInterrupt


class Breaks(skorch.Callback):
    def on_batch_end(self, net, **kwargs):
        raise ZeroDivisionError("the user's own")


class Spoils(skorch.Callback):
    def on_epoch_end(self, net, **kwargs):
        with torch.no_grad():
            for p in net.module_.parameters():
                p.fill_(float("nan"))


class Raising(skorch.Callback):
    def on_train_begin(self, net, **kwargs):
        net.lr = "fast"


CALLBACKS: dict[str, Any] = {
    "none": [],
    "nothing": None,
    "an empty tuple": (),
    "a callback": [skorch.Callback()],
    "a class": [skorch.Callback],
    "a class with parameters": [skorch.EpochScoring],
    "a pair": [("mine", skorch.Callback())],
    "a pair of a class": [("mine", skorch.EarlyStopping)],
    "two of a name": [("mine", skorch.Callback()), ("mine", skorch.EpochTimer())],
    "a name of skorch's": [("train_loss", skorch.Callback())],
    "a pair turned round": [(skorch.Callback(), "mine")],
    "a triple": [("mine", skorch.Callback(), 3)],
    "no list": skorch.Callback(),
    "a tuple": (skorch.Callback(),),
    "a text": "disable",
    "all": "all",
    "a list of texts": ["EarlyStopping"],
    "a list of numbers": [1, 2],
    "a list of nothing": [None],
    "a function": [print],
    "a dict": {"early": skorch.EarlyStopping()},
    "EarlyStopping": [skorch.EarlyStopping()],
    "EarlyStopping, train_loss": [skorch.EarlyStopping(monitor="train_loss")],
    "EarlyStopping, loss, at once": [skorch.EarlyStopping("train_loss", patience=1, threshold=1e9)],
    "EarlyStopping, nothing": [skorch.EarlyStopping(monitor="nothing")],
    "EarlyStopping, patience of a text": [skorch.EarlyStopping("train_loss", patience="5")],
    "EarlyStopping, load_best": [skorch.EarlyStopping("train_loss", load_best=True)],
    "EpochScoring": [skorch.EpochScoring("accuracy")],
    "EpochScoring, train": [skorch.EpochScoring("accuracy", on_train=True)],
    "EpochScoring, loss": [skorch.EpochScoring("neg_log_loss", on_train=True)],
    "EpochScoring, nothing": [skorch.EpochScoring("nothing")],
    "EpochScoring, a function": [skorch.EpochScoring(lambda net, X, y: 1.0, name="one")],
    "EpochScoring, one that raises": [skorch.EpochScoring(lambda net, X, y: 1 / 0, name="raises")],
    "BatchScoring": [skorch.BatchScoring("accuracy")],
    "PassthroughScoring": [skorch.PassthroughScoring("train_loss")],
    "PassthroughScoring, nothing": [skorch.PassthroughScoring("nothing")],
    "Checkpoint": [
        skorch.Checkpoint(monitor=None, f_params=None, f_optimizer=None, f_criterion=None, f_history=None)
    ],
    "Checkpoint, valid_loss": [
        skorch.Checkpoint(f_params=None, f_optimizer=None, f_criterion=None, f_history=None)
    ],
    "TrainEndCheckpoint": [
        skorch.TrainEndCheckpoint(f_params=None, f_optimizer=None, f_criterion=None, f_history=None)
    ],
    "PrintLog": [skorch.PrintLog(sink=lambda text: None)],
    "EpochTimer": [skorch.EpochTimer()],
    "Freezer": [skorch.Freezer("nothing*")],
    "Freezer of all": [skorch.Freezer("*")],
    "Initializer": [skorch.Initializer("*weight", fn=nn.init.zeros_)],
    "Initializer of NaN": [skorch.Initializer("*", fn=lambda p: nn.init.constant_(p, float("nan")))],
    "ParamMapper": [skorch.ParamMapper("*", at=1, fn=lambda p: None)],
    "GradientNormClipping": [skorch.GradientNormClipping(1.0)],
    "InputShapeSetter": [skorch.InputShapeSetter()],
    "WarmRestartLR": [skorch.LRScheduler(skorch.WarmRestartLR)],
    "LRScheduler": [skorch.LRScheduler()],
    "LRScheduler, a class": [skorch.LRScheduler],
    "StepLR": [skorch.LRScheduler(TORCH_SCHEDULERS.StepLR, step_size=1, gamma=0.5)],
    "StepLR each batch": [skorch.LRScheduler(TORCH_SCHEDULERS.StepLR, step_size=1, step_every="batch")],
    "StepLR, an argument less": [skorch.LRScheduler(TORCH_SCHEDULERS.StepLR)],
    "ExponentialLR up": [skorch.LRScheduler(TORCH_SCHEDULERS.ExponentialLR, gamma=1e30)],
    "CosineAnnealingLR": [skorch.LRScheduler(TORCH_SCHEDULERS.CosineAnnealingLR, T_max=3)],
    "OneCycleLR": [
        skorch.LRScheduler(TORCH_SCHEDULERS.OneCycleLR, max_lr=0.1, total_steps=9, step_every="batch")
    ],
    "OneCycleLR, few steps": [
        skorch.LRScheduler(TORCH_SCHEDULERS.OneCycleLR, max_lr=0.1, total_steps=1, step_every="batch")
    ],
    "CyclicLR": [skorch.LRScheduler(TORCH_SCHEDULERS.CyclicLR, base_lr=0.01, max_lr=0.1, step_every="batch")],
    "LambdaLR": [skorch.LRScheduler(TORCH_SCHEDULERS.LambdaLR, lr_lambda=lambda i: 0.5)],
    "ReduceLROnPlateau": [skorch.LRScheduler(TORCH_SCHEDULERS.ReduceLROnPlateau, monitor="train_loss")],
    "ReduceLROnPlateau, nothing": [skorch.LRScheduler(TORCH_SCHEDULERS.ReduceLROnPlateau, monitor="nothing")],
    "LRScheduler, nothing": [skorch.LRScheduler("NothingLR")],
    "one that breaks": [Breaks()],
    "one that spoils": [Spoils()],
    "one that sets the rate": [Raising()],
}
PARTS = {
    "module": MODULES,
    "optimizer": OPTIMIZERS,
    "callbacks": {k: {"callbacks": v} for k, v in CALLBACKS.items()},
}

WEIGHTS: dict[str, Any] = {
    "balanced": "balanced",
    "a dict": {0: 2.0, 1: 1.0},
    "NaN": {0: float("nan"), 1: 1.0},
    "infinite": {0: float("inf"), 1: 1.0},
    "huge": {0: 1e300, 1: 1.0},
    "tiny": {0: 1e-300, 1: 1.0},
    "below zero": {0: -1.0, 1: 1.0},
    "zero": {0: 0.0, 1: 0.0},
    "zero for one": {0: 0.0, 1: 1.0},
    "too few": {0: 1.0},
    "others": {"a": 1.0, "b": 2.0},
    "texts": {0: "a", 1: "b"},
    "a list": [1.0, 2.0],
    "another text": "unbalanced",
    "a number": 2.0,
}
ROW_WEIGHTS: dict[str, Any] = {
    "ones": [1.0] * N,
    "whole numbers": [2] * N,
    "zeros": [0.0] * N,
    "one zero": [0.0, *[1.0] * (N - 1)],
    "NaN": [float("nan"), *[1.0] * (N - 1)],
    "infinite": [float("inf"), *[1.0] * (N - 1)],
    "huge": [1e300] * N,
    "one huge": [1e39, *[1.0] * (N - 1)],
    "tiny": [1e-300] * N,
    "below zero": [-1.0] * N,
    "too few": [1.0] * (N - 1),
    "too many": [1.0] * (N + 1),
    "texts": ["a"] * N,
    "a number": 2.0,
    "a text": "a",
    "two columns": [[1.0, 1.0]] * N,
    "missing": [None] * N,
}
