"""Which columns of a table are sensitive, as far as the steps of a pipeline state it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ._known_steps import is_a
from ._provenance import EVERY, Flow


@dataclass
class Discovery:
    """What this library's steps state about the columns of the first table.

    Parameters
    ----------
    start : Flow
        The first table.
    stated : frozenset of str
        Columns that steps state.
    mixed : list of frozenset of str
        What other columns are made of that steps state, each of several ones.
    protected : frozenset of str
        Columns that they protect though they do not state them: whole rows, or all that they are handed.
    domains : dict of str to domain
        Declared domains, by the column's name at that step.
    lost : bool
        Whether a step states columns that are not, or may not be, those of that name in the first table.
    hybrid : bool
        Whether a FoundationImputer that was told the sensitive columns has been visited.
    """

    start: Flow
    stated: frozenset[str] = frozenset()
    mixed: list[frozenset[str]] = field(default_factory=list)
    protected: frozenset[str] = frozenset()
    domains: dict[str, Any] = field(default_factory=dict)
    lost: bool = False
    hybrid: bool = False

    def note(self, estimator: Any, sensitive: Any, stated: Flow) -> None:
        """Note the columns that one step states or protects."""
        rows = getattr(estimator, "method", None) == "dp-sgd"
        if rows or sensitive is None:
            # A hybrid view holds no sensitive cell, so nothing in it is left to protect.
            self.protected |= stated.sources if rows or not self.hybrid else frozenset()
            return
        self.hybrid |= is_a(estimator, "FoundationImputer")
        names = {c.name for c in self.start.columns}
        for column in stated.columns:
            if len(column.sources) == 1 and EVERY not in column.sources:
                self.stated |= column.sources
            elif column.name in names or EVERY in column.sources:
                self.stated |= {column.name}  # only its name is known
            elif column.sources:
                self.mixed.append(column.sources)
        self.lost |= any(c.sources != {c.own or c.name} for c in stated.columns)
        if isinstance(sensitive, Mapping):
            self.domains |= {k: d for k, d in sensitive.items() if isinstance(k, str)}

    @property
    def sensitive(self) -> frozenset[str]:
        """The sensitive columns; all, if no step states any."""
        names = self.stated | self.protected
        for sources in self.mixed:  # one of them is sensitive at least
            names |= frozenset() if sources & names else sources
        names = names or self.start.sources
        return frozenset({EVERY}) if EVERY in names else names
