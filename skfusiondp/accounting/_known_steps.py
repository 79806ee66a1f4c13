"""What is known of other libraries' steps: whether a fit reads cells, and what comes out.

To teach ``check_pipeline`` a class, add a line to one of the tables. A key is the top-level package
and the class name; subclasses are covered as long as they do not bring methods of their own. What no table
holds is run on made-up rows (``_probe.py``).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Get = Callable[[str], Any]  # a parameter of the step by its name

_OUT = (
    "Give it public columns only (ColumnTransformer, remainder='passthrough'); the private estimator "
    "scales, encodes and completes sensitive columns by their declared domains. Or put FoundationImputer "
    "in front, so that it sees the hybrid view."
)
_SELECT = "Select among public columns only, or on public rows beforehand, and pass sensitive columns by."
_MODEL = (
    "Train FusionDPClassifier or FusionDPRegressor instead, give this model public columns only, or put "
    "FoundationImputer in front, so that it sees the hybrid view."
)
_HOLD = "Do it on public rows, or with predictions that no sensitive cell enters (method='hybrid')."
_ROWS = "Weight classes in the loss instead, or drop rows by label alone (RandomUnderSampler)."


@dataclass(frozen=True)
class Rule:
    """What a class does with the cells that it is fitted on.

    Parameters
    ----------
    reads : str, None, or function of the parameters giving one of these
        What its fit learns from cells, as the end of a sentence; None if nothing.
    gives : {"same", "each", "mixed", "prediction"}
        Which columns come out, where a run on made-up rows does not tell: those that went in; some
        made of each one; some made of all together; a prediction.
    remedy : str
    note : str
        What cannot be seen and should be known.
    known : bool
        False for a class that no table holds: what it does to made-up rows then decides.
    """

    reads: str | Callable[[Get], str | None] | None = None
    gives: str = "same"
    remedy: str = _OUT
    note: str | Callable[[Get], str] = ""
    known: bool = True


def _learns(what: str, gives: str = "same", remedy: str = _OUT) -> Rule:
    return Rule(f"learns {what} from the cells", gives, remedy)


def _encoder(get: Get) -> str | None:
    if isinstance(get("categories"), str):
        return "learns the categories from the cells (categories='auto')"
    for name in ("min_frequency", "max_categories"):
        if get(name) is not None:
            return f"counts the cells of each category ({name})"
    return None


def _simple_imputer(get: Get) -> str | None:
    if get("strategy") != "constant":
        return f"fills with a statistic of the cells (strategy={get('strategy')!r})"
    if not get("keep_empty_features"):
        return "drops columns whose cells are all missing (keep_empty_features=False)"
    if get("add_indicator"):
        return "adds indicators for the columns in which it saw missing cells (add_indicator=True)"
    return None


def _function(get: Get) -> str:
    if get("func") is None or isinstance(get("func"), np.ufunc):
        return ""
    return "runs a function of your own: it must work row by row, also on rows unlike those it was tried on"


def _if(name: str, free: Callable[[Any], bool], reads: str) -> Callable[[Get], str | None]:
    return lambda get: None if free(get(name)) else reads


_given = lambda value: value is not None  # noqa: E731
_not_given = lambda value: not value  # noqa: E731
# A row that is drawn k times moves a model by k clipped gradients, and the ledger counts one.
_REPEATS = "draws rows with replacement, so that one row is read more often than the ledger counts"
_MODEL_READS = "is trained on the cells without privacy"

_MIXES = (
    *("sklearn.PolynomialFeatures", "sklearn.HashingVectorizer", "sklearn.FeatureHasher"),
    *("sklearn.AdditiveChi2Sampler", "sklearn.SkewedChi2Sampler", "sklearn.PolynomialCountSketch"),
    *("sklearn.GaussianRandomProjection", "sklearn.SparseRandomProjection", "sklearn.SparseCoder"),
    "category_encoders.HashingEncoder",
)
STEPS: dict[str, Rule] = {
    # Free: what they do to a row depends on that row and on parameters alone.
    "sklearn.Normalizer": Rule(),
    "sklearn.Binarizer": Rule(),
    "sklearn.FunctionTransformer": Rule(note=_function),
    **dict.fromkeys(_MIXES, Rule(gives="mixed")),
    # They read labels only, and labels are public.
    **dict.fromkeys(("sklearn.DummyClassifier", "sklearn.DummyRegressor"), Rule(gives="prediction")),
    "imblearn.RandomUnderSampler": Rule(
        _if("replacement", _not_given, _REPEATS), "same", "Use replacement=False."
    ),
    # Free with the right parameters.
    "sklearn.OneHotEncoder": Rule(_encoder, "each", "Declare categories=[...] and drop the limits."),
    "sklearn.OrdinalEncoder": Rule(_encoder, "same", "Declare categories=[...] and drop the limits."),
    "sklearn.SimpleImputer": Rule(
        _simple_imputer, "same", "Use strategy='constant' with keep_empty_features=True. " + _OUT
    ),
    "sklearn.MissingIndicator": Rule(
        _if("features", lambda v: v == "all", "keeps columns with missing cells (features='missing-only')"),
        "mixed",
        "Use features='all'.",
    ),
    "sklearn.SplineTransformer": Rule(
        _if("knots", lambda v: not isinstance(v, str), "places its knots by the cells"),
        "each",
        "Give the knots as an array.",
    ),
    "sklearn.RBFSampler": Rule(
        _if("gamma", lambda v: v != "scale", "takes its width from the cells' variance (gamma='scale')"),
        "mixed",
        "Give gamma as a number.",
    ),
    "sklearn.CountVectorizer": Rule(
        _if("vocabulary", _given, "learns its vocabulary from the cells"), "mixed", "Give vocabulary=[...]."
    ),
    "sklearn.TfidfTransformer": Rule(
        _if("use_idf", _not_given, "counts the cells that hold a word (use_idf=True)"),
        "mixed",
        "Use use_idf=False.",
    ),
    # Never free.
    "sklearn.StandardScaler": _learns("means and scales"),
    "sklearn.MinMaxScaler": _learns("the smallest and largest value"),
    "sklearn.MaxAbsScaler": _learns("the largest absolute value"),
    "sklearn.RobustScaler": _learns("medians and quartiles"),
    "sklearn.QuantileTransformer": _learns("quantiles"),
    "sklearn.PowerTransformer": _learns("powers, means and scales"),
    "sklearn.KBinsDiscretizer": _learns("the edges of its bins", "each"),
    "sklearn.TargetEncoder": _learns("the mean target of each category", "each"),
    "sklearn.KernelCenterer": _learns("means"),
    "sklearn.KNNImputer": Rule("keeps the rows to fill others from"),
    "sklearn.IterativeImputer": Rule("fits models of each column on the others"),
    "sklearn.TfidfVectorizer": _learns("its vocabulary and word counts", "mixed"),
    "sklearn.DictVectorizer": _learns("its vocabulary", "mixed"),
    "sklearn.VarianceThreshold": Rule("selects columns by their variance", "same", _SELECT),
    "sklearn.SelectorMixin": Rule("selects columns by their cells", "same", _SELECT),
    "imblearn.RandomOverSampler": Rule(
        "repeats rows, so that one row is read more often than the ledger counts", "same", _ROWS
    ),
    "imblearn.BaseSampler": Rule("chooses or makes rows by the cells of others", "same", _ROWS),
    "skrub.TableVectorizer": _learns("which columns hold anything, and their categories and words", "mixed"),
    "skrub.Cleaner": _learns("which columns hold anything, and their types"),
    "skrub.SquashingScaler": _learns("medians and quantiles"),
    "skrub.GapEncoder": _learns("topics of words", "mixed"),
    "skrub.StringEncoder": _learns("weights of words", "mixed"),
    "skrub.TextEncoder": _learns("principal components", "mixed"),
    "category_encoders.BaseEncoder": _learns("its codes", "each"),
    "skorch.NeuralNet": Rule(
        "is trained on the cells without privacy, and its train_split and callbacks (early stopping) "
        "read those that they hold out",
        "prediction",
        _MODEL,
    ),
}

UNKNOWN_TRANSFORMER = Rule("is not known to be free or accounted", "mixed", known=False)
UNKNOWN_MODEL = Rule("is not known to be free or accounted", "prediction", _MODEL)
RESAMPLER = Rule("resamples rows, and is not known to do so by label alone", "same", _ROWS)
SKLEARN_TRANSFORMER = Rule("learns from the cells", "mixed")
SKLEARN_MODEL = Rule(_MODEL_READS, "prediction", _MODEL)
STOPS_EARLY = Rule(
    "is trained on the cells without privacy, and stops early by those that it holds out",
    "prediction",
    _MODEL,
)


@dataclass(frozen=True)
class Meta:
    """What an estimator of estimators does beside fitting them.

    Parameters
    ----------
    reads : str, None, or function of the parameters giving one of these
        What it does with its members' predictions (or their cells); None if nothing.
    remedy : str
    selects : bool
        Whether columns come out, and not a prediction.
    follows : bool
        Whether it is free where its members are accounted for: it uses what they learnt, nothing else.
    loses : str
        Which fits' ledgers go with the clones that it throws away; empty if none.
    stacks : bool
        Whether a final estimator is trained on the members' predictions.
    """

    reads: str | Callable[[Get], str | None] | None = None
    remedy: str = _HOLD
    selects: bool = False
    follows: bool = False
    loses: str | Callable[[Get], str | None] = ""
    stacks: bool = False


_CHOOSES = "selects columns by scores on held-out rows, which no ledger counts"
_FOLD_FITS = "the cross-validation fits"
_CHAIN = "feeds predictions of held-out rows to the next model as if they were public (cv)"


_FREE_METAS = (
    *("sklearn.VotingClassifier", "sklearn.VotingRegressor", "sklearn.FixedThresholdClassifier"),
    *("sklearn.OneVsRestClassifier", "sklearn.OneVsOneClassifier", "sklearn.OutputCodeClassifier"),
    *("sklearn.MultiOutputClassifier", "sklearn.MultiOutputRegressor", "sklearn.TransformedTargetRegressor"),
)
_BAGGING = Meta(_if("bootstrap", _not_given, _REPEATS), "Use bootstrap=False with max_samples below 1.")
METAS: dict[str, Meta] = {
    **dict.fromkeys(_FREE_METAS, Meta()),
    **dict.fromkeys(
        ("sklearn.ClassifierChain", "sklearn.RegressorChain"),
        Meta(_if("cv", lambda v: v is None, _CHAIN), "Use cv=None."),
    ),
    **dict.fromkeys(("sklearn.BaggingClassifier", "sklearn.BaggingRegressor"), _BAGGING),
    "sklearn.StackingClassifier": Meta(stacks=True, loses=_FOLD_FITS),
    "sklearn.StackingRegressor": Meta(stacks=True, loses=_FOLD_FITS),
    "sklearn.CalibratedClassifierCV": Meta(
        "calibrates on predictions that read true cells",
        # Else the fits are the members, and keep their ledgers.
        loses=_if("ensemble", lambda v: v is not False, "the cross-validation fits (ensemble=False)"),
    ),
    "sklearn.TunedThresholdClassifierCV": Meta(
        "tunes its threshold on predictions that read true cells", loses=_FOLD_FITS
    ),
    "fairlearn.ThresholdOptimizer": Meta(
        "chooses thresholds by predictions that read true cells, and by the sensitive features it is handed"
    ),
    "sklearn.SelfTrainingClassifier": Meta("makes labels out of predictions on true cells"),
    "sklearn.BaseWeightBoosting": Meta("weights rows by errors on true cells", _MODEL),
    "sklearn.RANSACRegressor": Meta("selects rows by errors on true cells", _MODEL, loses="earlier trials"),
    "sklearn.RFECV": Meta(_CHOOSES, _SELECT, selects=True, loses=_FOLD_FITS),
    "sklearn.RFE": Meta(
        "selects columns by a model of the cells", _SELECT, selects=True, follows=True, loses="earlier rounds"
    ),
    "sklearn.SelectFromModel": Meta(
        "selects columns by a model of the cells", _SELECT, selects=True, follows=True
    ),
    "sklearn.SequentialFeatureSelector": Meta(_CHOOSES, _SELECT, selects=True, loses="all its fits"),
}
UNKNOWN_META = Meta("is not known to be free or accounted", _MODEL)
_METHODS = ("fit", "fit_transform", "fit_resample", "partial_fit", "transform")


def _known(estimator: Any, table: dict) -> tuple[Any, bool]:
    """The entry of the nearest known ancestor, and whether the class does just what that does."""
    for cls in type(estimator).__mro__:
        entry = table.get(f"{cls.__module__.split('.')[0]}.{cls.__name__}")
        if entry is not None:
            own = all(
                inspect.getattr_static(type(estimator), m, None) is inspect.getattr_static(cls, m, None)
                for m in _METHODS
            )
            return entry, own
    return None, False


def knows_step(estimator: Any) -> bool:
    """Tell whether the class, or one that it inherits from, is in the table of steps."""
    return _known(estimator, STEPS)[0] is not None


def knows_meta(estimator: Any) -> bool:
    """Tell whether the class, or one that it inherits from, is in the table of metas."""
    return _known(estimator, METAS)[0] is not None


def rule_of(estimator: Any) -> Rule:
    """What is known of a step that has no members, with the step's parameters put in."""
    rule, faithful = _known(estimator, STEPS)
    model = not hasattr(estimator, "transform") and hasattr(estimator, "predict")
    if rule is not None:
        reads, note = _with_parameters(rule.reads, estimator), _with_parameters(rule.note, estimator)
        if reads is None and not faithful:
            why = "overrides methods of a class that is known to be free"
            return replace(UNKNOWN_TRANSFORMER, reads=why, gives=rule.gives)
        return replace(rule, reads=reads, note=note or "")
    if hasattr(estimator, "fit_resample"):
        return RESAMPLER
    if type(estimator).__module__.split(".")[0] != "sklearn":
        return UNKNOWN_MODEL if model else UNKNOWN_TRANSFORMER
    if not model:
        return SKLEARN_TRANSFORMER
    return STOPS_EARLY if getattr(estimator, "early_stopping", False) is True else SKLEARN_MODEL


