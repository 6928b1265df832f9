"""Mutual information between two arrays: python -m mi_ssl_jax.estimate_mi X.npy Y.npy

X (N, Dx), Y (N, Dy): row i of both belongs together. A critic is trained on one part, stopped early
on a second, and the bound is reported on a third; several fits give a mean and its spread. With
--workdir: I(z1; z2), I(x; z1), I(x; z2) of a finished run's held-out embeddings, and whether they
keep the paper's Eq. 29.
"""

import sys

import jax

from mi_ssl_jax.cli import estimates, guard
from mi_ssl_jax.evals import estimate
from mi_ssl_jax.evals.estimate import estimate_mi


def main() -> None:
    """Estimate, print a table, and keep it where --json says."""
    args = estimates.arguments(__doc__.splitlines()[0])
    options = {
        'bound': args.bound,
        'critic': args.critic,
        'fits': args.fits,
        'steps': args.steps,
        'batch_size': args.batch_size,
    }
    estimate.check_options(**options)
    if args.workdir:
        from mi_ssl_jax.runs import data_processing  # slow to import, and needed for runs only

        samples = data_processing.samples(args.workdir)
        pairs, notes = samples.pairs(), list(samples.notes)
    else:
        pairs, notes = {'I(x; y)': tuple(map(estimates.load, args.arrays))}, []
    key = jax.random.PRNGKey(args.seed)
    found = {name: estimate_mi(*pair, **options, key=key) for name, pair in pairs.items()}
    print(estimates.table(found))
    lines = notes + estimates.remarks(found)
    lines += [data_processing.verdict(found)] if args.workdir else []
    print('\n'.join(lines))
    estimates.check_finite(found)
    if args.json:
        estimates.write(
            args.json,
            {'estimates': {name: one._asdict() for name, one in found.items()}, 'notes': lines},
        )


if __name__ == '__main__':
    sys.exit(guard.guard(main))
