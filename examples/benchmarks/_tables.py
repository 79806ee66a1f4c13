"""The benchmark's tables, their splits, and the two encodings that baselines and peers need."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import _fresh
import _tuning
import numpy as np
import pandas as pd
from _honest import HONEST, ONE_ROW_A_PERSON
from sklearn.model_selection import train_test_split

from skfusiondp import Categorical, FoundationImputer, datasets

MOST_ROWS = 15_000
TEST, SUPPORT = 0.2, 0.1
# Standardised numbers are clipped here; what lies beyond costs record-level peers sensitivity.
_CLIP = 3.0


def _adult_hours() -> datasets.SensitiveTable:
    """Adult as a regression task: hours worked a week."""
    adult = datasets.load_adult()
    return datasets.SensitiveTable(
        "adult_hours",
        adult.table.drop(columns="hours-per-week"),
        adult.table["hours-per-week"],
        adult.sensitive,
        adult.description,
    )


TABLES: dict[str, Callable[[], datasets.SensitiveTable]] = {
    "support2": datasets.load_support2,
    "acs_massachusetts": datasets.load_acs_massachusetts,
    "flchain": datasets.load_flchain,
    "nhis": datasets.load_nhis,
    "alcohol": datasets.load_alcohol,
    "credit_default": datasets.load_credit_default,
    "adult": datasets.load_adult,
    "sepsis": datasets.load_sepsis,
    "adult_hours": _adult_hours,
    **_fresh.TABLES,
}
# Bounds of a number as target, which record-level peers must be told; None marks classification.
TARGET_BOUNDS: dict[str, tuple[float, float]] = {"adult_hours": (1.0, 99.0), **_fresh.TARGET_BOUNDS}


@functools.lru_cache(maxsize=1)
def load(name: str) -> datasets.SensitiveTable:
    """Read a table; a process works through one table after the other.

    The suite's own tables have bounds as somebody would write them without the data.
    """
    table = {**_tuning.TABLES, **TABLES}[name]()
    return replace(table, sensitive={**table.sensitive, **HONEST.get(name, {})})


def absent(name: str) -> str | None:
    """Why a table cannot be read here, or None."""
    if name == "sepsis" and not os.environ.get("SKFUSIONDP_SEPSIS"):
        return "SKFUSIONDP_SEPSIS names no folder"
    try:
        load(name)
    except ImportError as error:
        return str(error)
    return None


@dataclass(frozen=True, eq=False)
class Task:
    """One split: rows whose sensitive cells are private, labelled public rows, and rows to judge on."""

    name: str
    seed: int
    sensitive: dict
    private: pd.DataFrame
    y_private: pd.Series
    support: pd.DataFrame
    y_support: pd.Series
    test: pd.DataFrame
    y_test: pd.Series

    @property
    def target_bounds(self) -> tuple[float, float] | None:
        return TARGET_BOUNDS.get(self.name)

    def groups(self, n_rows: int) -> dict[str, np.ndarray]:
        """Whose row each is, where the table does not show that it is another's."""
        return {"groups": np.arange(n_rows)} if self.name in ONE_ROW_A_PERSON else {}

    @property
    def regression(self) -> bool:
        return self.target_bounds is not None

    @property
    def public(self) -> list[str]:
        return [c for c in self.private if c not in self.sensitive]

    @functools.cached_property
    def train(self) -> pd.DataFrame:
        """Private and support rows together: what a method without a use for support trains on."""
        return pd.concat([self.private, self.support], ignore_index=True)

    @functools.cached_property
    def y_train(self) -> pd.Series:
        return pd.concat([self.y_private, self.y_support], ignore_index=True)

    @functools.cached_property
    def hybrid(self) -> pd.DataFrame:
        """Private rows with their sensitive cells imputed from public ones."""
        imputer = FoundationImputer(sensitive=self.sensitive, support=self.support, random_state=self.seed)
        return imputer.fit(self.private).transform(self.private)

    @functools.cached_property
    def levels(self) -> dict[str, list]:
        """Values of each categorical column: declared if sensitive, else those that occur."""
        found: dict[str, list] = {}
        for c in self.private:
            domain = self.sensitive.get(c)
            if isinstance(domain, Categorical):
                found[c] = list(domain.categories)
            elif domain is None and not pd.api.types.is_numeric_dtype(self.private[c]):
                everything = pd.concat([self.private[c], self.support[c], self.test[c]])
                found[c] = sorted(everything.dropna().unique())
        return found

    def typed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame for gradient boosting: categories as a dtype, numbers as floats."""
        return pd.DataFrame(
            {
                c: pd.Categorical(frame[c], categories=self.levels[c])
                if c in self.levels
                else frame[c].astype(float)
                for c in frame
            },
            index=frame.index,
        )

    def encoded(self, frame: pd.DataFrame) -> np.ndarray:
        """The frame for record-level peers: one-hot, standardised by the (public) support rows, clipped."""
        blocks = []
        for c in frame:
            if c in self.levels:
                blocks.append(np.stack([frame[c].to_numpy() == v for v in self.levels[c]], axis=1))
                continue
            known = self.support[c].astype(float)
            scale = known.std() or 1.0
            values = ((frame[c].astype(float) - known.mean()) / scale).clip(-_CLIP, _CLIP)
            blocks.append(values.fillna(0.0).to_numpy()[:, None])
            if known.isna().any():
                blocks.append(frame[c].isna().to_numpy()[:, None])
        return np.hstack([b.astype(np.float32) for b in blocks])


@functools.lru_cache(maxsize=2)
def split(name: str, seed: int, most_rows: int) -> Task:
    """Split a table by seed: 20 % to judge on and 10 % as support, or the table's own support rows."""
    table = load(name)
    X, y = table.table, table.target
    strata = None if name in TARGET_BOUNDS else y
    rows = np.arange(len(X))
    if len(rows) > most_rows:
        rows = np.sort(np.random.default_rng(seed).permutation(len(X))[:most_rows])

    def parts(rows: np.ndarray, share: float) -> list[np.ndarray]:
        labels = None if strata is None else strata.iloc[rows]
        return train_test_split(rows, test_size=share, random_state=seed, stratify=labels)

    private, test = parts(rows, TEST)
    if table.support is not None:
        support, y_support = table.support, table.support_target
    else:
        private, own = parts(private, SUPPORT / (1 - TEST))
        support, y_support = X.iloc[own], y.iloc[own]
    frames = [X.iloc[private], y.iloc[private], support, y_support, X.iloc[test], y.iloc[test]]
    return Task(name, seed, table.sensitive, *(f.reset_index(drop=True) for f in frames))
