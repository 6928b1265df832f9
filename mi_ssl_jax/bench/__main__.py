"""Speed: python -m mi_ssl_jax.bench --config=configs/jmi_cifar10.py [--config.batch_size=64]

The whole training step as training runs it, its views, its network and its input alone;
compilation, memory and model FLOPs. With --versus a second configuration is timed in alternation
with the first (an SDMI round against a SimCLR step); with --augmentation the configuration's views
are held against Pillow's, on one core. With --scaling nothing is timed: bytes that devices
exchange, and what the loss costs, as devices are added.
"""

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from mi_ssl_jax.bench import measuring, options
from mi_ssl_jax.cli import guard


def main() -> None:
    """Print the table and, with --json, write what it holds and what it was measured on."""
    values = options.parse(sys.argv, usage=__doc__)
    if values.augmentation:  # before any library starts its threads
        os.environ['JAX_PLATFORMS'] = 'cpu'
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder, _traced(values.trace):
        result = measuring.measure(
            options.configs(values, Path(folder)),
            steps=values.steps,
            rounds=values.rounds,
            augmentation=values.augmentation,
            scaling=values.scaling,
        )
    print(measuring.text(result))
    if values.json:
        from mi_ssl_jax.runs import run_folder

        run_folder.write_json(
            Path(values.json), {**result, 'rows': [row._asdict() for row in result['rows']]}
        )


def _traced(folder: str | None) -> contextlib.AbstractContextManager:
    if folder is None:
        return contextlib.nullcontext()
    import jax

    return jax.profiler.trace(folder, create_perfetto_trace=True)


if __name__ == '__main__':
    sys.exit(guard.guard(main))
