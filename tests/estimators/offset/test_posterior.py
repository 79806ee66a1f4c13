"""What noised gradients say about coefficients: the posterior mean, and its prior by evidence."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar

from skfusiondp.estimators.offset import _posterior
from skfusiondp.estimators.offset._posterior import Landscape, Start, posterior_coefficients

RELEASES = 12


def directions(n_features, n_directions, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n_features, n_directions)))[0]


class Parabola:
    """A loss of curvature `h` along some directions, whose gradient is shown with noise."""

    def __init__(self, basis, h, best, std, spread=1.0, seed=0):
        self.rng, self.std, self.seen = np.random.default_rng(seed), std, []
        self.basis, self.h, self.best, self.spread = basis, h, best, spread
        # The sampling of rows moves the minimum, the same way in every release.
        self.moved = np.sqrt(spread * h) * self.rng.normal(size=h.shape)

    def gradient(self, coef):
        exact = self.basis @ (self.h * (self.basis.T @ (coef - self.best)) - self.moved)
        shown = exact + self.std * self.rng.normal(size=exact.shape)
        self.seen.append((coef.copy(), shown))
        return shown

    def coefficients(self, releases=RELEASES):
        landscape = Landscape(self.basis, lambda coef: (np.zeros_like(self.h), self.h), self.spread)
        return posterior_coefficients(self.gradient, landscape, self.best.shape[1], releases, self.std)

    def view(self):
        """What all releases say of ``h * best``, the later ones in proportion, and its noise's variance."""
        weight = np.arange(1.0, len(self.seen) + 1)
        each = [self.h * (self.basis.T @ coef) - self.basis.T @ slope for coef, slope in self.seen]
        mean = np.tensordot(weight, each, 1) / weight.sum()
        return mean, self.std**2 * np.square(weight).sum() / weight.sum() ** 2


@pytest.mark.parametrize("releases", [1, 5])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_given_the_prior_it_is_the_posterior_mean_of_a_linear_model(releases, n_outputs, monkeypatch):
    """``seen = h B' coef + e`` with normal coefficients and errors: the textbook's conditional mean."""
    prior = 0.3
    monkeypatch.setattr(_posterior._View, "likeliest", lambda self, variance: prior)
    basis = directions(20, 7)
    rng = np.random.default_rng(1)
    h = rng.uniform(50, 200, (7, n_outputs))
    loss = Parabola(basis, h, rng.normal(size=(20, n_outputs)), 4.0, spread=0.7)
    found = loss.coefficients(releases)
    assert len(loss.seen) == releases
    seen, noise = loss.view()
    variances = np.full(20, prior)
    for k in range(n_outputs):
        design = h[:, [k]] * basis.T
        errors = noise + 0.7 * h[:, k]
        both = design @ (variances[:, None] * design.T) + np.diag(errors)
        everywhere = variances * (design.T @ np.linalg.solve(both, seen[:, k]))
        np.testing.assert_allclose(found[:, k], basis @ (basis.T @ everywhere), rtol=1e-8)
        # The same as a ridge: normal equations of least squares that errors and prior weigh.
        normal = design.T @ (design / errors[:, None]) + np.diag(1 / variances)
        ridge = np.linalg.solve(normal, design.T @ (seen[:, k] / errors))
        np.testing.assert_allclose(found[:, k], basis @ (basis.T @ ridge), rtol=1e-7)
    # No gradient is taken beside the directions, where the model of what it shows does not hold.
    for coef, _ in loss.seen:
        np.testing.assert_allclose(basis @ (basis.T @ coef), coef, atol=1e-12)


def test_the_prior_is_the_likeliest():
    basis, rng = directions(30, 12), np.random.default_rng(2)
    h = rng.uniform(20, 400, (12, 1))
    loss = Parabola(basis, h, 0.4 * rng.normal(size=(30, 1)), 3.0)
    found = loss.coefficients(60)
    seen, noise = loss.view()
    errors, square = noise + h[:, 0], np.square(h[:, 0])

    def unlikely(variance):
        total = errors + variance * square
        return np.sum(np.log(total) + seen[:, 0] ** 2 / total) + variance / _posterior._LARGEST

    best = minimize_scalar(unlikely, bounds=(1e-6, 10), method="bounded").x
    expected = basis @ (best * h[:, 0] * seen[:, 0] / (errors + best * square))
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-2, atol=1e-4)


