"""The guarantee in plain terms: how often the best attack can be right."""

from __future__ import annotations

import html
import math
from dataclasses import asdict, dataclass
from typing import Any

from .._html import card
from .._parameters import Integer
from ..accounting._composite_report import account_of
from ..exceptions import InvalidInputError
from ..privacy import PrivacyLedger, compute_delta, relation
from ..privacy._attack_success import attack_success


def noise_floor(rounds: int) -> float:
    """Noise multiplier below which worst-case separation from random guessing is large.

    Parameters
    ----------
    rounds : int
        Gradient updates in one epoch, M: one over the sampling rate. At least 2.

    Returns
    -------
    float
        ``1 / sqrt(2 ln M)``.

    Raises
    ------
    InvalidInputError
        If there are fewer than 2 rounds.

    Notes
    -----
    For shuffled DP-SGD over one epoch of M updates either the noise multiplier is at least this, or the
    separation from random guessing is at least ``(1 - 1 / sqrt(4 pi ln M)) / sqrt(8)``. For Poisson
    sampling, as here, the paper shows the same up to constant factors: a yardstick, not a bound on this
    fit, whose own separation is computed. The relation is that of adding or removing a row.

    References
    ----------
    "Fundamental Limitations of Favorable Privacy-Utility Guarantees for DP-SGD", abstract.

    Examples
    --------
    >>> from skfusiondp.audit import noise_floor
    >>> round(noise_floor(100), 3)
    0.33
    """
    Integer(2).check("rounds", rounds)
    return 1 / math.sqrt(2 * math.log(rounds))


@dataclass(frozen=True)
class Risk:
    """What an attacker can gain from a released model, at most.

    Parameters
    ----------
    adjacency : str
        Neighbouring relation.
    epsilon, delta : float
        The guarantee.
    advantage : float
        Largest difference between true and false positive rate of any test of two neighbours.
    separation : float
        Largest distance of the trade-off curve from that of random guessing, ``advantage / sqrt(2)``.
    success : mapping of str to float
        Largest chance of a right guess, by what the attacker knew before.
    noise_multiplier : float or None
        Of the fit, if it has one.
    noise_floor : float or None
        ``noise_floor`` at the fit's rounds an epoch.
    """

    adjacency: str
    epsilon: float
    delta: float
    advantage: float
    separation: float
    success: dict[str, float]
    noise_multiplier: float | None = None
    noise_floor: float | None = None

    def to_dict(self) -> dict:
        """The figures as plain values; an infinite epsilon is the text "inf"."""
        return {**asdict(self), "epsilon": self.epsilon if math.isfinite(self.epsilon) else "inf"}

    @property
    def sentence(self) -> str:
        """The first figure, in one sentence for a report."""
        known, most = next(iter(self.success.items()))
        return f"{known} is guessed right with a chance of at most {most:.1%}"

    def _rows(self) -> list[tuple[str, str]]:
        rows = [(f"Guessing {k}", f"right with a chance of at most {v:.1%}") for k, v in self.success.items()]
        rows.append(("Advantage of any test", f"at most {self.advantage:.3f}"))
        rows.append(("Separation from random guessing", f"at most {self.separation:.3f}"))
        if self.noise_multiplier is not None and self.noise_floor is not None:
            side = "above" if self.noise_multiplier >= self.noise_floor else "below"
            rows.append(
                ("Noise multiplier", f"{self.noise_multiplier:.3g}, {side} the floor {self.noise_floor:.3g}")
            )
        return rows

    def __str__(self) -> str:
        rows = self._rows()
        width = max(len(k) for k, _ in rows) + 2
        head = f"Risk at most (relation {self.adjacency}, epsilon {self.epsilon:.4g}, delta {self.delta:.3g})"
        return "\n".join([head, *(f"  {k:<{width}}{v}" for k, v in rows)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in self._rows()
        )
        head = f"relation {self.adjacency}, ε = {self.epsilon:.4g} at δ = {self.delta:.3g}"
        return card(f"<b>Risk at most</b> ({head})<table>{rows}</table>")


def risk(estimator: Any) -> Risk:
    """How often an attacker on a fitted estimator can be right, at most.

    Parameters
    ----------
    estimator : fitted estimator, or a pipeline or search that holds some
        All that its parts have spent counts, as in ``accounting.privacy_report``.

    Returns
    -------
    Risk
        Text when printed, a table in a notebook. Success is given for two equally likely values, for one
        that the attacker is 90 % sure of, and for each sensitive category column with all its categories
        equally likely.

    Raises
    ------
    InvalidInputError
        If nothing in it has a ledger, or a ledger is lost.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from skfusiondp import FusionDPClassifier, Numeric
    >>> from skfusiondp.audit import risk
    >>> X, y = make_classification(200, 4, n_informative=3, n_redundant=0, random_state=0)
    >>> model = FusionDPClassifier({0: Numeric(-4, 4)}, method="feature-dp", epochs=1, random_state=0)
    >>> 0.5 < risk(model.fit(X, y)).success["one of two equally likely values"] < 0.75
    True
    """
    account = account_of(estimator)
    if not account.parts:
        raise InvalidInputError(
            f"{type(estimator).__name__} has no ledger_, so there is no claim that can be checked; pass "
            "a fitted skfusiondp estimator, or a pipeline or search that holds one."
        )
    ledger, row = account.same, relation(account.adjacency).protects_rows
    certain = account.unbounded

    def success_of(entries: PrivacyLedger, prior: float) -> float:
        return 1.0 if certain else attack_success(entries, prior)

    success = {
        "one of two equally likely values" if not row else "whether a row took part": success_of(ledger, 0.5),
        "one of two, known at 90 %": success_of(ledger, 0.9),
    }
    for column, domain in {} if row else account.domains.items():
        categories = getattr(domain, "categories", ())
        if len(categories) > 1:
            # A column with a budget of its own is not read by every entry.
            own = PrivacyLedger(tuple(e for e in ledger if not e.protects or column in e.protects))
            success[f"{column}, {len(categories)} equally likely"] = success_of(own, len(categories))
    advantage = 1.0 if certain else compute_delta(ledger.entries, 0.0)
    last = account.parts[-1].spender
    plan = getattr(last, "plan_", None) if len(account.parts) == 1 else None
    rounds = 0 if plan is None else round(1 / plan.sample_rate)
    return Risk(
        adjacency=account.adjacency,
        epsilon=account.epsilon,
        delta=account.delta,
        advantage=advantage,
        separation=advantage / math.sqrt(2),
        success=success,
        noise_multiplier=None if plan is None else float(plan.noise_multiplier),
        noise_floor=noise_floor(rounds) if rounds >= 2 else None,
    )
