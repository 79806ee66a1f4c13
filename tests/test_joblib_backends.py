"""Search and batch imputation through joblib give on a dask cluster what they give here."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV

from skfusiondp import FoundationImputer, FusionDPClassifier
from skfusiondp.impute import ConditionalBackend

WHOLE_MODELS = True

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module", params=[pytest.param("dask", marks=pytest.mark.slow), "loky"])
def backend(request):
    """A joblib backend of two processes, entered anew by each test."""
    if request.param == "loky":
        yield lambda: joblib.parallel_config(backend="loky", n_jobs=2)
        return
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster):
        yield lambda: joblib.parallel_config(backend="dask")


def made_imputer(adult, **parameters):
    few_trees = ConditionalBackend(n_estimators=5)
    return FoundationImputer(
        adult.sensitive, support=adult.table[:120], backend=few_trees, random_state=0, **parameters
    )


@pytest.mark.parametrize("strategy", ["mean", "sample"])
@pytest.mark.one_in(4)
def test_batches_are_imputed_by_the_backend(backend, strategy, adult):
    rows = adult.table[200:600]
    imputer = made_imputer(adult, strategy=strategy, batch_size=64).fit(rows)
    here = imputer.transform(rows)
    with backend():
        there = imputer.transform(rows)
    pd.testing.assert_frame_equal(here, there)


@pytest.mark.slow
def test_a_grid_is_searched_by_the_backend(backend, adult):
    model = FusionDPClassifier(
        adult.sensitive,
        imputer=FoundationImputer(backend="domain"),
        noise_multiplier=1.0,
        steps=3,
        public_epochs=1,
        module__hidden=(8,),
        random_state=0,
    )
    grid = GridSearchCV(model, {"max_grad_norm": [0.1, 1.0]}, cv=2)
    X, y = adult.table[:400], adult.target[:400]
    with backend():
        grid.fit(X, y)
    here = GridSearchCV(model, grid.param_grid, cv=2).fit(X, y)
    np.testing.assert_allclose(
        grid.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"], atol=1e-6
    )
    # The refit ran here; its ledger holds its own steps, as after any fit.
    assert [e.steps for e in grid.best_estimator_.ledger_] == [3]


def test_what_a_worker_is_sent_has_no_support_rows(adult):
    """Tasks carry the fitted imputer: its pickle leaves the support table out."""
    import pickle

    imputer = made_imputer(adult).fit(adult.table[:50])
    assert pickle.loads(pickle.dumps(imputer)).support is None
