"""The default module's encoding: scores and a start that are learnt for free, from public facts alone."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import log_loss

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    OffsetFusionClassifier,
)
from skfusiondp.estimators.fusion._public_score import PublicScore
from skfusiondp.estimators.fusion._scored_encoder import ScoredEncoder
from skfusiondp.exceptions import PrivacyLeakWarning
from skfusiondp.nets import MLP
from skfusiondp.tables._table_encoder import TableEncoder

DOMAINS = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}
QUICK = {"steps": 4, "public_epochs": 1, "noise_multiplier": 5.0, "random_state": 0}


def made(n, seed):
    rng = np.random.default_rng(seed)
    lab, ward = rng.normal(size=n), rng.choice(["north", "south"], n).astype(object)
    age, sex = rng.uniform(0, 100, n), rng.choice(["f", "m"], n).astype(object)
    logit = lab + (age - 50) / 10 + (sex == "m")
    table = pd.DataFrame({"lab": lab, "age": age, "ward": ward, "sex": sex})
    return table, (logit + rng.logistic(size=n) > 0).astype(int), logit


TRAIN, Y, NUMBER = made(300, 0)
SUPPORT, Y_SUPPORT, N_SUPPORT = made(150, 1)
LABELLED = {"support": SUPPORT, "support_target": Y_SUPPORT}


def scrambled(table):
    rng = np.random.default_rng(5)
    return table.assign(age=rng.uniform(-50, 500, len(table)), sex=rng.choice(["f", "m", "?"], len(table)))


def views(model, table, y):
    """The encoder of a fit and the view that its public branch reads."""
    seen = {}
    plain = model._training_rows

    def spy(*args):
        rows = plain(*args)
        seen["rows"] = rows
        return rows

    model._training_rows = spy
    model.fit(table, y)
    del model._training_rows
    return seen["rows"]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("given", [{"support": SUPPORT}, LABELLED], ids=["support", "labelled support"])
def test_all_that_is_learnt_for_free_is_the_same_whatever_sensitive_cells_are(given):
    one, two = (FusionDPClassifier(DOMAINS, **QUICK, **given) for _ in range(2))
    free, other = (views(m, t, Y) for m, t in ((one, TRAIN), (two, scrambled(TRAIN))))
    assert isinstance(one.encoder_, ScoredEncoder)
    assert pickle.dumps(one.encoder_) == pickle.dumps(two.encoder_)
    assert np.array_equal(free.free.numpy(), other.free.numpy())
    # The views that the private branch reads do differ.
    assert not np.array_equal(free.views[0].numpy(), other.views[0].numpy())


def test_the_view_of_the_public_branch_has_no_start_and_true_rows_do():
    model = FusionDPClassifier(DOMAINS, **QUICK, **LABELLED)
    rows = views(model, TRAIN, Y)
    learnt = model.encoder_.n_leaves + model.encoder_.n_starts
    assert learnt > 1 and not rows.free[:, -learnt:].any()
    assert rows.views[0][:, -learnt:].any(dim=0).all() and rows.extra.x[:, -learnt:].any(dim=0).all()
    assert model.encoder_.sensitive_features_[-learnt:].all()
    names = model.encoder_.get_feature_names_out()
    assert names[0] == "public__score0" and names[-1] == "sensitive__start0" and len(set(names)) == len(names)


def test_a_start_is_worth_much_before_anything_is_paid():
    test, y_test, _ = made(2000, 2)
    model = FusionDPClassifier(DOMAINS, **QUICK, **LABELLED).fit(TRAIN, Y)
    encoded = model.encoder_.transform(test)
    start = encoded[:, 0] + encoded[:, -1]
    losses = [log_loss(y_test, 1 / (1 + np.exp(-score))) for score in (encoded[:, 0], start)]
    assert losses[1] < losses[0] - 0.1


def test_feature_dp_imputes_nothing_and_has_scores_alone():
    model = FusionDPClassifier(DOMAINS, method="feature-dp", **QUICK, **LABELLED).fit(TRAIN, Y)
    assert model.encoder_.n_scores == 1 and model.encoder_.n_starts == model.encoder_.n_leaves == 0


@pytest.mark.parametrize(
    "given",
    [{"module": MLP}, {"method": "non-private"}, {"method": "dp-sgd"}],
    ids=["own module", "non-private", "dp-sgd"],
)
def test_other_modules_and_methods_have_the_tables_encoding(given):
    model = FusionDPClassifier(DOMAINS, **QUICK, **given).fit(TRAIN, Y)
    assert type(model.encoder_) is TableEncoder


def test_a_table_without_public_columns_has_no_scores():
    model = FusionDPClassifier(DOMAINS, **QUICK).fit(TRAIN[["age", "sex"]], Y)
    assert type(model.encoder_) is TableEncoder
    assert len(model.predict(TRAIN[["age", "sex"]])) == len(TRAIN)


def test_columns_with_budgets_of_their_own_have_no_start():
    tiers = {**DOMAINS, "age": Numeric(0, 100, epsilon=0.5)}
    settings = {k: v for k, v in QUICK.items() if k != "noise_multiplier"}
    model = FusionDPClassifier(tiers, epsilon=2.0, **settings, **LABELLED).fit(TRAIN, Y)
    assert model.encoder_.n_starts == 0 and model.encoder_.n_scores == 1


@pytest.mark.parametrize("method", ["fusiondp", "feature-dp"])
@pytest.mark.parametrize("given", [{}, LABELLED], ids=["no support", "labelled support"])
def test_a_table_without_sensitive_columns_is_learnt_for_free(method, given):
    with pytest.warns(PrivacyLeakWarning, match="selects no column"):
        model = FusionDPClassifier([], method=method, **QUICK, **given).fit(TRAIN, Y)
    assert model.epsilon_ == 0 and model.encoder_.n_scores == 1 and model.encoder_.n_starts == 0


@pytest.mark.parametrize("cls", [FusionDPClassifier, OffsetFusionClassifier])
def test_one_sensitive_column_gives_no_warning_of_scikit_learn_s(cls):
    settings = QUICK if cls is FusionDPClassifier else {"noise_multiplier": 2.0, "random_state": 0}
    table, support = TRAIN.drop(columns="sex"), SUPPORT.drop(columns="sex")
    model = cls({"age": DOMAINS["age"]}, support=support, support_target=Y_SUPPORT, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataConversionWarning)
        model.fit(table, Y)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "two targets", "regression"])
def test_targets_of_every_kind(kind):
    three = np.digitize(NUMBER, [-3, 3])
    support_three = np.digitize(N_SUPPORT, [-3, 3])
    y, more, outputs = {
        "multiclass": (three, support_three, 3),
        "multilabel": (np.c_[Y, three == 1], np.c_[Y_SUPPORT, support_three == 1].astype(int), 2),
        "two targets": (np.c_[NUMBER, NUMBER**2], np.c_[N_SUPPORT, N_SUPPORT**2], 2),
        "regression": (NUMBER, N_SUPPORT, 1),
    }[kind]
    cls = FusionDPRegressor if kind in ("two targets", "regression") else FusionDPClassifier
    for given in ({}, {"support": SUPPORT, "support_target": more}):
        model = cls(DOMAINS, **QUICK, **given).fit(TRAIN, y)
        assert model.encoder_.n_scores == outputs
        # Trees of several targets are not learnt; effects of imputed cells are.
        assert bool(model.encoder_.n_starts) == bool(given)
        assert bool(model.encoder_.n_leaves) == bool(given and kind in ("multiclass", "regression"))
        assert np.isfinite(model._scores(TRAIN)).all() and model.predict(TRAIN).shape == np.shape(y)


def test_absent_sensitive_columns_are_imputed_for_the_start_too():
    imputer = FoundationImputer(support=SUPPORT)
    model = FusionDPClassifier(DOMAINS, imputer=imputer, **QUICK, **LABELLED).fit(TRAIN, Y)
    public = TRAIN[["lab", "ward"]]
    assert np.isfinite(model.predict_proba(public)).all()
    filled = model.imputer_.transform(TRAIN)
    start = model.encoder_._encode(filled)[:, -1]
    assert start.any()


def test_a_score_comes_from_a_model_that_has_not_seen_the_row():
    """A row's own target does not move its score, and other rows' targets do."""
    public = TRAIN[["lab", "ward"]]
    for row in (3, 77):
        moved = NUMBER.copy()
        moved[row] += 50
        one, two = (
            PublicScore("regression", 1).fit(public, None, y[:, None], np.ones(len(y)), 0)
            for y in (NUMBER, moved)
        )
        assert one[row] == two[row] and (one != two).mean() > 0.5


def test_classes_too_rare_for_folds_give_scores_that_say_nothing():
    y = np.zeros((300, 1), np.float32)
    y[0] = 1
    score = PublicScore("binary", 1)
    assert not score.fit(TRAIN[["lab", "ward"]], None, y, np.ones(300), 0).any()
    assert not score(TRAIN).any()


def test_a_label_that_is_constant_in_a_fold_is_no_error():
    y = np.zeros((300, 2), np.float32)
    y[:3, 1] = 1
    y[:, 0] = Y
    found = PublicScore("multilabel", 2).fit(TRAIN[["lab", "ward"]], None, y, np.ones(300), 0)
    assert np.isfinite(found).all()