def meta_of(estimator: Any) -> Meta:
    """What is known of an estimator of estimators, with its parameters put in."""
    meta, faithful = _known(estimator, METAS)
    if meta is None:
        return UNKNOWN_META
    reads, loses = _with_parameters(meta.reads, estimator), _with_parameters(meta.loses, estimator)
    meta = replace(meta, reads=reads, loses=loses or "")
    return meta if faithful or meta.reads else UNKNOWN_META


def _with_parameters(told: Any, estimator: Any) -> str | None:
    return told(lambda name: getattr(estimator, name, None)) if callable(told) else told


# Attributes and parameters by which libraries name the columns that a step keeps to, the surest first.
_COLUMNS = {"category_encoders": ("cols", "cols"), "feature_engine": ("variables_", "variables")}
_NAMES = ("cols", "variables", "columns", "reference", "features_to_drop", "features", "split_col")


def columns_read(step: Any) -> list[str] | None:
    """Columns that a step keeps to, if it is of a library that says so; None if it may read all."""
    attributes = _COLUMNS.get(type(step).__module__.split(".")[0], ())
    if getattr(step, "drop_invariant", False):  # of all columns, category_encoders drops constant ones
        return None
    kept = next((names for a in attributes if (names := _texts(getattr(step, a, None))) is not None), None)
    return None if kept is None or names_in_parameters(step) - set(kept) else kept


def names_in_parameters(step: Any) -> set[str]:
    """Names of columns among a step's parameters, as far as common ones show."""
    return {name for p in _NAMES for name in _texts(getattr(step, p, None)) or ()}


def _texts(value: Any) -> list[str] | None:
    named = [value] if isinstance(value, str) else value
    return list(named) if isinstance(named, list | tuple) and all(isinstance(n, str) for n in named) else None


def is_a(estimator: Any, name: str) -> bool:
    """Tell whether a class of that name is among the ancestors."""
    return any(cls.__name__ == name for cls in type(estimator).__mro__)
