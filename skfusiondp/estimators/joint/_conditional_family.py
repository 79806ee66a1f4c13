"""The parts of one column given public facts and other columns: a conditional exponential family.

P(part k | row) is proportional to exp(point_k' theta features), and theta is where the expected sums of
features times points, over public facts and cells that were drawn before, are what was released. Such sums
are all that the fit needs of true cells; the log-partition reads none. So the fit is convex and free.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

COMMON, ABSENT = -1, -2
# Variances that the prior of a group of parameters may have; the first means: none is believed.
_VARIANCES = np.r_[1e-6, np.geomspace(1e-4, 30, 40)]
# That of what is the same for all rows: shares of parts may differ by much.
_OF_SHARES = 9.0
_STEPS, _FIRST_STEPS = 400, 40
# Curvatures below this are of features that no row has.
_LEAST_CURVATURE = 1e-3
# What is smaller than this share of the largest is rounding.
_SINGULAR = 1e-10


@dataclass(frozen=True, eq=False)
class Released:
    """Noised sums of features times a column's points.

    Parameters
    ----------
    total : ndarray of shape (n_features, n_coordinates)
    std : ndarray of shape (n_features,)
        Of the noise in each feature's sums.
    group : ndarray of shape (n_features, n_coordinates), int
        Parameters of one group have one prior. `COMMON` is the group of what is the same for all rows, and
        `ABSENT` of parameters that do not exist, for nothing was released about them.
    """

    total: np.ndarray
    std: np.ndarray
    group: np.ndarray

    def averaged(self, other: Released, share: float) -> Released:
        """The mean of two releases of the same sums, of which this one has such a share."""
        total = share * self.total + (1 - share) * other.total
        return Released(total, np.hypot(share * self.std, (1 - share) * other.std), self.group)

    @staticmethod
    def stacked(parts: list[Released]) -> Released:
        """Sums with the features of all parts, of one column's points."""
        return Released(
            np.vstack([p.total for p in parts]),
            np.concatenate([p.std for p in parts]),
            np.vstack([p.group for p in parts]),
        )


def fit_family(released: Released, features: np.ndarray, weight: float, points: np.ndarray) -> np.ndarray:
    """Fit the parameters by released sums; the prior variance of each group by its evidence.

    Parameters
    ----------
    released : Released
    features : ndarray of shape (n_rows, n_features)
        Of rows that stand for the table, with cells of other columns that were drawn.
    weight : float
        Rows of the table that each of them stands for.
    points : ndarray of shape (n_parts, n_coordinates)

    Returns
    -------
    ndarray of shape (n_features, n_coordinates)
    """
    family = _Family(released, features, weight, points)
    theta, variance = _prior(released, family)
    ridge = (1 + family.noise / family.curvature(theta)) / variance
    return family.maximum(theta, ridge, released.group != ABSENT, _STEPS)


def information(
    released: Released, features: np.ndarray, weight: float, points: np.ndarray, about: np.ndarray
) -> float:
    """How much a column tells of some features, by released sums: as if each row's were told anew.

    Parameters
    ----------
    released, features, weight, points
        As in `fit_family`.
    about : ndarray of shape (n_features,), bool
    """
    family = _Family(released, features, weight, points)
    theta, variance = _prior(released, family)
    return float((family.curvature(theta) * variance)[about].sum())


def evidence(
    released: Released, features: np.ndarray, weight: float, points: np.ndarray, about: np.ndarray
) -> list[float]:
    """Log of how much likelier the sums are if the column tells of some features than if it does not.

    What the column tells of the other features explains what it can of the sums: as near the parameters of
    what all rows have in common, sums are normal, of a mean that is linear in the parameters. A coordinate
    after the other is looked at.

    Parameters
    ----------
    released, features, weight, points
        As in `fit_family`.
    about : ndarray of shape (n_features,), bool

    Returns
    -------
    list of float
        For each group of such features.
    """
    family = _Family(released, features, weight, points)
    theta, variance = _prior(released, family)
    surplus, spread = family.surplus(theta), family.spread(theta)
    cross, noise = family.cross, family.noises
    groups = released.group[:, 0]
    others = np.flatnonzero(~about & (groups != COMMON))
    found = []
    for group in np.unique(groups[about]):
        own = np.flatnonzero(groups == group)
        shown = []
        for k, bend in enumerate(spread):
            among, between = bend * cross[np.ix_(others, others)], bend * cross[np.ix_(own, others)]
            within = bend * cross[np.ix_(own, own)]
            explained = variance[others, k]
            seen = among * explained @ among + among + noise[np.ix_(others, others)]
            alike = between * explained @ among + between + noise[np.ix_(own, others)]
            # Of columns that are copies of one another what is shared is shared out.
            by = np.linalg.lstsq(seen, alike.T, rcond=_SINGULAR)[0].T
            left = surplus[own, k] - by @ surplus[others, k]
            slope = np.diag(within - by @ between.T)
            alone = np.diag(between * explained @ between.T + within + noise[np.ix_(own, own)] - by @ alike.T)
            # What the sampling of rows and the noise leave is positive, but for rounding.
            least = np.maximum(_SINGULAR * np.diag(within), _LEAST_CURVATURE)
            shown.append((left, slope, np.maximum(alone, least)))
        found.append(_likeliest(*(np.concatenate(s) for s in zip(*shown, strict=True)))[1])
    return found


def _of_shares(released: Released, family: _Family) -> np.ndarray:
    """Parameters of what all rows have in common, the others being 0."""
    theta = np.zeros_like(released.total)
    ridge = (1 + family.noise / family.curvature(theta)) / _OF_SHARES
    return family.maximum(theta, ridge, released.group == COMMON, _FIRST_STEPS)


