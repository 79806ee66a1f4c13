"""Pipelines that leak, each with the step that does, and pipelines that do not."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, OneToOneFeatureMixin, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_selection import (
    RFE,
    SelectFromModel,
    SelectKBest,
    SequentialFeatureSelector,
    VarianceThreshold,
    f_classif,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import IterativeImputer, KNNImputer, MissingIndicator, SimpleImputer
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression, RANSACRegressor, Ridge
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.tree import DecisionTreeClassifier

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    OffsetFusionClassifier,
    OffsetFusionRegressor,
    PrivacyLedger,
)
from skfusiondp.accounting import LedgerEntry
from skfusiondp.preprocessing import (
    PrivateCategories,
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
    TableEncoder,
)

SENSITIVE = {"age": Numeric(18, 90), "bmi": Numeric(10, 60), "sex": Categorical(["F", "M"])}
AGE, BMI, SEX_DOMAIN = ({c: SENSITIVE[c]} for c in SENSITIVE)
# What the paid steps give out: scaled numbers, and ranks.
SCALED, RANKED = {"age": Numeric(-3, 3)}, {"bmi": Numeric(0, 1)}
SEX = [["F", "M"]]


def table(n=60):
    """Two public numbers, a public category, and three sensitive columns (bmi partly missing)."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "lab": rng.normal(size=n),
            "pulse": rng.normal(70, 9, size=n),
            "ward": rng.choice(["a", "b", "c"], size=n),
            "age": rng.uniform(20, 80, size=n).round(),
            "bmi": np.where(rng.uniform(size=n) < 0.2, np.nan, rng.normal(25, 3, size=n)),
            "sex": rng.choice(["F", "M"], size=n),
        }
    )


def target(n=60):
    return np.arange(n) % 2


# Other people's classes ------------------------------------------------------------


class OwnTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """A transformer that nobody knows."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        self.center_ = np.nanmean(np.asarray(X, dtype=float), axis=0)
        return self

    def transform(self, X):
        return X - self.center_


class CleverNormalizer(Normalizer):
    """A subclass of something free that is no longer free."""

    def fit(self, X, y=None):
        super().fit(X)
        self.largest_ = np.nanmax(np.asarray(X, dtype=float))
        return self


class OwnScaler(StandardScaler):
    """A subclass of something that fits."""


class PlainNormalizer(Normalizer):
    """A subclass that changes nothing."""


class Accounted(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """A transformer of another library that keeps the contract: its cost is planned and written down."""

    _accounts_for_privacy = True

    def planned_ledger(self, n_rows, rows_per_unit=1):
        return PrivacyLedger((LedgerEntry(5.0, 1.0, 1, "replace", ("age",), n_rows, "Accounted.fit"),))

    def fit(self, X, y=None):
        self.n_features_in_, self.feature_names_in_ = X.shape[1], np.array(X.columns, dtype=object)
        self.ledger_ = self.planned_ledger(len(X))
        return self

    def transform(self, X):
        return X


class Smote(BaseEstimator):
    """A resampler as imbalanced-learn has them."""

    def fit_resample(self, X, y):
        return X, y

    fit = fit_resample


class RandomUnderSampler(Smote):
    __module__ = "imblearn.under_sampling"

    def __init__(self, replacement=False):
        self.replacement = replacement


class Claimed(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """A transformer that says that it accounts for what it reads, and does not."""

    _accounts_for_privacy = True

    def fit(self, X, y=None):
        self.n_features_in_, self.feature_names_in_ = X.shape[1], np.array(X.columns, dtype=object)
        self.center_ = np.nanmean(np.asarray(X, dtype=float), axis=0)
        return self

    def transform(self, X):
        return X - self.center_


class ClaimedModel(ClassifierMixin, BaseEstimator):
    """A model that says so, and has planned to spend nothing."""

    _accounts_for_privacy = True

    def planned_ledger(self, n_rows, rows_per_unit=1):
        return PrivacyLedger()

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X))


class ReadsMean(FusionDPClassifier):
    """A private model that reads something beside."""

    def fit(self, X, y):
        self.mean_age_ = X["age"].mean()
        return super().fit(X, y)


class ReadsBefore:
    def fit(self, X, y):
        self.means_ = X.mean(numeric_only=True)
        return super().fit(X, y)


class ReadsByMixin(ReadsBefore, FusionDPClassifier):
    """A private model with somebody else's fit before its own."""


