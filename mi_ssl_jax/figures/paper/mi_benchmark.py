"""Estimates of mutual information beside the truth: the report, its tables and its verdicts."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from mi_ssl_jax.figures.paper import mi_pictures
from mi_ssl_jax.figures.paper.mi_estimates import Estimated, estimated
from mi_ssl_jax.figures.statistics import number
from mi_ssl_jax.figures.tables import Table, markdown
from mi_ssl_jax.figures.tables import text as fixed_width

TARGETS = re.compile(r'gaussian_(\d+x\d+)_[\d.]+nats')  # tasks on which a bound is to come close
CLOSE, CLOSE_SHARE, NEAR_ZERO = 0.1, 0.05, 0.05  # nats, share of the truth, nats


def report(rows: Sequence[dict], workdir: Path) -> list[Path]:
    """Write the pictures and report.md."""
    found = [estimated(row) for row in rows]
    pictures = mi_pictures.draw(found, workdir / 'figures')
    page = workdir / 'report.md'
    page.write_text(
        '\n\n'.join(
            [
                '# Estimators of mutual information against the truth',
                setting(rows),
                '\n'.join(f'- {line}' for line in verdicts(found)),
                markdown(overview(found)).strip(),
                *(f'![{path.stem}](figures/{path.name})' for path in pictures),
                markdown(table(found)).strip(),
            ]
        )
        + '\n'
    )
    return [*pictures, page]


def text(rows: Sequence[dict]) -> str:
    """The overview and the verdicts, for a terminal."""
    found = [estimated(row) for row in rows]
    return '\n'.join([fixed_width(overview(found)), setting(rows), *verdicts(found)])


def setting(rows: Sequence[dict]) -> str:
    """Describe the measurement in a sentence or two."""
    row = rows[0]
    return (
        f'{len(rows)} cells of {row["fits"]} fits, each fit on {row["samples"]:,} fresh samples: 60'
        ' % train the critic, 20 % stop the training, 20 % are estimated from. Nats. DxD in a'
        ' name: the dimensions of x and y.'
    )


def table(found: Sequence[Estimated]) -> Table:
    """One row a cell."""
    rows = [
        (
            one.task,
            one.name,
            one.kind,
            number(one.mean, 3),
            number(one.se, 3),
            number(one.truth, 3) + (f' ± {one.truth_error:.0e}' if one.truth_error > 1e-4 else ''),
            f'{one.bias:+.3f}',
        )
        for one in found
    ]
    note = (
        'SE: standard error of the mean over the fits. Bias: estimate minus truth. The truth is a'
        ' closed form or a quadrature to better than 1e-4 nats; else its Monte Carlo error stands'
        ' beside it.'
    )
    header = ('task', 'estimator', 'bound', 'estimate', 'SE', 'truth', 'bias')
    return Table('Every cell', header, rows, (note,))


def overview(found: Sequence[Estimated]) -> Table:
    """One row a task, one column an estimator: means over fits."""
    names = list(dict.fromkeys(one.name for one in found))
    tasks = dict.fromkeys(one.task for one in found)
    cells = {(one.task, one.name): one for one in found}
    rows = []
    for task in tasks:
        own = [cells.get((task, name)) for name in names]
        truth = next(one.truth for one in own if one)
        rows.append(
            (
                task,
                number(truth, 2),
                *(
                    (
                        ''
                        if one is None
                        else number(one.mean, 2) + '*' * (one.kind == 'lower' and one.above)
                    )
                    for one in own
                ),
            )
        )
    note = (
        '* a lower bound whose mean lies above the truth by more than two standard errors of its'
        ' fits.'
    )
    notes = (note,) if any(one.kind == 'lower' and one.above for one in found) else ()
    return Table('Estimated mutual information (nats)', ('task', 'truth', *names), rows, notes)


def verdicts(found: Sequence[Estimated]) -> list[str]:
    """The claims in plain words, each with what it rests on."""
    return [
        *_best_bounds(found),
        *_lower_bounds(found),
        *_upper_bounds(found),
        *_independent(found),
    ]


def _best_bounds(found: Sequence[Estimated]) -> list[str]:
    lines = []
    for task in dict.fromkeys(one.task for one in found):
        own = [
            one
            for one in found
            if one.task == task and one.kind == 'lower' and np.isfinite(one.mean)
        ]
        dims = TARGETS.fullmatch(task)
        if dims and own:
            best = min(own, key=lambda one: abs(one.bias))
            allowed = max(CLOSE, CLOSE_SHARE * best.truth)
            verdict = 'within' if abs(best.bias) <= allowed else 'NOT within'
            lines.append(
                f'Gaussian, {dims[1]}, {best.truth:g} nats: the best lower bound, {best.name}, '
                f'gives {best.mean:.3f} ± {best.se:.3f}: {verdict} {allowed:g} nats.'
            )
    return lines


def _lower_bounds(found: Sequence[Estimated]) -> list[str]:
    lower = [one for one in found if one.kind == 'lower']
    if not lower:
        return []
    finite = [one for one in lower if np.isfinite(one.mean)]
    above = [one for one in finite if one.above]
    lines = [
        f'Lower bounds: {len(finite) - len(above)} of {len(lower)} cells have their mean below the '
        f'truth plus two standard errors of their fits{_exceptions("above it", above)}'
    ]
    if above:
        chance = stats.t.sf(2, above[0].fits - 1)
        lines.append(
            f'Of cells whose expectation is the truth itself, {chance:.0%} lie so by chance at '
            f'{above[0].fits} fits; more --fits tell.'
        )
    if len(finite) < len(lower):
        lines.append(
            f'Not finite: {"; ".join(map(_words, (one for one in lower if one not in finite)))}.'
        )
    return lines


def _upper_bounds(found: Sequence[Estimated]) -> list[str]:
    upper = [one for one in found if one.kind == 'upper']
    below = [one for one in upper if not one.mean >= one.truth - 2 * one.se - one.truth_error]
    if not upper:
        return []
    return [
        f'Upper bounds: {len(upper) - len(below)} of {len(upper)} cells have their mean above the'
        f' truth less two standard errors of their fits{_exceptions("below it", below)}'
    ]


def _independent(found: Sequence[Estimated]) -> list[str]:
    lines = []
    for task in dict.fromkeys(one.task for one in found if one.truth == 0):
        own = [one for one in found if one.task == task]
        far = [one for one in own if not abs(one.mean) <= NEAR_ZERO]
        lines.append(
            f'{task}: {len(own) - len(far)} of {len(own)} estimates within {NEAR_ZERO} nats of zero'
            f'{_exceptions("further", far)}'
        )
    return lines


def _exceptions(where: str, cells: Sequence[Estimated]) -> str:
    return f'; {where}: {"; ".join(map(_words, cells))}.' if cells else '.'


def _words(one: Estimated) -> str:
    return f'{one.name} on {one.task} ({one.mean:.3f} ± {one.se:.3f}, truth {one.truth:.3f})'
