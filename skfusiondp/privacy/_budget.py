"""A budget that many fits share, and that none can overdraw."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from .._exceptions import InvalidInputError, PrivacyBudgetError
from .._parameters import check_choice
from ._accountant import ADJACENCIES, check_delta, compute_epsilon
from ._ledger import PrivacyLedger

# Grids of the accountant round up; a hand-made sum of the very budget must not fail on the last digit.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class PrivacyBudget:
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
        for temporary files.

    Raises
    ------
    InvalidInputError
        If a field is out of range, or the file holds something else or another budget.

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
    skfusiondp._exceptions.PrivacyBudgetError: This fit would cost ...
    """

    epsilon: float
    delta: float
    adjacency: str = "replace"
    path: str | os.PathLike | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.epsilon, Real) and 0 < self.epsilon < 1e300):
            raise InvalidInputError(f"epsilon={self.epsilon!r} must be a positive, finite number.")
        check_delta(self.delta)
        check_choice("adjacency", self.adjacency, ADJACENCIES)
        path = self.path
        if path is None:
            path = Path(tempfile.mkdtemp(prefix="skfusiondp-budget-")) / "budget.json"
        object.__setattr__(self, "path", os.path.abspath(path))
        with self._locked() as state:
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
    def spending(self, planned: PrivacyLedger) -> Iterator[Callable[[PrivacyLedger], None]]:
        """Reserve `planned` for the block; call what it yields with what was really spent.

        Parameters
        ----------
        planned : PrivacyLedger
            The most that the block may spend.

        Yields
        ------
        callable
            ``settle(ledger)``: replaces the reservation. A block that never gets there, because its
            process died, has paid its plan.

        Raises
        ------
        PrivacyBudgetError
            Before the block runs, if `planned` would overdraw the budget or is of another relation.
        """
        token = secrets.token_hex(8)
        with self._locked() as state:
            self._check(planned, _total(state))
            state["reserved"][token] = planned.to_json()

        def settle(spent: PrivacyLedger) -> None:
            with self._locked() as state:
                state["reserved"].pop(token, None)
                paid = PrivacyLedger.from_json(state["spent"]) + spent
                state["spent"] = paid.to_json()

        yield settle

    def _check(self, planned: PrivacyLedger, so_far: PrivacyLedger) -> None:
        others = {e.adjacency for e in planned} - {self.adjacency}
        if others:
            raise PrivacyBudgetError(
                f"This fit is accounted under {', '.join(sorted(others))}, its budget under "
                f"{self.adjacency}; the two do not add up: use one neighbouring relation."
            )
        total = compute_epsilon((so_far + planned).entries, self.delta)
        if total > self.epsilon * (1 + _ROUNDING):
            raise PrivacyBudgetError(
                f"This fit would cost epsilon={planned.epsilon(self.delta):.4g} and bring the total to "
                f"{total:.4g} at delta={self.delta:g} ({self.adjacency}), above the budget of "
                f"{self.epsilon:g}; {so_far.epsilon(self.delta):.4g} is spent in {len(so_far)} entries. "
                "Nothing was read. Lower the fit's epsilon, or stop here: earlier fits are untouched."
            )

    @contextmanager
    def _locked(self) -> Iterator[dict]:
        """The state of the file, written back if it was changed; no other process comes between."""
        from filelock import FileLock

        path = os.fspath(self.path or "")
        try:
            with FileLock(path + ".lock"):
                if os.path.exists(path):
                    state = _read(path)
                else:
                    own = {"epsilon": self.epsilon, "delta": self.delta, "adjacency": self.adjacency}
                    state = {"version": 1, **own, "spent": PrivacyLedger().to_json(), "reserved": {}}
                before = json.dumps(state)
                yield state
                if json.dumps(state) != before or not os.path.exists(path):
                    _write(path, state)
        except OSError as error:
            raise InvalidInputError(f"path={path!r} cannot hold a budget ({error}); name a file.") from error


def as_budget(budget: Any) -> PrivacyBudget | None:
    """The budget that an estimator's parameter names: itself, or the path of its file."""
    if budget is None or isinstance(budget, PrivacyBudget):
        return budget
    if isinstance(budget, str | os.PathLike):
        return PrivacyBudget.open(budget)
    raise InvalidInputError(f"budget={budget!r} must be a PrivacyBudget, the path of one's file, or None.")


@contextmanager
def spending(budget: Any, planned: PrivacyLedger) -> Iterator[Callable[[PrivacyLedger], None]]:
    """As ``PrivacyBudget.spending``, for an estimator's parameter, which may be None."""
    shared = as_budget(budget)
    if shared is None:
        yield lambda spent: None
    else:
        with shared.spending(planned) as settle:
            yield settle


def _total(state: dict) -> PrivacyLedger:
    total = PrivacyLedger.from_json(state["spent"])
    for plan in state["reserved"].values():
        total = total + PrivacyLedger.from_json(plan)
    return total


def _read(path: str) -> dict:
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
    # A reader, or a crash, must find the old text or the new one, never a half.
    beside = f"{path}.{secrets.token_hex(4)}.tmp"
    Path(beside).write_text(json.dumps(state, indent=2), encoding="utf-8")
    os.replace(beside, path)
