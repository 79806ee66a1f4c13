"""The default module: a deep part that learns for free, and a wide one that pays."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ._mlp import MLP

# Sensitive features enter the wide part scaled, so that few rows' gradients reach a clipping norm of 1.
_SCALE = 0.5


class WideAndDeep(nn.Module):
    """Multilayer perceptron over all features, plus a linear part over the sensitive ones.

    Only the linear part, `private_parameters`, is trained with true sensitive values: its gradients are
    short and few numbers wide, so that clipping takes little from them and noise adds little. The deep
    part learns in the public epochs alone.

    Parameters
    ----------
    n_features : int
    n_outputs : int
    hidden : sequence of int
        Units of each hidden layer of the deep part.
    dropout : float
        In the deep part, between layers.
    sensitive_features : sequence of bool of length n_features, optional
        Which encoded features come from sensitive columns. None: all.

    Attributes
    ----------
    private_parameters : tuple of str
        What an estimator trains privately unless it is told otherwise.

    References
    ----------
    Wide and deep networks: Cheng et al. (2016), arXiv 1606.07792.

    Examples
    --------
    >>> import torch
    >>> from skfusiondp.nets import WideAndDeep
    >>> net = WideAndDeep(3, sensitive_features=[False, False, True])
    >>> net(torch.zeros(2, 3)).shape
    torch.Size([2, 1])
    """

    private_parameters = ("head.wide.*",)
    sensitive: Tensor

    def __init__(
        self,
        n_features: int,
        n_outputs: int = 1,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.2,
        sensitive_features: Sequence[bool] | None = None,
    ):
        super().__init__()
        deep = MLP(n_features, n_outputs, hidden, dropout)
        self.body = deep.body
        which = torch.ones(n_features) if sensitive_features is None else torch.as_tensor(sensitive_features)
        self.register_buffer("sensitive", which.bool().nonzero().flatten(), persistent=False)
        self.head = SplitHead(deep.head, len(self.sensitive))

    def represent(self, x: Tensor) -> Tensor:
        """Hidden representation and scaled sensitive features, (n_rows, hidden[-1] + n_sensitive)."""
        return torch.cat([self.body(x), _SCALE * x[:, self.sensitive]], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of shape (n_rows, n_outputs)."""
        return self.head(self.represent(x))


class SplitHead(nn.Module):
    """Sum of a linear map of the deep representation and one of the sensitive features.

    Parameters
    ----------
    deep : nn.Linear
    n_wide : int
        Number of sensitive features; they come last.
    """

    def __init__(self, deep: nn.Linear, n_wide: int):
        super().__init__()
        self.deep = deep
        self.wide = nn.Linear(n_wide, deep.out_features)
        # The correction starts from none.
        nn.init.zeros_(self.wide.weight)
        nn.init.zeros_(self.wide.bias)

    def forward(self, representation: Tensor) -> Tensor:
        """Outputs of shape (n_rows, n_outputs)."""
        hidden, wide = representation.tensor_split([self.deep.in_features], dim=1)
        return self.deep(hidden) + self.wide(wide)
