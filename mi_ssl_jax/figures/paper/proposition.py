"""Section 3.1 in numbers: how the bound changes in one E-step or M-step, against the size of the
step.

proposition.json holds `points`, `seeds`, `epochs` and `rows` of {bound, phase, step_size, kind,
changes, first_order}: the change of the bound in each step, and step_size * |gradient|^2. kind
'walk': the steps of training runs; 'probe': one single step from each of several states along a
run.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mi_ssl_jax.figures import statistics, style
from mi_ssl_jax.figures.tables import Table, markdown
from mi_ssl_jax.figures.tables import text as fixed_width

BOUNDS = {
    'dv': ('cos-DV', '#0072B2', 'o'),
    'infonce': ('InfoNCE', '#D55E00', 's'),
    'jsd': ('JSD', '#009E73', '^'),
}
PHASES = {'e': ('E-step', '-'), 'm': ('M-step', style.DASHES)}
# Float64 rounding of a bound of order 1 stays below this; the smallest steps change it by more than
# 1e-9.
ROUNDING = 1e-12


def report(path: str | Path) -> list[Path]:
    """Draw and tabulate proposition.json beside it: the picture and report.md."""
    path = Path(path)
    picture = draw(path, path.parent / 'figures' / 'proposition.png')
    page = path.parent / 'report.md'
    page.write_text(
        '\n\n'.join(
            [
                '# Does the bound rise in every E-step and M-step? (section 3.1)',
                _setting(_read(path)),
                markdown(table(path)),
                '\n'.join(f'- {line}' for line in findings(path)),
                f'![change of the bound](figures/{picture.name})',
            ]
        )
        + '\n'
    )
    return [picture, page]


def text(path: str | Path) -> str:
    """The table and what it says, for a terminal."""
    return '\n'.join([fixed_width(table(path)), *findings(path)])


def table(path: str | Path) -> Table:
    """One row a bound, kind, step size and phase."""
    rows = []
    for row in _rows(path):
        drops, ratio = -row['changes'][_falls(row)], _ratio(row)
        sizes = [f'{np.median(drops):.1e}', f'{drops.max():.1e}'] if len(drops) else ['–', '–']
        rows.append(
            (
                BOUNDS[row['bound']][0],
                row['kind'],
                PHASES[row['phase']][0],
                f'{row["step_size"]:g}',
                str(len(row['changes'])),
                f'{100 * _falls(row).mean():.1f} %',
                *sizes,
                f'{np.median(ratio):.3f}',
                f'{ratio.min():.3f} to {ratio.max():.3f}',
            )
        )
    header = (
        'bound',
        'kind',
        'phase',
        'step size',
        'steps',
        'drops',
        'median drop',
        'largest drop',
        'ratio',
        'range',
    )
    note = (
        'Drops: share of the steps after which the bound is lower, and by how much (nats; JSD in'
        ' its own units). Ratio: change over its first-order prediction, step size times squared'
        ' norm of the gradient; median and range. walk: the steps of training runs at that step'
        ' size; probe: single steps from states along a run.'
    )
    return Table('Change of the bound in one step', header, rows, (note,))


def findings(path: str | Path) -> list[str]:
    """The proposition's claim in plain words: at the smallest steps, and at the largest."""
    rows = _rows(path)
    lines = []
    for bound, (label, *_) in BOUNDS.items():
        own = [row for row in rows if row['bound'] == bound]
        if not own:
            continue
        tiny = [row for row in own if row['step_size'] <= 1e-6]
        if tiny:
            ratios = np.concatenate([_ratio(row) for row in tiny])
            falls = sum(_falls(row).sum() for row in tiny)
            lines.append(
                f'{label}, step size up to 1e-06: {falls} drops in {len(ratios)} steps, change over'
                f' first order {ratios.min():.3f} to {ratios.max():.3f}.'
            )
        largest = max(row['step_size'] for row in own)
        last = np.concatenate([_falls(row) for row in own if row['step_size'] == largest])
        lines.append(f'{label}, step size {largest:g}: {last.sum()} drops in {len(last)} steps.')
    return lines


