"""From a file such as configs/sweep_cifar.py to configurations, folders and jobs; without JAX.

A search is one stage for one method and data set. Its folder, WORKDIR/<method>_<data>/<stage>/,
holds sweep.json, the results and, for each configuration, a run's folder. A job is what one program
trains.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from absl import flags as absl_flags
from ml_collections import ConfigDict
from ml_collections import config_flags as ml_flags

from mi_ssl_jax.cli import config_file
from mi_ssl_jax.figures import run_files
from mi_ssl_jax.runs import run_folder

STAGES = ('grid', 'second', 'final')
# Arguments of the compiled step (experiment.build.traced): configurations that differ in these
# alone share it. A method of the user's own may not read its temperature from them.
TRACED = ('lr', 'weight_decay', 'method.temperature')
TRACED_BY_ANY_METHOD = ('lr', 'weight_decay')
LARGE = ('resnet18', 'resnet50')  # one of these fills a device; all other networks are small


class Member(NamedTuple):
    """A configuration of a search. flags: those of mi_ssl_jax.main. folder: its run's."""

    flags: dict[str, Any]
    config: ConfigDict
    folder: Path


class Search(NamedTuple):
    """One stage of a method on a data set. jobs: each the members that one program trains."""

    method: str
    data: str
    stage: str
    folder: Path
    jobs: tuple[tuple[Member, ...], ...]

    @property
    def members(self) -> list[Member]:
        return [member for job in self.jobs for member in job]


def load(file: Path) -> ModuleType:
    """The file as a module. ValueError when it does not describe a search."""
    if not file.is_file():
        raise ValueError(f'no file {file}: give one such as configs/sweep_cifar.py')
    module = config_file.module(str(file))
    missing = [name for name in ('METHODS', 'DATA', 'grid') if not hasattr(module, name)]
    if missing:
        raise ValueError(
            f'{file} is not a search: it has no {missing[0]}; see configs/sweep_cifar.py'
        )
    return module


def runs(module: ModuleType, method: str, data: str) -> list[dict[str, Any]]:
    """The flags of the grid's runs. ValueError for a method or data set that the search does not
    have.
    """
    if method not in module.METHODS:
        raise ValueError(f"no method '{method}' in this search; it has {', '.join(module.METHODS)}")
    found = module.grid(method, data)
    if not found:
        raise ValueError(f'{module.__name__} has an empty grid for {method} on {data}')
    file = found[0]['config']
    if not Path(file).is_file():
        if data in module.DATA:
            raise ValueError(f'there is no {file} here: run the command from the checkout')
        raise ValueError(
            f"no data set '{data}' for {method}: there is no {file} here; the search is for "
            f'{", ".join(module.DATA)}'
        )
    return found


def search(
    stage: str,
    method: str,
    data: str,
    found: Sequence[Mapping[str, Any]],
    *,
    workdir: Path,
    overrides: Sequence[str],
    together: int | None,
) -> Search:
    """The search over `found`, the flags of each run.

    overrides: '--config.field=value', in the place of a run's own. together: members of one job at
    most; None for all that can share a program, or 1 where a run should be alone.
    """
    folder = workdir / f'{method}_{data}' / stage
    applied = [_applied(flags, overrides) for flags in found]
    names = _names([flags for flags, _ in applied])
    members = [
        Member(flags, config, folder / name)
        for (flags, config), name in zip(applied, names, strict=True)
    ]
    return Search(method, data, stage, folder, _jobs(members, together))


def check(wanted: Search) -> None:
    """ValueError when the search's folder is of another search."""
    path = wanted.folder / 'sweep.json'
    if not path.exists():
        return
    there = _read(path, 'choose another folder with --workdir')['jobs']
    here = description(wanted)['jobs']
    if here != there:
        raise ValueError(
            f'{wanted.folder} belongs to another sweep ({_difference(here, there)}): give the '
            'same options, or choose another folder with --workdir'
        )


def description(wanted: Search) -> dict[str, Any]:
    """Return the content of sweep.json: the flags of every run, by job and by folder."""
    jobs = [{member.folder.name: member.flags for member in job} for job in wanted.jobs]
    plain = json.loads(json.dumps(jobs))
    return {'method': wanted.method, 'data': wanted.data, 'stage': wanted.stage, 'jobs': plain}


def write(wanted: Search) -> None:
    """Make the search's folder, with its sweep.json; one that stands there already has been
    checked.
    """
    try:
        wanted.folder.mkdir(parents=True, exist_ok=True)
        if (wanted.folder / 'sweep.json').exists():
            return
        run_folder.write_json(wanted.folder / 'sweep.json', description(wanted))
    except OSError as error:
        raise ValueError(
            f'cannot write to {wanted.folder}: {error.strerror}; choose another with --workdir'
        ) from error


