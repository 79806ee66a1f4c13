"""A pickle of a fitted imputer works, and carries no table along."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from skfusiondp.impute import FoundationImputer, SentenceBackend


@pytest.mark.parametrize("strategy", ["mean", "sample"])
def test_round_trip(strategy, domains, support, train):
    imputer = FoundationImputer(domains, support=support, strategy=strategy, random_state=0)
    imputer.fit(train)
    again = pickle.loads(pickle.dumps(imputer))
    pd.testing.assert_frame_equal(again.transform(train), imputer.transform(train))
    assert again.schema_ == imputer.schema_


def test_support_stays_out_of_the_pickle_of_a_fitted_imputer(domains, support, train):
    support["ward"] = "a secret of the support rows"
    marked = support.assign(note="a mark in an unused column")
    imputer = FoundationImputer(domains, support=marked, random_state=0)
    assert b"a mark in an unused column" in pickle.dumps(imputer)
    imputer.fit(train.assign(ward="x"))
    dumped = pickle.dumps(imputer)
    assert b"a mark in an unused column" not in dumped
    assert pickle.loads(dumped).support is None
    assert imputer.support is marked
    assert clone(imputer).support is not None


def test_training_cells_stay_out_of_the_pickle(domains, support, train):
    imputer = FoundationImputer(domains, support=support, random_state=0).fit(train)
    imputer.transform(train)
    dumped = pickle.dumps(imputer)
    for cell in train["age"]:
        assert np.float64(cell).tobytes() not in dumped


def test_sentence_pickle_has_neither_encoder_nor_sentences(domains, support, train, monkeypatch):
    class Encoder:
        def encode(self, sentences, **kwargs):
            return np.array([[len(s), 1.0] for s in sentences], dtype=np.float32)

        def __reduce__(self):
            raise AssertionError("the encoder is pickled")

    monkeypatch.setattr("skfusiondp.impute._sentence_backend.load_encoder", lambda *a: Encoder())
    imputer = FoundationImputer(domains, support=support, backend=SentenceBackend())
    hybrid = imputer.fit(train).transform(train)
    dumped = pickle.dumps(imputer)
    assert b"ward is north" not in dumped
    pd.testing.assert_frame_equal(pickle.loads(dumped).transform(train), hybrid)
