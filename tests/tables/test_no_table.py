"""What is no table is refused by its type and shape; a refusal shows no cell, for cells may be sensitive."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from skfusiondp import FoundationImputer, FusionDPClassifier, Numeric, OffsetFusionClassifier
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.preprocessing import TableEncoder

SECRET = 987654.0
FRAME = pd.DataFrame({"lab": np.arange(20.0), "age": [SECRET] * 20})
X = FRAME.to_numpy()


class Stubborn:
    """Whatever is asked of it, it raises, with its cells."""

    def __array__(self, *args, **kwargs):
        raise ValueError(f"not {SECRET}")


NO_TABLES = {
    "dict": (FRAME.to_dict("list"), "pandas.DataFrame(X)"),
    "records": (FRAME.to_dict("records"), "pandas.DataFrame(X)"),
    "structured": (FRAME.to_records(index=False), "pandas.DataFrame(X)"),
    "series of rows": ([row for _, row in FRAME.iterrows()], "pandas.DataFrame(X)"),
    "lazy": (pl.from_pandas(FRAME).lazy(), "X.collect()"),
    "generator": ((row for row in X.tolist()), "list(X)"),
    "ragged": ([[SECRET, 1.0], [SECRET]], "rows of one length"),
    "column": (X[:, 1], "reshape"),
    "column of a frame": (FRAME["age"], "frame[['name']]"),
    "rows and labels": ((FRAME, FRAME["lab"]), "rows alone"),
    "list of cells": (X[:, 1].tolist(), "Reshape"),
    "three": (X[:, :, None], "shape"),
    "scalar": (np.array(SECRET), "shape"),
    "groups": (FRAME.groupby("lab"), "rows"),
    "gradients": (torch.tensor(X, requires_grad=True), "array"),
    "stubborn": (Stubborn(), "array"),
    "void": (X.astype("V8"), "array"),
    "empty": ([], "rows"),
    "object": (object(), "frame"),
}
READERS = [
    FusionDPClassifier({1: Numeric(0, 1e6)}, steps=1, noise_multiplier=1.0),
    OffsetFusionClassifier({1: Numeric(0, 1e6)}, noise_multiplier=1.0),
    FoundationImputer({1: Numeric(0, 1e6)}),
    TableEncoder({1: Numeric(0, 1e6)}),
]


@pytest.mark.parametrize("reader", READERS, ids=lambda r: type(r).__name__)
@pytest.mark.parametrize("kind", NO_TABLES)
def test_refused_by_type_without_a_cell(kind, reader):
    given, remedy = NO_TABLES[kind]
    with pytest.raises(InvalidInputError) as refused:
        reader.fit(given, np.arange(20) % 2)
    message = str(refused.value)
    assert remedy in message and message.startswith("X is a")
    assert "98765" not in message and refused.value.__cause__ is None


def test_a_masked_cell_is_a_missing_one():
    masked = np.ma.masked_array(X, mask=np.zeros_like(X, dtype=bool))
    masked[3, 0] = np.ma.masked
    missing = X.copy()
    missing[3, 0] = np.nan
    encoder = TableEncoder({1: Numeric(0, 1e6)})
    assert (encoder.fit_transform(masked) == encoder.fit_transform(missing)).all()
    assert (encoder.fit_transform(np.ma.masked_array(X)) == encoder.fit_transform(X)).all()
