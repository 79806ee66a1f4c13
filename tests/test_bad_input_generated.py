"""Thousands of generated inputs: each works, or is refused in words; no crash, no NaN, nothing half-made."""

import json
import math
import traceback
import warnings
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    OffsetFusionClassifier,
    OffsetFusionRegressor,
    PrivacyBudget,
    PrivacyLedger,
)
from skfusiondp._parameters import Anything, Integer, OneOf, Real
from skfusiondp.accounting import (
    BoundEntry,
    Clipping,
    LedgerEntry,
    calibrate_noise_multiplier,
)
from skfusiondp.exceptions import SkfusiondpError
from skfusiondp.model_selection import PrivateRandomSearchCV, StackedGridSearchCV
from skfusiondp.preprocessing import (
    PrivateCategories,
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
    TableEncoder,
)
from skfusiondp.tables._frames import as_frame
from skfusiondp.tables._schema import resolve_schema
from skfusiondp.tables._table import FrameTable

N = 14
# Examples of each test: a default run, and the long one, which together has 10,000.
FEW = {"cheap": 60, "table": 40, "fit": 8}
MANY = {"cheap": 1050, "table": 650, "fit": 250}


def refused(error, checks="/sklearn/utils/"):
    """Whether an exception is ours, or scikit-learn's own check of an input, and says something."""
    if isinstance(error, SkfusiondpError | NotFittedError):
        return len(str(error)) > 20
    last = traceback.extract_tb(error.__traceback__)[-1].filename.replace("\\", "/")
    theirs = checks in last or "parse data was passed" in str(error)
    return isinstance(error, ValueError | TypeError) and theirs and len(str(error)) > 20


