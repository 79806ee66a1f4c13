"""The holder of the data sees before a fit what their domains do not hold."""

import numpy as np
import pandas as pd
import pytest

from skfusiondp import Categorical, Date, Numeric
from skfusiondp.audit import check_domains
from skfusiondp.exceptions import InvalidInputError

TABLE = pd.DataFrame(
    {
        "lab": [1.0, 2.0, 3.0, 4.0],
        "age": [34, 340, -1, None],
        "sex": ["f", "M", "m", "f "],
        "born": ["1964-01-01", "01.02.1970", None, "2030-01-01"],
        "fine": [1, 2, 3, 4],
    }
)
DOMAINS = {
    "age": Numeric(18, 90),
    "sex": Categorical(["f", "m"]),
    "born": Date("1920-01-01", "2006-12-31"),
    "fine": Numeric(0, 5),
}


def on_disk(tmp_path):
    TABLE.to_parquet(tmp_path / "x.parquet")
    return tmp_path / "x.parquet"


@pytest.mark.parametrize("make", [lambda _: TABLE, on_disk], ids=["memory", "disk"])
def test_shares_by_column_and_by_what_is_wrong(make, tmp_path):
    found = check_domains(make(tmp_path), DOMAINS)
    frame = found.to_frame()
    assert frame["outside"].round(4).to_dict() == {"age": 0.6667, "sex": 0.5, "born": 0.6667, "fine": 0}
    assert frame["missing"].to_dict() == {"age": 0.25, "sex": 0, "born": 0.25, "fine": 0}
    what = frame["what"].to_dict()
    assert what.pop("sex") == (
        "1 categories in other upper and lower case, 1 with blanks before or after a category"
    )
    assert what == {"age": "1 below, 1 above", "born": "1 above, 1 no date", "fine": ""}
    assert not found.ok and check_domains(TABLE, {"fine": Numeric(0, 5)}).ok


def test_it_says_for_whom_it_is_and_shows_no_cell():
    found = check_domains(TABLE, DOMAINS)
    for text in (repr(found), str(found), found._repr_html_()):
        assert "For the holder of the data alone" in text and "Do not publish it" in text
        assert "340" not in text and "01.02.1970" not in text and "66.67%" in text.replace(" %", "%")
    assert "check how dates are written" in repr(found)


def test_integers_are_columns_of_arrays():
    array = np.array([[1.0, 2.0], [3.0, 400.0]])
    assert check_domains(array, {1: Numeric(0, 100)}).to_frame()["outside"].tolist() == [0.5]


@pytest.mark.parametrize("sensitive", [["age"], {"age": None}, {}, {"age": 3}, {"nobody": Numeric(0, 1)}])
def test_each_column_needs_a_domain(sensitive):
    with pytest.raises(InvalidInputError):
        check_domains(TABLE, sensitive)
