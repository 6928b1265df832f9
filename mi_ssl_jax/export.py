"""A trained encoder for use elsewhere: python -m mi_ssl_jax.export --workdir=runs/jmi_cifar10
--format=timm|torchvision|npz|stablehlo [--out=DIR] [--branch=theta] [--seed=0] [--best]

timm: a folder that timm.create_model('local-dir:DIR') opens. torchvision: a state dict by its
names; of small convolutional networks by those of an nn.Sequential. npz: arrays by our own names.
stablehlo: one program with weights and normalisation that runs where only JAX is. Each comes with
config.json and a card, README.md.
"""

import sys
from pathlib import Path

from mi_ssl_jax.cli import encoders, guard
from mi_ssl_jax.runs import exporting


def main() -> None:
    """Write the folder, and say what is in it."""
    parser = guard.Parser(prog='python -m mi_ssl_jax.export', description=__doc__.splitlines()[0])
    encoders.add(parser)
    parser.add_argument(
        '--format', default='timm', choices=exporting.FORMATS, help='(default: timm)'
    )
    parser.add_argument('--out', type=Path, help='where to write (default: WORKDIR/exported)')
    parser.add_argument(
        '--best', action='store_true', help='of the best checkpoint instead of the last'
    )
    values = parser.parse_args()
    written = exporting.write(
        values.workdir,
        values.out or values.workdir / 'exported',
        form=values.format,
        branch=values.branch,
        seed=values.seed,
        best=values.best,
        field='--format',
    )
    for path in written:
        print(f'wrote {path}: {path.stat().st_size / 1e6:.3g} MB')


if __name__ == '__main__':
    sys.exit(guard.guard(main))
