"""What comes out of a step: names, sources and order of its columns."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ._known_steps import is_a, is_ours
from ._provenance import Column, Flow

_MOST_POWERS = 10_000


def after(estimator: Any, flow: Flow, gives: str) -> Flow:
    """What a step hands on, as its rule's `gives` says."""
    # Resamplers and functions hand on the kind of table that they are handed.
    keeps = not hasattr(estimator, "transform") or is_a(estimator, "FunctionTransformer")
    named = flow.named if gives == "same" and keeps else gives_frame(estimator)
    flow = replace(flow, named=named, protected=None)
    if gives == "same":
        return replace(flow, columns=tuple(replace(c, dtype=None) for c in flow.columns))
    if gives == "prediction":
        return prediction(flow.sources)
    if gives == "powers" and (powers := _powers(estimator, flow)) is not None:
        return replace(flow, columns=powers)
    if gives == "categories" and (categories := _categories(estimator, flow)) is not None:
        return replace(flow, columns=categories)
    if gives in ("each", "categories"):
        return replace(flow, columns=tuple(Column(f"{c.name}_*", c.sources, many=True) for c in flow.columns))
    return Flow((Column("*", flow.sources, many=True),), None, "", named)


def imputed(imputer: Any, stated: Flow, treated_as_public: frozenset[str], flow: Flow) -> Flow:
    """What a FoundationImputer hands on."""
    if imputer.output == "paired":
        return replace(flow, protected=stated.sources)
    # Each guess is made from the row's public columns: what those carry, it carries.
    columns = tuple(
        replace(c, sources=treated_as_public, dtype=None) if c in stated.columns else c for c in flow.columns
    )
    rest = treated_as_public if stated.rest is not None else flow.rest
    return replace(flow, columns=columns, rest=rest, protected=None)


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


def _powers(estimator: Any, flow: Flow) -> tuple[Column, ...] | None:
    """The columns of PolynomialFeatures, by its own rule: it looks at nothing but their number."""
    if flow.rest is not None or any(c.many for c in flow.columns) or not flow.columns:
        return None
    names = [c.name for c in flow.columns]
    made = type(estimator)(**estimator.get_params(deep=False)).fit(np.zeros((1, len(names))))
    if made.n_output_features_ > _MOST_POWERS:
        return None
    sources = [
        frozenset().union(*(c.sources for c, p in zip(flow.columns, row, strict=True) if p))
        for row in made.powers_
    ]
    return tuple(map(Column, made.get_feature_names_out(names), sources))


def _categories(estimator: Any, flow: Flow) -> tuple[Column, ...] | None:
    """The columns of a OneHotEncoder with declared categories."""
    categories = getattr(estimator, "categories", None)
    if (
        isinstance(categories, str)
        or flow.rest is not None
        or getattr(estimator, "drop", None) is not None
        or getattr(estimator, "feature_name_combiner", "concat") != "concat"
        or categories is None
        or len(categories) != len(flow.columns)
    ):
        return None
    pairs = zip(flow.columns, categories, strict=True)
    return tuple(Column(f"{c.name}_{k}", c.sources) for c, kinds in pairs for k in kinds)
