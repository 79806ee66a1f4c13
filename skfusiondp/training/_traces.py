"""Find what a forward pass writes outside of its module: to classes, closures and globals."""

from __future__ import annotations

import functools
import hashlib
import sys
import sysconfig
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

_LIBRARIES = frozenset(
    ["torch", "numpy", "builtins", "collections", "functools", "typing", "abc", "skorch", "skfusiondp"]
)
# Objects that are looked at, where a module refers to half a program.
_MOST_OBJECTS = 50_000


def traces(module: nn.Module) -> str:
    """A fingerprint of everything that a module and its code refer to.

    Returns
    -------
    str
        Equal before and after a pass of a copy, unless the pass wrote to something that the copy shares: an
        attribute of a class, a variable that a function has closed over, a global of its code, a cache, or
        an object whose copy is itself.
    """
    # Packages that the layers come from; what others have installed keeps nothing of a pass.
    homes = frozenset(type(layer).__module__.partition(".")[0] for layer in module.modules()) - _LIBRARIES
    digest = hashlib.sha256()
    for content in _contents(module, homes):
        digest.update(content)
    return digest.hexdigest()


def _contents(module: nn.Module, homes: frozenset[str]) -> Iterator[bytes]:
    numbers: dict[int, int] = {}
    kept, waiting = [], [module]
    while waiting and len(numbers) < _MOST_OBJECTS:
        value = waiting.pop()
        if isinstance(value, str | bytes | int | float | complex | None):
            yield repr(value).encode()
            continue
        known = id(value) in numbers
        yield str(numbers.setdefault(id(value), len(numbers))).encode()
        if known:
            continue
        kept.append(value)  # or another object could get its id
        yield type(value).__qualname__.encode()
        yield _of_its_own(value)
        waiting += _inside(value, homes)


def _of_its_own(value: Any) -> bytes:
    if isinstance(value, UninitializedBuffer | UninitializedParameter):
        return b""
    if isinstance(value, torch.Tensor) and not value.is_meta:
        total = value.detach().sum(dtype=None if value.is_complex() else torch.float64)
        return repr((tuple(value.shape), total.item())).encode()
    if isinstance(value, np.ndarray) and value.dtype != object:
        return repr(value.shape).encode() + value.tobytes()
    if isinstance(value, functools._lru_cache_wrapper):
        return repr(value.cache_info()).encode()
    return b""


def _inside(value: Any, homes: frozenset[str]) -> list[Any]:
    if isinstance(value, dict | types.MappingProxyType):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, list | tuple | set | frozenset):
        return [*value, *_attributes(value)]
    if isinstance(value, types.FunctionType):
        return _of_function(value, homes)
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, functools._lru_cache_wrapper):
        return [value.__wrapped__]
    if isinstance(value, staticmethod | classmethod):
        return [value.__func__]
    if isinstance(value, property):
        return [value.fget]
    if isinstance(value, type):
        if _of_a_library(value, homes):
            return []
        return [
            *value.__bases__,
            {k: v for k, v in vars(value).items() if k not in ("__dict__", "__weakref__")},
        ]
    if isinstance(value, types.ModuleType):
        return []
    return [type(value), *_attributes(value)]


def _attributes(value: Any) -> list[Any]:
    return [vars(value)] if hasattr(value, "__dict__") else []


def _of_function(function: types.FunctionType, homes: frozenset[str]) -> list[Any]:
    if _of_a_library(function, homes):
        return []
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # not set yet
            continue
    names = list(_names(function.__code__))
    used = [function.__globals__[n] for n in names if n in function.__globals__]
    for place in used.copy():
        if isinstance(place, types.ModuleType) and not _is_library(place.__name__, homes):
            used += [vars(place)[n] for n in names if n in vars(place)]
    return [*cells, *used, function.__defaults__, vars(function)]


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _of_a_library(value: Any, homes: frozenset[str]) -> bool:
    return _is_library(str(getattr(value, "__module__", "")), homes)


def _is_library(name: str, homes: frozenset[str]) -> bool:
    package = name.partition(".")[0]
    return package not in homes and (package in _LIBRARIES or _is_installed(package))


@functools.cache
def _is_installed(package: str) -> bool:
    if package in ("", "__main__"):
        return False
    file = getattr(sys.modules.get(package), "__file__", None)
    places = [sysconfig.get_paths()[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    return file is None or any(file.startswith(place) for place in places)
