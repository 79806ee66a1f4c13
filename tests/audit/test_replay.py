"""One fit's releases replayed on a neighbouring table: only the private branch may tell the two apart."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
)
from skfusiondp.audit import replay
from skfusiondp.estimators.fusion import _count, _fusion_base
from skfusiondp.estimators.offset._correction import Loss
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.impute import PairedTable
from skfusiondp.nets import MLP

N, ROW = 120, 4
DOMAINS = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}


def made(n, seed):
    rng = np.random.default_rng(seed)
    lab = rng.normal(size=n)
    age = np.clip(45 + 15 * lab + rng.normal(scale=5, size=n), 5, 95)
    return pd.DataFrame({"lab": lab, "age": age, "sex": rng.choice(["f", "m"], n)})


X, SUPPORT = made(N, 0), made(60, 1)
TARGET = (X["lab"] + (X["sex"] == "f") > 0.5).to_numpy().astype(int)


def neighbour(**cells):
    other = X.copy()
    for column, cell in cells.items():
        other.loc[ROW, column] = cell
    return other


OTHER = neighbour(age=100.0, sex="m" if X.loc[ROW, "sex"] == "f" else "f")


def model(cls=FusionDPClassifier, sensitive=DOMAINS, **parameters):
    backend = {"age": LinearRegression(), "sex": LogisticRegression()}
    settings = {
        "imputer": FoundationImputer(support=SUPPORT, backend=backend),
        "batch_size": 20,
        "steps": 20,
        "public_epochs": 1,
        "module__hidden": (8,),
        "epsilon": 2.0,
    }
    return cls(sensitive, **{**settings, **parameters})


@pytest.mark.one_in(4)
@pytest.mark.parametrize("private", [None, ["*"]], ids=["default", "all"])
@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
@pytest.mark.parametrize("method", ["fusiondp", "feature-dp"])
def test_a_sound_fit_passes_and_the_row_is_felt_before_the_noise(method, adjacency, private):
    report = replay(model(method=method, adjacency=adjacency, private_parameters=private), X, OTHER, TARGET)
    assert report.passed and not report.failed, str(report)
    assert 0 < report.sensitivity_used <= 1 + 1e-4
    assert report.row == ROW and report.columns == ("age", "sex") and report.steps == 20


@pytest.mark.one_in(3)
@pytest.mark.parametrize("clipping", ["flat", "per-layer", "automatic"])
def test_zero_out_needs_c_and_replace_two_of_it(clipping):
    """With every row clipped to C, an erased row moves the sum by C: half the sensitivity would be seen."""
    settings = {"module": MLP, "private_parameters": ["*"], "max_grad_norm": 1e-3, "clipping": clipping}
    erased = replay(model(adjacency="zero-out", **settings), X, OTHER, TARGET)
    assert erased.passed and erased.sensitivity_used > (0.5 if clipping == "per-layer" else 0.8)
    replaced = replay(model(adjacency="replace", **settings), X, OTHER, TARGET)
    assert replaced.passed and replaced.sensitivity_used <= 1


@pytest.mark.slow
def test_other_fits_pass_too():
    y = X["lab"].to_numpy() * 2 + 1
    assert replay(model(FusionDPRegressor, clipping="automatic", micro_batch_size=7), X, OTHER, y).passed
    assert replay(
        model(class_weight="balanced", ema_decay=0.5), X, neighbour(age=np.nan, sex=None), TARGET
    ).passed
    free = replay(model(method="hybrid"), X, OTHER, TARGET)
    assert free.passed and free.steps == 0 == free.sensitivity_used


@pytest.mark.slow
def test_a_tier_that_reads_none_of_the_columns_does_not_move_at_all():
    tiers = {"age": Numeric(0, 100, epsilon=0.5), "sex": Categorical(["f", "m"])}
    only_age = replay(model(sensitive=tiers), X, neighbour(age=100.0), TARGET)
    assert only_age.passed and only_age.columns == ("age",)
    # The same change, with the tiers the other way round, is in both.
    assert replay(model(sensitive=tiers), X, OTHER, TARGET).passed


def test_a_domain_read_off_the_training_cells_is_found():
    found = replay(model(sensitive=["age"], imputer=None, on_leak="ignore"), X, neighbour(age=300.0), TARGET)
    assert not found.passed and "facts before training" in found.failed


@pytest.mark.slow
def test_the_estimator_is_left_alone_and_the_report_is_plain():
    fit = model(random_state=5)
    before = clone(fit).get_params(deep=False)
    report = replay(fit, X, OTHER, TARGET)
    assert not hasattr(fit, "ledger_") and type(fit) is FusionDPClassifier
    assert {k: v for k, v in fit.get_params(deep=False).items() if k != "imputer"} == {
        k: v for k, v in before.items() if k != "imputer"
    }
    assert json.loads(report.to_json())["passed"] is True
    assert "row 4 (age, sex; replace)" in str(report) and str(report).count(" ok ") == len(report.checks)
    assert replay(fit, X, OTHER, TARGET) == report


@pytest.mark.slow
def test_paired_tables():
    hybrid = X.assign(age=50.0, sex="f")
    pairs = [PairedTable.from_views(t, hybrid, DOMAINS) for t in (X, OTHER)]
    fit = model(sensitive=None, imputer=None)
    assert replay(fit, *pairs, TARGET).passed
    peeked = PairedTable.from_views(OTHER, hybrid.assign(age=OTHER["age"].mean()), DOMAINS)
    assert replay(fit, pairs[0], peeked, TARGET).failed[0] == "encoded rows"


@pytest.mark.parametrize(
    ("estimator", "other", "match"),
    [
        (model(), X, "differ in 0 rows"),
        (model(), made(N, 9), "rows and the public"),
        (model(), neighbour(lab=9.0, age=1.0), r"the public column\(s\) \['lab'\]"),
        (model(), OTHER.rename(columns={"lab": "x"}), "different columns|does not have"),
        (model(method="dp-sgd"), OTHER, "method='dp-sgd'"),
        (make_pipeline(model()), OTHER, "Pipeline"),
    ],
)
def test_what_cannot_be_replayed_is_refused(estimator, other, match):
    with pytest.raises(InvalidInputError, match=match):
        replay(estimator, X, other, TARGET)


def counting(**parameters):
    """A fit that counts where cells lie before its first step."""
    settings = {"epsilon": 1.0, "steps": 3, "batch_size": 40, "public_epochs": 1, "random_state": 0}
    return FusionDPClassifier({"age": Numeric(0, 1000)}, **{**settings, **parameters})


ONE, TWO = X[["lab", "age"]], OTHER[["lab", "age"]]


@pytest.mark.slow
@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
def test_a_count_is_replayed_too(adjacency):
    report = replay(counting(adjacency=adjacency), ONE, TWO, TARGET)
    assert report.passed, str(report)
    assert 0 < report.sensitivity_used <= 1


def failed(report):
    return {check.name for check in report.checks if not check.passed}


def test_a_count_of_less_noise_than_planned_is_found(monkeypatch):
    plain = _count.Releases.counts
    monkeypatch.setattr(
        _count.Releases,
        "counts",
        lambda self, rows, groups: np.round(plain(self, rows, groups), -1) * 0 + 5.0,
    )
    assert "noise" in failed(replay(counting(), ONE, TWO, TARGET))


def test_a_row_that_is_counted_many_times_is_found(monkeypatch):
    plain = _fusion_base.count_cells

    def many(cells, table, kept, releases):
        counted = plain(cells, table, kept, releases)
        row = next(table.chunks(list(cells.domains)))[1].iloc[[ROW]]
        return counted + 100 * np.asarray((cells.features(row).matrix() > 0).sum(axis=0)).ravel()

    monkeypatch.setattr(_fusion_base, "count_cells", many)
    assert "sums before noise" in failed(replay(counting(), ONE, TWO, TARGET))


def test_a_count_accounted_at_half_its_sensitivity_is_found(monkeypatch):
    plain = Loss.noise_unit
    monkeypatch.setattr(Loss, "noise_unit", lambda *args: plain(*args) / 2)
    report = replay(counting(adjacency="zero-out"), ONE, TWO, TARGET)
    assert failed(report) == {"sums before noise"} and report.sensitivity_used > 1.9
