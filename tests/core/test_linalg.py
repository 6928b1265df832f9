"""Normalisation and second-order statistics against numpy."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.core import linalg
from tests.helpers import goldens, oracles

RNG = np.random.default_rng(0)
ZA = RNG.standard_normal((7, 4)).astype(np.float32)
ZB = RNG.standard_normal((7, 3)).astype(np.float32)


class LinalgTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(
        ('unit', linalg.unit, lambda: oracles.unit(ZA), (ZA,)),
        (
            'standardise',
            functools.partial(linalg.standardise, eps=1e-5),
            lambda: oracles.standardise(ZA, 1e-5),
            (ZA,),
        ),
        (
            'cross_correlation',
            linalg.cross_correlation,
            lambda: ZA.astype(np.float64).T @ ZB / 7,
            (ZA, ZB),
        ),
        ('covariance', linalg.covariance, lambda: np.cov(ZA.T), (ZA,)),
        ('cross_covariance', linalg.cross_covariance, lambda: np.cov(ZA.T, ZB.T)[:4, 4:], (ZA, ZB)),
        (
            'off_diagonal',
            linalg.off_diagonal_sum_of_squares,
            lambda: sum(s * s for s in oracles.off_diagonal(np.float64(ZA[:4]))),
            (ZA[:4],),
        ),
    )
    def test_equals_numpy(self, function, expected, arguments):
        # 20 roundings of float32 on numbers of order 1.
        np.testing.assert_allclose(
            self.variant(function)(*arguments), expected(), rtol=2e-6, atol=1e-6
        )

    @chex.variants(with_jit=True, without_jit=True)
    def test_zero_row_stays_zero_with_finite_gradient(self):
        x = jnp.zeros((2, 4)).at[0].set(1.0)
        chex.assert_trees_all_close(self.variant(linalg.unit)(x)[1], jnp.zeros(4))
        gradient = self.variant(jax.grad(lambda x: jnp.sum(linalg.unit(x) * ZA[:2])))(x)
        chex.assert_tree_all_finite(gradient)
        # At zero the map is x / eps.
        np.testing.assert_allclose(gradient[1], ZA[1] / 1e-12, rtol=1e-6)


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16, jnp.float32, jnp.int32])
def test_half_types_are_computed_in_float32(dtype):
    assert linalg.unit(jnp.ones((2, 3), dtype)).dtype == jnp.float32


def test_float64_stays():
    with goldens.x64():
        assert linalg.matmul(jnp.ones((2, 3)), jnp.ones((3, 2))).dtype == jnp.float64


def test_covariance_of_one_sample_is_an_error():
    with pytest.raises(ValueError, match='at least 2 samples'):
        linalg.covariance(jnp.ones((1, 3)))
