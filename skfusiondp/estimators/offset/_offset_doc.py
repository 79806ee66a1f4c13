"""The documentation that the offset estimators share, written once."""

from __future__ import annotations

from ..._shared_docs import documented

_PARAMETERS = """
sensitive : dict of str to domain, list of str or column selector, default=None (every column)
    Which columns are sensitive. A dict declares public domains, ``{"age": Numeric(18, 90), "sex":
    Categorical(["f", "m"])}``; anything else is what ColumnTransformer takes as columns. Undeclared
    domains come from the support rows. The smallest ``epsilon`` that a domain states is that of all columns,
    for every release reads all of them.
{epsilon}
{delta}
{support}
support_target : array-like of shape (n_support,), default=None (the labels are not known)
    Labels of the support rows, public too. Then these rows also train the public model, and give the
    correction its trees, its start and its curvature.
imputer : FoundationImputer, default=None (none; a frame to predict must have the sensitive columns)
    Fills sensitive columns that are absent when predicting. One without support takes `support`.
public_model : scikit-learn estimator, default=None (gradient boosting of 100 trees)
    Fitted on a frame of the public columns and the target, fold by fold; where it cannot read them (texts,
    gaps, dates), on an array of numbers that stand for them.
"""

_OWN = """
noise_multiplier : float, default=None (what meets `epsilon`)
    Noise standard deviation over half the sensitivity ("replace") or over `max_grad_norm`
    ("zero-out"), in place of `epsilon`.
"""

_OTHER_PARAMETERS = """
steps : int, default=None (1 with labelled support rows, else 3)
    Full-batch releases. With labelled support rows all are gradients. Without, a third of them are, rounded
    down, but one of two and none of one; the others are spent on sums that a joint model of the sensitive
    columns is made of.
{noise_multiplier}
{adjacency}
{groups}
{max_rows_per_unit}
{budget}
{on_leak}
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
    Values of the correction: the released sums after post-processing. All are 0 where these show nothing
    beyond their noise, unless they take off what a joint model has taught and true rows do not bear out.
    The report says so if no joint model shows anything either.
{unit_}
{rows_per_unit_}
{n_rows_}
{n_features_in_}
{feature_names_in_}
"""

_NOTES = """
The released model is (epsilon, delta)-indistinguishable between training tables that differ in the
sensitive cells of one row; public columns, labels, weights and the number of rows are known to the
adversary (feature-level DP, arXiv 2506.19836). Sensitive training cells enter sums over rows, of clipped
gradients and of a joint model, released with Gaussian noise over the full batch, and nothing else. Without
labelled support rows domains may be many times too wide: columns are cut where a noised count or support
rows show that cells lie. docs/offset.md has the method and the proof.
"""


with_parameters = documented(
    _OWN, parameters=_PARAMETERS, other_parameters=_OTHER_PARAMETERS, attributes=_ATTRIBUTES, notes=_NOTES
)
