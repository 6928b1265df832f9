"""True mutual information in nats, in float64: closed forms, and quadrature or Monte Carlo with its
error.

An elliptical distribution in D = dx + dy dimensions has the mutual information of the Gaussian with
its
scale matrix plus a constant of its radial law, dx and dy alone: `student` in closed form,
`elliptical` by quadrature.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

LOWEST = -32.0  # log radius: less than 1e-13 of any mass lies below
ROUNDING = 1e-10  # nats: of sums over a grid in float64
SAMPLES, SEED = 1_000_000, 0  # of a Monte Carlo estimate


class Value(NamedTuple):
    """mi: nats. error: 0 for a closed form, else the difference of two grids or a standard
    error.
    """

    mi: float
    error: float


class Mixture(NamedTuple):
    """A mixture of Gaussians: weights (K,), means (K, D), covariances (K, D, D)."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


def gaussian(covariance: np.ndarray, dx: int) -> Value:
    """1/2 log det C_xx det C_yy / det C for the covariance or scale matrix C (D, D), x the first
    dx.
    """
    x, y, both = (
        np.linalg.slogdet(block)[1]
        for block in (covariance[:dx, :dx], covariance[dx:, dx:], covariance)
    )
    return Value(float(0.5 * (x + y - both)), 0.0)


def student(dof: float, dx: int, dy: int) -> Value:
    """Compute the excess of a multivariate Student-t's MI over `gaussian` of its scale matrix
    (Arellano-Valle et al. 2013).
    """

    def part(total: float) -> float:
        return special.gammaln(total / 2) - total / 2 * special.digamma(total / 2)

    return Value(float(part(dof) + part(dof + dx + dy) - part(dof + dx) - part(dof + dy)), 0.0)


def uniform_noise(width: float) -> Value:
    """I(x; x + e) of x uniform on [0, 1] and e on [-width, width] (Czyz et al. 2023)."""
    return Value(float(1 / (4 * width) if width >= 0.5 else width - np.log(2 * width)), 0.0)


def generalised(beta: float, dx: int, dy: int) -> Value:
    """Compute the excess over `gaussian` of C for the density ~ exp(-(r^2)^beta / 2), r^2 = z^T
    C^-1 z; 0 for beta = 1.
    """
    highest = np.log(1500.0) / (2 * beta)  # exp(-1500 / 2) is 0 in float64
    return elliptical(
        lambda log_r: -0.5 * np.exp(2 * beta * log_r), dx, dy, highest=highest, step=0.02
    )


def elliptical(
    log_density: Callable[[np.ndarray], np.ndarray],
    dx: int,
    dy: int,
    *,
    highest: float,
    step: float,
) -> Value:
    """I(x; y) of a spherical density in dx + dy dimensions, from its logarithm at a log radius,
    unnormalised.

    highest: log radius beyond which the density is negligible; step: of the trapezoidal rule.
    Entropies of the marginals over radii, the marginal densities by a second integral over the
    radius of what is left out. The integrands are analytic in the log radius, where the rule
    converges faster than any power of the step.
    """
    values = []
    for grid in (np.arange(LOWEST, highest, step), np.arange(LOWEST, highest, 2 * step)):
        halves = {kept: _entropy(log_density, kept, dx + dy - kept, grid) for kept in {dx, dy}}
        values.append(halves[dx] + halves[dy] - _entropy(log_density, dx + dy, 0, grid))
    return Value(float(values[0]), float(abs(values[0] - values[1]) + ROUNDING))


def _entropy(log_density: Callable, kept: int, left_out: int, u: np.ndarray) -> float:
    """Entropy of the first `kept` coordinates of a spherical density in kept + left_out dimensions.

    u: log radii, evenly spaced.
    """
    step = u[1] - u[0]
    if left_out:
        radii = 0.5 * np.logaddexp(2 * u[:, None], 2 * u[None])
        log_g = special.logsumexp(log_density(radii) + left_out * u, axis=1)
    else:
        log_g = log_density(u)
    log_shell = (
        np.log(2) + kept / 2 * np.log(np.pi) - special.gammaln(kept / 2) + kept * u + np.log(step)
    )
    log_mass = log_g + log_shell
    normaliser = special.logsumexp(log_mass)
    probability = np.exp(log_mass - normaliser)
    inside = probability > 0
    return -np.sum(probability[inside] * (log_g[inside] - normaliser))


