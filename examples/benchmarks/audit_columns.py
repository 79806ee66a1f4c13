"""Budgets per column, audited column by column: epsilon 0.25 for age, 2 for the other sensitive columns.

On 10,000 rows of Adult. Prints each column's claim, the same composed by hand from the plan's tiers, and the
audit's lower bound; writes --out.

    python examples/benchmarks/audit_columns.py --out results/audit_columns.json
"""

import argparse
import json
import warnings
from pathlib import Path

import torch

from skfusiondp import (
    FoundationImputer,
    FusionDPClassifier,
    Numeric,
    PrivacyLedger,
)
from skfusiondp.accounting import LedgerEntry
from skfusiondp.audit import audit_attribute
from skfusiondp.datasets import load_adult

DELTA = 1e-5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results/audit_columns.json"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)

    adult = load_adult()
    support, _, table, target = adult.split_support(1000, random_state=0)
    table, target = table[:10000], target[:10000]
    domains = {**adult.sensitive, "age": Numeric(17, 90, epsilon=0.25)}
    model = FusionDPClassifier(
        domains, imputer=FoundationImputer(support=support), epsilon=2.0, epochs=3, delta=DELTA
    ).fit(table, target)
    plan, claims = model.plan_, model.ledger_.epsilon_by_column(DELTA)
    entries = [LedgerEntry(t.noise_multiplier, plan.sample_rate, plan.steps, "replace") for t in plan.tiers]
    rows = []
    print(f"{'column':<16}{'claim':>8}{'by hand':>9}  lower bounds over seeds (95 %)")
    for column in domains:
        first = next(i for i, t in enumerate(plan.tiers) if column in t.columns)
        by_hand = PrivacyLedger(tuple(entries[first:])).epsilon(DELTA)
        bounds = [
            audit_attribute(model, table, target, columns=[column], random_state=seed).epsilon_lower
            for seed in range(arguments.seeds)
        ]
        shown = " ".join(f"{b:.2f}" for b in bounds)
        print(f"{column:<16}{claims[column]:>8.3f}{by_hand:>9.3f}  {shown}", flush=True)
        rows.append({"column": column, "claim": claims[column], "by_hand": by_hand, "lower_bounds": bounds})
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    facts = {"delta": DELTA, "adjacency": "replace", "rows": len(table)}
    arguments.out.write_text(json.dumps({**facts, "columns": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
