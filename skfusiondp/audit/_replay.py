"""Record one fit's randomness and releases, replay them on a neighbouring table, and compare."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_consistent_length

from .._random_state import seed_of
from ..exceptions import InvalidInputError
from ..privacy import relation
from ._attribute import _table
from ._recorder import Record, final_state, recorded_fit

# This share of the sensitivity is rounding, which the noise pays for.
_ROUNDING = 1e-6
# A sound fit fails a check of its noise with this probability, whatever its seed.
_LEVEL = 1e-6
_METHODS = ("fusiondp", "feature-dp", "hybrid")


@dataclass(frozen=True)
class ReplayCheck:
    """One thing that a replay compared.

    Parameters
    ----------
    name : str
    passed : bool
    detail : str
        What was found, in numbers.
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class ReplayReport:
    """What a replay found; text when printed.

    Parameters
    ----------
    checks : tuple of ReplayCheck
    adjacency : {"replace", "zero-out"}
    columns : tuple of str
        Sensitive columns in which the tables differ.
    row : int
        Position of the row in which they differ.
    steps : int
        Private steps that ran.
    sensitivity_used : float
        Largest distance of the two tables' sums in a step, over the sensitivity that pays for it.
    """

    checks: tuple[ReplayCheck, ...]
    adjacency: str
    columns: tuple[str, ...]
    row: int
    steps: int
    sensitivity_used: float

    @property
    def passed(self) -> bool:
        """Whether every check did."""
        return all(c.passed for c in self.checks)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that did not pass."""
        return tuple(c.name for c in self.checks if not c.passed)

    def to_dict(self) -> dict:
        """The report as plain values."""
        return {**asdict(self), "passed": self.passed}

    def to_json(self) -> str:
        """The report as a JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        found = "nothing" if self.passed else "SOMETHING"
        head = (
            f"Replay on two tables that differ in row {self.row} ({', '.join(self.columns)}; "
            f"{self.adjacency}), {self.steps} private steps: {found} goes past the private branch."
        )
        marks = {True: "ok    ", False: "FAILED"}
        return "\n".join([head, *(f"  {marks[c.passed]} {c.name}: {c.detail}" for c in self.checks)])


def replay(estimator: Any, X: Any, X_neighbour: Any, y: Any, *, random_state: Any = 0) -> ReplayReport:
    """Fit on two neighbouring tables with the same randomness, and look for any way past the noise.

    The first fit's noised sums are recorded. The second fit gets the same seed, and in place of its own
    noised sums those of the first. All that it may depend on is then the same, so that everything
    else has to be as well, bit by bit, from the encoded public view to the last parameter; and since the two
    run through the same parameters, the sums before noise can be compared in every step.

    Parameters
    ----------
    estimator : FusionDPClassifier or FusionDPRegressor
        With ``method`` "fusiondp", "feature-dp" or "hybrid". Not changed; need not be fitted.
    X, X_neighbour : table of shape (n_rows, n_columns), or PairedTable
        In memory; they differ in sensitive cells of one row. Under ``adjacency="zero-out"`` that row is
        erased from the second fit, whatever its cells.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
    random_state : int, RandomState or Generator, default=0
        Takes the place of the estimator's.

    Returns
    -------
    ReplayReport
        ``passed``, and each check: the facts before training, the rows, each step's sums against their
        sensitivity (for each tier of column budgets), the noise's number, scale and independence,
        everything else, and the ledger.

    Raises
    ------
    InvalidInputError
        If the tables are no neighbours, or the estimator has no private branch to replay.

    Notes
    -----
    It finds what two tables show. That no pair of neighbours differs by more is what docs/guarantee.md
    proves; that noise is as large as it should be, what ``audit_attribute`` attacks. The noise's scale and
    independence are tested at a level of 1e-6 over all its coordinates: a small error needs many.

    References
    ----------
    Recording and replaying the non-private inputs of a mechanism: arXiv 2602.17454 (dp-recorder).

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from skfusiondp import FusionDPClassifier, Numeric
    >>> from skfusiondp.audit import replay
    >>> X, y = make_classification(300, 4, n_informative=3, n_redundant=0, random_state=0)
    >>> neighbour = X.copy()
    >>> neighbour[7, 0] = 4.0
    >>> model = FusionDPClassifier({0: Numeric(-4, 4)}, method="feature-dp", epochs=1)
    >>> report = replay(model, X, neighbour, y)
    >>> report.passed, 0 < report.sensitivity_used <= 1
    (True, True)
    """
    method = getattr(estimator, "method", None)
    if method not in _METHODS or not hasattr(estimator, "_driver"):
        raise InvalidInputError(
            "replay listens to the steps of a FusionDPClassifier or FusionDPRegressor whose method is one "
            f"of {', '.join(_METHODS)}, not to {type(estimator).__name__} with method={method!r}."
        )
    check_consistent_length(X, X_neighbour, y)
    row, columns = _difference(estimator, X, X_neighbour)
    erased = row if relation(estimator.adjacency).erases and method != "hybrid" else None
    seed = seed_of(np.random.default_rng() if random_state is None else random_state)
    first = Record()
    one = recorded_fit(estimator, X, y, first, seed)
    second = Record(first, erased)
    other = recorded_fit(estimator, X_neighbour, y, second, seed)
    used, sums = _sums(one, first, second, columns)
    checks = (
        _facts(one, other),
        _rows(first, second, row, one.encoder_.sensitive_features_),
        _compare("before each private gradient", first.states, second.states),
        sums,
        _noise(one, first),
        _compare("everything after the releases", [final_state(one.net_)], [final_state(other.net_)]),
        _ledger(one, other, first),
    )
    steps = one.net_.private_steps_
    return ReplayReport(checks, estimator.adjacency, columns, row, steps, used)


