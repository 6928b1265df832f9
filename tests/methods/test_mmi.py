"""Explicit mutual information maximisation: the trainable form by eigenvalues, its limit and its
gradient."""

import functools
import math

import chex
import jax
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.core import gaussian_entropy, running
from mi_ssl_jax.methods import api, mmi
from tests.helpers import goldens, oracles, tiny

RNG = np.random.default_rng(24)
ZA = RNG.standard_normal((40, 3)).astype(np.float32)
ZB = (ZA + 0.7 * RNG.standard_normal((40, 3))).astype(np.float32)
OPTIONS = dict(form='joint', order=4, rescale=True, eigenvalue_momentum=0.9, eps=1e-3)
DEFAULTS = OPTIONS | {'form': 'difference', 'eigenvalue_momentum': 0.99}


def start(dimension=3, form='joint'):
    return mmi.eigenvalues_init(jax.random.PRNGKey(0), dimension, form=form)


def settled(za, zb, **options):
    """The entropies once the power iterations have found the eigenvalues of one and the same
    batch."""
    step = jax.jit(functools.partial(mmi.mmi_entropies, **OPTIONS | options))
    eigenvalues = start(za.shape[1], (OPTIONS | options)['form'])
    for _ in range(60):
        entropies, eigenvalues = step(za, zb, eigenvalues)
    return entropies, eigenvalues


def series(z, order, scale=None):
    """Entropy of z's Gaussian with the log determinant as a truncated series, by eigenvalues."""
    values = np.linalg.eigvalsh(np.cov(np.float64(z).T, bias=True) + 1e-3 * np.eye(z.shape[1]))
    scale = values[-1] if scale is None else scale
    orders = range(1, order + 1)
    log_det = sum(math.log(scale) - sum((1 - v / scale) ** k / k for k in orders) for v in values)
    return 0.5 * (z.shape[1] * math.log(2 * math.pi * math.e) + log_det)


class EntropiesTest(chex.TestCase):
    @parameterized.named_parameters(*((str(order), order) for order in (2, 4, 6)))
    def test_equals_the_series_of_the_eigenvalues(self, order):
        entropies, _ = settled(ZA, ZB, order=order)
        # Power iterations approach the largest eigenvalue from below, to 1e-4.
        both = np.concatenate([ZA, ZB], axis=1)
        for entropy, z in zip(entropies, (ZA, ZB, both)):
            np.testing.assert_allclose(entropy, series(z, order), rtol=1e-3)

    @chex.variants(with_jit=True, without_jit=True)
    def test_without_rescaling_the_series_is_around_the_identity(self):
        entropies, _ = self.variant(
            functools.partial(mmi.mmi_entropies, **OPTIONS | {'rescale': False})
        )(ZA / 2, ZB / 2, start())
        np.testing.assert_allclose(entropies.a, series(ZA / 2, 4, scale=1.0), rtol=1e-5)

    @pytest.mark.slow
    def test_high_orders_give_the_exact_mutual_information(self):
        entropies, _ = settled(ZA, ZB, order=300)
        expected = oracles.gaussian_plugin_mi(ZA, ZB, 1e-3)
        np.testing.assert_allclose(entropies.a + entropies.b - entropies.joint, expected, rtol=1e-3)
        exact = gaussian_entropy.gaussian_entropies(ZA, ZB, eps=1e-3)
        np.testing.assert_allclose(entropies, exact, rtol=1e-3)

    def test_a_batch_smaller_than_its_dimensions(self):
        """The Gram form: N = 5 samples of 8 dimensions and of 16 side by side."""
        za, zb = (RNG.standard_normal((5, 8)).astype(np.float32) for _ in range(2))
        entropies, eigenvalues = settled(za, zb, order=100, eps=0.5)
        exact = gaussian_entropy.gaussian_entropies(za, zb, eps=0.5)
        np.testing.assert_allclose(entropies, exact, rtol=1e-3)
        assert [len(state.vector) for state in eigenvalues] == [8, 8, 16]
        top = np.linalg.eigvalsh(np.cov(za.T, bias=True))[-1] + 0.5
        np.testing.assert_allclose(running.average(eigenvalues.a.value), top, rtol=1e-3)

    @chex.variants(with_jit=True)
    def test_identical_views_have_a_finite_gradient(self):
        def loss(za, zb):
            return mmi.mmi_value(za, zb, start(), **OPTIONS)

        gradients, _ = self.variant(jax.grad(loss, (0, 1), has_aux=True))(ZA, ZA)
        chex.assert_tree_all_finite(gradients)
        # At most order / eigenvalue for each covariance; the exact gradient grows as 1 / eps =
        # 1000.
        assert max(np.max(np.abs(gradient)) for gradient in gradients) < 5

    @pytest.mark.slow
    def test_views_in_either_order_are_exchangeable_and_both_forms_agree(self):
        """(a, b) and (b, a) in one batch: the covariances are equal and the cross-covariance
        symmetric."""
        za, zb = np.concatenate([ZA, ZB]), np.concatenate([ZB, ZA])
        joint, _ = settled(za, zb, order=150)
        difference, _ = settled(za, zb, order=150, form='difference')
        np.testing.assert_allclose(difference, joint, rtol=1e-4)
        np.testing.assert_allclose(
            difference, gaussian_entropy.gaussian_entropies(za, zb, eps=1e-3), rtol=1e-4
        )

    @parameterized.named_parameters(*((str(order), order) for order in (2, 4, 6)))
    def test_differences_equal_the_series_of_their_eigenvalues(self, order):
        entropies, _ = settled(ZA, ZB, order=order, form='difference')
        pooled, total, difference = (series(z, order) for z in differences(ZA, ZB))
        np.testing.assert_allclose(entropies, (pooled, pooled, total + difference), rtol=1e-3)

    def test_a_batch_as_large_as_twice_the_dimension_is_enough_for_differences(self):
        """Where the joint covariance is singular but for eps: 12 samples of 6 + 6 dimensions."""
        za = RNG.standard_normal((12, 6)).astype(np.float32)
        zb = za + 0.5 * RNG.standard_normal((12, 6)).astype(np.float32)
        values = {form: settled(za, zb, order=60, eps=1e-2, form=form)[0] for form in mmi.FORMS}
        information = {form: float(one.a + one.b - one.joint) for form, one in values.items()}
        assert information['difference'] < information['joint'] - 0.5


