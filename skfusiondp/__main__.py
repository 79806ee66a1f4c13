"""``python -m skfusiondp``: the library at work on real rows, in under a minute.

Trains on the Adult table, which is inside the package, without its sensitive columns, with them in private,
and with them as they are; prints how well each model does, and the beginning of the private one's report.
"""

from __future__ import annotations

import time

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from .datasets import load_adult
from .estimators import OffsetFusionClassifier

_EPSILON, _SUPPORT, _TRAIN = 1.0, 1000, 8000


@threadpool_limits.wrap(limits=1)  # tables this small gain nothing from threads, and busy machines lose
def main() -> None:
    """Train three models and print what they are worth."""
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

    print(f"{'model':<40}{'epsilon':>8}{'accuracy':>10}{'AUROC':>8}")
    for name, epsilon, model, rows in (
        ("boosting, public columns only", "0", boosted(adult.public), everyone.loc[test.index, adult.public]),
        ("OffsetFusion, sensitive columns private", f"{_EPSILON:g}", private, test),
        ("boosting, no privacy", "inf", boosted(list(table)), everyone.loc[test.index]),
    ):
        scores = model.predict_proba(rows)[:, 1]
        accuracy, auroc = accuracy_score(y_test, scores > 0.5), roc_auc_score(y_test, scores)
        print(f"{name:<40}{epsilon:>8}{accuracy:>10.3f}{auroc:>8.3f}")
    print(f"\n{str(private.privacy_report()).split(chr(10) * 2)[0]}")
    print(f"\n{time.perf_counter() - start:.0f} seconds. model.privacy_report() says the rest.")


if __name__ == "__main__":
    main()
