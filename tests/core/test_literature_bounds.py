"""TUBA, I_alpha, SMILE, JS-NWJ and MINE against oracles, their limits and their defining
properties."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.core import bounds, pairs
from tests.helpers import goldens, oracles

RNG = np.random.default_rng(9)
SCORES = RNG.standard_normal((6, 6)).astype(np.float32)
BASELINE = RNG.standard_normal(6).astype(np.float32)
PAIRS = pairs.in_batch(SCORES)


class EstimatorsTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(
        ('tuba', bounds.tuba, oracles.tuba(SCORES, BASELINE)),
        (
            'i_alpha_01',
            functools.partial(bounds.i_alpha, alpha=0.1),
            oracles.i_alpha(SCORES, BASELINE, 0.1),
        ),
        (
            'i_alpha_09',
            functools.partial(bounds.i_alpha, alpha=0.9),
            oracles.i_alpha(SCORES, BASELINE, 0.9),
        ),
    )
    def test_with_a_baseline(self, bound, expected):
        np.testing.assert_allclose(self.variant(bound)(PAIRS, BASELINE), expected, rtol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(
        ('tuba', bounds.tuba), ('i_alpha', functools.partial(bounds.i_alpha, alpha=0.3))
    )
    def test_a_baseline_in_half_precision_is_widened_first(self, bound):
        half = jnp.asarray(BASELINE, jnp.bfloat16)
        values = [
            self.variant(bound)(PAIRS, baseline) for baseline in (half, half.astype(jnp.float32))
        ]
        np.testing.assert_allclose(*values, rtol=1e-6)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(('tight', 0.5), ('loose', 5.0))
    def test_smile(self, clip):
        bound = self.variant(functools.partial(bounds.smile, clip=clip))
        np.testing.assert_allclose(bound(PAIRS), oracles.smile(SCORES, clip), rtol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(
        ('smile', functools.partial(bounds.smile_jsd_terms, clip=0.5), oracles.smile(SCORES, 0.5)),
        ('js_nwj', bounds.js_nwj_terms, oracles.nwj(SCORES)),
    )
    def test_value_of_one_gradient_of_jsd(self, terms, expected):
        def value(terms, scores):
            joint, marginal = terms(pairs.in_batch(scores))
            return joint - marginal

        actual, gradient = self.variant(jax.value_and_grad(functools.partial(value, terms)))(SCORES)
        np.testing.assert_allclose(actual, expected, rtol=1e-5)
        expected = jax.grad(functools.partial(value, bounds.jsd_terms))(SCORES)
        chex.assert_trees_all_close(gradient, expected, rtol=1e-6)

    @chex.variants(with_jit=True, without_jit=True)
    def test_mine_starts_from_its_first_batch(self):
        step = self.variant(functools.partial(bounds.mine_terms, decay=0.9))
        terms, first = step(PAIRS, -jnp.inf)
        chex.assert_trees_all_close(terms, bounds.dv_terms(PAIRS), rtol=1e-6)
        np.testing.assert_allclose(first, terms.marginal, rtol=1e-6)
        terms, second = step(pairs.in_batch(2 * SCORES), first)
        expected = math.log(0.9 * math.exp(first) + 0.1 * math.exp(terms.marginal))
        np.testing.assert_allclose(second, expected, rtol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    def test_mine_divides_its_marginal_gradient_by_the_running_mean(self):
        def marginal(terms, scores):
            return terms(pairs.in_batch(scores)).marginal

        # Running mean 0.9 D + 0.1 B of the batch mean B = D e: the gradient of DV times B / (0.9 D
        # + 0.1 B).
        log_denominator = bounds.dv_terms(PAIRS).marginal - 1.0
        actual = self.variant(
            jax.grad(
                functools.partial(
                    marginal, lambda p: bounds.mine_terms(p, log_denominator, decay=0.9)[0]
                )
            )
        )(SCORES)
        dv = jax.grad(functools.partial(marginal, bounds.dv_terms))(SCORES)
        chex.assert_trees_all_close(actual, dv * math.e / (0.9 + 0.1 * math.e), rtol=1e-5)

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(
        ('tuba', lambda s: bounds.tuba(pairs.in_batch(s), BASELINE)),
        ('i_0', lambda s: bounds.i_alpha(pairs.in_batch(s), BASELINE, alpha=0.0)),
        ('i_05', lambda s: bounds.i_alpha(pairs.in_batch(s), BASELINE, alpha=0.5)),
        ('i_1', lambda s: bounds.i_alpha(pairs.in_batch(s), BASELINE, alpha=1.0)),
        ('smile', lambda s: bounds.smile(pairs.in_batch(s), clip=5.0)),
    )
    def test_finite_at_scores_of_80(self, bound):
        for scores in (80 * np.sign(SCORES), 80 * np.eye(6), -80 * np.eye(6), np.zeros((6, 6))):
            chex.assert_tree_all_finite(self.variant(jax.value_and_grad(bound))(np.float32(scores)))


class LimitsTest(parameterized.TestCase):
    def test_nwj_is_tuba_with_baseline_e(self):
        np.testing.assert_allclose(
            bounds.tuba(PAIRS, np.ones(6, np.float32)), bounds.nwj(PAIRS), rtol=1e-5
        )

    def test_tuba_is_largest_at_the_mean_of_its_column(self):
        best = np.float32([oracles.log_mean_exp(oracles.column(SCORES, j)) for j in range(6)])
        top = bounds.tuba(PAIRS, best)
        for shift in (-0.3, 0.3):
            assert bounds.tuba(PAIRS, best + np.float32(shift)) < top

    @parameterized.named_parameters(
        ('nwj', 0.0, bounds.nwj(PAIRS)),
        ('infonce_of_columns', 1.0, bounds.infonce(pairs.in_batch(SCORES.T))),
    )
    def test_i_alpha_ends(self, alpha, expected):
        actual = bounds.i_alpha(PAIRS, np.ones(6, np.float32), alpha=alpha)
        np.testing.assert_allclose(actual, expected, rtol=1e-5)

    def test_smile_without_a_clip_is_dv_and_clips_only_the_marginal(self):
        np.testing.assert_allclose(bounds.smile(PAIRS, clip=np.inf), bounds.dv(PAIRS), rtol=1e-6)
        joint, marginal = bounds.smile_terms(pairs.in_batch(10 * SCORES), clip=1.0)
        np.testing.assert_allclose(joint, 10 * SCORES.trace() / 6, rtol=1e-5)
        assert -1 <= marginal <= 1

    @parameterized.named_parameters(
        ('tuba', bounds.tuba), ('i_05', functools.partial(bounds.i_alpha, alpha=0.5))
    )
    def test_optimal_critic_gives_the_true_information(self, bound):
        # The optimal critic log p(y|x)/p(y) with a = 1: 8 batches of 1000, standard error below
        # 0.01.
        generator = np.random.default_rng(10)
        batches = [oracles.gaussian_pairs(generator, 1000, 0.8) for _ in range(8)]
        values = [
            bound(
                pairs.in_batch(np.float32(oracles.gaussian_log_ratio(x, y, 0.8))), jnp.zeros(1000)
            )
            for x, y in batches
        ]
        np.testing.assert_allclose(np.mean(values), oracles.gaussian_mi(0.8), atol=0.03)

    def test_by_name(self):
        smile = bounds.terms('smile', PAIRS)
        np.testing.assert_allclose(
            smile.joint - smile.marginal, oracles.smile(SCORES, 5.0), rtol=1e-5
        )
        assert bounds.terms('smile', PAIRS, clip=0.1).marginal <= 0.1


def test_a_baseline_needs_a_batch():
    with pytest.raises(ValueError, match='a baseline of each y needs in-batch pairs'):
        bounds.tuba(pairs.with_negatives(SCORES[0], SCORES[:, :4]), BASELINE)


def test_mine_in_float64_keeps_its_type():
    with goldens.x64():
        _, running = bounds.mine_terms(
            pairs.in_batch(np.float64(SCORES)), jnp.asarray(-jnp.inf), decay=0.9
        )
    assert running.dtype == np.float64


def test_the_jackknife_leaves_every_example_out_once():
    """N DV - (N - 1) mean DV of the scores without one row and its column."""
    scores = RNG.standard_normal((7, 7))
    without = [oracles.dv(np.delete(np.delete(scores, i, 0), i, 1)) for i in range(7)]
    with goldens.x64():
        found = jax.jit(bounds.dv_jackknife)(pairs.in_batch(jnp.asarray(scores)))
    np.testing.assert_allclose(found, 7 * oracles.dv(scores) - 6 * np.mean(without), rtol=1e-12)
    with pytest.raises(ValueError, match='at least 3 examples'):
        bounds.dv_jackknife(pairs.in_batch(jnp.eye(2)))


def test_leave_one_out_normalises_each_row_by_its_others():
    expected = np.mean(
        [SCORES[i, i] - oracles.log_mean_exp(np.delete(SCORES[i], i)) for i in range(6)]
    )
    np.testing.assert_allclose(bounds.leave_one_out(PAIRS), expected, rtol=1e-5)
    assert bounds.leave_one_out(PAIRS) >= bounds.dv(PAIRS)


def test_the_jackknife_takes_the_bias_of_the_log_mean_away():
    """Scores a_i + b_j of independent normals of variance 1/2: log E e^S = 1/2 in the limit."""
    a, b = np.random.default_rng(2).normal(0, 0.5**0.5, (2, 4000, 8)).astype(np.float32)
    draws = a[:, :, None] + b[:, None]
    joint = np.float64(np.einsum('nii->n', draws))
    plain, corrected = (
        np.float64(jax.vmap(lambda scores: bound(pairs.in_batch(scores)))(draws)) - joint / 8
        for bound in (bounds.dv, bounds.dv_jackknife)
    )
    error = corrected.std() / np.sqrt(len(draws))
    bias = plain.mean() + 0.5  # about the variance of the mean over two, (e^.5 - 1) / 8
    assert bias == pytest.approx((np.exp(0.5) - 1) / 8, rel=0.3)
    assert abs(corrected.mean() + 0.5) < 0.25 * bias + 4 * error


def test_chi_squared_is_tight_at_the_density_ratio():
    """Bivariate normal: chi^2 = 1 / (1 - rho^2) - 1; T = p(x, y) / (p(x) p(y)), S = T - 1."""
    rho, generator = 0.5, np.random.default_rng(8)
    x, y = oracles.gaussian_pairs(generator, 3000, rho)
    scores = np.exp(oracles.gaussian_log_ratio(x, y, rho)) - 1
    truth = 1 / (1 - rho**2) - 1
    found = float(bounds.chi_squared(pairs.in_batch(jnp.asarray(scores, jnp.float32))))
    assert found == pytest.approx(truth, abs=0.06)
    for factor in (0.0, 0.5, 1.5):  # any other critic gives less
        other = float(bounds.chi_squared(pairs.in_batch(jnp.asarray(factor * scores, jnp.float32))))
        assert other < found


def test_chi_squared_equals_its_formula():
    others = oracles.off_diagonal(SCORES)
    expected = 2 * oracles.mean(np.diagonal(SCORES)) - oracles.mean([2 * s + s * s for s in others])
    np.testing.assert_allclose(bounds.chi_squared(PAIRS), expected, rtol=1e-5)
    blocked = bounds.blocked('chi_squared', SCORES[:, :3], SCORES[:, 3:], lambda a, b: a @ b.T, 2)
    whole = bounds.chi_squared(pairs.in_batch(SCORES[:, :3] @ SCORES[:, 3:].T))
    np.testing.assert_allclose(blocked, whole, rtol=1e-4)
