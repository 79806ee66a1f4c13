"""The documentation that the FusionDP estimators share, written once."""

from __future__ import annotations

from ..._shared_docs import documented

_PARAMETERS = """
sensitive : dict of str to domain, list of str or column selector, default=None (every column)
    Which columns are sensitive. A dict declares public domains, ``{"age": Numeric(18, 90), "sex":
    Categorical(["f", "m"])}``; a domain may state the column's own ``epsilon=``. Anything else is what
    ColumnTransformer takes as columns. Undeclared domains come from the support rows.
{epsilon}
{delta}
{support}
support_target : array-like of shape (n_support,), default=None (the labels are not known)
    Labels of the support rows, public too: the public branch then trains on these rows as well, with their
    true sensitive values.
imputer : FoundationImputer, default=None (``FoundationImputer()`` on `support`)
    Makes the hybrid view. One without its own `sensitive` or `support` takes this estimator's. Without
    support it imputes the centre of each domain.
"""

_OTHER_PARAMETERS = """
{noise_multiplier}
{adjacency}
{groups}
{max_rows_per_unit}
{budget}
{on_leak}
method : {"fusiondp", "feature-dp", "dp-sgd", "hybrid", "non-private"}, default="fusiondp"
    The paper's method or one of its baselines: "feature-dp" masks the sensitive columns in place
    of imputing them; "dp-sgd" protects whole rows (relation add-remove); "hybrid" is trained without any
    true sensitive value (epsilon 0), and predicts on rows as they are; "non-private" protects nothing
    (epsilon infinite).
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
epochs : int, default=None (20, unless `steps` is given; the default module of "hybrid": none)
    Passes of the private branch, in expectation; without one, further public passes.
steps : int, default=None (what `epochs` asks for)
    Private steps, in place of `epochs`.
batch_size : int, default=None (n_rows / 32, from 64 to 8,192)
    Expected size of a private Poisson sample, in rows.
public_epochs : int, default=None (10; below 4,000 rows n_rows // 400, at least 5)
    Free passes over the hybrid view before the first private step.
public_batch_size : int, default=None (as many as `batch_size`, at most 4,096)
    Rows of the hybrid view a step.
ema_decay : float, default=0.99
    Decay of the exponential average of iterates that becomes the model; free, since it is
    post-processing. 0 keeps the last iterate, as the paper does.
module : torch module class or instance, default=None (``nets.WideAndDeep``)
    The network. For the method "dp-sgd", which has no use for one that tells sensitive features from
    public ones, None is ``nets.MLP`` with 256 units. A class is given ``n_features``, ``n_outputs``,
    ``sensitive_features`` (a mask) and ``feature_means`` (of what the public branch reads) if its
    constructor takes them. Layers that mix rows, such as batch norm, are refused. It is trained in single
    precision, and returns one tensor.
optimizer : torch optimizer class, default=None (``torch.optim.Adam``)
    Takes the steps of both branches, without a closure. Groups of ``optimizer__param_groups`` that have an
    ``lr`` keep it throughout.
lr : float, default=None (0.02 for a head alone, 0.01 for a whole module)
    Learning rate of private steps. By default they train the module's head alone.
public_lr : float, default=0.002
    Learning rate of training that is not private: of the methods "hybrid" and "non-private", and of the
    public epochs before a private head.
private_parameters : list of str, default=None (the module's own ``private_parameters``)
    Names or patterns of the parameters that the private gradient moves: of the default module
    ``["head.wide.*"]``; ``["*"]`` means all, as in the paper. If all belong to the module's head, everything
    else is trained in the public epochs alone.
micro_batch_size : int, default=None (4,096)
    Rows of a branch differentiated at once: bounds memory, changes nothing else.
callbacks : list of skorch callbacks, default=None (none)
    They see the hybrid view only. Copies of them are tried on made-up rows before anything is paid. A
    schedule of the learning rate begins anew, and an EarlyStopping ends, with the public epochs and with the
    private ones.
device : str, default="cpu"
    Torch device.
verbose : int, default=0
    1 prints skorch's table of epochs.
{random_state}
**kwargs : dict
    Parameters of the torch parts, as in skorch: ``module__hidden=(64,)``, ``optimizer__weight_decay=0.01``.
"""

_GROUPS = """
A first model needs `sensitive` and `epsilon`, and support rows if there are any. *Other Parameters* are, in
this order:

- accounting: `noise_multiplier`, `adjacency`, `groups`, `max_rows_per_unit`, `budget`, `on_leak`
- the method: `method`, `max_grad_norm`, `clipping`, `alpha`, `beta`, `consistency_bound`
- its length: `epochs`, `steps`, `batch_size`, `public_epochs`, `public_batch_size`, `ema_decay`
- the network: `module`, `optimizer`, `lr`, `public_lr`, `private_parameters`
- running it: `micro_batch_size`, `callbacks`, `device`, `verbose`, `random_state`
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
    The encoding of both views; for the default module also scores of a public model, and with labelled
    support rows what these teach. For "hybrid" what sensitive columns add to the scores stands for them.
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


with_parameters = documented(
    groups_of_parameters=_GROUPS,
    parameters=_PARAMETERS,
    other_parameters=_OTHER_PARAMETERS,
    attributes=_ATTRIBUTES,
    notes=_NOTES,
)