def planted(seed, std, size=0.6, n=60):
    """Coefficients of a sixth of the directions, all of which are seen."""
    best = np.where(np.arange(n) < n // 6, size * np.resize([1.0, -1.0], n), 0.0)[:, None]
    h = np.random.default_rng(seed).uniform(50, 100, (n, 1))
    return Parabola(np.eye(n), h, best, std, seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_coefficients_that_are_there_are_found(seed):
    loss = planted(seed, 20.0)
    found, there = loss.coefficients()[:, 0], loss.best[:, 0] != 0
    assert np.corrcoef(found[there], loss.best[there, 0])[0, 1] > 0.9
    assert np.square(found[~there]).mean() < 0.1 * np.square(found[there]).mean()


def test_nothing_but_noise_mostly_gives_exactly_0_and_signal_never_does():
    """Evidence is no test of a stated level: what noise is sometimes taken for stays small."""
    blind = [planted(seed, 60.0, size=0.0).coefficients() for seed in range(100)]
    believed = [coef for coef in blind if coef.any()]
    assert len(believed) <= 12
    weight = np.arange(1, RELEASES + 1)
    noise = 60.0**2 * np.square(weight).sum() / weight.sum() ** 2
    unrestrained = (noise + 75) / 75**2  # of estimates without a prior
    assert all(np.square(coef).mean() < 0.3 * unrestrained for coef in believed)
    assert all(planted(seed, 60.0, size=1.2).coefficients().any() for seed in range(20))


def test_directions_that_leave_much_out_do_no_harm():
    """Features of no few main directions: gradients beside them would be taken for signal along them."""
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(60, 60))
    hessian = 200 * whole @ whole.T / 60 + 100 * np.eye(60)
    best = 0.3 * rng.normal(size=(60, 1))
    basis = np.linalg.qr(rng.normal(size=(60, 15)))[0]
    h, axes = np.linalg.eigh(basis.T @ hessian @ basis)
    basis = basis @ axes
    landscape = Landscape(basis, lambda coef: (np.zeros((len(h), 1)), h[:, None]), 0.0)

    def gradient(coef):
        return hessian @ (coef - best) + 0.1 * rng.normal(size=coef.shape)

    found = posterior_coefficients(gradient, landscape, 1, 40, 0.1)
    # The least loss in the span of the directions.
    least = basis @ np.linalg.solve(basis.T @ hessian @ basis, basis.T @ hessian @ best)

    def loss(coef):
        return float(((coef - best).T @ hessian @ (coef - best)).item()) / 2

    assert loss(least) <= loss(found) < loss(least) + 0.02 * (loss(0 * best) - loss(least))


def test_a_start_is_judged_as_draws_say_unless_true_rows_say_otherwise():
    start = Start(np.ones((3, 1)), 80.0, 100.0)
    assert start.judged([(1.0, 20.0, 1e-3)]) == pytest.approx((0.8, 1.0), abs=1e-3)
    assert start.judged([(1.0, 500.0, 1e12)]) == pytest.approx((0.8, 1.0), abs=1e-3)
    # Two slopes without noise are a line: it is 0 where the share is right, and as steep as the loss bends.
    assert start.judged([(1.0, 150.0, 1e-6), (0.5, 25.0, 1e-6)]) == pytest.approx((0.4, 2.5), rel=1e-3)
    # A loss that seems to bend less than on drawn rows is not believed.
    assert start.judged([(1.0, 0.0, 1e-6), (0.0, -50.0, 1e-6)])[1] == pytest.approx(1.0)
    shares = [start.judged([(1.0, slope, 25.0)])[0] for slope in (20, 40, 80, 160, 320)]
    assert (np.diff(shares) <= 0).all() and shares[-1] < 1e-6


def test_what_the_sampling_of_rows_moves_is_the_same_in_all_slopes():
    """Of releases without noise at one share two tell no more than one."""
    start = Start(np.ones((3, 1)), 100.0, 100.0)
    one = start.judged([(1.0, 60.0, 1e-9)], 400.0)
    two = start.judged([(1.0, 60.0, 2e-9), (1.0, 60.0, 2e-9)], 400.0)
    assert one == pytest.approx(two, rel=1e-4)


def test_it_is_the_average_of_draws_that_are_right_and_of_a_normal_prior_around_them():
    start, slopes, sampling = (
        Start(np.ones((3, 1)), 90.0, 100.0),
        [(1.0, 70.0, 30.0), (0.8, 40.0, 50.0)],
        20.0,
    )
    view, seen = np.array([[-1.0, 1.0], [-1.0, 0.8]]), np.array([70.0, 40.0])
    promised, errors = np.array([90.0, 100.0]), np.diag([30.0, 50.0]) + sampling
    prior = np.diag([180.0, 100.0]) ** 2
    whole = errors + view @ prior @ view.T
    fall, bend = promised + prior @ view.T @ np.linalg.solve(whole, seen - view @ promised)
    assert fall > 0 and bend > 100
    doubted, right = (stats.multivariate_normal(view @ promised, c).pdf(seen) for c in (whole, errors))
    doubted /= doubted + right
    expected = (doubted * fall / bend + (1 - doubted) * 0.9, doubted * bend / 100 + 1 - doubted)
    assert start.judged(slopes, sampling) == pytest.approx(expected)


def kept_of(there, std, releases, judged):
    """How much of a start is kept, of which true rows bear out such a share, on the mean over seeds.

    Drawn rows promise all of it; along it the loss of true rows bends as theirs, with another minimum.
    """
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        h, inner = rng.uniform(50, 100, (40, 1)), 0.4 * rng.normal(size=(40, 1))
        bend = float((h * inner**2).sum())
        loss = Parabola(np.eye(40), h, (there - 1) * inner, std, spread=0.0, seed=100 + seed)
        start = Start(inner, bend, bend) if judged else None
        landscape = Landscape(loss.basis, lambda coef, h=h: (0 * h, h), 0.0, start=start)
        coef = posterior_coefficients(loss.gradient, landscape, 1, releases, std)
        found.append(1 + float((h * inner * coef).sum()) / bend)
    return np.mean(found)


@pytest.mark.parametrize("releases", [1, 4])
def test_of_a_start_as_much_is_kept_as_true_rows_bear_out(releases):
    """One slope does not tell less of a fall from more of a bend; single directions drown in noise."""
    for there in (0.0, 0.5, 1.0):
        assert abs(kept_of(there, 1.0, releases, True) - there) < (0.2 if releases == 1 else 0.05)
    assert kept_of(0.0, 60.0, releases, True) < 0.4 and kept_of(1.0, 60.0, releases, True) > 0.85
    assert kept_of(0.0, 60.0, releases, False) > 0.5


def test_what_is_added_beside_the_start_is_no_share_of_it():
    """Directions bend unlike one another: a share by lengths would be another than by slopes."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        h, (inner, beside) = np.geomspace(1, 3000, 40)[:, None], 0.4 * rng.normal(size=(2, 40, 1))
        bend = float((h * inner**2).sum())
        beside -= inner * float((h * inner * beside).sum()) / bend
        loss = Parabola(np.eye(40), h, beside, 5.0, spread=0.0, seed=100 + seed)
        landscape = Landscape(loss.basis, lambda coef, h=h: (0 * h, h), 0.0, start=Start(inner, bend, bend))
        found = posterior_coefficients(loss.gradient, landscape, 1, 12, 5.0)
        assert abs(float((h * inner * found).sum()) / bend) < 0.05


def test_where_the_loss_bends_more_than_draws_show_a_step_is_shorter():
    """All bend three times as much: by drawn rows' curvature a step would go three times too far."""
    rng = np.random.default_rng(4)
    h, inner = rng.uniform(50, 100, (40, 1)), 0.4 * rng.normal(size=(40, 1))
    bend = float((h * inner**2).sum())
    off = {}
    for told in (Start(inner, bend, bend), None):
        loss = Parabola(np.eye(40), 3 * h, -2 / 3 * inner, 1.0, spread=0.0)
        landscape = Landscape(loss.basis, lambda coef: (0 * h, h), 0.0, start=told)
        found = posterior_coefficients(loss.gradient, landscape, 1, 1, 1.0)
        off[told is None] = float((h * inner * (found - loss.best)).sum()) / bend
    assert -0.35 < off[False] <= 0.0 and off[True] < -1.0
