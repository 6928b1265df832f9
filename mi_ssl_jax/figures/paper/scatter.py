"""Final mutual information against probe accuracy, run by run: is it necessary, is it
sufficient?
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mi_ssl_jax.figures import methods, probes, run_files, statistics, style
from mi_ssl_jax.figures.probes import Probed
from mi_ssl_jax.figures.statistics import number
from mi_ssl_jax.figures.tables import Table

LEGEND_COLUMNS = 6
ABLATED = ('X', 'P', '^', 'v')  # markers of the variants of a method; the method itself is a circle


class Points(NamedTuple):
    """Seeds of all runs of one variant on one data set: (n,) each. accuracy: percent, for SDMI mean
    of f and g.
    """

    method: str
    information: Mapping[str, np.ndarray]  # by estimator
    accuracy: np.ndarray


class Correlation(NamedTuple):
    """Spearman's rho over the points whose information is finite; NaN for fewer than three of
    them.
    """

    rho: float
    points: int


def points(runs: Sequence[Probed]) -> dict[str, dict[str, Points]]:
    """{data set: {variant: points}}."""
    found: dict[str, dict[str, Points]] = {}
    for run in runs:
        last = {name: run_files.series(run.run, 'mi', name)[1][-1] for name in run_files.ESTIMATORS}
        own = Points(run.method, last, np.mean(list(run.accuracy.values()), axis=0))
        there = found.setdefault(run.data, {})
        there[run.variant] = _joined(there[run.variant], own) if run.variant in there else own
    return found


def correlation(groups: Mapping[str, Points], estimator: str) -> Correlation:
    """Compute the rank correlation of final mutual information with accuracy, over all seeds of all
    runs of one data set.
    """
    information = np.concatenate([group.information[estimator] for group in groups.values()])
    accuracy = np.concatenate([group.accuracy for group in groups.values()])
    finite = np.isfinite(information)
    few = finite.sum() < 3
    rho = np.nan if few else statistics.spearman(information[finite], accuracy[finite, None])[0]
    return Correlation(float(rho), int(finite.sum()))


def table(runs: Sequence[Probed]) -> Table:
    """Rank correlations by data set and estimator."""
    rows = []
    for data, groups in points(runs).items():
        for estimator, label in run_files.ESTIMATORS.items():
            own = correlation(groups, estimator)
            rows.append(
                (
                    probes.DATA.get(data, data),
                    label,
                    number(own.rho, 3),
                    str(own.points),
                    str(len(groups)),
                )
            )
    header = ('Data', 'estimator', 'Spearman', 'points', 'variants')
    note = (
        'Rank correlation of the final mutual information with the linear-probe accuracy; one point'
        ' a seed, for SDMI with the mean accuracy of f and g. A seed whose estimate is not finite'
        ' is no point.'
    )
    return Table('Mutual information and accuracy', header, rows, (note,))


@style.drawing
def draw(runs: Sequence[Probed], output: str | Path) -> Path:
    """One row a data set, one column an estimator, one point a seed."""
    found = points(runs)
    looks = _looks(found)
    lines = -(-len(looks) // LEGEND_COLUMNS)
    figure = style.new(10.5, 3.4 * len(found) + 0.2 * lines + 1.2)
    grid = figure.add_gridspec(len(found) + 1, 1, height_ratios=[3.4] * len(found) + [0.2 * lines])
    for row, (data, groups) in enumerate(found.items()):
        panels = grid[row].subgridspec(1, len(run_files.ESTIMATORS)).subplots(sharey=True)
        for ax, (estimator, label) in zip(panels, run_files.ESTIMATORS.items()):
            _panel(ax, groups, estimator, looks)
            ax.set_title(f'{label}, {probes.DATA.get(data, data)}' if len(found) > 1 else label)
        panels[0].set(ylabel='linear-probe accuracy (%)')
    _legend(figure.add_subplot(grid[-1]), looks)
    only = f' on {probes.DATA.get(*[next(iter(found))] * 2)}' if len(found) == 1 else ''
    style.heading(
        figure,
        f'Final mutual information and linear-probe accuracy{only}',
        f'{_note(runs)} ρ: Spearman rank correlation over all points of a panel, n: their number.'
        " Necessary, not sufficient (the paper's reading): no point would lie at the upper left,"
        ' but some at the lower right.',
    )
    return style.save(figure, output)


def _joined(one: Points, other: Points) -> Points:
    information = {
        name: np.concatenate([values, other.information[name]])
        for name, values in one.information.items()
    }
    return Points(one.method, information, np.concatenate([one.accuracy, other.accuracy]))


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
    ax: Axes, groups: Mapping[str, Points], estimator: str, looks: Mapping[str, tuple[str, str]]
) -> None:
    for variant, group in groups.items():
        (marker, colour), information = looks[variant], group.information[estimator]
        finite = np.isfinite(information)
        ax.scatter(
            information[finite],
            group.accuracy[finite],
            s=34,
            marker=marker,
            color=colour,
            alpha=0.8,
            linewidths=0,
        )
    own = correlation(groups, estimator)
    ax.set_title(
        f'ρ = {number(own.rho, 2)}, n = {own.points}',
        loc='right',
        fontsize=8.5,
        fontweight='normal',
    )
    ax.margins(0.08)
    ax.locator_params(axis='x', nbins=5)
    ax.set(xlabel='final JSD bound' if estimator == 'jsd' else 'final information (nats)')


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
