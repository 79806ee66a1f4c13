"""The mistakes that new users make, and words that the answer to each must have."""

from __future__ import annotations

import numpy as np
import pandas as pd
from mistake import AGE, DOMAINS, NUMBERS, SUPPORT, X, fusion, offset, refused, warned, y, y_support
from mistakes_with_networks import NETWORKS
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfusiondp import (
    Categorical,
    DataHolderWarning,
    Date,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    PrivacyBudget,
    PrivacyBudgetError,
    PrivacyLeakWarning,
    RepeatedFitWarning,
    WeakPrivacyWarning,
    domains_from,
)
from skfusiondp.model_selection import PrivateRandomSearchCV

SCALER = StandardScaler().set_output(transform="pandas")

MISTAKES = {
    "Columns": [
        refused(
            "A name in `sensitive` is misspelt",
            lambda: fusion({"aeg": Numeric(0, 120)}).fit(X, y),
            "sensitive", "'aeg'", "did you mean 'age'",
        ),
        refused(
            "Names are given for an array, which has none",
            lambda: fusion(AGE).fit(NUMBERS.to_numpy(), y),
            "sensitive", "'age'", "'x0', 'x1'",
        ),
        refused(
            "A position is given for a frame with names",
            lambda: fusion([2]).fit(X, y),
            "sensitive", "column 2", "name the columns",
        ),
        refused(
            "Two columns have the same name",
            lambda: fusion().fit(pd.concat([X, X[["lab"]]], axis=1), y),
            "['lab']", "X", "rename them",
        ),
        refused(
            "A public column is missing when predicting",
            lambda: fusion().fit(X, y).predict(X.drop(columns="ward")),
            "missing", "- ward",
            kind=ValueError,
        ),
        refused(
            "A sensitive column is missing when predicting",
            lambda: offset().fit(X, y).predict(X.drop(columns="age")),
            "'age'", "cost nothing", "numpy.nan))[model.feature_names_in_]", "FoundationImputer(sensitive",
        ),
        refused(
            "Columns come in another order when predicting",
            lambda: fusion().fit(X, y).predict(X[X.columns[::-1]]),
            "same order",
            kind=ValueError,
        ),
        warned(
            "Nothing is declared: every column is sensitive",
            PrivacyLeakWarning,
            lambda: FusionDPClassifier(steps=1, noise_multiplier=9.0, public_epochs=0).fit(X, y),
            "No domain is declared", "'lab', 'ward', 'age', 'sex'", "epsilon is infinite", "Declare",
        ),
        warned(
            "Names without domains, and no support rows",
            PrivacyLeakWarning,
            lambda: fusion(["age", "sex"]).fit(X, y),
            "'age', 'sex'", "epsilon is infinite", "Numeric(low, high)", "Categorical([...])",
        ),
        warned(
            "A public column says the same as a sensitive one",
            PrivacyLeakWarning,
            lambda: offset(support=SUPPORT.assign(age2=SUPPORT["age"])).fit(X.assign(age2=X["age"]), y),
            "'age2' determines 'age'", "sensitive too", "leave them out",
        ),
    ],
    "Domains": [
        refused(
            "A pair of numbers in place of a domain",
            lambda: fusion({"age": (0, 120)}).fit(X, y),
            "sensitive['age']=(0, 120)", "Numeric(low, high)",
        ),
        refused("Bounds in the wrong order", lambda: Numeric(120, 0), "low=120, high=0", "Numeric(0, 120)"),
        refused("Bounds as texts", lambda: Numeric("0", "120"), "low='0'", "Numeric(0, 120)"),
        refused("One text as the list of categories", lambda: Categorical("fm"), "'fm'", "a list"),
        refused("A category twice", lambda: Categorical(["f", "f"]), "['f', 'f']", "distinct"),
        refused("A bound that is no date", lambda: Date("1900-01-01", "31.12.2020"), "31.12.2020", "Date("),
        warned(
            "Bounds too narrow, or another unit",
            DataHolderWarning,
            lambda: fusion({"age": Numeric(0, 1)}).fit(X, y),
            "'age'", "Numeric(low=0, high=1)", "100 % above", "check unit",
        ),
        warned(
            "A category is left out or spelt otherwise",
            DataHolderWarning,
            lambda: fusion({"sex": Categorical(["female", "male"])}).fit(X, y),
            "'sex'", "100 % unknown categories", "check spelling",
        ),
        refused(
            "Declarations that are not filled in",
            lambda: fusion(domains_from(X.dtypes)).fit(X, y),
            "sensitive['lab']", "Numeric(low, high)",
        ),
    ],
    "Tables and targets": [
        refused("A single column as X", lambda: fusion().fit(X["age"], y), "2", kind=ValueError),
        refused(
            "A sparse matrix",
            lambda: fusion([0]).fit(sparse.csr_matrix(NUMBERS), y),
            "Sparse", "X.toarray()",
            kind=TypeError,
        ),
        refused("A few rows", lambda: fusion().fit(X[:8], y[:8]), "n_samples=8", "at least 11", "add rows"),
        refused("One class", lambda: fusion().fit(X, y * 0), "y has only one class", "at least two"),
        refused("Missing labels", lambda: fusion().fit(X, y.where(y > 0)), "y", "NaN", "drop those rows"),
        refused("Too few labels", lambda: offset().fit(X, y[:-1]), "y", "120", "119"),
        refused(
            "A number as the target of a classifier",
            lambda: fusion().fit(X, X["lab"]),
            "y", "continuous",
        ),
        refused(
            "Texts as the target of a regressor",
            lambda: FusionDPRegressor(DOMAINS, steps=1).fit(X, X["ward"]),
            "y", "number",
        ),
        refused(
            "Lists in cells",
            lambda: fusion().fit(X.assign(tags=[[1]] * 120), y),
            "'tags'", "list", "drop the column",
        ),
        refused(
            "Columns of labels 1 and 2",
            lambda: fusion().fit(X, np.c_[y + 1, 2 - y]),
            "y", "0 and 1", "(y == 2)",
        ),
    ],
    "Support rows": [
        warned(
            "Training rows as support rows",
            PrivacyLeakWarning,
            lambda: offset(support=X[:60]).fit(X, y),
            "support", "rows of the training table", "epsilon is infinite", "other people",
        ),
        refused(
            "Training rows as support rows, under a budget",
            lambda: offset(support=X[:60], budget=PrivacyBudget(2.0, 1e-5)).fit(X, y),
            "support", "rows of the training table", "infinite epsilon", "Nothing was read", "other people",
            kind=PrivacyBudgetError,
        ),
        refused(
            "Support rows without a sensitive column",
            lambda: fusion(support=SUPPORT.drop(columns="age")).fit(X, y),
            "support", "'age'", "same columns",
        ),
        refused(
            "Labels of support rows, but no support rows",
            lambda: fusion(support_target=y_support).fit(X, y),
            "support_target", "without support",
        ),
        refused(
            "A label too few",
            lambda: fusion(support=SUPPORT, support_target=y_support[:-1]).fit(X, y),
            "support_target", "59", "60",
        ),
        refused(
            "Labels that the training table does not have",
            lambda: offset(support=SUPPORT, support_target=y_support + 5).fit(X, y),
            "support_target", "5", "drop these support rows",
        ),
        refused(
            "No rows",
            lambda: fusion(support=SUPPORT[:0]).fit(X, y),
            "support has no rows", "public rows",
        ),
        refused(
            "A scikit-learn imputer",
            lambda: fusion(imputer=SimpleImputer()).fit(X, y),
            "imputer=SimpleImputer()", "FoundationImputer(backend=",
        ),
        warned(
            "None at all",
            UserWarning,
            lambda: fusion().fit(X, y),
            "No support rows", "centre of its domain", "support=",
        ),
        refused(
            "Rows and labels together",
            lambda: offset(support=(SUPPORT, y_support)).fit(X, y),
            "support is a tuple of tables", "rows alone",
        ),
    ],
    "Budgets": [
        refused("A budget of zero", lambda: fusion(epsilon=0).fit(X, y), "epsilon=0", "positive", "0.5 to 8"),
        refused("A budget as text", lambda: fusion(epsilon="1").fit(X, y), "epsilon='1'", "0.5 to 8"),
        refused(
            "Budget and noise",
            lambda: fusion(epsilon=1, noise_multiplier=2).fit(X, y),
            "epsilon=1", "noise_multiplier=2", "leave one None",
        ),
        refused(
            "A delta of one",
            lambda: fusion(delta=1).fit(X, y),
            "delta=1", "between 0 and 1", "delta=None",
        ),
        warned(
            "A delta that is too large for the table",
            WeakPrivacyWarning,
            lambda: fusion(delta=0.1).fit(X, y),
            "delta=0.1", "120 rows", "delta=None",
        ),
        warned(
            "A budget that protects nobody",
            WeakPrivacyWarning,
            lambda: PrivacyBudget(epsilon=50.0, delta=1e-6),
            "epsilon=50", "guessed right in more than 99.9999 %", "0.5 to 8",
        ),
        refused(
            "A number as a shared budget",
            lambda: fusion(budget=1.0).fit(X, y),
            "budget=1.0", "PrivacyBudget",
        ),
        refused(
            "More than is left of a shared budget",
            lambda: offset(noise_multiplier=0.5, budget=PrivacyBudget(0.5, 1e-3)).fit(X, y),
            "above the budget of 0.5", "Nothing was read", "Lower",
            kind=PrivacyBudgetError,
        ),
        refused(
            "The relation of whole rows",
            lambda: fusion(adjacency="add-remove").fit(X, y),
            "adjacency='add-remove'", "replace, zero-out", "method='dp-sgd'",
        ),
        refused("`eps` for `epsilon`", lambda: fusion(eps=1.0), "'eps'", "did you mean 'epsilon'"),
    ],
    "Pipelines and searches": [
        warned(
            "A scaler in front that has learnt from sensitive cells",
            PrivacyLeakWarning,
            lambda: make_pipeline(SCALER, fusion(AGE)).fit(NUMBERS, y),
            "StandardScaler", "age", "public columns only",
        ),
        warned(
            "All columns imputed in front",
            PrivacyLeakWarning,
            lambda: make_pipeline(
                make_column_transformer(
                    (SimpleImputer(), ["lab", "age"]), verbose_feature_names_out=False
                ).set_output(transform="pandas"),
                offset(AGE),
            ).fit(NUMBERS, y),
            "SimpleImputer", "age",
        ),
        warned(
            "A plain search over the noise",
            RepeatedFitWarning,
            lambda: GridSearchCV(offset(), {"noise_multiplier": [9.0, 20.0]}, cv=2).fit(X, y),
            "GridSearchCV", "noise_multiplier", "least noise", "add up", "PrivateRandomSearchCV",
        ),
        refused("A model that is not fitted", lambda: fusion().predict(X), "not fitted", kind=NotFittedError),
        refused(
            "A class in place of an object",
            lambda: PrivateRandomSearchCV(FusionDPClassifier, {}).fit(X, y),
            "estimator=", "FusionDPClassifier()",
        ),
    ],
    "Networks and callbacks": NETWORKS,
}  # fmt: skip
EVERY = {f"{area}: {m.what}": m for area, found in MISTAKES.items() for m in found}
