"""Walk through everything that a value holds, and clear memory that must not be saved with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Everything inside a value, with where it is; each once. Nets and arrays are not looked into."""
    seen: set[int] = set()
    waiting = [(type(value).__name__, value)]
    while waiting:
        where, value = waiting.pop()
        if id(value) in seen or isinstance(value, str | bytes | int | float | type | None):
            continue
        seen.add(id(value))
        yield where, value
        if isinstance(value, dict):
            waiting += [(f"{where}[{k!r}]", v) for k, v in value.items()]
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += [(f"{where}[{i}]", v) for i, v in enumerate(value)]
        elif isinstance(value, np.ndarray):
            if value.dtype == object:
                waiting += [(f"{where}[{i}]", v) for i, v in enumerate(value.flat)]
        elif not hasattr(value, "module_"):
            waiting += [(f"{where}.{k}", v) for k, v in getattr(value, "__dict__", {}).items()]
            if type(value).__module__ == "skfusiondp.tables._schema":  # a mapping proxy is none of the above
                maps = {k: v for k, v in vars(value).items() if hasattr(v, "items")}
                waiting += [(f"{where}.{k}", dict(v)) for k, v in maps.items()]


def clear_padding(value: Any) -> None:
    """Overwrite the bytes between the fields of scikit-learn's tree nodes, wherever they are inside.

    scikit-learn never writes these bytes: they hold what was in memory before, possibly a sensitive cell, and
    would go into pickles and files.
    """
    for _, found in walk(value):
        kind = f"{type(found).__module__}.{type(found).__name__}"
        if kind == "sklearn.tree._tree.Tree":
            nodes = found.__getstate__()["nodes"]  # not a copy
            bytes_ = nodes.view(np.uint8).reshape(len(nodes), nodes.dtype.itemsize)
            bytes_[:, _padding(nodes.dtype)] = 0


def _padding(dtype: np.dtype) -> np.ndarray:
    """Which bytes of a record belong to no field."""
    free = np.ones(dtype.itemsize, dtype=bool)
    for kind, offset, *_ in (dtype.fields or {}).values():
        free[offset : offset + kind.itemsize] = False
    return free
