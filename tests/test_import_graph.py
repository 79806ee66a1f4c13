"""Who imports whom: light imports stay light, and the layers point one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skfusiondp

ROOT = Path(skfusiondp.__file__).parent
FILES = sorted(p.relative_to(ROOT) for p in ROOT.rglob("*.py"))
HEAVY = ["torch", "transformers", "skorch", "sentence_transformers"]


def imports(file, top_level_only=False):
    """Absolute names of everything that a file imports, in functions too."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    package = ["skfusiondp", *file.parts[:-1]]
    found = set()
    for node in _nodes(tree, top_level_only):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found |= {origin} | {f"{origin}.{alias.name}" for alias in node.names}
    return found


def _nodes(tree, top_level_only):
    """Every node, but not what only a type checker or a called function executes."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if top_level_only and isinstance(node, ast.FunctionDef | ast.Lambda):
            continue
        yield node
        yield from _nodes(node, top_level_only)


def reaches(found, *names):
    return sorted(f for f in found if any(f == n or f.startswith(n + ".") for n in names))


def loaded_by(statement):
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import skfusiondp",
        "from skfusiondp import Numeric, PrivacyLedger, PrivacyReport, PrivacyLeakWarning",
        "from skfusiondp.accounting import *; calibrate_noise_multiplier(1.0, 1e-5, 0.1, 1)",
        "from skfusiondp import datasets, report",
        "from skfusiondp.audit import *; epsilon_lower_bound(10, 10, 10)",
        "from skfusiondp.preprocessing import TableEncoder",
    ],
)
def test_light_imports_stay_light(statement):
    loaded = loaded_by(statement)
    assert "skfusiondp" in loaded
    assert not loaded & set(HEAVY)


def test_the_light_import_test_would_notice():
    assert "torch" in loaded_by("from skfusiondp import nets")


def test_the_search_finds_relative_and_nested_imports():
    assert "skfusiondp.privacy" in imports(Path("nets/_engine.py"))
    assert "skfusiondp._exceptions" in imports(Path("privacy/_plan.py"))
    assert "skfusiondp._net" in imports(Path("estimators/_base.py"))
    assert "torch" in imports(Path("estimators/_base.py"))
    assert "torch" not in imports(Path("estimators/_base.py"), top_level_only=True)


def under(folder):
    return [f for f in FILES if f.parts[0] == folder]


@pytest.mark.parametrize("file", under("privacy"), ids=str)
def test_the_mechanism_knows_neither_sklearn_nor_skorch_nor_imputation(file):
    above = [f"skfusiondp.{n}" for n in ("impute", "estimators", "nets", "preprocessing", "report", "_net")]
    assert not reaches(imports(file), "sklearn", "skorch", *above)


@pytest.mark.parametrize(
    "file",
    [
        "accounting.py",
        "pipeline/_check.py",
        "pipeline/_flow.py",
        "pipeline/_report.py",
        "pipeline/_rules.py",
        "pipeline/_shapes.py",
        "pipeline/_walk.py",
        "privacy/__init__.py",
        "privacy/_accountant.py",
        "privacy/_clipping.py",
        "privacy/_ledger.py",
        "privacy/_plan.py",
        "privacy/_release.py",
        "privacy/_sampling.py",
        "privacy/_selection.py",
        "report.py",
        "_domains.py",
        "_schema.py",
        "_paired.py",
        "_tables.py",
    ],
)
def test_accounting_and_schema_never_import_torch(file):
    assert not reaches(imports(Path(file)), *HEAVY)


@pytest.mark.parametrize(
    "file", [f for f in FILES if f.parts[0] != "estimators" and f != Path("__init__.py")], ids=str
)
def test_nothing_imports_estimators(file):
    assert not reaches(imports(file), "skfusiondp.estimators")


@pytest.mark.parametrize("file", [f for f in under("audit") if f.name != "_dirac.py"], ids=str)
def test_audit_statistics_never_import_torch(file):
    # Only the white-box canaries, which are a torch module, do; they are loaded when they are asked for.
    assert not reaches(imports(file, top_level_only=file.name == "_white_box.py"), *HEAVY)


@pytest.mark.parametrize("file", under("nets"), ids=str)
def test_nets_know_neither_sklearn_nor_skorch_nor_tables(file):
    above = [
        f"skfusiondp.{n}"
        for n in ("impute", "preprocessing", "_net", "_domains", "_schema", "_paired", "_tables")
    ]
    assert not reaches(imports(file), "sklearn", "skorch", "pandas", *(f"skfusiondp.{n}" for n in above))


@pytest.mark.parametrize("file", under("impute") + under("preprocessing"), ids=str)
def test_imputers_and_encoders_know_no_training(file):
    # Transformers that pay for what they learn write a ledger and a report.
    pays = file.parts[0] == "preprocessing" and file.name != "_encoder.py"
    above = ["_net", "_batches", "nets", *([] if pays else ["privacy", "report"])]
    assert not reaches(imports(file), "skorch", *(f"skfusiondp.{n}" for n in above))


@pytest.mark.parametrize("file", under("preprocessing"), ids=str)
def test_preprocessing_never_imports_torch(file):
    assert not reaches(imports(file), *HEAVY)


@pytest.mark.parametrize("file", under("pipeline"), ids=str)
def test_the_pipeline_check_knows_other_libraries_by_name_only(file):
    assert not reaches(imports(file), "sklearn", "skorch", "imblearn", "skfusiondp.impute", "skfusiondp._net")


@pytest.mark.parametrize("file", under("offset"), ids=str)
def test_the_offset_estimators_need_no_network(file):
    assert not reaches(imports(file), *HEAVY, "skfusiondp.nets", "skfusiondp._net")
