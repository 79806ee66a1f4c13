"""scikit-learn's own checks, on every public estimator."""

import importlib
import inspect
import pkgutil

import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

import skfusiondp
from skfusiondp import (
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    OffsetFusionClassifier,
    OffsetFusionRegressor,
    PrivateResampler,
    PrivateSynthesizer,
    SynthesizedClassifier,
    SynthesizedRegressor,
)
from skfusiondp.impute import Configurable
from skfusiondp.impute._registry import BACKENDS
from skfusiondp.model_selection import PrivateRandomSearchCV, StackedGridSearchCV
from skfusiondp.preprocessing import (
    PrivateCategories,
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
    TableEncoder,
)

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")

CHECKED = [
    FusionDPClassifier(steps=5, public_epochs=1),
    FusionDPRegressor(steps=5, public_epochs=1),
    OffsetFusionClassifier(steps=5),
    OffsetFusionRegressor(steps=5),
    PrivateResampler(random_state=0),
    PrivateSynthesizer(random_state=0),
    SynthesizedClassifier(n_draws=2),
    SynthesizedRegressor(n_draws=2),
    TableEncoder(),
    PrivateQuantileTransformer(random_state=0),
    PrivateStandardScaler(random_state=0),
    PrivateCategories(random_state=0),
    PrivateSelectKBest(k=1, random_state=0),
    PrivateRandomSearchCV(
        FusionDPClassifier(steps=5, public_epochs=1),
        {"lr": [0.01]},
        n_trials=1.5,
        validation_size=0.05,
        random_state=0,
    ),
    # As scikit-learn checks its own searches: folds of the checks' tables are too small to be private.
    StackedGridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, error_score="raise"),
]
# tests/impute runs the checks on this one.
CHECKED_ELSEWHERE = [FoundationImputer]

TWICE = (
    "a row of weight two is clipped as one row, as its privacy needs; it also keeps to one fold where two "
    "rows may be split"
)
SINGLE_PRECISION = dict.fromkeys(
    ["check_methods_sample_order_invariance", "check_methods_subset_invariance"],
    "asks for seven to nine digits of outputs that torch computes in single precision",
)
FEW = "fits 10 rows, fewer than private training accepts: the noise would drown them"
DRAWN = (
    "draws by fit_transform go with the labels of the training rows, and those by transform with labels that "
    "are drawn too"
)
BY_POSITION = "cells are drawn anew in each row, by its position in the table"
EXPECTED_FAILURES = {
    PrivateSynthesizer: {
        **dict.fromkeys(["check_transformer_general", "check_transformer_data_not_an_array"], DRAWN),
        **dict.fromkeys(
            ["check_methods_sample_order_invariance", "check_methods_subset_invariance"], BY_POSITION
        ),
    },
    SynthesizedRegressor: {"check_regressors_no_decision_function": FEW},
    FusionDPClassifier: {
        **SINGLE_PRECISION,
        "check_sample_weight_equivalence_on_dense_data": TWICE,
        "check_classifiers_one_label_sample_weights": FEW,
    },
    PrivateRandomSearchCV: SINGLE_PRECISION,
    OffsetFusionClassifier: {
        "check_sample_weight_equivalence_on_dense_data": TWICE,
        "check_classifiers_one_label_sample_weights": FEW,
    },
    OffsetFusionRegressor: {
        "check_sample_weight_equivalence_on_dense_data": TWICE,
        "check_regressors_no_decision_function": FEW,
    },
    FusionDPRegressor: {
        "check_sample_weight_equivalence_on_dense_data": TWICE,
        "check_regressors_no_decision_function": FEW,
    },
}


@pytest.mark.one_in(9)
@parametrize_with_checks(
    CHECKED, expected_failed_checks=lambda estimator: EXPECTED_FAILURES.get(type(estimator), {})
)
def test_sklearn_checks(estimator, check):
    check(estimator)


def public_estimators():
    """Every estimator that a public module of the package exports."""
    found = set()
    names = [m.name for m in pkgutil.iter_modules(skfusiondp.__path__) if not m.name.startswith("_")]
    for module in [skfusiondp, *(importlib.import_module(f"skfusiondp.{n}") for n in names)]:
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isclass(value) and issubclass(value, BaseEstimator):
                found.add(value)
    return found


def test_no_public_estimator_is_forgotten():
    assert public_estimators() == {type(e) for e in CHECKED} | set(CHECKED_ELSEWHERE)


def test_every_expected_failure_has_a_reason():
    assert all(len(r) > 20 for reasons in EXPECTED_FAILURES.values() for r in reasons.values())


def test_backends_are_no_estimators():
    # What takes any estimator would call their `fit`, which takes other tables.
    for registered in BACKENDS.values():
        backend = registered.load()
        assert not issubclass(backend, BaseEstimator)
        assert issubclass(backend, Configurable)
