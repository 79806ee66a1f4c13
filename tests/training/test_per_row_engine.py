"""The engine against a loop that handles one row at a time, in both of its paths."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skfusiondp.accounting import Clipping
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.nets import MLP
from skfusiondp.training import PerRowEngine, RowLoss, TwoViewObjective, forward_with_representation

FEATURES = 6


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inward = nn.Linear(FEATURES, 5)
        self.block = nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5, bias=False))
        self.head = nn.Linear(5, 1)

    def forward(self, x):
        h = self.inward(x)
        return self.head(h + self.block(h))


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(FEATURES, 5), nn.LayerNorm(5), nn.GELU(), nn.RMSNorm(5, eps=1e-6))
        self.head = nn.Linear(5, 1)

    def represent(self, x):
        return self.body(x)

    def forward(self, x):
        return self.head(self.body(x))


class Embedded(nn.Module):
    """Features become tokens, so that different views and positions share embeddings."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(4, 3)
        self.head = nn.Linear(3, 1)

    def forward(self, x):
        tokens = x.abs().mul(2).long().clamp(max=3)
        return self.head(self.table(tokens).tanh().sum(1))


class Tokens(nn.Module):
    """Linear layers over (rows, tokens, width)."""

    def __init__(self, width=2, units=4):
        super().__init__()
        self.width = width
        self.mix = nn.Linear(width, units)
        self.norm = nn.LayerNorm(units)
        self.head = nn.Linear(units, 1)

    def forward(self, x):
        tokens = x.unflatten(1, (-1, self.width))
        return self.head(self.norm(self.mix(tokens)).relu().mean(1))


class Raw(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(FEATURES))
        self.head = nn.Linear(FEATURES, 1)

    def forward(self, x):
        return self.head(x * self.scale)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(FEATURES, FEATURES)
        self.second = nn.Linear(FEATURES, FEATURES)
        self.second.weight = self.first.weight
        self.head = nn.Linear(FEATURES, 1)

    def forward(self, x):
        return self.head(self.second(self.first(x).tanh()))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(FEATURES, FEATURES)
        self.head = nn.Linear(FEATURES, 1)

    def forward(self, x):
        return self.head(self.layer(self.layer(x).tanh()))


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(FEATURES, 5), nn.ReLU(inplace=True), nn.Linear(5, 1))

    def forward(self, x):
        return self.net(x)


class Flattened(nn.Module):
    """Tokens folded into the row dimension: a layer's rows are not the table's."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(2, 4)
        self.head = nn.Linear(12, 1)

    def forward(self, x):
        return self.head(self.mix(x.reshape(-1, 2)).tanh().reshape(len(x), -1))


class Functional(nn.Module):
    """Uses a layer's weight without calling the layer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(FEATURES, 5)
        self.head = nn.Linear(5, 1)

    def forward(self, x):
        return self.head((x @ self.layer.weight.T).tanh())


def mlp():
    return MLP(FEATURES, 1, hidden=(5, 4))


BOOK_KEPT = {
    "mlp": mlp,
    "residual": Residual,
    "normed": Normed,
    "embedded": Embedded,
    "tokens": Tokens,
    # Few long tokens take the Gram form of the norm, many short ones the gradient itself.
    "wide tokens": lambda: Tokens(width=3, units=16),
    "long tokens": lambda: Tokens(width=1),
}
GENERAL = {
    "raw parameter": Raw,
    "shared weight": Tied,
    "layer called twice": Twice,
    "in-place activation": InPlace,
    "tokens as rows": Flattened,
    "functional use": Functional,
}


