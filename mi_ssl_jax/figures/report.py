"""report.md: one run in plain language, with its numbers, how they were measured, and its
pictures.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mi_ssl_jax.figures import finetuned, label_free, methods, run_files, statistics, tables, timing
from mi_ssl_jax.figures.statistics import number
from mi_ssl_jax.figures.tables import Table

# Pictures of training.draw, and what to look for in each.
CAPTIONS = {
    'loss.png': 'The loss that is minimised, and below it the two terms it consists of.',
    'mi.png': (
        'Mutual information between the embeddings of two views of held-out examples; it should'
        ' rise.'
    ),
    'collapse.png': (
        'Whether embeddings of different examples stay different. Dashed: an even distribution.'
    ),
    'label_free.png': 'Figures by which encoders are chosen where there are no labels.',
    'trajectory.png': 'How the five cluster centres move over the embedding sphere.',
}
READOUT = 'readout.json'
KINDS = {'lower': 'lower', 'upper': 'upper', 'neither': 'no bound'}
PARADIGMS = {
    'sdmi': 'an SDMI method: encoders updated in alternation',
    'jmi': 'a JMI method: one encoder for both views',
}


def write(workdir: str | Path, notes: Sequence[str] = ()) -> Path:
    """Write workdir/report.md from what the run's files hold; parts that were not measured are left
    out.

    notes: sentences to put on top, such as a collapse that was found.
    """
    workdir = Path(workdir)
    run = run_files.read(workdir)
    sections = [
        f'# {run_files.look(run).label} on {run.config["data"]["name"]}',
        *notes,
        setting(run),
    ]
    if not run.lines:
        sections.append('Nothing has been measured yet.')
    found = workdir / READOUT
    if found.exists():
        remedy = 'python -m mi_ssl_jax.readout writes it anew'
        sections += ['## Read-out', read_out(run_files.json_value(found, dict, remedy), found)]
    for title, needs, part in (
        ('Mutual information', 'mi', information),
        ('Collapse', 'collapse', collapse),
        ('Without labels', 'label_free', without_labels),
    ):
        trained = part is not information or not found.exists() or run.lines[-1]['epoch'] > 0
        if trained and run_files.keys(run, needs):
            sections += [f'## {title}', part(run)]
    if run.config['method']['name'] in methods.METHODS and run_files.keys(run, 'centres'):
        sections += [
            "## Compared with the paper's Table 2",
            "The paper's values belong to its settings, ours to those above.",
            tables.markdown(tables.table2({run.config['method']['name']: workdir})),
        ]
    if (workdir / 'probe.json').exists():
        sections += ['## Probes', probes(run_files.probe_result(workdir / 'probe.json'), run)]
    tuned = finetuned.results(workdir)
    if tuned:
        sections += ['## Fine-tuning', tables.markdown(finetuned.table(tuned))]
    spent = timing.read(workdir)
    if spent:
        sections += ['## Time', time(spent)]
    sections += pictures(workdir)
    path = workdir / 'report.md'
    path.write_text('\n\n'.join(section.strip() for section in sections) + '\n')
    return path


def setting(run: run_files.Run) -> str:
    """Describe the run as a list, with where to find the rest."""
    where = (
        'All settings: config.json. All numbers: metrics.jsonl. Versions and device:'
        ' environment.json'
    )
    return '\n'.join(f'- {line}' for line in (*facts(run), where))


def facts(run: run_files.Run) -> list[str]:
    """Method, data, network and training of a run, a line each."""
    config, look = run.config, run_files.look(run)
    arguments = ', '.join(
        f'{key} = {value}' for key, value in config['method'].items() if key != 'name'
    )
    done = run.lines[-1]['epoch'] if run.lines else 0
    start = config['net'].get('weights', 'none')
    return [
        f'Method: {look.label}'
        + (f', {PARADIGMS[look.paradigm]}' if look.paradigm else '')
        + (f' ({arguments})' if arguments else ''),
        (
            f'Data: {config["data"]["name"]}; views: {config["views"]["name"]}; network:'
            f' {config["net"]["name"]}' + (f', begun with {start}' if start != 'none' else '')
        ),
        (
            f'Training: {done:g} of {config["epochs"]} epochs, batch size {config["batch_size"]}, '
            f'{config["optimizer"]["name"]}, learning rate {config["lr"]:g}, weight decay '
            f'{config["weight_decay"]:g}'
        ),
        f'Seeds: {config["seeds"]}, starting at {config["seed"]}',
    ]


def information(run: run_files.Run) -> str:
    """The three estimates at the start, at the end and on the way."""
    rows = []
    for estimator in run_files.keys(run, 'mi'):
        epochs, values = statistics.trained(*run_files.series(run, 'mi', estimator))
        if len(epochs) == 0:
            return 'Measured before training only.'
        rows.append(
            (
                run_files.ESTIMATORS[estimator],
                statistics.cell(values[0], 3),
                statistics.cell(values[-1], 3),
                _half_width(run, estimator),
                number(values.max(), 3),
                number(statistics.spearman(epochs, values).mean(), 3),
            )
        )
    true = run_files.paper()['true_mi']['nats']
    known = (
        f' The true mutual information of the two views is {true} nats, which no valid bound'
        ' exceeds but for sampling error.'
    )
    note = (
        'Between the embeddings of two views of held-out examples, with frozen encoders and a'
        f' cosine critic at temperature {run.config["mi"]["temperature"]:g}. First: at the first'
        f' evaluation after training began (epoch {epochs[0]:g}); last: at epoch {epochs[-1]:g};'
        ' interval: half the width of its 95 % bootstrap interval over examples, mean over seeds;'
        ' maximum over epochs and seeds. Spearman: rank correlation with the epoch, 1 when the'
        ' estimate never falls. cos-DV and InfoNCE are lower bounds in nats; JSD is -1.386 for'
        f' independent views and below 0 always.{known if run_files.on_gaussian(run) else ""}'
    )
    header = ('estimator', 'first', 'last', 'interval', 'maximum', 'Spearman')
    return tables.markdown(Table('Estimates', header, rows, (note,)))


def read_out(found: dict[str, Any], path: Path) -> str:
    """Information that two views share in an encoder that was not trained here, and its rank.

    ValueError: `found`, read from `path`, lacks something.
    """
    try:
        rows = [
            (run_files.ESTIMATORS[name], 'cosine', 'lower' if name != 'jsd' else 'not nats')
            + (number(value, 3), _ends(found['intervals'][name]))
            for name, value in found['cosine'].items()
        ]
        rows += [
            (name, one['critic'] or 'none', KINDS[one['kind']])
            + (number(np.nan if one['mi'] is None else one['mi'], 3), _ends(one['interval']))
            for name, one in found['learned'].items()
        ]
        rank, width = found['collapse']['effective_rank'], found['dimension']
        note = (
            f'{found["network"]} from {found["weights"]}: features of two views of'
            f' {found["examples"]} held-out examples, which a lower bound says share at least so'
            ' much. Intervals: of the cosine critic 95 % over examples; of learned critics the'
            ' spread of their fits, which does not promise to hold the truth. Effective rank'
            f' {rank:.1f} of {width}; {found["varying"]} columns vary; spread {found["spread"]:.2f}'
            ' of an even one.'
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path} is damaged ({error}): read the encoder out again') from error
    header = ('estimate', 'critic', 'bound', 'nats', 'interval')
    return tables.markdown(Table('Read-out', header, rows, (note,)))


def _ends(interval: Sequence[float | None]) -> str:
    return ' to '.join('–' if end is None else number(end, 3) for end in interval)


def collapse(run: run_files.Run) -> str:
    """Spread, effective rank and separation of every branch at the last evaluation."""
    width, rows = run_files.width(run), []
    for branch in run_files.keys(run, 'collapse'):
        std, rank = (
            run_files.series(run, 'collapse', branch, name)[1][-1]
            for name in ('std', 'effective_rank')
        )
        gap = '–'  # of data without classes
        if run_files.keys(run, 'collapse', branch, 'nn_gap'):
            gap = statistics.cell(
                run_files.series(run, 'collapse', branch, 'nn_gap', 'mean')[1][-1], 1
            )
        even = f'{100 * std.mean() * np.sqrt(width):.0f} %' if width else '–'
        std_cell, rank_cell = statistics.cell(std, 3), statistics.cell(rank, 2)
        rows.append((branch, std_cell, even, rank_cell, gap))
    of = f' of {width}' if width else ''
    note = (
        'Of held-out embeddings of unit length. Spread: standard deviation of a feature, mean over'
        ' features, and its share of an even spread over the sphere; near 0 when all embeddings are'
        ' the same. Effective rank: how many directions are in use; 1 when all lie on one line. NN'
        ' gap: mean angle from a class to its nearest other class; near 0 when classes have merged.'
    )
    header = ('branch', 'spread', 'of an even spread', f'effective rank{of}', 'NN gap (°)')
    return tables.markdown(Table('At the last evaluation', header, rows, (note,)))


def without_labels(run: run_files.Run) -> str:
    """The figures of mi.label_free of every branch, at the start and at the end."""
    rows = []
    for branch in run_files.keys(run, 'label_free'):
        present = run_files.keys(run, 'label_free', branch)
        for name, own in label_free.FIGURES.items():
            if name not in present:
                continue
            epochs, values = run_files.series(run, 'label_free', branch, name)
            ends = [statistics.cell(value, 3) for value in (values[0], values[-1])]
            rows.append((own.label, branch, *ends, own.better))
    note = (
        f'At epochs {epochs[0]:g} and {epochs[-1]:g}, of held-out examples. RankMe (effective'
        ' rank), LiDAR (rank of the discriminants between examples, 100 of ten views each) and'
        ' α-ReQ (decay of the eigenspectrum): of backbone features. Alignment (mean squared'
        ' distance of two views) and uniformity (log mean e^(-2 d^2) over pairs): of embeddings of'
        ' unit length.'
    )
    header = ('figure', 'branch', 'first', 'last', 'better')
    return tables.markdown(Table('Figures without labels', header, rows, (note,)))


def probes(found: dict[str, Any], run: run_files.Run) -> str:
    """Accuracies of probe.json on frozen features, each with its protocol."""
    rows = [
        (
            row['encoder'],
            row['probe'],
            row['labels'],
            statistics.cell(np.array(row['seeds']), 1),
            ', '.join(f'{value:.1f}' for value in row['seeds']),
        )
        for row in found['rows']
    ]
    protocols = dict.fromkeys(
        f'{row["probe"]}, {row["labels"]}: {row["protocol"]}' for row in found['rows']
    )
    notes = '\n'.join(f'- {line}' for line in protocols)
    header = ('encoder', 'probe', 'labels', 'mean', 'seeds')
    return tables.markdown(
        Table(
            'Top-1 accuracy on the held-out split (%)',
            header,
            rows,
            (
                'Mean ± SD over seeds (one number: one seed), of frozen backbone features.',
                notes,
                *_table1(run),
            ),
        )
    )


def time(spent: timing.Timing) -> str:
    """Where the wall time of the training loop went."""
    rows = [
        (name, f'{seconds:.1f}', f'{100 * seconds / spent.seconds:.1f} %')
        for name, seconds in timing.parts(spent).items()
    ]
    sessions = f' in {spent.sessions} sessions' if spent.sessions > 1 else ''
    note = (
        f'Of {timing.clock(spent.seconds)} (h:mm:ss){sessions}, from the first evaluation to the'
        ' last checkpoint; loading, probes and pictures are not in it. Training steps: with the'
        ' wait for data; their share is the goodput. Compilation: by XLA, or reading what it has'
        ' compiled before. Checkpoints: only what training waited for, since they are written'
        ' beside it.'
    )
    if not rows:
        return f'Training took {timing.clock(spent.seconds)} (h:mm:ss){sessions}.'
    return tables.markdown(Table('Wall time', ('part', 'seconds', 'share'), rows, (note,)))


def pictures(workdir: Path) -> list[str]:
    """The run's pictures with their captions."""
    found = [name for name in CAPTIONS if (workdir / 'figures' / name).exists()]
    shown = [f'![{name}](figures/{name})\n\n{CAPTIONS[name]}' for name in found]
    return ['## Pictures', *shown] if shown else []


def _half_width(run: run_files.Run, estimator: str) -> str:
    """Return half the width of the last interval, which exists only at the end of training."""
    if not run_files.keys(run, 'mi_interval'):
        return '–'
    low, high = (
        run_files.series(run, 'mi_interval', estimator, end)[1][-1] for end in ('low', 'high')
    )
    return f'± {number(np.mean(high - low) / 2, 3)}'


def _table1(run: run_files.Run) -> tuple[str, ...]:
    """The paper's own accuracies for this method and data, where it has them."""
    table, name, data = (
        run_files.paper()['table1'],
        run.config['method']['name'],
        run.config['data']['name'],
    )
    found = [
        f'{row.replace(name, run_files.look(run).label)} {values[data]["mean"]} ±'
        f' {values[data]["std"]}'
        for row, values in table['rows'].items()
        if row.split()[0] == name and data in values
    ]
    return (f'Paper: {", ".join(found)} ({table["source"]}).',) if found else ()
