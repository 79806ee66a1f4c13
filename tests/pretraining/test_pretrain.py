"""The pre-training that made the weights: it repeats, it goes on where it stopped, its tables are sound."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

FOLDER = Path(__file__).parents[2] / "examples/pretraining"
sys.path.insert(0, str(FOLDER))

import pretrain  # noqa: E402
import prior  # noqa: E402


@pytest.mark.parametrize("n_classes", [0, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_tables_are_sound(n_classes, seed):
    pretrain.seeded(seed)
    features, labels = prior.batch(3, 90, 5, n_classes)
    assert features.shape[:2] == (3, 90) and features.shape[2] >= 5
    assert labels.shape == (3, 90, prior.N_LABELS)
    assert torch.isfinite(features).all() and torch.isfinite(labels.float()).all()
    if n_classes:
        assert labels.min() >= 0 and labels.max() < n_classes
    pretrain.seeded(seed)
    assert torch.equal(prior.batch(3, 90, 5, n_classes)[0], features)


def test_labels_of_a_row_are_draws_of_one_distribution():
    """The mean over a row's draws varies more from row to row than draws of no signal would."""
    pretrain.seeded(1)
    y = torch.randn(1, 4000)
    drawn = prior._mixed(y, torch.tensor([[0.5]]))
    assert abs(float(torch.corrcoef(torch.stack([drawn[0, :, 0], drawn[0, :, 1]]))[0, 1]) - 0.5) < 0.1
    assert abs(float(drawn.var()) - 1.0) < 0.2


def run(out, *more):
    command = [
        sys.executable,
        str(FOLDER / "pretrain.py"),
        "--steps",
        "4",
        "--every",
        "2",
        "--out",
        str(out),
        *more,
    ]
    subprocess.run(command, check=True, capture_output=True)
    return load_file(out), json.loads(out.with_suffix(".curve.json").read_text())


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    whole, curve = run(tmp_path / "whole.safetensors")
    run(tmp_path / "parts.safetensors", "--stop", "2")
    parts, again = run(tmp_path / "parts.safetensors")
    assert again == curve and [point["step"] for point in curve] == [0, 2, 4]
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_the_curve_is_that_of_the_weights():
    from skfusiondp.impute.pretrained._weights import FILE

    curve = json.loads((FOLDER / "kernel_network.curve.json").read_text())
    rises = [curve[-1][k] - curve[0][k] for k in curve[0] if k.endswith("rows")]
    assert len(rises) == 4 and min(rises) > 0
    assert load_file(FILE)
