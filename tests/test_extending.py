"""What CONTRIBUTING.md says about adding things: a throw-away one of each kind."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.pipeline import make_pipeline

from skfusiondp import Numeric, OffsetFusionClassifier, PrivacyBudget, PrivacyLedger
from skfusiondp._privacy_parameters import EPSILON_OR_NOISE, PRIVACY
from skfusiondp._refit import all_or_nothing
from skfusiondp._spender import Job, Spender
from skfusiondp.accounting import LedgerEntry, check_pipeline, privacy_report, private_parts
from skfusiondp.accounting import _known_steps as known_steps
from skfusiondp.audit import risk
from skfusiondp.datasets import SensitiveTable
from skfusiondp.privacy import Clipping, make_plan
from skfusiondp.privacy import _relations as relations
from skfusiondp.privacy._random_bits import RandomBits
from skfusiondp.privacy._release import SumNoise
from skfusiondp.tables._frames import check_table
from skfusiondp.tables._groups import Units
from skfusiondp.tables._schema import resolve_schema
from skfusiondp.tables._table import FrameTable

TABLE = pd.DataFrame({"lab": np.linspace(-1, 1, 60), "age": np.arange(60.0)})
TARGET = (TABLE["lab"] > 0).astype(int)


class PrivateHistogram(TransformerMixin, Spender):
    """A synthesiser: one noised histogram a column, from which sensitive cells are drawn anew."""

    _constraints, _rules = PRIVACY, (EPSILON_OR_NOISE,)
    _accounts_for_privacy = True

    def __init__(
        self, sensitive=None, *, epsilon=None, noise_multiplier=None, delta=None, adjacency="replace",
        groups=None, max_rows_per_unit=None, budget=None, on_leak="warn", random_state=None,
    ):  # fmt: skip
        self.sensitive = sensitive
        self.epsilon = epsilon
        self.noise_multiplier = noise_multiplier
        self.delta = delta
        self.adjacency = adjacency
        self.groups = groups
        self.max_rows_per_unit = max_rows_per_unit
        self.budget = budget
        self.on_leak = on_leak
        self.random_state = random_state

    @all_or_nothing
    def fit(self, X, y=None):
        return self._fit(X, y)

    def _read(self, X, y, groups=None, sample_weight=None):
        table = FrameTable(check_table(self, X, reset=True), X)
        return Job(table, resolve_schema(table, self.sensitive, on_leak=self.on_leak), Units())

    def _plan(self, n_rows, columns, rows_per_unit, job=None):
        return make_plan(
            n_rows,
            batch_size=n_rows,
            steps=1,
            epsilon=self.epsilon,
            noise_multiplier=self.noise_multiplier,
            delta=self.delta,
            clipping=Clipping(relations.relation(self.adjacency).clipping_norm(2**0.5, 1.0)),
            adjacency=self.adjacency,
            columns=columns,
            rows_per_unit=rows_per_unit,
        )

    def _train(self, job, begin):
        begin()
        ((column, domain),) = job.schema.domains.items()
        counts = np.bincount(domain.bins(job.table.sample([column])[column], 4), minlength=5)[:4]
        noise = SumNoise(self.plan_.noise_multiplier, self.plan_.clipping.max_grad_norm, 1.0)
        self.counts_ = noise.added_to(counts, RandomBits(self.random_state))

    def _mechanism(self):
        return {"noise_multiplier": self.plan_.noise_multiplier}

    def transform(self, X):
        share = np.clip(self.counts_, 0.01, None)
        drawn = np.random.default_rng(0).choice(4, size=len(X), p=share / share.sum())
        return X.assign(**{self.schema_.sensitive[0]: drawn * 15.0 + 7.5})


def test_a_spender_is_planned_charged_reported_and_checked_like_ours(tmp_path):
    budget = PrivacyBudget(8.0, 1e-5, path=tmp_path / "budget.json")
    made = PrivateHistogram({"age": Numeric(0, 60)}, epsilon=2.0, delta=1e-5, random_state=0, budget=budget)
    planned = made.planned_ledger(60)
    pipe = make_pipeline(made, OffsetFusionClassifier({"age": Numeric(0, 60)}, steps=1, delta=1e-5))
    pipe.fit(TABLE, TARGET)
    assert [part.path for part in private_parts(pipe)] == ["privatehistogram", "offsetfusionclassifier"]
    assert made.ledger_ == planned == budget.ledger and made.epsilon_ <= 2
    assert privacy_report(pipe).epsilon == risk(pipe).epsilon > made.epsilon_
    assert "1e-05" in str(made.privacy_report()) and check_pipeline(made, X=TABLE).ok


def test_a_spender_that_fails_half_way_has_paid_and_one_that_is_refused_has_not(monkeypatch):
    made = PrivateHistogram({"age": Numeric(0, 60)}, epsilon=2.0)
    with pytest.raises(ValueError, match="on_leak"):
        clone(made).set_params(on_leak="never").fit(TABLE)
    monkeypatch.setattr(SumNoise, "added_to", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        made.fit(TABLE)
    assert len(made.ledger_) == 1 and not hasattr(made, "schema_")


def test_a_relation_is_one_record(monkeypatch):
    record = replace(relations.RELATIONS["zero-out"], name="erase-lab", not_covered="erasing anything else")
    monkeypatch.setitem(relations.RELATIONS, "erase-lab", record)
    entry = LedgerEntry(4.0, 1.0, 1, "erase-lab", ("age",), 60)
    same = replace(entry, adjacency="zero-out")
    assert PrivacyLedger((entry,)).epsilon(1e-5) == PrivacyLedger((same,)).epsilon(1e-5)
    assert PrivacyLedger.from_json(PrivacyLedger((entry,)).to_json()).entries == (entry,)
    plan = make_plan(
        60, batch_size=60, steps=1, epsilon=1.0, noise_multiplier=None, delta=1e-5, clipping=Clipping(1.0),
        adjacency="erase-lab", columns={"age": None},
    )  # fmt: skip
    assert 0.9 < plan.ledger(1).epsilon(1e-5) <= 1.0


class Centre(TransformerMixin, BaseEstimator):
    """Somebody else's step, which reads the mean."""

    def fit(self, X, y=None):
        self.mean_ = X.mean()
        return self

    def transform(self, X):
        return X - self.mean_


def test_a_leak_rule_is_one_line(monkeypatch):
    pipe = make_pipeline(Centre(), OffsetFusionClassifier({"age": Numeric(0, 60)}))
    home = Centre.__module__.split(".")[0]
    rule = known_steps.Rule("learns means from the cells")
    monkeypatch.setitem(known_steps.STEPS, f"{home}.Centre", rule)
    (leak,) = check_pipeline(pipe, X=TABLE).leaks
    assert leak.path == "centre" and leak.why == "learns means from the cells"


def test_a_data_set_is_a_table_with_declared_domains():
    data = SensitiveTable("made up", TABLE, TARGET.rename("y"), {"age": Numeric(0, 60)}, "60 made-up rows")
    model = OffsetFusionClassifier(data.sensitive, steps=1).fit(data.table, data.target)
    assert model.schema_.sensitive == ("age",)


def test_the_page_names_files_that_exist():
    root = Path(__file__).parents[1]
    page = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    words = page.replace("|", " ").split()
    named = {w.strip("`,;:()").rstrip(".") for w in words if "/" in w or w.endswith(".py`")}
    for name in named:
        if name.startswith((".venv", "http", '".')) or "://" in name:
            continue
        assert (root / name).exists() or (root / "skfusiondp" / name).exists(), name
