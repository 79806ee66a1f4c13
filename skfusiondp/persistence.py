"""Save a fitted model to a file that holds no rows, and load it without running anything from the file."""

from __future__ import annotations

import copy
import importlib
import json
import math
import os
import secrets
import warnings
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
import sklearn
from sklearn.utils.validation import check_is_fitted

from ._contents import clear_padding, walk
from .exceptions import InvalidInputError, MissingDependencyError, callers_level

# Increased by one when files of the earlier layout would be misread.
_LAYOUT = 2
_STAMP, _OBJECT, _WEIGHTS = "skfusiondp.json", "model.skops", "weights.safetensors"
# Classes of other libraries whose instances are plain values, or the numbers of a fitted model. A class of
# this package says so itself, by `_plain_values = True` in its own body: making one from a file must do
# nothing but set its attributes, and no later call may execute one of them.
_OTHERS = frozenset(
    {
        "collections.OrderedDict",
        "scipy.sparse._csr.csr_matrix",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.tree._tree.Tree",
        "torch.optim.adam.Adam",
        "torch.optim.adamw.AdamW",
        "torch.optim.sgd.SGD",
    }
)


class SavedNet:
    """What a file holds in place of a trained net; the weights are in a separate part.

    Parameters
    ----------
    number : int
        Which weights are its own.
    parameters : dict
        Of the net that is built on loading: the module's class and arguments, the task.
    private_steps : int
    correction_kept, beyond_noise : float
    history : list of dict
    """

    _plain_values = True

    def __init__(
        self,
        number: int,
        parameters: dict,
        private_steps: int,
        correction_kept: float,
        beyond_noise: float,
        history: list,
    ):
        self.number = number
        self.parameters = parameters
        self.private_steps = private_steps
        self.correction_kept = correction_kept
        self.beyond_noise = beyond_noise
        self.history = history


def save(estimator: Any, path: str | os.PathLike, *, trusted: Sequence[str] = ()) -> None:
    """Save a fitted estimator: weights as safetensors, everything else as skops' plain values.

    Parameters
    ----------
    estimator : fitted estimator of this library, or a Pipeline of such and scikit-learn's
        The module of its net must be a class with its arguments given as ``module__...``.
    path : str or path-like
        File to write; replaced if it exists, and left as it is if anything goes wrong.
    trusted : sequence of str, default=()
        Full names of classes of yours in it, such as ``"my_package.MyModule"``. Whoever loads the
        file has to name them too.

    Raises
    ------
    InvalidInputError
        If something in it cannot be saved, would not be loaded, or holds support rows.
    MissingDependencyError
        If skops or safetensors is not installed.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    Notes
    -----
    No training row and no support row is in the file. The imputer's models are, as in a pickle: what they
    learnt from public support rows includes values of theirs (see docs/persistence.md). A shared
    budget is left out.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.datasets import make_classification
    >>> from skfusiondp import FusionDPClassifier, Numeric
    >>> from skfusiondp.persistence import load, save
    >>> X, y = make_classification(200, 4, n_informative=3, n_redundant=0, random_state=0)
    >>> model = FusionDPClassifier({0: Numeric(-4, 4)}, method="feature-dp", epochs=1).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(model, os.path.join(folder, "model.skfusiondp"))
    ...     again = load(os.path.join(folder, "model.skfusiondp"))
    >>> bool((again.predict_proba(X) == model.predict_proba(X)).all()), again.ledger_ == model.ledger_
    (True, True)
    """
    io, tensors = _libraries()
    check_is_fitted(estimator)
    nets = _nets(estimator)
    saved: dict[int, Any] = {}
    for i, net in enumerate(nets):
        saved[id(net)] = described = _described(net, i)
        saved[id(net.history)] = described.history
    # Copying runs __getstate__, which leaves rows out; each net is replaced by its SavedNet.
    plain = copy.deepcopy(estimator, saved)
    clear_padding(plain)
    for where, value in walk(plain):
        if getattr(value, "budget", None) is not None:
            value.budget = None
        for name in ("support", "support_target"):
            if getattr(value, name, None) is not None:
                raise InvalidInputError(
                    f"{where}.{name} holds support rows, which do not belong into a file; save the fitted "
                    "estimator itself (such as a search's best_estimator_), or set it to None."
                )
    try:
        data = io.dumps(plain)
    except Exception as error:
        raise InvalidInputError(
            f"{type(estimator).__name__} holds something that skops cannot save ({error}); use pickle, which "
            "runs code when it is loaded."
        ) from error
    _known(io, data, trusted, "save", _searches(plain))
    weights = {f"{i}.{n}": t for i, net in enumerate(nets) for n, t in _weights(net).items()}
    stamp = {"layout": _LAYOUT, "class": type(estimator).__name__, "versions": _versions()}
    beside = f"{os.fspath(path)}.{secrets.token_hex(4)}.tmp"
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(_STAMP, json.dumps(stamp, indent=2))
            file.writestr(_OBJECT, data)
            file.writestr(_WEIGHTS, tensors.save(weights))
        os.replace(beside, path)
    except OSError as error:
        raise InvalidInputError(
            f"path={os.fspath(path)!r} cannot be written ({error}); name a file."
        ) from error
    finally:
        if os.path.exists(beside):
            os.remove(beside)


