"""What sensitive cells add to a public score can be learnt from imputed cells, where they can be imputed."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from skfusiondp import Categorical, FoundationImputer, FusionDPClassifier, FusionDPRegressor, Numeric
from skfusiondp.estimators.fusion._imputed_start import ImputedStart
from skfusiondp.estimators.fusion._scored_encoder import ScoredEncoder
from skfusiondp.impute import PairedTable
from skfusiondp.nets import MLP
from skfusiondp.tables._table_encoder import TableEncoder

WHOLE_MODELS = True

DOMAINS = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}
QUICK = {"public_epochs": 2, "random_state": 0}


def made(n, seed):
    """Public columns tell of a person's age, which the label goes by, and nothing of the sex."""
    rng = np.random.default_rng(seed)
    lab, dose = rng.normal(size=(2, n))
    age = np.clip(50 + 12 * lab + 12 * rng.normal(size=n), 0, 100)
    sex = rng.choice(["f", "m"], n).astype(object)
    number = (age - 50) / 8 + 0.5 * dose
    table = pd.DataFrame({"lab": lab, "dose": dose, "age": age, "sex": sex})
    return table, (number + rng.logistic(size=n) > 0).astype(int), number + rng.normal(size=n)


TRAIN, Y, NUMBER = made(3000, 0)
SUPPORT, Y_SUPPORT, _ = made(400, 1)
TEST, Y_TEST, N_TEST = made(3000, 2)


@pytest.fixture(scope="module")
def model():
    return FusionDPClassifier(DOMAINS, method="hybrid", support=SUPPORT, **QUICK).fit(TRAIN, Y)


def start_of(model, table):
    return model.encoder_.transform(table)[:, -model.encoder_.n_starts :]


@pytest.mark.slow
def test_true_cells_are_worth_much_although_none_has_been_read(model):
    public = TEST[["lab", "dose"]]
    auroc = [roc_auc_score(Y_TEST, model.predict_proba(t)[:, 1]) for t in (TEST, public)]
    assert model.epsilon_ == 0 and auroc[0] > auroc[1] + 0.04
    encoded = model.encoder_.transform(TEST)
    losses = [log_loss(Y_TEST, expit(score)) for score in (encoded[:, 0], encoded[:, 0] + encoded[:, -1])]
    assert losses[1] < losses[0] - 0.05


def test_it_follows_what_public_columns_leave_open(model):
    """Rows of their expected age have nothing to add, and a column that nothing tells of has no effect."""
    start = start_of(model, TEST)[:, 0]
    rest = (TEST["age"] - 50 - 12 * TEST["lab"]).to_numpy()
    assert np.corrcoef(start, rest)[0, 1] > 0.85
    other = TEST.assign(sex=np.where(TEST["sex"] == "m", "f", "m"))
    # Half of the difference between two sexes is what they deviate by.
    assert np.abs(start_of(model, other)[:, 0] - start).max() / 2 < 0.25 * start.std()


def test_no_training_cell_moves_it(model):
    rng = np.random.default_rng(5)
    other = TRAIN.assign(age=rng.uniform(-50, 500, len(TRAIN)), sex=rng.choice(["f", "?"], len(TRAIN)))
    again = FusionDPClassifier(DOMAINS, method="hybrid", support=SUPPORT, **QUICK).fit(other, Y)
    assert pickle.dumps(again.encoder_) == pickle.dumps(model.encoder_)
    assert np.array_equal(again.predict_proba(TEST), model.predict_proba(TEST))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["counted", "noise given"])
def test_fusiondp_starts_from_it_and_a_small_budget_buys_much(kind):
    paid = {"epsilon": 0.1, "delta": 1e-5} if kind == "counted" else {"noise_multiplier": 60.0, "delta": 1e-5}
    found = {}
    for method in ("fusiondp", "feature-dp"):
        model = FusionDPClassifier(DOMAINS, method=method, support=SUPPORT, **paid, random_state=0)
        found[method] = roc_auc_score(Y_TEST, model.fit(TRAIN, Y).predict_proba(TEST)[:, 1])
        starts = method == "fusiondp"
        names = model.encoder_.get_feature_names_out()
        assert model.encoder_.n_starts == starts and (names[-1] == "sensitive__start0") == starts
        assert len(names) == len(set(names)) == model.encoder_.transform(TEST).shape[1]
    assert found["fusiondp"] > found["feature-dp"] + 0.03, found


