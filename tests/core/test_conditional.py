"""Barber-Agakov and CLUB on Gaussians, where q can be the true conditional."""

import functools
import math

import chex
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.core.bounds import conditional
from tests.helpers import oracles

RNG = np.random.default_rng(11)
Y, MEAN, LOG_VARIANCE = RNG.standard_normal((3, 7, 2)).astype(np.float32)


class ConditionalTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_log_density(self):
        expected = [oracles.log_density(*row) for row in zip(Y, MEAN, LOG_VARIANCE, strict=True)]
        np.testing.assert_allclose(
            self.variant(conditional.log_density)(Y, MEAN, LOG_VARIANCE), expected, rtol=1e-5
        )
        np.testing.assert_allclose(
            self.variant(conditional.log_likelihood)(Y, MEAN, LOG_VARIANCE),
            np.mean(expected),
            rtol=1e-5,
        )

    @chex.variants(with_jit=True, without_jit=True)
    def test_club_equals_its_double_sum(self):
        np.testing.assert_allclose(
            self.variant(conditional.club)(Y, MEAN, LOG_VARIANCE),
            oracles.club(Y, MEAN, LOG_VARIANCE),
            rtol=1e-5,
        )

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(('weak', 0.3), ('strong', 0.9))
    def test_true_conditional_of_a_gaussian(self, rho):
        x, y = (
            np.float32(z) for z in oracles.gaussian_pairs(np.random.default_rng(12), 20000, rho)
        )
        log_variance = np.full_like(y, math.log(1 - rho**2))
        entropy = 0.5 * math.log(2 * math.pi * math.e)
        barber_agakov = self.variant(functools.partial(conditional.barber_agakov, entropy=entropy))
        lower = barber_agakov(y, rho * x, log_variance)
        upper = self.variant(conditional.club)(y, rho * x, log_variance)
        # Standard error 1 / sqrt(2 N) = 0.005 of the lower bound. CLUB's expectation is rho^2 / (1
        # - rho^2), and its standard error about that over sqrt(N / 8).
        np.testing.assert_allclose(lower, oracles.gaussian_mi(rho), atol=0.02)
        np.testing.assert_allclose(upper, rho**2 / (1 - rho**2), rtol=0.1)
        assert upper > oracles.gaussian_mi(rho)


def test_shapes_must_agree():
    with pytest.raises(AssertionError):
        conditional.club(Y, MEAN[:3], LOG_VARIANCE)
