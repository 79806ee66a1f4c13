"""Modules for which clipping a row would not bound its influence are refused, by name."""

import builtins
import functools

import pytest
import torch
from torch import nn

from skfusiondp.exceptions import InvalidInputError
from skfusiondp.nets import MLP
from skfusiondp.privacy import Clipping
from skfusiondp.training import PerRowEngine, RowLoss, TwoViewObjective, _traces, check_module
from skfusiondp.training._throwaway import copied

X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


def net(*layers):
    return nn.Sequential(nn.Linear(6, 5), *layers, nn.Linear(5, 1))


class Centred(nn.Module):
    """Mixes rows by hand: no layer's name gives it away."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 1)

    def forward(self, x):
        return self.head(x - x.mean(0))


class FunctionalDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(6, 20), nn.Linear(20, 1)

    def forward(self, x):
        return self.head(nn.functional.dropout(self.body(x), 0.3, self.training))


class Frozen(nn.Module):
    def forward(self, x):
        return x[:, :1]


@pytest.mark.parametrize(
    ("layer", "name", "remedy"),
    [
        (nn.BatchNorm1d(5), "BatchNorm1d", "LayerNorm"),
        (nn.LazyBatchNorm1d(), "LazyBatchNorm1d", "LayerNorm"),
        (nn.BatchNorm2d(5), "BatchNorm2d", "GroupNorm"),
        (nn.BatchNorm3d(5), "BatchNorm3d", "GroupNorm"),
        (nn.SyncBatchNorm(5), "SyncBatchNorm", "LayerNorm"),
        (nn.Sequential(nn.BatchNorm1d(5)), "BatchNorm1d", "LayerNorm"),
    ],
)
def test_batch_norm_is_refused_by_name_with_the_remedy(layer, name, remedy):
    with pytest.raises(InvalidInputError, match=rf"'1.*' \({name}\), which mixes rows.*use {remedy}"):
        check_module(net(layer), X, 1)


@pytest.mark.parametrize(
    ("module", "outputs", "match"),
    [
        (Centred(), 1, "mixes rows: changing one row"),
        (FunctionalDropout(), 1, r"do not share; use nn\.Dropout"),
        (net(nn.RReLU()), 1, "do not share"),
        (net(nn.AlphaDropout(0.4)), 1, "do not share"),
        (nn.Linear(6, 2), 1, r"outputs of shape \(4, 2\) for 4 rows; it must give \(4, 1\)"),
        (nn.Sequential(nn.Linear(6, 1), nn.Flatten(0)), 3, r"it must give \(4, 3\)"),
        (nn.Linear(7, 1), 1, r"cannot run on encoded rows of shape \(4, 6\)"),
        (Frozen(), 1, "no trainable parameter"),
    ],
)
def test_refuses(module, outputs, match):
    with pytest.raises(InvalidInputError, match=match):
        check_module(module, X, outputs)


@pytest.mark.parametrize(
    ("module", "outputs"),
    [
        (MLP(6, 3, dropout=0.4), 3),
        (net(nn.Dropout(0.5), nn.LayerNorm(5)), 1),
        (net(nn.RMSNorm(5)), 1),
        (nn.Sequential(nn.Linear(6, 1), nn.Flatten(0)), 1),  # (rows,) counts as one output
    ],
)
def test_accepts(module, outputs):
    check_module(module, X, outputs)


def test_leaves_mode_and_random_stream_alone():
    module = MLP(6, 1, dropout=0.5).eval()
    before = torch.random.get_rng_state()
    check_module(module, X, 1)
    assert not module.training
    assert torch.equal(before, torch.random.get_rng_state())


class MixesInEvaluation(nn.Module):
    """Reads the whole table where rows are represented, and each row alone where it is trained."""

    def __init__(self, statistic):
        super().__init__()
        self.body, self.head, self.statistic = nn.Linear(6, 5), nn.Linear(5, 1), statistic

    def represent(self, x):
        hidden = self.body(x)
        return hidden if self.training else hidden * self.statistic(x)

    def forward(self, x):
        return self.head(self.represent(x))


@pytest.mark.parametrize(
    "statistic",
    [
        lambda x: torch.where(x[:, -1].mean() > 0, -1.0, 1.0) * 10,
        lambda x: torch.sign(x[:, -3:].sum(1).amax() - 5.0),
        lambda x: 1 + x.std(),
        lambda x: torch.where((x > 50).any(), 2.0, 1.0),
        lambda x: 1 + torch.cumsum(x, 0)[:, :1].flip(0),
    ],
)
def test_a_module_that_mixes_rows_in_evaluation_mode_is_refused(statistic):
    with pytest.raises(InvalidInputError, match="mixes rows in evaluation mode: changing one row"):
        check_module(MixesInEvaluation(statistic), X, 1)


class MixesInTheRepresentation(nn.Module):
    """What it mixes, its head throws away."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(6, 5), nn.Sequential(nn.Linear(6, 1))

    def represent(self, x):
        return torch.cat([self.body(x), x.sum(0, keepdim=True)[:, :1].expand(len(x), 1)], 1)

    def forward(self, x):
        return self.head(self.represent(x) * x.new_tensor([1, 1, 1, 1, 1, 0]))


def test_a_representation_that_mixes_rows_is_refused():
    module = MixesInTheRepresentation()
    with torch.no_grad():
        module.head[0].weight[0, -1] = 0.0
    with pytest.raises(InvalidInputError, match="mixes rows: changing one row"):
        check_module(module, X, 1)


