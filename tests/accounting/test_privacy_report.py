"""The report says what is protected, from whom, between which neighbours, and at which cost."""

import json
import math
import pickle
import re

import pytest
from sklearn.base import clone

from skfusiondp import (
    FusionDPClassifier,
    Numeric,
    OffsetFusionClassifier,
    PrivacyLedger,
    PrivacyReport,
)
from skfusiondp.accounting import RELATIONS, LedgerEntry
from skfusiondp.model_selection import PrivateRandomSearchCV
from skfusiondp.preprocessing import PrivateStandardScaler

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")

METHODS = ["fusiondp", "feature-dp", "dp-sgd", "hybrid", "non-private"]


@pytest.fixture(scope="module")
def fit(adult):
    def fitted(**parameters):
        defaults = {
            "noise_multiplier": 1.0,
            "steps": 2,
            "public_epochs": 0,
            "module__hidden": (4,),
        }
        model = FusionDPClassifier(adult.sensitive, **{**defaults, **parameters})
        return model.fit(adult.table[:200], adult.target[:200])

    return fitted


@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
@pytest.mark.parametrize("method", ["fusiondp", "feature-dp", "dp-sgd"])
def test_epsilon_comes_with_delta_relation_and_columns_everywhere(method, adjacency, fit):
    model = fit(method=method, adjacency=adjacency)
    report = model.privacy_report()
    relation = "add-remove" if method == "dp-sgd" else adjacency
    assert report.epsilon == model.ledger_.epsilon(model.delta_) > 0
    assert report.delta == model.delta_ == pytest.approx(1 / 2000)
    for text in (str(report), report.to_html(), report.to_json(), report.promise):
        assert relation in text and RELATIONS[relation].neighbours in text
        assert f"{report.delta:.3g}" in text
        for epsilon in re.findall(r"ε = ([\d.]+)|\(([\d.]+), ", text):
            assert float(max(epsilon)) == pytest.approx(report.epsilon, rel=0.01)
    loaded = json.loads(report.to_json())
    assert {"epsilon", "delta", "adjacency", "neighbours", "protects", "adversary"} <= set(loaded)
    assert loaded["mechanism"]["steps_run"] == 2 and loaded["ledger"][0]["steps"] == 2


def test_feature_level_reports_name_the_columns_and_their_domains(adult, fit):
    report = fit().privacy_report()
    assert report.to_dict()["sensitive_columns"]["age"] == {
        "kind": "numeric",
        "text": "numeric, 17 to 90 in steps of 1",
        "low": 17.0,
        "high": 90.0,
        "step": 1.0,
        "source": "declared",
    }
    for name in adult.sensitive:
        assert name in str(report) and name in report.to_html()
    assert "the labels" in str(report) and "education" in str(report)


def test_dp_sgd_says_whole_rows_and_no_public_columns(fit):
    report = fit(method="dp-sgd").privacy_report()
    assert "whole rows" in str(report) and "whole rows" in report.to_html()
    assert report.to_dict()["sensitive_columns"] == {}
    assert not any("labels" in fact or "public columns" in fact for fact in report.public)
    assert any("statistics of the encoding" in gap for gap in report.not_covered)


def test_without_privacy_epsilon_is_infinite_and_never_a_silent_zero(fit):
    model = fit(method="non-private")
    report = model.privacy_report()
    assert model.epsilon_ == math.inf == report.epsilon
    assert "No privacy guarantee" in str(report) and "infinite" in str(report)
    assert "∞" in report.to_html()
    assert json.loads(report.to_json())["epsilon"] == "inf"


def test_hybrid_read_nothing(fit):
    report = fit(method="hybrid").privacy_report()
    assert report.epsilon == 0.0 and len(report.ledger) == 0
    assert "No sensitive training cell was read" in str(report)


def test_what_is_protected_follows_from_the_relation_whatever_the_methods_are_called():
    parts = "gaussian, dp-sgd"
    report = PrivacyReport("Pipeline", parts, {}, "add-remove", epsilon=1.0, delta=1e-5, n_rows=9)
    assert report.what == "whole rows" and "every other row" in report.adversary


@pytest.mark.parametrize("method", ["fusiondp", "feature-dp", "dp-sgd"])
def test_a_fixed_random_state_is_named_as_not_covered(method, fit):
    fixed = fit(method=method, random_state=17).privacy_report()
    assert any("random_state=17" in gap and "random_state=None" in gap for gap in fixed.not_covered)
    assert "random_state=17" in str(fixed) and "random_state=17" in fixed.to_html()
    assert "random_state" not in str(fit(method=method).privacy_report())


def test_selection_is_named_as_not_covered_and_low_order_bits_are_covered(fit):
    gaps = " ".join(fit().privacy_report().not_covered)
    assert "hyper-parameters" in gaps and "floating-point" not in gaps and "Mironov" not in gaps


def test_zero_out_says_what_it_does_not_compare(fit):
    gaps = " ".join(fit(adjacency="zero-out").privacy_report().not_covered)
    assert "zero-out compares a value with its being erased" in gaps
    assert "zero-out" not in " ".join(fit().privacy_report().not_covered)


def test_fits_under_other_relations_are_named(adult, fit):
    model = fit()
    once = model.epsilon_
    model.set_params(adjacency="zero-out").fit(adult.table[:200], adult.target[:200])
    report = model.privacy_report()
    assert len(report.ledger) == 2 and report.adjacency == "zero-out"
    assert model.epsilon_ < once
    assert any("earlier fits" in gap and "replace" in gap for gap in report.not_covered)


