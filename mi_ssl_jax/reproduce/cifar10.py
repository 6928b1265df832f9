"""Figure 2: all methods on CIFAR-10, with mutual information on held-out images while they
train.
"""

from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from mi_ssl_jax.figures import probes, tables
from mi_ssl_jax.figures.paper import figure2, scatter, table1
from mi_ssl_jax.reproduce import training
from mi_ssl_jax.runs import after_training, run

PAPER_NETWORK = 'resnet18'
WIDEST, LAST = (
    256,
    128,
)  # of the projectors of smaller networks, whose heads would cost more than they do


def reproduce(*, workdir: Path, methods: Sequence[str], **options) -> None:
    """Train and probe each method, then draw, tabulate and report. options: of `configuration`."""
    configs = {name: configuration(name, **options) for name in methods}
    changes = {name: changed(name, config) for name, config in configs.items()}
    for name, words in changes.items():
        print(f'{name}: {words}')
    folders = {name: _train(config, workdir / name) for name, config in configs.items()}
    found, _ = probes.read_all(list(folders.values()))
    pictures = [
        figure2.draw(folders, workdir / 'figures' / 'figure2.png'),
        scatter.draw(found, workdir / 'figures' / 'scatter.png'),
    ]
    pools = probes.pools(found)
    shown = [figure2.table(folders), table1.table(pools, ('cifar10',)), scatter.table(found)]
    for table in shown:
        print(tables.text(table))
    report = workdir / 'report.md'
    report.write_text(
        '\n\n'.join(
            [
                '# Mutual information during training on CIFAR-10 (Figure 2)',
                'Changed in configs/METHOD_cifar10.py:',
                '\n'.join(f'- {name}: {words}' for name, words in changes.items()),
                *(tables.markdown(table).strip() for table in (*shown, table1.settings(pools))),
                *(f'![{path.stem}](figures/{path.name})' for path in pictures),
            ]
        )
        + '\n'
    )
    for path in (*pictures, report):
        print(f'wrote {path}')


def configuration(
    name: str,
    *,
    net: str,
    epochs: int,
    seeds: int,
    batch_size: int | None,
    mi_every_steps: int | None,
) -> ConfigDict:
    """configs/<name>_cifar10.py with these options.

    batch_size: None for the configuration's. mi_every_steps: 0 for evaluations by epochs, about a
    hundred; None for 50 up to five epochs, by epochs beyond.
    """
    config = training.config(f'{name}_cifar10')
    config.net.name, config.epochs, config.seeds = net, epochs, seeds
    config.batch_size = batch_size or config.batch_size
    if net != PAPER_NETWORK:
        config.net.projector = narrowed(config.net.projector)
    steps = (50 if epochs <= 5 else 0) if mi_every_steps is None else mi_every_steps
    config.mi.every, config.mi.every_steps = max(1, epochs // 100), steps
    config.log_every = min(config.log_every, steps or config.log_every)
    config.probe.labels = ('all',)
    return config


def narrowed(projector: Sequence[int]) -> tuple[int, ...]:
    """Limit a projector to the same number of layers of at most `WIDEST`, and at most `LAST`
    outputs.
    """
    return (*(min(width, WIDEST) for width in projector[:-1]), min(projector[-1], LAST))


def changed(name: str, config: ConfigDict) -> str:
    """Describe the differences from configs/<name>_cifar10.py."""
    plain = training.config(f'{name}_cifar10')
    words = [
        f'{field} {here[field]}, was {there[field]}'
        for here, there, fields in (
            (config, plain, ('epochs', 'seeds', 'batch_size')),
            (config.net, plain.net, ('name', 'projector')),
        )
        for field in fields
        if here[field] != there[field]
    ]
    every = (
        f'{config.mi.every_steps} steps' if config.mi.every_steps else f'{config.mi.every} epochs'
    )
    return '; '.join([*words, f'mutual information every {every}'])


def _train(config: ConfigDict, workdir: Path) -> Path:
    after_training.finish(run.run(config, workdir), workdir)
    return workdir
