"""The documentation that the FusionDP estimators share, written once."""

from __future__ import annotations

from ..._shared_docs import documented

_PARAMETERS = """
sensitive : None, mapping or column selector, default=None
    Which columns are sensitive. None protects every column. A mapping declares public domains,
    ``{"age": Numeric(18, 90), "sex": Categorical(["f", "m"])}``; a domain may state the column's own
    ``epsilon=``. Anything else is what ColumnTransformer takes as columns. Undeclared domains come
    from the support rows.
{support}
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
{epsilon}
{noise_multiplier}
{delta}
{budget}
{adjacency}
{groups}
{max_rows_per_unit}
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
ema_decay : float, default=0.99
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
{on_leak}
verbose : int, default=0
    1 prints skorch's table of epochs.
{random_state}
**kwargs : dict
    skorch's parameters of the torch parts: ``module__hidden=(64,)``, ``optimizer__weight_decay=0.01``.
"""

_ATTRIBUTES = """
{epsilon_}
{delta_}
{ledger_}
plan_ : PrivatePlan or None
    Sampling, clipping, noise, steps and relation of the private branch.
{schema_}
{imputer_}
encoder_ : TableEncoder
    The encoding of both views.
net_ : FusionDPNet
    The trained skorch net.
history_ : skorch.history.History
    Losses of the hybrid view, an entry an epoch.
{unit_}
{rows_per_unit_}
{n_rows_}
{n_features_in_}
{feature_names_in_}
"""

_NOTES = """
The released model is (epsilon, delta)-indistinguishable between training tables that differ in
the sensitive cells of one row; public columns, labels and the number of rows are known to the
adversary (feature-level DP, arXiv 2506.19836). Training follows FusionDP (Zeng et al., arXiv
2511.03806): each private step samples rows by Poisson sampling, clips each row's joint gradient
of ``l(x) - l(x~) + beta c(h(x), h(x~))``, adds Gaussian noise to the sum and divides by the
expected batch size. Ctrl-C ends a fit early and keeps the model; it has paid for all steps planned.

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


with_parameters = documented(parameters=_PARAMETERS, attributes=_ATTRIBUTES, notes=_NOTES)
