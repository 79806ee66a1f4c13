"""The privacy report: what a fit promises, to whom, at which cost, and what it does not cover."""

from __future__ import annotations

import html
import json
import math
from dataclasses import asdict, dataclass, field
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

from .._html import card, page
from ..privacy import PrivacyLedger
from ..privacy._attack_success import attack_success
from ..privacy._relations import relation, whose_rows


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
    unit : str
        What says whose row it is (the name of a public column, say); empty where each row is a unit.
    surroundings : str
        What was seen of the pipeline in which this was fitted, where the report speaks of one step alone.
    chosen_by : str
        Searches that have fitted others beside what the report speaks of, and kept no ledger of them.
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
    unit: str = ""
    surroundings: str = ""
    chosen_by: str = ""

    @property
    def what(self) -> str:
        """What is protected, in words."""
        if relation(self.adjacency).protects_rows:
            return "whole rows"
        if not self.protected:
            return "nothing"
        return f"the sensitive columns {', '.join(self.protected)}"

    @property
    def adversary(self) -> str:
        """Who the protection is against: what they are taken to know."""
        if relation(self.adjacency).protects_rows:
            return "sees the released model and knows every other row"
        return "sees the released model, the public columns, the labels and the number of rows"

    @property
    def _same(self) -> PrivacyLedger:
        return self.ledger.under(self.adjacency)

    @property
    def epsilon_by_column(self) -> dict[str, float]:
        """Epsilon of each sensitive column alone, at the same delta; see ``PrivacyLedger``."""
        if not len(self._same):
            return {}
        by_column = self._same.epsilon_by_column(self.delta)
        if math.isinf(self.epsilon) and not math.isinf(self._same.epsilon(self.delta)):
            # A leak that is not in the ledger may be of any column.
            return dict.fromkeys(by_column, math.inf)
        return by_column

    @property
    def epsilon_of_all_columns(self) -> float:
        """Epsilon of all sensitive columns together, at the same delta: any of their cells may differ."""
        if math.isinf(self.epsilon) or not len(self._same):
            return self.epsilon
        return self._same.epsilon_of_columns(self.protected or self.epsilon_by_column, self.delta)

    @property
    def rows_per_unit(self) -> int:
        """The most rows of one unit that were read; 1 where each row is a unit."""
        return self._same.rows_per_unit

    @property
    def epsilon_of_a_row(self) -> float:
        """Epsilon, at the same delta, where only one row of a unit differs."""
        if math.isinf(self.epsilon) or self.rows_per_unit == 1:
            return self.epsilon
        return self._same.epsilon(self.delta, of="row")

    @property
    def whose(self) -> str:
        """Whose epsilon it is, in words."""
        return whose_rows(self.rows_per_unit, self.unit)

    @property
    def guessing(self) -> str:
        """What the guarantee means to somebody who guesses a cell; empty where it means nothing."""
        same = self._same
        if relation(self.adjacency).protects_rows or not len(same) or math.isinf(self.epsilon):
            return ""
        chance = attack_success(same, prior=0.5)
        what = "values a cell has" if self.rows_per_unit == 1 else "versions of a unit's cells is true"
        return (
            f"Which of two equally likely {what} is guessed right with a chance of at most "
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
                f"(epsilon = 0, delta = 0, neighbours: {relation(self.adjacency).neighbours})."
                if self.protected
                else "Nothing was declared sensitive, so nothing is protected."
            )
        return (
            f"({_up(self.epsilon)}, {_up(self.delta)})-differential privacy of {self.what}, between tables "
            f"in which {relation(self.adjacency).in_words(self.rows_per_unit)} (neighbouring relation: "
            f"{self.adjacency}).{self._row_in_words}{self._search_in_words}"
        )

    @property
    def _search_in_words(self) -> str:
        if not self.chosen_by:
            return ""
        return (
            f" This is of the released fit alone: the other fits of {self.chosen_by} read the same cells and "
            "add to it, so that for what the search has told it is a lower bound."
        )

    @property
    def _row_in_words(self) -> str:
        if self.rows_per_unit == 1:
            return ""
        named = f" (a value of {self.unit})" if self.unit else ""
        return (
            f" This epsilon is a unit's{named}; that of a single row, where nothing else of the unit "
            f"differs, is {_up(self.epsilon_of_a_row)} at the same delta."
        )

    def to_dict(self) -> dict:
        """The report as plain values; an infinite epsilon is the text "inf"."""
        return {
            "estimator": self.estimator,
            "method": self.method,
            "promise": self.promise,
            "surroundings": self.surroundings,
            "chosen_by": self.chosen_by,
            "protects": self.what,
            "sensitive_columns": {c: dict(d) for c, d in self.protected.items()},
            "adversary": self.adversary,
            "guessing": self.guessing,
            "adjacency": self.adjacency,
            "neighbours": relation(self.adjacency).in_words(self.rows_per_unit),
            "epsilon": _finite(self.epsilon),
            "epsilon_is_of": self.whose,
            "epsilon_of_a_row": _finite(self.epsilon_of_a_row),
            "rows_per_unit": self.rows_per_unit,
            "epsilon_by_column": {c: _finite(e) for c, e in self.epsilon_by_column.items()},
            "epsilon_of_all_columns": _finite(self.epsilon_of_all_columns),
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
        lines += [self.surroundings] if self.surroundings else []
        lines += [self.guessing, ""] if self.guessing else [""]
        lines.append("Adversary     " + report["adversary"])
        for name, domain in self.protected.items():
            lines.append(f"Sensitive     {name}: {_domain_text(domain)}{self._own_epsilon(name)}")
        lines += [f"Together      {self._together}"] if self._together else []
        for key, value in self.mechanism.items():
            lines.append(f"{_title(key):<21} {self._mechanism_text(key, value)}")
        for title, items in (("Public", self.public), ("Not covered", self.not_covered)):
            lines += ["", f"{title}:", *(f"  - {item}" for item in items or ("nothing",))]
        return "\n".join(lines)

    def _own_epsilon(self, column: str) -> str:
        """A column's own epsilon, where columns differ in it."""
        by_column = self.epsilon_by_column
        if len(set(by_column.values())) < 2 or column not in by_column:
            return ""
        return f"; {self._stated(by_column[column])} where only this column differs"

    @property
    def _together(self) -> str:
        """Epsilon of all sensitive columns, where there are several."""
        if len(self.protected) < 2 or not len(self._same) or math.isinf(self.epsilon):
            return ""
        return f"{self._stated(self.epsilon_of_all_columns)} where cells of all these columns may differ"

    def _stated(self, epsilon: float, adjacency: str = "") -> str:
        """An epsilon with all that it means nothing without."""
        relation = adjacency or self.adjacency
        whose = whose_rows(self.ledger.under(relation).rows_per_unit, self.unit)
        return f"epsilon {_up(epsilon)} at delta {_up(self.delta)} ({relation}, of {whose})"

    def _mechanism_text(self, key: str, value: object) -> str:
        if key.startswith("epsilon") and isinstance(value, float):
            _, under, relation = key.partition("epsilon_under_")
            return self._stated(value, relation if under else "").removeprefix("epsilon ")
        return _number(value) + _MEANS.get(key, "")

    def to_html(self) -> str:
        """The report as a self-contained HTML fragment."""
        rows = "".join(
            f"<tr><th>{_e(k.replace('_', ' '))}</th><td>{_e(self._mechanism_text(k, v))}</td></tr>"
            for k, v in self.mechanism.items()
        )
        columns = "".join(
            f"<tr><th>{_e(c)}</th><td>{_e(_domain_text(d) + self._own_epsilon(c))}</td></tr>"
            for c, d in self.protected.items()
        )
        if self._together:
            columns += f"<tr><th>together</th><td>{_e(self._together)}</td></tr>"
        public = "".join(f"<li>{_e(item)}</li>" for item in self.public)
        not_covered = "".join(f"<li>{_e(item)}</li>" for item in self.not_covered) or "<li>nothing</li>"
        epsilon = "∞" if math.isinf(self.epsilon) else _up(self.epsilon)
        tone, title = (
            ("bad", "Sensitive columns") if math.isinf(self.epsilon) else ("good", "What is protected")
        )
        alone = ""
        if self.chosen_by and not math.isinf(self.epsilon):
            alone = f", of the released fit alone: the other fits of {_e(self.chosen_by)} add to it"
        surroundings = f"<p>{_e(self.surroundings)}</p>" if self.surroundings else ""
        return card(f"""<div><span class="eps {tone}">ε = {epsilon}</span> at δ = {_up(self.delta)},
relation <b>{_e(self.adjacency)}</b>, of {_e(self.whose)}{alone}</div>
<p>{_e(self.promise)} The adversary {_e(self.adversary)}. {_e(self.guessing)}</p>
{surroundings}
<h3>{title}</h3><table>{columns or f"<tr><td>{_e(self.what)}</td></tr>"}</table>
<h3>Mechanism</h3><table>{rows}</table>
<h3>Public</h3><ul>{public}</ul>
<div class="warn"><h3>Not covered</h3><ul>{not_covered}</ul></div>
<p><small>{_e(self.estimator)}, method {_e(self.method)}, {self.n_rows:,} rows</small></p>""")

    _repr_html_ = to_html

    def save_html(self, path: str | Path) -> None:
        """Write the report as an HTML page."""
        text = page(f"Privacy report: {self.estimator}", self.to_html())
        Path(path).write_text(text, encoding="utf-8")


# What is added to a figure that would be read as something else.
_MEANS = {"correction_kept_by_plan": " (by the size of the noise, whatever was found)"}


def _e(text: object) -> str:
    return html.escape(str(text))


def _title(key: str) -> str:
    return key[:1].upper() + key[1:].replace("_", " ")


def _finite(epsilon: float) -> float | str:
    # JSON knows no infinity.
    return epsilon if math.isfinite(epsilon) else "inf"


def _up(value: float, digits: int = 4) -> str:
    """A bound with few digits, rounded up: a printed epsilon must not be below the true one."""
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    quantum = Decimal(1).scaleb(Decimal(value).adjusted() - digits + 1)
    return f"{float(Decimal(value).quantize(quantum, rounding=ROUND_CEILING)):.{digits}g}"


def _number(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _domain_text(domain: dict) -> str:
    return f"{domain['text']} (domain: {domain['source']})"
