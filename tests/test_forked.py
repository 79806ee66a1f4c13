"""Processes that were forked from one with threads, and what a process leaves behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import skfusiondp

FORKED = """
import multiprocessing, sys, warnings
import numpy as np, pandas as pd, torch
from skfusiondp import FusionDPClassifier, Numeric, OffsetFusionClassifier
warnings.simplefilter("ignore")
torch.set_num_threads(2)
n = 3000
table = pd.DataFrame({"lab": np.linspace(-1, 1, n), "age": np.linspace(20, 80, n)})
target = np.arange(n) % 2
age = {"age": Numeric(0, 100)}
models = {
    "fusion": FusionDPClassifier(age, noise_multiplier=1.0, steps=2, public_epochs=1, random_state=0),
    "offset": OffsetFusionClassifier(age, noise_multiplier=9.0, random_state=0),
}
model = models[sys.argv[1]]
before = model.fit(table, target).predict_proba(table)

def again():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        predicted = model.predict_proba(table)
        assert any("one thread is used" in str(w.message) for w in caught)
    assert np.allclose(predicted, before, atol=1e-4)
    assert np.allclose(model.fit(table, target).predict_proba(table), before, atol=1e-3)

child = multiprocessing.get_context("fork").Process(target=again)
child.start()
child.join(100)
if child.is_alive():
    child.kill()
    sys.exit("the forked process hangs")
sys.exit(child.exitcode)
"""


def run(code, *arguments, **environment):
    root = str(Path(skfusiondp.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-X", "dev", "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": root, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process forks here")
@pytest.mark.parametrize("model", ["fusion", "offset"])
def test_a_forked_process_predicts_and_fits_in_one_thread(model):
    done = run(FORKED, model, OMP_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr


LEFT = """
import json, os, tempfile, warnings
import numpy as np, pandas as pd
from skfusiondp import FoundationImputer, FusionDPClassifier, Numeric, OffsetFusionClassifier, PrivacyBudget
warnings.filterwarnings("ignore", category=UserWarning)
n = 60
table = pd.DataFrame({"lab": np.linspace(-1, 1, n), "age": np.linspace(20, 80, n)})
target = np.arange(n) % 2
age, budget = {"age": Numeric(0, 100)}, PrivacyBudget(50.0, 1e-4)
fusion = FusionDPClassifier(age, noise_multiplier=2.0, steps=2, public_epochs=1, delta=1e-4)
fusion.set_params(budget=budget).fit(table, target).predict(table)
OffsetFusionClassifier(age, noise_multiplier=9.0, delta=1e-4, budget=budget).fit(table, target).predict(table)
table.to_parquet("table.parquet")
np.save("table.npy", table.to_numpy())
fusion.fit("table.parquet", target).predict("table.parquet")
fusion.set_params(sensitive={1: Numeric(0, 100)}).fit("table.npy", target)
FoundationImputer(age, support=table, on_leak="ignore").fit_transform(table)
pid = os.fork()
if not pid:
    raise SystemExit
os.waitpid(pid, 0)
print(json.dumps([os.path.exists(budget.path), len(budget.ledger)]))
"""


@pytest.mark.slow
def test_a_process_leaves_no_folder_and_no_open_file(tmp_path):
    pytest.importorskip("pyarrow")
    home = tmp_path / "temporary"
    home.mkdir()
    done = run(f"import os; os.chdir({str(tmp_path)!r})\n{LEFT}", TMPDIR=str(home))
    assert done.returncode == 0, done.stderr
    assert "ResourceWarning" not in done.stderr, done.stderr
    assert json.loads(done.stdout) == [True, 4]  # also after a forked process has ended
    assert not list(home.iterdir())
