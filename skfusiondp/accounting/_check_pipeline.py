"""``check_pipeline``: the steps of a pipeline that read sensitive training cells without paying."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

from .._html import card
from .._parameters import ON_LEAK
from ..exceptions import InvalidInputError, report_leak
from ..tables._select import refuse_table
from ._discovery import Discovery
from ._finding import Finding
from ._provenance import EVERY, Column, Flow, start_of
from ._walk import Walk

SEVERITIES = {
    "leak": "reads sensitive training cells without paying: the guarantee is void",
    "uncovered": "the fits pay, but choosing among them is not covered",
    "note": "cannot be checked here: the guarantee holds only if it is as described",
}


@dataclass(frozen=True)
class PipelineCheck(Sequence):
    """What `check_pipeline` has found: a sequence of `Finding`, text when printed, HTML in a notebook.

    Parameters
    ----------
    findings : tuple of Finding
        In the order of a fit.
    sensitive : tuple of str
        The columns that the check has taken to be sensitive.
    """

    findings: tuple[Finding, ...] = ()
    sensitive: tuple[str, ...] = ()

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """The findings that void the guarantee."""
        return tuple(f for f in self.findings if f.severity == "leak")

    @property
    def ok(self) -> bool:
        """Whether nothing leaks; other findings may be there."""
        return not self.leaks

    def raise_if_leaks(self) -> None:
        """Refuse to go on with a pipeline that leaks.

        Raises
        ------
        PrivacyLeakError
            Names every leak and its remedy.
        """
        self._report("raise")

    def _report(self, on_leak: str) -> None:
        message = "\n".join(str(f) for f in self.leaks)
        ON_LEAK.check("on_leak", on_leak)
        if message:
            report_leak(message, on_leak)

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Finding, ...]: ...
    def __getitem__(self, index):
        return self.findings[index]

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    @property
    def _verdict(self) -> str:
        columns = ", ".join(self.sensitive) or "nothing"
        if self.ok:
            return f"No step is seen to read sensitive training cells without paying (sensitive: {columns})."
        steps = len({f.path for f in self.leaks})
        verb = "1 step reads" if steps == 1 else f"{steps} steps read"
        return f"{verb} sensitive training cells without paying (sensitive: {columns})."

    def __str__(self) -> str:
        lines = [self._verdict]
        for severity, meaning in SEVERITIES.items():
            found = [f for f in self.findings if f.severity == severity]
            if found:
                lines += ["", f"{severity}: {meaning}", *(f"  - {f}" for f in found)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        e = html.escape
        rows = "".join(
            f"<tr><td>{e(f.severity)}</td><td><code>{e(f.path)}</code> {e(f.estimator)}</td>"
            f"<td>{e(', '.join(f.columns))}</td><td>{e(f.why)}</td><td>{e(f.remedy)}</td></tr>"
            for f in self.findings
        )
        head = "".join(f"<th>{t}</th>" for t in ("Severity", "Step", "Sensitive columns", "Why", "Remedy"))
        table = f"<table class='wide'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        tone = "bad" if self.leaks else "good"
        return card(f"<p><b class='{tone}'>{e(self._verdict)}</b></p>{table if rows else ''}")


def check_pipeline(
    pipe: Any, sensitive: Any = None, *, X: Any = None, on_leak: str = "ignore"
) -> PipelineCheck:
    """Find each step that would read, or has read, sensitive training cells without paying.

    Walks Pipelines, ColumnTransformers, FeatureUnions, searches and other estimators of estimators in the
    order of a fit, and follows every sensitive column through them. Steps are judged by their class
    and parameters, and no cell is read. A class that is not known is taken to leak.

    Parameters
    ----------
    pipe : estimator
        Unfitted or fitted.
    sensitive : None, mapping or column selector, default=None
        Sensitive columns of the table that `pipe` is fitted on, as FusionDPClassifier takes them. None
        takes what the pipeline's own FusionDP and FoundationImputer steps state; if there are
        none, every column.
    X : table, or list of str, default=None
        The table, or the names of its columns. Only names and types are read. Needed where columns are
        selected by position, mask, slice or function.
    on_leak : {"ignore", "warn", "raise"}, default="ignore"
        What happens beside the result if something leaks.

    Returns
    -------
    PipelineCheck

    Raises
    ------
    PrivacyLeakError
        If ``on_leak="raise"`` and a step leaks.
    InvalidInputError
        If `pipe` is no estimator, `sensitive` names a column that `X` lacks or needs `X` to be told,
        or `on_leak` is unknown.

    Warns
    -----
    PrivacyLeakWarning
        If ``on_leak="warn"`` and a step leaks.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skfusiondp import FusionDPClassifier, Numeric
    >>> from skfusiondp.accounting import check_pipeline
    >>> model = FusionDPClassifier({"age": Numeric(18, 90)})
    >>> check = check_pipeline(make_pipeline(StandardScaler().set_output(transform="pandas"), model))
    >>> check.ok, check[0].path, check[0].why
    (False, 'standardscaler', 'learns means and scales from the cells')
    >>> check_pipeline(model).ok
    True
    """
    if isinstance(pipe, type) or not hasattr(pipe, "fit"):
        raise InvalidInputError(f"pipe={pipe!r} is no estimator; pass a pipeline or an estimator object.")
    refuse_table(sensitive)
    check = look_at(pipe, sensitive, X=X)
    check._report(on_leak)
    return check


def look_at(pipe: Any, sensitive: Any = None, *, X: Any = None, fitting: bool = False) -> PipelineCheck:
    """Check a pipeline, without a warning; with `fitting`, leave out what fits of this library report."""
    start = start_of(pipe, X)
    discovery = _discovered(pipe, start)
    names = discovery.sensitive if sensitive is None else _chosen(start, sensitive)
    walk = Walk(_marked(start, names), discovery.domains, fitting=fitting)
    walk.visit(pipe, walk.start)
    known = [c.name for c in start.columns if c.name in names]
    return PipelineCheck(tuple(walk.seen), (*known, *sorted(names - set(known))))


def _chosen(start: Flow, sensitive: Any) -> frozenset[str]:
    picked = start.pick(sensitive)
    if picked is None:
        known = f"; the table has {', '.join(c.name for c in start.columns)}" if start.columns else ""
        raise InvalidInputError(
            f"sensitive={sensitive!r} names columns that cannot be found{known}. Pass names that the table "
            "has, and the table as X= for positions, masks, slices and functions."
        )
    return picked.sources


def _discovered(pipe: Any, start: Flow) -> Discovery:
    """Which columns the pipeline's own steps declare sensitive, found by a walk that follows every column."""
    walk = Walk(start, trying=False)
    walk.visit(pipe, start)
    if walk.discovery.lost:  # a step has renamed columns: a run on made-up rows tells which they were
        walk = Walk(start, walk.discovery.domains, thorough=False)
        walk.visit(pipe, start)
    return walk.discovery


def _marked(start: Flow, names: frozenset[str]) -> Flow:
    """The table with the sensitive columns marked as such, and no others."""
    columns = tuple(replace(c, sources=c.sources & names) for c in start.columns)
    if start.rest is None:
        return replace(start, columns=columns)
    if EVERY in names:
        return start
    return replace(
        start, columns=tuple(Column(n, frozenset({n}), own=n) for n in sorted(names)), rest=frozenset()
    )
