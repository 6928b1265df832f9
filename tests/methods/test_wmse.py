"""W-MSE: the loss against other implementations and by hand, and what its slices may be."""

import functools
import re

import chex
import jax
import numpy as np
import pytest

from mi_ssl_jax.methods import api, wmse
from mi_ssl_jax.train import loop
from tests.helpers import goldens, oracles, tiny

RNG = np.random.default_rng(22)
ZA = RNG.standard_normal((16, 3)).astype(np.float32)
ZB = (ZA + 0.5 * RNG.standard_normal((16, 3))).astype(np.float32)
PERMUTATIONS = np.stack([RNG.permutation(16) for _ in range(2)])
CASES = {case.id: case for case in goldens.cases('methods_wmse')}
SKIPPED_GRADIENTS = {
    ('wmse_pairloss_solo_.*', 'b'): 'the simplified loss detaches the second view',
    ('wmse_pairloss_.*_zerorow_.*', '.*'): 'a normalised zero row has the gradient of the eps',
}


def skipped(case_id, name):
    return any(re.fullmatch(i, case_id) and re.fullmatch(n, name) for i, n in SKIPPED_GRADIENTS)


@pytest.mark.parametrize('case_id', [i for i in CASES if 'pairloss' in i])
def test_golden_pair_loss(case_id):
    case = CASES[case_id]
    with goldens.x64():
        value, gradients = jax.jit(jax.value_and_grad(wmse.pair_loss, (0, 1)))(
            *case.inputs.values()
        )
    goldens.assert_value(value, case.outputs['loss'])
    # Equal views or equal rows: the gradient is 0 up to the rounding of terms of order 1.
    atol = 1e-12 if '_same_' in case_id or '_collapsed_' in case_id else 0.0
    for name, gradient in zip(('a', 'b'), gradients):
        if not skipped(case_id, name):
            goldens.assert_grad(gradient, case.grads[name], atol=atol)


def of_both_views(h, permutations, *, slice_size, eps):
    """The peers hand over the two views one below the other."""
    return wmse.wmse_loss(
        *h.reshape(2, -1, h.shape[1]), permutations, slice_size=slice_size, eps=eps
    )


@pytest.mark.parametrize('case_id', [i for i in CASES if i.startswith('wmse_lightly')])
def test_golden(case_id):
    case = CASES[case_id]
    loss = functools.partial(of_both_views, slice_size=case.args['w_size'], eps=case.args['eps'])
    with goldens.x64():
        value, gradient = jax.jit(jax.value_and_grad(loss))(case.inputs['h'], case.inputs['perms'])
    goldens.assert_value(value, case.outputs['loss'])
    goldens.assert_grad(gradient, case.grads['h'])


def oracle(za, zb, permutations, slice_size, eps):
    distances = []
    for order in permutations:
        for rows in np.split(order, len(order) // slice_size):
            white = []
            for z in (np.float64(za[rows]), np.float64(zb[rows])):
                sigma = (1 - eps) * np.cov(z.T) + eps * np.eye(z.shape[1])
                white.append(
                    oracles.unit((z - z.mean(0)) @ np.linalg.inv(np.linalg.cholesky(sigma)).T)
                )
            distances.extend(np.sum((white[0] - white[1]) ** 2, axis=1))
    return oracles.mean(distances)


class WMSETest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_oracle(self):
        loss = self.variant(functools.partial(wmse.wmse_loss, slice_size=8, eps=0.1))
        expected = oracle(ZA, ZB, PERMUTATIONS, 8, 0.1)
        np.testing.assert_allclose(loss(ZA, ZB, PERMUTATIONS), expected, rtol=1e-5)

    @chex.variants(with_jit=True)
    def test_a_common_linear_map_of_the_batch_can_only_rotate_it(self):
        # A lower triangular map leaves the Cholesky-whitened embeddings as they are, up to signs:
        # here none.
        lower = np.float32([[2, 0, 0], [1, 3, 0], [-1, 0.5, 0.5]])
        loss = self.variant(functools.partial(wmse.wmse_loss, slice_size=8, eps=0.0))
        mapped = loss(ZA @ lower.T + 1, ZB @ lower.T, PERMUTATIONS)
        np.testing.assert_allclose(mapped, loss(ZA, ZB, PERMUTATIONS), rtol=1e-4)


def test_both_views_get_a_gradient():
    loss = functools.partial(wmse.wmse_loss, slice_size=8, eps=0.0)
    gradients = jax.grad(loss, (0, 1))(ZA, ZB, PERMUTATIONS)
    assert all(np.all(np.max(np.abs(gradient), axis=1) > 0) for gradient in gradients)


def message(call, *arguments, **keywords):
    with pytest.raises(ValueError) as error:
        call(*arguments, **keywords)
    assert '\n' not in str(error.value)
    return str(error.value)


def test_slices_that_cannot_be_whitened_name_the_setting():
    for text in (
        message(tiny.method, 'wmse', slice_size=4),
        message(wmse.wmse_loss, ZA, ZB, PERMUTATIONS, slice_size=3, eps=0.0),
    ):
        assert 'method.slice_size' in text and 'dimension' in text


def test_a_batch_that_cannot_be_cut_names_both_settings():
    text = message(wmse.wmse_loss, ZA, ZB, PERMUTATIONS, slice_size=6, eps=0.0)
    assert 'batch of 16' in text and 'batch_size' in text and 'method.slice_size' in text
    assert 'iterations=0' in message(tiny.method, 'wmse', iterations=0)


def loss_at(method, key, za=ZA, zb=ZB):
    views = {'theta': api.Views((za, zb), (), {})}
    return method.phases[0].loss(views, (), api.Info(0, 0.0, 0.0, key)).value


def test_the_step_draws_the_slices():
    method = tiny.method('wmse', slice_size=8)
    one, again, other = (loss_at(method, jax.random.PRNGKey(seed)) for seed in (0, 0, 1))
    assert one == again and abs(one - other) > 1e-4
    # A slice of the whole batch: nothing is left to draw.
    whole = tiny.method('wmse', slice_size=16)
    np.testing.assert_allclose(
        *(loss_at(whole, jax.random.PRNGKey(seed)) for seed in (0, 1)), rtol=1e-5
    )


def test_where_the_cholesky_factor_fails_the_remedy_names_the_settings():
    flat = ZA * np.float32([1, 1, 0])
    assert not np.isfinite(
        loss_at(tiny.method('wmse', slice_size=16), jax.random.PRNGKey(0), flat, flat)
    )
    assert np.isfinite(
        loss_at(tiny.method('wmse', slice_size=16, eps=0.1), jax.random.PRNGKey(0), flat, flat)
    )
    with pytest.raises(loop.Diverged, match='raise method.eps or method.slice_size') as error:
        loop.check_finite(
            {'loss': {'joint': np.float32([np.nan])}, 'epoch': 1.0}, tiny.method('wmse').remedy
        )
    assert 'Cholesky' in str(error.value) and '\n' not in str(error.value)


def test_table_7():
    method = tiny.method('wmse')
    assert (method.paradigm, method.update, method.objective) == ('jmi', 'joint', 'surrogate')
    assert not any(api.structure(method).values())