def load(path: str | os.PathLike, *, trusted: Sequence[str] = ()) -> Any:
    """Load what ``save`` wrote. No code of the file runs; only known classes are made.

    Parameters
    ----------
    path : str or path-like
    trusted : sequence of str, default=()
        Full names of further classes that you trust, such as ``"my_package.MyModule"``.

    Returns
    -------
    estimator
        It predicts as the saved one did, and its ledger is the same.

    Raises
    ------
    InvalidInputError
        If the file is none of these, is damaged, of an unknown version, or holds classes that are not
        trusted.
    MissingDependencyError
        If skops or safetensors is not installed.

    Warns
    -----
    UserWarning
        If the file was written under another version of this library or of scikit-learn.
    """
    io, tensors = _libraries()
    stamp, data, weights = _parts(os.fspath(path))
    known = _known(io, data, trusted, "load")
    _warn_of_versions(stamp)
    try:
        plain = io.loads(data, trusted=known)
        for where, value in walk(plain):
            _check_indices(where, value)
        nets = [value for _, value in walk(plain) if isinstance(value, SavedNet)]
        built: dict[int, Any] = {}
        for saved in nets:
            built[id(saved)] = net = _built(saved, tensors.load(weights))
            built[id(saved.history)] = net.history
        return copy.deepcopy(plain, built)
    except InvalidInputError:
        raise
    except Exception as error:  # whatever a damaged file leads to
        raise InvalidInputError(
            f"{os.fspath(path)!r} is damaged ({type(error).__name__}: {error}); nothing was loaded. Save it "
            "anew."
        ) from error


def trusted_types(estimator: Any, *, trusted: Sequence[str] = ()) -> list[str]:
    """Names of the types that skops has to trust to load an estimator which another program saves with it.

    Such as MLflow: ``mlflow.sklearn.log_model(model, skops_trusted_types=trusted_types(model))``. All of them
    are plain values, as in the files of ``save``.

    Parameters
    ----------
    estimator : fitted estimator of this library, or a Pipeline of such and scikit-learn's
        One without a torch net, which skops alone cannot save: an OffsetFusion model, an imputer, a
        transformer.
    trusted : sequence of str, default=()
        Full names of further classes that you trust.

    Returns
    -------
    list of str

    Raises
    ------
    InvalidInputError
        If it holds a net, a class that is neither plain values nor trusted, or something that skops
        cannot save.

    Examples
    --------
    >>> from skfusiondp import Numeric
    >>> from skfusiondp.persistence import trusted_types
    >>> from skfusiondp.preprocessing import PrivateStandardScaler
    >>> scaler = PrivateStandardScaler({0: Numeric(0, 1)}).fit([[0.2], [0.4]] * 50)
    >>> "skfusiondp.tables._numeric.Numeric" in trusted_types(scaler)
    True
    """
    io, _ = _libraries()
    check_is_fitted(estimator)
    if _nets(estimator):
        raise InvalidInputError(
            f"{type(estimator).__name__} holds a torch net, which skops alone cannot save; write the file "
            "with skfusiondp.persistence.save and keep that (mlflow.log_artifact(path)), or let the other "
            "program use pickle (serialization_format='cloudpickle'), which runs code when it is loaded."
        )
    try:
        data = io.dumps(estimator)
    except Exception as error:
        raise InvalidInputError(
            f"{type(estimator).__name__} holds something that skops cannot save ({error}); use pickle, which "
            "runs code when it is loaded."
        ) from error
    return _known(io, data, trusted, "trusted_types")


