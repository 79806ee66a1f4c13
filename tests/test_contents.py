"""What is inside a value, and the bytes that nobody wrote."""

import pickle

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from skfusiondp._contents import clear_padding, walk

X, y = np.random.default_rng(0).random((80, 3)), np.arange(80) % 2


def padding(fitted):
    trees = [v for _, v in walk(fitted) if type(v).__name__ == "Tree"]
    nodes = [t.__getstate__()["nodes"] for t in trees]
    return np.concatenate([n.view(np.uint8).reshape(len(n), -1)[:, 57:] for n in nodes])


@pytest.mark.parametrize("clone", [lambda m: m, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeRegressor(),
        make_pipeline(StandardScaler(), RandomForestClassifier(3)),
        {"age": ExtraTreesRegressor(3)},
    ],
)
def test_padding_of_tree_nodes_is_cleared(model, clone):
    for part in model.values() if isinstance(model, dict) else [model]:
        part.fit(X, y)
    trees = [v for _, v in walk(model) if type(v).__name__ == "Tree"]
    for tree in trees:  # what the memory may have held before
        nodes = tree.__getstate__()["nodes"]
        nodes.view(np.uint8).reshape(len(nodes), -1)[:, 57:] = 77
    assert (padding(model) == 77).all()
    before = [t.predict(X.astype(np.float32)) for t in trees]
    clear_padding(model)
    assert not padding(clone(model)).any()
    assert all(np.array_equal(a, t.predict(X.astype(np.float32))) for a, t in zip(before, trees, strict=True))
