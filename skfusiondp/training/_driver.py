"""The costly steps of a fit, which a search or an audit may carry out in its own way."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any


class Driver:
    """Carry out each costly step of a fit where the fit reaches it.

    An estimator calls these methods of its ``_driver``, which a search or an audit may replace. `like` is
    what a step depends on beside what fits on the same rows have in common that differ in private settings
    alone: only fits of an equal one may share the step.
    """

    def imputer(self, schema: Any, make: Callable[[], Any]) -> Any:
        """The imputer that is fitted for a schema."""
        return make()

    def counts(self, make: Callable[[], Any], cells: Any, table: Any, kept: Any) -> Any:
        """Noised counts of cells of a table's kept rows; the encoder and the rows that follow depend on them.

        A fit hands on what is counted for those who audit it: they count again, without noise.
        """
        return make()

    def encoder(self, like: Hashable, make: Callable[[], Any]) -> Any:
        """The encoder that is fitted on public facts, and what comes with it."""
        return make()

    def rows(self, like: Hashable, make: Callable[[], Any]) -> Any:
        """The encoded rows."""
        return make()

    def train(self, model: Any, net: Any, rows: Any) -> None:
        """Train the prepared net of an estimator whose fit has got so far."""
        net.fit_more(rows)
