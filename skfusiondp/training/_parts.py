"""The torch parts of a net: how they are made, and how optimizer and schedules begin each phase anew."""

from __future__ import annotations

import contextlib
import copy
import fnmatch
from collections.abc import Iterator
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from .._parameters import shown
from ..exceptions import InvalidInputError
from ._throwaway import copied

_REMEDIES = {
    "module": "a class gets its module__ parameters, and n_features and n_outputs if it takes them",
    "optimizer": "it is called with the parameters, lr and its optimizer__ parameters",
    "callbacks": "callbacks__name__parameter sets a parameter of the callback of that name",
}


@contextlib.contextmanager
def refused_as(part: str, value: Any, does: str, remedy: str) -> Iterator[None]:
    """Turn any error of the block into a sentence about one of the user's torch parts.

    Parameters
    ----------
    part : str
        The parameter's name.
    value : object
        What was given for it.
    does : str
        What it cannot do: "cannot be made".
    remedy : str

    Raises
    ------
    InvalidInputError
    """
    try:
        yield
    except InvalidInputError:
        raise
    except Exception as error:
        said = str(error).partition("\n")[0]
        raise InvalidInputError(
            f"{part}={shown(value)} {does} ({type(error).__name__}: {said}); {remedy}."
        ) from error


def own_copy(part: str, value: Any) -> Any:
    """A copy of a torch part that a fit may change.

    Raises
    ------
    InvalidInputError
        If it cannot be copied.
    """
    remedy = "a fit trains a copy; pass what copy.deepcopy copies, such as a class and its parameters"
    with refused_as(part, value, "cannot be copied", remedy):
        return copied(value) if isinstance(value, nn.Module) else copy.deepcopy(value)


class NetParts(NeuralNet):
    """Makes a net's module, optimizer and callbacks; not for users.

    Whatever cannot be made is refused in a sentence. Modules are trained in single precision, whatever
    torch's default is. Groups of ``optimizer__param_groups`` keep a learning rate of their own in all phases.
    """

    def initialize_module(self) -> NetParts:
        """Make the module, in single precision."""
        with refused_as("module", self.module, "cannot be made", _REMEDIES["module"]):
            super().initialize_module()
        if any(parameter.is_meta for parameter in self.module_.parameters()):
            raise InvalidInputError(
                "module has parameters on the device 'meta', which hold no numbers; make it on the CPU, from "
                "where it is moved to device=."
            )
        self.module_.float()
        return self

    def initialize_callbacks(self) -> NetParts:
        """Make the callbacks; schedules of the learning rate begin anew with each phase's optimizer."""
        with refused_as("callbacks", self.callbacks, "cannot be made", _REMEDIES["callbacks"]):
            super().initialize_callbacks()
        names = [name for name, _ in self.callbacks_]
        for parameter in (n for n in vars(self) if n.startswith("callbacks__")):
            if parameter.split("__")[1] not in names:
                raise InvalidInputError(
                    f"{parameter} names no callback of the net; its callbacks are {', '.join(names)}."
                )
        for _, callback in self.callbacks_:
            if not isinstance(callback, LRScheduler) or callback.policy_ is ReduceLROnPlateau:
                continue
            if "last_epoch" not in callback.kwargs:
                callback.last_epoch = -1
        return self

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> NetParts:
        """Make the optimizer, and see which of its groups have a learning rate of their own."""
        own = self._groups_with_lr()
        with refused_as("optimizer", self.optimizer, "cannot be made", _REMEDIES["optimizer"]):
            super().initialize_optimizer(*args, **kwargs)
            groups = self.optimizer_.param_groups
            own += [False] * (len(groups) - len(own))
            self._own_lr = [o or g["lr"] != self.lr for o, g in zip(own, groups, strict=True)]
            self._fresh_optimizer = copy.deepcopy(self.optimizer_.state_dict())
        return self

    def start_optimizer(self, lr: float) -> None:
        """Put the optimizer back to its beginning, with a learning rate for groups without their own."""
        self.optimizer_.load_state_dict(copy.deepcopy(self._fresh_optimizer))
        for group, own in zip(self.optimizer_.param_groups, self._own_lr, strict=True):
            if not own:
                group["lr"] = lr
            group["initial_lr"] = group["lr"]  # what schedules start from

    def _groups_with_lr(self) -> list[bool]:
        """For each group of ``optimizer__param_groups``, whether it states its learning rate."""
        left = [name for name, _ in self.get_all_learnable_params()]
        stated = []
        for pattern, settings in getattr(self, "optimizer__param_groups", None) or ():
            matched = fnmatch.filter(left, pattern)
            if not matched:
                raise InvalidInputError(
                    f"optimizer__param_groups has {pattern!r}, which matches no parameter that groups before "
                    f"it have left; these are {', '.join(left) or 'none'}."
                )
            left = [name for name in left if name not in matched]
            stated.append("lr" in settings)
        return stated
