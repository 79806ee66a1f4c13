"""The plan: one frozen value couples sampler, clip, noise, steps and neighbouring relation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .._parameters import as_float, check_int
from ..exceptions import InvalidInputError
from ._accountant import calibrate_noise_multiplier
from ._clipping import Clipping
from ._constraints import DELTA, EPSILON, NOISE_MULTIPLIER
from ._entries import LedgerEntry
from ._ledger import PrivacyLedger
from ._relations import relation


@dataclass(frozen=True)
class Tier:
    """Columns with one budget, and the noise with which their gradient difference is released.

    Parameters
    ----------
    columns : tuple of str
        Columns that have their true values in this tier's first view and imputed ones in its second.
    noise_multiplier : float
        Noise standard deviation over the clipping norm.
    clipping : Clipping
    """

    _plain_values = True

    columns: tuple[str, ...]
    noise_multiplier: float
    clipping: Clipping

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise on the *sum* of clipped gradients."""
        return self.noise_multiplier * self.clipping.max_grad_norm


@dataclass(frozen=True)
class PrivatePlan:
    """Everything that the private branch does, fixed before the first step from public facts.

    Parameters
    ----------
    n_rows : int
        Rows of the training table (public).
    sample_rate : float in (0, 1]
        Poisson sampling rate q of one step.
    steps : int
        Private steps to run.
    tiers : tuple of Tier
        From the least sensitive columns to the most; one, unless columns have budgets of their own.
    adjacency : {"replace", "zero-out", "add-remove"}
    delta : float in (0, 1)
    rows_per_unit : int
        The most rows of one unit, such as a person, that the private branch reads.
    before : PrivatePlan or None
        What runs, all of it, before the first step.
    """

    _plain_values = True

    n_rows: int
    sample_rate: float
    steps: int
    tiers: tuple[Tier, ...]
    adjacency: str
    delta: float
    rows_per_unit: int = 1
    before: PrivatePlan | None = None

    @property
    def noise_multiplier(self) -> float:
        """Noise multiplier of the most sensitive columns."""
        return self.tiers[-1].noise_multiplier

    @property
    def clipping(self) -> Clipping:
        """Clipping of the first tier, whose norm is the largest."""
        return self.tiers[0].clipping

    @property
    def expected_batch_size(self) -> float:
        """q n: what the noised sum is divided by, whatever the realised batch was."""
        return self.sample_rate * self.n_rows

    def ledger(self, steps: int, source: str = "") -> PrivacyLedger:
        """What `steps` steps under this plan cost, and what runs before them: an entry a tier.

        A tier's difference reads its own columns and those of the tiers before it.
        """
        if not steps:
            return PrivacyLedger()
        first = PrivacyLedger() if self.before is None else self.before.ledger(self.before.steps, source)
        entries: list[LedgerEntry] = []
        columns: tuple[str, ...] = ()
        for tier in self.tiers:
            columns = (*columns, *tier.columns)
            entries.append(
                LedgerEntry(
                    noise_multiplier=tier.noise_multiplier,
                    sample_rate=self.sample_rate,
                    steps=steps,
                    adjacency=self.adjacency,
                    protects=columns,
                    n_rows=self.n_rows,
                    source=source,
                    rows_per_unit=self.rows_per_unit,
                )
            )
        return first + PrivacyLedger(tuple(entries))


def make_plan(
    n_rows: int,
    *,
    batch_size: int,
    steps: int,
    epsilon: float | None,
    noise_multiplier: float | None,
    delta: float | None,
    clipping: Clipping,
    adjacency: str,
    columns: Mapping[str, float | None] | None = None,
    rows_per_unit: int = 1,
    before: PrivatePlan | None = None,
) -> PrivatePlan:
    """Make a plan that meets ``epsilon``, or that uses ``noise_multiplier`` as given.

    Parameters
    ----------
    n_rows : int
    batch_size : int
        Expected private batch size, at most `n_rows`.
    steps : int
    epsilon : float or None
        Target; None if `noise_multiplier` is given.
    noise_multiplier : float or None
        Takes the place of `epsilon`.
    delta : float or None
        None stands for 1/(10 n).
    clipping : Clipping
        Of one tier, or of the tier that needs the least noise: the others' norms are smaller in
        proportion, so that all tiers' noise has one standard deviation.
    adjacency : {"replace", "zero-out", "add-remove"}
    columns : mapping of str to float or None, optional
        Columns that the private branch reads, each with its own epsilon, or None for `epsilon`.
    rows_per_unit : int, default=1
        The most rows of one unit, such as a person, whose epsilon the target is.
    before : PrivatePlan or None, optional
        What runs before the first step, at the expense of the same epsilon.

    Returns
    -------
    PrivatePlan

    Raises
    ------
    InvalidInputError
        If an argument is out of range.
    """
    relation(adjacency)  # refuses a name that it does not know
    if not 1 <= batch_size <= n_rows:
        raise InvalidInputError(
            f"batch_size={batch_size} must lie between 1 and the number of rows, {n_rows}."
        )
    delta = 1 / (10 * n_rows) if delta is None else delta
    DELTA.check("delta", delta)
    rows = check_int("rows_per_unit", rows_per_unit)
    n_rows, steps, delta = int(n_rows), int(steps), as_float(delta)
    q = int(batch_size) / n_rows
    columns = columns or {}
    own = {c: e for c, e in columns.items() if e is not None}
    if noise_multiplier is None:
        common = 1.0 if epsilon is None else epsilon
        EPSILON.check("epsilon", common)
        common = as_float(common)
        targets = {c: common if e is None else as_float(e) for c, e in columns.items()}
    elif own:
        raise InvalidInputError(
            f"noise_multiplier={noise_multiplier!r} is given, and so are budgets of {', '.join(own)}; "
            "leave it None, or leave epsilon= out of the domains."
        )
    else:
        NOISE_MULTIPLIER.check("noise_multiplier", noise_multiplier)
    if noise_multiplier is not None:
        tier = Tier(tuple(columns), as_float(noise_multiplier), clipping)
        return PrivatePlan(n_rows, q, steps, (tier,), adjacency, delta, rows, before)
    plan = PrivatePlan(n_rows, q, steps, (), adjacency, delta, rows, before)
    # A tier's columns are read by its own difference and by those of all tiers after it: they pay for these.
    for target in sorted(set(targets.values()) or {common}):
        after = plan.ledger(steps).entries
        sigma = calibrate_noise_multiplier(
            target, delta, q, steps, adjacency, beside=after, rows_per_unit=rows
        )
        tier = Tier(tuple(c for c, e in targets.items() if e == target), sigma, clipping)
        plan = replace(plan, tiers=(tier, *plan.tiers))
    least = min(t.noise_multiplier for t in plan.tiers)
    norms = [clipping.max_grad_norm * (least / t.noise_multiplier) for t in plan.tiers]
    clippings = [replace(clipping, max_grad_norm=norm) for norm in norms]
    tiers = tuple(replace(t, clipping=c) for t, c in zip(plan.tiers, clippings, strict=True))
    return replace(plan, tiers=tiers)
