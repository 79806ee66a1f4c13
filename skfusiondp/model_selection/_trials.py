"""One trial of a private search: what it will spend, and whether it kept to that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from ..accounting._parts import private_parts
from ..exceptions import InvalidInputError
from ..impute import FoundationImputer
from ..privacy import PrivacyLedger
from ..privacy._mechanisms import Gaussian, Mechanism
from ..privacy._random_bits import RandomBits
from ..privacy._selection import Spec, rdp_of


@dataclass(frozen=True)
class Candidate:
    """Parameters to try, and the mechanisms that a fit with them runs.

    Parameters
    ----------
    parameters : dict
    spec : Spec
        Mechanisms of the steps before, and sampling rate and steps of the last one.
    adjacency : str
    """

    parameters: dict
    spec: Spec
    adjacency: str


def candidates_of(param_distributions: Any) -> list[dict]:
    """Every combination of listed values.

    Raises
    ------
    InvalidInputError
        If a value is no list: each candidate's cost must be known before the first trial.
    """
    grids = [param_distributions] if isinstance(param_distributions, Mapping) else param_distributions
    if not isinstance(grids, Sequence) or not grids or not all(isinstance(g, Mapping) for g in grids):
        raise InvalidInputError(
            f"param_distributions={param_distributions!r} must be a dict of lists, or a list of such dicts."
        )
    for grid in grids:
        for name, values in grid.items():
            if not isinstance(values, list | tuple | np.ndarray) or not len(values):
                raise InvalidInputError(
                    f"param_distributions[{name!r}]={values!r} must list the values to try: the cost of each "
                    "is worked out before the first trial, so draw some values from a distribution first."
                )
    return list(ParameterGrid([dict(g) for g in grids]))


def steps_of(estimator: Any) -> list[Any]:
    """The steps of a pipeline, or the estimator alone."""
    steps = getattr(estimator, "steps", None)
    return [step for _, step in steps] if isinstance(steps, list) else [estimator]


def _imputes(final: Any) -> bool:
    """Whether a model can guess the sensitive cells of rows that are held out."""
    has_imputer = getattr(final, "imputer", None) is not None
    supported = getattr(final, "support", None) is not None and not hasattr(final, "method")
    return has_imputer or supported or getattr(final, "method", None) in ("fusiondp", "hybrid")


def _pairs(step: Any) -> bool:
    """Whether a step is an imputer that hands on both views."""
    return isinstance(step, FoundationImputer) and step.output == "paired"


def spenders_of(estimator: Any) -> list[Any]:
    """Every part of an estimator that pays for what it reads, wherever it is."""
    return [part.spender for part in private_parts(estimator)]


def _fitted_once(estimator: Any) -> Iterator[Any]:
    """The parts of containers that fit each of them once."""
    yield estimator
    for name in ("steps", "transformers", "transformer_list"):
        held = getattr(estimator, name, None)
        for step in held if isinstance(held, list) else ():
            yield from _fitted_once(step[1])


def strictest_on_leak(estimator: Any) -> str:
    """The strictest `on_leak` of an estimator and its parts."""
    parts = [estimator, *estimator.get_params(deep=True).values()]
    wishes = {getattr(part, "on_leak", None) for part in parts if not isinstance(part, type)}
    return next((wish for wish in ("raise", "warn") if wish in wishes), "ignore")


def final_name(estimator: Any) -> str:
    """Prefix of the parameters of a pipeline's last step."""
    steps = getattr(estimator, "steps", None)
    return f"{steps[-1][0]}__" if isinstance(steps, list) else ""


