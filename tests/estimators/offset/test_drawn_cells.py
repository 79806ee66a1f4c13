"""Cells drawn from a joint model: what is learnt of them, and that wide bounds cost nothing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, r2_score, roc_auc_score

from skfusiondp import Categorical, Numeric, OffsetFusionClassifier, OffsetFusionRegressor
from skfusiondp.estimators.joint._joint_model import JointModel
from skfusiondp.estimators.offset import _structure
from skfusiondp.estimators.offset._drawn_cells import DrawnCells
from skfusiondp.estimators.offset._structure import Structure

WHOLE_MODELS = True

WIDE = [1, 10, 100]


def domains(wide):
    """Bounds of columns that lie around 50, right of 0, and around -30."""
    return {
        "age": Numeric(50 - 40 * wide, 50 + 40 * wide),
        "skewed": Numeric(0, 20 * wide),
        "below": Numeric(-30 - 12 * wide, -30 + 12 * wide),
    }


def made(n, seed):
    rng = np.random.default_rng(seed)
    lab, age, skewed, below = (
        rng.normal(size=n),
        rng.normal(50, 10, n),
        rng.lognormal(0, 1, n),
        rng.normal(-30, 3, n),
    )
    number = 0.7 * lab + 1.2 * np.sin(age / 6) + np.log(skewed) + 0.8 * (np.abs(below + 30) > 3)
    y = (number + rng.logistic(size=n) > 0).astype(int)
    return pd.DataFrame({"lab": lab, "age": age, "skewed": skewed, "below": below}), y, number


TEST, Y_TEST, NUMBER_TEST = made(8000, 99)


def auc(n, wide, seed=0, support=None, **parameters):
    table, y, _ = made(n, seed)
    model = OffsetFusionClassifier(
        domains(wide), random_state=seed, public_model=LogisticRegression(), support=support, **parameters
    )
    return roc_auc_score(Y_TEST, model.fit(table, y).decision_function(TEST))


@pytest.mark.slow
@pytest.mark.parametrize(
    "support",
    [pytest.param(None, id="counted"), pytest.param(made(1500, 5)[0], id="support", marks=pytest.mark.slow)],
)
def test_a_large_table_is_predicted_alike_however_wide_the_bounds(support):
    found = [auc(12_000, wide, support=support, noise_multiplier=10.0) for wide in (WIDE[0], WIDE[-1])]
    public = roc_auc_score(Y_TEST, TEST["lab"])
    assert max(found) - min(found) < 0.01 and min(found) > public + 0.15


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [1.0])
def test_at_usual_budgets_wide_bounds_cost_little(epsilon):
    found = np.mean(
        [[auc(12_000, wide, seed, epsilon=epsilon) for wide in WIDE] for seed in range(2)], axis=0
    )
    assert found[0] - found[1:].min() < 0.01


@pytest.mark.slow
def test_a_number_is_predicted_alike_however_wide_the_bounds():
    table, _, number = made(8_000, 0)
    found = []
    for wide in WIDE:
        model = OffsetFusionRegressor(
            domains(wide), noise_multiplier=3.0, random_state=0, public_model=Ridge()
        )
        found.append(r2_score(NUMBER_TEST, model.fit(table, number).predict(TEST)))
    assert max(found) - min(found) < 0.01 and min(found) > 0.9


@pytest.mark.slow
def test_effects_of_four_columns_are_found():
    def drawn(n, seed):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame(rng.normal(size=(n, 5)), columns=list("pabcd"))
        logit = table.to_numpy() @ [0.7, 0.6, -0.5, 0.4, 0.3]
        return table, (logit + rng.logistic(size=n) > 0).astype(int)

    (table, y), (test, y_test) = drawn(10_000, 0), drawn(8_000, 1)
    plain = LogisticRegression()
    floor, ceiling = (
        log_loss(y_test, plain.fit(table[c], y).predict_proba(test[c])) for c in (["p"], [*"pabcd"])
    )
    model = OffsetFusionClassifier(
        {c: Numeric(-4, 4) for c in "abcd"}, epsilon=1.0, random_state=0, public_model=plain
    )
    found = log_loss(y_test, model.fit(table, y).predict_proba(test))
    assert floor - found > 0.7 * (floor - ceiling), (floor, found, ceiling)


def landscape_of(table, y, noise_multiplier, steps=3):
    """The structure that a fit learns of drawn cells, and its landscape."""
    seen, plain = {}, Structure.fit_draws

    def watched(self, *args):
        seen["landscape"] = plain(self, *args)
        return seen["landscape"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Structure, "fit_draws", watched)
        model = OffsetFusionClassifier(
            {"age": Numeric(10, 90)}, noise_multiplier=noise_multiplier, random_state=0, steps=steps
        ).fit(table[["lab", "age"]], y)
    return model, seen["landscape"]


@pytest.mark.slow
def test_the_landscape_is_that_of_the_features_of_rows_like_these():
    """Directions are orthonormal, and the curvature along them that of the loss of true rows, but surer."""
    table, y, _ = made(8000, 1)
    model, landscape = landscape_of(table, y, 0.2)
    basis, structure = landscape.basis, model._structure
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-8)
    score = model._public_score(table[["lab"]], model._columns.transform(table[["lab"]]))
    features, start = structure.expand(model._columns.transform(table[["lab"]]), score, table)
    p = 1 / (1 + np.exp(-score - start))
    true = np.square(features.matrix() @ basis).T @ (p * (1 - p))
    found = landscape.expected(np.zeros((structure.n_features, 1)))[1]
    np.testing.assert_allclose(found[-10:], _structure._SURER * true[-10:], rtol=0.15)


def of_noise(seed, n=2000):
    rng = np.random.default_rng(seed)
    lab = rng.normal(size=n)
    table = pd.DataFrame({"lab": lab, "age": rng.uniform(10, 90, n)})
    return table, (lab + rng.logistic(size=n) > 0).astype(int)


@pytest.mark.slow
def test_a_column_of_noise_mostly_leaves_the_public_score():
    """Of noise alone the released sums rarely show more than e; a signal is found."""
    silent = 0
    for seed in range(4):
        table, y = of_noise(seed)
        model, _ = landscape_of(table, y, 5.0)
        if not model._structure.shares.any():
            silent += 1
            public = table[["lab"]]
            free = model._public_score(public, model._columns.transform(public))
            moved = model._structure.expand(model._columns.transform(public), free, table)[1]
            assert not moved.any()
    assert silent >= 3
    table, y = of_noise(0)
    model, _ = landscape_of(table, (y ^ (table["age"] > 60)).astype(int), 5.0)
    assert model._structure.shares[0] > 0.5


@pytest.mark.slow
def test_drawn_cells_go_with_a_rare_label_as_true_ones_do():
    """Where nearly all labels are the same, the label's mean is no news beside the number of rows."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"lab": rng.normal(size=6000), "age": rng.uniform(10, 90, 6000)})
    y = (rng.random(6000) < np.where(table["age"] > 80, 0.15, 0.01)).astype(int)
    found = []
    plain = DrawnCells.release

    def watched(self, *args):
        plain(self, *args)
        drawn = pd.concat([self(np.arange(6000)) for _ in range(5)])["age"].to_numpy()
        old = np.tile(y, 5)[drawn > 80].mean()
        found.append((old, self.informative(True)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DrawnCells, "release", watched)
        landscape_of(table, y, 2.0)
    assert found[0][1] and found[0][0] > 0.1


@pytest.mark.parametrize("moved", [0.0, 1.7e9, -1.7e9])
def test_what_trees_read_of_a_number_tells_its_cells_apart_wherever_it_lies(moved):
    cells = pd.Series([-4.0, -0.5, 0.0, 0.25, 4.0, None])
    read = Numeric(moved - 4, moved + 4).tree_features(cells + moved).astype(np.float32)[:, 0]
    assert (np.diff(read[:5]) > 0).all() and np.isnan(read[5])


@pytest.mark.slow
@pytest.mark.parametrize("wide", [1e39, 1e300])
def test_bounds_beyond_single_precision_are_fitted(wide):
    table, y = of_noise(0, 300)
    model = OffsetFusionClassifier({"age": Numeric(-wide, wide)}, epsilon=1.0, random_state=0).fit(table, y)
    cells = table.assign(age=np.resize([wide, -wide, np.nan, 5.0], len(table)))
    assert np.isfinite(model.predict_proba(cells)).all()


@pytest.mark.slow
def test_a_step_along_columns_that_are_copies_of_one_another_does_not_go_too_far():
    """Drawn cells of ten such columns are less alike than true ones: one whole step inverted the model."""
    rng = np.random.default_rng(200)
    public = rng.normal(size=(5000, 3))
    y = (rng.random(5000) < 1 / (1 + np.exp(-2 * public[:, 0]))).astype(int)
    copies = public[:, :1] + 0.5 * rng.normal(size=(5000, 10))
    names = [f"s{i}" for i in range(10)]
    table = pd.DataFrame(np.hstack([public, copies]), columns=["p0", "p1", "p2", *names])
    model = OffsetFusionClassifier({c: Numeric(-4, 4) for c in names}, epsilon=1.0, random_state=0)
    score = model.fit(table[:1000], y[:1000]).decision_function(table[1000:])
    assert roc_auc_score(y[1000:], score) > roc_auc_score(y[1000:], public[1000:, 0]) - 0.05


def flags(n, seed):
    """Twelve flags of one latent variable that a public column holds."""
    rng = np.random.default_rng(800 + seed)
    public = rng.normal(size=(n, 3))
    y = (rng.random(n) < 1 / (1 + np.exp(1 - 2 * public[:, 0]))).astype(int)
    seen = rng.random((n, 12)) < 1 / (1 + np.exp(1 - 2 * public[:, :1]))
    names = ["p0", "p1", "p2", *(f"s{i}" for i in range(12))]
    return pd.DataFrame(np.hstack([public, seen.astype(int)]), columns=names), y


def against_free(epsilon, seed):
    """AUROC of a fit on 3,000 rows with such flags, less that of its own public model; and the fit."""
    table, y = flags(7000, seed)
    named = {f"s{i}": Categorical([0, 1]) for i in range(12)}
    model = OffsetFusionClassifier(named, epsilon=epsilon, random_state=seed).fit(table[:3000], y[:3000])
    test, y = table[3000:], y[3000:]
    public = test[["p0", "p1", "p2"]]
    free = model._public_score(public, model._columns.transform(public))[:, 0]
    return roc_auc_score(y, model.decision_function(test)) - roc_auc_score(y, free), model


@pytest.mark.slow
def test_columns_that_are_alike_and_say_nothing_new_cost_little():
    """Drawn as if they were independent, they seem to say twelve times what they do."""
    gained, model = against_free(0.3, 3)
    assert model._structure.shares.any() and gained > -0.01


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.3, 1.0])
def test_such_columns_cost_little_on_average(epsilon):
    assert np.mean([against_free(epsilon, seed)[0] for seed in range(5)]) > -0.005


@pytest.mark.slow
def test_a_start_that_no_gradient_judges_must_show_more():
    """steps=1 spends all on the joint model, so that e to 1 is too little."""
    table, y, _ = made(500, 0)
    for shown, taught in ((0.5, set()), (2.0, {2, 3}), (4.0, {1, 2, 3})):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(JointModel, "evidence", shown)
            models = {
                k: OffsetFusionClassifier({"age": Numeric(10, 90)}, epsilon=4.0, random_state=0, steps=k)
                for k in (1, 2, 3)
            }
            found = {k for k, m in models.items() if m.fit(table[["lab", "age"]], y)._structure.shares.any()}
        assert found == taught
