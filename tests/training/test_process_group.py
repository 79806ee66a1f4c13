"""Two processes train what one trains: the same gradient, one draw of noise, one ledger entry."""

import os
import pickle
import socket
import sys

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from scipy import stats
from skorch.callbacks import Callback

from skfusiondp import FusionDPClassifier, Numeric
from skfusiondp.accounting import Clipping
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.nets import MLP
from skfusiondp.privacy import make_plan
from skfusiondp.privacy._random_bits import RandomBits
from skfusiondp.privacy._sampling import PoissonSampler
from skfusiondp.training._batches import TrainingRows
from skfusiondp.training._net import FusionDPNet
from skfusiondp.training._process_group import Ranks

WHOLE_MODELS = True

pytestmark = [
    pytest.mark.slow,  # processes of their own take half a minute to come up
    pytest.mark.filterwarnings("ignore:No support rows:UserWarning"),
    pytest.mark.skipif(
        sys.platform == "win32" or not torch.distributed.is_available(), reason="needs gloo and spawn"
    ),
]

WORLD, N, BATCH = 2, 61, 10
SIGMA, C, ALPHA = 1.7, 0.6, 2.5
NOISE_STD = ALPHA * SIGMA * C / BATCH


class Gradients(Callback):
    def __init__(self):
        self.seen = []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.seen.append(torch.cat([p.grad.flatten() for _, p in named_parameters]).double().numpy())


def table(n=N):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    return X, (X[:, 0] + X[:, 1] > 0).astype(int)


def parameters_of(model):
    return np.concatenate([p.detach().numpy().ravel() for p in model.net_.module_.parameters()])


def made(**parameters):
    defaults = {
        "noise_multiplier": 1.0,
        "steps": 5,
        "public_epochs": 1,
        "public_batch_size": 16,
        "module__hidden": (8,),
        "random_state": 0,
    }
    return FusionDPClassifier({0: Numeric(-3, 3)}, **{**defaults, **parameters})


COUNTED = {"noise_multiplier": None, "epsilon": 8.0, "delta": 1e-3, "support": table(20)[0] + 0.5}


def silent_gradients(ranks, steps=3):
    """Gradients of steps whose rows all weigh nothing: noise alone is left."""
    rows = TrainingRows(torch.zeros(20, 12), [torch.zeros(20, 12)] * 2, torch.zeros(20, 1), torch.zeros(20))
    plan = make_plan(
        20 * ranks.world,
        batch_size=BATCH,
        steps=steps,
        epsilon=None,
        noise_multiplier=SIGMA,
        delta=None,
        clipping=Clipping(C),
        adjacency="replace",
    )
    callback = Gradients()
    torch.manual_seed(0)
    net = FusionDPNet(
        MLP,
        module__n_features=12,
        module__hidden=(64, 64),
        plan=plan,
        epoch_steps=(steps,),
        max_epochs=1,
        public_batch_size=16,
        alpha=ALPHA,
        lr=0.0,
        ranks=ranks,
        seed=np.random.SeedSequence(3),
        secret=False,
        verbose=0,
        callbacks=[callback],
    )
    net.prepare(rows, 1)
    net.fit_more(rows)
    return np.stack(callback.seen)


def quiet(**parameters):
    """A fit that reads every row at every step, so that nothing but the noise is random."""
    whole = {"batch_size": 60, "public_batch_size": 60, "public_epochs": 0}
    return made(**{**whole, "lr": 1e-3, "steps": 8, "ema_decay": 0.0, **parameters})


def sampled_sizes(**parameters):
    """Fit, and return how many private rows each step took, and of which positions."""
    sizes = []
    real = TrainingRows.private_rows
    TrainingRows.private_rows = lambda self, index, tier=0: (
        sizes.append((len(self), index)) or real(self, index, tier)
    )
    try:
        made(**parameters).fit(*table())
    finally:
        TrainingRows.private_rows = real
    return sizes


