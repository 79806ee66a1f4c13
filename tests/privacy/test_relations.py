"""Relations: each says what it means in words, in noise and in the accountant, in one record."""

import ast
import dataclasses
import re
from pathlib import Path

import pytest

import skfusiondp
from skfusiondp.accounting import RELATIONS, Clipping, LedgerEntry, compute_epsilon
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.privacy import CELL_RELATIONS, ROW_RELATIONS, relation


@pytest.mark.parametrize("name", RELATIONS)
def test_words_name_the_unit_and_its_rows(name):
    found = relation(name)
    assert found.name == name and found.in_words() == found.neighbours
    assert "with at most 3 rows" in found.in_words(3) and "{" not in found.in_words(3)


@pytest.mark.parametrize("name", RELATIONS)
def test_the_accountants_pair_lies_as_far_apart_as_the_sensitivity(name):
    # At full sampling a Gaussian's cost depends on the distance over the noise alone.
    distance = relation(name).sensitivity(1.0)
    cost = compute_epsilon([LedgerEntry(2.0, 1.0, 1, name)], 1e-5)
    assert cost == pytest.approx(compute_epsilon([LedgerEntry(2.0 / distance, 1.0, 1, "add-remove")], 1e-5))
    assert cost != pytest.approx(compute_epsilon([LedgerEntry(1.5 / distance, 1.0, 1, "add-remove")], 1e-5))


def test_clipping_norm_is_half_the_diameter_or_the_reach():
    norms = {name: relation(name).clipping_norm(3.0, 2.0) for name in RELATIONS}
    assert norms == {"replace": 1.5, "zero-out": 2.0, "add-remove": 2.0}


def test_only_dp_sgd_protects_whole_rows():
    assert CELL_RELATIONS == ("replace", "zero-out") and ROW_RELATIONS == ("add-remove",)


@pytest.mark.parametrize("name", ["substitute", "", None, 1, ["replace"], {"replace": 1}])
def test_refuses_what_names_no_relation_and_names_the_choices(name):
    message = f"adjacency={name!r} is not one of replace, zero-out, add-remove"
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        relation(name)


def test_a_new_relation_costs_one_record(monkeypatch):
    new = dataclasses.replace(relation("add-remove"), name="halved", pairs=((0.5, 0.0), (0.0, -0.5)))
    monkeypatch.setitem(RELATIONS, "halved", new)
    assert Clipping(2.0).sensitivity("halved") == 1.0
    unit = LedgerEntry(1.0, 0.1, 2, "halved", rows_per_unit=2)
    whole = LedgerEntry(2.0, 0.1, 2, "add-remove", rows_per_unit=2)
    assert compute_epsilon([unit], 1e-5) == pytest.approx(compute_epsilon([whole], 1e-5), rel=1e-3)


def compared(code):
    """Constants that a piece of code compares with something."""
    sides = [[n.left, *n.comparators] for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Compare)]
    inside = [c for side in sides for part in side for c in ast.walk(part)]
    return {c.value for c in inside if isinstance(c, ast.Constant) and isinstance(c.value, str)}


def test_no_code_compares_names_of_relations():
    assert compared('a = 1 if x in ("replace", "swap") or y == "zero-out" else 2') == {
        "replace",
        "swap",
        "zero-out",
    }
    files = sorted(Path(skfusiondp.__file__).parent.rglob("*.py"))
    found = {str(f): compared(f.read_text(encoding="utf-8")) & set(RELATIONS) for f in files}
    assert len(files) > 50 and not {f: names for f, names in found.items() if names}
