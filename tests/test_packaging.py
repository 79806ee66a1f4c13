"""What a built package holds, and what its page on a package index shows."""

import re
import subprocess
import sys
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

pytest.importorskip("hatch_fancy_pypi_readme")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with ZipFile(next(folder.glob("*.whl"))) as built:
        yield built


def metadata(wheel):
    name = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def test_it_holds_the_code_the_table_its_types_and_each_licence_once(wheel):
    names = wheel.namelist()
    assert {"skfusiondp/py.typed", "skfusiondp/__main__.py", "skfusiondp/datasets/data/adult.csv.gz"} <= {
        *names
    }
    assert sorted(Path(n).name for n in names if "LICENSE" in n) == ["LICENSE", "LICENSE-adult.txt"]
    assert not [n for n in names if n.startswith("tests") or n.endswith(".pyc")]
    code = {str(p.relative_to(ROOT)) for p in (ROOT / "skfusiondp").rglob("*.py")}
    assert code <= {*names}


def test_its_page_has_no_link_to_a_file_that_the_index_does_not_have(wheel):
    page = metadata(wheel).get_payload()
    links = re.findall(r"\]\(([^)]*)\)", page)
    assert links and all(link.startswith("https://") for link in links)
    for document in (ROOT / "docs").glob("*.md"):
        assert f"`docs/{document.name}`" in page, document
    assert "The licence" not in page and page.count("BSD-3-Clause") == 1


def test_it_states_licences_and_addresses(wheel):
    stated = metadata(wheel)
    assert stated["License-Expression"] == "BSD-3-Clause AND CC-BY-4.0"
    assert any("arxiv.org" in url for url in stated.get_all("Project-URL"))
    assert stated["Description-Content-Type"].startswith("text/markdown")


def test_it_is_small_and_holds_the_weights_with_their_card(wheel):
    assert sum(i.compress_size for i in wheel.infolist()) < 20e6
    held = {Path(n).name for n in wheel.namelist() if "/pretrained/" in n and not n.endswith(".py")}
    assert held == {"kernel_network.safetensors", "MODEL_CARD.md"}
