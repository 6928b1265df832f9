"""SwAV: the loss against other implementations and by hand, the queue's part in codes, unit
prototypes."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax.core import assignment, queue
from mi_ssl_jax.methods import api, swav
from tests.helpers import goldens, oracles, tiny

RNG = np.random.default_rng(32)
SCORES = RNG.standard_normal((4, 6, 5)).astype(np.float32)
PROTOTYPES = np.float32(oracles.unit(RNG.standard_normal((5, 3))))
Z = RNG.standard_normal((4, 6, 3)).astype(np.float32)
CASES = {case.id: case for case in goldens.cases('methods_swav')}
OPTIONS = dict(epsilon=0.5, iterations=3)


@pytest.mark.parametrize('case_id', CASES)
def test_golden(case_id):
    case = CASES[case_id]

    def loss(scores):
        codes = jnp.stack([assignment.sinkhorn(own, epsilon=0.05, iterations=3) for own in scores])
        return swav.swav_loss(scores, codes, temperature=0.1)

    with goldens.x64():
        value, gradient = jax.jit(jax.value_and_grad(loss))(case.inputs['high'])
    goldens.assert_value(value, case.outputs['loss'])
    goldens.assert_grad(gradient, case.grads['high'])


def oracle(scores, codes, temperature):
    crops = []
    for i, own in enumerate(codes):
        entropies = []
        for v in (v for v in range(len(scores)) if v != i):
            p = np.exp(np.float64(scores[v]) / temperature)
            entropies.append(-np.mean(np.sum(own * np.log(p / p.sum(1, keepdims=True)), axis=1)))
        crops.append(oracles.mean(entropies))
    return oracles.mean(crops)


class SwavTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_loss_equals_oracle(self):
        codes = np.stack([oracles.sinkhorn(own, 0.5, 3) for own in SCORES[:2]])
        loss = self.variant(functools.partial(swav.swav_loss, temperature=0.2))
        np.testing.assert_allclose(
            loss(SCORES, np.float32(codes)), oracle(SCORES, codes, 0.2), rtol=1e-5
        )

    @chex.variants(with_jit=True, without_jit=True)
    def test_a_full_queue_is_balanced_with_the_batch(self):
        past = queue.push(
            queue.init(jax.random.PRNGKey(0), 12, 3), oracles.unit(Z[:2].reshape(-1, 3))
        )
        codes = self.variant(functools.partial(swav.codes_of, **OPTIONS))
        older = np.float64(past.items) @ PROTOTYPES.T
        expected = oracles.sinkhorn(np.concatenate([older, SCORES[0]]), 0.5, 3)[12:]
        np.testing.assert_allclose(codes(SCORES[0], PROTOTYPES, past), expected, rtol=2e-5)
        assert np.max(np.abs(expected - oracles.sinkhorn(SCORES[0], 0.5, 3))) > 1e-2

    @chex.variants(with_jit=True, without_jit=True)
    def test_a_queue_that_is_not_full_is_not_used(self):
        past = queue.push(queue.init(jax.random.PRNGKey(0), 12, 3), oracles.unit(Z[0]))
        codes = self.variant(functools.partial(swav.codes_of, **OPTIONS))
        expected = oracles.sinkhorn(SCORES[0], 0.5, 3)
        np.testing.assert_allclose(codes(SCORES[0], PROTOTYPES, past), expected, rtol=2e-5)
        np.testing.assert_allclose(codes(SCORES[0], PROTOTYPES, None), expected, rtol=2e-5)


def test_half_precision_is_widened_first():
    half = jnp.asarray(SCORES, jnp.bfloat16)
    actual, expected = (
        swav.swav_loss(scores, jax.nn.softmax(SCORES[:2]), temperature=0.1)
        for scores in (half, half.astype(jnp.float32))
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_codes_are_constants():
    def loss(scores, prototypes):
        return jnp.sum(swav.codes_of(scores, prototypes, None, **OPTIONS) ** 2)

    for gradient in jax.grad(loss, (0, 1))(SCORES[0], PROTOTYPES):
        np.testing.assert_array_equal(gradient, 0)


def test_one_view_is_refused():
    with pytest.raises(ValueError, match='at least 2 views'):
        swav.swav_loss(SCORES[:1], SCORES[:1], temperature=0.1)
    method = tiny.method('swav')
    with pytest.raises(ValueError, match='at least 2 views'):
        loss_at(method, 0, method.init_aux(jax.random.PRNGKey(0)), views=1)


def loss_at(method, epoch, aux, views=4):
    z = [np.tile(view, (1, 2))[:, :4] for view in Z[:views]]
    scores = tuple(view[:, :5] for view in SCORES[:views])
    seen = api.Views(tuple(z), scores, {'prototypes': np.tile(PROTOTYPES, (1, 2))[:, :4]})
    return method.phases[0].loss({'theta': seen}, aux, api.Info(0, jnp.float32(epoch), 0.0, None))


def test_the_queue_fills_from_its_epoch_with_the_first_two_views():
    method = tiny.method('swav', queue_size=12, queue_epoch=2)
    aux = method.init_aux(jax.random.PRNGKey(0))
    assert [int(q.pushed) for q in loss_at(method, 1.9, aux).aux['queue']] == [0, 0]
    after = loss_at(method, 2.0, aux).aux['queue']
    for view, past in enumerate(after):
        np.testing.assert_allclose(
            past.items[:6], oracles.unit(np.tile(Z[view], (1, 2))[:, :4]), rtol=1e-5
        )
        np.testing.assert_array_equal(past.items[6:], aux['queue'][view].items[6:])
        assert past.pushed == 6


def test_without_a_queue():
    method = tiny.method('swav', queue_size=0, temperature=0.1)
    assert method.init_aux(jax.random.PRNGKey(0)) == {} and not api.structure(method)['queue']
    codes = np.stack([oracles.sinkhorn(own, 0.05, 3) for own in SCORES[:2]])
    loss = loss_at(method, 0, {})
    np.testing.assert_allclose(loss.value, oracle(SCORES, codes, 0.1), rtol=1e-4)
    assert loss.aux == {}


def test_a_queue_that_the_batch_does_not_divide_is_refused():
    method = tiny.method('swav', queue_size=20)
    with pytest.raises(ValueError, match='queue size 20 is not a multiple of the batch size 6'):
        loss_at(method, 0, method.init_aux(jax.random.PRNGKey(0)))
    with pytest.raises(ValueError, match='queue_size=-1'):
        tiny.method('swav', queue_size=-1)


@pytest.mark.slow
def test_prototypes_start_and_stay_at_unit_length_and_move_after_the_first_epoch():
    spec = tiny.experiment('swav', tiny.one_device())
    calls = tiny.train(spec, tiny.compile_passes(spec), tiny.initial(spec), length=1)
    rows = [call.before[0].variables['theta']['params']['prototypes']['rows'] for call in calls]
    rows.append(calls[-1].after[0].variables['theta']['params']['prototypes']['rows'])
    for matrix in rows:
        np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, rtol=1e-6)
    moved = [np.max(np.abs(after - before)) > 1e-5 for before, after in zip(rows, rows[1:])]
    assert moved == [False] * tiny.STEPS + [True] * tiny.STEPS


def test_table_7():
    method = tiny.method('swav')
    assert (method.paradigm, method.update, method.objective) == ('jmi', 'joint', 'surrogate')
    assert api.structure(method) == {
        'ema': False,
        'stop_gradient': True,
        'predictor': False,
        'queue': True,
    }
