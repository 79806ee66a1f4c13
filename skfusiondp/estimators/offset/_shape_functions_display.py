"""ShapeFunctionsDisplay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..._parameters import are_names, shown
from ...exceptions import InvalidInputError, MissingDependencyError

_PER_ROW, _PANEL = 4, (3.0, 2.6)  # panels in a row, and the size of one in inches
_LONG = 4  # longer labels of categories are slanted


class ShapeFunctionsDisplay:
    """Pictures of what each sensitive column does to the score of an OffsetFusion model.

    Made by ``from_estimator``, or ``model.plot_shapes()``, which draw it at once.

    Parameters
    ----------
    shapes : mapping of str to (values, effects)
        As ``model.shape_functions()`` gives them: `values` of shape (n_points,), `effects` of shape
        (n_points, n_outputs).
    numeric : collection of str, default=()
        Columns whose values are points of an interval; those of others are categories.
    outputs : sequence, default=()
        Names of the outputs, for a legend; of a single output there is none.
    unit : str, default="score"
        What the effects are measured in.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure that was drawn into.
    axes_ : ndarray of matplotlib.axes.Axes, of shape (n_columns,)
        A panel a sensitive column, in the order of `shapes`.

    Examples
    --------
    >>> from skfusiondp import OffsetFusionClassifier
    >>> from skfusiondp.datasets import load_adult
    >>> from skfusiondp.estimators import ShapeFunctionsDisplay
    >>> adult = load_adult()
    >>> model = OffsetFusionClassifier(adult.sensitive, epsilon=1.0, random_state=0)
    >>> model = model.fit(adult.table[:500], adult.target[:500])
    >>> display = ShapeFunctionsDisplay.from_estimator(model, columns=["age", "gender"])
    >>> [panel.get_title() for panel in display.axes_]
    ['age', 'gender']
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[np.ndarray, np.ndarray]],
        *,
        numeric: Iterable[str] = (),
        outputs: Iterable[Any] = (),
        unit: str = "score",
    ):
        self.shapes = shapes
        self.numeric = numeric
        self.outputs = outputs
        self.unit = unit

    @classmethod
    def from_estimator(cls, estimator: Any, *, columns: Any = None, ax: Any = None) -> ShapeFunctionsDisplay:
        """Draw the shape functions of a fitted model.

        Parameters
        ----------
        estimator : OffsetFusionClassifier or OffsetFusionRegressor
            A fitted one.
        columns : list of str or None, default=None
            Sensitive columns to show; None shows all.
        ax : matplotlib Axes, array of Axes or None, default=None
            Where to draw; see ``plot``.

        Returns
        -------
        ShapeFunctionsDisplay

        Raises
        ------
        InvalidInputError
            If the estimator has no shape functions, or `columns` names others than its sensitive columns.
        """
        if not hasattr(estimator, "shape_functions"):
            raise InvalidInputError(
                f"estimator={shown(estimator)} has no shape functions; pass a fitted OffsetFusionClassifier "
                "or OffsetFusionRegressor (of a pipeline, its last step)."
            )
        check_is_fitted(estimator)
        shapes = _chosen(estimator.shape_functions(), columns)
        domains = estimator.schema_.domains
        numeric = tuple(c for c in shapes if domains[c].task == "regressor")
        classes = getattr(estimator, "classes_", ())
        several = len(classes) > 2
        unit = "class score" if several else "log odds" if len(classes) else "standard deviations of y"
        display = cls(shapes, numeric=numeric, outputs=tuple(classes) if several else (), unit=unit)
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> ShapeFunctionsDisplay:
        """Draw a panel for each column.

        Parameters
        ----------
        ax : matplotlib Axes, array of Axes or None, default=None
            An array has an Axes for each column; a single one is divided among them; None makes a new figure.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            If `ax` has another number of Axes.
        MissingDependencyError
            If matplotlib is not installed.
        """
        if not self.shapes:
            raise InvalidInputError(
                "the model has no sensitive column, so there is no shape function to draw."
            )
        self.axes_ = _panels(ax, len(self.shapes))
        self.figure_ = self.axes_[0].figure
        for axis, (column, (values, effects)) in zip(self.axes_, self.shapes.items(), strict=True):
            lines = self._draw(axis, column, values, effects)
            axis.set_title(column)
        self.axes_[0].set_ylabel(f"effect on the score\n({self.unit})")
        if len(tuple(self.outputs)) > 1:
            self.axes_[-1].legend(lines, [str(o) for o in self.outputs], fontsize="small")
        return self

    def _draw(self, axis: Any, column: str, values: np.ndarray, effects: np.ndarray) -> list:
        axis.axhline(0, color="0.7", linewidth=0.8)
        if column in self.numeric:
            return axis.step(values, effects, where="mid")
        labels, at = [str(v) for v in values], np.arange(len(values))
        lines = axis.plot(at, effects, "o")
        slanted = max(map(len, labels)) > _LONG
        axis.set_xticks(at, labels, rotation=40 if slanted else 0, ha="right" if slanted else "center")
        axis.tick_params(axis="x", labelsize="small")
        axis.margins(x=0.15)
        return lines


def _chosen(shapes: Mapping[str, Any], columns: Any) -> dict[str, Any]:
    if columns is None:
        return dict(shapes)
    unknown = [c for c in columns if c not in shapes] if are_names(columns) else [columns]
    if unknown or not columns:
        raise InvalidInputError(
            f"columns={shown(columns)} must be a list of sensitive columns, which are {', '.join(shapes)}."
        )
    return {c: shapes[c] for c in columns}


def _panels(ax: Any, n: int) -> np.ndarray:
    """Axes for `n` panels: those given, parts of the one given, or those of a new figure."""
    n_rows, n_columns = -(-n // _PER_ROW), min(n, _PER_ROW)
    if ax is None:
        pyplot = _pyplot()
        size = (_PANEL[0] * n_columns, _PANEL[1] * n_rows)
        figure, grid = pyplot.subplots(n_rows, n_columns, squeeze=False, figsize=size, layout="constrained")
        for spare in grid.flat[n:]:
            figure.delaxes(spare)
        return grid.ravel()[:n]
    panels = np.array(ax, dtype=object).ravel()
    if len(panels) == n:
        return panels
    if len(panels) != 1:
        raise InvalidInputError(f"ax has {len(panels)} Axes for {n} columns; give one Axes, or one a column.")
    axis = panels[0]
    axis.set_axis_off()
    parts = axis.get_subplotspec().subgridspec(n_rows, n_columns)
    return np.array([axis.figure.add_subplot(parts[i // n_columns, i % n_columns]) for i in range(n)])


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as pyplot
    except ImportError as error:
        raise MissingDependencyError('Drawing needs matplotlib: pip install "skfusiondp[plot]".') from error
    return pyplot
