"""The paper's controlled experiment in pictures: Figures 3, 5, 6 and 7, and Table 2's gaps seed by
seed.

Every function takes {method name: workdir} and the path of the picture, and returns the path.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mi_ssl_jax.figures import curves, methods, run_files, spheres, statistics, style

Workdirs = Mapping[str, str | Path]

FIGURE6_EPOCHS = (1, 5, 20, 70, 100)
PENTAGON, THOMSON = (
    72.0,
    90.0,
)  # degrees: nearest-neighbour gap of five points on a great circle, and at best
GAP_NOTE = (
    '72° = regular pentagon on a great circle, 90° = Thomson optimum of five points on a sphere'
)


class Encoder(NamedTuple):
    """One row of Table 2. key: in paper.json."""

    key: str
    label: str
    look: methods.Look
    run: run_files.Run
    branch: str


def encoders(workdirs: Workdirs) -> list[Encoder]:
    """The rows of Table 2, in its order: each run's encoder, for SDMI f and g."""
    rows = []
    for name, run in run_files.read_all(workdirs).items():
        look = methods.METHODS[name]
        rows += [
            Encoder(f'{name} {letter}'.strip(), f'{look.label} {letter}'.strip(), look, run, branch)
            for letter, branch in run_files.encoders(run).items()
        ]
    return rows


def paradigms(entries: list, paradigm_of) -> list[list]:
    """SDMI methods, then JMI methods, leaving out an empty class."""
    groups = [
        [entry for entry in entries if paradigm_of(entry) == paradigm]
        for paradigm in ('sdmi', 'jmi')
    ]
    return [group for group in groups if group]


@style.drawing
def figure3(workdirs: Workdirs, output: str | Path) -> Path:
    """The ways of the five centres over the sphere, one sphere an encoder, the seed with the median
    gap.
    """
    rows = paradigms(encoders(workdirs), lambda encoder: encoder.look.paradigm)
    seeds = run_files.seeds([encoder.run for group in rows for encoder in group])
    columns = max(*map(len, rows), len(rows[-1]) + 1)
    figure = style.new(2.45 * columns, 2.85 * len(rows) + 0.6, row_gap=0.1)
    grid = figure.add_gridspec(len(rows), columns)
    for row, group in enumerate(rows):
        for column, encoder in enumerate(group):
            epochs = sphere_of_trajectories(
                figure, grid[row, column], encoder.run, encoder.branch, encoder.label
            )
    spheres.legend(figure.add_subplot(grid[-1, -1]), epochs[0], epochs[-1])
    style.heading(
        figure,
        'How the five Gaussian cluster centres move over the embedding sphere in training',
        f'NN gap: mean angle from a centre to its nearest other centre at the end; {GAP_NOTE}. '
        'Above: SDMI methods, below: JMI methods. Shown is the seed with the median gap; in '
        f'brackets mean ± SD over {seeds}. Each sphere is turned so that its final centres lie as '
        'flat as they can. (Paper: Figure 3)',
    )
    return style.save(figure, output)


def sphere_of_trajectories(
    figure: Figure, spec, run: run_files.Run, branch: str, label: str
) -> np.ndarray:
    """One panel of Figure 3; returns its epochs."""
    seed = run_files.representative(run, branch)
    epochs, paths = run_files.paths(run, branch)
    paths = paths[:, seed] @ spheres.upright(paths[-1, seed]).T
    gaps = run_files.final_gaps(run, branch).mean
    over = statistics.spread(gaps)
    several = f' ({over.mean:.1f} ± {over.sd:.1f})' if over.seeds > 1 else ''
    ax = spheres.new(figure, spec, label, f'NN gap {gaps[seed]:.1f}°{several}')
    for index, colour in enumerate(style.CLUSTERS):
        spheres.trajectory(ax, paths[:, index], colour)
    spheres.points(ax, paths[-1])
    return epochs


@style.drawing
def figure5(workdirs: Workdirs, output: str | Path) -> Path:
    """Three estimates of mutual information over full-batch training."""
    return _information(
        workdirs,
        output,
        'Estimated mutual information during full-batch training on the Gaussian mixture',
        'Paper: Figure 5',
    )


@style.drawing
def figure7(workdirs: Workdirs, output: str | Path) -> Path:
    """The same under mini-batches."""
    return _information(
        workdirs,
        output,
        'Estimated mutual information during mini-batch training on the Gaussian mixture',
        'Paper: Figure 7',
    )


def _information(workdirs: Workdirs, output: str | Path, title: str, source: str) -> Path:
    runs = run_files.read_all(workdirs)
    rows = paradigms(list(runs.items()), lambda entry: methods.METHODS[entry[0]].paradigm)
    seeds = run_files.seeds(list(runs.values()))
    true = run_files.paper()['true_mi']['nats']
    figure = style.new(10.5, 3.9 * len(rows) + 0.5)
    panels = curves.grid(figure, len(rows))
    for row, group in enumerate(rows):
        for estimator in run_files.ESTIMATORS:
            drawn = [_curve(name, run, estimator) for name, run in group]
            curves.information(
                figure, panels, row, estimator, drawn, None if estimator == 'jsd' else true
            )
    style.heading(
        figure,
        title,
        'Above: SDMI methods, below: JMI methods. Held-out views, cosine critic. cos-DV pools all'
        ' pairs and InfoNCE takes them row by row: on this task they nearly coincide. '
        f'Lines: mean over {seeds}; bands: ± 1 SD. ρ: Spearman correlation with epoch from epoch 1 '
        f'on, mean over seeds. ({source})',
    )
    return style.save(figure, output)


