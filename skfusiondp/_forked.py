"""Computing in a process that was forked from one with threads."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from contextvars import ContextVar

from threadpoolctl import threadpool_limits

from .exceptions import callers_level

_forked = False
_limited = ContextVar("_limited", default=False)


def _is_forked() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_is_forked)


@contextlib.contextmanager
def one_thread_after_fork() -> Iterator[None]:
    """Compute in one thread in a forked process, and as usual in every other.

    The threads of OpenMP, which torch and scikit-learn compute with, do not exist in a process that was
    forked from one in which they had started, and whatever waits for them waits for ever. Nothing
    tells whether they had, so that every forked process uses one thread, and says so.
    """
    if not _forked or _limited.get():
        yield
        return
    warnings.warn(
        "This process was forked from another one, and threads that the other had started would never answer "
        "here: one thread is used. Start processes by multiprocessing's 'spawn', or with joblib, for more.",
        UserWarning,
        stacklevel=callers_level(),
    )
    before = _limited.set(True)
    torch = sys.modules.get("torch")  # its mathematical library is inside of it, where nobody else finds it
    threads = torch.get_num_threads() if torch else 1
    try:
        if torch:
            torch.set_num_threads(1)
        with threadpool_limits(limits=1):
            yield
    finally:
        if torch:
            torch.set_num_threads(threads)
        _limited.reset(before)
