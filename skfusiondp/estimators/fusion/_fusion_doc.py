"""The documentation that the FusionDP estimators share, written once."""

from __future__ import annotations

_PARAMETERS = """
sensitive : None, mapping or column selector, default=None
    Which columns are sensitive. None protects every column. A mapping declares public domains,
    ``{"age": Numeric(18, 90), "sex": Categorical(["f", "m"])}``; a domain may state the column's own
    ``epsilon=``. Anything else is what ColumnTransformer takes as columns. Undeclared domains come
    from the support rows.
support : table of shape (n_support, at least n_columns) or None, default=None
    Public rows with true sensitive cells: of other people, or of people who agreed to publish them, none
    of them a training row. Training rows that are found among them are a leak. None: the imputer's.
support_target : array-like of shape (n_support,) or None, default=None
    Their labels, public too: the public branch then trains on these rows as well, with their true
    sensitive values.
imputer : FoundationImputer or None, default=None
    Makes the hybrid view. One without its own `sensitive` or `support` takes this estimator's. None is
    ``FoundationImputer()`` on `support`; without support it imputes the centre of each domain.
method : {"fusiondp", "feature-dp", "dp-sgd", "hybrid", "non-private"}, default="fusiondp"
    The paper's method or one of its baselines: "feature-dp" masks the sensitive columns in place
    of imputing them; "dp-sgd" protects whole rows (relation add-remove); "hybrid" never uses a true
    sensitive value (epsilon 0); "non-private" protects nothing (epsilon infinite).
epsilon : float or None, default=None
    Budget, met by calibrating the noise. None means 1.0, unless `noise_multiplier` is given.
noise_multiplier : float or None, default=None
    Noise standard deviation over `max_grad_norm`, in place of `epsilon`.
delta : float or None, default=None
    None means 1 / (10 n_rows).
budget : PrivacyBudget, str or None, default=None
    What this fit and others may spend together, or the path of such a budget's file. A fit that
    would overdraw it is refused before it reads a sensitive cell.
adjacency : {"replace", "zero-out"}, default="replace"
    Neighbouring relation: one row's sensitive cells change to any other values, or are erased, so
    that both its views are the imputed one and it adds nothing. A missing cell is a value, and not
    erased. The same noise gives a larger epsilon under "replace".
groups : str or None, default=None
    Public column of X that says whose row it is, where a person (or any other unit) has several. It is
    left out of training, and may be absent afterwards. `epsilon` is then that of a unit: all of its
    sensitive cells may change at once. Or give ``fit(X, y, groups=array)``.
max_rows_per_unit : int or None, default=None
    Rows of a unit that the private branch reads: its first ones. The others train the free branch only.
    None reads all, and pays for as many as the largest unit has.
max_grad_norm : float, default=1.0
    Clipping norm C of a row's joint gradient.
clipping : {"flat", "per-layer", "automatic"}, default="flat"
    How a row's gradient is brought to norm at most C.
alpha : float, default=1.0
    Weight of the private gradient. 1 follows the loss of the true rows where clipping takes little, as
    it does for the default module; where it takes much, more may be better (the paper uses 3).
beta : float, default=0.0
    Weight of the representation-consistency penalty.
consistency_bound : float, default=1.0
    C_h, the norm to which representations are scaled down in that penalty.
averaging : float, default=0.99
    Decay of the exponential average of iterates that becomes the model; free, since it is
    post-processing. 0 keeps the last iterate, as the paper does.
batch_size : int or None, default=None
    Expected size of a private Poisson sample. None means n_rows / 32, at least 64.
epochs : int or None, default=None
    Passes of the private branch, in expectation. None means 20.
steps : int or None, default=None
    Private steps, in place of `epochs`.
public_batch_size : int or None, default=None
    Rows of the hybrid view a step. None means as many as `batch_size`.
public_epochs : int or None, default=None
    Free passes over the hybrid view before the first private step. None means 10, fewer (down
    to 5) below 4,000 rows: ``n_rows // 400``.
module : torch module class, instance or None, default=None
    None is ``nets.WideAndDeep``; for the method "dp-sgd", which has no use for one that tells sensitive
    features from public ones, ``nets.MLP`` with 256 units. A class is given ``n_features``, ``n_outputs``,
    ``sensitive_features`` (a mask) and ``feature_means`` (of what the public branch reads) if its constructor
    takes them. Layers that mix rows, such as batch norm, are refused.
optimizer : torch optimizer class or None, default=None
    None is Adam.
lr : float or None, default=None
    Learning rate of private steps. None means 0.02 where they train the module's head alone, as by
    default, and 0.01 where they train all of it.
public_lr : float, default=0.002
    Learning rate of training that is not private: of the methods "hybrid" and "non-private", and of the
    public epochs before a private head.
private_parameters : sequence of str or None, default=None
    Names or patterns of the parameters that the private gradient moves. If all belong to the module's
    head, everything else is trained in the public epochs alone. None takes the module's own
    ``private_parameters``, for the default module ``["head.wide.*"]``; ``["*"]`` means all, as in the
    paper.
micro_batch_size : int or None, default=None
    Rows of a branch differentiated at once: bounds memory, changes nothing else. None means 4,096.
callbacks : list or None, default=None
    skorch callbacks. They see the hybrid view only.
device : str, default="cpu"
    Torch device.
on_leak : {"warn", "raise", "ignore"}, default="warn"
    What happens where something would read sensitive cells without paying.
verbose : int, default=0
    1 prints skorch's table of epochs.
random_state : int, RandomState, Generator or None, default=None
    Makes a fit repeatable, noise included; the report says that this voids the promise against
    whoever knows it. None takes noise from the operating system's entropy.
**kwargs : dict
    skorch's parameters of the torch parts: ``module__hidden=(64,)``, ``optimizer__weight_decay=0.01``.
"""

