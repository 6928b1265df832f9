"""Curves over epochs: mean over seeds with a band, and the panel of one mutual-information
estimator.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from mi_ssl_jax.figures import run_files, style

BREAK = (1.0, 7.0)  # heights of the piece around the true value and of the piece with the curves


class Curve(NamedTuple):
    """epochs (T,), values (T, seeds)."""

    label: str
    colour: str
    epochs: np.ndarray
    values: np.ndarray
    line: Any = '-'


def draw(ax: Axes, curve: Curve) -> None:
    """Mean over seeds, one standard deviation to either side; only where all seeds are finite."""
    finite = np.isfinite(curve.values).all(axis=1)
    epochs, values = curve.epochs[finite], curve.values[finite]
    mean = values.mean(axis=1)
    ax.plot(
        epochs,
        mean,
        color=curve.colour,
        linestyle=curve.line,
        label=curve.label,
        marker='o' if len(epochs) < 3 else None,
        markersize=3,
    )
    if values.shape[1] > 1:
        sd = values.std(axis=1, ddof=1)
        ax.fill_between(epochs, mean - sd, mean + sd, color=curve.colour, alpha=0.15, linewidth=0)


def reference(ax: Axes, level: float, text: str, *, above: bool = True) -> None:
    """A dashed horizontal line with its meaning written at its right end."""
    ax.axhline(level, color=style.GUIDE, linestyle=style.GUIDE_DASHES, linewidth=0.9)
    ax.annotate(
        text,
        (1, level),
        xycoords=('axes fraction', 'data'),
        xytext=(-1, 2 if above else -2),
        textcoords='offset points',
        ha='right',
        va='bottom' if above else 'top',
        fontsize=7.5,
        color=style.GUIDE,
    )


def grid(figure: Figure, rows: int) -> GridSpec:
    """Room for `rows` rows of `information` panels, one column an estimator."""
    return figure.add_gridspec(2 * rows, len(run_files.ESTIMATORS), height_ratios=BREAK * rows)


def information(
    figure: Figure,
    panels: GridSpec,
    row: int,
    estimator: str,
    curves: Sequence[Curve],
    true: float | None,
) -> None:
    """One estimator's curves with their legend below, in its column of `grid`.

    true: nats, drawn dashed above a break in the axis; None for no line, as for JSD, which is not
    in nats of information.
    """
    column = list(run_files.ESTIMATORS).index(estimator)
    if true is None:
        top = ax = figure.add_subplot(panels[2 * row : 2 * row + 2, column])
    else:
        ax = figure.add_subplot(panels[2 * row + 1, column])
        top = figure.add_subplot(panels[2 * row, column], sharex=ax)
        _above_the_break(top, ax, true)
    for curve in curves:
        draw(ax, curve)
    ax.set(xlabel='epoch', ylabel=_unit(estimator))
    top.set_title(run_files.ESTIMATORS[estimator])
    # Below the axis label, where no curve can run through it.
    ax.legend(
        loc='upper center', bbox_to_anchor=(0.5, 0.0), borderaxespad=3.9, ncols=2, columnspacing=1.2
    )


def _above_the_break(top: Axes, ax: Axes, true: float) -> None:
    """`top` shows nothing but the true value; marks say that the axis is broken between it and
    `ax`.
    """
    reference(top, true, f'true mutual information, {true:.2f} nats', above=False)
    top.set(ylim=(true - 0.08, true + 0.02), yticks=[true], yticklabels=[f'{true:.2f}'])
    top.tick_params(bottom=False, labelbottom=False)
    top.spines.bottom.set_visible(False)
    top.grid(False)
    mark = {
        'marker': [(-1, -0.6), (1, 0.6)],
        'markersize': 7,
        'linestyle': 'none',
        'color': 'black',
        'markeredgewidth': 0.8,
        'clip_on': False,
    }
    top.plot([0], [0], transform=top.transAxes, **mark)
    ax.plot([0], [1], transform=ax.transAxes, **mark)


def _unit(estimator: str) -> str:
    return (
        'JSD bound (−1.39 = independent)' if estimator == 'jsd' else 'estimated information (nats)'
    )
