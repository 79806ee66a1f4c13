"""Fits and predictions do not depend on the modes of torch and numpy that the caller has switched on."""

import contextlib

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from skfusiondp import Categorical, FusionDPClassifier, Numeric
from skfusiondp._refit import all_or_nothing
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.preprocessing import TableEncoder

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")

N = 60
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {"lab": RNG.normal(size=N), "age": RNG.uniform(20, 80, N), "sex": RNG.choice(["f", "m"], N)}
)
TARGET = np.arange(N) % 2
SENSITIVE = {"age": Numeric(18, 90), "sex": Categorical(["f", "m"])}


@contextlib.contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


MODES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "device meta": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default float64": lambda: default_dtype(torch.float64),
    "default bfloat16": lambda: default_dtype(torch.bfloat16),
    "deterministic": deterministic,
    "numpy raises": lambda: np.errstate(all="raise"),
}


class OfTheUser(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.body, self.head = nn.Linear(n_features, 4), nn.Linear(4, n_outputs)

    def forward(self, x):
        return self.head(torch.cat([self.body(x)[:, :2], torch.tanh(self.body(x)[:, 2:])], 1))


def probabilities(module):
    model = FusionDPClassifier(
        SENSITIVE, noise_multiplier=1.0, steps=2, public_epochs=1, module=module, random_state=0
    )
    return model.fit(TABLE, TARGET).predict_proba(TABLE)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("module", [None, OfTheUser])
@pytest.mark.parametrize("mode", MODES)
def test_the_model_is_the_same(mode, module):
    wanted = probabilities(module)
    with MODES[mode]():
        got = probabilities(module)
        inside = torch.is_grad_enabled(), torch.get_default_device(), torch.get_default_dtype()
    with MODES[mode]():
        assert inside == (torch.is_grad_enabled(), torch.get_default_device(), torch.get_default_dtype())
    # Weights of a layer are drawn in torch's default type, so that only their size is the same.
    np.testing.assert_allclose(got, wanted, atol=0.2 if mode.startswith("default") else 1e-6)


@pytest.mark.parametrize("mode", ["raise", "warn"])
def test_numpy_tells_nothing_of_the_numbers_in_a_fit(mode, recwarn):
    class Divides:
        @all_or_nothing
        def fit(self, cells):
            return 1.0 / cells

    with np.errstate(all=mode):
        assert np.isinf(Divides().fit(np.zeros(2))).all()
    assert not len(recwarn)


def test_a_double_precision_module_of_the_users_own_is_trained_in_single_precision():
    module = OfTheUser(len(TableEncoder(SENSITIVE).fit(TABLE).get_feature_names_out()), 1).double()
    assert np.isfinite(probabilities(module)).all()
    assert module.head.weight.dtype == torch.float64


def test_anomaly_detection_is_refused_where_a_sensitive_cell_could_cause_its_error():
    model = FusionDPClassifier(SENSITIVE, noise_multiplier=1.0, steps=2, public_epochs=1)
    with torch.autograd.set_detect_anomaly(True), pytest.raises(InvalidInputError, match="anomaly detection"):
        model.fit(TABLE, TARGET)
    assert not hasattr(model, "ledger_")
    with torch.autograd.set_detect_anomaly(True):
        model.set_params(method="hybrid", noise_multiplier=None, on_leak="ignore").fit(TABLE, TARGET)
