"""What tests share: one thread, a small real table, and the table kinds that users bring."""

import os
import random
from collections import defaultdict

# Workers of pytest-xdist already are as many as there are cores: threads of linear algebra and of boosting
# beside them would wait for one another. Before numpy is imported, and for what tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings
from threadpoolctl import threadpool_limits

torch.set_num_threads(1)
threadpool_limits(1)  # where a plugin has imported numpy before

# Generated inputs are the same in each run, so that a failure is the change's; new ones are looked for
# with --hypothesis-profile=explore.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, derandomize=False, database=None, print_blob=True)
settings.load_profile("same")


@pytest.fixture(scope="session")
def adult():
    """Adult's declared domains with its first 1,500 rows; not to be changed in place."""
    from skfusiondp.datasets import SensitiveTable, load_adult

    whole = load_adult()
    return SensitiveTable("adult", whole.table[:1500], whole.target[:1500], whole.sensitive)


@pytest.fixture(params=["pandas", "nullable", "polars"])
def df_module(request):
    """Turn a pandas frame into one kind of table; the test reruns for each kind."""
    if request.param == "pandas":
        return lambda frame: frame
    if request.param == "nullable":
        return lambda frame: frame.convert_dtypes()
    polars = pytest.importorskip("polars")
    return lambda frame: polars.DataFrame(
        {c: [None if v != v else v for v in frame[c].tolist()] for c in frame}
    )


@pytest.fixture(scope="module", autouse=True)
def small_models(request):
    """Few trees in public models, starts and imputers, which is enough to test what is read, paid and said.

    A module sets ``WHOLE_MODELS = True`` if it judges what is learnt, or compares with fits of other
    processes, which this does not reach.
    """
    if getattr(request.module, "WHOLE_MODELS", False):
        yield
        return
    from skfusiondp.estimators.offset import _boosting, _trees
    from skfusiondp.impute._conditional_backend import TreesHead

    plain = TreesHead.__init__

    def few(self, domain, n_estimators, *rest, **more):
        plain(self, domain, min(n_estimators, 6), *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_trees, "_TREES", 6)
        patch.setattr(_trees, "_FOREST", 6)
        patch.setattr(_boosting, "_BOOSTED", 12)
        patch.setattr(TreesHead, "__init__", few)
        yield


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items):
    """Of a test marked ``one_in(k)`` a k-th of the cases, drawn once for all, runs by default."""
    cases = defaultdict(list)
    for item in items:
        if mark := item.get_closest_marker("one_in"):
            cases[item.nodeid.partition("[")[0], mark.args[0]].append(item)
    for (name, k), some in cases.items():
        often = random.Random(name).sample(range(len(some)), -(-len(some) // k))
        for i in set(range(len(some))) - set(often):
            some[i].add_marker(pytest.mark.slow)
