"""The documentation that synthesizer and synthesized models share, written once."""

from __future__ import annotations

from ..._shared_docs import documented

_OWN = """
sensitive : dict of str to domain, list of str or column selector, default=None (every column)
    Which columns are sensitive. A dict declares public domains, ``{"age": Numeric(18, 90), "sex":
    Categorical(["f", "m"])}``; anything else is what ColumnTransformer takes as columns. Undeclared
    domains come from the support rows. The smallest ``epsilon`` that a domain states is that of all columns.
support : table, default=None (none)
    Public rows with true sensitive cells, none of them a training row: they show where columns are to be cut,
    which is counted under the budget without them. Training rows that are found among them are a leak.
estimator : scikit-learn estimator, default=None (gradient boosting of 150 trees)
    What is trained on the drawn tables: on a frame, with the columns of `X` in their order; where it cannot
    read that (texts, gaps, dates), on an array of numbers that stand for them. A search is an estimator too:
    a row's draws follow one another, so that folds without shuffling keep them together.
noise_multiplier : float, default=None (what meets `epsilon`)
    Noise standard deviation over half the sensitivity ("replace") or over the largest contribution of a row
    ("zero-out"), of each of the plan's 12 releases; in place of `epsilon`.
"""

_OTHER_PARAMETERS = """
{noise_multiplier}
{adjacency}
{groups}
{max_rows_per_unit}
{budget}
{on_leak}
{random_state}
"""

_ATTRIBUTES = """
{epsilon_}
{delta_}
{ledger_}
plan_ : PrivatePlan or None
    Noise, steps and relation. None if nothing is sensitive.
sums_released_ : int
    Noised sums among which the plan's steps were shared out.
{schema_}
{unit_}
{rows_per_unit_}
{n_rows_}
{n_features_in_}
{feature_names_in_}
"""

_NOTES = """
What is released is (epsilon, delta)-indistinguishable between training tables that differ in the sensitive
cells of one row; public columns, labels and the number of rows are known to the adversary (feature-level DP,
arXiv 2506.19836). Sensitive training cells enter sums over rows that are released with Gaussian noise, and
nothing else; the model and all draws are post-processing. docs/synthesizer.md has the method and the proof.
"""

with_synthesis_docs = documented(
    _OWN, other_parameters=_OTHER_PARAMETERS, attributes=_ATTRIBUTES, notes=_NOTES
)
