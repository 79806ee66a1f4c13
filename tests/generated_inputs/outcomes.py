"""What came of a generated input: it worked or was refused in words, and changed nothing it was given."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import NotFittedError
from torch.nn.parameter import UninitializedParameter

from skfusiondp.exceptions import SkfusiondpError

SHORTEST = 20  # characters of a refusal that says something
# How Python, numpy, pandas and torch name things that no user has written.
INSIDE = ("object has no attribute", "NoneType", "Traceback", "<class '", "dtype('O')", "0x7")


def refused(error: BaseException, checks: str = "/sklearn/utils/") -> bool:
    """Whether an exception is ours, or scikit-learn's own check of an input, and says something."""
    if isinstance(error, SkfusiondpError | NotFittedError):
        return len(str(error)) > SHORTEST
    last = traceback.extract_tb(error.__traceback__)[-1].filename.replace("\\", "/")
    theirs = checks in last or "parse data was passed" in str(error)
    return isinstance(error, ValueError | TypeError) and theirs and len(str(error)) > SHORTEST


def attempt(call: Callable, *args: Any, checks: str = "/sklearn/utils/", **kwargs: Any) -> Any:
    """The call's result; None if it was refused in words. Anything else that it raises is a crash."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call(*args, **kwargs)
        except Exception as error:
            if refused(error, checks):
                return None
            raise


def snapshot(value: Any) -> Any:
    """What a value holds, to be compared after a fit."""
    if isinstance(value, pd.DataFrame):
        cells = [safe(v) for i in range(value.shape[1]) for v in value.iloc[:, i].tolist()]
        kinds = [str(kind) for kind in value.dtypes]
        return repr(list(value.columns)), repr(list(value.index)), kinds, cells, dict(value.attrs)
    if isinstance(value, pd.Series):
        return snapshot(value.to_frame())
    if isinstance(value, np.ndarray):
        mask = np.ma.getmaskarray(value).tolist() if np.ma.isMaskedArray(value) else None
        cells = [safe(v) for v in np.asarray(value).ravel().tolist()]
        return type(value), value.dtype.str, value.shape, value.flags.writeable, mask, cells
    if isinstance(value, torch.nn.Module):
        made = (p for p in value.parameters() if not isinstance(p, UninitializedParameter))
        return repr(value), [p.tolist() for p in made], value.training
    if isinstance(value, dict):
        return {safe(k): snapshot(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [snapshot(v) for v in value]
    if type(value).__module__.startswith("skorch"):
        return {k: safe(v) for k, v in vars(value).items()}
    if hasattr(value, "to_pylist"):
        return value.to_pylist()
    return safe(value)


def safe(value: Any) -> str:
    """A text of a cell, whatever it does when it is asked for one."""
    try:
        return f"{type(value).__name__} {value!r}"
    except Exception:
        return f"{type(value).__name__} {id(value)}"


def finite(predictions: Any) -> bool:
    """Whether predictions are labels, or numbers none of which is NaN or infinite."""
    values = np.asarray(predictions)
    return values.dtype.kind not in "fc" or bool(np.isfinite(values).all())
