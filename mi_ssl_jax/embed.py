"""Embeddings of a run's data as arrays: python -m mi_ssl_jax.embed --workdir=runs/jmi_digits
[--branch=theta] [--seed=0]

Writes SPLIT_features.npy (backbone), SPLIT_z.npy (projector) and SPLIT_labels.npy for both splits,
in the data set's order, un-augmented.
"""

import sys
from pathlib import Path

import numpy as np

from mi_ssl_jax.cli import guard
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.runs import encoders, run_folder


def write(workdir: Path, out: Path, *, branch: str | None, seed: int) -> list[Path]:
    """Encode both splits and write the arrays under `out`. Returns what was written."""
    ready = experiments.setup(run_folder.read_config(workdir))
    apply, variables = encoders.restored(ready, workdir, branch=branch, seed=seed, best=False)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for split in ('train', 'test'):
        parts = {'features': [], 'z': [], 'labels': []}
        for batch in inputs.batches(ready.source, split, ready.config.mi.batch_size):
            output = apply(variables, batch.x)
            for name, rows in (
                ('features', output.features),
                ('z', output.z),
                ('labels', np.ravel(batch.y)),
            ):
                parts[name].append(np.asarray(rows))
        for name, found in parts.items():
            written.append(out / f'{split}_{name}.npy')
            np.save(written[-1], np.concatenate(found))
    return written


def main() -> None:
    """Write the arrays of a finished run."""
    parser = guard.Parser(prog='python -m mi_ssl_jax.embed', description=__doc__.splitlines()[0])
    parser.add_argument('--workdir', required=True, type=Path, help='the folder of a run')
    parser.add_argument('--out', type=Path, help='where to write (default: WORKDIR/embeddings)')
    parser.add_argument(
        '--branch',
        help='the encoder (default: the first that is trained; SDMI: theta is f, xi is g)',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help="which of the run's seeds, counted from 0"
    )
    options = parser.parse_args()
    out = options.out or options.workdir / 'embeddings'
    for path in write(options.workdir, out, branch=options.branch, seed=options.seed):
        print(f'wrote {path}: {" x ".join(map(str, np.load(path, mmap_mode="r").shape))}')


if __name__ == '__main__':
    sys.exit(guard.guard(main))
