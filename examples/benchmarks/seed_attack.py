"""Can the noise of a fit be guessed? Try every seed, and see whether one explains it.

The adversary sees what the claim grants him: each step's noised gradient (through a skorch callback), the
plan, the table's public columns. Weights of features that no row uses have a gradient of nothing but noise,
so that a guessed seed can be checked.

First a noise source is broken on purpose: a Mersenne twister whose seed has 24 bits. All 2^24 seeds are
tried; the one that was used is found, and takes the noise off in every step. That twister keeps 32 bits of
any seed, and all of these were once found in 327 s on two cores in a real fit. Then the same search, and
the first 2^16 seeds of the usual generators, are tried on a fit as the library makes it: nothing is found.
Prints a table and writes --out.

    python examples/benchmarks/seed_attack.py --out docs/results/seed_attack.json
    python examples/benchmarks/seed_attack.py --bits 16 --few 256 --out /tmp/seed_attack.json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from skorch.callbacks import Callback

from skfusiondp import FoundationImputer, FusionDPClassifier
from skfusiondp.datasets import load_adult
from skfusiondp.privacy._noise import GaussianNoise
from skfusiondp.privacy._random_bits import RandomBits

ROWS = 2000
# A guess is right if it explains a standard normal number to this; it is a coincidence once in a thousand.
CLOSE = 1e-3
# Seeds whose states are computed at once: they stay in the cache.
AT_ONCE = 2**13


class Seen(NamedTuple):
    """What the adversary has: noise in standard deviations, where it is all that there is.

    Parameters
    ----------
    noise : ndarray of shape (n_steps, n_blank)
    blank : ndarray of shape (n_blank,), int
        Where these numbers lie in the weights of a step.
    n_numbers : int
        Numbers of a step, which are drawn together: the weights, then the bias.
    """

    noise: np.ndarray
    blank: np.ndarray
    n_numbers: int


class Watches(Callback):
    """Keeps every noised gradient."""

    def __init__(self):
        self.gradients = []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        parameters = dict(named_parameters)
        weight = parameters["head.wide.weight"]
        if weight.grad is not None:
            self.others = parameters["head.wide.bias"].numel()
            self.gradients.append(weight.grad.detach().numpy().ravel().copy())


@contextlib.contextmanager
def broken_noise(bits: int) -> Iterator[list[int]]:
    """Noise from a Mersenne twister whose seed has few bits, and the seeds that were drawn."""
    sound, generators, seeds = GaussianNoise.add_to, {}, []

    def add_to(self: GaussianNoise, total: torch.Tensor) -> torch.Tensor:
        if id(self) not in generators:
            seeds.append(secrets.randbelow(2**bits))
            generators[id(self)] = self, torch.Generator().manual_seed(seeds[-1])
        noise = torch.empty(total.shape, dtype=torch.float32).normal_(generator=generators[id(self)][1])
        return total + self.std * noise.to(total.dtype)

    GaussianNoise.add_to = add_to
    try:
        yield seeds
    finally:
        GaussianNoise.add_to = sound


def watched_fit() -> Seen:
    """Fit the default model on part of Adult, and keep what the adversary sees."""
    adult = load_adult()
    support, _, table, y = adult.split_support(300, random_state=0)
    watches = Watches()
    imputer = FoundationImputer(support=support)
    model = FusionDPClassifier(adult.sensitive, imputer=imputer, epsilon=1.0, epochs=3, callbacks=[watches])
    model.fit(table[:ROWS], y[:ROWS])
    plan = model.plan_
    # Public facts: the last steps are private, and the noise's scale is the plan's.
    steps = model.net_.callbacks[0].gradients[-plan.steps :]
    scale = model.alpha * plan.tiers[0].noise_std / plan.expected_batch_size
    names = [n for n in model.encoder_.get_feature_names_out() if n.startswith("sensitive")]
    names = names[: len(names) - model.encoder_.n_starts]  # which no weight belongs to
    # The wide part reads the change of score, then these features; nobody in Adult is missing or other.
    n = len(steps[0])
    blank = np.array([i for i, c in enumerate(names, n - len(names)) if c.endswith(("(missing)", "(other)"))])
    return Seen(np.stack(steps)[:, blank] / scale, blank, n + model.net_.callbacks[0].others)


# The twister's first numbers, for many seeds at once -------------------------------------------------


def twister_normals(seeds: np.ndarray, pairs: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of normal numbers that torch's CPU generator gives, by the position of the first of a pair."""
    words = sorted({w for p in pairs for w in (p, p + 8)})
    wanted = {k for w in words for k in (w, w + 1, w + 397)}
    kept, state = {}, seeds.astype(np.uint32)
    for j in range(max(wanted) + 1):
        if j:
            state = np.uint32(1812433253) * (state ^ (state >> np.uint32(30))) + np.uint32(j)
        if j in wanted:
            kept[j] = state
    uniform = {w: _tempered(kept[w], kept[w + 1], kept[w + 397]) for w in words}
    normals = []
    for p in pairs:
        radius, angle = np.sqrt(-2 * np.log(1 - uniform[p])), 2 * np.pi * uniform[p + 8]
        normals.append((radius * np.cos(angle), radius * np.sin(angle)))
    return normals


def _tempered(upper: np.ndarray, lower: np.ndarray, far: np.ndarray) -> np.ndarray:
    mixed = (upper & np.uint32(0x80000000)) | (lower & np.uint32(0x7FFFFFFF))
    y = far ^ (mixed >> np.uint32(1)) ^ np.where(mixed & np.uint32(1), np.uint32(0x9908B0DF), np.uint32(0))
    y = y ^ (y >> np.uint32(11))
    y = y ^ ((y << np.uint32(7)) & np.uint32(0x9D2C5680))
    y = y ^ ((y << np.uint32(15)) & np.uint32(0xEFC60000))
    return ((y ^ (y >> np.uint32(18))) & np.uint32(0xFFFFFF)).astype(np.float32) / np.float32(2**24)


