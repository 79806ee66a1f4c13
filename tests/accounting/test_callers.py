"""Estimators that can see a pipeline check it themselves."""

import pytest
from corpus import SENSITIVE, columns, model, table, target, then
from sklearn.impute import SimpleImputer

from skfusiondp import PrivacyLeakError, PrivacyLeakWarning
from skfusiondp.model_selection import StackedGridSearchCV

SMALL = {"noise_multiplier": 2.0, "steps": 1, "public_epochs": 0, "module__hidden": (4,)}
GRID = {"s1__max_grad_norm": [1.0]}


def leaky(on_leak):
    imputer = columns(("x", SimpleImputer(), ["bmi"]))
    return then(imputer, model(SENSITIVE, on_leak=on_leak, **SMALL))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_stacked_search_refuses_a_leaky_pipeline_before_it_fits_anything():
    search = StackedGridSearchCV(leaky("raise"), GRID, cv=2)
    with pytest.raises(PrivacyLeakError, match="estimator__s0__x"):
        search.fit(table(), target())
    assert not hasattr(search, "ledger_")


@pytest.mark.filterwarnings("ignore::UserWarning", "always::skfusiondp.PrivacyLeakWarning")
def test_a_stacked_search_warns_of_a_leaky_pipeline():
    with pytest.warns(PrivacyLeakWarning, match="estimator__s0__x"):
        StackedGridSearchCV(leaky("warn"), GRID, cv=2).fit(table(), target())


@pytest.mark.filterwarnings("ignore::UserWarning", "error::skfusiondp.PrivacyLeakWarning")
def test_a_stacked_search_can_be_told_to_ignore_it():
    assert len(StackedGridSearchCV(leaky("ignore"), GRID, cv=2).fit(table(), target()).ledger_)
