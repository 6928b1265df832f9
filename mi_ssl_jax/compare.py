"""One page that compares runs: python -m mi_ssl_jax.compare runs/* --out=page.html [--embed]

A table of accuracy, mutual information, collapse, cost and the settings that differ, curves on
common axes, pictures, and embeddings in two dimensions. The page needs neither server nor network.
"""

import sys
from pathlib import Path

from mi_ssl_jax.cli import guard
from mi_ssl_jax.figures.statistics import counted


def main() -> None:
    """Write the page."""
    what, how = __doc__.split('\n\n')
    parser = guard.Parser(prog='python -m mi_ssl_jax.compare', description=what, epilog=how)
    parser.add_argument('runs', nargs='+', type=Path, metavar='RUN', help='the folder of a run')
    parser.add_argument('--out', type=Path, default=Path('compare.html'), help='the page to write')
    parser.add_argument(
        '--embed',
        action='store_true',
        help='encode held-out examples where a run has no embeddings: seconds a run, and its data',
    )
    options = parser.parse_args()
    out = options.out
    if out.suffix not in ('.html', '.htm') or out.is_dir():
        parser.error(f'--out={out} must name a file that ends in .html')
    if not out.parent.is_dir():
        parser.error(f'there is no folder {out.parent} for --out')
    from mi_ssl_jax.figures.comparing import page
    from mi_ssl_jax.runs import compared

    found, left_out = compared.read(options.runs, embed=options.embed)
    if not found:
        raise ValueError(left_out[0])
    faults = page.write(found, left_out, out)
    for line in [*left_out, *(note for run in found for note in run.notes), *faults]:
        print(line)
    size = out.stat().st_size / 1e6
    print(f'wrote {out}: {counted(len(found), "run")}, {size:.1f} MB')


if __name__ == '__main__':
    sys.exit(guard.guard(main))
