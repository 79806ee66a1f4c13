"""check_enclosing: a fit finds the composite that it is part of, checks it, and says so once."""

import gc
import warnings
import weakref

import numpy as np
import pytest
from corpus import SENSITIVE, columns, model, paid_scaler, table, target, then
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skfusiondp import FusionDPClassifier, PrivacyLeakError, PrivacyLeakWarning
from skfusiondp.accounting._enclosing import check_enclosing


@pytest.fixture
def seen(monkeypatch):
    """What each fit of a FusionDPClassifier saw; nothing is trained."""
    found = []

    def fit(self, X, y=None, **parameters):
        found.append(check_enclosing(self, X, self.on_leak))
        self.classes_, self.ledger_ = np.unique(y), None
        return self

    monkeypatch.setattr(FusionDPClassifier, "fit", fit)
    monkeypatch.setattr(FusionDPClassifier, "predict", lambda self, X: np.zeros(len(X)))
    return found


def leaky(on_leak="warn"):
    return then(columns(("x", SimpleImputer(), ["bmi"])), model(on_leak=on_leak))


def heard(fit, *args):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(*args)
    return [str(w.message) for w in caught if issubclass(w.category, PrivacyLeakWarning)]


def test_a_fit_alone_says_that_it_cannot_see_what_was_done_before(seen):
    assert heard(model().fit, table(), target()) == []
    assert seen[0].path == "" and not seen[0].findings
    assert seen[0].sentence.startswith("What was done to X before this fit cannot be seen from here")


def test_a_leaky_step_in_front_is_refused(seen):
    with pytest.raises(PrivacyLeakError, match=r"s0__x \(SimpleImputer\) fills with a statistic"):
        leaky("raise").fit(table(), target())


def test_a_leaky_step_in_front_is_warned_of_once_per_fit(seen):
    pipe = leaky()
    for _ in range(3):
        assert len(heard(pipe.fit, table(), target())) == 1
    assert seen[0].path == "s1" and [f.path for f in seen[0].leaks] == ["s0__x"]
    assert "s0__x" in seen[0].sentence and "does not bound" in seen[0].sentence


def test_told_to_ignore_it_the_sentence_stays(seen):
    assert heard(leaky("ignore").fit, table(), target()) == []
    assert "s0__x" in seen[0].sentence


def test_a_clean_pipeline_is_told_apart_from_none(seen):
    pipe = then(columns(("x", StandardScaler(), ["lab"])), model())
    assert heard(pipe.fit, table(), target()) == []
    assert seen[0].path == "s1" and not seen[0].leaks
    assert "no step of which is seen to read" in seen[0].sentence
    assert "before Pipeline was fitted cannot be seen" in seen[0].sentence


@pytest.mark.parametrize(
    "wrap, path",
    [
        (lambda pipe: GridSearchCV(pipe, {"s1__max_grad_norm": [0.5, 1.0]}, cv=2), "estimator__s1"),
        (lambda pipe: VotingClassifier([("a", pipe), ("b", clone(pipe))]), "a__s1"),
        (lambda pipe: then("passthrough", pipe), "s1__s1"),
        (
            lambda pipe: then("passthrough", GridSearchCV(pipe, {"s1__alpha": [0.5]}, cv=2)),
            "s1__estimator__s1",
        ),
    ],
)
def test_the_outermost_composite_speaks_once_for_all_fits_in_it(seen, wrap, path):
    composite = wrap(leaky())
    assert len(heard(composite.fit, table(), target())) == 1
    assert {s.path for s in seen} == {path} and all(s.leaks for s in seen)
    for part in ("s1", "estimator__s1", "s1__s1", "a__s1", "s1__estimator__s1"):
        if f"{part}__on_leak" in composite.get_params():
            composite.set_params(**{f"{part}__on_leak": "raise"})
    with pytest.raises((PrivacyLeakError, ValueError), match="SimpleImputer"):
        composite.fit(table(), target())


