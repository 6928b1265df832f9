"""The paper's Figure 4: how accurate encoders are without the marginal term, without the
predictor.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mi_ssl_jax.figures import methods, probes, run_files, style
from mi_ssl_jax.figures.paper import table1
from mi_ssl_jax.figures.probes import Pool
from mi_ssl_jax.figures.tables import Table

# Panel -> method, its bars, and the variant whose accuracy is a dashed line. What the paper says of
# each.
PANELS = {
    '(a) SDMI without its marginal term': ('sdmi', ('SDMI-NoDV', 'SDMI-NoDV-Pred'), 'SDMI'),
    '(b) SimSiam without its predictor': (
        'simsiam',
        ('SimSiam', 'SimSiam, no predictor', 'SimSiam-SDMI'),
        None,
    ),
}
CLAIMS = {
    'SDMI': 'does not collapse',
    'SDMI-NoDV': 'collapses',
    'SDMI-NoDV-Pred': 'does not collapse',
    'SimSiam': 'does not collapse',
    'SimSiam, no predictor': 'collapses',
    'SimSiam-SDMI': 'does not collapse',
}
LETTERS = {'sdmi': ('f', 'g'), 'simsiam': ('',)}
SHADES = {'f': 0.85, 'g': 0.45, '': 0.85}  # opacity
LINES = {'f': style.GUIDE_DASHES, 'g': (0, (1, 2))}


@style.drawing
def draw(pools: Sequence[Pool], output: str | Path) -> Path:
    """Bars of the mean accuracy with a dot a seed; the paper's two numbers as diamonds; 'not run'
    if missing.

    Raises:
        ValueError: none of the six variants is there, or they are of several data sets.
    """
    found = variants(pools)
    data = next(iter(found.values())).data
    figure = style.new(9.4, 4.9)
    panels = figure.subplots(1, 2, sharey=True, width_ratios=[4, 3.4])
    for ax, (title, (method, names, dashed)) in zip(panels, PANELS.items()):
        _panel(
            ax,
            [(name, letter) for name in names for letter in LETTERS[method]],
            found,
            methods.METHODS[method].colour,
            reported(data),
        )
        ax.set_title(title)
        if dashed in found:
            for letter in LETTERS[method]:
                ax.axhline(
                    found[dashed].accuracy(letter).mean(),
                    color=methods.METHODS[method].colour,
                    linestyle=LINES[letter],
                    linewidth=1.1,
                    zorder=4,
                )
    panels[0].set(ylabel='linear-probe accuracy (%)', ylim=(0, 100))
    before = np.concatenate([pool.untrained() for pool in found.values()])
    _legends(panels, found, before, data)
    shown = probes.DATA.get(data, data)
    conditions = run_files.conditions({name: pool.members[0].run for name, pool in found.items()})
    style.heading(
        figure,
        f'What prevents collapse: linear-probe accuracy of ablated methods on {shown}',
        'Bars: mean over seeds. NoDV: without the marginal term; Pred: with a predictor. '
        f'{conditions} (Paper: Figure 4, on CIFAR-10, where all but two bars are drawn without '
        'numbers)',
    )
    return style.save(figure, output)


def variants(pools: Sequence[Pool]) -> dict[str, Pool]:
    """{variant: pool} of the six variants of the figure.

    Raises:
        ValueError: none of them is there, or they are of several data sets.
    """
    found = {pool.variant: pool for pool in pools if pool.variant in CLAIMS}
    data = sorted({pool.data for pool in pools if pool.variant in CLAIMS})
    if not data:
        raise ValueError(f'none of these runs is in Figure 4, which shows {", ".join(CLAIMS)}')
    if len(data) > 1:
        raise ValueError(f'Figure 4 shows one data set, but these are runs on {", ".join(data)}')
    return {name: found[name] for name in CLAIMS if name in found}


def reported(data: str) -> dict[str, dict[str, float]]:
    """The paper's numbers by variant; none but on CIFAR-10."""
    return run_files.paper()['figure4']['rows'] if data == 'cifar10' else {}


