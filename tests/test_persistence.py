"""Files that hold a model and no rows, and that are loaded without running anything of theirs."""

import json
import pickle
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

pytest.importorskip("skops")
pytest.importorskip("safetensors")

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    OffsetFusionClassifier,
    OffsetFusionRegressor,
    PrivacyBudget,
    PrivateSynthesizer,
    SynthesizedClassifier,
    SynthesizedRegressor,
    persistence,
)
from skfusiondp.exceptions import InvalidInputError, MissingDependencyError
from skfusiondp.persistence import load, save
from skfusiondp.preprocessing import (
    PrivateCategories,
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
)

N = 150
WORD = "zanzibarquagga"
DOMAINS = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}


def made(n, seed):
    rng = np.random.default_rng(seed)
    lab = rng.normal(size=n)
    return pd.DataFrame(
        {
            "lab": lab,
            "ward": rng.choice(["north", "south"], n),
            "age": np.clip(45 + 15 * lab + rng.normal(scale=5, size=n), 5, 95),
            "sex": rng.choice(["f", "m"], n),
        }
    )


X, SUPPORT = made(N, 0), made(60, 1)
TARGET = (X["lab"] + (X["sex"] == "f") > 0.5).to_numpy().astype(int)


class OwnModule(torch.nn.Module):
    def __init__(self, n_features, n_outputs, width=3):
        super().__init__()
        self.body = torch.nn.Linear(n_features, width)
        self.head = torch.nn.Linear(width, n_outputs)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)))


OWN = [f"{OwnModule.__module__}.OwnModule"]


def model(cls=FusionDPClassifier, **parameters):
    backend = {"age": LinearRegression(), "sex": LogisticRegression()}
    settings = {
        "imputer": FoundationImputer(support=SUPPORT, backend=backend),
        "steps": 3,
        "public_epochs": 1,
        "random_state": 0,
    }
    return cls(DOMAINS, **{**settings, **parameters})


MODELS = {
    "default": model(),
    "all parameters private": model(private_parameters=["*"], module__hidden=(8,)),
    "trees": model(imputer=FoundationImputer(support=SUPPORT)),
    "regressor": model(FusionDPRegressor),
    "hybrid": model(method="hybrid"),
    "dp-sgd": model(method="dp-sgd"),
    "optimizer": model(optimizer=torch.optim.SGD),
    "offset": OffsetFusionClassifier(DOMAINS, random_state=0),
    "offset, labelled": OffsetFusionClassifier(
        DOMAINS, support=SUPPORT, support_target=np.arange(len(SUPPORT)) % 2, random_state=0
    ),
    "offset regressor": OffsetFusionRegressor(DOMAINS, random_state=0),
    "synthesizer": PrivateSynthesizer(DOMAINS, random_state=0),
    "synthesizer, support": PrivateSynthesizer(DOMAINS, support=SUPPORT, random_state=0),
    "synthesized": SynthesizedClassifier(DOMAINS, n_draws=1, random_state=0),
    "synthesized regressor": SynthesizedRegressor(DOMAINS, n_draws=1, random_state=0),
    "pipeline": make_pipeline(
        FoundationImputer(DOMAINS, support=SUPPORT, backend="domain", output="paired"),
        FusionDPClassifier(steps=2, public_epochs=0),
    ),
    "imputer": FoundationImputer(DOMAINS, support=SUPPORT),
    "quantiles": PrivateQuantileTransformer(DOMAINS),
    "scaler": PrivateStandardScaler(DOMAINS),
    "categories": PrivateCategories(DOMAINS),
    "selector": PrivateSelectKBest(DOMAINS, k=1),
}


def answers(estimator):
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X)
    return np.asarray(estimator.predict(X) if hasattr(estimator, "predict") else estimator.transform(X))


