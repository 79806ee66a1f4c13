"""The picture of the shape functions: a display as scikit-learn's are."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from skfusiondp import Categorical, Numeric, OffsetFusionClassifier, OffsetFusionRegressor
from skfusiondp.estimators import ShapeFunctionsDisplay
from skfusiondp.exceptions import InvalidInputError, MissingDependencyError

WHOLE_MODELS = True

pyplot = pytest.importorskip("matplotlib.pyplot")

RNG = np.random.default_rng(0)
X = pd.DataFrame(
    {"lab": RNG.normal(size=200), "age": RNG.uniform(0, 90, 200), "sex": RNG.choice(["f", "m"], 200)}
)
SENSITIVE = {"age": Numeric(0, 90), "sex": Categorical(["f", "m"])}


@pytest.fixture(autouse=True)
def closed():
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


def fitted(y, kind=OffsetFusionClassifier, sensitive=SENSITIVE):
    return kind(sensitive, noise_multiplier=20.0, steps=2, random_state=0).fit(X, y)


BINARY = fitted(X["lab"] > 0)


def test_plot_shapes_gives_a_display_whose_figure_is_shown_by_pyplot():
    pyplot.close("all")  # of other tests
    display = BINARY.plot_shapes()
    assert isinstance(display, ShapeFunctionsDisplay)
    # What a notebook or pyplot.show() draws: an open figure of pyplot's.
    assert pyplot.get_fignums() == [display.figure_.number]
    assert [a.get_title() for a in display.axes_] == ["age", "sex"]
    assert "log odds" in display.axes_[0].get_ylabel()
    assert [t.get_text() for t in display.axes_[1].get_xticklabels()] == ["f", "m"]


def test_drawn_points_are_the_shape_functions():
    display = BINARY.plot_shapes()
    for axis, (_, effects) in zip(display.axes_, BINARY.shape_functions().values(), strict=True):
        np.testing.assert_array_equal(axis.lines[1].get_ydata(), effects[:, 0])


def test_it_draws_into_given_axes():
    figure, axes = pyplot.subplots(1, 2)
    display = BINARY.plot_shapes(ax=axes)
    assert display.figure_ is figure and list(display.axes_) == list(axes)
    figure, one = pyplot.subplots()
    again = display.plot(ax=one)
    assert again is display and display.figure_ is figure and len(figure.axes) == 3
    single = ShapeFunctionsDisplay.from_estimator(BINARY, columns=["sex"], ax=pyplot.figure().gca())
    assert [a.get_title() for a in single.axes_] == ["sex"]


@pytest.mark.slow
def test_several_classes_have_a_legend_and_numbers_their_unit():
    three = fitted(np.digitize(X["lab"], [-0.5, 0.5])).plot_shapes()
    assert [t.get_text() for t in three.axes_[-1].get_legend().get_texts()] == ["0", "1", "2"]
    number = fitted(X["lab"], OffsetFusionRegressor).plot_shapes()
    assert "standard deviations" in number.axes_[0].get_ylabel() and number.axes_[-1].get_legend() is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: BINARY.plot_shapes(ax=pyplot.subplots(1, 3)[1]), "ax has 3 Axes for 2 columns"),
        (lambda: ShapeFunctionsDisplay.from_estimator(BINARY, columns=["lab"]), "columns=.'lab'.*age, sex"),
        (lambda: ShapeFunctionsDisplay.from_estimator(BINARY, columns="age"), "columns='age' must be a list"),
        (lambda: ShapeFunctionsDisplay.from_estimator(3), "estimator=3 has no shape functions"),
        (lambda: fitted(X["lab"] > 0, sensitive={}).plot_shapes(), "no sensitive column"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, words):
    with pytest.raises(InvalidInputError, match=words):
        call()


def test_a_model_that_is_not_fitted_and_a_missing_package(monkeypatch):
    with pytest.raises(NotFittedError):
        OffsetFusionClassifier().plot_shapes()
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingDependencyError, match=r"skfusiondp\[plot\]"):
        BINARY.plot_shapes()


@pytest.mark.slow
def test_a_notebook_shows_the_picture():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    code = (
        "from skfusiondp import OffsetFusionClassifier\n"
        "from skfusiondp.datasets import load_adult\n"
        "adult = load_adult()\n"
        "model = OffsetFusionClassifier(adult.sensitive, noise_multiplier=20.0, steps=2)\n"
        "display = model.fit(adult.table[:300], adult.target[:300]).plot_shapes()"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(notebook, timeout=120).execute()
    kinds = [kind for output in notebook.cells[0].outputs for kind in output.get("data", {})]
    assert "image/png" in kinds
