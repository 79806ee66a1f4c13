"""The default module: a deep part trained on the free view, and a wide part trained privately."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ._mlp import MLP

# What enters the wide part is scaled, so that few rows' gradients reach a clipping norm of 1.
_SCALE = 0.5
# Half of the rows of a training batch are shown to the deep part without their sensitive features.
_HIDDEN = 0.5


class WideAndDeep(nn.Module):
    """Multilayer perceptron over all features, corrected linearly by the sensitive ones.

    With d the perceptron, p a row's public features (its sensitive ones set to 0), x all of them and s the
    sensitive ones, m their public means, the outputs are ``d(p) + W [d(x) - d(p), s - m] / 2 + b``. W and
    b, `private_parameters`, are all that is trained with true sensitive values: their gradients are short
    and few numbers wide, so that clipping takes little from them and noise adds little. Without their means
    features are shorter still, and b does not have to follow W. W starts as twice the identity over
    ``d(x) - d(p)``, which adds it as it is, and 0 over s.

    The perceptron learns in the public epochs alone, on imputed sensitive features. Where the imputed ones
    are a function of the public ones, its loss does not depend on which of the two it uses, and true values
    may then move its outputs at random. In training, half of the rows are therefore shown to it without
    their sensitive features, and weights of these start from 0; private steps then learn how much weight
    ``d(x) - d(p)``, what they change, is given.

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
    feature_means : sequence of float of length n_features, optional
        A public guess at the features' means, such as those of the hybrid view. None: 0.
    n_scores, n_starts : int
        The first and the last features, as many as outputs or none, are added to the outputs as they are:
        scores of a public model, and (counted among the sensitive ones) what is known to add to them.
    n_leaves : int
        Sensitive features before these last ones that enter the wide part alone.

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

    _plain_values = True

    private_parameters = ("head.wide.*",)
    sensitive: Tensor
    centre: Tensor

    def __init__(
        self,
        n_features: int,
        n_outputs: int = 1,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.2,
        sensitive_features: Sequence[bool] | None = None,
        feature_means: Sequence[float] | None = None,
        n_scores: int = 0,
        n_leaves: int = 0,
        n_starts: int = 0,
    ):
        super().__init__()
        which = torch.ones(n_features) if sensitive_features is None else torch.as_tensor(sensitive_features)
        self.register_buffer("sensitive", which.bool(), persistent=False)
        means = torch.zeros(n_features) if feature_means is None else torch.as_tensor(feature_means)
        n_wide = int(self.sensitive.sum()) - n_starts
        self.register_buffer("centre", means.float()[self.sensitive][:n_wide])
        self.n_scores, self.n_starts = n_scores, n_starts
        self.n_deep = n_features - n_leaves - n_starts
        self.deep = MLP(self.n_deep, n_outputs, hidden, dropout)
        first = next(m for m in self.deep.modules() if isinstance(m, nn.Linear))
        with torch.no_grad():
            first.weight[:, self.sensitive[: self.n_deep]] = 0.0
            if n_scores:  # nothing to add to these yet
                nn.init.zeros_(self.deep.head.weight)
                nn.init.zeros_(self.deep.head.bias)
        # A dropout of a column of ones: both views of a row share it, as they share all dropout.
        self.shown = nn.Dropout(_HIDDEN)
        self.head = CorrectedHead(n_outputs, n_wide)
        self.head.corrects = n_scores > 0

    def represent(self, x: Tensor) -> Tensor:
        """Outputs without sensitive features, half of what these change, and half of each less its mean.

        Returns
        -------
        Tensor of shape (n_rows, 2 * n_outputs + n_sensitive)
            In training the first part is the deep part's output for a row as it is shown to it, and the
            second is 0.
        """
        seen = x[:, : self.n_deep]
        public = seen.masked_fill(self.sensitive[: self.n_deep], 0.0)
        if self.training:
            shown = self.shown(x.new_ones(len(x), 1)) > 0
            base = self.deep(torch.where(shown, seen, public))
            change = torch.zeros_like(base)
        else:
            base = self.deep(public)
            change = self.deep(seen) - base
        if self.n_scores:
            base = base + x[:, : self.n_scores]
        wide, start = x[:, self.sensitive].tensor_split([len(self.centre)], dim=1)
        if self.n_starts:
            base = base + start
        return torch.cat([base, _SCALE * change, _SCALE * (wide - self.centre)], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of shape (n_rows, n_outputs)."""
        return self.head(self.represent(x))


class CorrectedHead(nn.Module):
    """Given outputs, plus a linear map of what sensitive features add to them.

    Parameters
    ----------
    n_outputs : int
        The first so many inputs are added as they are, the next are what sensitive features change.
    n_sensitive : int
        Number of sensitive features; they come last.
    """

    # Whether the inputs predict without the map: where noise is large, it is then better shrunk.
    corrects = False

    def __init__(self, n_outputs: int, n_sensitive: int):
        super().__init__()
        self.wide = nn.Linear(n_outputs + n_sensitive, n_outputs)
        # The correction starts from the deep part's own.
        with torch.no_grad():
            nn.init.eye_(self.wide.weight).div_(_SCALE)
            nn.init.zeros_(self.wide.bias)

    def forward(self, representation: Tensor) -> Tensor:
        """Outputs of shape (n_rows, n_outputs)."""
        base, rest = representation.tensor_split([self.wide.out_features], dim=1)
        return base + self.wide(rest)


class CorrectedHeads(nn.Module):
    """Many heads of one shape as one linear layer; each row's outputs are those of its own head."""

    def __init__(self, heads: Sequence[CorrectedHead]):
        super().__init__()
        wide = heads[0].wide
        self.n_outputs = wide.out_features
        self.wide = nn.Linear(wide.in_features, len(heads) * self.n_outputs)
        with torch.no_grad():
            self.wide.weight.copy_(torch.cat([head.wide.weight for head in heads]))
            self.wide.bias.copy_(torch.cat([head.wide.bias for head in heads]))

    def hand_over(self, heads: Sequence[CorrectedHead]) -> None:
        """Give each head its own parameters."""
        parts = zip(*(p.split(self.n_outputs) for p in self.wide.parameters()), strict=True)
        with torch.no_grad():
            for head, (weight, bias) in zip(heads, parts, strict=True):
                head.wide.weight.copy_(weight)
                head.wide.bias.copy_(bias)

    def forward(self, numbered: Tensor) -> Tensor:
        """Outputs, of representations that are each followed by the number of its head."""
        base, rest, which = numbered.tensor_split([self.n_outputs, numbered.shape[1] - 1], dim=1)
        each = self.wide(rest).unflatten(1, (-1, self.n_outputs))
        own = which.long().unsqueeze(2).expand(-1, -1, self.n_outputs)
        return base + each.gather(1, own).squeeze(1)
