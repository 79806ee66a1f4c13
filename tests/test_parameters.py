"""Every parameter of every public class has a constraint, and what it refuses is refused in words."""

import inspect
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

import skfusiondp
from skfusiondp import PrivacyBudget, datasets, impute, model_selection, preprocessing
from skfusiondp import _parameters as parameters
from skfusiondp._parameters import (
    Anything,
    Constraint,
    Device,
    Integer,
    NotBoth,
    OneOf,
    Real,
    Satisfies,
    check_int,
    check_parameters,
    constraints,
    shown,
)
from skfusiondp.datasets import SensitiveTable
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.impute import PairedTable
from skfusiondp.preprocessing import TableEncoder
from skfusiondp.tables._domain import Domain

#: A cell that would stand out in a message.
SECRET = 61.0625
TABLE = pd.DataFrame({"age": [SECRET, 62.0]})

#: What a class needs before one of its parameters can be looked at.
GIVEN = {
    "PrivateRandomSearchCV": {"estimator": skfusiondp.FusionDPClassifier(), "param_distributions": {}},
    "StackedGridSearchCV": {"estimator": skfusiondp.FusionDPClassifier(), "param_grid": {}},
    "EstimatorBackend": {"estimator": None},
}


HOMES = (skfusiondp, datasets, impute, preprocessing, model_selection)
PUBLIC = {n: getattr(h, n) for h in HOMES for n in sorted(h.__all__) if inspect.isclass(getattr(h, n))}
#: Made from parameters, which are checked when they are fitted; and values, checked when they are made.
CLASSES = {n: c for n, c in PUBLIC.items() if hasattr(c, "get_params")}
KINDS_OF_VALUES = (Domain, PairedTable, SensitiveTable, PrivacyBudget)
VALUES = {n: c for n, c in PUBLIC.items() if issubclass(c, KINDS_OF_VALUES)}
CASES = [(n, p) for n, c in CLASSES.items() for p in c._constraints]
MADE = {
    "PrivacyBudget": {"epsilon": 1.0, "delta": 1e-6},
    "PairedTable": {"original": TABLE, "hybrid": TABLE, "schema": TableEncoder().fit(TABLE).schema_},
    "SensitiveTable": {"name": "made", "table": TABLE, "target": TABLE["age"], "sensitive": {}},
    "Date": {"low": "2000-01-01", "high": "2001-01-01"},
    "Numeric": {"low": 0, "high": 1},
    "Categorical": {"categories": ["a"]},
}


def parameters_of(cls):
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {n for n, p in inspect.signature(cls).parameters.items() if p.kind not in kinds}


def test_the_search_finds_the_public_classes():
    assert {"FusionDPClassifier", "TabPFNBackend", "TableEncoder", "StackedGridSearchCV"} <= set(CLASSES)
    assert len(CLASSES) >= 18
    assert {"Numeric", "Categorical", "PairedTable", "SensitiveTable", "PrivacyBudget"} <= set(VALUES)


@pytest.mark.parametrize("name", [*CLASSES, *VALUES])
def test_constraints_cover_every_parameter_and_nothing_else(name):
    cls = PUBLIC[name]
    assert set(cls._constraints) == parameters_of(cls)


@pytest.mark.parametrize("name", CLASSES)
def test_defaults_are_allowed(name):
    if name != "EstimatorBackend":
        check_parameters(CLASSES[name](**GIVEN.get(name, {})))


@pytest.mark.parametrize(("name", "parameter"), CASES)
def test_a_parameter_without_a_constraint_says_why(name, parameter):
    constraint = CLASSES[name]._constraints[parameter]
    assert isinstance(constraint, Constraint)
    if isinstance(constraint, Anything):
        assert len(constraint.reason.split()) >= 4


def outside(constraint):
    """Values just beyond what a constraint states, and others that no constraint of its kind takes."""
    other = [object(), np.arange(3), pd.DataFrame({"a": [1.0]}), [], {}, b"x", 1 + 2j, np.array("warn")]
    if not constraint.none:
        other.append(None)
    if isinstance(constraint, Integer):
        high = [] if constraint.high is None else [constraint.high + 1]
        return [constraint.low - 1, *high, constraint.low + 0.5, "1", True, math.nan, *other]
    if isinstance(constraint, Real):
        low = constraint.low if constraint.closed in ("right", "neither") else constraint.low - 1e-6
        high = constraint.high if constraint.closed in ("left", "neither") else constraint.high * 1.001
        decimals = [] if constraint.exact else [Decimal("0.5")]
        return [low, high, math.nan, -math.inf, 10**5000, "1", True, np.bool_(True), *decimals, *other]
    if isinstance(constraint, OneOf):
        first = next(iter(constraint.choices))
        return [first + " ", first.upper(), 1, *other]
    if isinstance(constraint, Device):
        return ["gpu", 0, math.nan, *other]
    if not isinstance(constraint, Satisfies):
        return ["no such", 0.5, object(), type]  # the imputer's backend
    return [v for v in (0.5, math.nan, "", -(10**5000), *other) if not constraint.allows(v)]


