"""Fit a clone with white-box canaries, listening to every step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from ..exceptions import InvalidInputError
from ..privacy import relation
from ..tables._frames import as_frame
from ..tables._paired_table import PairedTable
from ..tables._schema import SensitiveSchema
from ..tables._table import FrameTable
from ..tables._table_encoder import TableEncoder
from ._canaries import Canaries
from ._claim import unbudgeted
from ._released_sums import releases_sums


def white_box_scores(
    estimator: Any, paired: PairedTable, y: np.ndarray, canaries: Canaries
) -> tuple[Any, np.ndarray]:
    """A fitted clone of `estimator`, and each canary's score."""
    import torch

    from ..nets import MLP
    from ._dirac import CanaryListener, CanaryModule

    table, bits = _numbered(paired, canaries, erased=erases(estimator))
    stays = np.ones(len(table), dtype=bool)
    stays[canaries.rows[~canaries.coins]] = bool(canaries.columns)
    training = table[np.flatnonzero(stays)]
    encoder = TableEncoder()._fit_schema(FrameTable(training.original), table.schema)
    names = list(encoder.get_feature_names_out())
    model = unbudgeted(estimator)
    target = torch.from_numpy(clone(model)._encode_target(y, len(y)).values[canaries.rows])
    column = _read_from(canaries.columns, table.schema, model.epsilon or 1.0)
    side, one_sided = _side(column, table.schema, names, erased=erases(estimator))
    sides = []
    for first in (True,) if one_sided else (True, False):
        known = canaries.set_in(table.original, table.schema, np.full(len(canaries), first))
        sides.append(torch.from_numpy(encoder._encode(known.iloc[canaries.rows])))
    own = model.private_parameters
    if (support := model._given_support()) is not None:  # none is a canary
        model.set_params(support=as_frame(support).assign(**dict.fromkeys(bits, "off")))
    model.set_params(
        sensitive=None,
        imputer=None,
        module=CanaryModule,
        module__base=MLP if model.module is None else model.module,
        module__bits=tuple(names.index(f"public__{b}_on") for b in bits),
        module__unseen=tuple(i for i, n in enumerate(names) if n.startswith("public__canary bit ")),
        module__side=side,
        callbacks=[*(model.callbacks or ()), CanaryListener(sides, target, column)],
        private_parameters=None if own is None else [*(f"base.{p}" for p in own), "canaries.weight"],
        beta=0.0,  # the listener reads the sign of a canary's gradient off the loss alone
        on_leak="ignore",
    )
    model.fit(training, y[stays])
    # A fit works on copies of its callbacks.
    return model, model.net_.callbacks[-1].scores_


def check_white_box(estimator: Any) -> None:
    """Refuse an estimator whose noised gradients cannot be read."""
    if releases_sums(estimator):
        return
    needed = ("module", "callbacks", "private_parameters", "method", "beta")
    if any(not hasattr(estimator, name) for name in needed):
        raise InvalidInputError(
            f"score='white-box' needs a FusionDPClassifier or FusionDPRegressor, whose training steps it "
            f"listens to, or a synthesizer, whose sums it reads, not {type(estimator).__name__}; use "
            'score="black-box".'
        )
    if estimator.method not in ("fusiondp", "feature-dp", "dp-sgd"):
        raise InvalidInputError(
            f"score='white-box' reads noised gradients, of which method={estimator.method!r} has none; use "
            'score="black-box".'
        )


def pair(estimator: Any, frame: pd.DataFrame, schema: SensitiveSchema) -> PairedTable:
    """Both views of the table, made as the estimator would make them."""
    if estimator.method != "fusiondp":  # no imputed view is read
        return PairedTable(frame, frame, schema)
    return estimator._unfitted_imputer(lambda: 0)._fit_schema(schema)._pair(frame)


def erases(estimator: Any) -> bool:
    """Whether the white-box coins choose between a value and its being erased."""
    return relation(estimator.adjacency).erases and estimator.method == "fusiondp"


def _numbered(paired: PairedTable, canaries: Canaries, erased: bool) -> tuple[PairedTable, list[str]]:
    """The table with the coins' cells and public columns that number the canaries in binary.

    Canaries are imputed as "no idea", an encoding of zeros, so that their known view has no side; or, if
    the second side is to be an erased row, as the second values: what is imputed is what erased rows hold.
    """
    schema = paired.schema
    names = [f"canary bit {b}" for b in range(len(canaries).bit_length())]
    number = np.zeros(len(paired), dtype=np.int64)
    number[canaries.rows] = np.arange(1, len(canaries) + 1)
    bits = pd.DataFrame({n: np.where(number >> b & 1, "on", "off") for b, n in enumerate(names)})
    wider = replace(schema, columns=(*schema.columns, *names))
    original = canaries.set_in(paired.original.reset_index(drop=True), schema)
    hybrid = paired.hybrid.reset_index(drop=True)
    expected = {}
    for column, domain in schema.domains.items():
        given = (paired.expected or {}).get(column)
        encoded = domain.encode(hybrid[column]) if given is None else np.array(given)
        if not erased:
            encoded[canaries.rows] = 0
        elif column in canaries.columns:
            encoded[canaries.rows] = domain.encode([domain.far_apart()[1]])
        else:
            encoded[canaries.rows] = domain.encode(original[column].iloc[canaries.rows])
        expected[column] = encoded
    original, hybrid = (pd.concat([view, bits], axis=1) for view in (original, hybrid))
    return PairedTable(original, hybrid, wider, expected), names


def _read_from(columns: tuple[str, ...], schema: SensitiveSchema, epsilon: float) -> str | None:
    """The column of the coins with the largest budget: the one that is released with the least noise."""
    return max(columns, key=lambda c: schema.domains[c].epsilon or epsilon, default=None)


def _side(column: str | None, schema: SensitiveSchema, names: list[str], erased: bool) -> tuple[Any, bool]:
    """How the coin's side reads from the encoding, and whether its second side has no gradient."""
    from ._dirac import Side

    if column is None:
        return None, True
    domain = schema.domains[column]
    features = tuple(names.index(f"sensitive__{n}") for n in domain.feature_names(column))
    first, second = (domain.encode([v])[0].astype(float) for v in domain.far_apart())
    if erased:
        weights = (first - second) / np.square(first - second).sum()
        return Side(features, tuple(second.tolist()), tuple(weights.tolist())), True
    weights = np.linalg.lstsq(np.stack([first, second]), np.array([1.0, -1.0]))[0]
    side = Side(features, (0.0,) * len(features), tuple(weights.tolist()))
    # A value that is encoded as nothing cannot be told from the known view.
    return side, bool(abs(weights @ second) < 0.5)
