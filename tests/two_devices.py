"""Trains a tiny method on two devices made of this CPU, and saves where it arrives: METHOD MODE FILE.npz.

Run with JAX_ENABLE_X64=1 and XLA_FLAGS=--xla_force_host_platform_device_count=2.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax import parallel
from tests import tiny


def check_order(layout: parallel.Layout) -> None:
    """Put side by side, the devices' shares are the batches that one device would have."""
    keys = jnp.stack([jax.random.PRNGKey(0)])
    keys = keys if layout.mode == 'scan' else tuple(keys)
    one, two = (np.asarray(parallel.compile_order(24, 6, own)(keys, 3)).reshape(-1, 4, 6 // len(own.devices))
                for own in (layout._replace(devices=layout.devices[:1]), layout))
    np.testing.assert_array_equal(np.concatenate(list(two), axis=1), one[0])


def check_batch(layout: parallel.Layout) -> None:
    """A batch from the host lies where a pass takes it: each device has its rows."""
    rows = np.arange(12.0).reshape(6, 2)
    placed = parallel.place_batch({'x': rows}, layout)
    placed = placed['x'] if layout.mode == 'scan' else placed[0]['x']
    for device, shard in zip(layout.devices, placed.addressable_shards, strict=True):
        assert shard.device == device
    np.testing.assert_array_equal(np.asarray(placed).reshape(6, 2), rows)
    assert placed.shape == ((2, 1, 3, 2) if layout.mode == 'scan' else (2, 3, 2))


def main(name: str, mode: str, path: str) -> None:
    layout = parallel.Layout(parallel.choose_devices(2), seeds=1, mode=mode)
    experiment = tiny.experiment(name, layout, dtype=jnp.float64)
    population = parallel.population([tiny.start(name)], layout)
    check_order(layout)
    check_batch(layout)
    # Every call is awaited: devices that share cores and run ahead of each other end in a deadlock.
    length = 1 if mode == 'loop' else tiny.STEPS
    calls = tiny.train(experiment, tiny.compile_passes(experiment), population, length=length)
    compiled = [call.compilations > 0 for call in calls]
    phases = len(experiment.method.phases)
    assert compiled.count(True) == phases, f'compiled anew: {compiled}'
    assert all(call.donated and call.kept for call in calls)
    assert all(call.shared for call in calls), 'the devices do not agree'
    np.savez(path, *jax.tree.leaves(calls[-1].after[0]))


if __name__ == '__main__':
    main(*sys.argv[1:])