def made(factory, dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    return factory().to(dtype)


def made_rows(n_views, n_rows, dtype=torch.float64, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    views = torch.randn(n_views, n_rows, FEATURES, generator=generator, dtype=torch.float64)
    y = torch.randint(2, (n_rows, 1), generator=generator)
    weight = torch.rand(n_rows, generator=generator, dtype=torch.float64) + 0.5
    return (scale * views).to(dtype), y.to(dtype), weight.to(dtype)


def make_engine(module, clipping=None, beta=0.0, prepare=True, n_views=2, **kwargs):
    objective = TwoViewObjective(RowLoss("binary"), beta, 0.7)
    engine = PerRowEngine(module, objective, clipping or Clipping(0.5), **kwargs)
    if prepare:
        dtype = next(module.parameters()).dtype
        engine.prepare(*made_rows(n_views, 4, dtype, seed=99))
    return engine


def force_vmap(engine):
    engine._layers, engine.path = None, "vmap"
    return engine


def loop_oracle(engine, views, y, weight):
    """One row at a time, by plain automatic differentiation; clipping written out anew."""
    module, clipping = engine.module, engine.clipping
    parameters = dict(module.named_parameters())
    chosen = [parameters[n] for n in engine.names]
    total = [torch.zeros_like(p) for p in chosen]
    c = clipping.max_grad_norm
    for i in range(views.shape[1]):
        if len(views) == 2 and torch.equal(views[0, i], views[1, i]):
            continue
        seen = [forward_with_representation(module, view[i : i + 1]) for view in views]
        outputs, hidden = (torch.stack(parts) for parts in zip(*seen, strict=True))
        value = engine.objective(outputs, hidden, y[i : i + 1], weight[i : i + 1]).sum()
        gradients = torch.autograd.grad(value, chosen, allow_unused=True)
        gradients = [torch.zeros_like(p) if g is None else g for g, p in zip(gradients, chosen, strict=True)]
        whole = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        for t, g in zip(total, gradients, strict=True):
            own = float(g.norm())
            factor = {
                "flat": min(1.0, c / max(whole, 1e-300)),
                "automatic": c / (whole + 0.01),
                "per-layer": min(1.0, c / math.sqrt(len(chosen)) / max(own, 1e-300)),
            }[clipping.kind]
            t += factor * g
    return dict(zip(engine.names, total, strict=True))


def assert_close(got, wanted, relative):
    assert list(got) == list(wanted)
    scale = max(float(w.abs().max()) for w in wanted.values()) or 1.0
    for name in wanted:
        error = float((got[name] - wanted[name]).abs().max()) / scale
        assert error < relative, (name, error)


@pytest.mark.one_in(8)
@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    n_rows=st.integers(1, 7),
    n_views=st.integers(1, 2),
    kind=st.sampled_from(["flat", "per-layer", "automatic"]),
    beta=st.sampled_from([0.0, 0.8]),
    c=st.sampled_from([0.05, 0.5, 50.0]),
)
@pytest.mark.parametrize("name", [*BOOK_KEPT, *GENERAL])
def test_agrees_with_the_loop(name, seed, n_rows, n_views, kind, beta, c):
    module = made({**BOOK_KEPT, **GENERAL}[name], seed=seed)
    engine = make_engine(module, Clipping(c, kind), beta, n_views=n_views)
    assert engine.path == ("book-keeping" if name in BOOK_KEPT else "vmap"), engine.reason
    rows = made_rows(n_views, n_rows, seed=seed)
    wanted = loop_oracle(engine, *rows)
    # Norms are rounded up a little so that a clipped row never exceeds C, hence not 1e-15.
    assert_close(engine.clipped_sum(*rows), wanted, 1e-9)
    assert_close(force_vmap(engine).clipped_sum(*rows), wanted, 1e-9)


@pytest.mark.parametrize("name", [*BOOK_KEPT, *GENERAL])
@pytest.mark.parametrize("kind", ["flat", "per-layer"])
def test_single_precision_agrees_with_the_loop_in_double(name, kind):
    # Gram norms are rounded up by 64 units in the last place: up to 1e-5, times cancellation.
    factory = {**BOOK_KEPT, **GENERAL}[name]
    module = made(factory, torch.float32, seed=3)
    double = made(factory, torch.float64, seed=3)
    double.load_state_dict(module.state_dict())
    rows = made_rows(2, 30, torch.float32, seed=3)
    wanted = loop_oracle(make_engine(double, Clipping(0.3, kind), 0.5), *(r.double() for r in rows))
    got = make_engine(module, Clipping(0.3, kind), 0.5).clipped_sum(*rows)
    assert_close(got, wanted, 5e-5)


@pytest.mark.parametrize("n_views", [1, 2])
def test_opacus_forms_the_same_gradients(n_views):
    """Rows' gradients by its hooks, a view at a time; difference, clip and sum written out anew."""
    opacus = pytest.importorskip("opacus")
    engine = make_engine(made(mlp), Clipping(0.3), n_views=n_views)
    views, y, weight = made_rows(n_views, 9)
    peer = opacus.GradSampleModule(made(mlp), loss_reduction="sum")

    def gradients(view):
        peer.zero_grad()
        losses = nn.functional.binary_cross_entropy_with_logits(peer(view), y, reduction="none")
        (losses[:, 0] * weight).sum().backward()
        return {name: p.grad_sample.clone() for name, p in peer._module.named_parameters()}

    first, *rest = (gradients(view) for view in views)
    rows = {name: g - rest[0][name] if rest else g for name, g in first.items()}
    norms = torch.stack([g.flatten(1).square().sum(1) for g in rows.values()]).sum(0).sqrt()
    factors = (0.3 / norms).clamp(max=1.0)
    assert factors.min() < 1.0
    wanted = {name: torch.tensordot(factors, g, 1) for name, g in rows.items()}
    assert_close(engine.clipped_sum(views, y, weight), wanted, 1e-9)


@pytest.mark.parametrize("patterns", [["head.*"], ["body.0.weight", "head.bias"], ["body.*"]])
@pytest.mark.parametrize("general", [False, True])
def test_private_parameters(patterns, general):
    engine = make_engine(made(mlp), private_parameters=patterns)
    assert 0 < len(engine.names) < len(list(engine.module.named_parameters()))
    rows = made_rows(2, 6)
    wanted = loop_oracle(engine, *rows)
    assert engine.path == "book-keeping"
    if general:
        force_vmap(engine)
    assert_close(engine.clipped_sum(*rows), wanted, 1e-9)


def test_private_parameters_that_match_nothing_are_refused():
    with pytest.raises(InvalidInputError, match=r"'tail.\*', which matches no trainable parameter"):
        make_engine(made(mlp), private_parameters=["head.*", "tail.*"])


def test_frozen_parameters_take_no_part():
    module = made(mlp)
    module.head.weight.requires_grad_(False)
    engine = make_engine(module)
    assert "head.weight" not in engine.names and "head.bias" in engine.names
    rows = made_rows(2, 5)
    assert_close(engine.clipped_sum(*rows), loop_oracle(engine, *rows), 1e-9)


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_other_tasks(task):
    module = made(lambda: MLP(FEATURES, 3, hidden=(4,)))
    objective = TwoViewObjective(RowLoss(task), 0.3, 1.0)
    engine = PerRowEngine(module, objective, Clipping(0.2))
    views, _, weight = made_rows(2, 6)
    if task == "multiclass":
        y = torch.tensor([0, 1, 2, 0, 1, 2])
    elif task == "multilabel":
        y = torch.randint(2, (6, 3)).double()
    else:
        y = torch.randn(6, 3, dtype=torch.float64)
    engine.prepare(views[:, :4] + 1, y[:4], weight[:4])
    wanted = loop_oracle(engine, views, y, weight)
    assert engine.path == "book-keeping"
    assert_close(engine.clipped_sum(views, y, weight), wanted, 1e-9)
    assert_close(force_vmap(engine).clipped_sum(views, y, weight), wanted, 1e-9)


@settings(max_examples=300)
@given(
    seed=st.integers(0, 10_000),
    name=st.sampled_from([*BOOK_KEPT, *GENERAL]),
    kind=st.sampled_from(["flat", "per-layer", "automatic"]),
    gap=st.sampled_from([1e-7, 1e-6, 1e-4, 1e-2, 1.0, 30.0]),
    size=st.sampled_from([0.01, 1.0, 8.0]),
    beta=st.sampled_from([0.0, 100.0]),
    c=st.sampled_from([1e-6, 1e-3, 0.1, 1.0]),
)
def test_one_row_never_adds_more_than_c(seed, name, kind, gap, size, beta, c):
    """In single precision too, and where views nearly coincide so that norms cancel."""
    module = made({**BOOK_KEPT, **GENERAL}[name], torch.float32, seed)
    engine = make_engine(module, Clipping(c, kind), beta)
    views, y, weight = made_rows(2, 1, torch.float32, seed, size)
    views[1] = views[0] + gap * views[1]
    total = engine.clipped_sum(views, y, 20 * weight)
    norm = math.sqrt(sum(float(t.double().square().sum()) for t in total.values()))
    assert norm <= c * (1 + 1e-5)


def test_large_gradients_are_clipped_to_c_and_not_far_below():
    for name in [*BOOK_KEPT, *GENERAL]:
        engine = make_engine(made({**BOOK_KEPT, **GENERAL}[name], torch.float32), Clipping(1e-3), n_views=1)
        total = engine.clipped_sum(*made_rows(1, 1, torch.float32))
        norm = math.sqrt(sum(float(t.double().square().sum()) for t in total.values()))
        assert norm == pytest.approx(1e-3, rel=1e-4), name


def with_dropout():
    return MLP(FEATURES, 1, hidden=(16, 16), dropout=0.5)


class DropoutRaw(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(FEATURES))
        self.body = with_dropout()

    def forward(self, x):
        return self.body(x * self.scale)


@pytest.mark.parametrize("factory", [with_dropout, DropoutRaw])
@pytest.mark.parametrize("kind", ["flat", "per-layer", "automatic"])
def test_equal_views_add_exactly_zero_under_dropout(factory, kind):
    module = made(factory, torch.float32).train()
    engine = make_engine(module, Clipping(1.0, kind), beta=0.5)
    assert engine.path == ("vmap" if factory is DropoutRaw else "book-keeping")
    views, y, weight = made_rows(2, 8, torch.float32)
    views[1] = views[0]
    for total in engine.clipped_sum(views, y, weight).values():
        assert torch.count_nonzero(total) == 0
    views[1, 3] += 1.0
    assert any(t.abs().max() > 0 for t in engine.clipped_sum(views, y, weight).values())


@pytest.mark.parametrize("factory", [with_dropout, DropoutRaw])
def test_views_of_a_row_share_dropout_masks(factory):
    """With a tiny gap the difference is tiny only if both views drop the same units."""
    module = made(factory, torch.float64).train()
    engine = make_engine(module, Clipping(1e6))
    views, y, weight = made_rows(2, 8)
    views[1] = views[0] + 1e-9
    for total in engine.clipped_sum(views, y, weight).values():
        assert total.abs().max() < 1e-5


def test_dropout_masks_differ_between_rows_and_calls():
    module = made(with_dropout).train()
    engine = make_engine(module, Clipping(1e6))
    views, y, weight = made_rows(2, 2)
    views, y, weight = (
        views[:, :1].expand(2, 6, FEATURES),
        y[:1].expand(6, 1),
        weight[:1].expand(6),
    )
    one, two = (engine.clipped_sum(views, y, weight)["head.weight"] for _ in range(2))
    assert not torch.equal(one, two)
    single = engine.clipped_sum(views[:, :1], y[:1], weight[:1])["head.weight"]
    assert not torch.allclose(one, 6 * single)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize("view", [0, 1])
@pytest.mark.parametrize("name", ["mlp", "residual", "tokens", "raw parameter", "layer called twice"])
def test_a_row_without_finite_gradient_adds_zero_and_others_are_unchanged(bad, view, name):
    module = made({**BOOK_KEPT, **GENERAL}[name], torch.float32)
    engine = make_engine(module)
    views, y, weight = made_rows(2, 6, torch.float32)
    keep = torch.tensor([0, 1, 3, 5])
    wanted = engine.clipped_sum(views[:, keep], y[keep], weight[keep])
    views[view, 2] = bad
    views[view, 4, 0] = bad
    got = engine.clipped_sum(views, y, weight)
    assert all(t.isfinite().all() for t in got.values())
    if math.isfinite(bad):
        return  # a huge but finite row may count, up to C
    assert_close(got, wanted, 1e-6)


def test_only_non_finite_rows_add_zero():
    engine = make_engine(made(mlp))
    views, y, weight = made_rows(2, 3)
    total = engine.clipped_sum(torch.full_like(views, math.nan), y, weight)
    assert all(torch.count_nonzero(t) == 0 for t in total.values())


@pytest.mark.parametrize("size", [1, 3, 7, 100])
@pytest.mark.parametrize("general", [False, True])
def test_micro_batches_add_up_to_one_pass(size, general):
    module = made(mlp)
    rows = made_rows(2, 10)
    whole = make_engine(module).clipped_sum(*rows)
    parts = make_engine(module, micro_batch_size=size)
    if general:
        force_vmap(parts)
    assert_close(parts.clipped_sum(*rows), whole, 1e-9)


@pytest.mark.parametrize("general", [False, True])
@pytest.mark.parametrize("n_views", [1, 2])
def test_an_empty_batch_gives_zeros(general, n_views):
    engine = make_engine(made(mlp), n_views=n_views)
    if general:
        force_vmap(engine)
    total = engine.clipped_sum(*made_rows(n_views, 0))
    parameters = dict(engine.module.named_parameters())
    assert {n: t.shape for n, t in total.items()} == {n: p.shape for n, p in parameters.items()}
    assert all(torch.count_nonzero(t) == 0 for t in total.values())


def test_says_why_it_falls_back():
    def reason(factory):
        return make_engine(made(factory)).reason

    assert "Raw has no book-keeping rule" in reason(Raw)
    assert "called 2 times" in reason(Twice)
    assert "changed in place" in reason(InPlace)


def test_leaves_gradients_buffers_and_the_random_stream_alone():
    module = made(mlp, torch.float32)
    module(torch.ones(2, FEATURES)).sum().backward()
    before = {n: p.grad.clone() for n, p in module.named_parameters()}
    state = torch.random.get_rng_state()
    engine = make_engine(module)
    engine.clipped_sum(*made_rows(2, 5, torch.float32))
    assert all(torch.equal(before[n], p.grad) for n, p in module.named_parameters())
    assert torch.equal(state, torch.random.get_rng_state())
    assert not any(m._forward_hooks for m in module.modules())


# What one row may change of the others ------------------------------------------------------------


def norm_of(total):
    return math.sqrt(sum(float(t.square().sum()) for t in total.values()))


@pytest.mark.parametrize("name", ["mlp", "normed", "tokens", "raw parameter"])
def test_what_a_row_adds_does_not_follow_the_batch_that_it_comes_in(name):
    """In single precision, sums with and without a row would differ by far more than its own share."""
    module, c, n = made({**BOOK_KEPT, **GENERAL}[name], torch.float32), 0.5, 1500
    engine = make_engine(module, Clipping(c))
    views, y, weight = made_rows(2, n, torch.float32)
    with_it, without = (engine.clipped_sum(views[:, i:], y[i:], weight[i:]) for i in (0, 1))
    alone = engine.clipped_sum(views[:, :1], y[:1], weight[:1])
    gap = {k: with_it[k] - without[k] - alone[k] for k in with_it}
    assert norm_of(gap) < n * c * 2.0**-40
    assert norm_of({k: t.float().double() - t for k, t in with_it.items()}) > n * c * 2.0**-40


class Explodes(nn.Module):
    """A gradient that overflows where the first feature is 1, and dropout."""

    def __init__(self):
        super().__init__()
        self.body, self.drop, self.head = nn.Linear(FEATURES, 32), nn.Dropout(0.5), nn.Linear(32, 1)

    def forward(self, x):
        much = torch.exp(torch.relu(x[:, :1] - 0.95) * 1e5)
        return self.head(self.drop(torch.relu(self.body(x)))) * much


@pytest.mark.parametrize("general", [False, True])
def test_a_row_without_finite_gradient_leaves_the_others_their_masks(general):
    c, sums, streams = 0.1, [], []
    views, y, weight = made_rows(2, 200, torch.float32)
    views = views.sigmoid() * 0.9
    spoilt = views.clone()
    spoilt[0, 0, 0] = 1.0
    for rows in (views, spoilt):
        masks = np.random.default_rng(7)
        engine = make_engine(made(Explodes, torch.float32).train(), Clipping(c), masks=masks)
        if general:
            force_vmap(engine)
        sums.append(engine.clipped_sum(rows, y, weight))
        streams.append(engine._masks.random())
    assert norm_of({k: sums[0][k] - sums[1][k] for k in sums[0]}) <= 2 * c
    assert streams[0] == streams[1]  # and the masks of all later steps


class Fails(nn.Module):
    """Raises on rows that no made-up row is like."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(FEATURES, 5), nn.Linear(5, 1)
        self.drop = nn.Dropout(0.4)

    def forward(self, x):
        if (x[:, 0].detach() == 77.0).any():
            raise KeyError("a row of 77")
        return self.head(self.drop(self.body(x)))


@pytest.mark.parametrize("at", [(0, 0, 0), (1, 3, 0)])
def test_a_row_on_which_the_module_fails_adds_zero_and_others_are_unchanged(at):
    """Whether a pass fails, a sensitive cell may decide: no error tells of it."""
    sums = []
    views, y, weight = made_rows(2, 9, torch.float32)
    row = at[1]
    failing, equal = views.clone(), views.clone()
    failing[at] = 77.0
    equal[0, row] = equal[1, row]  # what a row that adds nothing is like
    for rows in (failing, equal):
        engine = make_engine(made(Fails, torch.float32).train(), masks=np.random.default_rng(7))
        sums.append(engine.clipped_sum(rows, y, weight))
    assert_close(*sums, 1e-9)
    alone = engine.clipped_sum(failing[:, row : row + 1], y[:1], weight[:1])
    assert not any(t.any() for t in alone.values())


def test_both_paths_draw_the_same_masks():
    rows = made_rows(2, 9)
    engines = [make_engine(made(with_dropout).train(), masks=np.random.default_rng(3)) for _ in range(2)]
    assert_close(force_vmap(engines[1]).clipped_sum(*rows), engines[0].clipped_sum(*rows), 1e-9)


class Remembers(nn.Module):
    """Writes what it sees to buffers, attributes and lists, and uses it in the next pass."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(FEATURES, 1)
        self.register_buffer("largest", torch.zeros(1))
        self.seen, self.highest = [], torch.zeros(1)

    def forward(self, x):
        self.largest = torch.maximum(self.largest, x.detach().abs().max())
        self.highest = torch.maximum(self.highest, x.detach().abs().max())
        self.attention = x * 2
        self.seen.append(x.detach())
        return self.head(x / (1 + self.largest + self.highest))


@pytest.mark.parametrize("general", [False, True])
def test_a_pass_leaves_nothing_in_the_module_and_nothing_for_the_next(general):
    module = made(Remembers, torch.float32)
    engine = make_engine(module)
    if general:
        force_vmap(engine)
    rows = made_rows(2, 6, torch.float32)
    before = set(vars(module))
    first = engine.clipped_sum(*rows)
    engine.clipped_sum(100 * rows[0], *rows[1:])
    assert all(torch.equal(first[n], t) for n, t in engine.clipped_sum(*rows).items())
    assert module.largest == 0 and module.seen == [] and set(vars(module)) == before


def test_a_module_that_takes_single_precision_only_is_followed_in_it():
    class Single(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(FEATURES, 1)

        def forward(self, x):
            return self.head(x) + x @ torch.ones(FEATURES, 1)

    engine = make_engine(made(Single, torch.float32))
    assert engine.precision == torch.float32
    got = engine.clipped_sum(*made_rows(2, 5, torch.float32))
    assert all(t.dtype == torch.float64 for t in got.values())
    assert make_engine(made(mlp, torch.float32)).precision == torch.float64
