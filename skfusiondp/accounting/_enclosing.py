"""``check_enclosing``: what a running fit can see of the pipeline or search that it is part of.

An estimator that is fitted inside a Pipeline is handed a table that earlier steps have changed. It finds
the Pipeline on the call stack, whose ``fit`` is still running there, and checks it as `check_pipeline`
would. Only names, types and parameters are looked at, and no cell.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from dataclasses import dataclass, field
from typing import Any

from ..exceptions import InvalidInputError, RepeatedFitWarning, callers_level, report_leak
from ..privacy import PrivacyLedger
from ._candidates import is_search, noise_choices
from ._check_pipeline import PipelineCheck, look_at
from ._finding import Finding
from ._parts import private_parts, spends
from ._probe import on_made_up_rows
from ._provenance import flow_of
from ._running_fits import RunningFit, running_fits

_MARK = "(checked by skfusiondp)"  # no name that a function could use

_UNSEEN = (
    "What was done to X before this fit cannot be seen from here: if something fitted on its sensitive cells "
    "has changed X beforehand (a scaler, an imputer, a selection of rows or columns), this epsilon does not "
    "cover it."
)


@dataclass(frozen=True)
class Surroundings:
    """What was seen of the pipeline or search around a fit.

    Parameters
    ----------
    path : str
        Where the estimator is in the outermost one, as in ``get_params``; empty if nothing encloses it.
    findings : tuple of Finding
        What `check_pipeline` finds in the outermost one.
    sentence : str
        What a report should say first: what was checked, and what could not be seen.
    ledger : PrivacyLedger
        What other parts around it had spent before this fit.
    chosen_by : str
        Searches around it that keep no ledger of their fits.
    """

    path: str
    findings: tuple[Finding, ...]
    sentence: str
    ledger: PrivacyLedger = field(default_factory=PrivacyLedger)
    chosen_by: str = ""

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """The findings that void the guarantee."""
        return tuple(f for f in self.findings if f.severity == "leak")


def check_enclosing(estimator: Any, X: Any, on_leak: str) -> Surroundings:
    """Check the outermost pipeline, search or other composite in whose fit `estimator` is being fitted.

    To be called while `estimator`, which may itself be a composite, is fitted on `X`. What its own fit
    reports (domains that are missing, ``method="non-private"``) is left out. Each composite warns once per
    fit, also where its estimators are fitted several times.

    Raises
    ------
    PrivacyLeakError
        If ``on_leak="raise"`` and a step leaks.

    Warns
    -----
    PrivacyLeakWarning
        If ``on_leak="warn"`` and a step leaks.
    """
    levels = running_fits(estimator, sys._getframe(1))
    if not levels or on_made_up_rows():
        return Surroundings("", (), _UNSEEN)
    searches = [level.composite for level in levels if _forgets_fits(level.composite)]
    chosen_by = ", ".join(dict.fromkeys(type(s).__name__ for s in searches))
    outermost = levels[-1]
    name = type(outermost.composite).__name__
    check, warned = outermost.frame.f_locals.get(_MARK, (None, False))
    check = check or _checked(outermost, X if outermost.composite is estimator else outermost.table)
    if check is None:
        sentence = f"{name}, in which this was fitted, cannot be checked. {_UNSEEN}"
        return Surroundings(outermost.path, (), sentence, chosen_by=chosen_by)
    if _MARK not in outermost.frame.f_locals:
        _warn_of_noise(searches)
    # The mark is dropped with the frame when that fit ends: the next fit is checked again, and warns again.
    # It adds an entry of its own to the frame's table of names, and touches no variable of any function.
    outermost.frame.f_locals[_MARK] = (check, warned or on_leak == "warn")
    if check.leaks and not (warned and on_leak == "warn"):
        report_leak("\n".join(str(f) for f in check.leaks), on_leak)
    sentence = _sentence(name, outermost.path, check)
    return Surroundings(outermost.path, check.findings, sentence, _spent_before(levels, estimator), chosen_by)


def _forgets_fits(composite: Any) -> bool:
    """Whether a composite is a search that keeps no ledger of its fits."""
    return is_search(composite) and not (spends(composite) or getattr(composite, "_counts_its_fits", False))


def _warn_of_noise(searches: list[Any]) -> None:
    """Say of each search that compares fits with different noise what that chooses, and costs."""
    for search in searches:
        if names := noise_choices(search):
            warnings.warn(
                f"{type(search).__name__} compares fits that differ in {', '.join(names)}: it mostly chooses "
                "the least noise, and the epsilon of the fit that it keeps is that fit's alone, while all "
                "fits read the same cells and add up. Fix one noise_multiplier= beforehand and search over "
                "other settings; PrivateRandomSearchCV searches under one epsilon, and a budget="
                "PrivacyBudget(...) counts every fit.",
                RepeatedFitWarning,
                stacklevel=callers_level(),
            )


def _sentence(name: str, path: str, check: PipelineCheck) -> str:
    place = f"as its step {path}" if path else "as a whole"
    if check.leaks:
        steps = ", ".join(dict.fromkeys(f.path or f.estimator for f in check.leaks))
        return (
            f"This was fitted inside {name} ({place}), where sensitive cells are read without paying "
            f"({steps}): this epsilon does not bound what that tells."
        )
    return (
        f"This was fitted inside {name} ({place}), no step of which is seen to read sensitive cells without "
        f"paying. What was done to X before {name} was fitted cannot be seen from here."
    )


def _spent_before(levels: list[RunningFit], estimator: Any) -> PrivacyLedger:
    """What the parts of everything around an estimator have spent, but for itself."""
    parts: dict[int, PrivacyLedger] = {}
    for level in reversed(levels):
        with contextlib.suppress(InvalidInputError):  # the composite's own report lists lost ledgers
            found = [p for p in private_parts(level.composite) if p.spender is not estimator]
            parts |= {id(p.spender): p.ledger for p in found}
    return sum(parts.values(), PrivacyLedger())


def _checked(outermost: RunningFit, table: Any) -> PipelineCheck | None:
    """The check of the composite; None where it cannot be made."""
    try:
        return None if flow_of(table) is None else look_at(outermost.composite, X=table, fitting=True)
    except Exception:  # a fit must not fail because somebody else's composite cannot be walked
        return None
