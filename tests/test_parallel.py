"""Devices, seeds and passes: the same result however a run lies on the machine."""

import functools
import pathlib
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mi_ssl_jax import methods, parallel
from mi_ssl_jax.core import streams
from tests.helpers import devices, subprocesses, tiny

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope='module', autouse=True)
def quick_compilation():
    with tiny.quick_compilation():
        yield


# One device or several ----------------------------------------------------------------------------


@pytest.fixture(scope='module')
def on_one_device():
    """Method -> its states after each pass on one device, in float64."""
    return functools.cache(devices.one_device)


@pytest.mark.parametrize('name', tiny.structures('sdmi', 'swav'))
def test_eight_devices_equal_one(name, on_one_device):
    """Parameters, batch statistics, optimiser state and the method's own, after every pass."""
    for eight, one in zip(devices.logical_devices(name, 8), on_one_device(name), strict=True):
        assert jax.tree.structure(eight) == jax.tree.structure(one)
        assert devices.disagreement(eight, one) <= 1e-5


def test_a_loss_of_each_device_alone_is_caught(on_one_device, monkeypatch):
    monkeypatch.setattr(parallel, 'gather', lambda tree, axis: tree)
    with pytest.raises(ValueError, match='out_axes'):
        devices.logical_devices('jmi', 8)
    wrong = devices.logical_devices('jmi', 8, make=devices.without_metrics)
    assert devices.disagreement(wrong[0], on_one_device('jmi')[0]) > 1e-3


def test_a_sum_of_gradients_in_place_of_their_mean_is_caught(on_one_device, monkeypatch):
    def total(tree, axis):
        return tree if axis is None else jax.lax.psum(tree, axis)

    monkeypatch.setattr(parallel, 'mean', total)
    wrong = devices.logical_devices('jmi', 8)
    assert devices.disagreement(wrong[0], on_one_device('jmi')[0]) > 1e-3


def process_of_two_devices(path, mode, names):
    """Method -> the leaves of its last state, trained by pmap on two devices made of the CPU."""
    environment = subprocesses.environment(
        JAX_PLATFORMS='cpu',
        JAX_ENABLE_X64='1',
        JAX_DISABLE_MOST_OPTIMIZATIONS='1',
        XLA_FLAGS=' '.join(
            [
                '--xla_force_host_platform_device_count=2',
                *(f'--{name}={value}'.lower() for name, value in tiny.EMITTERS.items()),
            ]
        ),
    )
    command = [sys.executable, '-m', 'tests.helpers.two_devices', str(path), mode, *names]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name in names:
        with np.load(path / f'{name}.npz') as arrays:
            yield name, [arrays[key] for key in arrays.files]


@pytest.mark.parametrize(
    'name, mode', [('sdmi', 'loop'), pytest.param('byol', 'scan', marks=pytest.mark.slow)]
)
def test_two_devices_in_a_process_of_their_own(name, mode, on_one_device, tmp_path):
    for _, two in process_of_two_devices(tmp_path, mode, [name]):
        assert devices.disagreement(two, jax.tree.leaves(on_one_device(name)[-1])) <= 1e-5


@pytest.mark.slow
def test_two_devices_equal_one_for_every_method(on_one_device, tmp_path):
    worst = {
        name: devices.disagreement(two, jax.tree.leaves(on_one_device(name)[-1]))
        for name, two in process_of_two_devices(tmp_path, 'loop', methods.structures())
    }
    assert set(worst) == set(methods.structures()) and max(worst.values()) <= 1e-5, worst


@pytest.mark.parametrize('count, waits', [(1, 0), (2, 3)])
def test_the_host_loop_waits_for_each_step_of_several_devices(count, waits, monkeypatch):
    seen = []
    monkeypatch.setattr(parallel, '_on_devices', lambda step, layout: step)
    monkeypatch.setattr(jax, 'block_until_ready', seen.append)
    layout = parallel.Layout((None,) * count, seeds=1, mode='loop')
    steps = parallel.host_loop(lambda own, *_: (own + 1, jnp.ones(())), layout)
    assert steps(3, 0, None, None, None) == (3, 3.0)
    assert len(seen) == waits


def test_collectives_on_logical_devices():
    rows = jnp.arange(12.0).reshape(2, 3, 2)

    def on_device(x):
        axis = parallel.AXIS
        return (
            parallel.gather({'x': x}, axis)['x'],
            parallel.mean(x, axis),
            parallel.positions(3, axis),
        )

    gathered, mean, places = jax.vmap(on_device, axis_name=parallel.AXIS, out_axes=(None, None, 0))(
        rows
    )
    np.testing.assert_array_equal(gathered, np.arange(12.0).reshape(6, 2))
    np.testing.assert_array_equal(mean, (rows[0] + rows[1]) / 2)
    np.testing.assert_array_equal(places, [[0, 1, 2], [3, 4, 5]])


