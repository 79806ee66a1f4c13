"""check_pipeline: every leak in the corpus is found at its step, and no clean pipeline is accused."""

import copy
import functools
import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Binarizer, FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.utils import all_estimators

from skfusiondp import (
    FusionDPClassifier,
    Numeric,
    PrivacyLeakError,
    PrivacyLeakWarning,
)
from skfusiondp.accounting import Finding, PipelineCheck, check_pipeline
from skfusiondp.exceptions import InvalidInputError

sys.path.insert(0, str(Path(__file__).parent))
from corpus import CLEAN, LEAKY, SENSITIVE, columns, model, offset, on, table, target, then

NAMES = list(SENSITIVE)


@functools.cache
def checked(name):
    """The check of a pipeline of the corpus, of which several tests ask."""
    return check_pipeline(LEAKY[name][0] if name in LEAKY else CLEAN[name], X=table())


def test_the_corpus_is_large_enough():
    assert len(LEAKY) >= 75 and len(CLEAN) >= 45


@pytest.mark.parametrize("name", LEAKY)
@pytest.mark.one_in(3)
def test_a_leak_is_found_at_its_step(name):
    pipe, path = LEAKY[name]
    check = check_pipeline(pipe, sensitive=NAMES, X=table())
    assert not check.ok
    assert {f.path for f in check.leaks} >= {path}
    found = next(f for f in check.leaks if f.path == path)
    assert set(found.columns) <= set(NAMES) and found.columns and found.why and found.remedy


@pytest.mark.parametrize("name", CLEAN)
@pytest.mark.one_in(2)
def test_a_clean_pipeline_is_not_accused(name):
    check = check_pipeline(CLEAN[name], sensitive=NAMES, X=table())
    assert check.ok, str(check)


@pytest.mark.parametrize("name", LEAKY)
@pytest.mark.one_in(4)
def test_a_leak_is_found_without_the_table_too(name):
    assert not check_pipeline(LEAKY[name][0], sensitive=NAMES).ok


@pytest.mark.slow
def test_the_sensitive_columns_are_those_that_the_pipeline_states():
    for name, (_, path) in LEAKY.items():
        check = checked(name)
        assert path in {f.path for f in check.leaks} or "few" in name, name
    for name in CLEAN:
        stated = checked(name)
        # Pipelines without a step of this library state nothing, and then every column is sensitive.
        if set(stated.sensitive) == set(NAMES):
            assert stated.ok, f"{name}: {stated}"


# Does what is called a leak move anything? ------------------------------------------------------------


def neighbours():
    """Pairs of tables that differ in one sensitive cell."""
    X = table()
    empty = X.assign(bmi=np.nan)
    for base, row, column, cell in [
        (X, 0, "age", 500.0),
        (X, 1, "age", np.nan),
        (X, 2, "sex", "X"),
        (X.fillna({"bmi": 20.0}), 3, "bmi", np.nan),
        (X, 4, "bmi", 60.0),
        (empty, 5, "bmi", 30.0),
    ]:
        other = base.copy()
        other.loc[row, column] = cell
        yield base, other
    words = X.astype({"age": object})  # one cell of text, and the column has another type
    words.loc[5, "age"] = "about forty"
    yield X, words
    for row in range(6, 40):  # a selection moves only where it was close
        other = X.copy()
        other.loc[row, "age"] = 500.0
        yield X, other


def state(steps, X):
    """What fitting leaves behind, and what comes out of the rows in which neighbours never differ.

    None where it is refused, which only who holds the data gets to see.
    """
    try:
        fitted = clone(steps)
        out = fitted.fit_transform(X, target())
        return pickle.dumps(fitted), out[40:].to_csv() if hasattr(out, "to_csv") else repr(out[40:].tolist())
    except Exception:
        return None


def prefix(pipe):
    """The steps before the last, if they can be fitted and pickled on their own."""
    if not isinstance(pipe, Pipeline) or len(pipe) < 2:
        return None
    steps = pipe[:-1]
    return None if state(steps, table().fillna({"bmi": 20.0})) is None else steps


def pays(steps):
    """Whether a step has a budget: it moves with the cells, by no more than its ledger says."""
    return any(name.endswith("epsilon") for name in steps.get_params())