def test_html_is_escaped_and_can_be_saved(tmp_path):
    domain = {**Numeric(0, 1).to_dict(), "source": "declared"}
    report = PrivacyReport("A<b>", "fusiondp", {"<script>": domain}, "replace", 1.0, 1e-5, 100)
    assert "<script>" not in report.to_html() and "&lt;script&gt;" in report.to_html()
    assert report._repr_html_() == report.to_html()
    report.save_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and report.to_html() in page
    # On a phone, and where the reader prefers dark pages.
    assert "width=device-width" in page and "prefers-color-scheme: dark" in page


@pytest.mark.parametrize("method", METHODS)
def test_reports_quote_no_cell_of_the_table(method, adult, fit):
    """Domains and column names are public; a value that only a row has must not appear."""
    table = adult.table[:200].assign(**{"hours-per-week": 54.0625, "gender": "Male"})
    table.loc[table.index[3], "gender"] = "marsupial"
    model = fit(method=method).fit(table, adult.target[:200])
    text = str(model.privacy_report()) + model.privacy_report().to_json()
    assert "54.0625" not in text and "marsupial" not in text


def two_columns(epsilon=None, k=1, unit=""):
    entries = tuple(LedgerEntry(4.0, 1.0, 1, protects=(c,), rows_per_unit=k) for c in ("age", "sex"))
    ledger = PrivacyLedger(entries)
    domain = {**Numeric(0, 1).to_dict(), "source": "declared"}
    return PrivacyReport(
        estimator="Made",
        method="fusiondp",
        protected={"age": domain, "sex": domain},
        adjacency="replace",
        epsilon=ledger.epsilon(1e-5) if epsilon is None else epsilon,
        delta=1e-5,
        n_rows=1000,
        ledger=ledger,
        unit=unit,
    )


def test_columns_are_stated_alone_and_together():
    report = two_columns()
    alone, together = report.epsilon_by_column, report.ledger.epsilon(1e-5)
    assert together > 1.3 * max(alone.values())
    assert report.to_dict()["epsilon_of_all_columns"] == together == report.epsilon_of_all_columns
    shown = f"epsilon {together:.4g}"[:10]
    line = next(x for x in str(report).splitlines() if x.startswith("Together"))
    assert shown in line and "at delta 1.0" in line and "replace" in line and "one row" in line
    assert shown in report.to_html() and "<th>together</th>" in report.to_html()


def test_no_column_has_a_bounded_epsilon_where_the_whole_has_none():
    report = two_columns(math.inf)
    loaded = report.to_dict()
    assert set(loaded["epsilon_by_column"].values()) == {"inf"} == {loaded["epsilon_of_all_columns"]}
    assert loaded["epsilon_of_a_row"] == "inf"
    assert "inf" in str(report) and not re.search(r"epsilon \d", str(report))


def test_a_units_epsilon_is_called_a_units_and_a_rows_is_beside_it():
    report = two_columns(k=4, unit="'patient'")
    row = report.ledger.epsilon(1e-5, of="row")
    assert row < report.epsilon / 3
    loaded = report.to_dict()
    assert loaded["epsilon_is_of"] == "one unit of 'patient', with at most 4 rows"
    assert loaded["epsilon_of_a_row"] == row and loaded["rows_per_unit"] == 4
    assert "all rows of one unit" in loaded["neighbours"]
    for text in (str(report), report.to_html(), report.to_json(), report.promise):
        text = text.replace("&#x27;", "'")
        assert "at most 4 rows" in text and "'patient'" in text and f"{row:.3f}"[:4] in text
        assert RELATIONS["replace"].neighbours not in text
    plain = two_columns()
    assert plain.to_dict()["epsilon_is_of"] == "one row" and "unit" not in plain.promise
    assert plain.epsilon_of_a_row == plain.epsilon


def tried(**parameters):
    return PrivateRandomSearchCV(
        FusionDPClassifier(AGE, steps=2, public_epochs=0, module__hidden=(4,)),
        {"lr": [0.1]},
        **{"n_trials": 2, "random_state": 0, **parameters},
    )


AGE = {"age": Numeric(17, 90)}
OF_A_FIT = {
    "net": (FusionDPClassifier(AGE, steps=2, public_epochs=0, module__hidden=(4,), random_state=0), {}),
    "offset": (OffsetFusionClassifier(AGE, steps=2, random_state=0), {}),
    "transformer": (PrivateStandardScaler(AGE, random_state=0), {}),
    "search": (
        tried(),
        {"n_trials": 9, "eta": 3.0, "distribution": "poisson", "validation": "private"},
    ),
}
OTHER = {
    "adjacency": "zero-out",
    "method": "dp-sgd",
    "random_state": None,
    "sensitive": None,
    "delta": 0.1,
    "epsilon": 9.0,
    "max_grad_norm": 9.0,
    "max_rows_per_unit": 9,
    "groups": "fnlwgt",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_A_FIT)
def test_a_report_speaks_of_the_fit_whatever_is_set_afterwards(name, adult):
    """set_params(method="dp-sgd") made a promise for whole rows of a fit that had read them freely."""
    model, more = OF_A_FIT[name]
    model = clone(model).fit(adult.table[:200], adult.target[:200])
    before, epsilon = model.privacy_report().to_json(), model.epsilon_
    assert "random_state=0" in before
    known = model.get_params(deep=False)
    for key, value in {**OTHER, **more}.items():
        if key in known:
            model.set_params(**{key: value})
    assert model.privacy_report().to_json() == before and model.epsilon_ == epsilon
    copied = pickle.loads(pickle.dumps(model))
    assert copied.privacy_report().to_json() == before
