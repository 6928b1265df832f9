"""Trains tiny methods on two devices made of this CPU, and saves where they arrive: FOLDER MODE
METHOD...

Run with JAX_ENABLE_X64=1 and XLA_FLAGS=--xla_force_host_platform_device_count=2.
"""

import pathlib
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax import parallel
from mi_ssl_jax.core import streams
from tests.helpers import tiny


def order_of(layout: parallel.Layout) -> np.ndarray:
    """The fourth order of seed 0, all devices' shares on leading axes."""
    keys = parallel.population([jax.random.PRNGKey(0)], layout)
    (order,) = jax.tree.leaves(parallel.compile_order(24, 6, layout, stream=streams.ORDER)(keys, 3))
    return np.asarray(order)


def check_order(layout: parallel.Layout) -> None:
    """Put side by side, the devices' shares are the batches that one device would have."""
    one, two = (
        order_of(own).reshape(-1, 4, 6 // len(own.devices))
        for own in (layout._replace(devices=layout.devices[:1]), layout)
    )
    np.testing.assert_array_equal(np.concatenate(list(two), axis=1), one[0])


def check_batch(layout: parallel.Layout) -> None:
    """A batch from the host lies where a pass takes it: each device has its rows."""
    rows = np.arange(12.0).reshape(6, 2)
    placed = parallel.place_batch({'x': rows}, layout)
    (placed,) = jax.tree.leaves(placed)
    for device, shard in zip(layout.devices, placed.addressable_shards, strict=True):
        assert shard.device == device
    np.testing.assert_array_equal(np.asarray(placed).reshape(6, 2), rows)
    assert placed.shape == (2, 3, 2)


def check_broken_replicas(population: Any, layout: parallel.Layout) -> None:
    """Equal copies pass; one number that differs on the second device is named."""
    parallel.check_replicas(population, layout)
    copies = [
        jax.device_put(jnp.full(3, 1.0 + number), device)
        for number, device in enumerate(layout.devices)
    ]
    wrong = jax.make_array_from_single_device_arrays(
        (3,), parallel.place(jnp.zeros(3), layout).sharding, copies
    )
    try:
        parallel.check_replicas({'state': population, 'aux': {'centre': wrong}}, layout)
    except AssertionError as error:
        assert "['aux']['centre'] (by up to 1); 1 arrays differ" in str(error), error
    else:
        raise RuntimeError('devices that differ were not noticed')


def train(name: str, mode: str, path: pathlib.Path) -> None:
    """Saves the leaves of the method's last state."""
    layout = parallel.Layout(parallel.choose_devices(2), seeds=1, mode=mode)
    spec = tiny.experiment(name, layout, dtype=jnp.float64)
    population = parallel.population([tiny.start(name)], layout)
    calls = tiny.train(spec, tiny.compile_passes(spec), population, length=tiny.STEPS)
    compiled = [call.compilations > 0 for call in calls]
    phases = len(spec.method.phases)
    assert compiled.count(True) == phases, f'compiled anew: {compiled}'
    assert all(call.donated and call.kept for call in calls)
    assert all(call.shared for call in calls), 'the devices do not agree'
    np.savez(path / f'{name}.npz', *jax.tree.leaves(calls[-1].after[0]))


def main(path: str, mode: str, *names: str) -> None:
    layout = parallel.Layout(parallel.choose_devices(2), seeds=1, mode=mode)
    check_order(layout)
    check_batch(layout)
    check_broken_replicas(parallel.population([tiny.start(names[0])], layout), layout)
    for name in names:
        train(name, mode, pathlib.Path(path))


if __name__ == '__main__':
    main(*sys.argv[1:])