def stored(folder: Path) -> Search:
    """The search that stands in a folder. ValueError when none does."""
    first = f'first (--stage={folder.name})'
    if not (folder / 'sweep.json').exists():
        raise ValueError(f'{folder} holds no stage of a search: run it {first}')
    found = _read(folder / 'sweep.json', f'remove it, and run its stage {first}')
    jobs = [
        tuple(_restored(flags, folder / name) for name, flags in job.items())
        for job in found['jobs']
    ]
    return Search(found['method'], found['data'], found['stage'], folder, tuple(jobs))


def _read(path: Path, remedy: str) -> dict[str, Any]:
    """Read a sweep.json. Raises ValueError when it is damaged."""
    found = run_files.json_value(path, dict, remedy)
    jobs = found.get('jobs')
    flags = [own for job in jobs for own in job.values()] if _all(dict, jobs) else None
    if not _all(dict, flags) or not _all(str, [found.get(k) for k in ('method', 'data', 'stage')]):
        raise ValueError(f'{path} is damaged: {remedy}')
    return found


def _all(kind: type, values: Any) -> bool:
    """Whether it is a list of values of this kind."""
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _restored(flags: Mapping[str, Any], folder: Path) -> Member:
    tuples = {
        key: tuple(value) if isinstance(value, list) else value for key, value in flags.items()
    }
    return Member(*_applied(tuples, ()), folder)


def command(member: Member) -> str:
    """The command that trains this member alone."""
    words = [
        f'--{name}="{value}"' if isinstance(value, tuple) else f'--{name}={value}'
        for name, value in member.flags.items()
    ]
    return ' '.join(['python -m mi_ssl_jax.main', *words, f'--workdir={member.folder}'])


def varying(members: Sequence[Member]) -> list[str]:
    """The flags in which members differ, in the order of the first's."""
    first = members[0].flags
    return [key for key in first if any(member.flags.get(key) != first[key] for member in members)]


def _applied(
    flags: Mapping[str, Any], overrides: Sequence[str]
) -> tuple[dict[str, Any], ConfigDict]:
    """The flags with the overrides among them, and the configuration they make."""
    words = dict(word.removeprefix('--').split('=', 1) for word in overrides)
    given = {**flags, **words}  # a tuple given twice would be joined, not replaced
    argv = ['sweep', *(f'--{name}={value}' for name, value in given.items())]
    values = absl_flags.FlagValues()
    holder = ml_flags.DEFINE_config_file('config', None, '', flag_values=values, sys_argv=argv)
    config_file.parse(values, argv, usage='')
    own = {
        name: _field(holder.value, name.removeprefix('config.'))
        for name in given
        if name != 'config'
    }
    return {'config': flags['config'], **own}, holder.value


def _field(config: ConfigDict, path: str) -> Any:
    for name in path.split('.'):
        config = config[name]
    return config


def _names(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """A folder's name for each run, from the fields in which they differ; 'run' for a single
    one.
    """
    fields = [key for key in found[0] if any(flags.get(key) != found[0][key] for flags in found)]
    names = [
        '-'.join(f'{key.rpartition(".")[2]}{_word(flags[key])}' for key in fields) or 'run'
        for flags in found
    ]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(
            f'the search lists a configuration twice: {twice[0]}; overriding a field that it '
            'varies leaves nothing to compare'
        )
    return names


def _word(value: Any) -> str:
    return 'x'.join(map(str, value)) if isinstance(value, tuple) else f'{value}'


def _jobs(members: Sequence[Member], together: int | None) -> tuple[tuple[Member, ...], ...]:
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(_program(member.config), []).append(member)
    jobs = []
    for group in groups.values():
        size = together or (1 if _alone(group[0].config) else len(group))
        jobs += [tuple(group[start : start + size]) for start in range(0, len(group), size)]
    return tuple(jobs)


def _alone(config: ConfigDict) -> bool:
    """Whether to train it alone: it is large, or does more than train: stops, goes back, logs
    elsewhere.
    """
    more = config.collapse.stop or config.rollback.times or config.wandb
    return bool(config.net.name in LARGE or config.data.streamed or more)


def _program(config: ConfigDict) -> str:
    """Return the part of the configuration that the compiled step depends on: all but the traced
    fields.
    """
    rest = json.loads(config.to_json())
    for path in TRACED_BY_ANY_METHOD if ':' in config.method.name else TRACED:
        *parents, name = path.split('.')
        functools.reduce(lambda place, parent: place[parent], parents, rest).pop(name, None)
    return json.dumps(rest, sort_keys=True)


def _difference(here: Sequence[Mapping], there: Sequence[Mapping]) -> str:
    """Describe the first field in which two searches differ."""
    sizes = [[len(job) for job in jobs] for jobs in (here, there)]
    runs_ = ([run for job in jobs for run in job.values()] for jobs in (here, there))
    for one, other in zip(*runs_):
        for key in sorted(set(one) | set(other)):
            if one.get(key) != other.get(key):
                return f'{key} is {other.get(key)} there, {one.get(key)} here'
    return f'programs of {sizes[1]} configurations there, of {sizes[0]} here'
