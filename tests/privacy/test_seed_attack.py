"""Seeds that can be tried are found, by a search that finds none in a fit as the library makes it."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "examples" / "benchmarks" / "seed_attack.py"


@pytest.fixture(scope="module")
def attack():
    spec = importlib.util.spec_from_file_location("seed_attack", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_search_computes_what_torch_draws(attack):
    seeds = np.array([0, 1, 77, 2**24 - 1, 2**32 - 1], dtype=np.uint64)
    for position in (3, 10, 19, 31):
        pair, which = attack._pair(position)
        ((first, second),) = attack.twister_normals(seeds, [pair])
        drawn = [torch.empty(64).normal_(generator=torch.Generator().manual_seed(int(s))) for s in seeds]
        expected = [float(d[position]) for d in drawn]
        assert (second if which else first) == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_a_seed_of_few_bits_is_found_and_none_in_a_fit_as_it_is(attack, monkeypatch, tmp_path, capsys):
    out = tmp_path / "seed_attack.json"
    arguments = ["--bits", "12", "--few", "16", "--threads", "1", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    with torch.random.fork_rng():
        attack.main()
    found = json.loads(out.read_text())
    assert found["broken"]["found"] == found["broken"]["planted"]
    assert found["broken"]["unexplained_noise"] < 1e-5
    assert found["library"]["found"] is None
    assert not any(row["found"] for row in found["usual_seeds"])
    assert "nothing" in capsys.readouterr().out