def differences(za, zb):
    """Both views pooled, their sum and their difference over sqrt(2), centred."""
    za, zb = za - za.mean(0), zb - zb.mean(0)
    return np.concatenate([za, zb]), (za + zb) / math.sqrt(2), (za - zb) / math.sqrt(2)


def joint(za, zb):
    return za, zb, np.concatenate([za, zb], axis=1)


@pytest.mark.parametrize(
    'form, blocks, signs', [('joint', joint, (-1, -1, 1)), ('difference', differences, (-2, 1, 1))]
)
def test_gradient_equals_differences(form, blocks, signs):
    eigenvalues = jax.tree.map(np.asarray, settled(ZA, ZB, form=form)[1])
    scales = [float(running.average(state.value)) for state in eigenvalues]

    def by_hand(za):
        return sum(
            sign * series(z, 4, scale) for sign, z, scale in zip(signs, blocks(za, ZB), scales)
        )

    def loss(za):
        frozen = OPTIONS | {'eigenvalue_momentum': 1.0, 'form': form}  # the scales stay as they are
        return mmi.mmi_loss(mmi.mmi_entropies(za, np.float64(ZB), eigenvalues, **frozen)[0]).value

    with goldens.x64():
        eigenvalues = jax.tree.map(np.float64, eigenvalues)
        actual = jax.jit(jax.grad(loss))(np.float64(ZA))
    np.testing.assert_allclose(
        actual, oracles.numerical_gradient(by_hand, ZA), rtol=1e-5, atol=1e-7
    )


def test_the_exact_form_stands_beside_it():
    expected = oracles.gaussian_plugin_mi(ZA, ZB, 0.1)
    np.testing.assert_allclose(mmi.gaussian_mi(ZA, ZB, eps=0.1), expected, rtol=1e-5)


def test_terms_name_each_entropy():
    loss = mmi.mmi_loss(
        gaussian_entropy.Entropies(np.float32(1.0), np.float32(2.0), np.float32(2.5))
    )
    assert loss.terms == {'joint': -2.5, 'marginal': -3.0, 'h_a': 1.0, 'h_b': 2.0, 'h_joint': 2.5}
    assert loss.value == -0.5


def loss_of(method, target):
    views = {'online': api.Views((ZA, ZB), (), {}), 'target': api.Views(target, (), {})}
    return method.phases[0].loss(views, start(form='difference'), None)


def test_the_momentum_encoder_is_the_other_view_in_both_orders():
    shared, ema = tiny.method('mmi'), tiny.method('mmi', momentum_encoder=True)
    one, _ = mmi.mmi_entropies(ZA, ZB, start(form='difference'), **DEFAULTS)
    np.testing.assert_allclose(loss_of(shared, None).value, mmi.mmi_loss(one).value, rtol=1e-5)
    target = (2 * ZA + ZB, ZB - ZA)
    first, eigenvalues = mmi.mmi_entropies(ZA, target[1], start(form='difference'), **DEFAULTS)
    second, _ = mmi.mmi_entropies(ZB, target[0], eigenvalues, **DEFAULTS)
    loss = loss_of(ema, target)
    expected = (mmi.mmi_loss(first).value + mmi.mmi_loss(second).value) / 2
    np.testing.assert_allclose(loss.value, expected, atol=1e-5)  # of entropies of some 10 nats
    np.testing.assert_allclose(loss.terms['h_joint'], (first.joint + second.joint) / 2, rtol=1e-5)


def test_structure_with_and_without_momentum_encoder():
    method = tiny.method('mmi')
    assert (method.paradigm, method.update, method.objective) == ('jmi', 'joint', 'explicit')
    assert not any(api.structure(method).values())
    method = tiny.method('mmi', momentum_encoder=True)
    assert (method.paradigm, method.update, method.objective) == ('sdmi', 'em', 'explicit')
    devices = {device for device, present in api.structure(method).items() if present}
    assert devices == {'ema', 'stop_gradient'}


@pytest.mark.parametrize(
    'changes, words',
    [
        ({'order': 0}, 'order=0'),
        ({'form': 'sum'}, "unknown form 'sum'; use one of difference, joint"),
    ],
)
def test_bad_options(changes, words):
    with pytest.raises(ValueError, match=words):
        tiny.method('mmi', **changes)


def test_the_loss_refuses_an_unknown_form():
    with pytest.raises(ValueError, match="unknown form 'sum'; use one of difference, joint"):
        mmi.mmi_value(ZA, ZB, start(), **OPTIONS | {'form': 'sum'})