def mixture_quadrature(mixture: Mixture) -> Value:
    """I(x; y) of a mixture in two dimensions, x and y scalars, by the trapezoidal rule on a square
    grid.
    """
    values = [_mixture_on_grid(mixture, points) for points in (801, 401)]
    return Value(values[0], abs(values[0] - values[1]) + ROUNDING)


def _mixture_on_grid(mixture: Mixture, points: int) -> float:
    far = 9 * np.sqrt(np.max(mixture.covariances)) + np.max(np.abs(mixture.means))
    axis = np.linspace(-far, far, points)
    cell = (axis[1] - axis[0]) ** 2
    x, y = np.meshgrid(axis, axis, indexing='ij')
    log_ratio, log_joint = _log_ratio(mixture, np.stack([x, y], axis=-1).reshape(-1, 2), 1)
    return float(np.sum(np.exp(log_joint) * log_ratio) * cell)


def mixture_monte_carlo(mixture: Mixture, dx: int) -> Value:
    """I(x; y) of a mixture, x its first dx dimensions: the mean log density ratio of SAMPLES
    draws.
    """
    random = np.random.RandomState(SEED)
    label = random.choice(len(mixture.weights), size=SAMPLES, p=mixture.weights)
    noise = random.standard_normal((SAMPLES, mixture.means.shape[1]))
    factors = np.linalg.cholesky(mixture.covariances)
    z = mixture.means[label] + np.einsum('nij,nj->ni', factors[label], noise)
    log_ratio, _ = _log_ratio(mixture, z, dx)
    return Value(float(log_ratio.mean()), float(log_ratio.std(ddof=1) / np.sqrt(SAMPLES)))


def classes_monte_carlo(centres: np.ndarray, spread: float) -> Value:
    """I(x; label) of x around equally likely centres (K, D) with N(0, spread^2 I): the mean log
    posterior of SAMPLES draws, plus log K.
    """
    random = np.random.RandomState(SEED)
    label = random.randint(len(centres), size=SAMPLES)
    x = centres[label] + spread * random.standard_normal((SAMPLES, centres.shape[1]))
    # |x - c|^2 up to what all classes share
    scores = (x @ centres.T - 0.5 * np.sum(np.square(centres), axis=1)) / spread**2
    log_posterior = scores[np.arange(SAMPLES), label] - special.logsumexp(scores, axis=1)
    error = log_posterior.std(ddof=1) / np.sqrt(SAMPLES)
    return Value(float(np.log(len(centres)) + log_posterior.mean()), float(error))


def _log_ratio(mixture: Mixture, z: np.ndarray, dx: int) -> tuple[np.ndarray, np.ndarray]:
    """log p(x, y) / (p(x) p(y)) and log p(x, y) (n,) at z (n, D)."""
    first, rest = slice(0, dx), slice(dx, None)
    joint, x, y = (
        _log_density(
            mixture.weights, mixture.means[:, part], mixture.covariances[:, part, part], z[:, part]
        )
        for part in (slice(None), first, rest)
    )
    return joint - x - y, joint


def _log_density(
    weights: np.ndarray, means: np.ndarray, covariances: np.ndarray, z: np.ndarray
) -> np.ndarray:
    logs = []
    for weight, mean, covariance in zip(weights, means, covariances):
        factor = np.linalg.cholesky(2 * np.pi * covariance)
        white = np.linalg.solve(factor, (z - mean).T)  # |white|^2 = quadratic form / (2 pi)
        logs.append(
            np.log(weight) - np.pi * np.sum(white**2, axis=0) - np.sum(np.log(np.diagonal(factor)))
        )
    return special.logsumexp(logs, axis=0)
