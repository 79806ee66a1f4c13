"""Whatever cannot be used is refused before training, in a sentence, quoting no sensitive cell."""

import numpy as np
import pandas as pd
import pytest
from torch import nn

import skfusiondp
from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    FusionDPRegressor,
    Numeric,
    PrivacyLeakError,
    PrivacyLeakWarning,
)
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.preprocessing import (
    PrivateQuantileTransformer,
    PrivateSelectKBest,
    PrivateStandardScaler,
    TableEncoder,
)

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")

N = 60
# Cells that would stand out in a message.
SECRET_AGE, SECRET_WORD = 61.0625, "marsupial"


def made_table(n=N):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "lab": rng.normal(size=n),
            "ward": rng.choice(["north", "south"], size=n),
            "age": np.full(n, SECRET_AGE),
            "sex": np.where(rng.random(n) < 0.5, "f", SECRET_WORD),
        }
    )


SENSITIVE = {"age": Numeric(0, 100), "sex": Categorical(["f", SECRET_WORD])}
TARGET = np.arange(N) % 2


class Normalised(nn.Sequential):
    def __init__(self, n_features, n_outputs):
        super().__init__(nn.Linear(n_features, 4), nn.BatchNorm1d(4), nn.Linear(4, n_outputs))


def with_string(column):
    table = made_table().astype({column: object})
    table.loc[3, column] = SECRET_WORD
    return table


# Those that new users make first are in tests/mistakes.py.
CASES = {
    "unknown column in a mapping": (
        {"sensitive": {"sexx": None}},
        r"'sexx'.*did you mean 'sex'\?",
    ),
    "position out of range": ({"sensitive": [4]}, "names the column 4"),
    "mask of another length": ({"sensitive": [True, False]}, "has 2 entries for 4 columns"),
    "epsilon negative": ({"epsilon": -1}, "epsilon=-1"),
    "epsilon nan": ({"epsilon": np.nan}, "epsilon=nan"),
    "epsilon inf": ({"epsilon": np.inf}, "epsilon=inf"),
    "delta 2": ({"delta": 2}, "delta=2"),
    "delta 0": ({"delta": 0.0}, "delta=0.0"),
    "noise 0": ({"noise_multiplier": 0.0}, "noise_multiplier=0.0.*method='non-private'"),
    "batch too large": (
        {"batch_size": N + 1},
        f"batch_size={N + 1} is larger than the number of rows, {N}",
    ),
    "batch 0": ({"batch_size": 0}, "batch_size=0 must be a whole number of at least 1"),
    "public batch too large": ({"public_batch_size": N + 1}, "public_batch_size=61 is larger"),
    "steps fraction": ({"steps": 2.5}, "steps=2.5 must be a whole number"),
    "epochs negative": ({"epochs": -1}, "epochs=-1"),
    "batch norm": ({"module": Normalised}, r"'1' \(BatchNorm1d\), which mixes rows.*LayerNorm"),
    "outputs": ({"module": nn.Linear(8, 5)}, "must give|cannot run"),
    "method": ({"method": "fusion"}, "method='fusion' is not one of fusiondp"),
    "adjacency": ({"adjacency": "substitute"}, "adjacency='substitute' is not one of"),
    "on_leak": ({"on_leak": "shout", "sensitive": ["age"]}, "on_leak='shout' is not one of"),
    "clipping": ({"clipping": "ghost"}, "clipping='ghost' is not one of"),
    "max_grad_norm": ({"max_grad_norm": 0}, "max_grad_norm=0 must be a number from 1e-20"),
    "alpha": ({"alpha": -1.0}, "alpha=-1.0 must be a finite number of at least 0"),
    "beta": ({"beta": np.nan}, "beta=nan"),
    "bound": ({"consistency_bound": 0}, "consistency_bound=0"),
    "lr": ({"lr": -0.1}, "lr=-0.1"),
    "public_lr": ({"public_lr": None}, "public_lr=None must be a number above 0 and at most"),
    "optimizer__lr": ({"optimizer__lr": 0}, "optimizer__lr=0 must be a number above 0"),
    "imputer": ({"imputer": "mean"}, "imputer='mean' is no FoundationImputer"),
    "private_parameters": (
        {"private_parameters": ["tail.*"]},
        r"'tail.\*', which matches no trainable",
    ),
    "noise that no float holds": ({"noise_multiplier": 10**400}, "noise_multiplier=1000.*finite"),
    "callbacks": ({"callbacks": 1.0}, "callbacks=1.0 must be a list of skorch callbacks"),
    "callbacks in an array": ({"callbacks": np.arange(3)}, "must be a list of skorch callbacks"),
    "callbacks of one number": ({"callbacks": np.float32(3)}, "must be a list of skorch callbacks"),
    "method in an array": ({"method": np.array(["fusiondp", "hybrid"])}, "is not one of fusiondp"),
    "adjacency in an array": (
        {"adjacency": np.array(["replace"])},
        "is not one of replace, zero-out, add-remove; only",
    ),
    "verbose": ({"verbose": np.arange(2)}, "verbose=.* must be a whole number of at least 0"),
    "device of no name": ({"device": "gpu"}, "device='gpu' cannot be used here: Expected one of cpu"),
    "device that is not there": ({"device": "cuda:99"}, "device='cuda:99' cannot be used here"),
    "device without memory": ({"device": "meta"}, "device='meta' cannot be used here"),
    "device of another kind": ({"device": 0}, "device=0 must be a torch device or its name"),
    "support target of one number": (
        {"support_target": 1.0, "imputer": FoundationImputer(support=made_table())},
        "support_target=1.0 must be a list or array with a target for each support row, or None",
    ),
    "callback": ({"callbacks": [print]}, "must be a list of skorch callbacks"),
    "optimizer of another kind": ({"optimizer": type}, "must be a torch optimizer class"),
    "kwargs as a name": ({"kwargs": 1}, "no parameter 'kwargs'"),
    "misspelt in the optimizer": ({"optimizer__beta": 0.9}, r"Adam takes no 'beta'; .* 'optimizer__betas'\?"),
}