@style.drawing
def draw(path: str | Path, output: str | Path) -> Path:
    """Share of drops, largest drop and ratio to first order against the step size."""
    rows = _rows(path)
    figure = style.new(10.5, 4.3)
    panels = figure.subplots(1, 3, sharex=True)
    measures = (
        lambda row: 100 * _falls(row).mean(),
        lambda row: -row['changes'].min() if _falls(row).any() else np.nan,
        lambda row: np.median(_ratio(row)),
    )
    for ax, measure in zip(panels, measures):
        for bound in dict.fromkeys(row['bound'] for row in rows):
            for phase in dict.fromkeys(row['phase'] for row in rows):
                _line(
                    ax,
                    [row for row in rows if (row['bound'], row['phase']) == (bound, phase)],
                    measure,
                )
        ax.set(xscale='log', xlabel='step size of the gradient step')
    panels[0].set(ylabel='steps that lower the bound (%)', ylim=(-1.5, None))
    panels[0].set_title('How often it falls')
    panels[1].set(ylabel='largest drop in one step (nats)', yscale='log')
    panels[1].set_title('How far it falls')
    panels[2].axhline(1.0, color=style.GUIDE, linestyle=style.GUIDE_DASHES, linewidth=0.9)
    panels[2].set(ylabel='change / first-order prediction')
    panels[2].set_title('Median ratio to first order')
    panels[0].legend(handles=_legend(rows), loc='upper left', handlelength=3.0)
    style.heading(
        figure,
        'Does the bound rise in every E-step and M-step?',
        f'{_setting(_read(path))} Lines: steps of training runs at each step size; symbols alone: '
        'single steps from states along a run. No point in the middle: no drop. A ratio of 1 means '
        'the bound rises as its gradient predicts. JSD is not in nats of information. (Paper: '
        'section 3.1)',
    )
    return style.save(figure, output)


def _line(ax: Axes, rows: list[dict], measure: Callable[[dict], float]) -> None:
    for kind in ('walk', 'probe'):
        own = sorted((row for row in rows if row['kind'] == kind), key=lambda row: row['step_size'])
        if own:
            (_, colour, marker), (_, line) = BOUNDS[own[0]['bound']], PHASES[own[0]['phase']]
            ax.plot(
                [row['step_size'] for row in own],
                [measure(row) for row in own],
                color=colour,
                marker=marker,
                markersize=4.5,
                linestyle=line if kind == 'walk' else 'none',
                markerfacecolor=colour if own[0]['phase'] == 'e' else 'white',
            )


def _legend(rows: list[dict]) -> list[Line2D]:
    bounds, phases = (dict.fromkeys(row[key] for row in rows) for key in ('bound', 'phase'))
    handles = [
        Line2D([], [], color=BOUNDS[bound][1], marker=BOUNDS[bound][2], label=BOUNDS[bound][0])
        for bound in bounds
    ]
    return handles + [
        Line2D(
            [],
            [],
            color=style.GUIDE,
            linestyle=PHASES[phase][1],
            marker='o',
            label=PHASES[phase][0],
            markerfacecolor=style.GUIDE if phase == 'e' else 'white',
        )
        for phase in phases
    ]


def _setting(found: dict[str, Any]) -> str:
    return (
        f'Gradient ascent of SDMI on fixed views of {found["points"]} points of the Gaussian'
        f' mixture, {statistics.counted(found["seeds"], "seed")}, {found["epochs"]} E-steps and'
        ' M-steps each, in float64.'
    )


def _read(path: str | Path) -> dict[str, Any]:
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f'{path} cannot be read ({error}): run python -m mi_ssl_jax.reproduce proposition'
        ) from None


def _rows(path: str | Path) -> list[dict]:
    """Sorted by bound, kind, step size and phase, with arrays for lists."""
    rows = [
        {**row, 'changes': np.array(row['changes']), 'first_order': np.array(row['first_order'])}
        for row in _read(path)['rows']
    ]
    order = list(BOUNDS)
    return sorted(
        rows,
        key=lambda row: (order.index(row['bound']), row['kind'], row['step_size'], row['phase']),
    )


def _falls(row: dict) -> np.ndarray:
    return row['changes'] < -ROUNDING


def _ratio(row: dict) -> np.ndarray:
    return row['changes'] / row['first_order']
