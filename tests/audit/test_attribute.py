"""The audit bounds sound fits from below, and refutes the claims of broken ones."""

import json
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    PrivateSynthesizer,
    SynthesizedClassifier,
)
from skfusiondp.audit import audit_attribute
from skfusiondp.audit._canaries import Canaries, guess_coins
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.impute import PairedTable
from skfusiondp.preprocessing import TableEncoder

WHOLE_MODELS = True

SENSITIVE = {0: Numeric(-3, 3)}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 4))
    return X, (X[:, 0] + X[:, 1] + rng.normal(size=3000) > 0).astype(int)


@pytest.fixture(scope="module")
def paired(adult):
    """Adult's rows, with one value of each domain imputed."""
    table = adult.table
    centre = {
        c: (d.low + d.high) / 2 if isinstance(d, Numeric) else d.categories[0]
        for c, d in adult.sensitive.items()
    }
    return PairedTable.from_views(table, table.assign(**centre), adult.sensitive)


def model(**parameters):
    return FusionDPClassifier(
        **{"sensitive": SENSITIVE, "method": "feature-dp", "epochs": 2, "random_state": 0, **parameters}
    )


def audited(estimator, X, y, **parameters):
    return audit_attribute(estimator, X, y, **{"random_state": 0, **parameters})


@pytest.mark.parametrize("method", ["feature-dp", "dp-sgd"])
@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
@pytest.mark.one_in(2)
def test_a_sound_fit_is_bounded_from_below_and_its_claim_stands(rows, method, adjacency):
    found = audited(model(method=method, adjacency=adjacency, epsilon=4.0), *rows)
    assert 0 < found.epsilon_lower < found.claim <= 4.0
    assert found.adjacency == ("add-remove" if method == "dp-sgd" else adjacency)
    assert found.consistent and found.n_canaries == 1500


@pytest.mark.slow
def test_the_papers_method_under_both_relations(paired, adult):
    for adjacency, hops in (("replace", 1), ("zero-out", 1)):
        fit = FusionDPClassifier(epsilon=6.0, adjacency=adjacency, epochs=2, random_state=0)
        found = audited(fit, paired, adult.target, n_canaries=1400)
        assert 0 < found.epsilon_lower < found.claim
        assert found.hops == hops and found.columns == tuple(adult.sensitive)


def test_a_tenth_of_the_noise_is_caught(rows):
    epsilon = 4.0
    calibrated = model(epsilon=epsilon).fit(*rows).plan_.noise_multiplier
    found = audited(model(noise_multiplier=0.1 * calibrated), *rows, claim=epsilon)
    assert found.epsilon_lower > epsilon and not found.consistent
    assert "refuted" in found.verdict


def unscaled(self, gradient):
    """Noise that forgot the clipping norm's share: a tenth of what was planned."""
    return gradient + 0.1 * self.std * torch.empty_like(gradient).normal_()


def unnoised(self, gradient):
    return gradient


@pytest.mark.slow
@pytest.mark.parametrize("broken", [unscaled, unnoised])
def test_a_step_that_adds_less_noise_than_it_says_is_caught(rows, monkeypatch, broken):
    from skfusiondp.privacy._noise import GaussianNoise

    monkeypatch.setattr(GaussianNoise, "add_to", broken)
    assert not audited(model(epsilon=2.0), *rows).consistent


def test_a_step_that_forgets_to_clip_is_caught(rows, monkeypatch):
    from skfusiondp.privacy import Clipping

    monkeypatch.setattr(Clipping, "factors", lambda self, squares: torch.ones_like(squares))
    assert not audited(model(epsilon=2.0), *rows).consistent


@pytest.mark.slow
def test_sampling_every_row_at_each_step_is_caught(rows, monkeypatch):
    from skfusiondp.privacy._sampling import PoissonSampler

    monkeypatch.setattr(PoissonSampler, "draw", lambda self: np.arange(self.n_rows))
    assert not audited(model(epsilon=2.0), *rows).consistent


@pytest.mark.slow
def test_canary_gradients_are_orthogonal_and_as_long_as_clipping_lets_them_be(rows, monkeypatch):
    from skfusiondp.training import PerRowEngine

    sums = []
    plain = PerRowEngine.clipped_sum

    def kept(self, views, y, weight):
        total = plain(self, views, y, weight)
        sums.append(total["canaries.weight"][:, 0].clone())
        return total

    monkeypatch.setattr(PerRowEngine, "clipped_sum", kept)
    audited(model(max_grad_norm=0.7, epsilon=1.0), *rows, n_canaries=300)
    size = torch.stack(sums).abs()
    assert (size[:, 0] == 0).all() and (size[:, 301:] == 0).all()
    sampled = size[size > 0]
    assert len(sampled) > 100 and torch.allclose(sampled, sampled.new_tensor(0.7), rtol=1e-3)