def test_a_check_leaves_nothing_in_the_module():
    class Keeps(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.head = nn.InstanceNorm1d(1, track_running_stats=True), nn.Linear(6, 1)

        def forward(self, x):
            self.attention = x.detach()
            return self.head(self.norm(x[:, None, :])[:, 0, :])

    module = Keeps()
    check_module(module, X, 1)
    assert "attention" not in vars(module) and module.norm.running_mean.item() == 0


SEEN = []


class Itself(list):
    def __deepcopy__(self, memo):
        return self


class Writes(nn.Module):
    last, most = None, torch.zeros(())

    def __init__(self, kind):
        super().__init__()
        self.kind, self.head, self.box = kind, nn.Linear(6, 1), Itself()
        if kind == "closure":
            box = {}
            self.head.register_forward_hook(lambda layer, args, output: box.update(x=args[0].detach()))

    @functools.lru_cache(maxsize=2)  # noqa: B019
    def cached(self, x):
        return x

    def forward(self, x):
        if self.kind == "global":
            SEEN.append(x.detach())
        elif self.kind == "class":
            Writes.last = x.detach()
        elif self.kind == "maximum":
            Writes.most.copy_(torch.maximum(Writes.most, x.detach().amax()))
        elif self.kind == "copy is itself":
            self.box.append(x.detach())
        elif self.kind == "cache":
            x = self.cached(x)
        return self.head(x)


@pytest.mark.parametrize("kind", ["global", "class", "maximum", "copy is itself", "cache", "closure"])
def test_a_module_that_writes_where_no_copy_can_be_thrown_away_is_refused(kind):
    """Sensitive rows were found in a pickle: the copies that are thrown away shared a list with the model."""
    with pytest.raises(InvalidInputError, match="writes to something that its copies share"):
        check_module(Writes(kind), X, 1)
    check_module(Writes("nowhere"), X, 1)


class Grows(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.head = kind, nn.Linear(6, 1)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        if self.kind == "buffer":
            self.register_buffer("most", x.detach().amax())
        elif self.kind == "parameter":
            self.scale = nn.Parameter(x.detach().amax())
        elif self.kind == "shape":
            self.seen = x.detach()
        return self.head(x)


@pytest.mark.parametrize("kind", ["buffer", "parameter", "shape"])
def test_a_module_that_grows_when_it_is_called_is_refused(kind):
    with pytest.raises(InvalidInputError, match="makes or replaces parameters or buffers"):
        check_module(Grows(kind), X, 1)


def test_what_other_packages_hold_is_not_looked_at():
    """A method's name may be that of a global function, of which half a program hangs."""
    from sklearn.base import clone

    class Clones(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(6, 1)

        def forward(self, x):
            return self.head(x.clone())

    Clones.forward.__globals__["clone"] = clone
    try:
        check_module(Clones(), X, 1)
        assert len(list(_traces._contents(Clones(), frozenset({"test_checks"})))) < 2000
    finally:
        del Clones.forward.__globals__["clone"]


class Gives(nn.Module):
    """Something else than one tensor of numbers."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.head = kind, nn.Linear(6, 1)

    def forward(self, x):
        outputs = self.head(x)
        if self.kind == "log":
            return torch.log(outputs)
        if self.kind.endswith("Error"):
            raise getattr(builtins, self.kind)
        return {"tuple": (outputs, x), "dict": {"logits": outputs}, "None": None, "list": [outputs]}[
            self.kind
        ]


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("tuple", "^module gives a tuple where it must give one tensor"),
        ("dict", "^module gives a dict where it must"),
        ("list", "^module gives a list where it must"),
        ("None", "^module gives a NoneType where it must"),
        ("log", "^module gives outputs that are NaN or infinite"),
        ("KeyError", r"^module cannot run on encoded rows of shape \(4, 6\) \(KeyError"),
        ("AttributeError", r"^module cannot run .*\(AttributeError"),
        ("AssertionError", r"^module cannot run .*\(AssertionError"),
        ("ZeroDivisionError", r"^module cannot run .*\(ZeroDivisionError"),
    ],
)
def test_what_is_no_tensor_of_numbers_is_refused_for_what_it_is(kind, match):
    with pytest.raises(InvalidInputError, match=match):
        check_module(Gives(kind), X, 1)


class Normalised(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.body, self.head = norm(nn.Linear(6, 4)), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)))


NORMS = {
    "weight": nn.utils.parametrizations.weight_norm,
    "spectral": nn.utils.parametrizations.spectral_norm,
    "orthogonal": nn.utils.parametrizations.orthogonal,
    "old weight": nn.utils.weight_norm,
    "old spectral": nn.utils.spectral_norm,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("name", NORMS)
def test_normalised_weights_are_followed_by_the_general_path(name):
    """A layer whose weight is made from other parameters; the old kinds keep a tensor with a gradient."""
    module = Normalised(NORMS[name])
    check_module(module, X, 1)
    engine = PerRowEngine(module, TwoViewObjective(RowLoss("binary")), Clipping(1e6))
    views, y, weight = torch.stack([X, -X]), torch.ones(4, 1), torch.ones(4)
    engine.prepare(views, y, weight)
    assert engine.path == "vmap"
    copy = copied(module).double()
    got = engine.clipped_sum(views, y, weight)
    outputs = copy(torch.cat([views[0], views[1]]).double())
    loss = RowLoss("binary")(outputs, torch.cat([y, y]).double())
    wanted = torch.autograd.grad((loss[:4] - loss[4:]).sum(), list(copy.parameters()))
    for value, (name_, _) in zip(wanted, copy.named_parameters(), strict=True):
        torch.testing.assert_close(got[name_], value, rtol=1e-5, atol=1e-8)
