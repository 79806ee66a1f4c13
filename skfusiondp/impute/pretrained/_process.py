"""A Gaussian process for one column: the network sets its kernel, then it is solved exactly."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from ._channels import Channels, Scale
from ._kernel import Hyperparameters, kernel, solve
from ._labels import indicators, log_probabilities, numbers
from ._weights import pretrained

# Support rows that are compared with each other exactly; above, they are projected on some of them.
_EXACT_ROWS, _SKETCH_ROWS = 2_000, 1_000
_ROWS_AT_ONCE = 512
# How much sharper or flatter probabilities may become than the network says, and what that has to gain in
# log likelihood.
_POWERS = (0.6, 0.75, 0.9, 1.0, 1.1, 1.3, 1.6)
_STEEPNESSES = (0.5, 1.0, 2.0, 4.0, 8.0)
_NEAR = 3.0


@dataclass(eq=False)
class Process:
    """A solved process, as plain arrays.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Features of the support rows that new ones are compared with.
    weights : ndarray of shape (n_rows, n_outputs)
    hyperparameters : dict of str to ndarray
    centre, scale : float
        Of the numbers that it has learnt.
    shares : ndarray of shape (n_classes,)
        Of the classes among the support rows; empty for numbers.
    """

    _plain_values = True

    rows: np.ndarray
    weights: np.ndarray
    hyperparameters: dict[str, np.ndarray]
    centre: float
    scale: float
    shares: np.ndarray

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return means (n_rows,), or probabilities of the classes (n_rows, n_classes)."""
        outputs = [torch.zeros((1, 0, self.weights.shape[1]))]
        with torch.no_grad():
            scale = Scale.of(_batch(self.rows))
            support = Channels.of(_batch(self.rows), scale).single()
            given, weights = self._given(torch.float32), torch.as_tensor(self.weights, dtype=torch.float32)
            for start in range(0, len(features), _ROWS_AT_ONCE):
                some = _filled_up(features[start : start + _ROWS_AT_ONCE])
                covariances = kernel(Channels.of(_batch(some), scale).single(), support, given)
                outputs.append(covariances @ weights)
            return self._read(torch.cat(outputs, dim=1).double())[: len(features)]

    def _given(self, dtype: torch.dtype) -> Hyperparameters:
        return Hyperparameters(
            **{
                name: torch.as_tensor(value, dtype=dtype)[None]
                for name, value in self.hyperparameters.items()
            }
        )

    def _read(self, outputs: torch.Tensor) -> np.ndarray:
        if not len(self.shares):
            return outputs[0, :, 0].numpy() * self.scale + self.centre
        shares = torch.as_tensor(self.shares)[None]
        return log_probabilities(outputs, shares, self._given(torch.float64))[0].exp().numpy()


def solved(features: np.ndarray, target: np.ndarray, n_classes: int) -> tuple[Process, np.ndarray]:
    """Fit a process to support rows.

    Parameters
    ----------
    features : ndarray of shape (n_support, n_features)
    target : ndarray of shape (n_support,)
        Numbers, or classes from 0 to `n_classes` - 1, each of which occurs.
    n_classes : int
        0 for numbers.

    Returns
    -------
    process : Process
    left_out : ndarray of shape (n_support,) or (n_support, n_classes)
        Predictions of each row from the others, with the kernel set by all.
    """
    # In an order of its own: figures of reference kernels are those of the first rows.
    order = np.random.RandomState(0).permutation(len(features))
    features, target = features[order], target[order]
    few = slice(None) if len(features) <= _EXACT_ROWS else slice(0, _SKETCH_ROWS)
    centre, spread, shares = 0.0, 1.0, torch.zeros((1, 0))
    with torch.no_grad():
        if n_classes:
            labels, share, shares = indicators(torch.as_tensor(target)[None], n_classes, torch.float64)
        else:
            centre, spread = float(target.mean()), float(target.std())
            labels, share = numbers(_batch((target - centre) / spread))
        scale = Scale.of(_batch(features[few]))
        support = Channels.of(_batch(features[few]), scale)
        given = pretrained()(support, labels[:, few], share, n_classes)
        covariance = kernel(support, support, given)
        if len(features) <= _EXACT_ROWS:
            weights, left_out = solve(covariance, given.noise, labels)
        else:
            across = kernel(Channels.of(_batch(features), scale), support, given)
            weights, left_out = _projected(across, covariance, given.noise, labels)
        if n_classes:
            given = replace(given, sharpness=_likeliest(left_out, shares, given, torch.as_tensor(target)))
        plain = {name: value[0].numpy() for name, value in asdict(given).items()}
        process = Process(features[few], weights[0].numpy(), plain, centre, spread, shares[0].numpy())
        return process, process._read(left_out)[np.argsort(order)]


def _projected(
    across: torch.Tensor, covariance: torch.Tensor, noise: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights of the sketch's rows, and predictions of all support rows, each from the others.

    Subset of regressors (Rasmussen and Williams, section 8.3.1): ridge regression, whose left-out predictions
    are exact too.
    """
    system = noise[..., None] * covariance + across.transpose(1, 2) @ across
    system.diagonal(dim1=1, dim2=2).mul_(1.0 + 1e-8)
    lower = torch.linalg.cholesky(system)
    weights = torch.cholesky_solve(across.transpose(1, 2) @ labels, lower)
    own = torch.linalg.solve_triangular(lower, across.transpose(1, 2), upper=False).square().sum(1)
    error = (labels - across @ weights) / (1.0 - own.clamp(max=0.999))[..., None]
    return weights, labels - error


def _likeliest(
    left_out: torch.Tensor, shares: torch.Tensor, given: Hyperparameters, classes: torch.Tensor
) -> torch.Tensor:
    """The sharpness, near that of the network, with which left-out rows have the likeliest classes."""
    best, least = given.sharpness, np.inf
    for power, steepness in itertools.product(_POWERS, _STEEPNESSES):
        tried = given.sharpness * torch.tensor([power, steepness], dtype=torch.float64)
        found = log_probabilities(left_out, shares, replace(given, sharpness=tried))[0]
        loss = -float(found[torch.arange(len(classes)), classes].sum())
        loss += _NEAR * (np.log(power) ** 2 + np.log(steepness) ** 2)
        if loss < least:
            best, least = tried, loss
    return best


def _filled_up(rows: np.ndarray) -> np.ndarray:
    """Rows and zeros: products of one shape round alike, so a row is guessed alike in any batch."""
    return np.concatenate([rows, np.zeros((_ROWS_AT_ONCE - len(rows), rows.shape[1]))])


def _batch(array: np.ndarray) -> torch.Tensor:
    """One table as a batch of one, in double precision."""
    return torch.as_tensor(array, dtype=torch.float64)[None]
