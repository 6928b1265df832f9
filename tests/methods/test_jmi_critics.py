"""JMI with a critic that is trained with the encoder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax.core import bounds, pairs
from mi_ssl_jax.methods import api, jmi
from mi_ssl_jax.nets import learned_critics
from tests.helpers import oracles, tiny

RNG = np.random.default_rng(41)
X = RNG.standard_normal((2, 12, 2)).astype(np.float32)


def outputs(method, variables):
    made = [method.branches['theta'](variables, x) for x in X]
    return {'theta': api.Views(tuple(one.z for one in made), (), made[0].shared)}


def initial(method, seed=0):
    return method.branches['theta'].net.init(jax.random.PRNGKey(seed), X[0], train=False)


@pytest.mark.parametrize('critic', jmi.LEARNED)
def test_the_loss_is_the_bound_of_the_critics_scores_in_both_orders(critic):
    method = tiny.method('jmi', critic=critic)
    variables = initial(method)
    seen = outputs(method, variables)
    loss = method.phases[0].loss(seen, (), None)
    module, own = jmi.LEARNED[critic](), {'params': variables['params']['critic']}
    scores = [module.apply(own, *z) for z in (seen['theta'].z, seen['theta'].z[::-1])]
    expected = -np.mean([oracles.dv(np.float64(one)) for one in scores])
    np.testing.assert_allclose(loss.value, expected, rtol=1e-4, atol=1e-5)
    assert method.traced == () and method.objective == 'explicit'


@pytest.mark.slow
@pytest.mark.parametrize('critic', jmi.LEARNED)
def test_critic_and_encoder_are_trained_by_the_same_step(critic):
    method = tiny.method('jmi', critic=critic)
    variables = initial(method)

    def loss(params):
        return method.phases[0].loss(outputs(method, {**variables, 'params': params}), (), None)[0]

    gradient = jax.grad(loss)(variables['params'])
    assert set(gradient) == {'backbone', 'projector', 'critic'}
    for module, tree in gradient.items():
        assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree)) > 0, module


def test_row_blocks_hold_the_learned_critic_too():
    plain, blocked = (tiny.method('jmi', critic='separable', block_size=size) for size in (None, 5))
    seen = outputs(plain, initial(plain))
    values = [method.phases[0].loss(seen, (), None).value for method in (plain, blocked)]
    np.testing.assert_allclose(*values, rtol=1e-5, atol=1e-6)


def test_bad_critics():
    with pytest.raises(ValueError, match="unknown critic 'dot'; use one of cosine, separable"):
        tiny.method('jmi', critic='dot')
    with pytest.raises(ValueError, match="critic='separable' is learned by a bound: set method"):
        tiny.method('jmi', critic='separable', marginal='redundancy')


@pytest.mark.slow
def test_a_learned_critic_sees_what_the_cosine_cannot():
    """y = x^2: orthogonal on average, hence no cosine; the concatenated critic learns it."""
    x = RNG.standard_normal((400, 1)).astype(np.float32)
    y = x**2
    critic = learned_critics.Concatenated()
    params = critic.init(jax.random.PRNGKey(0), x, y)

    def value(params):
        return bounds.dv(pairs.in_batch(critic.apply(params, x, y)))

    step = jax.jit(jax.value_and_grad(value))
    for _ in range(60):
        found, gradient = step(params)
        params = jax.tree.map(lambda p, g: p + 0.1 * g, params, gradient)
    assert found > 0.3