def planned(estimator: Any, parameters: dict, n_rows: int, must_impute: bool) -> Candidate:
    """What a fit on `n_rows` rows with these parameters will run, from public facts alone.

    Refused are steps that state no cost, have a budget of their own, or train without noise, and with
    `must_impute` a model that will have no hybrid view to be scored on.
    """
    model = clone(estimator).set_params(**clone(parameters, safe=False))
    final = steps_of(model)[-1]
    spenders = spenders_of(model)
    once = list(_fitted_once(model))
    for step in spenders:
        if not any(step is other for other in once):
            raise InvalidInputError(
                f"{type(step).__name__} lies in an estimator that may fit it any number of times, so the "
                "cost of a trial cannot be told; in this search it may be a step of pipelines, column "
                "transformers and feature unions."
            )
        if getattr(step, "budget", None) is not None:
            raise InvalidInputError(
                f"budget={step.budget!r} of {type(step).__name__}: trials are paid together; give the budget "
                "to the search, and leave that of its estimators None."
            )
        if getattr(step, "groups", None) is not None:
            raise InvalidInputError(
                f"groups={step.groups!r} of {type(step).__name__}: this search bounds what single rows cost, "
                "and no units; pass one row a person, or compare fits under a PrivacyBudget."
            )
        if not callable(getattr(step, "planned_ledger", None)):
            raise InvalidInputError(
                f"{type(step).__name__} pays for reading sensitive cells, but does not say beforehand how "
                "much; it cannot be a step of a search."
            )
    if final not in spenders or "noise_multiplier" not in final.get_params(deep=False):
        raise InvalidInputError(
            f"{type(final).__name__} is no private estimator whose noise can be set: search over a "
            "FusionDPClassifier, a FusionDPRegressor, or a pipeline that ends in one."
        )
    before = [step for step in spenders if step is not final]
    entries = sum((step.planned_ledger(n_rows) for step in before), PrivacyLedger())
    if must_impute and not (_imputes(final) or any(map(_pairs, steps_of(model)[:-1]))):
        raise InvalidInputError(
            f"validation='hybrid' needs {type(final).__name__} to impute sensitive columns, and with "
            f"{parameters!r} it has no imputer; pass public rows as support=, or imputer=FoundationImputer"
            "(...), to it, or to the search validation='private' or public rows."
        )
    final.set_params(epsilon=None, noise_multiplier=1.0)
    cost = final.planned_ledger(n_rows)
    if len(cost) != 1:
        raise InvalidInputError(
            f"{type(final).__name__} with {parameters!r} runs {len(cost)} mechanisms; a search calibrates "
            "one: leave budgets of columns out, and search without noise by any other search."
        )
    (entry,) = cost.entries
    relations = {e.adjacency for e in entries + cost}
    if len(relations) > 1:
        raise InvalidInputError(f"The steps state different neighbouring relations, {sorted(relations)}.")
    if not isinstance(entry.mechanism, Gaussian) or entry.mechanism.noise_multiplier != 1.0:
        raise InvalidInputError(
            f"{type(final).__name__} with {parameters!r} trains without the noise that it is given "
            "(method='non-private'?); choose a private method."
        )
    _, rate, steps, _ = entry.mechanism
    return Candidate(parameters, (tuple(e.mechanism for e in entries), rate, steps), relations.pop())


def prepared(estimator: Any, candidate: Candidate, sigma: float, delta: float, bits: RandomBits) -> Any:
    """An unfitted estimator of a candidate, with its noise set and randomness of its own.

    Where `bits` are secret each step draws its own. A fixed seed of the estimator's would give every trial
    the same noise.
    """
    model = clone(estimator).set_params(**clone(candidate.parameters, safe=False))
    for step in spenders_of(model):
        if "random_state" in step.get_params(deep=False):
            step.set_params(random_state=None if bits.secret else bits.integer(2**31 - 1))
    steps_of(model)[-1].set_params(epsilon=None, noise_multiplier=sigma, delta=delta)
    return model


def check_kept(model: Any, candidate: Candidate, sigma: float) -> None:
    """Refuse a trial whose steps have spent more than was planned.

    Raises
    ------
    InvalidInputError
        If they have: then the search's bound does not hold.
    """
    spent = sum((part.ledger for part in private_parts(model)), PrivacyLedger())
    before, rate, steps = candidate.spec
    plan = rdp_of((*before, Gaussian(sigma, rate, steps)), candidate.adjacency)
    if spent.rows_per_unit > 1:
        raise InvalidInputError(
            "X holds rows of the same people several times, and this search bounds what single rows cost: "
            "nothing is released; pass each row once."
        )
    # A read of domains without noise is no part of the bound: the search writes it down beside.
    leaks = leaks_of(model)
    real: list[Mechanism] = [e.mechanism for e in spent if not (leaks and e.mechanism[0] == 0)]
    same = all(e.adjacency == candidate.adjacency for e in spent)
    if not same or np.any(rdp_of(real, candidate.adjacency) > plan * (1 + 1e-9)):
        raise InvalidInputError(
            f"A trial with {candidate.parameters!r} spent more than it had planned, so the search's bound "
            "does not hold; nothing is released. Its estimator's plan and its fit disagree."
        )


def refuse_leaks(model: Any) -> None:
    """Set on_leak="raise" in every step: a shared budget cannot pay for domains read without noise."""
    for step in spenders_of(model):
        if "on_leak" in step.get_params(deep=False):
            step.set_params(on_leak="raise")


def leaks_of_failed(model: Any) -> tuple[str, ...]:
    """Columns that steps whose fit has failed had read without noise, by what they have written down."""
    ledgers = (getattr(step, "ledger_", ()) for step in spenders_of(model))
    entries = (e for ledger in ledgers for e in ledger if getattr(e, "noise_multiplier", None) == 0)
    return tuple(dict.fromkeys(c for entry in entries for c in entry.protects))


def leaks_of(model: Any) -> tuple[str, ...]:
    """Columns whose domains a fitted model's steps have read off training cells."""
    leaks = (getattr(getattr(step, "schema_", None), "leaks", ()) for step in spenders_of(model))
    return tuple(dict.fromkeys(c for columns in leaks for c in columns))
