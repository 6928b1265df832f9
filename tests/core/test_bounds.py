"""Bounds against float64 oracles, closed forms and their defining properties."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.core import bounds, critics, pairs
from tests.helpers import goldens, oracles

RNG = np.random.default_rng(2)
SCORES = RNG.standard_normal((6, 6)).astype(np.float32)
VALUES = {
    'dv': bounds.dv,
    'infonce': bounds.infonce,
    'jsd': bounds.jsd,
    'nwj': bounds.nwj,
    'taylor_dv': functools.partial(bounds.taylor_dv, variance_weight=0.5),
}
NAMES = tuple((name, name) for name in VALUES)
RANGES = (
    ('dv', 'dv', 1e30),
    ('infonce', 'infonce', 1e30),
    ('jsd', 'jsd', 1e30),
    ('taylor_dv', 'taylor_dv', 1e15),
    ('nwj', 'nwj', 80.0),
)


def in_batch(name, scores):
    return VALUES[name](pairs.in_batch(scores))


class BoundsTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(*NAMES)
    def test_equals_oracle(self, name):
        bound = self.variant(functools.partial(in_batch, name))
        for scores in (SCORES, SCORES * 10):
            actual = bound(scores)
            # 1e-5 for nwj: the exponential of scores near 20, each rounded to 2e-6.
            np.testing.assert_allclose(
                actual, oracles.BOUNDS[name](np.float64(scores)), rtol=1e-5, atol=1e-5
            )

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(*NAMES)
    def test_gradient_equals_differences(self, name):
        with goldens.x64():
            gradient = self.variant(jax.grad(functools.partial(in_batch, name)))(np.float64(SCORES))
        expected = oracles.numerical_gradient(oracles.BOUNDS[name], SCORES)
        np.testing.assert_allclose(
            gradient, expected, rtol=1e-6, atol=1e-8
        )  # central differences at 1e-6

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(*NAMES)
    def test_value_is_joint_minus_marginal(self, name):
        terms = self.variant(functools.partial(bounds.terms, name))(pairs.in_batch(SCORES))
        diagonal = SCORES.diagonal()
        joint = (
            -np.mean([oracles.softplus(-s) for s in diagonal])
            if name == 'jsd'
            else np.mean(diagonal)
        )
        np.testing.assert_allclose(terms.joint, joint, rtol=1e-6)
        np.testing.assert_allclose(terms.joint - terms.marginal, in_batch(name, SCORES), rtol=1e-5)

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(*NAMES)
    def test_permutation_of_the_samples_changes_nothing(self, name):
        order = RNG.permutation(6)
        actual = self.variant(functools.partial(in_batch, name))(SCORES[order][:, order])
        np.testing.assert_allclose(actual, in_batch(name, SCORES), rtol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(*RANGES)
    def test_finite_to_the_end_of_its_range(self, name, largest):
        signs = np.sign(SCORES)
        gradient = self.variant(jax.value_and_grad(functools.partial(in_batch, name)))
        one = np.ones((6, 6))
        for scores in (signs, one, -one, 0 * one, np.eye(6), -np.eye(6)):
            chex.assert_tree_all_finite(gradient(np.float32(scores * largest)))

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(('dv', 'dv'), ('infonce', 'infonce'), ('jsd', 'jsd'))
    def test_an_overflowing_masked_score_leaves_the_marginal_term_alone(self, name):
        def marginal(scores):
            joint, mask = jnp.zeros(6), ~jnp.eye(6, dtype=bool)
            return bounds.terms(name, pairs.Pairs(joint, scores, mask)).marginal

        # A masked 1e30 above scores of order 1: exp would be inf, and its gradient 0 * inf.
        large = SCORES + np.eye(6, dtype=np.float32) * 1e30
        actual = self.variant(jax.value_and_grad(marginal))(large)
        chex.assert_trees_all_close(actual, jax.value_and_grad(marginal)(SCORES), rtol=1e-6)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(
        ('dv', 'dv', 0.0),
        ('infonce', 'infonce', 0.0),
        ('t', 'taylor_dv', 0.0),
        ('jsd', 'jsd', -2 * math.log(2)),
        ('nwj', 'nwj', -1 / math.e),
    )
    def test_zero_scores(self, name, expected):
        bound = self.variant(functools.partial(in_batch, name))
        np.testing.assert_allclose(bound(np.zeros((6, 6), np.float32)), expected, atol=1e-6)

    @chex.variants(with_jit=True, without_jit=True)
    def test_infonce_never_exceeds_log_n(self):
        bound = self.variant(bounds.infonce)
        for scale in (1.0, 10.0, 1e3, 1e6):
            assert bound(pairs.in_batch(np.float32(SCORES + scale * np.eye(6)))) <= np.float32(
                math.log(6)
            )

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(('dv', 'dv'), ('infonce', 'infonce'), ('taylor', 'taylor_dv'))
    def test_a_constant_added_to_the_scores_changes_nothing(self, name):
        actual = self.variant(functools.partial(in_batch, name))(SCORES + 3)
        np.testing.assert_allclose(actual, in_batch(name, SCORES), atol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    def test_infonce_with_negatives_equals_its_rows(self):
        # The off-diagonal entries of each row as a list of negatives: the same rows.
        negatives = np.stack([np.delete(row, i) for i, row in enumerate(SCORES)])
        actual = self.variant(bounds.infonce)(pairs.with_negatives(SCORES.diagonal(), negatives))
        np.testing.assert_allclose(actual, in_batch('infonce', SCORES), rtol=1e-6)

    @chex.variants(with_jit=True, without_jit=True)
    def test_eq13(self):
        za, zb = SCORES[:, :3], SCORES[:, 3:]
        np.testing.assert_allclose(
            self.variant(bounds.eq13)(za, zb), oracles.eq13(za, zb), rtol=1e-6
        )

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(('dv', 'dv'), ('infonce', 'infonce'))
    def test_scores_made_by_a_product_of_1e30(self, name):
        # Under jit the product may be fused, unrounded, into the subtraction of the maximum.
        bound = self.variant(jax.value_and_grad(lambda s, scale: in_batch(name, s * scale)))
        chex.assert_tree_all_finite(bound(SCORES / 7, np.float32(1e30)))


class PropertiesTest(parameterized.TestCase):
    def test_dv_is_never_below_nwj(self):
        for scale in (0.1, 1.0, 3.0):
            for seed in range(5):
                scores = scale * np.random.default_rng(seed).standard_normal((5, 5)).astype(
                    np.float32
                )
                assert in_batch('dv', scores) >= in_batch('nwj', scores) - 1e-6
        # Equal where the log mean e^S is 1, the point at which the tangent touches.
        np.testing.assert_allclose(
            in_batch('dv', np.ones((5, 5), np.float32)),
            in_batch('nwj', np.ones((5, 5), np.float32)),
            atol=1e-6,
        )

    @parameterized.named_parameters(
        ('dv', 'dv'), ('infonce', 'infonce'), ('nwj', 'nwj'), ('t', 'taylor_dv')
    )
    def test_joint_affine_and_marginal_convex_in_the_scores(self, name):
        other = np.random.default_rng(3).standard_normal((6, 6)).astype(np.float32)
        at = [bounds.terms(name, pairs.in_batch(s)) for s in (SCORES, other, (SCORES + other) / 2)]
        np.testing.assert_allclose(at[2].joint, (at[0].joint + at[1].joint) / 2, atol=1e-6)
        assert at[2].marginal < (at[0].marginal + at[1].marginal) / 2

    def test_taylor_approaches_dv_with_the_third_power_of_the_scores(self):
        with goldens.x64():
            gaps = [
                abs(float(in_batch('taylor_dv', scores) - in_batch('dv', scores)))
                for scores in (s * np.float64(SCORES) for s in (0.2, 0.1, 0.05))
            ]
        assert gaps[2] < 1e-4
        np.testing.assert_allclose([gaps[0] / gaps[1], gaps[1] / gaps[2]], 8, rtol=0.5)

    def test_paper_weight_of_the_variance(self):
        p = pairs.in_batch(SCORES)
        half, one = (bounds.taylor_dv_terms(p, variance_weight=w).marginal for w in (0.5, 1.0))
        np.testing.assert_allclose(
            2 * (one - half), np.var(oracles.off_diagonal(SCORES)), rtol=1e-5
        )
        np.testing.assert_allclose(bounds.terms('taylor_dv', p).marginal, half, rtol=1e-6)

    @parameterized.named_parameters(
        ('dv', 'dv', 0.0), ('infonce', 'infonce', 0.0), ('nwj', 'nwj', 1.0)
    )
    def test_optimal_critic_gives_the_true_information(self, name, constant):
        # N = 1000 pairs, mean over 8 batches; the standard error at rho = 0.8 is 0.007 (dv), so
        # 0.03 is 4 of them.
        generator = np.random.default_rng(4)
        for rho in (0.0, 0.5, 0.8):
            batches = [oracles.gaussian_pairs(generator, 1000, rho) for _ in range(8)]
            values = [
                in_batch(name, np.float32(oracles.gaussian_log_ratio(x, y, rho) + constant))
                for x, y in batches
            ]
            np.testing.assert_allclose(np.mean(values), oracles.gaussian_mi(rho), atol=0.03)

    def test_jsd_at_the_optimal_critic_of_independent_data(self):
        x, y = oracles.gaussian_pairs(np.random.default_rng(5), 100, 0.0)
        np.testing.assert_allclose(
            in_batch('jsd', np.float32(oracles.gaussian_log_ratio(x, y, 0.0))),
            -2 * math.log(2),
            atol=1e-5,
        )

    @parameterized.named_parameters(('t1', 1.0), ('t05', 0.5))
    def test_cosdv_of_the_uniform_sphere(self, temperature):
        z = np.random.default_rng(6).standard_normal((2000, 3)).astype(np.float32)
        actual = in_batch('dv', critics.cosine(z, z, temperature=temperature))
        np.testing.assert_allclose(
            actual, oracles.cosdv_on_sphere(temperature), atol=0.01
        )  # measured: 0.001

    @parameterized.named_parameters(*NAMES)
    def test_finite_gradient_at_a_zero_row(self, name):
        z = np.concatenate([np.zeros((1, 4), np.float32), np.eye(4, dtype=np.float32)])
        gradient = jax.grad(lambda z: in_batch(name, critics.cosine(z, z, temperature=0.1)))(z)
        chex.assert_tree_all_finite(gradient)


def test_nwj_beyond_its_range_is_minus_infinity():
    assert in_batch('nwj', np.full((3, 3), 100.0, np.float32)) == -np.inf


def test_unknown_name_lists_the_known_ones():
    known = 'chi_squared, dv, infonce, js_nwj, jsd, nwj, smile, taylor_dv'
    with pytest.raises(ValueError, match=f"unknown bound 'cpc': choose one of {known}"):
        bounds.terms('cpc', pairs.in_batch(SCORES))


def test_a_bound_takes_its_own_parameters_only():
    p = pairs.in_batch(SCORES)
    heavy = bounds.terms('taylor_dv', p, variance_weight=1.0)
    np.testing.assert_allclose(heavy, bounds.taylor_dv_terms(p, variance_weight=1.0))
    with pytest.raises(ValueError, match="the bound 'dv' has no parameter clip: leave it out$"):
        bounds.terms('dv', p, clip=1.0)
    with pytest.raises(ValueError, match='no parameter clip: leave it out, or give variance_wei'):
        bounds.terms('taylor_dv', p, clip=1.0)