def _libraries() -> tuple[Any, Any]:
    try:
        import safetensors.torch
        import skops.io
    except ImportError as error:
        raise MissingDependencyError(
            f"Saving and loading need the packages skops and safetensors ({error}); run: pip install skops "
            "safetensors."
        ) from error
    return skops.io, safetensors.torch


def _parts(path: str) -> tuple[dict, bytes, bytes]:
    """Stamp, object and weights of a file."""
    if not os.path.exists(path):
        raise InvalidInputError(f"path={path!r} does not exist; name a file that save has written.")
    try:
        with zipfile.ZipFile(path) as file:
            stamp = json.loads(file.read(_STAMP))
            if not isinstance(stamp, dict) or not isinstance(stamp.get("versions"), dict):
                raise ValueError("its stamp was not written by this library")
            if stamp.get("layout") != _LAYOUT:
                raise InvalidInputError(
                    f"{path!r} has the layout {stamp.get('layout', 1)!r} of another version of skfusiondp, "
                    f"and this one reads layout {_LAYOUT} alone; fit the model anew and save it."
                )
            return stamp, file.read(_OBJECT), file.read(_WEIGHTS)
    except InvalidInputError:
        raise
    except Exception as error:  # whatever a file of another kind, or a damaged one, leads to
        raise InvalidInputError(
            f"{path!r} is no file that skfusiondp.persistence.save has written ({error}); nothing was "
            "loaded. A pickle is loaded with pickle, and only from whom you trust."
        ) from error


def _searches(estimator: Any) -> str:
    """How to save an estimator without the searches of other libraries inside; empty if there are none."""
    found = [(where, s) for where, s in walk(estimator) if hasattr(s, "best_estimator_")]
    remedies = []
    for where, search in found:
        kind = type(search)
        if not _is_plain(f"{kind.__module__}.{kind.__qualname__}"):
            place = "model" + where.removeprefix(type(estimator).__name__)
            keep = f"{place} = {place}.best_estimator_"
            remedies.append(f"{place} is a search, {kind.__name__}: keep what it has chosen, {keep}")
    return "".join(f" {r}." for r in remedies)


def _known(io: Any, data: bytes, trusted: Sequence[str], verb: str, remedy: str = "") -> list[str]:
    """Names of the classes in the file, all of which may be made; any other is refused."""
    try:
        named = sorted(set(io.get_untrusted_types(data=data)))
    except Exception as error:
        raise InvalidInputError(f"The file is damaged ({error}); nothing was loaded.") from error
    strange = [n for n in named if n not in _OTHERS and n not in trusted and not _is_plain(n)]
    if strange:
        raise InvalidInputError(
            f"It holds {', '.join(strange)}, which skfusiondp does not know to be plain values; if you trust "
            f"them, call {verb}(..., trusted={strange!r}).{remedy}"
        )
    return named


def _is_plain(name: str) -> bool:
    """Whether this is a class of ours that says in its own body that it is plain values."""
    module, _, kind = name.rpartition(".")
    if not module.startswith(f"{__package__}."):
        return False
    try:
        found = getattr(importlib.import_module(module), kind, None)
    except ImportError:
        return False
    own = isinstance(found, type) and (found.__module__, found.__qualname__) == (module, kind)
    return own and vars(found).get("_plain_values") is True


def _versions() -> dict[str, str]:
    from . import __version__

    return {"skfusiondp": __version__, "scikit-learn": sklearn.__version__}