def moved(steps):
    states = ((state(steps, a), state(steps, b)) for a, b in neighbours())
    return any(None not in pair and pair[0] != pair[1] for pair in states)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_steps_called_leaks_do_learn_from_a_cell_and_steps_called_clean_do_not():
    leaky = {n: prefix(p) for n, (p, path) in LEAKY.items() if not path.startswith(("clf", "estimator"))}
    leaky = {n: p for n, p in leaky.items() if p is not None and not check_pipeline(p, NAMES, X=table()).ok}
    clean = {n: p for n, pipe in CLEAN.items() if (p := prefix(pipe)) is not None and not pays(p)}
    assert len(leaky) >= 25 and len(clean) >= 14, (sorted(leaky), sorted(clean))
    assert {n for n, steps in leaky.items() if not moved(steps)} == set()
    assert {n for n, steps in clean.items() if moved(steps)} == set()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_no_transformer_of_scikit_learn_that_is_called_free_learns_from_a_cell():
    free, leaks = set(), set()
    for name, cls in all_estimators("transformer"):
        try:
            step = cls()
            step.set_params(**({"random_state": 0} if "random_state" in step.get_params() else {}))
            steps = then(columns(("x", step, ["lab", "age"])))
        except (TypeError, ValueError):  # needs arguments, or has no frames to give
            continue
        (leaks if check_pipeline(steps, NAMES, X=table()).leaks else free).add(name)
        if name in free:
            assert not moved(steps), name
    assert {"Binarizer", "FunctionTransformer", "Normalizer", "PolynomialFeatures"} <= free
    assert len(free) >= 8 and len(leaks) >= 40, (free, leaks)


# What is read, and what is not ------------------------------------------------------------


class Sealed(pd.DataFrame):
    """A table that gives away no cell."""

    def _refuse(self, *args, **kwargs):
        raise AssertionError("a cell was read")

    __getitem__ = to_numpy = __array__ = iterrows = itertuples = head = copy = isna = items = _refuse
    iloc = loc = values = at = iat = property(_refuse)


@pytest.mark.one_in(12)
@pytest.mark.parametrize("name", [*LEAKY, *CLEAN])
def test_no_cell_is_read(name):
    pipe = LEAKY[name][0] if name in LEAKY else CLEAN[name]
    expected = checked(name)
    assert check_pipeline(pipe, X=Sealed(table())) == expected
    assert check_pipeline(pipe, X=table().iloc[:0]) == expected


def test_polars_and_names():
    polars = pytest.importorskip("polars")
    pipe = LEAKY["by selector of types"][0]
    chosen, scaled = check_pipeline(pipe, X=polars.DataFrame(table().to_dict("list"))).leaks
    assert chosen.columns == ("age", "bmi", "sex") and "types" in chosen.why
    assert scaled.columns == ("age", "bmi")
    assert check_pipeline(LEAKY["by mask"][0], X=list(table())).leaks[0].columns == ("age",)
    assert check_pipeline(on(StandardScaler(), slice(0, 2)), X=list(table())).ok


def test_functions_on_polars_frames_are_tried_on_such():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(table().to_dict("list"))
    years = FunctionTransformer(lambda X: X.rename({"age": "years"}))
    assert check_pipeline(then(years, model({"years": Numeric(18, 90)})), X=frame).sensitive == ("age",)
    old = FunctionTransformer(lambda X: X.with_columns(old=polars.col("age") > 60))
    assert [f.path for f in check_pipeline(then(old, model()), X=frame).leaks] == ["s1"]


def test_arrays_go_by_position():
    X = np.zeros((0, 4))
    ages = FusionDPClassifier({3: Numeric(18, 90)})
    assert check_pipeline(make_pipeline(StandardScaler(), ages), X=X)[0].columns == ("x3",)
    scaled = columns(("x", StandardScaler(), [0, 1])).set_output(transform="default")
    assert check_pipeline(make_pipeline(scaled, ages), X=X).ok
    # The scaled columns come first, so that the model protects another column than it means to.
    moved_ahead = columns(("x", StandardScaler(), [0, 2])).set_output(transform="default")
    first = FusionDPClassifier({1: Numeric(18, 90)})
    check = check_pipeline(make_pipeline(moved_ahead, first), sensitive=[1], X=X)
    assert [f.path for f in check.leaks] == ["fusiondpclassifier"] and "'x1'" in check[0].why
    assert check_pipeline(make_pipeline(scaled, ages), sensitive=[3]).leaks[0].path == "fusiondpclassifier"


