"""privacy_report: what all steps have spent together, and what is lost or void."""

import pytest
from corpus import SENSITIVE, columns, imputer, model, public_model, table, target, then
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion

from skfusiondp import (
    FusionDPClassifier,
    Numeric,
    PrivacyLedger,
    PrivacyReport,
)
from skfusiondp.accounting import LedgerEntry, compute_epsilon, privacy_report
from skfusiondp.accounting._known_steps import meta_of
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.model_selection import StackedGridSearchCV

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
SMALL = {"noise_multiplier": 2.0, "steps": 2, "public_epochs": 0, "module__hidden": (4,), "random_state": 0}
X, Y = table(), target()


class PaidScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """An accounted step: it writes an entry and no more."""

    _accounts_for_privacy = True

    def __init__(self, adjacency="replace", noise_multiplier=3.0):
        self.adjacency = adjacency
        self.noise_multiplier = noise_multiplier

    def fit(self, X, y=None):
        entry = LedgerEntry(self.noise_multiplier, 1.0, 1, self.adjacency, ("age",), len(X), "PaidScaler")
        self.n_features_in_ = X.shape[1]
        self.ledger_, self.delta_ = PrivacyLedger((entry,)), 1e-4
        return self

    def transform(self, X):
        return X


def small(sensitive=SENSITIVE, **parameters):
    return model(sensitive, **{**SMALL, **parameters})


def composed(*ledgers, delta):
    return compute_epsilon([e for ledger in ledgers for e in ledger], delta)


def test_steps_add_up():
    pipe = then(columns(("paid", PaidScaler(), ["age"])), small()).fit(X, Y)
    scaler, classifier = pipe[0].named_transformers_["paid"], pipe[-1]
    report = privacy_report(pipe)
    assert isinstance(report, PrivacyReport) and report.estimator == "Pipeline"
    assert report.delta == min(scaler.delta_, classifier.delta_) == scaler.delta_
    assert report.epsilon == composed(scaler.ledger_, classifier.ledger_, delta=report.delta)
    assert report.epsilon > classifier.ledger_.epsilon(report.delta)
    assert set(report.protected) == set(SENSITIVE) and report.n_rows == len(X)
    assert [k for k in report.mechanism if k.startswith("step")] == ["step s0.paid", "step s1"]
    assert "replace" in str(report) and "step s0.paid" in report.to_html()


def test_delta_can_be_given():
    pipe = then(small()).fit(X, Y)
    report = privacy_report(pipe, delta=1e-6)
    assert report.delta == 1e-6 and report.epsilon == pipe[-1].ledger_.epsilon(1e-6)
    assert report.to_dict()["epsilon"] == report.epsilon


def test_one_estimator_is_reported_as_by_itself():
    fitted = small().fit(X, Y)
    report, own = privacy_report(fitted), fitted.privacy_report()
    assert (report.epsilon, report.delta, report.protected) == (own.epsilon, own.delta, own.protected)
    assert set(own.not_covered) <= set(report.not_covered) and report.public == own.public


def test_relations_are_listed_apart():
    pipe = then(PaidScaler("zero-out"), small()).fit(X, Y)
    report = privacy_report(pipe)
    assert report.adjacency == "replace" and len(report.ledger) == 2
    assert report.epsilon == composed(pipe[-1].ledger_, delta=report.delta)
    assert report.mechanism["epsilon_under_zero-out"] == pipe[0].ledger_.epsilon(report.delta)
    assert any("zero-out" in gap for gap in report.not_covered)


def test_a_leak_makes_epsilon_infinite():
    pipe = then(columns(("x", SimpleImputer(), ["bmi"])), small()).fit(X, Y)
    report = privacy_report(pipe)
    assert report.epsilon == float("inf") and "No privacy guarantee" in report.promise
    assert any(gap.startswith("leak: s0__x (SimpleImputer)") for gap in report.not_covered)
    assert report.mechanism["epsilon_of_the_ledger"] == pipe[-1].epsilon_


def test_a_plain_search_has_lost_its_ledgers():
    search = GridSearchCV(then(small()), {"s0__max_grad_norm": [0.5, 1.0]}, cv=2).fit(X, Y)
    report = privacy_report(search)
    assert len(report.ledger) == 1 and report.epsilon == search.best_estimator_[-1].epsilon_
    gaps = " ".join(report.not_covered)
    assert "uncovered: GridSearchCV" in gaps and "ledgers are lost" in gaps and "PrivacyBudget" in gaps


