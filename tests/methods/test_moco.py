"""MoCo's queue: the loss against other implementations and by hand, what enters the queue and
when."""

import functools
import math
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax.core import queue
from mi_ssl_jax.methods import api, moco
from tests.helpers import goldens, oracles, tiny

RNG = np.random.default_rng(21)
Q = RNG.standard_normal((6, 4)).astype(np.float32)
K = (Q + 0.5 * RNG.standard_normal((6, 4))).astype(np.float32)
NEGATIVES = np.float32(oracles.unit(RNG.standard_normal((12, 4))))
CASES = {case.id: case for case in goldens.cases('methods_moco')}
SKIPPED = {
    'queue_lightly_nondivisible': 'drops the tail of a batch; see test_sizes_that_do_not_divide',
}
SKIPPED_GRADIENTS = {'mocov2_.*_zerorow_.*': 'a normalised zero row has the gradient of the eps'}
LOSS_IDS = [i for i in CASES if i not in SKIPPED]


@functools.cache
def value_and_gradients():
    return jax.jit(jax.value_and_grad(moco.queue_loss, (0, 1, 2)))


@pytest.mark.parametrize('case_id', LOSS_IDS)
def test_golden(case_id):
    case = CASES[case_id]
    arrays = [case.inputs[name] for name in ('a', 'b', 'queue_KxD')]
    with goldens.x64():
        value, gradients = value_and_gradients()(*arrays, temperature=case.args['temperature'])
        goldens.assert_value(value, case.outputs['loss'])
    for other in gradients[1:]:
        np.testing.assert_array_equal(other, 0.0)
    if not any(re.fullmatch(pattern, case_id) for pattern in SKIPPED_GRADIENTS):
        goldens.assert_grad(gradients[0], case.grads['a'])


class QueueLossTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_the_cross_entropy_by_hand(self):
        terms = self.variant(functools.partial(moco.queue_terms, temperature=0.2))(Q, K, NEGATIVES)
        positives = np.sum(oracles.unit(Q) * oracles.unit(K), axis=1) / 0.2
        scores = oracles.cosine(Q, NEGATIVES, 0.2)
        sums = [math.log(math.fsum(map(math.exp, [p, *row]))) for p, row in zip(positives, scores)]
        np.testing.assert_allclose(terms.joint, oracles.mean(positives), rtol=3e-6)
        np.testing.assert_allclose(terms.marginal, oracles.mean(sums), rtol=3e-6)

    @chex.variants(with_jit=True, without_jit=True)
    def test_a_cold_loss_near_zero_keeps_its_digits(self):
        # Scores up to 100 in float32: the difference of their means alone is rounded to 1e-5.
        loss, close = functools.partial(moco.queue_loss, temperature=0.01), Q + 0.02 * (K - Q)
        with goldens.x64():
            expected = float(loss(np.float64(Q), np.float64(close), queue=np.float64(NEGATIVES)))
        assert expected < 0.1
        actual = self.variant(loss)(Q, close, queue=NEGATIVES)
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-7)

    @chex.variants(with_jit=True, without_jit=True)
    def test_collapse_in_closed_form(self):
        ones = np.ones_like(Q)
        loss = self.variant(functools.partial(moco.queue_loss, temperature=0.07))
        queue_of_ones = np.full((12, 4), 0.5, np.float32)
        np.testing.assert_allclose(loss(ones, ones, queue_of_ones), math.log(13), rtol=1e-5)


def loss_of(method, aux, q, k):
    views = {'online': api.Views((q,), (), {}), 'target': api.Views((k,), (), {})}
    return method.phases[0].loss(views, aux, None)


@pytest.mark.parametrize('name', ['mocov1', 'mocov2'])
def test_keys_enter_after_the_logits_and_in_unit_length(name):
    method = tiny.method(name, queue_size=12)
    aux = method.init_aux(jax.random.PRNGKey(0))
    first = loss_of(method, aux, Q, K)
    expected = moco.queue_loss(Q, K, aux['queue'].items, temperature=0.5)
    np.testing.assert_allclose(first.value, expected, rtol=1e-6)
    np.testing.assert_allclose(first.aux['queue'].items[:6], oracles.unit(K), rtol=1e-5)
    np.testing.assert_array_equal(first.aux['queue'].items[6:], aux['queue'].items[6:])
    second = loss_of(method, first.aux, Q, K)
    assert second.value > first.value + 0.01  # each key has met itself as a negative
    assert queue.full(second.aux['queue']) and not queue.full(first.aux['queue'])


@pytest.mark.parametrize('name', ['mocov1', 'mocov2'])
def test_sizes_that_do_not_divide(name):
    method = tiny.method(name, queue_size=10)
    aux = method.init_aux(jax.random.PRNGKey(0))
    with pytest.raises(
        ValueError, match='queue size 10 is not a multiple of the batch size 6'
    ) as error:
        jax.eval_shape(functools.partial(loss_of, method), aux, Q, K)
    assert '\n' not in str(error.value)
    with pytest.raises(ValueError, match='at least one row'):
        tiny.method(name, queue_size=0).init_aux(jax.random.PRNGKey(0))


@pytest.mark.parametrize('name, layers', [('mocov1', [(6, 4)]), ('mocov2', [(6, 5), (5, 4)])])
def test_heads_have_no_batch_norm(name, layers):
    branch = tiny.method(name).branches['online']
    init = functools.partial(branch.net.init, train=False)
    variables = jax.eval_shape(init, jax.random.PRNGKey(0), jnp.zeros((2, 2)))
    head = variables['params']['projector']
    assert [head[name]['kernel'].shape for name in sorted(head)] == layers
    assert all(set(layer) == {'kernel', 'bias'} for layer in head.values())
    assert 'projector' not in variables['batch_stats']


@pytest.mark.parametrize('name', ['mocov1', 'mocov2'])
def test_one_direction_and_a_constant_momentum(name):
    method = tiny.method(name)
    assert (method.branches['online'].views, method.branches['target'].views) == ((0,), (1,))
    momentum = tiny.method(name, momentum=0.999).branches['target'].momentum
    np.testing.assert_allclose(momentum(np.float32([0, 0.5, 1])), 0.999, rtol=1e-6)
    assert (method.paradigm, method.update, method.objective) == ('sdmi', 'em', 'explicit')
    assert api.structure(method) == {
        'ema': True,
        'stop_gradient': True,
        'predictor': False,
        'queue': True,
    }