@pytest.mark.slow
def test_of_fusiondp_too_no_training_cell_moves_it():
    rng = np.random.default_rng(5)
    other = TRAIN.assign(age=rng.uniform(-50, 500, len(TRAIN)), sex=rng.choice(["f", "?"], len(TRAIN)))
    settings = {"noise_multiplier": 5.0, "steps": 2, "delta": 1e-5, "support": SUPPORT, **QUICK}
    one, two = (FusionDPClassifier(DOMAINS, **settings).fit(table, Y).encoder_ for table in (TRAIN, other))
    assert one.n_starts == 1 and pickle.dumps(one) == pickle.dumps(two)


@pytest.mark.slow
def test_a_public_row_has_nothing_added():
    """What is not there cannot be told from what is expected."""
    model = FusionDPClassifier(DOMAINS, support=SUPPORT, noise_multiplier=5.0, steps=2, **QUICK).fit(TRAIN, Y)
    assert not model.encoder_._encode(TEST[["lab", "dose"]], imputed_cells(model, TEST))[:, -1].any()


def imputed_cells(model, table):
    return model.imputer_._expected(table[["lab", "dose"]])


def test_the_network_sees_no_other_sensitive_feature(model):
    encoder = model.encoder_
    assert isinstance(encoder, ScoredEncoder) and encoder.n_starts == 1
    assert encoder.get_feature_names_out()[encoder.sensitive_features_].tolist() == ["sensitive__start0"]
    assert encoder.transform(TEST).shape == (len(TEST), len(encoder.sensitive_features_))


def test_absent_cells_add_next_to_nothing(model):
    some = TEST.drop(columns="age")
    gone = model.predict_proba(TEST[["lab", "dose"]])[:, 1]
    assert np.abs(model.predict_proba(some)[:, 1] - gone).mean() < 0.05


def test_what_is_added_deviates_no_more_than_the_score():
    """The larger an effect is, the less it is believed."""
    rng = np.random.default_rng(0)
    domains = {"age": Numeric(0, 1, knots=[0.5]), "sex": DOMAINS["sex"]}
    known, expected = rng.uniform(size=(2000, 2)), np.zeros((2000, sum(d.width for d in domains.values())))
    expected[:, 0] = expected[:, 1] = 0.45 + 0.1 * known[:, 0]
    expected[:, 3] = expected[:, 4] = 0.5
    score = 6 * (known[:, [0]] - 0.5)
    y = (score[:, 0] + rng.logistic(size=2000) > 0).astype(float)[:, None]
    start = ImputedStart("binary", domains).fit(known[:, 1:], known, expected, y, np.ones(2000), score, 0)
    ages = domains["age"].encode(rng.choice([0.0, 1.0], 4000))
    cells = np.hstack([ages, domains["sex"].encode(rng.choice(["f", "m"], 4000).astype(object))])
    added = start(rng.uniform(size=(4000, 2)), cells)
    assert 0.3 * score.std() < added.std() <= 1.5 * score.std()
    flat = start.fit(known[:, 1:], known, expected, y, np.ones(2000), np.zeros((2000, 1)), 0)
    assert not flat(known, expected).any()


def test_a_missing_cell_counts_as_the_mean(model):
    start = model.encoder_._imputed_start
    missing = TEST.assign(age=np.nan, sex=None)
    known = model.encoder_.score_.encoded(TEST)
    means = np.tile(start.means, (len(TEST), 1))
    np.testing.assert_allclose(start_of(model, missing), start(known, means), atol=1e-5)
    assert np.isfinite(model.predict_proba(missing)).all()


@pytest.mark.slow
def test_without_anything_to_impute_from_cells_add_nothing():
    with pytest.warns(UserWarning, match="No support rows"):
        model = FusionDPClassifier(DOMAINS, method="hybrid", **QUICK).fit(TRAIN, Y)
    assert model.encoder_.n_starts == 0 and not model.encoder_.sensitive_features_.any()
    moved = TEST.assign(age=TEST["age"] + 20, sex="m")
    assert np.array_equal(model.predict_proba(moved), model.predict_proba(TEST))
    public = FusionDPClassifier(DOMAINS, method="feature-dp", noise_multiplier=1.0, steps=1, **QUICK)
    assert model.encoder_.n_scores == public.fit(TRAIN, Y).encoder_.n_scores == 1