@pytest.mark.one_in(4)
@pytest.mark.parametrize("jobs", [None, 2])
@pytest.mark.parametrize("kind", [GridSearchCV, RandomizedSearchCV])
def test_the_headline_after_a_plain_search_says_that_its_other_fits_add_to_it(kind, jobs):
    more = {"n_iter": 2} if kind is RandomizedSearchCV else {}
    search = kind(then(small()), {"s0__max_grad_norm": [0.5, 1.0]}, cv=2, n_jobs=jobs, **more).fit(X, Y)
    own = search.best_estimator_[-1]
    for report in (privacy_report(search), privacy_report(search.best_estimator_), own.privacy_report()):
        assert f"of the released fit alone: the other fits of {kind.__name__} read" in report.promise
        assert report.promise in str(report).splitlines()[1]
        head = report.to_html().partition("</div>")[0]
        assert f"of the released fit alone: the other fits of {kind.__name__}" in head
        assert report.to_dict()["chosen_by"] == kind.__name__
    own.fit(X, Y)
    assert "alone" not in own.privacy_report().promise


def test_a_fit_that_no_search_has_chosen_says_nothing_of_one():
    for fitted in (then(small()), StackedGridSearchCV(small(), {"max_grad_norm": [0.5]}, cv=2)):
        report = privacy_report(fitted.fit(X, Y), delta=1e-4)
        assert report.chosen_by == "" and "alone" not in report.promise
    assert "alone" not in fitted.best_estimator_.privacy_report().promise


def test_a_search_with_a_ledger_has_lost_none():
    search = StackedGridSearchCV(small(), {"max_grad_norm": [0.5, 1.0]}, cv=2).fit(X, Y)
    report = privacy_report(search, delta=1e-4)
    assert report.ledger == search.ledger_ and len(report.ledger) == 5
    assert report.epsilon == search.ledger_.epsilon(1e-4)
    assert not any("lost" in gap for gap in report.not_covered)
    assert any("uncovered" in gap for gap in report.not_covered)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("meta", "entries"),
    [
        (VotingClassifier([("a", small()), ("b", small(alpha=0.5)), ("p", public_model())]), 2),
        (BaggingClassifier(small(None, imputer=imputer(sensitive={})), n_estimators=3), 3),
        (OneVsRestClassifier(small()), 1),
        (StackingClassifier([("dp", small())], final_estimator=public_model()[-1], cv=2), 1),
        (CalibratedClassifierCV(small(), cv=2), 2),
    ],
    ids=lambda v: type(v).__name__ if hasattr(v, "fit") else None,
)
def test_members_add_up(meta, entries):
    frame = X
    if isinstance(meta, BaggingClassifier):  # it hands its members arrays without names
        frame = X[["lab", "pulse", "age"]].to_numpy()
        meta = BaggingClassifier(small({2: Numeric(18, 90)}), n_estimators=3, bootstrap=False)
    report = privacy_report(meta.fit(frame, Y), delta=1e-4)
    assert len(report.ledger) == entries
    assert report.mechanism["epsilon_of_the_ledger"] == compute_epsilon(tuple(report.ledger), 1e-4)


def test_containers_add_up():
    union = FeatureUnion([("a", PaidScaler()), ("b", PaidScaler())]).fit(X[["age"]])
    assert len(privacy_report(union).ledger) == 2
    transformer = ColumnTransformer([("a", PaidScaler(), ["age"])]).fit(X)
    assert next(iter(privacy_report(transformer).mechanism)) == "step a"


def test_nothing_spent_is_nothing_spent():
    report = privacy_report(then(public_model()).fit(X, Y))
    # Nobody has said what is sensitive, so that every column is, and a plain model leaks.
    assert report.epsilon == float("inf") and not len(report.ledger)
    hybrid = small(method="hybrid").fit(X, Y)
    assert privacy_report(hybrid).epsilon == 0


def test_bad_input():
    with pytest.raises(InvalidInputError, match="not fitted"):
        privacy_report(then(small()))
    scaler = PaidScaler().fit(X)
    del scaler.delta_
    with pytest.raises(InvalidInputError, match="delta=None"):
        privacy_report(scaler)


def test_a_refit_adds_to_the_ledger():
    fitted = FusionDPClassifier(SENSITIVE, **SMALL).fit(X, Y).fit(X, Y)
    assert len(privacy_report(then(fitted)).ledger) == 2


def test_a_calibration_loses_ledgers_only_where_its_members_are_not_those_fits():
    assert meta_of(CalibratedClassifierCV(ensemble=False)).loses
    assert not meta_of(CalibratedClassifierCV(ensemble=True)).loses
    assert not meta_of(CalibratedClassifierCV()).loses