def test_without_an_axis_there_is_nothing_to_do():
    x = jnp.arange(6.0)
    assert parallel.gather(x, None) is x and parallel.mean(x, None) is x
    np.testing.assert_array_equal(parallel.positions(4, None), np.arange(4))


def test_choosing_devices():
    assert parallel.choose_devices(None) == tuple(jax.local_devices())
    assert parallel.choose_devices(1) == (jax.local_devices()[0],)
    for count in (0, -1, 1000):
        with pytest.raises(ValueError, match=f'devices={count}, but this machine has') as error:
            parallel.choose_devices(count)
        assert '\n' not in str(error.value)


class Device:
    """A device of some process, for choosing among."""

    def __init__(self, process, number):
        self.process_index, self.number = process, number

    def __repr__(self):
        return f'{self.process_index}.{self.number}'


@pytest.mark.parametrize(
    'count, chosen',
    [
        (None, '0.0 0.1 0.2 1.0 1.1 1.2'),
        (6, '0.0 0.1 0.2 1.0 1.1 1.2'),
        (4, '0.0 0.1 1.0 1.1'),
        (2, '0.0 1.0'),
    ],
)
def test_devices_of_two_processes(count, chosen, monkeypatch):
    """As many of each: positions in the global batch count through the processes in turn."""
    owned = [[Device(process, number) for number in range(3 + process)] for process in range(2)]
    monkeypatch.setattr(jax, 'process_count', lambda: 2)
    monkeypatch.setattr(jax, 'process_index', lambda: 1)
    monkeypatch.setattr(jax, 'local_devices', lambda process_index: owned[process_index])
    devices = parallel.choose_devices(count)
    assert ' '.join(map(repr, devices)) == chosen
    assert parallel.Layout(devices, 1, 'scan').own == devices[len(devices) // 2 :]
    for wrong in (1, 3, 7, 8, 0):
        with pytest.raises(
            ValueError,
            match=f'devices={wrong}, but 2 processes have 3 each: use a multiple of 2 up to 6',
        ):
            parallel.choose_devices(wrong)


# Scan or loop -------------------------------------------------------------------------------------


def train_step(net, shape):
    def step(trained, frozen, data, order):
        gradient = jax.grad(lambda params: (net.apply(params, data) ** 2).sum())(trained)
        return jax.tree.map(jnp.subtract, trained, gradient), {}

    x = jnp.zeros(shape)
    return step, net.init(jax.random.PRNGKey(0), x), x


@pytest.mark.parametrize(
    'net, shape, cpu, gpu',
    [
        (nn.Conv(2, (3, 3)), (1, 4, 4, 1), 'loop', 'apart'),
        (nn.Dense(2), (1, 4), 'scan', 'scan'),
    ],
)
def test_convolutions_run_seed_by_seed_and_on_a_cpu_as_a_host_loop(
    net, shape, cpu, gpu, monkeypatch
):
    step, params, x = train_step(net, shape)
    assert parallel.choose_mode(step, params, (), x, ()) == cpu
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    assert parallel.choose_mode(step, params, (), x, ()) == gpu


def test_no_grouped_convolutions_come_of_seeds():
    """The program lowered for a GPU: vmap over seeds would group the convolutions by seed."""
    step, params, x = train_step(nn.Conv(2, (3, 3)), (1, 4, 4, 1))
    groups = {}
    for mode in ('apart', 'scan'):
        layout = tiny.one_device(seeds=3, mode=mode)
        given = params, x
        if not layout.apart:
            given = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), given)
        own_data = lambda own, rest, data, order: step(own, rest, order, data)
        program = parallel.device_loop(own_data, layout)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jax, 'default_backend', lambda: 'gpu')
            lower = jax.export.export(program, platforms=['cuda'])
            exported = lower(np.int32(2), given[0], (), (), given[1])
        text = exported.mlir_module()
        groups[mode] = set(re.findall(r'feature_group_count = (\d+)', text)) | set(
            re.findall(r'batch_group_count = (\d+)', text)
        )
    assert groups['apart'] == {'1'} and groups['scan'] != {'1'}


# Orders -------------------------------------------------------------------------------------------


def keys_of(layout):
    keys = [jax.random.PRNGKey(seed) for seed in range(layout.seeds)]
    return parallel.population(keys, layout)


def test_an_order_takes_every_index_at_most_once_and_whole_batches_only():
    layout = tiny.one_device(seeds=2)
    for one in parallel.compile_order(23, 5, layout, stream=streams.ORDER)(
        keys_of(layout), 0
    ).members():
        assert one.shape == (4, 5)
        assert len(np.unique(one)) == 20 and np.min(one) >= 0 and np.max(one) < 23


