"""Second-order mutual information, its trainable form, and whitening."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.core import bounds, gaussian_entropy, linalg, pairs, running
from tests.helpers import goldens, oracles

RNG = np.random.default_rng(14)
ZA = RNG.standard_normal((40, 4)).astype(np.float32)
ZB = (ZA[:, :3] + RNG.standard_normal((40, 3))).astype(np.float32)
CASES = {case.id: case for case in goldens.cases('core_moments')}
# Symmetric with eigenvalues 0.2 to 1 in a random basis.
BASIS = np.linalg.qr(RNG.standard_normal((5, 5)))[0]
EIGENVALUES = np.array([0.2, 0.4, 0.6, 0.8, 1.0])
MATRIX = np.float32(BASIS * EIGENVALUES @ BASIS.T)


class MutualInformationTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(('exact', 0.0), ('regularised', 0.1))
    def test_equals_oracle(self, eps):
        actual = self.variant(functools.partial(gaussian_entropy.gaussian_mi, eps=eps))(ZA, ZB)
        np.testing.assert_allclose(actual, oracles.gaussian_plugin_mi(ZA, ZB, eps), rtol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    def test_entropies(self):
        h = self.variant(functools.partial(gaussian_entropy.gaussian_entropies, eps=0.0))(ZA, ZB)
        expected = 0.5 * np.linalg.slogdet(2 * math.pi * math.e * np.cov(ZA.T, bias=True))[1]
        np.testing.assert_allclose(h.a, expected, rtol=1e-5)
        np.testing.assert_allclose(
            h.a + h.b - h.joint, oracles.gaussian_plugin_mi(ZA, ZB), rtol=1e-4
        )

    @chex.variants(with_jit=True, without_jit=True)
    def test_invertible_maps_change_nothing(self):
        maps = [np.float32(RNG.standard_normal((d, d)) + 2 * np.eye(d)) for d in (4, 3)]
        actual = self.variant(functools.partial(gaussian_entropy.gaussian_mi, eps=0.0))(
            ZA @ maps[0] + 5, ZB @ maps[1]
        )
        np.testing.assert_allclose(actual, oracles.gaussian_plugin_mi(ZA, ZB), rtol=1e-4)

    @chex.variants(with_jit=True, without_jit=True)
    def test_more_dimensions_than_samples(self):
        # The Gram form against the determinant of the full covariance, which eps keeps regular.
        za, zb = ZA[:3], ZB[:3]
        actual = self.variant(functools.partial(gaussian_entropy.gaussian_mi, eps=0.1))(za, zb)
        np.testing.assert_allclose(actual, oracles.gaussian_plugin_mi(za, zb, 0.1), rtol=1e-4)

    @chex.variants(with_jit=True)
    def test_gradient_equals_differences(self):
        with goldens.x64():
            actual = self.variant(
                jax.grad(functools.partial(gaussian_entropy.gaussian_mi, eps=0.01))
            )(np.float64(ZA), np.float64(ZB))
        expected = oracles.numerical_gradient(lambda z: oracles.gaussian_plugin_mi(z, ZB, 0.01), ZA)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-8)

    @chex.variants(with_jit=True)
    def test_twenty_thousand_gaussian_samples(self):
        x, y = oracles.gaussian_pairs(np.random.default_rng(15), 20000, 0.7, dimension=3)
        actual = self.variant(functools.partial(gaussian_entropy.gaussian_mi, eps=0.0))(
            np.float32(x), np.float32(y)
        )
        np.testing.assert_allclose(actual, oracles.gaussian_mi(0.7, 3), atol=0.02)


class TrainableFormTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_log_det(self):
        np.testing.assert_allclose(
            self.variant(gaussian_entropy.log_det)(MATRIX), sum(np.log(EIGENVALUES)), rtol=1e-5
        )

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(*((str(order), order) for order in (1, 2, 3, 4, 6, 7)))
    def test_taylor_log_det_is_its_series_of_the_eigenvalues(self, order):
        actual = self.variant(functools.partial(gaussian_entropy.taylor_log_det, order=order))(
            MATRIX, 1.5
        )
        series = sum(np.sum((1 - EIGENVALUES / 1.5) ** k) / k for k in range(1, order + 1))
        np.testing.assert_allclose(actual, 5 * math.log(1.5) - series, rtol=1e-5)

    def test_taylor_log_det_approaches_the_exact_one_from_above(self):
        errors = [
            gaussian_entropy.taylor_log_det(MATRIX, 1.0, order=order) - np.sum(np.log(EIGENVALUES))
            for order in (1, 2, 4, 8, 64)
        ]
        assert (
            all(a > b for a, b in zip(errors, errors[1:])) and abs(errors[-1]) < 1e-4 < errors[-2]
        )

    @chex.variants(with_jit=True, without_jit=True)
    def test_taylor_gradient_is_bounded_where_the_exact_one_is_not(self):
        singular = np.float32(np.diag([1.0, 1e-6]))
        taylor = self.variant(
            jax.grad(functools.partial(gaussian_entropy.taylor_log_det, order=4))
        )(singular, 1.0)
        np.testing.assert_allclose(
            np.diag(taylor), [1.0, 4.0], rtol=1e-4
        )  # sum_{k < 4} (1 - lambda)^k
        assert jax.grad(gaussian_entropy.log_det)(singular)[1, 1] > 1e5
        # The scale is a constant for the gradient.
        assert (
            self.variant(jax.grad(functools.partial(gaussian_entropy.taylor_log_det, order=4), 1))(
                MATRIX, 1.5
            )
            == 0
        )

    @chex.variants(with_jit=True, without_jit=True)
    def test_average_is_unbiased_from_the_start(self):
        update = self.variant(functools.partial(running.average_update, momentum=0.9))
        state = running.average_init((2,))
        np.testing.assert_array_equal(running.average(state), [0, 0])
        values = RNG.standard_normal((4, 2)).astype(np.float32)
        for step, x in enumerate(values):
            state = update(state, x)
            weights = 0.9 ** np.arange(step, -1, -1)
            expected = np.average(values[: step + 1], axis=0, weights=weights)
            np.testing.assert_allclose(running.average(state), expected, rtol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    def test_top_eigenvalue(self):
        update = self.variant(
            functools.partial(running.top_eigenvalue_update, momentum=0.5, iterations=3)
        )
        state = running.top_eigenvalue_init(jax.random.key(0), 5)
        for _ in range(20):
            state = update(state, MATRIX)
        np.testing.assert_allclose(running.average(state.value), 1.0, rtol=1e-3)
        np.testing.assert_allclose(np.abs(state.vector @ BASIS[:, -1]), 1.0, rtol=1e-3)


class WhitenTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_covariance_becomes_the_identity(self):
        white = self.variant(functools.partial(linalg.whiten, eps=0.0))(ZA)
        np.testing.assert_allclose(np.cov(white.T), np.eye(4), atol=1e-5)
        np.testing.assert_allclose(white.mean(0), np.zeros(4), atol=1e-6)

    @chex.variants(with_jit=True, without_jit=True)
    def test_eps_mixes_in_the_identity(self):
        white = self.variant(functools.partial(linalg.whiten, eps=1.0))(ZA)
        np.testing.assert_allclose(white, ZA - ZA.mean(0), atol=1e-6)


@pytest.mark.parametrize('case_id', [i for i in CASES if i.startswith('whitening')])
def test_golden_whitening(case_id):
    case = CASES[case_id]
    x = case.inputs['x'][: case.args['w']]
    with goldens.x64():
        goldens.assert_value(linalg.whiten(x, eps=0.0), case.outputs['Y'])
        gradient = jax.grad(lambda x: jnp.sum(linalg.whiten(x, eps=0.0) * case.inputs['W']))(x)
    goldens.assert_grad(gradient, case.grads['x'])


@pytest.mark.parametrize('case_id', ['cov_2_3', 'cov_10_10'])
def test_golden_covariances(case_id):
    case = CASES[case_id]
    cov, d = case.inputs['cov'], int(case_id.split('_')[1])
    with goldens.x64():
        a, b, both = (gaussian_entropy.log_det(block) for block in (cov[:d, :d], cov[d:, d:], cov))
        goldens.assert_value(0.5 * (a + b - both), case.outputs['mi'])


@pytest.mark.parametrize('case_id', ['samples_rho0.5_d1', 'samples_rho0.5_d5'])
def test_golden_samples(case_id):
    case = CASES[case_id]
    with goldens.x64():
        goldens.assert_value(
            gaussian_entropy.gaussian_mi(case.inputs['x'], case.inputs['y'], eps=0.0),
            case.outputs['gaussian_plugin_mi'],
        )


@pytest.mark.parametrize('case_id', ['samples_rho0.5_d1', 'samples_rho0.5_d5'])
@pytest.mark.parametrize('count', [64, 256])
def test_golden_bounds_of_the_optimal_critic(case_id, count):
    case = CASES[case_id]
    x, y, rho = (
        case.inputs['x'][:count],
        case.inputs['y'][:count],
        float(np.ravel(case.inputs['rho'])[0]),
    )
    scores = oracles.gaussian_log_ratio(x, y, rho)
    with goldens.x64():
        p, shifted = pairs.in_batch(scores), pairs.in_batch(1 + scores)
        values = {
            'dv': bounds.dv(p),
            'infonce': bounds.infonce(p),
            'jsd': bounds.jsd(p),
            'nwj': bounds.nwj(shifted),
            'smile5': bounds.smile(p, clip=5.0),
        }
    for name, value in values.items():
        goldens.assert_value(value, case.outputs[f'oracle_{name}_{count}'])


def test_golden_closed_form():
    case = CASES['bivariate_table']
    goldens.assert_value(
        [oracles.gaussian_mi(rho) for rho in case.inputs['rho']], case.outputs['mi']
    )


@pytest.mark.parametrize(
    'function, message',
    [
        (
            lambda: gaussian_entropy.gaussian_mi(ZA[:4], ZB[:4], eps=0.0),
            'set eps > 0 or use a larger batch',
        ),
        (lambda: gaussian_entropy.gaussian_mi(ZA[:1], ZB[:1], eps=0.1), 'at least 2 samples'),
        (lambda: gaussian_entropy.taylor_log_det(MATRIX, 1.0, order=0), 'order must be at least 1'),
        (
            lambda: linalg.whiten(ZA[:4], eps=0.0),
            '4 samples in 4 dimensions have a singular covariance',
        ),
    ],
)
def test_errors(function, message):
    with pytest.raises(ValueError, match=message):
        function()
