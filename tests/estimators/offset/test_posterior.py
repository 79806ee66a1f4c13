"""What noised gradients say about coefficients: the posterior mean, and its prior by evidence."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from skfusiondp.estimators.offset import _posterior
from skfusiondp.estimators.offset._posterior import Landscape, posterior_coefficients

RELEASES = 12


def directions(n_features, n_directions, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n_features, n_directions)))[0]


class Parabola:
    """A loss of curvature `h` along some directions, whose gradient is shown with noise."""

    def __init__(self, basis, h, group, best, std, spread=1.0, seed=0):
        self.rng, self.std, self.seen = np.random.default_rng(seed), std, []
        self.basis, self.h, self.group, self.best, self.spread = basis, h, group, best, spread
        # The sampling of rows moves the minimum, the same way in every release.
        self.moved = np.sqrt(spread * h) * self.rng.normal(size=h.shape)

    def gradient(self, coef):
        exact = self.basis @ (self.h * (self.basis.T @ (coef - self.best)) - self.moved)
        shown = exact + self.std * self.rng.normal(size=exact.shape)
        self.seen.append((coef.copy(), shown))
        return shown

    def coefficients(self, releases=RELEASES):
        landscape = Landscape(
            self.basis, self.group, lambda coef: (np.zeros_like(self.h), self.h), self.spread
        )
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
    prior = np.array([0.3, 0.01, 1.2])
    monkeypatch.setattr(_posterior._View, "likeliest", lambda self, variances: prior)
    basis, group = directions(20, 7), np.repeat([5, 9, 11], [6, 10, 4])
    rng = np.random.default_rng(1)
    h = rng.uniform(50, 200, (7, n_outputs))
    loss = Parabola(basis, h, group, rng.normal(size=(20, n_outputs)), 4.0, spread=0.7)
    found = loss.coefficients(releases)
    assert len(loss.seen) == releases
    seen, noise = loss.view()
    variances = np.repeat(prior, [6, 10, 4])
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


def test_of_one_group_the_prior_is_the_likeliest():
    basis, rng = directions(30, 12), np.random.default_rng(2)
    h = rng.uniform(20, 400, (12, 1))
    loss = Parabola(basis, h, np.zeros(30, int), 0.4 * rng.normal(size=(30, 1)), 3.0)
    found = loss.coefficients(60)
    seen, noise = loss.view()
    errors, square = noise + h[:, 0], np.square(h[:, 0])

    def unlikely(variance):
        total = errors + variance * square
        return np.sum(np.log(total) + seen[:, 0] ** 2 / total) + variance / _posterior._LARGEST

    best = minimize_scalar(unlikely, bounds=(1e-6, 10), method="bounded").x
    expected = basis @ (best * h[:, 0] * seen[:, 0] / (errors + best * square))
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-2, atol=1e-4)


GROUPS, EACH = 6, 10


def planted(seed, std, size=0.6):
    """Coefficients of one group of six, seen along all directions."""
    group = np.repeat(np.arange(GROUPS), EACH)
    best = np.where(group == 2, size * np.resize([1.0, -1.0], GROUPS * EACH), 0.0)[:, None]
    n = GROUPS * EACH
    h = np.random.default_rng(seed).uniform(50, 100, (n, 1))
    return Parabola(np.eye(n), h, group, best, std, seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_coefficients_of_the_group_that_shows_some_are_found_and_others_vanish(seed):
    loss = planted(seed, 20.0)
    found = loss.coefficients()
    inside = loss.group == 2
    assert np.corrcoef(found[inside, 0], loss.best[inside, 0])[0, 1] > 0.9
    assert np.square(found[~inside]).mean() < 0.03 * np.square(found[inside]).mean()


def test_nothing_but_noise_mostly_gives_exactly_0_and_signal_never_does():
    """Evidence is no test of a stated level: what noise is sometimes taken for stays small."""
    blind = [planted(seed, 60.0, size=0.0).coefficients() for seed in range(100)]
    believed = [coef for coef in blind if coef.any()]
    assert len(believed) <= 12
    weight = np.arange(1, RELEASES + 1)
    noise = 60.0**2 * np.square(weight).sum() / weight.sum() ** 2
    unrestrained = (noise + 75) / 75**2  # of estimates without a prior
    assert all(np.square(coef).mean() < 0.3 * unrestrained for coef in believed)
    assert all(planted(seed, 60.0).coefficients().any() for seed in range(20))


def test_directions_that_leave_much_out_do_no_harm():
    """Features of no few main directions: gradients beside them would be taken for signal along them."""
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(60, 60))
    hessian = 200 * whole @ whole.T / 60 + 100 * np.eye(60)
    group, best = np.repeat(np.arange(6), 10), 0.3 * rng.normal(size=(60, 1))
    basis = np.linalg.qr(rng.normal(size=(60, 15)))[0]
    h, axes = np.linalg.eigh(basis.T @ hessian @ basis)
    basis = basis @ axes
    landscape = Landscape(basis, group, lambda coef: (np.zeros((len(h), 1)), h[:, None]), 0.0)

    def gradient(coef):
        return hessian @ (coef - best) + 0.1 * rng.normal(size=coef.shape)

    found = posterior_coefficients(gradient, landscape, 1, 40, 0.1)
    # The least loss in the span of the directions.
    least = basis @ np.linalg.solve(basis.T @ hessian @ basis, basis.T @ hessian @ best)

    def loss(coef):
        return float(((coef - best).T @ hessian @ (coef - best)).item()) / 2

    assert loss(least) <= loss(found) < loss(least) + 0.02 * (loss(0 * best) - loss(least))


def test_names_and_order_of_groups_do_not_matter():
    one = planted(3, 20.0).coefficients()
    order = np.random.default_rng(0).permutation(GROUPS * EACH)
    loss = planted(3, 20.0)
    names = np.array([70, 3, -1, 12, 5, 40])
    landscape = Landscape(
        np.eye(len(order)), names[loss.group[order]], lambda coef: (0 * loss.h, loss.h[order])
    )

    def gradient(coef):
        there = np.empty_like(coef)
        there[order] = coef
        return loss.gradient(there)[order]

    other = posterior_coefficients(gradient, landscape, 1, RELEASES, 20.0)
    np.testing.assert_allclose(other, one[order], rtol=1e-6, atol=1e-12)