def _difference(estimator: Any, X: Any, X_neighbour: Any) -> tuple[int, tuple[str, ...]]:
    """The row and the sensitive columns in which the tables differ."""
    (frame, schema), (other, _) = _table(estimator, X), _table(estimator, X_neighbour)
    if list(frame.columns) != list(other.columns):
        raise InvalidInputError(
            "X and X_neighbour have different columns; change sensitive cells of one row."
        )
    differ = pd.DataFrame({c: _differ(frame[c], other[c]) for c in frame})
    rows = np.flatnonzero(differ.any(axis=1))
    columns = tuple(str(c) for c in differ.columns[differ.any(axis=0)])
    public = [c for c in columns if c not in schema.sensitive]
    if len(rows) != 1 or public:
        also = f" and the public column(s) {public}" if public else ""
        raise InvalidInputError(
            f"X and X_neighbour differ in {len(rows)} rows{also}; neighbours differ in sensitive cells of "
            "exactly one row."
        )
    return int(rows[0]), columns


def _differ(one: pd.Series, other: pd.Series) -> np.ndarray:
    a, b = (s.astype(object).to_numpy() for s in (one, other))
    missing = pd.isna(a) & pd.isna(b)
    return ~missing & (a != b)


def _facts(one: Any, other: Any) -> ReplayCheck:
    pairs = {
        "schema_": (one.schema_, other.schema_),
        "plan_": (one.plan_, other.plan_),
        "delta_": (one.delta_, other.delta_),
        "encoder_": (one.encoder_._facts(), other.encoder_._facts()),
    }
    wrong = [name for name, (a, b) in pairs.items() if a != b]
    return _check("facts before training", wrong, "schema, plan, delta and encoder are the same")


def _rows(first: Record, second: Record, row: int, sensitive: np.ndarray) -> ReplayCheck:
    """Public views are the same; the private one differs in the row's own sensitive features only."""
    wrong = []
    for name, a in first.rows.items():
        b = second.rows[name].copy()
        if name == "private view 0" and a.shape == b.shape:
            b[row, sensitive] = a[row, sensitive]
        if not _same(a, b):
            wrong.append(name)
    return _check("encoded rows", wrong, "the views differ in the row's own sensitive features only")


def _sums(one: Any, first: Record, second: Record, columns: tuple[str, ...]) -> tuple[float, ReplayCheck]:
    """Each step's sums before noise are no farther apart than its tier's sensitivity."""
    name = "sums before noise"
    if one.plan_ is None:
        return 0.0, ReplayCheck(name, not second.released, "no private branch")
    used, reads = 0.0, _reading(one.plan_, columns)
    if len(first.released) != len(second.released):
        found = f"{len(first.released)} releases against {len(second.released)}"
        return math.inf, ReplayCheck(name, False, found)
    for a, b in zip(first.released, second.released, strict=True):
        gap = float(np.linalg.norm(a.total - b.total))
        sensitivity = one.plan_.tiers[a.tier].clipping.sensitivity(one.adjacency)
        allowed = sensitivity if reads[a.tier] else 0.0
        share = gap / allowed if allowed else (0.0 if gap == 0 else math.inf)
        used = max(used, math.inf if math.isnan(share) else share)
    if len(first.counted) != len(second.counted):
        return math.inf, ReplayCheck(
            name, False, f"{len(first.counted)} counts against {len(second.counted)}"
        )
    count = None if one.plan_.before is None else one.plan_.before.tiers[0]
    erases = relation(one.adjacency).erases
    for x, z in zip(first.counted, second.counted, strict=True):
        # A row's one in each group of indicators has norm 1 when it is divided by the root of their number.
        unit = 0.0 if count is None else count.clipping.sensitivity(one.adjacency) * math.sqrt(x.n_groups)
        allowed = unit if count is not None and {*count.columns} & {*columns} else 0.0
        gap = float(np.linalg.norm(x.total - z.total))
        # Both fits have the same noise; what was released may differ by no more than two versions of a row,
        # also where the sums are those with and without it.
        apart = float(np.linalg.norm(x.noised - z.noised)) if x.noised.shape == z.noised.shape else math.inf
        gap = max(gap, apart / math.sqrt(2 if erases else 1))
        share = gap / allowed if allowed else (0.0 if gap == 0 else math.inf)
        used = max(used, math.inf if math.isnan(share) else share)
    found = f"at most {used:.3f} of the sensitivity apart"
    return used, ReplayCheck(name, bool(used <= 1 + _ROUNDING), found)