def _curve(name: str, run: run_files.Run, estimator: str) -> curves.Curve:
    epochs, values = statistics.trained(*run_files.series(run, 'mi', estimator))
    correlation = statistics.spearman(epochs, values).mean()
    look = methods.METHODS[name]
    return curves.Curve(
        f'{look.label}, ρ = {statistics.number(correlation, 2)}', look.colour, epochs, values
    )


@style.drawing
def figure6(workdirs: Workdirs, output: str | Path) -> Path:
    """SDMI's two encoders at a few epochs: both views of each centre, the seed whose f has the
    median gap.
    """
    rows = [encoder for encoder in encoders(workdirs) if encoder.key in ('sdmi f', 'sdmi g')]
    if not rows:
        raise ValueError('Figure 6 shows SDMI: give its workdir under the name sdmi')
    run, seed = rows[0].run, run_files.representative(rows[0].run, rows[0].branch)
    epochs = run_files.series(run, 'centres', rows[0].branch)[0]
    shown = sorted({int(np.abs(epochs - wanted).argmin()) for wanted in FIGURE6_EPOCHS})
    # f and g embed into one space, so one rotation serves all panels.
    rotation = spheres.upright(run_files.paths(run, rows[0].branch)[1][-1, seed]).T
    figure = style.new(2.4 * len(shown), 2.75 * len(rows) + 0.6, row_gap=0.1)
    grid = figure.add_gridspec(len(rows), len(shown))
    for row, encoder in enumerate(rows):
        views = run_files.centres(run, encoder.branch)[:, seed] @ rotation
        gaps = run_files.series(run, 'collapse', encoder.branch, 'nn_gap', 'mean')
        for column, time in enumerate(shown):
            gap = gaps[1][gaps[0] == epochs[time]][0, seed]
            title = f'{encoder.label}, epoch {epochs[time]:g}'
            _both_views(figure, grid[row, column], views[time], title, gap)
    style.heading(
        figure,
        "SDMI's two encoders f and g pull the five Gaussian clusters apart",
        'Two views of each cluster centre (circle and triangle, joined by an arc), filled on the '
        f'near side of the sphere, hollow on the far side. NN gap: {GAP_NOTE}. Seed with the '
        'median final gap of f; all spheres have the same rotation. (Paper: Figure 6)',
    )
    return style.save(figure, output)


def _both_views(figure: Figure, spec, views: np.ndarray, title: str, gap: float) -> None:
    """Return both views (2, 5, 3) of the centres at one epoch."""
    apart = np.degrees(np.arccos(np.clip((views[0] * views[1]).sum(axis=1), -1, 1))).mean()
    ax = spheres.new(figure, spec, title, f'NN gap {gap:.0f}°, views {apart:.0f}° apart')
    for index, colour in enumerate(style.CLUSTERS):
        spheres.arc(ax, views[0, index], views[1, index], colour)
    spheres.points(ax, views[1], marker='^', size=34, numbers=False)
    spheres.points(ax, views[0])  # over the triangles, which would hide the numbers


@style.drawing
def nn_gaps(workdirs: Workdirs, output: str | Path) -> Path:
    """Draw every seed's mean gap beside Table 2's."""
    rows = encoders(workdirs)
    reported = run_files.paper()['table2']['rows']
    figure = style.new(7.6, 0.42 * len(rows) + 1.7)
    ax = figure.add_subplot()
    for level, name in ((PENTAGON, '72°\nregular pentagon'), (THOMSON, '90°\nThomson optimum')):
        ax.axvline(level, color=style.GUIDE, linestyle=style.GUIDE_DASHES, linewidth=0.9)
        ax.annotate(
            name,
            (level, 1),
            xycoords=('data', 'axes fraction'),
            xytext=(0, 3),
            textcoords='offset points',
            ha='center',
            va='bottom',
            fontsize=8.0,
            color=style.GUIDE,
        )
    for index, encoder in enumerate(rows):
        gaps = np.sort(run_files.final_gaps(encoder.run, encoder.branch).mean)
        # Neighbouring values alternate around the line, so that equal ones stay visible.
        colour = encoder.look.colour
        ax.scatter(
            gaps,
            index + 0.09 * (np.arange(len(gaps)) % 3 - 1),
            s=22,
            color=colour,
            alpha=0.75,
            linewidths=0,
            zorder=3,
        )
        ax.plot(
            [np.median(gaps)] * 2, [index - 0.3, index + 0.3], color=colour, linewidth=2.0, zorder=3
        )
        ax.scatter(
            reported[encoder.key]['mean'],
            index,
            s=48,
            marker='D',
            facecolors='white',
            edgecolors='black',
            linewidths=1.1,
            zorder=4,
        )
    ax.set(
        yticks=range(len(rows)),
        yticklabels=[encoder.label for encoder in rows],
        xlim=(0, 99),
        ylim=(len(rows) - 0.5, -0.5),
        xlabel='mean nearest-neighbour gap of the five centres (degrees)',
    )
    ax.grid(False, axis='y')
    grey = {'linestyle': '', 'color': style.GUIDE}
    ax.legend(
        loc='lower left',
        handles=[
            Line2D([], [], marker='o', markersize=4, label='one seed', **grey),
            Line2D([], [], marker='|', markersize=11, markeredgewidth=2, label='median', **grey),
            Line2D(
                [],
                [],
                marker='D',
                markersize=6,
                markerfacecolor='white',
                linestyle='',
                color='black',
                label='paper, Table 2',
            ),
        ],
    )
    figure.suptitle('How far apart the cluster centres end, seed by seed', x=0.01, ha='left')
    return style.save(figure, output)
