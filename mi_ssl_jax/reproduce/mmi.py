"""Explicit MMI (arXiv 2409.04747): the first experiments and next checks that its public digest
lists, small.

Against Barlow Twins and SimSiam; the projector's dimension; with and without momentum encoder; the
Taylor order, with accuracy and stability; memory and time of a step. Heavy tails and generalised
Gaussians: `reproduce mi_benchmark`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from mi_ssl_jax.figures import tables
from mi_ssl_jax.figures.paper import mmi as figures
from mi_ssl_jax.figures.paper import mmi_costs as cost_figures
from mi_ssl_jax.reproduce import cifar10, mmi_costs, training
from mi_ssl_jax.runs import after_training, probes, run, run_folder
from mi_ssl_jax.train import loop

EPOCHS = {'digits': 40, 'cifar10': 3}
SEEDS = {'digits': 3, 'cifar10': 1}
# The paper's 256 to 2048, the first of each the usual one here; 1,437 digits have no use for 2048.
WIDTHS = {'digits': (64, 256, 512, 1024), 'cifar10': (256, 512, 1024, 2048)}
ORDERS = (2, 4, 6)
HARDER = 10.0  # times the learning rate, to see which orders still train


class Variant(NamedTuple):
    """One run. label: in tables. arguments: changed ones of the method. width: of the embedding,
    None for the configuration's. lr: factor on the configuration's learning rate.
    """

    folder: str
    label: str
    method: str = 'mmi'
    arguments: Mapping[str, Any] = {}
    width: int | None = None
    lr: float = 1.0


MMI = Variant('mmi', 'MMI')


def parts(data: str) -> dict[str, tuple[Variant, ...]]:
    """Part -> its runs; a run that several parts name is trained once."""
    harder = f', learning rate × {HARDER:g}'
    return {
        'methods': (
            MMI,
            Variant('corinfomax', 'CorInfoMax', 'corinfomax'),
            Variant('barlow', 'Barlow Twins', 'barlow'),
            Variant('simsiam', 'SimSiam', 'simsiam'),
        ),
        'projector': (
            MMI._replace(label=f'dimension {WIDTHS[data][0]}'),
            *(
                Variant(f'dimension-{width}', f'dimension {width}', width=width)
                for width in WIDTHS[data][1:]
            ),
        ),
        'form': (
            MMI._replace(label='differences'),
            Variant('joint', 'joint covariance', arguments={'form': 'joint'}),
        ),
        'momentum': (
            MMI._replace(label='off'),
            Variant('momentum', 'on', arguments={'momentum_encoder': True}),
        ),
        'order': (
            *(_of_order(order) for order in ORDERS),
            *(
                _of_order(order)._replace(
                    folder=f'order-{order}-harder', label=f'order {order}{harder}', lr=HARDER
                )
                for order in ORDERS
            ),
            Variant('no-rescaling', 'order 4 without rescaling', arguments={'rescale': False}),
        ),
        'costs': (),
    }


def _of_order(order: int) -> Variant:
    if order == 4:
        return MMI._replace(label='order 4')
    return Variant(f'order-{order}', f'order {order}', arguments={'order': order})


def reproduce(
    *, workdir: Path, data: str, only: Sequence[str], epochs: int | None, seeds: int | None
) -> None:
    """Train what is not there yet, then tabulate, draw and report all parts that are there.

    only: the parts to train; the others are reported where they are finished. epochs, seeds: None
    for EPOCHS, SEEDS.
    """
    epochs, seeds = epochs or EPOCHS[data], seeds or SEEDS[data]
    known = parts(data)
    wanted = {variant.folder: variant for part in only for variant in known[part]}
    for variant in wanted.values():
        train(configuration(variant, data, epochs=epochs, seeds=seeds), workdir / variant.folder)
    if 'costs' in only:
        mmi_costs.measure(
            workdir / 'costs',
            lambda name: configuration(
                Variant(name, name, name, width=WIDTHS[data][-1]), data, epochs=epochs, seeds=1
            ),
        )
    found = {
        part: {variant.label: workdir / variant.folder for variant in own}
        for part, own in known.items()
    }
    shown = {part: own for part, own in found.items() if own and all(map(done, own.values()))}
    report(workdir, data, shown)


def configuration(variant: Variant, data: str, *, epochs: int, seeds: int) -> ConfigDict:
    """configs/<method>_<data>.py with the variant's changes; on CIFAR-10 a small network."""
    if data == 'digits':
        config = training.config(f'{variant.method}_digits')
        config.epochs, config.seeds = epochs, seeds
        config.warmup_epochs = min(config.warmup_epochs, epochs - 1)
    else:
        config = cifar10.configuration(
            variant.method,
            net='conv4',
            epochs=epochs,
            seeds=seeds,
            batch_size=None,
            mi_every_steps=0,
        )
        config.mi.examples = 2000
        # One width for all methods: the paper's Table 5 has others for some.
        config.net.projector = (*config.net.projector[:-1], WIDTHS[data][0])
    if variant.width:
        config.net.projector = (*config.net.projector[:-1], variant.width)
    config.method.update(variant.arguments)
    config.lr = variant.lr * config.lr
    return config


def train(config: ConfigDict, workdir: Path) -> None:
    """Train and probe, or notice that it is done. A loss that is not finite is a result:
    diverged.txt says what happened, and the run is not repeated.
    """
    note = workdir / figures.DIVERGED
    if note.exists():
        run_folder.check_same(config, workdir, force=False, say=print)
        return
    try:
        ready = run.run(config, workdir)
    except loop.Diverged as error:
        note.write_text(f'{error}\n')
        print(f'{workdir} diverged: {error}')
        return
    print(f'{workdir}:\n{probes.text(after_training.probed(ready, workdir))}')


def done(workdir: Path) -> bool:
    """Whether a run has ended, well or not."""
    return (workdir / 'probe.json').exists() or (workdir / figures.DIVERGED).exists()


def report(workdir: Path, data: str, shown: dict[str, dict[str, Path]]) -> None:
    """Print, draw and write what is there."""
    made = [figures.table(part, own) for part, own in shown.items()]
    pictures = [figures.draw(shown, workdir / 'figures' / 'accuracy.png')] if shown else []
    rows = mmi_costs.found(workdir / 'costs')
    if rows:
        made.append(cost_figures.table(rows))
        pictures.append(cost_figures.draw(rows, workdir / 'figures' / 'costs.png'))
    print('\n'.join(map(tables.text, made)))
    page = workdir / 'report.md'
    page.write_text(
        '\n\n'.join(
            [
                f'# Explicit mutual information maximisation on {data} (arXiv 2409.04747)',
                figures.paper(),
                *(tables.markdown(table).strip() for table in made),
                *(f'![{picture.stem}](figures/{picture.name})' for picture in pictures),
            ]
        )
        + '\n'
    )
    for path in (*pictures, page):
        print(f'wrote {path}')
