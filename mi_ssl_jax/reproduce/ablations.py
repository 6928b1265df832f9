"""Figure 4's logic on the Gaussian mixture: what happens without the marginal term, without the
predictor.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mi_ssl_jax.figures import tables
from mi_ssl_jax.figures.paper import ablations as figures
from mi_ssl_jax.reproduce import training

POINTS = 400

# Name -> configuration, changed arguments of the method, and what the paper says about it (Figure
# 4, on CIFAR-10).
VARIANTS = {
    'SDMI': ('sdmi', {}, 'does not collapse'),
    'SDMI-NoDV': ('sdmi', {'marginal': 'none'}, 'collapses'),
    'SDMI-NoDV-Pred': ('sdmi', {'marginal': 'none', 'predictor': True}, 'does not collapse'),
    'SimSiam': ('simsiam', {}, 'does not collapse'),
    'SimSiam, no predictor': ('simsiam', {'predictor': False}, 'collapses'),
    'SimSiam-SDMI': ('simsiam', {'predictor': False, 'objective': 'dv'}, 'does not collapse'),
}

EXPLANATION = """\
The encoder of section 4.2 ends in a batch norm, which gives every output dimension unit variance
over the batch. The per-dimension standard deviation therefore cannot fall to 0 here, whatever
the method does: it stays near 0.577 even when clusters merge. What a lost marginal term does
behind a final batch norm is to let the classes run together, which the angle between the centres
(NN gap) shows and the standard deviation does not."""


def reproduce(*, workdir: Path, seeds: int, epochs: Sequence[int]) -> None:
    """Train every variant for every length, then draw, tabulate, and say for each claim whether it
    is seen.
    """
    folders = {
        name: {length: _train(name, length, seeds, workdir) for length in sorted(epochs)}
        for name in VARIANTS
    }
    picture = figures.draw(folders, workdir / 'figures' / 'ablations.png')
    table = tables.ablations(folders)
    findings = verdicts(folders)
    print(tables.text(table))
    print('\n'.join(findings))
    report = workdir / 'report.md'
    report.write_text(
        '\n\n'.join(
            [
                "# Figure 4's ablations on the Gaussian mixture",
                (
                    f'{POINTS} points, full batch, {seeds} seeds; the number of points is ours.'
                    ' Angles in degrees.'
                ),
                tables.markdown(table),
                '## What is seen',
                '\n'.join(f'- {line}' for line in findings),
                '## Why the standard deviation does not see it',
                EXPLANATION,
                f'![ablations](figures/{picture.name})',
            ]
        )
        + '\n'
    )
    for path in (picture, report):
        print(f'wrote {path}')


def _train(name: str, length: int, seeds: int, workdir: Path) -> Path:
    base, arguments, _ = VARIANTS[name]
    config = training.config(f'{base}_gaussian')
    config.seeds, config.epochs, config.data.limit, config.batch_size = (
        seeds,
        length,
        POINTS,
        POINTS,
    )
    config.mi.every = max(1, length // 100)
    config.method.update(arguments)
    return training.train(
        config, workdir / f'{name.lower().replace(", ", "-").replace(" ", "-")}-{length}'
    )


def verdicts(folders: dict[str, dict[int, Path]]) -> list[str]:
    """The paper's four claims, each with the numbers that speak for or against it, at every
    length.
    """
    claims = [
        ('Dropping the marginal term merges the classes', 'SDMI-NoDV', 'SDMI', 'smaller'),
        (
            'A predictor makes up for the dropped marginal term',
            'SDMI-NoDV-Pred',
            'SDMI-NoDV',
            'larger',
        ),
        (
            'Dropping the predictor merges the classes',
            'SimSiam, no predictor',
            'SimSiam',
            'smaller',
        ),
        (
            'The DV bound makes up for the dropped predictor',
            'SimSiam-SDMI',
            'SimSiam, no predictor',
            'larger',
        ),
    ]
    lines = []
    for claim, one, other, direction in claims:
        for length in folders[one]:
            first, second = (figures.mean_gaps(folders[name][length]) for name in (one, other))
            agreeing = int(np.sum((first < second) == (direction == 'smaller')))
            lines.append(
                f'{claim}, {length} epochs: {verdict(agreeing, len(first))}; NN gap {one}'
                f' {first.mean():.1f}, {other} {second.mean():.1f} degrees, {direction} in'
                f' {agreeing} of {len(first)} seeds'
            )
    return lines


def verdict(agreeing: int, seeds: int) -> str:
    """'seen' when five of six seeds or more go the claimed way, 'contradicted' for one of six or
    fewer.
    """
    share = agreeing / seeds
    return 'seen' if share >= 5 / 6 else 'contradicted' if share <= 1 / 6 else 'undecided'