def assert_refused(model, X, y, match, error=InvalidInputError):
    with pytest.raises(error, match=match) as caught:
        model.fit(X, y)
    assert not hasattr(model, "net_") and not hasattr(model, "ledger_")
    for cell in (str(SECRET_AGE), "61.06"):
        assert cell not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("cls", [FusionDPClassifier, FusionDPRegressor])
@pytest.mark.parametrize("case", CASES)
def test_parameters(cls, case):
    parameters, match = CASES[case]
    model = cls(**{"sensitive": SENSITIVE, **parameters})
    assert_refused(model, made_table(), TARGET, match)


TABLES = {
    "ten rows": (made_table(10), np.arange(10) % 2, "n_samples=10 rows"),
    "one class": (made_table(), np.zeros(N), "only one class"),
    "y of another length": (made_table(), TARGET[:-1], "inconsistent numbers of samples"),
    "y is None": (made_table(), None, "requires y to be passed"),
    "no rows": (made_table()[:0], TARGET[:0], "0 sample|minimum of 1"),
    "infinite public cell": (
        made_table().replace({"lab": {made_table()["lab"][0]: np.inf}}),
        TARGET,
        "'lab' holds an infinite",
    ),
    "column twice": (
        made_table().set_axis(["lab", "lab", "age", "sex"], axis=1),
        TARGET,
        r"\['lab'\] occur twice",
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables(case):
    X, y, match = TABLES[case]
    error = ValueError if case in ("y of another length",) else InvalidInputError
    message = assert_refused(FusionDPClassifier(SENSITIVE), X, y, match, error)
    assert SECRET_WORD not in message


@pytest.mark.parametrize("cls", [FusionDPClassifier, FusionDPRegressor])
def test_nan_in_y(cls):
    y = TARGET.astype(float)
    y[4] = np.nan
    assert_refused(cls(SENSITIVE), made_table(), y, "NaN", ValueError)


def test_a_class_weight_that_does_not_fit():
    model = FusionDPClassifier(SENSITIVE, class_weight={7: 1.0})
    assert_refused(model, made_table(), TARGET, "class_weight")


@pytest.fixture(scope="module")
def fitted():
    model = FusionDPClassifier(SENSITIVE, noise_multiplier=1.0, steps=1, public_epochs=0)
    return model.fit(made_table(), TARGET)


def test_a_string_in_a_public_number_at_prediction(fitted):
    with pytest.raises(InvalidInputError, match=r"'lab' holds numbers .* texts.*pandas.to_numeric"):
        fitted.predict(with_string("lab"))


def test_a_string_in_a_sensitive_number_at_prediction_is_missing(fitted):
    missing = made_table()
    missing.loc[3, "age"] = np.nan
    assert np.array_equal(fitted.predict_proba(with_string("age")), fitted.predict_proba(missing))


def test_unknown_categories_at_prediction_are_no_error(fitted):
    table = made_table().assign(ward="elsewhere", sex="other", age=np.nan)
    assert np.isfinite(fitted.predict_proba(table)).all()


class TestLeaks:
    """What happens where something would read sensitive cells without paying."""

    @pytest.mark.parametrize("sensitive", [["age"], None, {"age": None}])
    def test_raise(self, sensitive):
        model = FusionDPClassifier(sensitive, on_leak="raise")
        message = assert_refused(
            model, made_table(), TARGET, r"No domain is declared.*'age'", PrivacyLeakError
        )
        assert SECRET_WORD not in message

    def test_warn(self):
        model = FusionDPClassifier(["age"], steps=1, public_epochs=0, noise_multiplier=1.0)
        with pytest.warns(PrivacyLeakWarning, match="Declare them"):
            model.fit(made_table(), TARGET)
        assert "read off the training cells" in str(model.privacy_report())

    def test_nothing_sensitive(self):
        with pytest.raises(PrivacyLeakError, match="selects no column: nothing is protected"):
            FusionDPClassifier([], on_leak="raise").fit(made_table(), TARGET)

    def test_support_gives_domains_and_then_nothing_leaks(self):
        # Other people: whose public cells are the training rows' would be a leak.
        others = made_table().assign(age=np.arange(N) + 10, lab=np.random.default_rng(1).normal(size=N))
        imputer = FoundationImputer(support=others)
        model = FusionDPClassifier(
            ["age"],
            imputer=imputer,
            on_leak="raise",
            steps=1,
            public_epochs=0,
            noise_multiplier=1.0,
        )
        model.fit(made_table(), TARGET)
        assert model.schema_.domains["age"] == Numeric(10, N + 9)
        assert model.schema_.sources["age"] == "support"


def test_fdp_cannot_claim_to_protect_whole_rows():
    """The public branch reads every public cell: "add-remove" is for dp-sgd alone."""
    model = FusionDPClassifier(SENSITIVE, adjacency="add-remove", noise_multiplier=1.0)
    assert_refused(model, made_table(), TARGET, "adjacency='add-remove'")


PLAIN = pd.DataFrame({"lab": np.linspace(-1, 1, N), "age": np.linspace(20, 80, N)})
AGE = {"age": Numeric(0, 100)}


class TestTablesWithoutTheNamesOfTheFit:
    """As in scikit-learn, an array counts by position where the fit saw names, and the other way round."""

    pytestmark = pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")

    @pytest.mark.parametrize(
        "made",
        [
            FoundationImputer(AGE, backend="domain"),
            TableEncoder(AGE),
            PrivateStandardScaler(AGE, random_state=0),
            PrivateQuantileTransformer(AGE, random_state=0),
        ],
        ids=lambda made: type(made).__name__,
    )
    def test_an_array_after_a_frame(self, made):
        fitted = made.fit(PLAIN)
        there, here = fitted.transform(PLAIN), fitted.transform(PLAIN.to_numpy())
        assert isinstance(here, np.ndarray)
        assert np.array_equal(np.asarray(there, dtype=float), here)

    @pytest.mark.parametrize(
        "made", [FoundationImputer([1], backend="domain"), PrivateStandardScaler([1], random_state=0)]
    )
    @pytest.mark.parametrize("kind", ["pandas", "polars"])
    def test_a_frame_after_an_array(self, made, kind):
        fitted = made.fit(PLAIN.to_numpy())
        expected = fitted.transform(PLAIN.to_numpy())
        table = PLAIN if kind == "pandas" else pytest.importorskip("polars").from_pandas(PLAIN)
        changed = fitted.transform(table)
        assert list(changed.columns) == ["lab", "age"]
        assert np.array_equal(changed.to_numpy(), expected)

    def test_predictions(self, fitted):
        table = made_table()
        assert np.array_equal(fitted.predict_proba(table.to_numpy()), fitted.predict_proba(table))


@pytest.mark.parametrize("names", [[None, None], [1, 1.0], [True, 1], ["1", 1], ["None", None]])
def test_names_that_are_the_same_as_texts(names):
    table = PLAIN.set_axis(pd.Index(names, dtype=object), axis=1)
    with pytest.raises(InvalidInputError, match="occur twice in X; rename them"):
        TableEncoder(AGE).fit(table)


@pytest.mark.parametrize(
    "selector, match",
    [
        (type, "returned <class 'pandas.*which selects no columns"),
        (print, "returned None, which selects no columns"),
        (lambda table: table["no such column"], "raised KeyError; pass a callable"),
        (lambda table: 3.5, "selects no columns"),
    ],
)
def test_callables_that_select_nothing(selector, match):
    with pytest.raises(InvalidInputError, match=match):
        TableEncoder(selector).fit(PLAIN)


def test_a_callable_may_return_a_name_or_domains():
    by_name = TableEncoder(lambda table: "age", on_leak="ignore").fit(PLAIN)
    assert by_name.schema_.sensitive == ("age",)
    assert dict(TableEncoder(lambda table: AGE).fit(PLAIN).schema_.domains) == AGE


def test_quantiles_of_no_numeric_column():
    table = PLAIN.assign(sex=np.tile(["f", "m"], N // 2))
    fitted = PrivateQuantileTransformer({"sex": Categorical(["f", "m"])}).fit(table)
    assert fitted.epsilon_ == 0 and fitted.transform(table).equals(table)


@pytest.mark.parametrize("dtype", [complex, object])
def test_complex_cells(dtype):
    table = PLAIN.assign(lab=(PLAIN["lab"] + 1j).astype(dtype))
    with pytest.raises(InvalidInputError, match=r"'lab'.*not a number"):
        TableEncoder(AGE).fit(table).transform(table)
    # A refusal would tell of a sensitive cell: it is missing.
    table = PLAIN.assign(age=(PLAIN["age"] + 1j).astype(dtype))
    assert TableEncoder(AGE).fit(table).transform(table)[:, -1].all()


TARGETS = {
    "NaN among texts": (pd.Series(["a", "b", np.nan] * 20), "NaN.*drop those rows"),
    "None": ([0, 1, None] * 20, "NaN.*drop those rows"),
    "pd.NA": (pd.Series([0, 1, pd.NA] * 20, dtype="Int64"), "NaN.*drop those rows"),
    "pd.NA among objects": ([0, 1, pd.NA] * 20, "NaN.*drop those rows"),
    "texts and numbers": (pd.Series(["a", 1, 2] * 20), "cannot be used as a target"),
    "infinite": ([0.0, 1.0, np.inf] * 20, "infinity"),
    "scalar": (3, "cannot be used as a target"),
    "text": ("target", "is a name"),
    "ragged": ([[1], [1, 2], [0]] * 20, "cannot be used as a target"),
    "no float holds it": ([0, 1, 10**400] * 20, "cannot be used as a target"),
    "complex": ([0, 1, 1j] * 20, "cannot be used as a target"),
    "a class": (type, "cannot be used as a target"),
    "short": ([0, 1], "inconsistent numbers of samples.*Give"),
}


@pytest.mark.parametrize("cls", [FusionDPClassifier, FusionDPRegressor])
@pytest.mark.parametrize("case", TARGETS)
def test_targets(cls, case):
    y, match = TARGETS[case]
    assert_refused(cls(SENSITIVE), made_table(), y, match)


def test_a_target_whose_spread_no_float_holds():
    y = np.where(TARGET, 1e300, -1e300)
    assert_refused(FusionDPRegressor(SENSITIVE), made_table(), y, "spread no float can hold")


@pytest.mark.parametrize(
    "made",
    [
        FusionDPClassifier(SENSITIVE, random_state=-1),
        FoundationImputer(SENSITIVE, random_state="seed"),
        PrivateStandardScaler(SENSITIVE, random_state=-1),
        PrivateSelectKBest(SENSITIVE, random_state=1.5),
    ],
    ids=lambda made: type(made).__name__,
)
def test_seeds(made):
    with pytest.raises(InvalidInputError, match=r"random_state=.*must be None, a whole number"):
        made.fit(made_table(), TARGET)
    assert not hasattr(made, "ledger_"), "refused, but paid for"


@pytest.mark.parametrize("case", TARGETS)
def test_targets_of_a_selector(case):
    y, match = TARGETS[case]
    with pytest.raises(InvalidInputError, match=match):
        PrivateSelectKBest(SENSITIVE).fit(made_table(), y)


@pytest.mark.parametrize("cls", [FusionDPClassifier, FusionDPRegressor])
def test_training_cannot_go_on_unnoticed(cls):
    assert not hasattr(cls(), "partial_fit") and "warm_start" not in cls().get_params()
    with pytest.raises(InvalidInputError, match="no parameter 'warm_start'"):
        cls(SENSITIVE, warm_start=True).fit(made_table(), TARGET)


@pytest.mark.parametrize("delta", [5e-324, 1e-300, 1e-21])
def test_a_delta_that_the_accountant_cannot_tell_from_zero(delta):
    match = "must lie strictly between 0 and 1, and not below 1e-20"
    assert_refused(FusionDPClassifier(SENSITIVE, delta=delta), made_table(), TARGET, match)
    with pytest.raises(InvalidInputError, match=match):
        PrivateStandardScaler(SENSITIVE, delta=delta).fit(made_table())


@pytest.mark.parametrize("family", ["FusionDPClassifier", "OffsetFusionClassifier"])
def test_a_refused_refit_leaves_the_fitted_model_as_it_was(family):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"lab": rng.normal(size=300), "age": rng.integers(20, 80, 300)})
    y = (table["lab"] > 0).map({True: "sick", False: "well"})
    model = getattr(skfusiondp, family)({"age": skfusiondp.Numeric(20, 80)}, epsilon=1.0, random_state=0).fit(
        table, y
    )
    before, paid = model.predict_proba(table), model.ledger_
    with pytest.raises(InvalidInputError, match="epsilon"):
        model.set_params(epsilon=-1.0).fit(table, y.replace("sick", "ill"))
    assert list(model.classes_) == ["sick", "well"]
    assert model.ledger_ == paid
    np.testing.assert_array_equal(model.predict_proba(table), before)


@pytest.mark.parametrize("y", [[None] * 50, [np.nan] * 50, [1 + 2j] * 50, [[0, 1]] * 50, [0, 1]])
@pytest.mark.parametrize("family", ["OffsetFusionClassifier", "OffsetFusionRegressor"])
def test_offset_estimators_refuse_a_bad_target_in_words(family, y):
    table = pd.DataFrame({"lab": np.arange(50.0), "age": 30})
    with pytest.raises(InvalidInputError, match="y "):
        getattr(skfusiondp, family)({"age": skfusiondp.Numeric(20, 80)}, epsilon=1.0).fit(table, y)


def test_offset_estimators_refuse_a_bad_seed_and_a_bad_support_target():
    table = pd.DataFrame({"lab": np.arange(50.0), "age": 30})
    y = np.arange(50) % 2
    with pytest.raises(InvalidInputError, match="random_state"):
        skfusiondp.OffsetFusionClassifier({"age": skfusiondp.Numeric(20, 80)}, random_state="a").fit(table, y)
    model = skfusiondp.OffsetFusionClassifier(
        {"age": skfusiondp.Numeric(20, 80)}, support=table, support_target=[None] * 50, random_state=0
    )
    with pytest.raises(InvalidInputError, match="support_target"):
        model.fit(table, y)
