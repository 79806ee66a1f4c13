"""Of a private correction that its noise hides most is taken back, and of a clear one nothing."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV

from skfusiondp import Categorical, FusionDPClassifier, FusionDPRegressor, Numeric
from skfusiondp.model_selection import StackedGridSearchCV
from skfusiondp.nets import MLP, WideAndDeep
from skfusiondp.persistence import load, save
from skfusiondp.privacy import Clipping, make_plan
from skfusiondp.training import _phases
from skfusiondp.training._shrinkage import BeyondNoise, kept_share, shrink

DOMAINS = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}
QUICK = {"public_epochs": 1, "random_state": 0, "delta": 1e-5}
pytestmark = pytest.mark.filterwarnings(
    "ignore:No support rows:UserWarning", "ignore::skfusiondp.WeakPrivacyWarning"
)


def made(n, seed):
    rng = np.random.default_rng(seed)
    lab, age = rng.normal(size=n), rng.uniform(0, 100, n)
    table = pd.DataFrame({"lab": lab, "age": age, "sex": rng.choice(["f", "m"], n)})
    return table, (lab + (age - 50) / 20 + rng.logistic(size=n) > 0).astype(int)


TRAIN, Y = made(300, 0)
TEST, Y_TEST = made(4000, 1)


def plan(**given):
    settings = {"n_rows": 1000, "batch_size": 100, "steps": 50, "epsilon": None, "delta": 1e-5,
                "noise_multiplier": 4.0, "adjacency": "replace", "clipping": Clipping(1.0)}  # fmt: skip
    return make_plan(**{**settings, **given})


def test_the_share_falls_with_the_noise_of_the_mean_gradient():
    share = kept_share(plan(), 50)
    noise = 4.0 / (100 * np.sqrt(50))
    assert share == pytest.approx(0.04**2 / (0.04**2 + noise**2))
    assert kept_share(plan(noise_multiplier=8.0), 50) < share
    assert kept_share(plan(batch_size=200), 50) > share > kept_share(plan(), 10)
    # Clipped to half, gradients and their noise are half as long: all is as it was.
    assert kept_share(plan(clipping=Clipping(0.5)), 50) == pytest.approx(share)
    # A norm that no gradient reaches makes noise alone longer.
    assert kept_share(plan(clipping=Clipping(4.0)), 50) < share
    assert kept_share(plan(), 0) == 1.0


def test_a_share_of_the_way_is_left():
    parameters, start = [torch.ones(2, 3), torch.zeros(4)], [torch.zeros(2, 3), torch.full((4,), 8.0)]
    shrink(parameters, start, 0.25)
    assert (parameters[0] == 0.25).all() and (parameters[1] == 6.0).all()


@pytest.mark.slow
def test_a_model_whose_noise_hides_all_is_the_free_one():
    """At random it would be: such steps move what 300 rows cannot tell."""
    free, noisy = [], []
    for seed in range(5):
        settings = {**QUICK, "random_state": seed, "method": "feature-dp"}
        model = FusionDPClassifier(DOMAINS, epsilon=0.01, **settings).fit(TRAIN, Y)
        assert model.net_.correction_kept_ < 0.01
        report = model.privacy_report()
        assert report.mechanism["correction_kept_by_plan"] == model.net_.correction_kept_
        for text in (str(report), report.to_html()):
            assert "by the size of the noise, whatever was found" in text
        noisy.append(roc_auc_score(Y_TEST, model.predict_proba(TEST)[:, 1]))
        score = model.encoder_.score_(TEST)[:, 0]
        assert np.corrcoef(model._scores(TEST)[:, 0], score)[0, 1] > 0.97
        free.append(roc_auc_score(Y_TEST, score))
    assert np.mean(noisy) > np.mean(free) - 0.005


@pytest.mark.slow
def test_a_clear_correction_stays():
    table, y = made(4000, 2)
    model = FusionDPClassifier(DOMAINS, epsilon=2.0, method="feature-dp", **QUICK).fit(table, y)
    assert model.net_.correction_kept_ > 0.99
    assert roc_auc_score(Y_TEST, model.predict_proba(TEST)[:, 1]) > roc_auc_score(Y_TEST, TEST["lab"]) + 0.1


@pytest.mark.one_in(3)
@pytest.mark.parametrize("cls", [FusionDPClassifier, FusionDPRegressor])
@pytest.mark.parametrize("module", [None, MLP, WideAndDeep])
def test_only_a_head_that_corrects_is_shrunk(cls, module):
    """That of the default module, which has scores to start from."""
    settings = {"noise_multiplier": 50.0, "steps": 3, "module": module, **QUICK}
    model = cls(DOMAINS, **settings).fit(TRAIN, Y)
    assert (model.net_.correction_kept_ < 1) == (module is None)
    whole = cls(DOMAINS, **settings, private_parameters=["*"]).fit(TRAIN, Y)
    assert whole.net_.correction_kept_ == 1.0


@pytest.mark.slow
def test_fits_of_a_search_keep_what_they_would_alone(monkeypatch):
    values = {"noise_multiplier": [1.0, 40.0]}
    model = FusionDPClassifier(DOMAINS, epochs=2, **QUICK)

    def scores(search):
        found = search(model, values, cv=2, refit=False, scoring="neg_log_loss").fit(TRAIN, Y)
        return found.cv_results_["mean_test_score"]

    stacked, alone = scores(StackedGridSearchCV), scores(GridSearchCV)
    np.testing.assert_allclose(stacked, alone, atol=2e-3)
    monkeypatch.setattr(_phases, "kept_share", lambda plan, steps: 1.0)
    assert abs(scores(StackedGridSearchCV)[1] - stacked[1]) > 0.005


def test_sums_of_noise_are_no_longer_than_noise_and_others_are():
    found = {}
    for size in (0.0, 0.5):
        rng = np.random.default_rng(0)
        found[size] = []
        for _ in range(400):
            seen = BeyondNoise(2.0)
            for _ in range(40):
                seen.add(torch.from_numpy(size + rng.normal(scale=2.0, size=30)))
            found[size].append(seen.deviations)
    # The furthest of six looks, of which one alone goes beyond 2 in some 3 of 100.
    assert 0.02 < np.mean(np.array(found[0.0]) > 2) < 0.2
    assert np.mean(np.array(found[0.5]) > 2) > 0.99
    exact = BeyondNoise(0.0)
    exact.add(torch.zeros(3))
    assert exact.deviations == np.inf


@pytest.mark.slow
@pytest.mark.parametrize("module", [None, MLP])
def test_the_report_says_when_gradients_are_not_told_from_noise(module, tmp_path):
    said = {}
    table, y = made(2000, 2)
    for of_age in (True, False):
        target = y if of_age else (table["lab"] > 0).astype(int)
        model = FusionDPClassifier(DOMAINS, epsilon=2.0, method="feature-dp", module=module, **QUICK)
        model.fit(table, target)
        save(model, tmp_path / f"{of_age}.skf")
        reports = [m.privacy_report() for m in (model, load(tmp_path / f"{of_age}.skf"))]
        assert str(reports[0]) == str(reports[1])
        said[of_age] = "not told from noise" in str(reports[0])
    assert said == {True: False, False: True}


def test_gradients_of_whole_rows_are_called_so():
    settings = {"noise_multiplier": 1e4, "steps": 4, "adjacency": "add-remove", **QUICK, "random_state": 1}
    report = FusionDPClassifier(DOMAINS, method="dp-sgd", **settings).fit(TRAIN, Y).privacy_report()
    assert report.mechanism["gradients"].startswith("not told from noise: those of rows add up")


def test_models_of_versions_that_did_not_know_say_nothing():
    model = FusionDPClassifier(DOMAINS, noise_multiplier=1e4, steps=4, **QUICK).fit(TRAIN, Y)
    old = pickle.loads(pickle.dumps(model))
    del old.net_.beyond_noise_
    assert "gradients" not in old.privacy_report().mechanism
