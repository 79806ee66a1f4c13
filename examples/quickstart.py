"""Predict income while age, gender, ethnicity, marital status and relationship stay private.

The main job on the Adult table, which ships with the package: 1,000 rows are set aside as a public
support set from which the imputer learns; the others are trained and judged on. Prints AUROC and
AUPRC of both estimators of the library and of the baselines for each budget, and writes into --out:
quickstart.json (every fit), quickstart.png (utility against epsilon), report.html (the privacy
report of the last budget's model).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _study
from sklearn.model_selection import train_test_split

from skfusiondp import FoundationImputer, FusionDPClassifier
from skfusiondp.datasets import load_adult


def split(name: str, seed: int) -> _study.Split:
    """A support set, training rows and test rows of Adult, drawn by `seed`."""
    adult = load_adult()
    support, _, table, target = adult.split_support(1000, random_state=seed)
    train, test, y_train, y_test = train_test_split(
        table, target, test_size=0.25, random_state=seed, stratify=target
    )
    return _study.Split(train, y_train, test, y_test, adult.sensitive, FoundationImputer(support=support))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epsilon", type=float, nargs="+", default=[0.1, 1.0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="fits at once")
    parser.add_argument("--out", type=Path, default=Path("results"))
    args = parser.parse_args()

    seeds = range(args.seeds)
    jobs = [(m, m, None, s) for m in ("non-private", "hybrid") for s in seeds]
    private = ("dp-sgd", "feature-dp", "fusiondp", "offset-fusion")
    jobs += [(m, m, e, s) for m in private for e in args.epsilon for s in seeds]
    results = _study.run(jobs, split, n_jobs=args.jobs)
    _study.show(results)
    budgets = " ".join(f"{e:g}" for e in args.epsilon)
    command = f"examples/quickstart.py --seeds {args.seeds} --epsilon {budgets}"
    _study.write_json(results, args.out / "quickstart.json", table="Adult", command=command)
    _study.plot(results, args.out / "quickstart.png", "Adult: utility against the budget")

    # A model for release: no random_state, so that nobody can recompute the noise.
    rows = split("fusiondp", 0)
    model = FusionDPClassifier(rows.sensitive, imputer=rows.imputer, epsilon=args.epsilon[-1])
    model.fit(rows.train, rows.y_train).privacy_report().save_html(args.out / "report.html")
    print(model.privacy_report())
    print(f"\nWritten: {', '.join(str(p) for p in sorted(args.out.glob('*')))}")


if __name__ == "__main__":
    main()
