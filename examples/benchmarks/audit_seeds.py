"""Does the audit's lower bound stay below a sound fit's epsilon, and catch a fit with too little noise?

On 10,000 rows of Adult, for each budget and seed: one white-box audit of a sound fit, and one of a fit
whose noise multiplier is a tenth of the calibrated one, held against the budget that it claims.
Writes docs/results/audit.json.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import torch
from tqdm import tqdm

from skfusiondp import FoundationImputer, FusionDPClassifier
from skfusiondp.audit import audit_attribute
from skfusiondp.datasets import load_adult

ROWS = 10_000
EPOCHS = 3


def audit(paired, target, epsilon: float, seed: int, noise_multiplier: float | None = None) -> dict:
    """One audit, of a sound fit or of one with another noise multiplier than it claims."""
    model = FusionDPClassifier(
        epsilon=epsilon if noise_multiplier is None else None,
        noise_multiplier=noise_multiplier,
        epochs=EPOCHS,
        random_state=seed,
    )
    start = time.perf_counter()
    found = audit_attribute(model, paired, target, claim=epsilon, random_state=seed)
    return {
        "epsilon": epsilon,
        "seed": seed,
        "broken": noise_multiplier is not None,
        "epsilon_lower": found.epsilon_lower,
        "correct": found.correct,
        "guesses": found.guesses,
        "seconds": round(time.perf_counter() - start, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1.0, 2.0, 4.0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", type=Path, default=Path("docs/results/audit.json"))
    args = parser.parse_args()

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    adult = load_adult()
    support, _, table, target = adult.split_support(1000, random_state=0)
    imputer = FoundationImputer(sensitive=adult.sensitive, support=support, output="paired", random_state=0)
    paired = imputer.fit(table[:ROWS]).transform(table[:ROWS])
    target = target[:ROWS]

    results = []
    facts = {"table": "Adult", "rows": ROWS, "epochs": EPOCHS, "score": "white-box", "confidence": 0.95}
    for epsilon in args.epsilon:
        calibrated = (
            FusionDPClassifier(epsilon=epsilon, epochs=EPOCHS).fit(paired, target).plan_.noise_multiplier
        )
        for seed in tqdm(range(args.seeds), desc=f"epsilon {epsilon:g}"):
            results.append(audit(paired, target, epsilon, seed))
            results.append(audit(paired, target, epsilon, seed, noise_multiplier=0.1 * calibrated))
        for broken in (False, True):
            bounds = [r["epsilon_lower"] for r in results if (r["epsilon"], r["broken"]) == (epsilon, broken)]
            name = "a tenth of the noise" if broken else "sound"
            print(
                f"epsilon {epsilon:g}, {name}: lower bound {min(bounds):.2f} to {max(bounds):.2f}, "
                f"above the claim in {sum(b > epsilon for b in bounds)} of {len(bounds)} seeds"
            )
    args.json.parent.mkdir(parents=True, exist_ok=True)
    command = "examples/benchmarks/audit_seeds.py"
    args.json.write_text(json.dumps({**facts, "command": command, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
