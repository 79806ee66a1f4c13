"""TabICL and TabPFN as they are, with tiny weights of random numbers in their own file formats.

Such weights guess badly, so nothing here judges guesses: the tests say that our adapters call the packages as
they want to be called, that what comes back is a distribution, and that nothing is fetched over the network.
"""

import dataclasses
import pickle
import socket
import subprocess
import sys
import urllib.request

import numpy as np
import pandas as pd
import pytest
import torch

from skfusiondp import Numeric
from skfusiondp.exceptions import InvalidInputError, MissingDependencyError
from skfusiondp.impute import FoundationImputer, TabICLBackend, TabPFNBackend

# Kinds of weights; TabPFN 3.5 changed the format (one safetensors file for both tasks) and the network.
KINDS = ("tabicl", "tabpfn-v2", "tabpfn-v3.5")
N_BUCKETS = 20
BORDERS = torch.linspace(-4, 4, N_BUCKETS + 1)


class NetworkUsed(BaseException):
    """Not an `Exception`: the packages would catch that, and try the next address."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise NetworkUsed(args)

    for owner, name in (
        (socket.socket, "connect"),
        (socket.socket, "connect_ex"),
        (socket, "create_connection"),
        (socket, "getaddrinfo"),
        (urllib.request, "urlopen"),
    ):
        monkeypatch.setattr(owner, name, refuse)


def shaken(model):
    """Random weights everywhere: as they start, the networks say the same of every row."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
        for name, buffer in model.named_buffers():
            if name.endswith("regression_borders"):
                buffer.copy_(BORDERS)
    return model


def save_tabicl(folder):
    pytest.importorskip("tabicl")
    from tabicl._model.tabicl import TabICL

    small = {
        "embed_dim": 8, "col_num_blocks": 1, "col_nhead": 2, "col_num_inds": 4, "row_num_blocks": 1,
        "row_nhead": 2, "row_num_cls": 2, "icl_num_blocks": 1, "icl_nhead": 2, "num_quantiles": 99,
    }  # fmt: skip
    paths = {}
    for task, classes in (("classifier", 10), ("regressor", 0)):
        config = {**small, "max_classes": classes}
        paths[task] = folder / f"tabicl-{task}.ckpt"
        torch.save({"config": config, "state_dict": shaken(TabICL(**config)).state_dict()}, paths[task])
    return paths


def save_tabpfn_v2(folder):
    v2 = pytest.importorskip("tabpfn.architectures.tabpfn_v2")
    paths = {}
    for task, sizes in (
        ("classifier", {"max_num_classes": 10}),
        ("regressor", {"max_num_classes": 0, "num_buckets": N_BUCKETS}),
    ):
        config, _ = v2.parse_config({"emsize": 8, "nlayers": 1, "nhead": 2, **sizes})
        state = shaken(v2.get_architecture(config)).state_dict()
        if task == "regressor":
            # Such files carry the borders of the predicted histogram as part of the training loss.
            state["criterion.borders"] = BORDERS
            state["criterion.losses_per_bucket"] = torch.zeros(N_BUCKETS)
        paths[task] = folder / f"tabpfn-v2-{task}.ckpt"
        torch.save({"state_dict": state, "config": dataclasses.asdict(config)}, paths[task])
    return paths


def save_tabpfn_v3_5(folder):
    v3_5 = pytest.importorskip("tabpfn.architectures.tabpfn_v3_5")
    from tabpfn.checkpoint import save_as_safetensors
    from tabpfn.constants import ModelVersion
    from tabpfn.inference_config import InferenceConfig

    small = {
        "embed_dim": 8, "dist_embed_num_blocks": 1, "dist_embed_num_heads": 2, "feat_agg_num_blocks": 1,
        "dist_embed_num_inducing_points": 4, "feat_agg_num_heads": 2, "feat_agg_num_cls_tokens": 2,
        "nlayers": 1, "icl_num_heads": 2, "decoder_head_dim": 4, "decoder_num_heads": 2,
    }  # fmt: skip
    config, _ = v3_5.parse_config({**small, "max_num_classes": 10, "num_buckets": N_BUCKETS})
    # The package has no preprocessing of its own for 3.5: the file carries it. That of 2.5 is as good here.
    preprocessing = InferenceConfig.get_default("multiclass", ModelVersion.V2_5)
    path = folder / "tabpfn-v3.5-20260909.safetensors"
    save_as_safetensors(
        {
            "state_dict": shaken(v3_5.get_architecture(config)).state_dict(),
            "config": dataclasses.asdict(config),
            "architecture_name": "tabpfn_v3_5",
            "inference_config": dataclasses.asdict(preprocessing),
        },
        path,
    )
    return path