class OwnRelease(PrivateStandardScaler):
    """A step that pays, with a part of it replaced."""

    def _learn(self, *args):
        return super()._learn(*args)


class OwnImputer(FoundationImputer):
    """An imputer that may look at more than it should."""

    def transform(self, X):
        return super().transform(X)


class Explained(FusionDPClassifier):
    """A subclass that adds a method, and changes how predictions are made."""

    def explain(self):
        return "by its net"

    def predict(self, X):
        return super().predict(X)


class OldWards(TransformerMixin, BaseEstimator):
    """Looks at a threshold of a statistic; learns next to nothing."""

    def fit(self, X, y=None):
        self.old_ = bool(X["age"].max() > 100)
        return self

    def transform(self, X):
        return X


class Ranks(TransformerMixin, BaseEstimator):
    """Learns nothing in its fit, and everything when it transforms."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.assign(age=X["age"].rank())


class FillsLate(Ranks):
    """Learns nothing in its fit, and fills missing cells when it transforms."""

    def transform(self, X):
        return X.assign(bmi=X["bmi"].fillna(X["bmi"].median()))


class Notes(Ranks):
    """Writes what it learns into a dict that it holds from the start."""

    def __init__(self):
        self.notes = {"mean": [0.0]}

    def fit(self, X, y=None):
        self.notes["mean"][0] = X["age"].mean()
        return self

    def transform(self, X):
        return X


class Cached(Notes):
    """Writes into a dict that it holds what it has seen of public columns."""

    def fit(self, X, y=None):
        self.notes["mean"][0] = X["lab"].mean()
        return self


class WardRisk(TransformerMixin, BaseEstimator):
    """Somebody's encoder of a public column, which it picks out of the table itself."""

    def fit(self, X, y=None):
        self.risk_ = pd.Series(y).groupby(X["ward"].to_numpy()).mean().to_dict()
        return self

    def transform(self, X):
        return X.assign(ward=X["ward"].map(self.risk_))


class ResamplingPipeline(BaseEstimator):
    """A pipeline with resamplers as imbalanced-learn has it, known by its `steps` alone."""

    __module__ = "imblearn.pipeline"

    def __init__(self, steps):
        self.steps = steps

    def fit(self, X, y):
        return self


class OwnPipeline(Pipeline):
    """A pipeline that reads something beside, and changes the table."""

    def fit(self, X, y=None):
        self.mean_ = X["age"].mean()
        return super().fit(X.assign(age=X["age"].rank(pct=True)), y)


class RanksBefore:
    def fit_transform(self, X, y=None):
        return super().fit_transform(X.assign(age=X["age"].rank(pct=True)), y)


class OwnColumns(RanksBefore, ColumnTransformer):
    """Somebody's method in front of scikit-learn's."""


class OwnUnion(RanksBefore, FeatureUnion):
    pass


class OwnSearch(GridSearchCV):
    def _run_search(self, evaluate_candidates):
        evaluate_candidates([{}])


class OwnFrozen(FrozenEstimator):
    def fit(self, X, y=None):
        self.mean_ = X["age"].mean()
        return self


class DuckPipeline(BaseEstimator):
    """Looks like a pipeline, and is nobody's."""

    def __init__(self, steps):
        self.steps = steps

    def fit(self, X, y=None):
        self.mean_ = X["age"].mean()
        return self


class NamedPipeline(Pipeline):
    """A pipeline that adds a method and changes nothing."""

    def names(self):
        return [name for name, _ in self.steps]


class OwnClassifier(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X))


class OwnMeta(ClassifierMixin, BaseEstimator):
    """An estimator of estimators that nobody knows."""

    def __init__(self, estimator=None):
        self.estimator = estimator

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X))


# Building blocks ------------------------------------------------------------


def model(sensitive=SENSITIVE, **parameters):
    return FusionDPClassifier(sensitive, **parameters)


def offset(sensitive=SENSITIVE, **parameters):
    return OffsetFusionClassifier(sensitive, **parameters)


def paid_scaler(sensitive=AGE):
    return PrivateStandardScaler(sensitive, epsilon=0.2, random_state=0)


