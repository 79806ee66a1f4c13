"""The promise that makes the hybrid view free: it depends on no sensitive training cell."""

import pickle

import numpy as np
import pandas as pd
import pytest

from skfusiondp.impute import FoundationImputer, SentenceBackend


def scrambled(train, seed=5):
    """Other sensitive cells, missing ones among them; the public columns stay."""
    rng = np.random.default_rng(seed)
    other = train.copy()
    other["age"] = np.where(rng.random(len(train)) < 0.3, np.nan, rng.uniform(0, 100, len(train)))
    other["sex"] = rng.choice(np.array(["f", "m", None, "?"], dtype=object), len(train))
    return other


@pytest.mark.parametrize("strategy", ["mean", "median", "sample"])
@pytest.mark.parametrize("backend", ["ensemble", "domain"])
def test_sensitive_cells_change_neither_state_nor_hybrid(backend, strategy, domains, support, train):
    parameters = {"support": support, "backend": backend, "strategy": strategy, "random_state": 0}
    one = FoundationImputer(domains, **parameters).fit(train)
    two = FoundationImputer(domains, **parameters).fit(scrambled(train))
    # The dicts of the two objects are made the same way, so equal state means equal bytes.
    assert pickle.dumps(vars(one)["backend_"]) == pickle.dumps(vars(two)["backend_"])
    a, b = one.transform(train), two.transform(scrambled(train))
    pd.testing.assert_frame_equal(a, b, check_exact=True)


def test_sentences_do_not_mention_sensitive_columns(domains, support, train, monkeypatch):
    read = []

    class Spy:
        def encode(self, sentences, **kwargs):
            read.extend(sentences)
            return np.ones((len(sentences), 4), dtype=np.float32)

    monkeypatch.setattr("skfusiondp.impute._sentence_backend.load_encoder", lambda *a: Spy())
    backend = SentenceBackend()
    FoundationImputer(domains, support=support, backend=backend).fit_transform(train)
    assert read and not any("age" in s or "sex" in s for s in read)


def test_other_sensitive_columns_and_the_label_are_not_used(domains, support, train):
    imputer = FoundationImputer(domains, support=support, random_state=0)
    with_label = imputer.fit(train, y=train["age"]).transform(train)
    without = imputer.fit(train).transform(train.drop(columns="sex"))
    pd.testing.assert_frame_equal(with_label, without, check_exact=True)


def test_rows_do_not_influence_each_other(domains, support, train):
    imputer = FoundationImputer(domains, support=support, random_state=0).fit(train)
    pd.testing.assert_frame_equal(imputer.transform(train).iloc[7:9], imputer.transform(train[7:9]))
