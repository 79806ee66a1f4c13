"""Try to break the guarantee on the Adult table: audit, attribute inference, and what the best attack can do.

Audits a fit with all noised gradients in view and one with the released model alone, then one with a
tenth of the noise that its budget needs. Writes into --out: audit.json and audit.png.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

from skfusiondp import FoundationImputer, FusionDPClassifier
from skfusiondp.audit import attribute_inference, audit_attribute, risk
from skfusiondp.datasets import load_adult


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epsilon", type=float, default=2.0)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results"))
    args = parser.parse_args()

    warnings.simplefilter("ignore")
    adult = load_adult()
    support, _, table, target = adult.split_support(1000, random_state=0)
    table, target = table[: args.rows], target[: args.rows]
    imputer = FoundationImputer(sensitive=adult.sensitive, support=support, output="paired", random_state=0)
    paired = imputer.fit(table).transform(table)

    model = FusionDPClassifier(epsilon=args.epsilon, epochs=args.epochs)
    audits = {
        "white-box": audit_attribute(model, paired, target, random_state=0),
        "black-box": audit_attribute(model, paired, target, score="black-box", random_state=0),
    }
    fitted = model.fit(paired, target)
    loose = FusionDPClassifier(
        noise_multiplier=0.1 * fitted.plan_.noise_multiplier, epsilon=None, epochs=args.epochs
    )
    audits["a tenth of the noise"] = audit_attribute(
        loose, paired, target, claim=args.epsilon, random_state=0
    )
    for name, found in audits.items():
        print(f"[{name}] {found}\n")
    released = FusionDPClassifier(
        adult.sensitive, imputer=FoundationImputer(support=support), epsilon=args.epsilon, epochs=args.epochs
    ).fit(table, target)
    print(risk(released), "\n")
    guessed = [attribute_inference(released, table, target, column=c) for c in ("gender", "marital-status")]
    print(*guessed, sep="\n")

    args.out.mkdir(parents=True, exist_ok=True)
    found = {
        "audits": {k: v.to_dict() for k, v in audits.items()},
        "inference": [g.to_dict() for g in guessed],
    }
    (args.out / "audit.json").write_text(json.dumps(found, indent=1) + "\n")
    plot(audits, args.out / "audit.png")


def plot(audits: dict, path: Path) -> None:
    """One bar an audit, beside its claim."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(audits), 1, figsize=(6, 1.5 * len(audits)), layout="constrained")
    for axis, (name, found) in zip(axes, audits.items(), strict=True):
        found.plot(axis).set_title(name, fontsize=10, loc="left")
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
