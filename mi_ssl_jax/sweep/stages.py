"""The stages of a search: the grid, its best run with another layer, the better of the two at full
length.
"""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from mi_ssl_jax.sweep import plan, results

# What decides, and all that a run which is only compared needs.
PROBED, BY_ALL_LABELS = '--config.probe.at_end=True', "--config.probe.labels=('all',)"


def search(
    module: ModuleType,
    stage: str,
    method: str,
    data: str,
    *,
    workdir: Path,
    overrides: Sequence[str],
    together: int | None,
) -> plan.Search:
    """The search of one stage. Later ones take up the flags, overrides included, of the best run
    before.

    ValueError: an unknown method or data set, a stage that the file does not have, an unfinished
    one before.
    """
    runs = plan.runs(module, method, data)
    if stage != 'grid':
        runs = [_later(module, stage, workdir / f'{method}_{data}')]
    own = [PROBED] if stage == 'final' else [PROBED, BY_ALL_LABELS]
    found = plan.search(
        stage, method, data, runs, workdir=workdir, overrides=[*own, *overrides], together=together
    )
    config = found.members[0].config
    if not config.probe.at_end or 'all' not in config.probe.labels:
        raise ValueError(
            "a sweep is ranked by the linear probe: keep probe.at_end on and 'all' among "
            'probe.labels'
        )
    return found


def _later(module: ModuleType, stage: str, folder: Path) -> dict:
    name = {'second': 'second_stage', 'final': 'final'}[stage]
    if not hasattr(module, name):
        raise ValueError(f'{module.__name__} has no {name}(): it has no stage {stage}')
    best, accuracy = _best(folder / 'grid')
    if stage == 'final' and hasattr(module, 'second_stage'):
        other, its_accuracy = _best(folder / 'second')
        best = other if its_accuracy > accuracy else best
    flags = {key: value for key, value in best.items() if not key.startswith('config.probe.')}
    return getattr(module, name)(flags)


def _best(folder: Path) -> tuple[dict, float]:
    stage = plan.stored(folder)
    left = sum(results.status(member) == 'unfinished' for member in stage.members)
    if left:
        raise ValueError(
            f'{left} of {len(stage.members)} configurations in {folder} are not finished: '
            f'finish that stage (--stage={folder.name}) first'
        )
    member, accuracy = results.best(stage)
    return member.flags, accuracy