def _warn_of_versions(stamp: dict) -> None:
    own, other = _versions(), stamp["versions"]
    if differ := {n: (other.get(n), v) for n, v in own.items() if other.get(n) != v}:
        texts = [f"{name} {theirs} (here: {ours})" for name, (theirs, ours) in differ.items()]
        warnings.warn(
            f"The file was written under {', '.join(texts)}; predictions may differ. Save it anew where it "
            "was made.",
            UserWarning,
            stacklevel=callers_level(),
        )


def _nets(estimator: Any) -> list[Any]:
    """Every trained net inside."""
    return [v for _, v in walk(estimator) if hasattr(v, "module_") and hasattr(v, "private_steps_")]


def _described(net: Any, number: int) -> SavedNet:
    if not isinstance(net.module, type):
        raise InvalidInputError(
            f"module={type(net.module).__name__}(...) is an object, of which weights alone could be saved; "
            "give its class as module=, and its arguments as module__name=."
        )
    own = {k: v for k, v in net.get_params(deep=False).items() if k.startswith("module__")}
    task, device = net.criterion_.task, str(net.device)
    parameters = {"module": net.module, "criterion__task": task, "device": device, **own}
    history = [json.loads(json.dumps(dict(epoch), default=float)) for epoch in net.history]
    found = float(net.correction_kept_), float(net.beyond_noise_)
    return SavedNet(number, parameters, int(net.private_steps_), *found, history)


def _weights(net: Any) -> dict[str, Any]:
    return {n: t.detach().cpu().clone().contiguous() for n, t in net.module_.state_dict().items()}


def _built(saved: SavedNet, weights: dict[str, Any]) -> Any:
    """The net that a `SavedNet` describes, with its weights."""
    import torch
    from skorch.history import History

    from .training._net import FusionDPNet
    from .training._own_randomness import OwnRandomness
    from .training._surroundings import usual_modes

    parameters = dict(saved.parameters)
    if parameters["device"].startswith("cuda") and not torch.cuda.is_available():
        parameters["device"] = "cpu"
    if not (isinstance(parameters["module"], type) and issubclass(parameters["module"], torch.nn.Module)):
        raise ValueError(f"{parameters['module']!r} is no torch module")
    with usual_modes(), OwnRandomness(0):  # the initial weights are replaced at once
        net = FusionDPNet(**parameters, verbose=0).initialize()
    prefix = f"{saved.number}."
    own = {n.removeprefix(prefix): t for n, t in weights.items() if n.startswith(prefix)}
    net.module_.load_state_dict(own)
    net.module_.eval()
    net.private_steps_ = int(saved.private_steps)
    net.correction_kept_ = float(saved.correction_kept)
    # Files of earlier versions do not say.
    net.beyond_noise_ = float(getattr(saved, "beyond_noise", math.nan))
    net.history_ = History(saved.history)
    return net


def _check_indices(where: str, value: Any) -> None:
    """Refuse trees and sparse matrices that point outside themselves: compiled code will not look."""
    kind = f"{type(value).__module__}.{type(value).__name__}"
    if isinstance(value, sp.csr_matrix):
        value.check_format(full_check=True)
        return
    if kind == "sklearn.tree._tree.Tree":
        left, right, feature = value.children_left, value.children_right, value.feature
        count, width, leaf = value.node_count, value.n_features, left == -1
        fine = len(left) == count and value.n_features > 0
    elif kind == "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor":
        nodes = value.nodes
        left, right, feature = (nodes[n].astype(np.int64) for n in ("left", "right", "feature_idx"))
        count, width, leaf = len(nodes), np.inf, nodes["is_leaf"].astype(bool)
        bits = len(value.raw_left_cat_bitsets)
        fine = bool((~nodes["is_categorical"].astype(bool) | (nodes["bitset_idx"] < bits)).all())
    else:
        return
    after = np.arange(count)[~leaf]  # children come after their parent: no loops
    inner = [left[~leaf], right[~leaf]]
    fine &= count > 0 and all(bool(((c > after) & (c < count)).all()) for c in inner)
    fine &= bool(((feature[~leaf] >= 0) & (feature[~leaf] < width)).all())
    if not fine:
        raise ValueError(f"{where} is a tree whose nodes point outside it")