def support():
    return table(40)


def imputer(output="hybrid", sensitive=SENSITIVE):
    return FoundationImputer(sensitive, support=support(), backend="domain", output=output, random_state=0)


def columns(*transformers, remainder="passthrough"):
    """A ColumnTransformer whose columns keep their names."""
    made = ColumnTransformer(list(transformers), remainder=remainder, verbose_feature_names_out=False)
    return made.set_output(transform="pandas")


def on(step, where="age", sensitive=SENSITIVE):
    """A step on some columns, and then the private model."""
    where = [where] if isinstance(where, str) else where
    return Pipeline([("prep", columns(("x", step, where))), ("clf", model(sensitive))])


def then(*steps):
    return Pipeline([*((f"s{i}", s) for i, s in enumerate(steps))])


def function(own, sensitive=SENSITIVE):
    """A function of one's own on the whole table, and then the private model."""
    return then(FunctionTransformer(own), model(sensitive))


def splines():
    return SplineTransformer(knots=np.array([[20.0], [50.0], [80.0]]), extrapolation="constant")


def one_hot(**parameters):
    return OneHotEncoder(sparse_output=False, handle_unknown="ignore", **parameters)


def public_model():
    return then(columns(("x", StandardScaler(), ["lab", "pulse"]), remainder="drop"), LogisticRegression())


def skorch_net():
    import torch
    from skorch import NeuralNetClassifier

    return NeuralNetClassifier(torch.nn.Linear(6, 2))