@pytest.mark.filterwarnings("ignore::skfusiondp.exceptions.DataHolderWarning")
def test_positions_behind_columns_that_only_a_fit_counts():
    X = table()[["lab", "ward", "age"]]

    def steps(sensitive, *order):
        made = {"s": ("s", StandardScaler(), ["lab"]), "o": ("o", OneHotEncoder(), ["ward"])}
        made["a"] = ("a", "passthrough", ["age"])
        return then(
            ColumnTransformer([made[name] for name in order]), offset(sensitive, steps=2, on_leak="raise")
        )

    behind = steps({4: SENSITIVE["age"]}, *"soa")
    check = check_pipeline(behind, X=X)
    assert check.sensitive == ("age",) and {(f.path, f.columns) for f in check} == {("s1", ("age",))}
    assert check_pipeline(behind.fit(X, target()), X=X).ok
    assert check_pipeline(steps({0: SENSITIVE["age"]}, *"aso"), X=X).ok
    assert check_pipeline(steps({-1: SENSITIVE["age"]}, *"soa"), X=X).ok
    with pytest.raises(PrivacyLeakError, match="reads what it takes for public"):
        check_pipeline(steps({4: SENSITIVE["age"]}, *"soa"), ["lab", "age"], X=X, on_leak="raise")
    wrong = steps({3: SENSITIVE["age"]}, *"soa").set_params(s1__on_leak="ignore").fit(X, target())
    assert not check_pipeline(wrong, ["age"], X=X).ok


def test_components_are_not_taken_for_a_declared_column():
    reduced = columns(("x", PCA(1), ["lab"]))
    assert check_pipeline(then(reduced, model(SENSITIVE))).ok
    assert not check_pipeline(then(columns(("x", PCA(1), ["age"])), model(SENSITIVE))).ok


def test_a_position_cannot_be_told_without_the_table():
    check = check_pipeline(on(StandardScaler(), [0]))
    assert "cannot be told" in check.leaks[0].why and "X=table" in check.leaks[0].remedy
    assert check_pipeline(on(StandardScaler(), [0]), X=table()).ok


def test_a_fitted_pipeline_remembers_its_columns():
    fitted = on(StandardScaler(), [0])[:-1].fit(table())
    assert check_pipeline(fitted, sensitive=["age"]).ok
    by_function = on(StandardScaler(), make_selector())[:-1].fit(table())
    assert check_pipeline(by_function, sensitive=["age"]).leaks[0].path == "prep__x"
    assert check_pipeline(by_function, sensitive=["sex"]).ok


def make_selector():
    return lambda X: [c for c in X.columns if X[c].dtype.kind == "f"]


@pytest.mark.slow
def test_a_rename_is_found_in_a_wide_table():
    wide = pd.concat([table(), *(table()[["lab"]].add_suffix(f"_{i}") for i in range(80))], axis=1)
    steps = then(
        FunctionTransformer(lambda X: X.rename(columns={"age": "years"})), model({"years": Numeric(0, 99)})
    )
    check = check_pipeline(steps, X=wide)
    assert check.sensitive == ("age",) and check.ok
    assert not check_pipeline(then(columns(("x", StandardScaler(), ["age"])), steps), X=wide).ok


def test_what_unknown_columns_may_be_made_of_is_sensitive_if_one_is_declared():
    coded = FunctionTransformer(lambda X: pd.get_dummies(X, columns=["sex"], dtype=float))
    declared = {"age": Numeric(18, 90), "sex_F": Numeric(0, 1), "sex_M": Numeric(0, 1)}
    check = check_pipeline(then(coded, model(declared)), X=table())
    assert check.sensitive == ("age", "sex")
    assert ("s0", ("sex",)) in {(f.path, f.columns) for f in check.leaks}


def test_whole_rows_are_protected_by_dp_sgd():
    check = check_pipeline(on(StandardScaler(), "lab", SENSITIVE).set_params(clf__method="dp-sgd"), X=table())
    assert "lab" in check.sensitive and check.leaks[0].path == "prep__x"