def test_orders_differ_between_passes_and_seeds_and_come_again():
    layout = tiny.one_device(seeds=2)
    compiled, keys = parallel.compile_order(40, 8, layout, stream=streams.ORDER), keys_of(layout)
    order = lambda number: compiled(keys, number).members()
    first, other, late = order(0)[0], order(0)[1], order(1)[0]
    assert np.mean(first == other) < 0.5 and np.mean(first == late) < 0.5
    np.testing.assert_array_equal(order(0)[0], first)
    # No example is left out for good.
    seen = np.unique([order(number)[0] for number in range(20)])
    np.testing.assert_array_equal(seen, np.arange(40))


def test_both_modes_have_the_same_batches():
    loop, scan = tiny.one_device(seeds=2), tiny.one_device(seeds=2, mode='scan')
    expected = np.stack(
        parallel.compile_order(24, 6, loop, stream=streams.ORDER)(keys_of(loop), 3).members()
    )  # (seeds, steps, batch)
    found = parallel.compile_order(24, 6, scan, stream=streams.ORDER)(keys_of(scan), 3).members()
    np.testing.assert_array_equal(np.stack(found), expected)


# Seeds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize('mode', ['loop', 'scan'])
def test_a_population_is_its_members(mode):
    layout = tiny.one_device(seeds=3, mode=mode)
    trees = [{'a': jnp.full((2,), seed), 'b': jnp.float32(seed)} for seed in range(3)]
    population = parallel.population(trees, layout)
    for member, tree in zip(population.members(), trees, strict=True):
        jax.tree.map(np.testing.assert_array_equal, member, tree)
    # Copies: donating the population must not take the caller's arrays.
    for leaf in jax.tree.leaves(population):
        leaf.delete()
    assert float(trees[0]['a'].sum()) == 0


@pytest.mark.parametrize('mode', ['loop', 'scan'])
def test_taking_apart_and_putting_together(mode):
    layout = tiny.one_device(seeds=2, mode=mode)
    trees = [{'a': jnp.full(2, seed), 'b': jnp.full(2, -seed)} for seed in (1.0, 2.0)]
    population = parallel.population(trees, layout)
    a, b = population.map(lambda tree: (tree['a'], tree['b'])).unzip()
    joined = a.map(lambda one, other: {'a': one, 'b': other}, b)
    assert jax.tree.structure(joined) == jax.tree.structure(population)
    jax.tree.map(np.testing.assert_array_equal, joined, population)


@pytest.mark.parametrize('backend', ['cpu', 'gpu'])
@pytest.mark.parametrize('seeds', [1, 3])
def test_a_function_over_seeds(backend, seeds, monkeypatch):
    """A device loop on a CPU, vmap on accelerators, the plain function for one seed: the same
    numbers."""
    monkeypatch.setattr(jax, 'default_backend', lambda: backend)
    for mode in ('loop', 'scan'):
        layout = tiny.one_device(seeds=seeds, mode=mode)
        population = parallel.population(
            [jnp.full(4, float(seed)) for seed in range(seeds)], layout
        )
        result = parallel.over_seeds(lambda own, common: {'sum': jnp.sum(own * common)}, shared=1)(
            population, jnp.arange(4.0)
        )
        np.testing.assert_allclose(result['sum'], 6.0 * np.arange(seeds))


def end_of_training(**layout):
    spec = tiny.experiment('jmi', tiny.one_device(**layout))
    runs, population = tiny.compile_passes(spec), tiny.initial(spec)
    return tiny.train(spec, runs, population, length=tiny.STEPS)[-1].after


def assert_close(actual, expected):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), actual, expected
    )


def test_seeds_side_by_side_on_an_accelerator_equal_one_after_another(monkeypatch):
    expected = end_of_training(seeds=2, mode='loop')
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    assert_close(end_of_training(seeds=2, mode='scan'), expected)


def test_one_seed_in_a_scan_equals_the_host_loop():
    assert_close(end_of_training(mode='scan'), end_of_training(mode='loop'))


def test_chunks_of_all_lengths_share_a_program():
    layout = parallel.Layout(tuple(jax.devices()[:1]), 2, 'scan')
    traced = []

    def step(trained, frozen, data, order):
        traced.append(1)
        return trained + frozen + order, {'loss': trained}

    run = parallel.compile_pass(step, layout)
    frozen, order = (parallel.population([1.0, 1.0], layout) for _ in range(2))
    for length in (1, 3, 7):
        trained = parallel.population([0.0, 10.0], layout)
        moved, metrics = run(trained, frozen, (), order, length)
        np.testing.assert_allclose(moved.members(), [2.0 * length, 10 + 2.0 * length])
        sums = [sum(start + 2 * k for k in range(length)) for start in (0, 10)]
        np.testing.assert_allclose(metrics['loss'], sums)
    assert len(traced) == 1
