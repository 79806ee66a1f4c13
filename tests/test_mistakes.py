"""What people are told who make a mistake; docs/mistakes.md has the table.

``python tests/test_mistakes.py`` writes it.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
from mistake import Mistake, X, offset, y
from mistakes import EVERY, MISTAKES

from skfusiondp._spender import Spender

PAGE = Path(__file__).parents[1] / "docs" / "mistakes.md"


def told(mistake: Mistake) -> str:
    """The message that a mistake is answered with."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if not issubclass(mistake.kind, Warning):
            with pytest.raises(mistake.kind) as error:
                mistake.do()
            return str(error.value)
        mistake.do()
    found = [str(w.message) for w in caught if w.category is mistake.kind]
    assert found, f"no {mistake.kind.__name__}, but {[str(w.message) for w in caught]}"
    return next((m for m in found if all(word in m for word in mistake.words)), found[0])


@pytest.mark.parametrize("name", EVERY)
def test_a_mistake_is_told_with_parameter_value_and_remedy(name):
    message = told(EVERY[name])
    assert not [word for word in EVERY[name].words if word not in message], message


REFUSED_FITS = [n for n, m in EVERY.items() if not issubclass(m.kind, Warning) and "predicting" not in n]


@pytest.mark.parametrize("name", REFUSED_FITS)
def test_what_is_refused_has_paid_nothing(name, monkeypatch):
    paid = []
    monkeypatch.setattr(Spender, "_pay", lambda self, *cost: paid.append(cost))
    told(EVERY[name])
    assert not paid


def test_the_test_above_would_notice(monkeypatch):
    paid = []
    monkeypatch.setattr(Spender, "_pay", lambda self, *cost: paid.append(cost))
    with pytest.raises(AttributeError):  # nothing was written down
        offset().fit(X, y)
    assert paid


def page() -> str:
    """The table of mistakes as a document."""
    lines = [
        "# What goes wrong at first",
        "",
        "Mistakes that people make with a new library, and what this one says. What is refused has read no",
        "sensitive cell and paid nothing; a warning is one line at the place in your code that led to it.",
        "The table is written and checked by `tests/test_mistakes.py`.",
    ]
    for area, mistakes in MISTAKES.items():
        lines += ["", f"## {area}", "", "| mistake | answer |", "|---|---|"]
        for mistake in mistakes:
            kind = mistake.kind.__name__
            message = " ".join(told(mistake).replace("|", "\\|").split())
            lines.append(f"| {mistake.what} | `{kind}`: {escaped(message)} |")
    return "\n".join(lines) + "\n"


def escaped(message: str) -> str:
    """Markdown that shows a message as it is."""
    return re.sub(r"([*_`<\[\]])", r"\\\1", message)


@pytest.mark.slow
def test_the_page_is_this_table():
    assert PAGE.read_text(encoding="utf-8") == page(), "python tests/test_mistakes.py writes it anew"


def test_there_are_enough_and_each_is_different():
    assert len(EVERY) >= 40 and len(MISTAKES) >= 6


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
