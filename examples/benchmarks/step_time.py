"""Time of one private step, as ratios measured in one run.

Compares the book-keeping engine on B rows in two views with (a) a plain forward and backward pass over
the same 2B rows, (b) a vmapped per-example step, all rows at once and in chunks, (c) Opacus' per-example
and ghost-clipping engines on 2B rows of record-level DP-SGD, (d) a loop over examples. Prints a table
and writes --out.

The row "wide" is the estimators' default module as they train it: only its wide part is private, so
that a private step works on representations which were computed once a fit. Its contenders form the same
gradient from the encoded rows ("vmap-wide"), or the whole module's ("vmap", and Opacus, whose ghost clipping
follows no frozen layers); its plain pass is one over the whole module.

    python examples/benchmarks/step_time.py --quick --threads 1
    python examples/benchmarks/step_time.py --out docs/results/step_time_full.json
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from _loop import LoopEngine
from opacus.grad_sample import GradSampleModule, GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping
from torch import nn
from torch.func import functional_call, grad, vmap

from skfusiondp.nets import MLP, WideAndDeep
from skfusiondp.privacy import Clipping
from skfusiondp.training import PerRowEngine, RowLoss, TwoViewObjective

FEATURES, SENSITIVE = 36, 6
# A contender whose rows' gradients would take more bytes than this is left out of a case.
MEMORY = 4 * 2**30


def made_up(batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two views that differ in the sensitive features, targets and weights."""
    views = torch.randn(2, batch, FEATURES)
    views[1, :, :-SENSITIVE] = views[0, :, :-SENSITIVE]
    return views, torch.randint(0, 2, (batch, 1)).float(), torch.ones(batch)