@pytest.mark.one_in(8)
@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression", "two targets"])
def test_targets_of_every_kind(kind):
    cut = [-1.5, 1.5]
    three, test_three = np.digitize(NUMBER, cut), np.digitize(N_TEST, cut)
    y, y_test, outputs = {
        "multiclass": (three, test_three, 3),
        "multilabel": (np.c_[Y, three == 1].astype(int), np.c_[Y_TEST, test_three == 1].astype(int), 2),
        "regression": (NUMBER, N_TEST, 1),
        "two targets": (np.c_[NUMBER, -NUMBER], np.c_[N_TEST, -N_TEST], 2),
    }[kind]
    cls = FusionDPRegressor if kind in ("regression", "two targets") else FusionDPClassifier
    several = kind in ("multilabel", "two targets")
    # Labels of support rows teach no start of several targets.
    more = {"support": TRAIN[:400], "support_target": y[:400]} if several else {"support": SUPPORT}
    model = cls(DOMAINS, method="hybrid", **more, **QUICK)
    model.fit(TRAIN[400:], y[400:]) if several else model.fit(TRAIN, y)
    assert model.encoder_.n_starts == outputs
    assert model.score(TEST, y_test) > model.score(TEST[["lab", "dose"]], y_test) + 0.03


@pytest.mark.slow
def test_a_label_that_is_constant_gets_no_effect():
    y = np.c_[Y, np.zeros(len(Y), int)]
    y[0, 1] = 1
    model = FusionDPClassifier(DOMAINS, method="hybrid", support=SUPPORT, **QUICK).fit(TRAIN[1:], y[1:])
    start = start_of(model, TEST)
    assert start[:, 0].any() and not start[:, 1].any()


@pytest.mark.slow
def test_weights_of_rows_count():
    rng = np.random.default_rng(3)
    noise = rng.integers(2, size=len(Y))
    both = pd.concat([TRAIN, TRAIN], ignore_index=True)
    weight = np.repeat([1.0, 1e-3], len(Y))
    model = FusionDPClassifier(DOMAINS, method="hybrid", support=SUPPORT, on_leak="ignore", **QUICK)
    weighed = start_of(model.fit(both, np.r_[Y, noise], sample_weight=weight), TEST)
    alike = start_of(model.fit(both, np.r_[Y, noise]), TEST)
    assert weighed.std() > 1.5 * alike.std()


@pytest.mark.slow
def test_an_imputer_in_front_gives_the_same_start(model):
    """Its paired table has expected encodings; one of cells trains the network itself, as own modules do."""
    seed = model.imputer_.random_state
    imputer = FoundationImputer(DOMAINS, support=SUPPORT, output="paired", random_state=seed)
    paired = imputer.fit_transform(TRAIN)
    behind = FusionDPClassifier(method="hybrid", **QUICK).fit(paired, Y)
    np.testing.assert_allclose(start_of(behind, TEST), start_of(model, TEST), atol=1e-5)
    cells = PairedTable.from_views(TRAIN, paired.hybrid, DOMAINS)
    assert type(FusionDPClassifier(method="hybrid", **QUICK).fit(cells, Y).encoder_) is TableEncoder
    own = FusionDPClassifier(DOMAINS, method="hybrid", module=MLP, support=SUPPORT, **QUICK).fit(TRAIN, Y)
    assert type(own.encoder_) is TableEncoder


@pytest.mark.slow
def test_labelled_support_rows_teach_more(model):
    before = roc_auc_score(Y_TEST, model.predict_proba(TEST)[:, 1])
    given = {"support": SUPPORT, "support_target": Y_SUPPORT}
    model = FusionDPClassifier(DOMAINS, method="hybrid", **given, **QUICK).fit(TRAIN, Y)
    encoder = model.encoder_
    assert encoder.n_starts == 1 and encoder.n_leaves == 0 and encoder.sensitive_features_.sum() == 1
    assert roc_auc_score(Y_TEST, model.predict_proba(TEST)[:, 1]) > before + 0.02 and model.epsilon_ == 0
