"""A kind of column that the library has never seen works everywhere, since all ask its domain alone."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from skfusiondp import (
    Categorical,
    FoundationImputer,
    FusionDPClassifier,
    Numeric,
    OffsetFusionClassifier,
)
from skfusiondp.accounting import check_pipeline
from skfusiondp.audit import attribute_inference, audit_attribute
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.impute import ConditionalBackend
from skfusiondp.persistence import load, save
from skfusiondp.preprocessing import PrivateCategories, PrivateQuantileTransformer, PrivateSelectKBest
from skfusiondp.tables import _kinds
from skfusiondp.tables._domain import Countable, as_column
from skfusiondp.tables._ordered import Ordered
from skfusiondp.tables._outside import outside

pytestmark = pytest.mark.filterwarnings("ignore")

N = 240


@dataclass(frozen=True)
class Hour(Countable):
    """Hours of a clock, of which the last is next to the first: encoded as points of a circle."""

    hours: int = 4
    epsilon: float | None = None

    kind, declaration = "hour", "Hour()"

    @property
    def categories(self):
        return tuple(f"{h}:00" for h in range(self.hours))

    width = 4

    def feature_names(self, column):
        return [f"{column}_{part}" for part in ("x", "y", "(other)", "(missing)")]

    def codes(self, values):
        position = {c: i for i, c in enumerate(self.categories)}
        cells = as_column(values)
        return np.where(cells.isna(), self.hours + 1, [position.get(c, self.hours) for c in cells])

    def encode(self, values):
        codes = self.codes(values)
        angle, known = 2 * np.pi * codes / self.hours, codes < self.hours
        parts = [known * np.cos(angle), known * np.sin(angle), codes == self.hours, codes > self.hours]
        return np.column_stack(parts).astype(np.float32)

    def phrases(self, n):
        return [f"at {c}" for c in self.categories]

    def describe(self):
        return f"an hour of {self.hours}"

    def _facts(self):
        return {"hours": self.hours}

    @classmethod
    def holds(cls, column):
        return column.dropna().astype(str).str.fullmatch(r"\d+:00").all()

    @classmethod
    def from_support(cls, column):
        return cls()

    from_training = from_support


@dataclass(frozen=True)
class Grade(Ordered):
    """Grades A to E: texts, in an order."""

    epsilon: float | None = None
    knots: tuple[float, ...] | None = None

    kind, declaration = "grade", "Grade()"
    outside_remedy = "they count as missing: check the spelling"
    low, high = 0.0, 4.0

    def numbers(self, cells):
        return np.array(["ABCDE".find(c) if isinstance(c, str) and c else -1 for c in cells], float).clip(0)

    def restore(self, target):
        return np.array([*"ABCDE"], dtype=object)[np.rint(super().restore(target)).astype(int)]

    def describe(self):
        return "a grade, A to E"

    def _facts(self):
        return {}

    @classmethod
    def holds(cls, column):
        return column.isin([*"ABCDE"]).all()

    @classmethod
    def from_support(cls, column):
        return cls()

    from_training = from_support


rng = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "lab": rng.normal(size=N),
        "hour": [f"{h}:00" for h in rng.integers(4, size=N)],
        "grade": rng.choice([*"ABCDE"], size=N),
        "age": rng.uniform(0, 100, N),
    }
)
Y = (TABLE["lab"] + (TABLE["grade"] > "B") > 0.5).astype(int)
TREES = ConditionalBackend(5, random_state=0)
LINEAR = {"hour": LogisticRegression(), "grade": Ridge(), "age": Ridge()}
DOMAINS = {"hour": Hour(), "grade": Grade(), "age": Numeric(0, 100)}
TRUSTED = [f"{__name__}.Hour", f"{__name__}.Grade"]
MADE = {
    "imputer": lambda: FoundationImputer(DOMAINS, support=TABLE[:100], backend=TREES),
    "without knowledge": lambda: FoundationImputer(DOMAINS, backend="domain", strategy="sample"),
    "fusiondp": lambda: FusionDPClassifier(
        DOMAINS, imputer=FoundationImputer(support=TABLE[:100], backend=LINEAR), epochs=1, random_state=0
    ),
    "offset": lambda: OffsetFusionClassifier(DOMAINS, random_state=0),
    "offset with support": lambda: OffsetFusionClassifier(
        DOMAINS, support=TABLE[:100], support_target=Y[:100], random_state=0
    ),
    "quantiles": lambda: PrivateQuantileTransformer(DOMAINS, random_state=0),
    "categories": lambda: PrivateCategories(DOMAINS, random_state=0),
    "selector": lambda: PrivateSelectKBest(DOMAINS, k=2, random_state=0),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.one_in(3)
def test_a_new_kind_is_fitted_reported_and_saved(name, tmp_path):
    pytest.importorskip("skops")
    model = MADE[name]().fit(TABLE[100:], Y[100:])
    if hasattr(model, "privacy_report"):
        report = model.privacy_report()
        for text in ("an hour of 4", "a grade, A to E"):
            assert text in str(report) and text in report.to_html() and text in report.to_json()
    with pytest.raises(InvalidInputError, match=TRUSTED[0]):
        save(model, tmp_path / "model")
    save(model, tmp_path / "model", trusted=TRUSTED)
    again = load(tmp_path / "model", trusted=TRUSTED)
    ask = "predict_proba" if hasattr(model, "predict_proba") else "transform"
    assert np.array_equal(getattr(model, ask)(TABLE), getattr(again, ask)(TABLE))


def test_its_cells_are_imputed_and_shown_as_cells():
    hybrid = MADE["imputer"]().fit_transform(TABLE[100:])
    assert set(hybrid["hour"]) <= set(Hour().categories) and set(hybrid["grade"]) <= {*"ABCDE"}
    imputer = MADE["imputer"]().fit(TABLE)
    _, expected = imputer._impute(TABLE[:5])
    # A mean of points of the circle, which none of them is.
    assert expected["hour"].shape == (5, 4) and (np.linalg.norm(expected["hour"][:, :2], axis=1) < 0.99).any()
    shapes = MADE["offset"]().fit(TABLE, Y).shape_functions()
    assert shapes["hour"][0].tolist() == list(Hour().categories) and set(shapes["grade"][0]) == {*"ABCDE"}


def test_transformers_read_it_by_what_it_can_do():
    assert MADE["quantiles"]().fit(TABLE).columns_ == ("grade", "age")
    assert MADE["categories"]().fit(TABLE).columns_ == ("hour",)
    assert set(MADE["selector"]().fit(TABLE, Y).scores_) == {"hour", "grade", "age"}


@pytest.mark.slow
def test_it_is_audited_and_checked():
    model = MADE["fusiondp"]().fit(TABLE, Y)
    for column in DOMAINS:
        assert attribute_inference(model, TABLE, Y, column=column).n_rows == N
    assert audit_attribute(MADE["fusiondp"](), TABLE, Y, columns=["hour", "grade"], random_state=0).claim > 0
    assert check_pipeline(MADE["fusiondp"](), X=TABLE).ok
    assert outside(pd.Series(["1:00", "now", None]), Hour()).share == 0.5


def test_a_registered_kind_is_found_where_none_is_declared(monkeypatch):
    monkeypatch.setattr(_kinds, "KINDS", (Hour, Grade, *_kinds.KINDS))
    imputer = FoundationImputer(["hour", "grade", "age"], support=TABLE[:100], backend=LINEAR).fit(
        TABLE[100:]
    )
    assert [type(d) for d in imputer.schema_.domains.values()] == [Hour, Grade, Numeric]
    with pytest.raises(InvalidInputError, match=r"Hour\(\), Grade\(\), Numeric\(low, high\)"):
        FusionDPClassifier({"hour": 24}).fit(TABLE, Y)


@pytest.mark.parametrize("made", [pd.Series, pd.Index, np.array, pd.array, tuple])
def test_categories_come_in_any_one_dimensional_kind(made):
    assert Categorical(made(["f", "m"])).categories == ("f", "m")


@pytest.mark.parametrize("cells", [["secret", "secret"], ["secret", None]])
def test_a_refused_column_of_categories_is_shown_by_its_shape(cells):
    with pytest.raises(InvalidInputError, match=r"categories=<Series 2>\): categories must") as refused:
        Categorical(pd.Series(cells))
    assert "secret" not in str(refused.value)
    with pytest.raises(InvalidInputError, match="give a list") as refused:
        Categorical(pd.DataFrame({"sex": cells}))
    assert "secret" not in str(refused.value)


def test_categories_that_are_not_in_a_list_are_told_so():
    with pytest.raises(InvalidInputError, match=r"Categorical\(categories='f'\): give a list"):
        Categorical("f", "m")
