"""A table without its sensitive columns is completed in one way, or refused in one sentence."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Categorical, FoundationImputer, FusionDPClassifier, Numeric, OffsetFusionClassifier
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.impute._completed import completed

N = 120
rng = np.random.default_rng(0)
lab = rng.normal(size=N)
TABLE = pd.DataFrame({"lab": lab, "age": 50 + 10 * lab, "sex": rng.choice(["f", "m"], N)})
Y = (lab > 0).astype(int)
other = rng.normal(size=60)
SUPPORT = pd.DataFrame({"lab": other, "age": 50 + 10 * other, "sex": rng.choice(["f", "m"], 60)})
DOMAINS = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}


def fusion(**parameters):
    return FusionDPClassifier(
        DOMAINS, noise_multiplier=1.0, steps=2, public_epochs=1, random_state=0, **parameters
    )


def offset(**parameters):
    return OffsetFusionClassifier(DOMAINS, noise_multiplier=1.0, steps=1, random_state=0, **parameters)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("absent", [["age"], ["age", "sex"]])
@pytest.mark.filterwarnings("ignore::skfusiondp.DataHolderWarning")
def test_both_estimators_refuse_in_one_sentence_and_complete_alike(absent):
    known = TABLE.drop(columns=absent)
    sentences = set()
    for model in (fusion(method="feature-dp"), offset()):
        model.fit(TABLE, Y)
        with pytest.raises(InvalidInputError, match="lacks the sensitive column") as caught:
            model.predict(known)
        sentences.add(str(caught.value))
        # The remedies that the sentence names, word by word.
        names = {
            "X": known,
            "numpy": np,
            "model": model,
            "sensitive": DOMAINS,
            "rows": SUPPORT,
            "table": TABLE,
        }
        names["FoundationImputer"] = FoundationImputer
        for remedy in re.findall(r"[XF]\S*\(.*?\[model\.feature_names_in_\]", str(caught.value)):
            with warnings.catch_warnings():
                warnings.filterwarnings("error", "support holds rows")
                assert len(model.predict(eval(remedy, names))) == N
            sentences.add(remedy)
        assert len(model.ledger_) == 1
    assert len(sentences) == 3 and str(absent) in max(sentences, key=len)
    imputer = FoundationImputer(support=SUPPORT)
    for made in (fusion, offset):
        assert len(made(imputer=imputer).fit(TABLE, Y).predict(known)) == N


def test_present_columns_stay_as_they_are():
    imputer = FoundationImputer(DOMAINS, backend="domain").fit(TABLE)
    schema = imputer.schema_
    same = completed(TABLE, schema, None)
    assert same.frame is TABLE and not same.expected
    rows = completed(TABLE.drop(columns="sex"), schema, imputer)
    assert list(rows.frame) == list(TABLE) and list(rows.expected) == ["sex"]
    pd.testing.assert_series_equal(rows.frame["age"], TABLE["age"])


def test_draws_go_by_the_position_in_the_whole_table():
    imputer = FoundationImputer(DOMAINS, backend="domain", strategy="sample", random_state=0).fit(TABLE)
    known = TABLE[["lab"]]
    whole = completed(known, imputer.schema_, imputer).frame
    part = completed(known[40:90], imputer.schema_, imputer, first=40).frame
    pd.testing.assert_frame_equal(part, whole[40:90])