def test_a_candidate_step_is_found_in_its_search(seen):
    search = GridSearchCV(
        then(StandardScaler(), StandardScaler()), {"s1": [model()]}, cv=2, scoring="accuracy"
    )
    assert len(heard(search.fit, table()[["lab", "age"]], target())) == 1
    assert "s0" in {f.path.split("__")[-1] for f in seen[0].leaks}


def test_a_step_in_a_column_transformer_and_in_a_union(seen):
    for composite in (
        columns(("a", StandardScaler(), ["bmi"]), ("b", Fitted(), ["age"])),
        FeatureUnion([("a", StandardScaler()), ("b", Fitted())]),
    ):
        Fitted.seen = []
        composite.fit(table()[["lab", "age", "bmi"]], target())
        # The check runs it on made-up rows too, and what is fitted on these checks nothing.
        assert {s.path for s in Fitted.seen[:-1]} == {""} and Fitted.seen[-1].path == "b"
        assert "a" in [f.path for f in Fitted.seen[-1].leaks]


class Fitted(FunctionTransformer):
    """A transformer that asks what is around it."""

    seen: list = []  # noqa: RUF012

    def fit(self, X, y=None):
        Fitted.seen.append(check_enclosing(self, X, "ignore"))
        return super().fit(X, y)


class Outer(BaseEstimator):
    """An estimator of somebody else, which makes its own private model."""

    def fit(self, X, y):
        self.model_ = model().fit(X, y)
        return self


def test_a_model_inside_a_step_that_cannot_be_seen_into(seen):
    Outer().fit(table(), target())
    assert seen[0].path == "" and "cannot be seen" in seen[0].sentence
    assert heard(then(columns(("x", SimpleImputer(), ["bmi"])), Outer()).fit, table(), target())
    assert seen[1].path == "s1" and "s0__x" in [f.path for f in seen[1].leaks]


def test_fits_one_after_the_other_are_told_apart(seen):
    def run(pipe, *args, **kwargs):
        pipe.fit(*args)
        pipe.fit(*args)

    assert len(heard(run, leaky(), table(), target())) == 2


def test_what_the_fit_says_itself_is_not_said_again(seen):
    assert heard(make_pipeline("passthrough", model(list(SENSITIVE))).fit, table(), target()) == []
    assert heard(make_pipeline("passthrough", model(method="non-private")).fit, table(), target()) == []


def test_arrays_and_tables_that_cannot_be_told(seen):
    X = table()[["lab", "pulse", "age"]].to_numpy()
    ages = model({2: SENSITIVE["age"]})
    assert heard(make_pipeline(StandardScaler(), ages).fit, X, target())
    assert (
        heard(
            make_pipeline(FunctionTransformer(lambda rows: np.asarray(rows)), ages).fit, X.tolist(), target()
        )
        == []
    )
    assert "cannot be checked" in seen[-1].sentence


def test_members_of_a_bag_see_the_bag(seen):
    bag = BaggingClassifier(model({2: SENSITIVE["age"]}), bootstrap=True, n_estimators=2)
    said = heard(bag.fit, table()[["lab", "pulse", "age"]].to_numpy(), target())
    assert len(said) == 1 and "with replacement" in said[0]


def test_a_cross_validation_checks_each_pipeline_that_it_fits(seen):
    cross_val_score(leaky("ignore"), table(), target(), cv=2, scoring="accuracy")
    assert [s.path for s in seen] == ["s1", "s1"]


def test_no_table_is_kept_after_the_fit(seen):
    X = table()
    gone = weakref.ref(X)
    leaky("ignore").fit(X, target())
    del X
    gc.collect()
    assert gone() is None


def test_a_paid_step_and_a_model_hear_one_warning(seen):
    pipe = then(columns(("x", SimpleImputer(), ["bmi"])), paid_scaler(), model())
    said = heard(pipe.fit, table(), target())
    assert len([m for m in said if "SimpleImputer" in m]) == 1
