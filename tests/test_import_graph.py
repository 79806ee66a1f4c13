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


@pytest.mark.one_in(6)
@pytest.mark.parametrize(
    "statement",
    [
        "import skfusiondp",
        "from skfusiondp import Numeric, PrivacyLedger, PrivacyReport, PrivacyLeakWarning",
        "from skfusiondp.accounting import *; calibrate_noise_multiplier(1.0, 1e-5, 0.1, 1)",
        "from skfusiondp import accounting, datasets, exceptions",
        "from skfusiondp.audit import *; epsilon_lower_bound(10, 10, 10)",
        "from skfusiondp.preprocessing import TableEncoder",
    ],
)
def test_light_imports_stay_light(statement):
    loaded = loaded_by(statement)
    assert "skfusiondp" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.slow
def test_the_light_import_test_would_notice():
    assert "torch" in loaded_by("from skfusiondp import nets")


def test_the_search_finds_relative_and_nested_imports():
    assert "skfusiondp.privacy" in imports(Path("training/_per_row_engine.py"))
    assert "skfusiondp.exceptions" in imports(Path("privacy/_plan.py"))
    assert "skfusiondp.training._net" in imports(Path("estimators/fusion/_prepared_net.py"))
    assert "torch" in imports(Path("estimators/fusion/_fusion_base.py"))
    assert "torch" not in imports(Path("estimators/fusion/_fusion_base.py"), top_level_only=True)


def under(folder):
    found = [f for f in FILES if str(f).startswith(folder + "/")]
    assert found
    return found


# The layers, lowest first: a layer imports those before it in its own line of this table, and no others.
LAYERS = {
    "exceptions": (),
    "_keywords": ("exceptions",),
    "_parameters": ("exceptions",),
    "_random_state": ("exceptions", "_parameters"),
    "_forked": ("exceptions",),
    "_display": (),
    "_html": (),
    "_copies": (),
    "_contents": (),
    "privacy": ("exceptions", "_keywords", "_parameters"),
    "tables": ("exceptions", "_keywords", "_parameters", "_display"),
    "_shared_docs": (),
    "_privacy_parameters": ("_parameters", "_random_state", "privacy"),
    "_refit": ("exceptions", "_forked", "privacy"),
    "accounting": ("exceptions", "_parameters", "_copies", "_html", "privacy", "tables"),
    "impute": (
        "exceptions", "_keywords", "_parameters", "_random_state", "_display", "_copies", "_contents",
        "_forked", "_html", "_refit", "tables", "accounting"
    ),
    "_spender": (
        "exceptions", "_keywords", "_parameters", "_random_state", "_display", "_refit", "privacy", "tables",
        "accounting"
    ),
    "preprocessing": (
        "exceptions", "_parameters", "_privacy_parameters", "_random_state", "_refit", "_shared_docs",
        "_spender", "privacy", "tables", "accounting"
    ),
    "training": ("exceptions", "_forked", "_parameters", "_random_state", "privacy", "tables", "impute"),
    "nets": ("exceptions", "tables"),
}  # fmt: skip


def layers_of(file):
    """Our own layers that a file imports, other than its own."""
    own = {f.split(".")[1] for f in imports(file) if f.startswith("skfusiondp.")}
    return own - {file.parts[0].removesuffix(".py")} - {"skfusiondp"}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_those_below_it(layer):
    files = [f for f in FILES if f.parts[0].removesuffix(".py") == layer]
    assert files
    wrong = {str(f): sorted(layers_of(f) - set(LAYERS[layer])) for f in files}
    assert not {f: names for f, names in wrong.items() if names}


@pytest.mark.parametrize(
    "file", [f for f in FILES if f.parts[0] not in ("estimators", "__init__.py", "__main__.py")], ids=str
)
def test_nothing_imports_estimators(file):
    assert "estimators" not in layers_of(file)


@pytest.mark.parametrize("file", under("estimators/joint"), ids=str)
def test_the_joint_model_imports_no_estimator(file):
    others = ("offset", "fusion", "synthesis")
    assert not reaches(imports(file), *(f"skfusiondp.estimators.{name}" for name in others))


@pytest.mark.parametrize("file", under("privacy"), ids=str)
def test_the_mechanism_knows_neither_sklearn_nor_skorch(file):
    assert not reaches(imports(file), "sklearn", "skorch")


@pytest.mark.parametrize(
    "file", [*under("accounting"), *under("tables"), *under("privacy"), *under("preprocessing")], ids=str
)
def test_accounting_and_tables_never_import_torch(file):
    assert not reaches(imports(file, top_level_only=True), *HEAVY)


@pytest.mark.parametrize("file", [f for f in under("audit") if f.name != "_dirac.py"], ids=str)
def test_audit_statistics_never_import_torch(file):
    # Only the white-box canaries, which are a torch module, do; they are loaded when they are asked for.
    assert not reaches(imports(file, top_level_only=file.name == "_white_box.py"), *HEAVY)


@pytest.mark.parametrize("file", under("nets"), ids=str)
def test_modules_know_no_tables(file):
    assert not reaches(imports(file), "sklearn", "skorch", "pandas")


@pytest.mark.parametrize("file", under("accounting"), ids=str)
def test_the_pipeline_check_knows_other_libraries_by_name_only(file):
    assert not reaches(imports(file), "sklearn", "skorch", "imblearn")


@pytest.mark.parametrize("file", under("estimators/offset"), ids=str)
def test_the_offset_estimators_need_no_network(file):
    assert not reaches(imports(file), *HEAVY)


def module_of(file):
    """A file's dotted name; that of a package for its ``__init__.py``."""
    parts = file.with_suffix("").parts
    return ".".join(["skfusiondp", *(parts[:-1] if parts[-1] == "__init__" else parts)])


def cycles(graph):
    """What a node reaches that reaches it again, itself included, for every node of a cycle."""
    reached = {node: set(ahead) for node, ahead in graph.items()}
    for middle in graph:
        for ahead in reached.values():
            if middle in ahead:
                ahead |= reached[middle]
    return {
        node: sorted(n for n in ahead if node in reached[n])
        for node, ahead in reached.items()
        if node in ahead
    }


def test_the_search_for_cycles_finds_one():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == {"b": ["b", "c"], "c": ["b", "c"]}


def test_no_module_imports_itself_through_others():
    modules = {module_of(f): f for f in FILES}
    assert not cycles({m: (imports(f) & set(modules)) - {m} for m, f in modules.items()})


def test_no_layer_imports_itself_through_others():
    layers = {f.parts[0].removesuffix(".py") for f in FILES} - {"__init__"}
    files = {layer: [f for f in FILES if f.parts[0].removesuffix(".py") == layer] for layer in layers}
    assert not cycles({layer: set().union(*map(layers_of, own)) & layers for layer, own in files.items()})


def test_the_package_lists_each_public_name_once_and_no_others():
    listed = [name for name in dir(skfusiondp) if not name.startswith("_")]
    assert sorted(listed) == sorted(skfusiondp.__all__)
