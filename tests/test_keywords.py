"""A keyword that a class does not have is refused when the object is made, with the one that is meant."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import dataclass

import pytest
from sklearn.base import clone

import skfusiondp
from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    OffsetFusionClassifier,
    OffsetFusionRegressor,
    PrivacyBudget,
    SynthesizedClassifier,
)
from skfusiondp._keywords import _HOMES, _NAMES, KnownKeywords, _parameters
from skfusiondp.accounting import Clipping, LedgerEntry
from skfusiondp.exceptions import InvalidInputError, UnknownParameterError
from skfusiondp.impute import ConditionalBackend
from skfusiondp.model_selection import PrivateRandomSearchCV, StackedGridSearchCV
from skfusiondp.preprocessing import PrivateStandardScaler, TableEncoder

MEANT = [
    (FusionDPClassifier, "eps", "did you mean 'epsilon'?"),
    (FusionDPRegressor, "n_epochs", "did you mean 'epochs'?"),
    (FusionDPClassifier, "max_grad_nrm", "did you mean 'max_grad_norm'?"),
    (FusionDPClassifier, "C", "did you mean 'max_grad_norm'?"),
    (FusionDPClassifier, "data_norm", "did you mean 'max_grad_norm'?"),
    (FusionDPClassifier, "noise_scale", "did you mean 'noise_multiplier'?"),
    (FusionDPClassifier, "batchsize", "did you mean 'batch_size'?"),
    (FusionDPClassifier, "bounds", "sensitive={column: Numeric(low, high)}"),
    (FusionDPClassifier, "sensitive_features", "did you mean 'sensitive'?"),
    (FusionDPClassifier, "hidden_layer_sizes", "module__hidden"),
    (FusionDPClassifier, "modul__hidden", "did you mean 'module__hidden'?"),
    (FusionDPClassifier, "backend", "one of FoundationImputer"),
    (FusionDPClassifier, "warm_start", "plan one fit"),
    (FusionDPClassifier, "zzz", "what starts with module__"),
    (OffsetFusionClassifier, "n_estimators", "did you mean 'public_model'?"),
    (OffsetFusionRegressor, "clip", "did you mean 'max_grad_norm'?"),
    (OffsetFusionRegressor, "epochs", "one of FusionDPClassifier, FusionDPRegressor"),
    (FoundationImputer, "epsilon", "one of FusionDPClassifier"),
    (FoundationImputer, "public_data", "did you mean 'support'?"),
    (PrivateStandardScaler, "support", "one of FusionDPClassifier"),
    (PrivateStandardScaler, "feature_range", "sensitive={column: Numeric(low, high)}"),
    (PrivateRandomSearchCV, "param_grid", "did you mean 'param_distributions'?"),
    (PrivateRandomSearchCV, "support", "one of FusionDPClassifier"),
    (StackedGridSearchCV, "param_grids", "did you mean 'param_grid'?"),
    (TableEncoder, "on_leaks", "did you mean 'on_leak'?"),
    (ConditionalBackend, "n_estimator", "did you mean 'n_estimators'?"),
    (Numeric, "lower", "did you mean 'low'?"),
    (Categorical, "values", "did you mean 'categories'?"),
    (PrivacyBudget, "eps", "did you mean 'epsilon'?"),
    (LedgerEntry, "sigma", "did you mean 'noise_multiplier'?"),
    (Clipping, "C", "did you mean 'max_grad_norm'?"),
]


@pytest.mark.parametrize("cls, keyword, says", MEANT, ids=lambda v: getattr(v, "__name__", v))
def test_the_message_names_the_keyword_and_the_one_that_is_meant(cls, keyword, says):
    with pytest.raises(UnknownParameterError) as caught:
        cls(**{keyword: 1})
    assert str(caught.value).startswith(f"{cls.__name__} has no parameter {keyword!r}")
    assert says in str(caught.value)
    # Whoever catches Python's own error, or this library's, catches it.
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, InvalidInputError)


@pytest.mark.parametrize("cls", [FusionDPClassifier, OffsetFusionRegressor])
def test_a_parameter_by_position_is_told_to_be_named(cls):
    says = r"takes sensitive by position and got 2 values; .* epsilon=\.\.\."
    with pytest.raises(UnknownParameterError, match=says):
        cls({"age": Numeric(0, 1)}, 1.0)
    assert cls({"age": Numeric(0, 1)}, epsilon=1.0).epsilon == 1.0


@pytest.mark.parametrize("cls", [FusionDPClassifier, OffsetFusionRegressor, SynthesizedClassifier])
def test_a_fit_without_target_is_told_so(cls):
    with pytest.raises(InvalidInputError, match=rf"target y is None: {cls.__name__}\.fit\(X, y\)"):
        cls({0: Numeric(0, 1)}).fit([[0.5]] * 20)


def public_classes():
    homes = [__import__(f"skfusiondp{home}", fromlist=["_"]) for home in _HOMES]
    found = {getattr(home, name) for home in homes for name in home.__all__}
    return [cls for cls in found if isinstance(cls, type) and hasattr(cls, "fit")]


def test_every_public_estimator_refuses():
    classes = public_classes()
    assert len(classes) >= 14
    # A protocol makes no objects, and where there are no parameters Python's own error says so.
    with_parameters = [cls for cls in classes if not getattr(cls, "_is_protocol", False) and _parameters(cls)]
    assert [cls for cls in with_parameters if not issubclass(cls, KnownKeywords)] == []


def test_the_table_of_words_leads_to_parameters_that_exist():
    classes = [*public_classes(), Numeric, Categorical, PrivacyBudget, LedgerEntry, Clipping]
    known = {name for cls in classes for name in _parameters(cls)}
    for words, ours in _NAMES.items():
        assert set(ours) <= known, words
        assert not {*words} & {*_parameters(FusionDPClassifier)}, "a word that is a parameter already"


def test_objects_are_made_copied_and_saved_as_before():
    model = FusionDPClassifier({"age": Numeric(0, 9)}, module__hidden=(4,), optimizer__betas=(0.5, 0.9))
    for again in (clone(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again.get_params() == model.get_params()
    assert "epsilon" in inspect.signature(FusionDPClassifier).parameters
    assert list(inspect.signature(Numeric).parameters)[:2] == ["low", "high"]
    assert skfusiondp.Numeric(low=0, high=1) == Numeric(0, 1)


class Own(FusionDPClassifier):
    """Somebody's subclass with a parameter of its own."""

    def __init__(self, mine=0, **given):
        super().__init__(**given)
        self.mine = mine


@dataclass(frozen=True)
class Days(Numeric):
    """Somebody's domain."""

    unit: str = "d"


def test_subclasses_bring_their_own():
    assert Own(mine=3, epsilon=2.0, module__hidden=(4,)).epsilon == 2.0
    with pytest.raises(UnknownParameterError, match=r"did you mean 'epsilon'\?"):
        Own(mine=3, eps=2.0)
    assert Days(0, 9, unit="h").unit == "h"
    with pytest.raises(UnknownParameterError, match="Days has no parameter"):
        Days(0, 9, units="h")
