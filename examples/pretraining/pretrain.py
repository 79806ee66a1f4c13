"""Pre-train the network of the embedded imputer, on synthetic tables alone.

    python examples/pretraining/pretrain.py --out kernel_network.safetensors

Every step draws tables of its own seed, so the same command gives the same curve again, and a run that was
stopped goes on from its last checkpoint. The curve counts held-out tables: how much of the labels' variance
(of numbers) or of the loss of known shares (of classes) is explained, and what a Gaussian process with
one length and no training explains of them.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import math
import random
import time
from pathlib import Path

import prior
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from skfusiondp.impute.pretrained._channels import Channels, Scale, drawn_in
from skfusiondp.impute.pretrained._kernel import kernel, solve
from skfusiondp.impute.pretrained._labels import indicators, log_probabilities, numbers
from skfusiondp.impute.pretrained._network import KernelNetwork

_CELLS = 2_500_000
_VALIDATION = 10**9


def loss_of(
    network: KernelNetwork, features: Tensor, labels: Tensor, n_support: int, n_classes: int
) -> tuple:
    """Mean loss on the query rows, and the loss of an answer that ignores the features."""
    scale = Scale.of(features[:, :n_support])
    channels = Channels.of(features, scale)
    support, query = channels.rows(slice(0, n_support)), channels.rows(slice(n_support, None))
    shown, asked = labels[:, :n_support, 0], labels[:, n_support:]
    if n_classes:
        known, share, shares = indicators(shown, n_classes)
    else:
        mean, spread = shown.mean(1, keepdim=True), shown.std(1, keepdim=True, unbiased=False)
        spread = torch.where(spread > 1e-6, spread, torch.ones_like(spread))
        known, share = numbers(drawn_in((shown - mean) / spread, 4.0))
    given = network(support, known, share, n_classes)
    solved = solve(kernel(support, support, given), given.noise, known)[0]
    predicted = kernel(query, support, given) @ solved
    if n_classes:
        wanted = functional.one_hot(asked, n_classes).float().mean(2)
        loss = -(wanted * log_probabilities(predicted, shares, given)).sum(-1).mean(1)
        plain = (
            -(wanted * torch.log_softmax(torch.log(shares + 0.5 / n_support), -1)[:, None]).sum(-1).mean(1)
        )
        return loss, plain
    asked = drawn_in((asked - mean[..., None]) / spread[..., None], 4.0).clamp(-6.0, 6.0)
    return ((predicted - asked) ** 2).mean((1, 2)), (asked**2).mean((1, 2))


def shape(largest: int) -> tuple[int, int, int, int, int]:
    """Numbers of tables, support rows, query rows, columns and classes."""
    n_support = round(math.exp(random.uniform(math.log(10), math.log(largest))))
    n_query = max(32, min(96, n_support // 2))
    width = round(math.exp(random.uniform(math.log(2), math.log(32))))
    kind = random.random()
    n_classes = 0 if kind < 0.45 else 2 if kind < 0.72 else random.randint(3, prior.MOST_CLASSES)
    n_tables = max(1, min(48, _CELLS // ((n_support + n_query) * n_support)))
    return n_tables, n_support, n_query, width, n_classes


def seeded(seed: int) -> None:
    random.seed(seed)
    torch.manual_seed(seed)


@torch.no_grad()
def held_out(network: KernelNetwork) -> dict[str, float]:
    """Skill on tables that no step draws, by kind of label and number of support rows."""
    found = {}
    for kind, classes in (("numbers", 0), ("classes", 3)):
        for n_support, tables in ((64, 40), (256, 16)):
            skill = []
            for i in range(6):
                seeded(_VALIDATION + i)
                features, labels = prior.batch(tables, n_support + 200, 10, classes)
                loss, plain = loss_of(network, features, labels, n_support, classes)
                skill.append((1.0 - loss / plain).clamp(min=-1.0).mean())
            found[f"{kind}, {n_support} rows"] = round(float(torch.stack(skill).mean()), 4)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--stop", type=int, help="end after so many of the steps")
    parser.add_argument("--largest", type=int, default=500, help="most support rows")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate at its height")
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=250, help="steps between points of the curve")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("kernel_network.safetensors"))
    args = parser.parse_args()
    if not args.out.parent.is_dir():
        parser.error(f"--out {args.out}: there is no folder {args.out.parent}")
    settings = {k: v for k, v in vars(args).items() if k not in ("out", "stop", "device", "every")}
    seeded(args.seed)
    network = KernelNetwork(args.width).to(args.device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=args.rate, betas=(0.9, 0.98), weight_decay=0.01)
    curve, first, tables = [], 0, 0
    checkpoint, curve_file = args.out.with_suffix(".checkpoint"), args.out.with_suffix(".curve.json")
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["settings"] != settings:
            parser.error(f"{checkpoint} is of other settings ({state['settings']}): remove it to start anew")
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        curve, first, tables = state["curve"], state["step"], state["tables"]
    print(f"steps {first} to {args.steps}, a line each {args.every}; stop and go on as you like", flush=True)
    start = time.process_time()
    if not curve:
        curve.append({"step": 0, "tables": 0, **held_out(network)})
    for step in range(first, args.steps):
        seeded(args.seed * 10**7 + step)
        done = step / args.steps
        for group in optimizer.param_groups:
            group["lr"] = (
                args.rate * min(1.0, (step + 1) / 50) * (0.01 + 0.495 * (1 + math.cos(math.pi * done)))
            )
        n_tables, n_support, n_query, width, n_classes = shape(args.largest)
        features, labels = prior.batch(n_tables, n_support + n_query, width, n_classes)
        features, labels = features.to(args.device), labels.to(args.device)
        try:
            loss, plain = loss_of(network, features, labels, n_support, n_classes)
        except torch.linalg.LinAlgError:
            continue
        total = (loss / plain.clamp(min=0.05)).mean()
        optimizer.zero_grad()
        if torch.isfinite(total):
            total.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        tables += n_tables
        if (step + 1) % args.every == 0 or step + 1 == args.steps:
            curve.append({"step": step + 1, "tables": tables, **held_out(network)})
            print(f"{time.process_time() - start:7.0f} s  {curve[-1]}", flush=True)
            torch.save(
                {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "curve": curve,
                 "step": step + 1, "tables": tables, "settings": settings}, checkpoint)  # fmt: skip
            curve_file.write_text(json.dumps(curve, indent=1) + "\n")
            save_file(network.state_dict(), args.out)
        if step + 1 == args.stop:
            break


if __name__ == "__main__":
    main()
