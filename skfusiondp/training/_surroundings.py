"""The modes of torch and numpy under which the library computes, whatever the caller has switched on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

from .._forked import one_thread_after_fork
from ..exceptions import InvalidInputError

_DEVICES = ("cpu", "cuda")


@contextlib.contextmanager
def usual_modes() -> Iterator[None]:
    """Compute in the block as if the caller had switched on no mode of torch's or numpy's.

    All that is changed holds in this thread alone: gradients are recorded, new tensors are on the CPU unless
    their device is given, nothing is cast to a lower precision, and numpy is silent about overflows, which
    a sensitive cell could cause.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(one_thread_after_fork())
        stack.enter_context(np.errstate(all="ignore"))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for device in _DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield


def refuse_anomaly_detection() -> None:
    """Refuse a mode that turns a row whose gradient is not finite into an error, for all threads.

    Raises
    ------
    InvalidInputError
    """
    if torch.is_anomaly_enabled():
        raise InvalidInputError(
            "torch.autograd's anomaly detection is on: it raises an error where a gradient is not finite, "
            "which a sensitive cell could cause; switch it off for a fit with private steps."
        )
