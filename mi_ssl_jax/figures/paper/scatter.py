"""What is known of an encoder without labels against its probe accuracy, run by run: mutual
information (is it necessary, is it sufficient?), effective rank, and the figures of mi.label_free.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mi_ssl_jax.figures import label_free, methods, probes, run_files, statistics, style
from mi_ssl_jax.figures.label_free import Figure
from mi_ssl_jax.figures.probes import Probed
from mi_ssl_jax.figures.statistics import number
from mi_ssl_jax.figures.tables import Table

LEGEND_COLUMNS = 6
COLUMNS = 3  # panels side by side
RANK = 'effective_rank'  # of the embeddings, from the figures of collapse
JUDGES = {
    **{name: Figure(label, 'higher') for name, label in run_files.ESTIMATORS.items()},
    RANK: Figure('effective rank of z', 'higher'),
    **label_free.FIGURES,
}
ABLATED = ('X', 'P', '^', 'v')  # markers of the variants of a method; the method itself is a circle


class Points(NamedTuple):
    """Seeds of all runs of one variant on one data set: (n,) each. figures: by the names of JUDGES,
    NaN where a run has none. accuracy: percent, for SDMI mean of f and g.
    """

    method: str
    figures: Mapping[str, np.ndarray]
    accuracy: np.ndarray


class Agreement(NamedTuple):
    """How a figure ranks the points at which it is finite, the better first, against accuracy.

    spearman, kendall: rank correlations; regret: percentage points between the best accuracy of all
    points and that of the point with the best figure. NaN for fewer than three points.
    """

    spearman: float
    kendall: float
    regret: float
    points: int


def points(runs: Sequence[Probed]) -> dict[str, dict[str, Points]]:
    """{data set: {variant: points}}."""
    found: dict[str, dict[str, Points]] = {}
    for run in runs:
        accuracy = np.mean(list(run.accuracy.values()), axis=0)
        own = Points(run.method, {name: _last(run.run, name) for name in JUDGES}, accuracy)
        there = found.setdefault(run.data, {})
        there[run.variant] = _joined(there[run.variant], own) if run.variant in there else own
    return found


def _last(run: run_files.Run, name: str) -> np.ndarray:
    """A figure at the last evaluation (seeds,), the mean over the encoders that are probed; NaN
    where the run has none.
    """
    if name in run_files.ESTIMATORS:
        return run_files.series(run, 'mi', name)[1][-1]
    group = 'collapse' if name == RANK else 'label_free'
    branches = list(run_files.encoders(run).values())
    if any(name not in run_files.keys(run, group, branch) for branch in branches):
        return np.full(run.config['seeds'], np.nan)
    return np.mean([run_files.series(run, group, own, name)[1][-1] for own in branches], axis=0)


def judges(groups: Mapping[str, Points]) -> list[str]:
    """The figures that the runs of one data set have: mutual information always."""
    return [
        name
        for name in JUDGES
        if name in run_files.ESTIMATORS
        or any(np.isfinite(group.figures[name]).any() for group in groups.values())
    ]


def agreement(groups: Mapping[str, Points], name: str) -> Agreement:
    """Compare the ranks of a figure and of accuracy, over all seeds of all runs of one data set."""
    values = np.concatenate([group.figures[name] for group in groups.values()])
    accuracy = np.concatenate([group.accuracy for group in groups.values()])
    finite = np.isfinite(values)
    if finite.sum() < 3:
        return Agreement(np.nan, np.nan, np.nan, int(finite.sum()))
    promise, reached = label_free.promise(JUDGES[name], values[finite]), accuracy[finite]
    chosen = reached[promise == promise.max()].mean()
    return Agreement(
        float(statistics.spearman(promise, reached[:, None])[0]),
        statistics.kendall(promise, reached),
        float(accuracy.max() - chosen),
        int(finite.sum()),
    )


def table(runs: Sequence[Probed]) -> Table:
    """Rank correlations and regrets by data set and figure."""
    rows = []
    for data, groups in points(runs).items():
        for name in judges(groups):
            own = agreement(groups, name)
            rows.append(
                (
                    probes.DATA.get(data, data),
                    JUDGES[name].label,
                    JUDGES[name].better,
                    number(own.spearman, 3),
                    number(own.kendall, 3),
                    number(own.regret, 2),
                    str(own.points),
                    str(len(groups)),
                )
            )
    header = ('Data', 'figure', 'better', 'Spearman', 'Kendall', 'regret', 'points', 'variants')
    note = (
        'Rank correlations (Kendall: tau-b) of the final figure, ordered so that the better comes'
        ' first, with the linear-probe accuracy; one point a seed, for SDMI with the means over f'
        ' and g. Regret: percentage points lost by taking the point whose figure is best instead'
        ' of the one whose accuracy is. A seed whose figure is not finite is no point.'
    )
    return Table('Mutual information and other figures without labels', header, rows, (note,))


@style.drawing
def draw(runs: Sequence[Probed], output: str | Path) -> Path:
    """A block of rows a data set, a panel a figure, one point a seed."""
    found = points(runs)
    looks = _looks(found)
    legend_lines = -(-len(looks) // LEGEND_COLUMNS)
    heights = [-(-len(judges(groups)) // COLUMNS) for groups in found.values()]
    figure = style.new(10.5, 3.4 * sum(heights) + 0.2 * legend_lines + 1.2)
    ratios = [*(3.4 * lines for lines in heights), 0.2 * legend_lines]
    grid = figure.add_gridspec(len(found) + 1, 1, height_ratios=ratios)
    for row, (data, groups) in enumerate(found.items()):
        names = judges(groups)
        panels = np.ravel(grid[row].subgridspec(heights[row], COLUMNS).subplots(sharey=True))
        for ax, name in zip(panels, names):
            _panel(ax, groups, name, looks)
            label = JUDGES[name].label
            ax.set_title(f'{label}, {probes.DATA.get(data, data)}' if len(found) > 1 else label)
        for ax in panels[::COLUMNS]:
            ax.set(ylabel='linear-probe accuracy (%)')
        for ax in panels[len(names) :]:
            ax.remove()
    _legend(figure.add_subplot(grid[-1]), looks)
    only = f' on {probes.DATA.get(*[next(iter(found))] * 2)}' if len(found) == 1 else ''
    style.heading(
        figure,
        f'Final mutual information and linear-probe accuracy{only}',
        f'{_note(runs)} ρ: Spearman rank correlation over all points of a panel, ordered so that'
        ' the better comes first, n: their number. Necessary, not sufficient (the paper on mutual'
        ' information): no point would lie at the upper left, but some at the lower right.',
    )
    return style.save(figure, output)


def _joined(one: Points, other: Points) -> Points:
    figures = {
        name: np.concatenate([values, other.figures[name]]) for name, values in one.figures.items()
    }
    return Points(one.method, figures, np.concatenate([one.accuracy, other.accuracy]))


def _looks(found: Mapping[str, Mapping[str, Points]]) -> dict[str, tuple[str, str]]:
    """variant -> (marker, colour), in the paper's order."""
    method_of = {
        variant: group.method for groups in found.values() for variant, group in groups.items()
    }
    order = [*methods.METHODS, *sorted(set(method_of.values()) - set(methods.METHODS))]
    looks = {}
    for method in order:
        look = methods.METHODS.get(method, methods.Look(method, methods.OTHER, None))
        own = [variant for variant in method_of if method_of[variant] == method]
        changed = sorted(variant for variant in own if variant != look.label)
        looks |= {look.label: ('o', look.colour)} if look.label in own else {}
        looks |= {
            variant: (ABLATED[index % len(ABLATED)], look.colour)
            for index, variant in enumerate(changed)
        }
    return looks