_ATTRIBUTES = """
epsilon_ : float
    Epsilon of everything in `ledger_`, at `delta_`, under the neighbouring relation in `plan_`.
delta_ : float
    The delta that `epsilon_` goes with.
ledger_ : PrivacyLedger
    Every mechanism that read sensitive cells, over all fits of this object.
plan_ : PrivatePlan or None
    Sampling, clipping, noise, steps and relation of the private branch.
schema_ : SensitiveSchema
    Columns and the domains of the sensitive ones.
imputer_ : FoundationImputer or None
    The fitted imputer.
encoder_ : TableEncoder
    The encoding of both views.
net_ : FusionDPNet
    The trained skorch net.
history_ : skorch.history.History
    Losses of the hybrid view, an entry an epoch.
unit_ : str
    What says whose row it is; empty where each row is a unit.
rows_per_unit_ : int
    The most rows of one unit that the private branch read: whose epsilon `epsilon_` is.
n_rows_ : int
    Number of training rows.
n_features_in_ : int
    Number of columns seen in ``fit``.
feature_names_in_ : ndarray of shape (n_columns,)
    Names of the columns seen in ``fit``, if they have any.
"""

_NOTES = """
The released model is (epsilon, delta)-indistinguishable between training tables that differ in
the sensitive cells of one row; public columns, labels and the number of rows are known to the
adversary (feature-level DP, arXiv 2506.19836). Training follows FusionDP (Zeng et al., arXiv
2511.03806): each private step samples rows by Poisson sampling, clips each row's joint gradient
of ``l(x) - l(x~) + beta c(h(x), h(x~))``, adds Gaussian noise to the sum and divides by the
expected batch size. Ctrl-C ends a fit early and keeps the model; the ledger holds the steps run.

A table that stays on disk gives the model of the same table in memory, except that beyond 131,072 rows
the public columns' medians, scales and categories come from that many of them, drawn evenly. Rows of a
memory map are read from its file one by one; parquet and Arrow files are read by passes over all of the
file, each of which fetches the rows of many steps (about 260,000). Neither is copied; of imputed cells,
which are made once a row, a temporary file is kept.

Where torch.distributed is initialised (``accelerate launch``, ``torchrun``), every process calls ``fit``
with the same table, target and parameters, and trains on its own block of rows: Poisson samples and
clipped sums are each one's own, noise is added once, and all end with the same model and ledger, which
counts once.
"""


def with_parameters(cls: type) -> type:
    """Fill the shared parts into a class's docstring."""
    doc = cls.__doc__ or ""
    for name, text in (
        ("parameters", _PARAMETERS),
        ("attributes", _ATTRIBUTES),
        ("notes", _NOTES),
    ):
        lines = [f"    {line}" if line else "" for line in text.strip().splitlines()]
        doc = doc.replace(f"    {{{name}}}", "\n".join(lines))
    cls.__doc__ = doc
    return cls
