"""A small search, as files on disk and as configurations that train in a second."""

from pathlib import Path

from mi_ssl_jax.sweep import plan, stages
from tests.helpers import probed

FILE = '''"""Two learning rates, two temperatures, two widths."""

METHODS = ('jmi',)
DATA = ('{data}',)


def grid(method, data):
    return [{{'config': f'configs/{{method}}_{{data}}.py', 'config.epochs': 3,
             'config.net.projector': (8, width), 'config.lr': lr,
             'config.method.temperature': temperature}}
            for lr in {rates} for temperature in (0.5, 1.0) for width in (2, 3)]


def second_stage(best):
    return {{**best, 'config.net.projector': (8, 8, best['config.net.projector'][-1])}}


def final(winner):
    return {{**winner, 'config.epochs': 5}}
'''
SMALL = ('--config.batch_size=50', '--config.data.limit=100', '--config.log_every=2')


def write(folder: Path, *, data='gaussian', rates=(0.1, 0.3)) -> Path:
    """A search's file."""
    path = folder / 'my_search.py'
    path.write_text(FILE.format(data=data, rates=rates))
    return path


def search(
    file: Path, workdir: Path, *, stage='grid', overrides=SMALL, together=None
) -> plan.Search:
    module = plan.load(file)
    return stages.search(
        module,
        stage,
        'jmi',
        module.DATA[0],
        workdir=workdir,
        overrides=overrides,
        together=together,
    )


def finish(found: plan.Search, accuracies) -> None:
    """Give a search's members results that were never measured; None leaves one out."""
    plan.write(found)
    for member, accuracy in zip(found.members, accuracies, strict=True):
        if accuracy is not None:
            probed.write(
                member.folder, 'jmi', [accuracy], data=found.data, epochs=member.config.epochs
            )
