"""A multilayer perceptron with layer normalisation: the default module's deep part, and dp-sgd's module."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class MLP(nn.Module):
    """Multilayer perceptron for encoded tables, in which rows never mix.

    Parameters
    ----------
    n_features : int
        Width of an encoded row.
    n_outputs : int
        Logits, or regression targets.
    hidden : sequence of int
        Widths of the hidden layers; the paper's network is ``(64, 128, 64)``.
    dropout : float in [0, 1)
        Dropout after each hidden layer. Both views of a row share their masks.

    Examples
    --------
    >>> import torch
    >>> from skfusiondp.nets import MLP
    >>> MLP(5, 1, hidden=(8,))(torch.zeros(3, 5)).shape
    torch.Size([3, 1])
    """

    _plain_values = True

    def __init__(
        self, n_features: int, n_outputs: int = 1, hidden: Sequence[int] = (64, 128, 64), dropout: float = 0.0
    ):
        super().__init__()
        layers: list[nn.Module] = []
        width = n_features
        for units in hidden:
            layers += [nn.Linear(width, units), nn.LayerNorm(units), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = units
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, n_outputs)

    def represent(self, x: Tensor) -> Tensor:
        """Hidden representation of each row, of shape (n_rows, hidden[-1])."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of shape (n_rows, n_outputs)."""
        return self.head(self.represent(x))
