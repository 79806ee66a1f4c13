"""Documentation that has drifted from the code is a defect: names, defaults and examples."""

import doctest
import importlib
import inspect
import pkgutil
import re
import warnings

import pytest

import skfusiondp

MODULES = [importlib.import_module(m.name) for m in pkgutil.walk_packages(skfusiondp.__path__, "skfusiondp.")]
PUBLIC_MODULES = [skfusiondp] + [m for m in MODULES if not any(p[0] == "_" for p in m.__name__.split("."))]


def public_objects():
    """Every class and function that a public module exports, once, by its name."""
    found = {}
    for module in PUBLIC_MODULES:
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                found[f"{value.__module__}.{name}"] = value
    return found


def public_callables():
    """Public classes and functions, and the public methods that this package defines."""
    found = dict(public_objects())
    for name, value in public_objects().items():
        for method, member in inspect.getmembers(value, inspect.isfunction) if inspect.isclass(value) else ():
            ours = (member.__module__ or "").startswith("skfusiondp")
            if ours and not method.startswith("_"):
                found[f"{name}.{method}"] = member
    return found


OBJECTS, CALLABLES = public_objects(), public_callables()


def section(doc, title):
    """Lines of a numpydoc section."""
    match = re.search(rf"^{title}\n-+\n(.*?)(?=\n\n[A-Z][A-Za-z ]+\n-+\n|\Z)", doc, re.M | re.S)
    return match.group(1).splitlines() if match else []


def documented(value):
    """{parameter: text after the colon} of the sections Parameters and Other Parameters."""
    found = {}
    doc = inspect.getdoc(value) or ""
    for line in section(doc, "Parameters") + section(doc, "Other Parameters"):
        match = re.match(r"^(\*{0,2}\w[\w, *]*?)(?: : (.*))?$", line)
        if match and not line.startswith(" "):
            for name in match.group(1).split(","):
                found[name.strip().lstrip("*")] = match.group(2) or ""
    return found


def signature(value):
    if inspect.isclass(value) and issubclass(value, BaseException):
        return {}
    parameters = inspect.signature(value).parameters
    return {n: p for n, p in parameters.items() if n not in ("self", "cls")}


def takes_documented_arguments(value):
    """Errors, protocols and functions without arguments have none to document."""
    if not inspect.isclass(value):
        return bool(signature(value))
    return "__init__" in vars(value) and not getattr(value, "_is_protocol", False)


@pytest.mark.parametrize("name", CALLABLES)
def test_has_a_docstring_that_starts_with_a_sentence(name):
    doc = inspect.getdoc(CALLABLES[name])
    assert (doc and doc[0].isupper()) or (doc or "").startswith("``")
    assert re.match(r"[^\n]+(\n[^\n]+)*?[.:]", doc), doc


@pytest.mark.parametrize("name", [n for n, v in OBJECTS.items() if takes_documented_arguments(v)])
def test_parameters_match_the_signature(name):
    value = OBJECTS[name]
    assert sorted(documented(value)) == sorted(signature(value))


@pytest.mark.parametrize("name", [n for n, v in CALLABLES.items() if documented(v)])
def test_no_documented_parameter_is_missing_from_the_signature(name):
    assert set(documented(CALLABLES[name])) <= set(signature(CALLABLES[name]))


@pytest.mark.parametrize("name", CALLABLES)
def test_documented_defaults_are_the_signatures(name):
    parameters = signature(CALLABLES[name])
    for parameter, text in documented(CALLABLES[name]).items():
        # What None becomes stands in parentheses.
        match = re.search(r"default[= ](.+?)(?: \(.+\))?$", text)
        if match:
            assert parameter in parameters, parameter
            stated, real = match.group(1), parameters[parameter].default
            assert stated.replace("'", '"') == repr(real).replace("'", '"'), (
                parameter,
                stated,
                real,
            )


@pytest.mark.parametrize("name", [n for n, v in OBJECTS.items() if hasattr(v, "get_params")])
def test_estimators_say_each_default_and_what_none_becomes(name):
    texts = documented(OBJECTS[name])
    for parameter, default in signature(OBJECTS[name]).items():
        if default.default is not inspect.Parameter.empty:
            assert "default=" in texts[parameter], parameter
            assert default.default is not None or re.search(r"default=None \(.+\)$", texts[parameter]), (
                parameter
            )


@pytest.mark.parametrize("name", [n for n, v in OBJECTS.items() if hasattr(v, "get_params")])
def test_parameters_are_documented_in_the_signatures_order(name):
    assert list(documented(OBJECTS[name])) == list(signature(OBJECTS[name]))


def test_what_a_first_model_needs_comes_first():
    estimators = [getattr(skfusiondp, n) for n in skfusiondp.__all__ if "Fusion" in n]
    assert len(estimators) == 4
    for estimator in estimators:
        first = section(inspect.getdoc(estimator), "Parameters")
        names = [line.split(" : ")[0] for line in first if not line.startswith(" ")]
        assert names[:6] == ["sensitive", "epsilon", "delta", "support", "support_target", "imputer"]
        assert len(names) <= 8 and len(documented(estimator)) > 15


def test_groups_of_parameters_name_every_other_parameter():
    doc = inspect.getdoc(skfusiondp.FusionDPRegressor)
    groups = re.findall(r"^- [\w ]+: (.+)$", doc, re.M)
    named = [n for group in groups for n in re.findall(r"`(\w+)`", group)]
    others = [line.split(" : ")[0] for line in section(doc, "Other Parameters") if not line.startswith(" ")]
    assert len(groups) == 5 and sorted([*named, "**kwargs"]) == sorted(others)


def test_the_searches_above_find_something():
    estimator = skfusiondp.FusionDPClassifier
    assert documented(estimator)["public_lr"].startswith("float, default=")
    assert len(OBJECTS) > 20 and any(n.endswith("FusionDPClassifier.fit") for n in CALLABLES)


@pytest.mark.one_in(5)
@pytest.mark.filterwarnings("ignore:No support rows:UserWarning")
@pytest.mark.parametrize("module", [skfusiondp, *MODULES], ids=lambda m: m.__name__)
def test_examples_run(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize(
    "name",
    ["FusionDPClassifier", "FusionDPRegressor", "FoundationImputer", "Numeric", "Categorical"],
)
def test_what_users_start_from_has_an_example(name):
    assert section(inspect.getdoc(getattr(skfusiondp, name)), "Examples")