def _reading(plan: Any, columns: tuple[str, ...]) -> list[bool]:
    """Whether each tier's difference may depend on some of the columns: its own, and those before."""
    read: set[str] = set()
    reading = []
    for tier in plan.tiers:
        read |= set(tier.columns)
        reading.append(bool(read & set(columns)))
    return reading


def _noise(one: Any, first: Record) -> ReplayCheck:
    """As many noised sums as steps and tiers, of the plan's scale, and no two with the same noise."""
    from scipy import stats

    name, plan = "noise", one.plan_
    if plan is None:
        return ReplayCheck(name, not first.released, "no private branch")
    expected = one.net_.private_steps_ * len(plan.tiers)
    if len(first.released) != expected:
        found = f"{len(first.released)} noised sums, where the plan has {expected}"
        return ReplayCheck(name, False, found)
    of_count = _noise_of_counts(plan, first)
    if of_count is not None and not of_count[0] > _LEVEL:
        found = f"that of the count is {of_count[1]:.3f} times the plan's scale, p={of_count[0]:.2g}"
        return ReplayCheck(name, False, found)
    if not first.released:
        return ReplayCheck(name, True, "no private step ran")
    z = np.stack([(r.noised - r.total) / plan.tiers[r.tier].noise_std for r in first.released])
    scale = [_two_sided(stats.chi2, float(np.square(t).sum()), t.size) for t in _by_tier(z, len(plan.tiers))]
    level = [_two_sided(stats.chi2, float(np.square(z.sum(0)).sum() / len(z)), z.shape[1])]
    passed = min(scale + level) > _LEVEL and bool(np.isfinite(z).all())
    sizes = ", ".join(f"{t.std():.3f}" for t in _by_tier(z, len(plan.tiers)))
    found = f"{sizes} times the plan's scale, p={min(scale):.2g}; independence of steps, p={level[0]:.2g}"
    return ReplayCheck(name, passed, found)


def _noise_of_counts(plan: Any, first: Record) -> tuple[float, float] | None:
    """How likely the counts' noise is under their plan, and its size in units of it; None if none ran."""
    from scipy import stats

    if plan.before is None or not first.counted:
        return None
    std = plan.before.tiers[0].noise_std
    z = np.concatenate([(c.noised - c.total) / (std * math.sqrt(c.n_groups)) for c in first.counted])
    return _two_sided(stats.chi2, float(np.square(z).sum()), z.size), float(np.sqrt(np.square(z).mean()))


def _by_tier(z: np.ndarray, n_tiers: int) -> list[np.ndarray]:
    return [z[t::n_tiers] for t in range(n_tiers)]


def _two_sided(distribution: Any, statistic: float, n: int) -> float:
    if not math.isfinite(statistic):
        return 0.0
    return float(2 * min(distribution.cdf(statistic, n), distribution.sf(statistic, n)))


def _compare(name: str, first: list[dict], second: list[dict]) -> ReplayCheck:
    """Bitwise equality of two lists of named arrays."""
    if len(first) != len(second):
        return ReplayCheck(name, False, f"{len(first)} of them against {len(second)}")
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        wrong = sorted({k for k in {*a, *b} if k not in a or k not in b or not _same(a[k], b[k])})
        if wrong:
            return ReplayCheck(name, False, f"differs (number {i}): {', '.join(wrong[:4])}")
    return ReplayCheck(name, True, "parameters and gradients are bitwise the same")


def _ledger(one: Any, other: Any, first: Record) -> ReplayCheck:
    """The ledgers agree, and hold the plan, of which no more ran."""
    wrong = [] if one.ledger_ == other.ledger_ else ["the two fits' ledgers"]
    plan = one.plan_
    tiers = 0 if plan is None else len(plan.tiers)
    ran = len(first.released) / max(tiers, 1)
    planned = 0 if plan is None else plan.steps
    counted = (
        ()
        if plan is None or plan.before is None
        else plan.before.ledger(plan.before.steps, one._source).entries
    )
    before, steps = one.ledger_.entries[: len(counted)], one.ledger_.entries[len(counted) :]
    if before != counted or len(first.counted) != sum(e.steps for e in counted):
        wrong.append("the count before the first step")
    kept = all(ran <= e.steps == planned for e in steps)
    if not kept or len(steps) != (tiers if ran or counted else 0):
        wrong.append(f"{[e.steps for e in steps]} steps accounted, {ran:g} run")
    return _check("ledger", wrong, "the steps of the plan are accounted, and no more ran")


def _check(name: str, wrong: list[str], fine: str) -> ReplayCheck:
    return ReplayCheck(name, not wrong, f"differs: {', '.join(wrong)}" if wrong else fine)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()
