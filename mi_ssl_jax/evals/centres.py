"""Angles between the centres of the Gaussian classes on the sphere (arXiv 2510.01345, Table 2)."""

import chex
import jax

from mi_ssl_jax.core import sphere


def gaps(points: chex.Array) -> dict[str, jax.Array]:
    """Angle from each embedded centre (K, D) to its nearest other one, degrees; sd is the
    population's.

    Raises:
        ValueError: fewer than two centres.
    """
    return sphere.nn_angle_gaps(points)._asdict()
