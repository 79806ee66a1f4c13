"""The adapters of TabICL and TabPFN, against stand-ins with the packages' interface."""

import os
import pickle
import sys
import types

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skfusiondp import Numeric
from skfusiondp.exceptions import InvalidInputError, MissingDependencyError
from skfusiondp.impute import FoundationImputer, TabICLBackend, TabPFNBackend


class Neighbour(BaseEstimator):
    """The nearest context row's answer; remembers how it was made."""

    made: list = []  # noqa: RUF012

    def __init__(self, *, model_path="auto", random_state=0, n_estimators=8, device=None):
        self.model_path = model_path
        self.random_state = random_state
        self.n_estimators = n_estimators
        self.device = device
        Neighbour.made.append(self)

    def fit(self, X, y):
        self.X_, self.y_, self.classes_ = np.nan_to_num(X), y, np.unique(y)
        return self

    def _nearest(self, X):
        gaps = np.nan_to_num(X)[:, None] - self.X_[None]
        return self.y_[np.argmin((gaps**2).sum(axis=2), axis=1)]

    def predict_proba(self, X):
        return (self._nearest(X)[:, None] == self.classes_).astype(float)


class StandInTabICL(Neighbour):
    def __init__(
        self,
        *,
        model_path=None,
        allow_auto_download=True,
        random_state=42,
        n_estimators=8,
        device=None,
    ):
        super().__init__(
            model_path=model_path,
            random_state=random_state,
            n_estimators=n_estimators,
            device=device,
        )
        self.allow_auto_download = allow_auto_download

    def predict(self, X, output_type="mean", alphas=None):
        assert output_type == ["mean", "quantiles"]
        mean = self._nearest(X)
        crossing = np.array(alphas)[::-1] - 0.5
        return {"mean": mean, "quantiles": mean[:, None] + crossing}


class StandInTabPFN(Neighbour):
    def __init__(
        self,
        *,
        model_path="auto",
        random_state=0,
        n_estimators=8,
        device="auto",
        categorical_features_indices=None,
    ):
        super().__init__(
            model_path=model_path,
            random_state=random_state,
            n_estimators=n_estimators,
            device=device,
        )
        self.categorical_features_indices = categorical_features_indices

    def predict(self, X, *, output_type="mean", quantiles=None):
        assert output_type == "main"
        mean = self._nearest(X)
        return {"mean": mean, "quantiles": [mean + q - 0.5 for q in quantiles]}


@pytest.fixture(params=["tabicl", "tabpfn"])
def name(request, monkeypatch):
    """Put a stand-in where the package would be imported from."""
    monkeypatch.setenv("TABPFN_DISABLE_TELEMETRY", "1")
    made = {"tabicl": ("TabICL", StandInTabICL), "tabpfn": ("TabPFN", StandInTabPFN)}
    prefix, model = made[request.param]
    module = types.ModuleType(request.param)
    setattr(module, f"{prefix}Classifier", model)
    setattr(module, f"{prefix}Regressor", model)
    monkeypatch.setitem(sys.modules, request.param, module)
    monkeypatch.setattr(Neighbour, "made", [])
    return request.param


@pytest.fixture
def paths(tmp_path):
    files = {task: tmp_path / f"{task}.ckpt" for task in ("classifier", "regressor")}
    for file in files.values():
        file.touch()
    return files


BACKENDS = {"tabicl": TabICLBackend, "tabpfn": TabPFNBackend}


def test_adapter(name, paths, domains, support, train):
    backend = BACKENDS[name](paths, options={"n_estimators": 3})
    imputer = FoundationImputer(domains, support=support, backend=backend, random_state=0)
    hybrid = imputer.fit_transform(train)
    assert np.corrcoef(hybrid["age"], train["age"])[0, 1] > 0.6
    assert (hybrid["sex"] == train["sex"]).mean() > 0.7
    fitted = [m for m in Neighbour.made if hasattr(m, "y_")]
    assert sorted(os.path.basename(m.model_path) for m in fitted) == [
        "classifier.ckpt",
        "regressor.ckpt",
    ]
    for model in fitted:
        assert model.n_estimators == 3
        assert model.random_state == imputer.backend_.random_state is not None
        assert getattr(model, "allow_auto_download", False) is False
    if name == "tabpfn":
        assert fitted[0].categorical_features_indices == [1]
    again = pickle.loads(pickle.dumps(imputer)).transform(train)
    assert again.equals(hybrid)


