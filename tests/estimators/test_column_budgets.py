"""Columns with budgets of their own: views telescope, and a column pays for its tier and those after."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from skfusiondp import (
    Categorical,
    FusionDPClassifier,
    Numeric,
    PrivacyLedger,
)
from skfusiondp.accounting import Clipping, LedgerEntry
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.privacy import make_plan
from skfusiondp.training._batches import BatchSchedule, TrainingRows

N = 400
rng = np.random.default_rng(1)
X = pd.DataFrame(
    {
        "lab": rng.normal(size=N),
        "age": rng.uniform(20, 80, N),
        "sex": rng.choice(["f", "m"], N),
        "unit": rng.choice(["a", "b"], N),
    }
)
y = (X["age"] / 30 + X["lab"] + (X["sex"] == "f") > 2.2).to_numpy().astype(int)
SMALL = {"epochs": 2, "batch_size": 50, "public_epochs": 1, "module__hidden": (8,), "random_state": 0}
TIERS = {
    "age": Numeric(20, 80, epsilon=0.25),
    "sex": Categorical(["f", "m"]),
    "unit": Categorical(["a", "b"], epsilon=4.0),
}


def fitted(sensitive=TIERS, **change):
    return FusionDPClassifier(sensitive, **{"epsilon": 2.0, **SMALL, **change}).fit(X, y)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
@pytest.mark.parametrize("method", ["fusiondp", "feature-dp"])
def test_each_column_costs_the_composition_of_its_tier_and_those_after(adjacency, method):
    model = fitted(adjacency=adjacency, method=method)
    tiers = model.plan_.tiers
    assert [t.columns for t in tiers] == [("unit",), ("sex",), ("age",)]
    assert [e.protects for e in model.ledger_] == [("unit",), ("unit", "sex"), ("unit", "sex", "age")]
    entries = [LedgerEntry(t.noise_multiplier, 50 / N, model.plan_.steps, adjacency) for t in tiers]
    cost = model.ledger_.epsilon_by_column(model.delta_)
    for column, first, target in (("unit", 0, 4.0), ("sex", 1, 2.0), ("age", 2, 0.25)):
        by_hand = PrivacyLedger(tuple(entries[first:])).epsilon(model.delta_)
        assert cost[column] == pytest.approx(by_hand, abs=1e-9)
        assert 0.95 * target < cost[column] <= target
    assert model.epsilon_ == pytest.approx(cost["unit"])
    report = model.privacy_report()
    assert report.to_dict()["epsilon_by_column"] == cost
    assert "where only this column differs" in str(report) and "only this column" in report.to_html()


def test_noise_is_the_same_in_every_tier_and_norms_shrink_with_the_budget():
    tiers = fitted().plan_.tiers
    assert max(t.clipping.max_grad_norm for t in tiers) == 1.0
    assert np.allclose([t.noise_std for t in tiers], tiers[0].noise_std)


def test_one_budget_for_all_is_the_plain_method_bit_by_bit():
    plain = {"age": Numeric(20, 80), "sex": Categorical(["f", "m"]), "unit": Categorical(["a", "b"])}
    same = {
        "age": Numeric(20, 80, epsilon=2.0),
        "sex": Categorical(["f", "m"], epsilon=2.0),
        "unit": Categorical(["a", "b"]),
    }
    one, other = fitted(plain), fitted(same)
    assert one.ledger_ == other.ledger_
    assert np.array_equal(one.predict_proba(X), other.predict_proba(X))


def rows_of(widths):
    """True view 1, free view 0, and tiers of features as wide as said."""
    ends = np.cumsum(widths)
    features = np.arange(ends[-1])
    masks = [
        torch.from_numpy((features >= e - w) & (features < e)) for w, e in zip(widths, ends, strict=True)
    ]
    free = torch.zeros(10, ends[-1])
    return TrainingRows(free, [free + 1, free], torch.zeros(10, 1), torch.ones(10), tiers=masks)


def test_views_telescope_from_free_to_true():
    rows = rows_of([2, 1, 3])
    index = np.arange(4)
    pairs = [rows.private_rows(index, t).x for t in range(3)]
    assert torch.equal(pairs[0][1], torch.zeros(4, 6)) and torch.equal(pairs[-1][0], torch.ones(4, 6))
    for before, after in itertools.pairwise(pairs):
        assert torch.equal(before[0], after[1])
    changed = [(p[0] - p[1]).sum(1).tolist() for p in pairs]
    assert changed == [[2.0] * 4, [1.0] * 4, [3.0] * 4]


def test_a_tier_never_reads_the_columns_of_those_after_it():
    """The most sensitive cells must be in the last difference only."""
    rows = rows_of([2, 1, 3])
    index = np.arange(10)
    before = [rows.private_rows(index, t).x.clone() for t in range(3)]
    rows.views[0][:, 3:] += 7  # the last tier's true values
    after = [rows.private_rows(index, t).x for t in range(3)]
    assert torch.equal(before[0], after[0]) and torch.equal(before[1], after[1])
    assert not torch.equal(before[2], after[2])


def test_tiers_sample_independently():
    plan = make_plan(
        1000,
        batch_size=100,
        steps=40,
        epsilon=1.0,
        noise_multiplier=None,
        delta=None,
        clipping=Clipping(1.0),
        adjacency="replace",
        columns={"a": 0.5, "b": None},
    )
    zeros = torch.zeros(1000, 2)
    masks = [torch.tensor([True, False]), torch.tensor([False, True])]
    rows = TrainingRows(zeros, [zeros, zeros], zeros[:, :1], zeros[:, 0] + 1, tiers=masks)
    schedule = BatchSchedule(rows, plan, (40,), 8, np.random.SeedSequence(0))
    both = [b.private[0].index[np.isin(b.private[0].index, b.private[1].index)].size for b in schedule]
    # 1000 rows, each in both samples with probability 0.01.
    assert 6 < np.mean(both) < 14


def test_budgets_of_columns_need_a_budget_and_a_column_wise_method():
    with pytest.raises(InvalidInputError, match="noise_multiplier"):
        fitted(epsilon=None, noise_multiplier=1.0)
    with pytest.raises(InvalidInputError, match="whole rows"):
        fitted(method="dp-sgd")


@pytest.mark.parametrize("epsilon", [0, -1, np.inf, np.nan, "1", True])
def test_refuses_other_budgets_of_a_domain(epsilon):
    with pytest.raises(InvalidInputError, match="of a domain"):
        Numeric(0, 1, epsilon=epsilon)
    with pytest.raises(InvalidInputError, match="of a domain"):
        Categorical(["a"], epsilon=epsilon)


def test_tables_on_disk_have_tiers_too(tmp_path):
    table = X.drop(columns=["sex", "unit"]).to_numpy()
    np.save(tmp_path / "table.npy", table)
    sensitive = {"x1": Numeric(20, 80, epsilon=0.5), "x0": Numeric(-3, 3)}
    settings = {**SMALL, "epsilon": 2.0}
    memory = FusionDPClassifier(sensitive, **settings)
    try:
        memory.fit(table, y)
    except InvalidInputError:
        sensitive = {1: Numeric(20, 80, epsilon=0.5), 0: Numeric(-3, 3)}
        memory = FusionDPClassifier(sensitive, **settings).fit(table, y)
    disk = FusionDPClassifier(sensitive, **settings).fit(np.load(tmp_path / "table.npy", mmap_mode="r"), y)
    assert disk.ledger_ == memory.ledger_ and len(disk.ledger_) == 2
    assert np.allclose(disk.predict_proba(table), memory.predict_proba(table), atol=1e-5)
