"""The paper's Figure 2: mutual information while the eight methods train on images, drawn and in
numbers.
"""

from pathlib import Path

import numpy as np

from mi_ssl_jax.figures import curves, methods, probes, run_files, statistics, style
from mi_ssl_jax.figures.paper import gaussian
from mi_ssl_jax.figures.statistics import number
from mi_ssl_jax.figures.tables import Table


@style.drawing
def draw(workdirs: gaussian.Workdirs, output: str | Path) -> Path:
    """SDMI methods above JMI methods; cos-DV, InfoNCE, JSD; {method: workdir}."""
    runs = run_files.read_all(workdirs)
    rows = gaussian.paradigms(list(runs.items()), lambda entry: methods.METHODS[entry[0]].paradigm)
    figure = style.new(11.4, 4.1 * len(rows) + 0.5)
    panels = curves.grid(figure, len(rows))
    for row, group in enumerate(rows):
        for estimator in run_files.ESTIMATORS:
            drawn = [_curve(name, run, estimator) for name, run in group]
            curves.information(figure, panels, row, estimator, drawn, None)
    first = next(iter(runs.values())).config
    data = probes.DATA.get(first['data']['name'], first['data']['name'])
    conditions = run_files.conditions(
        {methods.METHODS[name].label: run for name, run in runs.items()}
    )
    style.heading(
        figure,
        f'Estimated mutual information during training on {data}',
        f'{_rows(rows)}{conditions} Held-out views, cosine critic of temperature '
        f'{first["mi"]["temperature"]:g}; lines: mean over {run_files.seeds(list(runs.values()))}, '
        'bands: ± 1 SD. ρ: Spearman correlation with training time, from the first evaluation '
        'after training began. SimSiam: with its encoder of the previous epoch. (Paper: '
        'Figure 2)',
    )
    return style.save(figure, output)


def table(workdirs: gaussian.Workdirs) -> Table:
    """Format how monotonically each estimate of {method: workdir} grows, and its final value."""
    rows = []
    for name, run in run_files.read_all(workdirs).items():
        for estimator, label in run_files.ESTIMATORS.items():
            epochs, values = trained(run, estimator)
            numbers = (
                statistics.spearman(epochs, values).mean(),
                values[0].mean(),
                values[-1].mean(),
                values.max(),
            )
            rows.append(
                (
                    methods.METHODS[name].label,
                    label,
                    str(len(epochs)),
                    *(number(value, 3) for value in numbers),
                )
            )
    header = ('Model', 'estimator', 'evaluations', 'Spearman', 'first', 'final', 'maximum')
    note = (
        'Spearman correlation with training time, first and final value are means over seeds, from'
        ' the first evaluation after training began; the maximum is over evaluations and seeds.'
        ' cos-DV and InfoNCE are lower bounds in nats; JSD is -1.386 for independent views.'
    )
    return Table('Mutual information over training', header, rows, (note,))


def trained(run: run_files.Run, estimator: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs (T,), which may be fractions, and values (T, seeds), without the one before training.

    Raises:
        ValueError: there is no other one.
    """
    epochs, values = run_files.series(run, 'mi', estimator)
    if not (epochs > 0).any():
        raise ValueError(
            f'a {run_files.look(run).label} run was evaluated before training only: '
            'train it further'
        )
    return epochs[epochs > 0], values[epochs > 0]


def _rows(groups: list[list]) -> str:
    return 'Above: SDMI methods, below: JMI methods. ' if len(groups) > 1 else ''


def _curve(name: str, run: run_files.Run, estimator: str) -> curves.Curve:
    epochs, values = trained(run, estimator)
    correlation = number(statistics.spearman(epochs, values).mean(), 2)
    look = methods.METHODS[name]
    label = f'{look.label}\nρ {correlation}, final {number(values[-1].mean(), 3)}'
    return curves.Curve(label, look.colour, epochs, values)