# As many rows as have the category of row 2: one less, and it is rare.
KNIFE_EDGE = int((table()["sex"] == table()["sex"][2]).sum())
NUMBERS = ["lab", "pulse", "age", "bmi"]
LEAKY = {
    # One step on a sensitive column
    "standard scaler": (on(StandardScaler()), "prep__x"),
    "min-max scaler": (on(MinMaxScaler()), "prep__x"),
    "max-abs scaler": (on(MaxAbsScaler()), "prep__x"),
    "robust scaler": (on(RobustScaler()), "prep__x"),
    "quantiles": (on(QuantileTransformer(n_quantiles=10)), "prep__x"),
    "powers of Yeo and Johnson": (on(PowerTransformer()), "prep__x"),
    "bins": (on(KBinsDiscretizer(encode="ordinal", strategy="uniform")), "prep__x"),
    "splines by quantiles": (on(SplineTransformer(knots="quantile")), "prep__x"),
    "kernel width by variance": (on(RBFSampler(gamma="scale", random_state=0)), "prep__x"),
    "categories from the data": (on(one_hot(), "sex"), "prep__x"),
    "rare categories": (
        on(one_hot(categories=SEX, min_frequency=KNIFE_EDGE), "sex"),
        "prep__x",
    ),
    "ordinal categories": (
        on(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), "sex"),
        "prep__x",
    ),
    "target encoder": (on(TargetEncoder(random_state=0), "sex"), "prep__x"),
    "mean imputer": (on(SimpleImputer(), "bmi"), "prep__x"),
    "constant imputer that drops empty columns": (
        on(SimpleImputer(strategy="constant", fill_value=0), "bmi"),
        "prep__x",
    ),
    "constant imputer with indicators": (
        on(
            SimpleImputer(strategy="constant", fill_value=0, keep_empty_features=True, add_indicator=True),
            "bmi",
        ),
        "prep__x",
    ),
    "indicator of columns with missing cells": (on(MissingIndicator(error_on_new=False), "bmi"), "prep__x"),
    "neighbours as imputer": (on(KNNImputer(), NUMBERS), "prep__x"),
    "iterative imputer": (on(IterativeImputer(max_iter=2, random_state=0), NUMBERS), "prep__x"),
    "principal components": (on(PCA(1), ["lab", "age"]), "prep__x"),
    "variance threshold": (on(VarianceThreshold()), "prep__x"),
    "univariate selection": (on(SelectKBest(f_classif, k=1), ["lab", "age"]), "prep__x"),
    "recursive elimination": (on(RFE(LogisticRegression(), n_features_to_select=1), "age"), "prep__x"),
    "selection from a model": (on(SelectFromModel(LogisticRegression()), ["lab", "age"]), "prep__x"),
    "sequential selection": (
        on(SequentialFeatureSelector(DecisionTreeClassifier(random_state=0), cv=2), ["lab", "pulse", "age"]),
        "prep__x",
    ),
    "an unknown transformer": (on(OwnTransformer()), "prep__x"),
    "a subclass that fits": (on(CleverNormalizer()), "prep__x"),
    "a subclass of a scaler": (on(OwnScaler()), "prep__x"),
    # Ways to be handed a column
    "by mask": (on(StandardScaler(), [True, False, False, True, False, False]), "prep__x"),
    "by slice of names": (on(StandardScaler(), slice("age", "bmi")), "prep__x"),
    "by negative position": (on(one_hot(), [-1]), "prep__x"),
    "by selector of types": (on(StandardScaler(), make_column_selector(dtype_include="number")), "prep__x"),
    "by selector of types that passes them on": (
        on("passthrough", make_column_selector(dtype_include="number")),
        "prep__x",
    ),
    "by function": (on(StandardScaler(), lambda X: [c for c in X.columns if c.startswith("a")]), "prep__x"),
    "by a function that counts missing cells": (
        then(columns(("x", "drop", lambda X: [c for c in X if X[c].isna().mean() > 0.5])), model()),
        "s0__x",
    ),
    "by a function that compares means": (
        then(columns(("x", Binarizer(), lambda X: ["lab"] if X["age"].mean() > 50 else [])), model()),
        "s0__x",
    ),
    "sensitive by a function that reads cells": (
        model(lambda X: ["age", "bmi", "sex"][: 2 + (X["age"].max() < 1e6)], imputer=imputer()),
        "",
    ),
    "as remainder": (
        then(columns(("x", "passthrough", ["ward", "sex"]), remainder=StandardScaler()), model()),
        "s0__remainder",
    ),
    "in a union": (
        then(
            columns(("x", FeatureUnion([("pca", PCA(1)), ("same", "passthrough")]), ["lab", "age"])), model()
        ),
        "s0__x__pca",
    ),
    "three levels down": (
        then(columns(("x", then(Accounted(), then(Accounted(), MinMaxScaler())), ["age"])), model()),
        "s0__x__s1__s1",
    ),
    "a resampler in a duck-typed pipeline": (
        ResamplingPipeline([("smote", Smote()), ("clf", model())]),
        "smote",
    ),
    # Models
    "a plain model": (then(columns(("x", one_hot(), ["ward"])), LogisticRegression()), "s1"),
    "early stopping": (HistGradientBoostingClassifier(early_stopping=True), ""),
    "a net without privacy": (skorch_net(), ""),
    "an unknown model": (OwnClassifier(), ""),
    "a forest beside a private model": (
        VotingClassifier([("dp", model()), ("forest", RandomForestClassifier())]),
        "forest",
    ),
    "a bag of the default model": (BaggingClassifier(), "estimator"),
    "a bag of repeated rows": (BaggingClassifier(model()), ""),
    "an unknown estimator of estimators": (OwnMeta(public_model()), ""),
    "transformed target": (TransformedTargetRegressor(Ridge(), transformer=StandardScaler()), "regressor"),
    "calibration": (CalibratedClassifierCV(model()), ""),
    "calibration of a model of the hybrid view": (CalibratedClassifierCV(model(method="hybrid")), ""),
    "tuned threshold": (TunedThresholdClassifierCV(model()), ""),
    "self-training": (SelfTrainingClassifier(model()), ""),
    "boosting": (AdaBoostClassifier(model()), ""),
    "consensus": (RANSACRegressor(FusionDPRegressor(SENSITIVE)), ""),
    "a chain over held-out predictions": (ClassifierChain(model(), cv=3), ""),
    "a stack's default final model": (StackingClassifier([("dp", model())]), "final_estimator"),
    "a stack's plain final model": (
        StackingClassifier([("dp", model())], final_estimator=LogisticRegression()),
        "final_estimator",
    ),
    # What the private model is told
    "domains read off the cells": (model(["age", "bmi", "sex"]), ""),
    "trained without noise": (model(method="non-private"), ""),
    "declared too few": (
        then(columns(("x", "passthrough", ["lab", "age"])), model({"age": Numeric(18, 90)})),
        "s1",
    ),
    "renamed by one-hot encoding": (on(one_hot(categories=SEX), "sex"), "clf"),
    "a public column that is scaled by a sensitive one": (on(Normalizer(), ["lab", "age"]), "clf"),
    "powers and products": (
        on(PolynomialFeatures(2, include_bias=False), ["lab", "age"]),
        "clf",
    ),
    "changed under a prefix": (
        then(
            ColumnTransformer([("x", Binarizer(), ["age"])], remainder="passthrough").set_output(
                transform="pandas"
            ),
            model(),
        ),
        "s1",
    ),
    "imputed too few": (
        then(imputer(sensitive={"age": Numeric(18, 90)}), StandardScaler(), model(SENSITIVE)),
        "s1",
    ),
    "encoded too few": (then(TableEncoder({"age": Numeric(18, 90)}), LogisticRegression()), "s0"),
    # Columns that become public on the way
    "one spline of five is declared": (
        on(splines(), "age", {**BMI, **SEX_DOMAIN, "age_sp_0": Numeric(0, 1)}),
        "clf",
    ),
    "one category of two is declared": (
        on(one_hot(categories=SEX), "sex", {**AGE, **BMI, "sex_F": Categorical([0.0, 1.0])}),
        "clf",
    ),
    "powers of which one is declared": (on(PolynomialFeatures(2, include_bias=False)), "clf"),
    "an indicator beside its column": (
        then(
            columns(
                ("x", FeatureUnion([("a", "passthrough"), ("b", MissingIndicator(features="all"))]), ["bmi"])
            ),
            model({**AGE, **SEX_DOMAIN, "a__bmi": Numeric(10, 60)}),
        ),
        "s1",
    ),
    "a function that adds a column": (function(lambda X: X.assign(old=(X["age"] > 65) * 1.0)), "s1"),
    "a function that copies a column": (function(lambda X: X.assign(years=X["age"])), "s1"),
    "a function that mixes into a public column": (
        function(lambda X: X.assign(lab=X["lab"] * X["age"])),
        "s1",
    ),
    "a function that marks missing cells": (function(lambda X: X.assign(no=X["bmi"].isna() * 1.0)), "s1"),
    "a function that centres by the mean": (
        function(lambda X: X.assign(age=X["age"] - X["age"].mean())),
        "s0",
    ),
    "a function that drops rows by their cells": (function(lambda X: X.dropna()), "s0"),
    "a function that sorts rows by their cells": (function(lambda X: X.sort_values("age")), "s0"),
    # Missing cells that are filled from other rows
    "a function that fills with the mean": (
        function(lambda X: X.assign(bmi=X["bmi"].fillna(X["bmi"].mean()))),
        "s0",
    ),
    "a function that fills with the mode": (
        function(lambda X: X.assign(sex=X["sex"].fillna(X["sex"].mode()[0]))),
        "s0",
    ),
    "a function that fills with a group's median": (
        function(lambda X: X.assign(lab=X["lab"].fillna(X.groupby("sex")["lab"].transform("median")))),
        "s0",
    ),
    "a function that fills from the row before": (function(lambda X: X.ffill()), "s0"),
    "a function that fills from the row after": (function(lambda X: X.bfill()), "s0"),
    "a function that fills between rows": (
        function(lambda X: X.assign(bmi=X["bmi"].interpolate())),
        "s0",
    ),
    "a transformer that fills when it transforms": (then(FillsLate(), model()), "s0"),
    # Classes that are not what they look like
    "a private model that reads something beside": (then("passthrough", ReadsMean(SENSITIVE)), "s1"),
    "a private model with another's fit before its own": (ReadsByMixin(SENSITIVE), ""),
    "a step that pays with a part replaced": (then(OwnRelease(AGE), model({**SENSITIVE, **SCALED})), "s0"),
    "an imputer with a part replaced": (then(OwnImputer(SENSITIVE, support=support()), offset()), "s0"),
    "a claim to account without a ledger": (on(Claimed()), "prep__x"),
    "a model that claims to spend nothing": (ClaimedModel(), ""),
    "a transformer that learns one bit": (then(OldWards(), model()), "s0"),
    "a transformer that learns when it transforms": (then(Ranks(), model()), "s0"),
    "a transformer that writes into a dict of its own": (then(Notes(), model()), "s0"),
    "under-sampling with replacement": (
        ResamplingPipeline([("under", RandomUnderSampler(replacement=True)), ("clf", model())]),
        "under",
    ),
    "a subclass of a pipeline": (OwnPipeline([("clf", model())]), ""),
    "a subclass of a column transformer": (
        then(OwnColumns([("a", "passthrough", ["age"])], remainder="passthrough"), model()),
        "s0",
    ),
    "a subclass of a union": (then(OwnUnion([("a", "passthrough")]), model()), "s0"),
    "a subclass of a search": (OwnSearch(model(), {"alpha": [0.1]}), ""),
    "a subclass of a frozen step": (then(OwnFrozen(StandardScaler()), model()), "s0"),
    "what looks like a pipeline": (DuckPipeline([("clf", model())]), ""),
    # The offset model
    "a scaler before the offset model": (
        then(columns(("x", StandardScaler(), ["age"])), offset()),
        "s0__x",
    ),
    "an offset model that is told of too few": (offset(AGE), ""),
    "an offset model without domains": (offset(["age", "bmi", "sex"]), ""),
    "an offset model under another name": (
        then(columns(("x", one_hot(categories=SEX), ["sex"])), offset()),
        "s1",
    ),
    "a calibrated offset model": (CalibratedClassifierCV(offset()), ""),
    "a bag of repeated rows for the offset model": (BaggingClassifier(offset()), ""),
    "a plain model on top of an offset model": (
        StackingClassifier([("offset", offset())], final_estimator=LogisticRegression()),
        "final_estimator",
    ),
    "consensus of offset models": (RANSACRegressor(OffsetFusionRegressor(SENSITIVE)), ""),
    # Steps that pay
    "a plain model after steps that pay": (then(paid_scaler(SENSITIVE), LogisticRegression()), "s1"),
    "a plain scaler after one that pays": (
        then(paid_scaler(), columns(("x", MinMaxScaler(), ["age"])), offset({**SENSITIVE, **SCALED})),
        "s1__x",
    ),
    "a plain imputer before a step that pays": (
        then(columns(("x", SimpleImputer(), ["bmi"])), PrivateQuantileTransformer(BMI), model()),
        "s0__x",
    ),
    "a step that pays for what it was not told": (
        then(PrivateQuantileTransformer(["bmi"]), model({**SENSITIVE, **RANKED})),
        "s0",
    ),
    "categories paid for, then counted": (
        on(then(PrivateCategories(SEX_DOMAIN), OrdinalEncoder()), "sex"),
        "prep__x__s1",
    ),
    "a choice that pays among columns that do not": (
        then(columns(("x", VarianceThreshold(), ["age", "bmi"])), PrivateSelectKBest(SENSITIVE), model()),
        "s0__x",
    ),
    "a model that is told of too few after a step that pays": (
        then(paid_scaler(), model(SCALED)),
        "s1",
    ),
    # Searches
    "a candidate that pays and one that does not": (
        GridSearchCV(on(paid_scaler()), {"prep__x": [paid_scaler(), StandardScaler()]}),
        "estimator__prep__x",
    ),
    "a candidate step": (
        GridSearchCV(on(FunctionTransformer()), {"prep__x": ["passthrough", StandardScaler()]}),
        "estimator__prep__x",
    ),
    "a candidate parameter": (
        GridSearchCV(
            on(SimpleImputer(strategy="constant", keep_empty_features=True), "bmi"),
            [{"prep__x__strategy": ["constant", "median"]}],
        ),
        "estimator__prep__x",
    ),
    "two choices that leak together": (
        GridSearchCV(
            then(imputer(), columns(("x", Binarizer(threshold=50), ["age"])), model()),
            {"s0": [imputer(), "passthrough"], "s1__x": [Binarizer(threshold=50), StandardScaler()]},
        ),
        "estimator__s1__x",
    ),
    "a name and a step that do not go together": (
        GridSearchCV(
            function(lambda X: X),
            {
                "s0": ["passthrough", FunctionTransformer(lambda X: X.rename(columns={"age": "years"}))],
                "s1__sensitive": [SENSITIVE, {**BMI, **SEX_DOMAIN, "years": Numeric(18, 90)}],
            },
        ),
        "estimator__s1",
    ),
    "more combinations than can be tried": (
        GridSearchCV(
            on(FunctionTransformer()),
            {f"prep__x{key}": [*range(20)] for key in ("__kw_args", "__check_inverse", "__validate")},
        ),
        "",
    ),
    "a candidate method": (GridSearchCV(model(), {"method": ["fusiondp", "non-private"]}), "estimator"),
}

