"""Every way to break the guarantee that we know of is caught, and the sound library passes the same check."""

import importlib
import re
import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from variants import forget_computed_epsilons

# Every list VARIANTS… of every file variants….py, in the order of the files' names.
MODULES = [importlib.import_module(f.stem) for f in sorted(Path(__file__).parent.glob("variants*.py"))]
LISTS = [vars(m)[name] for m in MODULES for name in sorted(vars(m)) if name.startswith("VARIANTS")]
VARIANTS = [variant for some in LISTS for variant in some]

DOCUMENT = Path(__file__).parents[2] / "docs" / "broken_variants.md"
each = pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)


def run(check):
    with pytest.MonkeyPatch.context() as own, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(own)


@each
def test_the_sound_library_passes(variant):
    run(variant.check)


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


def test_the_document_has_the_same_table():
    rows = re.findall(r"^\| (.+?) \| .+? \| (.+?) \|$", DOCUMENT.read_text(encoding="utf-8"), re.M)
    rows = [(name, caught.replace("`", "")) for name, caught in rows if name != "variant" and name[0] != "-"]
    assert rows == [(v.name, v.caught_by) for v in VARIANTS]
    assert len({v.name for v in VARIANTS}) == len(VARIANTS) >= 14