SAVE = dict(zip(KINDS, (save_tabicl, save_tabpfn_v2, save_tabpfn_v3_5), strict=True))


@pytest.fixture(params=KINDS)
def backend(request, tmp_path):
    made = TabICLBackend if request.param == "tabicl" else TabPFNBackend
    return made(SAVE[request.param](tmp_path), options={"n_estimators": 2, "device": "cpu"})


@pytest.fixture
def support(support):
    return support[:60]


@pytest.fixture
def train(train):
    return train[:20]


@pytest.fixture
def imputer(backend, domains, support):
    return FoundationImputer(domains, support=support, backend=backend, random_state=0)


def test_each_strategy(imputer, train, tmp_path):
    imputer.fit(train)
    ages = {}
    for strategy in ("mean", "median", "sample"):
        hybrid = imputer.set_params(strategy=strategy).transform(train)
        assert hybrid["age"].between(0, 100).all()
        assert set(hybrid["sex"]) <= {"f", "m"}
        pd.testing.assert_frame_equal(hybrid[["lab", "ward"]], train[["lab", "ward"]])
        ages[strategy] = hybrid["age"]
    assert ages["mean"].nunique() > 5  # the network reads the public columns
    assert not np.allclose(ages["mean"], ages["median"])
    assert not np.allclose(ages["sample"], ages["median"])
    # The weights are all that is on disk: nothing was fetched or left beside them.
    assert {file.suffix for file in tmp_path.iterdir()} <= {".ckpt", ".safetensors"}


def test_what_is_predicted_is_a_distribution(imputer, train):
    predicted = imputer.fit(train).backend_.predict(train[["lab", "ward"]])
    shares = predicted["sex"].probabilities
    assert shares.shape == (len(train), 2)
    assert np.allclose(shares.sum(axis=1), 1) and (shares > 0).all()
    quantiles, mean = predicted["age"].atoms, predicted["age"].mean
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert (np.ptp(quantiles, axis=1) > 0).all()
    # Both are in the units of the column, and say the same: a mean is about that of equally likely quantiles.
    assert np.abs(mean - quantiles.mean(axis=1)).max() < 0.2 * np.ptp(quantiles, axis=1).min()


def test_a_row_is_guessed_from_itself_alone(imputer, train):
    """Rows come in batches, so one that has a missing cell is guessed alone as it is among others."""
    public = train[["lab", "ward"]]
    missing = int(np.flatnonzero(public["lab"].isna())[0])
    predict = imputer.fit(train).backend_.predict
    among = predict(public)
    for row in (missing, missing + 1):
        alone = predict(public.iloc[[row]])
        assert np.allclose(alone["age"].mean, among["age"].mean[row], rtol=1e-4)
        assert np.allclose(alone["sex"].probabilities, among["sex"].probabilities[row], rtol=1e-4)


def test_missing_cells_texts_and_unknown_words(imputer, train):
    odd = train.copy()
    odd.loc[odd.index[:5], "ward"] = None
    odd.loc[odd.index[5:10], "ward"] = "elsewhere"
    odd["lab"] = np.nan
    hybrid = imputer.fit(train).transform(odd)
    assert hybrid["age"].between(0, 100).all()
    assert hybrid["sex"].notna().all()
    assert hybrid["lab"].isna().all()


def test_random_state_repeats(backend, support, train):
    # The seed shuffles public columns; of few ones, all orders would be in the ensemble.
    known, asked = (
        table.assign(square=table["lab"] ** 2, cube=table["lab"] ** 3) for table in (support[:30], train[:5])
    )

    def ages(random_state):
        age = {"age": Numeric(0, 100)}
        imputer = FoundationImputer(age, support=known, backend=backend, random_state=random_state)
        return imputer.fit_transform(asked)["age"].tolist()

    assert ages(0) == ages(0) != ages(1)


