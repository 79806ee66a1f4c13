"""Generated tables, targets and torch parts: a fit works and pays what it planned, or pays nothing.

`generated_inputs` holds what is generated. ``--hypothesis-show-statistics`` counts how many of them worked
and how many were refused.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from generated_inputs import training
from generated_inputs.columns import ALIKE, FULL, KINDS, N, column
from generated_inputs.judged import Fault, judged, predicted, quietly, same
from generated_inputs.outcomes import attempt, finite
from generated_inputs.runs import generated
from generated_inputs.tables import DOMAINS, NUMBERS, PLAIN, PUBLIC, SENSITIVE, columns, frames, tables
from generated_inputs.targets import AMOUNTS, LABELS, TARGETS, Y
from hypothesis import event
from hypothesis import strategies as st

from skfusiondp import (
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    OffsetFusionClassifier,
    OffsetFusionRegressor,
)
from skfusiondp.preprocessing import (
    PrivateCategories,
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
    TableEncoder,
)

FAST = {"steps": 1, "public_epochs": 1, "module__hidden": (4,)}
CLASSIFIERS, REGRESSORS = (
    [FusionDPClassifier, OffsetFusionClassifier],
    [FusionDPRegressor, OffsetFusionRegressor],
)
ESTIMATORS = CLASSIFIERS + REGRESSORS
PAYING = [PrivateQuantileTransformer, PrivateStandardScaler, PrivateCategories, PrivateSelectKBest]
ROUNDING = 1e-4


def fast(cls: type, **parameters: Any) -> Any:
    """An estimator that is cheap to fit."""
    settings = {"noise_multiplier": 1.0, "random_state": 0}
    if cls in (FusionDPClassifier, FusionDPRegressor):
        settings |= {k: v for k, v in FAST.items() if k != "module__hidden" or "module" not in parameters}
    settings |= parameters
    if "epsilon" in settings:
        del settings["noise_multiplier"]
    return cls(settings.pop("sensitive", DOMAINS), **settings)


def target_of(cls: type) -> np.ndarray:
    return Y if cls in CLASSIFIERS else AMOUNTS["numbers"]


# Tables ----------------------------------------------------------------------------------------------------


@generated("judged", tables(), st.sampled_from(ESTIMATORS), st.booleans())
def test_tables(table, cls, by_position):
    X, said = table
    sensitive = {2: DOMAINS["age"], 3: DOMAINS["sex"]} if by_position else DOMAINS
    y = target_of(cls)
    event(judged(fast(cls, sensitive=sensitive), X, y[: len(X)] if isinstance(X, pd.DataFrame) else y, said))


@generated("judged", frames(roles=SENSITIVE), st.sampled_from(ESTIMATORS))
def test_no_sensitive_cell_is_ever_refused(frame, cls):
    """A refusal is an output: whatever a sensitive column holds, the fit goes on, and warns of nothing."""
    X, said = frame
    assert judged(fast(cls), X, target_of(cls), said) == "works"


@generated("judged", frames(roles=SENSITIVE), st.sampled_from(["array", "lists"]))
def test_no_sensitive_cell_is_ever_refused_in_an_array(frame, container):
    X, said = frame
    cells = X.astype(object).to_numpy()
    X = cells if container == "array" else cells.tolist()
    sensitive = {2: DOMAINS["age"], 3: DOMAINS["sex"]}
    assert judged(fast(FusionDPClassifier, sensitive=sensitive), X, Y, said) == "works"


@generated("table", frames(), st.sampled_from(PAYING))
def test_transformers_that_pay(frame, cls):
    X, said = frame
    domains = {"sex": DOMAINS["sex"]} if cls is PrivateCategories else {"age": DOMAINS["age"]}
    event(judged(cls(domains, random_state=0), X, Y, said))


@generated("table", frames(), frames())
def test_encoders_and_imputers(frame, other):
    (X, said), (new, more) = frame, other
    for made in (TableEncoder(DOMAINS), FoundationImputer(DOMAINS, backend="domain", random_state=0)):
        if attempt(made.fit, X) is None:
            event("refused")
            continue
        result = attempt(made.transform, new)
        event("works" if result is not None else "fitted, and another table refused")
        if isinstance(made, TableEncoder):
            assert result is None or finite(result), (said, more)
        else:
            imputed = None if result is None else pd.DataFrame(result)
            assert imputed is None or (
                imputed["age"].between(0, 20).all() and imputed["sex"].isin(["f", "m"]).all()
            )


# The same values in another type ---------------------------------------------------------------------------


@st.composite
def pairs(draw):
    """Two kinds of column that hold the same values, and those values."""
    group = draw(st.sampled_from(list(ALIKE)))
    holes = draw(st.sampled_from([(), (3, 4)]))
    names = [n for n in ALIKE[group] if not holes or n not in {*FULL, "bool", "sparse ints"}]
    values = [None if i in holes else v for i, v in enumerate(NUMBERS)]
    one, other = draw(st.sampled_from(names)), draw(st.sampled_from(names))
    return f"{one} and {other}", column(one, values), column(other, values)


@functools.cache
def fitted(cls: type) -> Any:
    return fast(cls).fit(PLAIN, target_of(cls))


@pytest.mark.slow
@generated("judged", pairs(), st.sampled_from(ESTIMATORS))
def test_a_public_column_is_its_values_whatever_holds_them(pair, cls):
    said, one, other = pair
    X, Z = PLAIN.assign(lab=one), PLAIN.assign(lab=other)
    model = quietly(fast(cls).fit, X, target_of(cls))
    expected = predicted(model, X)
    assert same(expected, predicted(model, Z)), f"{said}: predictions"
    again = quietly(fast(cls).fit, Z, target_of(cls))
    assert same(expected, predicted(again, Z)), f"{said}: fits"


@pytest.mark.slow
@generated("judged", pairs())
def test_encoders_and_imputers_see_the_values(pair):
    said, one, other = pair
    X, Z = PLAIN.assign(lab=one), PLAIN.assign(lab=other)
    encoder = TableEncoder(DOMAINS).fit(X)
    assert same(encoder.transform(X), quietly(encoder.transform, Z)), said
    imputer = FoundationImputer(DOMAINS, support=X, backend="ensemble", random_state=0).fit(
        PLAIN.assign(lab=one)
    )
    one_way, other_way = imputer.transform(X), quietly(imputer.transform, Z)
    assert np.allclose(one_way["age"].astype(float), other_way["age"].astype(float), rtol=ROUNDING), said
    assert (one_way["sex"] == other_way["sex"]).all(), said


@generated("judged", st.sampled_from(["numbers", "texts"]), st.data())
def test_a_sensitive_column_is_its_values_whatever_holds_them(group, data):
    kinds = [k for k in ALIKE[group] if k not in FULL]
    kind = data.draw(st.sampled_from(kinds))
    name = {"numbers": "age", "texts": "sex"}[group]
    for cls in ESTIMATORS:
        model = fitted(cls)
        assert same(
            predicted(model, PLAIN), predicted(model, PLAIN.assign(**{name: column(kind, NUMBERS)}))
        ), kind


SAME = {
    "polars": pl.from_pandas,
    "array": lambda frame: frame.to_numpy(),
    "list": lambda frame: frame.to_numpy().tolist(),
    "tuples": lambda frame: tuple(frame.itertuples(index=False, name=None)),
    "array of texts": lambda frame: frame.to_numpy().astype(str),
    "memory order": lambda frame: np.asfortranarray(frame.to_numpy()),
    "other rows": lambda frame: frame.set_axis(range(100, 100 + len(frame))),
}


@generated("table", st.sampled_from(list(SAME)), st.sampled_from(ESTIMATORS), st.data())
def test_a_table_is_its_cells_whatever_holds_them(kind, cls, data):
    model = fitted(cls)
    X = PLAIN.copy()
    for name in data.draw(st.lists(st.sampled_from(["lab", "city", "age", "sex"]), max_size=2)):
        if kind != "array of texts":
            X.loc[data.draw(st.integers(0, N - 1)), name] = None
    if data.draw(st.booleans()):
        X.loc[0, "city"] = "never seen"
    expected = predicted(model, X)
    assert np.isfinite(expected).all()
    with np.errstate(all="raise"):
        assert same(expected, attempt(lambda: predicted(model, SAME[kind](X)))), kind


@generated("table", st.sampled_from(PUBLIC + SENSITIVE), columns(), st.sampled_from(ESTIMATORS))
def test_new_rows_of_any_kind_are_predicted_or_refused(role, made, cls):
    kind, values = made
    predictions = attempt(predicted, fitted(cls), PLAIN.assign(**{role: values}))
    event("works" if predictions is not None else "refused")
    assert predictions is None or finite(predictions), kind
    assert predictions is not None or role in PUBLIC, f"cells of a sensitive column were refused: {kind}"


# Targets ---------------------------------------------------------------------------------------------------


@generated("judged", st.sampled_from(list(TARGETS)), st.sampled_from(ESTIMATORS))
def test_targets(kind, cls):
    y = (i for i in range(N)) if kind == "generator" else TARGETS[kind]
    outcome = judged(fast(cls), PLAIN, y, kind)
    event(outcome)
    if outcome == "works" and cls in CLASSIFIERS and kind in LABELS:
        model = fast(cls).fit(PLAIN, y)
        given = pd.Series(np.asarray(y).ravel()).tolist()
        assert set(model.predict(PLAIN).tolist()) <= set(given), "labels that nobody gave"
    assert outcome == "refused" or kind not in {"dates", "spans", "periods", "sets"}


@pytest.mark.slow
@generated("judged", st.sampled_from(list(TARGETS)), st.sampled_from(ESTIMATORS), st.integers(0, 1))
def test_support_targets(kind, cls, shorter):
    # Other people than those of the table.
    support = PLAIN.assign(lab=np.sin(NUMBERS), age=PLAIN["age"] + 0.5)[: N - shorter]
    y = (i for i in range(N)) if kind == "generator" else TARGETS[kind]
    model = fast(cls, support=support, support_target=y)
    event(judged(model, PLAIN, target_of(cls), kind))


# Training --------------------------------------------------------------------------------------------------

PATHS = [
    {},
    {"steps": 3, "public_epochs": 0},
    {"private_parameters": ["*"]},
    {"private_parameters": ["*"], "micro_batch_size": 2},
    {"beta": 1.0},
    {"method": "feature-dp"},
    {"method": "dp-sgd", "adjacency": "add-remove"},
    {"method": "hybrid"},
    {"method": "non-private"},
    {"adjacency": "zero-out", "clipping": "automatic"},
]


@st.composite
def torch_parts(draw):
    """Settings of one torch part or two, of some kind, on some path of training."""
    chosen, said = {}, []
    for part in draw(st.lists(st.sampled_from(list(training.PARTS)), min_size=1, max_size=2, unique=True)):
        kind = draw(st.sampled_from(list(training.PARTS[part])))
        chosen |= training.PARTS[part][kind]
        said.append(f"{part}: {kind}")
    return {**draw(st.sampled_from(PATHS)), **chosen}, said


@generated("judged", torch_parts(), st.sampled_from([FusionDPClassifier, FusionDPRegressor]))
def test_torch_parts(parts, cls):
    settings, said = parts
    event(judged(fast(cls, **settings), PLAIN, target_of(cls), said))


@generated(
    "judged", st.sampled_from(list(training.WEIGHTS)), st.sampled_from(CLASSIFIERS), st.sampled_from(PATHS)
)
def test_class_weights(kind, cls, path):
    path = path if cls is FusionDPClassifier else {}
    event(judged(fast(cls, class_weight=training.WEIGHTS[kind], **path), PLAIN, Y, kind))


@generated("judged", st.sampled_from(list(training.ROW_WEIGHTS)), st.sampled_from(ESTIMATORS))
def test_weights_of_rows(kind, cls):
    weights = training.ROW_WEIGHTS[kind]
    event(judged(fast(cls), PLAIN, target_of(cls), kind, sample_weight=weights))


# The judgement itself --------------------------------------------------------------------------------------


class Broken(FusionDPClassifier):
    """A classifier with a fault of the kind that its parameter names."""

    def fit(self, X, y, **given):
        if self.fault == "changes":
            X.iloc[0, 0] = 7.0
        if self.fault == "raises":
            raise KeyError("valid_loss")
        super().fit(X, y, **given)
        if self.fault == "pays twice":
            self.ledger_ = self.ledger_ + self.ledger_
        if self.fault == "refuses late":
            from skfusiondp.exceptions import InvalidInputError

            raise InvalidInputError("a refusal after the private steps were paid")
        if self.fault == "warns":
            np.log(np.zeros(1))
        return self

    def predict_proba(self, X):
        return super().predict_proba(X) * (np.nan if self.fault == "NaN" else 1)


@pytest.mark.parametrize("fault", ["changes", "raises", "pays twice", "refuses late", "warns", "NaN"])
def test_a_fault_is_found(fault):
    Broken.fault = fault
    model = Broken(DOMAINS, noise_multiplier=1.0, random_state=0, **FAST)
    with pytest.raises(Fault):
        judged(model, PLAIN.copy(), Y, fault)


def test_what_is_sound_works():
    for cls in ESTIMATORS:
        assert judged(fast(cls), PLAIN, target_of(cls)) == "works"
    assert set(KINDS) >= set(FULL)