@pytest.mark.slow
def test_kinds_of_clipping_modules_and_targets(rows):
    class Odd(torch.nn.Module):  # only the general gradient path can follow it
        def __init__(self, n_features, n_outputs):
            super().__init__()
            self.w = torch.nn.Parameter(torch.zeros(n_features, n_outputs))

        def forward(self, x):
            return x @ self.w

    X, y = rows
    three = y + (X[:, 2] > 0)
    for parameters, target in (
        ({"clipping": "automatic", "epochs": 1}, y),
        ({"module": Odd, "epochs": 1}, three),
        ({"module": torch.nn.Linear(TableEncoder(SENSITIVE).fit_transform(X).shape[1], 1), "epochs": 1}, y),
        ({"private_parameters": ["head.*"], "epochs": 1}, y),
    ):
        found = audited(model(epsilon=6.0, **parameters), X, target)
        assert 0 < found.epsilon_lower < 6.0, parameters
    regressor = FusionDPRegressor(SENSITIVE, method="feature-dp", epsilon=6.0, epochs=1, random_state=0)
    assert 0 < audited(regressor, X, X[:, 1] + X[:, 0]).epsilon_lower < 6.0


@pytest.mark.slow
def test_black_box_works_in_pipelines_and_finds_what_overfitting_gives_away(adult):
    table, target = adult.table[:600], adult.target[:600]
    imputer = FoundationImputer(
        sensitive=adult.sensitive, support=adult.table[600:800], output="paired", random_state=0
    )
    pipe = make_pipeline(imputer, FusionDPClassifier(epsilon=1.0, epochs=1, random_state=0))
    found = audited(pipe, table, target, score="black-box")
    assert found.consistent and found.score == "black-box" and found.estimator == "FusionDPClassifier"
    loose = model(method="non-private", epochs=200, steps=None)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 30))
    overfitted = audited(loose, X, rng.integers(2, size=200), score="black-box", guesses=40)
    assert overfitted.claim == float("inf") and overfitted.correct > 22


@pytest.mark.slow
@pytest.mark.parametrize("given", ["support", "imputer"])
def test_labelled_support_rows_are_read_as_in_the_fit(rows, given):
    X, y = rows
    public = {"support": X[:60]} if given == "support" else {"imputer": FoundationImputer(support=X[:60])}
    fit = model(method="fusiondp", epsilon=4.0, support_target=y[:60], epochs=1, public_epochs=1, **public)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "No support rows")
        found = audited(fit, X[60:1060], y[60:1060], n_canaries=60)
    assert found.consistent and found.n_canaries == 60


def test_only_the_named_column_is_set_and_the_estimator_is_left_alone(paired, adult):
    canaries = Canaries.throw(len(paired), 100, ("gender",), np.random.RandomState(0))
    table = canaries.set_in(paired.original, paired.schema)
    assert table.drop(columns="gender").equals(paired.original.drop(columns="gender"))
    rest = np.setdiff1d(np.arange(len(paired)), canaries.rows)
    assert (table["gender"].iloc[rest] == paired.original["gender"].iloc[rest]).all()
    assert (table["gender"].iloc[canaries.rows] == np.where(canaries.coins, "Male", "Female")).all()
    fit = FusionDPClassifier(epsilon=4.0, epochs=1, random_state=0)
    before = clone(fit).get_params()
    audited(fit, paired, adult.target, columns="gender", n_canaries=50)
    assert fit.get_params() == before and not hasattr(fit, "ledger_")


@pytest.mark.slow
def test_any_kind_of_table_and_a_table_whose_every_column_is_sensitive(df_module, adult, rows):
    table = df_module(adult.table[:300])
    fit = model(sensitive=adult.sensitive, epochs=1)
    reference = audited(fit, adult.table[:300], adult.target[:300], n_canaries=100)
    assert audited(fit, table, adult.target[:300], n_canaries=100) == reference
    X, y = rows
    everything = audited(model(sensitive=None, epochs=1), X, y)
    assert everything.columns == ("x0", "x1", "x2", "x3") and everything.consistent


