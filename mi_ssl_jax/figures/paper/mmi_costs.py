"""Memory and time of a training step by method and batch size, as a table and a picture.

rows: [{'batch', 'machine', 'dimension' (of the embedding), 'methods': {method: {'arguments',
'temporaries', 'wall', 'cpu'}}}]; bytes, and seconds a step.
"""

from pathlib import Path
from typing import Any

import numpy as np

from mi_ssl_jax.figures import methods, style
from mi_ssl_jax.figures.tables import Table

MB = 1e6
LOOKS = {'mmi': methods.Look('MMI', '#009E73', None), **methods.METHODS}


def table(rows: list[dict[str, Any]]) -> Table:
    """One row a method and batch size; times beside Barlow Twins'."""
    cells = []
    for row in rows:
        for name, own in row['methods'].items():
            wall, cpu, other = (
                1e3 * np.array(values)
                for values in (own['wall'], own['cpu'], row['methods']['barlow']['wall'])
            )
            memory = (own['arguments'] + own['temporaries']) / MB
            cells.append(
                (
                    f'{LOOKS[name].label}, batch {row["batch"]}',
                    f'{memory:.1f}',
                    f'{own["temporaries"] / MB:.1f}',
                    f'{np.median(wall):.1f}',
                    f'{wall.min():.1f} to {wall.max():.1f}',
                    f'{np.median(cpu):.1f}',
                    f'{np.median(wall / other):.2f}',
                )
            )
    header = (
        'Training step',
        'memory (MB)',
        'of which temporaries',
        'wall (ms)',
        'range',
        'CPU (ms)',
        'wall / Barlow Twins',
    )
    where = rows[0]['machine']
    notes = (
        'Memory: by the compiler, of one device, data set and state included. Times: rounds in'
        ' which the methods take turns; median, least and greatest; the ratio is the median over'
        f' rounds. Measured on {where["processor"]}, {where["cores"]} cores, {where["devices"]};'
        ' load of the machine ' + ', '.join(row['machine']['load'] for row in rows) + '.',
    )
    title = f'Memory and time of a training step, embeddings of dimension {rows[0]["dimension"]}'
    return Table(title, header, cells, notes)


@style.drawing
def draw(rows: list[dict[str, Any]], output: str | Path) -> Path:
    """Temporaries and time of a step against the batch size."""
    figure = style.new(9.0, 4.4)
    panels = figure.subplots(1, 2)
    batches = [row['batch'] for row in rows]
    for name in rows[0]['methods']:
        own = [row['methods'][name] for row in rows]
        walls = [1e3 * np.array(entry['wall']) for entry in own]
        look, memory = LOOKS[name], [entry['temporaries'] / MB for entry in own]
        for ax, values in zip(panels, (memory, list(map(np.median, walls)))):
            ax.plot(
                batches, values, color=look.colour, marker='o', markersize=3.5, label=look.label
            )
        panels[1].fill_between(
            batches,
            list(map(np.min, walls)),
            list(map(np.max, walls)),
            alpha=0.12,
            color=look.colour,
            linewidth=0,
        )
    for ax, what in zip(panels, ('temporaries of a step (MB)', 'time of a step (ms)')):
        ax.set(xlabel='batch size', ylabel=what, ylim=(0, None))
        ax.set_xscale('log', base=2)
        ax.set_xticks(batches, list(map(str, batches)))
    panels[0].legend(loc='upper left')
    style.heading(
        figure,
        f'Cost of a training step: embeddings of dimension {rows[0]["dimension"]}',
        'Memory by the compiler’s account. Times: median over rounds in which the methods take '
        'turns; bands: least to greatest.',
    )
    return style.save(figure, output)