def test_a_pickle_guesses_the_same(imputer, train):
    hybrid = imputer.fit_transform(train)
    assert pickle.loads(pickle.dumps(imputer)).transform(train).equals(hybrid)


def test_only_the_file_of_the_task_is_needed(support, train, tmp_path):
    paths = save_tabicl(tmp_path)
    age = {"age": Numeric(0, 100)}
    backend = TabICLBackend({"regressor": paths["regressor"]}, options={"n_estimators": 1, "device": "cpu"})
    hybrid = FoundationImputer(age, support=support, backend=backend, random_state=0).fit_transform(train)
    assert hybrid["age"].between(0, 100).all()


@pytest.mark.parametrize("package", ["tabicl", "tabpfn"])
@pytest.mark.parametrize("name", ["tabpfn-v3.5-20260909.safetensors", "tabpfn-v2-regressor.ckpt"])
def test_a_missing_file_is_not_fetched(package, name, domains, support, train, tmp_path):
    pytest.importorskip(package)
    made = {"tabicl": TabICLBackend, "tabpfn": TabPFNBackend}[package]
    imputer = FoundationImputer(domains, support=support, backend=made(tmp_path / name))
    with pytest.raises(MissingDependencyError, match="never downloaded"):
        imputer.fit(train)
    assert list(tmp_path.iterdir()) == []


def test_without_a_path_the_cache_is_read_and_nothing_fetched(domains, support, train, tmp_path, monkeypatch):
    tabicl = pytest.importorskip("tabicl")
    import huggingface_hub.constants

    cache = tmp_path / "cache"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    backend = TabICLBackend(options={"n_estimators": 1, "device": "cpu"})
    imputer = FoundationImputer(domains, support=support, backend=backend, random_state=0)
    with pytest.raises(MissingDependencyError, match="finds no weights"):
        imputer.fit(train)
    assert list(tmp_path.iterdir()) == []

    repository = cache / "models--jingang--TabICL"
    (repository / "snapshots" / "revision").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("revision")
    made = {"classifier": tabicl.TabICLClassifier, "regressor": tabicl.TabICLRegressor}
    for task, path in save_tabicl(tmp_path).items():
        path.rename(repository / "snapshots" / "revision" / made[task]().checkpoint_version)
    assert imputer.fit_transform(train)["age"].between(0, 100).all()


def test_links_keep_the_official_name(domains, support, train, tmp_path):
    """The Hugging Face cache links official names to files that are named by their hash."""
    blobs = {task: path.rename(tmp_path / f"{task}-hash") for task, path in save_tabpfn_v2(tmp_path).items()}
    links = {task: tmp_path / f"tabpfn-v2-{task}.ckpt" for task in blobs}
    for task, link in links.items():
        link.symlink_to(blobs[task])
    backend = TabPFNBackend(links, options={"n_estimators": 1, "device": "cpu"})
    imputer = FoundationImputer(domains, support=support, backend=backend, random_state=0).fit(train)
    assert imputer.backend_.heads_["age"].model.model_path == str(links["regressor"])
    assert imputer.transform(train)["age"].between(0, 100).all()


def test_a_link_that_tabpfn_misreads_is_refused(domains, support, train, tmp_path):
    path = save_tabpfn_v3_5(tmp_path)
    blob = path.rename(tmp_path / "hash")
    path.symlink_to(blob)
    with pytest.raises(InvalidInputError, match=r"is a link.*cp -L"):
        FoundationImputer(domains, support=support, backend=TabPFNBackend(path)).fit(train)


BLOCKED = """
import socket

def refuse(*args, **kwargs):
    raise SystemExit(f"network used: {args}")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
"""


@pytest.mark.slow
@pytest.mark.parametrize("package", ["tabicl", "tabpfn"])
def test_the_first_import_of_a_process_uses_no_network(package):
    """Telemetry and questions for a newer version would be sent here."""
    pytest.importorskip(package)
    done = subprocess.run(
        [sys.executable, "-c", f"{BLOCKED}\nimport {package}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
