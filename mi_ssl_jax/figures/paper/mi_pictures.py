"""Pictures of estimated against true mutual information, and of where second moments are not
enough.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mi_ssl_jax.figures import style
from mi_ssl_jax.figures.paper.mi_estimates import SECOND_ORDER, Estimated

COLOURS = {
    'dv': '#0072B2',
    'mine': '#56B4E9',
    'infonce': '#D55E00',
    'nwj': '#009E73',
    'js_nwj': '#117733',
    'tuba': '#E69F00',
    'smile': '#882288',
    'club': '#777777',
    SECOND_ORDER: '#000000',
}
MARKERS = {'separable': 'o', 'concatenated': 's', 'bilinear': '^', '': 'D'}
SPREAD = 0.62  # of the height of a task's row that its estimators share
BETA = re.compile(r'generalised_(\d+x\d+)_beta([\d.]+)')


def draw(found: Sequence[Estimated], folder: Path) -> list[Path]:
    """The pictures that these estimates allow."""
    learned = {one.task for one in found if one.name != SECOND_ORDER}
    drawn = []
    if learned:
        drawn.append(
            against_truth([one for one in found if one.task in learned], folder / 'estimates.png')
        )
    second = [one for one in found if one.name == SECOND_ORDER and np.isfinite(one.mean)]
    if any(BETA.fullmatch(one.task) for one in second):
        drawn.append(second_order(second, folder / 'gaussian_mi.png'))
    return drawn


@style.drawing
def against_truth(found: Sequence[Estimated], output: Path) -> Path:
    """One row a task: a bar at the truth, one mark an estimator; what lies outside stands at the
    edge.
    """
    tasks = sorted(
        {one.task: one.truth for one in found}.items(), key=lambda pair: (pair[1], pair[0])
    )
    names = list(dict.fromkeys(one.name for one in found))
    figure = style.new(9.5, 0.42 * len(tasks) + 2.3)
    ax = figure.add_subplot()
    low, high = -0.35, 1.18 * max(truth for _, truth in tasks) + 0.3
    for row, (task, truth) in enumerate(tasks):
        ax.plot([truth, truth], [row - 0.42, row + 0.42], color='black', linewidth=2.2, zorder=1)
        for one in (one for one in found if one.task == task and np.isfinite(one.mean)):
            height = row + SPREAD * (names.index(one.name) / max(len(names) - 1, 1) - 0.5)
            _mark(ax, one, height, low, high)
    ax.set(
        xlim=(low, high),
        ylim=(-0.6, len(tasks) - 0.4),
        xlabel='estimated mutual information (nats)',
    )
    ax.set_yticks(range(len(tasks)), [task for task, _ in tasks])
    ax.grid(axis='y', visible=False)
    handles = [
        Line2D(
            [],
            [],
            linestyle='',
            color=_colour(name),
            marker=_marker(name),
            markersize=5,
            label=name,
        )
        for name in names
    ]
    handles.append(Line2D([], [], color='black', linewidth=2.2, label='truth'))
    ax.legend(handles=handles, loc='upper left', bbox_to_anchor=(1.0, 1.0))
    style.heading(
        figure,
        'Estimated mutual information against the truth',
        'Mean over fits with two standard errors; each fit on fresh samples, judged on samples '
        'that its critic has not seen. A triangle at the edge: the estimate lies outside. DxD: '
        'dimensions of x and y.',
    )
    return style.save(figure, output)


@style.drawing
def second_order(found: Sequence[Estimated], output: Path) -> Path:
    """Error of gaussian_mi against the generalised Gaussian's shape, and on all other tasks."""
    figure = style.new(9.5, 4.6)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    sizes = dict.fromkeys(BETA.fullmatch(one.task)[1] for one in found if BETA.fullmatch(one.task))
    for size, colour, marker in zip(sizes, style.CLUSTERS, 'os^Dv'):
        own = sorted(
            (float(match[2]), one.bias, 2 * one.se)
            for one in found
            if (match := BETA.fullmatch(one.task)) and match[1] == size
        )
        betas, biases, bars = zip(*own)
        left.errorbar(
            betas,
            biases,
            yerr=bars,
            color=colour,
            marker=marker,
            markersize=5,
            capsize=2,
            label=size,
        )
    left.set(xscale='log', xlabel='shape β', ylabel='estimate − truth (nats)')
    left.set_xticks([0.5, 1, 2, 8], ['0.5', '1 (Gaussian)', '2', '8'], minor=False)
    left.minorticks_off()
    left.legend(title='dimensions', loc='lower left')
    left.set_title('Generalised Gaussian')
    others = [one for one in found if not BETA.fullmatch(one.task)]
    for row, one in enumerate(reversed(others)):
        right.errorbar(
            one.bias, row, xerr=2 * one.se, color='black', marker='D', markersize=4, capsize=2
        )
    right.set_yticks(range(len(others)), [one.task for one in reversed(others)], fontsize=7.0)
    right.set(xlabel='estimate − truth (nats)')
    right.set_title('Other distributions')
    left.axhline(0, color=style.GUIDE, linestyle=style.GUIDE_DASHES, linewidth=0.9)
    right.axvline(0, color=style.GUIDE, linestyle=style.GUIDE_DASHES, linewidth=0.9)
    style.heading(
        figure,
        'Where second moments are enough: error of gaussian_mi',
        'Mean over fits with two standard errors. gaussian_mi knows covariances alone: exact for '
        'Gaussian samples up to its bias of Dx Dy / (2 N), blind to the rest elsewhere, and too '
        'high for clusters.',
    )
    return style.save(figure, output)


def _mark(ax: Axes, one: Estimated, height: float, low: float, high: float) -> None:
    colour = _colour(one.name)
    if not low <= one.mean <= high:
        edge, marker = (high, '>') if one.mean > high else (low, '<')
        ax.plot(
            [edge], [height], marker=marker, color=colour, markersize=4, clip_on=False, linestyle=''
        )
        return
    ax.errorbar(
        one.mean,
        height,
        xerr=2 * one.se,
        color=colour,
        marker=_marker(one.name),
        markersize=4,
        elinewidth=0.9,
        linestyle='',
    )


def _colour(name: str) -> str:
    return COLOURS.get(name.split()[0], '#999999')


def _marker(name: str) -> str:
    return MARKERS.get(name.partition(' ')[2], 'D')