CLEAN = {
    "the model alone": model(),
    "renamed by a prefix": then(
        ColumnTransformer([("x", "passthrough", ["age"])], remainder="passthrough").set_output(
            transform="pandas"
        ),
        model(),
    ),
    "scaled public columns": on(StandardScaler(), ["lab", "pulse"]),
    "encoded public columns": on(one_hot(), "ward"),
    "target-encoded public column": on(TargetEncoder(random_state=0), "ward"),
    "imputed and selected public columns": on(then(SimpleImputer(), VarianceThreshold()), ["lab", "pulse"]),
    "powers of public columns": on(PolynomialFeatures(2), ["lab", "pulse"]),
    "public columns by position": on(StandardScaler(), [0, 1]),
    "public columns by slice": on(StandardScaler(), slice("lab", "pulse")),
    "public columns by mask": on(StandardScaler(), [True, True, False, False, False, False]),
    "public columns by pattern": on(StandardScaler(), make_column_selector(pattern="lab|pulse")),
    "public columns by pattern and type": on(
        StandardScaler(), make_column_selector(pattern="lab|pulse", dtype_include="number")
    ),
    "public columns by function": on(
        StandardScaler(), lambda X: [c for c in X if X[c].dtype.kind == "f" and c in ("lab", "pulse")]
    ),
    "public columns by a function of public cells": on(
        StandardScaler(), lambda X: ["lab", "pulse"] if X["lab"].notna().all() else ["lab"]
    ),
    "a threshold": on(Binarizer(threshold=65)),
    "rows to length one": on(Normalizer(), ["age", "bmi"]),
    "a subclass that changes nothing": on(PlainNormalizer(), ["age", "bmi"]),
    "a universal function": on(FunctionTransformer(np.log1p, feature_names_out="one-to-one")),
    "a function by promise": on(FunctionTransformer(lambda X: X / 100)),
    "constants for missing cells": on(
        SimpleImputer(strategy="constant", fill_value=0, keep_empty_features=True), "bmi"
    ),
    "declared ordinal categories": on(
        OrdinalEncoder(categories=SEX, handle_unknown="use_encoded_value", unknown_value=-1),
        "sex",
    ),
    "declared categories under their new names": on(
        one_hot(categories=SEX),
        "sex",
        {
            **{c: SENSITIVE[c] for c in ("age", "bmi")},
            "sex_F": Categorical([0.0, 1.0]),
            "sex_M": Categorical([0.0, 1.0]),
        },
    ),
    "splines with given knots": on(
        splines(),
        "age",
        {
            **{c: SENSITIVE[c] for c in ("bmi", "sex")},
            **{f"age_sp_{i}": Numeric(0, 1) for i in range(5)},
        },
    ),
    "another library's accounted step": on(Accounted()),
    "the default way to look at an imputer and a model": then(imputer(), FusionDPClassifier()),
    "the hybrid view, scaled, and a model that is told nothing": then(
        imputer(), columns(("x", StandardScaler(), ["age", "lab"])), OffsetFusionClassifier()
    ),
    "a declared rename": function(
        lambda X: X.rename(columns={"age": "years"}), {**BMI, **SEX_DOMAIN, "years": Numeric(18, 90)}
    ),
    "a derived column that is declared": function(
        lambda X: X.assign(squared=X["age"] ** 2), {**SENSITIVE, "squared": Numeric(0, 8100)}
    ),
    "a declared product with a public column": function(
        lambda X: X.assign(product=X["lab"] * X["age"]), {**SENSITIVE, "product": Numeric(-200, 200)}
    ),
    "a function that recodes": function(
        lambda X: X.assign(sex=X["sex"].map({"F": 0.0, "M": 1.0})),
        {**AGE, **BMI, "sex": Categorical([0.0, 1.0])},
    ),
    "a function that fills from the row's other cells": function(
        lambda X: X.assign(bmi=X["bmi"].fillna(X["age"] / 2).fillna(25.0))
    ),
    "a function that drops a sensitive column": function(
        lambda X: X.drop(columns="age"), {**BMI, **SEX_DOMAIN}
    ),
    "a function of public columns": function(lambda X: X.assign(ratio=X["lab"] / X["pulse"])),
    "somebody's encoder of a public column": then(WardRisk(), model()),
    "a transformer that writes what is public into a dict": then(Cached(), model()),
    "a subclass that adds a method": Explained(SENSITIVE),
    "a search with many numbers that change nothing": GridSearchCV(
        on(StandardScaler(), "lab"),
        {"clf__alpha": [*np.linspace(0, 1, 99)], "clf__beta": [*np.linspace(0, 1, 9)]},
    ),
    "a prefix that the model knows": then(
        ColumnTransformer([("x", StandardScaler(), ["lab"])], remainder="passthrough").set_output(
            transform="pandas"
        ),
        model({f"remainder__{c}": d for c, d in SENSITIVE.items()}),
    ),
    "the hybrid view is free": then(
        imputer(), columns(("x", StandardScaler(), ["age", "bmi"]), ("o", one_hot(), ["ward", "sex"])),
        LogisticRegression(),
    ),
    "the paired table": then(imputer("paired"), model(None)),
    "public columns alone": public_model(),
    "labels alone": DummyClassifier(),
    "under-sampling by label": ResamplingPipeline([("under", RandomUnderSampler()), ("clf", model())]),
    "a vote of a private and a public model": VotingClassifier([("dp", model()), ("p", public_model())]),
    "a stack of public models": StackingClassifier([("p", public_model())]),
    "a private model on top of a private one": StackingClassifier(
        [("dp", model())], final_estimator=model(None, imputer=FoundationImputer(support=support()))
    ),
    "a bag of private models": BaggingClassifier(model(), bootstrap=False, max_samples=0.5),
    "one private model a class": OneVsRestClassifier(model()),
    "transformed public target": TransformedTargetRegressor(
        FusionDPRegressor(SENSITIVE), transformer=StandardScaler()
    ),
    "a plain search": GridSearchCV(on(StandardScaler(), "lab"), {"clf__max_grad_norm": [0.5, 1.0]}),
    "a search that replaces the scaler": GridSearchCV(
        on(StandardScaler()), {"prep__x": ["passthrough", Binarizer()]}
    ),
    "a subclass of a pipeline that adds a method": NamedPipeline([("clf", model())]),
    "the offset model alone": offset(),
    "the offset model after scaled public columns": then(
        columns(("x", StandardScaler(), ["lab", "pulse"])), offset()
    ),
    "the offset model with a public model of one's own": offset(public_model=LogisticRegression()),
    "domains of the offset model from support rows": offset(["age", "bmi", "sex"], support=support()),
    "domains of the offset model from its imputer": offset(["age", "bmi", "sex"], imputer=imputer()),
    "the offset model on the hybrid view": then(imputer(), offset()),
    "a bag of offset models": BaggingClassifier(offset(), bootstrap=False, max_samples=0.5),
    "a vote of both private models": VotingClassifier([("dp", model()), ("offset", offset())]),
    "transformed public target of an offset model": TransformedTargetRegressor(
        OffsetFusionRegressor(SENSITIVE), transformer=StandardScaler()
    ),
    "a scaler that pays": on(paid_scaler(), "age", {**SENSITIVE, **SCALED}),
    "steps that pay one after the other": then(
        paid_scaler(), PrivateQuantileTransformer(BMI), offset({**SENSITIVE, **SCALED, **RANKED})
    ),
    "categories that are paid for": then(PrivateCategories(SEX_DOMAIN), model()),
    "a choice that pays": then(
        columns(("x", StandardScaler(), ["lab"])), PrivateSelectKBest(SENSITIVE, k=3), offset()
    ),
    "a search among steps that pay": GridSearchCV(
        then(paid_scaler(), model({**SENSITIVE, **SCALED})), {"s0__epsilon": [0.1, 0.2]}
    ),
    "fitted elsewhere": on(FrozenEstimator(StandardScaler())),
    "domains from support rows": model(["age", "bmi", "sex"], imputer=FoundationImputer(support=support())),
}  # fmt: skip
