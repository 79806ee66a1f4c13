"""Where cells lie: counts whose rows have norm 1 whatever their cells are, and what is made of them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from skfusiondp import Date, Numeric
from skfusiondp.estimators.joint._counted_cells import CountedCells, _consistent, _levels, _nodes
from skfusiondp.estimators.offset._correction import COUNTS, Loss, Releases, accountant_clipping
from skfusiondp.estimators.offset._indicator_rows import IndicatorRows, Piece
from skfusiondp.privacy import make_plan
from skfusiondp.privacy._noised_sums import whole_features
from skfusiondp.privacy._random_bits import RandomBits

SMALLEST = Numeric(1.0, np.nextafter(1.0, 2))
DOMAINS = {
    "age": Numeric(18, 90),
    "signed": Numeric(-3, 1000),
    "knots": Numeric(0, 10, knots=[1, 2.5]),
    "huge": Numeric(-1e300, 1e300),
    "one leaf": SMALLEST,
    "day": Date("2020-01-01", "2024-06-30"),
}
# Of any kind, inside or outside of any domain, or none.
CELLS = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-(10**25), 10**25),
    st.booleans(),
    st.text(max_size=3),
    st.sampled_from(["f", "m", "7", "299", "2021-02-28", "2021-02-28T12:00+05:00", pd.NaT, pd.NA, np.inf]),
    st.dates(),
    st.datetimes(),
    st.timedeltas(),
    st.complex_numbers(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.integers(), st.integers(), max_size=1),
    st.binary(max_size=2),
)


def one_active_in_each_group(features, sizes):
    """Whether each row has one indicator in each group, so that its norm is 1."""
    matrix = features.matrix()
    group = np.searchsorted(np.cumsum(sizes), matrix.indices, side="right").reshape(matrix.shape[0], -1)
    norms = whole_features(matrix).astype(float).multiply(2.0**-16)
    norms = np.sqrt(np.asarray(norms.multiply(norms).sum(axis=1)).ravel())
    return (
        matrix.shape[1] == sum(sizes) == features.n_features
        and np.array_equal(group, np.tile(np.arange(len(sizes)), (matrix.shape[0], 1)))
        and (np.diff(matrix.indptr) == len(sizes)).all()
        and ((norms <= 1) & (norms > 0.99)).all()
    )


def exact(cells, frame):
    return np.asarray((cells.features(frame).matrix() > 0).sum(axis=0)).ravel().astype(float)


@settings(max_examples=150, deadline=None)
@given(st.lists(CELLS, min_size=1, max_size=4), st.sampled_from(["object", "inferred", "category"]))
def test_every_row_has_norm_one_whatever_its_cells_are(cells, held_as):
    column = pd.Series(cells, dtype=object)
    if held_as == "inferred":
        column = column.infer_objects()
    elif held_as == "category":
        column = pd.Series([repr(c) for c in cells]).astype("category")
    frame = pd.DataFrame(dict.fromkeys(DOMAINS, column))
    counted = CountedCells(DOMAINS)
    assert one_active_in_each_group(counted.features(frame), counted.sizes)


@pytest.mark.parametrize(
    "dtype", ["int8", "Int64", "float32", "boolean", "datetime64[ns]", "timedelta64[s]", "string"]
)
def test_columns_of_every_type_have_norm_one(dtype):
    column = pd.Series([0, 1, 1], dtype="int8").astype(dtype)
    frame = pd.DataFrame(dict.fromkeys(DOMAINS, column))
    counted = CountedCells(DOMAINS)
    assert one_active_in_each_group(counted.features(frame), counted.sizes)


SHAPES = {
    "normal": lambda rng: rng.normal(50, 10, 20_000),
    "uniform": lambda rng: rng.uniform(0, 100, 20_000),
    "skewed": lambda rng: rng.lognormal(1, 1.2, 20_000),
    "whole": lambda rng: rng.integers(18, 90, 20_000),
}
SHARES = np.linspace(0.02, 0.98, 49)


def counted(values, domain):
    """What exact counts say of a column: the cells, and how many of them each leaf holds."""
    cells, frame = CountedCells({"x": domain}), pd.DataFrame({"x": values})
    counts = exact(cells, frame)
    cells.learn(counts)
    return cells, counts[: cells.sizes[0] - 1]


@pytest.mark.parametrize("shape", ["normal", "uniform", "skewed"])
def test_quantiles_of_exact_counts_are_the_columns_own_up_to_a_leaf(shape):
    values = SHAPES[shape](np.random.default_rng(0))
    cells, _ = counted(values, Numeric(float(values.min()), float(values.max())))
    found, true = cells.quantiles("x", SHARES), np.quantile(values, SHARES)
    edges = cells._edges["x"]
    leaf = np.searchsorted(edges, true, side="right") - 1
    assert (np.abs(found - true) <= np.diff(edges)[leaf] * (1 + 1e-9)).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wide", [1, 10, 100, 10_000])
def test_quantiles_part_rows_as_asked_up_to_those_of_a_leaf_however_wide_the_bounds(shape, wide):
    values = SHAPES[shape](np.random.default_rng(0))
    cells, held = counted(values, Numeric(-200.0 * wide, 300.0 * wide))
    edges, found = cells._edges["x"], cells.quantiles("x", SHARES)
    leaf = np.searchsorted(edges, np.quantile(values, SHARES), side="right") - 1
    below = np.array([np.mean(values <= f) for f in found])
    assert (np.abs(below - SHARES) <= held[leaf] / len(values) + 1e-9).all()
    assert (np.diff(found) >= 0).all()


def test_cells_of_one_place_are_found_however_wide_the_bounds():
    """Halves towards zero: a thousand times too wide costs ten leaves, and not all resolution."""
    values = np.random.default_rng(0).exponential(1.0, 20_000)
    for wide in (10, 1e3, 1e4):
        cells = CountedCells({"x": Numeric(-wide, wide)})
        cells.learn(exact(cells, pd.DataFrame({"x": values})))
        found = cells.quantiles("x", np.array([0.25, 0.5, 0.75]))
        np.testing.assert_allclose(found, -np.log([0.75, 0.5, 0.25]), rtol=0.5)


def anything(n, kind, seed):
    rng = np.random.default_rng(seed)
    return {
        "noise": rng.normal(size=n) * 10.0 ** rng.integers(-2, 8),
        "negative": -rng.exponential(size=n),
        "zero": np.zeros(n),
        "sparse": np.where(rng.random(n) < 0.02, rng.normal(size=n) * 1e6, 0.0),
        "one sign": rng.exponential(size=n),
    }[kind]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["noise", "negative", "zero", "sparse", "one sign"]), st.integers(0, 1000))
def test_counts_that_are_nothing_but_noise_give_quantiles(kind, seed):
    cells = CountedCells(DOMAINS)
    cells.learn(anything(sum(cells.sizes), kind, seed))
    for c in cells._edges:
        found, (low, high) = cells.quantiles(c, np.linspace(0, 1, 33)), DOMAINS[c].span
        assert np.isfinite(found).all() and (np.diff(found) >= 0).all(), c
        assert low <= found[0] and found[-1] <= high, c


@pytest.mark.parametrize(
    "domain", [SMALLEST, Numeric(-1e307, 1e307), Numeric(0, 1), Numeric(-1, 0), Numeric(5, 6)]
)
def test_leaves_cover_the_domain_and_are_finer_towards_ends_and_zero(domain):
    edges = CountedCells({"x": domain})._edges["x"]
    (low, high) = domain.span
    assert edges[0] == low and edges[-1] == high and (np.diff(edges) > 0).all() and np.isfinite(edges).all()
    if domain is SMALLEST:
        assert len(edges) == 2
    else:
        places = [0, len(edges) - 2] + ([int(np.searchsorted(edges, 0.0))] if low < 0 < high else [])
        assert all(np.diff(edges)[p] < (high - low) * 2.0**-18 for p in places)


def test_bounds_without_counts_are_even_leaves():
    cells = CountedCells({"x": Numeric(0, 1)})
    found = cells.quantiles("x", np.array([0.0, 0.5, 1.0]))
    assert found[0] == 0 and found[-1] == 1


# Noise ---------------------------------------------------------------------------------------------------

LEVEL = 1e-6
MANY = {c: Numeric(0, 1) for c in "abcdefgh"}


def noise_of_a_count(adjacency, noise_multiplier=3.0, n=200):
    """What a count releases beyond its exact sum, in units of a row's norm."""
    cells = CountedCells(MANY)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({c: rng.random(n) for c in MANY})
    plan = make_plan(
        n, batch_size=n, steps=2, epsilon=None, noise_multiplier=noise_multiplier, delta=1e-5,
        clipping=accountant_clipping(Loss("regression"), 0.7, adjacency), adjacency=adjacency,
    )  # fmt: skip
    nothing = np.zeros((n, 1))
    piece = Piece(cells.features(frame), nothing, nothing, np.ones(n))
    rows = IndicatorRows(lambda: iter([piece]), n, sum(cells.sizes), 1, 1)
    groups = len(cells.sizes)
    released = Releases(Loss("regression"), plan, RandomBits(4), lambda: None).counts(rows, groups)
    return (released - exact(cells, frame)) / np.sqrt(groups)


