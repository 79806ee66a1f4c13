"""Synthetic tables that the embedded imputer is pre-trained on: no real row is in them.

Each batch holds tables of one layout: the same kinds of columns and of label, everything else drawn anew
for each table. A row has several independent labels, so that the loss sees nearly the true conditional
distribution; the first of them is what support rows show.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

N_LABELS = 8
MOST_CLASSES = 10
_MOST_LEVELS = 12


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape)


def uniform(*shape: int) -> Tensor:
    return torch.rand(*shape)


def standard(x: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the rows of each table."""
    return (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-4)


def rank(x: Tensor) -> Tensor:
    """From 0 to 1 over the rows of each table."""
    return x.argsort(1).argsort(1).to(x.dtype) / x.shape[1]


_CURVES: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x,
    lambda x: x,
    torch.tanh,
    torch.relu,
    torch.abs,
    torch.square,
    lambda x: torch.sin(2.0 * x),
    lambda x: (x > 0).to(x.dtype),
    lambda x: torch.exp(-x.square()),
    lambda x: x.clamp(-0.5, 0.5),
    lambda x: torch.floor(2.0 * x) / 2.0,
)


def sources(b: int, n: int, width: int) -> Tensor:
    """Variables without causes: normal, even, skewed, two-valued or clustered."""
    z, kind = normal(b, n, width), uniform(b, 1, width)
    out = torch.where(kind < 0.45, z, torch.erf(z / math.sqrt(2)))
    out = torch.where((kind > 0.62) & (kind < 0.74), torch.exp(z * (0.3 + 0.7 * uniform(b, 1, width))), out)
    chance = 0.08 + 0.84 * uniform(b, 1, width)
    out = torch.where((kind > 0.74) & (kind < 0.8), (uniform(b, n, width) < chance).to(z.dtype), out)
    if random.random() < 0.5:
        groups = random.randint(2, 6)
        member = torch.multinomial(torch.softmax(normal(b, groups), -1), n, replacement=True)
        centre = torch.gather(1.5 * normal(b, groups, width), 1, member[..., None].expand(b, n, width))
        out = torch.where(kind > 0.8, centre + z * (0.2 + uniform(b, 1, width)), out)
    return standard(out)


