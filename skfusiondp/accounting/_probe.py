"""Run a step on made-up rows: which columns it makes of which, and whether it learns from cells.

All cells of a sensitive column but one row's are changed, to contents that move statistics as far as can be:
whatever then moves in that row, or in what the step has learnt, has been read off the others. What
moves in the other rows shows which output columns are made of the column.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any

import joblib
import numpy as np
import pandas as pd

from .._copies import own
from ..privacy import PrivacyBudget
from ..tables._categorical import Categorical
from ..tables._frames import is_polars
from ._accounted import COMPOSING, is_ours
from ._known_steps import is_a, names_in_parameters
from ._made_up_rows import KEPT, ROWS, made_up, other_contents, variants, with_missing_cells
from ._provenance import Column, Flow

_SECONDS = 3.0  # of this thread's own work; waiting may take five times as long
_MOST_COLUMNS = 400  # that go in
_MOST_OUTPUTS = 10_000
_MOST_SINGLE = 6  # sources that are changed one by one from the start
_MOST_ALONE = 40  # and where groups of them leave it unclear
_FEWEST_VARIANTS = 2
# Not run: they are slow, or fetch models.
_HEAVY = ("skfusiondp", "skorch", "torch", "transformers", "sentence_transformers", "tensorflow", "keras")
_MARKER = Column("(another column)")


@dataclass(frozen=True)
class Trial:
    """What a step did with made-up rows.

    Parameters
    ----------
    flow : Flow or None
        The columns that come out; None if the rows are others than those that went in.
    learns : frozenset of str
        Sensitive columns whose cells changed what the step learnt, other rows, or the shape of the output.
    fitted : estimator
        The step, fitted on made-up rows.
    """

    flow: Flow | None
    learns: frozenset[str]
    fitted: Any


@dataclass(frozen=True)
class _Run:
    """One fit on made-up rows: the output, and what was learnt."""

    fitted: Any
    out: np.ndarray
    names: list[str]
    types: list[Any]
    named: bool
    learnt: dict[str, str]

    def shape_like(self, other: _Run) -> bool:
        return self.names == other.names and self.out.shape == other.out.shape


class _Refused(Exception):
    """The step cannot be tried."""


_running: ContextVar[bool] = ContextVar("whether a step is being run on made-up rows", default=False)


def on_made_up_rows() -> bool:
    """Whether the calling code runs on made-up rows: then there is nothing to protect or to check."""
    return _running.get()


def probe(step: Any, flow: Flow, domains: Mapping[str, Any], thorough: bool = True) -> Trial | None:
    """Run a copy of a step on made-up rows; None if it cannot be run, or its output is not the same twice.

    `flow` are the columns that it would be fitted on, `domains` the declared domains of some of them. Unless
    `thorough`, only two contents of each column are tried: they show of which columns a column is made.
    """
    if not _can_be_tried(step, flow):
        return None
    with _leaving_no_trace():
        return _Probe(step, flow, domains, thorough).trial()
    return None


def fitted_on_made_up_rows(step: Any, flow: Flow, domains: Mapping[str, Any]) -> Any:
    """A copy of a step, fitted on made-up rows; None if it cannot be."""
    if not _can_be_tried(step, flow):
        return None
    with _leaving_no_trace():
        return _Probe(step, flow, domains, thorough=False).first_run().fitted
    return None


def chosen_by_cells(choose: Callable[[Any], Any], flow: Flow, domains: Mapping[str, Any]) -> bool:
    """Whether a function that selects columns answers otherwise when cells change; true if it cannot be told.

    `flow` are the columns of the table that it would be handed.
    """
    columns = list(flow.columns)
    untold = flow.rest is not None or any(c.many for c in columns) or len(columns) > _MOST_COLUMNS
    if untold or _running.get() or len({c.name for c in columns}) < len(columns):
        return True
    shaped = next(_shapes(flow, len(columns)))

    def answer(table: pd.DataFrame) -> str:
        try:
            told = choose(shaped(table))
        except Exception as error:  # whatever somebody's function raises on rows that it was not made for
            raise _Refused from error
        return repr(list(told) if isinstance(told, Iterable) and not isinstance(told, str) else told)

    with _leaving_no_trace():
        table = made_up(columns, domains, 0)
        contents, first = other_contents(table, columns, domains), answer(table)
        groups = _groups(sorted(flow.sources))
        return any(answer(t) != first for g in groups for t in variants(table, columns, contents, g))
    return True


@contextlib.contextmanager
def _leaving_no_trace() -> Iterator[None]:
    """Silence the warnings of another library's code and `_Refused`; restore numpy's random state."""
    state, token = np.random.get_state(), _running.set(True)  # noqa: NPY002
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.suppress(_Refused):
            warnings.simplefilter("ignore")
            yield
    finally:
        _running.reset(token)
        np.random.set_state(state)  # noqa: NPY002


def _can_be_tried(step: Any, flow: Flow) -> bool:
    return (
        not _running.get()
        and (hasattr(step, "transform") or hasattr(step, "fit_transform"))
        and type(step).__module__.split(".")[0] not in _HEAVY
        and not any(c.many for c in flow.columns)
        and len(flow.columns) <= _MOST_COLUMNS
        and bool(flow.columns)
        and not flow.rest_sources
        and len({c.name for c in flow.columns}) == len(flow.columns)
        and not any(is_ours(p) or isinstance(p, PrivacyBudget) for p in _parameters(step).values())
    )


def _parameters(step: Any) -> dict[str, Any]:
    return step.get_params(deep=True) if hasattr(step, "get_params") else {}


class _Probe:
    def __init__(self, step: Any, flow: Flow, domains: Mapping[str, Any], thorough: bool):
        self.step, self.flow = step, flow
        self.thorough = thorough
        self.most_variants = 100 if thorough else _FEWEST_VARIANTS
        self.columns = list(flow.columns)
        self.domains = {**domains, **_declared_categories(step, self.columns)}
        self.end = _end()
        self.shaped: Any = None

    def trial(self) -> Trial:
        base = self.first_run()
        again = self._run(self._table(0))
        if base.learnt != again.learnt or not _same(base.out, again.out).all():
            raise _Refused
        other = self._run(self._table(1))
        moved, learns = self._moved(base)
        if len(base.out) == len(other.out) == ROWS:
            return Trial(self._flow(base, other, moved), learns, base.fitted)
        if not learns:  # which row became which is not known, so others may have moved
            raise _Refused
        return Trial(None, learns, base.fitted)

    def _flow(self, base: _Run, other: _Run, moved: list[frozenset[str]]) -> Flow:
        """The columns that come out, with what each is made of."""
        before = {c.name: c.sources for c in self.columns}
        steady = set(base.names) & set(other.names)
        # Names that depend on the rows, as those of categories do, will be others on true rows.
        varying = [sources for name, sources in zip(base.names, moved, strict=True) if name not in steady]
        made = [
            # A column that keeps its name is taken to keep its cells, also where no change was seen.
            Column(name, sources | before.get(name, frozenset()), kind)
            for name, sources, kind in zip(base.names, moved, base.types, strict=True)
            if name in steady
        ]
        if varying or len(steady) < len(other.names):
            made.append(Column("*", frozenset().union(*varying), many=True))
        if self.flow.rest is None:
            return Flow(tuple(made), named=base.named, ordered=False)
        # Columns that were only made up to stand for others, and have stayed public, are among those again.
        others = {c.name for c in self.columns} - {c.name for c in self.flow.columns}
        kept = tuple(c for c in made if c.sources or c.name not in others)
        if _MARKER.name in base.names:
            return replace(self.flow, columns=kept, named=base.named, protected=None)
        rest = Column("*", self.flow.rest_sources, many=True)
        return Flow((*kept, rest), named=base.named, ordered=False)

    def _moved(self, base: _Run) -> tuple[list[frozenset[str]], frozenset[str]]:
        """For each output column the sources that move it; and the sources that are learnt from."""
        sources = sorted(self.flow.sources)
        hits = self._hits(base, _groups(sources))
        traced = _traced(hits, base.out.shape[1] + 1)
        unclear = sorted(frozenset().union(*(t for t in traced if len(t) > 1)))
        alone = [frozenset({s}) for s in unclear if frozenset({s}) not in hits]
        if alone and len(alone) <= _MOST_ALONE:
            traced = _traced({**hits, **self._hits(base, alone)}, base.out.shape[1] + 1)
        learns = traced[-1]
        if self.thorough and learns != self.flow.sources:
            learns |= self._fills_from(frozenset(sources) - learns)
        return traced[:-1], learns

    def _fills_from(self, sources: frozenset[str]) -> frozenset[str]:
        """Sources whose cells in other rows move what a row with missing cells becomes."""
        self.end = _end()  # however long the first trials took, some of these are made
        found: frozenset[str] = frozenset()
        table = self._table(0)
        contents = other_contents(table, self.columns, self.domains)
        telling = {i: cells[:3] for i, cells in contents.items()}  # other draws, the highest, the lowest
        for lacking in with_missing_cells(table):
            try:
                base = self._run(lacking)
            except _Refused:  # it may not take missing cells
                continue
            left = sources - found
            if self._moves_kept(base, lacking, telling, left):
                alone = [{s} for s in sorted(left)]
                moving = [s for s in alone if self._moves_kept(base, lacking, telling, frozenset(s))]
                found |= frozenset().union(*moving) or left
            if found == sources:
                break
        return found

    def _moves_kept(
        self, base: _Run, table: pd.DataFrame, contents: dict[int, list[pd.Series]], sources: frozenset[str]
    ) -> bool:
        for changed in variants(table, self.columns, contents, sources):
            try:
                run = self._run(changed)
            except _Refused:
                continue
            if not run.shape_like(base) or run.learnt != base.learnt:
                return True
            if len(base.out) == ROWS and not _same(run.out[[KEPT]], base.out[[KEPT]]).all():
                return True
        return False

    def _hits(self, base: _Run, groups: list[frozenset[str]]) -> dict[frozenset[str], np.ndarray]:
        """Which output columns each group of sources moves; last, whether something is learnt from it.

        Every group is tried with one kind of contents before any is tried with the next.
        """
        hits = {g: np.zeros(base.out.shape[1] + 1, dtype=bool) for g in groups}
        table = self._table(0)
        contents = other_contents(table, self.columns, self.domains)
        tables = {g: variants(table, self.columns, contents, g) for g in groups}
        tried = dict.fromkeys(groups, 0)
        kept = slice(KEPT, KEPT + 1 if len(base.out) == ROWS else KEPT)
        while tables and not self._late():
            for group in list(tables):
                changed = next(tables[group], None)
                if changed is None or tried[group] >= self.most_variants:
                    del tables[group]
                    continue
                try:
                    run = self._run(changed)
                except _Refused:
                    continue
                tried[group] += 1
                if not run.shape_like(base):
                    hits[group] |= np.append(_columns_moved(run, base), True)
                    continue
                same = _same(run.out, base.out)
                hits[group][:-1] |= ~same.all(axis=0)
                hits[group][-1] |= run.learnt != base.learnt or not same[kept].all()
        if any(n < _FEWEST_VARIANTS for n in tried.values()):
            raise _Refused
        return hits

    def _late(self) -> bool:
        return time.thread_time() > self.end[0] or time.monotonic() > self.end[1]

    # One run ------------------------------------------------------------

    def first_run(self) -> _Run:
        """Find a shape in which the step takes the table, and the columns that it asks for."""
        known = list(self.flow.columns)
        named = (
            names_in_parameters(self.step) - {c.name for c in known} if self.flow.rest is not None else set()
        )
        known += [Column(name) for name in sorted(named)]
        untold = any(c.dtype is None and c.name not in self.domains for c in known)
        markers = ([_MARKER], []) if self.flow.rest is not None else ([],)
        for marker, guess in itertools.product(markers, (None, "object") if untold else (None,)):
            given = [replace(c, dtype=c.dtype if c.dtype is not None else guess) for c in known]
            for shape in _shapes(self.flow, len(given) + len(marker)):
                self.columns, self.shaped = [*given, *marker], shape
                with contextlib.suppress(_Refused):
                    return self._run_with_columns_asked_for()
        raise _Refused

    def _run_with_columns_asked_for(self) -> _Run:
        for _ in range(20):
            try:
                return self._run(self._table(0))
            except _Refused as refused:
                asked = _asked_for(refused.__cause__) - {c.name for c in self.columns}
                if self.flow.rest is None or not asked:
                    raise
                self.columns += [Column(name) for name in sorted(asked)]
        raise _Refused

    def _table(self, seed: int) -> pd.DataFrame:
        return made_up(self.columns, self.domains, seed)

    def _run(self, table: pd.DataFrame) -> _Run:
        if self._late():
            raise _Refused
        try:
            return self._fit(self.shaped(table))
        except Exception as error:  # whatever somebody else's step raises on rows that it was not made for
            raise _Refused from error

    def _fit(self, X: Any) -> _Run:
        step = _copy_of(self.step)
        y = np.arange(ROWS) % 2
        before, held = dict(vars(step)), _hashes(vars(step))
        if is_a(step, "PolynomialFeatures"):
            if step.fit(X, y).n_output_features_ > _MOST_OUTPUTS:
                raise _Refused
            out = step.transform(X)
        else:
            out = step.fit_transform(X, y) if hasattr(step, "fit_transform") else step.fit(X, y).transform(X)
        learnt = {k: joblib.hash(v) for k, v in vars(step).items() if k not in before or before[k] is not v}
        learnt |= {k: h for k, h in _hashes(vars(step)).items() if h != held.get(k, h)}
        learnt |= _hashes(_shared(step))
        if getattr(out, "attrs", None):
            learnt["(attrs)"] = joblib.hash(out.attrs)
        if is_polars(out):
            out = out.to_pandas()
        if isinstance(out, pd.Series):
            out = out.to_frame()
        if isinstance(out, pd.DataFrame):
            names, types = [str(c) for c in out.columns], list(out.dtypes)
            return _Run(step, out.to_numpy(), names, types, True, learnt)
        out = np.asarray(out.toarray() if hasattr(out, "toarray") else out)
        out = out.reshape(len(out), -1)
        return _Run(step, out, _array_names(step, out.shape[1]), [out.dtype] * out.shape[1], False, learnt)


def _columns_moved(run: _Run, base: _Run) -> np.ndarray:
    """Which columns of `base` are others, or are not there any more, in a run of another shape."""
    places = {name: i for i, name in enumerate(run.names)}
    as_long = len(run.out) == len(base.out)
    moved = [
        name not in places or (as_long and not _same(run.out[:, [places[name]]], base.out[:, [i]]).all())
        for i, name in enumerate(base.names)
    ]
    return np.array(moved, dtype=bool)


def _groups(sources: list[str]) -> list[frozenset[str]]:
    """Sources that are changed together: each alone or, if there are many, by the bits of their numbers."""
    together = [frozenset(sources)] if len(sources) > 1 else []
    if len(sources) <= _MOST_SINGLE:
        return [*(frozenset({s}) for s in sources), *together]
    bits = range((len(sources) - 1).bit_length())
    halves = [frozenset(s for i, s in enumerate(sources) if i >> b & 1 == on) for b in bits for on in (0, 1)]
    return [*halves, *together]


def _traced(hits: dict[frozenset[str], np.ndarray], n: int) -> list[frozenset[str]]:
    """The sources of which each thing may be made: those of which every group has moved it."""
    together = max(hits, key=len, default=frozenset())
    groups = [g for g in hits if g != together or len(hits) == 1]
    traced = []
    for k in range(n):
        made_of = frozenset(s for s in together if all(hits[g][k] for g in groups if s in g))
        # What moves only when several change at once is made of them all.
        traced.append(made_of or frozenset().union(*(g for g in hits if hits[g][k])))
    return traced


def _end() -> tuple[float, float]:
    return time.thread_time() + _SECONDS, time.monotonic() + 5 * _SECONDS


def _copy_of(step: Any) -> Any:
    copied = own(step)
    fixed = {k: 0 for k in _parameters(copied) if k.split("__")[-1] == "random_state"}
    return copied.set_params(**fixed) if fixed else copied


def _hashes(things: Mapping[str, Any]) -> dict[str, str]:
    """Hashes of what things hold, of those that can be hashed."""
    return {k: h for k, v in things.items() if (h := _hash(v)) is not None}


def _shared(step: Any) -> dict[str, Any]:
    """What copies of a step share and may write into: what its class and its functions hold."""
    shared: dict[str, Any] = {}
    for cls in type(step).__mro__:
        if cls.__module__.split(".")[0] not in (*COMPOSING, "builtins", "abc"):
            own = {k: v for k, v in vars(cls).items() if not callable(v) and k[:2] != "__"}
            shared |= {f"{cls.__qualname__}.{k}": v for k, v in own.items()}
    for name, value in vars(step).items():
        if isinstance(value, FunctionType):
            cells = [c.cell_contents for c in value.__closure__ or ()]
            held = [value.__defaults__, value.__kwdefaults__, value.__dict__, *cells]
            shared |= {f"{name}.{i}": v for i, v in enumerate(held)}
    return shared


def _hash(value: Any) -> str | None:
    with contextlib.suppress(Exception):  # a function without a name, a lock, an open file
        return joblib.hash(value)
    return None


def _array_names(step: Any, n: int) -> list[str]:
    with contextlib.suppress(Exception):  # many have no names to give
        names = [str(name) for name in step.get_feature_names_out()]
        if len(names) == n:
            return names
    return [f"x{i}" for i in range(n)]


def _shapes(flow: Flow, n_columns: int) -> Iterator[Any]:
    """Kinds of table to fit the step on, the likeliest first: it may treat each kind differently."""
    if flow.polars:
        yield _as_polars
    if not flow.named:
        yield lambda table: table.to_numpy()
    yield lambda table: table
    if n_columns == 1:  # a ColumnTransformer that names a column by itself hands it over as such
        yield lambda table: table.iloc[:, 0]
    yield _as_polars


def _as_polars(table: pd.DataFrame) -> Any:
    import polars

    return polars.from_pandas(table)


def _asked_for(error: BaseException | None) -> set[str]:
    """Columns that a step missed in the table."""
    if not isinstance(error, KeyError):
        return set()
    text = str(error.args[0]) if error.args else ""
    return set(re.findall(r"'([^']+)'", text)) or {text}


def _declared_categories(step: Any, columns: list[Column]) -> dict[str, Any]:
    """Categories that an encoder declares, which its rows must be made of."""
    categories = getattr(step, "categories", None)
    if not isinstance(categories, list) or len(categories) != len(columns):
        return {}
    return {c.name: Categorical(list(k)) for c, k in zip(columns, categories, strict=True) if len(k)}


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cell by cell; missing cells are the same."""
    if a.dtype.kind in "fiub" and b.dtype.kind in "fiub":
        return (a == b) | ((a != a) & (b != b))
    a, b = a.astype(object), b.astype(object)
    with contextlib.suppress(Exception):
        return np.asarray(a == b, dtype=bool) | np.asarray(pd.isna(a) & pd.isna(b), dtype=bool)
    return np.array(
        [[repr(x) == repr(y) for x, y in zip(p, q, strict=True)] for p, q in zip(a, b, strict=True)]
    )
