"""Junk of all kinds: values of parameters, cells, and tables changed for the worse."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from skfusiondp import Categorical, Numeric
from skfusiondp._parameters import Anything, Integer, OneOf, Real

from .columns import N
from .columns import cells as column_of

numbers = st.one_of(
    st.floats(),
    st.floats(-200, 200),
    st.integers(-5, 5),
    st.sampled_from([10**400, -(10**30), 1e308, -1e308, 5e-324, 0, -0.0, True, np.float32(3), np.int8(-7)]),
    st.sampled_from([Decimal("NaN"), Decimal("1.5"), 1 + 2j, np.complex64(1j)]),
)
others = st.sampled_from(
    [
        None,
        "",
        "f",
        "m",
        "1.5",
        "nan",
        "<missing>",
        "ä\x00",
        b"f",
        (),
        ("f",),
        [],
        {},
        {"a": 1},
        pd.NA,
        pd.NaT,
        pd.Timestamp("2020-01-01"),
        np.datetime64("NaT"),
        np.nan,
        object(),
        type,
        print,
        float("inf"),
        np.array([]),
        np.array(1.5),
        np.array(["f", "m"]),
        np.arange(N),
        pd.Series([1.0, 2.0]),
        pd.DataFrame({"age": [1.0]}),
    ]
)
anything = st.one_of(numbers, others, st.text(max_size=4))
cells = st.one_of(st.sampled_from([0.0, 1.0, 50.0, "f", "m", None, np.nan]), anything)
columns = st.lists(
    st.one_of(st.floats(0, 100), st.sampled_from(["f", "m", None]), cells), min_size=N, max_size=N
)


plain = {"lab": np.linspace(-1, 1, N), "age": np.linspace(20, 80, N), "sex": np.tile(["f", "m"], N // 2)}


@st.composite
def tables(draw):
    """A good table with one or two columns, names, types or its shape changed for the worse."""
    frame = pd.DataFrame(plain)
    for name in draw(st.lists(st.sampled_from(["lab", "age", "sex"]), max_size=2)):
        frame[name] = column_of(draw(columns))
    change = draw(st.sampled_from(["", "", "", "names", "type", "rows", "array", "absent", "index", "other"]))
    if change == "names":
        frame.columns = draw(
            st.lists(st.one_of(others.filter(_hashable), st.just("age")), min_size=3, max_size=3)
        )
    elif change == "type":
        types = ["category", "string", "Int64", "Float64", "boolean", "datetime64[ns]", "float32", "str"]
        chosen = draw(st.sampled_from(types))
        changed = attempt_plain(lambda: frame.astype(chosen))
        return frame if changed is None else changed
    elif change == "rows":
        frame = frame[: draw(st.integers(0, 3))]
    elif change == "array":
        return frame.to_numpy()
    elif change == "absent":
        frame = frame.drop(columns=draw(st.sampled_from(["lab", "age", "sex"])))
    elif change == "index":
        frame.index = draw(
            st.sampled_from([np.zeros(N), pd.date_range("2020", periods=N), list("ab" * (N // 2))])
        )
    elif change == "other":
        return draw(
            st.one_of(anything, st.just(np.zeros((3, 2, 2))), st.just(np.zeros(N)), st.just([[1, 2]] * N))
        )
    return frame


def _hashable(value):
    try:
        return bool(pd.Series([value]).nunique() < 2)
    except Exception:
        return False


def attempt_plain(call):
    try:
        return call()
    except Exception:
        return None


good = {"age": Numeric(0, 100), "sex": Categorical(["f", "m"])}
selectors = st.one_of(
    st.just(good),
    st.just(good),
    st.dictionaries(
        st.sampled_from(["age", "sex", "lab", "no", 0, 1, None]),
        st.sampled_from(
            [Numeric(0, 100), Numeric(-1, 1), Categorical(["f", "m"]), Categorical([0]), None, (0, 1), 3]
        ),
        max_size=3,
    ),
    st.lists(st.one_of(st.sampled_from(["age", "sex", "no"]), st.integers(-4, 4), st.booleans()), max_size=4),
    anything,
)


def values_near(constraint):
    """Values at the edges of what a parameter may be, and beyond them."""
    near = [None]
    if isinstance(constraint, Integer | Real):
        for edge in (constraint.low, constraint.high):
            near += [] if edge is None else [edge, math.nextafter(edge, -math.inf), edge + 1, -edge]
    elif isinstance(constraint, OneOf):
        near += [*constraint.choices, f"{next(iter(constraint.choices))} "]
    return anything if isinstance(constraint, Anything) else st.one_of(st.sampled_from(near), anything)


@st.composite
def parameters(draw, *classes):
    """One parameter of one of the classes, with a value near what its constraint allows; or none of them."""
    cls = draw(st.sampled_from(classes))
    name = draw(st.sampled_from(["", *(n for n in cls._constraints if n != "sensitive")]))
    return cls, name, draw(values_near(cls._constraints[name])) if name else None


def endless(value):
    return isinstance(value, int) and abs(value) > 1000
