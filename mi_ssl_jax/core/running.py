"""Running averages without bias, and the running largest eigenvalue of a stream of matrices."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg
from mi_ssl_jax.core.types import Key


class Average(NamedTuple):
    """An exponential moving average that starts without bias; read it by `average`."""

    total: chex.Array
    weight: chex.Array  # (): the sum of the weights in total, 1 in the limit


def average_init(shape: tuple[int, ...] = ()) -> Average:
    """The average of nothing yet."""
    return Average(jnp.zeros(shape), jnp.zeros(()))


def average_update(state: Average, x: chex.Array, *, momentum: chex.Numeric) -> Average:
    """Weighs everything seen by `momentum` and x by 1 - momentum; no gradient flows into the
    average.
    """
    chex.assert_equal_shape([state.total, x])
    x = jax.lax.stop_gradient(x)
    return Average(
        momentum * state.total + (1.0 - momentum) * x, momentum * state.weight + (1.0 - momentum)
    )


def average(state: Average) -> jax.Array:
    """The weighted mean of what was put in: of the first value alone after one update, 0 before
    it.
    """
    return state.total / jnp.where(state.weight > 0, state.weight, 1.0)


class TopEigenvalue(NamedTuple):
    """Moving average of the largest eigenvalue of a stream of matrices; read it by
    `average(state.value)`.
    """

    value: Average
    vector: chex.Array  # (d,) unit: where the next power iteration starts


def top_eigenvalue_init(key: Key, dimension: int) -> TopEigenvalue:
    """A random direction: no fixed one is sure to have a share in the largest eigenvector."""
    return TopEigenvalue(average_init(), linalg.unit(jax.random.normal(key, (dimension,))))


def top_eigenvalue_update(
    state: TopEigenvalue, matrix: chex.Array, *, momentum: chex.Numeric, iterations: int
) -> TopEigenvalue:
    """`iterations` power iterations on a positive semi-definite matrix (d, d), then the moving
    average.

    The Rayleigh quotient approaches the eigenvalue from below. No gradient flows.
    """
    chex.assert_shape(matrix, (len(state.vector), len(state.vector)))
    matrix = jax.lax.stop_gradient(linalg.promote(matrix))

    def iterate(_, vector):
        return linalg.unit(linalg.matmul(matrix, vector))

    vector = jax.lax.fori_loop(0, iterations, iterate, state.vector)
    value = jnp.vdot(vector, linalg.matmul(matrix, vector), precision='highest')
    return TopEigenvalue(average_update(state.value, value, momentum=momentum), vector)
