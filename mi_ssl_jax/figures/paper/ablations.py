"""Figure 4's logic on the Gaussian mixture: how far apart centres stay without marginal term or
predictor.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mi_ssl_jax.figures import methods, run_files, style
from mi_ssl_jax.figures.paper import gaussian

BAR = 0.8  # of the room a variant has
LIGHTEST, DARKEST = 0.3, 0.85  # opacity of the bars of the shortest and the longest training
PANELS = {'sdmi': '(a) SDMI', 'simsiam': '(b) SimSiam'}


@style.drawing
def draw(runs: Mapping[str, Mapping[int, str | Path]], output: str | Path) -> Path:
    """Bars of the mean gap of {variant: {epochs: workdir}} with a dot a seed; one panel a varied
    method.

    Dashed: the first variant of each panel, which is the method as it is.
    """
    read = {
        variant: {length: run_files.read(own[length]) for length in sorted(own)}
        for variant, own in runs.items()
    }
    lengths = sorted({length for own in read.values() for length in own})
    # Backwards, so that a single length is the darkest.
    shades = dict(zip(lengths, np.linspace(DARKEST, LIGHTEST, len(lengths))[::-1]))
    groups = {}
    for variant, own in read.items():
        method = next(iter(own.values())).config['method']['name']
        groups.setdefault(method, []).extend(bars(variant, own))
    figure = style.new(max(7.0, 1.25 * sum(map(len, groups.values())) + 1.6), 4.6)
    panels = figure.subplots(
        1,
        len(groups),
        sharey=True,
        squeeze=False,
        width_ratios=[len(group) for group in groups.values()],
    )[0]
    for ax, (method, group) in zip(panels, groups.items()):
        _panel(ax, group, shades, methods.METHODS[method].colour)
        ax.set_title(PANELS.get(method, methods.METHODS[method].label))
    panels[0].set(ylabel='mean nearest-neighbour gap (degrees)', ylim=(0, 100))
    handles = [
        Patch(facecolor=style.GUIDE, alpha=shade, label=f'{length} epochs')
        for length, shade in shades.items()
    ]
    handles.append(
        Line2D([], [], marker='o', linestyle='', color='black', markersize=3.5, label='one seed')
    )
    panels[-1].legend(
        handles=handles,
        loc='upper right',
        ncols=len(handles),
        bbox_to_anchor=(1.0, 1.13),
        borderaxespad=0,
    )
    seeds = run_files.seeds([run for own in read.values() for run in own.values()])
    style.heading(
        figure,
        'What keeps the five clusters apart: ablations on the Gaussian mixture',
        f'Bars: mean over {seeds}. Dashed: the method with all its parts. A collapsed encoder has '
        f'a small gap: its clusters have merged. {gaussian.GAP_NOTE}. NoDV: without the marginal '
        "term; Pred: with a predictor. (The logic of the paper's Figure 4, which shows accuracies "
        'on CIFAR-10)',
    )
    return style.save(figure, output)


def mean_gaps(workdir: str | Path) -> np.ndarray:
    """The final mean gap of each seed (seeds,), in degrees; of f where there are f and g."""
    run = run_files.read(workdir)
    return run_files.final_gaps(run, next(iter(run_files.encoders(run).values()))).mean


def bars(variant: str, own: Mapping[int, run_files.Run]) -> list[tuple[str, dict[int, np.ndarray]]]:
    """(label, {epochs: mean gap of each seed}) of each encoder of a variant."""
    letters = run_files.encoders(next(iter(own.values())))
    return [
        (
            f'{variant}\n{letter}'.strip(),
            {length: run_files.final_gaps(run, branch).mean for length, run in own.items()},
        )
        for letter, branch in letters.items()
    ]


def _panel(
    ax: Axes,
    group: list[tuple[str, dict[int, np.ndarray]]],
    shades: Mapping[int, float],
    colour: str,
) -> None:
    wide = BAR / len(shades)
    for index, (_, gaps) in enumerate(group):
        for place, (length, shade) in enumerate(shades.items()):
            if length not in gaps:
                continue
            x = index + (place - (len(shades) - 1) / 2) * wide
            ax.bar(x, gaps[length].mean(), 0.92 * wide, color=colour, alpha=shade, linewidth=0)
            ax.scatter(
                x + wide * np.linspace(-0.25, 0.25, len(gaps[length])),
                gaps[length],
                s=9,
                color='black',
                linewidths=0,
                zorder=3,
            )
    for length, gaps in group[0][1].items():
        ax.axhline(
            gaps.mean(),
            color=colour,
            alpha=max(shades[length], 0.5),
            linestyle=style.GUIDE_DASHES,
            linewidth=0.9,
            zorder=0.5,
        )
    ax.set_xticks(
        range(len(group)), [label.replace('-', '-\n', 1).replace(', ', ',\n') for label, _ in group]
    )
    ax.set_xlim(-0.6, len(group) - 0.4)
    ax.grid(False, axis='x')