def _pair(position: int) -> tuple[int, int]:
    """The first of the pair that a normal number belongs to, and which of the two it is."""
    block, inside = divmod(position, 16)
    return 16 * block + inside % 8, inside // 8


def candidates(seen: Seen, n_seeds: int, threads: int) -> list[int]:
    """Seeds of the twister whose first normal numbers are those of the first step."""
    whole = 16 * (seen.n_numbers // 16)
    if seen.n_numbers % 16:
        whole = min(whole, seen.n_numbers - 16)  # the last sixteen are drawn once more
    use = [k for k, position in enumerate(seen.blank) if position < whole][:2]
    where = [_pair(int(seen.blank[k])) for k in use]
    pairs = sorted({p for p, _ in where})

    def search(first: int) -> list[int]:
        seeds = np.arange(first, min(first + AT_ONCE, n_seeds), dtype=np.uint32)
        normals = dict(zip(pairs, twister_normals(seeds, pairs), strict=True))
        fits = np.ones(len(seeds), dtype=bool)
        for k, (pair, which) in zip(use, where, strict=True):
            fits &= np.abs(normals[pair][which] - seen.noise[0, k]) < CLOSE
        return seeds[fits].tolist()

    with ThreadPoolExecutor(threads) as pool:
        return [s for found in pool.map(search, range(0, n_seeds, AT_ONCE)) for s in found]


def unexplained(seen: Seen, seed: int) -> float:
    """Largest noise that is left, in standard deviations, if the twister had this seed."""
    generator = torch.Generator().manual_seed(seed)
    guesses = []
    for _ in seen.noise:
        guesses.append(torch.empty(seen.n_numbers).normal_(generator=generator).numpy()[seen.blank])
    return float(np.abs(np.stack(guesses) - seen.noise).max())


def try_all(seen: Seen, bits: int, threads: int) -> dict:
    """Search the whole space of seeds; the best that it found."""
    start = time.perf_counter()
    found = candidates(seen, 2**bits, threads)
    left = {s: unexplained(seen, s) for s in found}
    right = [s for s in left if left[s] < CLOSE]
    return {
        "seeds": 2**bits,
        "candidates": len(found),
        "found": right[0] if right else None,
        "unexplained_noise": left[right[0]] if right else None,
        "seconds": round(time.perf_counter() - start, 1),
    }


# Seeds of other generators ----------------------------------------------------------------------------


def _torch(dtype: torch.dtype) -> Callable[[int, int], np.ndarray]:
    return lambda seed, n: (
        torch.empty(n, dtype=dtype).normal_(generator=torch.Generator().manual_seed(seed)).numpy()
    )


GENERATORS: dict[str, Callable[[int, int], np.ndarray]] = {
    "torch float32": _torch(torch.float32),
    "torch float64": _torch(torch.float64),
    "numpy default_rng": lambda seed, n: np.random.default_rng(seed).standard_normal(n),
    "numpy default_rng float32": lambda seed, n: np.random.default_rng(seed).standard_normal(n, np.float32),
    "numpy RandomState": lambda seed, n: np.random.RandomState(seed).standard_normal(n),
    "numpy Philox": lambda seed, n: np.random.Generator(np.random.Philox(key=seed)).standard_normal(n),
    "skfusiondp RandomBits": lambda seed, n: RandomBits(seed).normal(n),
}


def try_few(seen: Seen, n_seeds: int) -> list[dict]:
    """The first seeds of each generator, against the noise of every step."""
    rows = []
    for name, draw in GENERATORS.items():
        start, best = time.perf_counter(), np.inf
        for seed in range(n_seeds):
            guess = draw(seed, seen.n_numbers)[seen.blank]
            # Any step may be the one whose noise this is.
            best = min(best, float(np.abs(seen.noise - guess).max(axis=1).min()))
        rows.append(
            {
                "generator": name,
                "seeds": n_seeds,
                "found": bool(best < CLOSE),
                "closest_in_standard_deviations": best,
                "seconds": round(time.perf_counter() - start, 1),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bits", type=int, default=24, help="size of the planted space of seeds")
    parser.add_argument("--few", type=int, default=2**16, help="seeds of each usual generator")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("results/seed_attack.json"))
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)

    with broken_noise(args.bits) as seeds:
        seen = watched_fit()
    planted = {**try_all(seen, args.bits, args.threads), "planted": seeds[-1], "steps": len(seen.noise)}
    real_seen = watched_fit()
    real = {**try_all(real_seen, args.bits, args.threads), "steps": len(real_seen.noise)}
    few = try_few(real_seen, args.few)

    print(f"{'fit':<18}{'generator':<28}{'seeds':>12}{'found':>12}{'noise left':>13}{'s':>7}")
    for name, row in (("broken on purpose", planted), ("the library's", real)):
        found = "nothing" if row["found"] is None else row["found"]
        left = "all of it" if row["found"] is None else f"{row['unexplained_noise']:.1e} sd"
        print(f"{name:<18}{'torch float32':<28}{row['seeds']:>12,}{found:>12}{left:>13}{row['seconds']:>7}")
    for row in few:
        found = "a seed" if row["found"] else "nothing"
        left = f"{row['closest_in_standard_deviations']:.2f} sd"
        name = "the library's"
        cells = f"{row['generator']:<28}{row['seeds']:>12,}{found:>12}{left:>13}{row['seconds']:>7}"
        print(f"{name:<18}{cells}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    content = {"torch": torch.__version__, "broken": planted, "library": real, "usual_seeds": few}
    args.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
