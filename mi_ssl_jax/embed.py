"""Embeddings of a run's data as arrays: python -m mi_ssl_jax.embed --workdir=runs/jmi_digits
[--branch=theta] [--seed=0] [--data_dir=DIR | --examples=FILE.npy]

Writes SPLIT_features.npy (backbone), SPLIT_z.npy (projector) and SPLIT_labels.npy for both splits,
in the data set's order, un-augmented, with SPLIT_names.npy where the data set names its examples,
and class_names.json, the names of the labels. With --examples, of an array of other examples, it
needs no data set: features.npy and z.npy.
"""

import sys
from pathlib import Path

import numpy as np

from mi_ssl_jax.cli import encoders, guard
from mi_ssl_jax.runs import embeddings, run_folder


def main() -> None:
    """Write the arrays of a finished run."""
    parser = guard.Parser(prog='python -m mi_ssl_jax.embed', description=__doc__.splitlines()[0])
    encoders.add(parser)
    parser.add_argument('--out', type=Path, help='where to write (default: WORKDIR/embeddings)')
    where = parser.add_mutually_exclusive_group()
    where.add_argument('--data_dir', help='where the data set lies now (default: as in training)')
    where.add_argument(
        '--examples', type=Path, help='a .npy file of examples to encode instead of the data set'
    )
    options = parser.parse_args()
    out = options.out or options.workdir / 'embeddings'
    run_folder.read_config(options.workdir)  # a wrong --workdir makes no folder
    out.mkdir(parents=True, exist_ok=True)  # now, rather than after the encoding
    chosen = {'branch': options.branch, 'seed': options.seed}
    if options.examples:
        written = embeddings.write_examples(options.workdir, out, options.examples, **chosen)
    else:
        written = embeddings.write(options.workdir, out, data_dir=options.data_dir, **chosen)
    for path in written:
        print(f'wrote {path}: {" x ".join(map(str, np.load(path, mmap_mode="r").shape))}')


if __name__ == '__main__':
    sys.exit(guard.guard(main))
