"""Neighbouring tables and the same noised sums give the same released bytes, whatever holds the table.

For every estimator, kind of table and change of one row's sensitive cells: both fits get the same numbers in
place of their noised sums, and everything that leaves them must be the same, bit by bit. That is what "only
noised sums read a sensitive cell" means; docs/guarantee.md builds on nothing else.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import random
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from released import Outcome, differences, outcome, paths, pickled
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

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
)
from skfusiondp.model_selection import PrivateRandomSearchCV, StackedGridSearchCV
from skfusiondp.nets import MLP
from skfusiondp.preprocessing import (
    PrivateCategories,
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
)

ROW, N, N_SUPPORT = 7, 40, 24
NAMES = ("lab", "ward", "age", "sex")

# Tables as plain cells, so that each kind of table makes of them what it makes of a user's ------------


def _cells(n: int, seed: int, numbers: bool) -> dict[str, list]:
    rng = np.random.default_rng(seed)
    lab = rng.normal(size=n).round(2)
    sex = [0, 1] if numbers else ["f", "m"]
    ward = [1, 2] if numbers else ["north", "south"]
    return {
        "lab": lab.tolist(),
        "ward": [ward[i] for i in rng.integers(0, 2, n)],
        "age": np.clip(45 + 15 * lab, 5, 90).round().astype(int).tolist(),
        "sex": [sex[i] for i in rng.integers(0, 2, n)],
    }


def _target(cells: dict[str, list]) -> np.ndarray:
    return (np.array(cells["lab"]) > 0.1).astype(int)


# What the other rows hold. A sound fit does not care; a fit that looks at a column as a whole may.
BASES: dict[str, Callable[[dict], dict]] = {
    "usual": lambda t: t,
    "decimals": lambda t: {**t, "age": [a + 0.5 for a in t["age"]]},
    "one missing": lambda t: {**t, "age": [None, *t["age"][1:]], "sex": [None, *t["sex"][1:]]},
    "others missing": lambda t: {**t, "age": _only(t["age"], None), "sex": _only(t["sex"], None)},
    "others outside": lambda t: {**t, "age": _only(t["age"], 500), "sex": _only(t["sex"], 5)},
    "others alike": lambda t: {**t, "age": _only(t["age"], 0), "sex": _only(t["sex"], t["sex"][0])},
}


def _only(cells: list, other: Any) -> list:
    return [c if i == ROW else other for i, c in enumerate(cells)]


# What the row holds instead: (age, sex).
CHANGES: dict[str, tuple[Any, Any]] = {
    "other values": (99, "the other"),
    "decimal": (99.5, "the other"),
    "missing": (None, None),
    "not a number": (float("nan"), float("nan")),
    "pandas NA": (pd.NA, pd.NA),
    "outside": (-7, 12345),
    "text": ("unknown", "?"),
    "a number as text": ("45", "1"),
    "empty text": ("", ""),
    "infinite": (float("inf"), float("inf")),
    "minus infinite": (float("-inf"), None),
    "enormous": (1e300, 1e300),
    "largest float": (1.7976931348623157e308, 1),
    "denormal": (5e-324, 5e-324),
    "minus zero": (-0.0, -0.0),
    "zero": (0.0, 0.0),
    "true": (True, True),
    "integer beyond 64 bits": (2**63, 2**64),
    "integer beyond floats": (10**400, 10**400),
    "list": ([1, 2], ["f"]),
    "tuple": ((1, 2), ("f", "m")),
    "dict": ({"a": 1}, {"a": 1}),
    "date": (pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-01")),
    "bytes": (b"45", b"f"),
    "decimal object": (Decimal("45.5"), Decimal("1")),
    "complex": (1 + 2j, 1j),
    "numpy number": (np.float32(45), np.int8(1)),
}


def neighbours(base: str, change: str, numbers: bool) -> tuple[dict[str, list], dict[str, list]]:
    """Two tables that differ in the sensitive cells of one row."""
    cells = BASES[base](_cells(N, 1, numbers))
    age, sex = CHANGES[change]
    if isinstance(sex, str) and sex == "the other":
        values = [0, 1] if numbers else ["f", "m"]
        sex = values[1] if cells["sex"][ROW] == values[0] else values[0]
    other = {c: list(v) for c, v in cells.items()}
    other["age"][ROW], other["sex"][ROW] = age, sex
    return cells, other


# Kinds of tables ---------------------------------------------------------------------------------------


class NotExpressible(Exception):
    """A kind of table that cannot hold such a cell."""


def _frame(cells: dict[str, list], folder: Any) -> pd.DataFrame:
    return pd.DataFrame(cells)


def _nullable(cells: dict[str, list], folder: Any) -> pd.DataFrame:
    return pd.DataFrame(cells).convert_dtypes()


def _pyarrow(cells: dict[str, list], folder: Any) -> pd.DataFrame:
    return pd.DataFrame(cells).convert_dtypes(dtype_backend="pyarrow")


def _category(cells: dict[str, list], folder: Any) -> pd.DataFrame:
    return pd.DataFrame(cells).astype({"sex": "category"})


def _polars(cells: dict[str, list], folder: Any) -> Any:
    import polars as pl

    return pl.DataFrame({c: pl.Series(c, v, strict=False) for c, v in cells.items()})


def _objects(cells: dict[str, list], folder: Any) -> np.ndarray:
    made = np.empty((len(cells["lab"]), len(cells)), dtype=object)
    for j, column in enumerate(cells.values()):
        for i, cell in enumerate(column):
            made[i, j] = cell
    return made


def _lists(cells: dict[str, list], folder: Any) -> list[list]:
    return [list(row) for row in zip(*cells.values(), strict=True)]


def _plain(cell: Any) -> Any:
    """A cell of an array of numbers; what is none cannot be in one."""
    if cell is None or cell is pd.NA:
        return float("nan")
    if not isinstance(cell, int | float | np.number):
        raise NotExpressible
    return cell


def _numbers(cells: dict[str, list], folder: Any) -> np.ndarray:
    """What numpy makes of rows of numbers: whole ones, floats, or objects where one is too large."""
    return np.array([[_plain(c) for c in row] for row in zip(*cells.values(), strict=True)])


def _floats(cells: dict[str, list], folder: Any) -> np.ndarray:
    return _numbers(cells, folder).astype(float)


def _singles(cells: dict[str, list], folder: Any) -> np.ndarray:
    return _floats(cells, folder).astype(np.float32)


def _memmap(cells: dict[str, list], folder: Any) -> np.memmap:
    array = _floats(cells, folder)
    mapped = np.memmap(folder / "table.bin", dtype=array.dtype, mode="w+", shape=array.shape)
    mapped[:] = array
    mapped.flush()
    return mapped


def _parquet(cells: dict[str, list], folder: Any) -> str:
    path = folder / "table.parquet"
    pd.DataFrame(cells).to_parquet(path)
    return os.fspath(path)


class Kind(NamedTuple):
    make: Callable[[dict, Any], Any]
    named: bool = True
    numbers: bool = False
    disk: bool = False


KINDS = {
    "frame": Kind(_frame),
    "nullable frame": Kind(_nullable),
    "pyarrow frame": Kind(_pyarrow),
    "category frame": Kind(_category),
    "polars": Kind(_polars),
    "array of objects": Kind(_objects, named=False),
    "lists": Kind(_lists, named=False),
    "array of numbers": Kind(_numbers, named=False, numbers=True),
    "array of floats": Kind(_floats, named=False, numbers=True),
    "array of single floats": Kind(_singles, named=False, numbers=True),
    "memmap": Kind(_memmap, named=False, numbers=True, disk=True),
    "parquet": Kind(_parquet, disk=True),
}

# Estimators ----------------------------------------------------------------------------------------------


class Given(NamedTuple):
    """What an estimator is told about a kind of table."""

    age: Any
    sex: Any
    categories: list
    support: Any
    support_target: np.ndarray
    budget: Any

    @property
    def domains(self) -> dict:
        return {self.age: Numeric(0, 100), self.sex: Categorical(self.categories)}

    def imputer(self, **parameters: Any) -> FoundationImputer:
        # Columns without names get some.
        age, sex = (c if isinstance(c, str) else f"x{c}" for c in (self.age, self.sex))
        backend = {age: LinearRegression(), sex: LogisticRegression()}
        return FoundationImputer(**{"support": self.support, "backend": backend, **parameters})


class NoRules(torch.nn.Module):
    """A module that the engine follows by vmap, since it has no rule for what happens between layers."""

    def __init__(self, n_features: int, n_outputs: int):
        super().__init__()
        self.first = torch.nn.Linear(n_features, 4)
        self.scale = torch.nn.Parameter(torch.ones(4))
        self.head = torch.nn.Linear(4, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.first(x)) * self.scale)


class Remembers(torch.nn.Module):
    """Keeps what it saw last, and a running maximum, as attention maps and normalisations do."""

    def __init__(self, n_features: int, n_outputs: int):
        super().__init__()
        self.first = torch.nn.Linear(n_features, 4)
        self.head = torch.nn.Linear(4, n_outputs)
        self.register_buffer("largest", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.first(x))
        self.attention = hidden.detach()
        self.largest = torch.maximum(self.largest, x.detach().max())
        return self.head(hidden)


def nothing_gained(model: Any, X: Any, y: Any) -> float:
    """A score that reads nothing, for searches whose choice no ledger pays for."""
    return 0.0


TRAINED = {
    "noise_multiplier": 1.0,
    "steps": 3,
    "batch_size": 34,
    "public_epochs": 1,
    "module__hidden": (4,),
    "random_state": 0,
}


# The public column that every kind of table holds as numbers.
FIRST_COLUMN = ColumnTransformer([("lab", "passthrough", [0])])


# Searches hold rows out, so that there are fewer to sample from.
SEARCHED = {"noise_multiplier": None, "batch_size": 30}


def fusion(given: Given, cls: type = FusionDPClassifier, **parameters: Any) -> Any:
    settings = {"imputer": FoundationImputer(backend="domain"), **TRAINED, **parameters}
    if settings.get("module") in (NoRules, Remembers):
        del settings["module__hidden"]
    return cls(settings.pop("sensitive", given.domains), **settings)


def offset(given: Given, cls: type = OffsetFusionClassifier, **parameters: Any) -> Any:
    public = LogisticRegression() if cls is OffsetFusionClassifier else LinearRegression()
    settings = {"noise_multiplier": 1.0, "steps": 8, "random_state": 0, "public_model": public, **parameters}
    if settings["public_model"] is not None:
        settings["public_model"] = make_pipeline(FIRST_COLUMN, settings["public_model"])
    return cls(given.domains, **settings)


def tiers(given: Given) -> dict:
    return {given.age: Numeric(0, 100, epsilon=0.5), given.sex: Categorical(given.categories)}


def after_ranks(given: Given) -> dict:
    return {given.age: Numeric(0, 1), given.sex: Categorical(given.categories)}


# Trees are grown to the end of few rows.
SMALL = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=2, random_state=0)
PAID = {"noise_multiplier": 1.0, "random_state": 0}

ESTIMATORS: dict[str, Callable[[Given], Any]] = {
    "fusion, head": fusion,
    "fusion, support": lambda g: fusion(g, imputer=g.imputer()),
    "fusion, default imputer": lambda g: fusion(g, imputer=FoundationImputer(support=g.support)),
    "fusion, whole module": lambda g: fusion(g, private_parameters=["*"], beta=0.5),
    "fusion, vmap": lambda g: fusion(g, module=NoRules),
    "fusion, module that remembers": lambda g: fusion(g, module=Remembers),
    "fusion, micro-batches": lambda g: fusion(g, private_parameters=["*"], micro_batch_size=2),
    "fusion, tiers": lambda g: fusion(g, sensitive=tiers(g), noise_multiplier=None, epsilon=2.0),
    "fusion, zero-out": lambda g: fusion(g, adjacency="zero-out", clipping="automatic"),
    "fusion, per-layer": lambda g: fusion(g, private_parameters=["*"], clipping="per-layer"),
    "fusion, labelled support": lambda g: fusion(g, imputer=g.imputer(), support_target=g.support_target),
    "fusion, imputer knows": lambda g: fusion(g, sensitive=None, imputer=g.imputer(sensitive=g.domains)),
    "fusion, budget": lambda g: fusion(g, budget=g.budget, noise_multiplier=None, epsilon=0.5, delta=1e-5),
    "fusion, spent budget": lambda g: fusion(
        g, budget=g.budget, noise_multiplier=None, epsilon=5.0, delta=1e-5
    ),
    "fusion, on_leak raise": lambda g: fusion(g, on_leak="raise"),
    "fusion, regressor": lambda g: fusion(g, FusionDPRegressor),
    "feature-dp": lambda g: fusion(g, method="feature-dp", imputer=None),
    "hybrid": lambda g: fusion(g, method="hybrid"),
    "dp-sgd": lambda g: fusion(g, method="dp-sgd", imputer=None),
    "offset": offset,
    "offset, trees": lambda g: offset(g, public_model=None),
    "offset, support": lambda g: offset(g, support=g.support),
    "offset, labelled support": lambda g: offset(
        g, support=g.support, support_target=g.support_target, steps=1
    ),
    "offset, imputer": lambda g: offset(g, imputer=g.imputer()),
    "offset, budget": lambda g: offset(g, budget=g.budget, noise_multiplier=None, epsilon=0.5, delta=1e-5),
    "offset, regressor": lambda g: offset(g, OffsetFusionRegressor),
    "offset, regressor, labelled support": lambda g: offset(
        g, OffsetFusionRegressor, support=g.support, support_target=g.support_target, steps=1
    ),
    "synthesizer": lambda g: PrivateSynthesizer(g.domains, **PAID),
    "synthesizer, support": lambda g: PrivateSynthesizer(g.domains, support=g.support, **PAID),
    "synthesizer, zero-out": lambda g: PrivateSynthesizer(g.domains, adjacency="zero-out", **PAID),
    "synthesizer, budget": lambda g: PrivateSynthesizer(
        g.domains, epsilon=0.5, delta=1e-5, budget=g.budget, random_state=0
    ),
    "synthesized": lambda g: SynthesizedClassifier(g.domains, estimator=SMALL, n_draws=2, **PAID),
    "synthesized regressor": lambda g: SynthesizedRegressor(
        g.domains, estimator=DecisionTreeRegressor(max_depth=3, random_state=0), n_draws=1, **PAID
    ),
    "quantiles": lambda g: PrivateQuantileTransformer(g.domains, n_bins=8, **PAID),
    "normal quantiles": lambda g: PrivateQuantileTransformer(g.domains, n_bins=8, output="normal", **PAID),
    "scaler": lambda g: PrivateStandardScaler(g.domains, **PAID),
    "categories": lambda g: PrivateCategories(g.domains, min_frequency=0.2, **PAID),
    "frequencies": lambda g: PrivateCategories(g.domains, output="frequencies", adjacency="zero-out", **PAID),
    "selector": lambda g: PrivateSelectKBest(g.domains, k=1, **PAID),
    "transformer, budget": lambda g: PrivateStandardScaler(
        g.domains, epsilon=0.5, delta=1e-5, budget=g.budget, random_state=0
    ),
    "imputer": lambda g: g.imputer(sensitive=g.domains, random_state=0),
    "imputer, default": lambda g: FoundationImputer(g.domains, support=g.support, random_state=0),
    "imputer, domain": lambda g: FoundationImputer(g.domains, backend="domain", random_state=0),
    "private search, hybrid": lambda g: PrivateRandomSearchCV(
        fusion(g, **SEARCHED), {"lr": [0.01, 0.05]}, n_trials=2, epsilon=2.0, random_state=0
    ),
    "private search, private": lambda g: PrivateRandomSearchCV(
        fusion(g, **SEARCHED),
        {"lr": [0.01, 0.05]},
        n_trials=2,
        epsilon=2.0,
        validation="private",
        random_state=0,
    ),
    "stacked search": lambda g: StackedGridSearchCV(
        fusion(g, batch_size=15), {"lr": [0.01, 0.05]}, cv=2, scoring=nothing_gained
    ),
    "stacked search, whole module": lambda g: StackedGridSearchCV(
        fusion(g, module=MLP, batch_size=15),
        {"max_grad_norm": [0.5, 1.0]},
        cv=2,
        scoring=nothing_gained,
    ),
    "grid search": lambda g: GridSearchCV(
        fusion(g, batch_size=15), {"lr": [0.01, 0.05]}, cv=2, scoring=nothing_gained
    ),
    "pipeline, quantiles": lambda g: make_pipeline(
        PrivateQuantileTransformer(g.domains, n_bins=8, **PAID),
        fusion(g, sensitive=after_ranks(g)),
    ),
    "pipeline, categories and offset": lambda g: make_pipeline(
        PrivateCategories(g.domains, min_frequency=0.2, **PAID), offset(g)
    ),
    "pipeline in a private search": lambda g: PrivateRandomSearchCV(
        make_pipeline(
            PrivateQuantileTransformer(g.domains, n_bins=8, **PAID),
            fusion(g, sensitive=after_ranks(g), **SEARCHED),
        ),
        {"fusiondpclassifier__lr": [0.01, 0.05]},
        n_trials=2,
        epsilon=30.0,
        random_state=0,
    ),
}


def forget(model: Any) -> None:
    """Take wall times out of a search: scikit-learn's GridSearchCV measures each fit, which is its contract.

    Times are named as not covered in every report of the library, and its own estimators keep none.
    """
    for search in (model, *getattr(model, "named_steps", {}).values()):
        if isinstance(search, GridSearchCV):
            search.cv_results_ = {k: v for k, v in search.cv_results_.items() if "time" not in k}
            vars(search).pop("refit_time_", None)


# Cases -----------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    estimator: str
    kind: str
    base: str
    change: str


ON_DISK = {e for e in ESTIMATORS if e.startswith(("fusion", "offset", "feature-dp", "hybrid", "dp-sgd"))}


def every_case() -> list[Case]:
    """The whole product, without tables that hold only numbers and cells that are none."""
    cases = []
    for estimator, (name, kind), base, change in itertools.product(ESTIMATORS, KINDS.items(), BASES, CHANGES):
        if kind.disk and estimator not in ON_DISK:
            continue
        if kind.numbers and not all(_is_number(c) for c in CHANGES[change]):
            continue
        cases.append(Case(estimator, name, base, change))
    return cases


def _is_number(cell: Any) -> bool:
    try:
        _plain(cell)
    except NotExpressible:
        return isinstance(cell, str) and cell == "the other"
    return True


# What is tried in each kind of table by default; the others meet every kind of change, in some of them.
EVERYWHERE = {
    *("fusion, head", "fusion, support", "fusion, whole module", "feature-dp", "hybrid", "offset"),
    *("quantiles", "scaler", "categories", "selector", "imputer, domain", "pipeline, quantiles"),
    *("synthesizer", "synthesized"),
}
SECONDS_LONG = {
    *("offset, labelled support", "offset, regressor, labelled support", "offset, trees"),
    *("fusion, default imputer", "imputer, default"),
}
SORTS = {
    "values": (
        "other values",
        "decimal",
        "outside",
        "zero",
        "minus zero",
        "denormal",
        "numpy number",
        "true",
    ),
    "none": ("missing", "not a number", "pandas NA", "empty text"),
    "text": ("text", "a number as text", "bytes"),
    "extremes": ("infinite", "minus infinite", "enormous", "largest float"),
    "whole numbers": ("integer beyond 64 bits", "integer beyond floats"),
    "things": ("list", "tuple", "dict", "date", "decimal object", "complex"),
}
SORT_OF = {change: sort for sort, changes in SORTS.items() for change in changes}


def _together(case: Case) -> set[tuple]:
    """What has to occur together in some case."""
    sort = SORT_OF[case.change]
    if case.estimator in SECONDS_LONG:
        return {(case.estimator, sort == "values")}
    pairs: set[tuple] = {(case.kind, case.change), (case.kind, case.base), (case.estimator, sort)}
    return pairs | ({(case.estimator, case.kind)} if case.estimator in EVERYWHERE else set())


def covering(cases: list[Case]) -> list[Case]:
    """A few of the cases, in which whatever has to occur together does once."""
    shuffled = random.Random(16).sample(cases, len(cases))
    met: set[tuple] = set()
    chosen = []
    for at_least in (3, 2, 1):
        for case in shuffled:
            new = _together(case) - met
            if len(new) >= at_least:
                met |= new
                chosen.append(case)
    return chosen


def fitted(case: Case, cells: dict[str, list], folder: Any, *, released: bool = True) -> Outcome:
    kind = KINDS[case.kind]
    folder.mkdir(exist_ok=True)
    support = _cells(N_SUPPORT, 2, kind.numbers)
    # Support rows are public, and their file is no concern here.
    plain = {"memmap": _floats, "parquet": _frame}.get(case.kind, kind.make)
    # Each fit meets a budget of which nothing is spent, in a file of the same name.
    path = folder / "budget.json"
    for file in folder.glob("budget.json*"):
        file.unlink()
    given = Given(
        "age" if kind.named else 2,
        "sex" if kind.named else 3,
        [0, 1] if kind.numbers else ["f", "m"],
        plain(support, folder),
        _target(support),
        PrivacyBudget(1.0, 1e-5, path=os.fspath(path)),
    )
    try:
        table = kind.make(cells, folder)
    except Exception as error:  # pandas, polars and arrow say so in many ways
        raise NotExpressible(str(error)) from error
    made = ESTIMATORS[case.estimator]
    return outcome(lambda: made(given), table, _target(cells), forget, released=released)


def difference(case: Case, folder: Any) -> list[str]:
    """Where the fits on two neighbouring tables differ in what they release."""
    one, other = neighbours(case.base, case.change, KINDS[case.kind].numbers)
    return differences(fitted(case, one, folder), fitted(case, other, folder))


def check(case: Case, folder: Any) -> None:
    try:
        found = difference(case, folder)
    except NotExpressible as error:
        pytest.skip(f"no such table: {error}")
    assert not found, "\n".join(["neighbouring tables can be told apart:", *found])


# These read no sensitive training cell at all, or where a fit is refused whatever the table is.
READ_NOTHING = {"hybrid", "imputer", "imputer, default", "imputer, domain", "fusion, spent budget"}
SUBSET = covering(every_case())


@pytest.mark.one_in(18)
@pytest.mark.parametrize("case", SUBSET, ids=" | ".join)
def test_neighbours_release_the_same_bytes(case, tmp_path):
    check(case, tmp_path)


# Of each estimator's cases; SKFUSIONDP_CASES=100000 tries every one of them, which takes hours.
MANY = int(os.environ.get("SKFUSIONDP_CASES", "1"))


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_neighbours_release_the_same_bytes_in_more_cases(estimator, tmp_path):
    cases = [c for c in every_case() if c.estimator == estimator]
    many = max(1, MANY // 3) if estimator in SECONDS_LONG else MANY
    wrong = []
    for case in random.Random(0).sample(cases, min(many, len(cases))):
        try:
            wrong += [f"{' | '.join(case)}: {d}" for d in difference(case, tmp_path)]
        except NotExpressible:
            continue
    assert not wrong, "\n".join(wrong)


@pytest.mark.one_in(6)
@pytest.mark.parametrize("estimator", sorted(set(ESTIMATORS) - READ_NOTHING - SECONDS_LONG))
def test_the_change_is_felt_before_the_noise(estimator, tmp_path):
    """Else the cases above would pass because nothing was read."""
    case = Case(estimator, "frame", "usual", "other values")
    cells = neighbours("usual", "other values", False)
    one, other = (fitted(case, c, tmp_path, released=False) for c in cells)
    felt = one.sums != other.sums
    assert felt and len(one.sums) == len(other.sums)


@pytest.mark.one_in(6)
@pytest.mark.parametrize(
    "estimator", [e for e in ESTIMATORS if e not in {*SECONDS_LONG, "fusion, spent budget"}]
)
def test_using_a_model_leaves_nothing_in_it(estimator, tmp_path):
    """Rows that a model predicts, transforms or imputes are nobody's to find in it afterwards."""
    cells, _ = neighbours("usual", "other values", False)
    model = fitted(Case(estimator, "frame", "usual", "other values"), cells, tmp_path, released=False).model
    after = []
    for seed in (5, 6):
        used = pickle.loads(pickle.dumps(model))
        table = _frame(_cells(13, seed, False), tmp_path)
        for use in ("predict", "predict_proba", "transform"):
            for rows in (table, table.assign(age=np.nan), table[["lab", "ward"]]):
                # Whether sensitive columns may be left out is for the tests of each to say.
                with contextlib.suppress(ValueError, AttributeError):
                    getattr(used, use)(rows)
        after.append(used)
    assert pickled(after[0]) == pickled(after[1]), paths(*after)


@pytest.mark.parametrize("leak", ["attribute", "report", "refusal", "warning"])
def test_a_leak_is_seen(leak, tmp_path, monkeypatch):
    """And else because nothing was compared."""
    plain = PrivateStandardScaler._total

    def leaky(self, job):
        oldest = job.table.frame["age"].max()
        if leak == "attribute":
            self.oldest_ = oldest
        elif leak == "report":
            self.n_rows_ += int(oldest == 99)
        elif leak == "refusal" and oldest == 99:
            raise ValueError
        elif leak == "warning":
            warnings.warn(f"The oldest is {oldest}.", stacklevel=2)
        return plain(self, job)

    monkeypatch.setattr(PrivateStandardScaler, "_total", leaky)
    assert difference(Case("scaler", "frame", "usual", "other values"), tmp_path)