def test_draws_come_from_the_quantiles(name, paths, support, train):
    age = {"age": Numeric(0, 100)}
    imputer = FoundationImputer(age, support=support, backend=BACKENDS[name](paths))
    mean = imputer.fit_transform(train)["age"]
    drawn = imputer.set_params(strategy="sample").transform(train)["age"]
    assert 0.1 < np.abs(drawn - mean).max() <= 0.5
    assert np.allclose(imputer.set_params(strategy="median").transform(train)["age"], mean, atol=0.1)


def test_a_missing_file_is_never_downloaded(name, domains, support, train, tmp_path):
    backend = BACKENDS[name](tmp_path / "absent.ckpt")
    with pytest.raises(MissingDependencyError, match=r"absent\.ckpt.*never downloaded"):
        FoundationImputer(domains, support=support, backend=backend).fit(train)
    assert Neighbour.made == []


def test_each_task_needs_a_path(name, paths, domains, support, train):
    backend = BACKENDS[name]({"regressor": paths["regressor"]})
    with pytest.raises(InvalidInputError, match="no path for 'classifier'"):
        FoundationImputer(domains, support=support, backend=backend).fit(train)
    age = {"age": Numeric(0, 100)}
    FoundationImputer(age, support=support, backend=backend).fit(train)


def test_without_support_they_know_nothing(name, paths, domains, train):
    with pytest.warns(UserWarning, match="No support rows"):
        FoundationImputer(domains, backend=BACKENDS[name](paths)).fit(train)


@pytest.mark.parametrize("package", ["tabicl", "tabpfn"])
def test_missing_package(package, monkeypatch, domains, support, train):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf"skfusiondp\[{package}\]"):
        FoundationImputer(domains, support=support, backend=package).fit(train)


def test_tabpfn_chooses_no_weights_and_no_telemetry(monkeypatch, domains, support, train):
    monkeypatch.setitem(sys.modules, "tabpfn", types.ModuleType("tabpfn"))
    # Set and deleted, so that monkeypatch takes the adapter's own setting back.
    monkeypatch.setenv("TABPFN_DISABLE_TELEMETRY", "0")
    monkeypatch.delenv("TABPFN_DISABLE_TELEMETRY")
    with pytest.raises(MissingDependencyError, match=r"needs the path of weights"):
        FoundationImputer(domains, support=support, backend="tabpfn").fit(train)
    assert os.environ["TABPFN_DISABLE_TELEMETRY"] == "1"


def test_real_tabicl_without_weights(monkeypatch, support, train, tmp_path):
    pytest.importorskip("tabicl")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    age = {"age": Numeric(0, 100)}
    with pytest.raises(MissingDependencyError, match=r"finds no weights.*model_path="):
        FoundationImputer(age, support=support, backend="tabicl").fit(train)
    with pytest.raises(MissingDependencyError, match=r"absent\.ckpt"):
        backend = TabICLBackend(tmp_path / "absent.ckpt")
        FoundationImputer(age, support=support, backend=backend).fit(train)


def test_real_tabicl_with_untrained_weights(support, train, tmp_path):
    """Weights of random numbers guess badly, but everything is called as it really is."""
    pytest.importorskip("tabicl")
    import torch
    from tabicl._model.tabicl import TabICL

    small = {
        "embed_dim": 8, "col_num_blocks": 1, "col_nhead": 2, "col_num_inds": 4,
        "row_num_blocks": 1, "row_nhead": 2, "row_num_cls": 2, "icl_num_blocks": 1, "icl_nhead": 2,
    }  # fmt: skip
    paths = {}
    for task, classes in (("classifier", 10), ("regressor", 0)):
        model = TabICL(max_classes=classes, **small)
        paths[task] = tmp_path / f"{task}.ckpt"
        config = {**small, "max_classes": classes}
        torch.save({"config": config, "state_dict": model.state_dict()}, paths[task])
    backend = TabICLBackend(paths, options={"n_estimators": 2, "device": "cpu"})
    domains = {"age": Numeric(0, 100), "sex": None}
    imputer = FoundationImputer(domains, support=support, backend=backend, random_state=0)
    hybrid = imputer.set_params(strategy="sample").fit_transform(train)
    assert hybrid["age"].between(0, 100).all()
    assert set(hybrid["sex"]) <= {"f", "m"}
    assert pickle.loads(pickle.dumps(imputer)).transform(train).equals(hybrid)