def wide_steps(batch: int) -> dict[str, Callable[[], object]]:
    """Contenders for the default module, of which only the wide part takes part in the private gradient."""
    views, y, weight = made_up(batch)
    both, both_y = views.flatten(0, 1), torch.cat([y, y])
    loss = nn.BCEWithLogitsLoss()

    def module(trainable: str) -> WideAndDeep:
        made = WideAndDeep(FEATURES, sensitive_features=[i >= FEATURES - SENSITIVE for i in range(FEATURES)])
        for name, parameter in made.eval().named_parameters():
            parameter.requires_grad_(name.startswith(trainable))
        return made

    net = module("")
    with torch.no_grad():
        hidden = torch.stack([net.represent(view) for view in views])
    engine = PerRowEngine(net.head, TwoViewObjective(RowLoss("binary")), Clipping(1.0), ["wide.*"])
    engine.prepare(hidden[:, :4], y[:4], weight[:4])
    assert engine.path == "book-keeping"
    # The whole module is trained as in a public epoch, with dropout.
    whole, private = module("").train(), module("head.wide")
    params = {n: p.detach() for n, p in private.named_parameters()}
    wide = {n: params.pop(n) for n in list(params) if n.startswith("head.wide")}

    def plain() -> None:
        whole.zero_grad()
        loss(whole(both), both_y).backward()

    def row(wide: dict, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        losses = nn.functional.binary_cross_entropy_with_logits(
            functional_call(private, {**params, **wide}, (x,)), y.expand(2, 1), reduction="none"
        )
        return (losses[0] - losses[1]).sum()

    def vmapped() -> dict[str, torch.Tensor]:
        rows = vmap(grad(row), in_dims=(None, 1, 0))(wide, views, y)
        norms = torch.stack([g.flatten(1).square().sum(1) for g in rows.values()]).sum(0).sqrt()
        factors = (1.0 / norms).clamp(max=1.0)
        return {n: torch.tensordot(factors, g, 1) for n, g in rows.items()}

    # Ghost clipping cannot follow a module with frozen layers, so it clips the whole one.
    def whole_row(params: dict, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        losses = nn.functional.binary_cross_entropy_with_logits(
            functional_call(whole, params, (x,)), y.expand(2, 1), reduction="none"
        )
        return (losses[0] - losses[1]).sum()

    def vmapped_whole() -> dict[str, torch.Tensor]:
        each = vmap(grad(whole_row), in_dims=(None, 1, 0), randomness="different")
        rows = each({**params, **wide}, views, y)
        norms = torch.stack([g.flatten(1).square().sum(1) for g in rows.values()]).sum(0).sqrt()
        factors = (1.0 / norms).clamp(max=1.0)
        return {n: torch.tensordot(factors, g, 1) for n, g in rows.items()}

    ghost = module("").train()
    sgd = torch.optim.SGD(ghost.parameters(), lr=0.0)
    common = {"noise_multiplier": 0.0, "max_grad_norm": 1.0, "expected_batch_size": 2 * batch}
    wrapped = GradSampleModuleFastGradientClipping(ghost, max_grad_norm=1.0, use_ghost_clipping=True)
    optimizer = DPOptimizerFastGradientClipping(sgd, **common)
    criterion = DPLossFastGradientClipping(wrapped, optimizer, loss)

    def opacus() -> None:
        optimizer.zero_grad()
        criterion(wrapped(both), both_y).backward()
        optimizer.pre_step()

    return {
        "ours": lambda: engine.clipped_sum(hidden, y, weight),
        "plain": plain,
        "vmap": vmapped_whole,
        "vmap-wide": vmapped,
        "opacus-ghost": opacus,
    }


def steps(batch: int, hidden: tuple[int, ...] | str) -> dict[str, Callable[[], object]]:
    """Each contender's step on rows of its own, as a call without arguments."""
    if hidden == "wide":
        return wide_steps(batch)
    views, y, weight = made_up(batch)
    both, both_y = views.flatten(0, 1), torch.cat([y, y])
    objective = TwoViewObjective(RowLoss("binary"), beta=0.5)
    loss = nn.BCEWithLogitsLoss()

    def engine(path: str) -> Callable[[], object]:
        engine = PerRowEngine(MLP(FEATURES, 1, hidden), objective, Clipping(1.0))
        engine.prepare(*[t[:, :4] if t.dim() == 3 else t[:4] for t in (views, y, weight)])
        assert engine.path == "book-keeping"
        if path == "vmap":
            engine._layers, engine.path = None, "vmap"
        return lambda: engine.clipped_sum(views, y, weight)

    def vmapped() -> Callable[[], object]:
        module = MLP(FEATURES, 1, hidden)
        params = {n: p.detach() for n, p in module.named_parameters()}

        def row(params: dict, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
            hidden_ = functional_call(module.body, _under(params, "body."), (x,))
            outputs = functional_call(module.head, _under(params, "head."), (hidden_,))
            return objective(outputs[:, None], hidden_[:, None], y[None], weight[None])[0]

        def step() -> dict[str, torch.Tensor]:
            rows = vmap(grad(row), in_dims=(None, 1, 0, 0))(params, views, y, weight)
            norms = torch.stack([g.flatten(1).square().sum(1) for g in rows.values()]).sum(0).sqrt()
            factors = (1.0 / norms).clamp(max=1.0)
            return {n: torch.tensordot(factors, g, 1) for n, g in rows.items()}

        return step

    def plain() -> Callable[[], object]:
        module = MLP(FEATURES, 1, hidden)

        def step() -> None:
            module.zero_grad()
            loss(module(both), both_y).backward()

        return step

    def opacus(ghost: bool) -> Callable[[], object]:
        module = MLP(FEATURES, 1, hidden)
        sgd = torch.optim.SGD(module.parameters(), lr=0.0)
        common = {"noise_multiplier": 0.0, "max_grad_norm": 1.0, "expected_batch_size": 2 * batch}
        if ghost:
            wrapped = GradSampleModuleFastGradientClipping(module, max_grad_norm=1.0, use_ghost_clipping=True)
            optimizer = DPOptimizerFastGradientClipping(sgd, **common)
            criterion = DPLossFastGradientClipping(wrapped, optimizer, loss)
        else:
            wrapped, optimizer, criterion = GradSampleModule(module), DPOptimizer(sgd, **common), loss

        def step() -> None:
            optimizer.zero_grad()
            criterion(wrapped(both), both_y).backward()
            optimizer.pre_step()

        return step

    loop = LoopEngine(MLP(FEATURES, 1, hidden), objective, Clipping(1.0))
    return {
        "ours": engine("book-keeping"),
        "plain": plain(),
        "vmap": vmapped(),
        "vmap-chunked": engine("vmap"),
        "opacus": opacus(False),
        "opacus-ghost": opacus(True),
        "loop": lambda: loop.clipped_sum(views, y, weight),
    }


def _under(params: dict, prefix: str) -> dict:
    return {n.removeprefix(prefix): p for n, p in params.items() if n.startswith(prefix)}


def skipped(batch: int, hidden: tuple[int, ...] | str) -> dict[str, str]:
    """Contenders that a case leaves out, and why.

    Rows' gradients take their memory four times: of either view, their sum and its squares. Two views
    are two rows to Opacus. A loop over examples takes a good part of a millisecond a row.
    """
    module = WideAndDeep(FEATURES) if hidden == "wide" else MLP(FEATURES, 1, hidden)
    gradients = 4 * 4 * batch * sum(p.numel() for p in module.parameters())
    why = {}
    if gradients > MEMORY:
        why["vmap"] = "memory"
    if hidden != "wide":
        if 2 * gradients > MEMORY:
            why["opacus"] = "memory"
        if batch > 1024:
            why["loop"] = "time"
    return why


def measure(batch: int, hidden: tuple[int, ...] | str, repeats: int, seconds_each: float) -> dict:
    """Median seconds of each contender; they take turns, so that a change of speed meets all.

    A contender leaves after `repeats` turns, or after `seconds_each` and three turns.
    """
    why = skipped(batch, hidden)
    contenders = {n: s for n, s in steps(batch, hidden).items() if n not in why}
    seconds: dict[str, list[float]] = {n: [] for n in contenders}
    for step in contenders.values():
        step()
    for turn in range(repeats):
        for name, step in contenders.items():
            if turn >= 3 and sum(seconds[name]) > seconds_each:
                continue
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    median = {n: float(torch.tensor(s).median()) for n, s in seconds.items()}
    return {"batch": batch, "hidden": hidden, "seconds": median, "skipped": why}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=30, help="turns of each contender, at most")
    parser.add_argument("--seconds", type=float, default=3.0, help="a contender's share of a case")
    parser.add_argument("--quick", action="store_true", help="batch 1,024 and 4,096 only")
    parser.add_argument("--out", type=Path, default=Path("results/step_time.json"))
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)

    default = (64, 128, 64)
    cases: list = [(b, h) for h in ("wide", default) for b in (1024, 4096)]
    if not args.quick:
        cases = [(b, h) for h in ("wide", default) for b in (64, 128, 256, 1024, 4096, 16384)]
        cases += [(1024, (w, w)) for w in (64, 256, 1024)] + [(1024, (64,) * d) for d in (4, 8)]
    names = ("vmap", "vmap-wide", "vmap-chunked", "opacus", "opacus-ghost", "loop")
    left_out = {"memory": f"> {MEMORY / 2**30:.0f} GiB", "time": "slow"}
    print(
        f"{args.threads} thread(s); columns: ms of ours, then each contender's time over ours, ours / plain"
    )
    print(
        f"{'batch':>6} {'hidden':<24}{'ours':>9}" + "".join(f"{n:>14}" for n in names) + f"{'ours/plain':>12}"
    )
    rows = []
    start = time.perf_counter()
    for batch, hidden in cases:
        row = measure(batch, hidden, args.repeats, args.seconds)
        rows.append(row)
        s, why = row["seconds"], row["skipped"]
        others = "".join(
            f"{s[n] / s['ours']:>13.1f}x" if n in s else f"{left_out.get(why.get(n), '-'):>14}" for n in names
        )
        shown = hidden if hidden == "wide" else "-".join(map(str, hidden))
        print(
            f"{batch:>6} {shown:<24}{s['ours'] * 1e3:>9.2f}{others}{s['ours'] / s['plain']:>11.2f}x",
            flush=True,
        )
    print(f"{time.perf_counter() - start:.0f} s in all.")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    content = {"threads": args.threads, "torch": torch.__version__, "memory_limit": MEMORY, "rows": rows}
    args.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