def attempt(call, *args, checks="/sklearn/utils/", **kwargs):
    """The call's result; None if it was refused in words. Anything else that it raises is a crash."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call(*args, **kwargs)
        except Exception as error:
            if refused(error, checks):
                return None
            raise


def generated(kind, *strategies):
    """Run a test on a few generated inputs by default, and on many in the slow run."""

    def decorate(test):
        def sized(count):
            run = given(*strategies)(test)
            quiet = list(HealthCheck)
            return settings(
                max_examples=count,
                suppress_health_check=quiet,
            )(run)

        def sized_test(run):
            run()

        many = pytest.param(sized(MANY[kind]), id="many", marks=pytest.mark.slow)
        return pytest.mark.parametrize("run", [pytest.param(sized(FEW[kind]), id="few"), many])(sized_test)

    return decorate


# What is generated ---------------------------------------------------------------------------------


numbers = st.one_of(
    st.floats(),
    st.floats(-200, 200),
    st.integers(-5, 5),
    st.sampled_from([10**400, -(10**30), 1e308, -1e308, 5e-324, 0, -0.0, True, np.float32(3), np.int8(-7)]),
    st.sampled_from([Decimal("NaN"), Decimal("1.5"), 1 + 2j, np.complex64(1j)]),
)
others = st.sampled_from(
    [
        None,
        "",
        "f",
        "m",
        "1.5",
        "nan",
        "<missing>",
        "ä\x00",
        b"f",
        (),
        ("f",),
        [],
        {},
        {"a": 1},
        pd.NA,
        pd.NaT,
        pd.Timestamp("2020-01-01"),
        np.datetime64("NaT"),
        np.nan,
        object(),
        type,
        print,
        float("inf"),
        np.array([]),
        np.array(1.5),
        np.array(["f", "m"]),
        np.arange(N),
        pd.Series([1.0, 2.0]),
        pd.DataFrame({"age": [1.0]}),
    ]
)
anything = st.one_of(numbers, others, st.text(max_size=4))
cells = st.one_of(st.sampled_from([0.0, 1.0, 50.0, "f", "m", None, np.nan]), anything)
columns = st.lists(
    st.one_of(st.floats(0, 100), st.sampled_from(["f", "m", None]), cells), min_size=N, max_size=N
)


def series(values):
    column = pd.Series([None] * len(values), dtype=object)
    for i, value in enumerate(values):
        column.iat[i] = value
    return column


plain = {"lab": np.linspace(-1, 1, N), "age": np.linspace(20, 80, N), "sex": np.tile(["f", "m"], N // 2)}


@st.composite
def tables(draw):
    """A good table with one or two columns, names, types or its shape changed for the worse."""
    frame = pd.DataFrame(plain)
    for name in draw(st.lists(st.sampled_from(["lab", "age", "sex"]), max_size=2)):
        frame[name] = series(draw(columns))
    change = draw(st.sampled_from(["", "", "", "names", "type", "rows", "array", "absent", "index", "other"]))
    if change == "names":
        frame.columns = draw(
            st.lists(st.one_of(others.filter(_hashable), st.just("age")), min_size=3, max_size=3)
        )
    elif change == "type":
        types = ["category", "string", "Int64", "Float64", "boolean", "datetime64[ns]", "float32", "str"]
        chosen = draw(st.sampled_from(types))
        changed = attempt_plain(lambda: frame.astype(chosen))
        return frame if changed is None else changed
    elif change == "rows":
        frame = frame[: draw(st.integers(0, 3))]
    elif change == "array":
        return frame.to_numpy()
    elif change == "absent":
        frame = frame.drop(columns=draw(st.sampled_from(["lab", "age", "sex"])))
    elif change == "index":
        frame.index = draw(
            st.sampled_from([np.zeros(N), pd.date_range("2020", periods=N), list("ab" * (N // 2))])
        )
    elif change == "other":
        return draw(
            st.one_of(anything, st.just(np.zeros((3, 2, 2))), st.just(np.zeros(N)), st.just([[1, 2]] * N))
        )
    return frame


def _hashable(value):
    try:
        return bool(pd.Series([value]).nunique() < 2)
    except Exception:
        return False


def attempt_plain(call):
    try:
        return call()
    except Exception:
        return None


good = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}
selectors = st.one_of(
    st.just(good),
    st.just(good),
    st.dictionaries(
        st.sampled_from(["age", "sex", "lab", "no", 0, 1, None]),
        st.sampled_from(
            [Numeric(0, 100), Numeric(-1, 1), Categorical(["f", "m"]), Categorical([0]), None, (0, 1), 3]
        ),
        max_size=3,
    ),
    st.lists(st.one_of(st.sampled_from(["age", "sex", "no"]), st.integers(-4, 4), st.booleans()), max_size=4),
    anything,
)


def values_near(constraint):
    """Values at the edges of what a parameter may be, and beyond them."""
    near = [None]
    if isinstance(constraint, Integer | Real):
        for edge in (constraint.low, constraint.high):
            near += [] if edge is None else [edge, math.nextafter(edge, -math.inf), edge + 1, -edge]
    elif isinstance(constraint, OneOf):
        near += [*constraint.choices, f"{next(iter(constraint.choices))} "]
    return anything if isinstance(constraint, Anything) else st.one_of(st.sampled_from(near), anything)


@st.composite
def parameters(draw, *classes):
    """One parameter of one of the classes, with a value near what its constraint allows; or none of them."""
    cls = draw(st.sampled_from(classes))
    name = draw(st.sampled_from(["", *(n for n in cls._constraints if n != "sensitive")]))
    return cls, name, draw(values_near(cls._constraints[name])) if name else None


def endless(value):
    return isinstance(value, int) and abs(value) > 1000


# Values that cost nothing to make --------------------------------------------------------------------


@generated(
    "cheap", anything, anything, anything, st.one_of(st.none(), st.lists(anything, max_size=3), anything)
)
def test_numeric_domains(low, high, epsilon, knots):
    domain = attempt(Numeric, low, high, epsilon=epsilon, knots=knots)
    if domain is not None:
        encoded = domain.encode([0.0, np.nan, 1e308, -1e308, None])
        assert np.isfinite(encoded).all() and encoded.shape == (5, domain.width)
        assert domain.low < domain.high and json.dumps(domain.to_dict())


@generated("cheap", st.one_of(anything, st.lists(anything, max_size=4)), anything)
def test_categorical_domains(categories, epsilon):
    domain = attempt(Categorical, categories, epsilon=epsilon)
    if domain is not None:
        encoded = domain.encode([*domain.categories, None, "?"])
        assert (encoded.sum(1) == 1).all() and len(domain.categories) >= 1


@generated("cheap", st.sampled_from(list(good.values())), st.lists(cells, max_size=6))
def test_cells_of_a_domain(domain, values):
    encoded = attempt(domain.encode, series(values))
    if encoded is not None:
        assert encoded.shape == (len(values), domain.width) and np.isfinite(encoded).all()


fields = st.fixed_dictionaries(
    {},
    optional={
        name: st.one_of(numbers, anything)
        for name in (
            "noise_multiplier",
            "sample_rate",
            "steps",
            "adjacency",
            "protects",
            "n_rows",
            "source",
            "part",
        )
    },
)


@generated("cheap", fields, st.sampled_from([LedgerEntry, BoundEntry]))
def test_ledger_entries(changes, kind):
    start = {"noise_multiplier": 1.0, "sample_rate": 0.5, "steps": 1} if kind is LedgerEntry else {}
    start = start or {"epsilon": 1.0, "delta": 1e-6}
    renamed = {"noise_multiplier": "epsilon", "sample_rate": "delta"} if kind is BoundEntry else {}
    changes = {renamed.get(k, k): v for k, v in changes.items() if not (kind is BoundEntry and k == "steps")}
    entry = attempt(kind, **{**start, **changes})
    small = (
        entry is not None and getattr(entry, "steps", 1) < 100 and getattr(entry, "noise_multiplier", 1) > 0.1
    )
    if small and isinstance(entry, LedgerEntry):
        cost = attempt(PrivacyLedger((entry,)).epsilon, 1e-5)
        assert cost is None or not math.isnan(cost)


def broken(text, draw):
    """A JSON text with something in it replaced, cut or put in."""
    what = draw(st.sampled_from(["value", "key", "cut", "insert", "type", "text"]))
    value = json.loads(text)
    if what == "text":
        return draw(st.text(max_size=30))
    if what == "type":
        return json.dumps(draw(st.one_of(st.none(), st.integers(), st.lists(st.integers()), st.just({}))))
    if what in ("value", "key"):
        where, json_value = value, None
        while isinstance(where, dict | list) and where and draw(st.booleans()):
            keys = list(where) if isinstance(where, dict) else list(range(len(where)))
            json_value, key = where, draw(st.sampled_from(keys))
            where = where[key]
        if json_value is not None:
            new = draw(
                st.sampled_from([None, "", -1, 1e308, "inf", [], {}, [None], True, "1", 10**30, 0, "NaN"])
            )
            if what == "key" and isinstance(json_value, dict):
                json_value["unknown"] = json_value.pop(key)
            else:
                json_value[key] = new
        return json.dumps(value)
    at = draw(st.integers(0, len(text)))
    return text[:at] if what == "cut" else text[:at] + draw(st.text(min_size=1, max_size=3)) + text[at:]


LEDGER = PrivacyLedger((LedgerEntry(2.0, 0.1, 3, protects=("age",)), BoundEntry(0.5, 1e-6))).to_json()


@st.composite
def ledgers(draw):
    return draw(st.one_of(anything, st.just(broken(LEDGER, draw))))


@generated("cheap", ledgers())
def test_ledger_texts(text):
    ledger = attempt(PrivacyLedger.from_json, text)
    if ledger is not None:
        assert PrivacyLedger.from_json(ledger.to_json()) == ledger
        assert all(isinstance(c, str) for e in ledger for c in e.protects)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("budgets")


def a_budgets_file():
    path = FOLDER / "good.json"
    # A budget of its own each time: a file that vanished beside its lock is one that was spent from.
    for file in (path, path.with_name("good.json.lock")):
        file.unlink(missing_ok=True)
    budget = PrivacyBudget(2.0, 1e-5, path=path)
    with budget.spending(PrivacyLedger()) as pay:
        pay(PrivacyLedger.from_json(LEDGER))
    return path.read_text()


@st.composite
def budget_files(draw):
    return broken(a_budgets_file(), draw)


@pytest.mark.usefixtures("folder")
class TestBudgets:
    """Files that hold no budget are refused, and left as they are."""

    @pytest.mark.parametrize(
        "count", [FEW["cheap"], pytest.param(MANY["cheap"], marks=pytest.mark.slow)], ids=["few", "many"]
    )
    def test_files(self, count):
        path = FOLDER / "budget.json"

        quiet = list(HealthCheck)

        @settings(max_examples=count, suppress_health_check=quiet)
        @given(budget_files())
        def run(text):
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            before = path.read_bytes()
            budget = attempt(PrivacyBudget.open, path)
            assert path.read_bytes() == before
            assert budget is None or (budget.epsilon > 0 and 0 < budget.delta < 1 and len(budget.ledger) >= 0)

        run()


@generated("cheap", anything, anything, anything)
def test_budget_values(epsilon, delta, adjacency):
    budget = attempt(PrivacyBudget, epsilon, delta, adjacency=adjacency)
    assert budget is None or 0 < float(budget.epsilon) < math.inf


@generated("cheap", anything, anything)
def test_clipping(norm, kind):
    clipping = attempt(Clipping, norm, "flat") or attempt(Clipping, 1.0, kind)
    if clipping is not None:
        assert attempt(clipping.sensitivity, "replace") is None or clipping.sensitivity("replace") > 0


@generated("table", st.one_of(others, st.sampled_from([0.1, 1.0, 8, 0, -1, math.inf, math.nan, True])))
def test_calibration(epsilon):
    sigma = attempt(calibrate_noise_multiplier, epsilon, 1e-5, 1.0, 1)
    assert sigma is None or (sigma > 0 and math.isfinite(sigma))


# Tables ---------------------------------------------------------------------------------------------


@generated("table", tables(), selectors, st.one_of(st.none(), tables()))
def test_schemas(table, sensitive, support):
    frame = attempt(as_frame, table)
    if frame is not None:
        schema = attempt(
            resolve_schema, FrameTable(frame, table), sensitive, support=support, on_leak="ignore"
        )
        if schema is not None:
            assert set(schema.sensitive) <= set(schema.columns) == set(frame.columns)


def used_or_refused(estimator, method, fit_args, table, left=()):
    """Fit and use; a refused fit leaves an estimator that says that it is not fitted."""
    fitted = attempt(estimator.fit, *fit_args)
    result = attempt(getattr(estimator, method), table)
    if fitted is None:
        assert result is None, "a refused fit left something that answers"
        assert not any(hasattr(estimator, name) for name in left)
    return result


def assert_finite(result):
    assert result is None or np.isfinite(np.asarray(result, dtype=float)).all()


@generated("table", tables(), selectors, tables())
def test_encoders(table, sensitive, other):
    encoder = TableEncoder(sensitive, on_leak="ignore")
    assert_finite(used_or_refused(encoder, "transform", (table,), other))
    assert_finite(used_or_refused(TableEncoder(good), "transform", (pd.DataFrame(plain),), other))


@generated(
    "table",
    tables(),
    selectors,
    st.one_of(st.none(), tables()),
    tables(),
    parameters(FoundationImputer),
)
def test_imputers(table, sensitive, support, other, parameter):
    _, name, value = parameter
    settings = {"support": support, "backend": "domain", "on_leak": "ignore", "random_state": 0}
    if name:
        settings[name] = value
    imputer = FoundationImputer(sensitive, **settings)
    used_or_refused(imputer, "transform", (table,), other, left=("backend_",))
    sound = FoundationImputer(good, backend="domain", random_state=0).fit(pd.DataFrame(plain))
    imputed = attempt(sound.transform, other)
    if imputed is not None:
        frame = as_frame(imputed).set_axis(list(plain), axis=1)
        assert frame["age"].between(0, 100).all() and frame["sex"].isin(["f", "m"]).all()


PAYING = [PrivateQuantileTransformer, PrivateStandardScaler, PrivateCategories, PrivateSelectKBest]


@generated("table", tables(), selectors, parameters(*PAYING))
def test_transformers_that_pay(table, sensitive, parameter):
    cls, name, value = parameter
    settings = {"random_state": 0, **({name: value} if name else {})}
    transformer = cls(sensitive, **settings)
    target = np.arange(N) % 2
    attempt(transformer.fit, table, target)
    attempt(transformer.transform, table)
    cost = getattr(transformer, "epsilon_", 0.0)
    assert not math.isnan(cost)


# Estimators ------------------------------------------------------------------------------------------


targets = st.one_of(
    st.just(np.arange(N) % 2),
    st.just(np.arange(N) % 2),
    st.lists(st.sampled_from([0, 1, 2, "a", None, np.nan, 1e300, True, "b"]), min_size=N, max_size=N),
    anything,
)


@generated("fit", tables(), targets, parameters(FusionDPClassifier, FusionDPRegressor))
def test_estimators(table, target, parameter):
    # Every public column is there and of its kind, so that refusals come from further in as well.
    cls, name, value = parameter
    settings = {
        "steps": 1,
        "public_epochs": 0,
        "module__hidden": (4,),
        "random_state": 0,
        "noise_multiplier": 1.0,
    }
    if name == "epsilon":
        settings.pop("noise_multiplier")
    if name and not (endless(value) and name in ("epochs", "public_epochs", "steps")):
        settings[name] = value
        if name == "epochs":
            settings.pop("steps")
    model = cls(good if name != "on_leak" else ["age"], **settings)
    result = used_or_refused(model, "predict", (table, target), table, left=("net_", "ledger_"))
    if result is not None and np.asarray(result).dtype.kind == "f" and settings.get("lr") is None:
        assert_finite(result)


@generated("fit", tables(), targets, parameters(OffsetFusionClassifier, OffsetFusionRegressor))
def test_offset_estimators(table, target, parameter):
    cls, name, value = parameter
    settings = {"noise_multiplier": 1.0, "random_state": 0}
    if name == "epsilon":
        settings.pop("noise_multiplier")
    if name and not (endless(value) and name == "steps"):
        settings[name] = value
    model = cls(good if name != "on_leak" else ["age"], **settings)
    used_or_refused(model, "predict", (table, target), table, left=("ledger_",))


@generated("fit", tables(), targets, parameters(PrivateRandomSearchCV, StackedGridSearchCV))
def test_searches(table, target, parameter):
    cls, name, value = parameter
    model = FusionDPClassifier(good, steps=1, public_epochs=0, module__hidden=(4,), random_state=0)
    grid = {"max_grad_norm": [0.5, 1.0]}
    private = cls is PrivateRandomSearchCV
    settings = {"n_trials": 1.5, "random_state": 0} if private else {"cv": 2}
    settings |= {"estimator": model, ("param_distributions" if private else "param_grid"): grid}
    many = endless(value) or (name in ("n_trials", "eta") and isinstance(value, float | int | np.generic))
    # Bytes have a split of their own, and scikit-learn takes what has one for a splitter.
    if name and not many and not (name == "cv" and isinstance(value, bytes)):
        settings[name] = value
    search = cls(**settings)
    # What scikit-learn's search takes it refuses in its own words.
    if attempt(search.fit, table, target, checks="/sklearn/") is None:
        with pytest.raises((NotFittedError, AttributeError)):
            search.predict(pd.DataFrame(plain))


def test_each_slow_run_has_ten_thousand_examples():
    source = Path(__file__).read_text(encoding="utf-8")
    counts = {kind: source.count(f'@generated("{kind}"') for kind in MANY}
    counts["cheap"] += 1  # TestBudgets
    assert sum(MANY[kind] * n for kind, n in counts.items()) >= 10_000
