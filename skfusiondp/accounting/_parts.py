"""``private_parts``: which parts of a composite estimator read sensitive cells and pay for it.

Check, report, searches, audits and saved files all use it, so that they agree on what a composite has spent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..exceptions import InvalidInputError
from ..privacy import PrivacyLedger

# Parameters whose estimators are fitted themselves; of all others, clones are.
_FITTED_IN_PLACE = ("steps", "transformer_list")
_NAMED_MEMBERS = (*_FITTED_IN_PLACE, "transformers", "transformers_")
_MODEL_METHODS = ("fit", "transform", "predict", "predict_proba")


@dataclass(frozen=True)
class Part:
    """A part of a composite that pays for what it reads.

    Parameters
    ----------
    path : str
        Where it is, as in ``get_params``: ``"prep__scale"``; empty for the object itself.
    spender : object
        It has a ``ledger_``, once fitted, and says by ``planned_ledger(n_rows)`` what a fit will cost.
    cloned : bool
        Whether the fit around it has made it anew, so that its ledger is that of this fit alone.
    """

    path: str
    spender: Any
    cloned: bool = False

    @property
    def ledger(self) -> PrivacyLedger:
        """What it has spent; nothing before its first fit."""
        return getattr(self.spender, "ledger_", PrivacyLedger())


def spends(obj: Any) -> bool:
    """Tell whether an object fulfils the contract of what reads sensitive cells (see ``Spender``)."""
    if isinstance(obj, type):
        return False
    return callable(getattr(obj, "planned_ledger", None)) or isinstance(
        getattr(obj, "ledger_", None), PrivacyLedger
    )


def private_parts(composite: Any) -> tuple[Part, ...]:
    """Find every part of an estimator that pays for reading sensitive cells.

    Parameters
    ----------
    composite : estimator
        A Pipeline, ColumnTransformer, FeatureUnion, search, or any other object that holds estimators in
        attributes, lists, tuples or dicts, however deep. Unfitted: the parts that a fit will fit. Fitted:
        those that were fitted. A part that pays for others inside it, such as a private search, is one.

    Returns
    -------
    tuple of Part
        In the order of a fit.

    Raises
    ------
    InvalidInputError
        If a part was fitted that is not there any more, so that what it has spent cannot be told.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skfusiondp import FusionDPClassifier, Numeric
    >>> from skfusiondp.accounting import private_parts
    >>> pipe = make_pipeline("passthrough", FusionDPClassifier({"age": Numeric(18, 90)}))
    >>> [part.path for part in private_parts(pipe)]
    ['fusiondpclassifier']
    """
    return tuple(_parts(composite, "", set()))


def is_fitted(obj: Any) -> bool:
    """Tell whether an object has attributes that only a fit sets, or holds one that has."""
    own = [n for n in _attributes(obj) if n.endswith("_") and not n.startswith("_")]
    return bool(own) or any(is_fitted(member) for _, member in members(obj))


def members(obj: Any) -> Iterator[tuple[str, Any]]:
    """Objects with models of their own that an object holds, each by a name."""
    yield from _members(_attributes(obj))


def join(path: str, name: Any) -> str:
    """A path one level deeper."""
    return f"{path}__{name}" if path else str(name)


def _parts(obj: Any, path: str, seen: set[int]) -> Iterator[Part]:
    if id(obj) in seen:
        return
    seen.add(id(obj))
    if spends(obj):
        yield Part(path, obj)
        return
    attributes = _attributes(obj)
    given = _parameters(obj)
    in_place = {n: v for n, v in attributes.items() if n in _FITTED_IN_PLACE}
    for name, member in _members(in_place):
        yield from _parts(member, join(path, name), seen)
    made = {n: v for n, v in attributes.items() if n not in given and n not in in_place}
    fitted = [p for name, m in _members(made) for p in _parts(m, join(path, name), seen)]
    templates = {n: v for n, v in attributes.items() if n in given and n not in in_place}
    before = [p for name, m in _members(templates) for p in _parts(m, join(path, name), seen)]
    yield from (replace(part, cloned=True) for part in fitted)
    if not before:
        return
    if not any(n.endswith("_") and not n.startswith("_") for n in made):
        yield from before  # nothing was fitted yet, or the parameter itself, as in a FrozenEstimator
        return
    known = {type(p.spender) for p in fitted}
    for part in before:
        if type(part.spender) in known:
            continue
        if not len(part.ledger):
            raise InvalidInputError(
                f"{path or type(obj).__name__} was fitted with {type(part.spender).__name__} "
                f"({part.path}) and has kept no fitted one, so what it has spent cannot be told. Keep the "
                "fitted model (refit=True, or an attribute), or give the estimator a budget="
                "PrivacyBudget(...) and read the cost from it."
            )
        yield part  # it was fitted before, and is used as it is


def _attributes(obj: Any) -> dict[str, Any]:
    return dict(vars(obj)) if hasattr(obj, "__dict__") and not isinstance(obj, type) else {}


def _parameters(obj: Any) -> set[str]:
    if not callable(getattr(obj, "get_params", None)):
        return set()
    return set(obj.get_params(deep=False))


def _members(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Objects with models in them, each by a name."""
    for name, value in attributes.items():
        # Steps and transformers are found by their own names, as in get_params.
        yield from _objects("" if name in _NAMED_MEMBERS else name.rstrip("_"), value)


def _objects(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _objects(join(name, key), inner)
    elif isinstance(value, list | tuple) or getattr(getattr(value, "dtype", None), "kind", "") == "O":
        for i, item in enumerate(value):
            if isinstance(item, tuple) and len(item) > 1 and isinstance(item[0], str):
                for inner in item[1:]:
                    yield from _objects(join(name, item[0]), inner)
            else:
                yield from _objects(join(name, i), item)
    elif not isinstance(value, type) and any(hasattr(value, m) for m in _MODEL_METHODS):
        yield name, value
