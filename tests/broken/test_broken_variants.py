"""Every way to break the guarantee that we know of is caught, and the sound library passes the same check."""

import importlib
import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from variants import forget_computed_epsilons
from variants_acceptance import VARIANTS_ACCEPTANCE as ACCEPTANCE

WHOLE_MODELS = True

# Every list VARIANTS… of every file variants….py, in the order of the files' names.
MODULES = [importlib.import_module(f.stem) for f in sorted(Path(__file__).parent.glob("variants*.py"))]
LISTS = [vars(m)[name] for m in MODULES for name in sorted(vars(m)) if name.startswith("VARIANTS")]
VARIANTS = [variant for some in LISTS for variant in some]

BY_PATH = "## Path by path"
DOCUMENT = Path(__file__).parents[2] / "docs" / "broken_variants.md"
each = pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)


def run(check):
    with pytest.MonkeyPatch.context() as own, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(own)


def is_tested_elsewhere(variant):
    """Whether what catches it is a test that runs on the sound library anyway."""
    return variant.caught_by.startswith("tests/") and "/broken/" not in variant.caught_by


@pytest.mark.slow
@pytest.mark.parametrize("variant", [v for v in VARIANTS if not is_tested_elsewhere(v)], ids=lambda v: v.name)
def test_the_sound_library_passes(variant):
    run(variant.check)


@pytest.mark.one_in(10)
@each
def test_a_broken_one_is_caught(variant, monkeypatch):
    try:
        variant.apply(monkeypatch)
        # pytest.fail, which a test may call, is no AssertionError but says the same.
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            run(variant.check)
    finally:
        monkeypatch.undo()
        forget_computed_epsilons()


def rows_of(text):
    """Cells of every row of every table, without the heads."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[0] not in ("variant", "path")]


def test_the_document_has_the_same_table():
    rows = rows_of(DOCUMENT.read_text(encoding="utf-8").partition(BY_PATH)[0])
    rows = {name: caught.replace("`", "") for name, _, caught in rows}
    assert rows == {v.name: v.caught_by for v in VARIANTS}
    assert len({v.name for v in VARIANTS}) == len(VARIANTS) >= 14


def test_every_path_is_broken_in_every_property():
    rows = rows_of(DOCUMENT.read_text(encoding="utf-8").partition(BY_PATH)[2])
    assert len(rows) >= 17 and {len(row) for row in rows} == {7}
    names, used = {v.name for v in VARIANTS}, set()
    for path, *cells in rows:
        broken = {name for cell in cells if cell != "–" for name in cell.split("; ")}
        assert broken and not broken - names, (path, broken - names)
        used |= broken
    # Nobody adds a path's variant without saying which path and property it is of.
    assert {v.name for v in ACCEPTANCE} <= used