def _panel(
    ax: Axes, groups: Mapping[str, Points], name: str, looks: Mapping[str, tuple[str, str]]
) -> None:
    for variant, group in groups.items():
        (marker, colour), values = looks[variant], group.figures[name]
        finite = np.isfinite(values)
        ax.scatter(
            values[finite],
            group.accuracy[finite],
            s=34,
            marker=marker,
            color=colour,
            alpha=0.8,
            linewidths=0,
        )
    own = agreement(groups, name)
    ax.set_title(
        f'ρ = {number(own.spearman, 2)}, n = {own.points}',
        loc='right',
        fontsize=8.5,
        fontweight='normal',
    )
    ax.margins(0.08)
    ax.locator_params(axis='x', nbins=5)
    plain = f'final {JUDGES[name].label}, better {JUDGES[name].better}'
    nats = {'jsd': 'final JSD bound'} | dict.fromkeys(
        ('cos_dv', 'infonce'), 'final information (nats)'
    )
    ax.set(xlabel=nats.get(name, plain))


def _legend(ax: Axes, looks: Mapping[str, tuple[str, str]]) -> None:
    """Draw the legend in a row of its own: it is wider than a panel and would push the panels
    apart.
    """
    handles = [
        Line2D([], [], linestyle='', marker=marker, color=colour, markersize=6, label=name)
        for name, (marker, colour) in looks.items()
    ]
    legend = ax.legend(
        handles=handles, loc='center', ncols=LEGEND_COLUMNS, columnspacing=1.4, borderaxespad=0
    )
    legend.set_in_layout(False)
    ax.set_axis_off()


def _note(runs: Sequence[Probed]) -> str:
    settings = dict.fromkeys(
        f'{run.run.config["net"]["name"]}, {run.epochs:g} epochs' for run in runs
    )
    shown = (
        next(iter(settings))
        if len(settings) == 1
        else f'{len(settings)} settings of network and epochs'
    )
    return (
        f'One point a seed of a run ({shown}); SDMI: mean accuracy of f and g. Held-out examples,'
        ' cosine critic.'
    )
