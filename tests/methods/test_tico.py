"""TiCo: three calls in a row against lightly's, and the average that they leave."""

import functools

import chex
import jax
import numpy as np

from mi_ssl_jax.methods import api, tico
from tests.helpers import goldens, oracles, tiny

RNG = np.random.default_rng(25)
ZA = RNG.standard_normal((6, 4)).astype(np.float32)
ZB = (ZA + 0.5 * RNG.standard_normal((6, 4))).astype(np.float32)
OPTIONS = dict(decay=0.9, weight=8.0)


def third_loss(za, zb):
    """-> the loss of the third call, those before it, the average after it."""
    average, losses = np.zeros((za.shape[1],) * 2), []
    for first, second in ((za, zb), (zb, za), (za, zb)):
        loss, average = tico.tico_loss(first, second, average, **OPTIONS)
        losses.append(loss)
    return losses[-1], (losses[:-1], average)


def test_golden():
    (case,) = goldens.cases('methods_tico')
    with goldens.x64():
        gradient = jax.jit(jax.value_and_grad(third_loss, (0, 1), has_aux=True))
        (value, (earlier, average)), gradients = gradient(case.inputs['a'], case.inputs['b'])
    goldens.assert_value(value, case.outputs['loss'])
    goldens.assert_value(earlier, [case.outputs['step0'], case.outputs['step1']])
    goldens.assert_value(average, case.outputs['C_after'])
    for name, actual in zip(('a', 'b'), gradients):
        goldens.assert_grad(actual, case.grads[name])


class TiCoTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_terms(self):
        before = np.float32(np.diag([1.0, 2.0, 0.0, 0.0]))
        terms, after = self.variant(functools.partial(tico.tico_terms, **OPTIONS))(ZA, ZB, before)
        za, zb = oracles.unit(ZA), oracles.unit(ZB)
        moved = 0.9 * before + 0.1 * sum(np.outer(z, z) for z in za) / 6
        np.testing.assert_allclose(after, moved, rtol=1e-5)
        np.testing.assert_allclose(terms.joint, np.mean(np.sum(za * zb, axis=1)) - 1, rtol=1e-5)
        np.testing.assert_allclose(
            terms.marginal, 8 * np.mean([z @ moved @ z for z in za]), rtol=1e-5
        )


def test_both_ways_share_one_average():
    method = tiny.method('tico')
    views = {'online': api.Views((ZA, ZB), (), {}), 'target': api.Views((ZB, 2 * ZA), (), {})}
    loss = method.phases[0].loss(views, method.init_aux(jax.random.PRNGKey(0)), None)
    first, average = tico.tico_terms(ZA, 2 * ZA, np.zeros((4, 4), np.float32), **OPTIONS)
    second, average = tico.tico_terms(ZB, ZB, average, **OPTIONS)
    expected = (first.marginal - first.joint + second.marginal - second.joint) / 2
    np.testing.assert_allclose(loss.value, expected, rtol=1e-5)
    np.testing.assert_allclose(loss.aux, average, rtol=1e-5)


def test_structure():
    method = tiny.method('tico')
    assert (method.paradigm, method.update, method.objective) == ('sdmi', 'em', 'surrogate')
    assert {device for device, present in api.structure(method).items() if present} == {
        'ema',
        'stop_gradient',
    }
