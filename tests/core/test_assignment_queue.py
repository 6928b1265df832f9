"""Sinkhorn's marginals and range, and the order of the queue."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.core import assignment, queue
from tests.helpers import goldens, oracles

SCORES = np.random.default_rng(13).standard_normal((8, 5)).astype(np.float32)
CASES = {case.id: case for case in goldens.cases('core_moments') if case.id.startswith('sinkhorn')}


class SinkhornTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(('start', 0), ('three', 3))
    def test_equals_oracle(self, iterations):
        codes = self.variant(
            functools.partial(assignment.sinkhorn, epsilon=0.5, iterations=iterations)
        )(SCORES)
        np.testing.assert_allclose(codes, oracles.sinkhorn(SCORES, 0.5, iterations), rtol=2e-5)

    @chex.variants(with_jit=True, without_jit=True)
    def test_converges_to_balanced_prototypes(self):
        codes = self.variant(functools.partial(assignment.sinkhorn, epsilon=0.5, iterations=50))(
            SCORES
        )
        np.testing.assert_allclose(codes.sum(1), np.ones(8), rtol=1e-5)
        np.testing.assert_allclose(codes.sum(0), np.full(5, 8 / 5), rtol=1e-4)

    @chex.variants(with_jit=True, without_jit=True)
    def test_large_scores_stay_finite(self):
        # e^{1e4} overflows any float: only the log domain gets here.
        sinkhorn = self.variant(functools.partial(assignment.sinkhorn, epsilon=0.05, iterations=3))
        np.testing.assert_allclose(sinkhorn(500 * SCORES).sum(1), np.ones(8), rtol=1e-2)
        chex.assert_tree_all_finite(sinkhorn(-1e6 * SCORES))

    @chex.variants(with_jit=True)
    def test_differentiable(self):
        gradient = self.variant(
            jax.grad(
                lambda s: jnp.sum(
                    assignment.sinkhorn(s, epsilon=0.5, iterations=3)[:, 0] * SCORES[:, 1]
                )
            )
        )
        with goldens.x64():
            actual = gradient(np.float64(SCORES))
        expected = oracles.numerical_gradient(
            lambda s: np.sum(oracles.sinkhorn(s, 0.5, 3)[:, 0] * SCORES[:, 1]), SCORES
        )
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize('case_id', [i for i in CASES if 'overflow' not in i])
def test_golden(case_id):
    case = CASES[case_id]
    with goldens.x64():
        codes = assignment.sinkhorn(case.inputs['scores_BxK'], **case.args)
    goldens.assert_value(codes, case.outputs['Q'])


def test_where_float32_exponentials_overflow():
    # The peer returns NaN here; the codes of the same scores in float64 are the truth.
    case = CASES['sinkhorn_overflow_float32']
    codes = assignment.sinkhorn(np.float32(case.inputs['scores_BxK']), **case.args)
    with goldens.x64():
        expected = assignment.sinkhorn(case.inputs['scores_BxK'], **case.args)
    np.testing.assert_allclose(
        codes, expected, atol=1e-3
    )  # scores of 15 / 0.05 = 300, rounded to 3e-5


class QueueTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_oldest_rows_leave_first(self):
        state = queue.init(jax.random.key(0), 6, 3)
        push = self.variant(queue.push)
        for step in range(4):  # batches of 2 valued 0, 1, 2, 3: the last overwrites the first
            assert not queue.full(state) or step == 3
            state = push(state, jnp.full((2, 3), float(step)))
        np.testing.assert_array_equal(state.items[:, 0], [3, 3, 1, 1, 2, 2])
        assert queue.full(state) and state.position == 2

    @chex.variants(with_jit=True, without_jit=True)
    def test_no_gradient_through_the_queue(self):
        def total(batch):
            return jnp.sum(queue.push(queue.init(jax.random.key(0), 4, 3), batch).items)

        np.testing.assert_array_equal(
            self.variant(jax.grad(total))(jnp.ones((2, 3))), jnp.zeros((2, 3))
        )


def test_random_start_is_on_the_sphere():
    items = queue.init(jax.random.key(1), 5, 7).items
    np.testing.assert_allclose(np.linalg.norm(items, axis=1), np.ones(5), rtol=1e-6)


@pytest.mark.parametrize('size, batch', [(6, 4), (2, 4)])
def test_queue_must_hold_whole_batches(size, batch):
    with pytest.raises(
        ValueError, match=f'queue size {size} is not a multiple of the batch size {batch}'
    ):
        queue.push(queue.init(jax.random.key(0), size, 3), jnp.ones((batch, 3)))
