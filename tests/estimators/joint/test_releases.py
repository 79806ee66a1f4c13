"""What a joint model releases: one row's reach, the noise of each sum, and that shares keep to the plan."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from skfusiondp import Categorical, Date, Numeric
from skfusiondp.accounting import Clipping
from skfusiondp.estimators.joint._coded_columns import CodedColumn
from skfusiondp.estimators.joint._counted_cells import CountedCells
from skfusiondp.estimators.joint._embedding import UNIT, Embedding, pair_bounds
from skfusiondp.estimators.joint._releases import JointReleases
from skfusiondp.estimators.joint._support_cells import SupportCells
from skfusiondp.privacy import make_plan
from skfusiondp.privacy._noised_sums import whole_factors
from skfusiondp.privacy._random_bits import RandomBits

EMBEDDINGS = st.builds(Embedding.of, st.integers(2, 9), st.booleans())
DOMAINS = {
    "age": Numeric(18, 90),
    "children": Numeric(0, 12, step=1),
    "day": Date("2020-01-01", "2024-06-30"),
    "sex": Categorical(["f", "m"]),
    "only": Categorical([1]),
}
INTERVALS = {c: d for c, d in DOMAINS.items() if not isinstance(d, Categorical)}


def squared(vector):
    return sum(int(v) ** 2 for v in vector)


def bound(length):
    """The square of a length, as a whole number that is not above it."""
    return math.floor(length**2 * (1 + 1e-12))


@settings(max_examples=50)
@given(EMBEDDINGS, st.lists(st.floats(-1, 1), min_size=1, max_size=4))
def test_a_row_of_a_marginal_lies_within_the_stated_reach_and_two_of_its_versions_within_the_diameter(
    e, facts
):
    """In exact arithmetic, for every two parts; the farthest pair reaches the bound."""
    public = np.array([facts]) / max(1.0, np.linalg.norm(facts))
    factors = whole_factors(public)[0].astype(object)
    rows = [np.outer(factors, point.astype(object)).ravel() for point in e.whole]
    longest = round(2.0**20)
    assert all(squared(r) <= bound(e.radius * longest) for r in rows)
    apart = [squared(r - o) for r, o in itertools.combinations(rows, 2)]
    assert max(apart) <= bound(e.diameter * longest)
    points = [squared(r.astype(object) - o) for r, o in itertools.combinations(e.whole.astype(object), 2)]
    assert math.sqrt(max(points)) == pytest.approx(e.diameter, rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(EMBEDDINGS, EMBEDDINGS)
def test_a_row_of_a_pair_lies_within_the_stated_reach_and_two_of_its_versions_within_the_diameter(one, other):
    rows = [np.outer(a, b).ravel() for a in one.whole.astype(object) for b in other.whole.astype(object)]
    diameter, radius = pair_bounds(one, other)
    assert all(squared(r) <= radius**2 * (1 + 1e-12) for r in rows)
    farthest = math.sqrt(max(squared(r - o) for r, o in itertools.combinations(rows, 2)))
    assert farthest <= diameter <= farthest * (1 + 1e-9)


def test_pairs_of_many_parts_have_the_bound_of_the_triangle():
    many = Embedding.of(100, False)
    diameter, radius = pair_bounds(many, many)
    assert diameter == 2 * radius and radius >= many.radius**2


def test_likeness_does_not_bring_a_part_nearer_to_itself():
    e = Embedding.of(12, True)
    gram = e.points @ e.points.T
    distance = np.sqrt(np.diag(gram)[:, None] + np.diag(gram)[None] - 2 * gram)
    assert (np.diff(distance[0, :11]) > 0).all()
    assert distance[0, 11] == pytest.approx(math.sqrt(2), rel=1e-3)


@pytest.mark.parametrize(("high", "parts"), [(9, 10), (23, 24), (200, None)])
def test_whole_numbers_are_drawn_whole_and_each_as_often_as_its_part_has_values(high, parts):
    domain = Numeric(0, high, step=1)
    column = CodedColumn.of(domain, "n", CountedCells({"n": domain}))
    assert parts is None or column.n_parts == parts + 1
    codes = column.codes(pd.Series(np.arange(high + 1.0)))
    assert len(np.unique(codes)) == column.n_parts - 1
    for part in range(column.n_parts - 1):
        own = np.flatnonzero(codes == part)
        drawn = column.cells(np.full(10 * len(own), part), (np.arange(10 * len(own)) + 0.5) / (10 * len(own)))
        assert np.array_equal(np.unique(drawn, return_counts=True), [own, np.full(len(own), 10)])


def test_of_few_cells_in_a_wide_part_most_are_drawn_where_cells_lie():
    """Incomes up to a million: the last part reaches from the largest usual ones to the bound."""
    domain = Numeric(0, 1_000_000)
    incomes = pd.DataFrame({"n": np.random.default_rng(0).lognormal(10.8, 0.6, 4000)})
    cells = SupportCells({"n": domain}, incomes)
    column = CodedColumn.of(domain, "n", cells)
    codes = column.codes(incomes["n"])
    drawn = column.cells(codes, np.random.default_rng(1).random(len(codes)))
    assert np.array_equal(column.codes(drawn), codes)
    for share in (0.9, 0.99, 0.999):
        assert abs(np.quantile(drawn, share) / np.quantile(incomes["n"], share) - 1) < 0.1
    evenly = CodedColumn(domain, column.edges).cells(codes, np.random.default_rng(1).random(len(codes)))
    assert np.quantile(evenly, 0.99) > 2 * np.quantile(incomes["n"], 0.99)


CELLS = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-(10**25), 10**25),
    st.text(max_size=3),
    st.sampled_from(["f", "m", "2021-02-28", pd.NaT, pd.NA, np.inf, 1]),
    st.datetimes(),
    st.complex_numbers(),
    st.lists(st.integers(), max_size=2),
)


@settings(max_examples=100)
@given(st.lists(CELLS, min_size=1, max_size=4), st.sampled_from(sorted(DOMAINS)))
def test_every_cell_has_one_part_whatever_it_is(cells, column):
    coded = CodedColumn.of(DOMAINS[column], column, CountedCells(INTERVALS))
    codes = coded.codes(pd.Series(cells, dtype=object))
    assert codes.dtype == np.int64 and len(codes) == len(cells)
    assert ((codes >= 0) & (codes < coded.n_parts)).all()


def fits(noise, std):
    """Whether numbers may be normal ones of that deviation: by their shape, and by the sum of squares."""
    z = np.ravel(noise) / std
    tail = stats.chi2(z.size).cdf(np.square(z).sum())
    return stats.kstest(z, "norm").pvalue > 1e-3 and 1e-3 < tail < 1 - 1e-3


def releases(adjacency="replace", noise=2.0, steps=4, seed=0):
    plan = make_plan(
        50, batch_size=50, steps=steps, epsilon=None, noise_multiplier=noise, delta=1e-5,
        clipping=Clipping(1.0), adjacency=adjacency, columns={"age": None},
    )  # fmt: skip
    begun = []
    return JointReleases(plan, RandomBits(seed), lambda: begun.append(1)), begun


NOTHING = np.zeros(0, dtype=np.int64)


@pytest.mark.parametrize("adjacency", ["replace", "zero-out"])
@pytest.mark.parametrize("share", [0.5, 3.0])
def test_a_sum_has_the_noise_of_its_own_reach_and_share_and_neither_more_nor_less(adjacency, share):
    e = Embedding.of(65, False)
    out, _ = releases(adjacency)
    noise, std = out.marginal(NOTHING, e, np.zeros((0, 64)), share)
    moves = e.diameter / 2 if adjacency == "replace" else e.radius
    least = 2.0 * moves * UNIT / math.sqrt(share)
    assert least <= std <= least * (1 + 1e-7)
    assert fits(noise, std)
    assert not fits(noise, 0.93 * std)
    assert not fits(noise, 1.07 * std)


def test_pairs_and_counts_have_noise_of_their_reach():
    e = Embedding.of(60, False)
    out, _ = releases()
    noise, std = out.pair((NOTHING, NOTHING), (e, e), 1.0)
    least = 2.0 * pair_bounds(e, e)[0] * UNIT**2 / 2
    assert least <= std <= least * (1 + 1e-7)
    assert fits(noise, std)
    assert not fits(noise, 0.93 * std)
    # Counts are whole, so that their noise is rounded to whole numbers: it has to be large to be seen.
    out, _ = releases(noise=100.0)
    cells = CountedCells({c: Numeric(0, 1) for c in "abcde"})
    groups = len(cells.sizes)
    counted = out.counts(cells.features(pd.DataFrame(dict.fromkeys("abcde", [None] * 3))), groups, 1.0)
    # Two versions of a row are sqrt(2) apart in each group.
    assert fits(counted, 50 * math.sqrt(2 * groups))
    assert not fits(counted, 50 * math.sqrt(1.6 * groups))


def test_sums_are_those_of_the_rows():
    rng = np.random.default_rng(0)
    one, other = Embedding.of(4, True), Embedding.of(3, False)
    codes, more = rng.integers(4, size=50), rng.integers(3, size=50)
    public = rng.uniform(-0.5, 0.5, size=(50, 2))
    out, _ = releases(noise=1e-9)
    assert np.allclose(out.marginal(codes, one, public, 1.0)[0], public.T @ one.points[codes], atol=1e-3)
    assert np.allclose(
        out.pair((codes, more), (one, other), 1.0)[0], one.points[codes].T @ other.points[more], atol=1e-7
    )


def test_sums_share_out_the_steps_of_the_plan_and_no_more():
    out, begun = releases(steps=2)
    e = Embedding.of(3, False)
    out.pair((NOTHING, NOTHING), (e, e), 1.5)
    out.pair((NOTHING, NOTHING), (e, e), 0.5)
    assert len(begun) == 2 and out.left == 0
    for share in (0.1, 1e-6, 5.0):
        with pytest.raises(RuntimeError, match="more than what is left"):
            out.pair((NOTHING, NOTHING), (e, e), share)
    assert len(begun) == 2


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.floats(1e-4, 3), st.just("the rest"), st.sampled_from([0.0, -1.0, math.nan]))),
    st.sampled_from(["replace", "zero-out"]),
    st.floats(1e-3, 1e3),
)
def test_whatever_shares_are_asked_for_no_more_than_the_plan_is_released(shares, adjacency, noise):
    """In exact arithmetic: the squares of all distances, in deviations of the noise, add up to the plan's."""
    out, begun = releases(adjacency, noise, steps=4)
    e = Embedding.of(3, False)
    moves = Fraction(e.diameter) / 2 if adjacency == "replace" else Fraction(e.radius)
    spent, ran = Fraction(0), 0
    for share in shares:
        share = out.left if share == "the rest" else share
        try:
            _, std = out.marginal(NOTHING, e, np.zeros((0, 2)), share)
        except (RuntimeError, ArithmeticError, ValueError):
            # Refused, which leaves everything as it was: a sum that fits is not.
            assert len(begun) == ran
            too_much = spent + Fraction(share) > 4 * (1 - Fraction(1, 10**6)) if share > 0 else True
            assert too_much
            continue
        ran += 1
        spent += (Fraction(noise) * moves * Fraction(UNIT) / Fraction(std)) ** 2
        assert len(begun) == ran and spent <= 4
