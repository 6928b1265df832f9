"""Geometry on the sphere against closed forms and oracles."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.core import sphere
from tests.helpers import oracles

RNG = np.random.default_rng(8)
Z = RNG.standard_normal((9, 4)).astype(np.float32)
ANGLES = 2 * np.pi * np.arange(5) / 5
PENTAGON = np.stack([np.cos(ANGLES), np.sin(ANGLES), 0 * ANGLES], axis=1).astype(np.float32)
# The Thomson optimum for five charges: two poles and a triangle on the equator.
HALF, HEIGHT = 0.5, math.sqrt(0.75)
BIPYRAMID = np.float32([[0, 0, 1], [0, 0, -1], [1, 0, 0], [-HALF, HEIGHT, 0], [-HALF, -HEIGHT, 0]])


class SphereTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(
        ('pentagon', 3 * PENTAGON, 72.0),
        ('bipyramid', BIPYRAMID, 90.0),
        ('antipodes', BIPYRAMID[:2], 180.0),
        ('one_point', np.ones((4, 3), np.float32), 0.0),
    )
    def test_angle_gaps_of_known_shapes(self, points, degrees):
        # arccos near 0 turns a rounding of 1e-7 into 0.03 degrees.
        gaps = self.variant(sphere.nn_angle_gaps)(points)
        np.testing.assert_allclose(gaps, [degrees, degrees, degrees, 0.0], atol=0.05)

    @chex.variants(with_jit=True, without_jit=True)
    def test_angle_gaps_equal_the_oracle(self):
        np.testing.assert_allclose(
            self.variant(sphere.nn_angle_gaps)(Z), oracles.nn_angle_gaps(Z), rtol=1e-5
        )

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(
        ('isotropic', np.eye(4, dtype=np.float32), 4.0),
        ('one_line', np.ones((6, 4), np.float32), 1.0),
        ('zero', np.zeros((6, 4), np.float32), 1.0),
        ('random', Z, oracles.effective_rank(Z)),
        # Singular values 2 and 1: exp of the entropy of (2/3, 1/3).
        ('two_to_one', np.diag(np.float32([2, 1])), 3 / 2 ** (2 / 3)),
    )
    def test_effective_rank(self, z, expected):
        np.testing.assert_allclose(self.variant(sphere.effective_rank)(z), expected, rtol=1e-4)

    @chex.variants(with_jit=True, without_jit=True)
    def test_alignment(self):
        other = np.flip(Z, 0)
        distances = np.linalg.norm(oracles.unit(Z) - oracles.unit(other), axis=1)
        alignment = self.variant(sphere.alignment)
        np.testing.assert_allclose(alignment(Z, other), np.mean(distances**2), rtol=1e-5)
        linear = self.variant(functools.partial(sphere.alignment, alpha=1.0))(Z[:4], other[:4])
        np.testing.assert_allclose(linear, np.mean(distances[:4]), rtol=1e-5)
        np.testing.assert_allclose(alignment(Z, 5 * Z), 0.0, atol=1e-6)

    @chex.variants(with_jit=True, without_jit=True)
    def test_uniformity(self):
        np.testing.assert_allclose(
            self.variant(sphere.uniformity)(Z), oracles.uniformity(Z, 2.0), rtol=1e-5
        )
        np.testing.assert_allclose(self.variant(sphere.uniformity)(np.ones_like(Z)), 0.0, atol=1e-5)
        # Two antipodes: squared distance 4.
        np.testing.assert_allclose(self.variant(sphere.uniformity)(BIPYRAMID[:2]), -8.0, rtol=1e-6)

    @chex.variants(with_jit=True, without_jit=True)
    def test_feature_std(self):
        expected = oracles.unit(Z).std(0).mean()
        np.testing.assert_allclose(self.variant(sphere.feature_std)(Z), expected, rtol=1e-5)
        even = np.concatenate([np.eye(4), -np.eye(4)]).astype(np.float32)
        np.testing.assert_allclose(
            self.variant(sphere.feature_std)(even), 1 / math.sqrt(4), rtol=1e-6
        )
        np.testing.assert_allclose(
            self.variant(sphere.feature_std)(np.ones_like(Z)), 0.0, atol=1e-6
        )


@pytest.mark.parametrize(
    'function, message',
    [(sphere.nn_angle_gaps, 'at least 2 points'), (sphere.uniformity, 'at least 2')],
)
def test_one_point_is_an_error(function, message):
    with pytest.raises(ValueError, match=message):
        function(Z[:1])


def test_alignment_gradient_is_finite_at_equal_views():
    chex.assert_tree_all_finite(jax.grad(lambda z: sphere.alignment(z, Z))(jnp.asarray(Z)))
