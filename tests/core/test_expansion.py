"""The second-order expansion of the DV marginal term: float64 oracles, its bound, and the
variance's parts.
"""

import functools
import math

import chex
import jax
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.core import critics, expansion, linalg, pairs
from tests.helpers import goldens, oracles

RNG = np.random.default_rng(7)
ZA = RNG.standard_normal((9, 3)).astype(np.float32)
ZB = (0.8 * ZA + 0.6 * RNG.standard_normal((9, 3))).astype(np.float32)
TILTS = 21


def expand(scores, tilts=TILTS):
    return expansion.expand(pairs.in_batch(scores), tilts=tilts)


def third_cumulant(values, s):
    """K'''(s) of the values' cumulant-generating function, by its definition under tilted
    weights."""
    weights = [math.exp(s * v) for v in values]
    centre = sum(w * v for w, v in zip(weights, values)) / sum(weights)
    return sum(w * (v - centre) ** 3 for w, v in zip(weights, values)) / sum(weights)


class ExpansionTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(('warm', 1.0), ('cold', 0.1))
    def test_equals_oracle(self, temperature):
        scores = critics.cosine(ZA, ZB, temperature=temperature)
        actual = self.variant(expand)(scores)
        values = oracles.off_diagonal(np.float64(scores))
        mean = oracles.mean(values)
        variance = oracles.mean([(v - mean) ** 2 for v in values])
        third = max(abs(third_cumulant(values, s)) for s in np.linspace(0, 1, TILTS))
        expected = (oracles.log_mean_exp(values), mean, variance, third, max(values) - min(values))
        np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(actual.second_order, mean + variance / 2, rtol=1e-5, atol=1e-6)

    @parameterized.named_parameters(*((str(scale), scale) for scale in (0.1, 1.0, 5.0, 30.0)))
    def test_the_remainder_is_within_its_bounds(self, scale):
        for seed in range(5):
            scores = scale * np.random.default_rng(seed).exponential(size=(8, 8))
            found = expand(np.float32(scores), tilts=101)
            remainder = abs(found.exact - found.second_order)
            assert remainder <= found.bound * (1 + 1e-3) + 1e-6
            assert found.bound <= found.range_bound * (1 + 1e-5)

    @chex.variants(with_jit=True)
    def test_gradient_equals_differences(self):
        def value(scores):
            found = expand(scores, tilts=5)
            return found.exact + found.second_order + found.bound

        def by_hand(scores):
            values = oracles.off_diagonal(scores)
            mean = oracles.mean(values)
            thirds = [abs(third_cumulant(values, s)) for s in np.linspace(0, 1, 5)]
            return (
                oracles.log_mean_exp(values)
                + mean
                + oracles.mean([(v - mean) ** 2 for v in values]) / 2
                + max(thirds) / 6
            )

        scores = RNG.standard_normal((4, 4))
        with goldens.x64():
            actual = self.variant(jax.grad(value))(scores)
        np.testing.assert_allclose(
            actual, oracles.numerical_gradient(by_hand, scores), rtol=1e-5, atol=1e-8
        )


def test_scores_of_a_gaussian_have_no_remainder():
    """K(1) = mean + variance / 2 exactly; here up to the sampling error of 40,000 scores."""
    scores = np.random.default_rng(0).normal(0.3, 0.5, (200, 200)).astype(np.float32)
    found = expand(scores)
    np.testing.assert_allclose(found.exact, 0.3 + 0.125, atol=5e-3)
    np.testing.assert_allclose(found.second_order, 0.3 + 0.125, atol=5e-3)


def test_two_scores_reach_the_bound_of_their_range():
    """The third central moment is largest with a share of 1/2 - 1/(2 sqrt 3) at one end."""
    count = round(1000 * (0.5 - 0.5 / math.sqrt(3)))
    negatives = np.float32([[2.0] * count + [0.0] * (1000 - count)])
    found = expansion.expand(pairs.with_negatives(np.zeros(1, np.float32), negatives), tilts=TILTS)
    np.testing.assert_allclose(found.bound, found.range_bound, rtol=1e-3)


def test_variance_parts_equal_oracle():
    za, zb = (linalg.standardise(z, eps=1e-5) for z in (ZA, ZB))
    actual = jax.jit(expansion.variance_parts)(za, zb)
    a, b = np.float64(za), np.float64(zb)
    own, between = (a.T @ a / 9) * (b.T @ b / 9), a.T @ b / 9
    expected = (
        own.sum(),
        sum(oracles.off_diagonal(own)),
        sum(oracles.off_diagonal(between * between.T)),
        sum(s * s for s in oracles.off_diagonal(between)),
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_the_variance_of_independent_scores_is_that_of_the_auto_correlations():
    """Over all N^2 pairs, which are independent by construction: not the cross-correlations of Eq.
    28."""
    za, zb = (linalg.standardise(z, eps=0.0) for z in (ZA, ZB))
    parts = expansion.variance_parts(za, zb)
    np.testing.assert_allclose(parts.auto, np.var(np.float64(za) @ np.float64(zb).T), rtol=1e-5)
    assert abs(parts.auto - parts.squares) > 1  # i = j alone is about D = 3


def test_equal_views_make_auto_and_cross_the_same():
    z = linalg.standardise(ZA, eps=1e-5)
    parts = expansion.variance_parts(z, z)
    np.testing.assert_allclose(parts.auto_off, parts.squares, rtol=1e-5)
    np.testing.assert_allclose(parts.cross, parts.squares, rtol=1e-5)


@pytest.mark.parametrize('tilts', [0, 1])
def test_too_few_tilts(tilts):
    with pytest.raises(ValueError, match=f'tilts={tilts}'):
        expand(functools.reduce(np.matmul, (ZA, ZB.T)), tilts=tilts)
