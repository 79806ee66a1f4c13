"""What comes out of a step: names, sources and order of its columns."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ._accounted import is_ours
from ._known_steps import is_a
from ._provenance import Column, Flow


def after(estimator: Any, flow: Flow, gives: str) -> Flow:
    """What a step hands on, as its rule's `gives` says: for steps that were not run on made-up rows."""
    # Resamplers and functions hand on the kind of table that they are handed.
    keeps = not hasattr(estimator, "transform") or is_a(estimator, "FunctionTransformer")
    named = flow.named if gives == "same" and keeps else gives_frame(estimator)
    flow = replace(flow, named=named, protected=None)
    if gives == "same":
        return replace(flow, columns=tuple(_changed(c, estimator) for c in flow.columns))
    if gives == "prediction":
        return prediction(flow.sources)
    if gives == "each" and flow.rest is None:
        return replace(flow, columns=tuple(Column(f"{c.name}_*", c.sources, many=True) for c in flow.columns))
    # scikit-learn numbers what cannot be named after columns: pca0, pca1, ...
    numbered = is_a(estimator, "ClassNamePrefixFeaturesOutMixin")
    name = f"{type(estimator).__name__.lower()}*" if numbered else "*"
    return Flow((Column(name, flow.sources, many=True),), None, "", named)


def _changed(column: Column, estimator: Any) -> Column:
    """A column behind a step that hands on as many: as it was there, where the step selects or is ours."""
    return replace(column, dtype=None, own=column.own if hands_on_cells(estimator) else "")


def hands_on_cells(estimator: Any) -> bool:
    """Tell whether what columns a step hands on keep the cells, or the names, that they had.

    Steps of this library state in their own `domains_` what becomes of a column.
    """
    selects = is_a(estimator, "SelectorMixin") or not hasattr(estimator, "transform")
    return selects or is_ours(estimator) or does_nothing(estimator)


def keeps_places(step: Any) -> bool:
    """Tell whether a step of this library hands on as many columns, in order."""
    return is_ours(step) and is_a(step, "OneToOneFeatureMixin") and not is_a(step, "PrivateSelectKBest")


def does_nothing(step: Any) -> bool:
    """Tell whether a step hands on what it is handed."""
    return (
        step is None
        or step == "passthrough"
        or (type(step).__name__ == "FunctionTransformer" and getattr(step, "func", step) is None)
    )


def around(flow: Flow) -> Flow:
    """Columns under names that begin with the old ones, as encoders make them."""
    return replace(
        flow, rest=None, columns=tuple(Column(f"{c.name}*", c.sources, many=True) for c in flow.columns)
    )


def imputed(imputer: Any, stated: Flow, treated_as_public: frozenset[str], flow: Flow) -> Flow:
    """What a FoundationImputer or a PrivateSynthesizer hands on."""
    if getattr(imputer, "output", "hybrid") == "paired":
        return replace(flow, protected=stated.sources)
    # Each guess is made from the row's public columns: what those carry, it carries.
    columns = tuple(
        replace(c, sources=treated_as_public, dtype=None) if c in stated.columns else c for c in flow.columns
    )
    rest = treated_as_public if stated.rest is not None else flow.rest
    return replace(flow, columns=columns, rest=rest, protected=None)


def counted(transformer: Any, name: str, flow: Flow) -> Flow:
    """What one step of a fitted ColumnTransformer hands on, with as many columns as its fit has shown."""
    place = getattr(transformer, "output_indices_", {}).get(name)
    if place is None or not any(c.many for c in flow.columns):
        return flow
    width = place.stop - place.start
    step: Any = getattr(transformer, "named_transformers_", {}).get(name)
    names = [f"{name}{i}" for i in range(width)]
    with contextlib.suppress(Exception):  # many have no names to give
        told = [str(n) for n in step.get_feature_names_out()]
        names = told if len(told) == width else names
    columns = []
    for made in names:
        of = [c for c in flow.columns if c.matches(made)] or flow.columns
        columns.append(Column(made, frozenset().union(*(c.sources for c in of))))
    return replace(flow, columns=tuple(columns))


def prediction(sources: Iterable[str]) -> Flow:
    """What an estimator predicts, made of some sensitive columns."""
    return Flow((Column("prediction*", frozenset(sources), many=True),), named=False)


def named_by(naming: Any, step: str, flow: Flow) -> Flow:
    """Columns under the names that ``verbose_feature_names_out`` gives them."""
    if naming is False:
        return flow
    if isinstance(naming, str):
        return flow.renamed(lambda n: naming.format(transformer_name=step, feature_name=n))
    if callable(naming):
        return flow.renamed(lambda n: naming(step, n))
    return flow.renamed(lambda n: f"{step}__{n}")


def gives_frame(estimator: Any) -> bool:
    """Whether a step hands on a table with column names."""
    if is_ours(estimator):
        return not is_a(estimator, "TableEncoder")
    own = getattr(estimator, "_sklearn_output_config", {}).get("transform")
    if own is not None:
        return own != "default"
    sklearn = sys.modules.get("sklearn")
    return sklearn is not None and sklearn.get_config().get("transform_output", "default") != "default"
