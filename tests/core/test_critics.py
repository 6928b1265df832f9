"""Critics against their formula, one pair at a time."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.core import critics
from tests.helpers import oracles

RNG = np.random.default_rng(1)
ZA = RNG.standard_normal((5, 4)).astype(np.float32)
ZB = RNG.standard_normal((6, 4)).astype(np.float32)
WEIGHT = RNG.standard_normal((4, 4)).astype(np.float32)
COSINE = functools.partial(critics.cosine, temperature=0.1)
DOT = functools.partial(critics.dot, temperature=0.5)
DISTANCE = functools.partial(critics.negative_squared_distance, temperature=0.5)


def bilinear(za, zb):
    return critics.bilinear(za, zb, WEIGHT)


class CriticsTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(
        ('cosine', COSINE, oracles.cosine(ZA, ZB, 0.1)),
        ('dot', DOT, np.float64(ZA) @ ZB.T / 0.5),
        ('negative_squared_distance', DISTANCE, oracles.negative_squared_distance(ZA, ZB, 0.5)),
        ('bilinear', bilinear, np.float64(ZA) @ WEIGHT @ ZB.T),
    )
    def test_row_is_a_column_is_b(self, critic, expected):
        scores = self.variant(critic)(ZA, ZB)
        chex.assert_shape(scores, (5, 6))
        # Float32, sums of 4 to 16 products.
        np.testing.assert_allclose(scores, expected, rtol=5e-6, atol=5e-6)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(
        ('cosine', COSINE), ('dot', DOT), ('distance', DISTANCE), ('bilinear', bilinear)
    )
    def test_finite_gradient_at_a_zero_row(self, critic):
        gradients = self.variant(jax.grad(lambda a, b: jnp.sum(critic(a, b) ** 2), (0, 1)))(
            ZA * (ZA > 9), ZB
        )
        chex.assert_tree_all_finite(gradients)

    @chex.variants(with_jit=True, without_jit=True)
    def test_cosine_ignores_length(self):
        np.testing.assert_allclose(
            self.variant(COSINE)(7 * ZA, ZB), COSINE(ZA, ZB), rtol=1e-5, atol=1e-5
        )

    @chex.variants(with_jit=True, without_jit=True)
    def test_distance_far_from_the_origin(self):
        # Without a common origin the three terms of order 1e6 would leave nothing of distances of
        # order 1.
        far = self.variant(DISTANCE)(ZA + 1000.0, ZB + 1000.0)
        # The inputs' own rounding at 1000.
        np.testing.assert_allclose(far, DISTANCE(ZA, ZB), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize('critic', [COSINE, DOT, DISTANCE])
def test_dimensions_must_agree(critic):
    with pytest.raises(AssertionError):
        critic(ZA, ZB[:, :3])