@pytest.mark.slow
def test_a_column_with_a_budget_of_its_own_is_held_against_its_own_claim(rows):
    X, y = rows
    own = {0: Numeric(-3, 3, epsilon=0.5), 1: Numeric(-3, 3)}
    bounds = {c: audited(model(sensitive=own, epsilon=6.0), X, y, columns=c) for c in ("x0", "x1")}
    assert bounds["x0"].claim <= 0.5 < 5.0 < bounds["x1"].claim <= 6.0
    assert all(found.consistent for found in bounds.values()) and bounds["x1"].epsilon_lower > 0


@pytest.mark.slow
def test_a_shared_budget_is_not_drawn_on(rows):
    from skfusiondp import PrivacyBudget

    budget = PrivacyBudget(1.0, 1e-3)
    audited(model(epsilon=4.0, epochs=1, budget=budget), *rows, n_canaries=50)
    assert len(budget.ledger) == 0


def test_a_single_category_is_set_against_missing():
    assert Categorical(["x"]).far_apart() == ("x", None)
    assert Categorical(["x", "y", "z"]).far_apart() == ("z", "x")
    high, other = Numeric(1, 9).far_apart()
    assert high == 9 and other in (1, None)


def test_coins_are_fair_and_guesses_abstain_in_the_middle():
    canaries = Canaries.throw(10_000, None, ("a",), np.random.RandomState(1))
    assert len(canaries) == 5000 == len(set(canaries.rows)) and 0.47 < canaries.coins.mean() < 0.53
    index, first = guess_coins(np.array([3.0, -1.0, 0.5, 9.0, -7.0]), 3)
    assert index[first].tolist() == [0, 3] and index[~first].tolist() == [4]


@pytest.mark.slow
def test_result_is_text_html_json_and_a_plot(rows):
    pytest.importorskip("matplotlib").use("Agg")
    found = audited(model(epsilon=2.0, epochs=1), *rows, n_canaries=200)
    assert json.loads(found.to_json())["verdict"] == found.verdict
    assert "confidence" in str(found) and "stands" in found._repr_html_()
    axes = found.plot()
    assert "replace" in axes.get_xlabel()
    again = audited(model(epsilon=2.0, epochs=1), *rows, n_canaries=200)
    assert again == found
    assert audited(model(epsilon=2.0, epochs=1), *rows, n_canaries=200, random_state=1) != found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"score": "grey-box"}, "score='grey-box'"),
        ({"columns": "x2"}, "columns='x2'"),
        ({"n_canaries": 10**6}, "n_canaries=1000000"),
        ({"guesses": 0}, "guesses=0"),
        ({"confidence": 95}, "confidence=95"),
        ({"claim": -1.0}, "claim=-1.0"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_fitted(rows, parameters, match):
    with pytest.raises(InvalidInputError, match=match):
        audited(model(), *rows, **parameters)


def test_what_cannot_be_listened_to_is_sent_to_the_black_box(rows):
    with pytest.raises(InvalidInputError, match="black-box"):
        audited(make_pipeline(model()), *rows)
    with pytest.raises(InvalidInputError, match="black-box"):
        audited(model(method="hybrid"), *rows)


def test_what_predicts_nothing_is_refused_and_models_of_its_tables_are_audited(rows):
    X, y = (part[:200] for part in rows)
    with pytest.raises(InvalidInputError, match="SynthesizedClassifier with the same parameters"):
        audited(PrivateSynthesizer(SENSITIVE, epsilon=1.0), X, y, score="black-box")
    found = audited(SynthesizedClassifier(SENSITIVE, epsilon=1.0, random_state=0), X, y, score="black-box")
    assert found.epsilon_lower < found.claim <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("epsilon", "seeds"), [(1.0, range(3)), (4.0, range(3, 6))])
def test_in_six_seeds_sound_fits_stand_and_loose_ones_fall(epsilon, seeds):
    from skfusiondp.datasets import load_adult

    adult = load_adult()
    support, _, table, target = adult.split_support(1000, random_state=0)
    imputer = FoundationImputer(sensitive=adult.sensitive, support=support, output="paired", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = imputer.fit(table[:10_000]).transform(table[:10_000])
    target = target[:10_000]
    fit = FusionDPClassifier(epsilon=epsilon, epochs=3)
    calibrated = clone(fit).fit(whole, target).plan_.noise_multiplier
    loose = clone(fit).set_params(epsilon=None, noise_multiplier=0.1 * calibrated)
    for seed in seeds:
        sound = audited(fit.set_params(random_state=seed), whole, target, random_state=seed)
        assert 0 < sound.epsilon_lower < epsilon
        broken = audited(loose.set_params(random_state=seed), whole, target, claim=epsilon, random_state=seed)
        assert broken.epsilon_lower > epsilon