def _groups(
    released: Released, family: _Family, theta: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Each group of parameters: by what its sums exceed what is expected, their curvature and noise."""
    curvature, surplus = family.curvature(theta), family.surplus(theta)
    for group in np.unique(released.group[(released.group != COMMON) & (released.group != ABSENT)]):
        own = released.group == group
        yield int(group), surplus[own], curvature[own], family.noise[own]


def _prior(released: Released, family: _Family) -> tuple[np.ndarray, np.ndarray]:
    """Parameters of what all rows have in common, and the prior variance of every parameter."""
    variance = np.full(released.total.shape, _OF_SHARES)
    theta = _of_shares(released, family)
    for group, *shown in _groups(released, family, theta):
        variance[released.group == group] = likeliest_variance(*shown)
    return theta, variance


def likeliest_variance(surplus: np.ndarray, curvature: np.ndarray, noise: np.ndarray) -> float:
    """Prior variance under which sums exceed what is expected without a group's parameters as they do.

    Parameters
    ----------
    surplus, curvature, noise : ndarray of shape (n_parameters,)
        Curvature of the log-partition, which is the sampling variance too, and variance of the noise.
    """
    return _likeliest(surplus, curvature, curvature + noise)[0]


def _likeliest(surplus: np.ndarray, slope: np.ndarray, alone: np.ndarray) -> tuple[float, float]:
    """The likeliest variance of parameters, and the log of how much likelier it is than the least.

    A parameter adds `slope` times itself to its sum, which without it has the variance `alone`.
    """
    total = slope**2 * _VARIANCES[:, None] + alone
    likelihood = -0.5 * (np.log(total) + surplus**2 / total).sum(axis=1)
    best = likelihood.argmax()
    return float(_VARIANCES[best]), float(likelihood[best] - likelihood[0])


def probabilities(theta: np.ndarray, features: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Probability of each part in each row, of shape (n_rows, n_parts)."""
    logits = features @ (theta @ points.T)
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    return logits / logits.sum(axis=1, keepdims=True)


class _Family:
    """Log-partition of rows, and what follows from it."""

    def __init__(self, released: Released, features: np.ndarray, weight: float, points: np.ndarray):
        self._total, self._features, self._weight, self._points = released.total, features, weight, points
        # A feature's mean is no news beside what all rows have in common: where that is fitted too, only
        # deviations from it bend the partition, and the noise in it is noise in them.
        (constant,) = self._constant = np.flatnonzero((released.group == COMMON).any(axis=1))
        products = features[:, constant] @ features
        means = products / products[constant]
        means[constant] = 0.0
        self._means, self._stds = means, released.std
        self._squares = weight * (np.square(features).sum(axis=0) - means * products)
        noise = released.std**2 + np.square(means * released.std[constant])
        self.noise = np.broadcast_to(noise[:, None], released.total.shape)

    @property
    def cross(self) -> np.ndarray:
        """Sums of products of two features, beside what their means explain."""
        products = self._features[:, self._constant].T @ self._features
        return self._weight * (self._features.T @ self._features - np.outer(self._means, products))

    @property
    def noises(self) -> np.ndarray:
        """Covariance of the noise in the features' sums: all hold the constant one's."""
        shared = self._means * self._stds[self._constant]
        return np.diag(self._stds**2) + np.outer(shared, shared)

    def expected(self, theta: np.ndarray) -> np.ndarray:
        """Expected sums."""
        sums = self._features.T @ probabilities(theta, self._features, self._points)
        return self._weight * (sums @ self._points)

    def surplus(self, theta: np.ndarray) -> np.ndarray:
        """What was released beyond the expected sums."""
        return self._total - self.expected(theta)

    def spread(self, theta: np.ndarray) -> np.ndarray:
        """Variance of the points' coordinates in the mean row."""
        p = probabilities(theta, self._features.mean(axis=0, keepdims=True), self._points)[0]
        return p @ np.square(self._points) - np.square(p @ self._points)

    def curvature(self, theta: np.ndarray) -> np.ndarray:
        """Second derivative in each parameter, as if all rows had the mean row's probabilities."""
        return np.maximum(self._squares[:, None] * self.spread(theta), _LEAST_CURVATURE)

    def maximum(self, start: np.ndarray, ridge: np.ndarray, free: np.ndarray, steps: int) -> np.ndarray:
        """Parameters of largest posterior density, of which only the free ones move."""
        scale = 1 / np.sqrt(self.curvature(start) + ridge)
        features, weight = self._features, self._weight
        if np.array_equal(np.flatnonzero(free.any(axis=1) | start.any(axis=1)), self._constant):
            # What all rows have in common tells none from another.
            features, weight = features[:1], weight * len(features)

        def placed(z: np.ndarray) -> np.ndarray:
            theta = start.copy()
            theta[free] = z * scale[free]
            return theta

        def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
            theta = placed(z)
            logits = features @ (theta @ self._points.T)
            largest = logits.max(axis=1, keepdims=True)
            p = np.exp(logits - largest)
            sums = p.sum(axis=1, keepdims=True)
            partition = weight * float((largest + np.log(sums)).sum())
            means = features.T @ (p / sums) @ self._points
            slope = weight * means - self._total + ridge * theta
            value = partition - float((self._total * theta).sum()) + 0.5 * float((ridge * theta**2).sum())
            return value, (slope * scale)[free]

        first = start[free] / scale[free]
        found = minimize(
            objective, first, jac=True, method="L-BFGS-B", options={"maxiter": steps, "maxcor": 20}
        )
        return placed(found.x)
