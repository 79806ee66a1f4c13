"""The privacy report: what a fit promises, to whom, at which cost, and what it does not cover."""

from __future__ import annotations

import html
import json
import math
from dataclasses import asdict, dataclass, field
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

from .privacy import ADJACENCIES, PrivacyLedger


@dataclass(frozen=True)
class PrivacyReport:
    """What is protected, from whom, between which neighbours, and at which cost.

    Parameters
    ----------
    estimator : str
        Name of the estimator.
    method : str
        Training method.
    protected : mapping of str to dict
        Sensitive columns with domain and the domain's source; empty for whole rows or nothing.
    adjacency : str
        Neighbouring relation.
    epsilon, delta : float
        The guarantee of everything in the ledger under that relation.
    n_rows : int
        Rows trained on (public).
    mechanism : mapping
        Noise multiplier, clipping norm, sampling rate, steps planned and run.
    ledger : PrivacyLedger
        Every mechanism that read a sensitive cell.
    public : tuple of str
        What the fit treated as known to the adversary.
    not_covered : tuple of str
        What the guarantee does not cover, in this fit.
    """

    estimator: str
    method: str
    protected: dict
    adjacency: str
    epsilon: float
    delta: float
    n_rows: int
    mechanism: dict = field(default_factory=dict)
    ledger: PrivacyLedger = field(default_factory=PrivacyLedger)
    public: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """What is protected, in words."""
        if self.method == "dp-sgd":
            return "whole rows"
        if not self.protected:
            return "nothing"
        return f"the sensitive columns {', '.join(self.protected)}"

    @property
    def adversary(self) -> str:
        """Who the protection is against: what they are taken to know."""
        if self.method == "dp-sgd":
            return "sees the released model and knows every other row"
        return "sees the released model, the public columns, the labels and the number of rows"

    @property
    def epsilon_by_column(self) -> dict[str, float]:
        """Epsilon of each sensitive column alone, at the same delta; see ``PrivacyLedger``."""
        same = PrivacyLedger(tuple(e for e in self.ledger if e.adjacency == self.adjacency))
        return same.epsilon_by_column(self.delta)

    @property
    def guessing(self) -> str:
        """What the guarantee means to somebody who guesses a cell; empty where it means nothing."""
        same = PrivacyLedger(tuple(e for e in self.ledger if e.adjacency == self.adjacency))
        if self.method == "dp-sgd" or not len(same) or math.isinf(self.epsilon):
            return ""
        from .audit import attack_success

        chance = attack_success(same, prior=0.5)
        return (
            "Which of two equally likely values a cell has is guessed right with a chance of at most "
            f"{_up(100 * chance, 3)} %, by whoever sees the model (50 % without it)."
        )

    @property
    def promise(self) -> str:
        """The guarantee in one sentence."""
        if math.isinf(self.epsilon):
            return "No privacy guarantee: sensitive cells were read without noise (epsilon is infinite)."
        if not len(self.ledger):
            return (
                "No sensitive training cell was read, so the model is the same whatever they hold "
                f"(epsilon = 0, delta = 0, neighbours: {ADJACENCIES[self.adjacency]})."
                if self.protected
                else "Nothing was declared sensitive, so nothing is protected."
            )
        return (
            f"({_up(self.epsilon)}, {_up(self.delta)})-differential privacy of {self.what}, between tables "
            f"in which {ADJACENCIES[self.adjacency]} (neighbouring relation: {self.adjacency})."
        )

    def to_dict(self) -> dict:
        """The report as plain values; an infinite epsilon is the text "inf"."""
        return {
            "estimator": self.estimator,
            "method": self.method,
            "promise": self.promise,
            "protects": self.what,
            "sensitive_columns": {c: dict(d) for c, d in self.protected.items()},
            "adversary": self.adversary,
            "guessing": self.guessing,
            "adjacency": self.adjacency,
            "neighbours": ADJACENCIES[self.adjacency],
            "epsilon": self.epsilon if math.isfinite(self.epsilon) else "inf",
            "epsilon_by_column": {
                c: e if math.isfinite(e) else "inf" for c, e in self.epsilon_by_column.items()
            },
            "delta": self.delta,
            "n_rows": self.n_rows,
            "mechanism": dict(self.mechanism),
            "ledger": [asdict(e) for e in self.ledger],
            "public": list(self.public),
            "not_covered": list(self.not_covered),
        }

    def to_json(self) -> str:
        """The report as a JSON text."""
        return json.dumps(self.to_dict(), indent=2, default=str)

    def __str__(self) -> str:
        report = self.to_dict()
        lines = [f"Privacy report of {self.estimator} (method: {self.method})", self.promise]
        if math.isinf(self.epsilon):
            lines.reverse()  # first things first
        lines += [self.guessing, ""] if self.guessing else [""]
        lines.append("Adversary     " + report["adversary"])
        for name, domain in self.protected.items():
            lines.append(f"Sensitive     {name}: {_domain_text(domain)}{self._own_epsilon(name)}")
        for key, value in self.mechanism.items():
            lines.append(f"{key.replace('_', ' ').capitalize():<22}{_number(value)}")
        for title, items in (("Public", self.public), ("Not covered", self.not_covered)):
            lines += ["", f"{title}:", *(f"  - {item}" for item in items or ("nothing",))]
        return "\n".join(lines)

    def _own_epsilon(self, column: str) -> str:
        """A column's own epsilon, where columns differ in it."""
        by_column = self.epsilon_by_column
        if len(set(by_column.values())) < 2 or column not in by_column:
            return ""
        return f"; epsilon {_up(by_column[column])} where only this column differs"

    def to_html(self) -> str:
        """The report as a self-contained HTML fragment."""
        rows = "".join(
            f"<tr><th>{_e(k.replace('_', ' '))}</th><td>{_e(_number(v))}</td></tr>"
            for k, v in self.mechanism.items()
        )
        columns = "".join(
            f"<tr><th>{_e(c)}</th><td>{_e(_domain_text(d) + self._own_epsilon(c))}</td></tr>"
            for c, d in self.protected.items()
        )
        public = "".join(f"<li>{_e(item)}</li>" for item in self.public)
        not_covered = "".join(f"<li>{_e(item)}</li>" for item in self.not_covered) or "<li>nothing</li>"
        epsilon = "∞" if math.isinf(self.epsilon) else _up(self.epsilon)
        return f"""<div class="skfusiondp-report">
<style>
.skfusiondp-report {{font: 14px/1.5 system-ui, sans-serif; max-width: 46rem; color: #1c2733;
  background: #fff; border: 1px solid #d5dde5; border-radius: 8px; padding: 1rem 1.25rem}}
.skfusiondp-report h3 {{margin: .8rem 0 .2rem; font-size: 15px}}
.skfusiondp-report .eps {{font-size: 30px; font-weight: 600; color: #0b6e99}}
.skfusiondp-report table {{border-collapse: collapse}}
.skfusiondp-report th {{text-align: left; font-weight: 500; padding: 2px 1rem 2px 0; vertical-align: top}}
.skfusiondp-report td {{padding: 2px 0; font-variant-numeric: tabular-nums}}
.skfusiondp-report .warn {{border-left: 4px solid #d08700; padding-left: .8rem}}
.skfusiondp-report ul {{margin: .2rem 0; padding-left: 1.2rem}}
</style>
<div><span class="eps">ε = {epsilon}</span> at δ = {_up(self.delta)},
relation <b>{_e(self.adjacency)}</b></div>
<p>{_e(self.promise)} The adversary {_e(self.adversary)}. {_e(self.guessing)}</p>
<h3>What is protected</h3><table>{columns or f"<tr><td>{_e(self.what)}</td></tr>"}</table>
<h3>Mechanism</h3><table>{rows}</table>
<h3>Public</h3><ul>{public}</ul>
<div class="warn"><h3>Not covered</h3><ul>{not_covered}</ul></div>
<p><small>{_e(self.estimator)}, method {_e(self.method)}, {self.n_rows} rows</small></p>
</div>"""

    _repr_html_ = to_html

    def save_html(self, path: str | Path) -> None:
        """Write the report as an HTML page."""
        title = f"Privacy report: {_e(self.estimator)}"
        page = f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title>"
        Path(path).write_text(f"{page}<body>{self.to_html()}</body></html>\n", encoding="utf-8")


def _e(text: object) -> str:
    return html.escape(str(text))


def _up(value: float, digits: int = 4) -> str:
    """A bound with few digits, rounded up: a printed epsilon must not be below the true one."""
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    quantum = Decimal(1).scaleb(Decimal(value).adjusted() - digits + 1)
    return f"{float(Decimal(value).quantize(quantum, rounding=ROUND_CEILING)):.{digits}g}"


def _number(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _domain_text(domain: dict) -> str:
    if domain["kind"] == "numeric":
        text = f"numeric, {domain['low']:g} to {domain['high']:g}"
    else:
        shown = ", ".join(domain["categories"][:8])
        more = len(domain["categories"]) - 8
        text = f"categorical: {shown}" + (f" and {more} more" if more > 0 else "")
    return f"{text} (domain: {domain['source']})"
