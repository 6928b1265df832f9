"""One of two processes that train tiny methods together: PORT PROCESS FOLDER. Process 0 saves where
they arrive.

Run with JAX_ENABLE_X64=1.
"""

import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax import parallel
from mi_ssl_jax.runs import processes
from tests.helpers import tiny, two_devices

CASES = (('sdmi', 'loop'), ('byol', 'scan'), ('mocov2', 'loop'), ('wmse', 'scan'))


def check_agreement(process: int) -> None:
    """What one process knows, or fails at, comes to the other."""
    assert (parallel.process_index(), parallel.process_count(), processes.first()) == (
        process,
        2,
        process == 0,
    )
    assert processes.largest([process, 5 - process]) == [1, 5]
    assert processes.told({'process': process}) == {'process': 0}
    tree = {
        'minus_zero': np.float32([-0.0, np.nan]),
        'key': np.uint32([2**32 - 1]),
        'wide': np.float64([1 + 1e-15]),
        'half': jnp.asarray([1.5], jnp.bfloat16),
        'empty': np.zeros((0, 3), np.int32),
    }
    own = (
        tree if process == 0 else jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), tree)
    )
    for name, leaf in processes.from_first(own, tree).items():
        assert (leaf.tobytes(), leaf.shape, leaf.dtype) == (
            np.asarray(tree[name]).tobytes(),
            tree[name].shape,
            tree[name].dtype,
        )
    for refusing in range(2):
        try:
            with processes.together():
                if process == refusing:
                    raise ValueError('no data here')
            raise AssertionError('went on alone')
        except ValueError as error:
            assert (
                'no data here' if process == refusing else 'another process was refused'
            ) in str(error)


def check_layout(layout: parallel.Layout, process: int) -> None:
    """Each process has its half of every batch, and its own device."""
    assert [device.process_index for device in layout.devices] == [0, 1] and layout.own == tuple(
        jax.local_devices()
    )
    alone = layout._replace(devices=layout.own)
    order, whole = (two_devices.order_of(own) for own in (layout, alone))
    if process == 0:
        np.testing.assert_array_equal(order.reshape(4, 3), whole.reshape(4, 6)[:, :3])


def train(name: str, mode: str) -> list[np.ndarray]:
    """The leaves of the state after all passes."""
    layout = parallel.Layout(parallel.choose_devices(None), seeds=1, mode=mode)
    check_layout(layout, parallel.process_index())
    spec = tiny.experiment(name, layout, dtype=jnp.float64)
    population = parallel.population([tiny.start(name)], layout)
    calls = tiny.train(spec, tiny.compile_passes(spec), population, length=tiny.STEPS)
    assert all(call.donated and call.kept for call in calls)
    parallel.check_replicas(parallel.population(calls[-1].after, layout), layout)
    return jax.tree.leaves(calls[-1].after[0])


def main(port: str, process: str, folder: str) -> None:
    here = processes.place({}, coordinator=f'127.0.0.1:{port}', processes=2, process=int(process))
    with processes.joined(here):
        check_agreement(int(process))
        for name, mode in CASES:
            leaves = train(name, mode)
            if processes.first():
                np.savez(pathlib.Path(folder) / f'{name}.npz', *leaves)


if __name__ == '__main__':
    main(*sys.argv[1:])
