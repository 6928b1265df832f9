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
Map = Callable[[jax.Array], jax.Array]  # (n, d) -> (n, d) or more, invertible


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
    return equicorrelated(2 * dimension, correlation)


def of_information(dimension: int, mi: float) -> np.ndarray:
    """`sparse` with d pairs whose Gaussian has `mi` nats."""
    return sparse(dimension, float(np.sqrt(1 - np.exp(-2 * mi / dimension))), pairs=dimension)


def equicorrelated(size: int, correlation: float) -> np.ndarray:
    """Correlation matrix (size, size) with one correlation between any two variables."""
    return (1 - correlation) * np.eye(size) + correlation


def gaussian(covariance: np.ndarray, *, dx: int | None = None) -> Task:
    """Multivariate normal; x is the first half of the coordinates, or the first dx."""
    return _elliptical(covariance, truth.Value(0.0, 0.0), lambda key, z: z, dx)


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


def _elliptical(
    covariance: np.ndarray, added: truth.Value, radial: Callable, dx: int | None = None
) -> Task:
    factor, size = jnp.asarray(np.linalg.cholesky(covariance), jnp.float32), len(covariance)
    dx = size // 2 if dx is None else dx

    def sample(key: chex.PRNGKey, n: int) -> Samples:
        normal, rest = jax.random.split(key)
        spherical = radial(rest, jax.random.normal(normal, (n, size)))
        return _halves(linalg.matmul(spherical, factor.T), dx)

    value = truth.gaussian(covariance, dx).mi + added.mi
    return Task(dx, size - dx, sample, value, added.error)


def uniform_noise(*, width: float) -> Task:
    """x uniform on [0, 1], y = x + noise uniform on [-width, width]."""

    def sample(key: chex.PRNGKey, n: int) -> Samples:
        first, second = jax.random.split(key)
        x = jax.random.uniform(first, (n, 1))
        return x, x + jax.random.uniform(second, (n, 1), minval=-width, maxval=width)

    return Task(1, 1, sample, *truth.uniform_noise(width))


def mixture(parts: truth.Mixture, *, dx: int | None = None) -> Task:
    """Mixture of Gaussians, x the first half, or the first dx: by quadrature in two dimensions,
    else by Monte Carlo.
    """
    size = parts.means.shape[1]
    dx = size // 2 if dx is None else dx
    means, log_weights, factors = (
        jnp.asarray(leaf, jnp.float32)
        for leaf in (parts.means, np.log(parts.weights), np.linalg.cholesky(parts.covariances))
    )

    def sample(key: chex.PRNGKey, n: int) -> Samples:
        first, second = jax.random.split(key)
        label = jax.random.categorical(first, log_weights, shape=(n,))
        noise = jax.random.normal(second, (n, size))
        noise = jnp.einsum('nij,nj->ni', factors[label], noise, precision='highest')
        return _halves(means[label] + noise, dx)

    value = truth.mixture_quadrature(parts) if size == 2 else truth.mixture_monte_carlo(parts, dx)
    return Task(dx, size - dx, sample, *value)


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


def waves(*, count: int) -> truth.Mixture:
    """`count` round Gaussians along a line, on two levels in turn: x tells y by its place alone."""
    places = np.arange(count)
    means = np.stack([3.0 * places, 3.0 * (places % 2)], axis=1)
    return truth.Mixture(
        np.full(count, 1 / count), means, np.tile(0.5**2 * np.eye(2), (count, 1, 1))
    )


def inliers(*, share: float, correlation: float) -> truth.Mixture:
    """A share of the pairs is correlated, the rest independent noise of the same size."""
    covariances = np.stack([equicorrelated(2, correlation), np.eye(2)])
    return truth.Mixture(np.array([share, 1 - share]), np.zeros((2, 2)), covariances)


def galaxy() -> truth.Mixture:
    """Two clouds of a planar x, whose second coordinate is correlated with y one way in the one and
    the other way in the other; wound up by `spiral`.
    """
    covariances = np.stack([np.eye(3)] * 2)
    for sign, own in zip((1, -1), covariances):
        own[1, 2] = own[2, 1] = 0.8 * sign
    return truth.Mixture(np.full(2, 0.5), np.array([[-2.0, 0, 0], [2.0, 0, 0]]), covariances)


def embeddings_and_labels(*, classes: int, dimension: int, spread: float) -> Task:
    """x: embeddings around one centre a class, y: the label, one-hot.

    The centres are the first `classes` unit vectors; spread: of the embeddings around them, in each
    coordinate. I(x; y) = log K - E H(y given x), by Monte Carlo.
    """
    centres = np.eye(classes, dimension)

    def sample(key: chex.PRNGKey, n: int) -> Samples:
        first, second = jax.random.split(key)
        label = jax.random.randint(first, (n,), 0, classes)
        x = jnp.asarray(centres, jnp.float32)[label]
        x = x + spread * jax.random.normal(second, (n, dimension))
        return x, jax.nn.one_hot(label, classes)

    return Task(dimension, classes, sample, *truth.classes_monte_carlo(centres, spread))


def transformed(task: Task, x_map: Map, y_map: Map, *, dx: int | None = None) -> Task:
    """The task after invertible maps of x and of y, which change no mutual information. dx: of x
    after its map, where that is not as before.
    """

    def sample(key: chex.PRNGKey, n: int) -> Samples:
        x, y = task.sample(key, n)
        return x_map(x), y_map(y)

    return task._replace(sample=sample, dx=task.dx if dx is None else dx)


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


def normal_cdf(x: chex.Array) -> jax.Array:
    """Phi of each coordinate: a standard normal becomes uniform on [0, 1]."""
    return jax.scipy.stats.norm.cdf(x)


def wiggly(x: chex.Array) -> jax.Array:
    """x + .4 sin x + .2 sin(1.7 x + 1): uneven, and increasing, as 1 - .4 - .34 > 0."""
    return x + 0.4 * jnp.sin(x) + 0.2 * jnp.sin(1.7 * x + 1)


def bimodal(x: chex.Array) -> jax.Array:
    """Quantile of .3 N(-2, 1/2) + .7 N(2, 1/2) at Phi(x): a standard normal has two modes then.

    By a table, between whose points the map is linear, hence invertible all the same.
    """
    grid = np.linspace(-6, 6, 4001)
    lower, upper = (special.ndtr((grid - centre) / 0.5) for centre in (-2, 2))
    # By the smaller tail on either side: Phi near 1 has no digits.
    below = special.ndtri(0.3 * lower + 0.7 * upper)
    upper_tail = 0.3 * special.ndtr((-2 - grid) / 0.5) + 0.7 * special.ndtr((2 - grid) / 0.5)
    place = np.where(grid < 0, below, -special.ndtri(upper_tail))
    return jnp.interp(x, jnp.asarray(place, jnp.float32), jnp.asarray(grid, jnp.float32))


def swiss_roll(x: chex.Array) -> jax.Array:
    """One column of standard normals, uniform by Phi, rolled up in the plane: (n, 1) -> (n, 2)."""
    angle = 1.5 * jnp.pi * (1 + 2 * normal_cdf(x[:, 0]))
    return jnp.stack([angle * jnp.cos(angle), angle * jnp.sin(angle)], axis=1) / 21


def _halves(z: jax.Array, dx: int) -> Samples:
    return z[:, :dx], z[:, dx:]
