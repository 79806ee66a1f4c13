"""A budget that many fits share, and that none can overdraw."""

from __future__ import annotations

import atexit
import json
import math
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .._keywords import KnownKeywords
from .._parameters import Satisfies, as_float, check_parameters, constraints
from ..exceptions import InvalidInputError, PrivacyBudgetError
from ._accountant import compute_epsilon
from ._constraints import ADJACENCY, DELTA, EPSILON
from ._entries import LedgerEntry
from ._ledger import PrivacyLedger
from ._weak_budgets import warn_if_weak

# A process that finds a lock file but no budget waits so long for the process that is writing it.
_START_SECONDS = 3.0
# The accountant rounds up: fits whose epsilons add up to exactly the budget must not fail on the last digit.
_ROUNDING = 1e-9


class Pay(Protocol):
    """Say, right before sensitive cells are read, what the read costs."""

    def __call__(self, ledger: PrivacyLedger = ...) -> None: ...


@dataclass(frozen=True)
class PrivacyBudget(KnownKeywords):
    """What all fits together may spend on one table, kept in a file that they share.

    A fit that is given the budget (``budget=``) reserves its planned cost before it reads a sensitive
    cell, is refused if that would overdraw, and writes down what it really ran. The value holds no
    state: the ledger is in the file, so that clones, pickles and workers in other processes spend from
    the same budget.

    Parameters
    ----------
    epsilon : float
        Total, positive.
    delta : float in (0, 1)
    adjacency : {"replace", "zero-out", "add-remove"}
        Neighbouring relation of every fit that it pays for.
    path : str or path-like, optional
        File of the ledger; made if it is absent, continued if it exists. None makes one in the folder
        for temporary files, which goes when this process ends. Symbolic links are followed, so that every
        path to a file is one budget; a file with a second name (a hard link) is refused, and so is one that
        has vanished: what it held is unknown, and never taken for unspent.

    Raises
    ------
    InvalidInputError
        If a field is out of range, or the file holds something else or another budget, has vanished, or
        is a hard link.

    Examples
    --------
    >>> from skfusiondp import FusionDPClassifier, PrivacyBudget
    >>> from skfusiondp.datasets import load_adult
    >>> adult, budget = load_adult(), PrivacyBudget(epsilon=1.2, delta=1e-5)
    >>> model = FusionDPClassifier(adult.sensitive, delta=1e-5, epochs=1, budget=budget)
    >>> model = model.fit(adult.table[:2000], adult.target[:2000])
    >>> 0.9 < budget.spent <= 1.0
    True
    >>> model.fit(adult.table[:2000], adult.target[:2000])  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    ...
    skfusiondp.exceptions.PrivacyBudgetError: This fit would cost ...
    """

    epsilon: float
    delta: float
    adjacency: str = "replace"
    path: str | os.PathLike | None = None

    _constraints = constraints(
        epsilon=EPSILON,
        delta=DELTA,
        adjacency=ADJACENCY,
        path=Satisfies(lambda p: isinstance(p, str | os.PathLike), "a file's path", none=True),
    )

    def __post_init__(self) -> None:
        check_parameters(self)
        for name in ("epsilon", "delta"):
            object.__setattr__(self, name, as_float(getattr(self, name)))
        path = self.path
        if path is None:
            folder = tempfile.mkdtemp(prefix="skfusiondp-budget-")
            atexit.register(_remove_at_exit, folder, os.getpid())
            path = Path(folder) / "budget.json"
        object.__setattr__(self, "path", _real(path))
        warn_if_weak(self.epsilon, self.delta)
        with self._started() as state:
            for name in ("epsilon", "delta", "adjacency"):
                if state[name] != getattr(self, name):
                    raise InvalidInputError(
                        f"{name}={getattr(self, name)!r} differs from {state[name]!r} in {self.path}; a "
                        "budget never changes: state it as it is (PrivacyBudget.open), or start another file."
                    )

    @classmethod
    def open(cls, path: str | os.PathLike) -> PrivacyBudget:
        """The budget that a file holds.

        Parameters
        ----------
        path : str or path-like
            Written by a budget before.

        Raises
        ------
        InvalidInputError
            If there is no such file, or it holds no budget.
        """
        if not os.path.isfile(path):
            real = _real(path)
            if os.path.exists(real + ".lock"):
                raise _vanished(real)
            raise InvalidInputError(
                f"budget={os.fspath(path)!r} is no file; start one with "
                "PrivacyBudget(epsilon, delta, path=...)."
            )
        state = _read(os.fspath(path))
        return cls(state["epsilon"], state["delta"], state["adjacency"], path)

    @property
    def ledger(self) -> PrivacyLedger:
        """Everything paid for: fits that ended, and the plans of those that are running or were killed."""
        with self._locked() as state:
            return _total(state)

    @property
    def spent(self) -> float:
        """Epsilon of the ledger at the budget's delta, under its neighbouring relation."""
        return self.ledger.epsilon(self.delta)

    @contextmanager
    def spending(self, planned: PrivacyLedger, delta: float | None = None) -> Iterator[Pay]:
        """Reserve `planned` for the block, which calls what it gets right before it reads anything.

        Parameters
        ----------
        planned : PrivacyLedger
            The most that the block means to spend.
        delta : float, optional
            The delta for which the block's own epsilon was chosen. The budget counts at its own; where
            the two differ a refusal says what that does.

        Yields
        ------
        callable
            ``pay(ledger=planned)``: states, before a read, what it costs; several calls add up. However
            the block is left (by an error or Ctrl-C too), what was paid replaces the reservation:
            nothing, if ``pay`` was never called. A process that was killed has paid its plan.

        Raises
        ------
        PrivacyBudgetError
            Before the block runs, if `planned` would overdraw the budget or is of another relation; from
            ``pay``, before the read, if a ledger other than `planned` would.

        Examples
        --------
        >>> from skfusiondp import PrivacyBudget, PrivacyLedger
        >>> from skfusiondp.accounting import LedgerEntry
        >>> budget = PrivacyBudget(epsilon=1.0, delta=1e-5)
        >>> plan = PrivacyLedger((LedgerEntry(noise_multiplier=20.0, sample_rate=1.0, steps=1),))
        >>> with budget.spending(plan) as pay:
        ...     columns = ["age"]  # whatever reads no sensitive cell is free
        ...     pay()  # from here on, cells may be read
        >>> budget.ledger == plan
        True
        """
        token = secrets.token_hex(8)
        with self._locked() as state:
            self._check(planned, _total(state), delta)
            state["reserved"][token] = planned.to_json()
        paid = PrivacyLedger()

        def pay(ledger: PrivacyLedger = planned) -> None:
            nonlocal paid
            owed = paid + ledger
            if owed != planned:
                with self._locked() as state:
                    others = {t: r for t, r in state["reserved"].items() if t != token}
                    self._check(owed, _total({**state, "reserved": others}), delta)
                    if owed.epsilon(self.delta) > planned.epsilon(self.delta):
                        state["reserved"][token] = owed.to_json()
            paid = owed

        try:
            yield pay
        finally:
            with self._locked() as state:
                state["reserved"].pop(token, None)
                state["spent"] = (PrivacyLedger.from_json(state["spent"]) + paid).to_json()

    def _check(self, planned: PrivacyLedger, so_far: PrivacyLedger, delta: float | None = None) -> None:
        others = {e.adjacency for e in planned} - {self.adjacency}
        if others:
            raise PrivacyBudgetError(
                f"This fit is accounted under {', '.join(sorted(others))}, its budget under "
                f"{self.adjacency}; the two do not add up: use one neighbouring relation."
            )
        total = compute_epsilon((so_far + planned).entries, self.delta)
        if total > self.epsilon * (1 + _ROUNDING):
            cost = planned.epsilon(self.delta)
            if math.isinf(cost):
                raise PrivacyBudgetError(_of_infinite(planned, self.epsilon, self.delta))
            raise PrivacyBudgetError(
                f"This fit would cost epsilon={cost:.4g} and bring the total to "
                f"{total:.4g} at delta={self.delta:g} ({self.adjacency}), above the budget of "
                f"{self.epsilon:g}; {so_far.epsilon(self.delta):.4g} is spent in {len(so_far)} entries. "
                f"Nothing was read. {self._other_delta(planned, delta, cost)}Lower the fit's epsilon, or "
                "stop here: earlier fits are untouched."
            )

    def _other_delta(self, planned: PrivacyLedger, delta: float | None, cost: float) -> str:
        """What it does to a fit's epsilon that it was chosen for another delta than the budget's."""
        if delta is None or delta == self.delta:
            return ""
        return (
            f"The fit's epsilon was chosen at delta={delta:.4g}, where it is "
            f"{planned.epsilon(delta):.4g}; the budget counts at its own delta={self.delta:g}, where the "
            f"same noise has epsilon={cost:.4g}: give the fit delta={self.delta:g} too. "
        )

    @contextmanager
    def _started(self) -> Iterator[dict]:
        """As `_locked`, for a budget that may be new: its file is written if there never was one."""
        path = os.fspath(self.path or "")
        new = _make_lock(path)
        until = time.monotonic() + _START_SECONDS
        # A lock without a budget belongs to one that vanished, or to one that another process is
        # starting right now; only who made the lock may write the file.
        while not (new or os.path.exists(path)) and time.monotonic() < until:
            time.sleep(0.02)
        with self._locked(new) as state:
            yield state

    @contextmanager
    def _locked(self, may_be_new: bool = False) -> Iterator[dict]:
        """The state of the file, written back if it was changed; no other process comes between."""
        from filelock import FileLock

        # Resolved at each use: the file may have been moved since, and a link left in its place.
        path = _real(self.path or "")
        try:
            if not may_be_new and not os.path.exists(path):
                raise _vanished(path)
            with FileLock(path + ".lock"):
                if os.path.exists(path):
                    state = _read(path)
                elif may_be_new:
                    own = {"epsilon": self.epsilon, "delta": self.delta, "adjacency": self.adjacency}
                    state = {"version": 1, **own, "spent": PrivacyLedger().to_json(), "reserved": {}}
                else:
                    raise _vanished(path)
                before = json.dumps(state)
                yield state
                if json.dumps(state) != before or not os.path.exists(path):
                    _write(path, state)
        except OSError as error:
            raise InvalidInputError(f"path={path!r} cannot hold a budget ({error}); name a file.") from error


