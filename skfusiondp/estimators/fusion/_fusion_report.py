"""The privacy report of a fitted estimator."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ...accounting._privacy_report import PrivacyReport


class Reporting(BaseEstimator):
    """What a fit protects and what it does not, in words and numbers."""

    @property
    def _adjacency(self) -> str:
        return "add-remove" if self.method == "dp-sgd" else self.adjacency

    def privacy_report(self) -> PrivacyReport:
        """What this fit protects, between which neighbours, at which cost; and what it does not.

        Returns
        -------
        PrivacyReport
            Text when printed, HTML in a notebook; ``to_dict``, ``to_json``, ``save_html``.
        """
        check_is_fitted(self, "net_")
        whole_rows = self._method == "dp-sgd"
        protected = {
            c: {**d.to_dict(), "source": self.schema_.sources.get(c, "declared")}
            for c, d in self.schema_.domains.items()
        }
        plan = self.plan_
        mechanism: dict[str, Any] = {"method": self._method}
        if plan is not None:
            mechanism = {
                "noise_multiplier": plan.noise_multiplier,
                "max_grad_norm": plan.clipping.max_grad_norm,
                "clipping": plan.clipping.kind,
                "sampling_rate": plan.sample_rate,
                "expected_batch_size": plan.expected_batch_size,
                "steps_planned": plan.steps,
                "steps_run": self.net_.private_steps_,
                "fits_in_ledger": len(self.ledger_),
            }
        return PrivacyReport(
            estimator=type(self).__name__,
            method=self._method,
            protected={} if whole_rows else protected,
            adjacency=self._relation,
            epsilon=self.epsilon_,
            delta=self.delta_,
            n_rows=self.n_rows_,
            mechanism=mechanism,
            ledger=self.ledger_,
            public=self._public_facts(),
            not_covered=self._not_covered(),
            unit=self.unit_,
        )

    def _public_facts(self) -> tuple[str, ...]:
        facts = ["the number of rows, the plan and its parameters"]
        if self._method != "dp-sgd":
            facts += [
                "the labels",
                f"the public columns: {', '.join(self.schema_.public) or 'none'}",
            ]
        sources = set(self.schema_.sources.values()) - {"training cells"}
        if sources:
            facts.append(f"the domains of the sensitive columns ({', '.join(sorted(sources))})")
        if self.imputer_ is not None:
            facts.append("what the imputer learnt: its support rows or its pretrained model")
        return tuple(facts)

    def _not_covered(self) -> tuple[str, ...]:
        gaps = [] if self._method == "non-private" else list(self.schema_.gaps)
        if self._method == "dp-sgd":
            gaps.append("statistics of the encoding (means, scales, categories) and of the target")
        if self.imputer_ is None and self._method in ("fusiondp", "hybrid"):
            gaps.append("the hybrid view: it came with X, made without reading sensitive cells by promise")
        if self.plan_ is not None:
            gaps.append("choosing hyper-parameters by comparing fits on the same sensitive cells")
            if self._seeded:
                gaps.append(
                    f"anyone who knows random_state={self._seeded}: the noise can be recomputed; "
                    "use random_state=None for a release"
                )
            if self._relation == "zero-out":
                gaps.append("two arbitrary values of a cell: zero-out compares a value with its being erased")
        others = {e.adjacency for e in self.ledger_} - {self._relation}
        if others:
            gaps.append(f"earlier fits of this estimator under {', '.join(sorted(others))}")
        return tuple(gaps)