def table(pools: Sequence[Pool]) -> Table:
    """The same in numbers, with what the paper says of each variant and what has not been run."""
    found = variants(pools)
    data, rows = next(iter(found.values())).data, []
    for name, claim in CLAIMS.items():
        for letter in LETTERS['sdmi' if name.startswith('SDMI') else 'simsiam']:
            cell, before = table1.NOT_RUN, '–'
            if name in found:
                values, start = found[name].accuracy(letter), found[name].untrained()
                cell = f'{table1.spread(table1.over(values))} ({len(values)})'
                before = table1.spread(table1.over(start)) if len(start) else '–'
            paper = table1.spread(reported(data)[name]) if name in reported(data) else '–'
            rows.append((f'{name} {letter}'.strip(), cell, before, paper, claim))
    header = ('Variant', probes.DATA.get(data, data), 'untrained', 'paper', 'the paper says')
    notes = [
        'Linear-probe top-1 accuracy, mean ± SD over seeds; in brackets how many seeds. A collapsed'
        ' encoder is about as good as an untrained one, or worse.'
    ]
    notes += [
        f'{name}: {", ".join(short)}.'
        for name, pool in found.items()
        if (short := probes.shortfalls(pool.members[0]))
    ]
    missing = [name for name in CLAIMS if name not in found]
    notes += [f'Not run: {", ".join(missing)}.'] if missing else []
    return Table('Figure 4 in numbers (%)', header, rows, tuple(notes))


def _panel(
    ax: Axes,
    bars: Sequence[tuple[str, str]],
    found: Mapping[str, Pool],
    colour: str,
    paper: Mapping[str, Mapping[str, float]],
) -> None:
    for index, (name, letter) in enumerate(bars):
        if name not in found:
            ax.annotate(
                table1.NOT_RUN,
                (index, 0),
                xytext=(0, 4),
                textcoords='offset points',
                ha='center',
                rotation=90,
                va='bottom',
                color=style.GUIDE,
            )
        else:
            values = found[name].accuracy(letter)
            ax.bar(index, values.mean(), 0.7, color=colour, alpha=SHADES[letter], linewidth=0)
            ax.scatter(
                index + np.linspace(-0.15, 0.15, len(values) + 2)[1:-1],
                values,
                s=9,
                color='black',
                linewidths=0,
                zorder=5,
            )
        if name in paper:
            ax.errorbar(
                index + 0.25,
                paper[name]['mean'],
                paper[name]['std'],
                marker='D',
                markersize=6,
                markerfacecolor='white',
                color='black',
                linewidth=1.0,
                zorder=6,
            )
    ax.set_xticks(
        range(len(bars)),
        [
            f'{name} {letter}'.strip().replace('-', '-\n', 1).replace(', ', ',\n')
            for name, letter in bars
        ],
    )
    ax.set_xlim(-0.6, len(bars) - 0.4)
    ax.grid(False, axis='x')


def _legends(
    panels: Sequence[Axes], found: Mapping[str, Pool], before: np.ndarray, data: str
) -> None:
    place = {
        'loc': 'upper left',
        'bbox_to_anchor': (0, 0),
        'borderaxespad': 4.6,
        'columnspacing': 1.2,
    }
    if len(before):
        for ax in panels:
            ax.axhline(before.mean(), color=style.GUIDE, linewidth=0.9, zorder=0.5)
    own = methods.METHODS['sdmi'].colour
    left = [Patch(facecolor=own, alpha=SHADES[letter], label=letter) for letter in LETTERS['sdmi']]
    if 'SDMI' in found:
        left += [
            Line2D([], [], color=own, linestyle=LINES[letter], label=f'SDMI {letter}')
            for letter in LETTERS['sdmi']
        ]
    right = [
        Line2D([], [], marker='o', linestyle='', color='black', markersize=3.5, label='one seed')
    ]
    if len(before):
        right.append(Line2D([], [], color=style.GUIDE, label='untrained encoder'))
    if reported(data):
        right.append(
            Line2D(
                [],
                [],
                marker='D',
                markersize=6,
                markerfacecolor='white',
                linestyle='',
                color='black',
                label='paper',
            )
        )
    panels[0].legend(handles=left, ncols=4, **place)
    panels[1].legend(handles=right, ncols=3, **place)
