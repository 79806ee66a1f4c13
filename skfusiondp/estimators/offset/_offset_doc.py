"""The documentation that the offset estimators share, written once."""

from __future__ import annotations

_PARAMETERS = """
sensitive : None, mapping or column selector, default=None
    Which columns are sensitive. None protects every column. A mapping declares public domains,
    ``{"age": Numeric(18, 90), "sex": Categorical(["f", "m"])}``; anything else is what
    ColumnTransformer takes as columns. Undeclared domains come from the support rows. The smallest
    ``epsilon`` that a domain states is that of all columns, for every release reads all of them.
public_model : estimator or None, default=None
    Fitted on a frame of the public columns and the target, fold by fold. None is gradient boosting.
support : table of shape (n_support, at least n_columns) or None, default=None
    Public rows with true sensitive cells: of other people, or of people who agreed to publish them, none
    of them a training row. Training rows that are found among them are a leak. None: the imputer's.
support_target : array-like of shape (n_support,) or None, default=None
    Their labels, public too. Then these rows also train the public model, and give the correction its
    trees, its start and its curvature.
imputer : FoundationImputer or None, default=None
    Fills sensitive columns that are absent when predicting. One without support takes `support`.
epsilon : float or None, default=None
    Budget, met by calibrating the noise. None means 1.0, unless `noise_multiplier` is given.
noise_multiplier : float or None, default=None
    Noise standard deviation over half the sensitivity ("replace") or over `max_grad_norm`
    ("zero-out"), in place of `epsilon`.
delta : float or None, default=None
    None means 1 / (10 n_rows).
adjacency : {"replace", "zero-out"}, default="replace"
    Neighbouring relation: one row's sensitive cells change to any other values, or are erased, so that
    the row adds nothing. A missing cell is a value, and not erased.
groups : str or None, default=None
    Public column of X that says whose row it is, where a person (or any other unit) has several. It is
    left out of training, and may be absent afterwards. `epsilon` is then that of a unit: all of its
    sensitive cells may change at once. Or give ``fit(X, y, groups=array)``.
max_rows_per_unit : int or None, default=None
    Rows of a unit that the correction reads: its first ones. The others train the public model only. None
    reads all, and pays for as many as the largest unit has.
max_grad_norm : {clip}
    Bound C of a row's gradient, from 1e-19 to 1e19.{none}
steps : int or None, default=None
    Full-batch releases. None means one Newton step with labelled support rows, else 80.
on_leak : {"warn", "raise", "ignore"}, default="warn"
    What happens where something would read sensitive cells without paying.
budget : PrivacyBudget, path of its file or None, default=None
    Budget that this fit shares with others. A fit that would overdraw it is refused before it reads a
    sensitive cell.
verbose : int, default=0
    1 prints the stages of a fit, 2 each private release too.
random_state : int, RandomState, Generator or None, default=None
    Makes a fit repeatable, noise included; the report says that this voids the promise against
    whoever knows it. None takes noise from the operating system's entropy.
"""

_ATTRIBUTES = """
epsilon_ : float
    Epsilon of everything in `ledger_` under `adjacency`, at `delta_`.
delta_ : float
    The delta that `epsilon_` goes with.
ledger_ : PrivacyLedger
    Every mechanism that read sensitive cells, over all fits of this object. A fit that began its releases
    has paid for all that it planned, also if it failed or was interrupted; then the rest is as it was.
plan_ : PrivatePlan or None
    Noise, steps and relation; its clipping norm is half the sensitivity under "replace". None if nothing is
    sensitive.
schema_ : SensitiveSchema
    Columns and the domains of the sensitive ones.
public_models_ : list of estimator
    The public model, fitted on each fold's rows; empty if there is no public column.
imputer_ : FoundationImputer or None
    The fitted imputer.
coef_ : ndarray of shape (n_features, n_outputs) or None
    Values of the correction: the released sums after post-processing.
unit_ : str
    What says whose row it is; empty where each row is a unit.
rows_per_unit_ : int
    The most rows of one unit that the correction read: whose epsilon `epsilon_` is.
n_rows_ : int
    Number of training rows.
n_features_in_ : int
    Number of columns seen in ``fit``.
feature_names_in_ : ndarray of shape (n_columns,)
    Names of the columns seen in ``fit``, if they have any.
"""

_NOTES = """
The released model is (epsilon, delta)-indistinguishable between training tables that differ in the
sensitive cells of one row; public columns, labels, weights and the number of rows are known to the
adversary (feature-level DP, arXiv 2506.19836). Sensitive training cells enter sums of clipped
row gradients, released with Gaussian noise over the full batch, and nothing else. docs/offset.md has the
method and the proof.
"""


def with_parameters(cls: type) -> type:
    """Fill the shared parts into a class's docstring."""
    import inspect

    clip = inspect.signature(cls).parameters["max_grad_norm"].default
    kind = f"float, default={clip!r}" if clip is not None else "float or None, default=None"
    none = "" if clip is not None else " None means 0.2 with labelled support rows, else 1.0."
    doc = cls.__doc__ or ""
    for name, text in (
        ("parameters", _PARAMETERS.replace("{clip}", kind).replace("{none}", none)),
        ("attributes", _ATTRIBUTES),
        ("notes", _NOTES),
    ):
        lines = [f"    {line}" if line else "" for line in text.strip().splitlines()]
        doc = doc.replace(f"    {{{name}}}", "\n".join(lines))
    cls.__doc__ = doc
    return cls
