"""The paper's Table 1: linear-probe accuracies of all methods on the four data sets, beside the
paper's.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from mi_ssl_jax.figures import methods, probes, run_files, statistics
from mi_ssl_jax.figures.probes import Pool
from mi_ssl_jax.figures.tables import Table

DAGGER, NOT_RUN = '†', 'not run'


def table(pools: Sequence[Pool], data: Sequence[str] = tuple(probes.DATA)) -> Table:
    """Rows SDMI f, SDMI g and the seven other methods; for each data set ours and the paper's.

    Pools of other variants or data sets are not in it: see `inside`.
    """
    cells = {(pool.variant, pool.data): pool for pool in pools}
    rows = []
    for key, reported in run_files.paper()['table1']['rows'].items():
        name, _, letter = key.partition(' ')
        label = methods.METHODS[name].label
        found = [(_ours(cells.get((label, set_)), letter), spread(reported[set_])) for set_ in data]
        rows.append((f'{label} {letter}'.strip(), *sum(found, ())))
    header = ('Model', *sum(((probes.DATA[set_], 'paper') for set_ in data), ()))
    shown = [pool for pool in cells.values() if pool.data in data and inside(pool)]
    notes = [
        'Top-1 accuracy of a linear probe on frozen backbone features, held-out split, mean ± SD'
        ' over seeds; in brackets how many seeds. The paper: 3 seeds, ResNet-18 trained 1000'
        ' epochs, on ImageNet-100 ResNet-50 trained 800.'
    ]
    notes += [
        f'{DAGGER} {pool.variant} on {probes.DATA[pool.data]}: {", ".join(short)}.'
        for pool in shown
        if (short := probes.shortfalls(pool.members[0]))
    ]
    return Table('Table 1: linear-probe accuracy (%)', header, rows, tuple(notes))


def inside(pool: Pool) -> bool:
    """Whether Table 1 has a place for it: a method as the paper has it, on one of its data sets."""
    return pool.data in probes.DATA and pool.variant in {
        look.label for look in methods.METHODS.values()
    }


def settings(pools: Sequence[Pool]) -> Table:
    """Describe the training and the probe behind each number."""
    protocols = list(dict.fromkeys(pool.members[0].protocol for pool in pools))
    rows = []
    for pool in pools:
        first = pool.members[0]
        config, before = first.run.config, pool.untrained()
        rows.append(
            (
                f'{pool.variant} on {probes.DATA.get(pool.data, pool.data)}',
                config['net']['name'],
                _widths(config['net']),
                f'{first.epochs:g}',
                str(config['batch_size']),
                f'{config["lr"]:g}',
                f'{config["weight_decay"]:g}',
                str(_seeds(pool)),
                spread(over(before)) if len(before) else '–',
                str(protocols.index(first.protocol) + 1),
                _folders(pool),
            )
        )
    header = (
        'Run',
        'network',
        'projector',
        'epochs',
        'batch',
        'lr',
        'weight decay',
        'seeds',
        'untrained',
        'probe',
        'folders',
    )
    notes = [
        'Untrained: the same probe on the encoder before training. The probes, on the held-out'
        ' split:'
    ]
    notes += [f'({number}) {protocol}' for number, protocol in enumerate(protocols, 1)]
    return Table('How the numbers were obtained', header, rows, tuple(notes))


def over(values: np.ndarray) -> dict[str, float]:
    """Mean and deviation of one value a seed, as the paper's cells have them."""
    own = statistics.spread(values)
    return {'mean': own.mean, 'std': own.sd}


def spread(cell: Mapping[str, float]) -> str:
    """'88.61 ± 0.13'; the mean alone where there is no deviation."""
    sd = '' if np.isnan(cell['std']) else f' ± {cell["std"]:.2f}'
    return f'{cell["mean"]:.2f}{sd}'


def _ours(pool: Pool | None, letter: str) -> str:
    if pool is None:
        return NOT_RUN
    values = pool.accuracy(letter)
    mark = f' {DAGGER}' if probes.shortfalls(pool.members[0]) else ''
    return f'{spread(over(values))} ({len(values)}){mark}'


def _widths(net: Mapping) -> str:
    return '-'.join(map(str, net['projector'])) or 'none'


def _seeds(pool: Pool) -> int:
    return sum(member.run.config['seeds'] for member in pool.members)


def _folders(pool: Pool) -> str:
    return ', '.join(str(member.folder) for member in pool.members)