@pytest.mark.parametrize(("name", "parameter"), CASES)
def test_what_lies_outside_is_refused_before_anything_is_read(name, parameter):
    cls = CLASSES[name]
    constraint = cls._constraints[parameter]
    if isinstance(constraint, Anything):
        pytest.skip(constraint.reason)
    values = outside(constraint)
    assert values, "the constraint refuses nothing"
    for value in values:
        made = cls(**{**GIVEN.get(name, {}), parameter: value})
        with pytest.raises(InvalidInputError) as caught:
            check_parameters(made)
        message = str(caught.value)
        assert message.startswith(f"{parameter}={shown(value)} "), message
        assert message.endswith(".") and len(message) > len(f"{parameter}={shown(value)}") + 20


@pytest.mark.parametrize(("name", "parameter"), [(n, p) for n, c in VALUES.items() for p in c._constraints])
def test_values_are_refused_when_they_are_made(name, parameter):
    constraint = VALUES[name]._constraints[parameter]
    if isinstance(constraint, Anything):
        assert len(constraint.reason.split()) >= 4
        return
    for value in outside(constraint):
        with pytest.raises(InvalidInputError) as caught:
            VALUES[name](**{**MADE[name], parameter: value})
        assert str(caught.value).startswith(f"{parameter}=")


@pytest.mark.parametrize("table", [{"age": [SECRET]}, [[SECRET]], np.array([[SECRET]]), TABLE["age"]])
def test_a_table_of_another_kind_is_not_shown(table):
    with pytest.raises(InvalidInputError, match=r"^table=<.*> must be a pandas DataFrame\.$") as caught:
        SensitiveTable("made", table, TABLE["age"], {})
    assert str(SECRET) not in str(caught.value)


@pytest.mark.parametrize("value", [np.array([SECRET]), TABLE, TABLE["age"], np.array([[SECRET]])])
def test_no_message_shows_a_cell(value):
    with pytest.raises(InvalidInputError, match=r"^batch_size=<.* of shape .*> must be") as caught:
        check_parameters(skfusiondp.FusionDPClassifier(batch_size=value))
    assert str(SECRET) not in str(caught.value)


class NoTable:
    """A table that must not be looked at."""

    def __getattribute__(self, name):
        raise AssertionError(f"read {name} before the parameters were checked")


@pytest.mark.parametrize("name", [n for n, c in CLASSES.items() if hasattr(c, "fit") and "Backend" not in n])
def test_fit_checks_parameters_first(name):
    cls = CLASSES[name]
    parameter, constraint = next(
        (p, c) for p, c in reversed(cls._constraints.items()) if isinstance(c, OneOf | Integer | Satisfies)
    )
    made = cls(**{**GIVEN.get(name, {}), parameter: outside(constraint)[0]})
    with pytest.raises(InvalidInputError, match=f"^{parameter}="):
        made.fit(NoTable(), NoTable())


class Two:
    _constraints = constraints(first=Integer(1, none=True), second=Integer(1, none=True))
    _rules = (NotBoth("first", "second"),)

    def __init__(self, first=None, second=None):
        self.first, self.second = first, second


def test_two_parameters_that_state_the_same():
    check_parameters(Two(1)), check_parameters(Two(None, 1)), check_parameters(Two())
    with pytest.raises(InvalidInputError, match=r"^first=1 and second=2 are both given; leave one None\.$"):
        check_parameters(Two(1, 2))


@pytest.mark.parametrize(
    ("constraint", "value", "message"),
    [
        (Integer(1), 0, "p=0 must be a whole number of at least 1."),
        (Integer(1, 5, none=True), 6, "p=6 must be a whole number from 1 to 5, or None."),
        (Real(0), 0, "p=0 must be a positive, finite number."),
        (Real(0, closed="left"), -1, "p=-1 must be a finite number of at least 0."),
        (Real(0, 1, closed="left"), 1, "p=1 must be a number of at least 0 and below 1."),
        (Real(-1, 100, closed="right"), -1, "p=-1 must be a number above -1 and at most 100."),
        (Real(1, 2, closed="both", remedy="try 1"), 3, "p=3 must be a number from 1 to 2; try 1."),
        (OneOf(("a", "b")), "c", "p='c' is not one of a, b."),
        (OneOf(("a", "b"), none=True), "c", "p='c' is not one of a, b, or None."),
        (Satisfies(callable, "a function"), 1, "p=1 must be a function."),
    ],
)
def test_messages(constraint, value, message):
    with pytest.raises(InvalidInputError) as caught:
        constraint.check("p", value)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [1, np.int8(1), np.uint64(1), 2**70])
def test_whole_numbers_of_every_kind(value):
    Integer(1).check("p", value)
    assert check_int("p", value) == int(value)


@pytest.mark.parametrize("value", [1, 0.5, np.float16(0.5), np.float32(0.5), np.longdouble(0.5), np.int8(1)])
def test_real_numbers_of_every_kind(value):
    Real(0, 1, closed="right").check("p", value)


def test_a_message_shows_neither_a_whole_table_nor_fails_to_show_a_value():
    assert len(shown(list(range(10_000)))) < 600
    assert shown(10**5000) == "<int>"


def test_more_rows_than_there_are():
    with pytest.raises(InvalidInputError, match="p=9 is larger than the number of rows, 8; pass at most 8"):
        check_int("p", 9, most=8)
    assert check_int("p", None, default=3) == 3 and parameters.as_float("1") != parameters.as_float(1)
