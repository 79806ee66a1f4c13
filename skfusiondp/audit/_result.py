"""What an audit found, against what was claimed."""

from __future__ import annotations

import html
import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from .._html import card


@dataclass(frozen=True)
class AttributeAudit:
    """A lower bound on epsilon from one attacked fit, beside the claim.

    Parameters
    ----------
    estimator : str
        Name of the audited estimator.
    score : {"white-box", "black-box"}
        What the attacker saw.
    adjacency : str
        Neighbouring relation of the claim.
    columns : tuple of str
        Sensitive columns that the coins set; empty where they decided about whole rows.
    n_rows, n_canaries, guesses, correct : int
        Rows of the table, canaries among them, coins guessed, and guessed right.
    confidence : float
        A sound fit's bound is above its epsilon with a chance of at most one minus this.
    epsilon_lower : float
        Any smaller epsilon is refuted.
    claim, delta : float
        The guarantee that was held against it.
    hops : int, default=1
        Steps of the neighbouring relation between the two sides of a coin.
    sums : bool, default=False
        Whether what the attacker saw were the noised sums of a synthesizer.

    Examples
    --------
    >>> from skfusiondp.audit import AttributeAudit
    >>> found = AttributeAudit("FusionDPClassifier", "white-box", "replace", ("age",), 1000, 500, 100, 99,
    ...                        confidence=0.95, epsilon_lower=3.0, claim=1.0, delta=1e-5)
    >>> found.consistent
    False
    """

    estimator: str
    score: str
    adjacency: str
    columns: tuple[str, ...]
    n_rows: int
    n_canaries: int
    guesses: int
    correct: int
    confidence: float
    epsilon_lower: float
    claim: float
    delta: float
    hops: int = 1
    sums: bool = False

    @property
    def consistent(self) -> bool:
        """Whether the claim stands: the lower bound does not exceed it."""
        return self.epsilon_lower <= self.claim

    @property
    def verdict(self) -> str:
        """The finding in one sentence."""
        bound = f"epsilon is at least {self.epsilon_lower:.3g} with {self.confidence:.0%} confidence"
        if self.consistent:
            return f"The claim of {self.claim:.3g} stands: {bound}."
        return f"The claim of {self.claim:.3g} is refuted: {bound}."

    @property
    def attack(self) -> str:
        """What was done, in one sentence."""
        what = f"the cells {', '.join(self.columns)}" if self.columns else "the presence"
        saw = "the released model"
        if self.sums:
            saw = "all noised sums, and knew the rest of the table"
        elif self.score == "white-box":
            saw = "all noised gradients, with crafted module and public cells"
        return (
            f"{self.n_canaries} of {self.n_rows} rows were canaries: coins set {what} of each; the attacker "
            f"saw {saw}, and guessed {self.correct} of {self.guesses} coins right."
        )

    def to_dict(self) -> dict:
        """The audit as plain values; an infinite claim is the text "inf"."""
        claim = self.claim if math.isfinite(self.claim) else "inf"
        facts = {**asdict(self), "columns": list(self.columns), "claim": claim}
        return {**facts, "consistent": self.consistent, "verdict": self.verdict, "attack": self.attack}

    def to_json(self) -> str:
        """The audit as a JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        return (
            f"Audit of {self.estimator} ({self.score}, relation {self.adjacency}, delta {self.delta:.3g})\n"
            f"{self.verdict}\n{self.attack}"
        )

    def _repr_html_(self) -> str:
        tone = "good" if self.consistent else "bad"
        share = 100 if self.claim == 0 else min(100.0, 100 * self.epsilon_lower / self.claim)
        bar = f"background:currentColor;height:8px;width:{share:.0f}%"
        return card(f"""<b class="{tone}">{html.escape(self.verdict)}</b>
<div class="{tone}" style="border:1px solid var(--line);margin:.5rem 0"><div style="{bar}"></div></div>
<small>{html.escape(self.attack)} Relation {self.adjacency}, δ = {self.delta:.3g}.</small>""")

    def plot(self, ax: Any = None) -> Any:
        """Draw the lower bound against the claim.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new one if not given.

        Returns
        -------
        matplotlib Axes
        """
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(figsize=(6, 1.6), layout="constrained")[1]
        finite = math.isfinite(self.claim)
        reach = max(self.epsilon_lower, self.claim if finite else 0, 0.1)
        ax.barh([0], [self.epsilon_lower], height=0.5, color="C0" if self.consistent else "C3")
        ax.text(self.epsilon_lower + 0.01 * reach, 0, f"≥ {self.epsilon_lower:.2f}", va="center")
        if finite:
            ax.axvline(self.claim, color="black", linestyle="--")
            ax.text(self.claim + 0.01 * reach, 0.42, "claim", va="center")
        ax.set(xlim=(0, 1.2 * reach), ylim=(-0.4, 0.6), yticks=[])
        ax.set_xlabel(
            f"ε at δ = {self.delta:.2g}, relation {self.adjacency}, {self.confidence:.0%} confidence"
        )
        return ax
