"""The documentation that the offset estimators share, written once."""

from __future__ import annotations

from ..._shared_docs import documented

_PARAMETERS = """
sensitive : None, mapping or column selector, default=None
    Which columns are sensitive. None protects every column. A mapping declares public domains,
    ``{"age": Numeric(18, 90), "sex": Categorical(["f", "m"])}``; anything else is what
    ColumnTransformer takes as columns. Undeclared domains come from the support rows. The smallest
    ``epsilon`` that a domain states is that of all columns, for every release reads all of them.
public_model : estimator or None, default=None
    Fitted on a frame of the public columns and the target, fold by fold. None is gradient boosting.
{support}
support_target : array-like of shape (n_support,) or None, default=None
    Their labels, public too. Then these rows also train the public model, and give the correction its
    trees, its start and its curvature.
imputer : FoundationImputer or None, default=None
    Fills sensitive columns that are absent when predicting. One without support takes `support`.
{epsilon}
noise_multiplier : float or None, default=None
    Noise standard deviation over half the sensitivity ("replace") or over `max_grad_norm`
    ("zero-out"), in place of `epsilon`.
{delta}
{adjacency}
{groups}
{max_rows_per_unit}
steps : int or None, default=None
    Full-batch releases. None means one Newton step with labelled support rows, else 80.
{on_leak}
{budget}
verbose : int, default=0
    1 prints the stages of a fit, 2 each private release too.
{random_state}
"""

_ATTRIBUTES = """
{epsilon_}
{delta_}
{ledger_}
plan_ : PrivatePlan or None
    Noise, steps and relation; its clipping norm is half the sensitivity under "replace". None if nothing is
    sensitive.
{schema_}
public_models_ : list of estimator
    The public model, fitted on each fold's rows; empty if there is no public column.
{imputer_}
coef_ : ndarray of shape (n_features, n_outputs) or None
    Values of the correction: the released sums after post-processing.
{unit_}
{rows_per_unit_}
{n_rows_}
{n_features_in_}
{feature_names_in_}
"""

_NOTES = """
The released model is (epsilon, delta)-indistinguishable between training tables that differ in the
sensitive cells of one row; public columns, labels, weights and the number of rows are known to the
adversary (feature-level DP, arXiv 2506.19836). Sensitive training cells enter sums of clipped
row gradients, released with Gaussian noise over the full batch, and nothing else. docs/offset.md has the
method and the proof.
"""


with_parameters = documented(parameters=_PARAMETERS, attributes=_ATTRIBUTES, notes=_NOTES)
