"""Maximum entropy coding: the loss against the authors' code and by traces, its orders and its
warm-up."""

import functools

import chex
import jax
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.methods import api, mec
from tests.helpers import goldens, oracles, tiny

RNG = np.random.default_rng(23)
ZA = RNG.standard_normal((9, 4)).astype(np.float32)
ZB = (ZA + 0.5 * RNG.standard_normal((9, 4))).astype(np.float32)
CASES = {case.id: case for case in goldens.cases('methods_mec')}


@pytest.mark.parametrize('case_id', [i for i in CASES if i.startswith('mec')])
def test_golden(case_id):
    case = CASES[case_id]
    loss = functools.partial(mec.mec_loss, scale=case.args['lamda_inv'], order=case.args['order'])
    with goldens.x64():
        value, gradients = jax.jit(jax.value_and_grad(loss, (0, 1)))(
            case.inputs['a'], case.inputs['b']
        )
    goldens.assert_value(value, case.outputs['loss'])
    for name, gradient in zip(('a', 'b'), gradients):
        goldens.assert_grad(gradient, case.grads[name])


def test_golden_warm_up():
    """The authors' steps reach the end of the warm-up at its last step, ours one step later."""
    case = CASES['lamda_sched_mec']
    samples, dimension, warmup_epochs, steps = 512, 128, 10, 7
    epochs = (
        np.arange(len(case.outputs['v']))
        / steps
        * (warmup_epochs * steps)
        / (warmup_epochs * steps - 1)
    )
    with goldens.x64():
        factor = mec.warmup(epochs, warmup_epochs=warmup_epochs)
        goldens.assert_value(factor * samples * 64 / dimension, case.outputs['v'])
        goldens.assert_value(mec.warmup(np.zeros(1), warmup_epochs=0), 1.0)


class MECTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(*((f'{n}_of_{d}', n, d) for n, d in ((9, 4), (4, 4), (3, 4))))
    def test_terms_are_traces_of_powers(self, n, _):
        za, zb = ZA[:n], ZB[:n]
        terms = self.variant(functools.partial(mec.mec_terms, scale=2.5, order=5))(za, zb)
        c = oracles.cosine(za, zb, 1.0) / 2.5
        traces = [np.trace(np.linalg.matrix_power(c, k)) / k for k in range(1, 6)]
        np.testing.assert_allclose(terms.joint, 2.5 / n * traces[0], rtol=1e-5)
        rest = -traces[1] + traces[2] - traces[3] + traces[4]
        np.testing.assert_allclose(terms.marginal, -2.5 / n * rest, rtol=1e-5)

    @chex.variants(with_jit=True)
    def test_approaches_the_log_determinant(self):
        value = self.variant(functools.partial(mec.mec_loss, scale=9.0, order=16))(ZA, ZB)
        exact = np.linalg.slogdet(np.eye(9) + oracles.cosine(ZA, ZB, 9.0))[1]
        np.testing.assert_allclose(value, -9.0 / 9 * exact, rtol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    def test_first_order_is_the_cosine_alone(self):
        terms = self.variant(functools.partial(mec.mec_terms, scale=3.0, order=1))(ZA, ZB)
        np.testing.assert_allclose(
            terms.joint, np.mean(np.diagonal(oracles.cosine(ZA, ZB, 1.0))), rtol=1e-5
        )
        assert terms.marginal == 0

    @chex.variants(with_jit=True)
    def test_higher_orders_prefer_spread_embeddings(self):
        loss = self.variant(functools.partial(mec.mec_loss, scale=4.0, order=4))
        spread, collapsed = np.eye(4, dtype=np.float32), np.ones((4, 4), np.float32)
        assert loss(spread, spread) < loss(collapsed, collapsed) - 0.1


def loss_at(method, epoch):
    views = {'online': api.Views((ZB, ZA), (ZA, ZB), {}), 'target': api.Views((ZA, ZB), (), {})}
    return method.phases[0].loss(views, (), api.Info(0, np.float32(epoch), 0.0, None))


def test_the_loss_is_the_mean_of_both_directions_at_the_scale_of_the_epoch():
    method = tiny.method('mec', distortion=8.0, warmup_epochs=10.0)
    for epoch, factor in ((0, 8), (5, 4.5), (10, 1), (20, 1)):
        scale = factor * 9 * 8.0 / 4
        expected = (
            sum(mec.mec_loss(p, z, scale=scale, order=4) for p, z in ((ZA, ZB), (ZB, ZA))) / 2
        )
        np.testing.assert_allclose(loss_at(method, epoch).value, expected, rtol=1e-5)


def test_an_order_below_one_is_refused():
    with pytest.raises(ValueError, match='order=0'):
        mec.mec_loss(ZA, ZB, scale=1.0, order=0)
    with pytest.raises(ValueError, match='order=0'):
        tiny.method('mec', order=0)


def test_table_7():
    method = tiny.method('mec')
    assert (method.paradigm, method.update, method.objective) == ('sdmi', 'em', 'surrogate')
    devices = {device for device, present in api.structure(method).items() if present}
    assert devices == {'ema', 'stop_gradient', 'predictor'}
