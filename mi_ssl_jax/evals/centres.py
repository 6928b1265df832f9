"""Where the centres of the Gaussian classes lie on the sphere (arXiv 2510.01345, Table 2)."""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg, sphere


def gaps(points: chex.Array) -> dict[str, jax.Array]:
    """Angle from each embedded centre (K, D) to its nearest other one, degrees; sd is the
    population's.

    Raises:
        ValueError: fewer than two centres.
    """
    return sphere.nn_angle_gaps(points)._asdict()


def flatness(points: chex.Array) -> jax.Array:
    """Smallest over largest singular value of the normalised embedded centres (K, D), centred.

    Near 0 on a ring (five points 72 degrees apart), about 0.8 for the solid arrangement 90 degrees
    apart.
    """
    chex.assert_rank(points, 2)
    chex.assert_type(points, float)
    unit = linalg.unit(points)
    singular = jnp.linalg.svd(unit - jnp.mean(unit, axis=0), compute_uv=False)
    return singular[-1] / singular[0]