@pytest.mark.one_in(8)
@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_answers_alike(name, tmp_path):
    fitted = MODELS[name].fit(X, TARGET)
    save(fitted, tmp_path / "model")
    again = load(tmp_path / "model")
    # Of drawn tables cells may be missing.
    assert type(again) is type(fitted) and pd.DataFrame(answers(again)).equals(pd.DataFrame(answers(fitted)))
    if hasattr(fitted, "ledger_"):
        assert again.ledger_ == fitted.ledger_ and again.epsilon_ == fitted.epsilon_
        assert str(again.privacy_report()) == str(fitted.privacy_report())
        assert again.schema_ == fitted.schema_
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.fixture(scope="module")
def fitted():
    return model(module__hidden=(8,)).fit(X, TARGET)


@pytest.fixture
def path(fitted, tmp_path):
    save(fitted, tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.slow
@pytest.mark.parametrize("write", [lambda m, path: save(m, path), lambda m, path: pickle.dumps(m)])
@pytest.mark.parametrize("cls", [FusionDPClassifier, OffsetFusionClassifier])
def test_saving_changes_nothing(cls, write, tmp_path):
    imputer = FoundationImputer(support=SUPPORT, backend="domain")
    fitted = cls(DOMAINS, imputer=imputer, random_state=0).fit(X, TARGET)
    write(fitted, tmp_path / "model")
    assert fitted.imputer is imputer and imputer.support is SUPPORT


@pytest.mark.slow
def test_a_loaded_model_goes_on(fitted, path):
    again = load(path)
    assert again.history_ is not None and len(again.net_.history) == len(fitted.net_.history)
    absent = X.drop(columns=["age", "sex"])
    assert np.array_equal(again.predict_proba(absent), fitted.predict_proba(absent))
    again.set_params(imputer=FoundationImputer(support=SUPPORT, backend="domain")).fit(X, TARGET)
    assert again.ledger_.entries == 2 * fitted.ledger_.entries  # a refit adds to what was paid
    save(again, path)
    assert load(path).ledger_ == again.ledger_
    assert np.array_equal(pickle.loads(pickle.dumps(load(path))).predict(X), again.predict(X))


def everything_in(path):
    """All bytes of a file, those of the files inside it unpacked."""
    parts = []
    with zipfile.ZipFile(path) as file:
        for name in file.namelist():
            data = file.read(name)
            parts.append(data)
            if name.endswith(".skops"):
                (path.parent / "inner").write_bytes(data)
                with zipfile.ZipFile(path.parent / "inner") as inner:
                    parts += [inner.read(n) for n in inner.namelist()]
    return b"".join(parts)


def test_no_rows_are_in_the_file(tmp_path):
    train = X.assign(age=50 + np.arange(N) * np.pi / 1000)
    train.loc[5, "sex"] = WORD
    marked = SUPPORT.assign(unused=WORD)
    backend = {"age": LinearRegression(), "sex": LogisticRegression()}
    imputer = FoundationImputer(support=marked, backend=backend)
    save(model(imputer=imputer).fit(train, TARGET), tmp_path / "model")
    data = everything_in(tmp_path / "model")
    assert b"FusionDPClassifier" in data and WORD.encode() not in data
    for values in (train["age"], marked["age"], marked["lab"]):
        kinds = [np.asarray(v, dtype=t).tobytes() for v in values for t in (np.float64, np.float32)]
        assert sum(k in data for k in kinds) <= 2  # a knot may be a cell of a public column
        assert sum(repr(float(v)).encode() in data for v in values) <= 12


@pytest.mark.slow
def test_support_rows_of_an_unfitted_part_are_refused(tmp_path):
    search = GridSearchCV(model(steps=1), {"alpha": [1.0]}, cv=2).fit(X, TARGET)
    search.estimator.imputer.set_params(support=SUPPORT)
    with pytest.raises(InvalidInputError, match=r"support holds support rows.*best_estimator_"):
        save(search, tmp_path / "search")
    assert not list(tmp_path.iterdir())
    save(search.best_estimator_, tmp_path / "search")
    assert np.array_equal(load(tmp_path / "search").predict(X), search.predict(X))


def test_of_a_search_inside_the_message_says_to_keep_what_it_has_chosen(tmp_path):
    search = GridSearchCV(HistGradientBoostingClassifier(max_iter=3), {"max_depth": [2]}, cv=2)
    model = SynthesizedClassifier(DOMAINS, estimator=search, noise_multiplier=2.0).fit(X, TARGET)
    before = model.predict(X)
    with pytest.raises(InvalidInputError, match="is a search, GridSearchCV: keep what") as said:
        save(model, tmp_path / "model")
    (remedy,) = re.findall(r"(\w+)\.estimator_ = \1\.estimator_\.best_estimator_", str(said.value))
    assert remedy == "model"
    model.estimator_ = model.estimator_.best_estimator_
    save(model, tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").predict(X), before)


def test_a_shared_budget_stays_behind(tmp_path):
    budget = PrivacyBudget(5.0, 1e-3)
    fitted = model(budget=budget).fit(X, TARGET)
    save(fitted, tmp_path / "model")
    assert load(tmp_path / "model").budget is None and fitted.budget == budget


def test_other_peoples_classes_must_be_named_on_both_sides(tmp_path):
    fitted = model(module=OwnModule, module__width=4).fit(X, TARGET)
    with pytest.raises(InvalidInputError, match=r"OwnModule.*trusted=\["):
        save(fitted, tmp_path / "model")
    save(fitted, tmp_path / "model", trusted=OWN)
    with pytest.raises(InvalidInputError, match=r"OwnModule.*load\(\.\.\., trusted=\["):
        load(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model", trusted=OWN).predict(X), fitted.predict(X))


def test_an_object_as_module_and_an_unfitted_estimator_are_refused(tmp_path, fitted):
    own = model(module=OwnModule, module__width=4).fit(X, TARGET)
    width = own.encoder_.get_feature_names_out().size
    built = model(module=OwnModule(width, 1), module__hidden=None)
    built._net_parameter_names = ()
    with pytest.raises(InvalidInputError, match="is an object"):
        save(built.fit(X, TARGET), tmp_path / "model")
    with pytest.raises(NotFittedError):
        save(model(), tmp_path / "model")


class Evil:
    ran = False

    def __reduce__(self):
        return exec, ("raise SystemExit",)


def test_files_that_are_none_of_ours(tmp_path, path):
    good = path.read_bytes()
    foreign = tmp_path / "foreign"
    for content in (b"", b"hello", pickle.dumps(Evil()), good[: len(good) // 2], good[:-30]):
        foreign.write_bytes(content)
        with pytest.raises(InvalidInputError, match="nothing was loaded"):
            load(foreign)
    with zipfile.ZipFile(foreign, "w") as file:
        file.writestr("other.txt", "hello")
    with pytest.raises(InvalidInputError, match="is no file that"):
        load(foreign)
    with pytest.raises(InvalidInputError, match=r"absent' does not exist"):
        load(tmp_path / "absent")
    with pytest.raises(InvalidInputError, match="is no file that"):
        load(tmp_path)
    with pytest.raises(InvalidInputError, match="cannot be written"):
        save(load(path), tmp_path / "no" / "folder")


def rewritten(path, name, change):
    with zipfile.ZipFile(path) as file:
        parts = {n: file.read(n) for n in file.namelist()}
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w") as file:
        for n, data in parts.items():
            file.writestr(n, data)


def test_versions_are_stamped(path):
    def older(data):
        stamp = json.loads(data)
        assert stamp["class"] == "FusionDPClassifier" and stamp["versions"]["scikit-learn"]
        stamp["versions"]["scikit-learn"] = "1.0"
        return json.dumps(stamp)

    rewritten(path, "skfusiondp.json", older)
    with pytest.warns(UserWarning, match=r"scikit-learn 1\.0 \(here"):
        load(path)


@pytest.mark.parametrize("layout", [1, 99, "x", None])
def test_a_file_of_another_layout_is_refused_in_one_sentence(path, layout):
    rewritten(path, "skfusiondp.json", lambda d: json.dumps({**json.loads(d), "layout": layout}))
    with pytest.raises(InvalidInputError, match="layout") as caught:
        load(path)
    assert "fit the model anew" in str(caught.value) and ". " not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "skfusiondp.impute._sentence_backend.SentenceBackend",  # reads a model from a path in the file
        "skfusiondp.training._net.FusionDPNet",
        "skfusiondp.persistence.load",
        "skfusiondp.persistence.importlib",
        "skfusiondp.persistence.FusionDPClassifier",
        "skfusiondp.nothing.Here",
        "os.system",
    ],
)
def test_only_classes_that_say_so_are_plain_values(name):
    assert persistence._is_plain("skfusiondp.tables._numeric.Numeric")
    assert not persistence._is_plain(name)


def test_a_subclass_of_plain_values_is_no_plain_values(monkeypatch):
    class Own(Numeric):
        pass

    Own.__module__, Own.__qualname__ = "skfusiondp.tables._numeric", "Numeric"
    monkeypatch.setattr("skfusiondp.tables._numeric.Numeric", Own)
    assert not persistence._is_plain("skfusiondp.tables._numeric.Numeric")


def test_weights_of_another_shape_are_refused(path):
    from safetensors.torch import load as tensors
    from safetensors.torch import save as dumped

    def cut(data):
        return dumped({n: t[:1].clone() for n, t in tensors(data).items()})

    rewritten(path, "weights.safetensors", cut)
    with pytest.raises(InvalidInputError, match=r"(?s)is damaged.*nothing was loaded"):
        load(path)


@pytest.mark.slow
def test_trees_that_point_outside_themselves_are_refused(tmp_path):
    imputer = FoundationImputer(DOMAINS, support=SUPPORT).fit(X)
    for change in ("boosting", "forest", "sparse"):
        broken = pickle.loads(pickle.dumps(imputer))
        head = broken.backend_.heads_["age"].members_[0]
        forest, _, boosting = head.models_
        if change == "boosting":
            boosting._predictors[0][0].nodes["left"][0] = 10**6
        elif change == "forest":
            forest.estimators_[0].tree_.children_left[0] = 10**6
        else:
            head.leaf_weights_.indices[0] = 10**6
        save(broken, tmp_path / "model")
        with pytest.raises(InvalidInputError, match="is damaged"):
            load(tmp_path / "model")


def test_absent_packages_are_named(monkeypatch, tmp_path, fitted):
    import sys

    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(MissingDependencyError, match="pip install skops safetensors"):
        save(fitted, tmp_path / "model")


def test_a_private_search_is_saved_without_the_rows_that_it_was_validated_on(tmp_path):
    from sklearn.linear_model import LogisticRegression

    from skfusiondp import OffsetFusionClassifier
    from skfusiondp.model_selection import PrivateRandomSearchCV

    rng = np.random.default_rng(0)
    table = pd.DataFrame({"lab": rng.normal(size=80), "age": rng.uniform(0, 9, 80)})
    label = (table["lab"] > 0).astype(int)
    model = OffsetFusionClassifier({"age": Numeric(0, 9)}, public_model=LogisticRegression(), steps=1)
    search = PrivateRandomSearchCV(
        model, {"max_grad_norm": [0.5]}, n_trials=1.5, validation=(table[:20], label[:20]), random_state=0
    ).fit(table, label)
    save(search, tmp_path / "search.skfusiondp")
    again = load(tmp_path / "search.skfusiondp")
    assert (again.predict(table) == search.predict(table)).all() and again.ledger_ == search.ledger_
    assert again.validation == "private" and again.epsilon_ == search.epsilon_
