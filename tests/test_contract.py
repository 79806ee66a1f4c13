"""One contract for whatever spends: what it plans, writes down, reports, charges and risks is one number."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

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
    PrivateSynthesizer,
    SynthesizedClassifier,
    SynthesizedRegressor,
)
from skfusiondp.accounting import check_pipeline, privacy_report, private_parts
from skfusiondp.audit import risk
from skfusiondp.exceptions import InvalidInputError, PrivacyLeakError
from skfusiondp.model_selection import PrivateRandomSearchCV, StackedGridSearchCV
from skfusiondp.preprocessing import (
    PrivateCategories,
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
)

N, DELTA = 120, 1e-5
DOMAINS = {"age": Numeric(0, 100), "dose": Numeric(0, 1), "sex": Categorical(["a", "b"])}
NOISE = {"noise_multiplier": 3.0, "delta": DELTA, "random_state": 0}

TRANSFORMERS = [
    PrivateStandardScaler(DOMAINS, **NOISE),
    PrivateQuantileTransformer(DOMAINS, **NOISE),
    PrivateCategories(DOMAINS, **NOISE),
    PrivateSelectKBest(DOMAINS, k=1, **NOISE),
    PrivateSynthesizer(DOMAINS, **NOISE),
]
MODELS = [
    FusionDPClassifier(DOMAINS, method="feature-dp", steps=2, public_epochs=1, **NOISE),
    FusionDPClassifier(DOMAINS, method="dp-sgd", steps=2, **NOISE),
    FusionDPRegressor(DOMAINS, method="feature-dp", steps=2, public_epochs=1, **NOISE),
    OffsetFusionClassifier(DOMAINS, public_model=LogisticRegression(), steps=2, **NOISE),
    OffsetFusionRegressor(DOMAINS, steps=2, **NOISE),
    SynthesizedClassifier(DOMAINS, estimator=LogisticRegression(), n_draws=1, **NOISE),
    SynthesizedRegressor(DOMAINS, n_draws=1, **NOISE),
]
SEARCH = PrivateRandomSearchCV(
    OffsetFusionClassifier(DOMAINS, public_model=LogisticRegression(), steps=1),
    {"max_grad_norm": [0.5, 1.0]},
    n_trials=1.5,
    delta=DELTA,
    validation="private",
    validation_size=0.25,
    scoring="accuracy",
    random_state=0,
)


def rows(n=N, seed=0):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "lab": rng.normal(size=n),
            "age": rng.uniform(0, 100, n),
            "dose": rng.uniform(0, 1, n),
            "sex": rng.choice(["a", "b"], n),
        }
    )
    return table, (table["lab"] + table["age"] / 50 > 1).astype(int)


X, y = rows()
NUMBERS = X.drop(columns="sex")


def name_of(spender):
    return f"{type(spender).__name__}-{getattr(spender, 'method', '')}"


def frames(container):
    return container.set_output(transform="pandas")


def in_columns(spender):
    return frames(
        ColumnTransformer(
            [("paid", spender, list(DOMAINS))], remainder="passthrough", verbose_feature_names_out=False
        )
    )


PLACES = {
    "bare": lambda s: s,
    "cloned": clone,
    "pipeline": lambda s: make_pipeline("passthrough", s),
    "pipeline in a pipeline": lambda s: make_pipeline("passthrough", make_pipeline(s)),
}
PLACES_OF_TRANSFORMERS = {
    "column transformer": in_columns,
    "feature union": lambda s: FeatureUnion([("paid", s), ("lab", in_columns("drop"))]),
    "column transformer in a pipeline": lambda s: make_pipeline(in_columns(s)),
}
CASES = [
    *[(s, place, PLACES[place]) for s in [*TRANSFORMERS, *MODELS, SEARCH] for place in PLACES],
    *[(s, p, make) for s in TRANSFORMERS for p, make in PLACES_OF_TRANSFORMERS.items()],
]


def check_accounts(obj, planned, budget):
    """All five answers to what `obj` has cost are one."""
    spent = sum((part.ledger for part in private_parts(obj)), PrivacyLedger())
    assert spent == planned == budget.ledger
    report = privacy_report(obj)
    assert report.ledger == planned and len(planned)
    assert report.epsilon == planned.epsilon(report.delta)
    assert risk(obj).epsilon == report.epsilon
    assert budget.ledger.epsilon(report.delta) == report.epsilon


def budget_for(spender, tmp_path):
    relation = "add-remove" if getattr(spender, "method", "") == "dp-sgd" else "replace"
    return PrivacyBudget(1e6, 2 * DELTA, relation, tmp_path / "budget.json")


@pytest.mark.one_in(12)
@pytest.mark.parametrize(
    "spender, place, make", CASES, ids=[f"{name_of(s)}-{place}" for s, place, _ in CASES]
)
def test_what_is_planned_is_what_every_account_says(spender, place, make, tmp_path):
    budget = budget_for(spender, tmp_path)
    spender = clone(spender).set_params(budget=budget)
    planned = spender.planned_ledger(N)
    fitted = make(spender).fit(X, y)
    check_accounts(fitted, planned, budget)
    check_accounts(pickle.loads(pickle.dumps(fitted)), planned, budget)


@pytest.mark.slow
def test_worker_processes_spend_like_this_one(tmp_path):
    budget = PrivacyBudget(1e6, 2 * DELTA, path=tmp_path / "budget.json")
    models = [clone(s).set_params(budget=budget) for s in (TRANSFORMERS[0], MODELS[3])]
    planned = sum((m.planned_ledger(N) for m in models), PrivacyLedger())
    fitted = joblib.Parallel(n_jobs=2)(joblib.delayed(m.fit)(X, y) for m in models)
    assert sorted(map(str, budget.ledger)) == sorted(map(str, planned))
    assert [m.ledger_ for m in fitted] == [m.planned_ledger(N) for m in models]


@pytest.mark.parametrize("search_class", [GridSearchCV, StackedGridSearchCV])
def test_a_search_charges_each_of_its_fits(search_class, tmp_path):
    """The paid step and the model of each fold, and those of the refit."""
    budget = PrivacyBudget(1e6, 2 * DELTA, path=tmp_path / "budget.json")
    steps = [clone(TRANSFORMERS[0]).set_params(budget=budget), clone(MODELS[3])]
    steps[1].set_params(sensitive=[*DOMAINS], support=rows(40, 1)[0], budget=budget)
    pipe = make_pipeline(frames(steps[0]), steps[1])
    search = search_class(pipe, {"offsetfusionclassifier__max_grad_norm": [0.5]}, cv=2, scoring="accuracy")
    search.fit(X, y)
    per_fit = sum((p.spender.planned_ledger(N) for p in private_parts(pipe)), PrivacyLedger())
    assert len(per_fit) == 2 and len(budget.ledger) == 3 * len(per_fit)
    best = sum((p.ledger for p in private_parts(search.best_estimator_)), PrivacyLedger())
    assert len(best) == 2
    report = privacy_report(search)
    if search_class is StackedGridSearchCV:
        assert sorted(map(str, search.ledger_)) == sorted(map(str, budget.ledger))
        assert report.ledger == search.ledger_
    else:
        assert report.ledger == best
        assert any("their ledgers are lost" in gap for gap in report.not_covered)
    assert risk(search).epsilon == report.epsilon


# What was false before ----------------------------------------------------------------------------------


def paid_pipeline(inside):
    paid = PrivateQuantileTransformer({"age": Numeric(0, 100)}, noise_multiplier=1.0, delta=DELTA)
    step = in_columns(paid) if inside else frames(paid)
    model = OffsetFusionClassifier(
        {"age": Numeric(0, 1)}, public_model=LogisticRegression(), steps=1, delta=DELTA
    )
    if inside:
        step.set_params(transformers=[("paid", paid, ["age"])])
    return make_pipeline(step, model)


@pytest.mark.parametrize("inside", [False, True])
def test_a_search_covers_a_paid_step_wherever_it_is(inside):
    public = rows(60, 1)[0].drop(columns="sex"), rows(60, 1)[1]
    search = PrivateRandomSearchCV(
        paid_pipeline(inside),
        {"offsetfusionclassifier__max_grad_norm": [0.5, 1.0]},
        n_trials=1.5,
        epsilon=30.0,
        delta=DELTA,
        validation=public,
        random_state=0,
    ).fit(NUMBERS, y)
    (paid, *_) = private_parts(search.best_estimator_)
    assert search.epsilon_ > paid.spender.epsilon_
    assert privacy_report(search).epsilon == risk(search).epsilon == search.epsilon_
    assert len(private_parts(search.best_estimator_)) == 2
    with pytest.raises(InvalidInputError, match=r"[Ee]psilon"):
        clone(search).set_params(epsilon=1.0).fit(NUMBERS, y)


def test_the_risk_of_a_pipeline_counts_every_step():
    pipe = paid_pipeline(False).fit(NUMBERS, y)
    assert risk(pipe).epsilon == privacy_report(pipe).epsilon > pipe[0].epsilon_ > pipe[1].epsilon_
    assert (
        risk(pipe).success["one of two equally likely values"]
        > risk(pipe[1]).success["one of two equally likely values"]
    )


def test_a_step_says_that_it_speaks_of_itself_alone():
    pipe = paid_pipeline(False).fit(NUMBERS, y)
    own = pipe[-1].privacy_report()
    assert "this step alone" in str(own) and "accounting.privacy_report" in str(own)
    total = privacy_report(pipe).epsilon
    assert f"{total:.3g}"[:3] in own.surroundings
    assert own.surroundings in own.to_html() and own.surroundings == own.to_dict()["surroundings"]


def test_a_step_behind_a_leak_says_so_first():
    model = clone(MODELS[3]).set_params(sensitive={"age": Numeric(0, 100), "dose": Numeric(0, 1)})
    leaky = make_pipeline(frames(SimpleImputer()), model).fit(NUMBERS, y)
    assert privacy_report(leaky).epsilon == risk(leaky).epsilon == float("inf")
    assert "simpleimputer" in leaky[-1].privacy_report().surroundings
    strict = clone(leaky).set_params(offsetfusionclassifier__on_leak="raise")
    with pytest.raises(PrivacyLeakError, match="simpleimputer"):
        strict.fit(NUMBERS, y)
    assert not hasattr(strict[-1], "ledger_")


def test_a_private_search_checks_its_pipeline():
    model = clone(MODELS[3]).set_params(
        sensitive={"age": Numeric(0, 100), "dose": Numeric(0, 1)}, on_leak="raise", noise_multiplier=None
    )
    search = PrivateRandomSearchCV(
        make_pipeline(frames(StandardScaler()), model),
        {"offsetfusionclassifier__max_grad_norm": [0.5]},
        validation=(NUMBERS[:40], y[:40]),
        random_state=0,
    )
    with pytest.raises(PrivacyLeakError, match="standardscaler"):
        search.fit(NUMBERS, y)
    assert not check_pipeline(search, X=NUMBERS).ok


class Keeps(BaseEstimator):
    """A container of somebody else, which keeps its model where it likes, or nowhere."""

    def __init__(self, model, where="_model"):
        self.model = model
        self.where = where

    def fit(self, X, y):
        fitted = clone(self.model).fit(X, y)
        if self.where:
            setattr(self, self.where, {"models": [fitted]})
        self.n_rows_ = len(X)
        return self

    def predict(self, X):
        return np.zeros(len(X))


def test_a_part_is_found_wherever_it_is_kept():
    fitted = Keeps(MODELS[3]).fit(X, y)
    (part,) = private_parts(fitted)
    assert part.path == "_model__models__0" and len(part.ledger) == 1


def test_a_part_that_cannot_be_found_is_refused():
    fitted = Keeps(MODELS[3], where=None).fit(X, y)
    for account in (private_parts, privacy_report, risk):
        with pytest.raises(InvalidInputError, match="has kept no fitted one"):
            account(fitted)
    with pytest.raises(InvalidInputError, match="has kept no fitted one"):
        privacy_report(GridSearchCV(MODELS[3], {"steps": [1]}, cv=2, refit=False).fit(X, y))


def test_members_of_an_ensemble_are_each_counted():
    vote = VotingClassifier([("one", MODELS[0]), ("two", MODELS[3])]).fit(X, y)
    assert len(private_parts(vote)) == 2
    assert len(privacy_report(vote).ledger) == 2


# What an attack found -------------------------------------------------------------------------------------


def test_a_search_refuses_what_fits_a_part_any_number_of_times():
    several = BaggingClassifier(MODELS[3], n_estimators=2)
    pipe = make_pipeline(SelectFromModel(several), clone(SEARCH.estimator))
    search = clone(SEARCH).set_params(estimator=pipe, param_distributions={})
    with pytest.raises(InvalidInputError, match="any number of times"):
        search.set_params(param_distributions={"offsetfusionclassifier__steps": [1]}).fit(X, y)
    assert not hasattr(search, "ledger_")


def test_epsilon_is_infinite_where_a_model_is_made_of_lost_fits():
    model = clone(MODELS[3]).set_params(sensitive={"age": Numeric(0, 100), "dose": Numeric(0, 1)})
    vote = StackingClassifier([("one", model)], final_estimator=LogisticRegression(), cv=2)
    stacked = vote.fit(NUMBERS, y)
    assert privacy_report(stacked).epsilon == risk(stacked).epsilon == float("inf")


@pytest.mark.parametrize("fault", ["scoring", "columns", "targets", "one class"])
def test_a_search_refuses_before_it_pays_what_every_trial_would_refuse(fault):
    search, target = clone(SEARCH).set_params(validation=rows(40, 1)), y
    if fault == "scoring":
        search.set_params(scoring="no such score")
    elif fault == "columns":
        search.set_params(validation=(X[:40].drop(columns="lab"), y[:40]))
    elif fault == "targets":
        search.set_params(validation=(X[:40], y[:30]))
    else:
        target = y * 0
    with pytest.raises(ValueError):
        search.fit(X, target)
    assert not hasattr(search, "ledger_")


def test_a_search_beside_a_paid_step_has_a_finite_total():
    paid = frames(PrivateStandardScaler({"dose": Numeric(0, 1)}, **NOISE))
    search = clone(SEARCH)
    search.estimator.set_params(sensitive={**DOMAINS, "dose": Numeric(-3, 3)})
    pipe = make_pipeline(paid, search).fit(X, y)
    report = privacy_report(pipe)
    assert report.epsilon < 100 and report.delta == 2 * DELTA
    assert report.epsilon == risk(pipe).epsilon


def test_a_stacked_search_says_what_it_protects():
    search = StackedGridSearchCV(MODELS[0], {"alpha": [1.0]}, cv=2).fit(X, y)
    report = privacy_report(search)
    assert set(report.protected) == set(DOMAINS) and report.n_rows == N and report.public
    assert "StackedGridSearchCV" in search.best_estimator_.privacy_report().surroundings
    alone = StackedGridSearchCV(MODELS[0], {"alpha": [1.0]}, cv=2, refit=False).fit(X, y)
    assert risk(alone).epsilon == privacy_report(alone).epsilon == alone.epsilon_
    broken = StackedGridSearchCV(MODELS[0], [{"alpha": [1.0]}, {"alhpa": [1.0]}], cv=2)
    with pytest.raises(ValueError, match="alhpa"):
        broken.fit(X, y)
    assert not hasattr(broken, "ledger_")


def test_a_pickled_search_holds_no_rows():
    public = rows(40, 1)
    search = clone(SEARCH).set_params(validation=public)
    search.estimator.set_params(support=rows(30, 2)[0])
    copy = pickle.loads(pickle.dumps(search.fit(X, y)))
    assert copy.validation == "private" and copy.estimator.support is None
    assert (copy.predict(X) == search.predict(X)).all() and copy.ledger_ == search.ledger_


def test_nothing_is_paid_and_something_is_said_where_nobody_spends():
    leaky = make_pipeline(StandardScaler(), LogisticRegression()).fit(NUMBERS, y)
    assert privacy_report(leaky).epsilon == float("inf")
    imputer = FoundationImputer({"age": Numeric(0, 100)}, support=rows(30, 2)[0].drop(columns="sex"))
    hybrid = make_pipeline(imputer, LogisticRegression()).fit(NUMBERS, y)
    report = privacy_report(hybrid)
    assert report.epsilon == 0 and set(report.protected) == {"age"} and "imputer" in str(report.public)


def test_a_search_reads_no_cell_of_an_undeclared_column_before_it_has_paid(monkeypatch):
    read = []
    monkeypatch.setattr("skfusiondp.tables._schema.leaked_domain", read.append)
    monkeypatch.setattr("skfusiondp.privacy._selection.Repetitions.draw", lambda *a: 1 / 0)
    search = clone(SEARCH)
    search.estimator.set_params(sensitive=["age"])
    with pytest.raises(ZeroDivisionError):
        search.fit(NUMBERS, y)
    assert not read and not hasattr(search, "ledger_")
