"""Estimators are shown with the shapes of the tables that they hold, wherever they are shown."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skfusiondp import FoundationImputer, FusionDPClassifier, Numeric, OffsetFusionClassifier
from skfusiondp.model_selection import PrivateRandomSearchCV, StackedGridSearchCV

CELL = 61.0625
FRAME = pd.DataFrame({"age": np.full(300, CELL), "pay": np.full(300, 1.5)})
LABELS = np.arange(300) % 2 + 7
AGE = {"age": Numeric(0, 120)}


def models(support):
    return {
        "FusionDP": FusionDPClassifier(AGE, support=support, support_target=LABELS, module__hidden=(8,)),
        "OffsetFusion": OffsetFusionClassifier(AGE, support=support, support_target=LABELS),
        "imputer": FoundationImputer(AGE, support=support),
        "imputer inside": FusionDPClassifier(AGE, imputer=FoundationImputer(support=support)),
    }


SUPPORTS = {"pandas": FRAME, "polars": pl.from_pandas(FRAME), "array": FRAME.to_numpy()}
MODELS = {f"{n}, {kind}": m for kind, support in SUPPORTS.items() for n, m in models(support).items()}


def around(model):
    pipe = make_pipeline(FunctionTransformer(), model)
    found = {"alone": model, "pipeline": pipe, "grid": GridSearchCV(pipe, {})}
    if hasattr(model, "predict_proba"):
        found["private search"] = PrivateRandomSearchCV(model, {"alpha": [1, 2]})
    if isinstance(model, FusionDPClassifier):
        found["stacked"] = StackedGridSearchCV(model, {"alpha": [1, 2]})
    return found


@pytest.mark.parametrize("name", MODELS)
def test_shapes_are_shown_and_no_rows(name):
    for where, shown in around(MODELS[name]).items():
        for text in (repr(shown), shown._repr_html_()):
            assert str(CELL) not in text and "7, 8, 7" not in text, where
            assert "300 x 2" in text, where
            assert len(repr(shown)) < 600, where


def test_the_shape_names_the_type_of_the_table():
    shown = repr(models(FRAME)["FusionDP"])
    assert "support=<DataFrame 300 x 2>" in shown and "support_target=<ndarray 300>" in shown
    assert "module__hidden=(8,)" in shown
    assert "epsilon=np.float64(0.5)" in repr(OffsetFusionClassifier(AGE, epsilon=np.float64(0.5)))


@pytest.mark.parametrize("name", MODELS)
def test_parameters_themselves_are_the_tables(name):
    model = MODELS[name]
    given = model.get_params(deep=False)
    copy = clone(model).get_params(deep=False)
    for parameter, value in vars(model).items():
        if parameter in given:
            assert given[parameter] is value
            assert type(copy[parameter]) is type(value)
    deep = make_pipeline(model).get_params()
    assert any(value is table for value in deep.values() for table in SUPPORTS.values())