def likely(noise, std):
    """Two-sided probability of the noise's energy under a standard deviation."""
    energy = np.square(noise / std).sum()
    return 2 * min(stats.chi2.cdf(energy, noise.size), stats.chi2.sf(energy, noise.size))


@pytest.mark.parametrize(("adjacency", "unit"), [("replace", np.sqrt(2) / 2), ("zero-out", 1.0)])
def test_a_count_has_the_noise_of_its_own_sensitivity_and_neither_more_nor_less(adjacency, unit):
    """Of the plan's noise multiplier, whatever the task's own bound and unit."""
    noise = noise_of_a_count(adjacency)
    assert likely(noise, 3.0 * unit) > LEVEL
    assert stats.kstest(noise / (3.0 * unit), "norm").pvalue > LEVEL
    for wrong in (0.5, 0.9, 1.1, np.sqrt(2)):
        assert likely(noise, 3.0 * unit * wrong) < LEVEL
    assert abs(accountant_clipping(COUNTS, 1.0, adjacency).max_grad_norm - unit) < 1e-12


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 9, 100, 301])
def test_leaves_are_those_of_least_squares_from_the_counts_of_all_levels(n):
    for levels in {1, _levels(n)}:
        nodes = [_nodes(n, k) for k in range(levels)]
        parts = [np.eye(size)[:, np.arange(n) >> k] for k, size in enumerate(nodes)]
        counts = [np.random.default_rng(n).normal(40, 25, size + 1) for size in nodes]
        leaves = _consistent(np.concatenate(counts), n, levels)
        nearest = np.linalg.lstsq(np.vstack(parts), np.concatenate([c[:-1] for c in counts]))[0]
        np.testing.assert_allclose(leaves, nearest, rtol=1e-9, atol=1e-9)
