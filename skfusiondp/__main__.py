"""The library at work on real rows, in under a minute.

Trains on the Adult table, which is inside the package, without its sensitive columns, with them in private,
and with them as they are; prints how well each model does, and the beginning of the private one's report.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from .datasets import load_adult
from .estimators import OffsetFusionClassifier
from .exceptions import MissingDependencyError

_EPSILON, _SUPPORT, _TRAIN = 1.0, 1000, 8000


@threadpool_limits.wrap(limits=1)  # tables this small gain nothing from threads, and busy machines lose
def main() -> None:
    """Train three models and print what they are worth."""
    parser = argparse.ArgumentParser("python -m skfusiondp", description=__doc__)
    parser.add_argument("--picture", type=Path, help="draw it too: a .png, .svg or .pdf file")
    picture = parser.parse_args().picture
    if picture is not None:
        _pyplot()  # what it lacks is said before the models are trained
    start = time.perf_counter()
    adult = load_adult()
    support, y_support, table, income = adult.split_support(_SUPPORT, random_state=0)
    train, test, y, y_test = train_test_split(
        table, income, train_size=_TRAIN, random_state=0, stratify=income
    )
    print(
        f"Who earns more than 50,000 dollars? Adult: {_TRAIN:,} people to train on, {len(test):,} to judge "
        f"on,\nand {_SUPPORT:,} who stand for people that published their rows (support rows).\n"
        f"Sensitive: {', '.join(adult.sensitive)}.\n"
    )
    private = OffsetFusionClassifier(
        adult.sensitive, epsilon=_EPSILON, support=support, support_target=y_support
    ).fit(train, y)
    everyone = pd.concat([train, support, test])
    everyone = everyone.astype(dict.fromkeys(everyone.select_dtypes(exclude="number"), "category"))
    labels = pd.concat([y, y_support])

    def boosted(columns: list[str]) -> HistGradientBoostingClassifier:
        model = HistGradientBoostingClassifier(learning_rate=0.05, random_state=0)
        return model.fit(everyone.loc[labels.index, columns], labels)

    worth = {}
    print(f"{'model':<40}{'epsilon':>8}{'accuracy':>10}{'AUROC':>8}")
    for name, epsilon, model, rows in (
        ("boosting, public columns only", "0", boosted(adult.public), everyone.loc[test.index, adult.public]),
        ("OffsetFusion, sensitive columns private", f"{_EPSILON:g}", private, test),
        ("boosting, no privacy", "inf", boosted(list(table)), everyone.loc[test.index]),
    ):
        scores = model.predict_proba(rows)[:, 1]
        accuracy, auroc = accuracy_score(y_test, scores > 0.5), roc_auc_score(y_test, scores)
        print(f"{name:<40}{epsilon:>8}{accuracy:>10.3f}{auroc:>8.3f}")
        worth[name] = auroc
    print(f"\n{str(private.privacy_report()).split(chr(10) * 2)[0]}")
    if picture is not None:
        _draw(worth, private, picture)
        print(f"\nWritten: {picture}")
    print(f"\n{time.perf_counter() - start:.0f} seconds. model.privacy_report() says the rest.")


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as pyplot
    except ImportError as error:
        raise MissingDependencyError('--picture needs matplotlib: pip install "skfusiondp[plot]"') from error
    return pyplot


def _draw(worth: Mapping[str, float], private: OffsetFusionClassifier, path: Path) -> None:
    """A bar a model, and how much of the way from the first to the last one the private one goes."""
    free, own, everything = worth.values()
    figure, ax = _pyplot().subplots(figsize=(8, 2.6), layout="constrained")
    bars = ax.barh(list(worth), list(worth.values()), color=["#9aa5b1", "#2f6f9f", "#d5dae0"])
    ax.bar_label(bars, fmt="%.3f", padding=4)
    ax.invert_yaxis()
    ax.set(xlim=(0.5, 1.0), xlabel="AUROC on held-out rows (0.5: by chance)")
    ax.set_title(
        f"{(own - free) / (everything - free):.0%} of what the sensitive columns add, at "
        f"\u03b5 = {private.epsilon_:.2f}, \u03b4 = {private.delta_:.1g}\n"
        "(relation: replace, the sensitive cells of one row)",
        fontsize=10,
    )
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
