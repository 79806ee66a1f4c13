"""The default module: what its deep part may make of sensitive features, and what is private of it."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from skfusiondp import FoundationImputer, FusionDPClassifier, Numeric
from skfusiondp.nets import MLP, WideAndDeep
from skfusiondp.training import check_module

WHOLE_MODELS = True

SENSITIVE = [False, True, False, True]
MEANS = [9.0, 0.25, 9.0, 0.75]


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = WideAndDeep(4, 2, (6,), 0.0, sensitive_features=SENSITIVE, feature_means=MEANS)
    # As after training: nothing is 0 any more.
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_()
    return net


def test_outputs_are_the_formula_of_the_docstring(net):
    x = torch.randn(5, 4)
    p = x * torch.tensor([1.0, 0.0, 1.0, 0.0])
    base, change = net.deep(p), net.deep(x) - net.deep(p)
    s = x[:, [1, 3]] - torch.tensor([0.25, 0.75])
    wanted = base + torch.cat([change, s], 1) / 2 @ net.head.wide.weight.T + net.head.wide.bias
    torch.testing.assert_close(net.eval()(x), wanted)


@pytest.mark.slow
def test_features_are_centred_by_the_hybrid_view():
    """By what anybody may know: other true cells, the same means."""
    rng = np.random.default_rng(0)
    table, y = pd.DataFrame({"a": rng.normal(size=80), "s": rng.uniform(size=80)}), rng.integers(2, size=80)
    support, sensitive = table[:30], {"s": Numeric(0, 1)}
    centres = {}
    for method in ("fusiondp", "hybrid", "feature-dp", "dp-sgd"):
        for cells in (0.0, 1.0):
            model = FusionDPClassifier(
                sensitive,
                method=method,
                module=WideAndDeep,
                imputer=FoundationImputer(support=support, random_state=0),
                steps=1,
                random_state=0,
            ).fit(table.assign(s=cells), y)
            centres[method, cells] = model.net_.module_.centre
        assert torch.equal(centres[method, 0.0], centres[method, 1.0])
    guessed = FoundationImputer(sensitive, support=support, random_state=0, output="paired")
    pair = guessed.fit_transform(table)
    model = FusionDPClassifier(method="hybrid", module=WideAndDeep, steps=1).fit(pair, y)
    wanted = model.encoder_._encode(pair.hybrid, pair.expected)[:, model.encoder_.sensitive_features_]
    np.testing.assert_allclose(model.net_.module_.centre, wanted.mean(axis=0), atol=1e-6)
    assert centres["fusiondp", 0.0].any() and centres["hybrid", 0.0].any()
    assert not centres["feature-dp", 0.0].any() and not centres["dp-sgd", 0.0].any()


def test_a_new_module_knows_the_public_features_alone():
    net = WideAndDeep(4, sensitive_features=SENSITIVE)
    x = torch.randn(5, 4)
    changed = x + torch.tensor([0.0, 3.0, 0.0, -3.0])
    for each in (net.train(False), net.train(True)):
        torch.manual_seed(0)
        first = each(x)
        torch.manual_seed(0)
        torch.testing.assert_close(first, each(changed))


def test_half_of_the_rows_in_training_are_shown_without_their_sensitive_features(net):
    x = torch.randn(1, 4).expand(2000, 4)
    outputs = net.train().represent(x)[:, :2]
    with_, without = net.deep(x[:1]), net.deep(x[:1] * torch.tensor([1.0, 0.0, 1.0, 0.0]))
    shown = (outputs - with_).abs().amax(1) < 1e-4
    hidden = (outputs - without).abs().amax(1) < 1e-4
    assert (shown ^ hidden).all() and 0.45 < shown.float().mean() < 0.55


def test_the_views_of_a_row_share_whether_it_is_shown(net):
    check_module(net, torch.randn(64, 4), 2)


def test_sensitive_features_reach_the_private_parameters_alone(net):
    x = torch.randn(5, 4)
    one, other = net.eval().represent(x), net.represent(x + torch.tensor([0.0, 1.0, 0.0, 1.0]))
    assert torch.equal(one[:, :2], other[:, :2])
    assert {n for n, _ in net.named_parameters() if n.startswith("head.")} == {
        "head.wide.weight",
        "head.wide.bias",
    }


@pytest.mark.parametrize("hidden", [(), (3, 3)])
def test_any_number_of_hidden_layers_and_of_sensitive_features(hidden):
    for which in (None, [False] * 4, [True] * 4):
        net = WideAndDeep(4, hidden=hidden, sensitive_features=which)
        assert isinstance(net.deep, MLP) and net(torch.randn(2, 4)).shape == (2, 1)


@pytest.mark.slow
def test_a_sensitive_column_that_adds_nothing_takes_nothing_away():
    """Its imputed values are a function of public columns: what the deep part makes of them is arbitrary."""

    def made(n, seed):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("abc"))
        score = table.to_numpy() @ [1.5, 1.0, 0.5] + rng.logistic(size=n)
        return table.assign(s=np.clip(0.6 * table["a"] + rng.normal(size=n), -4, 4)), score > 0

    (table, y), (test, y_test), (support, _) = made(6000, 1), made(6000, 2), made(500, 3)
    aurocs = {}
    for method in ("fusiondp", "hybrid"):
        imputer = FoundationImputer(support=support)
        model = FusionDPClassifier({"s": Numeric(-4, 4)}, method=method, imputer=imputer, random_state=0)
        aurocs[method] = roc_auc_score(y_test, model.fit(table, y).predict_proba(test)[:, 1])
    assert aurocs["fusiondp"] > aurocs["hybrid"] - 0.005
