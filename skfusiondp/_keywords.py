"""Keywords that a class does not have are refused when an object is made, and the right one is suggested."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from .exceptions import UnknownParameterError

# Where the classes are that users make objects of.
_HOMES = (".estimators", ".impute", ".preprocessing", ".model_selection", "")
_MOST_NAMED = 4
# What other libraries, and papers, call a parameter; of several, the first that the class has is meant.
_NAMES: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("eps", "target_epsilon", "privacy_budget", "privacy_level"): ("epsilon",),
    ("target_delta",): ("delta",),
    ("noise", "noise_scale", "noise_std", "sigma"): ("noise_multiplier",),
    ("c", "clip", "clip_norm", "clipping_norm", "clipping_threshold", "data_norm"): ("max_grad_norm",),
    ("grad_norm", "l2_norm_clip", "max_norm", "max_per_sample_grad_norm"): ("max_grad_norm",),
    ("n_epochs", "num_epochs", "max_epochs"): ("epochs", "steps"),
    ("max_iter", "n_iter", "iterations", "n_steps", "num_steps"): ("steps", "n_trials"),
    ("n_estimators",): ("public_model", "n_trials"),
    ("batch", "bs", "minibatch_size", "expected_batch_size"): ("batch_size",),
    ("max_physical_batch_size", "virtual_batch_size"): ("micro_batch_size",),
    ("eta0", "learning_rate", "learning_rate_init", "optimizer__lr"): ("lr",),
    ("rng", "seed", "random_seed"): ("random_state",),
    ("accountant", "odometer"): ("budget",),
    ("neighboring_relation", "neighbouring_relation", "neighbors", "relation"): ("adjacency",),
    ("unit", "user_id", "user_ids", "privacy_unit"): ("groups",),
    ("background", "public", "public_data", "public_rows", "reference", "reference_data"): ("support",),
    ("support_labels", "support_y", "y_support"): ("support_target",),
    ("columns", "features", "private_columns", "protected", "protected_attributes"): ("sensitive",),
    ("sensitive_attributes", "sensitive_columns", "sensitive_features"): ("sensitive",),
    ("bounds", "feature_range"): ("low",),
    ("lo", "lower", "min", "min_value", "minimum"): ("low",),
    ("hi", "upper", "max", "max_value", "maximum"): ("high",),
    ("classes", "levels", "values"): ("categories",),
    ("base_estimator", "model"): ("estimator", "module", "public_model"),
    ("param_grid", "search_spaces"): ("param_distributions",),
    ("cv", "validation_data", "validation_split"): ("validation",),
    ("net", "network"): ("module",),
}
_OTHERS: Mapping[str, tuple[str, ...]] = {word: ours for words, ours in _NAMES.items() for word in words}
# What is stated in another way where a class has that parameter, or takes names with that beginning.
_DOMAINS = ("sensitive", "state domains in sensitive={column: Numeric(low, high)}")
_HIDDEN = ("module__", "module__hidden sets the default module's")
_ADVICE: Mapping[str, tuple[str, str]] = {
    "bounds": _DOMAINS,
    "domain": _DOMAINS,
    "domains": _DOMAINS,
    "dropout": ("module__", "module__dropout sets the default module's"),
    "feature_range": _DOMAINS,
    "hidden": _HIDDEN,
    "hidden_layer_sizes": _HIDDEN,
    "momentum": ("optimizer__", "optimizer__momentum sets that of an optimizer which has it"),
    "warm_start": ("steps", "plan one fit with the steps that it needs: each fit reads the cells anew"),
    "weight_decay": ("optimizer__", "optimizer__weight_decay sets the optimizer's"),
}


class KnownKeywords:
    """A class whose objects cannot be made with a keyword that it does not have. Not for users."""

    # Beginnings of the names that it takes beside its own parameters.
    _prefixes: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, *args: Any, **given: Any):
        known = _parameters(cls) if given else ()
        for name in given:
            if name not in known and not name.startswith(cls._prefixes or ("?",)):
                raise UnknownParameterError(_message(cls, name))
        if len(args) > 1 and (wrong := _by_position(cls, len(args))):
            raise UnknownParameterError(wrong)
        return super().__new__(cls)


def suggestion(name: str, known: Iterable[str]) -> str:
    """The parameter that is probably meant by a name; empty if none is."""
    known = list(known)
    for word in (name, name.lower()):
        for ours in _OTHERS.get(word, ()):
            if ours in known:
                return ours
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return near[0] if near else ""


def _of_a_part(cls: type[KnownKeywords], name: str) -> str:
    """A parameter of a torch part whose prefix is misspelt, as it should be; empty if it is none."""
    part, _, rest = name.partition("__")
    near = difflib.get_close_matches(f"{part}__", cls._prefixes, n=1) if rest else []
    return near[0] + rest if near else ""


def _message(cls: type[KnownKeywords], name: str) -> str:
    start = f"{cls.__name__} has no parameter {name!r}"
    known = [n for n in _parameters(cls) if n not in ("args", "kwargs")]
    needs, advice = _ADVICE.get(name.lower(), ("", ""))
    if needs in (*known, *cls._prefixes):
        return f"{start}; {advice}."
    if meant := _of_a_part(cls, name) or suggestion(name, known):
        return f"{start}; did you mean {meant!r}?"
    if elsewhere := _classes_with(name):
        more = " and others" * (len(elsewhere) > _MOST_NAMED)
        return f"{start}, which is one of {', '.join(elsewhere[:_MOST_NAMED])}{more}."
    of_parts = f"; what starts with {', '.join(cls._prefixes)} goes to the torch parts"
    return f"{start}; it has {', '.join(known)}{of_parts if cls._prefixes else ''}."


def _by_position(cls: type, given: int) -> str:
    """What is wrong with so many values by position; empty if nothing is, or Python's own error says it."""
    init = next(vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base))
    parameters = list(inspect.signature(init).parameters.values())[1:]
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    others = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    if given <= len(names) or not others or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return ""
    taken = f"takes {', '.join(names) or 'nothing'} by position"
    return f"{cls.__name__} {taken} and got {given} values; name the others, for example {others[0]}=..."


def _parameters(cls: type) -> tuple[str, ...]:
    """Names of all keywords that a class and its ancestors take when an object is made."""
    names: dict[str, None] = {}
    for base in cls.__mro__:
        if "__init__" in vars(base) and base is not object:
            # The name of a ``**kwargs`` too: scikit-learn's checks state every name of a signature.
            names |= dict.fromkeys(list(inspect.signature(vars(base)["__init__"]).parameters)[1:])
    return tuple(names)


def _classes_with(name: str) -> list[str]:
    """Other public classes of this library that have a parameter."""
    homes = [importlib.import_module(f"{__package__}{m}") for m in _HOMES]
    found = {n: getattr(home, n) for home in homes for n in home.__all__}
    return [
        n
        for n, cls in found.items()
        if isinstance(cls, type) and issubclass(cls, KnownKeywords) and name in _parameters(cls)
    ]
