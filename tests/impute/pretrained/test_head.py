"""What the pretrained head guesses, and what it must not depend on."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from skfusiondp import Categorical, Numeric
from skfusiondp.impute._linear_head import LinearHead
from skfusiondp.impute.pretrained import _process
from skfusiondp.impute.pretrained._head import PretrainedHead
from skfusiondp.impute.pretrained._statistics import N_OF_FEATURE, N_OF_TABLE, statistics
from skfusiondp.impute.pretrained._weights import FILE, pretrained

AGE, SEX = Numeric(0, 100), Categorical(["f", "m", "x"])


def made(n, seed=0, bent=True):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4))
    signal = np.abs(features[:, 0]) if bent else features[:, 0]
    age = np.clip(50 + 15 * (signal - signal.mean()) + 3 * rng.normal(size=n), 0, 100)
    sex = (signal + 0.3 * rng.normal(size=n) > np.median(signal)).astype(np.int64) * 2
    return features, age, sex


def r2(guess, target):
    return 1 - ((guess - target) ** 2).mean() / target.var()


def test_it_sees_curves_that_a_linear_model_does_not():
    (features, age, sex), (others, age_, sex_) = made(150), made(400, 1)
    found = r2(PretrainedHead(AGE).fit(features, age).predict(others).mean, age_)
    assert found > 0.5 > r2(LinearHead(AGE).fit(features, age).predict(others).mean, age_) + 0.4
    p = PretrainedHead(SEX).fit(features, sex).predict(others).probabilities
    assert p.shape == (400, 3) and np.allclose(p.sum(axis=1), 1) and (p[:, 1] == 0).all()
    assert (p.argmax(axis=1) == sex_).mean() > 0.75


@pytest.mark.parametrize("n", [12, 64, 256])
def test_of_noise_it_says_what_is_usual(n):
    rng = np.random.default_rng(n)
    features, others = rng.normal(size=(n, 6)), rng.normal(size=(500, 6))
    age, age_ = rng.uniform(0, 100, n), rng.uniform(0, 100, 500)
    plain = r2(np.full(500, age.mean()), age_)
    assert r2(PretrainedHead(AGE).fit(features, age).predict(others).mean, age_) > plain - 0.08
    head = PretrainedHead(SEX).fit(features, rng.permutation(np.arange(n) % 2))
    assert np.abs(head.predict(others).probabilities[:, 0] - 0.5).mean() < 0.12


@pytest.mark.parametrize("domain", [AGE, SEX], ids=["number", "classes"])
def test_order_of_rows_and_of_features_and_units_do_not_matter(domain):
    features, age, sex = made(80)
    target, others = (age if domain is AGE else sex), made(50, 1)[0]

    def guess(support, target, asked):
        found = PretrainedHead(domain).fit(support, target).predict(asked)
        return found.mean if domain is AGE else found.probabilities

    plain = guess(features, target, others)
    np.testing.assert_allclose(guess(features[:, ::-1], target, others[:, ::-1]), plain, atol=1e-3)
    np.testing.assert_allclose(guess(7 * features - 3, target, 7 * others - 3), plain, atol=1e-3)
    # Figures of reference kernels come from the first rows alone where there are many; not here.
    order = np.random.default_rng(0).permutation(80)
    np.testing.assert_allclose(guess(features[order], target[order], others), plain, atol=1e-3)


def test_rows_are_guessed_one_by_one_alike():
    features, age, _ = made(60)
    others = made(1100, 1)[0]
    head = PretrainedHead(AGE).fit(features, age)
    whole = head.predict(others).mean
    np.testing.assert_allclose(head.predict(others[700:710]).mean, whole[700:710], rtol=1e-5)
    assert head.predict(others[:0]).mean.shape == (0,)


@pytest.mark.parametrize("domain", [AGE, SEX], ids=["number", "classes"])
def test_many_support_rows_are_projected(domain, monkeypatch):
    features, age, sex = made(900)
    target, others = (age if domain is AGE else sex), made(200, 1)[0]
    exact = PretrainedHead(domain).fit(features, target)
    monkeypatch.setattr(_process, "_EXACT_ROWS", 500)
    monkeypatch.setattr(_process, "_SKETCH_ROWS", 300)
    rough = PretrainedHead(domain).fit(features, target)
    assert len(rough.process_.rows) == 300 and rough.left_out_.shape == exact.left_out_.shape
    a, b = exact.predict(others), rough.predict(others)
    if domain is AGE:
        assert np.corrcoef(a.mean, b.mean)[0, 1] > 0.98
    else:
        assert np.abs(a.probabilities - b.probabilities).mean() < 0.05


def test_wide_tables_and_wild_cells():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 500))
    features[:, 3] = 1.0
    target = 50 + 10 * features[:, 400]
    head = PretrainedHead(AGE).fit(features, target)
    assert 400 in head.columns_ and 3 not in head.columns_ and len(head.columns_) == 128
    wild = np.full((3, 500), 1e300)
    wild[1] = -1e300
    assert np.isfinite(head.predict(wild).mean).all()


def test_a_hundred_classes():
    rng = np.random.default_rng(0)
    many = Categorical(list(range(120)))
    target = np.repeat(np.arange(100), 5)
    features = np.column_stack([target + 0.2 * rng.normal(size=500), rng.normal(size=500)])
    p = PretrainedHead(many).fit(features, target).predict(features).probabilities
    assert p.shape == (500, 120) and (p[:, 100:] == 0).all()
    assert np.log(p[np.arange(500), target]).mean() > np.log(1 / 100) + 1.0


def test_figures_are_read_from_the_support_and_are_finite():
    features = torch.zeros((1, 10, 2), dtype=torch.float64)
    features[0, :5, 0] = 1.0
    scale = _process.Scale.of(features)
    labels = torch.zeros((1, 10, 1), dtype=torch.float64)
    of_features, of_tables = statistics(
        _process.Channels.of(features, scale), labels, torch.ones(1, 1).double(), 0
    )
    assert of_features.shape == (1, 2, N_OF_FEATURE) and of_tables.shape == (1, N_OF_TABLE)
    assert torch.isfinite(of_features).all() and torch.isfinite(of_tables).all()


def test_weights_are_small_and_come_with_the_package():
    assert FILE.stat().st_size < 1_000_000
    assert sum(p.numel() for p in pretrained().parameters()) < 50_000
    card = FILE.with_name("MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Synthetic tables alone" in card and "BSD-3-Clause" in card


def test_nothing_is_fetched():
    code = """
import socket
def no(*a, **k): raise OSError("the network is off")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = no
import numpy as np, pandas as pd
from skfusiondp import FoundationImputer, Numeric
rng = np.random.default_rng(0)
t = pd.DataFrame({"lab": rng.normal(size=60)})
t["age"] = 50 + 10 * t["lab"]
found = FoundationImputer({"age": Numeric(0, 100)}, support=t, random_state=0).fit_transform(t)
assert abs(found["age"] - t["age"]).mean() < 5
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(("n", "off"), [(300, 0.05), (1500, 0.025), (6000, 0.025)])
def test_from_many_rows_it_learns_how_often_a_class_occurs(n, off):
    rng = np.random.default_rng(0)
    ward = rng.integers(2, size=n)
    sex = ((ward == 0) & (rng.random(n) < 0.8)).astype(np.int64)
    head = PretrainedHead(SEX).fit(ward[:, None].astype(float), sex)
    p = head.predict(np.array([[0.0], [1.0]])).probabilities[:, 1]
    assert p[0] == pytest.approx(sex[ward == 0].mean(), abs=off) and p[1] < 0.03