def factors(b: int, n: int, width: int) -> Tensor:
    """Columns that hang together by a few hidden ones."""
    hidden = random.randint(1, max(1, width // 2) + 1)
    mix = normal(b, hidden, width) * (uniform(b, hidden, width) < random.uniform(0.3, 1.0))
    strength = random.choice((0.0, 0.3, 0.7, 1.0, 2.0))
    own = sources(b, n, width) * torch.exp(0.5 * normal(b, 1, width))
    return standard(strength * sources(b, n, hidden) @ mix + own)


def weights(b: int, width: int) -> Tensor:
    """How much columns matter: few of them most, some not at all."""
    matters = uniform(b, width) < (0.1 + 0.9 * uniform(b, 1))
    matters = matters.scatter(1, torch.randint(width, (b, 1)), True)
    size = torch.exp(normal(b, width) * (0.2 + 1.2 * uniform(b, 1))) * torch.sign(normal(b, width))
    size = size * matters
    return size / size.norm(dim=1, keepdim=True)


def _linear(x: Tensor, w: Tensor) -> Tensor:
    return (x @ w[..., None])[..., 0]


def _additive(x: Tensor, w: Tensor) -> Tensor:
    b, _, width = x.shape
    waves = normal(b, 1, width, 5) * torch.exp(0.5 * normal(b, 1, width, 1))
    bent = torch.cos(x[..., None] * waves + 6.3 * uniform(b, 1, width, 5)).sum(-1)
    kind = uniform(b, 1, width)
    bent = torch.where(kind < 0.25, 2.0 * (x > 0.8 * normal(b, 1, width)), bent)
    return _linear(standard(torch.where(kind > 0.7, x, bent)), w)


def _smooth(x: Tensor, w: Tensor) -> Tensor:
    b, _, width = x.shape
    waves = normal(b, width, 64) * w.abs()[..., None] * 2.0 / random.choice((0.7, 1.0, 1.5, 2.5, 4.0))
    return (torch.cos(x @ waves + 6.3 * uniform(b, 1, 64)) * normal(b, 1, 64)).sum(-1)


def _layered(x: Tensor, w: Tensor) -> Tensor:
    b, _, width = x.shape
    hidden, curve = random.choice((4, 8, 16, 32)), random.choice(_CURVES[2:])
    inner = standard((x * w[:, None]) @ normal(b, width, hidden)) * random.choice((0.5, 1.0, 2.0))
    inner = curve(inner + 0.7 * normal(b, 1, hidden))
    if random.random() < 0.4:
        inner = torch.tanh(standard(standard(inner) @ normal(b, hidden, hidden)))
    return _linear(standard(inner), normal(b, hidden))


def _trees(x: Tensor, w: Tensor) -> Tensor:
    b, n, _ = x.shape
    trees, depth = random.choice((1, 2, 5, 10, 25)), random.randint(1, 4)
    chosen = torch.multinomial(w.abs() + 1e-3, trees * depth, replacement=True)
    seen = torch.gather(x, 2, chosen[:, None].expand(b, n, -1))
    cut = torch.gather(seen, 1, torch.randint(n, (b, 1, trees * depth)))
    leaf = ((seen > cut).view(b, n, trees, depth).long() << torch.arange(depth)).sum(-1)
    value = normal(b, trees, 2**depth) * torch.exp(0.5 * normal(b, trees, 1))
    return torch.gather(value, 2, leaf.transpose(1, 2)).sum(1)


def _interaction(x: Tensor, w: Tensor) -> Tensor:
    b, n, _ = x.shape
    pair = torch.gather(x, 2, torch.multinomial(w.abs() + 1e-3, 2, True)[:, None].expand(b, n, 2))
    return pair.prod(-1) + normal(b, 1) * _linear(x, w)


_FUNCTIONS = (_linear, _linear, _additive, _additive, _smooth, _layered, _trees, _trees, _interaction)


def function_of(x: Tensor) -> Tensor:
    """A random function of the columns, standardised; (b, n)."""
    return standard(random.choice(_FUNCTIONS)(x, weights(x.shape[0], x.shape[2])))


def causes(b: int, n: int, width: int) -> tuple[Tensor, Tensor]:
    """Columns and label are nodes of a random structural causal model; each node has noise of its own."""
    depth = random.randint(1, 4)
    size = max(6, math.ceil((width + 1) * random.uniform(1.0, 1.8) / depth))
    nodes = [sources(b, n, random.randint(2, max(3, size)))]
    curves = random.sample(_CURVES, random.randint(1, 4)) if random.random() < 0.8 else [_CURVES[0]]
    for _ in range(depth):
        above = torch.cat(nodes, -1) if random.random() < 0.4 else nodes[-1]
        k = above.shape[-1]
        edges = normal(b, k, size) * torch.exp(0.7 * normal(b, k, size))
        edges = edges * (uniform(b, k, size) < max(1.5 / k, random.uniform(0.1, 1.0)))
        drawn = standard(above @ edges) * torch.exp(0.4 * normal(b, 1, size)) + 0.5 * normal(b, 1, size)
        bent = [c(part) for c, part in zip(curves, drawn.chunk(len(curves), -1), strict=False)]
        own = torch.exp(0.8 * normal(b, 1, size) - 1.2 + 0.8 * normal(b, 1, 1))
        nodes.append(standard(standard(torch.cat(bent, -1)) + normal(b, n, size) * own))
    found = torch.cat(nodes, -1)
    if found.shape[-1] <= width:
        found = torch.cat([found, sources(b, n, width)], -1)
    which = uniform(b, found.shape[-1]).argsort(1)[:, : width + 1]
    found = torch.gather(found, 2, which[:, None].expand(b, n, width + 1))
    return found[..., :width], standard(found[..., width])


def effects(b: int, n: int, width: int) -> tuple[Tensor, Tensor]:
    """The label moves the columns, mostly a little: who a person is shows in what is measured of them."""
    label = sources(b, n, 1)
    bent = standard(random.choice(_CURVES)(label + normal(b, 1, 1))) if random.random() < 0.4 else label
    strength = torch.exp(0.9 * normal(b, 1, 1) - 0.6)
    x = factors(b, n, width) + bent * weights(b, width)[:, None] * strength
    if random.random() < 0.3:
        x = x * torch.exp(0.3 * normal(b, 1, width) * label)
    return standard(x), label[..., 0]


def signal(b: int, n: int, width: int) -> tuple[Tensor, Tensor, bool]:
    """Columns before they have kinds, the label's signal, and whether it carries noise already."""
    way = random.random()
    if way < 0.2:
        return *effects(b, n, width), True
    if way < 0.55:
        x, y = causes(b, n, width)
        return (x, function_of(x), False) if random.random() < 0.4 else (x, y, True)
    x = factors(b, n, width)
    y = function_of(x)
    if random.random() < 0.35:
        y = standard(y + normal(b, 1) * function_of(x))
    return x, y, False


def share_of_signal(b: int, noisy: bool) -> Tensor:
    """Part of the label's variance that the signal has: in a third of tables nearly nothing."""
    kind = uniform(b, 1)
    weak, middle, strong = 0.15 * uniform(b, 1), 0.03 + 0.4 * uniform(b, 1), 0.3 + 0.7 * uniform(b, 1)
    share = torch.where(kind < 0.35, weak, torch.where(kind < 0.75, middle, strong))
    return torch.where(uniform(b, 1) < 0.5, share.sqrt(), share) if noisy else share


def _noise(b: int, n: int) -> Tensor:
    z, kind = normal(b, n, N_LABELS), uniform(b, 1, 1)
    heavy = z / torch.sqrt(normal(b, n, N_LABELS, 4).square().mean(-1) + 0.05)
    skewed = torch.exp(0.8 * z) - math.exp(0.32)
    return torch.where(kind < 0.65, z, torch.where(kind < 0.85, heavy, skewed))


def _mixed(y: Tensor, share: Tensor) -> Tensor:
    b, n = y.shape
    noise = _noise(b, n)
    if random.random() < 0.3:
        noise = noise * torch.exp(0.5 * y[..., None] * normal(b, 1, 1))
    noise = noise / noise.std((1, 2), keepdim=True)
    return torch.sqrt(share)[..., None] * y[..., None] + torch.sqrt(1.0 - share)[..., None] * noise


def number_labels(y: Tensor, noisy: bool) -> Tensor:
    """Labels that are numbers, as such columns come: skewed, rounded, counted, cut; (b, n, N_LABELS)."""
    b = y.shape[0]
    y = _mixed(y, share_of_signal(b, noisy))
    kind, size = uniform(b, 1, 1), 0.3 + 0.9 * uniform(b, 1, 1)
    out = torch.where(kind < 0.15, torch.exp(size * y), y)
    out = torch.where((kind > 0.15) & (kind < 0.22), -torch.exp(-size * y), out)
    out = torch.where((kind > 0.22) & (kind < 0.32), torch.round(y * (0.5 + 2.0 * size)), out)
    out = torch.where((kind > 0.32) & (kind < 0.40), torch.round(torch.relu(2.0 * y - 0.5 * size)), out)
    out = torch.where((kind > 0.40) & (kind < 0.47), rank(y), out)
    return torch.where((kind > 0.47) & (kind < 0.54), y.clamp(-1.0, 1.0), out)


def class_labels(x: Tensor, y: Tensor, noisy: bool, n_classes: int) -> Tensor:
    """Labels that are classes, by cuts of one score or by the largest of several; (b, n, N_LABELS)."""
    b, n = y.shape
    share = share_of_signal(b, noisy)
    if n_classes == 2 or random.random() < 0.4:
        size = torch.distributions.Dirichlet(torch.full((b, n_classes), random.choice((0.5, 1.0, 2.0, 4.0))))
        size = size.sample() + 0.02
        cuts = (size / size.sum(1, keepdim=True)).cumsum(1)[:, :-1]
        found = (rank(_mixed(y, share))[..., None] > cuts[:, None, None]).sum(-1)
    else:
        scores = torch.stack([y, *(function_of(x) for _ in range(min(n_classes - 1, 2)))], -1)
        scores = standard(scores @ normal(b, scores.shape[-1], n_classes))[:, :, None]
        share = share[..., None, None]
        scores = share.sqrt() * scores + (1.0 - share).sqrt() * normal(b, n, N_LABELS, n_classes)
        found = (scores + normal(b, 1, 1, n_classes) * random.choice((0.2, 0.7, 1.2))).argmax(-1)
    names = uniform(b, n_classes).argsort(1)[:, None].expand(b, n, n_classes)
    return torch.gather(names, 2, found)


def with_kinds(x: Tensor) -> Tensor:
    """Features as an encoder gives them: numbers of every shape, indicators of categories and of gaps."""
    b, n, width = x.shape
    lean, gappy = 0.35 * (random.random() - 0.5), random.random() < 0.45
    row, columns = normal(b, n, 1), []
    for j in range(width):
        v, kind, size = x[..., j], random.random() + lean, 0.3 + 1.2 * uniform(b, 1)
        if kind > 0.66:
            levels = 2 if random.random() < 0.4 else 2 + int(random.random() ** 2 * (_MOST_LEVELS - 2))
            code = torch.floor(levels * rank(v) ** torch.exp(0.6 * normal(b, 1))).clamp(max=levels - 1)
            if kind > 0.76 or levels == 2:
                columns.append((code[..., None] == torch.arange(levels)).to(v.dtype))
                continue
            v = code
        elif kind < 0.1:
            v = torch.exp(size * v)
        elif kind < 0.16:
            v = torch.sign(v) * v.abs() ** (1.0 + 1.5 * size)
        elif kind < 0.22:
            v = rank(v)
        elif kind < 0.32:
            v = torch.round(v * (0.5 + 3.0 * size))
        elif kind < 0.38:
            v = torch.relu(v - 0.4 * size)
        if gappy and random.random() < 0.5:
            tendency = 1.5 * normal(b, 1) - 1.2 + row[..., 0] * normal(b, 1)
            tendency = tendency + 0.7 * x[..., j] * normal(b, 1) * (random.random() < 0.5)
            gap = uniform(b, n) < torch.sigmoid(tendency)
            v = torch.where(gap, v.median(1, keepdim=True).values, v)
            columns.append(gap[..., None].to(v.dtype))
        columns.append(v[..., None])
    return torch.cat(columns, -1)


@torch.no_grad()
def batch(n_tables: int, n_rows: int, width: int, n_classes: int) -> tuple[Tensor, Tensor]:
    """Draw tables; `n_classes` is 0 for numbers.

    Returns
    -------
    features : Tensor of shape (n_tables, n_rows, n_features)
        At least `width` features.
    labels : Tensor of shape (n_tables, n_rows, N_LABELS)
    """
    x, y, noisy = signal(n_tables, n_rows, width)
    labels = class_labels(x, y, noisy, n_classes) if n_classes else number_labels(y, noisy)
    return with_kinds(x), labels