def work(rank, port, folder):
    """What each process does; results go to a file, since a failure here must reach the test."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), OMP_NUM_THREADS="1")
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(WORLD))
    try:
        from accelerate import Accelerator
    except ImportError:
        torch.distributed.init_process_group("gloo")
    else:
        Accelerator(cpu=True)
    assert torch.distributed.get_backend() == "gloo"
    X, y = table()
    model = made().fit(X, y)
    secret = made(random_state=None).fit(X, y)
    again = model.fit(X, y)
    counted = made(**COUNTED).fit(X, y)
    np.save(f"{folder}/table{rank}.npy", X)
    result = {
        "model": parameters_of(again),
        "ledger": model.ledger_,
        "epsilon": model.epsilon_,
        "plan": model.plan_,
        "history": model.history_[:, "train_loss"],
        "predicted": model.predict_proba(X),
        "counted": parameters_of(counted),
        "knots": counted.schema_.domains["x0"].knots,
        "ledger of a count": counted.ledger_,
        "secret": parameters_of(secret),
        "secret imputer": secret.imputer_.random_state,
        "quiet": parameters_of(quiet().fit(X[:60], y[:60])),
        "on disk": parameters_of(made().fit(f"{folder}/table{rank}.npy", y)),
        "in memory": parameters_of(made().fit(X, y)),
        "noise": silent_gradients(Ranks.current()),
        "sampled": sampled_sizes(steps=200, batch_size=20, public_epochs=0),
    }
    for name, (other_X, other_y, parameters) in {
        "target": (X, y[::-1] if rank else y, {}),
        "public columns": (np.flipud(X) * (1 + rank), y, {}),
        "parameters": (X, y, {"lr": 0.01 * (1 + rank)}),
        "rows": (X[: N - 7 * rank], y[: N - 7 * rank], {}),
    }.items():
        try:
            made(**parameters).fit(other_X, other_y)
            result[name] = None
        except InvalidInputError as error:
            result[name] = str(error)
    with open(f"{folder}/{rank}.pickle", "wb") as file:
        pickle.dump(result, file)
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What two processes found; they run once for all tests."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(work, args=(port, str(folder)), nprocs=WORLD)
    results = []
    for rank in range(WORLD):
        with open(folder / f"{rank}.pickle", "rb") as file:
            results.append(pickle.load(file))
    return results


def assert_noise(sample, std):
    """Accept normal noise of this scale; reject it 10 % off (noise added twice would be 41 % off)."""

    def p_value(std):
        statistic = float(np.square(sample / std).sum())
        return 2 * min(f(statistic, len(sample)) for f in (stats.chi2.cdf, stats.chi2.sf))

    assert p_value(std) > 1e-3
    assert p_value(0.9 * std) < 1e-3 and p_value(1.1 * std) < 1e-3


def test_noise_is_added_once_in_total(ranks):
    for gradient in (silent_gradients(Ranks()), ranks[0]["noise"], ranks[1]["noise"]):
        for step in gradient:
            assert_noise(step, NOISE_STD)
    assert np.array_equal(ranks[0]["noise"], ranks[1]["noise"])
    correlation = np.corrcoef(ranks[0]["noise"]) - np.eye(3)
    assert np.abs(correlation).max() < 4 / np.sqrt(ranks[0]["noise"].shape[1])


def test_two_processes_train_the_model_of_one(ranks):
    """Every row in every batch: two halves' gradients and one draw of noise are those of the whole."""
    X, y = table()
    one = parameters_of(quiet().fit(X[:60], y[:60]))
    start = parameters_of(quiet(steps=1, lr=1e-12).fit(X[:60], y[:60]))
    assert np.abs(one - start).max() > 1e-3
    for rank in ranks:
        np.testing.assert_allclose(rank["quiet"], one, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("key", ["model", "counted", "secret", "predicted"])
def test_all_processes_end_with_the_same_model(key, ranks):
    assert np.array_equal(ranks[0][key], ranks[1][key])
    assert np.isfinite(ranks[0][key]).all()


def test_the_ledger_counts_once(ranks):
    """Two fits of five steps are two entries of five steps, as on one process."""
    one = made().fit(*table())
    one.fit(*table())
    for rank in ranks:
        assert rank["ledger"] == one.ledger_ and [e.steps for e in rank["ledger"]] == [5, 5]
        assert rank["plan"] == one.plan_ and rank["plan"].n_rows == N
        assert rank["epsilon"] == one.epsilon_
        assert rank["history"] == ranks[0]["history"]


def test_one_count_is_released_and_all_processes_learn_it(ranks):
    one = made(**COUNTED).fit(*table())
    for rank in ranks:
        assert rank["ledger of a count"] == one.ledger_ and len(one.ledger_) == 2
        # The released count is the same; knots solved from it differ by rounding.
        np.testing.assert_allclose(rank["knots"], one.schema_.domains["x0"].knots, rtol=1e-9)
        assert rank["knots"] == ranks[0]["knots"] and len(rank["knots"]) > 1


def test_the_shards_are_a_partition():
    for n, world in ((61, 2), (7, 3), (2, 5)):
        blocks = [Ranks(r, world).rows(n) for r in range(world)]
        assert [i for block in blocks for i in block] == list(range(n))
        assert max(map(len, blocks)) - min(map(len, blocks)) <= 1


def test_each_process_draws_a_poisson_sample_of_its_own_rows(ranks):
    drawn = [rank["sampled"] for rank in ranks]
    assert {n for n, _ in drawn[0]} == {30} and {n for n, _ in drawn[1]} == {31}
    sizes = np.array([[len(index) for _, index in rank] for rank in drawn])
    assert sizes.shape == (2, 200)
    q = 20 / N
    total = sizes.sum(axis=0)
    assert total.mean() == pytest.approx(20, abs=4 * np.sqrt(N * q * (1 - q) / 200))
    assert total.var() == pytest.approx(N * q * (1 - q), rel=0.4)
    assert abs(np.corrcoef(sizes)[0, 1]) < 4 / np.sqrt(200)  # independent draws


def test_a_table_on_disk_trains_the_same_on_two_processes(ranks):
    for rank in ranks:
        np.testing.assert_allclose(rank["on disk"], rank["in memory"], rtol=0, atol=2e-6)


def test_without_a_random_state_seeds_are_shared_all_the_same(ranks):
    assert ranks[0]["secret imputer"] == ranks[1]["secret imputer"]


@pytest.mark.parametrize("name", ["target", "public columns", "parameters", "rows"])
def test_processes_that_disagree_are_refused_on_each(name, ranks):
    word = "target" if name == "rows" else name
    for rank in ranks:
        assert rank[name] is not None and "do not agree on" in rank[name] and word in rank[name]


def test_one_process_alone_exchanges_nothing():
    alone = Ranks.current()
    assert (alone.rank, alone.world) == (0, 1)
    seed = np.random.SeedSequence(1)
    assert alone.own_seed(seed) is seed and alone.same(seed) is seed
    assert alone.rows(5) == range(5) and alone.share(7) == 7


def test_processes_launched_together_that_do_not_meet_are_warned_of(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.warns(UserWarning, match=r"torch\.distributed is not initialised"):
        assert Ranks.current().world == 1


def test_seeds_of_ranks_differ_and_rates_do_not():
    seeds = [Ranks(r, 3).own_seed(np.random.SeedSequence(1)) for r in range(3)]
    draws = [PoissonSampler(1000, 0.1, RandomBits(s)).draw().tolist() for s in seeds]
    assert draws[0] != draws[1] != draws[2] != draws[0]
