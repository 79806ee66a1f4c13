"""The paper's sepsis table: age, gender, unit and times in hospital stay private.

Trains the paper's method and its baselines on train_ori.csv with two imputed views: the published
one (train_hybrid.csv) and one of our own, whose imputer learns from val.csv as public support rows.
The rows of val.csv have labels: "own view" methods take them as public training rows too, and so does
offset-fusion, the suite's best estimator on this table.
Judges on --test if given, else on a fifth of the training rows, split off by seed.

    SKFUSIONDP_SEPSIS=path/to/folder python examples/sepsis.py
    python examples/sepsis.py --train DIR --test FILE --epsilon 1 --json out.json
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

import _study
import pandas as pd
from sklearn.model_selection import train_test_split

from skfusiondp import FoundationImputer
from skfusiondp.datasets import load_sepsis
from skfusiondp.impute import PairedTable

OURS, THEIRS = " (own view)", " (published view)"


def split(name: str, seed: int, folder: str | None, test: str | None) -> _study.Split:
    """Training and test rows; the name says which imputed view goes with them."""
    sepsis = load_sepsis(folder)
    table, target, hybrid = sepsis.table, sepsis.target, sepsis.hybrid
    if test is None:
        train, held_out = train_test_split(table.index, test_size=0.2, random_state=seed, stratify=target)
        test_table, y_test = table.loc[held_out], target.loc[held_out]
    else:
        train = table.index
        judged = pd.read_csv(test)
        test_table, y_test = judged[list(table.columns)], judged[target.name].astype(int)
    rows, y = table.loc[train], target.loc[train]
    if name.endswith(THEIRS):
        paired = PairedTable.from_views(rows, hybrid.loc[train], sepsis.sensitive)
        return _study.Split(paired, y, test_table, y_test)
    if not name.endswith(OURS):
        return _study.Split(rows, y, test_table, y_test, sepsis.sensitive)
    imputer = FoundationImputer(support=sepsis.support)
    return _study.Split(rows, y, test_table, y_test, sepsis.sensitive, imputer, sepsis.support_target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--train", help="folder of the table; default: $SKFUSIONDP_SEPSIS")
    parser.add_argument("--test", help="CSV file of rows to judge on")
    parser.add_argument("--epsilon", type=float, nargs="+", default=[0.5, 1.0, 2.0, 5.0])
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--adjacency", choices=("replace", "zero-out"), default="replace")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="fits at once")
    parser.add_argument("--json", type=Path, default=Path("results/sepsis.json"))
    args = parser.parse_args()

    seeds = range(args.seeds)
    free = [("non-private", "non-private"), *(("hybrid" + v, "hybrid") for v in (THEIRS, OURS))]
    private = [("dp-sgd", "dp-sgd"), ("feature-dp", "feature-dp")]
    private += [("fusiondp" + v, "fusiondp") for v in (THEIRS, OURS)]
    private += [("offset-fusion" + OURS, "offset-fusion")]
    jobs = [(name, method, None, s) for name, method in free for s in seeds]
    jobs += [(name, method, e, s) for name, method in private for e in args.epsilon for s in seeds]
    results = _study.run(
        jobs,
        functools.partial(split, folder=args.train, test=args.test),
        n_jobs=args.jobs,
        delta=args.delta,
        adjacency=args.adjacency,
    )
    _study.show(results)
    judged = "held-out file" if args.test else "a fifth of train_ori, split off by seed"
    _study.write_json(results, args.json, table="sepsis", judged_on=judged, command="examples/sepsis.py")
    _study.plot(results, args.json.with_suffix(".png"), "Sepsis: utility against the budget")
    print(f"Written: {args.json}, {args.json.with_suffix('.png')}")


if __name__ == "__main__":
    main()