def _real(path: str | os.PathLike) -> str:
    """The one path of a file, however it is named."""
    try:
        return os.path.realpath(path)
    except ValueError as error:
        raise InvalidInputError(f"path={path!r} cannot hold a budget ({error}); name a file.") from error


BUDGET = Satisfies(
    lambda b: isinstance(b, PrivacyBudget | str | os.PathLike),
    "a PrivacyBudget, the path of one's file",
    none=True,
)


def as_budget(budget: Any) -> PrivacyBudget | None:
    """The budget that an estimator's parameter names: itself, or the path of its file."""
    BUDGET.check("budget", budget)
    return budget if budget is None or isinstance(budget, PrivacyBudget) else PrivacyBudget.open(budget)


def _remove_at_exit(folder: str, process: int) -> None:
    # A forked process ends too, and the budget is not its own.
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def spending(budget: Any, planned: PrivacyLedger, delta: float | None = None) -> Iterator[Pay]:
    """As ``PrivacyBudget.spending``, for an estimator's parameter, which may be None."""
    shared = as_budget(budget)
    if shared is None:
        yield lambda ledger=planned: None
    else:
        with shared.spending(planned, delta) as pay:
            yield pay


def _total(state: dict) -> PrivacyLedger:
    total = PrivacyLedger.from_json(state["spent"])
    for plan in state["reserved"].values():
        total = total + PrivacyLedger.from_json(plan)
    return total


