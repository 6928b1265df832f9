"""A batch encoded in pieces, batch norm of each device's own examples, and keys that are shuffled
for both."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax import methods, nets, parallel
from mi_ssl_jax.methods import api
from mi_ssl_jax.train import gradient_cache, schedule, shuffle_bn, step
from tests.helpers import devices, tiny


@pytest.fixture(scope='module', autouse=True)
def quick_compilation():
    with tiny.quick_compilation():
        yield


# A loss over pairs; those with prototypes, queues and shuffled keys are slow with the rest.
QUICK = ('jmi',)


@pytest.mark.parametrize('name', tiny.structures(*QUICK))
def test_pieces_on_two_devices_equal_the_whole_batch_on_one(name, monkeypatch):
    """For every loss, N x N and second-order ones too, where no batch norm tells the pieces
    apart."""
    devices.without_batch_norm(monkeypatch)
    whole = devices.one_device(name)
    for actual, expected in zip(devices.logical_devices(name, 2, accumulate=4), whole, strict=True):
        assert jax.tree.structure(actual) == jax.tree.structure(expected)
        assert devices.disagreement(actual, expected) <= 1e-5


def test_pieces_in_a_loop_as_on_accelerators(monkeypatch):
    devices.without_batch_norm(monkeypatch)
    whole = devices.one_device('jmi')
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    assert devices.disagreement(devices.one_device('jmi', accumulate=4), whole) <= 1e-5


def encoder_gradient(count):
    """JMI's gradient for a small convolutional network, compiled."""
    parts = api.Parts(nets.load('conv4', width=4), projector=(4,), predictor=(), embedding=4)
    method = methods.load('jmi', parts, **tiny.arguments('jmi'))
    views = step.branch_views(method, (jnp.zeros((32, 16, 16, 3)),) * 2)
    variables = method.branches['theta'].net.init(
        jax.random.PRNGKey(0), views['theta'][0], train=False
    )

    def gradient(params, views):
        def encode(params, views):
            own = {'theta': {**variables, 'params': params}}
            return step.encode(method, own, views)

        def loss(outputs):
            result = method.phases[0].loss(outputs, (), None)
            return result.value, result

        return gradient_cache.gradient(encode, loss, params, views, count=count)[2]

    return jax.jit(gradient).lower(variables['params'], views).compile()


@pytest.mark.slow
@pytest.mark.parametrize('backend', ['cpu', 'gpu'])
def test_pieces_need_less_memory(backend, monkeypatch):
    """By the compiler's own account of a network with convolutions, for either form of the loop
    over pieces."""
    whole = encoder_gradient(1).memory_analysis().temp_size_in_bytes
    monkeypatch.setattr(jax, 'default_backend', lambda: backend)
    assert encoder_gradient(4).memory_analysis().temp_size_in_bytes < 0.4 * whole


# Batch norm of each device's own examples
# --------------------------------------------------------------------------------------------------


def norms(states):
    """(running mean, running variance) of the first batch norm, after the first pass."""
    statistics = states[0].variables['theta']['batch_stats']['backbone']['BatchNorm_0']
    return statistics['mean'], statistics['var']


def one_step(spec, phase):
    """A step at learning rate 0: only the running statistics move."""
    whole = schedule.step(spec, phase)
    return lambda trained, frozen, *rest: whole(
        trained, frozen._replace(hyper={**frozen.hyper, 'lr': 0.0}), *rest
    )


@pytest.mark.slow
def test_statistics_of_each_device_and_their_mean_is_kept():
    """Devices of equal size: the mean over devices is the whole batch's mean; the spread within is
    smaller."""
    together, apart = (
        norms(devices.logical_devices('jmi', 4, make=one_step, local_statistics=own))
        for own in (False, True)
    )
    np.testing.assert_allclose(apart[0], together[0], rtol=1e-9, atol=1e-12)
    assert np.all(apart[1] < together[1])


# Shuffled keys
# --------------------------------------------------------------------------------------------------


def test_rows_change_devices_and_come_back():
    rows, key = jnp.arange(24.0).reshape(4, 6), jax.random.PRNGKey(1)

    def on_device(x):
        own = shuffle_bn.shuffled({'x': x}, key, parallel.AXIS)
        return own['x'], shuffle_bn.restored(parallel.gather(own, parallel.AXIS), key)['x']

    mixed, back = jax.vmap(on_device, axis_name=parallel.AXIS, out_axes=(0, None))(rows)
    np.testing.assert_array_equal(back, np.arange(24.0))
    np.testing.assert_array_equal(np.sort(mixed.ravel()), np.arange(24.0))
    # Every device has rows of others, and which ones depends on the key.
    assert all(set(map(float, own)) - set(map(float, before)) for own, before in zip(mixed, rows))
    alone = shuffle_bn.shuffled(rows.ravel(), key, None)
    np.testing.assert_array_equal(alone, mixed.ravel())
    assert np.any(alone != shuffle_bn.shuffled(rows.ravel(), jax.random.PRNGKey(2), None))


@pytest.mark.slow
def test_shuffled_keys_are_seen_through_batch_norm_alone(monkeypatch):
    """The keys' embeddings come back in the queries' order; only the batch statistics are of other
    examples."""
    first, second = (devices.logical_devices('mocov2', 2, local_statistics=True) for _ in range(2))
    assert devices.disagreement(first, second) == 0
    with monkeypatch.context() as patch:
        patch.setattr(step, 'shuffled_branches', lambda spec: [])
        in_order = devices.logical_devices('mocov2', 2, local_statistics=True)
    assert devices.disagreement(first, in_order) > 1e-3
    assert devices.disagreement(first, devices.one_device('mocov2')) > 1e-3
    devices.without_batch_norm(monkeypatch)
    assert (
        devices.disagreement(
            devices.logical_devices('mocov2', 2, local_statistics=True),
            devices.one_device('mocov2'),
        )
        <= 1e-5
    )


@pytest.mark.parametrize(
    'changes, shuffled',
    [({}, []), ({'accumulate': 2}, ['target']), ({'local_statistics': True}, [])],
)
def test_keys_are_shuffled_where_statistics_are_of_parts_of_the_batch(changes, shuffled):
    spec = tiny.experiment('mocov2', tiny.one_device())._replace(**changes)
    assert step.shuffled_branches(spec) == shuffled
    simclr = tiny.experiment('simclr', tiny.one_device())._replace(**changes)
    assert step.shuffled_branches(simclr) == []
