"""Who carries out the costly steps of a fit: the fit itself, or a search or an audit in its own way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Driver:
    """Carries out each step of a fit as it comes.

    An estimator whose ``_driver`` is set to an instance of a subclass hands these steps over to it.
    """

    def imputer(self, schema: Any, make: Callable[[], Any]) -> Any:
        """The imputer that is fitted for a schema."""
        return make()

    def rows(self, make: Callable[[], Any]) -> Any:
        """The encoded rows."""
        return make()

    def train(self, model: Any, net: Any, rows: Any) -> None:
        """Train the prepared net of an estimator whose fit has got so far."""
        net.fit_more(rows)