def test_nested_searches_and_unions_give_the_whole_path():
    pipe, _ = LEAKY["three levels down"]
    assert check_pipeline(then(then(pipe))).leaks[0].path == "s0__s0__s0__x__s1__s1"


# Severities ------------------------------------------------------------


def test_a_plain_search_is_uncovered_and_no_leak():
    check = check_pipeline(CLEAN["a plain search"], X=table())
    assert [f.severity for f in check] == ["uncovered"] and check[0].path == ""


def test_a_search_over_public_columns_is_covered():
    from sklearn.model_selection import GridSearchCV

    search = GridSearchCV(CLEAN["public columns alone"], {"s1__C": [1, 2]})
    assert not len(check_pipeline(search, sensitive=NAMES, X=table()))


def test_a_function_is_a_note():
    check = check_pipeline(CLEAN["a function by promise"], X=table())
    assert [f.severity for f in check] == ["note"]
    assert not len(check_pipeline(CLEAN["a universal function"], X=table()))


def test_a_callback_of_ones_own_is_a_note():
    class Peek:
        pass

    from skorch.callbacks import EarlyStopping

    assert check_pipeline(model(callbacks=[EarlyStopping("train_loss")])).findings == ()
    assert [f.severity for f in check_pipeline(model(callbacks=[("peek", Peek())]))] == ["note"]


def test_an_array_is_a_note_where_a_fit_would_not_find_the_columns_in_it():
    pipe = make_pipeline(columns(("x", MinMaxScaler(), ["lab"])).set_output(transform="default"), model())
    assert list(check_pipeline(pipe, X=table())) == []
    pipe = make_pipeline(columns(("x", Binarizer(), ["age"])).set_output(transform="default"), model())
    check = check_pipeline(pipe, X=table())
    assert check.ok and "handed an array" in check[0].why


# The result ------------------------------------------------------------


def test_the_result_is_a_sequence_that_prints():
    check = check_pipeline(LEAKY["standard scaler"][0], X=table())
    assert isinstance(check, PipelineCheck) and len(check) == 1 and list(check) == [check[0]]
    assert isinstance(check[0], Finding) and check[:1] == (check[0],)
    assert "1 step reads" in str(check) and "prep__x (StandardScaler) learns means" in str(check)
    assert "No step is seen" in str(check_pipeline(model()))
    with pytest.raises(AttributeError):
        check[0].why = "nothing"


def test_html_is_escaped():
    evil = "<script>alert(1)</script>"
    pipe = Pipeline([(evil, StandardScaler()), ("clf", model({evil: Numeric(0, 1)}))])
    page = check_pipeline(pipe, X=["lab", evil])._repr_html_()
    assert "<script" not in page and "&lt;script&gt;" in page


def test_on_leak():
    leaky = LEAKY["standard scaler"][0]
    with pytest.warns(PrivacyLeakWarning, match="prep__x"):
        check_pipeline(leaky, on_leak="warn")
    with pytest.raises(PrivacyLeakError, match="prep__x"):
        check_pipeline(leaky, on_leak="raise")
    with pytest.raises(PrivacyLeakError, match="prep__x"):
        check_pipeline(leaky).raise_if_leaks()
    check_pipeline(model(), on_leak="raise").raise_if_leaks()
    with pytest.raises(InvalidInputError, match="on_leak='shout'"):
        check_pipeline(model(), on_leak="shout")


def test_bad_input():
    with pytest.raises(InvalidInputError, match="no estimator"):
        check_pipeline(StandardScaler)
    with pytest.raises(InvalidInputError, match="the table has lab"):
        check_pipeline(model(), sensitive=["agee"], X=table())
    with pytest.raises(InvalidInputError, match="X="):
        check_pipeline(model(), sensitive=[True, False])


def test_a_copy_of_a_step_is_judged_as_the_step_is():
    """Python writes into a class what it has learnt when an object of it was copied."""

    class OwnEncoder(OneHotEncoder):
        """The same in other words."""

    pipe = make_pipeline(
        ColumnTransformer([("ward", OwnEncoder(handle_unknown="ignore"), ["ward"])]), model()
    )
    before = check_pipeline(pipe, X=table())
    copy.deepcopy(pipe[0].transformers[0][1])
    assert "__slotnames__" in vars(OwnEncoder)
    assert check_pipeline(pipe, X=table()) == before
