"""scikit-learn's own checks of the transformer."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skfusiondp.impute import FoundationImputer

pytestmark = pytest.mark.filterwarnings("ignore:No support rows:UserWarning")


@parametrize_with_checks([FoundationImputer()])
def test_sklearn_checks(estimator, check):
    check(estimator)
