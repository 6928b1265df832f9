"""Distributions of (x, y) with known mutual information, after Czyz et al. 2023 ("Beyond
Normal").
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from mi_ssl_jax.core import linalg
from mi_ssl_jax.data.known_mi import truth

Samples = tuple[jax.Array, jax.Array]  # x (n, dx), y (n, dy)
Map = Callable[[jax.Array], jax.Array]  # (n, d) -> (n, d), invertible


class Task(NamedTuple):
    """sample(key, n) -> (x (n, dx), y (n, dy)) float32, independent pairs. mi: true, nats.

    error: of mi, 0 for a closed form, else that of the quadrature or of the Monte Carlo mean.
    """

    dx: int
    dy: int
    sample: Callable[[chex.PRNGKey, int], Samples]
    mi: float
    error: float


def sparse(dimension: int, correlation: float, *, pairs: int) -> np.ndarray:
    """Correlation matrix (2 d, 2 d): x_i and y_i correlated for i < pairs, all else independent."""
    matrix = np.eye(2 * dimension)
    linked = np.arange(min(pairs, dimension))
    matrix[linked, dimension + linked] = matrix[dimension + linked, linked] = correlation
    return matrix


def dense(dimension: int, correlation: float) -> np.ndarray:
    """Correlation matrix (2 d, 2 d) with one correlation between any two of the coordinates."""
    return (1 - correlation) * np.eye(2 * dimension) + correlation


def of_information(dimension: int, mi: float) -> np.ndarray:
    """`sparse` with d pairs whose Gaussian has `mi` nats."""
    return sparse(dimension, float(np.sqrt(1 - np.exp(-2 * mi / dimension))), pairs=dimension)


def gaussian(covariance: np.ndarray) -> Task:
    """Multivariate normal; x is the first half of the coordinates."""
    return _elliptical(covariance, truth.Value(0.0, 0.0), lambda key, z: z)


def student(covariance: np.ndarray, *, dof: float) -> Task:
    """Multivariate Student-t with this scale matrix; without variance up to two degrees of
    freedom.
    """

    def radial(key: chex.PRNGKey, z: jax.Array) -> jax.Array:
        return z * jnp.sqrt(0.5 * dof / jax.random.gamma(key, 0.5 * dof, (len(z), 1)))

    half = len(covariance) // 2
    return _elliptical(covariance, truth.student(dof, half, half), radial)


def generalised(covariance: np.ndarray, *, beta: float) -> Task:
    """Generalised Gaussian ~ exp(-(c z^T C^-1 z)^beta / 2), c such that C is its covariance.

    Normal for beta = 1, heavier tails below 1; towards the uniform law on an ellipsoid as beta
    grows.
    """
    size = len(covariance)
    variance = (
        np.exp(
            np.log(2) / beta
            + special.gammaln((size + 2) / (2 * beta))
            - special.gammaln(size / (2 * beta))
        )
        / size
    )

    def radial(key: chex.PRNGKey, z: jax.Array) -> jax.Array:
        # r^(2 beta) / 2 is Gamma(D / (2 beta)); by its logarithm, as small shapes underflow.
        log_gamma = jax.random.loggamma(key, size / (2 * beta), (len(z), 1))
        return linalg.unit(z) * jnp.exp((log_gamma + np.log(2)) / (2 * beta)) / np.sqrt(variance)

    return _elliptical(covariance, truth.generalised(beta, size // 2, size // 2), radial)


def _elliptical(covariance: np.ndarray, added: truth.Value, radial: Callable) -> Task:
    factor, half = jnp.asarray(np.linalg.cholesky(covariance), jnp.float32), len(covariance) // 2

    def sample(key: chex.PRNGKey, n: int) -> Samples:
        normal, rest = jax.random.split(key)
        spherical = radial(rest, jax.random.normal(normal, (n, 2 * half)))
        return _halves(linalg.matmul(spherical, factor.T), half)

    return Task(half, half, sample, truth.gaussian(covariance, half).mi + added.mi, added.error)


def uniform_noise(*, width: float) -> Task:
    """x uniform on [0, 1], y = x + noise uniform on [-width, width]."""

    def sample(key: chex.PRNGKey, n: int) -> Samples:
        first, second = jax.random.split(key)
        x = jax.random.uniform(first, (n, 1))
        return x, x + jax.random.uniform(second, (n, 1), minval=-width, maxval=width)

    return Task(1, 1, sample, *truth.uniform_noise(width))


def mixture(parts: truth.Mixture) -> Task:
    """Mixture of Gaussians, x the first half: by quadrature in two dimensions, else by Monte
    Carlo.
    """
    half = parts.means.shape[1] // 2
    means, log_weights, factors = (
        jnp.asarray(leaf, jnp.float32)
        for leaf in (parts.means, np.log(parts.weights), np.linalg.cholesky(parts.covariances))
    )

    def sample(key: chex.PRNGKey, n: int) -> Samples:
        first, second = jax.random.split(key)
        label = jax.random.categorical(first, log_weights, shape=(n,))
        noise = jax.random.normal(second, (n, 2 * half))
        noise = jnp.einsum('nij,nj->ni', factors[label], noise, precision='highest')
        return _halves(means[label] + noise, half)

    value = truth.mixture_quadrature(parts) if half == 1 else truth.mixture_monte_carlo(parts, half)
    return Task(half, half, sample, *value)


def cross(correlation: float) -> truth.Mixture:
    """Two Gaussians of opposite correlation, x and y scalars: uncorrelated, yet dependent."""
    covariances = [dense(1, sign * correlation) for sign in (1, -1)]
    return truth.Mixture(np.full(2, 0.5), np.zeros((2, 2)), np.stack(covariances))


def clusters(*, count: int, sigma: float, noise: float) -> truth.Mixture:
    """Two views of points around `count` centres on the unit circle, x and y with independent noise
    each.

    With 5, 0.05 and 0.1 the views of arXiv 2510.01345, section 4.2.
    """
    angle = 2 * np.pi * np.arange(count) / count
    centres = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    shared = np.kron(np.ones((2, 2)), np.eye(2)) * sigma**2 + np.eye(4) * noise**2
    return truth.Mixture(np.full(count, 1 / count), np.tile(centres, 2), np.stack([shared] * count))


def transformed(task: Task, x_map: Map, y_map: Map) -> Task:
    """The task after invertible maps of x and of y, which change no mutual information."""

    def sample(key: chex.PRNGKey, n: int) -> Samples:
        x, y = task.sample(key, n)
        return x_map(x), y_map(y)

    return task._replace(sample=sample)


def half_cube(x: chex.Array) -> jax.Array:
    """x |x|^(1/2) of each coordinate: longer tails."""
    return x * jnp.sqrt(jnp.abs(x))


def spiral(x: chex.Array, *, speed: float) -> jax.Array:
    """Rotates the first two coordinates of x (n, d) by speed |x|^2 radians; the inverse has
    -speed.
    """
    angle = speed * jnp.sum(jnp.square(x), axis=1)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.concatenate(
        [
            jnp.stack([cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], axis=1),
            x[:, 2:],
        ],
        axis=1,
    )


def _halves(z: jax.Array, half: int) -> Samples:
    return z[:, :half], z[:, half:]