def _make_lock(path: str) -> bool:
    """Make a budget's lock file; False if it is there, left by whoever made the budget."""
    if os.path.exists(path):
        return False
    try:
        os.close(os.open(path + ".lock", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644))
    except FileExistsError:
        return False
    except OSError as error:
        raise InvalidInputError(f"path={path!r} cannot hold a budget ({error}); name a file.") from error
    return True


def _of_infinite(planned: PrivacyLedger, epsilon: float, delta: float) -> str:
    """Why no budget covers a fit, whatever its own epsilon is."""
    noise = {e: e.noise_multiplier for e in planned if isinstance(e, LedgerEntry)}
    bare = [e for e, multiplier in noise.items() if multiplier == 0]
    bounds = [e for e in planned if not isinstance(e, LedgerEntry) and e.delta >= delta]
    if not bare and bounds:
        source = bounds[0].source or "This fit"
        return (
            f"{source} is known to have epsilon={bounds[0].epsilon:.4g} at delta={bounds[0].delta:g} alone, "
            f"which at the budget's delta={delta:g} is epsilon=inf. Nothing was read. Give it a delta= below "
            "the budget's, or make a budget with a larger delta."
        )
    if not bare:
        return (
            f"This fit's noise_multiplier={min(noise.values(), default=0):g} is so little noise that it "
            f"costs epsilon=inf, which a budget of {epsilon:g} does not cover. Nothing was read. Take a "
            "larger one, or give the fit an epsilon in its place."
        )
    columns = ", ".join(dict.fromkeys(c for e in bare for c in e.protects)) or "the sensitive columns"
    sources = ", ".join(dict.fromkeys(e.source for e in bare if e.source)) or "This fit"
    return (
        f"{sources} would read true cells of {columns} without noise, which costs epsilon=inf: a budget of "
        f"{epsilon:g} does not cover it, whatever the fit's own epsilon is. Nothing was read. That is so "
        "where domains were not declared or support rows are training rows, such as those of the imputer "
        "that has made a paired table; declare the domains there, and give support rows of other people."
    )


def _vanished(path: str) -> InvalidInputError:
    return InvalidInputError(
        f"path={path!r} held a budget, and the file is gone: what was spent is unknown, so nothing can be "
        f"spent from it; put the file back, or, for a table that this budget never paid for, delete "
        f"{path + '.lock'!r} and start anew."
    )


def _read(path: str) -> dict:
    if os.path.isfile(path) and os.stat(path).st_nlink > 1:
        raise InvalidInputError(
            f"path={path!r} has a second name (a hard link), and each would count for itself; keep one name "
            "and delete the other."
        )
    try:
        state = json.loads(Path(path).read_text(encoding="utf-8"))
        if state["version"] != 1 or not isinstance(state["reserved"], dict):
            raise ValueError(f"version {state['version']!r} is unknown")
        for name in ("epsilon", "delta", "adjacency"):
            state[name]  # a missing one is a KeyError
        _total(state)
    except InvalidInputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"{path!r} holds no privacy budget ({error}); nothing was changed."
        ) from error
    return state


def _write(path: str, state: dict) -> None:
    # Whoever reads, or a crash, must find the old text or the new one, never half of it.
    beside = f"{path}.{secrets.token_hex(4)}.tmp"
    Path(beside).write_text(json.dumps(state, indent=2), encoding="utf-8")
    os.replace(beside, path)
